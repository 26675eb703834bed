"""Rotation of keys: the steps init, add, promote and retire, and the replacement of the keyring's file.

Rules:

1. A step is a function of the keys and the time. It returns the new keys, and a message with its result and the next
   step.
2. A step that could make sessions unreadable is refused until it is safe, or forced. A key may seal when every server
   has it. A key may be removed when all sessions that it sealed have ended. A missing date, or one in the future, does
   not show that a step is safe.
3. The file is replaced atomically, by one editor at a time. A replacement is never readable to more users than the file
   was.
"""

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from sealedsession.errors import ConfigError
from sealedsession.sealing.key_rules import KEY_BYTES
from sealedsession.sealing.keyring_file import StoredKey, check_id, parse, read_file, render, utc
from sealedsession.sealing.keys import KeyPair, State

if sys.platform != "win32":
    import fcntl

RELOAD_INTERVAL = 120  # seconds; Kubernetes needs one or two minutes to update a secret in every pod
ABSOLUTE_TIMEOUT = 30 * 86400  # seconds; the default of the option absolute_timeout

Step = tuple[list[StoredKey], str]  # the new keys, and the message
RandomText = Callable[[int], str]


class RotationRefusedError(ConfigError):
    """A step could make sessions unreadable now."""


def init(name: str | None, now: int, random_text: RandomText, *, signed_only: bool) -> Step:
    """Make a keyring of one primary key.

    :param name: the id of the key, or None for its key id.
    :param now: the current time in seconds since 1970, as for all steps.
    :param random_text: a function that returns so many random bytes, encoded as text, such as `secrets.token_urlsafe`.
    :param signed_only: whether to make no encrypt_key.
    """
    staged = _new_key([], name, random_text, signed_only)
    key = replace(staged, pair=replace(staged.pair, state="primary"), primary_at=now)
    return [key], (
        f"{key.id} is primary: it seals. Next: set the option keyring to this file. To replace the key, 'add' another."
    )


def add(keys: Sequence[StoredKey], name: str | None, now: int, random_text: RandomText) -> Step:
    """Add a staged key, whose tokens are accepted and which does not seal yet.

    :param name: the id of the key, or None for its key id.
    :param random_text: see `init`.
    :raises ConfigError: if the id is invalid or taken.
    """
    key = replace(_new_key(keys, name, random_text, signed_only=keys[0].pair.encrypt is None), staged_at=now)
    return [*keys, key], (
        f"{key.id} is staged: its tokens are accepted, and it does not seal yet. Next: copy the file to every server. "
        f"After the reload interval (by default {RELOAD_INTERVAL} seconds), 'promote' {key.id}."
    )


def promote(
    keys: Sequence[StoredKey], name: str | None, now: int, reload_interval: int = RELOAD_INTERVAL, *, force: bool
) -> Step:
    """Make a staged key primary, and the primary key a fallback. Promote a fallback to undo a promotion.

    :param name: the id of a staged or fallback key, or None for the only staged key.
    :param reload_interval: seconds until every server has read a changed file.
    :param force: whether to promote the key even if a server may not have it.
    :raises ConfigError: if there is no such key.
    :raises RotationRefusedError: if a server may not have the key yet.
    """
    chosen = _choose(keys, name, "staged", "promote")
    if chosen.pair.state == "primary":
        raise ConfigError(f"key {chosen.id}: it is primary already. 'add' another key, and promote that")
    has_sealed = chosen.fallback_at is not None  # so that every server has it
    if not (force or has_sealed) and (obstacle := _obstacle(chosen, now, reload_interval)):
        raise RotationRefusedError(
            f"key {chosen.id}: it may not be on every server yet. Promote it {obstacle}, or with --force"
        )
    old = next(key for key in keys if key.pair.state == "primary")
    changed = {
        chosen.id: replace(chosen, pair=replace(chosen.pair, state="primary"), primary_at=now, fallback_at=None),
        old.id: replace(old, pair=replace(old.pair, state="fallback"), fallback_at=now),
    }
    return [changed.get(key.id, key) for key in keys], (
        f"{chosen.id} is primary: it seals. {old.id} is fallback: its tokens are accepted, and sealed again. "
        f"Next: copy the file to every server. After the absolute timeout (by default 30 days), 'retire' {old.id}."
    )


def retire(
    keys: Sequence[StoredKey], name: str | None, now: int, absolute_timeout: int = ABSOLUTE_TIMEOUT, *, force: bool
) -> Step:
    """Remove a fallback key whose sessions have ended, or a staged key, which has sealed none.

    :param name: the id of a fallback or staged key, or None for the only fallback.
    :param absolute_timeout: seconds after its creation at which every session has ended.
    :param force: whether to remove the key even if this ends sessions.
    :raises ConfigError: if there is no such key, or it is primary.
    :raises RotationRefusedError: if sessions that the key sealed may not have ended.
    """
    chosen = _choose(keys, name, "fallback", "retire")
    if chosen.pair.state == "primary":
        raise ConfigError(
            f"key {chosen.id}: it is primary, and nothing would seal without it. 'promote' another key first"
        )
    if chosen.pair.state == "fallback" and not force and (obstacle := _obstacle(chosen, now, absolute_timeout)):
        raise RotationRefusedError(
            f"key {chosen.id}: sessions that it sealed may be left. Retire it {obstacle}, or with --force"
        )
    message = f"{chosen.id} is removed: its tokens are no longer accepted. Next: copy the file to every server."
    return [key for key in keys if key is not chosen], message


def next_step(key: StoredKey, now: int, reload_interval: int, absolute_timeout: int) -> str:
    """Describe the next step for a key, and when it is possible."""
    if key.pair.state == "primary":
        return "seals; to replace it, add and promote another"
    verb, wait = ("promote", reload_interval) if key.pair.state == "staged" else ("retire", absolute_timeout)
    return f"{verb} {_obstacle(key, now, wait) or 'now'}"


def create(path: str, keys: Sequence[StoredKey]) -> None:
    """Write a new file that only its owner can read.

    :raises ConfigError: if the file exists or cannot be written.
    """
    with _editing(path) as real:
        if os.path.lexists(real):
            raise ConfigError(
                f"{path!r}: the file exists, and its keys would be lost. 'add' a key to it, or name another file"
            )
        _replace(real, render(keys), None)


def edit(path: str, step: Callable[[list[StoredKey]], Step]) -> str:
    """Apply a step to the keys in a file. Concurrent edits of one file wait for each other.

    :returns: the step's message.
    :raises ConfigError: if the file cannot be read or written, or the step raises it. Then the file is unchanged.
    """
    with _editing(path) as real:
        content, status = read_file(real, f"keyring {path!r}")
        keys, message = step(parse(content, f"keyring {path!r}"))
        _replace(real, render(keys), status)
    return message


def _new_key(keys: Sequence[StoredKey], name: str | None, random_text: RandomText, signed_only: bool) -> StoredKey:
    taken = [key.id for key in keys]
    if name is not None and check_id("new key", name) in taken:
        raise ConfigError(f"key {name}: this is the id of another key. Choose another id for the new key")
    taken += [key.pair.key_id.hex() for key in keys]
    while True:  # a key id has only two bytes: another key may have the same
        validate, encrypt = random_text(KEY_BYTES).encode(), random_text(KEY_BYTES).encode()
        pair = KeyPair(validate, None if signed_only else encrypt, "staged")
        if pair.key_id.hex() not in taken:
            return StoredKey(name or pair.key_id.hex(), pair)


def _choose(keys: Sequence[StoredKey], name: str | None, state: State, verb: str) -> StoredKey:
    chosen = [key for key in keys if (key.pair.state == state if name is None else key.id == name)]
    if len(chosen) == 1:
        return chosen[0]
    problem = f"there is no {state} key to {verb}" if name is None else "there is no key of this id"
    if chosen:
        problem = f"there are {len(chosen)} {state} keys. Name the key to {verb}"
    raise ConfigError(f"{problem}. The keyring has {', '.join(f'{key.id} ({key.pair.state})' for key in keys)}")


def _obstacle(key: StoredKey, now: int, wait: int) -> str | None:
    """Describe when the next step for a key is safe. Return None if it is safe now.

    :param wait: seconds that the key must have been in its state.
    """
    state, since = key.pair.state, key.since
    if since is None or since > now:
        found = "missing" if since is None else f"{utc(since)}, which is in the future: a clock was wrong"
        return f"when you know that it is safe ({state}_at is {found})"
    if now < since + wait:
        return f"from {utc(since + wait)} on, in {since + wait - now} seconds"
    return None


@contextmanager
def _editing(path: str) -> Iterator[str]:
    """Lock the directory of a file, and yield the path of the file without symbolic links.

    :raises ConfigError: for any OSError, with advice.
    """
    real, directory = os.path.realpath(path), None  # a symbolic link stays, and its target is replaced
    try:
        if sys.platform != "win32":
            directory = os.open(os.path.dirname(real), os.O_RDONLY)  # not the file itself, which every edit replaces
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(directory, fcntl.LOCK_EX)
        yield real
    except OSError as error:
        advice = "Check that a file can be made in its directory"
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            advice = "Make its directory first"
        elif isinstance(error, PermissionError):
            advice = "Run this as the owner of the file"
        raise ConfigError(f"keyring {path!r}: the file cannot be written: {error.strerror}. {advice}") from None
    finally:
        if directory is not None:
            with suppress(OSError):  # some file systems cannot sync a directory
                os.fsync(directory)
            os.close(directory)


def _replace(path: str, content: bytes, old: os.stat_result | None) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".keyring-", dir=os.path.dirname(path))  # of mode 0600
    try:
        with open(handle, "wb") as file:
            file.write(content)
            if old is not None and sys.platform != "win32":
                os.fchown(handle, old.st_uid, old.st_gid)  # the application can read the file after an edit by root
                os.fchmod(handle, stat.S_IMODE(old.st_mode))
            file.flush()
            os.fsync(handle)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
