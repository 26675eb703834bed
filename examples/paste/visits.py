"""The application in development.ini. To serve it, run ``python visits.py development.ini``."""

import html
import os
import sys

from paste.deploy import loadapp, loadserver
from webob import Request, Response

PAGE = """<!doctype html>
<title>{title}</title>
<p>Hello, {name}. Visits: {visits}
<form method="post" action="/sign-in?name=Ann"><button>Sign in as Ann</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>
"""


def app_factory(_global_conf, title="Visits"):
    """Make the application of an ini section. The filter in front of it handles keys and cookies."""

    def visits(environ, start_response):
        request = Request(environ)
        session = environ["sealedsession.session"]
        match request.method, request.path_info:
            case "GET", "/":
                session["visits"] = session.get("visits", 0) + 1
                name = html.escape(session.get("name", "stranger"))
                response = Response(PAGE.format(title=html.escape(title), name=name, visits=session["visits"]))
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

    return visits


if __name__ == "__main__":
    config = "config:" + os.path.abspath(sys.argv[1])
    serve = loadserver(config)
    serve(loadapp(config))
