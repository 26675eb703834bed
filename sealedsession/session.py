"""The session as the application sees it: a dict. No keys and no cookies here.

It is a plain dict subclass with no override, so that C code (json, orjson) sees the truth at full speed. Before it is
opened and after the headers have gone it is of another class, see session_states.py. Changes are not tracked: the
keeper finds them by comparing, so that a change inside a nested value counts.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from sealedsession.errors import Reason
from sealedsession.seal import Unsealed

FORMER_IDS = 8  # ids before `regenerate` that a session carries along, 24 bytes of the cookie each
SUBJECT_LENGTH = 255  # characters


class Keeper(Protocol):
    """What a session asks of the manager that made it."""

    @property
    def revokes(self) -> bool:
        """Whether sessions can be revoked: there is a store."""
        ...

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

    def ends(self, session: "Session") -> int:
        """When the session ends if nobody uses it any more, in seconds since 1970."""
        ...

    def revoke(self, session: "Session", sids: Sequence[bytes]) -> None:
        """Revoke the sessions with these ids."""
        ...

    def revoke_subject(self, session: "Session", subject: str, spared: bytes | None) -> None:
        """Revoke the sessions of a subject that began until now, but for one."""
        ...


class Session(dict[Any, Any]):
    """A session: a dict that is sealed into a cookie when it has changed."""

    # _origin: what the cookie held, or None. What follows _invalidated belongs to the session that will be sealed.
    # _headers_gone: set on an unopened session only, whose opening then gives a closed one.
    # _fetched and _pending: where the store is awaited, what the cookie held, and what it will be told.
    __slots__ = (
        "_created", "_fetched", "_former_ids", "_headers_gone", "_invalidated", "_keeper", "_lifetime", "_origin",
        "_pending", "_rejected", "_request", "_revoked_subjects", "_save", "_sid", "_subject",
    )  # fmt: skip
    _keeper: Keeper
    _request: Any
    _headers_gone: bool
    _origin: Unsealed | None
    _rejected: Reason | None
    _save: bool
    _invalidated: bool
    _revoked_subjects: tuple[str, ...]
    _created: int
    _sid: bytes | None
    _lifetime: int | None
    _subject: str | None
    _former_ids: tuple[bytes, ...]
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
            raise TypeError(f"a lifetime is a whole number of seconds, and a {type(seconds).__name__} was given")
        if not 0 < seconds < 2**32:
            raise ValueError(f"a lifetime is 1 to 2**32 - 1 seconds, and {seconds} was given")
        self._lifetime = seconds if self._lifetime is None else min(seconds, self._lifetime)

    def invalidate(self) -> None:
        """Empty the session and give it a new identity: id, created, subject. Without new data the cookie is deleted.

        A copy of the old cookie stays valid until its timeouts: `logout` is what ends that.
        """
        self.clear()
        self._sid = self._lifetime = self._subject = None
        self._former_ids = ()
        self._created = self._keeper.now()
        self._invalidated = True

    def regenerate(self) -> None:
        """Keep the data under a new identity: id and created. Call it when a user signs in or gains rights
        (OWASP ASVS 5.0, 7.2.4). Revoking the session reaches its older cookies too."""
        self._created = self._keeper.now()
        self._change_id()

    def revoke(self) -> None:
        """Have this session refused from now on, wherever its cookie is, and copies of its older cookies.

        What is in it stays readable for this request. Needs the option ``revocation``.

        :raises ConfigError: without it.
        """
        sids = (None if self._origin is None else self._origin.sid, self._sid, *self._former_ids)
        self._keeper.revoke(self, [sid for sid in dict.fromkeys(sids) if sid is not None])

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
        :raises TypeError: when the subject is no str.
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
        """Take a new id, and carry the one that came in along. What this request revokes does not concern it."""
        came_with = None if self._origin is None else self._origin.sid
        if self._keeper.revokes and came_with is not None and came_with == self._sid:
            former_ids = (*self._former_ids, came_with)
            self._former_ids = former_ids[-FORMER_IDS:]
            self._keeper.revoke(self, former_ids[:-FORMER_IDS])
        self._sid = self._keeper.new_sid()
        if self._subject is not None and self._subject in self._revoked_subjects:
            self._keeper.revoke_subject(self, self._subject, self._sid)

    fromkeys: Any = dict.fromkeys  # what is made of other keys is a plain dict, as copies are

    def __reduce__(self) -> Any:
        """Copies, deep copies and pickles of a session are plain dicts."""
        return (dict, (dict(self),))


def checked_subject(subject: str) -> str:
    """Check what a session is to be the session of.

    :raises TypeError: when it is no str; `ValueError`, when it is empty or too long.
    """
    if type(subject) is not str:
        raise TypeError(f"a subject has to be a str, such as 'user:42', and a {type(subject).__name__} was given")
    if not 0 < len(subject) <= SUBJECT_LENGTH:
        raise ValueError(f"a subject has to be 1 to {SUBJECT_LENGTH} characters long, and this one has {len(subject)}")
    return subject
