"""A plugin of pytest that runs a framework's own tests on sealed sessions, and reports outcomes and calls.

``SUITE`` names the framework, and ``SUITE_REPORT`` the file for the report. See suites.py.
"""

import inspect
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sealedsession.lifecycle.load import SessionLoader
from sealedsession.lifecycle.manager import SessionManager
from sealedsession.sealing import keys
from sealedsession.sealing.sealer import Sealer

CALLS: Counter[str] = Counter()
OUTCOMES: dict[str, str] = {}
WORST = {"passed": 0, "skipped": 1, "failed": 2}


def count_calls(cls: type, name: str) -> None:
    """Count the calls of a method that return."""
    method = getattr(cls, name)

    def counting(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        CALLS[name] += 1
        return result

    setattr(cls, name, counting)


def allow_weak_secrets() -> None:
    """Make a strong secret of the short ones that the suites use."""

    def check(setting: str, secret: str | bytes) -> bytes:
        data = secret.encode() if isinstance(secret, str) else bytes(secret)
        return data.ljust(32, b"\0")

    keys.check_framework_secret = check  # type: ignore[assignment]


def use_in_flask() -> None:
    import flask

    from sealedsession.integrations.flask import SealedSessionInterface

    flask.Flask.session_interface = SealedSessionInterface()


def use_in_starlette() -> None:
    """Replace Starlette's middleware by ours, with that one's defaults. Attributes are in lower case in its tests."""
    import starlette.middleware.sessions

    from sealedsession.integrations.starlette import SessionMiddleware

    parameters = [*inspect.signature(starlette.middleware.sessions.SessionMiddleware).parameters.values()][1:]
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}

    class Replacement(SessionMiddleware):
        def __init__(self, app: Any, *args: Any, **options: Any) -> None:
            given = {parameter.name: value for parameter, value in zip(parameters, args, strict=False)}
            super().__init__(app, **{**defaults, **given, **options})

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def lowering_send(message: Any) -> None:
                if "headers" in message:
                    message = {**message, "headers": [lower_attributes(*header) for header in message["headers"]]}
                await send(message)

            await super().__call__(scope, receive, lowering_send)

    starlette.middleware.sessions.SessionMiddleware = Replacement  # type: ignore[misc, assignment]


def lower_attributes(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Write the attributes of a Set-Cookie as Starlette does."""
    if name == b"set-cookie":
        cookie, *attributes = value.split(b"; ")
        value = b"; ".join((cookie, *(each.lower().replace(b"max-age", b"Max-Age") for each in attributes)))
    return name, value


USE = {"flask": use_in_flask, "starlette": use_in_starlette}


def pytest_configure(config: pytest.Config) -> None:
    allow_weak_secrets()
    for cls, name in ((SessionLoader, "load"), (SessionManager, "close"), (Sealer, "seal"), (Sealer, "unseal")):
        count_calls(cls, name)
    USE[os.environ["SUITE"]]()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    known = OUTCOMES.get(report.nodeid, "passed")
    OUTCOMES[report.nodeid] = max(known, report.outcome, key=WORST.__getitem__)


def pytest_sessionfinish() -> None:
    Path(os.environ["SUITE_REPORT"]).write_text(json.dumps({"outcomes": OUTCOMES, "calls": CALLS}))
