"""The settings of a Django project, and the project's `StateSealer`::

    SEALEDSESSION = {
        "SESSION": {"revocation": "redis://..."},  # options of SessionConfig, by name, for the session engine
        "SESSION_ID": "django",  # or "sealedsession": the session that state belongs to
        "STATE": {"max_age": 3600},  # options of StateSealer, by name
    }

1. All settings are optional. Unknown names are errors.
2. Without keys in the settings, a validate_key and an encrypt_key are derived from ``SECRET_KEY``, and from each of
   ``SECRET_KEY_FALLBACKS``, by HKDF-SHA256 (RFC 5869) with separate labels. A secret that is short, patterned or a
   known default is refused.
3. Settings are read when the sealer is first needed, and again after ``override_settings``.
"""

import difflib
import inspect
import os
import threading
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from sealedsession.errors import ConfigError, got, without_own_frames
from sealedsession.integrations.django.values import registry
from sealedsession.sealing.keys import derive_keys
from sealedsession.state.resumable import Resumable, State
from sealedsession.state.sealer import StateSealer

NAME = "SEALEDSESSION"
STATE = f'{NAME}["STATE"]'  # the spelling of settings.py, for error messages
SETTING_NAMES = (NAME, "SECRET_KEY", "SECRET_KEY_FALLBACKS")  # the settings that the sealer depends on
NO_SESSION_ID = (
    "SESSION_ENGINE: sessions in signed cookies have no stable id, and state belongs to a session id. Choose another "
    "engine, such as django.contrib.sessions.backends.db, or wrap the application in SessionMiddleware of "
    f'sealedsession and set {NAME} = {{"SESSION_ID": "sealedsession"}}'
)

_OPTIONS = tuple(inspect.signature(StateSealer).parameters)
_KEYS = ("validate_key", "encrypt_key", "keyring")
_IMPORTED = ("registry", "on_event", "clock")  # can be dotted names: settings.py cannot import the project's modules

_classes: dict[str, type[Resumable]] = {}
_sealer: StateSealer | None = None
_lock = threading.RLock()  # one thread may register classes while another one makes the sealer


def _renew_lock() -> None:
    """Replace the lock in a forked child: another thread of the parent may hold the old one."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)


@without_own_frames  # Django's debug page shows local variables
def get_state_sealer() -> StateSealer:
    """Return the sealer of the project with all registered classes. It is made once.

    :raises ConfigError: if the settings are invalid. ``manage.py check`` finds the error before the first request.
    """
    global _sealer
    with _lock:
        if _sealer is None:
            _sealer = _make_project_sealer()
        return _sealer


def forget_state_sealer() -> None:
    """Discard the sealer. The next one is made from the settings at that time."""
    global _sealer
    with _lock:
        _sealer = None


@without_own_frames
def make_state_sealer(options: dict[str, Any]) -> StateSealer:
    """Make a sealer from options of the settings.

    :raises ConfigError: if an option is invalid. The message names the setting.
    """
    try:
        return StateSealer(**options)
    except ConfigError as error:
        raise ConfigError(f"{STATE}: {error}") from None


def register(cls: type[State], code: str | None = None) -> type[State]:
    """Allow objects of a class to be sealed and resumed. Use it as a function or as a class decorator.

    Define the class in a module that every process imports, such as a module that the URLconf imports. A process that
    has not registered the class treats its tokens as stale.

    :param code: identifies the class in tokens. Default: the name of the class. Never reuse a code for another class.
    :returns: the class.
    :raises ConfigError: if this is not a subclass of `Resumable`, or class or code are registered already.
    """
    code = cls.__qualname__ if code is None else code
    if not (isinstance(cls, type) and issubclass(cls, Resumable)):
        raise ConfigError(f"register: {cls!r} is not a subclass of Resumable. Derive the class from Resumable")
    with _lock:
        if code in _classes or cls in _classes.values():
            raise ConfigError(
                f"register: {cls.__qualname__}, or another class with the code {code!r}, is registered already. Pass a "
                "different code: register(cls, code)"
            )
        if _sealer is not None:
            _sealer.register(cls, code)  # so that code that holds this sealer can use the class, too
        _classes[code] = cls
    return cls


def _make_project_sealer() -> StateSealer:
    options = state_options()
    sealer = make_state_sealer({**options, **state_keys(options)})
    for code, cls in _classes.items():
        sealer.register(cls, code)
    return sealer


def uses_django_sessions() -> bool:
    """Return whether state belongs to Django's session. If not, it belongs to the session of `SessionMiddleware`.

    :raises ConfigError: if the setting names neither.
    """
    session_id = _read_settings().get("SESSION_ID", "django")
    if session_id not in ("django", "sealedsession"):
        raise ConfigError(f'{NAME}["SESSION_ID"]: must be "django" or "sealedsession"{got(session_id)}')
    return bool(session_id == "django")


def uses_state() -> bool:
    """Return whether the project has settings of sealed state, or has registered a class."""
    return bool(_classes) or "STATE" in _read_settings()


def state_options() -> dict[str, Any]:
    """Return the options in the settings. The default of ``registry`` is the registry of Django's values.

    :raises ConfigError: if a name is unknown, or a dotted name cannot be imported.
    """
    options = read_section("STATE", _OPTIONS)
    imported = {option: import_option(STATE, option, options[option]) for option in _IMPORTED if option in options}
    return {"registry": registry, **options, **imported}


def read_section(name: str, known: Iterable[str]) -> dict[str, Any]:
    """Return a section of the settings, an empty one if it is missing.

    :raises ConfigError: if it is not a dict, or has an unknown entry.
    """
    section = _read_settings().get(name, {})
    _check_names(f'{NAME}["{name}"]', section, known)
    return dict(section)


@without_own_frames
def state_keys(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with keys: those in the settings, or else two lists of keys derived from Django's secrets.

    :raises ConfigError: if a secret is short, patterned or a known default.
    """
    own = {option: options[option] for option in _KEYS if options.get(option) is not None}
    if own:
        return own
    return derive_project_keys("django", STATE)


@without_own_frames
def derive_project_keys(label: str, section: str) -> dict[str, Any]:
    """Derive two lists of keys from Django's secrets.

    :param label: separates the keys from those of other uses.
    :param section: the section of the settings that can have keys of its own, for errors.
    :raises ConfigError: if a secret is short, patterned or a known default.
    """
    secrets = {"SECRET_KEY": settings.SECRET_KEY}
    for index, secret in enumerate(settings.SECRET_KEY_FALLBACKS):
        secrets[f"SECRET_KEY_FALLBACKS[{index}]"] = secret
    try:
        return dict(
            derive_keys(
                {name: secret if isinstance(secret, bytes) else str(secret) for name, secret in secrets.items()}, label
            )
        )
    except ConfigError as error:
        raise ConfigError(
            f"{error}. Or keep it, and set keys of their own: validate_key and encrypt_key in {section}"
        ) from None


def _read_settings() -> dict[str, Any]:
    sections = getattr(settings, NAME, {})
    _check_names(NAME, sections, ("SESSION", "SESSION_ID", "STATE"))
    return dict(sections)


def _check_names(setting: str, section: object, known: Iterable[str]) -> None:
    if not isinstance(section, dict):
        raise ConfigError(f"{setting}: must be a dict{got(section)}")
    for name in section:
        if name not in known:
            lower = {one.lower(): one for one in known}
            close = difflib.get_close_matches(str(name).lower(), lower, 1)
            hint = f"Did you mean {lower[close[0]]!r}?" if close else f"Known entries: {', '.join(known)}"
            raise ConfigError(f"{setting}: unknown entry {name!r}. {hint}")


def import_option(section: str, option: str, value: object) -> object:
    """Return what a dotted name names, and any other value as it is.

    :raises ConfigError: if it cannot be imported.
    """
    if not isinstance(value, str):
        return value
    try:
        return import_string(value)
    except ImportError as error:
        raise ConfigError(f"{section}: {option} is {value!r}, which cannot be imported: {error}") from error
