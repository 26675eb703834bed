"""The options' names and types, for type checkers: the keyword arguments of `SessionConfig` and of both middlewares."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict

from sealedsession.errors import CookieTooLarge
from sealedsession.events import EventHook
from sealedsession.keys import KeySource
from sealedsession.limits import Limits
from sealedsession.revocation import RevocationStore
from sealedsession.session import Session
from sealedsession.values import Registry

Oversize = Literal["raise", "keep"] | Callable[[Session, CookieTooLarge], object]
Binding = Callable[[Any], bytes]


class SessionOptions(TypedDict, total=False):
    """The keyword arguments of `SessionConfig`, for type checkers."""

    validate_key: KeySource | Sequence[KeySource] | None
    encrypt_key: KeySource | Sequence[KeySource] | None
    keyring: str | None
    name: str | None
    path: str
    domain: str | None
    secure: bool
    httponly: bool
    samesite: str
    partitioned: bool
    max_age: int | None
    persistent: bool
    lifetimes: str | None
    idle_timeout: int | None
    absolute_timeout: int | None
    refresh_interval: int | None
    leeway: int
    revocation: RevocationStore | str | None
    on_store_error: str
    compress: bool
    pad: int
    binding: Binding | None
    on_event: EventHook | None
    oversize: Oversize
    serializer: str
    accept_serializers: Sequence[str]
    registry: Registry
    limits: Limits
    save_on_error: bool
    cache_control: str | None
    environ_key: str
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]
