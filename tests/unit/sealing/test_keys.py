"""Keys: their sources, the refusals, and the derived subkeys."""

import hmac
import os
import traceback
from base64 import b64encode, urlsafe_b64encode
from dataclasses import asdict, astuple, replace
from hashlib import sha256
from itertools import permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sealedsession.errors import ConfigError
from sealedsession.sealing.key_rules import KEY_LIMIT
from sealedsession.sealing.keys import KeyPair, Keyring

KEY, KEY_2, KEY_3, KEY_4 = (sha256(b"key %d" % n).digest() for n in range(4))
KEY_TEXT = urlsafe_b64encode(KEY).decode().rstrip("=")
PURPOSE = "cookie:session"

untimed = settings(deadline=None)


def refusal(*keys):
    """Check that keys are refused. Return what a log would show of the error and its causes."""
    with pytest.raises(ConfigError) as caught:
        Keyring(*keys)
    return "".join(traceback.format_exception(caught.value, limit=0)) + repr(caught.value)


def hkdf(key, salt, info):
    """HKDF-SHA256 for 32 bytes, which is one block (RFC 5869, 2)."""
    pseudorandom_key = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(pseudorandom_key, info + b"\x01", "sha256")


# ------------------------------------------------------------------------------------------------- what is refused


def test_a_text_is_its_own_key():
    """The key is the text itself, not the bytes that it encodes."""
    for text in (KEY_TEXT, KEY.hex(), KEY.hex().upper(), b64encode(KEY).decode()):
        assert Keyring(text).derive(PURPOSE) == Keyring(text.encode()).derive(PURPOSE)


# Mistakes in naming a key, and what shells and templates make of a name.
SETTINGS = [
    "/etc/myapp/secrets/session-validate.key",
    "/run/secrets/session_validate_key_of_app",
    "/run/secrets/myapp/sessionvalidatekey",
    "/srv/MyApp/keys/session.validate.current",
    "instance/secrets/session_validate_key",
    "./secrets/SessionValidateKeyOfProduction",
    "../secrets/SessionValidateKeyOfProduction",
    "~/secrets/SessionValidateKeyOfProduction",
    "C:\\ProgramData\\MyApp\\SessionValidateKey",
    "secretsOfTheSession/ValidateKeyV1.pem",
    "SessionValidateKeyOfProduction.V1.txt",
    "MYAPPLICATION_SESSION_VALIDATE_KEY_V1",
    "ENV:MYAPPLICATION_SESSION_VALIDATE_KEY",
    " env:MYAPPLICATION_SESSION_VALIDATE_KEY",
    "File:/etc/myapp/session/ValidateKeyV1",
    "\tfile:/etc/myapp/session/ValidateKeyV1",
    "$(python -m sealedsession keygen)",
    "${MYAPPLICATION_SESSION_VALIDATE_KEY}",
    "%(here)s/SessionValidateKeyOfProduction",
    f'"{KEY_TEXT}"',
    f"'{KEY_TEXT}'",
    '"file:%(here)s/validate.key"' + KEY_TEXT,
    "django-insecure-9a8s" + KEY_TEXT,
]


@pytest.mark.parametrize("text", SETTINGS)
def test_text_that_is_not_a_key(text):
    """A path, the name of a variable, a command and a placeholder are refused and not shown, with advice."""
    for keys in ((text,), ([KEY, text],)):
        message = refusal(*keys)
        assert text not in message
        for part in ("validate_key", "'file:PATH'", "'env:NAME'", "keygen", "as bytes"):
            assert part in message


@pytest.mark.parametrize("text", [*SETTINGS, f"env:{KEY_TEXT}", f"file:{KEY_TEXT}"])
def test_no_key_in_a_variable_or_a_file(text, tmp_path, monkeypatch):
    """Such text in a variable or a file, and the name of another source, is refused with advice."""
    monkeypatch.setenv("SESSION_KEY", text)
    (tmp_path / "key").write_text(text + "\n")
    (tmp_path / "key").chmod(0o600)
    for source in ("env:SESSION_KEY", f"file:{tmp_path / 'key'}"):
        message = refusal(source)
        assert f"validate_key (from '{source}'): " in message
        assert "keygen" in message
        assert "as bytes" not in message
        assert text not in message


@pytest.mark.parametrize("kind", ["env:", "file:"])
@pytest.mark.parametrize("key", [KEY_TEXT, KEY.hex()])
def test_a_key_after_a_prefix(kind, key):
    """A key after 'env:' or 'file:' is refused and not shown."""
    assert key not in refusal(kind + key)


def test_no_key_reaches_the_file_system(monkeypatch):
    """A key is never used as a path, whether it is accepted or refused."""
    paths = []
    for name in ("stat", "lstat", "access", "open"):
        monkeypatch.setattr(os, name, paths.append)
    monkeypatch.setattr("builtins.open", paths.append)
    keys = [KEY_TEXT, b64encode(KEY_2).decode(), KEY_3.hex()]
    Keyring(keys)
    for text in (KEY_TEXT + " ", f"{KEY_TEXT},{KEY.hex()}", f"file:{KEY_TEXT}", f"env:{KEY_TEXT}"):
        with pytest.raises(ConfigError):
            Keyring(text)
    assert paths == []


@pytest.mark.parametrize(("mode", "count"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o604, 1)])
def test_a_key_file_that_is_open_to_everybody(tmp_path, caplog, mode, count):
    """A key file that other users of the machine can open is logged as a warning, with advice."""
    path = tmp_path / "key"
    path.write_text(KEY_TEXT)
    path.chmod(mode)
    Keyring(f"file:{path}")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * count
    assert all(record.getMessage().endswith(f"chmod o-rwx {path}") for record in caplog.records)


@pytest.mark.parametrize(
    "keys",
    [
        (KEY, KEY),
        ([KEY, KEY],),
        ([KEY, KEY_2], [KEY_3, KEY_3]),
        ([KEY, KEY_2], [KEY_3, KEY]),
        ([KEY, KEY_2], [KEY_2, KEY_3]),
        (KEY_TEXT, KEY_TEXT.encode()),
    ],
)
def test_equal_keys(keys):
    """The same key in two places is refused, across options, positions, str and bytes."""
    assert "twice" in refusal(*keys)


def test_equal_keys_from_two_sources(tmp_path, monkeypatch):
    """The same key from a file and from the environment is refused."""
    monkeypatch.setenv("SESSION_KEY", KEY_TEXT)
    (tmp_path / "key").write_text(KEY_TEXT)
    assert "twice" in refusal("env:SESSION_KEY", f"file:{tmp_path / 'key'}")


@pytest.mark.parametrize(
    "keys", [([KEY, KEY_2], KEY_3), (KEY, [KEY_2, KEY_3]), ([KEY, KEY_2], [KEY_3]), ([KEY], [KEY_2, KEY_3])]
)
def test_count_mismatch(keys):
    """Both options need the same number of keys, and the error names both numbers."""
    counts = [1 if isinstance(key, bytes) else len(key) for key in keys]
    assert f"got {counts[0]} validate and {counts[1]} encrypt keys" in refusal(*keys)


@pytest.mark.parametrize("keys", [([],), ((),), (KEY, []), (KEY, ())])
def test_empty_list(keys):
    """An empty list is refused. An empty list for encrypt_key does not switch encryption off."""
    assert "empty" in refusal(*keys)


@pytest.mark.parametrize(
    "wrong",
    [7, 1.5, True, bytearray(KEY), memoryview(KEY), {KEY}, {KEY: KEY}, iter([KEY]), object()],
    ids=lambda wrong: type(wrong).__name__,
)
def test_wrong_type(wrong):
    """A key or list of another type is refused with the name of its type, for both options."""
    for keys in ((wrong,), ([KEY_2, wrong],), (KEY_2, wrong), ([KEY_2, KEY_3], [KEY_4, wrong])):
        assert type(wrong).__name__ in refusal(*keys)


def test_none():
    """None is refused for validate_key, and in any list."""
    for keys in ((None,), ([None],), (KEY, [None]), ([[KEY]],)):
        assert "must be" in refusal(*keys)


def test_position_in_a_list():
    """The error for a key in a list names its position."""
    assert "encrypt_key[1]" in refusal([KEY, KEY_2], [KEY_3, b"short"])


def test_str_with_lone_surrogate():
    """A str that UTF-8 cannot encode is refused with a ConfigError."""
    assert KEY_TEXT not in refusal(KEY_TEXT + "\ud800")


def test_str_is_one_key():
    """A str is one key, and not a sequence of keys."""
    assert len(Keyring(KEY_TEXT).derive(PURPOSE)) == 1


# ------------------------------------------------------------------------------------------------------ where from


def test_environment(monkeypatch):
    """env:NAME is the value of the variable."""
    monkeypatch.setenv("SESSION_KEY", KEY_TEXT)
    assert Keyring("env:SESSION_KEY").derive(PURPOSE) == Keyring(KEY_TEXT).derive(PURPOSE)


def test_environment_without_the_variable(monkeypatch):
    """The error for a missing variable names the option and the variable."""
    monkeypatch.delenv("SESSION_KEY", raising=False)
    message = refusal(KEY, "env:SESSION_KEY")
    assert "encrypt_key" in message
    assert "'SESSION_KEY' is not set" in message


def test_weak_key_in_the_environment(monkeypatch):
    """A weak key from the environment is refused, and the error names its source."""
    monkeypatch.setenv("SESSION_KEY", "hunter2")
    message = refusal("env:SESSION_KEY")
    assert "env:SESSION_KEY" in message
    assert "hunter2" not in message


def test_environment_that_is_not_text(monkeypatch):
    """A variable with characters outside of ASCII is refused."""
    monkeypatch.setenv("SESSION_KEY", os.fsdecode(b"\xff" + KEY_TEXT.encode()))
    assert "env:SESSION_KEY" in refusal("env:SESSION_KEY")


@pytest.mark.parametrize("source", ["env:", "env:SESSION_KEY ", "file:/no/such/file "])
def test_a_source_is_quoted(source):
    """The error for a missing source quotes it, so that a space in the name shows."""
    assert f"validate_key (from '{source}')" in refusal(source)


@pytest.mark.parametrize("source", ["env:", "env:\ud800", "env:A\0B", "env:A=B", "file:\ud800", "file:\0", "file:"])
def test_impossible_source(source):
    """A name that no variable or file can have is refused with a ConfigError."""
    assert "validate_key" in refusal(source)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_file(tmp_path, end):
    """file:PATH is the content of the file without the line end."""
    path = tmp_path / "key"
    path.write_bytes((KEY_TEXT + end).encode())
    assert Keyring(f"file:{path}").derive(PURPOSE) == Keyring(KEY_TEXT).derive(PURPOSE)


def test_file_of_bytes(tmp_path):
    """A key file may contain bytes that are not text. All of them belong to the key."""
    path = tmp_path / "key"
    path.write_bytes(b" \xff" + KEY + b" \n")
    assert Keyring(f"file:{path}").derive(PURPOSE) == Keyring(b" \xff" + KEY + b" \n").derive(PURPOSE)


def test_a_large_file_is_not_read(tmp_path):
    """A file that is larger than any key is refused after only its beginning was read."""
    path = tmp_path / "key"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert f"file:{path}" in refusal(f"file:{path}")
    path.write_text(KEY_TEXT + "\n" * KEY_LIMIT + KEY.hex())
    assert f"file:{path}" in refusal(f"file:{path}")


def test_unreadable_file(tmp_path):
    """The error for a file that cannot be read names the path and the cause."""
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "plain").write_text("no directory")
    causes = {"missing": "No such file", ".": "directory", "plain/key": "Not a directory", "circle": "symbolic links"}
    for name, cause in causes.items():
        message = refusal(f"file:{tmp_path / name}")
        assert str(tmp_path / name) in message
        assert cause in message


def test_weak_key_in_a_file(tmp_path):
    """A weak key from a file is refused, and so is an empty file or one of line ends."""
    path = tmp_path / "key"
    for content in (b"", b"\n" * 40, b"hunter2"):
        path.write_bytes(content)
        message = refusal(f"file:{path}")
        assert f"file:{path}" in message
        assert "hunter2" not in message


def test_bytes_are_no_source(monkeypatch):
    """Bytes are a key even if they begin with env: or file:, as random bytes may."""
    monkeypatch.setenv("SESSION_KEY", KEY_TEXT)
    literal = b"env:" + KEY
    assert Keyring(literal).derive(PURPOSE)[0].mac == hkdf(literal, b"", b"sealedsession v1 validate\0cookie:session")


# -------------------------------------------------------------------------------------------------------- no leaks


@pytest.mark.parametrize(
    "keys",
    [
        ("correct horse",),
        ("correct horse " * 4,),
        (b"correct horse " * 4,),
        ("correct horse battery staple, and more\udc80",),
        (KEY_TEXT + "correct horse", (KEY_TEXT + "correct horse").encode()),
        (["correct horse " + KEY_TEXT, "correct horse " + KEY_TEXT],),
        ("correct horse " + KEY_TEXT, [KEY, KEY_2]),
        ([bytearray(b"correct horse " + KEY)],),
        ({"correct horse " + KEY_TEXT},),
    ],
)
def test_no_key_in_an_error(keys):
    """No error shows a key or a part of one."""
    message = refusal(*keys)
    assert "horse" not in message
    assert KEY_TEXT not in message


def test_a_keyring_that_was_refused_has_a_repr():
    """repr() of a keyring whose keys were refused does not raise an error: tracebacks show it."""
    assert repr(Keyring.__new__(Keyring)) == "<Keyring of 0>"


def test_no_key_in_a_repr():
    """repr() of a keyring and of subkeys shows no byte of a configured or derived key."""
    keyring = Keyring([KEY_TEXT, KEY_2], [KEY_3, KEY_4])
    subkeys = keyring.derive(PURPOSE)
    shown = repr(keyring) + repr(subkeys) + str(keyring) + str(subkeys[0])
    for secret in (KEY_TEXT, KEY_2, KEY_3, KEY_4, *(part for each in subkeys for part in (each.mac, each.encrypt))):
        spellings = (secret, secret) if isinstance(secret, str) else (secret.hex(), repr(secret)[2:-1])
        assert not any(spelling in shown for spelling in spellings)


# --------------------------------------------------------------------------------------------------------- subkeys


def test_hkdf_reference():
    """The HKDF of this file returns the RFC's test value (RFC 5869, A.1, the first 32 bytes)."""
    derived = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)))
    assert derived.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


@untimed
@given(st.binary(min_size=32, max_size=100), st.binary(min_size=32, max_size=100), st.text(max_size=40))
def test_derived_values(validate_seed, encrypt_seed, purpose):
    """Subkeys and key ids are HKDF-SHA256 of the pair, with the labels of the format."""
    assume(validate_seed != encrypt_seed)
    validate_key, encrypt_key = sha256(validate_seed).digest(), sha256(encrypt_seed).digest()
    (subkeys,) = Keyring(validate_key, encrypt_key).derive(purpose)
    salt = sha256(encrypt_key).digest()
    assert subkeys.key_id == hkdf(validate_key, salt, b"sealedsession v1 id")[:2]
    assert subkeys.mac == hkdf(validate_key, salt, b"sealedsession v1 validate\0" + purpose.encode())
    assert subkeys.encrypt == hkdf(encrypt_key, b"", b"sealedsession v1 encrypt\0" + purpose.encode())


def test_derived_values_of_a_signing_key():
    """Without an encrypt_key, there is no salt and no encryption subkey."""
    (subkeys,) = Keyring(KEY).derive(PURPOSE)
    assert subkeys.key_id == hkdf(KEY, b"", b"sealedsession v1 id")[:2]
    assert subkeys.mac == hkdf(KEY, b"", b"sealedsession v1 validate\0cookie:session")
    assert subkeys.encrypt is None


def test_primary_first():
    """Pairs are derived in the configured order. The keys of the two lists form pairs by position."""
    both = Keyring([KEY, KEY_2], (KEY_3, KEY_4)).derive(PURPOSE)
    alone = [Keyring(KEY, KEY_3).derive(PURPOSE)[0], Keyring(KEY_2, KEY_4).derive(PURPOSE)[0]]
    assert both == [alone[0], replace(alone[1], state="fallback")]


def test_purpose_separates_subkeys():
    """Another purpose has other subkeys and the same key id."""
    (one,), (other,) = Keyring(KEY, KEY_2).derive("cookie:a"), Keyring(KEY, KEY_2).derive("cookie:b")
    assert one.mac != other.mac
    assert one.encrypt != other.encrypt
    assert one.key_id == other.key_id


def test_mac_depends_on_encrypt_key():
    """Another encrypt_key, or none, gives another MAC subkey and key id."""
    found = [Keyring(KEY, encrypt_key).derive(PURPOSE)[0] for encrypt_key in (KEY_2, KEY_3, None)]
    assert len({subkeys.mac for subkeys in found}) == 3
    assert len({subkeys.key_id for subkeys in found}) == 3


# ---------------------------------------------------------------------------------------------------- pairs with states

PRIMARY, STAGED, FALLBACK = (
    KeyPair(KEY, KEY_2, "primary"),
    KeyPair(KEY_3, KEY_4, "staged"),
    KeyPair(sha256(KEY).digest(), sha256(KEY_2).digest(), "fallback"),
)


@pytest.mark.parametrize("pairs", list(permutations([PRIMARY, STAGED, FALLBACK])))
def test_the_primary_pair_comes_first(pairs):
    """The primary pair comes first. The other pairs keep their order."""
    keyring = Keyring.from_pairs(pairs, "keyring 'x'")
    assert keyring.pairs == [PRIMARY, *(pair for pair in pairs if pair is not PRIMARY)]
    assert [subkeys.state for subkeys in keyring.derive(PURPOSE)] == [pair.state for pair in keyring.pairs]


def test_a_plain_keyring_never_changes():
    """A plain keyring returns itself as the current keyring, at any time."""
    keyring = Keyring(KEY, KEY_2)
    assert all(keyring.current(second) is keyring for second in (0, 1, 2**32))


def test_pairs_derive_as_keys_do():
    """A pair has the same subkeys in a keyring as in the options. Its state does not affect them."""
    of_options = Keyring([KEY, FALLBACK.validate], [KEY_2, FALLBACK.encrypt])
    assert Keyring.from_pairs([PRIMARY, FALLBACK], "k").derive(PURPOSE) == of_options.derive(PURPOSE)
    assert of_options.pairs == [PRIMARY, FALLBACK]
    _, staged = Keyring.from_pairs([PRIMARY, STAGED], "k").derive(PURPOSE)
    assert staged == replace(Keyring(KEY_3, KEY_4).derive(PURPOSE)[0], state="staged")


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "0 primary"),
        ([STAGED], "0 primary"),
        ([STAGED, FALLBACK], "0 primary"),
        ([PRIMARY, replace(STAGED, state="primary")], "2 primary"),
        ([PRIMARY, replace(STAGED, encrypt=None)], " encrypt_key "),
        ([replace(PRIMARY, encrypt=None), STAGED], " encrypt_key "),
        ([PRIMARY, replace(PRIMARY, state="staged")], "twice"),
        ([PRIMARY, replace(STAGED, validate=KEY)], "twice"),
        ([PRIMARY, replace(STAGED, encrypt=KEY)], "twice"),
        ([PRIMARY, replace(STAGED, encrypt=KEY_3)], "twice"),
    ],
)
def test_refused_pairs(pairs, message):
    """A keyring needs exactly one primary key, all or no encrypt keys, and distinct keys. The error names it."""
    with pytest.raises(ConfigError, match=f"^keyring 'x'.*{message}"):
        Keyring.from_pairs(pairs, "keyring 'x'")


def test_pairs_that_sign_only():
    """A keyring whose keys all have no encrypt_key is accepted."""
    keyring = Keyring.from_pairs([replace(pair, encrypt=None) for pair in (STAGED, PRIMARY)], "k")
    assert [subkeys.encrypt for subkeys in keyring.derive(PURPOSE)] == [None, None]


def test_the_returned_pairs_are_a_copy():
    """Changing the returned list of pairs does not change the keyring."""
    keyring = Keyring.from_pairs([PRIMARY], "k")
    keyring.pairs.clear()
    assert keyring.pairs == [PRIMARY]


def test_key_id_tells_nothing_of_the_state():
    """The key id does not depend on the state, but on both keys of the pair."""
    assert replace(PRIMARY, state="staged").key_id == PRIMARY.key_id == PRIMARY.derive(b"any").key_id
    assert replace(PRIMARY, encrypt=KEY_3).key_id != PRIMARY.key_id


def test_no_key_in_the_repr_of_a_pair():
    """repr() of a pair, of its subkeys and of a keyring shows no key."""
    shown = repr([PRIMARY, PRIMARY.derive(b""), Keyring.from_pairs([PRIMARY, STAGED], "k")])
    assert not [key for key in (KEY, KEY_2, KEY_3, KEY_4) if repr(key)[2:-1] in shown or key.hex() in shown]


def test_no_key_in_a_list_of_fields():
    """asdict() and astuple() of pairs and subkeys, and str() and format() of their keys, show no key."""
    (pair,) = Keyring(KEY, KEY_2).pairs
    subkeys = pair.derive(b"")
    shown = str([asdict(pair), astuple(subkeys), str(pair.validate), f"{subkeys.mac}"])
    secrets = [bytes(secret) for secret in (pair.validate, pair.encrypt, subkeys.mac, subkeys.encrypt)]
    assert not [secret for secret in secrets if repr(secret)[2:-1] in shown]
    assert shown.count("32 secret bytes") == 6
