"""Events: which level each has, what its record names, and what no record holds."""

import logging
from typing import get_args

import pytest

from sealedsession import events
from sealedsession.errors import CookieTooLarge, Reason, UnsealError
from sealedsession.wsgi import SessionMiddleware

KEYS = {
    "validate_key": "kXn2r5u8x-A-D_G-KaPdSgVkYp3s6v9y-B-E-H-MbQe",
    "encrypt_key": "Tn5v8y-B-D-GpKbPeShVmYq3t6w9z-C-F-JaNcRfUjX",
}


def test_logger_name():
    """All events go to the logger of the package's name."""
    assert events.logger is logging.getLogger("sealedsession")


@pytest.mark.parametrize("code", get_args(Reason))
def test_rejected(code, caplog):
    """A rejected cookie is one record of cookie, code and detail; its level tells who has to act."""
    levels = {"expired_idle": "INFO", "expired_absolute": "INFO", "forbidden_value": "ERROR"}
    caplog.set_level(logging.INFO, "sealedsession")
    events.rejected("sid", UnsealError(code, "a detail"))
    (record,) = caplog.records
    assert record.levelname == levels.get(code, "WARNING")
    for part in ("'sid'", code, "a detail"):
        assert part in record.getMessage()


def test_ambiguous(caplog):
    """Several cookies of our name are a warning of their number and name."""
    events.ambiguous("sid", 3)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "3 cookies named 'sid'" in record.getMessage()


def test_kept_old_cookie(caplog):
    """A change that was dropped is an error that says which cookie and why."""
    events.kept_old_cookie(CookieTooLarge("sid", 5000, 4096, {"cart": 4000}))
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    for part in ("'sid'", "5000", "'cart'"):
        assert part in record.getMessage()


def test_plain_http(caplog):
    """A Secure cookie over plain http is a warning of cookie, host and cure."""
    events.plain_http("sid", "example.com")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    for part in ("'sid'", "'example.com'", "secure=False"):
        assert part in record.getMessage()


def test_no_secret_is_logged(caplog):
    """What is logged of a request with bad cookies holds neither token, key, nor session value."""
    caplog.set_level(logging.DEBUG)
    sent = []

    def app(environ, start_response):
        environ["sealedsession.session"]["name"] = "confidential"
        start_response("200 OK", [])
        return []

    def request(cookies):
        environ = {"HTTP_COOKIE": cookies, "wsgi.url_scheme": "http", "HTTP_HOST": "example.com"}
        SessionMiddleware(app, **KEYS)(environ, lambda status, headers, exc_info=None: sent.append(dict(headers)))

    request("")
    token = sent[0]["Set-Cookie"].partition("=")[2].partition(";")[0]
    request(f"__Host-session={token}x; __Host-session={token[:-4]}AAAA; __Host-session={token}")
    assert "rejected" in caplog.text
    for secret in (token[:20], token[20:40], KEYS["validate_key"], KEYS["encrypt_key"], "confidential"):
        assert secret not in caplog.text
