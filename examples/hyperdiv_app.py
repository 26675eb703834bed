"""A counter behind a sign-in, in Hyperdiv. The browser keeps the session, with the count, in a sealed token.

    pip install 'sealedsession[hyperdiv]'
    export SESSION_VALIDATE_KEY=$(python -m sealedsession keygen)
    export SESSION_ENCRYPT_KEY=$(python -m sealedsession keygen)
    HD_PORT=8888 python examples/hyperdiv_app.py

Authenticate, and click on "Keep me signed in". A second window is then authenticated, too, and so is a reloaded one.
Logging out in one window logs out all of them. SESSION_REVOCATION=sqlite:PATH shares revocations with other processes.
"""

import os

import hyperdiv as hd

from sealedsession.integrations.hyperdiv import sealed_session

REVOCATION = os.environ.get("SESSION_REVOCATION", "memory")


def main():
    """Render the page. Hyperdiv runs this function again whenever a value that it has read changes."""
    session = sealed_session(
        validate_key="env:SESSION_VALIDATE_KEY",
        encrypt_key="env:SESSION_ENCRYPT_KEY",
        revocation=REVOCATION,
    )
    with hd.box(padding=2, gap=1):
        if not session.loaded:
            hd.spinner()  # the browser has not sent its token yet
        elif session.is_authenticated():
            signed_in(session)
        else:
            hd.text("Not authenticated.")
            if hd.button("Authenticate").clicked:
                session.login("user:ann")  # a real application first checks a password


def signed_in(session):
    """Render the page of a signed-in user."""
    hd.text(f"{session.subject} has counted to {session.data.get('count', 0)}.")
    if hd.button("Count").clicked:
        session.data["count"] = session.data.get("count", 0) + 1  # sealed after this run, before the next one
    # Before the user consents, the browser stores nothing.
    if session.is_gdpr_allowed():
        hd.text("This device keeps you signed in.")
        if hd.button("Forget me").clicked:
            session.gdpr_flag = False
    elif hd.button("Keep me signed in").clicked:
        session.gdpr_flag = True
    if hd.button("Log out").clicked:
        session.logout()


if __name__ == "__main__":
    hd.run(main)
