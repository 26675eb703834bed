"""Rotation of keys: the steps init, add, promote and retire, and the safe change of the keyring's file.

Rules:

1. A step is a function of a keyring's keys and the time. It gives the new keys and says what it did and what is next.
2. A step that would strand sessions is refused until it no longer would, or is forced: a key seals only when every
   server has it, and goes only when no session that it sealed is left. A missing or future date tells neither.
3. The file is replaced as a whole, for one editor at a time, and is never open to more people than it was.
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

RELOAD_INTERVAL = 120  # seconds; Kubernetes takes one or two minutes to bring a changed secret to every pod
ABSOLUTE_TIMEOUT = 30 * 86400  # seconds; that of the option of this name

Step = tuple[list[StoredKey], str]
RandomText = Callable[[int], str]


class RotationRefused(ConfigError):
    """A step would strand sessions now."""


def init(name: str | None, now: int, random_text: RandomText, *, signed_only: bool) -> Step:
    """Make a keyring of one primary key.

    :param name: its id; None for its key id.
    :param now: seconds since 1970, as for all steps.
    :param random_text: gives text of that many random bytes, such as `secrets.token_urlsafe`.
    """
    staged = _new_key([], name, random_text, signed_only)
    key = replace(staged, pair=replace(staged.pair, state="primary"), primary_at=now)
    return [key], f"{key.id} is primary: it seals. Next: set keyring= to this file; to replace the key, 'add' another."


def add(keys: Sequence[StoredKey], name: str | None, now: int, random_text: RandomText) -> Step:
    """Add a staged key, which is accepted and does not seal yet.

    :param name: its id; None for its key id.
    :raises ConfigError: if that is no id, or taken.
    """
    key = replace(_new_key(keys, name, random_text, signed_only=keys[0].pair.encrypt is None), staged_at=now)
    return [*keys, key], (
        f"{key.id} is staged: it is accepted, and seals nothing yet. Next: bring the file to every server; "
        f"'promote' it after the reload interval (by default {RELOAD_INTERVAL} seconds)."
    )


def promote(
    keys: Sequence[StoredKey], name: str | None, now: int, reload_interval: int = RELOAD_INTERVAL, *, force: bool
) -> Step:
    """Make a staged key primary, and the primary one a fallback. A fallback is promoted to take back a promotion.

    :param name: the id of a staged key or a fallback; None for the only staged one.
    :param reload_interval: seconds until every server has read a changed file.
    :raises ConfigError: if there is no such key; `RotationRefused` if some server may not have it yet.
    """
    chosen = _choose(keys, name, "staged", "promote")
    if chosen.pair.state == "primary":
        raise ConfigError(f"{chosen.id} is primary, and only another key can be promoted; 'add' one")
    has_sealed = chosen.fallback_at is not None  # so that every server has had it ever since
    if not (force or has_sealed) and (obstacle := _obstacle(chosen, now, reload_interval)):
        raise RotationRefused(f"{chosen.id} may not be on every server yet: promote it {obstacle}, or with --force")
    old = next(key for key in keys if key.pair.state == "primary")
    changed = {
        chosen.id: replace(chosen, pair=replace(chosen.pair, state="primary"), primary_at=now, fallback_at=None),
        old.id: replace(old, pair=replace(old.pair, state="fallback"), fallback_at=now),
    }
    return [changed.get(key.id, key) for key in keys], (
        f"{chosen.id} is primary: it seals. {old.id} is fallback: what it sealed is accepted, and sealed again. "
        f"Next: bring the file to every server; 'retire' {old.id} after the absolute timeout (by default 30 days)."
    )


def retire(
    keys: Sequence[StoredKey], name: str | None, now: int, absolute_timeout: int = ABSOLUTE_TIMEOUT, *, force: bool
) -> Step:
    """Remove a fallback key whose sessions are over, or a staged one, which never sealed any.

    :param name: its id; None for the only fallback.
    :param absolute_timeout: seconds that a session lives at most.
    :raises ConfigError: if there is no such key, or it is primary; `RotationRefused` if such sessions may be left.
    """
    chosen = _choose(keys, name, "fallback", "retire")
    if chosen.pair.state == "primary":
        raise ConfigError(f"{chosen.id} is primary, and nothing would seal without it; 'promote' another one first")
    if chosen.pair.state == "fallback" and not force and (obstacle := _obstacle(chosen, now, absolute_timeout)):
        raise RotationRefused(f"sessions that {chosen.id} sealed may be left: retire it {obstacle}, or with --force")
    sentence = f"{chosen.id} is removed: what it sealed is not accepted any more. Next: bring the file to every server."
    return [key for key in keys if key is not chosen], sentence


def outlook(key: StoredKey, now: int, reload_interval: int, absolute_timeout: int) -> str:
    """Say what may be done with a key next, and when."""
    if key.pair.state == "primary":
        return "seals; to replace it, add and promote another"
    verb, wait = ("promote", reload_interval) if key.pair.state == "staged" else ("retire", absolute_timeout)
    return f"{verb} {_obstacle(key, now, wait) or 'now'}"


def create(path: str, keys: Sequence[StoredKey]) -> None:
    """Write a new file, which its owner alone may read.

    :raises ConfigError: if there is a file already, or it cannot be written.
    """
    with _editing(path) as real:
        if os.path.lexists(real):
            raise ConfigError(f"{path!r} exists, and its keys would be lost; 'add' a key to it, or name another file")
        _replace(real, render(keys), None)


def edit(path: str, step: Callable[[list[StoredKey]], Step]) -> str:
    """Take a step on a file's keys. Who edits it at the same time waits.

    :returns: what the step says.
    :raises ConfigError: if the file cannot be read or written, or as the step does. The file is as it was then.
    """
    with _editing(path) as real:
        content, status = read_file(real, f"keyring {path!r}")
        keys, sentence = step(parse(content, f"keyring {path!r}"))
        _replace(real, render(keys), status)
    return sentence


def _new_key(keys: Sequence[StoredKey], name: str | None, random_text: RandomText, signed_only: bool) -> StoredKey:
    taken = [key.id for key in keys]
    if name is not None and check_id("the new key", name) in taken:
        raise ConfigError(f"there is a key {name} already; give the new one another id")
    taken += [key.pair.key_id.hex() for key in keys]
    while True:  # a key id is two bytes of a hash: another key may have it
        validate, encrypt = random_text(KEY_BYTES).encode(), random_text(KEY_BYTES).encode()
        pair = KeyPair(validate, None if signed_only else encrypt, "staged")
        if pair.key_id.hex() not in taken:
            return StoredKey(name or pair.key_id.hex(), pair)


def _choose(keys: Sequence[StoredKey], name: str | None, state: State, verb: str) -> StoredKey:
    chosen = [key for key in keys if (key.pair.state == state if name is None else key.id == name)]
    if len(chosen) == 1:
        return chosen[0]
    problem = f"there is no {state} key to {verb}" if name is None else "there is no key of that id"
    if chosen:
        problem = f"there are {len(chosen)} {state} keys: name the one to {verb}"
    raise ConfigError(f"{problem}; the keyring has {', '.join(f'{key.id} ({key.pair.state})' for key in keys)}")


def _obstacle(key: StoredKey, now: int, wait: int) -> str | None:
    state, since = key.pair.state, key.since
    if since is None or since > now:
        found = "missing" if since is None else f"{utc(since)}, in the future: a clock was wrong"
        return f"when you know that it is time ({state}_at is {found})"
    if now < since + wait:
        return f"from {utc(since + wait)} on, in {since + wait - now} seconds"
    return None


@contextmanager
def _editing(path: str) -> Iterator[str]:
    real, directory = os.path.realpath(path), None  # a symbolic link stays, and its target is edited
    try:
        if sys.platform != "win32":
            directory = os.open(os.path.dirname(real), os.O_RDONLY)  # the file itself is another one after an edit
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(directory, fcntl.LOCK_EX)
        yield real
    except OSError as error:
        cure = "see that a file can be made in its directory"
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            cure = "make its directory first"
        elif isinstance(error, PermissionError):
            cure = "run this as its owner"
        raise ConfigError(f"keyring {path!r} cannot be written: {error.strerror}; {cure}") from None
    finally:
        if directory is not None:
            with suppress(OSError):  # some file systems cannot promise that a new name outlives a power cut
                os.fsync(directory)
            os.close(directory)


def _replace(path: str, content: bytes, old: os.stat_result | None) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".keyring-", dir=os.path.dirname(path))  # of mode 0600
    try:
        with open(handle, "wb") as file:
            file.write(content)
            if old is not None and sys.platform != "win32":
                os.fchown(handle, old.st_uid, old.st_gid)  # root's edit stays readable to the application
                os.fchmod(handle, stat.S_IMODE(old.st_mode))
            file.flush()
            os.fsync(handle)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
