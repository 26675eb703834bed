"""Run Django's own tests on the session engine: ``python suite_django.py LABEL...`` in the tests of Django's sdist.

``SUITE_REPORT`` names the file for outcomes and calls, as in suite_plugin.py. With ``SUITE=django-middleware`` they
also run on the session middleware of this package.
"""

import importlib.util
import json
import os
import runpy
import sys
import unittest
from pathlib import Path
from types import ModuleType
from typing import Any

import django
import suite_plugin
from django.conf import settings
from django.test.runner import DiscoverRunner

from sealedsession.lifecycle.load import SessionLoader
from sealedsession.lifecycle.manager import SessionManager
from sealedsession.sealing.sealer import Sealer

SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"


class Runner(DiscoverRunner):
    """Writes a report when the tests have ended."""

    def run_suite(self, suite: unittest.TestSuite, **options: Any) -> unittest.TestResult:
        result: unittest.TestResult = super().run_suite(suite, **options)
        wrong = [str(test) for test, _ in (*result.failures, *result.errors)]
        outcomes = dict.fromkeys(sorted(wrong), "failed")
        passed = result.testsRun - len(wrong) - len(result.skipped) - len(result.expectedFailures)
        outcomes |= {f"passed {number}": "passed" for number in range(passed)}
        report = {"outcomes": outcomes, "calls": suite_plugin.CALLS}
        Path(os.environ["SUITE_REPORT"]).write_text(json.dumps(report))
        return result


def make_settings() -> ModuleType:
    """Make the module of settings that the tests run with."""
    module = ModuleType("suite_settings")
    module.DATABASES = {name: {"ENGINE": "django.db.backends.sqlite3"} for name in ("default", "other")}
    module.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    module.DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
    module.USE_TZ = False
    module.SECRET_KEY = "django_tests_secret_key"
    module.SESSION_ENGINE = "sealedsession.integrations.django.sessions"
    module.TEST_RUNNER = "suite_django.Runner"
    if os.environ["SUITE"] == "django-middleware":
        module.SESSION_COOKIE_NAME = "__Host-Http-session"
    return module


def use_engine() -> None:
    """Put the engine in the place of the one with signed cookies, whose tests expect a session in the cookie."""
    from sealedsession.integrations.django import sessions

    sys.modules[SIGNED_COOKIES] = sessions
    import django.contrib.sessions.backends as backends

    backends.signed_cookies = sessions  # type: ignore[attr-defined]


def use_middleware() -> None:
    """Put the session middleware of this package in the place of Django's."""
    import django.contrib.sessions.middleware as middleware

    from sealedsession.integrations.django.session_middleware import SessionMiddleware

    middleware.SessionMiddleware = SessionMiddleware  # type: ignore[misc, assignment]


def main(labels: list[str]) -> None:
    suite_plugin.allow_weak_secrets()
    for cls, name in ((SessionLoader, "load"), (SessionManager, "token"), (Sealer, "seal"), (Sealer, "unseal")):
        suite_plugin.count_calls(cls, name)
    sys.modules["suite_settings"] = make_settings()
    sys.modules["suite_django"] = sys.modules["__main__"]
    set_up = django.setup

    def setup(set_prefix: bool = True) -> None:
        set_up(set_prefix)
        use_engine()
        if os.environ["SUITE"] == "django-middleware":
            use_middleware()

    django.setup = setup
    sys.argv = ["runtests.py", "--settings=suite_settings", "--parallel=1", *labels]
    sys.path.insert(0, os.getcwd())
    assert not settings.configured
    assert importlib.util.find_spec("django")
    runpy.run_path("runtests.py", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
