"""The middlewares to compare, each around the same application, and the bare application of each.

A framework whose session is not a middleware is measured with its request and response. Its bare application uses the
same request and response without the session. aiohttp-session needs aiohttp's server, and Tetra and itsdangerous have
no session, so these three are measured only as codecs.
"""

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import interfaces
import reference
from interfaces import ACTIONS, Action
from peers import CONTROL, MAX_AGE, OUR_KEYS, OURS, REFERENCE, SECRET, SECRET_BYTES, set_up_django


@dataclass(frozen=True)
class Middleware:
    """One middleware.

    :param build: makes the application that does an action, with the middleware around it.
    :param bare: the application without a session.
    """

    build: Callable[[Action | None], Any]
    bare: Any


KEPT = 1024  # tokens, when our middleware is measured with the option token_cache

Makers = dict[str, Callable[[], Middleware]]


def built(makers: Makers) -> tuple[dict[str, Middleware], dict[str, str]]:
    """Return the middlewares whose packages are installed, and the reasons why the others are missing."""
    middlewares, missing = {}, {}
    for name, make in makers.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of peers, at import
                middlewares[name] = make()
        except Exception as error:  # noqa: BLE001  # a peer's import may raise anything; the result names it
            missing[name] = f"{type(error).__name__}: {error}"
    return middlewares, missing


# --------------------------------------------------------------------------------------------------------------- WSGI


def _in_environ(key: str, wrap: Callable[[Any], Any]) -> Middleware:
    return Middleware(lambda action: wrap(interfaces.wsgi_application(key, action)), interfaces.wsgi_bare)


def ours_wsgi(**options: Any) -> Middleware:
    """Make sealedsession's middleware, with the given options."""
    from sealedsession.wsgi import SessionMiddleware

    return _in_environ(
        "sealedsession.session", lambda app: SessionMiddleware(app, name="session", **OUR_KEYS, **options)
    )


def prototype_wsgi() -> Middleware:
    """Make the reference."""
    return _in_environ(reference.ENVIRON_KEY, reference.WsgiPrototype)


def saving(action: Action | None) -> Action | None:
    """Return an action that also calls save() after a change, as Beaker's sessions require."""
    if action in (None, interfaces.read):
        return action

    def saved(session: Any) -> None:
        action(session)
        session.save()

    return saved


def _beaker(**options: str) -> Middleware:
    from beaker.middleware import SessionMiddleware

    settings = {f"session.{name}": value for name, value in options.items()}
    settings |= {"session.type": "cookie", "session.validate_key": SECRET, "session.httponly": True}

    def build(action: Action | None) -> Any:
        return SessionMiddleware(interfaces.wsgi_application("beaker.session", saving(action)), settings)

    return Middleware(build, interfaces.wsgi_bare)


def beaker_encrypted() -> Middleware:
    """Make Beaker's cookie session with encrypt_key."""
    return _beaker(encrypt_key=SECRET)


def beaker_signed() -> Middleware:
    """Make Beaker's cookie session without encrypt_key."""
    return _beaker()


def _flask() -> Middleware:
    import flask

    flask_app = flask.Flask("benchmark")
    flask_app.secret_key = SECRET
    interface = flask_app.session_interface

    def bare(environ: Any, start_response: Any) -> Any:
        flask.Request(environ)
        return flask.Response("ok", mimetype="text/plain")(environ, start_response)

    def build(action: Action | None) -> Any:
        def application(environ: Any, start_response: Any) -> Any:
            session = interface.open_session(flask_app, flask.Request(environ))
            if action is not None:
                action(session)
            response = flask.Response("ok", mimetype="text/plain")
            interface.save_session(flask_app, session, response)
            return response(environ, start_response)

        return application

    return Middleware(build, bare)


def _django() -> Middleware:
    set_up_django()
    from django.contrib.sessions.backends import signed_cookies
    from django.contrib.sessions.middleware import SessionMiddleware
    from django.core.handlers.wsgi import WSGIRequest
    from django.http import HttpResponse

    def served(view: Any) -> Any:
        def application(environ: Any, start_response: Any) -> Any:
            response = view(WSGIRequest(environ))
            cookies = [("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values()]
            start_response("200 OK", [*response.items(), *cookies])
            return response

        return application

    def build(action: Action | None) -> Any:
        def view(request: Any) -> Any:
            if action is not None:
                action(request.session)
            return HttpResponse("ok", content_type="text/plain")

        middleware = SessionMiddleware(view)
        middleware.SessionStore = (
            signed_cookies.SessionStore
        )  # Django has one set of settings, which another peer may have made
        return served(middleware)

    return Middleware(build, served(lambda request: HttpResponse("ok", content_type="text/plain")))


def _pyramid(factory: Any) -> Middleware:
    from pyramid.request import Request
    from pyramid.response import Response

    def served(use: Callable[[Any], object]) -> Any:
        def application(environ: Any, start_response: Any) -> Any:
            request = Request(environ)
            use(request)
            response = Response(b"ok", content_type="text/plain")
            request._process_response_callbacks(response)
            return response(environ, start_response)

        return application

    def nothing(request: Any) -> None:
        pass

    def build(action: Action | None) -> Any:
        # The factory makes request.session on first access.
        return served(nothing if action is None else lambda request: action(factory(request)))

    return Middleware(build, served(nothing))


def _pyramid_signed() -> Middleware:
    from pyramid.session import SignedCookieSessionFactory

    return _pyramid(SignedCookieSessionFactory(SECRET))


def _pyramid_nacl() -> Middleware:
    from pyramid_nacl_session import EncryptedCookieSessionFactory

    return _pyramid(EncryptedCookieSessionFactory(SECRET_BYTES))


WSGI: Makers = {
    OURS: ours_wsgi,
    REFERENCE: prototype_wsgi,
    CONTROL: prototype_wsgi,
    "Beaker, encrypted": beaker_encrypted,
    "Beaker, signed": beaker_signed,
    "Flask, signed": _flask,
    "Django signed_cookies, signed": _django,
    "Pyramid, signed": _pyramid_signed,
    "pyramid_nacl_session, encrypted": _pyramid_nacl,
}

# --------------------------------------------------------------------------------------------------------------- ASGI


def _in_scope(wrap: Callable[[Any], Any]) -> Middleware:
    return Middleware(lambda action: wrap(interfaces.asgi_application(action)), interfaces.asgi_bare)


def ours_asgi(**options: Any) -> Middleware:
    """Make sealedsession's middleware, with the given options."""
    from sealedsession.asgi import SessionMiddleware

    return _in_scope(lambda app: SessionMiddleware(app, name="session", **OUR_KEYS, **options))


def prototype_asgi() -> Middleware:
    """Make the reference."""
    return _in_scope(reference.AsgiPrototype)


def starlette_signed() -> Middleware:
    """Make Starlette's own session."""
    from starlette.middleware.sessions import SessionMiddleware

    return _in_scope(lambda app: SessionMiddleware(app, SECRET))


def _starsessions(wrap: Callable[[Any], Any]) -> Middleware:
    from starsessions import CookieStore, SessionMiddleware

    return _in_scope(lambda app: SessionMiddleware(wrap(app), store=CookieStore(SECRET), lifetime=MAX_AGE))


def _starsessions_loading() -> Middleware:
    def loading(app: Any) -> Any:
        if app is interfaces.asgi_bare:
            return app

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await scope["session_handler"].load()
            await app(scope, receive, send)

        return application

    return _starsessions(loading)


def _starsessions_autoload() -> Middleware:
    from starsessions import SessionAutoloadMiddleware

    return _starsessions(SessionAutoloadMiddleware)


def asgi_sessions() -> Middleware:
    """Make asgi-sessions with Fernet."""
    from asgi_sessions import SessionMiddleware

    return _in_scope(lambda app: SessionMiddleware(app, SECRET, session_type="fernet"))


def _litestar() -> Middleware:
    from litestar import Litestar, get
    from litestar.middleware.session.base import SessionMiddleware
    from litestar.middleware.session.client_side import CookieBackendConfig

    @get("/")
    async def home() -> str:
        return ""

    litestar_app = Litestar([home])
    handler = litestar_app.routes[0].route_handlers[0]
    config = CookieBackendConfig(secret=SECRET_BYTES)

    def routed(app: Any) -> Any:
        middleware = SessionMiddleware(app, config._backend_class(config))

        def application(scope: Any, receive: Any, send: Any) -> Any:
            scope["route_handler"] = handler  # as the router would do
            scope["litestar_app"] = litestar_app
            return middleware(scope, receive, send)

        return application

    return _in_scope(routed)


ASGI: Makers = {
    OURS: ours_asgi,
    REFERENCE: prototype_asgi,
    CONTROL: prototype_asgi,
    "Starlette, signed": starlette_signed,
    "starsessions, signed": _starsessions_loading,
    "starsessions autoload, signed": _starsessions_autoload,
    "asgi-sessions, encrypted": asgi_sessions,
    "Litestar, encrypted": _litestar,
}


@dataclass(frozen=True)
class Interface:
    """The middlewares of one interface, and its functions that make a request, time it, and return its Set-Cookie."""

    name: str
    makers: Makers
    make_request: Callable[[str | None], dict[str, Any]]
    case: Callable[[Any, dict[str, Any]], Callable[[], None]]
    set_cookies: Callable[[Any, dict[str, Any]], list[str]]


INTERFACES = (
    Interface("WSGI", WSGI, interfaces.make_environ, interfaces.wsgi_case, interfaces.wsgi_set_cookies),
    Interface("ASGI", ASGI, interfaces.make_scope, interfaces.asgi_case, interfaces.asgi_set_cookies),
)


def signed_in(interface: Interface, middleware: Middleware) -> str:
    """Return the cookie of a filled session, as name=value."""
    return interface.set_cookies(middleware.build(interfaces.sign_in), interface.make_request(None))[-1].split(";")[0]


def find_fault(interface: Interface, middleware: Middleware) -> str | None:
    """Return why a middleware cannot be measured, or None.

    It must return a saved session with the next request, and refuse a changed cookie.
    """
    seen: list[object] = []

    def look(session: Any) -> None:
        seen.append(session.get("user_id"))

    try:
        cookie = signed_in(interface, middleware)
        at = len(cookie) * 2 // 3
        changed = cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :]
        application = middleware.build(look)
        interface.set_cookies(application, interface.make_request(cookie))
        for action in ACTIONS.values():
            interface.set_cookies(middleware.build(action), interface.make_request(cookie))
        with suppress(Exception):  # some raise an error for a changed cookie
            interface.set_cookies(application, interface.make_request(changed))
    except Exception as error:  # noqa: BLE001  # a peer may raise anything; the result names it
        return f"{type(error).__name__}: {error}"
    if seen[0] is None:
        return "the session does not come back"
    return "accepts a changed cookie" if seen[1:] not in ([], [None]) else None
