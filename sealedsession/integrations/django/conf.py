"""The settings of a Django project, and the sealer that is made of them::

    SEALEDSESSION = {
        "SESSION_ID": "django",  # or "sealedsession": the session whose id state belongs to
        "STATE": {"max_age": 3600},  # options of `StateSealer`, by their names
    }

1. Nothing has to be set. What is set is checked: a name that is not known is an error.
2. Keys that are not given are made of ``SECRET_KEY``, and of each of ``SECRET_KEY_FALLBACKS``: two of a secret, by
   HKDF-SHA256 (RFC 5869) with labels of their own. A secret that is short, patterned or a known default is refused.
3. Settings are read when the sealer is first asked for, and again after ``override_settings``.
"""

import difflib
import inspect
import os
import threading
from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.module_loading import import_string

from sealedsession.errors import ConfigError, got, without_own_frames
from sealedsession.integrations.django.values import registry
from sealedsession.sealing.key_rules import KEY_BYTES, check_framework_secret
from sealedsession.state.resumable import Resumable, State
from sealedsession.state.sealer import StateSealer

NAME = "SEALEDSESSION"
STATE = f'{NAME}["STATE"]'  # as settings.py would write it, for errors
READ = (NAME, "SECRET_KEY", "SECRET_KEY_FALLBACKS")  # the settings that a sealer is made of
NO_ID = (
    "sessions that SESSION_ENGINE keeps in signed cookies have no id that stays the same, and state belongs to one: "
    "choose another SESSION_ENGINE, such as django.contrib.sessions.backends.db, or wrap the application into "
    f'SessionMiddleware of sealedsession and set {NAME} = {{"SESSION_ID": "sealedsession"}}'
)

_OPTIONS = tuple(inspect.signature(StateSealer).parameters)
_KEYS = ("validate_key", "encrypt_key", "keyring")
_IMPORTED = ("registry", "on_event", "clock")  # settings.py is read too early to import these, and names them instead

_classes: dict[str, type[Resumable]] = {}
_sealer: StateSealer | None = None
_lock = threading.RLock()  # a module that registers classes may be imported while another thread makes the sealer


def _renew_lock() -> None:
    """Replace the lock in a forked child: another thread of the parent may hold the old one."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)


@without_own_frames  # Django's page for errors shows the local variables of frames
def get_state_sealer() -> StateSealer:
    """The sealer of this project, with all classes that are registered: made when first asked for, and kept.

    :raises ConfigError: for a mistake in the settings. ``manage.py check`` tells of it before any request.
    """
    global _sealer
    with _lock:
        if _sealer is None:
            _sealer = _new_sealer()
        return _sealer


def forget_state_sealer() -> None:
    """Have the sealer made anew, of the settings as they are then."""
    global _sealer
    with _lock:
        _sealer = None


@without_own_frames
def make_state_sealer(options: dict[str, Any]) -> StateSealer:
    """Make a sealer of options, with errors that say where these are set.

    :raises ConfigError: for every mistake in them.
    """
    try:
        return StateSealer(**options)
    except ConfigError as error:
        raise ConfigError(f"{STATE}: {error}") from None


def register(cls: type[State], code: str | None = None) -> type[State]:
    """Let objects of a class be resumed. It can stand as a decorator above the class.

    The class has to be in a module that every process imports, such as one that the URLconf imports: where nobody has
    registered it, its tokens are stale.

    :param code: what the class is called in tokens, its name unless given. It may never be given to another class.
    :raises ConfigError: when it is not a `Resumable`, or class or code are registered already.
    """
    code = cls.__qualname__ if code is None else code
    if not (isinstance(cls, type) and issubclass(cls, Resumable)):
        raise ConfigError(f"{cls!r} is not a subclass of Resumable: nothing else can be resumed")
    with _lock:
        if code in _classes or cls in _classes.values():
            raise ConfigError(
                f"{cls.__qualname__}, or another class of the code {code!r}, is registered already: give it a code of "
                "its own, register(cls, code)"
            )
        if _sealer is not None:
            _sealer.register(cls, code)  # whoever has taken it already knows the class too
        _classes[code] = cls
    return cls


def _new_sealer() -> StateSealer:
    options = state_options()
    sealer = make_state_sealer({**options, **state_keys(options)})
    for code, cls in _classes.items():
        sealer.register(cls, code)
    return sealer


def uses_django_sessions() -> bool:
    """Whether state belongs to Django's session, or else to that of a `SessionMiddleware` around the application.

    :raises ConfigError: when the settings name neither.
    """
    session_id = _sections().get("SESSION_ID", "django")
    if session_id not in ("django", "sealedsession"):
        raise ConfigError(f'{NAME}["SESSION_ID"] has to be "django" or "sealedsession"')
    return bool(session_id == "django")


def state_options() -> dict[str, Any]:
    """The options in the settings, with the default registry of Django's values.

    :raises ConfigError: for a name that is not known, and for what cannot be imported.
    """
    options = _sections().get("STATE", {})
    _check_names(STATE, options, _OPTIONS)
    named = {option: _imported(option, options[option]) for option in _IMPORTED if option in options}
    return {"registry": registry, **options, **named}


@without_own_frames
def state_keys(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that hold the keys: those in the settings, or else two lists derived from Django's secrets.

    :raises ConfigError: for a secret that is short, patterned or a known default.
    """
    own = {option: options[option] for option in _KEYS if options.get(option) is not None}
    if own:
        return own
    secrets = {"SECRET_KEY": settings.SECRET_KEY}
    for index, secret in enumerate(settings.SECRET_KEY_FALLBACKS):
        secrets[f"SECRET_KEY_FALLBACKS[{index}]"] = secret
    # Django allows duplicate secrets.
    distinct = dict.fromkeys(_check_secret(setting, secret) for setting, secret in secrets.items())
    return {option: [_derive(secret, option) for secret in distinct] for option in ("validate_key", "encrypt_key")}


def _sections() -> dict[str, Any]:
    sections = getattr(settings, NAME, {})
    _check_names(NAME, sections, ("SESSION_ID", "STATE"))
    return dict(sections)


def _check_names(where: str, section: object, known: Iterable[str]) -> None:
    if not isinstance(section, dict):
        raise ConfigError(f"{where} has to be a dict{got(section)}")
    for name in section:
        if name not in known:
            lower = {one.lower(): one for one in known}
            close = difflib.get_close_matches(str(name).lower(), lower, 1)
            hint = f"; did you mean {lower[close[0]]!r}?" if close else f"; there are: {', '.join(known)}"
            raise ConfigError(f"{where} has an unknown entry {name!r}{hint}")


def _imported(option: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return import_string(value)
    except ImportError as error:
        raise ConfigError(f"{STATE}: {option} is {value!r}, which cannot be imported: {error}") from error


def _check_secret(setting: str, secret: str | bytes) -> bytes:
    try:
        return check_framework_secret(setting, secret if isinstance(secret, bytes) else str(secret))
    except ConfigError as error:
        raise ConfigError(
            f"{error}. Or leave it as it is, and give sealed state its own keys: validate_key and encrypt_key "
            f"in {STATE}"
        ) from None


def _derive(secret: bytes, option: str) -> bytes:
    label = f"sealedsession django v1 {option}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label).derive(secret)
