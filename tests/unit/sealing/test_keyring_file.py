"""The JSON keyring: its schema, the refusals, and how the file is read again."""

import json
import logging
import os
import threading
import time
import traceback
from base64 import urlsafe_b64encode
from contextlib import suppress
from hashlib import sha256
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealedsession.errors import ConfigError
from sealedsession.sealing.key_rules import KEY_LIMIT
from sealedsession.sealing.keyring_file import (
    SIZE_LIMIT,
    KeyringBeingWrittenError,
    KeyringFile,
    StoredKey,
    keyring_from_source,
    parse,
    read_file,
    render,
    utc,
)
from sealedsession.sealing.keys import KeyPair, Keyring
from tests.support.forks import fork

SOURCE = "keyring 'file:/run/keys.json'"
NOON = 1_795_262_400  # 2026-11-21T12:00:00Z


def key_text(number):
    return urlsafe_b64encode(sha256(b"key %d" % number).digest()).decode().rstrip("=")


def entry(number, state="primary", **members):
    """Return a key of a keyring as a dict. None removes a member."""
    keys = {"validate_key": key_text(2 * number), "encrypt_key": key_text(2 * number + 1)}
    found = {"id": f"k{number}", "state": state, **keys, **members}
    return {name: value for name, value in found.items() if value is not None}


def document(*entries, **members):
    return json.dumps({"version": 1, "keys": list(entries), **members})


def refusal(content):
    """Check that a keyring is refused with its source. Return what a log would show of the error and its causes."""
    with pytest.raises(ConfigError) as caught:
        parse(content, SOURCE)
    assert str(caught.value).startswith(SOURCE)
    return "".join(traceback.format_exception(caught.value, limit=0)) + repr(caught.value)


def parsed(content):
    """Return the keys, or the error."""
    try:
        return parse(content, SOURCE), None
    except ConfigError as error:
        return None, str(error)


# --------------------------------------------------------------------------------------------------- what it holds


def test_every_member():
    """A keyring has ids, keys, states and dates, in the order of the file."""
    dates = {"staged_at": "2026-11-21T11:00:00Z", "primary_at": "2026-11-21T12:00:00Z"}
    keys = parse(document(entry(1, **dates), entry(2, "fallback"), entry(3, "staged")), SOURCE)
    assert keys == [
        StoredKey("k1", KeyPair(key_text(2).encode(), key_text(3).encode(), "primary"), NOON - 3600, NOON, None),
        StoredKey("k2", KeyPair(key_text(4).encode(), key_text(5).encode(), "fallback")),
        StoredKey("k3", KeyPair(key_text(6).encode(), key_text(7).encode(), "staged")),
    ]


def test_smallest_keyring():
    """Only state and validate_key are required. The default id is the key id, and tokens are signed only."""
    (key,) = parse(json.dumps({"version": 1, "keys": [{"state": "primary", "validate_key": key_text(1)}]}), SOURCE)
    pair = KeyPair(key_text(1).encode(), None, "primary")
    assert key == StoredKey(pair.key_id.hex(), pair, None, None, None)


def test_null_is_absent():
    """An optional member that is null counts as missing."""
    text = json.dumps({"version": 1, "keys": [{**entry(1), "id": None, "staged_at": None, "encrypt_key": None}]})
    assert parse(text, SOURCE) == parse(document(entry(1, id=None, encrypt_key=None)), SOURCE)


@pytest.mark.parametrize("state", ["staged", "primary", "fallback"])
def test_since(state):
    """`since` is the time when the current state began, or None if that is unknown."""
    dates = {"staged": "2026-11-21T12:00:01Z", "primary": "2026-11-21T12:00:02Z", "fallback": "2026-11-21T12:00:03Z"}
    reached = {f"{each}_at": dates[each] for each in list(dates)[: list(dates).index(state) + 1]}
    others = [] if state == "primary" else [entry(2)]
    assert parse(document(entry(1, state, **reached), *others), SOURCE)[0].since == NOON + int(dates[state][-2])
    assert parse(document(entry(1, state), *others), SOURCE)[0].since is None


def test_bytes_and_str():
    """A keyring can be parsed from bytes in UTF-8 and from str."""
    text = json.dumps({"version": 1, "keys": [entry(1)]})
    (key,) = parse(text.encode(), SOURCE)
    assert [key] == parse(text, SOURCE)
    assert key.pair.validate == key_text(2).encode()


identifiers = st.text("abcXYZ019._-", min_size=1, max_size=31)
moments = st.none() | st.integers(-62_135_596_800, 253_402_300_799)  # the years 1 to 9999


@st.composite
def keyrings(draw):
    names = draw(st.lists(identifiers, min_size=1, max_size=5, unique=True))
    encrypted = draw(st.booleans())
    keys = []
    for number, name in enumerate(names):
        state = "primary" if number == 0 else draw(st.sampled_from(["staged", "fallback"]))
        dates = [draw(moments) for _ in range({"staged": 1, "primary": 2, "fallback": 3}[state])]
        end = draw(st.sampled_from(["", "="]))  # base64 is padded or not
        encrypt = f"{key_text(2 * number + 1)}{end}".encode() if encrypted else None
        keys.append(StoredKey(name, KeyPair(f"{key_text(2 * number)}{end}".encode(), encrypt, state), *dates))
    return draw(st.permutations(keys))


@given(keyrings())
def test_round_trip(keys):
    """`parse` returns the keys that `render` has written, in ASCII."""
    assert render(keys).isascii()
    assert parse(render(keys), SOURCE) == keys


def test_utc():
    """Times are formatted as in the schema."""
    assert [utc(NOON), utc(0), utc(-1)] == ["2026-11-21T12:00:00Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z"]


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "empty"),
        (" \n", "empty"),
        ("no JSON", "line 1 column 1"),
        (document(entry(1))[:-20], "Write the complete file again"),
        (b'{"version": 1, "keys": ["\xff"]}', "not UTF-8 at byte 25"),
        ("[" * 100_000, "nested too deeply"),
        ('{"version": ' + "1" * 5000 + "}", "Exceeds the limit"),
        ('{"version": 1, "version": 1, "keys": []}', "twice"),
        ('{"version": 1, "keys": [{"state": "primary", "state": "staged"}]}', "state is given twice"),
        (document(entry(1)) + " " * SIZE_LIMIT, "larger than 1048576 bytes"),
        ("[]", "must be an object"),
        ("null", "must be an object"),
        ("{}", "version is missing"),
        ('{"keys": []}', "version is missing"),
        ('{"version": 1}', "keys is missing"),
        ('{"version": 2, "other": []}', "version must be 1"),
        (document(version="1"), "version must be 1"),
        (document(version=True), "version must be 1"),
        (document(version=1.0), "version must be 1"),
        (document(entry(1), comment="ours"), "unknown member 'comment'. The members are version, keys"),
        (document(keys={}), "keys must be a list"),
        (document(), "got 0 primary keys"),
        (document("k1"), "keys[0]: it must be an object"),
        (document(entry(1), []), "keys[1]: it must be an object"),
        (document(entry(1), entry(2, None)), "keys[1]: state is missing"),
        (document(entry(1, validate_key=None)), "keys[0]: validate_key is missing"),
        (document(entry(1, secret="x")), "keys[0]: unknown member 'secret'. The members are id, state, validate_key"),
        (document(entry(1, "current")), "state must be one of staged, primary, fallback"),
        (document(entry(1, ["primary"])), "state must be a string"),
        (document(entry(1, encrypt_key=5)), "encrypt_key must be a string"),
        (document(entry(1, encrypt_key=False)), "encrypt_key must be a string"),
        (document(entry(1, primary_at=1795262400)), "primary_at must be a string"),
        (document(entry(1), entry(2)), "(k1 primary, k2 primary): exactly one key"),
        (document(entry(1, "staged")), "got 0 primary keys"),
        (document(entry(1), entry(2, "staged", encrypt_key=None)), "some keys have an encrypt_key and some have none"),
        (document(entry(1), entry(2, "staged", id="k1")), "keys[1]: the id 'k1' is that of another key"),
        (document(entry(1), entry(1, "staged", id="k2")), "one key is given twice"),
        (document(entry(1, encrypt_key=key_text(2))), "one key is given twice"),
        (document(entry(1, validate_key="")), "'k1': validate_key: a key of 32 bytes has at least 43 char"),
        (document(entry(1, encrypt_key="0" * 64)), "'k1': encrypt_key: it has only 1 different bytes"),
        (document(entry(1, validate_key=key_text(1) + "\ud800")), "'k1': validate_key: it is not hexadecimal, base64"),
        (document(entry(1, validate_key="env:SESSION_VALIDATE_KEY_OF_THE_SHOP")), "contains the keys themselves"),
        (document(entry(1, validate_key="/run/secrets/session_validate_key_of_the_shop")), "the keys themselves"),
        (document(entry(1, encrypt_key="file:/run/secrets/session_encrypt_key")), "contains the keys themselves"),
        (document(entry(1, validate_key=key_text(1) * 25)), "'k1': validate_key: it is longer than 1024 characters"),
        (document(entry(1, staged_at="2026-11-21T12:00:00Z", fallback_at="2026-11-21T12:00:00Z")), "later state"),
        (document(entry(1), entry(2, "staged", primary_at="2026-11-21T12:00:00Z")), "later state"),
    ],
)  # fmt: skip
def test_refused(content, part):
    """A violation of the schema is a ConfigError that names the source, the place and the problem."""
    assert part in refusal(content)


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b", "a\n", "a" * 32, "k\0"])
def test_bad_id(name):
    """An id is 1 to 31 letters, digits, dots, underscores and hyphens."""
    assert "keys[0]: an id must be" in refusal(document(entry(1, id=name)))


def test_longest_id_and_key():
    """An id of 31 characters and a key of the greatest length are accepted."""
    long_key = "".join(key_text(n) for n in range(100, 130))[:KEY_LIMIT]
    (key,) = parse(document(entry(1, id="a" * 31, validate_key=long_key)), SOURCE)
    assert (key.id, len(key.pair.validate)) == ("a" * 31, KEY_LIMIT)


def test_largest_keyring():
    """A keyring of exactly the size limit is accepted."""
    assert len(parse(document(entry(1)).ljust(SIZE_LIMIT), SOURCE)) == 1


@pytest.mark.parametrize(
    "date",
    [
        "", "now", "2026-11-21", "2026-11-21T12:00:00", "2026-11-21T12:00:00+00:00", "2026-11-21T12:00:00z",
        "2026-11-21 12:00:00Z", "2026-1-1T12:00:00Z", "2026-02-30T12:00:00Z", "2026-11-21T24:00:00Z",
        "2026-11-21T12:00:60Z", "2026-11-21T12:00:00.5Z", "0000-11-21T12:00:00Z", "٢٠٢٦-11-21T12:00:00Z", "\ud800",
    ],
)  # fmt: skip
def test_bad_date(date):
    """A date that does not exist, or in another format, is refused."""
    assert "'k1': primary_at must be a time in UTC, such as" in refusal(document(entry(1, primary_at=date)))


def test_derived_ids_that_are_equal():
    """An id may not be the key id of a key without an id."""
    derived = parse(document(entry(1, id=None)), SOURCE)[0].id
    assert f"the id '{derived}' is that of another key" in refusal(
        document(entry(1, id=None), entry(2, "staged", id=derived))
    )


SECRET = "correct-horse-battery-staple-correct-horse"


@pytest.mark.parametrize(
    "content",
    [
        document(entry(1, validate_key=SECRET, encrypt_key=SECRET)),
        document(entry(1, validate_key=SECRET + "\ud800")),
        document(entry(1, validate_key=SECRET * 40)),
        document(entry(1, validate_key="env:" + SECRET)),
        document(entry(1, SECRET)),
        document(entry(1, id=SECRET + "!")),
        document(entry(1, staged_at=SECRET)),
        document(entry(1, **{SECRET: "primary"})),
        document(entry(1), **{SECRET: "primary"}),
        document(version=SECRET),
        document(SECRET),
        document(keys=SECRET),
        f'{{"{SECRET}": 1, "{SECRET}": 1}}',
        json.dumps(SECRET),
        SECRET,
        f'{{"version": 1, "keys": [{{"validate_key": "{SECRET}',
        b'{"version": 1, "keys": [{"validate_key": "' + SECRET.encode() + b'\xff"}]}',
    ],
)
def test_no_key_in_an_error(content):
    """No error shows a key, even if it is in the wrong place."""
    assert "horse" not in refusal(content)


def test_no_key_in_a_repr():
    """repr() of a stored key shows its id and dates, and not its keys."""
    shown = repr(parse(document(entry(1, primary_at="2026-11-21T12:00:00Z")), SOURCE))
    assert "k1" in shown
    assert str(NOON) in shown
    assert not any(key_text(number) in shown for number in (2, 3))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["primary", key_text(1)]),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=20,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("k1") | json_values,
        "state": st.sampled_from(["primary", "staged", "fallback"]) | json_values,
        "validate_key": st.sampled_from([key_text(1), key_text(2)]) | json_values,
        "encrypt_key": st.sampled_from([key_text(3), key_text(4)]) | json_values,
        "primary_at": st.sampled_from(["2026-11-21T12:00:00Z"]) | json_values,
        "other": json_values,
    },
)
documents = st.fixed_dictionaries({"version": st.just(1) | json_values, "keys": st.lists(entries) | json_values})


@given(st.one_of(st.binary(), st.text(), json_values.map(json.dumps), documents.map(json.dumps)))
def test_anything(content):
    """For any content, `parse` returns keys that make a keyring, or raises a ConfigError."""
    keys, problem = parsed(content)
    assert keys is None or parse(render(keys), SOURCE) == keys
    assert problem is None or problem.startswith(SOURCE)


@given(st.integers(0, 2000), st.binary(max_size=4))
def test_damaged(position, damage):
    """A keyring with some bytes replaced is parsed, or refused with a ConfigError."""
    whole = document(entry(1, primary_at="2026-11-21T12:00:00Z"), entry(2, "staged")).encode()
    position %= len(whole)
    keys, problem = parsed(whole[:position] + damage + whole[position + len(damage) :])
    assert keys is None or len(keys) == 2
    assert problem is None or problem.startswith(SOURCE)


# ------------------------------------------------------------------------------------------- the option keyring


class Reports(list):
    """Collects reports, and clears them when they are taken."""

    def __call__(self, error):
        self.append(error)

    def take(self):
        taken = [str(error) if error else None for error in self]
        self.clear()
        return taken


@pytest.fixture
def reports():
    return Reports()


def write(path, text):
    """Replace a file by one that only its owner can open."""
    temporary = path.with_name("temporary")
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.replace(path)


def primary(keyring):
    """Return the number of the primary entry."""
    texts = {key_text(2 * number).encode(): number for number in range(10)}
    return texts[keyring.pairs[0].validate]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "keys.json"
    write(path, document(entry(1)))
    return path


def test_option_file(path, reports):
    """file:PATH is a keyring that is read again."""
    keyring = keyring_from_source(f"file:{path}", reports)
    assert isinstance(keyring, KeyringFile)
    assert primary(keyring.current(1)) == 1


def test_option_env(monkeypatch, reports):
    """env:NAME is the keyring in the variable."""
    monkeypatch.setenv("SESSION_KEYRING", document(entry(1), entry(2, "staged")))
    keyring = keyring_from_source("env:SESSION_KEYRING", reports)
    assert isinstance(keyring, Keyring)
    assert [pair.state for pair in keyring.pairs] == ["primary", "staged"]


@pytest.mark.parametrize("name", ["SESSION_KEYRING", "", "A\0B", "\ud800"])
def test_option_env_without_the_variable(monkeypatch, reports, name):
    """The error for a missing or impossible variable names the option and the variable."""
    monkeypatch.delenv("SESSION_KEYRING", raising=False)
    with pytest.raises(ConfigError, match=r"^keyring 'env:"):
        keyring_from_source(f"env:{name}", reports)


@pytest.mark.parametrize("content", [b"\xff", b"{}", SECRET.encode()])
def test_broken_variable(monkeypatch, reports, content):
    """The error for a variable without a keyring names the variable, and does not show its value."""
    monkeypatch.setenv("SESSION_KEYRING", os.fsdecode(content))
    with pytest.raises(ConfigError, match=r"^keyring 'env:SESSION_KEYRING'") as caught:
        keyring_from_source("env:SESSION_KEYRING", reports)
    assert "horse" not in str(caught.value)


@pytest.mark.parametrize("source", [SECRET, "", "FILE:x", document(entry(1)), None, 5, SECRET.encode(), [SECRET]])
def test_option_of_another_kind(reports, source):
    """The error for another form names the option and both forms. It does not show the value."""
    with pytest.raises(ConfigError, match=r"^keyring:") as caught:
        keyring_from_source(source, reports)
    assert "horse" not in str(caught.value)
    assert key_text(2) not in str(caught.value)


def test_unreadable_at_start(tmp_path, reports):
    """The error for a file that cannot be read names the path and the cause."""
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "plain").write_text("no directory")
    os.mkfifo(tmp_path / "pipe")
    causes = {
        "missing": "No such file", ".": "directory", "plain/key": "Not a directory", "circle": "symbolic links",
        "pipe": "a pipe or a device", "a\0b": "ValueError", "plain": "not a keyring in JSON",
    }  # fmt: skip
    for name, cause in causes.items():
        with pytest.raises(ConfigError) as caught:
            KeyringFile(f"{tmp_path}/{name}", reports)
        assert str(caught.value).startswith(f"keyring {f'file:{tmp_path}/{name}'!r}")
        assert cause in str(caught.value)
    with pytest.raises(ConfigError, match="keyring 'file:'"):
        keyring_from_source("file:", reports)
    assert reports == []


def test_size_limit_of_the_file(path, reports):
    """A file over the size limit is refused after the limit and one byte were read."""
    path.write_bytes(b" " * (SIZE_LIMIT + 10))
    assert len(read_file(str(path), SOURCE)[0]) == SIZE_LIMIT + 1
    with pytest.raises(ConfigError, match=f"^keyring .*{SIZE_LIMIT}"):
        KeyringFile(str(path), reports)


def written_while_read(patched, path):
    """Make the file grow in place on every fstat."""
    ask = os.fstat

    def fstat(handle):
        status = ask(handle)
        with path.open("a") as file:
            file.write(" ")
        return status

    patched.setattr("sealedsession.sealing.keyring_file.os.fstat", fstat)


def test_changed_while_it_is_read(path, reports, monkeypatch):
    """A file that changes while it is read is refused at start."""
    written_while_read(monkeypatch, path)
    with pytest.raises(KeyringBeingWrittenError, match=r"^keyring '"):
        KeyringFile(str(path), reports)


# --------------------------------------------------------------------------------------------------- reading again


def test_unchanged(path, reports):
    """While the file does not change, the keyring is the same object, and nothing is reported."""
    keyring = KeyringFile(str(path), reports)
    assert len({id(keyring.current(second)) for second in range(5)}) == 1
    assert reports == []


def test_replaced(path, reports):
    """A replaced file is in use from the next second, and is reported once."""
    keyring = KeyringFile(str(path), reports)
    old = keyring.current(1)
    write(path, document(entry(2), entry(1, "fallback")))
    assert keyring.current(1) is old
    assert reports.take() == []
    new = keyring.current(2)
    assert primary(new) == 2
    assert [keyring.current(3), keyring.current(4)] == [new, new]
    assert reports.take() == [None]


def test_state_alone_changes(path, reports):
    """The same keys in other states are another keyring."""
    write(path, document(entry(1), entry(2, "staged")))
    keyring = KeyringFile(str(path), reports)
    write(path, document(entry(2), entry(1, "fallback")))
    assert primary(keyring.current(1)) == 2
    assert reports.take() == [None]


def test_clock_that_goes_back(path, reports):
    """The file is also checked after the clock was set back."""
    keyring = KeyringFile(str(path), reports)
    keyring.current(1_000_000)
    write(path, document(entry(2)))
    assert primary(keyring.current(5)) == 2


def test_one_look_a_second(path, reports, monkeypatch):
    """The file is checked once a second, for any number of calls."""
    keyring = KeyringFile(str(path), reports)
    looks = []
    monkeypatch.setattr("sealedsession.sealing.keyring_file.os.stat", lambda path: looks.append(path) or os.lstat(path))
    for _ in range(100):
        keyring.current(7)
    assert looks == [str(path)]


def test_kubernetes_swaps_a_link(tmp_path, reports):
    """A mounted secret is read again after Kubernetes has swapped the link ..data."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        write(tmp_path / f"..{number}" / "keys.json", document(entry(number)))
        os.utime(tmp_path / f"..{number}" / "keys.json", (NOON, NOON))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "keys.json").symlink_to("..data/keys.json")
    keyring = KeyringFile(str(tmp_path / "keys.json"), reports)
    assert primary(keyring.current(1)) == 1
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert primary(keyring.current(2)) == 2
    assert reports.take() == [None]


def test_written_in_place(path, reports):
    """An incomplete file is reported once, and the keys stay. The complete file is in use."""
    keyring = KeyringFile(str(path), reports)
    old = keyring.current(1)
    whole = document(entry(2), entry(1, "fallback"))
    with path.open("w") as file:
        file.write(whole[:50])
        file.flush()
        assert [keyring.current(second) for second in (2, 3, 4)] == [old] * 3
        (problem,) = reports.take()
        assert "not a keyring in JSON" in problem
        file.write(whole[50:])
    assert primary(keyring.current(5)) == 2
    assert reports.take() == [None]


def test_being_written(path, reports, monkeypatch):
    """A file that changes while it is read is not reported. It is read in the next second."""
    keyring = KeyringFile(str(path), reports)
    write(path, document(entry(2)))
    with monkeypatch.context() as patched:
        written_while_read(patched, path)
        assert primary(keyring.current(1)) == 1
    assert reports.take() == []
    assert primary(keyring.current(2)) == 2
    assert reports.take() == [None]


def test_distinct_problems(path, reports):
    """Each new problem is reported once. A problem that returns is reported again."""
    keyring = KeyringFile(str(path), reports)
    for second, content in enumerate(["{}", "{}", "[]", "[]", document(entry(1)), "{}"]):
        write(path, content)
        assert primary(keyring.current(second)) == 1
        keyring.current(second + 100)
    found = reports.take()
    assert len(found) == 4
    assert found[2] is None
    assert found[0] == found[3] != found[1]


def test_deleted_and_back(path, reports):
    """A deleted file is reported once. The same file is reported and read when it is restored."""
    keyring = KeyringFile(str(path), reports)
    old = keyring.current(1)
    hidden = path.rename(path.with_name("hidden"))
    assert [keyring.current(second) for second in (2, 3, 4)] == [old] * 3
    (problem,) = reports.take()
    assert "No such file" in problem
    hidden.rename(path)
    assert keyring.current(5) is old
    assert reports.take() == [None]
    write(path, document(entry(2)))
    assert primary(keyring.current(6)) == 2


@pytest.mark.parametrize("wrong", ["missing", "broken"])
def test_link_that_goes_astray_and_back(tmp_path, path, reports, wrong):
    """A link that returns to the unchanged file ends the problem."""
    (tmp_path / "broken").write_text("{}")
    (tmp_path / "link").symlink_to(path)
    keyring = KeyringFile(str(tmp_path / "link"), reports)
    for second, target in enumerate([wrong, wrong, path]):
        (tmp_path / "new link").symlink_to(target)
        (tmp_path / "new link").replace(tmp_path / "link")
        assert primary(keyring.current(second)) == 1
    problem, end = reports.take()
    assert problem
    assert end is None


def test_unreadable_later(path, reports):
    """If a directory replaces the file, the keys stay."""
    keyring = KeyringFile(str(path), reports)
    path.unlink()
    path.mkdir()
    assert primary(keyring.current(1)) == 1
    (problem,) = reports.take()
    assert "directory" in problem


def test_touched(path, reports):
    """A file with other dates, formatting or place gives the same keyring and no report."""
    keyring = KeyringFile(str(path), reports)
    old = keyring.current(1)
    os.utime(path, (1, 1))
    assert keyring.current(2) is old
    write(path, document(entry(1, id="other", primary_at="2026-11-21T12:00:00Z")))
    assert keyring.current(3) is old
    assert reports == []


@pytest.mark.parametrize("encrypted", [True, False])
def test_kind_changes(tmp_path, reports, encrypted):
    """A running application does not change between encrypted and signed-only tokens."""
    path = tmp_path / "keys.json"
    encrypt_keys = [{}, {"encrypt_key": None}] if encrypted else [{"encrypt_key": None}, {}]
    write(path, document(entry(1, **encrypt_keys[0])))
    keyring = KeyringFile(str(path), reports)
    write(path, document(entry(2, **encrypt_keys[1])))
    assert [primary(keyring.current(second)) for second in (1, 2)] == [1, 1]
    (problem,) = reports.take()
    assert "Restart" in problem
    write(path, document(entry(3, **encrypt_keys[0])))
    assert primary(keyring.current(3)) == 3


def test_relative_path(path, reports, monkeypatch):
    """A relative path is resolved at start, and not again when the working directory changes."""
    monkeypatch.chdir(path.parent)
    keyring = KeyringFile("keys.json", reports)
    monkeypatch.chdir("/")
    write(path, document(entry(2)))
    assert primary(keyring.current(1)) == 2


def test_a_report_that_fails(path):
    """An exception from `on_change` does not affect the keyring or the next check."""

    def on_change(error):
        raise RuntimeError

    keyring = KeyringFile(str(path), on_change)
    write(path, document(entry(2)))
    with pytest.raises(RuntimeError):
        keyring.current(1)
    assert primary(keyring.current(1)) == 2
    write(path, document(entry(3)))
    with pytest.raises(RuntimeError):
        keyring.current(2)
    assert primary(keyring.current(2)) == 3


def test_nobody_waits_for_the_look(path):
    """While one thread checks the file, other threads get the current keyring at once."""
    looking, done, waited = threading.Event(), threading.Event(), []

    def on_change(error):
        looking.set()
        waited.append(done.wait(60))

    write(path, document(entry(1)))
    keyring = KeyringFile(str(path), on_change)
    old = keyring.current(1)
    write(path, "{}")
    thread = threading.Thread(target=keyring.current, args=(2,))
    thread.start()
    assert looking.wait(60)
    assert keyring.current(3) is old
    done.set()
    thread.join()
    assert waited == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_fork_during_a_look(path):
    """A child that is forked during a check reads the file again when it changes."""
    looking, done = threading.Event(), threading.Event()

    def on_change(error):
        if threading.current_thread() is thread:
            looking.set()
            done.wait(60)

    write(path, document(entry(1)))
    keyring = KeyringFile(str(path), on_change)
    write(path, document(entry(2)))
    thread = threading.Thread(target=keyring.current, args=(1,))
    thread.start()
    assert looking.wait(60)
    child = fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            write(path, document(entry(3)))
            status = 0 if primary(keyring.current(2)) == 3 else 1
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    done.set()
    thread.join()


def test_threads(path, reports):
    """While the file is replaced, threads get the old or the new keyring. At last they get the last one."""
    keyring = KeyringFile(str(path), reports)
    seconds = count()
    stop = threading.Event()
    found = []

    def ask():
        mine = set()
        while not stop.is_set():
            mine.add(tuple((pair.validate, pair.state) for pair in keyring.current(next(seconds)).pairs))
        found.append(mine)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    rings = [[entry(number), entry(number - 1, "fallback")] for number in range(2, 9)]
    for written, entries_now in enumerate(rings, start=1):
        write(path, document(*entries_now))
        deadline = time.monotonic() + 60
        while len(reports) < written and time.monotonic() < deadline:
            time.sleep(0.001)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    written = [[entry(1)], *rings]
    allowed = {tuple((each["validate_key"].encode(), each["state"]) for each in entries_now) for entries_now in written}
    assert allowed - {((key_text(2).encode(), "primary"),)} <= set().union(*found) <= allowed
    assert primary(keyring.current(-1)) == 8
    assert reports == [None] * len(rings)


# ------------------------------------------------------------------------------------------------------- file mode


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602])
def test_open_to_everybody(path, reports, caplog, mode):
    """A file that other users can open is logged once as a warning, with path and advice."""
    path.chmod(mode)
    keyring = KeyringFile(str(path), reports)
    os.utime(path, (1, 1))
    keyring.current(1)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("sealedsession", logging.WARNING)
    assert f"chmod o-rwx {path}" in record.getMessage()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_open_to_few(path, reports, caplog, mode):
    """A file for its owner and group is not logged."""
    path.chmod(mode)
    KeyringFile(str(path), reports)
    assert caplog.records == []


def test_opened_to_everybody_later(path, reports, caplog):
    """A file that becomes readable to other users while the application runs is logged."""
    keyring = KeyringFile(str(path), reports)
    assert caplog.records == []
    path.chmod(0o644)
    keyring.current(1)
    assert len(caplog.records) == 1
