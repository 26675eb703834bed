"""Forks of the process that runs the tests."""

import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress

PATIENCE = 60  # seconds; a fork that takes longer waits for ever


def fork() -> int:
    """Fork, although threads of other tests may be about: Python 3.12 and later warn of that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def in_fork(work: Callable[[], object], fork: Callable[[], int] = fork) -> bool:
    """Check that the work returns a true value in a fork of this process, soon."""
    child = fork()
    if child == 0:
        signal.alarm(PATIENCE)
        status = 1
        with suppress(BaseException):
            status = 0 if work() else 1
        os._exit(status)
    return os.waitpid(child, 0)[1] == 0
