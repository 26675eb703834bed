"""Sealed sessions for Starlette and FastAPI (the extra ``starlette``), with the arguments of Starlette's middleware::

    from starlette.middleware import Middleware
    from sealedsession.integrations.starlette import SessionMiddleware

    app = Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, secret_key=SECRET_KEY)])

``request.session`` and ``websocket.session`` are then the sealed session. Only the import changes.
"""

from typing import Any, Literal, cast

from sealedsession import asgi
from sealedsession.config import DEFAULT_ABSOLUTE, SessionConfig
from sealedsession.errors import ConfigError, got, without_own_frames
from sealedsession.integrations import not_installed
from sealedsession.sealing import derive_keys
from sealedsession.session import Session

try:
    from starlette.datastructures import Secret
    from starlette.requests import HTTPConnection
except ModuleNotFoundError as _error:
    raise not_installed(_error, "starlette") from _error

_LEFT_OUT: Any = object()
_KEY_OPTIONS = {"validate_key", "encrypt_key", "keyring"}


class SessionMiddleware(asgi.SessionMiddleware):
    """Starlette's ``SessionMiddleware`` with a sealed session.

    An argument that is left out has the default of `SessionConfig`, not that of Starlette: the cookie is Secure, is
    named ``__Host-Http-session`` and ends with the browser session.

    :param app: the application.
    :param secret_key: a secret of 32 characters or more, from which both keys are derived; or None with the options
        ``validate_key`` and ``encrypt_key``, or ``keyring``.
    :param session_cookie: the cookie's name.
    :param max_age: seconds without use after which a session ends. The browser keeps the cookie as long. None means
        that the default timeouts apply, and that the cookie ends with the browser session.
    :param path: the path below which browsers send the cookie.
    :param same_site: ``lax``, ``strict`` or ``none``.
    :param https_only: whether the cookie is Secure.
    :param domain: the domain whose subdomains get the cookie too, or None.
    :param partitioned: whether the cookie is separate for each top-level site.
    :param fallback_keys: earlier secrets, whose sessions are still accepted.
    :param options: other options of `SessionConfig`.
    :raises ConfigError: for a weak secret, a wrong value or an unknown option.
    """

    @without_own_frames
    def __init__(
        self,
        app: asgi.ASGIApplication,
        secret_key: str | Secret | None = None,
        session_cookie: str = _LEFT_OUT,
        max_age: int | None = _LEFT_OUT,
        path: str = _LEFT_OUT,
        same_site: Literal["lax", "strict", "none"] = _LEFT_OUT,
        https_only: bool = _LEFT_OUT,
        domain: str | None = _LEFT_OUT,
        partitioned: bool = _LEFT_OUT,
        *,
        fallback_keys: "list[str | Secret] | tuple[str | Secret, ...]" = (),
        **options: Any,
    ) -> None:
        named = {
            "name": session_cookie,
            "path": path,
            "samesite": same_site,
            "secure": https_only,
            "domain": domain,
            "partitioned": partitioned,
        }
        for option, value in {**named, **_from_max_age(max_age)}.items():
            if value is not _LEFT_OUT:
                if option in options:
                    raise ConfigError(f"{option}: it is set twice, by Starlette's name too. Leave out one of the two")
                options[option] = value
        if _KEY_OPTIONS & {*options}:
            if secret_key is not None or fallback_keys:
                raise ConfigError("secret_key: keys are given too. Leave out secret_key and fallback_keys, or the keys")
        else:
            options |= derive_keys(_name_secrets(secret_key, fallback_keys), "starlette")
        super().__init__(app, SessionConfig.from_kwargs(options))


def get_session(connection: HTTPConnection) -> Session:
    """Return the session of a request or a websocket, typed. FastAPI can call it as a dependency."""
    return cast(Session, connection.session)


def _from_max_age(max_age: int | None) -> dict[str, Any]:
    if max_age is _LEFT_OUT:
        return {}
    if max_age is None:
        return {"persistent": False}
    if type(max_age) is not int or max_age <= 0:
        raise ConfigError(f"max_age: it must be a whole number of seconds above 0, or None{got(max_age)}. Leave it out")
    return {"idle_timeout": max_age, "absolute_timeout": max(max_age, DEFAULT_ABSOLUTE), "persistent": True}


def _name_secrets(secret_key: Any, fallback_keys: Any) -> dict[str, str | bytes]:
    if secret_key is None:
        raise ConfigError(
            "secret_key: it is missing. Pass a secret of 32 characters or more, such as the output of "
            "python -m sealedsession keygen"
        )
    secrets = {"secret_key": secret_key}
    secrets.update((f"fallback_keys[{number}]", each) for number, each in enumerate(fallback_keys))
    return {name: str(each) if isinstance(each, Secret) else each for name, each in secrets.items()}
