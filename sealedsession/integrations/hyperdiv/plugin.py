"""The plugin `sealed_session`. It keeps a Hyperdiv application's session in a sealed token in the browser.

1. The browser can write any value into any prop. The plugin uses only a token that it can unseal. It derives all
   properties of the session from this token: once in a run, and at every access in a task.
2. Browser and server exchange messages. The browser numbers its offers, and the server's answer has the number of the
   offer. Both sides ignore an answer to an older offer, so they agree on the token in the end.
3. `data` is a dict for one run of the application function. After the run, the plugin compares it with the sealed
   data. If it has changed, the function runs again, and the plugin first seals the change.
4. Every change of the token holds the lock of the connection's state, because tasks are other threads. The lock is
   reentrant.
"""

import logging
from pathlib import Path
from typing import Any, Unpack

import hyperdiv as hd
from hyperdiv.frame import AppRunnerFrame, StateAccessFrame

from sealedsession.errors import ConfigError, SealError, SessionClosedError, got, without_own_frames
from sealedsession.integrations.hyperdiv.props import DirtyFlagType, Message, MessageType, WorkingCopy, set_data
from sealedsession.integrations.hyperdiv.tokens import TokenOptions, get_manager
from sealedsession.revocation.store import check_subject
from sealedsession.session import Session

logger: logging.Logger = logging.getLogger("sealedsession")


class sealed_session(hd.Plugin):  # type: ignore[misc]  # noqa: N801  # named as Hyperdiv names its components
    """A session in a sealed token. The browser keeps the token in the page's memory; with the user's consent, in all
    windows.

    Create the component at the start of the application function, once in every run.

    :param key: see Hyperdiv's components.
    :param collect: see Hyperdiv's components.
    :param options: the options of `SessionConfig` that do not concern a cookie, and `max_size`.
    :raises ConfigError: if an option is unknown or invalid.
    """

    _name = "sealed_session"  # the script in assets/ registers under this name, also for subclasses
    _assets_root = str(Path(__file__).parent / "assets")
    _assets = (hd.Plugin.js_link("sealed_session.js"),)

    _offered: Any = hd.Prop(MessageType(), Message(0, "", False))  # written by the browser
    _answer: Any = hd.Prop(MessageType(), Message(0, "", False))  # written by the server
    _changed: Any = hd.Prop(hd.Event(DirtyFlagType()), False)
    _storage_key: Any = hd.Prop(hd.Any, "")  # the browser's key in localStorage

    @without_own_frames
    def __init__(self, *, key: str | None = None, collect: bool = True, **options: Unpack[TokenOptions]) -> None:
        self._manager = get_manager(options)
        super().__init__(key=key, collect=collect, _storage_key=f"sealedsession:{self._manager.config.name}")
        self._run = AppRunnerFrame.current()
        self._storage = self._run.get_storage(f"sealed_session:{self._key}")  # on the server, for this connection
        self._opened: tuple[str, Session] | None = None  # the token, and its session
        self._working_copy: WorkingCopy | None = None
        self._changed  # noqa: B018  # reading the prop makes the application function run again after the event
        previous: WorkingCopy | None = self._storage.pop("working copy", None)
        if previous is not None:
            self._save_changes(previous)

    @property
    def loaded(self) -> bool:
        """Whether the browser has sent its first message. Before that, the session is always empty."""
        return bool(self._offered.offer > 0)

    @property
    def session_id(self) -> str:
        """The session's id, 128 random bits in hexadecimal, or an empty str without a session. It is not a secret."""
        session = self._session()
        return "" if session.new else session.id

    @property
    def subject(self) -> str | None:
        """The session's subject, which `login` sets, or None."""
        return self._session().subject

    def is_authenticated(self) -> bool:
        """Return whether there is a session: a valid token that has not expired and was not revoked.

        `subject` shows whether a user has signed in.
        """
        return not self._session().new

    @property
    def data(self) -> dict[Any, Any]:
        """The session's data, which the application can change during this run. Changes, also of nested values, are
        sealed after the run.

        :raises SealError: if there is no session.
        :raises SessionClosedError: in a task or a later run, where changes would be lost.
        """
        if StateAccessFrame.current() is not self._run:
            raise SessionClosedError(
                "session.data: it was read in a task or after its run, where changes would be lost. Pass the data to "
                "the task as arguments, and put the task's result into session.data in the application function"
            )
        session = self._session()
        if session.new:
            raise SealError("session.data: there is no session. Call create_new() or login() first")
        working_copy = self._find_working_copy(session)
        if working_copy is None:
            if self._working_copy is not None:  # of another session: a task has signed in or out
                self._save_changes(self._working_copy)
            working_copy = self._working_copy = self._storage["working copy"] = WorkingCopy(self._manager, session)
            self.trigger_event("_changed", working_copy)
        return working_copy.data

    @data.setter
    def data(self, data: dict[Any, Any]) -> None:
        content = dict(data)  # a copy, because `data` may be the dict that is cleared
        current = self.data
        current.clear()
        current.update(content)

    @property
    def gdpr_flag(self) -> bool:
        """Whether the user has consented that the browser stores the token. All windows then share the session, and it
        outlives them. Setting the flag to False deletes the stored token."""
        return self._message().consent

    @gdpr_flag.setter
    def gdpr_flag(self, consent: bool) -> None:
        if type(consent) is not bool:
            raise TypeError(f"gdpr_flag: it must be True or False{got(consent)}")
        with _lock():
            self._answer_with(self._message().token, consent)

    def is_gdpr_allowed(self) -> bool:
        """Return `gdpr_flag`."""
        return self.gdpr_flag

    def create_new(self) -> None:
        """Begin a session with a new id, without data and without a subject."""
        with _lock():
            self._replace_session(self._manager.open(""))

    def login(self, subject: str) -> None:
        """Begin the session of a user who has just signed in, with a new id.

        It keeps the data of the current session, unless that session belongs to another subject.

        :param subject: the user's name on the server, such as ``user:42``, 1 to 255 characters.
        :raises TypeError: if the subject is not a str.
        :raises ValueError: if the subject is empty or too long.
        """
        check_subject(subject)
        with _lock():
            session = self._open_copy()
            if session.subject not in (None, subject):
                session.invalidate()
            session.subject = subject
            session.regenerate(begin_anew=True)
            self._replace_session(session)

    def clear(self) -> None:
        """End the session in all windows of this browser that share it, and withdraw the consent.

        Copies of the token stay valid until their timeouts. Use `logout` to revoke them.
        """
        with _lock():
            if (working_copy := self._find_working_copy(self._session())) is not None:
                working_copy.session = self._working_copy = None
            self._answer_with("", False)

    def logout(self) -> None:
        """Call `clear`, and revoke the session, so that all copies of its token are refused.

        :raises ConfigError: without the option ``revocation``.
        """
        if not self._manager.revokes:
            raise ConfigError("logout(): it requires the option revocation. Set the option, or call clear() instead")
        with _lock():
            session = self._session()
            if not session.new:
                session.revoke()
            self.clear()

    def revoke_subject(self, subject: str) -> None:
        """Revoke all current sessions of a subject: "sign me out everywhere".

        If this session belongs to the subject, it stays valid and receives a new id.

        :raises ConfigError: without the option ``revocation``.
        :raises TypeError: if the subject is not a str.
        :raises ValueError: if the subject is empty or too long.
        """
        with _lock():
            session = self._open_copy()
            session.revoke_subject(subject)
            if session.subject == subject and session.rejected != "revoked":
                self._replace_session(session)

    # ---------------------------------------------------------------------------------------------------- private parts

    def _message(self) -> Message:
        """Return the latest message of browser and server."""
        with _lock():
            offered: Message = self._offered
            answer: Message = self._answer
        return answer if answer.offer == offered.offer else offered

    def _answer_with(self, token: str, consent: bool) -> None:
        self._answer = Message(self._offered.offer, token, consent)

    def _session(self) -> Session:
        """Return the session of the current token.

        A run opens it once, so that all parts of the run see the same session. A task opens it at every call.
        """
        in_run = StateAccessFrame.current() is self._run
        with _lock():
            token, consent = self._message()[1:]
            if in_run and self._opened is not None and self._opened[0] == token:
                return self._opened[1]
            session = self._manager.open(token)
            if self._manager.is_refused_for_good(session):
                self._answer_with("", False)
            elif (refreshed := self._manager.refresh(session)) is not None:
                self._answer_with(refreshed, consent)
            if in_run:
                self._opened = token, session
            return session

    def _open_copy(self) -> Session:
        """Return a copy of the current session, with the changed data of this run. The caller may change the copy."""
        session = self._manager.open(self._message().token)
        if (working_copy := self._find_working_copy(session)) is not None:
            set_data(session, working_copy.data)
        return session

    def _replace_session(self, session: Session) -> None:
        """Seal a session and make it the current one. The working copy of this run then belongs to it."""
        working_copy = self._find_working_copy(self._session())
        self._answer_with(self._manager.seal(session), self._message().consent)
        if working_copy is not None:
            working_copy.move_to(self._session())

    def _find_working_copy(self, session: Session) -> WorkingCopy | None:
        """Return this run's working copy of a session's data, or None if there is none."""
        working_copy = self._working_copy
        if working_copy is None or working_copy.session is None or StateAccessFrame.current() is not self._run:
            return None
        return working_copy if working_copy.session.id == session.id else None

    def _save_changes(self, working_copy: WorkingCopy) -> None:
        """Seal the data of an earlier working copy, if it has changed."""
        changed, origin, working_copy.session = working_copy.is_changed(), working_copy.session, None
        if origin is None or not changed:
            return
        with _lock():
            session = self._session()
            if session.id != origin.id:
                logger.warning(
                    "a change of a session's data was dropped, because the session was signed out or replaced in the "
                    "meantime"
                )
                return
            set_data(session, working_copy.data)
            self._replace_session(session)


def _lock() -> Any:
    """Return the lock of the connection's props."""
    return StateAccessFrame.current().state_lock
