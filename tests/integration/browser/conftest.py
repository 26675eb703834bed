"""Profiles and tabs of a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.chromium import browser  # noqa: F401  # a fixture

TIMEOUT = 15_000  # milliseconds for any one step, also on a busy machine

expect.set_options(timeout=TIMEOUT)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:  # noqa: F811
    """A profile with an empty cookie jar."""
    opened = browser.new_context()
    opened.set_default_timeout(TIMEOUT)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A tab of that profile."""
    return context.new_page()
