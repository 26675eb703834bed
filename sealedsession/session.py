"""The session as the application sees it: a dict. No keys and no cookies here.

A session is in one of three states, and each state is a class; opening and closing assign `__class__`:

* `UnopenedSession`: nothing has been read. Whatever reads or writes it opens it first. Most requests never do.
* `Session`: open. A plain dict subclass with no override, so that C code (json, orjson) sees the truth at full speed.
* `ClosedSession`: the response headers have gone. It can be read, and every change raises `SessionClosed`.

While unopened, the dict holds one private entry whose key is no str: C code that asks for the size first (json writes
``{}`` for an empty dict) goes on to `items()`, which opens; C code that walks the table (orjson) fails loudly.
Changes are not tracked: the keeper finds them by comparing, so that a change inside a nested value counts.
"""

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from sealedsession.errors import Reason, SessionClosed
from sealedsession.seal import Unsealed


class Keeper(Protocol):
    """What a session asks of the manager that made it."""

    def load(self, session: "Session") -> dict[Any, Any]:
        """Give what the request's cookie holds, and set the session's attributes."""
        ...

    def is_modified(self, session: "Session") -> bool:
        """Whether the session differs from what came in."""
        ...

    def size(self, session: "Session") -> int:
        """Bytes of name and value that the cookie would take now."""
        ...

    def remaining(self, session: "Session") -> int:
        """Bytes until the limit."""
        ...

    def new_sid(self) -> bytes:
        """A new session id."""
        ...

    def now(self) -> int:
        """Seconds since 1970."""
        ...


class Session(dict[Any, Any]):
    """A session: a dict that is sealed into a cookie when it has changed."""

    # _origin: what the cookie held, or None. _sid and _created belong to the session that will be sealed.
    # _headers_gone: set on an unopened session only, whose opening then gives a closed one.
    __slots__ = ("_created", "_headers_gone", "_keeper", "_origin", "_rejected", "_request", "_save", "_sid")
    _keeper: Keeper
    _request: Any
    _origin: Unsealed | None
    _rejected: Reason | None
    _sid: bytes | None
    _created: int
    _save: bool
    _headers_gone: bool

    @property
    def id(self) -> str:
        """128 random bits in hexadecimal, made when first asked for and kept in the seal. It names the session, and
        is no secret that opens it. `regenerate` and `invalidate` change it."""
        if self._sid is None:
            self._sid = self._keeper.new_sid()
        return self._sid.hex()

    @property
    def created(self) -> int:
        """When the session began, in seconds since 1970. The absolute timeout counts from here."""
        return self._created

    @property
    def sealed_at(self) -> int | None:
        """When the cookie that came in was made, in seconds since 1970, or None. The idle timeout counts from here."""
        return None if self._origin is None else self._origin.sealed_at

    @property
    def new(self) -> bool:
        """Whether no valid cookie came with the request."""
        return self._origin is None

    @property
    def accessed(self) -> bool:
        """Whether anything has looked into the session; asking this does not."""
        return True

    @property
    def modified(self) -> bool:
        """Whether it differs from what came in, nested values included. Serializes the session to find out."""
        return self._keeper.is_modified(self)

    @property
    def rejected(self) -> Reason | None:
        """Why the cookie that came in was not accepted, or None: one of the reason codes of `UnsealError`."""
        return self._rejected

    @property
    def size(self) -> int:
        """Bytes of name and value that the cookie would take now. Serializes the session to find out."""
        return self._keeper.size(self)

    @property
    def remaining(self) -> int:
        """Bytes left until browsers would drop the cookie; negative when it is too large."""
        return self._keeper.remaining(self)

    def save(self) -> None:
        """Seal the session with this response even if it is unchanged."""
        self._save = True

    def invalidate(self) -> None:
        """Empty the session and give it a new identity: id and created. Without new data the cookie is deleted.

        A copy of the old cookie stays valid until its timeouts: the server keeps no list.
        """
        self.clear()
        self._sid = None
        self._created = self._keeper.now()

    def regenerate(self) -> None:
        """Keep the data under a new identity: id and created. Call it when a user signs in or gains rights
        (OWASP ASVS 5.0, 7.2.4)."""
        self._sid = self._keeper.new_sid()
        self._created = self._keeper.now()

    def mark_accessed(self) -> None:
        """Open the session. Starlette calls this when ``request.session`` is used."""

    fromkeys: Any = dict.fromkeys  # what is made of other keys is a plain dict, as copies are

    def __reduce__(self) -> Any:
        """Copies, deep copies and pickles of a session are plain dicts."""
        return (dict, (dict(self),))


def _refuse(*_: object, **__: object) -> NoReturn:
    raise SessionClosed(
        "the session was changed, or asked for an id that it did not have, after the response headers had gone, and "
        "no cookie can carry that. Do it before start_response, before the first message of the response, or before "
        "websocket.accept"
    )


class ClosedSession(Session):
    """A session whose response headers have gone."""

    __slots__ = ()

    @property
    def id(self) -> str:
        if self._sid is None:
            _refuse()
        return self._sid.hex()


class UnopenedSession(Session):
    """A session that nothing has looked into."""

    __slots__ = ()

    @property
    def accessed(self) -> bool:
        return False

    @property
    def modified(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "<session, not opened>"


# What the unopened dict holds, see above.
UNOPENED_CONTENT: dict[object, None] = {object(): None}

_MUTATORS = (
    "__delitem__", "__ior__", "__setitem__", "clear", "pop", "popitem", "setdefault", "update",
    "invalidate", "regenerate", "save",
)  # fmt: skip
_READERS = (
    "__contains__", "__eq__", "__ge__", "__getitem__", "__gt__", "__iter__", "__le__", "__len__", "__lt__", "__ne__",
    "__or__", "__reversed__", "__ror__", "__sizeof__", "copy", "get", "items", "keys", "mark_accessed", "values",
)  # fmt: skip
_PROPERTIES = ("created", "id", "new", "rejected", "remaining", "sealed_at", "size")


def _open(session: Any) -> None:
    if session.accessed:
        return  # a method that was looked up before another one opened the session
    content = session._keeper.load(session)
    session.__class__ = Session
    session.clear()
    session.update(content)
    if getattr(session, "_headers_gone", False):
        session.__class__ = ClosedSession


def _opening_method(name: str) -> Callable[..., Any]:
    def method(self: UnopenedSession, *args: Any, **kwargs: Any) -> Any:
        _open(self)
        return getattr(self, name)(*args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"Open the session, then {name}."
    return method


def _opening_property(name: str) -> property:
    def getter(self: UnopenedSession) -> Any:
        _open(self)
        return getattr(self, name)

    return property(getter, doc=f"Open the session, then {name}.")


for _name in (*_READERS, *_MUTATORS):
    setattr(UnopenedSession, _name, _opening_method(_name))
for _name in _PROPERTIES:
    setattr(UnopenedSession, _name, _opening_property(_name))
for _name in _MUTATORS:
    setattr(ClosedSession, _name, _refuse)
UnopenedSession.__hash__ = ClosedSession.__hash__ = None  # dicts are not hashable
