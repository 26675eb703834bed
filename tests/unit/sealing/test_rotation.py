"""Rotation of keys: the results of the steps, the refusals, and the replacement of the file."""

import errno
import os
import secrets
import stat
import subprocess
import sys
import threading
from hashlib import sha256
from itertools import count

import pytest

from sealedsession.errors import ConfigError
from sealedsession.sealing import rotation
from sealedsession.sealing.keyring_file import StoredKey, parse, render
from sealedsession.sealing.keys import KeyPair
from sealedsession.sealing.rotation import ABSOLUTE_TIMEOUT, RELOAD_INTERVAL, RotationRefusedError

NOON = 1_795_262_400  # 2026-11-21T12:00:00Z


def stored(name, state="primary", encrypted=True, **dates):
    """Make a key with this id, from which its keys are derived."""
    encrypt = sha256(b"encrypt" + name.encode()).hexdigest().encode() if encrypted else None
    return StoredKey(name, KeyPair(sha256(name.encode()).hexdigest().encode(), encrypt, state), **dates)


def states(keys):
    return {key.id: key.pair.state for key in keys}


def resolve_keys(stored_key):
    return stored_key.pair.validate, stored_key.pair.encrypt


def texts(*numbers):
    """Return a deterministic source of random text: a text for each number, then new texts."""
    ids = iter([*numbers, *range(1000, 2000)])
    return lambda size: sha256(b"%d" % next(ids)).hexdigest()


# ------------------------------------------------------------------------------------------------------ init and add


def test_init():
    """A new keyring is one primary key with a date and two different keys."""
    keys, sentence = rotation.init(None, NOON, secrets.token_urlsafe, signed_only=False)
    (key,) = parse(render(keys), "keyring")
    assert keys == [key]
    assert key.id == key.pair.key_id.hex()
    assert (key.pair.state, key.staged_at, key.primary_at, key.fallback_at) == ("primary", None, NOON, None)
    assert key.pair.validate != key.pair.encrypt
    assert len(key.pair.validate) == len(key.pair.encrypt) == 43
    assert key.id in sentence
    assert "Next:" in sentence


def test_init_signed_only():
    """A keyring may have no encrypt_key. Keys that are added to it have none either."""
    keys, _ = rotation.init("first", NOON, texts(), signed_only=True)
    keys, _ = rotation.add(keys, "second", NOON, texts(5))
    assert [(key.id, key.pair.encrypt) for key in keys] == [("first", None), ("second", None)]
    assert len(parse(render(keys), "keyring")) == 2


def test_add():
    """A new key is staged, comes last, has new keys, and changes no other key."""
    before = [stored("old", primary_at=1)]
    keys, sentence = rotation.add(before, "new", NOON, secrets.token_urlsafe)
    assert keys[:1] == before
    assert keys[1] == StoredKey("new", KeyPair(*resolve_keys(keys[1]), "staged"), staged_at=NOON)
    assert len({*resolve_keys(keys[0]), *resolve_keys(keys[1])}) == 4
    assert "'promote' new" in sentence
    assert "promote" in sentence


def test_add_makes_keys_until_the_id_is_free():
    """`add` makes new keys until the key id is not the id or key id of another key."""
    first, _ = rotation.init(None, NOON, texts(1, 2), signed_only=False)
    second, _ = rotation.init("other", NOON, texts(3, 4), signed_only=False)
    ring = [*first, *second]
    keys, _ = rotation.add(ring, None, NOON, texts(1, 2, 3, 4, 5, 6))
    expected, _ = rotation.init(None, NOON, texts(5, 6), signed_only=False)
    assert keys[-1].id == expected[0].id
    assert resolve_keys(keys[-1]) == resolve_keys(expected[0])


@pytest.mark.parametrize("name", ["old", "", "a b", "a" * 65])
def test_add_under_a_bad_id(name):
    """An invalid id, and the id of another key, is refused."""
    with pytest.raises(ConfigError, match=r"^(key|new key)"):
        rotation.add([stored("old")], name, NOON, texts())


# ----------------------------------------------------------------------------------------------------------- promote


def test_promote():
    """The staged key becomes primary and the primary key a fallback, with the date. Other keys do not change."""
    third = stored("third", "fallback", fallback_at=3)
    ring = [stored("old", primary_at=1), stored("new", "staged", staged_at=NOON - 120), third]
    keys, sentence = rotation.promote(ring, None, NOON, force=False)
    assert keys == [
        stored("old", "fallback", primary_at=1, fallback_at=NOON),
        stored("new", "primary", staged_at=NOON - 120, primary_at=NOON),
        third,
    ]
    assert "new is primary" in sentence
    assert "old is fallback" in sentence
    assert "'retire' old" in sentence
    assert parse(render(keys), "keyring") == keys


@pytest.mark.parametrize(("age", "interval"), [(0, 1), (119, 120), (3599, 3600)])
def test_promote_too_early(age, interval):
    """Promotion before every server has the key is refused. The error names the time and --force."""
    ring = [stored("old"), stored("new", "staged", staged_at=NOON - age)]
    with pytest.raises(RotationRefusedError, match=r"^key new: .*--force") as caught:
        rotation.promote(ring, None, NOON, interval, force=False)
    assert "2026-11-21T12:00:01Z" in str(caught.value)
    assert states(rotation.promote(ring, None, NOON, interval, force=True)[0])["new"] == "primary"
    assert states(rotation.promote(ring, None, NOON + 1, interval, force=False)[0])["new"] == "primary"


def test_default_intervals():
    """By default a key is staged for two minutes, and a fallback for thirty days."""
    assert (RELOAD_INTERVAL, ABSOLUTE_TIMEOUT) == (120, 2_592_000)
    ring = [stored("old"), stored("new", "staged", staged_at=NOON - 119), stored("last", "fallback", fallback_at=NOON)]
    with pytest.raises(RotationRefusedError):
        rotation.promote(ring, None, NOON, force=False)
    with pytest.raises(RotationRefusedError):
        rotation.retire(ring, None, NOON + 2_591_999, force=False)
    assert states(rotation.retire(ring, None, NOON + 2_592_000, force=False)[0]) == {"old": "primary", "new": "staged"}


@pytest.mark.parametrize(("staged_at", "found"), [(None, "staged_at"), (NOON + 1, "2026-11-21T12:00:01Z")])
def test_promote_at_an_unknown_age(staged_at, found):
    """Promotion of a key with a missing or future date is refused unless forced."""
    ring = [stored("old"), stored("new", "staged", staged_at=staged_at)]
    with pytest.raises(RotationRefusedError, match=found) as caught:
        rotation.promote(ring, None, NOON, 0, force=False)
    assert "--force" in str(caught.value)
    assert states(rotation.promote(ring, None, NOON, 0, force=True)[0]) == {"old": "fallback", "new": "primary"}


def test_promote_one_of_several():
    """If there are several staged keys, the id is required."""
    ring = [stored("old"), stored("a", "staged", staged_at=0), stored("b", "staged", staged_at=0)]
    with pytest.raises(ConfigError, match=r"a \(staged\), b \(staged\)"):
        rotation.promote(ring, None, NOON, force=True)
    keys, _ = rotation.promote(ring, "b", NOON, force=False)
    assert states(keys) == {"old": "fallback", "a": "staged", "b": "primary"}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (None, r"old \(primary\), last \(fallback\)$"),
        ("old", "^key old:"),
        ("x", r"old \(primary\), last \(fallback\)$"),
    ],
)
def test_promote_what_is_not_staged(name, part):
    """The primary key cannot be promoted. Without an id, only a staged key can."""
    for force in (False, True):
        with pytest.raises(ConfigError, match=part):
            rotation.promote([stored("old"), stored("last", "fallback")], name, NOON, force=force)


def test_promotion_taken_back():
    """A promotion can be undone at once. The other key is then retired like every fallback."""
    before = [stored("old", primary_at=NOON - 500), stored("new", "staged", staged_at=NOON - 200)]
    promoted, _ = rotation.promote(before, None, NOON, force=False)
    back, sentence = rotation.promote(promoted, "old", NOON + 1, force=False)
    assert back == parse(render(back), "keyring")
    assert states(back) == {"old": "primary", "new": "fallback"}
    assert (back[0].primary_at, back[0].fallback_at, back[1].fallback_at) == (NOON + 1, None, NOON + 1)
    assert "'retire' new" in sentence
    with pytest.raises(RotationRefusedError, match=r"^key new:"):
        rotation.retire(back, "new", NOON + ABSOLUTE_TIMEOUT, force=False)
    assert states(rotation.retire(back, "new", NOON + 1 + ABSOLUTE_TIMEOUT, force=False)[0]) == {"old": "primary"}
    assert states(rotation.promote(back, "new", NOON + 2, force=False)[0]) == {"old": "fallback", "new": "primary"}


def test_promote_a_fallback_of_unknown_age():
    """A fallback without a date may not be on every server, and its promotion is refused."""
    ring = [stored("old"), stored("last", "fallback")]
    with pytest.raises(RotationRefusedError, match=r"^key last: .*fallback_at"):
        rotation.promote(ring, "last", NOON, force=False)
    assert states(rotation.promote(ring, "last", NOON, force=True)[0]) == {"old": "fallback", "last": "primary"}


# ------------------------------------------------------------------------------------------------------------ retire


def test_retire_too_early():
    """Removal of a key whose sessions may not have ended is refused. The error names the time and --force."""
    ring = [stored("new"), stored("old", "fallback", fallback_at=NOON)]
    with pytest.raises(RotationRefusedError, match=r"^key old: .*--force") as caught:
        rotation.retire(ring, None, NOON + 1, 60, force=False)
    assert "2026-11-21T12:01:00Z" in str(caught.value)
    assert states(rotation.retire(ring, "old", NOON + 1, 60, force=True)[0]) == {"new": "primary"}
    keys, sentence = rotation.retire(ring, None, NOON + 60, 60, force=False)
    assert keys == ring[:1]
    assert "old is removed" in sentence


@pytest.mark.parametrize(("fallback_at", "found"), [(None, "fallback_at"), (NOON + 1, "2026-11-21T12:00:01Z")])
def test_retire_at_an_unknown_age(fallback_at, found):
    """Removal of a fallback with a missing or future date is refused unless forced."""
    ring = [stored("new"), stored("old", "fallback", fallback_at=fallback_at)]
    with pytest.raises(RotationRefusedError, match=found):
        rotation.retire(ring, None, NOON, 0, force=False)
    assert states(rotation.retire(ring, None, NOON, 0, force=True)[0]) == {"new": "primary"}


@pytest.mark.parametrize("staged_at", [None, NOON, NOON + 999])
def test_retire_a_staged_key(staged_at):
    """A staged key has sealed nothing, and can be removed at any time by its id."""
    ring = [stored("new"), stored("next", "staged", staged_at=staged_at)]
    assert states(rotation.retire(ring, "next", NOON, force=False)[0]) == {"new": "primary"}
    with pytest.raises(ConfigError, match=r"new \(primary\), next \(staged\)$"):
        rotation.retire(ring, None, NOON, force=False)


def test_retire_the_primary_key():
    """The primary key cannot be removed, even if forced."""
    for force in (False, True):
        with pytest.raises(ConfigError, match=r"^key old:"):
            rotation.retire([stored("old", primary_at=0)], "old", NOON, force=force)


def test_retire_one_of_several():
    """If there are several fallbacks, the id is required."""
    ring = [stored("new"), stored("a", "fallback", fallback_at=0), stored("b", "fallback", fallback_at=0)]
    with pytest.raises(ConfigError, match=r"a \(fallback\), b \(fallback\)"):
        rotation.retire(ring, None, NOON, force=True)
    assert states(rotation.retire(ring, "a", NOON, force=False)[0]) == {"new": "primary", "b": "fallback"}


def test_next_step():
    """The description of the next step agrees with what the steps allow."""
    cases = {
        stored("a"): "seals; to replace it, add and promote another",
        stored("b", "staged", staged_at=NOON - 60): "promote now",
        stored("c", "staged", staged_at=NOON - 50): "promote from 2026-11-21T12:00:10Z on, in 10 seconds",
        stored("d", "fallback", fallback_at=NOON - 600): "retire now",
        stored("e", "fallback", fallback_at=NOON - 599): "retire from 2026-11-21T12:00:01Z on, in 1 seconds",
        stored("f", "fallback"): "retire when you know that it is safe (fallback_at is missing)",
    }
    assert {key: rotation.next_step(key, NOON, 60, 600) for key in cases} == cases


# ---------------------------------------------------------------------------------------------------------- the file


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "keys.json"
    rotation.create(str(path), [stored("old", primary_at=1)])
    return path


def add(name):
    return lambda keys: rotation.add(keys, name, NOON, secrets.token_urlsafe)


def read(path):
    return states(parse(path.read_bytes(), "keyring"))


def read_mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_create(path):
    """A new file contains the keys, only its owner can open it, and no other file is left."""
    assert read(path) == {"old": "primary"}
    assert read_mode(path) == 0o600
    assert os.listdir(path.parent) == [path.name]


def test_create_over_a_file(path):
    """An existing file of any kind is not overwritten."""
    before = path.read_bytes()
    (path.parent / "link").symlink_to(path)
    (path.parent / "circle").symlink_to("circle")
    for name in ("keys.json", "link", "circle", "."):
        with pytest.raises(ConfigError, match="exists"):
            rotation.create(str(path.parent / name), [stored("new")])
    assert path.read_bytes() == before


def test_edit(path):
    """A step replaces the file, returns its message, and leaves no other file."""
    inode = path.stat().st_ino
    assert "'promote' new" in rotation.edit(str(path), add("new"))
    assert read(path) == {"old": "primary", "new": "staged"}
    assert path.stat().st_ino != inode
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_mode_stays(path, mode):
    """The file keeps its mode, whatever the umask is."""
    path.chmod(mode)
    before = os.umask(0o077)
    try:
        rotation.edit(str(path), add("new"))
    finally:
        os.umask(before)
    assert read_mode(path) == mode


@pytest.mark.skipif(os.getuid() != 0, reason="root alone gives files away")
def test_owner_stays(path):
    """The file keeps its owner if root edits it."""
    os.chown(path, 12345, 23456)
    rotation.edit(str(path), add("new"))
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_never_open_to_more(path, monkeypatch):
    """The temporary file is never readable to more users than the file."""
    modes = []
    write = os.fsync

    def fsync(handle):
        modes.append(stat.S_IMODE(os.fstat(handle).st_mode))
        write(handle)

    def fchown(handle, user, group):
        modes.append(stat.S_IMODE(os.fstat(handle).st_mode))

    monkeypatch.setattr("sealedsession.sealing.rotation.os.fsync", fsync)
    monkeypatch.setattr("sealedsession.sealing.rotation.os.fchown", fchown)
    path.chmod(0o640)
    before = os.umask(0)
    try:
        rotation.edit(str(path), add("new"))
    finally:
        os.umask(before)
    assert modes[:2] == [0o600, 0o640]


def test_order_of_writing(path, monkeypatch):
    """The new file is synced before it is renamed, and the directory afterwards, against power cuts."""
    order = []
    sync, replace = os.fsync, os.replace

    def fsync(handle):
        order.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else os.fstat(handle).st_size)
        sync(handle)

    monkeypatch.setattr("sealedsession.sealing.rotation.os.fsync", fsync)
    monkeypatch.setattr(
        "sealedsession.sealing.rotation.os.replace", lambda *names: order.append("name") or replace(*names)
    )
    rotation.edit(str(path), add("new"))
    assert order == [path.stat().st_size, "name", "directory"]


def test_link_stays(path):
    """A symbolic link stays, and its target is replaced."""
    link = path.parent / "elsewhere" / "link.json"
    link.parent.mkdir()
    link.symlink_to("../keys.json")
    rotation.edit(str(link), add("new"))
    assert link.is_symlink()
    assert read(path) == {"old": "primary", "new": "staged"}
    assert not path.is_symlink()


def test_relative_path(path, monkeypatch):
    """A name without a directory is a file in the working directory."""
    monkeypatch.chdir(path.parent)
    rotation.edit(path.name, add("new"))
    assert len(read(path)) == 2


def test_refused_step(path):
    """A refused step leaves the file unchanged, and no other file."""
    before = path.stat()
    with pytest.raises(ConfigError, match=r"\(primary\)"):
        rotation.edit(str(path), lambda keys: rotation.promote(keys, None, NOON, force=True))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(path.parent) == [path.name]


def test_failing_write(path, monkeypatch):
    """A write that fails leaves the file unchanged, and no other file."""

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = path.read_bytes()
    monkeypatch.setattr("sealedsession.sealing.rotation.os.fsync", full)
    with pytest.raises(ConfigError, match=rf"^keyring '.*keys\.json': .*{os.strerror(errno.ENOSPC)}"):
        rotation.edit(str(path), add("new"))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_not_permitted(path, monkeypatch, number):
    """The error for missing permissions advises running the command as the owner."""

    def refuse(name, flags):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("sealedsession.sealing.rotation.os.open", refuse)
    with pytest.raises(ConfigError, match=rf"keys\.json': .*{os.strerror(number)}"):
        rotation.edit(str(path), add("new"))


def test_broken_file(path):
    """A broken or missing file is refused and not changed."""
    path.write_text("{}")
    with pytest.raises(ConfigError, match=r"keys\.json': version"):
        rotation.edit(str(path), add("new"))
    assert path.read_text() == "{}"
    with pytest.raises(ConfigError, match=rf"missing': .*{os.strerror(errno.ENOENT)}"):
        rotation.edit(str(path.parent / "missing"), add("new"))


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)),
        NotADirectoryError(20, "Not a directory"),
        PermissionError(13, "Permission denied"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    ],
)
def test_a_file_that_cannot_be_written(path, monkeypatch, error):
    """The error for a file that cannot be written names the file and the cause."""

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr("sealedsession.sealing.rotation.tempfile.mkstemp", refuse)
    with pytest.raises(ConfigError, match=rf"keys\.json': .*: {error.strerror}"):
        rotation.edit(str(path), add("new"))


def test_a_directory_that_does_not_exist(path):
    """A new file in a missing directory is refused, with the cause."""
    for directory, cause in (("missing", "No such file"), ("keys.json", "Not a directory")):
        with pytest.raises(ConfigError, match=rf"new\.json': .*{cause}"):
            rotation.create(str(path.parent / directory / "new.json"), [stored("new")])


def test_editors_wait_for_each_other(path):
    """A step that begins during another step sees the changes of the other one."""
    order = []
    second_is_there = threading.Event()

    def second():
        second_is_there.set()
        rotation.edit(str(path), lambda keys: order.append("second") or add("b")(keys))

    thread = threading.Thread(target=second)

    def first(keys):
        thread.start()
        second_is_there.wait(20)
        thread.join(0.2)  # without a lock it would be through by then
        order.append("first")
        return add("a")(keys)

    rotation.edit(str(path), first)
    thread.join()
    assert order == ["first", "second"]
    assert read(path) == {"old": "primary", "a": "staged", "b": "staged"}


def test_no_locks(path, monkeypatch):
    """A step works on a file system without locks."""

    def flock(handle, operation):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("sealedsession.sealing.rotation.fcntl.flock", flock)
    rotation.edit(str(path), add("new"))
    assert len(read(path)) == 2


def test_no_promise_of_the_directory(path, monkeypatch):
    """A step works if the directory cannot be synced."""
    sync = os.fsync

    def fsync(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        sync(handle)

    monkeypatch.setattr("sealedsession.sealing.rotation.os.fsync", fsync)
    rotation.edit(str(path), add("new"))
    assert len(read(path)) == 2


def test_processes_at_once(path):
    """No key is lost if several processes add keys at once."""
    command = [sys.executable, "-m", "sealedsession", "keyring", "add", str(path), "--id"]
    processes = [subprocess.Popen([*command, f"p{number}"], stdout=subprocess.DEVNULL) for number in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert read(path) == {"old": "primary", **{f"p{number}": "staged" for number in range(4)}}


def test_a_life(path):
    """After any sequence of steps, every server has had the primary key for long enough."""
    seconds = count(NOON, 120)
    known = {"old"}
    for number in range(5):
        rotation.edit(str(path), lambda keys: rotation.add(keys, None, next(seconds), secrets.token_urlsafe))
        known_before, known = known, set(read(path))
        assert len(known - known_before) == 1
        rotation.edit(str(path), lambda keys: rotation.promote(keys, None, next(seconds), force=False))
        assert [name for name, state in read(path).items() if state == "primary"] == list(known - known_before)
        if number:
            oldest = next(iter(read(path)))
            rotation.edit(str(path), lambda keys, name=oldest: rotation.retire(keys, name, NOON, 0, force=True))
            known.discard(oldest)
    assert list(read(path).values()) == ["fallback", "primary"]
