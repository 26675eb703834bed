"""Forks of the process that runs the tests."""

import os
import warnings


def fork() -> int:
    """Fork, although threads of other tests may be about: Python 3.12 and later warn of that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
