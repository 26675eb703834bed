"""The keyring as JSON: keys with states and dates, in a file that is read again when it changes.

1. The schema: ``{"version": 1, "keys": [{"id": "a3f1", "state": "staged", "validate_key": "...", "encrypt_key": "...",
   "staged_at": "2026-11-21T12:00:00Z", "primary_at": "...", "fallback_at": "..."}]}``. Exactly one key is primary; any
   number are staged or fallback. Either all keys have an encrypt_key, or none: then tokens are signed only. A date is
   the time in UTC at which the key entered that state. Only state and validate_key are required. A member that is null
   counts as missing. The default id is the key id.
2. Everything that the schema does not allow is an error. Nothing is guessed.
3. A running application never loses its keys to a broken file. It uses the keys it has until the file is valid again.
4. No error shows a key, or text of the file that may be a key.
"""

import json
import logging
import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sealedsession.errors import ConfigError, drop_own_frames, got
from sealedsession.sealing.key_rules import KEY_BYTES, KEYGEN, check_text
from sealedsession.sealing.keys import UNSET, KeyPair, Keyring, State, warn_if_world_readable

SIZE_LIMIT = 1 << 20  # bytes: enough for thousands of keys, and a wrong path does not fill the memory
STATES: tuple[State, ...] = ("staged", "primary", "fallback")  # in the order in which a key has them
DATES = tuple(f"{state}_at" for state in STATES)
MEMBERS = ("id", "state", "validate_key", "encrypt_key", *DATES)
OnChange = Callable[[Exception | None], object]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_ADVICE = f"{KEYGEN}. A keyring contains the keys themselves, and no 'env:' or 'file:'"
_INIT_ADVICE = "Make a file of keys with: python -m sealedsession keyring init FILE"
_READ_ADVICE = "Give the path of a file that this process can read"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key pair in a keyring file, with its id and its history. Times are in seconds since 1970.

    :param id: the pair's name for administrators, in commands and logs.
    :param pair: the keys, which are UTF-8, and the state.
    :param staged_at: when the pair became staged, or None if that is unknown or never happened.
    :param primary_at: when the pair became primary, or None.
    :param fallback_at: when the pair became a fallback, or None.
    """

    id: str
    pair: KeyPair = field(repr=False)
    staged_at: int | None = None
    primary_at: int | None = None
    fallback_at: int | None = None

    @property
    def since(self) -> int | None:
        """The time when the current state began, in seconds since 1970, or None if that is unknown."""
        return {"staged": self.staged_at, "primary": self.primary_at, "fallback": self.fallback_at}[self.pair.state]


def parse(content: bytes | str, source: str) -> list[StoredKey]:
    """Parse a keyring.

    :param content: the JSON, in UTF-8 or as str.
    :param source: the option or path of the keyring, for errors.
    :raises ConfigError: if the content does not follow the schema, or a key is refused.
    """
    document = _parse_json(content, source)
    version = document.get("version", 1) if isinstance(document, dict) else 1
    if type(version) is not int or version != 1:
        raise ConfigError(f"{source}: version must be 1. This release reads no other version")
    entries = _check_members(source, document, ("version", "keys"), required=("version", "keys"))["keys"]
    if not isinstance(entries, list):
        raise ConfigError(f"{source}: keys must be a list of objects{got(entries)}")
    keys = [_parse_key(f"{source}, keys[{index}]", entry) for index, entry in enumerate(entries)]
    for index, name in enumerate(ids := [key.id for key in keys]):
        if name in ids[:index]:
            raise ConfigError(f"{source}, keys[{index}]: the id {name!r} is that of another key. Give it another id")
    _make_keyring(keys, source)
    return keys


def render(keys: Sequence[StoredKey]) -> bytes:
    """Render keys as JSON, from which `parse` returns the same keys."""
    entries = []
    for key in keys:
        texts = [each and each.decode() for each in (key.pair.validate, key.pair.encrypt)]
        dates = [None if second is None else utc(second) for second in (key.staged_at, key.primary_at, key.fallback_at)]
        values = (key.id, key.pair.state, *texts, *dates)
        entries.append({name: value for name, value in zip(MEMBERS, values, strict=True) if value is not None})
    return json.dumps({"version": 1, "keys": entries}, indent=2).encode() + b"\n"


def utc(second: int) -> str:
    """Format a time in seconds since 1970 as in the keyring, such as 2026-11-21T12:00:00Z."""
    return (_EPOCH + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def check_id(where: str, name: str) -> str:
    """Check the id of a key, and return it. An error does not show it, because it may be a key in the wrong place.

    :param where: the option or path of the id, for errors.
    :raises ConfigError: if it is not an id.
    """
    if not re.fullmatch("[A-Za-z0-9._-]{1,31}", name):
        raise ConfigError(
            f"{where}: an id must be 1 to 31 letters, digits, dots, underscores or hyphens. Choose another id"
        )
    return name


class KeyringBeingWrittenError(ConfigError):
    """The file of a keyring changed while it was read."""


def read_file(path: str, source: str) -> tuple[bytes, os.stat_result]:
    """Read the file of a keyring.

    :param path: the file.
    :param source: the option or path of the keyring, for errors.
    :returns: the content, cut after `SIZE_LIMIT` + 1 bytes, and the status of the file.
    :raises ConfigError: if the file cannot be read, or is a directory, a pipe or a device.
    :raises KeyringBeingWrittenError: if the file changes meanwhile.
    """
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            before = os.fstat(file.fileno())
            content = file.read(SIZE_LIMIT + 1)
            after = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ConfigError(f"{source}: the file cannot be read: {cause}. {_READ_ADVICE}") from None
    if not stat.S_ISREG(before.st_mode):
        raise ConfigError(f"{source}: it is a pipe or a device, which cannot be read again. {_READ_ADVICE}")
    if _take_fingerprint(before) != _take_fingerprint(after):
        raise KeyringBeingWrittenError(
            f"{source}: the file is being written. Replace it by renaming a complete file, and try again"
        )
    return content, after


class KeyringFile:
    """A keyring that is read again when its file changes.

    :param path: the file. Symbolic links are resolved on every check, because Kubernetes swaps them.
    :param on_change: a function. It is called once with the error when the file becomes invalid or unreadable, and with
        None when the keys change or the file is valid again.
    :raises ConfigError: if the file cannot be read now, or is not a keyring.
    """

    __slots__ = (
        "_checked", "_checking", "_fingerprint", "_keyring", "_on_change", "_path", "_problem", "_source", "_warned",
    )  # fmt: skip

    def __init__(self, path: str, on_change: OnChange) -> None:
        self._source = f"keyring {'file:' + path!r}"
        self._path = os.path.abspath(path)  # the working directory may change
        self._on_change = on_change
        # Marks the running check, by process id: in a forked child, the check of another thread never ends.
        self._checking: dict[int, object] = {}
        self._warned = False
        self._problem: str | None = None
        self._checked: int | None = None  # the second of the last check
        self._keyring, self._fingerprint = self._read()

    def current(self, second: int) -> Keyring:
        """Return the current keyring: the same object until the keys change.

        :param second: the current time, in whole seconds since 1970. The file is checked unless the last check was in
            this second.
        """
        if second != self._checked and self._checking.setdefault(os.getpid(), me := object()) is me:
            try:
                self._checked = second
                self._check()
            finally:
                self._checking.pop(os.getpid(), None)
        return self._keyring

    def _check(self) -> None:
        with suppress(OSError):  # _read raises an error with the cause
            if self._fingerprint == _take_fingerprint(os.stat(self._path)):
                return
        try:
            keyring, fingerprint = self._read()
            if (keyring.pairs[0].encrypt is None) != (self._keyring.pairs[0].encrypt is None):
                raise ConfigError(
                    f"{self._source}: encrypt_key was added to the keys, or removed from them. Restart every process "
                    "to use these keys, or restore the previous ones"
                )
        except KeyringBeingWrittenError:
            return
        except ConfigError as error:
            self._fingerprint = None  # so that the previous file, if it is restored, is read and reported
            if self._problem != str(error):
                self._problem = str(error)
                drop_own_frames(error)
                self._on_change(error)
            return
        changed = keyring.pairs != self._keyring.pairs
        if changed:
            self._keyring = keyring
        self._fingerprint = fingerprint  # last: a child that is forked before this line reads the file again
        if changed or self._problem is not None:
            self._problem = None
            self._on_change(None)

    def _read(self) -> tuple[Keyring, tuple[int, ...] | None]:
        content, status = read_file(self._path, self._source)
        keyring = _make_keyring(parse(content, self._source), self._source)
        self._warned = self._warned or warn_if_world_readable(self._path, status)
        return keyring, _take_fingerprint(status)


def keyring_from_source(source: object, on_change: OnChange) -> Keyring | KeyringFile:
    """Load the keyring that the option ``keyring`` names.

    :param source: ``file:PATH``, a file that is read again when it changes; or ``env:NAME``, an environment variable
        that contains the JSON and is read once.
    :param on_change: see `KeyringFile`.
    :raises ConfigError: if the source is missing, contains no keyring or has another form. In the last case the error
        does not show the source, because it may be a key.
    """
    if isinstance(source, str) and source.startswith("file:"):
        return KeyringFile(source[5:], on_change)
    if not isinstance(source, str) or not source.startswith("env:"):
        raise ConfigError(f"keyring: it must be 'file:PATH' or 'env:NAME', the place of the keys. {_INIT_ADVICE}")
    try:
        content = os.fsencode(os.environ[source[4:]])
    except (KeyError, ValueError):
        raise ConfigError(f"keyring {source!r}: the environment variable is not set. Set it for this process") from None
    return _make_keyring(parse(content, f"keyring {source!r}"), f"keyring {source!r}")


def _make_keyring(keys: Sequence[StoredKey], source: str) -> Keyring:
    names = ", ".join(f"{key.id} {key.pair.state}" for key in keys)
    return Keyring.from_pairs([key.pair for key in keys], f"{source} ({names or 'no keys'})")


def _take_fingerprint(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _parse_json(content: bytes | str, source: str) -> object:
    if len(content) > SIZE_LIMIT:
        raise ConfigError(
            f"{source}: it is larger than {SIZE_LIMIT} bytes, the limit for a keyring. Give the path of a keyring"
        )
    if not content.strip():
        raise ConfigError(f"{source}: it is empty. {_INIT_ADVICE}")
    try:
        return json.loads(content if isinstance(content, str) else content.decode(), object_pairs_hook=_make_object)
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 at byte {error.start}"
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:  # json's errors contain the position, and no text of the file
        problem = str(error)
    raise ConfigError(f"{source}: it is not a keyring in JSON: {problem}. Write the complete file again")


def _make_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"{name if name in MEMBERS else 'a member'} is given twice in one object")
        members[name] = value
    return members


def _check_members(where: str, value: object, known: Sequence[str], required: Sequence[str]) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: it must be an object with the members {', '.join(required)}{got(value)}")
    for name in value:
        if name not in known:
            shown = repr(name) if len(name) < KEY_BYTES else "(not shown)"  # it may be a key
            raise ConfigError(f"{where}: unknown member {shown}. The members are {', '.join(known)}")
    for name in required:
        if value.get(name) is None:
            raise ConfigError(f"{where}: {name} is missing. Add it")
    return value


def _parse_key(where: str, entry: object) -> StoredKey:
    members = _check_members(where, entry, MEMBERS, ("state", "validate_key"))
    values = {name: value for name, value in members.items() if isinstance(value, str)}
    for name, value in members.items():
        if value is not None and name not in values:
            raise ConfigError(f"{where}: {name} must be a string{got(value)}")
    if "id" in values:
        where += f" with the id {check_id(where, values['id'])!r}"
    validate = check_text(f"{where}: validate_key", values["validate_key"], _KEY_ADVICE)
    encrypt = None
    if "encrypt_key" in values:
        encrypt = check_text(f"{where}: encrypt_key", values["encrypt_key"], _KEY_ADVICE)
    dates = [_parse_date(f"{where}: {name}", values[name]) if name in values else None for name in DATES]
    pair = KeyPair(validate, encrypt, _check_state(where, values))
    return StoredKey(values.get("id") or pair.key_id.hex(), pair, *dates)


def _check_state(where: str, values: dict[str, str]) -> State:
    for order, state in enumerate(STATES):
        if state == values["state"]:
            if any(f"{later}_at" in values for later in STATES[order + 1 :]):
                raise ConfigError(
                    f"{where}: state is {state}, but there is a date of a later state. Set state to the latest state "
                    "with a date"
                )
            return state
    raise ConfigError(f"{where}: state must be one of {', '.join(STATES)}")


def _parse_date(where: str, text: str) -> int:
    with suppress(ValueError):
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        second = (moment - _EPOCH) // timedelta(seconds=1)
        if utc(second) == text:  # strptime accepts other spellings too
            return second
    raise ConfigError(f"{where} must be a time in UTC, such as 2026-11-21T12:00:00Z")


def find_keys(validate_key: Any, encrypt_key: Any, keyring: str | None, on_change: OnChange) -> Keyring | KeyringFile:
    """Load the keys that the options name. Log a warning if ``encrypt_key`` is missing.

    :param validate_key: the option of this name, or a `Keyring` that was made of both options before.
    :param encrypt_key: the option of this name, or the same `Keyring`.
    :param keyring: the option of this name.
    :param on_change: see `KeyringFile`.
    :raises ConfigError: for keys that are missing, refused, or given twice.
    """
    if keyring is not None:
        if validate_key is not None or encrypt_key not in (None, UNSET):
            raise ConfigError("keyring is given, and validate_key or encrypt_key too: a keyring holds all keys")
        return keyring_from_source(keyring, on_change)
    if isinstance(validate_key, Keyring) and validate_key is encrypt_key:
        return validate_key
    if isinstance(validate_key, Keyring) or isinstance(encrypt_key, Keyring):
        raise ConfigError(
            "validate_key, encrypt_key: only one of them was replaced, and the config does not keep the other. Give "
            "both, with encrypt_key=None for signed only"
        )
    if validate_key is None:
        raise ConfigError(f"validate_key: the key is missing, and nothing can be sealed without it. {KEYGEN}")
    if encrypt_key is not UNSET:
        return Keyring(validate_key, encrypt_key)
    keys = Keyring(validate_key)
    logging.getLogger("sealedsession").warning(
        "encrypt_key: it is not set, so sessions are signed but not encrypted, and clients can read them. Set "
        "encrypt_key, or set it to None (none in ini files) if clients may read sessions"
    )
    return keys
