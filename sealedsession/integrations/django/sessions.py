"""A session engine for Django: ``SESSION_ENGINE = "sealedsession.integrations.django.sessions"``.

1. ``request.session`` has Django's interface. Its items are those of a `Session`, which is ``request.session.sealed``.
2. With Django's own ``SessionMiddleware``, Django renders the cookie by its settings, and ``session_key`` is the token.
   With `SessionMiddleware` of `sealedsession.integrations.django.middleware`, the rules of this package apply to the
   cookie, and ``session_key`` is the stable id of the session.
3. The keys are derived from ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``, unless ``SEALEDSESSION["SESSION"]`` has keys.
4. ``SESSION_COOKIE_AGE``, or what ``set_expiry`` has set for one session, is its idle timeout. The engine enforces it,
   because it can differ for each session. The absolute timeout is 30 days, or ``SESSION_COOKIE_AGE`` if it is longer.
"""

import logging
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils.dateparse import parse_datetime

from sealedsession.config import DEFAULT_ABSOLUTE, HOUR, SessionConfig, SessionOptions
from sealedsession.errors import RETRYABLE_REASONS, ConfigError, Reason, without_own_frames
from sealedsession.integrations.django import conf
from sealedsession.lifecycle import ManagerCache, SessionManager
from sealedsession.session import Session

SECTION = f'{conf.NAME}["SESSION"]'  # the spelling of settings.py, for error messages
EXPIRY = "_session_expiry"  # the item in which Django stores what set_expiry() has set
_OPTIONS = tuple(option for option in SessionOptions.__annotations__ if option not in ("environ_key", "scope_key"))
_COOKIE = ("name", "path", "domain", "secure", "httponly", "samesite", "partitioned", "persistent")
_KEYS = ("validate_key", "encrypt_key", "keyring")
_IMPORTED = ("registry", "on_event", "clock", "binding", "oversize", "limits", "revocation")
_DEFAULT_NAME = "sessionid"

logger = logging.getLogger("sealedsession")


class _Settings(NamedTuple):
    """The settings that make a manager. `renders` is whether this package renders the cookie, and not Django."""

    renders: bool
    awaits: bool
    secrets: tuple[Any, ...]
    name: str
    age: int
    cookie: tuple[Any, ...]
    saves_every_request: bool
    ends_with_browser: bool
    options: dict[str, Any]


@without_own_frames  # Django's debug page shows local variables, and the settings contain secrets
def get_session_manager(*, renders: bool = False, awaits: bool = False) -> SessionManager[Any, str]:
    """Return the manager for the present settings. It is made once for each.

    :param renders: whether this package renders the cookie, and not Django.
    :param awaits: whether the caller awaits a revocation store that blocks.
    :raises ConfigError: if a setting is wrong. ``manage.py check`` finds the error before the first request.
    """
    return _managers.get(
        _Settings(
            renders,
            awaits,
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
    )


def _make_manager(made_from: _Settings) -> SessionManager[Any, str]:
    options = {**_from_django(made_from), **made_from.options}
    for option in _IMPORTED:
        if option in options and not (option == "revocation" and ":" in str(options[option])):
            options[option] = conf.import_option(SECTION, option, options[option])
    if not any(options.get(option) is not None for option in _KEYS):
        options |= conf.derive_keys_of_secrets("django session", SECTION)
    try:
        return SessionManager(
            _share_store(SessionConfig.from_kwargs(options), made_from),
            plain_http_host=lambda request: None if request is None or request.is_secure() else request.get_host(),
            awaits=made_from.awaits,
        )
    except ConfigError as error:
        raise ConfigError(f"{SECTION}: {error}") from None


_managers: ManagerCache[_Settings] = ManagerCache(_make_manager)


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
