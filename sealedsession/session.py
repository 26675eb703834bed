"""The session as the application sees it: a dict. No keys and no cookies here.

An open session is a dict subclass without any override, so that C code (json, orjson) sees its content at full speed.
Changes are not tracked: the manager finds them by comparison, nested ones too.

The states of a session are classes; opening and closing assign `__class__`:

* `UnopenedSession`: nothing has been read. Every method opens it first. Most requests never do.
* `Session`: open. It is a `SessionWithEnds` if a value has an end, which an assignment to its key removes.
* `ClosedSession`: the response's headers have been sent. Reading works, and every change raises `SessionClosedError`.

Rules:

1. An unopened session contains one private entry whose key is not a str. C code that looks at the size first (json
   writes ``{}`` for an empty dict) therefore calls `items()`, which opens the session; C code that walks the table
   (orjson) fails, or finds that entry only. The entry is removed last, so that nobody sees part of the content.
2. A session is opened once. A thread claims it by deleting the attribute `_unclaimed`, which is atomic. Other threads
   wait in `WAITING` for its end, then look again. A forked child reclaims sessions whose thread it does not have.
3. The middleware sets `_headers_gone`, then looks at `_unclaimed`. The opening thread claims first and looks at
   `_headers_gone` last. So either the middleware waits, or the session is opened as closed: no write is lost.
4. `_open` adopts what was loaded in one place. Later, only the methods of `Session` and the package `lifecycle` write
   the attributes of a session. Its identity changes as a whole.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple, NoReturn, Protocol, Self

from sealedsession.errors import (
    ConfigError,
    Reason,
    SessionClosedError,
    drop_own_frames,
    got,
)
from sealedsession.own import (
    CSRF_BYTES,
    FlashMessage,
    Own,
    change_own,
    check_flash_category,
    check_seconds,
    is_token_of,
    mask,
    without_csrf,
    without_ends,
)
from sealedsession.revocation.store import check_subject
from sealedsession.sealing.sealer import Unsealed


class Identity(NamedTuple):
    """The part of a session that is sealed besides its data.

    :param created: when the session began, in seconds since 1970.
    :param session_id: 16 bytes, or None while it has no id.
    :param lifetime: seconds after `created` at which the session ends at the latest, or None.
    :param subject: the user to whom the session belongs, or None.
    :param lineage_id: the first session id of its lineage, or None if that is the present one.
    :param persistent: whether the browser keeps the cookie when it is closed.
    :param own: flash messages, the secret of CSRF tokens and the ends of values, or None.
    """

    created: int
    session_id: bytes | None = None
    lifetime: int | None = None
    subject: str | None = None
    lineage_id: bytes | None = None
    persistent: bool = False
    own: Own | None = None

    @property
    def lineage(self) -> bytes | None:
        """The id under which the session is revoked, or None while it has no id."""
        return self.lineage_id or self.session_id


class Loaded(NamedTuple):
    """The content of a request's cookies.

    :param data: the content of the accepted session, or an empty dict.
    :param identity: its identity, or that of a new session.
    :param token: the accepted token, or None for a new session.
    :param lineage: the lineage id of the accepted session, or of the one that was refused only because the store did
        not answer.
    :param reason: why the cookie was refused, or None.
    :param keeps_cookie: whether a refused cookie must not be deleted, because not all cookies could be read.
    :param revocations: where the store is awaited, what the request revokes; otherwise None until it does.
    """

    data: dict[Any, Any]
    identity: Identity
    token: Unsealed | None = None
    lineage: bytes | None = None
    reason: Reason | None = None
    keeps_cookie: bool = False
    revocations: Any = None


class SessionBackend(Protocol):
    """The part of the manager that a session calls."""

    @property
    def load(self) -> "Callable[[Session], Loaded]":
        """Return what the request's cookies contain."""
        ...

    def is_modified(self, session: "Session") -> bool:
        """Return whether the session differs from the one that came in."""
        ...

    def size(self, session: "Session") -> int:
        """Return the bytes of name and value that the cookie would take now."""
        ...

    def remaining(self, session: "Session") -> int:
        """Return the bytes that are left until the limit."""
        ...

    def ensure_fits(self, session: "Session") -> None:
        """Raise a `SealError` unless the session can be sealed as it is."""
        ...

    def expires_at(self, session: "Session") -> int:
        """Return when the session ends if nobody uses it any more, in seconds since 1970."""
        ...

    def new_session_id(self) -> bytes:
        """Return 16 random bytes."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """Return bytes from the CSPRNG."""
        ...

    def now(self) -> float:
        """Return the time by the configured clock, in seconds since 1970."""
        ...

    def new_identity(self, session: "Session") -> Identity:
        """Return the identity of a session that this request begins, without an id."""
        ...

    def begin_lineage(self, session: "Session") -> bytes:
        """Return the session id of a lineage that begins with a sign-in of the session's subject."""
        ...

    def regenerate(self, session: "Session") -> None:
        """Give the session a new id in the same lineage."""
        ...

    def revoke(self, session: "Session") -> None:
        """Revoke the session."""
        ...

    def revoke_incoming(self, session: "Session") -> None:
        """Revoke the session that came in with the request, if any."""
        ...

    def revoke_subject(self, session: "Session", subject: str) -> None:
        """Revoke the sessions of a subject that began until now, except for this one."""
        ...

    def was_revoked(self, session: "Session") -> bool:
        """Return whether the store has found, during this request, that the session is revoked."""
        ...


class Session(dict[Any, Any]):
    """A session: a dict that is sealed into a cookie when it has changed."""

    # Set by the middleware:
    #   _manager. _cookies: the Cookie header, or all headers. _request: the request, if the option `binding` needs it.
    #   _arrived: when the request arrived, in seconds since 1970.
    #   _unclaimed: deleted by the thread that opens the session (rule 2). _opener: that thread, or None.
    #   _headers_gone: the response's headers are being sent (rule 3).
    # Set when the session is opened:
    #   _loaded: what came in. _identity: what will be sealed.
    #   _save: `save` was called. _invalidated: `invalidate` was called.
    #   _revocations: what this request revokes; None until it does.
    # Set when `ensure_fits` has raised an error, which the application could answer: _has_raised.
    __slots__ = (
        "_arrived", "_cookies", "_has_raised", "_headers_gone", "_identity", "_invalidated", "_loaded", "_manager",
        "_opener", "_request", "_revocations", "_save", "_unclaimed",
    )  # fmt: skip
    _manager: SessionBackend
    _cookies: Any
    _request: Any
    _arrived: float
    _has_raised: bool
    _unclaimed: bool
    _headers_gone: bool
    _opener: tuple[int, int] | None
    _loaded: Loaded
    _identity: Identity
    _save: bool
    _invalidated: bool
    _revocations: Any

    @property
    def id(self) -> str:
        """The session's id: 32 hexadecimal digits, made when first read and sealed with the session.

        It names the session and is not a secret: it opens nothing. `regenerate` and `invalidate` change it.
        """
        if self._identity.session_id is None:
            session_id = self._manager.new_session_id()
            self._identity = self._identity._replace(session_id=session_id)
        return str(self._identity.session_id.hex())  # type: ignore[union-attr]

    @property
    def created(self) -> int:
        """When the session began, in seconds since 1970. The absolute timeout counts from here."""
        return self._identity.created

    @property
    def sealed_at(self) -> int | None:
        """When the incoming cookie was sealed, in seconds since 1970, or None. The idle timeout counts from here."""
        return None if self._loaded.token is None else self._loaded.token.sealed_at

    @property
    def expires_at(self) -> int:
        """When the session ends if nobody uses it any more, in seconds since 1970.

        It is the earliest of the idle timeout, the absolute timeout and the session's own lifetime, without `leeway`.
        Sealing the session again moves the idle timeout.
        """
        return self._manager.expires_at(self)

    @property
    def subject(self) -> str | None:
        """The user to whom the session belongs, such as ``user:42``, or None: see `revoke_subject`.

        Setting another subject is a sign-in: the session gets a new id, a new lineage and a new time of creation, as
        by ``regenerate(begin_anew=True)``. Setting the same subject again does nothing. Setting None only removes it.

        :raises TypeError: when the subject is not a str.
        :raises ValueError: when the subject is empty or longer than 255 characters.
        """
        return self._identity.subject

    @subject.setter
    def subject(self, subject: str | None) -> None:
        if subject == self._identity.subject and type(subject) in (str, type(None)):
            return
        if subject is not None:
            check_subject(subject)
        self._identity = self._identity._replace(subject=subject, own=without_csrf(self._identity.own))
        if subject is not None:
            self._begin_anew()

    @property
    def persistent(self) -> bool:
        """Whether the browser keeps the cookie when it is closed ("remember me"). Set it to change that.

        Max-Age is then the remaining lifetime of the session. The choice is sealed with the session, so that a refresh
        keeps it, and so does a sign-in: set it with each sign-in. New sessions begin with the option ``persistent``.

        :raises TypeError: when it is set to another value than True or False.
        """
        return self._identity.persistent

    @persistent.setter
    def persistent(self, persistent: bool) -> None:
        if type(persistent) is not bool:
            raise TypeError(f"session.persistent: it must be True or False{got(persistent)}")
        self._identity = self._identity._replace(persistent=persistent)

    @property
    def new(self) -> bool:
        """Whether no valid cookie came with the request."""
        return self._loaded.token is None

    @property
    def accessed(self) -> bool:
        """Whether anything has opened the session. Reading this property does not."""
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
        """Why the incoming cookie was not accepted, or None: one of the reasons of `UnsealError`."""
        return "revoked" if self._manager.was_revoked(self) else self._loaded.reason

    @property
    def size(self) -> int:
        """Bytes of name and value that the cookie would take now. Reading it serializes the session."""
        return self._manager.size(self)

    @property
    def remaining(self) -> int:
        """Bytes left until browsers would drop the cookie; negative when it is too large."""
        return self._manager.remaining(self)

    def save(self) -> None:
        """Seal the session with this response even if it is unchanged."""
        self._save = True

    def mark_modified(self) -> None:
        """Call `save`, as in other session libraries."""
        self.save()

    def changed(self) -> None:
        """Call `save`, as in other session libraries."""
        self.save()

    def ensure_fits(self) -> None:
        """Check that the session can be stored, while the application can still choose another response.

        Call it in a view, after the last change. Without it, the same error is raised when the response's headers are
        sent, which is too late for most frameworks' error handlers.

        After it has raised an error, the response is not an error again: if the session still cannot be stored, the
        browser keeps the cookie that it has, and a log record says so.

        :raises CookieTooLargeError: when browsers would drop the cookie. It is also a ValueError.
        :raises NotSerializableError: when the session contains a value that cannot be stored. It is also a TypeError.
        """
        self._manager.ensure_fits(self)

    def clear(self) -> None:
        """Remove all items, the subject, flash messages and the secret of CSRF tokens.

        Deleting the last key alone leaves the subject, the messages and the secret as they are.
        """
        super().clear()
        self._identity = self._identity._replace(subject=None, own=None)

    def set(self, key: Any, value: Any, *, seconds: int) -> None:
        """Store a value that ends after some time: once it has ended, the session is loaded without it.

        Use it for the state of an OAuth sign-in, or a password that is confirmed but not yet followed by the second
        factor. The end belongs to this value. Any other assignment to the key, such as ``session[key] = value`` or
        ``update``, removes the end; a change inside the value does not.

        :param seconds: 1 to 2^32 - 1, by the server's clock. The option ``leeway`` is added to them.
        :raises TypeError: unless seconds is an int, or if the key is not hashable.
        :raises ValueError: unless seconds is in that range.
        """
        end = int(self._manager.now()) + check_seconds(seconds)
        own = self._identity.own
        # The end first: if another thread closes the session in between, the value must not be sealed without it.
        self._change_own(ends={**(own.ends if own is not None else {}), key: end})
        _intercept_assignments(self)
        super().__setitem__(key, value)

    def flash(self, message: Any, category: str = "") -> None:
        """Store a message for the next page, which shows it by `pop_flash`.

        Messages keep their order, and duplicates are kept. They stay until they are popped, also across a sign-in.

        :param message: a str, or another value that the session can store.
        :param category: such as ``"error"``, for the style of the message; up to 255 characters.
        :raises TypeError: when the category is not a str.
        :raises ValueError: when the category is longer.
        """
        check_flash_category("session.flash", category)
        self._change_own(flash=(*self._flash, FlashMessage(category, message)))

    def pop_flash(self, *categories: str) -> list[FlashMessage]:
        """Remove flash messages and return them, the oldest first. Other messages stay.

        :param categories: those whose messages are meant. None given means all.
        :raises TypeError: when a category is not a str.
        """
        popped = self.peek_flash(*categories)
        if popped:
            kept = tuple(message for message in self._flash if categories and message.category not in categories)
            self._change_own(flash=kept)
        return popped

    def peek_flash(self, *categories: str) -> list[FlashMessage]:
        """Return flash messages as `pop_flash` does, without removing them."""
        for category in categories:
            check_flash_category("session.peek_flash and pop_flash", category)
        return [message for message in self._flash if not categories or message.category in categories]

    def csrf_token(self) -> str:
        """Return a token for forms of this session, which `check_csrf` accepts: 86 characters of base64url.

        The secret behind the tokens is sealed in the session, so the first token changes the session (OWASP CSRF
        Prevention Cheat Sheet, "Synchronizer Token Pattern"). Each call masks it by other random bytes, so that BREACH
        cannot find it out. A change of `subject`, `clear`, `invalidate`, `logout`, `regenerate`, and `revoke_subject`
        with the session's own subject remove the secret. Tokens of a removed secret are refused.

        :raises SessionClosedError: after the headers have been sent, when the session has no secret.
        """
        own = self._identity.own
        secret = None if own is None else own.csrf
        if secret is None:
            secret = self._manager.random_bytes(CSRF_BYTES)
            self._change_own(csrf=secret)
        return mask(secret, self._manager.random_bytes(CSRF_BYTES))

    def check_csrf(self, token: object) -> bool:
        """Return whether a token comes from `csrf_token` of this session, in constant time.

        :param token: what the client has sent. A missing or malformed token gives False.
        """
        own = self._identity.own
        return is_token_of(None if own is None else own.csrf, token)

    def set_lifetime(self, seconds: int) -> None:
        """End the session this many seconds after it was created at the latest, however much it is used.

        It can only shorten: a longer lifetime than the absolute timeout, or than one set before, changes nothing.

        :raises TypeError: unless it is an int.
        :raises ValueError: unless it is 1 to 2^32 - 1.
        """
        if type(seconds) is not int:
            raise TypeError(f"set_lifetime: it takes a whole number of seconds{got(seconds)}")
        if not 0 < seconds < 2**32:
            raise ValueError(f"set_lifetime: it takes 1 to 2**32 - 1 seconds, got {seconds}")
        lifetime = self._identity.lifetime
        self._identity = self._identity._replace(lifetime=seconds if lifetime is None else min(seconds, lifetime))

    def invalidate(self) -> None:
        """Empty the session and give it a new identity: id, lineage, time of creation. Flash messages and the secret of
        CSRF tokens are removed too. Without new data, the middleware deletes the cookie.

        Copies of the old cookie stay valid until their timeouts; use `logout` to end them too.
        """
        super().clear()
        self._identity = self._manager.new_identity(self)
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
        else:
            self._manager.regenerate(self)

    def revoke(self) -> None:
        """Refuse this session from now on, and all copies of its cookies. Its content stays readable in this request.

        :raises ConfigError: without the option ``revocation``.
        :raises SessionClosedError: after the headers have been sent, when the session has no id.
        """
        self._manager.revoke(self)

    def logout(self) -> None:
        """Call `revoke` and `invalidate`: the user is signed out here, and copies of the cookie are worthless.

        :raises ConfigError: without the option ``revocation``.
        """
        self._manager.revoke_incoming(self)
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
        self._manager.revoke_subject(self, check_subject(subject))

    def mark_accessed(self) -> None:
        """Open the session. Starlette calls this when ``request.session`` is used."""

    def _replace(self, content: Mapping[Any, Any]) -> None:
        """Replace the items, and remove their ends. If there are no new ones, do the same as `clear`."""
        super().clear()
        super().update(content)
        if not content:
            self._identity = self._identity._replace(subject=None, own=None)
        elif self._identity.own is not None:
            self._change_own(ends={})

    def _begin_anew(self) -> None:
        """Begin a lineage at the time of the request."""
        session_id = self._manager.begin_lineage(self)
        created = self._manager.new_identity(self).created
        self._identity = self._identity._replace(
            created=created, session_id=session_id, lineage_id=None, own=without_csrf(self._identity.own)
        )

    @property
    def _flash(self) -> tuple[FlashMessage, ...]:
        own = self._identity.own
        return () if own is None else own.flash

    def _change_own(self, **changes: Any) -> None:
        self._identity = self._identity._replace(own=change_own(self._identity.own, **changes))

    fromkeys: Any = dict.fromkeys  # returns a plain dict, as `copy` does

    def __reduce__(self) -> Any:
        """Copies, deep copies and pickles of a session are plain dicts."""
        return (dict, (dict(self),))


class SessionWithEnds(Session):
    """An open session in which values have ends. Every assignment to a key removes the end of its previous value.

    `setdefault` needs no code of its own: it assigns only to keys that are missing, and these have no end.
    """

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self._remove_ends((key,))

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._remove_ends((key,))

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]
        self.update(other)
        return self

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Update the items, as `dict.update`."""
        items = dict(*args, **kwargs)
        super().update(items)
        self._remove_ends(items)

    def pop(self, key: Any, *default: Any) -> Any:
        """Remove a key, as `dict.pop`."""
        value = super().pop(key, *default)
        self._remove_ends((key,))
        return value

    def popitem(self) -> tuple[Any, Any]:
        """Remove the last item, as `dict.popitem`."""
        key, value = super().popitem()
        self._remove_ends((key,))
        return key, value

    def _remove_ends(self, keys: Iterable[Any]) -> None:
        own = self._identity.own
        remaining = without_ends(own, keys)
        if remaining is not own:
            self._identity = self._identity._replace(own=remaining)


def _open_class(session: Session) -> type[Session]:
    own = session._identity.own
    return SessionWithEnds if own is not None and own.ends else Session


def _intercept_assignments(session: Session) -> None:
    """Give an open session the class that removes ends."""
    session.__class__ = SessionWithEnds
    if session._headers_gone:  # another thread has closed it meanwhile
        session.__class__ = ClosedSession
        _refuse()


def reopen(session: Session) -> None:
    """Open a session again that was closed before its headers were sent."""
    session._headers_gone = False
    session.__class__ = _open_class(session)


class SessionProxy(MutableMapping[Any, Any]):
    """A session for frameworks that require a class of their own: derive it from this one.

    Items, and the public attributes of `Session`, are those of the session. A subclass can define others.

    :param session: the session that a manager has opened.
    """

    def __init__(self, session: Session) -> None:
        object.__setattr__(self, "_session", session)

    @property
    def sealed_session(self) -> Session:
        """The session itself."""
        session: Session = self.__dict__["_session"]
        return session

    def __getitem__(self, key: Any) -> Any:
        return self.sealed_session[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.sealed_session[key] = value

    def __delitem__(self, key: Any) -> None:
        del self.sealed_session[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.sealed_session)

    def __len__(self) -> int:
        return len(self.sealed_session)

    def clear(self) -> None:
        """Remove all items, the subject and what `Session.clear` removes besides."""
        self.sealed_session.clear()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in vars(Session):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.sealed_session, name)

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and name in vars(Session) and name not in vars(type(self)):
            setattr(self.sealed_session, name, value)
        else:
            super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.sealed_session!r}>"


def get_session(request: Any, key: str | None = None) -> Session:
    """Return the session of a request.

    :param request: a WSGI environ, an ASGI scope, or a request object that has one as ``environ``, ``scope``,
        ``env`` or ``META``.
    :param key: where the middleware puts the session: its option ``environ_key`` or ``scope_key``. Needed only if a
        request has several sessions.
    :raises ConfigError: if there is no session, because no middleware handles the request, or if there are several.
    """
    mapping = request
    for attribute in ("scope", "environ", "env", "META"):
        if not isinstance(mapping, Mapping) and isinstance(found := getattr(request, attribute, None), Mapping):
            mapping = found
    if not isinstance(mapping, Mapping):
        raise ConfigError(
            "get_session: it needs a WSGI environ, an ASGI scope or a request that has one"
            f"{got(request)}. Pass the request of the framework"
        )
    found = {name: value for name, value in mapping.items() if isinstance(value, Session) and key in (None, name)}
    if not found:
        place = "" if key is None else f" under {key!r}"
        raise ConfigError(
            f"get_session: the request has no session{place}. Wrap the application in the SessionMiddleware of "
            "sealedsession.wsgi or sealedsession.asgi, outside of the code that calls this"
        )
    if len(found) > 1:
        names = ", ".join(map(repr, found))
        raise ConfigError(f"get_session: the request has several sessions: {names}. Choose one with key=")
    session: Session = next(iter(found.values()))
    return session


_PATIENCE = 60  # seconds; longer than any store or signal takes
WAITING: dict[int, threading.Event] = {}  # by id of a session: set when the thread that opens it has ended
# The number of forks that led to this process, and the thread that forked last. The child has no other thread of its
# parent.
_forks = 0
_forking_thread = 0


def _after_fork_in_child() -> None:
    global _forks, _forking_thread
    WAITING.clear()
    _forks += 1
    _forking_thread = threading.get_ident()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _refuse(*arguments: object, **more: object) -> NoReturn:
    del arguments, more  # so that no frame of the error holds the value
    raise SessionClosedError(
        "the session was changed, or asked for an id or a CSRF token that it did not have, after the response headers "
        "had gone, and no cookie can carry that. Do it before start_response, before the first message of the "
        "response, or before websocket.accept"
    )


class ClosedSession(Session):
    """A session whose response headers have been sent."""

    __slots__ = ()

    @property
    def subject(self) -> str | None:
        return self._identity.subject

    @subject.setter
    def subject(self, subject: str | None) -> None:
        _refuse(subject)

    def logout(self) -> None:
        """Revoke the session: the browser keeps the cookie, which is worthless. Without a cookie, do nothing."""
        if self._identity.lineage is not None or self._loaded.lineage is not None or self._loaded.token is not None:
            self._manager.revoke(self)
        else:
            self._manager.revoke_incoming(self)

    @property
    def persistent(self) -> bool:
        return self._identity.persistent

    @persistent.setter
    def persistent(self, persistent: bool) -> None:
        _refuse(persistent)

    @property
    def id(self) -> str:
        if self._identity.session_id is None:
            _refuse()
        return self._identity.session_id.hex()

    def csrf_token(self) -> str:
        if self._identity.own is None or self._identity.own.csrf is None:
            _refuse()
        return super().csrf_token()


class UnopenedSession(Session):
    """A session that nothing has read or written."""

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
    "_replace", "changed", "flash", "invalidate", "mark_modified", "pop_flash", "regenerate", "save", "set",
    "set_lifetime",
)  # fmt: skip
_READERS = (
    "__contains__", "__eq__", "__ge__", "__getitem__", "__gt__", "__iter__", "__le__", "__len__", "__lt__", "__ne__",
    "__or__", "__reversed__", "__ror__", "__sizeof__", "check_csrf", "copy", "csrf_token", "ensure_fits", "get",
    "items", "keys", "logout", "mark_accessed", "peek_flash", "revoke", "revoke_subject", "values",
)  # fmt: skip
_PROPERTIES = (
    "created", "expires_at", "id", "new", "persistent", "rejected", "remaining", "sealed_at", "size", "subject",
)  # fmt: skip


def _open(session: Any) -> None:
    """Open a session, or wait until the thread that opens it has done so."""
    try:
        del session._unclaimed  # atomic: one thread succeeds
    except AttributeError:
        wait_until_open(session)
        if session.__class__ is UnopenedSession:  # the other thread failed
            _open(session)
        return
    try:  # no signal handler runs before this: the interpreter calls them after function calls and jumps only
        session._opener = _forks, threading.get_ident()  # not imported by name: gevent and eventlet replace it
        loaded = session._loaded = session._manager.load(session)
        session._identity = loaded.identity
        session._revocations = loaded.revocations
        session._save = session._invalidated = False
        dict.update(session, loaded.data)
        dict.pop(session, _PLACEHOLDER, None)  # an interrupted attempt may have removed it
        opened = Session if loaded.identity.own is None else _open_class(session)
        session.__class__ = ClosedSession if session._headers_gone else opened
    except BaseException as error:
        session._opener = None
        session._unclaimed = True
        _wake(session)
        drop_own_frames(error)
        raise
    if WAITING:
        _wake(session)


def wait_until_open(session: Any) -> None:
    """Wait for the thread that is opening a session, if there is one."""
    for _ in range(_PATIENCE):
        opener = session._opener  # None right after the claim
        if not _is_being_opened(session):
            return
        if opener == (_forks, threading.get_ident()):
            raise RuntimeError(
                "session: it was used while it was being opened. A binding function, a revocation store, a clock and a "
                "decoder must not use the session; with greenlets, patch the standard library before the first import"
            )
        if opener is not None and opener[0] != _forks and opener[1] != _forking_thread:
            session._unclaimed = True  # the thread was left behind in the parent
            return
        ended = WAITING.setdefault(id(session), threading.Event())
        if _is_being_opened(session):
            ended.wait(1)
        _wake(session)  # others may wait for the event of a thread that had ended before it could see the event
    raise RuntimeError(f"session: another thread has been opening it for {_PATIENCE} seconds. Does that thread hang?")


def _is_being_opened(session: Session) -> bool:
    return session.__class__ is UnopenedSession and not hasattr(session, "_unclaimed")


def _wake(session: Session) -> None:
    if (ended := WAITING.pop(id(session), None)) is not None:
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
