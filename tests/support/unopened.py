"""Sessions as the middlewares make them."""

from sealedsession.session import UNOPENED_CONTENT, UnopenedSession


def open_session(manager, request):
    """Make a request's session, as the middlewares do. The request is its Cookie header."""
    session = UnopenedSession(UNOPENED_CONTENT)
    session._manager, session._unclaimed, session._headers_gone = manager, True, False
    session._opener = None
    session._cookies = session._request = request
    session._arrived = manager.config.clock()
    return session
