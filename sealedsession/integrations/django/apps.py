"""The application ``sealedsession.integrations.django``: the browser module as a static file, and system checks.

==================  =============================================================================================
sealedsession.E001  ``SEALEDSESSION`` is not a dict, or has an unknown entry
sealedsession.E002  a key is refused: ``SECRET_KEY``, one of ``SECRET_KEY_FALLBACKS``, or a key in the settings
sealedsession.E003  an option in ``SEALEDSESSION["STATE"]`` is refused
sealedsession.E004  sessions have no stable id, because ``SESSION_ENGINE`` keeps them in signed cookies
sealedsession.E005  an option in ``SEALEDSESSION["SESSION"]``, or a setting of the session cookie, is refused
sealedsession.W001  the middleware of sealed state is missing from ``MIDDLEWARE``
sealedsession.W002  Django renders the cookie of sealed sessions, and a setting makes it weak
sealedsession.W003  the session middleware of this package names the cookie, and Django's test client does not know it
==================  =============================================================================================
"""

from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

import sealedsession
from sealedsession.errors import ConfigError
from sealedsession.integrations.django import conf
from sealedsession.integrations.django.sessions import describe_weak_settings, get_session_managers

SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"
MIDDLEWARE = "sealedsession.integrations.django.middleware.StateErrorMiddleware"
ENGINE = "sealedsession.integrations.django.sessions"
SESSION_MIDDLEWARE = "sealedsession.integrations.django.session_middleware.SessionMiddleware"


class SealedSessionConfig(AppConfig):
    """The application ``sealedsession``. It has no models."""

    name = "sealedsession.integrations.django"
    label = "sealedsession"
    verbose_name: str = "Sealed state"  # pyright: ignore[reportIncompatibleVariableOverride]  # no lazy translation
    path: str = str(Path(sealedsession.__file__).parent / "state")  # its folder static/ has the browser module

    def ready(self) -> None:
        """Register the system checks, and forget the sealer when a test overrides settings."""
        checks.register(check_settings, "sealedsession")
        setting_changed.connect(_on_setting_changed)


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Check the settings, as a system check."""
    errors = _check_sessions() if settings.SESSION_ENGINE == ENGINE else []
    if settings.SESSION_ENGINE == ENGINE and not conf.uses_state():
        return errors
    return errors or _check_sealer() or [*_check_engine(), *_check_middleware()]


def _check_sessions() -> list[checks.CheckMessage]:
    renders = SESSION_MIDDLEWARE in settings.MIDDLEWARE
    try:
        manager = get_session_managers(renders=renders).blocking
    except (ConfigError, ImproperlyConfigured) as error:
        return [checks.Error(str(error), id="sealedsession.E005")]
    if not renders:
        return [checks.Warning(problem, id="sealedsession.W002") for problem in describe_weak_settings()]
    if manager.config.cookie.name == settings.SESSION_COOKIE_NAME:
        return []
    message = (
        f"SESSION_COOKIE_NAME: the cookie is named {manager.config.cookie.name}, and Django's test client looks for "
        f'{settings.SESSION_COOKIE_NAME}. Set SESSION_COOKIE_NAME = "{manager.config.cookie.name}"'
    )
    return [checks.Warning(message, id="sealedsession.W003")]


def _check_sealer() -> list[checks.CheckMessage]:
    try:
        conf.uses_django_sessions()
        options = conf.state_options()
    except ConfigError as error:
        return [checks.Error(str(error), id="sealedsession.E001")]
    try:
        keys = conf.state_keys(options)
        conf.make_state_sealer(keys)
    except (ConfigError, ImproperlyConfigured) as error:
        return [checks.Error(str(error), id="sealedsession.E002")]
    try:
        conf.make_state_sealer({**options, **keys})
    except ConfigError as error:
        return [checks.Error(str(error), id="sealedsession.E003")]
    return []


def _check_engine() -> list[checks.CheckMessage]:
    if settings.SESSION_ENGINE != SIGNED_COOKIES or not conf.uses_django_sessions():
        return []
    return [checks.Error(conf.NO_SESSION_ID, id="sealedsession.E004")]


def _check_middleware() -> list[checks.CheckMessage]:
    if MIDDLEWARE in settings.MIDDLEWARE:
        return []
    message = f"MIDDLEWARE: {MIDDLEWARE} is missing. Add it last: without it, stale tokens are server errors"
    return [checks.Warning(message, id="sealedsession.W001")]


def _on_setting_changed(*, setting: str, **_: Any) -> None:
    if setting in conf.SETTING_NAMES:
        conf.forget_state_sealer()
