"""Tetra's own tests on our state layer: ``make tetra``, and they come out as on its own.

They are in no package of the index: sdists have left them out since 0.6. They come from a checkout that TETRA_SOURCE
names, or from GitHub; and as they need a network for that and some minutes, they are a command of their own.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import venv
from pathlib import Path

import pytest
from test_tetra import run

# 0.7.1, the last one for Python 3.11, and 0.9.2. Neither works when installed: 0.7.1 needs warnings.deprecated of
# Python 3.13, and 0.9.2 was published without some templates, which a checkout has.
COMMIT = {11: "8dfba57c6cb31004ce7bda0ef085db2fd7b8d4f1"}.get(
    sys.version_info[1], "f759916f01d01d5c8d141d4ae818184ca788b74e"
)
ARCHIVE = f"https://github.com/tetra-framework/tetra/archive/{COMMIT}.tar.gz"
REQUIREMENTS = (  # of the package, of its tests, and ours
    *("Django", "cryptography", "python-dateutil", "sourcetypes", "pydantic"),
    *("pytest", "pytest-django", "pytest-asyncio", "beautifulsoup4", "channels[daphne]", "playwright"),
    *("webob", "asgiref", "typing_extensions"),
)
IN_A_BROWSER = ("tests/e2e", "tests/test_interactive")


def test_its_own_tests_come_out_as_before(source, python, tmp_path):
    """All tests of state pass on our layer, and of the others that need no browser each that passes on Tetra's own."""
    reports = []
    for ours in (False, True):
        copy = shutil.copytree(source, tmp_path / f"copy{ours}", symlinks=True)  # they write into the tree
        ignored = [f"--ignore={path}" for path in IN_A_BROWSER if (copy / path).exists()]
        options = ("-o", "addopts=--nomigrations", *ignored, "tests")
        reports.append(run(copy, *options, ours=ours, python=[str(python)], report=tmp_path / f"report{ours}"))
    theirs, ours = reports
    assert len(theirs.outcomes) - len(theirs.failed) > 100, theirs.output
    assert ours.failed <= theirs.failed, ours.output
    assert set(ours.outcomes) == set(theirs.outcomes)
    assert not [name for name, outcome in ours.outcomes.items() if "tests/state/" in name and outcome != "passed"]
    assert (theirs.calls, ours.calls["seal"] > 0) == ({}, True)
    # Before 0.9 none of them opens a state, and there is no tests/state.
    assert ours.calls.get("unseal", 0) > 0 or not (source / "tests/state").exists()


@pytest.fixture
def source(tmp_path):
    """A tree of Tetra's sources, with its tests."""
    source = os.environ.get("TETRA_SOURCE")
    if source:
        assert Path(source, "tests", "conftest.py").exists(), f"TETRA_SOURCE is {source}, and no tests are there"
        return Path(source)
    with urllib.request.urlopen(ARCHIVE, timeout=30) as response:
        archive = response.read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tree:
        tree.extractall(tmp_path, filter="data")
    return tmp_path / f"tetra-{COMMIT}"


@pytest.fixture
def python(source, tmp_path):
    """An interpreter with what Tetra and its tests need. Their plugins of pytest would be in the way of ours."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "-q", *REQUIREMENTS], check=True, timeout=300, stderr=subprocess.DEVNULL
    )
    return python
