"""The plugin: a session that a Hyperdiv application finds in its browser's token, and nowhere else.

1. The browser may write any value into any prop. From the two that carry the token nothing is taken but what can be
   unsealed; everything an application is told is derived from that, in every run, and in a task at every question.
2. Browser and server answer each other in turn. The browser's offers are numbered, and an answer has the number of the
   offer that it answers: one that has crossed a newer offer is dropped by the browser, and is not the server's view
   either. So both always end up with the same token.
3. `data` is a dict for one run of the application function. When the run is over, it is compared with what was sealed;
   if it has changed, the function runs again, and the plugin seals the change before anything else happens.
4. Whatever changes the token holds the lock of the connection's state, which is reentrant: tasks are other threads.
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
    """A session, sealed in a token that the browser keeps: in memory, and with consent for all its windows.

    Make it once in the application function, first of all and on every run.

    :param key: and `collect`, as for every Hyperdiv component.
    :param options: those of `SessionConfig` that have a meaning without a cookie, and `max_size`.
    :raises ConfigError: for every mistake in them.
    """

    _name = "sealed_session"  # the browser's part registers under it, for subclasses too
    _assets_root = str(Path(__file__).parent / "assets")
    _assets = (hd.Plugin.js_link("sealed_session.js"),)

    _offered: Any = hd.Prop(MessageType(), Message(0, "", False))  # the browser's
    _answer: Any = hd.Prop(MessageType(), Message(0, "", False))  # the server's
    _changed = hd.Prop(hd.Event(DirtyFlagType()), False)
    _storage_key = hd.Prop(hd.Any, "")  # where the browser stores the token; nothing here reads it

    @without_own_frames
    def __init__(self, *, key: str | None = None, collect: bool = True, **options: Unpack[TokenOptions]) -> None:
        self._manager = get_manager(options)
        super().__init__(key=key, collect=collect, _storage_key=f"sealedsession:{self._manager.config.name}")
        self._run = AppRunnerFrame.current()
        self._memory = self._run.get_storage(f"sealed_session:{self._key}")  # the connection's, on the server
        self._opened: tuple[str, Session] | None = None  # the token, and its session
        self._lent: WorkingCopy | None = None
        self._changed  # noqa: B018  # who has read it depends on it: the event makes the application function run
        lent: WorkingCopy | None = self._memory.pop("lent", None)
        if lent is not None:
            self._take_back(lent)

    @property
    def loaded(self) -> bool:
        """Whether the browser has said what it has. Until then nobody is authenticated, which need not be so."""
        return bool(self._offered.offer > 0)

    @property
    def session_id(self) -> str:
        """128 random bits in hexadecimal that name the session, or nothing. No secret: it opens nothing."""
        session = self._session()
        return "" if session.new else session.id

    @property
    def subject(self) -> str | None:
        """Whose session it is, as `login` was told, or None."""
        return self._session().subject

    def is_authenticated(self) -> bool:
        """Whether there is a session: a token that was sealed here, has not expired and was not revoked. Whether
        somebody has signed in, and who, `subject` tells."""
        return not self._session().new

    @property
    def data(self) -> dict[Any, Any]:
        """What the session holds, to be read and changed in this run. It is sealed if it has changed when the run is
        over, nested values included.

        :raises SealError: without a session.
        :raises SessionClosedError: in a task or a later run, where no change would be noticed.
        """
        if StateAccessFrame.current() is not self._run:
            raise SessionClosedError(
                "session.data is asked for in a task or by the session of an earlier run, where no change of it would "
                "be noticed. Give a task what it needs as arguments, and put its result into session.data in the "
                "application function"
            )
        session = self._session()
        if session.new:
            raise SealError("there is no session to hold data: call create_new() or login() first")
        lent = self._working_copy(session)
        if lent is None:
            if self._lent is not None:  # of another session: a task has signed out or in
                self._take_back(self._lent)
            lent = self._lent = self._memory["lent"] = WorkingCopy(self._manager, session)
            self.trigger_event("_changed", lent)
        return lent.data

    @data.setter
    def data(self, data: dict[Any, Any]) -> None:
        content = dict(data)  # a copy: it may be the very dict that is emptied
        held = self.data
        held.clear()
        held.update(content)

    @property
    def gdpr_flag(self) -> bool:
        """Whether the browser may store the token: the user has consented. Then all windows share the session, and it
        outlives them. Setting it to False deletes what is stored."""
        return self._message().consent

    @gdpr_flag.setter
    def gdpr_flag(self, consent: bool) -> None:
        if type(consent) is not bool:
            raise TypeError(f"gdpr_flag is True or False{got(consent)}")
        with _lock():
            self._tell(self._message().token, consent)

    def is_gdpr_allowed(self) -> bool:
        """`gdpr_flag`."""
        return self.gdpr_flag

    def create_new(self) -> None:
        """Begin a session, with a new id, without data and of no subject."""
        with _lock():
            self._become(self._manager.opened(""))

    def login(self, subject: str) -> None:
        """Begin the session of somebody who has just proved who he is: with a new id, and with the data of the present
        session if that is nobody's or his own.

        :param subject: his name for the server, such as ``user:42``: 1 to 255 characters.
        :raises TypeError: when the subject is no str; ValueError, when it is empty or too long.
        """
        check_subject(subject)
        with _lock():
            session = self._copy()
            if session.subject not in (None, subject):
                session.invalidate()
            session.subject = subject
            session.regenerate(begin_anew=True)
            self._become(session)

    def clear(self) -> None:
        """End the session in this browser, in all windows that share it, and take back the consent. Copies of its token
        live on until their timeouts: `logout` is what ends those."""
        with _lock():
            if (lent := self._working_copy(self._session())) is not None:
                lent.session = self._lent = None
            self._tell("", False)

    def logout(self) -> None:
        """`clear`, and have the session's tokens refused from now on, wherever they are.

        :raises ConfigError: without the option ``revocation``.
        """
        if not self._manager.revokes:
            raise ConfigError("logout() revokes a session, and needs the option revocation; clear() needs none")
        with _lock():
            session = self._session()
            if not session.new:
                session.revoke()
            self.clear()

    def revoke_subject(self, subject: str) -> None:
        """Have all sessions of a subject refused that began until now: "sign me out everywhere". This one stays, with a
        new id, if it is the subject's own.

        :raises ConfigError: without the option ``revocation``.
        :raises TypeError: when the subject is no str; ValueError, when it is empty or too long.
        """
        with _lock():
            session = self._copy()
            session.revoke_subject(subject)
            if session.subject == subject and session.rejected != "revoked":
                self._become(session)

    # ---------------------------------------------------------------------------------------------------------- inside

    def _message(self) -> Message:
        """The latest of what browser and server have said."""
        with _lock():
            offered: Message = self._offered
            answer: Message = self._answer
        return answer if answer.offer == offered.offer else offered

    def _tell(self, token: str, consent: bool) -> None:
        self._answer = Message(self._offered.offer, token, consent)

    def _session(self) -> Session:
        """The session of the present token: opened once in a run, so that a run sees one answer, and otherwise anew."""
        in_run = StateAccessFrame.current() is self._run
        with _lock():
            token, consent = self._message()[1:]
            if in_run and self._opened is not None and self._opened[0] == token:
                return self._opened[1]
            session = self._manager.opened(token)
            if self._manager.is_final(session):
                self._tell("", False)
            elif (refreshed := self._manager.refresh(session)) is not None:
                self._tell(refreshed, consent)
            if in_run:
                self._opened = token, session
            return session

    def _copy(self) -> Session:
        """The present session, with what this run has changed of its data: to become another, or to fail at that."""
        session = self._manager.opened(self._message().token)
        if (lent := self._working_copy(session)) is not None:
            set_data(session, lent.data)
        return session

    def _become(self, session: Session) -> None:
        """Seal a session in place of the present one. What this run was lent is the data of that one from now on."""
        lent = self._working_copy(self._session())
        self._tell(self._manager.seal(session), self._message().consent)
        if lent is not None:
            lent.pass_to(self._session())

    def _working_copy(self, session: Session) -> WorkingCopy | None:
        """What this run was lent of a session's data."""
        lent = self._lent
        if lent is None or lent.session is None or StateAccessFrame.current() is not self._run:
            return None
        return lent if lent.session.id == session.id else None

    def _take_back(self, lent: WorkingCopy) -> None:
        """Seal the data that an earlier run was lent, if it has changed it."""
        changed, before, lent.session = lent.is_changed(), lent.session, None
        if before is None or not changed:
            return
        with _lock():
            session = self._session()
            if session.id != before.id:
                logger.warning(
                    "a change of a session's data was dropped: the session was signed out, or another one began, while "
                    "the change was made"
                )
                return
            set_data(session, lent.data)
            self._become(session)


def _lock() -> Any:
    """The lock of the connection's props."""
    return StateAccessFrame.current().state_lock
