"""What users write, for mypy --strict and pyright: it is type-checked and never run."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, assert_type

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import sealedsession
from sealedsession import CookieTooLargeError, NotSerializableError, Session, SessionConfig, UnsealError
from sealedsession.asgi import SessionMiddleware as ASGISessionMiddleware
from sealedsession.config import SessionOptions
from sealedsession.own import FlashMessage
from sealedsession.paste import filter_app_factory, filter_factory
from sealedsession.wsgi import SessionMiddleware as WSGISessionMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


# ---------------------------------------------------------------------------------------------------------------- WSGI


def visits(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    session = environ["sealedsession.session"]
    session["visits"] = session.get("visits", 0) + 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"visits: {session['visits']}\n".encode()]


def trim(session: Session, error: CookieTooLargeError) -> None:
    assert_type(error.size, int)
    assert_type(error.limit, int)
    session.pop(next(iter(error.by_key)), None)


wsgi_application = WSGISessionMiddleware(
    visits, validate_key="env:SESSION_VALIDATE_KEY", encrypt_key="env:SESSION_ENCRYPT_KEY"
)
as_a_server_takes_it: "WSGIApplication" = wsgi_application
around_another: "WSGIApplication" = WSGISessionMiddleware(wsgi_application, validate_key=b"key", name="outer")

config = SessionConfig(
    validate_key=["env:SESSION_VALIDATE_KEY", b"fallback"],
    encrypt_key=("file:encrypt.key", "fallback"),
    name="__Host-Http-session",
    path="/",
    domain=None,
    secure=True,
    httponly=True,
    samesite="Strict",
    partitioned=False,
    persistent=True,
    idle_timeout=3600,
    absolute_timeout=None,
    refresh_interval=60,
    leeway=0,
    oversize=trim,
    save_on_error=True,
    cache_control="private",
    environ_key="my.session",
    scope_key="my_session",
    clock=lambda: 0.0,
)
assert_type(config.cookie.name, str | None)
assert_type(config.idle_timeout, int | None)
assert_type(config.secure, bool)
assert_type(SessionConfig.from_mapping({"session.validate_key": "file:validate.key"}), SessionConfig)
with_a_config = WSGISessionMiddleware(visits, config)
with_a_named_config = WSGISessionMiddleware(visits, config=config)
assert_type(with_a_config.config, SessionConfig)

options: SessionOptions = {"validate_key": "env:SESSION_VALIDATE_KEY", "secure": False, "oversize": "keep"}
with_options = WSGISessionMiddleware(visits, **options)

# Each of these is a mistake. mypy reports a superfluous ignore comment.
WSGISessionMiddleware(visits, validate_key="key", secure="no")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
WSGISessionMiddleware(visits, validate_key="key", max_ages=5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
WSGISessionMiddleware(visits, validate_key="key", oversize="drop")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
SessionConfig("key")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
config.secure = False  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]

from_ini: "Callable[[WSGIApplication], WSGISessionMiddleware]" = filter_factory({}, validate_key="file:validate.key")
from_ini_at_once: "WSGIApplication" = filter_app_factory(visits, {}, validate_key="file:validate.key")


# ---------------------------------------------------------------------------------------------------------------- ASGI

ScopeOrMessage = MutableMapping[str, Any]


async def asgi_visits(
    scope: ScopeOrMessage,
    receive: Callable[[], Awaitable[ScopeOrMessage]],
    send: Callable[[ScopeOrMessage], Awaitable[None]],
) -> None:
    session: Session = scope["session"]
    session["visits"] = session.get("visits", 0) + 1
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


asgi_application = ASGISessionMiddleware(asgi_visits, validate_key="env:SESSION_VALIDATE_KEY")
asgi_with_a_config = ASGISessionMiddleware(asgi_application, config)
assert_type(asgi_with_a_config.config, SessionConfig)


async def home(request: Request) -> PlainTextResponse:
    request.session["user"] = 7
    return PlainTextResponse("hello")


starlette = Starlette(routes=[Route("/", home)])
starlette.add_middleware(ASGISessionMiddleware, validate_key="env:SESSION_VALIDATE_KEY", idle_timeout=3600)
starlette.add_middleware(ASGISessionMiddleware, config=config)
as_a_list = Starlette(middleware=[Middleware(ASGISessionMiddleware, validate_key="env:SESSION_VALIDATE_KEY")])
around_starlette = ASGISessionMiddleware(starlette, validate_key="env:SESSION_VALIDATE_KEY")


# ------------------------------------------------------------------------------------------------------------- session


def use(session: Session) -> None:
    session["cart"] = [1, 2]
    session.update(user=7)
    session |= {"language": "en"}
    as_a_dict: dict[Any, Any] = session
    assert_type(as_a_dict.get("user"), Any | None)
    assert_type(session.id, str)
    assert_type(session.created, int)
    assert_type(session.sealed_at, int | None)
    assert_type(session.new, bool)
    assert_type(session.accessed, bool)
    assert_type(session.modified, bool)
    assert_type(session.size, int)
    assert_type(session.remaining, int)
    if session.rejected is not None:
        code: str = session.rejected
        assert code != "no such code"
    session.flash("saved")
    session.flash(["any", "value"], "error")
    for category, message in session.pop_flash("error", "info"):
        assert_type(category, str)
        del message
    assert_type(session.peek_flash(), list[FlashMessage])
    assert_type(session.csrf_token(), str)
    assert_type(session.check_csrf(None), bool)
    session.set(("any", "key"), 7, seconds=600)
    session.set("key", 7)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    session.set("key", 7, seconds=1.5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    session.flash("saved", 1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    session.save()
    session.regenerate()
    session.invalidate()
    session.mark_accessed()
    session.new = True  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


def handle(error: Exception) -> str:
    match error:
        case NotSerializableError():
            assert_type(error.type, type | None)
            return error.path
        case UnsealError():
            return error.detail if error.reason == "forbidden_value" else error.reason
        case CookieTooLargeError():
            return error.name
        case sealedsession.SessionClosedError() | sealedsession.ConfigError():
            return str(error)
        case _:
            return sealedsession.__version__


def settings_page(request: Request, environ: "WSGIEnvironment") -> None:
    session = sealedsession.get_session(request)
    assert_type(session, Session)
    session.regenerate()
    session.persistent = True
    assert_type(sealedsession.get_session(environ).persistent, bool)


SessionConfig(validate_key=b"key", samesite="Lux")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
SessionConfig(validate_key=b"key", serializer="yaml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
