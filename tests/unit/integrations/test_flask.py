"""Sealed sessions as the sessions of Flask."""

import logging
from traceback import walk_tb

import flask
import pytest
from markupsafe import Markup

from sealedsession import ConfigError, CookieTooLargeError, SessionClosedError
from sealedsession.integrations.flask import SealedSession, SealedSessionInterface, session
from sealedsession.revocation import MemoryStore

SECRET = "correct horse battery staple, said the sealed cookie"
OTHER_SECRET = "another long secret, which was rotated out last spring"
NAME = "__Host-Http-session"


@pytest.fixture
def make_app():
    """Make an application with views that use the session in the usual ways."""

    def make_app(settings=(), **options):
        app = flask.Flask("shop")
        app.config.update({"SECRET_KEY": SECRET, "TESTING": True, **dict(settings)})
        SealedSession(app, **options)

        @app.get("/set/<value>")
        def set_value(value):
            flask.session["value"] = value
            return "set"

        @app.get("/get")
        def get_value():
            return flask.session.get("value", "nothing")

        @app.get("/untouched")
        def untouched():
            return "untouched"

        @app.get("/remember")
        def remember():
            flask.session.permanent = True
            return "remembered"

        @app.get("/sign-in/<user>")
        def sign_in(user):
            session.subject = f"user:{user}"
            return "signed in"

        @app.get("/sign-out")
        def sign_out():
            session.logout()
            return "signed out"

        @app.get("/fill/<int:size>")
        def fill(size):
            flask.session["text"] = "x" * size
            return "filled"

        return app

    return make_app


def read_cookies(response):
    return [value for value in response.headers.getlist("Set-Cookie") if value.startswith(NAME)]


def test_the_session_is_sealed(make_app):
    """Values come back with the cookie, which has our name and rules, and Flask's cookie is gone."""
    client = make_app().test_client()
    response = client.get("/set/apple")
    [cookie] = response.headers.getlist("Set-Cookie")
    assert cookie.startswith(f"{NAME}=")
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert "apple" not in cookie
    assert (response.headers["Cache-Control"], response.headers["Vary"]) == ("no-store", "Cookie")
    assert client.get("/get").text == "apple"


def test_an_untouched_session_adds_no_header(make_app):
    """A view that does not touch the session gets no cookie and no Vary."""
    client = make_app().test_client()
    client.get("/set/apple")
    response = client.get("/untouched")
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers


def test_a_nested_change_is_saved(make_app):
    """A change of a nested value is found by comparison, without `modified`."""
    app = make_app()

    @app.get("/add")
    def add():
        flask.session.setdefault("cart", []).append("pear")
        return ",".join(flask.session["cart"])

    client = app.test_client()
    assert [client.get("/add").text for _ in range(3)] == ["pear", "pear,pear", "pear,pear,pear"]


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("SESSION_COOKIE_NAME", "shop", "shop="),
        ("SESSION_COOKIE_PATH", "/shop", "; Path=/shop;"),
        ("SESSION_COOKIE_SAMESITE", "Strict", "; SameSite=Strict"),
        ("SEALEDSESSION_SAMESITE", "Strict", "; SameSite=Strict"),
        ("SEALEDSESSION_NAME", "mine", "mine="),
    ],
)
def test_settings(make_app, setting, value, expected):
    """Flask's settings of the cookie apply, and so do our options as settings."""
    [cookie] = make_app({setting: value}).test_client().get("/set/apple").headers.getlist("Set-Cookie")
    assert expected in cookie


def test_partitioned(make_app):
    """A cookie for embedded pages needs two of Flask's settings."""
    settings = {"SESSION_COOKIE_PARTITIONED": True, "SESSION_COOKIE_SAMESITE": "None"}
    [cookie] = make_app(settings).test_client().get("/set/apple").headers.getlist("Set-Cookie")
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=None; Partitioned")


def test_settings_that_are_false(make_app):
    """HttpOnly and Secure can be switched off: the first by Flask's setting, the second only by ours."""
    [cookie] = make_app({"SESSION_COOKIE_HTTPONLY": False}).test_client().get("/set/a").headers.getlist("Set-Cookie")
    assert "HttpOnly" not in cookie
    [cookie] = make_app({"SESSION_COOKIE_SECURE": False}).test_client().get("/set/a").headers.getlist("Set-Cookie")
    assert "; Secure" in cookie
    [cookie] = make_app({"SEALEDSESSION_SECURE": False}).test_client().get("/set/a").headers.getlist("Set-Cookie")
    assert "; Secure" not in cookie


def test_precedence(make_app):
    """An option in code takes precedence over our setting, and that over Flask's."""
    settings = {"SESSION_COOKIE_SAMESITE": "Lax", "SEALEDSESSION_SAMESITE": "Strict"}
    [cookie] = make_app(settings).test_client().get("/set/a").headers.getlist("Set-Cookie")
    assert "SameSite=Strict" in cookie
    [cookie] = make_app(settings, samesite="None").test_client().get("/set/a").headers.getlist("Set-Cookie")
    assert "SameSite=None" in cookie


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"SEALEDSESSION_SAME_SITE": "Lax"}, "SEALEDSESSION_SAME_SITE.*samesite"),
        ({"SEALEDSESSION_IDLE_TIMEOUT": "1h"}, "idle_timeout"),
        ({"SECRET_KEY": "dev"}, "SECRET_KEY"),
        ({"SECRET_KEY": "x" * 40}, "SECRET_KEY"),
        ({"SECRET_KEY_FALLBACKS": ["short"]}, r"SECRET_KEY_FALLBACKS\[0\]"),
        ({"SESSION_COOKIE_SAMESITE": "Lux"}, "samesite"),
        ({"SEALEDSESSION_SCOPE_KEY": "session"}, "SEALEDSESSION_SCOPE_KEY"),
    ],
)
def test_a_wrong_setting_fails_at_start(make_app, settings, named):
    """A wrong setting is an error when the extension is set up, which names the setting and never shows a secret."""
    with pytest.raises(ConfigError, match=named) as caught:
        make_app(settings)
    assert settings.get("SECRET_KEY", SECRET) not in str(caught.value)


def test_no_secret_in_tracebacks(make_app):
    """The frames of an error contain no secret, apart from the application's own settings."""
    app = flask.Flask("shop")
    app.config["SECRET_KEY"] = secret = "only-lowercase-and-short"
    with pytest.raises(ConfigError) as caught:
        SealedSession(app)
    frames = [frame for frame, _ in walk_tb(caught.value.__traceback__)][1:]  # without this one
    assert secret not in repr([value for frame in frames for value in frame.f_locals.values() if value is not app])


def test_an_unknown_option_fails_at_start():
    """An unknown option in code is refused."""
    with pytest.raises(ConfigError, match="secret_key"):
        SealedSessionInterface(secret_key=SECRET)


def test_no_secret_key(make_app):
    """Without a secret key, Flask's own session answers: reading works, and writing is Flask's error."""
    client = make_app({"SECRET_KEY": None}).test_client()
    assert client.get("/get").text == "nothing"
    with pytest.raises(RuntimeError, match="secret"):
        client.get("/set/apple")


def test_own_keys_instead_of_the_secret(make_app, keys):
    """Keys of one's own replace the application's secret."""
    client = make_app({"SECRET_KEY": None}, **keys).test_client()
    client.get("/set/apple")
    assert client.get("/get").text == "apple"


def test_a_fallback_secret_opens(make_app):
    """A session that a fallback secret sealed opens, and is sealed with the new secret when it is read."""
    old = make_app({"SECRET_KEY": OTHER_SECRET}).test_client()
    cookie = read_cookies(old.get("/set/apple"))[0].partition(";")[0]
    new = make_app({"SECRET_KEY_FALLBACKS": [OTHER_SECRET]}).test_client(use_cookies=False)
    response = new.get("/get", headers={"Cookie": cookie})
    assert response.text == "apple"
    resealed = read_cookies(response)[0].partition(";")[0]
    client = make_app().test_client(use_cookies=False)
    assert client.get("/get", headers={"Cookie": resealed}).text == "apple"


def test_permanent(make_app):
    """`session.permanent` keeps the cookie when the browser is closed, and each request that uses it refreshes it."""
    client = make_app().test_client()
    client.get("/set/apple")
    [cookie] = read_cookies(client.get("/remember"))
    assert "; Max-Age=" in cookie
    assert len(read_cookies(client.get("/get"))) == 1
    assert read_cookies(client.get("/untouched")) == []


def test_permanent_without_a_refresh(make_app):
    """With SESSION_REFRESH_EACH_REQUEST = False, a request that only reads sends no cookie."""
    client = make_app({"SESSION_REFRESH_EACH_REQUEST": False}).test_client()
    client.get("/set/apple")
    client.get("/remember")
    assert read_cookies(client.get("/get")) == []


def test_the_permanent_lifetime(make_app, clock):
    """PERMANENT_SESSION_LIFETIME is the idle timeout."""
    client = make_app({"PERMANENT_SESSION_LIFETIME": 600}, clock=clock).test_client()
    client.get("/set/apple")
    clock.advance(600 + 61)
    assert client.get("/get").text == "nothing"


def test_subject_and_logout(make_app):
    """`session.subject` signs in with a new id, and a copy of the cookie is refused after `logout`."""
    app = make_app(revocation=MemoryStore())
    client, thief = app.test_client(), app.test_client(use_cookies=False)
    client.get("/set/apple")
    cookie = read_cookies(client.get("/sign-in/42"))[0].partition(";")[0]
    assert thief.get("/get", headers={"Cookie": cookie}).text == "apple"
    client.get("/sign-out")
    assert thief.get("/get", headers={"Cookie": cookie}).text == "nothing"


def test_an_error_handler_answers(make_app):
    """Flask's error handler for the too-large error answers, and the old cookie stays."""
    app = make_app()

    @app.errorhandler(CookieTooLargeError)
    def answer(error):
        return "too large", 413

    client = app.test_client()
    client.get("/set/apple")
    response = client.get("/fill/5000")
    assert (response.status_code, response.text) == (413, "too large")
    assert "Set-Cookie" not in response.headers
    assert client.get("/get").text == "apple"


def test_an_error_without_a_handler(make_app):
    """Without a handler, the error is raised in tests, and is a response of status 500 otherwise."""
    app = make_app()
    with pytest.raises(CookieTooLargeError):
        app.test_client().get("/fill/5000")
    app.config["TESTING"] = False
    assert app.test_client().get("/fill/5000").status_code == 500


def test_a_test_looks_into_the_session(make_app):
    """In a ``with client:`` block, a test sees what the next request will open, and can write without an error."""
    with make_app().test_client() as client:
        client.get("/set/apple")
        assert flask.session["value"] == "apple"
        assert (flask.session.accessed, flask.session.modified) == (True, True)
        flask.session["more"] = 1


def test_session_transaction(make_app):
    """Flask's `session_transaction` reads and writes the sealed session."""
    client = make_app().test_client()
    with client.session_transaction() as opened:
        opened["value"] = "pear"
    assert client.get("/get").text == "pear"
    with client.session_transaction() as opened:
        assert opened["value"] == "pear"


def test_a_write_after_the_response(make_app):
    """A write in a streamed response is an error: no cookie could carry it."""
    app = make_app()

    @app.get("/stream")
    def stream():
        @flask.stream_with_context
        def generate():
            yield "one"
            flask.session["late"] = True
            yield "two"

        return generate()

    with pytest.raises(SessionClosedError):
        _ = app.test_client().get("/stream").text


def test_markup(make_app):
    """`Markup` stays Markup, as in Flask's own session, and the default registry is left alone."""
    app = make_app()

    @app.get("/markup")
    def markup():
        kept = flask.session.get("markup")
        flask.session["markup"] = Markup("<b>bold</b>")
        return type(kept).__name__

    client = app.test_client()
    assert [client.get("/markup").text for _ in range(2)] == ["NoneType", "Markup"]


def test_modified_is_true_only(make_app):
    """`modified = True` saves, and False is an error with advice."""
    with make_app().test_request_context():
        flask.session.modified = True
        with pytest.raises(ValueError, match="modified"):
            flask.session.modified = False


def test_a_tampered_cookie(make_app, caplog):
    """A bad cookie gives an empty session, and `rejected` has the reason."""
    app = make_app()

    @app.get("/rejected")
    def rejected():
        return str(session.rejected)

    with caplog.at_level(logging.CRITICAL):
        client = app.test_client(use_cookies=False)
        response = client.get("/rejected", headers={"Cookie": f"{NAME}={'A' * 100}"})
    assert response.text == "malformed"


def test_changed_settings_are_noticed(make_app):
    """Settings that change while the process runs apply to the next request."""
    app = make_app()
    client = app.test_client()
    client.get("/set/apple")
    app.config["SEALEDSESSION_SAMESITE"] = "Strict"
    [cookie] = read_cookies(client.get("/set/pear"))
    assert "SameSite=Strict" in cookie


def test_an_exception_saves_nothing(make_app):
    """After an unhandled exception, the response of status 500 saves no change, unless `save_on_error` is set."""
    for options, expected in (({}, "nothing"), ({"save_on_error": True}, "changed")):
        app = make_app({"TESTING": False}, **options)

        @app.get("/fail")
        def fail():
            flask.session["value"] = "changed"
            raise LookupError

        client = app.test_client()
        assert client.get("/fail").status_code == 500
        assert client.get("/get").text == expected
