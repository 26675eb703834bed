"""The states of a session, each a class; opening and closing assign `__class__`.

* `UnopenedSession`: nothing has been read. Every method opens it first. Most requests never do.
* `Session`: open, see session.py.
* `ClosedSession`: the response's headers have been sent. Reading works, and every change raises `SessionClosed`.

Rules:

1. While unopened, the dict contains one private entry whose key is not a str. C code that looks at the size first (json
   writes ``{}`` for an empty dict) goes on to `items()`, which opens; C code that walks the table (orjson) fails, or
   finds that entry only (docs/sessions.rst has a table). It is removed last, so that nobody sees part of the content.
2. A session is opened once. The thread that opens it registers in `OPENING`; others wait in `WAITING` for its end, then
   look again. An open session needs none of this. A forked child has no other threads, and empties both.
3. The middleware sets `_headers_gone`, then looks into `OPENING`. The opening thread registers first and looks at
   `_headers_gone` last. So either the middleware waits, or the session is opened as closed. No write is lost in
   between.
"""

import os
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from sealedsession.errors import SessionClosed, drop_own_frames
from sealedsession.revocation.store import checked_subject
from sealedsession.session import Session

OPENING: dict[int, tuple[int]] = {}  # by id of a session: the thread that opens it
WAITING: dict[int, threading.Event] = {}  # by id of a session: set when the thread has ended


def _forget_other_threads() -> None:
    OPENING.clear()
    WAITING.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_other_threads)


def _refuse(*arguments: object, **more: object) -> NoReturn:
    del arguments, more  # so that no frame of the error holds the value
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
        self._keeper.revoke(self, self._lineages())  # the browser keeps the cookie, which is worthless

    def revoke_subject(self, subject: str) -> None:
        self._keeper.revoke_subject(self, checked_subject(subject), b"")  # no new id could be sealed: spare none

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

    @modified.setter
    def modified(self, modified: bool) -> None:
        _open(self)
        self.modified = modified

    def __repr__(self) -> str:
        return "<session, not opened>"


_PLACEHOLDER = object()
UNOPENED_CONTENT: dict[object, None] = {_PLACEHOLDER: None}  # rule 1

_MUTATORS = (
    "__delitem__", "__ior__", "__setitem__", "clear", "pop", "popitem", "setdefault", "update",
    "_replace", "changed", "invalidate", "mark_modified", "regenerate", "save", "set_lifetime",
)  # fmt: skip
_READERS = (
    "__contains__", "__eq__", "__ge__", "__getitem__", "__gt__", "__iter__", "__le__", "__len__", "__lt__", "__ne__",
    "__or__", "__reversed__", "__ror__", "__sizeof__", "copy", "ensure_fits", "get", "items", "keys", "logout",
    "mark_accessed", "revoke", "revoke_subject", "values",
)  # fmt: skip
_PROPERTIES = ("created", "expires_at", "id", "new", "rejected", "remaining", "sealed_at", "size", "subject")


def _open(session: Any) -> None:
    """Open a session, or wait until the thread that opens it has done so."""
    key = id(session)
    mine = (threading.get_ident(),)  # not imported by name: gevent and eventlet replace it
    try:
        if (registered := OPENING.setdefault(key, mine)) is mine:  # atomic
            if session.__class__ is UnopenedSession:
                dict.update(session, session._keeper.load(session))
                dict.pop(session, _PLACEHOLDER)
                session.__class__ = ClosedSession if session._headers_gone else Session  # type: ignore[assignment]
            OPENING.pop(key, None)
            if WAITING:
                _wake(key)
            return
    except BaseException as error:
        if OPENING.get(key) is mine:
            del OPENING[key]
            _wake(key)
        drop_own_frames(error)
        raise
    _wait(key, registered)
    _open(session)


def wait_until_open(session: Session) -> None:
    """Wait for the thread that is opening a session, if there is one."""
    key = id(session)
    while (registered := OPENING.get(key)) is not None:
        _wait(key, registered)


def _wait(key: int, registered: tuple[int]) -> None:
    """Wait until a thread is no longer registered. This may return early, so callers must look again."""
    if registered[0] == threading.get_ident():
        raise RuntimeError(
            "session: it was used while it was being opened. A binding function, a revocation store, a clock and a "
            "decoder must not use the session; with greenlets, patch the standard library before the first import"
        )
    ended = WAITING.setdefault(key, threading.Event())
    if OPENING.get(key) is registered:
        ended.wait()
    else:  # the thread had ended before it could see the event, on which others may already wait
        _wake(key)


def _wake(key: int) -> None:
    if (ended := WAITING.pop(key, None)) is not None:
        ended.set()


def _opening_method(name: str) -> Callable[..., Any]:
    def method(self: UnopenedSession, *args: Any, **kwargs: Any) -> Any:
        _open(self)
        return getattr(self, name)(*args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"Open the session, then call {name}()."
    return method


def _opening_property(name: str) -> property:
    def getter(self: UnopenedSession) -> Any:
        _open(self)
        return getattr(self, name)

    def setter(self: UnopenedSession, value: Any) -> None:
        _open(self)
        setattr(self, name, value)

    return property(getter, setter, doc=f"Open the session, then use {name}.")


for _name in (*_READERS, *_MUTATORS):
    setattr(UnopenedSession, _name, _opening_method(_name))
for _name in _PROPERTIES:
    setattr(UnopenedSession, _name, _opening_property(_name))
for _name in _MUTATORS:
    setattr(ClosedSession, _name, _refuse)
UnopenedSession.__hash__ = ClosedSession.__hash__ = None  # dicts are not hashable
