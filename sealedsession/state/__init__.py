"""Sealed state: what a page needs at its next call travels in the page, sealed."""

from sealedsession.state.middleware import AsgiStateErrors as AsgiStateErrors
from sealedsession.state.middleware import StateErrors as StateErrors
from sealedsession.state.middleware import http_error as http_error
from sealedsession.state.middleware import response_to as response_to
from sealedsession.state.registry import StateRegistry as StateRegistry
from sealedsession.state.resumable import Resumable as Resumable
from sealedsession.state.resumable import public as public
from sealedsession.state.sealer import SCRIPT as SCRIPT
from sealedsession.state.sealer import StateSealer as StateSealer

__all__ = [
    "SCRIPT", "AsgiStateErrors", "Resumable", "StateErrors", "StateRegistry", "StateSealer", "http_error", "public",
    "response_to",
]  # fmt: skip
