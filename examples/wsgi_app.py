"""A visit counter with sign-in and sign-out, in plain WSGI.

    export SESSION_VALIDATE_KEY=$(python -m sealedsession keygen)
    export SESSION_ENCRYPT_KEY=$(python -m sealedsession keygen)
    python examples/wsgi_app.py

To use a production server, run ``gunicorn wsgi_app:application`` in this directory.
With the same keys in the environment, asgi_app.py accepts the same cookie.
"""

import html
import os
from wsgiref.simple_server import make_server

from webob import Request, Response

from sealedsession.wsgi import SessionMiddleware

PAGE = """<!doctype html>
<title>Visits</title>
<p>Hello, {name}. Visits: {visits}
<form method="post" action="/sign-in?name=Ann"><button>Sign in as Ann</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>
"""


def visits(environ, start_response):
    """Answer one request. The session is a dict, and the browser's next request brings its content back."""
    request = Request(environ)
    session = environ["sealedsession.session"]
    match request.method, request.path_info:
        case "GET", "/":
            session["visits"] = session.get("visits", 0) + 1
            name = html.escape(session.get("name", "stranger"))
            response = Response(PAGE.format(name=name, visits=session["visits"]))
        case "POST", "/sign-in":
            session.regenerate(begin_anew=True)  # a new id, and both timeouts start again
            session["name"] = request.GET.get("name", "Ann")
            response = Response(status=303, location="/")
        case "POST", "/sign-out":
            session.invalidate()  # the session is now empty, so the browser deletes the cookie
            response = Response(status=303, location="/")
        case _:
            response = Response("There is nothing here.", status=404)
    return response(environ, start_response)


application = SessionMiddleware(
    visits,
    validate_key="env:SESSION_VALIDATE_KEY",
    encrypt_key="env:SESSION_ENCRYPT_KEY",
)

if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    with make_server("localhost", port, application) as server:
        print(f"http://localhost:{port}/")
        server.serve_forever()
