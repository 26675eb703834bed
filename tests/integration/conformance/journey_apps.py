"""The applications that the journey visits: `wsgi` and `asgi`, which do the same.

The path is /<mount>/<action>/<argument>. The mounts before, during and after stand for the stages of a change of keys,
and pair has two middlewares. The answer is JSON: what the action's session holds, and why its cookie was rejected.
The time is what the file named by JOURNEY_CLOCK says: whoever writes it moves the clock of a server.
"""

import json
import os
from pathlib import Path

from sealedsession import asgi as sealed_asgi
from sealedsession import wsgi as sealed_wsgi
from sealedsession.errors import CookieTooLargeError

IDLE_TIMEOUT, REFRESH_INTERVAL = 1000, 100  # seconds
OLD = ("L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4", "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw")
NEW = ("BbMnPkV5nDeTF-JWm-nAw9IoXwnYuIuAShiuXXnaY6g", "rKjse4DFshgS64DKCJIl4m25rMv3yBcKGtGY56yUSQw")
STAGES = {"before": [OLD], "during": [NEW, OLD], "after": [NEW]}
KEY = "sealedsession.session"


def clock():
    return float(Path(os.environ["JOURNEY_CLOCK"]).read_text())


def options(pairs, **more):
    validate_keys, encrypt_keys = zip(*pairs, strict=True)
    times = {"idle_timeout": IDLE_TIMEOUT, "refresh_interval": REFRESH_INTERVAL, "leeway": 0, "clock": clock}
    return {"validate_key": validate_keys, "encrypt_key": encrypt_keys, **times, **more}


def act(path, session, other):
    """Do what a path asks for, and return the answer."""
    _, _, action, argument = path.split("/")
    if action == "untouched":
        return "{}"
    if action == "other":
        session = other
    if action in ("sign-in", "other"):
        session["user"] = argument
        session.setdefault("cart", [])
    elif action == "add":
        session["cart"].append(argument)
    elif action == "grow":
        session["ballast"] = argument * 5000
    elif action == "clear":
        session.clear()
    return json.dumps({"session": session, "rejected": session.rejected})


def shrink(path, session, error):
    """What the application does about a session that does not fit: go on without what made it too large."""
    del session["ballast"]
    return json.dumps({"too_large": list(error.by_key)})


def plain_wsgi(environ, start_response):
    path, session = environ["PATH_INFO"], environ[KEY]
    headers = [("Content-Type", "application/json")]
    body = act(path, session, environ.get("other.session"))
    try:
        start_response("200 OK", headers)
    except CookieTooLargeError as error:
        body = shrink(path, session, error)
        start_response("413 Content Too Large", headers)
    return [body.encode()]


async def plain_asgi(scope, receive, send):
    path, session = scope["path"], scope["session"]
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
    body = act(path, session, scope.get("other"))
    try:
        await send(start)
    except CookieTooLargeError as error:
        body = shrink(path, session, error)
        await send({**start, "status": 413})
    await send({"type": "http.response.body", "body": body.encode()})


def _beside(app):
    """In ASGI the inner session takes the place of the outer one, which is handed on under another name."""

    async def between(scope, receive, send):
        await app({**scope, "other": scope["session"]}, receive, send)

    return between


_other = options([OLD], name="__Host-other")
_wsgi = {stage: sealed_wsgi.SessionMiddleware(plain_wsgi, **options(pairs)) for stage, pairs in STAGES.items()}
_asgi = {stage: sealed_asgi.SessionMiddleware(plain_asgi, **options(pairs)) for stage, pairs in STAGES.items()}
_wsgi["pair"] = sealed_wsgi.SessionMiddleware(_wsgi["before"], **_other, environ_key="other.session")
_asgi["pair"] = sealed_asgi.SessionMiddleware(_beside(_asgi["before"]), **_other)


def wsgi(environ, start_response):
    return _wsgi[environ["PATH_INFO"].split("/")[1]](environ, start_response)


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await _asgi[scope["path"].split("/")[1]](scope, receive, send)


if __name__ == "__main__":  # waitress has no module to run that takes an address and no more
    import waitress

    waitress.serve(wsgi, host="127.0.0.1", port=int(os.environ["PORT"]))
