"""A counter behind a sign-in, in Hyperdiv. The count is in the session, and the session in the browser's token.

    pip install 'sealedsession[hyperdiv]'
    export SESSION_VALIDATE_KEY=$(python -m sealedsession keygen)
    export SESSION_ENCRYPT_KEY=$(python -m sealedsession keygen)
    HD_PORT=8888 python examples/hyperdiv_app.py

Authenticate, and consent to being remembered: a second window is authenticated too, and so is a reloaded one. Log out
in one of them, and all are. SESSION_REVOCATION=sqlite:PATH keeps what was signed out where other processes see it.
"""

import os

import hyperdiv as hd

from sealedsession.integrations.hyperdiv import sealed_session

REVOCATION = os.environ.get("SESSION_REVOCATION", "memory")


def main():
    """The application function. Hyperdiv runs it again whenever something that it has read changes."""
    session = sealed_session(
        validate_key="env:SESSION_VALIDATE_KEY",
        encrypt_key="env:SESSION_ENCRYPT_KEY",
        revocation=REVOCATION,
    )
    with hd.box(padding=2, gap=1):
        if not session.loaded:
            hd.spinner()  # the browser has not said yet what it has
        elif session.is_authenticated():
            signed_in(session)
        else:
            hd.text("Not authenticated.")
            if hd.button("Authenticate").clicked:
                session.login("user:ann")  # after the password was checked, in earnest


def signed_in(session):
    """What Ann sees."""
    hd.text(f"{session.subject} has counted to {session.data.get('count', 0)}.")
    if hd.button("Count").clicked:
        session.data["count"] = session.data.get("count", 0) + 1  # sealed after the run, and then there is another run
    # The consent: until then nothing is stored in the browser.
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
