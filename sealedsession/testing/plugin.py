"""Fixtures of pytest for sealed sessions. Enable them in ``conftest.py``::

    pytest_plugins = ["sealedsession.testing.plugin"]

=================  ==================================================================================================
``frozen_clock``   the default clock of all configurations stands still until ``frozen_clock.advance(seconds)``
``sealed_session`` ``sealed_session(client, data, subject=...)`` gives a test client a session with these items
=================  ==================================================================================================
"""

import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from sealedsession import config
from sealedsession.session import Session
from sealedsession.testing import session_transaction


class FrozenClock:
    """A clock that stands still.

    :param now: seconds since 1970.
    """

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time in seconds since 1970."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> FrozenClock:
    """Stop the default clock of all configurations at the present time."""
    clock = FrozenClock(time.time())
    monkeypatch.setattr(config, "time", SimpleNamespace(time=clock))
    return clock


@pytest.fixture
def sealed_session() -> Callable[..., Session]:
    """Return a function that gives a test client a session with items and a subject."""

    def sealed_session(client: Any, data: Mapping[Any, Any] | None = None, *, subject: str | None = None) -> Session:
        with session_transaction(client) as session:
            session.update(data or {})
            if subject is not None:
                session.subject = subject
        return session

    return sealed_session
