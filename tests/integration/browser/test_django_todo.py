"""The Django example in two browsers: what one deletes is stale in the other, and neither loses its page."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support import ROOT

pytestmark = pytest.mark.browser

EXAMPLE = ROOT / "examples" / "django_todo"
STALE = "What this part of the page shows is gone or has changed. Load the page again."
FOREIGN = "ForeignState: This state was made for another session or user. Load the page again."
EITHER = re.compile("^(Malformed|Foreign)State: ")  # by its length it is base64, or is not
TOKEN = "data-sealedsession-state"


@pytest.fixture(scope="module")
def example(serve: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The address of the example, started as its head says, and its database."""
    database = tmp_path_factory.mktemp("todo") / "todo.sqlite3"
    env = {"TODO_DATABASE": str(database), "DJANGO_SETTINGS_MODULE": "settings"}
    port = serve("manage.py", cwd=EXAMPLE, env=env)
    return f"http://localhost:{port}/", database


@pytest.fixture
def url(example: tuple[str, Path]) -> str:
    """The address, with nothing to do yet."""
    address, database = example
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM todo_item")
    return address


@pytest.fixture
def other_page(browser: Browser) -> Iterator[Page]:
    """A tab of another profile: another session."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def item(page: Page, title: str) -> Locator:
    """The item with a title."""
    return page.get_by_role("listitem").filter(has=page.locator(f'input[value="{title}"]'))


def add(page: Page, url: str, *titles: str) -> None:
    page.goto(url)
    for title in titles:
        page.get_by_label("What is to be done").fill(title)
        page.get_by_role("button", name="Add").click()
        expect(item(page, title)).to_have_count(1)


def done(item: Locator) -> Locator:
    return item.get_by_role("checkbox")


def status(page: Page) -> Locator:
    return page.get_by_role("status")


def rename(page: Page, old: str, new: str) -> None:
    """Give an item another title, and wait for the server to have it: the box shows it before."""
    title = item(page, old).get_by_label("Title")
    title.fill(new)
    with page.expect_response("**/state/") as response:
        title.press("Enter")
    assert response.value.json()["result"] == new


def is_alive(page: Page, title: str) -> None:
    """A click on another item works, and the line at the end shows no error."""
    box = done(item(page, title))
    before = box.is_checked()
    box.click()
    expect(box).to_be_checked(checked=not before)
    expect(status(page)).to_be_empty()


def hear_stale_events(page: Page) -> None:
    """Note the events that bubble up to the document."""
    page.evaluate(
        """() => {
            window.heard = [];
            document.addEventListener("sealedsession:stale", (event) => window.heard.push({
                item: event.target.dataset.pk,
                message: event.detail.message,
                connected: event.target.isConnected,
            }));
        }"""
    )


def test_mark_and_rename(page: Page, url: str) -> None:
    """What is done and what it is called stays so after a reload, and each call is good for the next one."""
    add(page, url, "Buy milk")
    box = done(item(page, "Buy milk"))
    for is_done in (True, False, True):
        box.click()
        expect(box).to_be_checked(checked=is_done)
    rename(page, "Buy milk", "Buy <b>oat</b> milk")
    page.reload()
    assert page.locator("b").count() == 0
    expect(done(item(page, "Buy <b>oat</b> milk"))).to_be_checked()
    expect(status(page)).to_be_empty()


def test_a_title_that_cannot_be(page: Page, url: str) -> None:
    """A title that the form refuses is put back to what it was."""
    add(page, url, "Water the plants")
    title = item(page, "Water the plants").get_by_label("Title")
    title.fill("   ")
    title.press("Enter")
    expect(title).to_have_value("Water the plants")
    is_alive(page, "Water the plants")


def test_deleted_in_another_browser(page: Page, other_page: Page, url: str) -> None:
    """One browser deletes an item; the other's click finds it stale: the event tells its message while the element is
    still there, then the element goes, and the rest of the page works.
    """
    add(page, url, "Feed the cat", "Sweep the floor")
    other_page.goto(url)
    hear_stale_events(page)
    stale = item(page, "Feed the cat")
    pk = stale.get_attribute("data-pk")

    item(other_page, "Feed the cat").get_by_role("button", name="Delete").click()
    expect(item(other_page, "Feed the cat")).to_have_count(0)
    expect(stale).to_have_count(1)

    with page.expect_response("**/state/") as response:
        done(stale).click()
    assert response.value.status == 410
    assert response.value.json() == {"error": {"code": "StaleState", "message": STALE}}
    expect(stale).to_have_count(0)
    expect(status(page)).to_have_text(STALE)
    assert page.evaluate("heard") == [{"item": pk, "message": STALE, "connected": True}]
    is_alive(page, "Sweep the floor")
    is_alive(other_page, "Sweep the floor")


def test_deleting_twice(page: Page, other_page: Page, url: str) -> None:
    """Two who delete the same item get what they want, one after the other."""
    add(page, url, "Wash the car", "Call Ann")
    other_page.goto(url)
    for tab in (page, other_page):
        item(tab, "Wash the car").get_by_role("button", name="Delete").click()
        expect(item(tab, "Wash the car")).to_have_count(0)
        is_alive(tab, "Call Ann")
    page.reload()
    expect(item(page, "Wash the car")).to_have_count(0)


def test_search(page: Page, other_page: Page, url: str) -> None:
    """The search shows what is in the database now: a name that another browser has given finds the item."""
    add(page, url, "Paint the fence", "Paint the door", "Read")
    other_page.goto(url)
    box = page.get_by_role("searchbox")
    box.press_sequentially("pAInt")
    expect(item(page, "Read")).to_be_hidden()
    expect(item(page, "Paint the fence")).to_be_visible()
    expect(item(page, "Paint the door")).to_be_visible()

    rename(other_page, "Read", "Paint nothing")
    box.fill("paint ")
    expect(item(page, "Read")).to_be_visible()
    box.fill("")
    expect(page.locator("li[hidden]")).to_have_count(0)
    expect(status(page)).to_be_empty()


@pytest.mark.parametrize(
    ("edit", "messages"),
    [
        ("(token) => token.slice(0, 40) + (token[40] === 'A' ? 'B' : 'A') + token.slice(41)", FOREIGN),
        ("(token) => token.slice(0, -8)", EITHER),
        ("(token) => token + token", EITHER),
        ("() => 'nothing of the kind'", "MalformedState: This is not the state of a page."),
    ],
    ids=["changed", "cut", "twice", "garbage"],
)
def test_an_edited_token(page: Page, url: str, edit: str, messages: str | re.Pattern[str]) -> None:
    """A token that was edited in the page is an error with its code; nothing happens, nothing goes, the page works,
    and so does the item with its own token again.
    """
    add(page, url, "Edited", "Not edited")
    edited = item(page, "Edited")
    token = edited.get_attribute(TOKEN)
    edited.evaluate(f"(element) => element.setAttribute('{TOKEN}', ({edit})(element.getAttribute('{TOKEN}')))")
    done(edited).click()
    expect(status(page)).to_have_text(messages)
    expect(done(edited)).not_to_be_checked()
    is_alive(page, "Not edited")
    edited.evaluate(f"(element, token) => element.setAttribute('{TOKEN}', token)", token)
    is_alive(page, "Edited")


def test_a_token_of_another_session(page: Page, other_page: Page, url: str) -> None:
    """Another browser's token for the same item is refused here, and stays valid there."""
    add(page, url, "Shared")
    other_page.goto(url)
    token = item(other_page, "Shared").get_attribute(TOKEN)
    item(page, "Shared").evaluate(f"(element, token) => element.setAttribute('{TOKEN}', token)", token)
    with page.expect_response("**/state/") as response:
        done(item(page, "Shared")).click()
    assert response.value.status == 403
    expect(status(page)).to_have_text(FOREIGN)
    expect(done(item(page, "Shared"))).not_to_be_checked()
    is_alive(other_page, "Shared")


def test_a_session_that_is_over(context: BrowserContext, page: Page, url: str) -> None:
    """A page without its session must be loaded again, and then works."""
    add(page, url, "Left over")
    context.clear_cookies(name="sessionid")
    done(item(page, "Left over")).click()
    expect(status(page)).to_have_text(FOREIGN)
    page.reload()
    is_alive(page, "Left over")


def test_csrf(page: Page, url: str) -> None:
    """A call without the CSRF token is refused by Django, before any state is opened, and the page works after it."""
    add(page, url, "Protected")
    page.evaluate("document.querySelector('meta[name=csrf-token]').content = 'x'")
    done(item(page, "Protected")).click()
    expect(status(page)).to_contain_text("NoAnswer")
    expect(done(item(page, "Protected"))).not_to_be_checked()
    page.reload()
    is_alive(page, "Protected")


def test_nothing_is_wrong_with_the_page(page: Page, url: str) -> None:
    """The page loads, from this server only, without a message on the console, and holds no row in the clear."""
    messages: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    add(page, url, "Plain")
    is_alive(page, "Plain")
    assert messages == []
    assert asked
    assert all(address.startswith((url, "data:")) for address in asked)


def test_tokens_differ(page: Page, url: str) -> None:
    """Every element has a token of its own, and each call changes it."""
    add(page, url, "One", "Two")
    elements: Any = page.locator(f"[{TOKEN}]")
    tokens = elements.evaluate_all(f"(all) => all.map((element) => element.getAttribute('{TOKEN}'))")
    assert len(set(tokens)) == len(tokens) >= 3
    before = item(page, "One").get_attribute(TOKEN)
    is_alive(page, "One")
    assert item(page, "One").get_attribute(TOKEN) != before
