"""Keys rotated on a fleet under load: the short run of soak.py."""

import pytest

from tests.integration import soak
from tests.support.load import Answer


def test_rotation(capsys: pytest.CaptureFixture[str]) -> None:
    """Three servers under load lose no session and answer no error while a key is added, promoted and retired; a copy
    of a cookie that the retired key sealed is rejected as unknown_key.
    """
    status = soak.main(["--seconds", "0"])
    output = capsys.readouterr().out
    assert status == 0, output
    assert "1 rotations" in output


def test_sabotage(capsys: pytest.CaptureFixture[str]) -> None:
    """A key that seals before every server has it costs sessions, and the soak says so."""
    assert soak.main(["--seconds", "0", "--sabotage"]) == 1
    output = capsys.readouterr().out
    assert "session rejected as unknown_key by" in output
    assert "wrong counter by" in output


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer(500, None, None, b""), "status 500 by uvicorn 1"),
        (Answer(200, "revoked", None, b'{"count": 1}'), "session rejected as revoked by uvicorn 1"),
        (Answer(200, None, None, b'{"count": 2}'), "wrong counter by uvicorn 1"),
        (Answer(200, None, None, b"{}"), "wrong counter by uvicorn 1"),
    ],
)
def test_problems(answer: Answer, problem: str) -> None:
    """Whatever a client did not expect is a problem of its own."""
    problems = soak.Problems()
    client = soak.Client(0, problems)
    client.see(answer)
    assert [line for line in problems.lines if problem in line] == problems.lines != []
