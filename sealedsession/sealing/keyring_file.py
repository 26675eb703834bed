"""The keyring as JSON: several keys with states and dates, in a file that is read again when it changes.

Rules:

1. The schema: ``{"version": 1, "keys": [{"id": "a3f1", "state": "staged", "validate_key": "...", "encrypt_key": "...",
   "staged_at": "2026-11-21T12:00:00Z", "primary_at": "...", "fallback_at": "..."}]}``. One key is primary, and any
   number staged or fallback. `encrypt_key` is in all keys, or in none: signed only. A date is UTC, and the time at
   which that state began. Only state and validate_key are required; null is absent; an id defaults to the key id.
2. Nothing is guessed: what the schema does not know is an error.
3. A running application never loses its keys to a broken file: those it has stay until the file is whole again.
4. No error shows a key, or text of the file that may be one.
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

from sealedsession.errors import ConfigError, drop_own_frames
from sealedsession.sealing.key_rules import KEY_BYTES, KEYGEN, check_text
from sealedsession.sealing.keys import UNSET, KeyPair, Keyring, State, warn_if_world_readable

SIZE_LIMIT = 1 << 20  # bytes, for thousands of keys: a path given by mistake does not fill the memory
STATES: tuple[State, ...] = ("staged", "primary", "fallback")  # in the order of a key's life
MEMBERS = ("id", "state", "validate_key", "encrypt_key", *(f"{state}_at" for state in STATES))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ADVICE = f"{KEYGEN}. A keyring contains the keys themselves, and no 'env:' or 'file:'"
_CURE = "make a file of keys with: python -m sealedsession keyring init FILE"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key pair of a keyring, with its name and its history.

    :param id: names it to people.
    :param pair: its keys, which are UTF-8, and its state.
    :param staged_at: when it became staged, in seconds since 1970; None where it never was, or nobody wrote it down.
    :param primary_at: the same for primary.
    :param fallback_at: the same for fallback.
    """

    id: str
    pair: KeyPair = field(repr=False)
    staged_at: int | None = None
    primary_at: int | None = None
    fallback_at: int | None = None

    @property
    def since(self) -> int | None:
        """When its present state began, in seconds since 1970, or None if that is unknown."""
        return {"staged": self.staged_at, "primary": self.primary_at, "fallback": self.fallback_at}[self.pair.state]


def parse(content: bytes | str, source: str) -> list[StoredKey]:
    """Read a keyring.

    :param source: names it, for errors.
    :raises ConfigError: for whatever is wrong with it.
    """
    document = _decode(content, source)
    version = document.get("version", 1) if isinstance(document, dict) else 1
    if type(version) is not int or version != 1:
        raise ConfigError(f"{source}: version has to be 1, the only one that this release knows")
    entries = _members(source, document, ("version", "keys"), required=("version", "keys"))["keys"]
    if not isinstance(entries, list):
        raise ConfigError(f"{source}: keys has to be a list of objects")
    keys = [_stored_key(f"{source}, keys[{index}]", entry) for index, entry in enumerate(entries)]
    for index, name in enumerate(ids := [key.id for key in keys]):
        if name in ids[:index]:
            raise ConfigError(f"{source}, keys[{index}] has the id {name!r} of another key; give it another one")
    _ring(keys, source)
    return keys


def render(keys: Sequence[StoredKey]) -> bytes:
    """Write a keyring, so that `parse` gives the same keys."""
    entries = []
    for key in keys:
        keys_of_pair = [each and each.decode() for each in (key.pair.validate, key.pair.encrypt)]
        dates = [None if second is None else utc(second) for second in (key.staged_at, key.primary_at, key.fallback_at)]
        values = (key.id, key.pair.state, *keys_of_pair, *dates)
        entries.append({name: value for name, value in zip(MEMBERS, values, strict=True) if value is not None})
    return json.dumps({"version": 1, "keys": entries}, indent=2).encode() + b"\n"


def utc(second: int) -> str:
    """Write a time as the keyring does, such as 2026-11-21T12:00:00Z."""
    return (_EPOCH + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def check_id(where: str, name: str) -> str:
    """Refuse what is no id, without showing it: it may be a key in the wrong place."""
    if not re.fullmatch("[A-Za-z0-9._-]{1,31}", name):
        raise ConfigError(f"{where}: an id has to be 1 to 31 letters, digits, dots, underscores or hyphens")
    return name


class BeingWritten(ConfigError):
    """A keyring's file changed while it was read."""


def read_file(path: str, source: str) -> tuple[bytes, os.stat_result]:
    """Read a keyring's file, if it is small enough for one.

    :returns: at most one byte more than `SIZE_LIMIT`, and what the system knows about the file.
    :raises ConfigError: if it cannot be read, or is a directory, a pipe or a device.
    """
    try:
        # Without O_NONBLOCK a pipe would wait for its writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            before = os.fstat(file.fileno())
            content = file.read(SIZE_LIMIT + 1)
            after = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ConfigError(f"{source} cannot be read: {cause}") from None
    if not stat.S_ISREG(before.st_mode):
        raise ConfigError(f"{source} is no file, but a pipe or a device, which cannot be read again")
    if _fingerprint(before) != _fingerprint(after):
        raise BeingWritten(f"{source} is being written: replace it by renaming a whole file, and try again")
    return content, after


class KeyringFile:
    """A keyring that is read again when its file changes.

    :param path: the file. Symbolic links are followed at every look: Kubernetes swaps them.
    :param report: told the error once when the file turns out broken or missing, however long it stays so,
        and None when other keys are in use than before, or when the file is whole again.
    :raises ConfigError: if it cannot be read now, or holds no keyring.
    """

    __slots__ = ("_checked", "_keyring", "_looking", "_path", "_problem", "_report", "_seen", "_source", "_warned")

    def __init__(self, path: str, report: Callable[[Exception | None], object]) -> None:
        self._source = f"keyring {'file:' + path!r}"
        self._path = os.path.abspath(path)  # the working directory may change
        self._report = report
        self._looking: dict[int, object] = {}  # by process: the look of another thread does not go on in a fork
        self._warned = False
        self._problem: str | None = None
        self._checked: int | None = None
        self._keyring, self._seen = self._read()

    def current(self, second: int) -> Keyring:
        """The keyring of now: the same object until the keys change.

        :param second: the time. The file is looked at once in it, even if clocks went back to it.
        """
        if second != self._checked and self._looking.setdefault(os.getpid(), me := object()) is me:
            try:
                self._checked = second
                self._look()
            finally:
                self._looking.pop(os.getpid(), None)
        return self._keyring

    def _look(self) -> None:
        with suppress(OSError):  # _read finds the cause
            if self._seen == _fingerprint(os.stat(self._path)):
                return
        try:
            keyring, seen = self._read()
            if (keyring.pairs[0].encrypt is None) != (self._keyring.pairs[0].encrypt is None):
                raise ConfigError(f"{self._source} has changed between encrypted and signed only: restart for that")
        except BeingWritten:
            return
        except ConfigError as error:
            self._seen = None  # what was right once is read again when it comes back
            if self._problem != str(error):
                self._problem = str(error)
                drop_own_frames(error)
                self._report(error)
            return
        changed = keyring.pairs != self._keyring.pairs
        if changed:
            self._keyring = keyring
        self._seen = seen  # after the keys: a fork may come in between
        if changed or self._problem is not None:
            self._problem = None
            self._report(None)

    def _read(self) -> tuple[Keyring, tuple[int, ...] | None]:
        content, status = read_file(self._path, self._source)
        keyring = _ring(parse(content, self._source), self._source)
        self._warned = self._warned or warn_if_world_readable(self._path, status)
        return keyring, _fingerprint(status)


def keyring_from_source(source: object, report: Callable[[Exception | None], object]) -> Keyring | KeyringFile:
    """Find the keyring that the option ``keyring`` names.

    :param source: ``file:PATH``, read again when it changes, or ``env:NAME``, a variable that holds JSON, read once.
    :raises ConfigError: if it is neither. It is not shown then: it may be a key.
    """
    if isinstance(source, str) and source.startswith("file:"):
        return KeyringFile(source[5:], report)
    if not isinstance(source, str) or not source.startswith("env:"):
        raise ConfigError(f"keyring has to be 'file:PATH' or 'env:NAME', which says where the keys are; {_CURE}")
    try:
        content = os.fsencode(os.environ[source[4:]])
    except (KeyError, ValueError):
        raise ConfigError(f"keyring is {source!r}, and that environment variable is not set") from None
    return _ring(parse(content, f"keyring {source!r}"), f"keyring {source!r}")


def _ring(keys: Sequence[StoredKey], source: str) -> Keyring:
    names = ", ".join(f"{key.id} {key.pair.state}" for key in keys)
    return Keyring.from_pairs([key.pair for key in keys], f"{source} ({names or 'no keys'})")


def _fingerprint(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _decode(content: bytes | str, source: str) -> object:
    if len(content) > SIZE_LIMIT:
        raise ConfigError(f"{source} is larger than {SIZE_LIMIT} bytes, and no keyring is")
    if not content.strip():
        raise ConfigError(f"{source} is empty; {_CURE}")
    try:
        return json.loads(content if isinstance(content, str) else content.decode(), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        problem = f"no UTF-8 from byte {error.start} on"
    except RecursionError:
        problem = "nested too deep"
    except ValueError as error:  # json's tell the place, and no text
        problem = str(error)
    raise ConfigError(f"{source} is no JSON keyring: {problem}; write the whole of it again")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"{name if name in MEMBERS else 'a member'} is given twice in one object")
        members[name] = value
    return members


def _members(where: str, value: object, known: Sequence[str], required: Sequence[str]) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} has to be an object with {', '.join(required)}")
    for name in value:
        if name not in known:
            shown = repr(name) if len(name) < KEY_BYTES else "a member that is not shown"  # it may be a key
            raise ConfigError(f"{where} has {shown}, and known are only {', '.join(known)}")
    for name in required:
        if value.get(name) is None:
            raise ConfigError(f"{where} has no {name}, which is required")
    return value


def _stored_key(where: str, entry: object) -> StoredKey:
    members = _members(where, entry, MEMBERS, ("state", "validate_key"))
    values = {name: value for name, value in members.items() if isinstance(value, str)}
    for name, value in members.items():
        if value is not None and name not in values:
            raise ConfigError(f"{where}: {name} has to be a string")
    if "id" in values:
        where += f" with the id {check_id(where, values['id'])!r}"
    validate = check_text(f"{where}: validate_key", values["validate_key"], _ADVICE)
    encrypt = check_text(f"{where}: encrypt_key", values["encrypt_key"], _ADVICE) if "encrypt_key" in values else None
    dates = [_second(f"{where}: {name}", values[name]) if name in values else None for name in MEMBERS[4:]]
    pair = KeyPair(validate, encrypt, _state(where, values))
    return StoredKey(values.get("id") or pair.key_id.hex(), pair, *dates)


def _state(where: str, values: dict[str, str]) -> State:
    for order, state in enumerate(STATES):
        if state == values["state"]:
            if any(f"{later}_at" in values for later in STATES[order + 1 :]):
                raise ConfigError(f"{where} is {state}, and has the date of a later state: give it the latest it had")
            return state
    raise ConfigError(f"{where}: state has to be one of {', '.join(STATES)}")


def _second(where: str, text: str) -> int:
    with suppress(ValueError):
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        second = (moment - _EPOCH) // timedelta(seconds=1)
        if utc(second) == text:  # strptime takes other spellings too
            return second
    raise ConfigError(f"{where} has to be a time in UTC such as 2026-11-21T12:00:00Z")


def find_keys(
    validate_key: Any, encrypt_key: Any, keyring: str | None, report: Callable[[Exception | None], object]
) -> Keyring | KeyringFile:
    """Return the keys that the options name. Log a warning if `encrypt_key` is missing.

    :param validate_key: and encrypt_key, as they were given; or both the `Keyring` that was made of them before.
    :param report: is called with each event of a keyring's file.
    :raises ConfigError: for keys that are missing, refused, or given twice.
    """
    if keyring is not None:
        if validate_key is not None or encrypt_key not in (None, UNSET):
            raise ConfigError("keyring is given, and validate_key or encrypt_key too: a keyring holds all keys")
        return keyring_from_source(keyring, report)
    if isinstance(validate_key, Keyring) and validate_key is encrypt_key:
        return validate_key
    if isinstance(validate_key, Keyring) or isinstance(encrypt_key, Keyring):
        raise ConfigError(
            "one of validate_key and encrypt_key is replaced: give both, encrypt_key=None for signed only, as the "
            "config has kept neither"
        )
    if validate_key is None:
        raise ConfigError(
            "validate_key is missing: nothing can be sealed without it; make one with: python -m sealedsession keygen"
        )
    if encrypt_key is not UNSET:
        return Keyring(validate_key, encrypt_key)
    keys = Keyring(validate_key)
    logging.getLogger("sealedsession").warning(
        "encrypt_key is not set: sessions are signed but not encrypted, so clients can read them. Set encrypt_key, or "
        "set it to None (none in ini files) if that is what you want"
    )
    return keys
