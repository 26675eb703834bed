"""A visit counter with sign-in and sign-out, in plain ASGI.

    export SESSION_VALIDATE_KEY=$(python -m sealedsession keygen)
    export SESSION_ENCRYPT_KEY=$(python -m sealedsession keygen)
    cd examples
    uvicorn asgi_app:application --lifespan off

With the same keys in the environment, wsgi_app.py accepts the same cookie.
"""

import html
from urllib.parse import parse_qs

from sealedsession.asgi import SessionMiddleware

PAGE = """<!doctype html>
<title>Visits</title>
<p>Hello, {name}. Visits: {visits}
<form method="post" action="/sign-in?name=Ann"><button>Sign in as Ann</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>
"""


async def visits(scope, _receive, send):
    """Answer one request. The session is a dict, and the browser's next request brings its content back."""
    session = scope["session"]
    match scope["method"], scope["path"]:
        case "GET", "/":
            session["visits"] = session.get("visits", 0) + 1
            name = html.escape(session.get("name", "stranger"))
            await respond(send, 200, PAGE.format(name=name, visits=session["visits"]))
        case "POST", "/sign-in":
            session.regenerate(begin_anew=True)  # a new id, and both timeouts start again
            session["name"] = parse_qs(scope["query_string"].decode()).get("name", ["Ann"])[0]
            await respond(send, 303, headers=[(b"location", b"/")])
        case "POST", "/sign-out":
            session.invalidate()  # the session is now empty, so the browser deletes the cookie
            await respond(send, 303, headers=[(b"location", b"/")])
        case _:
            await respond(send, 404, "There is nothing here.")


async def respond(send, status, page="", headers=()):
    """Send a complete response. The middleware adds the session's cookie to the first message."""
    headers = [(b"content-type", b"text/html; charset=utf-8"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": page.encode()})


application = SessionMiddleware(
    visits,
    validate_key="env:SESSION_VALIDATE_KEY",
    encrypt_key="env:SESSION_ENCRYPT_KEY",
)
