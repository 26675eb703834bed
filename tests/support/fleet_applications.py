"""The applications of a fleet: `wsgi` and `asgi`, which do the same.

The path is /<action>/<argument>. The answer is the session as JSON, and why its cookie was rejected, in a header.
FLEET_OPTIONS has the options of the session, as JSON, and as `store_timeout` the seconds that the store may take;
FLEET_AHEAD the seconds by which this server's clock is fast.
"""

import json
import os
import time

from sealedsession import asgi as sealed_asgi
from sealedsession import wsgi as sealed_wsgi
from sealedsession.revocation import RedisStore, SQLiteStore

AHEAD = float(os.environ.get("FLEET_AHEAD", "0"))
OPTIONS = json.loads(os.environ["FLEET_OPTIONS"])
KEY = "sealedsession.session"


def store_from_url(text, timeout):
    """The store that the option ``revocation`` names, with a timeout of its own."""
    if text.startswith("sqlite:"):
        return SQLiteStore(text.removeprefix("sqlite:"), timeout=timeout)
    return RedisStore(text, timeout=timeout)


if "store_timeout" in OPTIONS:
    OPTIONS["revocation"] = store_from_url(OPTIONS["revocation"], OPTIONS.pop("store_timeout"))


def clock():
    return time.time() + AHEAD


def act(path, session):
    """Do what a path asks for, and return the answer: headers and body."""
    _, action, argument = path.split("/")
    if action == "count":
        session["count"] = session.get("count", 0) + 1
    elif action == "sign-in":
        session.regenerate()
        session.subject = session["user"] = argument
    elif action == "regenerate":
        session.regenerate()
    elif action == "revoke":
        session.revoke()
    elif action == "log-out":
        session.logout()
    elif action == "log-out-everywhere":
        session.revoke_subject(argument)
    elif action != "read":
        raise ValueError(path)
    body = json.dumps(session).encode()
    rejected = [("X-Rejected", session.rejected)] if session.rejected else []
    return [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *rejected], body


def plain_wsgi(environ, start_response):
    headers, body = act(environ["PATH_INFO"], environ[KEY])
    start_response("200 OK", headers)
    return [body]


async def plain_asgi(scope, receive, send):
    headers, body = act(scope["path"], scope["session"])
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": 200, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


wsgi = sealed_wsgi.SessionMiddleware(plain_wsgi, clock=clock, **OPTIONS)
asgi = sealed_asgi.SessionMiddleware(plain_asgi, clock=clock, **OPTIONS)
