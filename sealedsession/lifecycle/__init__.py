"""Opening and closing sessions: a request's path from its cookies to the response's headers."""

from sealedsession.lifecycle.manager import ManagerCache as ManagerCache
from sealedsession.lifecycle.manager import SessionManager as SessionManager
from sealedsession.lifecycle.save import Action as Action

__all__ = ["Action", "ManagerCache", "SessionManager"]
