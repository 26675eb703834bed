"""A session's payload: what is serialized, and by which serializer.

It is the session's dict; or, if there is a subject or a lineage, a list of three::

    [subject or None, lineage id or None, dict]

With flash messages, CSRF tokens or ends of values it is a list of four, whose last member is the library's own data
(see own.py)::

    [subject or None, lineage id or None, dict, own]

The lineage id is the first session id of the lineage, if `regenerate` has changed the id since: all ids of a lineage
are revoked together. Any other payload is refused as ``forbidden_value``.
"""

import re
from collections.abc import Callable
from typing import Any, NoReturn

from sealedsession.config import SessionConfig
from sealedsession.errors import NotSerializableError, UnsealError
from sealedsession.own import Own, OwnPart, parse_own, without_ends
from sealedsession.revocation.store import SUBJECT_LENGTH
from sealedsession.sealing.sealer import JSON, PICKLE, SESSION_ID_BYTES, Unsealed
from sealedsession.serialization.limits import PayloadTooLargeError, TooManyValuesError
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer
from sealedsession.session import Session

Content = tuple[dict[Any, Any], str | None, bytes | None, Own | None]  # data, subject, lineage id, own data

_OWN_PATH = re.compile(r"session\[3\]\['flash'\]\[(\d+)\]")


class SessionPayload:
    """Encodes sessions as payloads, and decodes them, by one configuration.

    :ivar serializer: the number, in a token, of the serializer that writes.
    :ivar decoders: maps the number of a serializer to the function that reads its payloads. The function of a
        serializer that is not accepted refuses them.
    """

    __slots__ = ("_clock", "_dumps", "_leeway", "_max_size", "_too_many", "_write", "decoders", "serializer")

    def __init__(self, config: SessionConfig) -> None:
        limits = config.limits
        self._max_size = limits.size
        self._clock = config.clock
        self._leeway = config.leeway
        self._too_many = (
            f"it has more than the {limits.nodes} values, the {limits.typed} of types besides the plain ones, or the "
            f"weight {limits.hashed} of keys and elements, other than str and bytes, that the option limits allows. "
            "Store fewer values, or str as keys"
        )
        accepted = config.accept_serializers or (config.serializer,)
        serializers: dict[int, PickleSerializer | JsonSerializer] = {}
        if "pickle" in accepted:
            serializers[PICKLE] = PickleSerializer(config.registry, limits)
        if "json" in accepted:
            serializers[JSON] = JsonSerializer(config.registry, limits)
        self.decoders: dict[int, Callable[[bytes], object]] = {PICKLE: _refuse_pickle, JSON: _refuse_json}
        self.decoders |= {number: serializer.loads for number, serializer in serializers.items()}
        self._dumps = {number: serializer.dumps for number, serializer in serializers.items()}
        self.serializer = PICKLE if config.serializer == "pickle" else JSON
        self._write = self._dumps[self.serializer]

    def decode(self, unsealed: Unsealed) -> Content:
        """Decode a token's payload.

        :raises UnsealError: ``forbidden_value``.
        """
        value = self.decoders[unsealed.serializer](unsealed.payload)
        return (value, None, None, None) if type(value) is dict else parse_list(value)

    def drop_ended(
        self,
        data: dict[Any, Any],
        subject: str | None,
        lineage_id: bytes | None,
        own: Own,
        unsealed: Unsealed,
    ) -> tuple[Own | None, Unsealed]:
        """Remove the values that have ended from the content of a token.

        :returns: the remaining own data; and the token, with the payload that remains. The session is compared with
            this payload, because the end of a value is no change. The token is the same if no value has ended.
        """
        earliest = self._clock() - self._leeway
        ended = [key for key, end in own.ends.items() if end < earliest]
        if not ended:
            return own, unsealed
        for key in ended:
            del data[key]
        remaining = without_ends(own, ended)
        dumps = self._dumps[unsealed.serializer]
        try:
            payload = dumps(_combine(data, subject, lineage_id, remaining), None)
        except (
            NotSerializableError,
            PayloadTooLargeError,
        ):  # it cannot be written again: `is_same_value` compares the values
            return remaining, unsealed
        return remaining, unsealed._replace(payload=payload)

    def is_same_value(self, session: Session, token: Unsealed) -> bool:
        """Return whether the values of a session, except for its identity, are those of the token that it came in."""
        data, _, _, own = self.decode(token)
        loaded = session._loaded.identity.own
        if own is not None and own.ends:  # without the values that had ended when the session was loaded
            ended = [key for key in own.ends if loaded is None or key not in loaded.ends]
            own = without_ends(own, ended)
            for key in ended:
                del data[key]
        return data == session and own == session._identity.own

    def encode(self, session: Session) -> bytes:
        """Encode a session by the configured serializer.

        :raises NotSerializableError: naming the path of the value.
        :raises PayloadTooLargeError: when the payload would be larger than any that fits.
        """
        return self._encode(session, self._write, None)

    def encode_if_changed(self, session: Session, token: Unsealed) -> bytes | None:
        """Encode a session by the serializer of its token.

        :param token: the token that came in with the request.
        :returns: the payload, or None if it equals the token's payload.
        :raises NotSerializableError: naming the path of the value.
        :raises PayloadTooLargeError: when the payload would be larger than any that fits.
        """
        payload = self._encode(session, self._dumps[token.serializer], token.payload)
        return None if payload == token.payload else payload

    def sizes(self, session: Session) -> dict[object, int]:
        """Return the bytes that each key takes with its value in a cookie, without compression, largest first.

        The parts of the library's own data are among them, as members of `OwnPart`.
        """
        empty = len(self._write({}))
        items = [(key, key, value) for key, value in session.items()]
        if session._identity.own is not None:
            items += [(OwnPart[key.upper()], key, value) for key, value in session._identity.own.pack(session).items()]
        sizes = {part: (self._length({key: value}) - empty) * 4 // 3 for part, key, value in items}  # base64
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))

    def _encode(self, session: Session, dumps: Callable[[object, bytes | None], bytes], known: bytes | None) -> bytes:
        data = session.copy()
        value: object = data
        identity = session._identity
        if identity.own is not None:
            value = _combine(data, identity.subject, identity.lineage_id, identity.own)
        elif identity.subject is not None or identity.lineage_id is not None:
            value = [identity.subject, identity.lineage_id, data]
        try:
            return dumps(value, known)
        except TooManyValuesError:
            raise NotSerializableError("session", None, self._too_many) from None
        except NotSerializableError as error:
            if type(value) is dict:
                raise
            path = error.path.replace("session[2]", "session", 1)  # of the list, the application knows this one
            path = _OWN_PATH.sub(lambda at: f"session.peek_flash()[{int(at[1]) // 2}].message", path, count=1)
            raise NotSerializableError(path, error.type, error.args[2]) from error.__cause__

    def _length(self, value: object) -> int:
        try:
            return len(self._write(value))
        except PayloadTooLargeError:
            return self._max_size


def _refuse_pickle(_: bytes) -> NoReturn:
    raise UnsealError("other_serializer", "a payload in pickle: the option accept_serializers does not list 'pickle'")


def _refuse_json(_: bytes) -> NoReturn:
    raise UnsealError("other_serializer", "a payload in JSON: the option accept_serializers does not list 'json'")


def parse_list(value: object) -> Content:
    """Return the data, subject, lineage id and own data of a payload that is not a dict.

    :raises UnsealError: ``forbidden_value``.
    """
    packed: object = None
    has_own = False
    if type(value) is list and len(value) == 3:
        subject, lineage_id, data = value
    elif type(value) is list and len(value) == 4:
        subject, lineage_id, data, packed = value
        has_own = True
    else:
        raise UnsealError("forbidden_value", f"a {type(value).__name__} for a session")
    if (
        type(data) is not dict
        or (subject is lineage_id is None and not has_own)
        or not (subject is None or (type(subject) is str and 0 < len(subject) <= SUBJECT_LENGTH))
        or not (lineage_id is None or (type(lineage_id) is bytes and len(lineage_id) == SESSION_ID_BYTES))
    ):
        raise UnsealError("forbidden_value", "invalid subject or lineage id in the payload of a session")
    return data, subject, lineage_id, parse_own(packed, data) if has_own else None


def _combine(data: dict[Any, Any], subject: str | None, lineage_id: bytes | None, own: Own | None) -> object:
    """Return the value to serialize."""
    packed = {} if own is None else own.pack(data)
    if packed:
        return [subject, lineage_id, data, packed]
    return [subject, lineage_id, data] if subject is not None or lineage_id is not None else data
