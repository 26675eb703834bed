"""Helpers for tests of applications: make a cookie, read a cookie, and change the session of a test client::

    name, value = seal_cookie(app, {"cart": ["apple"]}, subject="user:42")
    session = read_cookie(app, response)
    with session_transaction(client) as session:
        session["cart"] = ["apple"]

Each takes the application, its middleware or its `SessionConfig`. `sealedsession.testing.plugin` has pytest fixtures.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any, NamedTuple

from sealedsession.config import SessionConfig
from sealedsession.errors import ConfigError, got
from sealedsession.lifecycle import SessionManager
from sealedsession.session import Session

__all__ = ["Cookie", "read_cookie", "seal_cookie", "session_transaction"]

# The attributes by which applications and clients refer to the application inside.
_INNER = ("app", "application", "wsgi_app", "asgi_app", "middleware_stack", "_transport")
_HEADER_LISTS = ("get_list", "getlist", "getall", "get_all")  # of httpx, Werkzeug, WebOb and the standard library


class Cookie(NamedTuple):
    """The name and the value of a session cookie."""

    name: str
    value: str


def seal_cookie(
    target: Any,
    data: Mapping[Any, Any],
    *,
    subject: str | None = None,
    created: float | None = None,
    request: Any = None,
) -> Cookie:
    """Seal data into a cookie, for any client.

    :param target: a `SessionConfig`, a middleware, an application, or a client that has one.
    :param data: the session's items.
    :param subject: whose session it is, or None.
    :param created: when the session began, in seconds since 1970. Default: now.
    :param request: needed with the option ``binding``, whose function gets it.
    :returns: the name and the value of the cookie.
    :raises ConfigError: if the target has no sealed session.
    :raises SealError: if the session cannot be stored.
    """
    manager = find_manager(target)
    session = manager.open(None, request)
    session.update(data)
    session.subject = subject
    if created is not None:
        session._identity = session._identity._replace(created=int(created))
    return _seal(manager, session, request)


def read_cookie(target: Any, source: Any, *, request: Any = None) -> Session | None:
    """Open the session cookie that a response has set.

    :param target: a `SessionConfig`, a middleware, an application, or a client that has one.
    :param source: a response of any framework or client; or a Cookie or Set-Cookie header, as a str.
    :param request: needed with the option ``binding``, whose function gets it.
    :returns: the session, or None if the response has set no session cookie. It is empty if the cookie was deleted. Its
        attribute ``rejected`` shows why a cookie was not accepted.
    :raises ConfigError: if the target has no sealed session.
    """
    manager = find_manager(target)
    prefix = f"{manager.config.cookie.name}="
    pairs = [pair.strip() for header in _find_headers(source) for pair in header.split(";")]
    cookies = [pair for pair in pairs if pair.startswith(prefix)]
    return manager.open(cookies[-1], request) if cookies else None


@contextmanager
def session_transaction(client: Any, target: Any = None, *, request: Any = None) -> Iterator[Session]:
    """Open the session of a test client, and seal it again into the client's cookie at the end of the block.

    :param client: a client of WebTest, httpx, Starlette, FastAPI, Flask or Django.
    :param target: a `SessionConfig`, a middleware or an application. Default: the application of the client.
    :param request: needed with the option ``binding``, whose function gets it.
    :raises ConfigError: if the client is not one of these, or has no sealed session.
    """
    manager = find_manager(client if target is None else target)
    name = str(manager.config.cookie.name)
    value = _get_cookie(client, name)
    session = manager.open(None if value is None else f"{name}={value}", request)
    yield session
    _set_cookie(client, *_seal(manager, session, request))


def find_manager(target: Any) -> SessionManager[Any, Any]:
    """Return the manager of a config, a middleware, an application or a client.

    :raises ConfigError: if there is none.
    """
    if isinstance(target, SessionManager):
        return target
    if isinstance(target, SessionConfig):
        return SessionManager(target)
    seen: list[Any] = []
    waiting = [target]
    while waiting:
        each = waiting.pop(0)
        if each is None or any(each is other for other in seen):
            continue
        seen.append(each)
        if hasattr(each, "build_middleware_stack") and getattr(each, "middleware_stack", None) is None:
            each.middleware_stack = each.build_middleware_stack()  # Starlette makes it with the first request
        make = getattr(getattr(each, "session_interface", None), "get_manager", None)  # Flask
        manager = make(each) if callable(make) else getattr(each, "manager", None)
        if isinstance(manager, SessionManager):
            return manager
        waiting += [getattr(each, name, None) for name in _INNER]
    raise ConfigError(f"target: it has no sealed session{got(target)}. Pass the SessionConfig, or the middleware")


def _seal(manager: SessionManager[Any, Any], session: Session, request: Any) -> Cookie:
    return Cookie(str(manager.config.cookie.name), manager.token(session, request))


def _find_headers(source: Any) -> list[str]:
    """Return the Set-Cookie headers of a response, or the header itself."""
    if isinstance(source, str):
        return [source]
    headers = getattr(source, "headers", None)
    for method in _HEADER_LISTS:
        get: Any = getattr(headers, method, None)
        if get is not None:
            return list(get("Set-Cookie") or ())
    if isinstance(morsels := getattr(source, "cookies", None), SimpleCookie):  # of Django
        return [f"{morsel.key}={morsel.value}" for morsel in morsels.values()]
    raise ConfigError(f"source: it must be a response or a header{got(source)}. Pass the response of the client")


def _get_cookie(client: Any, name: str) -> str | None:
    get: Any = getattr(client, "get_cookie", None)
    if get is not None:  # Flask
        return None if (cookie := get(name)) is None else cookie.value
    if (cookies := getattr(client, "cookies", None)) is None:
        raise ConfigError(f"client: it must be a test client with cookies{got(client)}")
    cookie = cookies.get(name)
    return getattr(cookie, "value", cookie) or None


def _set_cookie(client: Any, name: str, value: str) -> None:
    if callable(set_cookie := getattr(client, "set_cookie", None)):  # Flask and WebTest
        set_cookie(name, value)
    elif hasattr(client.cookies, "jar"):  # httpx and Starlette
        if name in client.cookies:
            client.cookies.delete(name)
        client.cookies.set(name, value, domain=_find_domain(client))
    else:  # Django
        client.cookies[name] = value


def _find_domain(client: Any) -> str:
    host = client.base_url.host
    return host if "." in host else f"{host}.local"  # as the standard library's cookie jar writes it
