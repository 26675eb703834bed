"""What the plugin's props hold: messages to and from the browser, and data that an application is changing.

Whatever is written into a prop goes through `parse`, and a browser may write anything: nothing of that raises.
"""

from typing import Any, NamedTuple

import hyperdiv as hd

from sealedsession.errors import SealError
from sealedsession.integrations.hyperdiv.tokens import TokenManager
from sealedsession.session import Session
from sealedsession.state.sealer import MAX_SIZE


class Message(NamedTuple):
    """What browser and server tell each other.

    :param offer: the number of the browser's offer, or of the one that the server answers.
    :param token: or nothing, where there is no session.
    :param consent: whether the browser may store the token.
    """

    offer: int
    token: str
    consent: bool


class MessageType(hd.HyperdivType):  # type: ignore[misc]
    """A prop that holds a message. What is none becomes an empty one: a browser may send anything."""

    def parse(self, value: object) -> Message:
        """Take what was written into the prop."""
        if isinstance(value, tuple) and [*map(type, value)] == [int, str, bool]:
            offer, token, consent = value
            if offer >= 0:
                return Message(offer, token[: MAX_SIZE + 1], consent)  # a longer one opens as little
        return Message(0, "", False)


class WorkingCopy:
    """A session's data, as one run of the application function has it.

    :ivar data: the application's to change.
    :ivar session: what it was lent from, or None when the data has been taken back.
    """

    def __init__(self, manager: TokenManager, session: Session) -> None:
        self.data: dict[Any, Any] = dict(session)
        self.session: Session | None = session
        self._manager = manager

    def pass_to(self, session: Session) -> None:
        """Make it the data of another session: the dict itself stays the same."""
        self.session = session
        self.data.clear()
        self.data.update(session)

    def is_changed(self) -> bool:
        """Whether it is to be sealed."""
        if self.session is None:
            return False
        set_data(self.session, self.data)
        try:
            return self._manager.is_modified(self.session)
        except SealError:
            return True  # sealing it tells why it cannot be


def set_data(session: Session, data: dict[Any, Any]) -> None:
    """Replace a session's data. Its subject stays, even without any data."""
    dict.clear(session)
    session.update(data)


class DirtyFlagType(hd.HyperdivType):  # type: ignore[misc]
    """An event that is one if data has changed when it arrives, which is after the run. The browser cannot send it."""

    def parse(self, value: object) -> bool:
        """Take what was written into the prop."""
        return isinstance(value, WorkingCopy) and value.is_changed()
