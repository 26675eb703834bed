"""Payload format of sealed state: a list in one of three forms.

    [None, value]               a plain value without a purpose
    [None, value, purpose]      a plain value with a purpose
    [code, args, kwargs, state] an object: the code of its class, the arguments of `load`, its public attributes

Any other payload is refused with the reason ``forbidden_value``, for example one with a private attribute name. The
caller looks up the class and compares the purpose.
"""

import re
from typing import Any, cast

from sealedsession.errors import NotSerializableError, StateTooLargeError, UnsealError
from sealedsession.serialization.limits import PayloadTooLargeError, StateLimits, TooManyValuesError
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.state.resumable import Resumable, get_load_record

_OBJECT_TYPES = [str, tuple, dict, dict]  # of code, args, kwargs and state
_LIMITS = StateLimits()
_TOO_MANY = (
    f"a state has at most {_LIMITS.nodes} values, {_LIMITS.typed} values of types other than the plain ones, and a "
    f"weight of {_LIMITS.hashed} for keys and elements other than str and bytes. Store fewer values, or use str as keys"
)


class StatePayload:
    """Converts plain values and objects into payloads, and payloads into lists.

    :param registry: the supported types besides the plain ones.
    """

    __slots__ = ("_serializer",)

    def __init__(self, registry: Registry) -> None:
        self._serializer = PickleSerializer(registry, _LIMITS)

    def dumps(self, value: object, code: str | None, purpose: str = "") -> bytes:
        """Serialize a plain value or an object.

        :param code: of the object's class, or None for a plain value.
        :param purpose: of a plain value.
        :raises NotSerializableError: if a value is not supported. The message names its path.
        :raises StateTooLargeError: if the payload is larger than `loads` accepts.
        """
        content: list[object] = [None, value, purpose] if purpose else [None, value]
        if code is not None:
            target = cast(Resumable, value)
            record = get_load_record(target)
            content = [code, record.args, record.kwargs, target.state]
        try:
            return self._serializer.dumps(content)
        except TooManyValuesError:
            raise NotSerializableError(_translate_path("state", value), None, _TOO_MANY) from None
        except PayloadTooLargeError:
            sizes = self.measure(value)
            raise StateTooLargeError(max(_LIMITS.size + 1, sum(sizes.values())), _LIMITS.size, sizes) from None
        except NotSerializableError as error:
            raise NotSerializableError(
                _translate_path(error.path, value), error.type, error.args[2]
            ) from error.__cause__

    def loads(self, payload: bytes) -> list[Any]:
        """Return the list of a payload.

        :raises UnsealError: if it is not a payload of sealed state, with the reason ``forbidden_value``.
        """
        content = self._serializer.loads(payload)
        if not _is_content(content):
            raise UnsealError("forbidden_value", "not a payload of sealed state")
        return cast(list[Any], content)

    def measure(self, value: object) -> dict[object, int]:
        """Return the serialized size of each key or attribute in bytes before compression, largest first."""
        parts: dict[Any, Any] = value if type(value) is dict else {"state": value}
        if isinstance(value, Resumable):
            record = get_load_record(value)
            parts = {**value.state, "load()": [record.args, record.kwargs]}
        sizes = {key: self._measure_part(part) for key, part in parts.items()}
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))

    def _measure_part(self, value: object) -> int:
        try:
            return len(self._serializer.dumps(value))
        # The serializer stopped at the limit, so a later value can be unsupported, too.
        except (PayloadTooLargeError, NotSerializableError):
            return _LIMITS.size


def _is_content(content: Any) -> bool:
    if type(content) is not list:
        return False
    if [*map(type, content)] != _OBJECT_TYPES:
        return _is_value(content)
    name_types = {*map(type, content[2]), *map(type, content[3])}
    return name_types <= {str} and not any(name[:1] == "_" for name in content[3])


def _is_value(content: list[Any]) -> bool:
    if not content or content[0] is not None:
        return False
    return len(content) == 2 or (len(content) == 3 and type(content[2]) is str and content[2] != "")


def _translate_path(path: str, value: object) -> str:
    """Return a path as the application would write it. The serializer's path begins with the serialized list."""
    if not isinstance(value, Resumable):
        return re.sub(r"^state\[1\]", "state", path)
    name = type(value).__qualname__
    path = re.sub(r"^state\[3\]\['([^\W\d]\w*)'\]", rf"{name}.\1", path)
    path = re.sub(r"^state\[[12]\]", f"{name}.load()", path)
    return re.sub(r"^state(\[3\])?", name, path)
