"""A shop in FastAPI: a typed cart, messages, sign-in and sign-out.

    export SECRET_KEY=$(python -m sealedsession keygen)
    uvicorn fastapi_app:app

Open http://localhost:8000.
"""

import html
import os
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Body, FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from sealedsession import CookieTooLargeError
from sealedsession.integrations.fastapi import CurrentSession, InSession, SessionMiddleware

PAGE = """<!doctype html>
<title>Shop</title>
<p>Hello, {name}. Cart: {cart}
{messages}
<form method="post" action="/cart/apple"><button>Add an apple</button></form>
<form method="post" action="/sign-in/Ann"><button>Sign in as Ann</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>
"""


@dataclass
class Cart:
    """What a visitor wants to buy."""

    items: list[str] = field(default_factory=list)


SessionCart = Annotated[Cart, InSession(Cart, key="cart")]

app = FastAPI()
app.add_middleware(
    SessionMiddleware,
    secret_key=os.environ["SECRET_KEY"],
    fallback_keys=os.environ.get("OLD_SECRET_KEYS", "").split(),
    max_age=int(os.environ.get("MAX_AGE", "86400")),
    leeway=int(os.environ.get("LEEWAY", "60")),
)


@app.get("/")
def show(session: CurrentSession, cart: SessionCart) -> HTMLResponse:
    """Show the cart, and the messages that have not been shown."""
    shown = "".join(f'<p role="status">{html.escape(message)}' for message in session.pop("messages", []))
    name = html.escape(session.get("name", "stranger"))
    return HTMLResponse(PAGE.format(name=name, cart=html.escape(", ".join(cart.items)) or "nothing", messages=shown))


@app.post("/cart/{item}")
def add(item: str, session: CurrentSession, cart: SessionCart) -> RedirectResponse:
    """Add to the cart."""
    cart.items.append(item)
    session.setdefault("messages", []).append(f"Added: {item}")
    return RedirectResponse("/", 303)


@app.post("/sign-in/{name}")
def sign_in(name: str, session: CurrentSession) -> RedirectResponse:
    """Sign in. Setting the subject gives the session a new id."""
    session.subject = f"user:{name}"
    session["name"] = name
    return RedirectResponse("/", 303)


@app.post("/sign-out")
def sign_out(session: CurrentSession) -> RedirectResponse:
    """Sign out. Nothing remains, and the browser deletes the cookie."""
    session.invalidate()
    return RedirectResponse("/", 303)


@app.post("/note")
def note(session: CurrentSession, text: Annotated[str, Body(media_type="text/plain")]) -> RedirectResponse:
    """Keep a note, if the cookie has room for it."""
    session["note"] = text
    session.ensure_fits()
    return RedirectResponse("/", 303)


@app.exception_handler(CookieTooLargeError)
def answer_too_large(_: Request, error: CookieTooLargeError) -> PlainTextResponse:
    """Answer instead of the view. The browser keeps the session that it has."""
    return PlainTextResponse(f"The note is too long by {error.size - error.limit} bytes.", 413)
