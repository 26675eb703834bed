"""The Django project of the tests. A process can have only one."""

import sys

import django
from django.conf import settings

from tests.support import ROOT

DIRECTORY = ROOT / "tests" / "unit" / "integrations" / "django"


def configure() -> None:
    """Configure Django with the project's settings, unless that has been done."""
    if settings.configured:
        return
    sys.path.insert(0, str(DIRECTORY))
    import settings as project

    settings.configure(**{name: value for name, value in vars(project).items() if name.isupper()})
    django.setup()
