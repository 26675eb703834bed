"""A session's payload: what of a session is serialized, by which serializer.

It is the session's dict; or, where the session has more than a dict, a list of three::

    [subject or None, former ids, dict]

The former ids are those that `regenerate` has replaced, so that revoking the session reaches copies of its older
cookies. Whatever else a payload holds is refused as ``forbidden_value``.
"""

from typing import Any, NamedTuple

from sealedsession.config import SessionConfig
from sealedsession.errors import NotSerializable, UnsealError
from sealedsession.limits import TooLarge, TooManyValues
from sealedsession.pickling import PickleSerializer
from sealedsession.plaintext import JSON, PICKLE, SID_BYTES
from sealedsession.seal import Unsealed
from sealedsession.session import FORMER_IDS, SUBJECT_LENGTH, Session
from sealedsession.tagged_json import JsonSerializer


class Content(NamedTuple):
    """What a payload held."""

    data: dict[Any, Any]
    subject: str | None = None
    former_ids: tuple[bytes, ...] = ()


class SessionForm:
    """Sessions to payloads and back, by one configuration.

    :ivar number: the number, in a token, of the serializer that writes.
    """

    __slots__ = ("_serializers", "_size", "_too_many", "_write", "number")

    def __init__(self, config: SessionConfig) -> None:
        limits = config.limits
        self._size = limits.size
        self._too_many = (
            f"it has more than the {limits.nodes} values, or the {limits.typed} of types besides the plain ones, "
            "that the option limits allows. Store less, or values that say the same with fewer parts"
        )
        # By the number that the token has for them.
        self._serializers: dict[int, PickleSerializer | JsonSerializer] = {}
        if "pickle" in config.accept_serializers:
            self._serializers[PICKLE] = PickleSerializer(config.registry, limits)
        if "json" in config.accept_serializers:
            self._serializers[JSON] = JsonSerializer(config.registry, limits)
        self.number = PICKLE if config.serializer == "pickle" else JSON
        self._write = self._serializers[self.number].dumps

    def loads(self, unsealed: Unsealed) -> Content:
        """Read what a token held.

        :raises UnsealError: ``forbidden_value``
        """
        serializer = self._serializers.get(unsealed.serializer)
        if serializer is None:
            raise UnsealError(
                "forbidden_value", f"a payload by serializer {unsealed.serializer}, which is not accepted here"
            )
        value = serializer.loads(unsealed.payload)
        return Content(value) if type(value) is dict else _content_of_list(value)

    def dumps(self, session: Session) -> bytes:
        """Write a session with the serializer of the configuration.

        :raises NotSerializable: naming the path of the value.
        :raises TooLarge: when the payload would be larger than any that fits.
        """
        return self._dumps(self.number, session, None)

    def dumps_like(self, session: Session, origin: Unsealed) -> bytes:
        """Write a session with the serializer of the token it came in.

        :returns: the very payload that came in where nothing has changed.
        """
        return self._dumps(origin.serializer, session, origin.payload)

    def sizes(self, session: Session) -> dict[object, int]:
        """For every key the bytes that it and its value take on the wire, largest first; without compression."""
        empty = len(self._write({}))
        sizes = {key: (self._length({key: value}) - empty) * 4 // 3 for key, value in session.items()}  # base64
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))

    def _dumps(self, number: int, session: Session, known: bytes | None) -> bytes:
        value: object = session.copy()
        if session._subject is not None or session._former_ids:
            value = [session._subject, list(session._former_ids), value]
        try:
            return self._serializers[number].dumps(value, known)
        except TooManyValues:
            raise NotSerializable("session", None, self._too_many) from None

    def _length(self, value: object) -> int:
        try:
            return len(self._write(value))
        except TooLarge:
            return self._size


def _content_of_list(value: object) -> Content:
    if type(value) is not list or len(value) != 3:
        raise UnsealError("forbidden_value", f"a {type(value).__name__} for a session")
    subject, former_ids, data = value
    if (
        type(data) is not dict
        or not (subject is None or (type(subject) is str and 0 < len(subject) <= SUBJECT_LENGTH))
        or type(former_ids) is not list
        or len(former_ids) > FORMER_IDS
        or any(type(sid) is not bytes or len(sid) != SID_BYTES for sid in former_ids)
    ):
        raise UnsealError("forbidden_value", "a session with a subject, or former ids, that are none")
    return Content(data, subject, tuple(former_ids))
