"""What ``"sealedsession.integrations.django"`` in ``INSTALLED_APPS`` brings: the browser module as a static file, and
system checks, so that a mistake in the settings is told before the first request.

==================  ============================================================================================
sealedsession.E001  ``SEALEDSESSION`` is no dict, or has an entry that is not known
sealedsession.E002  the keys are refused: ``SECRET_KEY``, one of ``SECRET_KEY_FALLBACKS``, or the keys given
sealedsession.E003  an option in ``SEALEDSESSION["STATE"]`` is refused
sealedsession.E004  sessions have no id: ``SESSION_ENGINE`` keeps them in signed cookies
sealedsession.W001  the middleware is missing from ``MIDDLEWARE``
==================  ============================================================================================
"""

from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

import sealedsession.state
from sealedsession.errors import ConfigError
from sealedsession.integrations.django import conf

SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"
MIDDLEWARE = "sealedsession.integrations.django.middleware.StateErrorMiddleware"


class SealedSessionConfig(AppConfig):
    """The application ``sealedsession``. It has no models."""

    name = "sealedsession.integrations.django"
    label = "sealedsession"
    verbose_name = "Sealed state"
    path = str(Path(sealedsession.state.__file__).parent)  # static/ is there: the one copy of the browser module

    def ready(self) -> None:
        """Register the checks, and have settings read again when a test changes them."""
        checks.register(check_settings, "sealedsession")
        setting_changed.connect(_on_setting_changed)


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Find what is wrong with the settings: the system check."""
    return _sealer_faults() or [*_engine_faults(), *_middleware_faults()]


def _sealer_faults() -> list[checks.CheckMessage]:
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


def _engine_faults() -> list[checks.CheckMessage]:
    if settings.SESSION_ENGINE != SIGNED_COOKIES or not conf.uses_django_sessions():
        return []
    return [checks.Error(conf.NO_ID, id="sealedsession.E004")]


def _middleware_faults() -> list[checks.CheckMessage]:
    if MIDDLEWARE in settings.MIDDLEWARE:
        return []
    message = f"{MIDDLEWARE} is not in MIDDLEWARE: stale and broken tokens are server errors without it"
    return [checks.Warning(message, id="sealedsession.W001")]


def _on_setting_changed(*, setting: str, **_: Any) -> None:
    if setting in conf.READ:
        conf.forget_state_sealer()
