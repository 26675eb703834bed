"""A second-hand bookshop with one copy of each book, in plain WSGI: a live search, a counter, and buttons that buy.

    export SESSION_VALIDATE_KEY=$(python -m sealedsession keygen)
    export SESSION_ENCRYPT_KEY=$(python -m sealedsession keygen)
    python examples/state_wsgi.py

The state of the search and of the counter is in the page, sealed for the browser's session. The server does not store
it. Open the page in two windows and buy the same book in both. In the second window, it is already sold.
"""

import html
import os
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

from webob import Request, Response
from webob.static import FileApp

from sealedsession import StaleStateError, StateError
from sealedsession.state import SCRIPT, Resumable, StateSealer, WSGIStateErrorMiddleware, public
from sealedsession.wsgi import SessionMiddleware

KEYS = {"validate_key": "env:SESSION_VALIDATE_KEY", "encrypt_key": "env:SESSION_ENCRYPT_KEY"}
LONGEST_CALL = 128 * 1024  # bytes, enough for the longest token and the arguments

# In a real application, this is a database.
books = dict(enumerate(("Emma", "Evelina", "Middlemarch", "Persuasion", "<Villette>"), 1))
states = StateSealer(**KEYS)


@states.register
class Counter(Resumable):
    """Count the clicks on a button."""

    count = 0

    @public
    def add(self):
        self.count += 1
        return self.count


@states.register
class Search(Resumable):
    """Find books that are not sold yet, and count the searches."""

    searches = 0

    @public
    def find(self, text):
        if not isinstance(text, str):  # a client can send any JSON as an argument
            raise StateError("text: it must be a str")
        self.searches += 1
        found = [number for number, title in list(books.items()) if text.lower() in title.lower()]
        return {"found": found, "searches": self.searches}


@states.register
class Book(Resumable):
    """A book, identified by its number. After the book was sold, the state is stale."""

    stale_on = (KeyError,)

    def load(self, number):
        self.number = number
        self.title = books[number]

    @public
    def buy(self):
        if books.pop(self.number, None) is None:  # another user bought it after load()
            raise StaleStateError(f"book {self.number} is sold")
        return self.title


PAGE = """<!doctype html>
<html lang="en">
<title>Books</title>
<link rel="icon" href="data:,">
<script type="module" src="/page.js"></script>
<p id="counter" {counter}><button>Count</button> <output>0</output></p>
<p id="search" {search}><label>Search <input type="search"></label> <output>0</output> searches</p>
<ul>
{books}
</ul>
<p id="message" role="status"></p>
</html>
"""
BOOK = '<li id="book-{number}" {state}>{title} <button>Buy</button></li>'

PAGE_SCRIPT = """import { call } from "/sealed_state.js";

const message = document.getElementById("message");
const say = (text) => { message.textContent = text; };
const sayError = (error) => { if (error.code !== "StaleState") say(error.message); };

const counter = document.getElementById("counter");
counter.querySelector("button").addEventListener("click", () => {
  call(counter, "add").then((count) => { counter.querySelector("output").textContent = count; }, sayError);
});

const search = document.getElementById("search");
search.querySelector("input").addEventListener("input", (event) => {
  call(search, "find", event.target.value).then(({ found, searches }) => {
    search.querySelector("output").textContent = searches;
    for (const book of document.querySelectorAll("li")) {
      book.hidden = !found.includes(Number(book.id.slice("book-".length)));
    }
  }, sayError);
});

for (const button of document.querySelectorAll("li button")) {
  button.addEventListener("click", () => {
    call(button, "buy").then((title) => {
      button.closest("li").remove();
      say(`${title} is yours.`);
    }, sayError);
  });
}

document.addEventListener("sealedsession:stale", (event) => say(event.detail.message));
"""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}

sealed_state_script = FileApp(str(SCRIPT), content_type="text/javascript", charset="utf-8", cache_control="no-cache")


def bookshop(environ, start_response):
    """Answer one request. `WSGIStateErrorMiddleware` converts the errors of a call into responses."""
    request = Request(environ)
    match request.method, request.path_info:
        case "GET", "/":
            response = Response(page(environ["sealedsession.session"]), cache_control="no-store")
            response.headers.update(HEADERS)
        case "GET", "/page.js":
            response = Response(PAGE_SCRIPT, content_type="text/javascript", cache_control="no-cache")
        case "GET", "/sealed_state.js":
            response = sealed_state_script
        case "POST", "/call" if request.content_type != "application/json":  # such as a form on another site
            response = Response(status=415)
        case "POST", "/call":
            body = request.body_file.read(LONGEST_CALL)  # a longer body is cut, and then is not valid JSON
            answer = states.handle(body, session_id=environ["sealedsession.session"].id)
            response = Response(answer, content_type="application/json", charset=None, cache_control="no-store")
        case _:
            response = Response("There is nothing here.", status=404)
    return response(environ, start_response)


def page(session):
    """Return the page. Each element that makes calls contains a state, which is valid only in this session."""
    session.save()  # sends the session's cookie with the page, because the states belong to its id

    def state_attributes(target):
        token = states.seal(target, session_id=session.id)
        return f'data-sealedsession-state="{html.escape(token)}" data-sealedsession-url="/call"'

    shelf = [
        BOOK.format(number=book.number, state=state_attributes(book), title=html.escape(book.title))
        for book in books_there()
    ]
    return PAGE.format(counter=state_attributes(Counter()), search=state_attributes(Search()), books="\n".join(shelf))


def books_there():
    """Yield all books that are not sold yet."""
    for number in list(books):
        try:
            yield Book(number)
        except KeyError:
            continue


application = SessionMiddleware(WSGIStateErrorMiddleware(bookshop), **KEYS)


class Server(ThreadingMixIn, WSGIServer):
    """A server with a thread for each connection, because browsers keep unused connections open."""

    daemon_threads = True


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    with make_server("localhost", port, application, server_class=Server) as server:
        print(f"http://localhost:{port}/")
        server.serve_forever()
