"""The states of a session, each a class; opening and closing assign `__class__`.

* `UnopenedSession`: nothing has been read. Whatever reads or writes it opens it first. Most requests never do.
* `Session`: open, see session.py.
* `ClosedSession`: the response headers have gone. It can be read, and every change raises `SessionClosed`.

While unopened, the dict holds one private entry whose key is no str: C code that asks for the size first (json writes
``{}`` for an empty dict) goes on to `items()`, which opens; C code that walks the table (orjson) fails loudly.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from sealedsession.errors import SessionClosed
from sealedsession.revocation.store import checked_subject
from sealedsession.session import Session


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
    def subject(self) -> str | None:
        return self._subject

    @subject.setter
    def subject(self, subject: str | None) -> None:
        _refuse(subject)

    def logout(self) -> None:
        self.revoke()  # the cookie stays, and is worthless

    def revoke_subject(self, subject: str) -> None:
        self._keeper.revoke_subject(self, checked_subject(subject), None)

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
    "invalidate", "regenerate", "save", "set_lifetime",
)  # fmt: skip
_READERS = (
    "__contains__", "__eq__", "__ge__", "__getitem__", "__gt__", "__iter__", "__le__", "__len__", "__lt__", "__ne__",
    "__or__", "__reversed__", "__ror__", "__sizeof__", "copy", "get", "items", "keys", "mark_accessed", "values",
    "logout", "revoke", "revoke_subject",
)  # fmt: skip
_PROPERTIES = ("created", "expires_at", "id", "new", "rejected", "remaining", "sealed_at", "size", "subject")


def _open(session: Any) -> None:
    kind: type[Session] = session.__class__
    if kind is not UnopenedSession:
        return  # a method that was looked up before another one opened the session
    content = session._keeper.load(session)
    session.__class__ = Session
    session.clear()
    session.update(content)
    if session._headers_gone:
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

    def setter(self: UnopenedSession, value: Any) -> None:
        _open(self)
        setattr(self, name, value)

    return property(getter, setter, doc=f"Open the session, then {name}.")


for _name in (*_READERS, *_MUTATORS):
    setattr(UnopenedSession, _name, _opening_method(_name))
for _name in _PROPERTIES:
    setattr(UnopenedSession, _name, _opening_property(_name))
for _name in _MUTATORS:
    setattr(ClosedSession, _name, _refuse)
UnopenedSession.__hash__ = ClosedSession.__hash__ = None  # dicts are not hashable
