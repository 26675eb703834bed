"""The session as the application sees it: a dict. No keys and no cookies here.

It is a plain dict subclass with no override, so that C code (json, orjson) sees the truth at full speed. Before it is
opened and after the headers have gone it is of another class, see session_states.py. Changes are not tracked: the
keeper finds them by comparing, so that a change inside a nested value counts.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from sealedsession.errors import Reason, SessionClosedError, UnsealError, drop_own_frames, got
from sealedsession.revocation.store import check_subject
from sealedsession.sealing.sealer import Unsealed


class SessionBackend(Protocol):
    """What a session asks of the manager that made it."""

    @property
    def revokes(self) -> bool:
        """Whether sessions can be revoked: there is a store."""
        ...

    @property
    def load(self) -> "Callable[[Session], dict[Any, Any]]":
        """Gives what the request's cookie holds, and sets the session's attributes."""
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

    def ensure_fits(self, session: "Session") -> None:
        """Raise a `SealError` unless the session can be sealed as it is."""
        ...

    def new_sid(self) -> bytes:
        """A new session id."""
        ...

    def begins_at(self, session: "Session") -> int:
        """Return the time of creation, in seconds since 1970, for a session that this request begins."""
        ...

    def ends(self, session: "Session") -> int:
        """When the session ends if nobody uses it any more, in seconds since 1970."""
        ...

    def revoke(self, session: "Session", lineages: Sequence[bytes]) -> None:
        """Revoke the sessions of these lineages. A session asks for it."""
        ...

    def revoke_subject(self, session: "Session", subject: str, spared: bytes) -> None:
        """Revoke a subject's sessions that began until now, except for the lineage `spared`. A session asks for it."""
        ...


class Session(dict[Any, Any]):
    """A session: a dict that is sealed into a cookie when it has changed."""

    # Set by the middleware:
    #   _cookies: the Cookie header, or all headers. _request: the request, if the option `binding` needs it.
    #   _arrived: when the request arrived, in seconds since 1970.
    #   _headers_gone: the response's headers are being sent; a session that is opened later is opened as closed.
    # Set when the session is opened:
    #   _origin: the unsealed token, or None. _came_under: the lineage id that came in; kept for a session that was
    #   refused because the store did not answer. _rejections: the refused tokens, for the log.
    #   _keeps_cookie: a refused cookie is not deleted, because not all cookies could be read.
    #   _came_as: the subject that came in, until the request signs in or revokes that subject itself.
    # What belongs to the identity that will be sealed: _created, _sid, _lifetime, _subject, and _root, the lineage id,
    #   which is the session's first id; None means that the current id is the first one.
    # _revoked: the store has found, during this request, that the session is revoked.
    # _reserved: maps each subject that this request has revoked to the lineage id that is exempt. _ended: maps the
    #   store's keys under which this request has revoked to the lineage id that the entry spares, or b"".
    # _exempt: the lineage to which the session moves when the store has exempted it.
    # _fetched and _pending: where the store is awaited, the content of the cookie, and the revocations to send.
    __slots__ = (
        "_arrived",
        "_came_as",
        "_came_under",
        "_cookies",
        "_created",
        "_ended",
        "_exempt",
        "_fetched",
        "_headers_gone",
        "_invalidated",
        "_keeps_cookie",
        "_lifetime",
        "_manager",
        "_origin",
        "_pending",
        "_rejected",
        "_rejections",
        "_request",
        "_reserved",
        "_revoked",
        "_root",
        "_save",
        "_sid",
        "_subject",
    )  # fmt: skip
    _manager: SessionBackend
    _cookies: Any
    _request: Any
    _arrived: float
    _headers_gone: bool
    _origin: Unsealed | None
    _rejected: Reason | None
    _rejections: tuple[tuple[UnsealError, bytes | None], ...]
    _keeps_cookie: bool
    _save: bool
    _invalidated: bool
    _revoked: bool
    _reserved: dict[str, bytes]
    _ended: dict[bytes, bytes]
    _exempt: bytes | None
    _came_under: bytes | None
    _came_as: str | None
    _created: int
    _sid: bytes | None
    _lifetime: int | None
    _subject: str | None
    _root: bytes | None
    _fetched: dict[Any, Any]
    _pending: list[Any] | None

    @property
    def id(self) -> str:
        """128 random bits in hexadecimal, made when first asked for and kept in the seal. It names the session, and
        is no secret that opens it. `regenerate` and `invalidate` change it."""
        if self._sid is None:
            self._sid = self._manager.new_sid()
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
    def expires_at(self) -> int:
        """When the session ends if nobody uses it any more, in seconds since 1970: the earliest of its idle timeout,
        absolute timeout and lifetime. `leeway` comes on top, and sealing it again moves the idle timeout."""
        return self._manager.ends(self)

    @property
    def subject(self) -> str | None:
        """Whose session it is, such as ``user:42``, or None. `revoke_subject` takes such a name.

        Setting another subject is a sign-in: the session gets a new id, a new lineage and a new time of creation, as
        by ``regenerate(begin_anew=True)``. Setting the same subject again does nothing. Setting None only removes it.

        :raises TypeError: when the subject is not a str.
        :raises ValueError: when the subject is empty or longer than 255 characters.
        """
        return self._subject

    @subject.setter
    def subject(self, subject: str | None) -> None:
        if subject is not None and check_subject(subject) != self._subject:
            self._subject = subject
            self._begin_anew()
        else:
            self._subject = subject

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
        """Whether the session differs from the one that came in, nested values included.

        Reading it serializes the session. Setting it to True is the same as `save`, as in other session libraries.

        :raises ValueError: when it is set to False.
        """
        return self._manager.is_modified(self)

    @modified.setter
    def modified(self, modified: bool) -> None:
        if not modified:
            raise ValueError(
                "session.modified: it cannot be set to False, because changes are found by comparison. Undo the change "
                "in the session instead, or do not write it"
            )
        self.save()

    @property
    def rejected(self) -> Reason | None:
        """Why the cookie that came in was not accepted, or None: one of the reason codes of `UnsealError`."""
        return self._rejected

    @property
    def size(self) -> int:
        """Bytes of name and value that the cookie would take now. Serializes the session to find out."""
        return self._manager.size(self)

    @property
    def remaining(self) -> int:
        """Bytes left until browsers would drop the cookie; negative when it is too large."""
        return self._manager.remaining(self)

    def save(self) -> None:
        """Seal the session with this response even if it is unchanged."""
        self._save = True

    mark_modified = changed = save  # the names of this method in other session libraries

    def ensure_fits(self) -> None:
        """Check that the session can be stored, while the application can still choose another response.

        Call it in a view, after the last change. Without it, the same error is raised when the response's headers are
        sent, which is too late for most frameworks' error handlers.

        :raises CookieTooLargeError: when browsers would drop the cookie. It is also a ValueError.
        :raises NotSerializableError: when the session contains a value that cannot be stored. It is also a TypeError.
        """
        self._manager.ensure_fits(self)

    def clear(self) -> None:
        """Remove all items and the subject. Deleting the last key alone leaves the subject as it is."""
        super().clear()
        self._subject = None

    def set_lifetime(self, seconds: int) -> None:
        """End the session so many seconds after it was created at the latest, however much it is used.

        It can only shorten: a longer lifetime than the absolute timeout, or than one set before, changes nothing.

        :raises TypeError: unless it is an int; ValueError, unless it is 1 to 2^32 - 1.
        """
        if type(seconds) is not int:
            raise TypeError(f"a lifetime is a whole number of seconds{got(seconds)}")
        if not 0 < seconds < 2**32:
            raise ValueError(f"a lifetime is 1 to 2**32 - 1 seconds, and {seconds} was given")
        self._lifetime = seconds if self._lifetime is None else min(seconds, self._lifetime)

    def invalidate(self) -> None:
        """Empty the session and give it a new identity: id, lineage, time of creation. Without new data, the middleware
        deletes the cookie.

        Copies of the old cookie stay valid until their timeouts; use `logout` to end them too.
        """
        self.clear()
        self._sid = self._root = self._exempt = self._lifetime = None
        self._created = self._manager.begins_at(self)
        self._invalidated = True

    def regenerate(self, *, begin_anew: bool = False) -> None:
        """Give the session a new id and keep its data. Call it when the user gains rights.

        The session stays in its lineage: `revoke` and `logout` also end the cookies with its earlier ids, which stay
        valid until then. (OWASP ASVS 5.0, 7.2.4, also requires that a sign-in ends the old token: call `revoke`
        before setting `subject`.) Its time of creation and its lifetime do not change, so that both timeouts
        continue.

        :param begin_anew: whether the user has just signed in again. Then the session also begins a new lineage, and
            the absolute timeout and the session's own lifetime start again. Setting another `subject` includes this.
        """
        if begin_anew:
            self._begin_anew()
            return
        if self._manager.revokes:
            self._root = self._root or self._sid
        self._sid = self._manager.new_sid()

    def revoke(self) -> None:
        """Refuse this session from now on, and all copies of its cookies. Its content stays readable in this request.

        :raises ConfigError: without the option ``revocation``.
        :raises SessionClosedError: after the headers have been sent, when the session has no id.
        """
        exempt = {self._exempt, self._root or self._sid}.intersection(self._reserved.values())
        if exempt and not self._headers_gone:  # a later sign-in of this request still needs that lineage
            self._sid, self._root, self._exempt = self._manager.new_sid(), None, None
        lineages = self._lineages()
        # A session that began after `invalidate` in this request has data, but no id yet.
        if not lineages or (self and self._sid is None and not self._headers_gone):
            lineages.append(bytes.fromhex(self.id))
        self._manager.revoke(self, lineages)

    def logout(self) -> None:
        """Call `revoke` and `invalidate`: the user is signed out here, and copies of the cookie are worthless.

        :raises ConfigError: without the option ``revocation``.
        """
        # A lineage that this request has begun is in no cookie yet.
        self._manager.revoke(self, [] if self._came_under is None else [self._came_under])
        self.invalidate()

    def revoke_subject(self, subject: str) -> None:
        """Refuse all sessions of a subject that began until now: "sign me out everywhere".

        If it is this session's own subject, this session stays signed in, with a new id and a new lineage. So does a
        session that signs in as this subject later in the same request. `logout` ends this session too.

        A session that was itself revoked during this request has no rights: nothing is revoked, and nothing is sealed
        with this response.

        :raises ConfigError: without the option ``revocation``.
        :raises TypeError: when the subject is not a str.
        :raises ValueError: when the subject is empty or longer than 255 characters.
        """
        check_subject(subject)
        self._manager.revoke(self, ())  # raises without a store, before anything changes
        exempt = self._reserved.get(subject) or self._manager.new_sid()
        self._reserved = {**self._reserved, subject: exempt}
        if self._subject == subject:
            self._root, self._sid = self._root or self._sid, exempt  # as `regenerate`, until the store has answered
            self._exempt = exempt
        self._manager.revoke_subject(self, subject, exempt)

    def mark_accessed(self) -> None:
        """Open the session. Starlette calls this when ``request.session`` is used."""

    def _replace(self, content: Mapping[Any, Any]) -> None:
        """Replace the items. If there are no new ones, remove the subject too."""
        super().clear()
        super().update(content)
        if not content:
            self._subject = None

    def _begin_anew(self) -> None:
        """Begin a lineage at the time of the request: the one that this request has exempted, or else a new one."""
        self._came_as = self._exempt = None
        self._created = self._manager.begins_at(self)
        self._sid = self._reserved.get(self._subject or "") or self._manager.new_sid()
        self._root = None

    def _lineages(self) -> list[bytes]:
        """Return the ids of the lineages to revoke: the one that came in and, if another one began, the current one."""
        lineages = dict.fromkeys((self._came_under, self._root or self._sid, self._exempt))
        return [lineage for lineage in lineages if lineage is not None]

    fromkeys: Any = dict.fromkeys  # what is made of other keys is a plain dict, as copies are

    def __reduce__(self) -> Any:
        """Copies, deep copies and pickles of a session are plain dicts."""
        return (dict, (dict(self),))


# By id of a session: the thread that opens it, and the session, so that no other one can have that id.
OPENING: dict[int, tuple[int, Session]] = {}
_PATIENCE = 60  # seconds; longer than any store or signal takes
WAITING: dict[int, threading.Event] = {}  # by id of a session: set when the thread has ended


def _forget_other_threads() -> None:
    OPENING.clear()
    WAITING.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_other_threads)


def _refuse(*arguments: object, **more: object) -> NoReturn:
    del arguments, more  # so that no frame of the error holds the value
    raise SessionClosedError(
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
        """Revoke the session: the browser keeps the cookie, which is worthless. Without a cookie, do nothing."""
        if self._lineages() or self._origin is not None:
            self.revoke()
        else:
            self._manager.revoke(self, ())

    def revoke_subject(self, subject: str) -> None:
        self._manager.revoke_subject(self, check_subject(subject), b"")  # no new id could be sealed: spare none

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
    mine = threading.get_ident(), session  # not imported by name: gevent and eventlet replace it
    try:
        if (registered := OPENING.setdefault(key, mine)) is mine:  # atomic
            if session.__class__ is UnopenedSession:
                dict.update(session, session._manager.load(session))
                dict.pop(session, _PLACEHOLDER, None)  # it may be gone, if a signal interrupted this before
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


def _wait(key: int, registered: tuple[int, Session]) -> None:
    """Wait until a thread is no longer registered. This may return early, so callers must look again."""
    if registered[0] == threading.get_ident():
        raise RuntimeError(
            "session: it was used while it was being opened. A binding function, a revocation store, a clock and a "
            "decoder must not use the session; with greenlets, patch the standard library before the first import"
        )
    ended = WAITING.setdefault(key, threading.Event())
    for _ in range(_PATIENCE):
        if OPENING.get(key) is not registered or ended.wait(1):
            break
    else:
        raise RuntimeError(
            f"session: another thread has been opening it for {_PATIENCE} seconds. Does that thread hang?"
        )
    _wake(key)  # others may wait for the event of a thread that had ended before it could see the event


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
