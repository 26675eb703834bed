"""Render the demo's page as HTML.

`element` and `render` escape every value that is not `Html`.
"""

from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from pprint import pformat
from string import Template
from typing import Any

import sealedsession

TEMPLATE = Template(Path(__file__).with_name("page.html").read_text("utf-8"))
SEAL = "name and seal"  # the label for the size of an empty session
HALF = 8  # bytes in half a row of the hex dump; on narrow screens, the second half is below the first
RECENT = 7  # the number of the cart's items in the list

# The parts of a token (see "Wire format, version 1" in the docs): class, length in bytes, label and description. None
# stands for all remaining bytes.
PARTS: tuple[tuple[str, int | None, str, str], ...] = (
    ("version", 1, "Version", "in the clear: sealed, format 1"),
    ("key-id", 2, "Key id", "in the clear: which key, not the key"),
    ("nonce", 16, "Nonce", "in the clear: random, new for every cookie"),
    ("ciphertext", None, "Ciphertext", "times, id and session, AES-256-CTR"),
    ("tag", 32, "Signature", "HMAC-SHA256 over all of it"),
)


SENT = "The header that came with this page."
KEPT = "No cookie came with this page. This is the one that your browser sent, and keeps."


class Wire:
    """The cookie of a request and of its response.

    :param name: the cookie's name.
    :param token: the value in the request, or an empty str.
    """

    def __init__(self, name: str, token: str) -> None:
        self.name = name
        self.token = token
        self.attributes: str | None = None

    def take(self, set_cookie: str) -> None:
        """Use the value of a Set-Cookie header, if it sets this cookie."""
        name, _, rest = set_cookie.partition("=")
        if name == self.name:
            self.token, _, self.attributes = rest.partition(";")


@dataclass(frozen=True, kw_only=True)
class View:
    """The data that the page shows."""

    session: sealedsession.Session
    session_id: str
    limit: int
    sizes: dict[str, int]
    rejected: str | None
    refused: sealedsession.CookieTooLargeError | None
    wire: Wire


class Html(str):
    """Text that is already HTML, and is not escaped again."""

    __slots__ = ()


def element(tag: str, *content: object, **attributes: object) -> Html:
    """Return an element with escaped attributes and content.

    :param attributes: the attributes, as valid names in Python: ``class_`` for class, ``aria_label`` for aria-label.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for name, value in attributes.items()
    )
    return Html(f"<{tag}{written}>{_join(content)}</{tag}>")


def render(view: View) -> str:
    """Return the complete page."""
    used = sum(view.sizes.values())
    user = view.session.get("user")
    cart = view.session.get("cart", [])
    values: dict[str, object] = {
        "version": sealedsession.__version__,
        "notice": _notice(view, len(cart)),
        "used": _count(used),
        "limit": _count(view.limit),
        "left": _count(view.limit - used),
        "gauge": _gauge(view.sizes, view.limit),
        "legend": _legend(view.sizes),
        "visits": _count(view.session.get("visits", 0)),
        "visits_unit": "visit" if view.session.get("visits") == 1 else "visits",
        "items": _count(len(cart)),
        "items_unit": "item" if len(cart) == 1 else "items",
        "total": f"{sum(item['price'] for item in cart):,.2f}",
        "recent": _recent(cart),
        "account": _signed_in(user) if user else SIGN_IN,
        "session_id": view.session_id,
        "wire": KEPT if view.wire.attributes is None else SENT,
        "header": "Cookie" if view.wire.attributes is None else "Set-Cookie",
        "name": view.wire.name,
        "token": view.wire.token,
        "attributes": "" if view.wire.attributes is None else ";" + view.wire.attributes,
        "parts": _parts(view.wire.token),
        "dump": _dump(view.wire.token),
        "content": pformat(dict(view.session), width=56, sort_dicts=False),
    }
    return TEMPLATE.substitute({name: _join([value]) for name, value in values.items()})


def _join(content: Iterable[object], between: str = "") -> Html:
    return Html(between.join(part if isinstance(part, Html) else escape(str(part)) for part in content))


def _count(number: int) -> str:
    return f"{number:,}"


def _notice(view: View, items: int) -> Html:
    if view.refused is not None:
        return _full(view.refused, items)
    if view.rejected is not None:
        return element(
            "div",
            element("h2", "Your old cookie was refused"),
            element(
                "p",
                "Your browser sent a cookie of other keys, most likely from an earlier start of this demo. So this is "
                "a new session, and the request went on as if there had been no cookie. Reason code: ",
                element("code", view.rejected),
            ),
            class_="notice",
            role="status",
        )
    return Html("")


def _full(error: sealedsession.CookieTooLargeError, items: int) -> Html:
    cart = "1 item" if items == 1 else f"{_count(items)} items"
    return element(
        "div",
        element("h2", "That does not fit"),
        element(
            "p",
            f"The cookie would have taken {_count(error.size)} bytes, {_count(error.size - error.limit)} more than "
            f"browsers keep. Nothing was sent and nothing is lost: your session is as it was, with {cart} in the cart.",
        ),
        element("p", "The application received this error:"),
        element("blockquote", element("code", "CookieTooLargeError: ", error)),
        class_="notice full",
        role="alert",
        id="full",
    )


def _gauge(sizes: dict[str, int], limit: int) -> Html:
    """Return a stacked bar in which one unit is one byte."""
    bars = []
    start = 0
    for key, size in sizes.items():
        label = element("title", f"{key}: {_count(size)} bytes")
        bars.append(element("rect", label, class_=_colour(key), x=start, y=0, width=size, height=1))
        start += size
    return element(
        "svg",
        *bars,
        viewBox=f"0 0 {limit} 1",
        preserveAspectRatio="none",
        class_="gauge",
        role="img",
        aria_label=f"{_count(start)} of {_count(limit)} bytes used",
    )


def _legend(sizes: dict[str, int]) -> Html:
    return _join(
        element(
            "li",
            element("span", class_=f"swatch {_colour(key)}"),
            element("span", key, class_="key"),
            element("span", f"{_count(size)} bytes", class_="size"),
        )
        for key, size in sizes.items()
    )


def _colour(key: str) -> str:
    return "of-seal" if key == SEAL else f"of-{key}"


def _recent(cart: list[dict[str, Any]]) -> Html:
    if not cart:
        return element("p", "Nothing in it yet.", class_="nothing")
    rows = [
        element("li", element("span", item["name"]), element("span", f"{item['price']:.2f}", class_="price"))
        for item in cart[: -RECENT - 1 : -1]
    ]
    if len(cart) > RECENT:
        rows.append(element("li", f"and {_count(len(cart) - RECENT)} more", class_="quiet"))
    return element("ul", *rows, class_="items")


SIGN_IN = Html(
    """<p class="figure">Not signed in</p>
<form action="/sign-in#demo" method="post">
<label for="name">Your name</label>
<div class="row"><input id="name" name="name" required maxlength="40" autocomplete="off" placeholder="Ada">
<button class="primary">Sign in</button></div>
</form>"""
)


def _signed_in(user: str) -> Html:
    return Html(
        element("p", "Hello, ", element("strong", user, id="user"), class_="figure")
        + """
<form action="/sign-out#demo" method="post"><button>Sign out</button></form>"""
    )


def _decode(token: str) -> bytes:
    return urlsafe_b64decode(token + "=" * (-len(token) % 4))


def _layout(length: int) -> Iterator[tuple[str, int, int, str, str]]:
    """Yield the token's parts as (class, start, end, label, description)."""
    rest = length - sum(size or 0 for _, size, _, _ in PARTS)
    start = 0
    for name, size, label, text in PARTS:
        end = start + (rest if size is None else size)
        yield name, start, end, label, text
        start = end


def _parts(token: str) -> Html:
    return _join(
        element(
            "li",
            element("span", class_=f"swatch of-{name}"),
            element("span", element("strong", label), " ", text, class_="key"),
            element("span", f"{start}" if end - start == 1 else f"{start}-{end - 1}", class_="size"),
        )
        for name, start, end, label, text in _layout(len(_decode(token)))
    )


def _dump(token: str) -> Html:
    data = _decode(token)
    kinds = [name for name, start, end, _, _ in _layout(len(data)) for _ in range(start, end)]
    return _join(
        element(
            "li",
            element("span", f"{at:04x}", class_="at"),
            _half_row(data, kinds, at),
            _half_row(data, kinds, at + HALF),
        )
        for at in range(0, len(data), 2 * HALF)
    )


def _half_row(data: bytes, kinds: list[str], at: int) -> Html:
    half = data[at : at + HALF]
    runs = groupby(zip(kinds[at : at + HALF], half, strict=True), key=itemgetter(0))
    cells = [element("span", bytes(byte for _, byte in run).hex(" "), class_=f"of-{kind}") for kind, run in runs]
    characters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in half)
    return _join((element("span", _join(cells, " "), class_="bytes"), element("span", characters, class_="text")))
