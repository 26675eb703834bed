"""The application ``sealedsession.integrations.django``: the browser module as a static file, and system checks.

==================  =============================================================================================
sealedsession.E001  ``SEALEDSESSION`` is not a dict, or has an unknown entry
sealedsession.E002  a key is refused: ``SECRET_KEY``, one of ``SECRET_KEY_FALLBACKS``, or a key in the settings
sealedsession.E003  an option in ``SEALEDSESSION["STATE"]`` is refused
sealedsession.E004  sessions have no stable id, because ``SESSION_ENGINE`` keeps them in signed cookies
sealedsession.W001  the middleware is missing from ``MIDDLEWARE``
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

SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"
MIDDLEWARE = "sealedsession.integrations.django.middleware.StateErrorMiddleware"


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
    return _check_sealer() or [*_check_engine(), *_check_middleware()]


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
