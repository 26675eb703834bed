"""Sessions in tokens without a cookie: the options, and the managers of the process.

These managers differ from those of the middleware:

1. They receive and return tokens instead of the headers Cookie and Set-Cookie.
2. Their subkeys have another purpose, so a token from a cookie is refused here, and a token from here in a cookie.
3. Their tokens are always encrypted, use the allow-list pickle, and may be longer than a cookie.
4. Every sealed session has an id.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypedDict, cast

from sealedsession.config import Lifetimes, OnStoreError, SessionConfig
from sealedsession.errors import (
    RETRYABLE_REASONS,
    ConfigError,
    CookieTooLargeError,
    NotSerializableError,
    SealError,
    got,
    init_without_own_frames,
    without_own_frames,
)
from sealedsession.events import EventHook
from sealedsession.lifecycle import Action, SessionManager
from sealedsession.revocation import RevocationStore
from sealedsession.sealing.keys import KeySource
from sealedsession.serialization.limits import Limits, StateLimits
from sealedsession.serialization.registry import Registry
from sealedsession.session import Session
from sealedsession.state.sealer import MAX_SIZE

# Seconds between two re-seals because of an old key. During a rotation, two servers may each regard the other's key as
# the old one. Without this limit, two windows that share a token would make them re-seal it endlessly.
_RESEAL_INTERVAL = 60


class TokenLimits(StateLimits):
    """The limits of a session in a token. They are those of a sealed state, because its token can be as long."""

    __slots__ = ()
    object_name: ClassVar[str] = "session"


_LIMITS = TokenLimits()


class TokenOptions(TypedDict, total=False):
    """The keyword arguments of `TokenConfig`, for type checkers: options of `SessionConfig`, and `max_size`."""

    validate_key: KeySource | Sequence[KeySource] | None
    encrypt_key: KeySource | Sequence[KeySource] | None
    keyring: str | None
    name: str
    lifetimes: Lifetimes | None
    idle_timeout: int | None
    absolute_timeout: int | None
    refresh_interval: int | None
    leeway: int
    revocation: RevocationStore | str | None
    on_store_error: OnStoreError
    compress: bool
    pad: int
    max_size: int
    on_event: EventHook | None
    registry: Registry
    clock: Callable[[], float]


@init_without_own_frames
@dataclass(frozen=True, kw_only=True)
class TokenConfig(SessionConfig):
    """The options of sessions in tokens.

    :param name: the name of the sessions. It is part of the seal, so sessions with another name refuse the tokens.
    :param max_size: the largest length of a token, 256 to 65,536 characters.
    :raises ConfigError: if an option is invalid.
    """

    encrypt_key: KeySource | Sequence[KeySource] | None = field(default=None, repr=False)
    name: str | None = "session"
    limits: Limits = _LIMITS
    max_size: int = MAX_SIZE

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.max_size) is not int or not 256 <= self.max_size <= MAX_SIZE:
            raise ConfigError(f"max_size: it must be a whole number of characters, 256 to {MAX_SIZE}")
        if self.keys.current(int(self.clock())).pairs[0].encrypt is None:
            raise ConfigError(
                "encrypt_key: the key is missing, but these tokens are always encrypted. "
                "Make one with: python -m sealedsession keygen"
            )

    def _check_serializers(self) -> None:
        if type(self.registry) is not Registry:
            raise ConfigError(f"registry: it must be a Registry{got(self.registry)}. Pass it in code")


class TokenManager:
    """Open, seal and revoke sessions in tokens. All threads share one manager."""

    def __init__(self, config: TokenConfig) -> None:
        self.config = config
        self._manager: SessionManager[None, str] = SessionManager(
            config, purpose="hyperdiv", max_length=config.max_size
        )

    @property
    def revokes(self) -> bool:
        """Whether sessions can be revoked, which requires a store."""
        return self._manager.revokes

    def open(self, token: str) -> Session:
        """Return the session of a token, or a new, empty session if the token is refused."""
        session = self._manager.open_token(token)
        session.mark_accessed()
        return session

    def is_refused_for_good(self, session: Session) -> bool:
        """Return whether the session's token was refused and every server will always refuse it."""
        return session.rejected is not None and session.rejected not in RETRYABLE_REASONS

    def is_modified(self, session: Session) -> bool:
        """Return whether the session differs from its token."""
        return self._manager.is_modified(session)

    def seal(self, session: Session, action: Action = "seal") -> str:
        """Seal a session into a token.

        :param action: the reason for sealing, for the event.
        :raises NotSerializableError: if a value cannot be stored, or the token is too long.
        """
        session.id  # noqa: B018  # reading the id creates it
        try:
            return self._manager.token(session, action=action)
        except CookieTooLargeError as error:
            largest = ", ".join(f"{repr(key)[:60]} {count}" for key, count in list(error.by_key.items())[:5])
            problem = (
                f"the token would have {error.size} characters, and max_size is {error.limit}. Nothing was saved. "
                f"Largest keys: {largest}. Store large values elsewhere, and keep a reference to them here"
            )
        except NotSerializableError as error:
            path = error.path.replace("session", "session.data", 1)
            raise NotSerializableError(path, error.type, error.args[2]) from error.__cause__
        raise NotSerializableError("session.data", None, problem)

    def refresh(self, session: Session) -> str | None:
        """Seal an accessed session again, if its refresh interval has passed or a fallback key had sealed it.

        :returns: the new token, or None if the current one stays in use.
        """
        action = self._manager.action(session)
        if action not in ("refresh", "reseal"):
            return None
        interval = min(self.config.timeouts.refresh, _RESEAL_INTERVAL)
        if action == "reseal" and self.config.clock() - (session.sealed_at or 0) < interval:
            return None
        try:
            return self.seal(session, action)
        except SealError as error:  # the previous token stays in use
            self.config.events.not_saved(error)
            return None


# ------------------------------------------------------------------------------------------- managers of the process

_managers: dict[str, tuple[TokenOptions, TokenManager]] = {}  # by name
_making = threading.Lock()


def _renew_lock() -> None:
    """Replace the lock in a forked child, because another thread of the parent may hold the old one."""
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)


@without_own_frames
def get_manager(options: TokenOptions) -> TokenManager:
    """Return the process's manager for the option ``name``. The first call makes it.

    An application function passes its options again in every run. A new manager each time would derive the keys and
    connect to the store again, and a store in memory would forget all revocations.

    :raises ConfigError: if an option is unknown or invalid, or the options differ from those of the first call.
    """
    unknown = [option for option in options if option not in TokenOptions.__annotations__]
    if unknown:
        known_options = ", ".join(TokenOptions.__annotations__)
        raise ConfigError(f"unknown option {unknown[0]!r}; the options are: {known_options}")
    name = options.get("name", "session")
    if type(name) is not str:
        raise ConfigError(f"name: it must be str{got(name)}")
    with _making:
        known = _managers.get(name)
        if known is None:
            known = _managers[name] = cast(TokenOptions, dict(options)), TokenManager(TokenConfig(**options))
    if known[0] != options:
        differing = [option for option in TokenOptions.__annotations__ if known[0].get(option) != options.get(option)]
        raise ConfigError(
            f"name: another sealed_session of this process is called {name!r} and differs in {', '.join(differing)}. "
            "Use another name. If it is the same session, pass the same options in every run: make functions, "
            "registries and stores once, outside the application function"
        )
    return known[1]
