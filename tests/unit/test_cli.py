"""The command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sealedsession.cli import main
from sealedsession.sealing.keyring_file import KeyringFile, parse
from sealedsession.sealing.keys import Keyring


def run(*arguments):
    command = [sys.executable, "-m", "sealedsession", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_keygen_as_a_command():
    """`python -m sealedsession keygen` prints one key that passes the rules, and nothing else."""
    finished = run("keygen")
    assert (finished.returncode, finished.stderr) == (0, "")
    (key,) = finished.stdout.splitlines()
    assert len(Keyring(key).derive("cookie:session")) == 1


def test_console_script():
    """The installed command sealedsession is the same as python -m sealedsession."""
    script = Path(sys.executable).with_name("sealedsession")
    finished = subprocess.run([script, "keygen"], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    (key,) = finished.stdout.splitlines()
    assert len(Keyring(key).derive("cookie:session")) == 1


def test_no_command():
    """Without a command, the program ends with a usage error that names the commands."""
    finished = run()
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "usage: python -m sealedsession" in finished.stderr
    assert "keygen" in finished.stderr


def test_keys_differ(capsys):
    """Two keys differ and make an accepted pair. Their characters are safe in ini files."""
    assert main(["keygen"]) == main(["keygen"]) == 0
    one, other = capsys.readouterr().out.splitlines()
    assert one != other
    assert len(Keyring(one, other).derive("cookie:session")) == 1
    assert "%" not in one + other


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["keygen", "more"],
        ["keyring"],
        ["keyring", "unknown", "x"],
        ["keyring", "add"],
        ["keyring", "add", "x", "y"],
        ["keyring", "init", "x", "--force"],
        ["keyring", "promote", "x", "--reload-interval", "-1"],
        ["keyring", "promote", "x", "--reload-interval", "soon"],
        ["keyring", "retire", "x", "--absolute-timeout", "1e3"],
        ["keyring", "retire", "x", "--absolute-timeout", "99999999999"],
    ],
)
def test_usage_errors(arguments, capsys):
    """An unknown command is a usage error with status 2, and prints no key."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------------------------------------------------- keyring


@pytest.fixture
def keyring(tmp_path, clock, capsys):
    """Return a function that runs a step, and checks that its output contains no key."""
    path = tmp_path / "keys.json"

    def step(name, *arguments):
        status = main(["keyring", name, str(path), *arguments], clock=clock)
        output, errors = capsys.readouterr()
        for each in json.loads(path.read_text())["keys"] if path.exists() else []:
            assert each["validate_key"] not in output + errors
            assert each.get("encrypt_key", each["validate_key"]) not in output + errors
        return status, output, errors

    step.path = path
    return step


def states(path):
    return {key.id: key.pair.state for key in parse(path.read_bytes(), "keyring")}


def test_rotation_as_commands(tmp_path):
    """The commands make and rotate a keyring that a server can use, by the system's clock."""
    path = tmp_path / "keys.json"
    story = [
        (["init", path, "--id", "first"], 0, "first is primary"),
        (["init", path], 1, "exists"),
        (["add", path, "--id", "second"], 0, "second is staged"),
        (["promote", path], 1, "may not be on every server yet"),
        (["promote", path, "--reload-interval", "0"], 0, "second is primary"),
        (["retire", path], 1, "key first: sessions that it sealed may be left"),
        (["retire", path, "--force"], 0, "first is removed"),
        (["list", path], 0, "second"),
    ]
    for words, status, part in story:
        finished = run("keyring", *map(str, words))
        said, silent = (finished.stdout, finished.stderr) if status == 0 else (finished.stderr, finished.stdout)
        assert (finished.returncode, silent) == (status, ""), finished
        assert part in said
        assert said.startswith("error: ") == (status == 1)
        assert len(said.splitlines()) == (2 if words[0] == "list" else 1)
    (pair,) = KeyringFile(str(path), print).current(0).pairs
    assert (pair.state, pair.encrypt is None) == ("primary", False)


def test_init_signed_only(keyring):
    """--signed-only makes a keyring without encrypt_key. `add` then adds none either."""
    assert keyring("init", "--signed-only")[0] == 0
    assert keyring("add")[0] == 0
    entries = json.loads(keyring.path.read_text())["keys"]
    assert [each["state"] for each in entries] == ["primary", "staged"]
    assert not any("encrypt_key" in each for each in entries)


def test_ids(keyring):
    """The id of a key is that of --id, or else the key id."""
    keyring("init", "--id", "may-2026")
    keyring("add")
    first, second = parse(keyring.path.read_bytes(), "keyring")
    assert (first.id, second.id) == ("may-2026", second.pair.key_id.hex())


def test_every_step_says_what_is_next(keyring, clock):
    """Each step that changes the keyring prints one line with its result and the next step, with status 0."""
    for step, *arguments in (["init"], ["add"], ["promote", "--force"], ["retire", "--force"]):
        status, output, errors = keyring(step, *arguments)
        assert (status, errors, output.count("\n")) == (0, "", 1)
        assert "Next: " in output


def test_waits(keyring, clock):
    """`promote` waits for the reload interval and `retire` for the absolute timeout. Both have options."""
    keyring("init", "--id", "a")
    keyring("add", "--id", "b")
    clock.advance(119)
    status, output, errors = keyring("promote")
    assert (status, output) == (1, "")
    assert errors.startswith("error: key b: it may not be on every server yet. Promote it from 20")
    assert errors.endswith("in 1 seconds, or with --force\n")
    assert keyring("promote", "b", "--reload-interval", "119")[0] == 0
    clock.advance(2_591_999)
    assert "in 1 seconds" in keyring("retire")[2]
    assert "in 2 seconds" in keyring("retire", "a", "--absolute-timeout", "2592001")[2]
    clock.advance(1)
    assert keyring("retire")[0] == 0
    assert states(keyring.path) == {"b": "primary"}


def test_force(keyring):
    """--force skips the wait, but does not remove the primary key."""
    keyring("init", "--id", "a")
    keyring("add", "--id", "b")
    keyring("add", "--id", "c")
    assert keyring("promote", "c", "--force")[0] == 0
    assert keyring("retire", "a", "--force")[0] == 0
    assert keyring("retire", "c", "--force") == (
        1, "", "error: key c: it is primary, and nothing would seal without it. 'promote' another key first\n"
    )  # fmt: skip
    assert states(keyring.path) == {"b": "staged", "c": "primary"}


def test_fractions_of_a_second(keyring, clock):
    """Dates are in whole seconds, rounded down."""
    clock.advance(0.75)
    keyring("init")
    (key,) = parse(keyring.path.read_bytes(), "keyring")
    assert key.primary_at == 1_800_000_000


def test_list(keyring, clock):
    """`list` shows the id, key id, state, date and next step of every key."""
    keyring("init", "--id", "a")
    keyring("add", "--id", "b")
    clock.advance(120)
    keyring("promote")
    keyring("add", "--id", "a-longer-name")
    clock.advance(20)
    wires = [key.pair.key_id.hex() for key in parse(keyring.path.read_bytes(), "keyring")]
    status, output, errors = keyring("list", "--reload-interval", "60", "--absolute-timeout", "20")
    assert (status, errors) == (0, "")
    assert [line.split(maxsplit=4) for line in output.splitlines()] == [
        ["ID", "KEY", "ID", "STATE", "SINCE                 NEXT"],
        ["a", wires[0], "fallback", "2027-01-15T08:02:00Z", "retire now"],
        ["b", wires[1], "primary", "2027-01-15T08:02:00Z", "seals; to replace it, add and promote another"],
        ["a-longer-name", wires[2], "staged", "2027-01-15T08:02:00Z",
         "promote from 2027-01-15T08:03:00Z on, in 40 seconds"],
    ]  # fmt: skip
    columns = {line.index(word) for line, word in zip(output.splitlines(), ["KEY", *wires], strict=True)}
    assert columns == {len("a-longer-name") + 2}


def test_list_without_dates(keyring):
    """`list` shows a key without dates as one of unknown age."""
    key = {"state": "primary", "validate_key": "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4"}
    keyring.path.write_text(json.dumps({"version": 1, "keys": [key]}))
    assert "primary  unknown  seals" in keyring("list")[1]


@pytest.mark.parametrize("step", ["add", "promote", "retire", "list"])
@pytest.mark.parametrize("content", [None, "", "{}", '{"version": 1, "keys": [{"validate_key": "correct horse"}]}'])
def test_broken_keyring(tmp_path, capsys, step, content):
    """A missing or broken file gives status 1 and one line of error, with its path and without keys."""
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    assert main(["keyring", step, str(path)]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"error: keyring {str(path)!r}")
    assert errors.count("\n") == 1
    assert "horse" not in errors


def test_path_of_several_lines(tmp_path, capsys):
    """An error is one line, even if the path contains line ends."""
    assert main(["keyring", "list", f"{tmp_path}/two\nlines"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
