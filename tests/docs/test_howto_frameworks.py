"""docs/howto/flask.rst and starlette.rst are true: their code runs, and agrees with the pages."""

import pytest

from sealedsession import CookieTooLargeError
from sealedsession.config import SessionOptions
from sealedsession.integrations.flask import SealedSession
from tests.support import ROOT
from tests.support.pages import block_with, blocks, rows, run
from tests.support.starlette_client import TestClient

SECRET = "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw"
FLASK, STARLETTE = ((ROOT / "docs" / "howto" / f"{name}.rst").read_text() for name in ("flask", "starlette"))


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Set the variables that the pages export."""
    monkeypatch.setenv("FLASK_SECRET_KEY", SECRET)
    monkeypatch.setenv("SECRET_KEY", SECRET)


@pytest.mark.parametrize("block", [*blocks(FLASK, "python"), *blocks(STARLETTE, "python")])
def test_every_block_runs(block):
    """Every block can be imported as it is, and its own test passes."""
    namespace = run(block)
    for name, value in namespace.items():
        if name.startswith("test_"):
            value()


def test_flask_counts():
    """The first block of the Flask page counts visits."""
    client = run(block_with(FLASK, "visits"))["app"].test_client()
    assert [client.get("/").text for _ in range(3)] == ["visits: 1\n", "visits: 2\n", "visits: 3\n"]


def test_flask_signs_in_and_out():
    """The functions of the Flask page sign in, remember, and sign out."""
    code = run(block_with(FLASK, "sign_out"))
    app = run(block_with(FLASK, 'revocation="memory"'))["app"]
    with app.test_request_context():
        code["sign_in"](7, True)
        assert (code["session"].subject, code["session"].persistent) == ("user:7", True)
        code["sign_out"]()
        assert code["session"].subject is None


def test_flask_answers_too_large_sessions():
    """The error handler of the Flask page answers with status 413."""
    app = run(block_with(FLASK, "errorhandler"))["app"]
    app.secret_key = SECRET
    SealedSession(app)

    @app.get("/fill")
    def fill():
        from flask import session

        session["text"] = "x" * 5000
        return "filled"

    assert app.test_client().get("/fill").status_code == 413


def test_flask_settings_exist():
    """Each setting on the Flask page is one of Flask, or one of our options."""
    from flask import Flask

    cells = [cell for row in rows(FLASK) for cell in row[:1]]
    named = {name.strip("`") for cell in cells[1:] for name in cell.split(", ")}
    settings = {f"SESSION_COOKIE{name}" if name.startswith("_") else name for name in named}
    assert settings <= {*Flask.default_config}
    for word in FLASK.split("``"):
        if word.startswith("SEALEDSESSION_") and word != "SEALEDSESSION_":
            option = word.partition(" ")[0].removeprefix("SEALEDSESSION_").lower()
            assert option in SessionOptions.__annotations__


def test_fastapi_counts():
    """The first block of the FastAPI page counts visits."""
    client = TestClient(
        run(block_with(STARLETTE, "add_middleware", "visits", "dict[str, int]"))["app"], "https://a.test"
    )
    assert [client.get("/").json()["visits"] for _ in range(2)] == [1, 2]


def test_fastapi_typed_data():
    """The typed block of the FastAPI page keeps the cart."""
    client = TestClient(run(block_with(STARLETTE, "SessionCart"))["app"], "https://a.test")
    client.post("/cart/apple")
    client.post("/sign-in/7")
    assert client.post("/cart/pear").json() == ["apple", "pear"]


def test_fastapi_answers_too_large_sessions():
    """The exception handler of the FastAPI page answers with status 413, and the session stays as it was."""
    client = TestClient(run(block_with(STARLETTE, "exception_handler"))["app"], "https://a.test")
    assert client.post("/notes/10").status_code == 200
    assert client.post("/notes/5000").status_code == 413
    assert issubclass(CookieTooLargeError, ValueError)
