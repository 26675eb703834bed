"""A session's payload: what of a session is serialized, by which serializer.

It is the session's dict; or, where the session has more than a dict, a list of three::

    [subject or None, root or None, dict]

The root is the id that the session began with, where `regenerate` has given it another one: all ids under one root are
revoked together. Whatever else a payload holds is refused as ``forbidden_value``.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from sealedsession.config import SessionConfig
from sealedsession.errors import NotSerializableError, UnsealError
from sealedsession.revocation.store import SUBJECT_LENGTH
from sealedsession.sealing.sealer import JSON, PICKLE, SID_BYTES, Unsealed
from sealedsession.serialization.limits import TooLarge, TooManyValues
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer
from sealedsession.session import Session

Content = tuple[dict[Any, Any], str | None, bytes | None]  # data, subject, root


class SessionPayload:
    """Sessions to payloads and back, by one configuration.

    :ivar number: the number, in a token, of the serializer that writes.
    :ivar loads_payload: by the number of a serializer, what reads its payloads: that of one not accepted refuses them.
    """

    __slots__ = ("_dumps", "_size", "_too_many", "_write", "loads_payload", "number")

    def __init__(self, config: SessionConfig) -> None:
        limits = config.limits
        self._size = limits.size
        self._too_many = (
            f"it has more than the {limits.nodes} values, the {limits.typed} of types besides the plain ones, or the "
            f"weight {limits.hashed} of keys and elements, other than str and bytes, that the option limits allows. "
            "Store fewer values, or str as keys"
        )
        serializers: dict[int, PickleSerializer | JsonSerializer] = {}  # by the number that a token has for them
        if "pickle" in config.accept_serializers:
            serializers[PICKLE] = PickleSerializer(config.registry, limits)
        if "json" in config.accept_serializers:
            serializers[JSON] = JsonSerializer(config.registry, limits)
        self.loads_payload: dict[int, Callable[[bytes], object]] = {PICKLE: _refuse_pickle, JSON: _refuse_json}
        self.loads_payload |= {number: serializer.loads for number, serializer in serializers.items()}
        self._dumps = {number: serializer.dumps for number, serializer in serializers.items()}
        self.number = PICKLE if config.serializer == "pickle" else JSON
        self._write = self._dumps[self.number]

    def loads(self, unsealed: Unsealed) -> Content:
        """Read what a token held.

        :raises UnsealError: ``forbidden_value``
        """
        value = self.loads_payload[unsealed.serializer](unsealed.payload)
        return (value, None, None) if type(value) is dict else parse_list(value)

    def dumps(self, session: Session, origin: Unsealed | None = None) -> bytes:
        """Write a session.

        :param origin: what it came in, whose serializer writes then; None means the configuration's.
        :returns: the very payload that came in where nothing has changed.
        :raises NotSerializableError: naming the path of the value.
        :raises TooLarge: when the payload would be larger than any that fits.
        """
        value: object = session.copy()
        if session._subject is not None or session._root is not None:
            value = [session._subject, session._root, value]
        try:
            if origin is None:
                return self._write(value)
            return self._dumps[origin.serializer](value, origin.payload)
        except TooManyValues:
            raise NotSerializableError("session", None, self._too_many) from None
        except NotSerializableError as error:
            if type(value) is dict:
                raise
            path = error.path.replace("session[2]", "session", 1)  # of the three, the application knows this one
            raise NotSerializableError(path, error.type, error.args[2]) from error.__cause__

    def sizes(self, session: Session) -> dict[object, int]:
        """For every key the bytes that it and its value take on the wire, largest first; without compression."""
        empty = len(self._write({}))
        sizes = {key: (self._length({key: value}) - empty) * 4 // 3 for key, value in session.items()}  # base64
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))

    def _length(self, value: object) -> int:
        try:
            return len(self._write(value))
        except TooLarge:
            return self._size


def _refuse_pickle(_: bytes) -> NoReturn:
    raise UnsealError("forbidden_value", "a payload in pickle, which is not accepted here")


def _refuse_json(_: bytes) -> NoReturn:
    raise UnsealError("forbidden_value", "a payload in JSON, which is not accepted here")


def parse_list(value: object) -> Content:
    """Data, subject and root of a payload that is no dict.

    :raises UnsealError: ``forbidden_value``
    """
    if type(value) is not list or len(value) != 3:
        raise UnsealError("forbidden_value", f"a {type(value).__name__} for a session")
    subject, root, data = value
    if (
        type(data) is not dict
        or subject is root is None
        or not (subject is None or (type(subject) is str and 0 < len(subject) <= SUBJECT_LENGTH))
        or not (root is None or (type(root) is bytes and len(root) == SID_BYTES))
    ):
        raise UnsealError("forbidden_value", "a session with a subject or a root that is none")
    return data, subject, root
