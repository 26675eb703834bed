"""The types of the plugin's props: messages to and from the browser, and the event for changed data.

Hyperdiv calls `parse` for every value that is written into a prop. A browser can write any value, so `parse` never
raises an error.
"""

from typing import Any, NamedTuple

import hyperdiv as hd

from sealedsession.errors import SealError
from sealedsession.integrations.hyperdiv.tokens import TokenManager
from sealedsession.session import Session
from sealedsession.state.sealer import MAX_SIZE


class Message(NamedTuple):
    """A message between browser and server.

    :param offer: the number of the browser's offer, also in the server's answer to it.
    :param token: the token, or an empty str without a session.
    :param consent: whether the browser may store the token.
    """

    offer: int
    token: str
    consent: bool


class MessageType(hd.HyperdivType):  # type: ignore[misc]
    """The type of a prop that contains a message."""

    def parse(self, value: object) -> Message:
        """Return the message that was written into the prop, or an empty one if it is invalid."""
        if isinstance(value, tuple) and [*map(type, value)] == [int, str, bool]:
            offer, token, consent = value
            if offer >= 0:
                return Message(offer, token[: MAX_SIZE + 1], consent)  # a longer token is refused in any case
        return Message(0, "", False)


class WorkingCopy:
    """A copy of a session's data, which one run of the application function can change.

    :ivar data: the copy.
    :ivar session: the session to which the data belongs, or None after its changes were saved or discarded.
    """

    def __init__(self, manager: TokenManager, session: Session) -> None:
        self.data: dict[Any, Any] = dict(session)
        self.session: Session | None = session
        self._manager = manager

    def move_to(self, session: Session) -> None:
        """Make this the working copy of another session. `data` stays the same object."""
        self.session = session
        self.data.clear()
        self.data.update(session)

    def is_changed(self) -> bool:
        """Return whether the data differs from the sealed data of its session."""
        if self.session is None:
            return False
        set_data(self.session, self.data)
        try:
            return self._manager.is_modified(self.session)
        except SealError:
            return True  # sealing the session raises the error again, in the next run


def set_data(session: Session, data: dict[Any, Any]) -> None:
    """Replace a session's data, but keep its subject, which `session.clear` would remove."""
    dict.clear(session)
    session.update(data)


class DirtyFlagType(hd.HyperdivType):  # type: ignore[misc]
    """The type of an event prop that is true if a working copy has changed.

    Hyperdiv delivers the event after the run. A value from the browser is always false.
    """

    def parse(self, value: object) -> bool:
        """Return whether the value is a working copy that has changed."""
        return isinstance(value, WorkingCopy) and value.is_changed()
