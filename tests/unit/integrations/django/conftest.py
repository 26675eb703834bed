"""A Django project for the tests in this folder: settings, tables in memory, and a transaction for each test."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
from django.db import connections, transaction
from django.test.utils import (
    CaptureQueriesContext,
    setup_databases,
    setup_test_environment,
    teardown_databases,
    teardown_test_environment,
)

from tests.support.django_project import configure

# Not with an environment variable, because other tests start processes with different settings.
configure()

# These modules import models, and need the settings.
from bookshop import stock  # noqa: E402
from forging import ForgingRegistry  # noqa: E402

from sealedsession.integrations.django.values import registry  # noqa: E402
from sealedsession.state.sealer import StateSealer  # noqa: E402

QueryCount = Callable[..., AbstractContextManager[CaptureQueriesContext]]


@pytest.fixture(scope="session")
def databases() -> Iterator[None]:
    """Create the tables of all applications in every database."""
    setup_test_environment(debug=False)
    old = setup_databases(verbosity=0, interactive=False)
    yield
    teardown_databases(old, verbosity=0)
    teardown_test_environment()


@pytest.fixture
def db(databases: None) -> Iterator[None]:
    """Run a test in a transaction in every database, and roll back."""
    with ExitStack() as stack:
        for alias in connections:
            stack.enter_context(transaction.atomic(using=alias))
        yield
        for alias in connections:
            transaction.set_rollback(True, using=alias)


@pytest.fixture
def queries(db: None) -> QueryCount:
    """Check the number of queries in a block: ``with queries(2): ...``, in the database `using`."""

    @contextmanager
    def counted(number: int, using: str = "default") -> Iterator[CaptureQueriesContext]:
        with CaptureQueriesContext(connections[using]) as captured:
            yield captured
        assert len(captured) == number, [query["sql"] for query in captured]

    return counted


@pytest.fixture
def sealer(keys: dict[str, str]) -> StateSealer:
    """Return a sealer with Django's registry."""
    return StateSealer(**keys, registry=registry)


@pytest.fixture
def reopened(sealer: StateSealer) -> Callable[[Any], Any]:
    """Return a function that seals and opens a value."""
    return lambda value: sealer.unseal(sealer.seal(value, session_id="s"), session_id="s")


@pytest.fixture
def open_forged(keys: dict[str, str], sealer: StateSealer) -> Callable[[object], Any]:
    """Return a function that seals values as an attacker with the keys can, and opens the token: see forging.py."""
    forger = StateSealer(**keys, registry=ForgingRegistry())
    return lambda value: sealer.unseal(forger.seal(value, session_id="s"), session_id="s")


@pytest.fixture
def shop(db: None) -> None:
    """Create a few rows of every model, some of them with equal values."""
    stock()
