"""What users of sealed state write, for mypy --strict and pyright: it is type-checked and never run."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from webob.exc import WSGIHTTPException

from sealedsession import (
    Event,
    NotPublicError,
    SealError,
    StaleStateError,
    StateError,
    StateTooLargeError,
    UnsealError,
    default_registry,
)
from sealedsession.state.middleware import ASGIStateErrorMiddleware, WSGIStateErrorMiddleware, http_error, response_to
from sealedsession.state.registry import StateRegistry
from sealedsession.state.resumable import Resumable, public
from sealedsession.state.sealer import SCRIPT, StateSealer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


registry = StateRegistry()


@dataclass
class Article:
    number: int


def fetch_articles(numbers: list[int]) -> list[Article]:
    return [Article(number) for number in numbers]


def get_number(article: Article) -> int:
    return article.number


registry.register_base(Article, "article", encode=get_number, decode=int, fetch=fetch_articles)


def note(event: Event) -> None:
    assert_type(event.session, str | None)


states = StateSealer("env:VALIDATE", "env:ENCRYPT", max_age=3600, registry=registry, name="shop", on_event=note)
others = StateSealer(keyring="file:ring.json", registry=default_registry, compress=False, max_size=4096, leeway=0)
StateSealer(["env:NEW", "env:OLD"], ("env:NEW_2", "env:OLD_2"), clock=lambda: 0.0)


@states.register
class Counter(Resumable):
    stale_on = (KeyError, LookupError)
    count = 0

    def __init__(self, step: int) -> None:
        self.names: list[str] = []
        super().__init__(step)

    def load(self, step: int) -> None:
        self.step = step

    @public
    def add(self, times: int = 1) -> int:
        self.count += times * self.step
        return self.count


others.register(Counter, "counter")
others.register(Counter, code="counter")
assert_type(others.register(code="counter")(Counter), type[Counter])

token = states.seal(Counter(2), session_id="4f1c", user="ann")
assert_type(token, str)
assert_type(states.unseal(token, session_id="4f1c"), Any)
assert_type(states.seal({"a": 1}, session_id="4f1c", user="ann", purpose="offer"), str)
assert_type(states.unseal(token, session_id="4f1c", purpose="offer"), Any)
assert_type(states.resume(token, session_id="4f1c"), Resumable)
counter = states.resume(token, session_id="4f1c", cls=Counter, args=(3,), kwargs={"a": 1})
assert_type(counter, Counter)
assert_type(counter.add(), int)
assert_type(counter.state, dict[str, Any])
assert_type(counter.call("add", 1), Any)
assert_type(states.handle(b"{}", session_id="4f1c", user="ann", cls=Counter, args=[1], kwargs={}), bytes)
assert_type(SCRIPT, Path)

# Each of these is a mistake. mypy reports a superfluous ignore comment.
states.seal(1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
states.unseal(token.encode(), session_id="4f1c")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
states.seal(1, session_id="4f1c", purpose=5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
states.handle("{}", session_id="4f1c")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
states.register(int)  # type: ignore[type-var] # pyright: ignore[reportArgumentType]
StateSealer("a", "b", max_ages=5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
public(5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def too_large(error: StateTooLargeError) -> SealError:
    assert_type(error.size, int)
    assert_type(error.limit, int)
    return error


def answer(request: Request, error: StateError | UnsealError) -> Response:
    status, body = response_to(error)
    return Response(body, status, media_type="application/json")


def refuse(error: StaleStateError | NotPublicError) -> None:
    assert_type(http_error(error), WSGIHTTPException)
    raise http_error(error)


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    return http_error(StaleStateError("gone"))(environ, start_response)


wsgi: "WSGIApplication" = WSGIStateErrorMiddleware(application)
asgi = Starlette(middleware=[Middleware(ASGIStateErrorMiddleware)])
as_a_server_takes_it = ASGIStateErrorMiddleware(asgi)
