"""docs/howto/flash-csrf.rst is true: its applications work as the page says, and its sizes are those of the code."""

import re
import urllib.parse

import pytest
import webtest

from sealedsession import SessionConfig
from sealedsession.lifecycle import SessionManager
from sealedsession.wsgi import SessionMiddleware
from tests.support import ROOT
from tests.support.pages import block_with, rows, run, section

PAGE = (ROOT / "docs" / "howto" / "flash-csrf.rst").read_text()


@pytest.fixture
def form(monkeypatch, keys):
    """A browser at the application with a form."""
    monkeypatch.setenv("SESSION_VALIDATE_KEY", keys["validate_key"])
    monkeypatch.setenv("SESSION_ENCRYPT_KEY", keys["encrypt_key"])
    application = run(block_with(PAGE, "check_csrf"))["application"]
    return webtest.TestApp(application, extra_environ={"wsgi.url_scheme": "https"})


def test_the_form_is_saved_and_the_message_shown_once(form):
    """A form that is submitted with its token is saved, and the page after the redirect shows the message once."""
    page = form.get("/").form
    page["email"] = "ann@example.org"
    shown = page.submit().follow()
    assert '<p class="success">Saved</p>' in shown.text
    assert shown.form["email"].value == "ann@example.org"
    assert "Saved" not in form.get("/").text


def test_an_older_page_can_still_be_submitted(form):
    """Tokens of several tabs are valid at the same time."""
    first, second = form.get("/").form, form.get("/").form
    assert first["csrf_token"].value != second["csrf_token"].value
    assert [page.submit().status_int for page in (second, first)] == [303, 303]


@pytest.mark.parametrize(
    "fields", [{}, {"csrf_token": ""}, {"csrf_token": "x" * 86}, {"email": "eve", "csrf_token": "é"}]
)
def test_a_forged_form_is_refused(form, fields):
    """A form without a valid token gives 403 and changes nothing."""
    form.get("/")
    assert form.post("/", fields, status=403).text == "This form is too old. Load the page again.\n"
    assert form.get("/").form["email"].value == ""


@pytest.fixture
def oauth(keys, clock):
    """A browser at the application that signs in by OAuth."""
    views = run(block_with(PAGE, "oauth_state"))

    def application(environ, start_response):
        view = views["callback" if environ["PATH_INFO"] == "/callback" else "sign_in"]
        return view(environ, start_response)

    wrapped = SessionMiddleware(application, clock=clock, **keys)
    return webtest.TestApp(wrapped, extra_environ={"wsgi.url_scheme": "https"})


def state_of(response):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(response.location).query)["state"][0]


def test_oauth_state_is_accepted_once(oauth):
    """The provider's answer with the right state signs in, and a second answer with the same state does not."""
    state = state_of(oauth.get("/"))
    assert oauth.get("/callback", {"state": state, "code": "1"}).status_int == 303
    oauth.get("/callback", {"state": state, "code": "1"}, status=403)


@pytest.mark.parametrize("state", [None, "", "x", "é"])
def test_wrong_oauth_state(oauth, state):
    """An answer without the right state is refused."""
    oauth.get("/")
    oauth.get("/callback", {} if state is None else {"state": state}, status=403)


@pytest.mark.parametrize(("seconds", "status"), [(660, 303), (661, 403)])
def test_oauth_state_ends(oauth, clock, seconds, status):
    """The state is valid for 600 seconds and the leeway, as the page says."""
    state = state_of(oauth.get("/"))
    clock.advance(seconds)
    oauth.get("/callback", {"state": state}, status=status)


ACTS = {
    "a secret of CSRF tokens": [lambda session: session.csrf_token()],
    'the message ``"Saved"``': [lambda session: session.flash("Saved")],
    "the end of a value": [lambda session: session.set("user", "ann", seconds=600)],
}
ACTS["all three"] = [act for acts in ACTS.values() for act in acts]


@pytest.mark.parametrize(("column", "serializer"), [(1, "pickle"), (2, "json")])
def test_sizes(keys, column, serializer):
    """The table of sizes has what each kind of own data adds to a cookie."""
    manager = SessionManager(SessionConfig(**keys, serializer=serializer))

    def length(acts):
        session = manager.open(None)
        session["user"] = "ann"
        for act in acts:
            act(session)
        return len(manager.token(session))

    _, *table = rows(section(PAGE, "Sizes"))
    documented = {row[0]: int(re.match(r"\d+", row[column])[0]) for row in table}
    assert documented == {name: length(acts) - length([]) for name, acts in ACTS.items()}


AFTER = {
    "a sign-in": lambda session: setattr(session, "subject", "user:7"),
    "``subject = None``": lambda session: setattr(session, "subject", None),
    "``regenerate()``": lambda session: session.regenerate(),
    "``revoke_subject()``": lambda session: session.revoke_subject("user:42"),
    "``clear()``": lambda session: session.clear(),
    "``manager.replace()``": lambda session: session._manager.replace(session, {"code": 7}),
    "the same": lambda session: session._manager.replace(session, {}),
    "deleting": lambda session: session.pop("user"),
}


@pytest.mark.parametrize("number", range(len(AFTER)))
def test_what_ends_tokens_messages_and_values(keys, number):
    """The table of what removes tokens, messages and ends has what the code does."""
    _, *table = rows(section(PAGE, "CSRF tokens"))
    assert len(table) == len(AFTER)
    what, *cells = table[number]
    expected = [cell.split()[0] for cell in cells]  # the text after the table belongs to its last cell
    (act,) = [act for name, act in AFTER.items() if what.startswith(name)]
    session = SessionManager(SessionConfig(**keys, revocation="memory")).open(None)
    session.subject = "user:42"
    session.update(user="ann")
    session.set("code", 7, seconds=600)
    session.flash("a")
    token = session.csrf_token()
    act(session)
    own = session._identity.own
    found = [
        "valid" if session.check_csrf(token) else "refused",
        "kept" if session.peek_flash() else "removed",
        "kept" if own is not None and own.ends else "removed",
    ]
    assert found == expected
