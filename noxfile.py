"""Run the unit tests on all supported Python versions, with the latest and the lowest dependencies.

``nox`` runs all sessions, and ``nox --list`` shows them. uv makes the virtual environments, because pip cannot install
the lowest versions.
"""

import nox

PYTHONS = ["3.11", "3.12", "3.13"]

nox.needs_version = ">= 2024.4.15"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True


def run_units(session: nox.Session) -> None:
    """Run the tests that need no browser, servers, corpus or benchmarks. pytest receives the arguments after ``--``."""
    session.run("python", "-m", "pytest", "--numprocesses=auto", "@tests/units.txt", *session.posargs)


@nox.session(python=PYTHONS)
def units(session: nox.Session) -> None:
    """Test with the latest dependencies."""
    session.install("--upgrade", "--editable", ".[test]")
    run_units(session)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Test with the lowest dependencies that setup.cfg allows for the package and all its extras."""
    session.install("--resolution=lowest-direct", "--editable", ".[test]")
    run_units(session)


@nox.session(python=PYTHONS[0])
def lowest_core(session: nox.Session) -> None:
    """Test the core with its lowest dependencies. In `lowest`, the extras require higher versions of some of them."""
    session.install("--resolution=lowest-direct", "--editable", ".")
    session.install("pybase64", "pytest >= 9.0", "pytest-xdist", "hypothesis", "webtest", "httpx")
    session.run("python", "-m", "pytest", "--numprocesses=auto", "@tests/core.txt", *session.posargs)
