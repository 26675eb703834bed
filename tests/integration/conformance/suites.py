"""Run the frameworks' own tests of sessions on sealed sessions: ``python -m tests.integration.conformance.suites``.

Each suite comes from the framework's source distribution and runs in a virtual environment of its own, below
``.suites``, which later runs use again. Names choose suites. A suite passes if

* the tests that fail are exactly those listed here, each with its reason;
* our code was called to load, close, seal and unseal sessions.
"""

import json
import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
WORK = ROOT / ".suites"
HERE = Path(__file__).parent

SAMESITE = "a cookie without SameSite is not sent: the default is Lax"


class Suite(NamedTuple):
    """The tests of one framework.

    :param source: the requirement of the source distribution, pinned.
    :param requirements: what else the tests need.
    :param arguments: pytest's arguments, in the unpacked distribution; or the labels of Django's tests.
    :param failures: the tests that fail, with the reason.
    :param minimum: tests that pass at least, so that an empty run does not.
    :param command: the words before the arguments.
    :param directory: where the tests run, in the unpacked distribution.
    :param save: the method of ours that saves a session.
    """

    source: str
    requirements: tuple[str, ...]
    arguments: tuple[str, ...]
    failures: dict[str, str]
    minimum: int
    command: tuple[str, ...] = ("-m", "pytest", "-q", "--tb=no", "-p", "suite_plugin")
    directory: str = "."
    save: str = "close"


# These tests write into the session's store without a request, and the engine with signed cookies fails them as well.
_STORE = "it changes a stored session without a request, and fails with Django's signed cookies too"
_RESET = "auth_tests.test_views.PasswordResetTest"
DJANGO_FAILURES = dict.fromkeys(
    (
        "test_confirm_valid_custom_user (auth_tests.test_views.CustomUserCompositePrimaryKeyPasswordResetTest"
        ".test_confirm_valid_custom_user)",
        "test_confirm_valid_custom_user (auth_tests.test_views.CustomUserPasswordResetTest"
        ".test_confirm_valid_custom_user)",
        "test_confirm_valid_custom_user (auth_tests.test_views.UUIDUserPasswordResetTest"
        ".test_confirm_valid_custom_user)",
        "test_default_logout_then_login (auth_tests.test_views.LogoutThenLoginTests.test_default_logout_then_login)",
        "test_logout_then_login_with_custom_login (auth_tests.test_views.LogoutThenLoginTests"
        ".test_logout_then_login_with_custom_login)",
        "test_empty_session_saved (sessions_tests.tests.SessionMiddlewareTests.test_empty_session_saved)",
        "test_session_initiated (test_client_regress.tests.SessionTests.test_session_initiated)",
        *(
            f"test_password_reset_confirm_view_{name} (auth_tests.test_templates.AuthTemplateTests"
            f".test_password_reset_confirm_view_{name})"
            for name in ("custom_username_hint", "error_title", "valid_token")
        ),
        *(
            f"test_confirm_{name} ({_RESET}.test_confirm_{name})"
            for name in (
                "complete", "custom_reset_url_token", "different_passwords", "display_user_from_form",
                "login_post_reset", "login_post_reset_already_logged_in", "login_post_reset_custom_backend",
                "redirect_custom", "redirect_custom_named", "redirect_default", "valid",
            )
        ),
    ),
    _STORE,
)  # fmt: skip
_NEW_KEY = (
    "test_session_key_flushed_on_login_after_password_change "
    "(auth_tests.test_views.LoginTest.test_session_key_flushed_on_login_after_password_change)"
)

SUITES = {
    "django": Suite(
        "django==5.2.19",
        ("asgiref", "sqlparse", "pytest"),
        ("sessions_tests", "auth_tests", "messages_tests", "csrf_tests", "test_client", "test_client_regress"),
        {**DJANGO_FAILURES, _NEW_KEY: "session_key is the token under Django's middleware: see django-middleware"},
        1880,
        (str(HERE / "suite_django.py"),),
        "tests",
        "token",
    ),
    "django-middleware": Suite(
        "django==5.2.19",
        ("asgiref", "sqlparse", "pytest"),
        ("auth_tests.test_views.LoginTest", "auth_tests.test_views.ChangePasswordTest"),
        {},
        24,
        (str(HERE / "suite_django.py"),),
        "tests",
        "seal",
    ),
    "flask": Suite(
        "flask==3.1.3",
        ("pytest<9", "python-dotenv", "asgiref"),
        ("tests", "--override-ini=filterwarnings=default"),
        {
            "tests/test_basic.py::test_session_using_samesite_attribute": SAMESITE,
            "tests/test_basic.py::test_session_expiration": "we send Max-Age, which takes precedence over Expires",
            "tests/test_basic.py::test_session_refresh_vary": "a request that does not use it is not refreshed",
            "tests/test_basic.py::test_flashes": "session.modified = False is an error, because it would lose changes",
            "tests/test_reqctx.py::test_bad_environ_raises_bad_request": "it fails with Flask's own session too",
        },
        480,
    ),
    "starlette": Suite(
        "starlette==1.10.0",
        ("pytest<10", "httpx2", "anyio", "trio", "itsdangerous"),
        ("tests/middleware/test_session.py", "--override-ini=filterwarnings=default"),
        {
            f"tests/middleware/test_session.py::{test}[{backend}]": "max_age of 0 and below is refused at start"
            for test in ("test_session_expires", "test_session_zero_max_age")
            for backend in ("asyncio", "trio")
        },
        25,
    ),
}


def run(*command: object, cwd: Path = ROOT, env: dict[str, str] | None = None) -> int:
    return subprocess.run(list(map(str, command)), cwd=cwd, env={**os.environ, **(env or {})}, check=False).returncode


def prepare(name: str, suite: Suite) -> tuple[Path, Path]:
    """Return the interpreter of the suite's environment, and the directory of its source distribution."""
    directory = WORK / f"{name}-{sys.version_info[0]}.{sys.version_info[1]}"
    python, marker = directory / "venv" / "bin" / "python", directory / "prepared.json"
    wanted = json.dumps([suite.source, suite.requirements])
    if not marker.exists() or marker.read_text() != wanted:
        venv.create(directory / "venv", clear=True, with_pip=True)
        pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check")
        failed = run(*pip, "install", suite.source, *suite.requirements, "--editable", ROOT) or run(
            *pip, "download", "--no-deps", "--no-binary", ":all:", "--dest", directory, suite.source
        )
        if failed:
            raise SystemExit(f"{name}: its environment could not be made")
        [archive] = directory.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(directory / "source", filter="data")
        marker.write_text(wanted)
    [source] = (directory / "source").iterdir()
    return python, source


def check(name: str, suite: Suite) -> bool:
    """Run a suite, print the result, and return whether it is the expected one."""
    python, source = prepare(name, suite)
    report = WORK / f"{name}.json"
    report.unlink(missing_ok=True)
    env = {"SUITE": name, "SUITE_REPORT": str(report), "PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}"}
    run(python, *suite.command, *suite.arguments, cwd=source / suite.directory, env=env)
    if not report.exists():
        print(f"{name}: the suite did not end")
        return False
    result = json.loads(report.read_text())
    failed = {test for test, outcome in result["outcomes"].items() if outcome == "failed"}
    passed = sum(outcome == "passed" for outcome in result["outcomes"].values())
    print(f"{name}: {passed} passed, {len(failed)} failed; calls of our code: {result['calls']}")
    problems = [f"{test} fails" for test in sorted(failed - {*suite.failures})]
    problems += [f"{test} passes, and is listed as a failure" for test in sorted({*suite.failures} - failed)]
    problems += [
        f"{call} was never called" for call in ("load", suite.save, "seal", "unseal") if not result["calls"].get(call)
    ]
    if passed < suite.minimum:
        problems.append(f"{passed} tests passed instead of {suite.minimum} or more")
    for problem in problems:
        print(f"{name}: {problem}")
    for test, reason in suite.failures.items():
        print(f"{name}: expected failure: {test}: {reason}")
    return not problems


def main(names: list[str]) -> int:
    passed = [check(name, SUITES[name]) for name in names or SUITES]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
