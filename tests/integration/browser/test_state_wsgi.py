"""The module sealed_state.js in a browser: with examples/state_wsgi.py and docs/howto/state.rst as servers."""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from tests.support import ROOT
from tests.support.pages import block_with

pytestmark = pytest.mark.browser

EXAMPLES, DOCS = ROOT / "examples", ROOT / "docs"
STATE = "data-sealedsession-state"

# Calls made by a test, all at once: for each, what it came to, as [value] or as [status, code].
CALLS = """async (calls) => {
  const { call } = await import("/sealed_state.js");
  const made = calls.map(([selector, ...rest]) => call(document.querySelector(selector), ...rest));
  const settled = await Promise.allSettled(made);
  return settled.map(({ value, reason }) => (reason ? [reason.status, reason.code] : [value]));
}"""

# From now on the page keeps in `events` what it hears of stale elements; where `keeps` is true, they stay.
LISTEN = """(keeps) => {
  window.events = [];
  document.addEventListener("sealedsession:stale", (event) => {
    window.events.push([event.target.id, event.target.isConnected, event.detail.message]);
    if (keeps) event.preventDefault();
  });
}"""

# From now on `fetch` answers itself, and keeps in `sent` what was sent: with the token before it and a digit.
ECHO = """() => {
  window.sent = [];
  window.fetch = async (url, { body }) => {
    const { token, method, args } = JSON.parse(body);
    window.sent.push([method, args]);
    return new Response(JSON.stringify({ token: token.length + "", result: args }));
  };
}"""


@pytest.fixture(scope="module")
def env(keys: dict[str, str]) -> dict[str, str]:
    return {f"SESSION_{option.upper()}": key for option, key in keys.items()}


@pytest.fixture(scope="module")
def start(serve: Callable[..., int], env: dict[str, str]) -> Callable[[], str]:
    """Start the example; gives its address."""
    return lambda: f"http://localhost:{serve('state_wsgi.py', cwd=EXAMPLES, env=env)}/"


@pytest.fixture(scope="module")
def shop(start: Callable[[], str]) -> str:
    """The address of an example in which nothing is bought."""
    return start()


@pytest.fixture
def own_shop(start: Callable[[], str]) -> str:
    """The address of an example for one test, with all books there."""
    return start()


def calls(page: Page, *made: Any) -> list[Any]:
    """Make calls, all at once, and give what they came to."""
    results: list[Any] = page.evaluate(CALLS, list(made))
    return results


def token(page: Page, selector: str) -> str:
    found = page.locator(selector).get_attribute(STATE)
    assert found
    return found


def put_token(page: Page, selector: str, value: str) -> None:
    page.locator(selector).evaluate(f"(element, value) => element.setAttribute('{STATE}', value)", value)


def book(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has_text=title)


def buy(page: Page, title: str) -> None:
    book(page, title).get_by_role("button").click()
    expect(page.locator("#message")).to_have_text(f"{title} is yours.")


def assert_alive(page: Page) -> None:
    """The counter counts on."""
    count = page.locator("#counter output")
    before = count.inner_text()
    page.get_by_role("button", name="Count").click()
    expect(count).not_to_have_text(before)


@contextmanager
def requests(page: Page) -> Iterator[list[str]]:
    """The addresses that the page asks for meanwhile."""
    urls: list[str] = []

    def note(request: Any) -> None:
        urls.append(request.url)

    page.on("request", note)
    yield urls
    page.remove_listener("request", note)


def test_counter(page: Page, shop: str) -> None:
    """Every click counts; a page that is loaded again begins at zero, because the state was only in the page."""
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(shop)
    before = token(page, "#counter")
    for count in ("1", "2", "3"):
        page.get_by_role("button", name="Count").click()
        expect(page.locator("#counter output")).to_have_text(count)
    assert token(page, "#counter") != before
    page.reload()
    assert_alive(page)
    expect(page.locator("#counter output")).to_have_text("1")
    assert messages == []  # nor has the content security policy complained


def test_live_search(page: Page, shop: str) -> None:
    """Of keys that are struck quickly, each makes a search, none gets lost, and the last one's result is shown."""
    page.goto(shop)
    page.get_by_label("Search").press_sequentially("emma")
    expect(page.locator("#search output")).to_have_text("4")
    assert page.get_by_role("listitem").all_inner_texts() == ["Emma Buy"]
    page.get_by_label("Search").fill("<")
    expect(page.get_by_role("listitem")).to_have_text("<Villette> Buy")
    assert page.locator("villette").count() == 0
    page.get_by_label("Search").fill("")
    expect(page.get_by_role("listitem")).to_have_count(5)
    expect(page.locator("#search output")).to_have_text("6")


def test_calls_of_one_element_wait_for_each_other(page: Page, shop: str) -> None:
    """One request at a time, in the order of the calls, each with the newest token, though the first takes longest."""
    page.goto(shop)
    page.evaluate("""() => {
        const real = window.fetch;
        let inFlight = 0;
        window.mostInFlight = 0;
        window.fetch = async (...request) => {
            window.mostInFlight = Math.max(window.mostInFlight, ++inFlight);
            const response = await real(...request);
            if (window.mostInFlight === 1) await new Promise((done) => setTimeout(done, 100));
            inFlight--;
            return response;
        };
    }""")
    found = calls(page, *(["#search input", "find", text] for text in ("e", "em", "emm", "emma")))
    assert [value["searches"] for (value,) in found] == [1, 2, 3, 4]
    assert found[-1][0]["found"] == [1]
    assert page.evaluate("window.mostInFlight") == 1


def test_calls_of_different_elements_do_not_wait(page: Page, shop: str) -> None:
    """The counter counts while the search has no answer yet, and the search then gets its own."""
    page.goto(shop)
    page.evaluate("""() => {
        const real = window.fetch, held = new Promise((release) => { window.release = release; });
        window.fetch = async (...request) => {
            const response = await real(...request);
            if (request[1].body.includes('"find"')) await held;
            return response;
        };
    }""")
    page.get_by_label("Search").fill("emma")
    assert calls(page, ["#counter", "add"]) == [[1]]
    assert page.locator("#search output").inner_text() == "0"
    page.evaluate("window.release()")
    expect(page.locator("#search output")).to_have_text("1")


def test_arguments_are_those_of_the_call(page: Page, shop: str) -> None:
    """What is changed after the call, while it waits for its turn, is sent as it was; any JSON arrives."""
    page.goto(shop)
    page.evaluate(ECHO)
    results = page.evaluate("""async () => {
        const { call } = await import("/sealed_state.js");
        const list = [1, { a: null }], counter = document.querySelector("#counter");
        const made = [call(counter, "first", list), call(counter.firstElementChild, "second", list, "ü\\u2028", true)];
        list.push(2);
        return Promise.all([...made, call(counter, "third")]);
    }""")
    assert results == [[[1, {"a": None}]], [[1, {"a": None}], "ü\u2028", True], []]
    assert page.evaluate("window.sent.map(([method]) => method)") == ["first", "second", "third"]


def test_a_stale_element_is_removed(context: BrowserContext, page: Page, own_shop: str) -> None:
    """A book that was sold in another tab: 410, the event with its message, then the element goes; the rest lives."""
    page.goto(own_shop)
    other = context.new_page()
    other.goto(own_shop)
    buy(other, "Emma")
    expect(book(other, "Emma")).to_have_count(0)
    page.bring_to_front()
    page.evaluate(LISTEN, False)
    with page.expect_response("**/call") as answer:
        book(page, "Emma").get_by_role("button").click()
    assert (answer.value.status, answer.value.json()["error"]["code"]) == (410, "StaleState")
    expect(book(page, "Emma")).to_have_count(0)
    ((target, was_there, message),) = page.evaluate("window.events")
    assert (target, was_there) == ("book-1", True)
    assert message == answer.value.json()["error"]["message"]
    expect(page.locator("#message")).to_have_text(message)
    assert page.get_by_role("listitem").count() == 4
    assert_alive(page)
    buy(page, "Evelina")


def test_a_listener_keeps_a_stale_element(context: BrowserContext, page: Page, own_shop: str) -> None:
    """Where a listener prevents the default, the element stays with its token, and is stale again at the next call."""
    page.goto(own_shop)
    other = context.new_page()
    other.goto(own_shop)
    buy(other, "Emma")
    page.evaluate(LISTEN, True)
    before = token(page, "#book-1")
    assert calls(page, ["#book-1 button", "buy"], ["#book-1", "buy"]) == [[410, "StaleState"]] * 2
    assert [target for target, *_ in page.evaluate("window.events")] == ["book-1", "book-1"]
    assert token(page, "#book-1") == before
    assert_alive(page)


def test_nothing_is_sent_for_an_element_that_was_removed(context: BrowserContext, page: Page, own_shop: str) -> None:
    """Calls that wait behind one that was stale, and late ones, reject as it did, without request or event."""
    page.goto(own_shop)
    other = context.new_page()
    other.goto(own_shop)
    buy(other, "Emma")
    page.evaluate(LISTEN, False)
    page.evaluate("window.button = document.querySelector('#book-1 button')")
    with requests(page) as urls:
        assert calls(page, *[["#book-1 button", "buy"]] * 3) == [[410, "StaleState"]] * 3
        late = page.evaluate(
            "import('/sealed_state.js').then(({ call }) => call(window.button, 'buy')).catch(({ code }) => code)"
        )
    assert late == "StaleState"
    assert len([url for url in urls if url.endswith("/call")]) == 1
    assert len(page.evaluate("window.events")) == 1


def test_a_token_of_another_session(browser: Browser, page: Page, shop: str) -> None:
    """Another visitor's token is refused as foreign, said in words, and left where it is; the rest lives."""
    stranger = browser.new_context()
    strange_page = stranger.new_page()
    strange_page.goto(shop)
    page.goto(shop)
    own, foreign = token(page, "#counter"), token(strange_page, "#counter")
    stranger.close()
    put_token(page, "#counter", foreign)
    page.get_by_role("button", name="Count").click()
    expect(page.locator("#message")).to_contain_text("another session")
    assert calls(page, ["#counter", "add"]) == [[403, "ForeignState"]]
    assert token(page, "#counter") == foreign
    page.get_by_label("Search").fill("emma")
    expect(page.locator("#search output")).to_have_text("1")
    put_token(page, "#counter", own)
    assert_alive(page)


@pytest.mark.parametrize(
    ("edit", "answer"),
    [
        (lambda text: text[:40] + ("B" if text[40] == "A" else "A") + text[41:], [403, "ForeignState"]),
        (lambda text: text[: len(text) // 4 * 4 - 4], [403, "ForeignState"]),
        (lambda text: "!" + text[1:], [400, "MalformedState"]),
        (lambda text: text + "=", [400, "MalformedState"]),
        (lambda text: "ü" * len(text), [400, "MalformedState"]),
        (lambda text: "A" * 70_000, [400, "MalformedState"]),
    ],
    ids=["one character", "cut", "alphabet", "padding", "not ASCII", "too long"],
)
def test_an_edited_token(page: Page, shop: str, edit: Callable[[str], str], answer: list[Any]) -> None:
    """A token that was changed rejects the call with status and code, and the page lives."""
    page.goto(shop)
    own = token(page, "#counter")
    put_token(page, "#counter", edit(own))
    assert calls(page, ["#counter", "add"]) == [answer]
    put_token(page, "#counter", own)
    assert_alive(page)


@pytest.mark.parametrize(
    ("made", "answer"),
    [
        (["#counter", "load"], [403, "NotPublic"]),
        (["#counter", "nothing"], [403, "NotPublic"]),
        (["#counter", "__init__"], [403, "NotPublic"]),
        (["#counter", "add", 1], [400, "BadCall"]),
        (["#search", "find"], [400, "BadCall"]),
        (["#search", "find", {"text": "e"}], [400, "BadCall"]),
        (["#counter", 7], [400, "BadCall"]),
    ],
    ids=str,
)
def test_calls_that_cannot_be_carried_out(page: Page, shop: str, made: list[Any], answer: list[Any]) -> None:
    """A method that is not public, or arguments that it does not take, reject the call; the next one goes on."""
    page.goto(shop)
    assert calls(page, made, ["#counter", "add"]) == [answer, [1]]


def test_an_older_token_and_swapped_ones(page: Page, own_shop: str) -> None:
    """What a visitor can do by design: go back to an older state, and swap the states of two elements of a class."""
    page.goto(own_shop)
    first = token(page, "#counter")
    assert calls(page, ["#counter", "add"], ["#counter", "add"]) == [[1], [2]]
    put_token(page, "#counter", first)
    assert calls(page, ["#counter", "add"]) == [[1]]
    put_token(page, "#book-1", token(page, "#book-2"))
    assert calls(page, ["#book-1", "buy"]) == [["Evelina"]]
    put_token(page, "#counter", token(page, "#search"))
    assert calls(page, ["#counter", "add"]) == [[403, "NotPublic"]]


def test_a_network_failure(page: Page, shop: str) -> None:
    """A call whose request fails rejects, and those that wait go on with the token that there is."""
    page.goto(shop)
    failing = iter([True, False, True])

    def route(route: Route) -> None:
        if next(failing, False):
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/call", route)
    assert calls(page, *[["#counter", "add"]] * 4) == [[0, "NoAnswer"], [1], [0, "NoAnswer"], [2]]
    assert_alive(page)


def test_answers_of_others(page: Page, shop: str) -> None:
    """What no state has answered rejects with its status, whatever it is; the element stays, the next call goes on."""
    page.goto(shop)
    bodies = ["<h1>A proxy's page</h1>", "null", "[]", '{"token": 1}', '{"error": "no"}', '{"error": null}', ""]
    answers = [(204, ""), *itertools.product((200, 410, 502), bodies)]
    left = iter(answers)

    def route(route: Route) -> None:
        for status, body in left:
            return route.fulfill(status=status, body=body)
        return route.continue_()

    page.route("**/call", route)
    made = [["#counter", "add"]] * (len(answers) + 1)
    assert calls(page, *made) == [*([status, "NoAnswer"] for status, _ in answers), [1]]


def test_an_answer_counts_by_its_status(page: Page, shop: str) -> None:
    """A token in an answer that is an error is not taken, and an element is stale by 410 only."""
    page.goto(shop)
    answers = iter([(502, {"token": "other", "result": 1}), (403, {"error": {"code": "StaleState"}})])

    def route(route: Route) -> None:
        for status, body in answers:
            return route.fulfill(status=status, json=body)
        return route.continue_()

    page.route("**/call", route)
    assert calls(page, *[["#counter", "add"]] * 3) == [[502, "NoAnswer"], [403, "StaleState"], [1]]


def test_nothing_goes_to_another_origin(page: Page, shop: str) -> None:
    """A call to another origin's URL rejects, and nothing is sent, though no policy forbids it and it would consent."""
    page.goto(shop + "nothing")  # a page without a policy
    sent: list[str] = []

    def route(route: Route) -> None:
        sent.append(route.request.url)
        route.fulfill(json={"token": "other", "result": 1}, headers={"Access-Control-Allow-Origin": "*"})

    page.route("http://elsewhere.localhost/call", route)
    page.locator("body").evaluate(f"""(body) => {{
        body.setAttribute("{STATE}", "token");
        body.setAttribute("data-sealedsession-url", "http://elsewhere.localhost/call");
    }}""")
    assert calls(page, ["body", "add"]) == [[0, "NoAnswer"]]
    assert sent == []


def test_elements_without_a_state(page: Page, shop: str) -> None:
    """Outside of every element with a state, or in one without a URL, there is nothing to call."""
    page.goto(shop)
    page.locator("#counter").evaluate("(element) => element.removeAttribute('data-sealedsession-url')")
    assert calls(page, ["body", "add"], ["#counter", "add"]) == [[0, "NoState"]] * 2


def test_csrf_token(context: BrowserContext, page: Page, shop: str) -> None:
    """The header X-CSRFToken has the token of the meta element, or else of the cookie; without both it is not sent."""
    page.goto(shop)

    def header() -> str | None:
        with page.expect_request("**/call") as request:
            assert_alive(page)
        return request.value.headers.get("x-csrftoken")

    assert header() is None
    context.add_cookies(
        [
            {"name": "other_csrftoken", "value": "wrong", "url": shop},
            {"name": "csrftoken", "value": "of-the-cookie", "url": shop},
        ]
    )
    assert header() == "of-the-cookie"
    page.evaluate("""() => {
        const meta = document.createElement("meta");
        document.head.append(Object.assign(meta, { name: "csrf-token", content: "of-the-page" }));
    }""")
    assert header() == "of-the-page"


@pytest.mark.parametrize(
    ("module", "server"),
    [("counter", "waitress --listen=localhost:{port}"), ("counter_asgi", "uvicorn --port {port}")],
)
def test_the_quick_start(
    page: Page, serve: Callable[..., int], env: dict[str, str], tmp_path: Path, module: str, server: str
) -> None:
    """The files of docs/howto/state.rst, under the servers that it names, are a counter that counts."""
    text = (DOCS / "howto" / "state.rst").read_text()
    wsgi, asgi = (block_with(text, f"sealedsession.{name}", "application = ") for name in ("wsgi", "asgi"))
    (tmp_path / "counter.html").write_text(block_with(text, "TOKEN", language="html"))
    (tmp_path / "counter.py").write_text(wsgi)
    (tmp_path / "counter_asgi.py").write_text(asgi)
    assert re.search(rf"{server.split()[0]}\S* .*{module}:application", text)
    port = serve(*server.split(), f"{module}:application", cwd=tmp_path, env=env)
    page.goto(f"http://localhost:{port}/")
    button = page.get_by_role("button")
    for count in ("0", "1", "2"):
        expect(button).to_have_text(count)
        button.click()
    expect(button).to_have_text("3")
