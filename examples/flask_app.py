"""A shop in Flask: a cart, messages, sign-in and sign-out.

    export FLASK_SECRET_KEY=$(python -m sealedsession keygen)
    flask --app flask_app run

or under a real server: ``gunicorn flask_app:app``. Open http://localhost:5000.
"""

from flask import Flask, flash, get_flashed_messages, redirect, render_template_string, request
from werkzeug import Response

from sealedsession import CookieTooLargeError
from sealedsession.integrations.flask import SealedSession, session

PAGE = """<!doctype html>
<title>Shop</title>
<p>Hello, {{ name }}. Cart: {{ cart }}
{% for message in messages %}<p role="status">{{ message }}{% endfor %}
<form method="post" action="/cart/apple"><button>Add an apple</button></form>
<form method="post" action="/sign-in/Ann"><button>Sign in as Ann</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>
"""

app = Flask(__name__)
app.config.from_prefixed_env()  # FLASK_SECRET_KEY, FLASK_SEALEDSESSION_REVOCATION, ...
SealedSession(app)


@app.get("/")
def show() -> str:
    """Show the cart, and the messages that have not been shown."""
    return render_template_string(
        PAGE,
        name=session.get("name", "stranger"),
        cart=", ".join(session.get("cart", [])) or "nothing",
        messages=get_flashed_messages(),
    )


@app.post("/cart/<item>")
def add(item: str) -> Response:
    """Add to the cart. A change inside of a list is noticed."""
    session.setdefault("cart", []).append(item)
    flash(f"Added: {item}")
    return redirect("/", 303)


@app.post("/sign-in/<name>")
def sign_in(name: str) -> Response:
    """Sign in. Setting the subject gives the session a new id."""
    session.subject = f"user:{name}"
    session["name"] = name
    return redirect("/", 303)


@app.post("/sign-out")
def sign_out() -> Response:
    """Sign out. Nothing remains, and the browser deletes the cookie."""
    session.invalidate()
    return redirect("/", 303)


@app.post("/note")
def note() -> Response:
    """Keep a note, if the cookie has room for it."""
    session["note"] = request.get_data(as_text=True)
    return redirect("/", 303)


@app.errorhandler(CookieTooLargeError)
def answer_too_large(error: CookieTooLargeError) -> tuple[str, int]:
    """Answer instead of the view. The browser keeps the session that it has."""
    return f"The note is too long by {error.size - error.limit} bytes.", 413
