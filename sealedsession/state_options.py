"""The options of a `StateSealer`, checked at start: every mistake in them is a `ConfigError` that names the option."""

from collections.abc import Callable
from typing import Any

from sealedsession.errors import ConfigError, given
from sealedsession.events import Events
from sealedsession.keyring_file import KeyringFile, keyring_of
from sealedsession.keys import Keyring
from sealedsession.values import Registry

DAY = 24 * 3600  # seconds
MAX_SIZE = 64 * 1024  # characters of a token; a state that is read has at most as many bytes
_LEAST_SIZE = 256  # characters: under that, only what is next to nothing fits


def check_options(
    *,
    max_age: object,
    registry: object,
    compress: object,
    max_size: object,
    name: object,
    leeway: object,
    on_event: object,
    clock: object,
) -> None:
    """Check all options but the keys."""
    if type(max_age) is not int or not 0 < max_age < 2**32:
        raise ConfigError("max_age has to be an int of seconds, 1 to 2**32 - 1")
    if not isinstance(registry, Registry):
        raise ConfigError(f"registry has to be a Registry or StateRegistry{given(registry)}")
    if type(compress) is not bool:
        raise ConfigError(f"compress has to be True or False{given(compress)}")
    if type(max_size) is not int or not _LEAST_SIZE <= max_size <= MAX_SIZE:
        raise ConfigError(f"max_size has to be an int of characters, {_LEAST_SIZE} to {MAX_SIZE}")
    # In the purpose of the keys it stands between colons.
    if type(name) is not str or not name or ":" in name or not name.isascii():
        raise ConfigError("name has to be a str of ASCII characters, not empty and without a colon")
    if type(leeway) is not int or not 0 <= leeway <= 600:
        raise ConfigError("leeway has to be an int of seconds, 0 to 600: it covers differing clocks, not time zones")
    if on_event is not None and not callable(on_event):
        raise ConfigError(f"on_event has to be a function of an event{given(on_event)}")
    if not callable(clock):
        raise ConfigError(f"clock has to be a function that gives seconds{given(clock)}")


def keys_of(
    validate_key: Any, encrypt_key: Any, keyring: Any, events: Events, clock: Callable[[], float]
) -> Keyring | KeyringFile:
    """The keys that the options name, with which tokens are encrypted."""
    if keyring is None:
        pair = {"validate_key": validate_key, "encrypt_key": encrypt_key}
        for option, key in pair.items():
            if not isinstance(key, str | bytes | list | tuple | None):
                raise ConfigError(
                    f"{option} has to be a key or a list of keys (str or bytes){given(key)}. "
                    "A StateSealer takes keys as a SessionConfig does, and no config"
                )
        if missing := [option for option, key in pair.items() if key is None]:
            verb = "is" if len(missing) == 1 else "are"
            raise ConfigError(
                f"{' and '.join(missing)} {verb} missing: state is always encrypted; "
                "make each with: python -m sealedsession keygen"
            )
        return Keyring(validate_key, encrypt_key)
    if validate_key is not None or encrypt_key is not None:
        raise ConfigError("keyring is given, and validate_key or encrypt_key too: a keyring holds all keys")
    keys = keyring_of(keyring, events.keyring)
    ring = keys if isinstance(keys, Keyring) else keys.current(int(clock()))
    if ring.pairs[0].encrypt is None:
        raise ConfigError("keyring has keys without an encrypt_key: state is always encrypted")
    return keys
