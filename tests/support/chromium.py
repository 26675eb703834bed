"""A real browser: Debian's chromium, or any of its kind that is installed. No network but this machine's loopback."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # root in a container has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# A module's, not the session's: while it lives, an event loop runs in this thread, and asyncio.run() refuses to.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the browser. Without one, tests are skipped on a developer's machine and fail where CI is set."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        reason = f"no browser on this machine: none of {', '.join(NAMES)} is in the PATH"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS, timeout=60_000)
        yield launched
        launched.close()
