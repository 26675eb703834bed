"""Sealed sessions for Flask (the extra ``flask``)::

    from flask import Flask, session
    from sealedsession.integrations.flask import SealedSession

    app = Flask(__name__)
    app.config.from_prefixed_env()  # FLASK_SECRET_KEY, 32 characters or more
    SealedSession(app)

`flask.session` is then the sealed session. Flask's own settings apply: ``SECRET_KEY``, ``SECRET_KEY_FALLBACKS``,
``SESSION_COOKIE_*``, ``PERMANENT_SESSION_LIFETIME`` and ``SESSION_REFRESH_EACH_REQUEST``. A setting that has Flask's
default counts as not set, and the default of `SessionConfig` applies. Every option of `SessionConfig` is a setting too,
in capitals with the prefix ``SEALEDSESSION_``, such as ``SEALEDSESSION_REVOCATION``; it takes precedence.
"""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from sealedsession.config import DEFAULT_ABSOLUTE, SessionConfig, SessionOptions, refuse_unknown
from sealedsession.errors import ConfigError, SealError, got, without_own_frames
from sealedsession.integrations import not_installed
from sealedsession.lifecycle import ManagerCache, SessionManager
from sealedsession.sealing import derive_keys
from sealedsession.serialization.registry import Registry, default_registry
from sealedsession.session import Session, SessionProxy

try:
    import flask
    from flask.sessions import SessionInterface, SessionMixin
    from markupsafe import Markup
    from werkzeug.datastructures import Headers
except ModuleNotFoundError as _error:
    raise not_installed(_error, "flask") from _error

PREFIX = "SEALEDSESSION_"
_OPTIONS = tuple(option for option in SessionOptions.__annotations__ if option not in ("environ_key", "scope_key"))
_SETTINGS = {option: PREFIX + option.upper() for option in _OPTIONS}
_KEY_OPTIONS = {"validate_key", "encrypt_key", "keyring"}
_UNSET = object()

logger = logging.getLogger("sealedsession")


class FlaskSession(SessionProxy, SessionMixin):
    """`flask.session`: the items and all public attributes of a `Session`, and Flask's own names.

    :param session: the session of the request.
    :param manager: the manager that has opened it.
    :param request: the request.
    """

    def __init__(self, session: Session, manager: SessionManager[Any, str], request: flask.Request) -> None:
        super().__init__(session)
        self._manager = manager
        self._request = request
        self._flags: tuple[bool, bool] | None = None  # accessed and modified, as they were when the response was made

    @property
    def permanent(self) -> bool:
        """The same as `Session.persistent`: whether the browser keeps the cookie when it is closed."""
        return self.sealed_session.persistent

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self.sealed_session.persistent = bool(value)

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether no valid cookie came with the request."""
        return self.sealed_session.new

    @property
    def modified(self) -> bool:
        """Whether the session differs from the one that came in: see `Session.modified`."""
        return self.sealed_session.modified if self._flags is None else self._flags[1]

    @modified.setter
    def modified(self, modified: bool) -> None:
        self.sealed_session.modified = modified

    @property
    def accessed(self) -> bool:
        """Whether anything has read the session."""
        return self.sealed_session.accessed if self._flags is None else self._flags[0]

    @accessed.setter
    def accessed(self, accessed: bool) -> None:
        if accessed:
            self.sealed_session.mark_accessed()


session = cast(FlaskSession, flask.session)
"""`flask.session`, with the type that it has under this integration, for type checkers."""


class _Settings(NamedTuple):
    """The settings of an application that make a configuration. None, and Flask's defaults, count as not set."""

    secrets: tuple[Any, ...]
    name: str | None
    domain: str | None
    path: str
    httponly: bool
    secure: bool
    samesite: Any
    partitioned: bool
    lifetime: float
    own: tuple[Any, ...]


class SealedSessionInterface(SessionInterface):
    """Flask's interface to sealed sessions: ``app.session_interface = SealedSessionInterface()``.

    :param options: options of `SessionConfig`. They take precedence over all settings of the application.
    :raises ConfigError: for an unknown option.
    """

    def __init__(self, **options: Any) -> None:
        for option in options:
            refuse_unknown(option, option, _OPTIONS)
        self._options = options
        self._managers: ManagerCache[_Settings] = ManagerCache(self._make_manager)

    def open_session(self, app: flask.Flask, request: flask.Request) -> FlaskSession | None:
        """Return the session of a request, or None if the application has no secret key, as Flask requires."""
        manager = self.get_manager(app)
        if manager is None:
            return None
        return FlaskSession(manager.open(request.headers.get("Cookie"), request), manager, request)

    def save_session(self, app: flask.Flask, session: SessionMixin, response: flask.Response) -> None:
        """Add the cookie to a response. If the session cannot be stored, Flask's error handlers answer instead.

        :raises SealError: if the session cannot be stored, and no error handler takes the error.
        """
        if not isinstance(session, FlaskSession):
            raise ConfigError(
                f"session: it must be a session of this interface{got(session)}. Change its items instead"
            )
        manager, sealed, request = session._manager, session.sealed_session, session._request
        if (
            sealed.accessed
            and app.config["SESSION_REFRESH_EACH_REQUEST"]
            and sealed.persistent
            and (sealed or not sealed.new)
        ):
            sealed.save()
        is_test = "werkzeug.debug.preserve_context" in request.environ
        flags = (sealed.accessed, sealed.modified) if is_test else None
        try:
            sent = manager.close(sealed, request, response.status_code, response.headers.to_wsgi_list())
        except SealError as error:
            answer = app.make_response(app.handle_user_exception(error))
            response.response, response.status, response.headers = answer.response, answer.status, answer.headers
            response.direct_passthrough = answer.direct_passthrough
            return
        response.headers = Headers(sent)
        if flags is not None:
            _reopen(session, response)
            session._flags = flags

    @without_own_frames  # an error tracker records local variables, and the settings contain secrets
    def get_manager(self, app: flask.Flask) -> SessionManager[flask.Request, str] | None:
        """Return the manager for the present settings of an application, or None if there is no key.

        :raises ConfigError: if a setting is wrong.
        """
        config = app.config
        own = tuple(config.get(setting, _UNSET) for setting in _SETTINGS.values())
        secrets = (app.secret_key, *(config.get("SECRET_KEY_FALLBACKS") or ()))
        if not app.secret_key and not _KEY_OPTIONS & {*self._options, *self._get_own(own)}:
            return None
        return self._managers.get(
            _Settings(
                secrets,
                self.get_cookie_name(app),
                self.get_cookie_domain(app),
                self.get_cookie_path(app),
                self.get_cookie_httponly(app),
                self.get_cookie_secure(app),
                self.get_cookie_samesite(app),
                self.get_cookie_partitioned(app),
                app.permanent_session_lifetime.total_seconds(),
                own,
            )
        )

    @staticmethod
    def _get_own(own: tuple[Any, ...]) -> dict[str, Any]:
        return {option: value for option, value in zip(_OPTIONS, own, strict=True) if value is not _UNSET}

    def _make_manager(self, settings: _Settings) -> SessionManager[Any, Any]:
        options = {**_from_flask(settings), **self._get_own(settings.own), **self._options}
        if not _KEY_OPTIONS & {*options}:
            names = ("SECRET_KEY", *(f"SECRET_KEY_FALLBACKS[{number}]" for number in range(len(settings.secrets) - 1)))
            options |= derive_keys(dict(zip(names, settings.secrets, strict=True)), "flask")
        if "registry" not in options:
            options["registry"] = _make_registry()
        return SessionManager(SessionConfig.from_kwargs(options), plain_http_host=_get_plain_http_host)


class SealedSession:
    """Flask's extension for sealed sessions: ``SealedSession(app)``, or ``SealedSession().init_app(app)``.

    :param app: the application, or None if `init_app` is called later.
    :param options: options of `SessionConfig`. They take precedence over all settings of the application.
    :raises ConfigError: for a wrong option or setting, unless the application still has no secret key.
    """

    def __init__(self, app: flask.Flask | None = None, **options: Any) -> None:
        self._interface = SealedSessionInterface(**options)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Make the sealed session the session of an application.

        Set ``SECRET_KEY`` and the other settings before, so that a mistake in them is found here.

        :raises ConfigError: for a wrong setting.
        """
        if not isinstance(app, flask.Flask):
            raise ConfigError(f"app: it must be an application of Flask{got(app)}. For others, see the integrations")
        for setting in app.config:
            if setting.startswith(PREFIX):
                refuse_unknown(setting.removeprefix(PREFIX).lower(), setting, _OPTIONS)
        self._interface.get_manager(app)
        app.session_interface = self._interface


def _from_flask(settings: _Settings) -> dict[str, Any]:
    """Return the options that Flask's settings set, apart from the keys."""
    defaults: Mapping[str, Any] = flask.Flask.default_config
    options: dict[str, Any] = {"path": settings.path, "httponly": settings.httponly}
    if settings.name != defaults["SESSION_COOKIE_NAME"]:
        options["name"] = settings.name
    if settings.domain:
        options["domain"] = settings.domain.lstrip(".")  # as Werkzeug writes it (RFC 6265, 5.2.3)
    if settings.secure:
        options["secure"] = True
    if settings.samesite is not None:
        options["samesite"] = settings.samesite
    if settings.partitioned:
        options["partitioned"] = True
    if settings.lifetime != defaults["PERMANENT_SESSION_LIFETIME"].total_seconds():
        options["idle_timeout"] = int(settings.lifetime)
        options["absolute_timeout"] = max(int(settings.lifetime), DEFAULT_ABSOLUTE)
    return options


def _make_registry() -> Registry:
    registry = default_registry.copy()
    registry.register_subclass(Markup, "markup")  # Flask's own sessions can hold it
    return registry


def _get_plain_http_host(request: flask.Request) -> str | None:
    host: str | None = request.environ.get("HTTP_HOST")  # request.host raises for hosts that are not trusted
    return host if request.scheme == "http" else None


def _reopen(session: FlaskSession, response: flask.Response) -> None:
    """Show a test in a ``with client:`` block the session that the next request would open."""
    manager, request = session._manager, session._request
    mine = f"{manager.config.cookie.name}="
    sent = [value for value in response.headers.getlist("Set-Cookie") if value.startswith(mine)]
    cookie = sent[-1].partition(";")[0] if sent else request.headers.get("Cookie")
    object.__setattr__(session, "_session", manager.open(cookie, request))
