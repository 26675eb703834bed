"""The middleware refuses applications of the other interface, and objects that are not applications."""

from functools import partial, update_wrapper

import pytest

from sealedsession import asgi, wsgi
from sealedsession.errors import ConfigError
from sealedsession.lifecycle.manager import check_application


def wsgi_app(environ, start_response):
    return []


async def asgi_app(scope, receive, send):
    pass


async def awaited(environ, start_response):
    return []


class WsgiApp:
    def __call__(self, environ, start_response):
        return []

    def method(self, environ, start_response):
        return []


class AsgiApp:
    async def __call__(self, scope, receive, send):
        pass

    async def method(self, scope, receive, send):
        pass


class Awaited:
    async def __call__(self, *arguments):
        pass


class Silent:
    """Of an object with a signature that cannot be told."""

    __signature__ = "none"

    def __call__(self, *arguments):
        pass


def decorated(function, call):
    """What decorators of frameworks make of a function of their own request: it is called in another way."""
    return update_wrapper(call, function)


WSGI_APPS = [wsgi_app, WsgiApp(), WsgiApp().method, partial(wsgi_app), lambda *arguments: []]
ASGI_APPS = [asgi_app, AsgiApp(), AsgiApp().method, partial(asgi_app), lambda *arguments: asgi_app(*arguments)]


@pytest.mark.parametrize(("kind", "apps"), [("WSGI", WSGI_APPS), ("ASGI", [*ASGI_APPS, Awaited()])])
def test_applications(kind, apps):
    """Functions, methods, objects and partial functions are taken, and so is what does not tell how it is called."""
    for app in [*apps, Silent(), dict]:
        check_application(app, kind)


def test_a_decorated_function():
    """What counts is how an application is called, and not the function that it says it wraps."""
    check_application(decorated(lambda request: [], lambda environ, start_response: []), "WSGI")
    check_application(decorated(lambda request: [], lambda scope, receive, send: None), "ASGI")


@pytest.mark.parametrize("app", [*ASGI_APPS[:4], awaited, Awaited()])
def test_asgi_applications_in_wsgi(app, keys):
    """An application that WSGI cannot call, or whose response it cannot iterate, is refused at start, with the fix."""
    with pytest.raises(ConfigError, match=r"^app:"):
        wsgi.SessionMiddleware(app, **keys)


@pytest.mark.parametrize("app", WSGI_APPS[:4])
def test_wsgi_applications_in_asgi(app, keys):
    """An application that ASGI cannot call is refused at start, with the fix."""
    with pytest.raises(ConfigError, match=r"^app:"):
        asgi.SessionMiddleware(app, **keys)


@pytest.mark.parametrize("middleware", [wsgi.SessionMiddleware, asgi.SessionMiddleware])
@pytest.mark.parametrize("app", [None, "visits:application", {}])
def test_what_is_no_application(middleware, app, keys):
    """What cannot be called is refused by its type."""
    with pytest.raises(ConfigError, match=f"^app: .* got a {type(app).__name__}"):
        middleware(app, **keys)
