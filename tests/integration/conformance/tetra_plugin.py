"""A plugin for the pytest that runs a suite of Tetra's components: on Tetra's own state layer, or with ours in place.

It calls `install` if TETRA_OURS is set, before any test module is imported, and writes what came of each test, and how
often our seal and unseal ran, into the file that TETRA_REPORT names.
"""

import collections
import json
import os
import shutil
import warnings
from pathlib import Path

import pytest

if not hasattr(warnings, "deprecated"):  # of Python 3.13; Tetra 0.7 imports it on every version
    import typing_extensions

    warnings.deprecated = typing_extensions.deprecated

ESBUILD = Path(__file__).with_name("tetra_esbuild.py")
KEYS = {
    "validate_key": "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4",
    "encrypt_key": "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw",
}

calls: collections.Counter[str] = collections.Counter()
outcomes: dict[str, str] = {}


def pytest_sessionstart() -> None:
    """The suite has made its settings by now."""
    from django.conf import settings

    report = Path(os.environ["TETRA_REPORT"])
    settings.TETRA_ESBUILD_PATH = shutil.copy(ESBUILD, report.with_suffix(".esbuild"))
    os.chmod(settings.TETRA_ESBUILD_PATH, 0o700)
    if os.environ["TETRA_OURS"]:
        settings.SEALEDSESSION = {"STATE": KEYS}  # a SECRET_KEY for tests is refused
        _install()


def _install() -> None:
    from sealedsession.integrations import tetra
    from sealedsession.state.sealer import StateSealer

    def counted(name):
        method = getattr(StateSealer, name)

        def call(*args, **kwargs):
            result = method(*args, **kwargs)
            calls[name] += 1
            return result

        return call

    StateSealer.seal, StateSealer.unseal = counted("seal"), counted("unseal")
    tetra.install()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test has failed if its setup or teardown has."""
    if report.failed or outcomes.get(report.nodeid, "passed") == "passed":
        outcomes[report.nodeid] = report.outcome


def pytest_sessionfinish() -> None:
    Path(os.environ["TETRA_REPORT"]).write_text(json.dumps({"outcomes": outcomes, "calls": calls}))
