"""The options of StateSealer: each mistake is a ConfigError at start that names the option."""

import json
import os

import pytest

from sealedsession.config import SessionConfig
from sealedsession.errors import ConfigError, got
from sealedsession.serialization.registry import Registry
from sealedsession.state.registry import StateRegistry
from sealedsession.state.sealer import StateSealer
from tests.support.param_ids import stable_repr


def ring(*pairs, encrypted=True):
    """Return the text of a keyring, primary first."""
    states = ["primary", *["fallback"] * len(pairs)]
    entries = [
        {"state": state, "validate_key": validate, **({"encrypt_key": encrypt} if encrypted else {})}
        for state, (validate, encrypt) in zip(states, pairs, strict=False)
    ]
    return json.dumps({"version": 1, "keys": entries})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_age": 0}, "^max_age:"),
        ({"max_age": 2**32}, "max_age"),
        ({"max_age": -1}, "max_age"),
        ({"max_age": True}, "max_age"),
        ({"max_age": 1.5}, "max_age"),
        ({"max_age": None}, "max_age"),
        ({"registry": None}, f"^registry: .*{got(None)}$"),
        ({"registry": {}}, "registry"),
        ({"compress": 1}, f"^compress: .*{got(1)}$"),
        ({"compress": None}, "compress"),
        ({"max_size": 255}, "^max_size:"),
        ({"max_size": 65537}, "max_size"),
        ({"max_size": True}, "max_size"),
        ({"max_size": "65536"}, "max_size"),
        ({"name": ""}, "^name:"),
        ({"name": "a:b"}, "name"),
        ({"name": "ä"}, "name"),
        ({"name": b"state"}, "name"),
        ({"name": None}, "name"),
        ({"leeway": -1}, "^leeway:"),
        ({"leeway": 601}, "leeway"),
        ({"leeway": 1.0}, "leeway"),
        ({"leeway": False}, "leeway"),
        ({"on_event": "print"}, f"^on_event: .*{got('print')}$"),
        ({"clock": 5}, f"^clock: .*{got(5)}$"),
        ({"clock": None}, "clock"),
    ],
    ids=repr,
)
def test_a_mistake_in_an_option(keys, options, message):
    """An option of the wrong type, or out of its range, is an error that names the option."""
    with pytest.raises(ConfigError, match=message):
        StateSealer(**keys, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"max_age": 1},
        {"max_age": 2**32 - 1},
        {"registry": Registry()},
        {"registry": StateRegistry()},
        {"compress": False},
        {"max_size": 256},
        {"max_size": 65536},
        {"name": "a b/c"},
        {"leeway": 0},
        {"leeway": 600},
        {"on_event": print},
        {"on_event": None},
    ],
    ids=stable_repr,
)
def test_the_ends_of_the_ranges(keys, options):
    """The ends of each range are accepted, and what is sealed with them opens."""
    sealer = StateSealer(**keys, **options)
    assert sealer.unseal(sealer.seal(1, session_id="a"), session_id="a") == 1


def test_options_are_keyword_only(keys):
    """Only the keys are positional. An unknown option is an error."""
    with pytest.raises(TypeError):
        StateSealer(*keys.values(), None)
    with pytest.raises(TypeError, match="max_ages"):
        StateSealer(**keys, max_ages=5)


@pytest.mark.parametrize("missing", [["validate_key"], ["encrypt_key"], ["validate_key", "encrypt_key"]], ids="+".join)
def test_both_keys_are_needed(keys, missing):
    """Both keys are required, because state is always encrypted. The error shows how to make one."""
    options = {name: key for name, key in keys.items() if name not in missing}
    which = " and ".join(missing)
    with pytest.raises(ConfigError, match=f"^{which}: .*python -m sealedsession keygen"):
        StateSealer(**options)


def test_a_config_is_no_key(keys):
    """A SessionConfig is refused as a key."""
    with pytest.raises(ConfigError, match=rf"^validate_key: .*{got(SessionConfig(**keys))}\."):
        StateSealer(SessionConfig(**keys))


def test_weak_keys_are_refused(keys):
    """Keys are refused as for sessions, without being shown."""
    with pytest.raises(ConfigError, match=r"^validate_key:") as caught:
        StateSealer("short", keys["encrypt_key"])
    assert "short" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"^validate_key, encrypt_key: "):
        StateSealer(keys["validate_key"], keys["validate_key"])


def test_keys_of_the_environment_and_of_files(keys, tmp_path, monkeypatch):
    """Keys can be named by env: and file:, as for sessions."""
    monkeypatch.setenv("VALIDATE", keys["validate_key"])
    (tmp_path / "key").write_text(keys["encrypt_key"])
    sealer = StateSealer("env:VALIDATE", f"file:{tmp_path / 'key'}")
    assert StateSealer(**keys).unseal(sealer.seal(1, session_id="a"), session_id="a") == 1


def test_a_keyring_or_keys(keys, monkeypatch):
    """A keyring cannot be combined with keys."""
    monkeypatch.setenv("RING", ring(tuple(keys.values())))
    assert StateSealer(keyring="env:RING").seal(1, session_id="a")
    for name in keys:
        with pytest.raises(ConfigError, match=r"^keyring:"):
            StateSealer(keyring="env:RING", **{name: keys[name]})


@pytest.mark.parametrize("kind", ["env", "file"])
def test_a_keyring_that_signs_only(keys, monkeypatch, tmp_path, kind):
    """A keyring without encrypt keys is refused, because state is always encrypted."""
    text = ring(tuple(keys.values()), encrypted=False)
    monkeypatch.setenv("RING", text)
    path = tmp_path / "ring.json"
    path.write_text(text)
    os.chmod(path, 0o600)
    with pytest.raises(ConfigError, match=r"^keyring:"):
        StateSealer(keyring="env:RING" if kind == "env" else f"file:{path}")


def test_a_keyring_that_is_not_there(tmp_path):
    """A keyring that cannot be read is an error at start."""
    with pytest.raises(ConfigError, match=r"^keyring 'file:.*nothing': "):
        StateSealer(keyring=f"file:{tmp_path / 'nothing'}")
    with pytest.raises(ConfigError, match=r"^keyring:"):
        StateSealer(keyring="ring.json")
