"""The payload of sealed state: a list.

    [None, value]               a value without a purpose
    [None, value, purpose]      a value with a purpose
    [code, args, kwargs, state] an object: the code of its class, the arguments of `load`, its public attributes

Everything else is refused as ``forbidden_value``, a private name among the attributes for example. The caller looks up
the class and compares the purpose.
"""

import re
from typing import Any, cast

from sealedsession.errors import NotSerializableError, StateTooLargeError, UnsealError
from sealedsession.serialization.limits import StateLimits, TooLarge, TooManyValues
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.state.resumable import Resumable, loaded_with

_KINDS = [str, tuple, dict, dict]  # of the parts of an object
_NAMES = {str}  # of the arguments and attributes
_LIMITS = StateLimits()
_TOO_MANY = (
    f"it has more than the {_LIMITS.nodes} values, the {_LIMITS.typed} of types besides the plain ones, or the weight "
    f"{_LIMITS.hashed} of keys and elements, other than str and bytes, that a state can have. Store fewer values, or "
    "str as keys"
)


class StatePayload:
    """States to payloads and back.

    :param registry: the types, besides the plain ones, that they can hold.
    """

    __slots__ = ("_serializer",)

    def __init__(self, registry: Registry) -> None:
        self._serializer = PickleSerializer(registry, _LIMITS)

    def dumps(self, value: object, code: str | None, purpose: str = "") -> bytes:
        """Write a value; or, with a code, an object.

        :param purpose: of a value.
        :raises NotSerializableError: naming the path of the value that cannot be stored.
        :raises StateTooLargeError: when the payload would be larger than any that is read.
        """
        content: list[object] = [None, value, purpose] if purpose else [None, value]
        if code is not None:
            target = cast(Resumable, value)
            loading = loaded_with(target)
            content = [code, loading.args, loading.kwargs, target.state]
        try:
            return self._serializer.dumps(content)
        except TooManyValues:
            raise NotSerializableError(_path("state", value), None, _TOO_MANY) from None
        except TooLarge:
            sizes = self.sizes(value)
            raise StateTooLargeError(max(_LIMITS.size + 1, sum(sizes.values())), _LIMITS.size, sizes) from None
        except NotSerializableError as error:
            raise NotSerializableError(_path(error.path, value), error.type, error.args[2]) from error.__cause__

    def loads(self, payload: bytes) -> list[Any]:
        """Read a payload: the list that it is.

        :raises UnsealError: ``forbidden_value``
        """
        content = self._serializer.loads(payload)
        if not _is_content(content):
            raise UnsealError("forbidden_value", "a payload that is no state")
        return cast(list[Any], content)

    def sizes(self, value: object) -> dict[object, int]:
        """For every key or attribute the bytes that its value takes before it is compressed, largest first."""
        parts: dict[Any, Any] = value if type(value) is dict else {"state": value}
        if isinstance(value, Resumable):
            loading = loaded_with(value)
            parts = {**value.state, "load()": [loading.args, loading.kwargs]}
        sizes = {key: self._size(part) for key, part in parts.items()}
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))

    def _size(self, value: object) -> int:
        try:
            return len(self._serializer.dumps(value))
        except (
            TooLarge,
            NotSerializableError,
        ):  # what stands behind the place where the writer stopped may be of any kind
            return _LIMITS.size


def _is_content(content: Any) -> bool:
    if type(content) is not list:
        return False
    if [*map(type, content)] != _KINDS:
        return _is_value(content)
    names = {*map(type, content[2]), *map(type, content[3])}
    return names <= _NAMES and not any(name[:1] == "_" for name in content[3])


def _is_value(content: list[Any]) -> bool:
    if not content or content[0] is not None:
        return False
    return len(content) == 2 or (len(content) == 3 and type(content[2]) is str and content[2] != "")


def _path(path: str, value: object) -> str:
    """Where a fault is, as the application would write it: `path` begins with the list that is sealed."""
    if not isinstance(value, Resumable):
        return re.sub(r"^state\[1\]", "state", path)
    name = type(value).__qualname__
    path = re.sub(r"^state\[3\]\['([^\W\d]\w*)'\]", rf"{name}.\1", path)
    path = re.sub(r"^state\[[12]\]", f"{name}.load()", path)
    return re.sub(r"^state(\[3\])?", name, path)
