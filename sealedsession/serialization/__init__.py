"""Serialize values to bytes and parse them again; only allow-listed types are accepted."""

from sealedsession.serialization.limits import Limits as Limits
from sealedsession.serialization.registry import Registry as Registry
from sealedsession.serialization.registry import default_registry as default_registry

__all__ = ["Limits", "Registry", "default_registry"]
