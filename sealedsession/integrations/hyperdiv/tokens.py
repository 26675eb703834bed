"""Sessions in tokens that travel by other ways than a cookie: options, and one manager for every name.

It uses the manager of the middlewares, with these differences:

1. A token comes in and a token goes out, instead of the Cookie header and Set-Cookie.
2. Its subkeys have a purpose of their own: a cookie's token is refused here, and a token from here in a cookie.
3. Tokens are always encrypted, by the allow-list pickle, and may be longer than a cookie.
4. A session has an id from its first token on.
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

# Servers in the middle of a key change may each take the other's key for the old one. Two windows that share a token
# would have them seal it again for each other without end, were it not for this: at most once in so many seconds.
_OLD_KEY_PATIENCE = 60


class TokenLimits(StateLimits):
    """What a session may come to: as much as a state, whose room a token has."""

    __slots__ = ()
    object_name: ClassVar[str] = "session"


_LIMITS = TokenLimits()


class TokenOptions(TypedDict, total=False):
    """The options, for type checkers: those of `SessionConfig` that have a meaning without a cookie, and `max_size`."""

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

    :param name: part of the purpose of the subkeys: sessions of different names do not open each other's tokens.
    :param max_size: characters that a token may have, 256 to 65,536.
    :raises ConfigError: for every mistake in the options.
    """

    encrypt_key: KeySource | Sequence[KeySource] | None = field(default=None, repr=False)
    name: str | None = "session"
    limits: Limits = _LIMITS
    max_size: int = MAX_SIZE

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.max_size) is not int or not 256 <= self.max_size <= MAX_SIZE:
            raise ConfigError(f"max_size: it must be an int of characters, 256 to {MAX_SIZE}")
        if self.keys.current(int(self.clock())).pairs[0].encrypt is None:
            raise ConfigError(
                "encrypt_key is missing: these tokens are always encrypted; "
                "make one with: python -m sealedsession keygen"
            )

    def _check_serializers(self) -> None:
        if type(self.registry) is not Registry:
            raise ConfigError(f"registry: it must be a Registry{got(self.registry)}")


class TokenManager:
    """Opens, seals and revokes sessions in tokens. One manager serves all threads."""

    def __init__(self, config: TokenConfig) -> None:
        self.config = config
        self._manager: SessionManager[None, str] = SessionManager(
            config, purpose="hyperdiv", max_length=config.max_size
        )

    @property
    def revokes(self) -> bool:
        """Whether sessions can be revoked: there is a store."""
        return self._manager.revokes

    def opened(self, token: str) -> Session:
        """Return the session that a token contains: a new and empty one, unless the token is accepted now."""
        session = self._manager.open_token(token)
        session.mark_accessed()
        return session

    def is_final(self, session: Session) -> bool:
        """Return whether the token was refused, and will be refused by every server from now on."""
        return session.rejected is not None and session.rejected not in RETRYABLE_REASONS

    def is_modified(self, session: Session) -> bool:
        """Return whether the session differs from the one that came in."""
        return self._manager.is_modified(session)

    def seal(self, session: Session, action: Action = "seal") -> str:
        """Seal a session into a token.

        :param action: for the event.
        :raises NotSerializableError: if a value cannot be stored, or the token is too long.
        """
        session.id  # noqa: B018  # reading it gives the session an id
        try:
            return self._manager.token(session, action=action)
        except CookieTooLargeError as error:
            largest = ", ".join(f"{repr(key)[:60]} {count}" for key, count in list(error.by_key.items())[:5])
            problem = (
                f"the token would take {error.size} characters, and max_size is {error.limit}. Nothing was saved. "
                f"Largest keys: {largest}. Store large values elsewhere, and a reference to them here"
            )
        except NotSerializableError as error:
            path = error.path.replace("session", "session.data", 1)
            raise NotSerializableError(path, error.type, error.args[2]) from error.__cause__
        raise NotSerializableError("session.data", None, problem)

    def refresh(self, session: Session) -> str | None:
        """Seal a session again that is in use, if it is time to: its idle timeout starts again, and a fallback key is
        replaced.

        :returns: the token, or None if it is not time.
        """
        action = self._manager.action(session)
        if action not in ("refresh", "reseal"):
            return None
        interval = min(self.config.timeouts.refresh, _OLD_KEY_PATIENCE)
        if action == "reseal" and self.config.clock() - (session.sealed_at or 0) < interval:
            return None
        try:
            return self.seal(session, action)
        except SealError as error:  # the previous token stays in use
            self.config.events.not_saved(error)
            return None


# ------------------------------------------------------------------------------------------------ one for every name

_managers: dict[str, tuple[TokenOptions, TokenManager]] = {}
_making = threading.Lock()


def _renew_lock() -> None:
    """Replace the lock in a forked child: another thread of the parent may hold the old one."""
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)


@without_own_frames
def get_manager(options: TokenOptions) -> TokenManager:
    """Give the process's manager for the option `name`, made when it is first asked for.

    An application function gives its options anew on every run, in every window. Keys and a connection to the store are
    not to be made as often, and a store in memory would know nothing.

    :raises ConfigError: for mistakes in the options, and when they are not those that the manager was made with.
    """
    unknown = [option for option in options if option not in TokenOptions.__annotations__]
    if unknown:
        raise ConfigError(f"unknown option {unknown[0]!r}; there are: {', '.join(TokenOptions.__annotations__)}")
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
            f"another sealed_session of this process has the name {name!r} and other options: {', '.join(differing)}. "
            "Give it another name; or, if it is the same one, options that are the same on every run: make functions, "
            "registries and stores once, outside of the application function"
        )
    return known[1]
