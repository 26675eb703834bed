"""A Django project for the tests beside: its settings, its tables in memory, and a transaction for each test."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import django
import pytest
import settings as project
from django.conf import settings
from django.db import connections, transaction
from django.test.utils import (
    CaptureQueriesContext,
    setup_databases,
    setup_test_environment,
    teardown_databases,
    teardown_test_environment,
)

# No variable of the environment names them: processes that other tests start have settings of their own.
settings.configure(**{name: value for name, value in vars(project).items() if name.isupper()})
django.setup()

# What is imported here asks for models.
from bookshop import stock  # noqa: E402
from forging import ForgingRegistry  # noqa: E402

from sealedsession.integrations.django.values import registry  # noqa: E402
from sealedsession.state.sealer import StateSealer  # noqa: E402

QueryCount = Callable[..., AbstractContextManager[CaptureQueriesContext]]


@pytest.fixture(scope="session")
def databases() -> Iterator[None]:
    """The tables of all applications, in every database."""
    setup_test_environment(debug=False)
    old = setup_databases(verbosity=0, interactive=False)
    yield
    teardown_databases(old, verbosity=0)
    teardown_test_environment()


@pytest.fixture
def db(databases: None) -> Iterator[None]:
    """A transaction in every database, undone when the test is over."""
    with ExitStack() as stack:
        for alias in connections:
            stack.enter_context(transaction.atomic(using=alias))
        yield
        for alias in connections:
            transaction.set_rollback(True, using=alias)


@pytest.fixture
def queries(db: None) -> QueryCount:
    """``with queries(2): ...`` fails unless exactly two queries are made within, in the database `using`."""

    @contextmanager
    def counted(number: int, using: str = "default") -> Iterator[CaptureQueriesContext]:
        with CaptureQueriesContext(connections[using]) as captured:
            yield captured
        assert len(captured) == number, [query["sql"] for query in captured]

    return counted


@pytest.fixture
def sealer(keys: dict[str, str]) -> StateSealer:
    """Seals and opens what Django's registry knows."""
    return StateSealer(**keys, registry=registry)


@pytest.fixture
def reopened(sealer: StateSealer) -> Callable[[Any], Any]:
    """What becomes of a value that is sealed and opened."""
    return lambda value: sealer.unseal(sealer.seal(value, session_id="s"), session_id="s")


@pytest.fixture
def open_forged(keys: dict[str, str], sealer: StateSealer) -> Callable[[object], Any]:
    """Open a token that somebody made who has the keys, of values that no application seals: see forging.py."""
    forger = StateSealer(**keys, registry=ForgingRegistry())
    return lambda value: sealer.unseal(forger.seal(value, session_id="s"), session_id="s")


@pytest.fixture
def shop(db: None) -> None:
    """A few rows of everything, of which some are alike."""
    stock()
