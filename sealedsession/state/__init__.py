"""Sealed state: the state of a page's elements, sealed into tokens that the page holds and sends with its calls."""

from sealedsession.state.middleware import ASGIStateErrorMiddleware as ASGIStateErrorMiddleware
from sealedsession.state.middleware import WSGIStateErrorMiddleware as WSGIStateErrorMiddleware
from sealedsession.state.middleware import http_error as http_error
from sealedsession.state.middleware import response_to as response_to
from sealedsession.state.registry import StateRegistry as StateRegistry
from sealedsession.state.resumable import Resumable as Resumable
from sealedsession.state.resumable import public as public
from sealedsession.state.sealer import SCRIPT as SCRIPT
from sealedsession.state.sealer import StateSealer as StateSealer

__all__ = [
    "SCRIPT", "ASGIStateErrorMiddleware", "Resumable", "StateRegistry", "StateSealer", "WSGIStateErrorMiddleware",
    "http_error", "public", "response_to",
]  # fmt: skip
