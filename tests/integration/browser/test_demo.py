"""The demo's story, as a visitor sees it."""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support import ROOT

pytestmark = pytest.mark.browser

DEMO = ROOT / "examples" / "demo"
NAME = "__Host-Http-session"
LIMIT = 4096
PATIENCE = 60  # seconds for the demo to start, or to stop, on a busy machine


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start the demo as ``make demo`` does."""
    return subprocess.Popen(
        [sys.executable, str(DEMO), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )


def hear_interrupts() -> None:
    """A process started in the background by a shell ignores Ctrl-C, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def running(*, says: str = "") -> Iterator[str]:
    """The address of a running demo. It has to stop when Ctrl-C is pressed, and to have said nothing else."""
    with start("--port", "0") as process:
        try:
            assert process.stdout is not None
            watchdog = threading.Timer(PATIENCE, process.kill)
            watchdog.start()
            line = process.stdout.readline()
            watchdog.cancel()
            match = re.fullmatch(r"The demo runs at (http://localhost:\d+/) until Ctrl-C is pressed\.\n", line)
            assert match, line + process.communicate(timeout=PATIENCE)[1]
            yield match[1]
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=PATIENCE)
            assert output == "\n"
            assert re.fullmatch(says, errors), errors
            assert process.returncode == 0
        finally:
            process.kill()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running() as address:
        yield address


def number(page: Page, selector: str) -> int:
    return int(page.locator(selector).inner_text().replace(",", ""))


def token(context: BrowserContext) -> str:
    """The cookie in the browser's jar."""
    (cookie,) = context.cookies()
    assert cookie["name"] == NAME
    return cookie["value"]


def press(page: Page, button: str) -> None:
    """Press a button, and wait for the page that answers."""
    with page.expect_navigation():
        page.get_by_role("button", name=button).click()


def press_until_full(context: BrowserContext, page: Page, button: str) -> tuple[str, int]:
    """Press until it does not fit.

    :returns: the cookie and the count of items before the last press.
    """
    for _ in range(100):
        before = token(context), number(page, "#items")
        press(page, button)
        if page.get_by_role("alert").count():
            return before
    raise AssertionError("100 times, and the cookie is not full")


def test_visits_are_counted(page: Page, url: str) -> None:
    """Every visit counts one more, and nothing but the cookie can know of the earlier ones."""
    page.goto(url)
    assert number(page, "#visits") == 1
    page.reload()
    assert number(page, "#visits") == 2
    page.get_by_role("link", name="Visit again").click()
    expect(page.locator("#visits")).to_have_text("3")


def test_sign_in_and_out(context: BrowserContext, page: Page, url: str) -> None:
    """Signing in keeps the session under a new identity; signing out forgets all of it."""
    page.goto(url)
    press(page, "Add an item")
    before = page.locator("#session-id").inner_text()
    page.get_by_label("Your name").fill("  Ada  ")
    press(page, "Sign in")
    assert page.locator("#user").inner_text() == "Ada"
    assert number(page, "#items") == 1
    signed_in = page.locator("#session-id").inner_text()
    assert signed_in != before
    page.reload()
    assert page.locator("#session-id").inner_text() == signed_in
    press(page, "Sign out")
    expect(page.locator("#user")).to_have_count(0)
    assert number(page, "#items") == 0
    assert number(page, "#visits") == 1
    assert page.locator("#session-id").inner_text() not in (before, signed_in)


def test_what_a_user_types_is_text(page: Page, url: str) -> None:
    """A name with markup is shown as it was typed."""
    name = '<b onclick="x">&amp;$used \'ü'
    page.goto(url)
    page.get_by_label("Your name").fill(name)
    press(page, "Sign in")
    assert page.locator("#user").inner_text() == name
    assert repr(name) in page.locator("#content").inner_text()
    assert page.locator("[onclick]").count() == 0


def test_full_cart(context: BrowserContext, page: Page, url: str) -> None:
    """What does not fit is said in words, the browser keeps the cookie that it has, and nothing in it is lost."""
    page.goto(url)
    page.get_by_label("Your name").fill("Ada")
    press(page, "Sign in")
    for button in ("Add ten", "Add an item"):
        before, items = press_until_full(context, page, button)
        assert token(context) == page.locator("#token").inner_text() == before
        assert number(page, "#items") == items > 10
    alert = page.get_by_role("alert").inner_text()
    assert f"nothing is lost: your session is as it was, with {items} items in the cart" in alert
    assert re.search(
        rf"CookieTooLargeError: session cookie '{NAME}': it would have \d+ bytes.* more than {LIMIT} bytes\.", alert
    )
    assert "'cart'" in alert
    assert 0 <= number(page, "#left") < 60  # no room for an item
    page.goto(url)
    assert page.get_by_role("alert").count() == 0
    assert number(page, "#items") == items
    assert page.locator("#user").inner_text() == "Ada"
    press(page, "Empty the cart")
    assert number(page, "#items") == 0
    press(page, "Add an item")
    assert number(page, "#items") == 1


def test_gauge(context: BrowserContext, page: Page, url: str) -> None:
    """The gauge shows the bytes of name and value, and the sizes by key add up to them."""
    page.goto(url)
    for _ in range(3):
        press(page, "Add ten")
        used = number(page, "#used")
        assert used == len(NAME) + len(token(context))
        assert number(page, "#left") == LIMIT - used
        assert page.get_by_role("img", name=f"{used:,} of {LIMIT:,} bytes used").count() == 1
        sizes = page.locator("#sizes .size").all_inner_texts()
        assert sum(int(size.removesuffix(" bytes").replace(",", "")) for size in sizes) == used
        assert page.locator("#sizes .key").all_inner_texts() == ["name and seal", "visits", "cart"]


def test_wire(context: BrowserContext, page: Page, url: str) -> None:
    """The header on the page is the one that came with it, and its token is the one in the browser's cookie store."""
    response = page.goto(url)
    assert response is not None
    header = page.get_by_role("region", name="The header").inner_text()
    assert header == f"Set-Cookie: {response.header_value('Set-Cookie')}"
    assert page.locator("#token").inner_text() == token(context)
    dump = bytes.fromhex(" ".join(page.locator("#dump .bytes").all_inner_texts()))
    assert dump.startswith(b"\x01")
    assert b"visits" not in dump
    assert "'visits': 1" in page.locator("#content").inner_text()
    assert len(dump) == len(token(context)) * 3 // 4


def test_scripts_cannot_read_the_cookie(context: BrowserContext, page: Page, url: str) -> None:
    """The cookie is in the jar, and document.cookie is empty."""
    page.goto(url)
    assert token(context)
    assert page.evaluate("document.cookie") == ""


def test_works_without_javascript(browser: Browser, url: str) -> None:
    """Plain forms and redirects are all that the page needs."""
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(url)
    press(page, "Add ten")
    assert number(page, "#items") == 10
    plain.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_fits_the_screen(page: Page, url: str, scheme: Literal["light", "dark"], width: int) -> None:
    """Nothing sticks out to the side, and no console message asks for attention."""
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.goto(url)
    press(page, "Add ten")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    background = re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (sum(map(int, background)) < 3 * 128) == (scheme == "dark")
    assert messages == []


def test_another_start_has_other_keys(context: BrowserContext, page: Page) -> None:
    """A cookie from before a restart is refused with its reason, and the visitor goes on with a new session."""
    with running() as first:
        page.goto(first)
        press(page, "Add ten")
        old = token(context)
        with running(says=rf"cookie '{NAME}' rejected, unknown_key: .*\n") as second:
            page.goto(second)  # cookies do not know of ports
            assert "unknown_key" in page.get_by_role("status").inner_text()
            assert number(page, "#items") == 0
            assert token(context) != old


def test_other_sites_forms_are_refused(url: str, page: Page) -> None:
    """A form on another site starts no session here."""
    page.set_content(f'<form action="{url}cart/add" method="post"><button>Win a prize</button></form>')
    with page.expect_navigation() as navigation:
        page.get_by_role("button").click()
    assert navigation.value.status == 403
    assert navigation.value.header_value("Set-Cookie") is None


def test_unknown_address(page: Page, url: str) -> None:
    """An address that is not the demo's is not found, and sets no cookie."""
    response = page.goto(url + "nowhere")
    assert response is not None
    assert response.status == 404
    assert response.header_value("Set-Cookie") is None


def test_address_of_a_form(page: Page, url: str) -> None:
    """The address of a form, entered by hand, leads to the page and does nothing else."""
    page.goto(url + "cart/add")
    assert page.url == url
    assert number(page, "#items") == 0


def test_port_is_taken() -> None:
    """A taken port is said in one line that names the option."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with start("--port", str(port)) as process:
            output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert output == ""
    assert errors == f"Port {port} is in use. Choose another one with --port, such as --port {port + 1}.\n"
