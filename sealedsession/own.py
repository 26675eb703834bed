"""The library's own data in a session: flash messages, the secret of CSRF tokens, and the ends of values.

It is sealed with the session as the payload's fourth member, and never part of the application's dict. Rules:

1. An `Own` is immutable, like the identity that contains it. A session without own data has None instead.
2. `parse_own` accepts what `Own.pack` writes and refuses everything else. A forged payload can contain messages,
   secrets and ends of its own, and nothing that an application would not expect.
3. Ends refer to keys by position. A key can be of any type that sessions store, also of one whose instances are equal
   to themselves only. Positions also take fewer bytes than keys.
4. The secret leaves the server only masked by random bytes, other ones each time. Otherwise a page that is compressed
   and repeats a part of the request would reveal it byte by byte (BREACH, Gluck, Harris and Prado 2013, section 3.4).
"""

import enum
import hmac
import operator
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple, NoReturn

from sealedsession.errors import UnsealError, got
from sealedsession.sealing import base64url

CSRF_BYTES = 32  # as long as a SHA-256 key: nobody guesses it
_TOKEN_LENGTH = 86  # characters, of 2 * CSRF_BYTES bytes
_CATEGORY_LENGTH = 255  # characters; as long as a subject
_MAX_SECONDS = 2**32 - 1  # as long as a lifetime
_MAX_END = 2**33  # above every end: a time of creation has 32 bits, and so have the seconds
_xor = operator.xor


class FlashMessage(NamedTuple):
    """A message for the next page.

    :param category: such as ``"error"``, or an empty str.
    :param message: a str, or another value that sessions can store.
    """

    category: str
    message: Any


class OwnPart(enum.Enum):
    """A part of the library's own data, in the ``by_key`` of a `CookieTooLargeError`. It equals no key of a session."""

    FLASH = "flash messages"
    CSRF = "CSRF secret"
    ENDS = "value ends"

    def __repr__(self) -> str:
        return self.value


class Own(NamedTuple):
    """The library's own data.

    :param flash: the messages, the oldest first.
    :param csrf: the secret of CSRF tokens, `CSRF_BYTES` bytes, or None.
    :param ends: maps keys of the session to the ends of their values, in seconds since 1970. It must not be changed.
    """

    flash: tuple[FlashMessage, ...] = ()
    csrf: bytes | None = None
    ends: dict[Any, int] = {}  # noqa: RUF012  # it is never changed

    def pack(self, data: Iterable[Any]) -> dict[str, Any]:
        """Return the payload's fourth member. It is empty if there is nothing to store.

        :param data: the session's keys, in order.
        """
        packed: dict[str, Any] = {}
        if self.flash:
            packed["flash"] = [part for message in self.flash for part in message]
        if self.csrf is not None:
            packed["csrf"] = self.csrf
        if self.ends:
            ends = [(at, self.ends[key]) for at, key in enumerate(data) if key in self.ends]
            if ends:
                packed["ends"] = [number for pair in ends for number in pair]
        return packed


_NOTHING = Own()


def change_own(own: Own | None, **changes: Any) -> Own | None:
    """Return own data with some of its members replaced, or None if nothing remains."""
    changed = (own or _NOTHING)._replace(**changes)
    return changed if any(changed) else None


def without_csrf(own: Own | None) -> Own | None:
    """Return own data without the secret of CSRF tokens."""
    return own if own is None or own.csrf is None else change_own(own, csrf=None)


def without_ends(own: Own | None, keys: Iterable[Any]) -> Own | None:
    """Return own data without the ends of some keys."""
    if own is None or not own.ends:
        return own
    ends = own.ends.copy()
    for key in keys:
        ends.pop(key, None)
    return change_own(own, ends=ends)


def parse_own(value: object, keys: Collection[Any]) -> Own:
    """Return own data from the payload's fourth member.

    :param keys: the session's keys, in order.
    :raises UnsealError: ``forbidden_value``.
    """
    if type(value) is not dict or not value:
        _refuse()
    for name in value:
        if type(name) is not str or name not in Own._fields:
            _refuse()
    return Own(
        _parse_flash(value["flash"]) if "flash" in value else (),
        _parse_csrf(value["csrf"]) if "csrf" in value else None,
        _parse_ends(value["ends"], keys) if "ends" in value else {},
    )


def _parse_flash(value: object) -> tuple[FlashMessage, ...]:
    pairs = _parse_pairs(value)
    for category, _ in pairs:
        if type(category) is not str or len(category) > _CATEGORY_LENGTH:
            _refuse()
    return tuple(FlashMessage(category, message) for category, message in pairs)


def _parse_csrf(value: object) -> bytes:
    if type(value) is not bytes or len(value) != CSRF_BYTES:
        _refuse()
    return value


def _parse_ends(value: object, keys: Collection[Any]) -> dict[Any, int]:
    pairs, by_position, last = _parse_pairs(value), list(keys), -1
    for at, end in pairs:
        if type(at) is not int or type(end) is not int or not (last < at < len(by_position) and 0 <= end < _MAX_END):
            _refuse()
        last = at
    return {by_position[at]: end for at, end in pairs}


def _parse_pairs(value: object) -> list[tuple[Any, Any]]:
    if type(value) is not list or not value or len(value) % 2:
        _refuse()
    return list(zip(value[::2], value[1::2], strict=True))


def _refuse() -> NoReturn:
    raise UnsealError("forbidden_value", "invalid own data of the library in the payload of a session")


def check_flash_category(method: str, category: object) -> None:
    """Check the category of a flash message.

    :param method: the method that was called, for the error.
    :raises TypeError: if it is not a str.
    :raises ValueError: if it has more than 255 characters.
    """
    if type(category) is not str:
        raise TypeError(f"{method}: a category must be a str{got(category)}. Pass a name such as 'error'")
    if len(category) > _CATEGORY_LENGTH:
        raise ValueError(
            f"{method}: a category must have at most {_CATEGORY_LENGTH} characters, got {len(category)}. Pass a name "
            "such as 'error', and the text as the message"
        )


def check_seconds(seconds: object) -> int:
    """Check after how many seconds a value ends, and return them.

    :raises TypeError: if they are not an int.
    :raises ValueError: unless they are 1 to 2^32 - 1.
    """
    if type(seconds) is not int:
        raise TypeError(f"session.set: seconds must be an int{got(seconds)}. Pass a whole number of seconds")
    if not 0 < seconds <= _MAX_SECONDS:
        raise ValueError(
            "session.set: seconds must be 1 to 2**32 - 1, got another number. Assign a value without an end to its key"
        )
    return seconds


def mask(secret: bytes, pad: bytes) -> str:
    """Return a CSRF token: base64url of the pad, and of the secret combined with the pad.

    :param pad: as many random bytes as the secret has, never used before.
    """
    return base64url.encode(pad + bytes(map(_xor, pad, secret)))


def unmask(token: object) -> bytes | None:
    """Return the secret of a CSRF token, or None if it is malformed."""
    if not isinstance(token, str):
        return None
    try:
        text = str.encode(token, "ascii")
        masked = base64url.decode(text) if len(text) == _TOKEN_LENGTH else b""
    except ValueError:
        return None
    if len(masked) != 2 * CSRF_BYTES:
        return None
    return bytes(map(_xor, masked[:CSRF_BYTES], masked[CSRF_BYTES:]))


def is_token_of(secret: bytes | None, token: object) -> bool:
    """Return whether a CSRF token was made from a secret. It takes as long for every secret."""
    unmasked = unmask(token)
    return secret is not None and unmasked is not None and hmac.compare_digest(unmasked, secret)
