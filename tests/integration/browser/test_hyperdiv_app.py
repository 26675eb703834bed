"""examples/hyperdiv_app.py on its own server, as its users see it; and the plugin's script, played by the test."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from sealedsession.config import DAY
from sealedsession.integrations.hyperdiv import sealed_session
from sealedsession.integrations.hyperdiv.tokens import TokenConfig, TokenManager
from sealedsession.revocation import SQLiteStore
from tests.support import ROOT
from tests.support.servers import free_port as held_port
from tests.support.servers import running

pytestmark = pytest.mark.browser

EXAMPLES = ROOT / "examples"
SCRIPT = Path(sealed_session._assets_root) / "sealed_session.js"
KEY = "sealedsession:session"
# All that a page can leave in a browser.
STORED = """async () => [
    Object.entries(localStorage), Object.entries(sessionStorage), document.cookie,
    await indexedDB.databases(), await caches.keys(),
]"""
NOTHING = [[], [], "", [], []]
RECONNECTION = 60_000  # milliseconds, on a busy machine; Hyperdiv tries once a second


def environment(keys: dict[str, str], port: int) -> dict[str, str]:
    return {
        **{f"SESSION_{option.upper()}": key for option, key in keys.items()},
        "HD_PORT": str(port),
        "HD_PRODUCTION": "1",  # no reloader
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file in which the server looks up what is revoked."""
    return str(tmp_path_factory.mktemp("store") / "revoked.db")


@pytest.fixture(scope="module")
def url(serve: Callable[..., int], free_port: int, keys: dict[str, str], store: str) -> str:
    """The address of the running example."""
    env = {**environment(keys, free_port), "SESSION_REVOCATION": f"sqlite:{store}"}
    serve("hyperdiv_app.py", cwd=EXAMPLES, env=env, port=free_port)
    return f"http://localhost:{free_port}/"


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab, in which no script may fail."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


def is_out(page: Page) -> None:
    expect(page.get_by_text("Not authenticated.")).to_be_visible()


def counts(page: Page, number: int) -> None:
    expect(page.get_by_text(f"user:ann has counted to {number}.")).to_be_visible()


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).click()


def sign_in(page: Page, url: str, *, remember: bool = False) -> None:
    page.goto(url)
    is_out(page)
    press(page, "Authenticate")
    counts(page, 0)
    if remember:
        press(page, "Keep me signed in")
        expect(page.get_by_text("This device keeps you signed in.")).to_be_visible()


def stored(page: Page) -> str | None:
    token: str | None = page.evaluate("key => localStorage.getItem(key)", KEY)
    return token


def another(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(url)
    return page


# ------------------------------------------------------------------------------------------------------------ the story


def test_the_story(context: BrowserContext, page: Page, url: str) -> None:
    """Sign in, count, see it in a second window and after a reload, sign out in one window and be out in both."""
    sign_in(page, url, remember=True)
    for number in (1, 2, 3):
        press(page, "Count")
        counts(page, number)
    second = another(context, url)
    counts(second, 3)
    press(second, "Count")
    counts(second, 4)
    counts(page, 4)
    page.reload()
    counts(page, 4)
    press(second, "Log out")
    is_out(second)
    is_out(page)
    assert page.evaluate(STORED) == NOTHING
    page.reload()
    is_out(page)


def test_a_window_that_was_open_before(context: BrowserContext, page: Page, url: str) -> None:
    """A window in which nobody has signed in sees who signs in elsewhere, as soon as the token is stored."""
    second = another(context, url)
    is_out(second)
    sign_in(page, url)
    is_out(second)
    press(page, "Keep me signed in")
    counts(second, 0)


def test_nothing_is_stored_before_consent(context: BrowserContext, page: Page, url: str) -> None:
    """Without consent a session is this page's: nothing in any storage, in a second window or after a reload."""
    sign_in(page, url)
    press(page, "Count")
    counts(page, 1)
    assert page.evaluate(STORED) == NOTHING
    assert context.cookies() == []
    is_out(another(context, url))
    page.reload()
    is_out(page)


def test_consent_can_be_taken_back(context: BrowserContext, page: Page, url: str) -> None:
    """What was stored is deleted; this page stays signed in, and other windows are out."""
    sign_in(page, url, remember=True)
    second = another(context, url)
    counts(second, 0)
    press(page, "Forget me")
    expect(page.get_by_role("button", name="Keep me signed in")).to_be_visible()
    is_out(second)
    assert page.evaluate(STORED) == NOTHING
    press(page, "Count")
    counts(page, 1)
    assert page.evaluate(STORED) == NOTHING


def test_other_profiles_are_others(page: Page, url: str) -> None:
    """What one browser stores is no business of another."""
    sign_in(page, url, remember=True)
    browser = page.context.browser
    assert browser is not None
    other = browser.new_context()
    is_out(another(other, url))
    other.close()


def test_pages_load_nothing_from_elsewhere(context: BrowserContext, page: Page, url: str) -> None:
    """Everything comes from the server itself, as on a machine without a network, and no address carries a token."""
    addresses: list[str] = []
    context.on("request", lambda request: addresses.append(request.url))
    page.on("websocket", lambda socket: addresses.append(socket.url))
    sign_in(page, url, remember=True)
    page.reload()
    counts(page, 0)
    own = (url, url.replace("http", "ws"))
    assert len(addresses) > 5
    assert [address for address in addresses if not address.startswith((*own, "data:"))] == []
    token = stored(page)
    assert token
    assert not any(token in address for address in addresses)


# ------------------------------------------------------------------------------------------------------ hostile storage


def sealed(config: TokenConfig) -> str:
    """A token of Ann's, by any configuration."""
    manager = TokenManager(config)
    session = manager.open("")
    session.subject = "user:ann"
    return manager.seal(session)


def tampered(token: str, keys: dict[str, str]) -> str:
    return token[:40] + ("A" if token[40] != "A" else "B") + token[41:]


def expired(token: str, keys: dict[str, str]) -> str:
    return sealed(TokenConfig(**keys, clock=lambda: time.time() - 8 * DAY))


def of_another_name(token: str, keys: dict[str, str]) -> str:
    return sealed(TokenConfig(**keys, name="other"))


def garbage(token: str, keys: dict[str, str]) -> str:
    return "\u20ac\ud83d; session=" + token


@pytest.mark.parametrize("attack", [tampered, expired, of_another_name, garbage])
def test_a_token_that_is_none(page: Page, url: str, keys: dict[str, str], attack: Callable[..., str]) -> None:
    """Whatever is put into the storage authenticates nobody, and is taken out again; signing in works after it."""
    sign_in(page, url, remember=True)
    token = stored(page)
    assert token
    page.evaluate("([key, token]) => localStorage.setItem(key, token)", [KEY, attack(token, keys)])
    page.reload()
    is_out(page)
    page.wait_for_function("key => localStorage.getItem(key) === null", arg=KEY)
    page.evaluate("([key, token]) => localStorage.setItem(key, token)", [KEY, token])
    page.reload()
    counts(page, 0)  # it was the token, and nothing else


def test_what_another_window_puts_there(context: BrowserContext, page: Page, url: str, keys: dict[str, str]) -> None:
    """A window that is open notices a forged token too, and its own goes with it: there is one for all."""
    sign_in(page, url, remember=True)
    second = another(context, url)
    counts(second, 0)
    token = stored(page)
    assert token
    second.evaluate("([key, token]) => localStorage.setItem(key, token)", [KEY, tampered(token, keys)])
    is_out(page)
    is_out(second)


def test_clearing_the_sites_data_signs_out(context: BrowserContext, page: Page, url: str) -> None:
    """Who clears the storage by other means is out in all windows, and stays out."""
    sign_in(page, url, remember=True)
    second = another(context, url)
    counts(second, 0)
    second.evaluate("localStorage.clear()")
    is_out(page)
    press(second, "Count")  # its own clear() is no event for a window: it notices with the next token
    is_out(second)
    assert second.evaluate(STORED) == NOTHING


def test_what_is_revoked_on_the_server(context: BrowserContext, page: Page, url: str, store: str) -> None:
    """A session that is revoked on the server is refused in the open window, a new one, and as a copy elsewhere."""
    sign_in(page, url, remember=True)
    token = stored(page)
    second = another(context, url)
    counts(second, 0)
    SQLiteStore(store).revoke_subject("user:ann", ttl=DAY)
    press(page, "Count")
    is_out(page)
    press(second, "Count")
    is_out(second)
    assert page.context.browser is not None
    thief = page.context.browser.new_context()
    copy = another(thief, url)
    is_out(copy)
    copy.evaluate("([key, token]) => localStorage.setItem(key, token)", [KEY, token])
    copy.reload()
    is_out(copy)
    thief.close()


def test_a_copy_is_worthless_after_the_logout(page: Page, url: str) -> None:
    """A token that was copied before a logout does not open after it."""
    sign_in(page, url, remember=True)
    token = stored(page)
    press(page, "Log out")
    is_out(page)
    page.evaluate("([key, token]) => localStorage.setItem(key, token)", [KEY, token])
    page.reload()
    is_out(page)


def test_pages_of_other_sites_get_no_connection(url: str) -> None:
    """The server's websocket is for pages of its own host."""
    address = url.replace("http", "ws") + "ws"
    with connect(address, origin=Origin(url.rstrip("/")), open_timeout=60) as socket:
        socket.send("[]")
    for origin in ("http://localhost:1", "http://other.example", "null"):
        with pytest.raises(InvalidStatus, match="403"), connect(address, origin=Origin(origin), open_timeout=60):
            pass


@pytest.fixture
def own_port() -> Iterator[int]:
    """A port for the servers of one test."""
    with held_port() as port:
        yield port


def test_a_lost_connection(page: Page, own_port: int, keys: dict[str, str], tmp_path: Path) -> None:
    """A page that has lost its server and found it again has its session still, without consent too; and the server's
    log, which has every request, has no token."""
    port = own_port
    cover = page.locator(".disconnected-cover")
    with running("hyperdiv_app.py", cwd=EXAMPLES, directory=tmp_path, env=environment(keys, port), port=port):
        sign_in(page, f"http://localhost:{port}/")
        press(page, "Count")
        counts(page, 1)
    expect(cover).to_be_visible(timeout=RECONNECTION)
    second = tmp_path / "second"
    second.mkdir()
    env = {**environment(keys, port), "HD_PRODUCTION": "0"}
    with running("hyperdiv_app.py", cwd=EXAMPLES, directory=second, env=env, port=port):
        expect(cover).to_have_count(0, timeout=RECONNECTION)
        counts(page, 1)
        kept = page.get_by_text("This device keeps you signed in.")
        for _ in range(5):  # the server drops a click that crosses what the page offers after it has connected again
            press(page, "Keep me signed in")
            with suppress(AssertionError):
                expect(kept).to_be_visible(timeout=RECONNECTION / 5)
                break
        expect(kept).to_be_visible()
        token = stored(page)
        assert token
    log = (second / "log").read_text()
    assert "GET /" in log
    assert token not in log


# ------------------------------------------------------------------------------------------------- the script by itself


class Script:
    """The plugin's script in a page of its own, with a server that the test plays."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url + "build/bundle.css")  # any document of the origin that runs no script
        page.evaluate("window.hyperdiv = {registerPlugin: (name, register) => { window.register = register; }}")
        page.add_script_tag(content=SCRIPT.read_text())

    def start(self, answer: list[Any] | None = None) -> None:
        """Make the plugin, as Hyperdiv does when its element comes into the page."""
        self.page.evaluate(
            """answer => {
                const host = document.createElement("div");
                document.body.replaceChildren(host);
                window.sent = [];
                const serial = window.serial = (window.serial ?? 0) + 1;
                window.register({
                    domElement: host.attachShadow({mode: "open"}),
                    initialProps: {_storage_key: "key", _offered: [0, "", false], _answer: answer},
                    updateProp: (name, value) => window.sent.push([serial, name, ...value]),
                    onPropUpdate: (update) => { window.answer = (message) => update("_answer", message); },
                });
            }""",
            answer or [0, "", False],
        )

    def answer(self, *message: Any) -> None:
        self.page.evaluate("message => window.answer(message)", message)

    @property
    def sent(self) -> list[Any]:
        """What the server has been offered since the last time, by the plugin that was made last."""
        sent: list[Any] = self.page.evaluate("window.sent.splice(0)")
        serial = self.page.evaluate("window.serial")
        assert [(made, name) for made, name, *_ in sent] == [(serial, "_offered")] * len(sent)
        return [message for _, _, *message in sent]

    @property
    def stored(self) -> str | None:
        token: str | None = self.page.evaluate("localStorage.getItem('key')")
        return token


@pytest.fixture
def script(page: Page, url: str) -> Script:
    return Script(page, url)


def test_the_script_says_what_it_has(script: Script) -> None:
    """The browser always sends a message, so that the server need not wait, and a stored token includes the consent."""
    script.start()
    assert script.sent == [[1, "", False]]
    script.page.evaluate("localStorage.setItem('key', 'TOKEN')")
    script.start()
    assert script.sent == [[1, "TOKEN", True]]


def test_an_answer_that_has_crossed_an_offer_is_dropped(script: Script, context: BrowserContext, url: str) -> None:
    """An answer that was on its way when another window's token was offered is not stored over that."""
    script.start()
    script.answer(1, "ONE", True)
    other = another(context, url + "build/bundle.css")
    other.evaluate("localStorage.setItem('key', 'TWO')")
    script.page.wait_for_function("window.sent.length === 2")
    assert script.sent == [[1, "", False], [2, "TWO", True]]
    script.answer(1, "LATE", True)
    assert script.stored == "TWO"
    script.answer(2, "THREE", True)
    assert script.stored == "THREE"
    assert script.sent == []


def test_a_token_for_a_session_that_another_window_has_ended(script: Script) -> None:
    """A new token that was on its way when another window signed out does not bring the session back."""
    script.start()
    script.answer(1, "ONE", True)
    script.page.evaluate("localStorage.removeItem('key')")  # the event that tells of it has not come yet
    script.answer(1, "TWO", True)
    assert script.stored is None
    assert script.sent == [[1, "", False], [2, "", False]]
    script.answer(2, "THREE", True)  # somebody signs in again
    assert script.stored == "THREE"


def test_a_session_that_the_server_began_first(script: Script) -> None:
    """A token that was there before the script is kept, unless the browser has one."""
    script.start([0, "FIRST", False])
    assert script.sent == [[1, "FIRST", False]]
    assert script.stored is None
    script.page.evaluate("localStorage.setItem('key', 'STORED'); delete window.sealedsession")
    script.start([0, "FIRST", False])
    assert script.sent == [[1, "STORED", True]]
    assert script.stored == "STORED"


def test_a_session_that_ended_while_the_connection_was_lost(script: Script) -> None:
    """A page that comes back does not bring along what another window has deleted meanwhile."""
    script.start()
    script.answer(1, "ONE", True)
    script.page.evaluate("localStorage.removeItem('key')")
    script.start()
    assert script.sent == [[1, "", False]]


@pytest.mark.parametrize(
    "fault",
    [
        "() => { Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }; }",
        "() => Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('', 'SecurityError'); }})",
    ],
)
def test_a_storage_that_does_not_work(script: Script, fault: str) -> None:
    """Where the storage is full or blocked the session lives in the page, with consent too, and nothing fails."""
    script.page.evaluate(fault)
    script.start()
    for token in ("ONE", "TWO", "THREE"):
        script.answer(1, token, True)
    script.start()
    assert script.sent == [[1, "THREE", True]]
    script.answer(1, "", False)
    script.start()
    assert script.sent == [[1, "", False]]


def test_a_plugin_that_has_left_the_page_is_silent(script: Script, context: BrowserContext, url: str) -> None:
    """Of two plugins that were made one after the other, the page's own speaks."""
    script.start()
    script.start()
    other = another(context, url + "build/bundle.css")
    other.evaluate("localStorage.setItem('key', 'TOKEN')")
    script.page.wait_for_function("window.sent.length === 2")
    other.evaluate("localStorage.setItem('key', 'NEXT')")
    script.page.wait_for_function("window.sent.length === 3")
    assert script.sent == [[1, "", False], [2, "TOKEN", True], [3, "NEXT", True]]
