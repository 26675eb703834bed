"""Sessions as the doors make them."""

from sealedsession.session_states import UNOPENED_CONTENT, UnopenedSession


def open_session(manager, request):
    """Make a request's session, as the doors do."""
    session = UnopenedSession(UNOPENED_CONTENT)
    session._keeper, session._request, session._headers_gone = manager, request, False
    return session
