"""docs/howto/state.rst, and the part about sealed state in docs/reference/format.rst, are correct."""

import asyncio
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any, get_args
from unittest import mock

import httpx
import pytest

from sealedsession.errors import NotPublicError, Reason, StaleStateError, StateError, UnsealError
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.serialization.limits import StateLimits
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.session import Session
from sealedsession.state.middleware import response_to
from sealedsession.state.protocol import read_call, read_token
from sealedsession.state.resumable import Resumable
from sealedsession.state.sealer import MAX_SIZE, SCRIPT, StateSealer
from tests.support.pages import PAGES, block_with, literals, rows, run, section

PAGE = PAGES["howto/state"]
HTML = block_with(PAGE, "TOKEN", language="html")
MODULE = SCRIPT.read_text()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]) -> None:
    """Set the variables that the quick start exports."""
    monkeypatch.setenv("SESSION_VALIDATE_KEY", keys["validate_key"])
    monkeypatch.setenv("SESSION_ENCRYPT_KEY", keys["encrypt_key"])


def token_in(html: str) -> str:
    (token,) = re.findall(r'data-sealedsession-state="([^"]+)"', html)
    return token


def call_body(token: str, method: str = "add", *args: Any) -> str:
    return json.dumps({"token": token, "method": method, "args": args})


def sealer(keys: dict[str, str]) -> Sealer:
    keyring = Keyring(keys["validate_key"].encode(), keys["encrypt_key"].encode())
    return Sealer(keyring, "cookie:__Host-Http-session")


Send = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["sealedsession.wsgi", "sealedsession.asgi"])
def send(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_keys: dict[str, str]
) -> Send:
    """Send a request to one of the quick starts; gives status, content type and body.

    The browser comes with a cookie of other keys: it keeps that, where nobody saves the session.
    """
    (tmp_path / "counter.html").write_text(HTML)
    monkeypatch.chdir(tmp_path)
    application = run(block_with(PAGE, request.param, "application = "))["application"]
    in_wsgi = request.param == "sealedsession.wsgi"
    # An error handler passes the exception to start_response (PEP 3333). The test does not raise it again.
    transport: Any = httpx.WSGITransport(application, raise_app_exceptions=False)
    if not in_wsgi:
        transport = httpx.ASGITransport(application)
    kind_of_client: Any = httpx.Client if in_wsgi else httpx.AsyncClient
    client = kind_of_client(transport=transport, base_url="https://example.org")
    client.cookies.set("__Host-Http-session", sealer(other_keys).seal(b"}.", created=int(time())), domain="example.org")

    def send(method: str, path: str, body: str = "", kind: str = "application/json") -> tuple[int, str, str]:
        answer = client.request(method, path, content=body, headers={"Content-Type": kind})
        if not in_wsgi:
            answer = asyncio.run(answer)
        return answer.status_code, answer.headers.get("Content-Type", "").partition(";")[0], answer.text

    return send


def test_the_quick_start_counts(send: Send) -> None:
    """Both quick starts serve the page and the module, and answer calls with the new state."""
    status, kind, page = send("GET", "/")
    assert (status, kind) == (200, "text/html")
    assert send("GET", "/sealed_state.js") == (200, "text/javascript", MODULE)
    assert 'await call(button, "add")' in page
    token = token_in(page)
    for count, sent in enumerate(("application/json", "application/json; charset=utf-8", "application/json"), 1):
        status, kind, answer = send("POST", "/call", call_body(token), sent)
        assert (status, kind) == (200, "application/json")
        assert json.loads(answer)["result"] == count
        token = json.loads(answer)["token"]


def test_the_quick_start_refuses(send: Send) -> None:
    """Both quick starts refuse a changed token, a body that is not a call, and content types of forms."""
    token = token_in(send("GET", "/")[2])
    refused = (token[:40] + ("B" if token[40] == "A" else "A") + token[41:], "add"), (token, "load"), ("!", "add")
    answers = [send("POST", "/call", call_body(*call)) for call in refused]
    assert [(status, json.loads(text)["error"]["code"]) for status, _, text in answers] == [
        (403, "ForeignState"),
        (403, "NotPublic"),
        (400, "MalformedState"),
    ]
    assert send("POST", "/call", call_body(token), "text/plain")[0] == 415


def test_what_is_in_a_state() -> None:
    """The object of docs/howto/state.rst keeps what its method changed, loads the rest, and is stale without it."""
    names = run(block_with(PAGE, "class Order"))
    answer = json.loads(names["states"].handle(call_body(names["token"], "more").encode(), session_id="4f1c"))
    assert answer["result"] == "2 of Oak spoon"
    names["ARTICLES"][7] = "Ash spoon"
    answer = json.loads(names["states"].handle(call_body(answer["token"], "more").encode(), session_id="4f1c"))
    assert answer["result"] == "3 of Ash spoon"
    assert names["states"].resume(answer["token"], session_id="4f1c").state == {"pieces": 3}
    del names["ARTICLES"][7]
    with pytest.raises(StaleStateError):
        names["states"].resume(answer["token"], session_id="4f1c")


def test_a_method_checks_its_arguments() -> None:
    """The search of docs/howto/state.rst works, and refuses other types than text."""
    search = run(block_with(PAGE, "class Search"))["Search"]()
    assert search.call("find", "emm") == ["Emma"]
    for argument in (1, None, ["Emma"], "x" * 101):
        with pytest.raises(StateError):
            search.call("find", argument)


def test_state_registry() -> None:
    """The references of docs/howto/state.rst are fetched together, and stale if one is missing."""
    names = run(block_with(PAGE, "StateRegistry"))
    assert names["articles"] == [names["ARTICLES"][7], names["ARTICLES"][8]]
    del names["ARTICLES"][8]
    with pytest.raises(StaleStateError, match="no article 8"):
        names["states"].unseal(names["token"], session_id="4f1c")


@pytest.mark.parametrize("rejected", [None, "unknown_key", "revoked", "store_error"])
def test_a_session_that_has_to_last(rejected: str | None) -> None:
    """The page of docs/howto/state.rst saves its session, except while the revocation store is down."""
    session = mock.create_autospec(Session, instance=True, id="4f1c", rejected=rejected)
    assert run(block_with(PAGE, "session.rejected"))["page"](session) == "4f1c"
    assert session.save.called == (rejected != "store_error")


def test_the_options_are_those_of_the_sealer() -> None:
    """The table of docs/howto/state.rst has the options of StateSealer, in order, with their defaults."""
    table = {name: default for names, default, *_ in rows(section(PAGE, "Lifetimes, keys")) for name in literals(names)}
    options = inspect.signature(StateSealer).parameters
    assert list(table) == list(options)
    for name, option in options.items():
        documented = table[name].strip("`")
        if documented == "required":
            assert name.endswith("_key")
        elif name in ("registry", "clock"):
            assert documented.rpartition(".")[2] in ("default_registry", "time")
        else:
            assert documented.replace('"', "'") == repr(option.default), name


def test_the_errors_are_those_of_the_code() -> None:
    """The table of docs/howto/state.rst has exactly the statuses and codes of errors."""
    errors = [StaleStateError(""), NotPublicError(""), StateError("")]
    errors += [UnsealError(code, "") for code in get_args(Reason)]
    answered = set()
    for error in errors:
        status, body = response_to(error)
        answered.add((str(status), json.loads(body)["error"]["code"], type(error).__name__))
    table = {tuple(cell.strip("`") for cell in row[:3]) for row in rows(section(PAGE, "Errors")) if row[0] != "Status"}
    assert table == answered


def test_the_module_is_as_described() -> None:
    """The browser module has the names in docs/howto/state.rst, is short, and imports nothing."""
    assert len(MODULE.splitlines()) < 120
    code = re.sub(r"/\*.*?\*/", "", MODULE, flags=re.DOTALL)
    assert not re.search(r"\bimport\b|\beval\b|\bFunction\b|HTML", code)
    named = "data-sealedsession-state data-sealedsession-url sealedsession:stale X-CSRFToken csrf-token csrftoken"
    for name in (*named.split(), "NoAnswer", "NoState", "StaleState", "export async function call("):
        assert name in MODULE
        assert name.removeprefix("export async function ") in PAGE


def test_the_format_page_says_how_state_is_sealed(keys: dict[str, str]) -> None:
    """The reader of docs/reference/format.rst opens a token of sealed state with the documented purpose."""
    text = " ".join(section(PAGES["reference/format"], "Sealed state").split())
    assert 'purpose = "state:" name ":" length ":" session_id user' in text
    limits = StateLimits()
    assert f"at most {limits.size // 1024} KiB, {limits.nodes:,} values and {limits.typed:,} typed ones" in text
    assert f"up to {MAX_SIZE:,} characters" in text
    read_token = run(block_with(PAGES["reference/format"], "def read_token"))["read_token"]
    states = StateSealer(**keys, name="shop", compress=False, clock=lambda: 1000.0)

    @states.register
    class Counter(Resumable):
        count = 0

        def load(self, step: int, *, limit: int) -> None:
            self.step, self.limit = step, limit

    counter = Counter(2, limit=10)
    counter.count = 4

    def read(token: str) -> Any:
        raw = {name: key.encode() for name, key in keys.items()}
        flags, created, sealed_at, payload = read_token(token, **raw, purpose="state:shop:7:sessiónada".encode())
        assert (flags, created, sealed_at) == (0, 1000, 1000)
        return PickleSerializer().loads(payload)

    assert read(states.seal({"a": 1}, session_id="sessión", user="ada")) == [None, {"a": 1}]
    code = Counter.__qualname__
    assert read(states.seal(counter, session_id="sessión", user="ada")) == [code, (2,), {"limit": 10}, {"count": 4}]


def test_a_plain_value_has_a_purpose() -> None:
    """The offer of docs/howto/state.rst opens only with its purpose."""
    names = run(block_with(PAGE, 'purpose="offer"'))
    assert names["offer"] == {"article": 7, "price": 990}
    with pytest.raises(UnsealError):
        names["states"].unseal(names["token"], session_id="4f1c")


def test_the_call_on_the_page_is_one() -> None:
    """The body in docs/howto/state.rst is a valid call."""
    body = block_with(PAGE, '"method"', language="json").encode()
    assert (read_token(body, 1000), read_call(body).method) == ("...", "add")
