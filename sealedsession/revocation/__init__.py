"""Revocation of sessions: stores that know which sessions were logged out. All other data stays in the cookie."""

from sealedsession.errors import ConfigError
from sealedsession.revocation.cached import CachedStore as CachedStore
from sealedsession.revocation.memory import MemoryStore as MemoryStore
from sealedsession.revocation.redis import RedisStore as RedisStore
from sealedsession.revocation.sqlite import SQLiteStore as SQLiteStore
from sealedsession.revocation.store import Caller as Caller
from sealedsession.revocation.store import Entry as Entry
from sealedsession.revocation.store import RevocationStore as RevocationStore
from sealedsession.revocation.store import merge as merge


def store_from_url(text: str) -> RevocationStore:
    """Make the store that the option ``revocation`` names.

    :param text: ``memory``, ``sqlite:PATH``, or a URL that redis-py accepts.
    :raises ConfigError: if the text has another form, or the store refuses it.
    """
    if text == "memory":
        return MemoryStore()
    if text.startswith("sqlite:") and text != "sqlite:":
        return SQLiteStore(text.removeprefix("sqlite:"))
    if text.startswith(("redis://", "rediss://", "unix://")):
        return RedisStore(text)
    raise ConfigError(
        "revocation: it must be 'memory', 'sqlite:PATH', 'redis://HOST:PORT/NUMBER' (or rediss://, unix://), "
        "a RevocationStore, or None"
    )
