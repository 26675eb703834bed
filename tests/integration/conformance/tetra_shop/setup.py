"""A plugin for pytest: the settings of the application, its tables, and a type of its own that state can hold."""

from typing import NamedTuple

import django
import pytest
from django.conf import settings
from django.core.management import call_command

from sealedsession.integrations.django.values import registry

settings.configure(
    SECRET_KEY="p2Yk3lWm8tB0xZr5Jd7HnVf2CsGoPaEu9LiT4wXyKbMq",
    INSTALLED_APPS=[
        "tetra",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "tetra_shop",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    STATIC_URL="/static/",
    ALLOWED_HOSTS=["testserver"],
)


class Money(NamedTuple):
    """An amount, and the code of its currency."""

    amount: int
    currency: str


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ours: told of sealed state only")
    django.setup()
    registry.register_namedtuple(Money, "shop.money")
    call_command("migrate", run_syncdb=True, verbosity=0)
