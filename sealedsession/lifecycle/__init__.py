"""Opening and closing sessions: the way of a request, from cookies to headers."""

from sealedsession.lifecycle.manager import SessionManager as SessionManager

__all__ = ["SessionManager"]
