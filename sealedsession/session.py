"""The session as the application sees it: a dict. No keys and no cookies here.

It is a plain dict subclass with no override, so that C code (json, orjson) sees the truth at full speed. Before it is
opened and after the headers have gone it is of another class, see session_states.py. Changes are not tracked: the
keeper finds them by comparing, so that a change inside a nested value counts.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sealedsession.errors import Reason, given
from sealedsession.revocation.store import checked_subject
from sealedsession.seal import Unsealed


class Keeper(Protocol):
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

    def new_sid(self) -> bytes:
        """A new session id."""
        ...

    def now(self) -> int:
        """Seconds since 1970."""
        ...

    def ends(self, session: "Session") -> int:
        """When the session ends if nobody uses it any more, in seconds since 1970."""
        ...

    def revoke(self, session: "Session", roots: Sequence[bytes]) -> None:
        """Revoke the sessions that began with these ids."""
        ...

    def revoke_subject(self, session: "Session", subject: str, spared: bytes | None) -> None:
        """Revoke the sessions of a subject that began until now, but for one."""
        ...


class Session(dict[Any, Any]):
    """A session: a dict that is sealed into a cookie when it has changed."""

    # _cookies: the Cookie header, or all headers, as the door has it. _request: the request, where a binding asks it.
    # _origin: what the cookie held, or None. What follows _invalidated belongs to the session that will be sealed.
    # _headers_gone: set on an unopened session only, whose opening then gives a closed one.
    # _root: the first id, under which all that `regenerate` makes of it is revoked, or None while it is the id itself.
    # _came_under: the root that came in, also of a session that was refused because the store did not answer.
    # _opened_at: when it was looked up in the store, or None; what it becomes later in the request is no younger.
    # _fetched and _pending: where the store is awaited, what the cookie held, and what it will be told.
    __slots__ = (
        "_came_under", "_cookies", "_created", "_fetched", "_headers_gone", "_invalidated", "_keeper", "_lifetime",
        "_opened_at", "_origin", "_pending", "_rejected", "_request", "_revoked_subjects", "_root", "_save", "_sid",
        "_subject",
    )  # fmt: skip
    _keeper: Keeper
    _cookies: Any
    _request: Any
    _headers_gone: bool
    _origin: Unsealed | None
    _rejected: Reason | None
    _save: bool
    _invalidated: bool
    _revoked_subjects: tuple[str, ...]
    _came_under: bytes | None
    _opened_at: float | None
    _created: int
    _sid: bytes | None
    _lifetime: int | None
    _subject: str | None
    _root: bytes | None
    _fetched: dict[Any, Any]
    _pending: list[Any]

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
    def expires_at(self) -> int:
        """When the session ends if nobody uses it any more, in seconds since 1970: the earliest of its idle timeout,
        absolute timeout and lifetime. `leeway` comes on top, and sealing it again moves the idle timeout."""
        return self._keeper.ends(self)

    @property
    def subject(self) -> str | None:
        """Whose session it is, such as ``user:42``, or None: a name that `revoke_subject` can be called with.

        Another name than before makes it another session, as `regenerate` does: it began with this subject.

        :raises TypeError: when it is set to what is no str; ValueError, when it is empty or over 255 characters.
        """
        return self._subject

    @subject.setter
    def subject(self, subject: str | None) -> None:
        changed = subject is not None and checked_subject(subject) != self._subject
        self._subject = subject
        if changed:
            self.regenerate()

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

    def set_lifetime(self, seconds: int) -> None:
        """End the session so many seconds after it was created at the latest, however much it is used.

        It can only shorten: a longer lifetime than the absolute timeout, or than one set before, changes nothing.

        :raises TypeError: unless it is an int; ValueError, unless it is 1 to 2^32 - 1.
        """
        if type(seconds) is not int:
            raise TypeError(f"a lifetime is a whole number of seconds{given(seconds)}")
        if not 0 < seconds < 2**32:
            raise ValueError(f"a lifetime is 1 to 2**32 - 1 seconds, and {seconds} was given")
        self._lifetime = seconds if self._lifetime is None else min(seconds, self._lifetime)

    def invalidate(self) -> None:
        """Empty the session and give it a new identity: id, created, subject. Without new data the cookie is deleted.

        A copy of the old cookie stays valid until its timeouts: `logout` is what ends that.
        """
        self.clear()
        self._sid = self._root = self._lifetime = self._subject = None
        self._created = self._keeper.now()
        self._invalidated = True

    def regenerate(self) -> None:
        """Keep the data under a new identity: id and created. Call it when a user signs in or gains rights
        (OWASP ASVS 5.0, 7.2.4). Revoking the session reaches its older cookies too."""
        self._created = self._keeper.now() if self._opened_at is None else int(self._opened_at)
        self._change_id()

    def revoke(self) -> None:
        """Have this session refused from now on, wherever its cookie is, and copies of its older cookies.

        What is in it stays readable for this request. Needs the option ``revocation``.

        :raises ConfigError: without it.
        """
        roots = dict.fromkeys((self._came_under, self._root or self._sid))  # two, if it was invalidated and begun again
        self._keeper.revoke(self, [root for root in roots if root is not None])

    def logout(self) -> None:
        """`revoke` and `invalidate`: the user is signed out here, and copies of the cookie are worthless.

        :raises ConfigError: without the option ``revocation``.
        """
        self.revoke()
        self.invalidate()

    def revoke_subject(self, subject: str) -> None:
        """Have all sessions of a subject refused that began until now: "sign me out everywhere".

        This one stays, with a new id, if it is the subject's own; `logout` ends it too.

        :raises ConfigError: without the option ``revocation``.
        :raises TypeError: when the subject is no str; ValueError, when it is empty or over 255 characters.
        """
        checked_subject(subject)
        self._keeper.revoke(self, ())  # the error, if there is no store
        self._revoked_subjects = (*self._revoked_subjects, subject)
        if self._subject == subject:
            self._change_id()
        else:
            self._keeper.revoke_subject(self, subject, None)

    def mark_accessed(self) -> None:
        """Open the session. Starlette calls this when ``request.session`` is used."""

    def _change_id(self) -> None:
        """Take a new id, under the root of the one that came in. What this request revokes does not concern it."""
        if self._origin is not None and self._keeper.revokes and not self._invalidated:
            self._root = self._came_under
        self._sid = self._keeper.new_sid()
        if self._subject is not None and self._subject in self._revoked_subjects:
            self._keeper.revoke_subject(self, self._subject, self._sid)

    fromkeys: Any = dict.fromkeys  # what is made of other keys is a plain dict, as copies are

    def __reduce__(self) -> Any:
        """Copies, deep copies and pickles of a session are plain dicts."""
        return (dict, (dict(self),))
