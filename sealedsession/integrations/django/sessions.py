"""A session engine for Django: ``SESSION_ENGINE = "sealedsession.integrations.django.sessions"``.

1. ``request.session`` has Django's interface. ``request.session.sealed`` is the `Session` with the same items.
2. With Django's own ``SessionMiddleware``, Django renders the cookie by its settings, and ``session_key`` is the token.
   With `SessionMiddleware` of `sealedsession.integrations.django.session_middleware`, the rules of this package apply
   to the cookie, and ``session_key`` is the stable id of the session.
3. The keys are derived from ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``, unless ``SEALEDSESSION["SESSION"]`` has keys.
4. ``SESSION_COOKIE_AGE``, or what ``set_expiry`` has set for one session, is its idle timeout. The engine enforces it,
   because it can differ for each session. The absolute timeout is 30 days, or ``SESSION_COOKIE_AGE`` if it is longer.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple, cast

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

from sealedsession.config import DEFAULT_ABSOLUTE, HOUR, SessionConfig, SessionOptions
from sealedsession.errors import RETRYABLE_REASONS, ConfigError, Reason, without_own_frames
from sealedsession.integrations.django import conf
from sealedsession.lifecycle import ManagerCache, SessionManager
from sealedsession.session import Session

SECTION = f'{conf.NAME}["SESSION"]'  # the spelling of settings.py, for error messages
EXPIRY = "_session_expiry"  # the item in which Django keeps what set_expiry() has set
_OPTIONS = tuple(option for option in SessionOptions.__annotations__ if option not in ("environ_key", "scope_key"))
_KEYS = ("validate_key", "encrypt_key", "keyring")
_IMPORTED = ("registry", "on_event", "clock", "binding", "limits")  # can be dotted names
_DEFAULT_NAME = "sessionid"

Manager = SessionManager[Any, str]


class Managers(NamedTuple):
    """The managers for one configuration.

    :param blocking: calls the revocation store at once.
    :param awaiting: awaits a revocation store that blocks.
    """

    blocking: Manager
    awaiting: Manager


class _Settings(NamedTuple):
    """The settings that make a configuration. `renders` is whether this package renders the cookie, and not Django."""

    renders: bool
    secrets: tuple[Any, ...]
    name: str
    age: int
    cookie: tuple[Any, ...]
    saves_every_request: bool
    ends_with_browser: bool
    options: dict[str, Any]


@without_own_frames  # Django's debug page shows local variables, and the settings contain secrets
def get_session_managers(*, renders: bool = False) -> Managers:
    """Return the managers for the present settings. They are made once for each.

    :param renders: whether this package renders the cookie, and not Django.
    :raises ConfigError: if a setting is wrong. ``manage.py check`` finds the error before the first request.
    """
    made_from = _Settings(
        renders,
        (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS),
        settings.SESSION_COOKIE_NAME,
        settings.SESSION_COOKIE_AGE,
        (
            settings.SESSION_COOKIE_PATH,
            settings.SESSION_COOKIE_DOMAIN,
            settings.SESSION_COOKIE_SECURE,
            settings.SESSION_COOKIE_HTTPONLY,
            settings.SESSION_COOKIE_SAMESITE,
        ),
        settings.SESSION_SAVE_EVERY_REQUEST,
        settings.SESSION_EXPIRE_AT_BROWSER_CLOSE,
        conf.read_section("SESSION", _OPTIONS),
    )
    return cast(Managers, _managers.get(made_from))


def _make_managers(made_from: _Settings) -> Any:
    options = {**_from_django(made_from), **made_from.options}
    for option in _IMPORTED:
        if option in options:
            options[option] = conf.import_option(SECTION, option, options[option])
    if all(options.get(option) is None for option in _KEYS):
        options |= conf.derive_project_keys("django session", SECTION)
    try:
        config = SessionConfig.from_kwargs(options)
    except ConfigError as error:
        raise ConfigError(f"{SECTION}, or a setting of Django: {error}") from None
    return Managers(
        *(SessionManager(config, plain_http_host=_get_plain_http_host, awaits=each) for each in (False, True))
    )


_managers: ManagerCache[_Settings] = ManagerCache(_make_managers)


def _from_django(made_from: _Settings) -> dict[str, Any]:
    """Return the options that Django's settings set, apart from the keys."""
    options: dict[str, Any] = {
        "idle_timeout": None,  # the engine enforces it
        "absolute_timeout": max(made_from.age, DEFAULT_ABSOLUTE),
        "refresh_interval": 0 if made_from.saves_every_request else max(1, min(HOUR, made_from.age // 10)),
    }
    if not made_from.renders:
        return {**options, "name": made_from.name}
    path, domain, secure, httponly, samesite = made_from.cookie
    options |= {"path": path, "domain": domain, "httponly": httponly, "persistent": not made_from.ends_with_browser}
    if made_from.name != _DEFAULT_NAME:
        options["name"] = made_from.name
    if secure:
        options["secure"] = True
    if samesite:
        options["samesite"] = samesite
    return options


def _get_plain_http_host(request: Any) -> str | None:
    if request is None or request.is_secure():
        return None
    host: str | None = request.META.get("HTTP_HOST")  # get_host() raises for hosts that are not allowed
    return host


class SessionStore(SessionBase):
    """A session of Django's interface, whose items are those of a sealed session.

    The public attributes of `Session` that Django has no name for are those of the sealed session: ``subject``,
    ``rejected``, ``remaining``, ``persistent``, ``regenerate()``, ``logout()``, ``ensure_fits()`` and others.

    :param session_key: the token of a cookie, or None.
    :param managers: the managers, if `SessionMiddleware` of this package renders the cookie. Then `session_key` is the
        stable id of the session, and the next two are given.
    :param cookie_header: the request's Cookie header, or None.
    :param request: the request, for the option ``binding``.
    """

    _session_cache: Session

    def __init__(
        self,
        session_key: str | None = None,
        *,
        managers: Managers | None = None,
        cookie_header: str | None = None,
        request: Any = None,
    ) -> None:
        self._rejected: Reason | None = None
        self._renders = managers is not None
        self._cookie_header = cookie_header
        self._request = request
        super().__init__(session_key)
        self._is_modified: bool | None = None  # until something sets it, a comparison decides
        self._managers = managers or get_session_managers()

    # ------------------------------------------------------------------------------------------------ sealed session

    @property
    def sealed(self) -> Session:
        """The sealed session with the same items."""
        return self._get_session()

    @property
    def subject(self) -> str | None:
        """Whose session it is: see `Session.subject`."""
        return self._get_session().subject

    @subject.setter
    def subject(self, subject: str | None) -> None:
        self._get_session().subject = subject

    @property
    def persistent(self) -> bool:
        """Whether the browser keeps the cookie when it is closed. `set_expiry` sets it too."""
        return self._get_session().persistent

    @persistent.setter
    def persistent(self, persistent: bool) -> None:
        self._get_session().persistent = persistent

    @property
    def rejected(self) -> Reason | None:
        """Why the incoming cookie was not accepted, or None: see `Session.rejected`."""
        return self._get_session().rejected or self._rejected

    def logout(self) -> None:
        """Sign out here, and end all copies of the cookie: see `Session.logout`."""
        self._get_session().logout()
        self._session_key = None

    async def alogout(self) -> None:
        """Do as `logout`, awaiting the revocation store."""
        session = await self._aget_session()
        session.logout()
        self._session_key = None
        await self._asend_revocations(session)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in vars(Session):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._get_session(), name)

    # --------------------------------------------------------------------------------------------- Django's interface

    @property
    def modified(self) -> bool:
        """Whether the session is to be saved. Changes of nested values count, unless it is set to False after them."""
        if self._is_modified is not None:
            return self._is_modified
        session = self.__dict__.get("_session_cache")
        return session is not None and self._managers.blocking.action(session) in ("seal", "refresh", "reseal")

    @modified.setter
    def modified(self, modified: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._is_modified = modified

    @property
    def session_key(self) -> str | None:
        """The token; or the stable id, if `SessionMiddleware` of this package renders the cookie."""
        if not self._renders:
            return self._session_key
        return self._managers.blocking.session_id(self._get_session())

    def _get_session(self, no_load: bool = False) -> Session:
        self.accessed = True
        if "_session_cache" not in self.__dict__:
            self._session_cache = self._managers.blocking.open(None) if no_load else self.load()
            self._session_cache.mark_accessed()
        return self._session_cache

    async def _aget_session(self, no_load: bool = False) -> Session:
        self.accessed = True
        if "_session_cache" not in self.__dict__:
            self._session_cache = await self._managers.awaiting.aopen(None) if no_load else await self.aload()
            self._session_cache.mark_accessed()
        return self._session_cache

    _session = property(_get_session)

    def load(self) -> Session:
        """Open the session of the cookie, or a new one."""
        manager = self._managers.blocking
        if self._renders:
            session = manager.open(self._cookie_header, self._request)
        else:
            session = manager.open_token(self._session_key or "", self._request)
        return self._accept(session) or manager.open(None)

    async def aload(self) -> Session:
        """Do as `load`, awaiting the revocation store."""
        manager = self._managers.awaiting
        if self._renders:
            session = await manager.aopen(self._cookie_header, self._request)
        else:
            session = await manager.aopen_token(self._session_key or "", self._request)
        return self._accept(session) or await manager.aopen(None)

    def _accept(self, session: Session) -> Session | None:
        """Return the session, or None if it has ended by Django's rules."""
        if session.rejected is None and self._has_ended(session):
            self._rejected = "expired_idle"
            self._forget_key()
            return None
        if session.rejected is not None and session.rejected not in RETRYABLE_REASONS:
            self._forget_key()
        return session

    def _forget_key(self) -> None:
        """Let Django delete the cookie, unless the application writes to the new session."""
        self._session_key = None

    def _has_ended(self, session: Session) -> bool:
        config = self._managers.blocking.config
        if session.sealed_at is None:
            return False
        now, expiry = config.clock(), session.get(EXPIRY)
        if isinstance(expiry, str):
            expiry = datetime.fromisoformat(expiry)
        if isinstance(expiry, datetime):
            return expiry.timestamp() <= now
        idle = expiry if type(expiry) is int and expiry > 0 else settings.SESSION_COOKIE_AGE
        return session.sealed_at + idle + config.leeway <= now

    def set_expiry(self, value: Any) -> None:
        """Set when this session ends: see Django's documentation. 0 means with the browser session."""
        super().set_expiry(value)
        self._get_session().persistent = not self.get_expire_at_browser_close()

    async def aset_expiry(self, value: Any) -> None:
        """Do as `set_expiry`, awaiting the revocation store."""
        await super().aset_expiry(value)
        (await self._aget_session()).persistent = not await self.aget_expire_at_browser_close()

    def clear(self) -> None:
        """Remove all items and the subject."""
        self._get_session().clear()
        self._is_modified = True

    def is_empty(self) -> bool:
        """Return whether there is neither a session key nor an item."""
        session = self.__dict__.get("_session_cache")
        if self._renders:
            return session is None or (not session and self._managers.blocking.session_id(session) is None)
        return not self._session_key and not session

    def flush(self) -> None:
        """Remove everything, and begin a new session. With a revocation store, all copies of the cookie end."""
        self.delete()

    async def aflush(self) -> None:
        """Do as `flush`, awaiting the revocation store."""
        await self.adelete()

    def create(self) -> None:
        """Give the session an id."""
        self._get_session().id  # noqa: B018  # it is made when it is read
        self.save()

    async def acreate(self) -> None:
        """Do as `create`, awaiting the revocation store."""
        (await self._aget_session()).id  # noqa: B018  # it is made when it is read
        await self.asave()

    def cycle_key(self) -> None:
        """Give the session a new id, and keep its items."""
        self._get_session().regenerate()
        self.save()

    async def acycle_key(self) -> None:
        """Do as `cycle_key`, awaiting the revocation store."""
        (await self._aget_session()).regenerate()
        await self.asave()

    def exists(self, session_key: str | None = None) -> bool:  # noqa: ARG002
        """Return False: no session is stored anywhere."""
        return False

    async def aexists(self, session_key: str | None = None) -> bool:  # noqa: ARG002
        """Return False: no session is stored anywhere."""
        return False

    def save(self, must_create: bool = False) -> None:  # noqa: ARG002
        """Seal the session into `session_key`, for Django to send it. If this package renders the cookie, do so later.

        :raises SealError: if the session cannot be stored.
        """
        session = self._get_session()
        self._is_modified = True
        if self._renders:
            session.save()
        else:
            self._session_key = self._managers.blocking.token(session, self._request)

    async def asave(self, must_create: bool = False) -> None:  # noqa: ARG002
        """Do as `save`, awaiting the revocation store."""
        session = await self._aget_session()
        await self._asend_revocations(session)
        self._is_modified = True
        if self._renders:
            session.save()
        else:
            self._session_key = self._managers.awaiting.token(session, self._request)

    def delete(self, session_key: str | None = None) -> None:  # noqa: ARG002
        """Remove everything from this session. Another session cannot be deleted by a key: revoke its subject."""
        session = self._get_session()
        if self._managers.blocking.revokes:
            session.logout()
        else:
            session.invalidate()
        self._session_key = None
        self._is_modified = True

    async def adelete(self, session_key: str | None = None) -> None:  # noqa: ARG002
        """Do as `delete`, awaiting the revocation store."""
        session = await self._aget_session()
        if self._managers.awaiting.revokes:
            session.logout()
            await self._asend_revocations(session)
        else:
            session.invalidate()
        self._session_key = None
        self._is_modified = True

    @classmethod
    def clear_expired(cls) -> None:
        """Do nothing: no session is stored anywhere."""

    @classmethod
    async def aclear_expired(cls) -> None:
        """Do nothing: no session is stored anywhere."""

    async def _asend_revocations(self, session: Session) -> None:
        if self._managers.awaiting.awaits:
            await self._managers.awaiting.revoke_pending(session)


def describe_weak_settings() -> Iterable[str]:
    """Return the weak settings of the cookie, for system checks."""
    if not settings.SESSION_COOKIE_SECURE:
        yield "SESSION_COOKIE_SECURE: it is False, so that the cookie is sent over plain http. Set it to True"
    if not settings.SESSION_COOKIE_HTTPONLY:
        yield "SESSION_COOKIE_HTTPONLY: it is False, so that scripts can read the cookie. Set it to True"
    if settings.SESSION_COOKIE_SAMESITE not in ("Lax", "Strict"):
        yield 'SESSION_COOKIE_SAMESITE: other sites can send requests with the cookie. Set it to "Lax"'
