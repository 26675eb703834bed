"""Sessions as the doors make them."""

from sealedsession.session_states import UNOPENED_CONTENT, UnopenedSession


def open_session(manager, request):
    """Make a request's session, as the doors do. The request is its Cookie header."""
    session = UnopenedSession(UNOPENED_CONTENT)
    session._keeper, session._headers_gone = manager, False
    session._cookies = session._request = request
    return session
