"""The command line, as users call it."""

import subprocess
import sys

import pytest

from sealedsession.cli import main
from sealedsession.keys import Keyring


def run(*arguments):
    command = [sys.executable, "-m", "sealedsession", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_keygen_as_a_command():
    """python -m sealedsession keygen prints one key and nothing else, and the key passes the rules."""
    finished = run("keygen")
    assert (finished.returncode, finished.stderr) == (0, "")
    (key,) = finished.stdout.splitlines()
    assert len(Keyring(key).derive("cookie:session")) == 1


def test_no_command():
    """Without a command it ends with a usage error that names the commands."""
    finished = run()
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "usage: python -m sealedsession" in finished.stderr
    assert "keygen" in finished.stderr


def test_keys_differ(capsys):
    """Two keys are two keys, which make a pair that the rules accept, in a file's and an ini file's alphabet."""
    assert main(["keygen"]) == main(["keygen"]) == 0
    one, other = capsys.readouterr().out.splitlines()
    assert one != other
    assert len(Keyring(one, other).derive("cookie:session")) == 1
    assert "%" not in one + other


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["keygen", "more"]])
def test_usage_errors(arguments, capsys):
    """What is no command is a usage error, status 2, and prints no key."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert capsys.readouterr().out == ""
