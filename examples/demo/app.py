"""The demo's application: a visit counter, a sign-in and a cart, with all their data in one sealed cookie.

The server stores only two keys. After each form, a redirect leads back to the page. If a change does not fit into the
cookie, the library raises `CookieTooLargeError` before anything is sent, so the browser keeps the previous session.
`make_app` then shows this session with an explanation.
"""

import secrets
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import page
from webob import Request, Response
from webob.dec import wsgify
from webob.exc import HTTPForbidden, HTTPNotFound, HTTPSeeOther

from sealedsession import CookieTooLargeError, Session, SessionConfig
from sealedsession.wsgi import SessionMiddleware

STYLE = Path(__file__).with_name("style.css").read_bytes()
NAME_LENGTH = 40  # characters of a user's name
WARES = (
    ("Brass teapot", "24.90"),
    ("Linen apron", "18.00"),
    ("Oak spoon", "6.50"),
    ("Enamel mug", "9.75"),
    ("Wool blanket", "59.00"),
    ("Glass carafe", "21.40"),
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def make_app() -> Callable[..., Any]:
    """Make the WSGI application with new keys. Cookies of an earlier start are refused."""
    config = SessionConfig(validate_key=secrets.token_bytes(32), encrypt_key=secrets.token_bytes(32))
    sessions = SessionMiddleware(application, config)

    def demo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        wire = environ["demo.wire"] = page.Wire(
            str(config.cookie.name), Request(environ).cookies.get(config.cookie.name, "")
        )

        def watching_start_response(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            for name, value in headers:
                if name == "Set-Cookie":
                    wire.take(value)
            return start_response(status, headers, *exc_info)

        try:
            return sessions(environ, watching_start_response)
        except CookieTooLargeError as error:
            environ.update({"demo.refused": error, "REQUEST_METHOD": "GET", "PATH_INFO": "/"})
            return sessions(environ, watching_start_response)

    return demo


@wsgify
def application(request: Request) -> Response:
    """Answer one request. The middleware has put the session into the environ."""
    path = request.environ["PATH_INFO"]
    if path == "/style.css":
        return Response(STYLE, content_type="text/css", charset="utf-8", cache_control="no-cache")
    if path == "/":
        return show(request)
    if path not in ACTIONS:
        raise HTTPNotFound
    if request.method != "POST":
        return HTTPSeeOther(location="/")  # the user has reloaded the page of a refused form
    # With SameSite=Lax, browsers do not send the session with another site's form. This check prevents that such a form
    # begins a new session.
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise HTTPForbidden("This form was sent by another site.")
    ACTIONS[path](request.environ["sealedsession.session"], request.POST)
    return HTTPSeeOther(location="/#demo")


def show(request: Request) -> Response:
    """Return the page. The body is made after the headers, so that it can show their Set-Cookie."""
    session: Session = request.environ["sealedsession.session"]
    refused: CookieTooLargeError | None = request.environ.get("demo.refused")
    if refused is None:
        session["visits"] = session.get("visits", 0) + 1
    view = page.View(
        session=session,
        session_id=session.id,
        limit=session.size + session.remaining,
        sizes=sizes_by_key(session),
        rejected=session.rejected,
        refused=refused,
        wire=request.environ["demo.wire"],
    )

    def body() -> Iterator[bytes]:
        yield page.render(view).encode()

    response = Response(app_iter=body(), content_type="text/html", charset="utf-8")
    response.headers.update(HEADERS)
    response.status = 200 if refused is None else 409
    return response


def sizes_by_key(session: Session) -> dict[str, int]:
    """Return the bytes that the seal with the name, and then each key of the session, add to the cookie.

    The function clears the session, adds the keys again in the same order, and reads the size after each of them. The
    sum of the sizes is the size of the cookie, and the session is unchanged in the end.
    """
    content = session.copy()
    session.clear()
    sizes = {page.SEAL: session.size}
    for key, value in content.items():
        before = session.size
        session[key] = value
        sizes[key] = session.size - before
    return sizes


def sign_in(session: Session, form: Any) -> None:
    """Sign the user in. The session receives a new id, and both timeouts start again."""
    name = form.get("name", "").strip()[:NAME_LENGTH]
    if name:
        session["user"] = name
        session.regenerate(begin_anew=True)


def sign_out(session: Session, _: Any) -> None:
    """End the session, and delete its content."""
    session.invalidate()


def add_items(session: Session, form: Any) -> None:
    """Add items to the cart. The middleware also saves changes inside a list, because it compares the content."""
    cart = session.setdefault("cart", [])
    start = len(cart) % len(WARES)
    for name, price in islice(cycle(WARES), start, start + (10 if form.get("count") == "10" else 1)):
        cart.append({"name": name, "price": Decimal(price)})


def empty_cart(session: Session, _: Any) -> None:
    """Empty the cart."""
    session.pop("cart", None)


ACTIONS: dict[str, Callable[[Session, Any], None]] = {
    "/sign-in": sign_in,
    "/sign-out": sign_out,
    "/cart/add": add_items,
    "/cart/empty": empty_cart,
}
