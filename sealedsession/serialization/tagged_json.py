"""The JSON serializer. It stores the same values as the allow-list pickle, by the same registry and limits.

JSON's own types are written as they are: None, bool, int, finite float, str, list, and a dict whose keys are str and do
not begin with "~". Every other value is an object with one key, a tag:

    {"~:CODE": data}      a value of a registered type
    {"~t": [...]}         a tuple
    {"~d": [k, v, ...]}   any other dict; a key that begins with "~" is not a tag here
    {"~b": "base64"}      bytes
    {"~f": "nan"}         a float that JSON lacks: nan, inf, -inf

A value has one payload: `loads` refuses every other spelling of it, unknown tags, and objects with a repeated key. It
does not check the order of a set that contains tuples or typed values; nor can it check the data of an application's
own types. Limits count the values, not the tags and their objects, except for those of registered types.
"""

import json
import math
import re
from base64 import b64decode, b64encode
from typing import Any, NoReturn

from sealedsession.errors import UnsealError
from sealedsession.serialization.diagnosis import FaultFinder
from sealedsession.serialization.limits import (
    DEFAULT_LIMITS,
    SET_CODES,
    LimitExceededError,
    Limits,
    PayloadTooLargeError,
    TooManyValuesError,
)
from sealedsession.serialization.registry import DECODE_ERRORS, Registry, default_registry

_TYPED = "~:"
_TUPLE, _DICT, _BYTES, _FLOAT = "~t", "~d", "~b", "~f"
_NOT_FINITE = ("nan", "inf", "-inf")
_PLAIN_ELEMENTS = {type(None), bool, int, float, str, bytes}
_HASHING_TAGS = (_DICT, *(_TYPED + code for code in SET_CODES))
_QUOTED_HASHING_TAGS = tuple(f'"{tag}"' for tag in _HASHING_TAGS)

# The tokens of a JSON text. A "{" includes the tag that follows, if it is the tag of a plain type.
_TOKENS = re.compile(r'\{(?:"(~[tdbf])":)?|[\[\]}]|"(?:[^"\\]|\\.)*+"(:)?|[^,:"\[\]{}]+')

# A text without white space outside of strings. Each string is complete and has only the escapes that JSON requires, in
# their shortest form.
_CANONICAL = re.compile(r'(?:[^"\s]++|"(?:[^"\\\x00-\x1f]++|\\["\\bfnrt]|\\u00(?:0[0-7bef]|1[0-9a-f]))*+")*+')


class JsonSerializer:
    """Serializes values as JSON.

    :param registry: the types that values can have, besides the plain ones.
    :param limits: the limits of a payload.
    """

    __slots__ = ("_decoder", "_limits", "_registry")

    def __init__(self, registry: Registry = default_registry, limits: Limits = DEFAULT_LIMITS) -> None:
        self._registry = registry
        self._limits = limits
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._decode_object,
            parse_int=self._parse_int,
            parse_float=_parse_float,
            parse_constant=_refuse,
        )

    def dumps(self, value: object, known: bytes | None = None) -> bytes:
        """Serialize a value.

        :param known: a payload that `loads` has accepted. An equal result is not parsed again.
        :returns: a payload that `loads` accepts.
        :raises NotSerializableError: if a value cannot be stored. The error has its path.
        :raises PayloadTooLargeError: if the payload would exceed the size limit.
        """
        try:
            self._registry.begin_payload()
            tagged = _Tagger(self._registry, self._limits).tag(value, 1)
            text = json.dumps(tagged, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            payload = text.encode("utf-8", "surrogatepass")
            if len(payload) > self._limits.size:
                raise PayloadTooLargeError
            if payload != known:
                self.loads(payload)  # never seal a payload that cannot be read
        except PayloadTooLargeError:
            raise
        except LimitExceededError:
            raise TooManyValuesError from None
        except Exception as error:  # an application's encoders may raise anything
            raise FaultFinder(self._registry, self._limits).find(value, error) from error
        return payload

    def loads(self, payload: bytes) -> object:
        """Parse a payload.

        :returns: the value.
        :raises UnsealError: ``forbidden_value``, for every payload that the format, the limits or a decoder refuses.
        """
        if len(payload) > self._limits.size:
            problem = f"a payload of {len(payload)} bytes; the limit is {self._limits.size}"
            raise UnsealError("forbidden_value", problem)
        try:
            text = payload.decode("utf-8", "surrogatepass")
            if _CANONICAL.fullmatch(text) is None:
                raise UnsealError("forbidden_value", "a payload with white space or an escape that is never written")
            self._check_limits(text)
        except (ValueError, RecursionError) as error:
            raise UnsealError("forbidden_value", f"a payload that cannot be read: {type(error).__name__}") from None
        try:
            value, end = self._decoder.raw_decode(text)
        except _RefusedError as error:
            raise UnsealError("forbidden_value", f"a payload with {error}") from None
        except DECODE_ERRORS as error:
            raise UnsealError("forbidden_value", f"a payload that cannot be read: {type(error).__name__}") from error
        if end != len(text):
            raise UnsealError("forbidden_value", "a payload with text after its end")
        return value

    def _check_limits(self, text: str) -> None:
        """Check the limits except for the size. Characters are quick to count and are upper bounds.

        Only if a bound exceeds its limit, `_measure` or `_measure_hashed` counts exactly.
        """
        limits = self._limits
        objects = text.count("{")
        if len(text) > limits.nodes or objects > limits.typed or objects + text.count("[") > limits.depth:
            limits.check(*_measure(text))
        if len(text) > limits.hashed and "~" in text:
            # One of these characters precedes each value.
            values = text.count(",") + text.count(":") + text.count("[") + objects
            if values > limits.hashed and any(tag in text for tag in _QUOTED_HASHING_TAGS):
                limits.check_hashed(_measure_hashed(_PAIRS_DECODER.raw_decode(text)[0])[1])

    def _decode_object(self, pairs: list[tuple[str, Any]]) -> Any:
        if len(pairs) == 1 and pairs[0][0].startswith("~"):
            return self._decode_tagged(*pairs[0])
        value = dict(pairs)
        if len(value) != len(pairs):
            _refuse("a repeated key in an object")
        if any(key.startswith("~") for key in value):
            _refuse("an object with a tag and other keys")
        return value

    def _decode_tagged(self, tag: str, data: Any) -> Any:
        if tag.startswith(_TYPED):
            entry = self._registry.by_code.get(tag[len(_TYPED) :])
            if entry is None:
                _refuse(f"a value of type {ascii(tag[len(_TYPED) :])[:40]}, which is not registered")
            typed: Any = entry.decode(data)
            if entry.cls is set or entry.cls is frozenset:
                self._check_elements(data, len(typed))
            return typed
        if tag == _TUPLE and type(data) is list:
            return tuple(data)
        if tag == _DICT and type(data) is list and len(data) % 2 == 0:
            if any(map(self._registry.unhashable_during_load, data[::2])):
                _refuse("a dict key of a type that cannot be a key")
            items = dict(zip(data[::2], data[1::2], strict=True))
            if len(items) * 2 != len(data) or _is_plain_object(items):
                _refuse("a dict that is not canonical")
            return items
        if tag == _BYTES and type(data) is str:
            decoded = b64decode(data, validate=True)
            if b64encode(decoded).decode("ascii") != data:
                _refuse("base64 that is not canonical")
            return decoded
        if tag == _FLOAT and data in _NOT_FINITE:
            return float(data)  # a new object each time: containers treat one shared nan as equal to itself
        raise _RefusedError("an unknown tag, or data that does not fit its tag")

    def _check_elements(self, elements: list[Any], count: int) -> None:
        """Refuse a repeated element of a set, and plain elements that are not in the writer's order.

        The order of other elements is not checked. For sets in sets, that could take seconds.

        :param count: the number of elements in the set that was created from them.
        """
        is_plain = {*map(type, elements)} <= _PLAIN_ELEMENTS
        if len(elements) != count or (is_plain and self._registry.set_sorter()(elements) != elements):
            _refuse("a set that is not canonical")

    def _parse_int(self, digits: str) -> int:
        if digits == "-0":
            _refuse("an int that is not canonical")
        # A byte takes at most 2.41 digits. int() is slow for thousands of digits.
        if len(digits) > 3 * self._limits.int_bytes + 1:
            _refuse(f"an int of {len(digits)} digits")
        value = int(digits)
        if not self._limits.allows_int(value):
            _refuse(f"an int of more than {self._limits.int_bytes} bytes")
        return value


class _RefusedError(Exception):
    """Stops the parser at a value that a payload must not contain."""


class _Tagger:
    """Converts one value to types that JSON has."""

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._sort_set = registry.set_sorter()
        self._limits = limits
        self._nodes = 0

    def tag(self, value: Any, depth: int) -> Any:
        """Return a value with tags for everything that JSON lacks.

        :param depth: the level of nesting of this value, if it is a container.
        :raises TooManyValuesError: if there are more values than the limit.
        :raises ValueError: if the value is nested too deeply.
        """
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise TooManyValuesError  # a shared value is written wherever it occurs
        kind = type(value)
        if kind is str or kind is int or kind is bool or value is None:
            return value
        if kind is float:
            return value if math.isfinite(value) else {_FLOAT: repr(value)}
        if kind is bytes:
            return {_BYTES: b64encode(value).decode("ascii")}
        if depth > self._limits.depth:
            raise ValueError(f"nested more than {self._limits.depth} levels deep")
        if kind is list:
            return [self.tag(member, depth + 1) for member in value]
        if kind is tuple:
            return {_TUPLE: [self.tag(member, depth + 1) for member in value]}
        if kind is dict:
            return self._tag_dict(value, depth + 1)
        entry = self._registry.by_type[kind]
        data = self._sort_set(value) if kind is set or kind is frozenset else entry.encode(value)
        return {_TYPED + entry.code: self.tag(data, depth + 1)}

    def _tag_dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        if _is_plain_object(value):
            self._nodes += len(value)  # the keys
            return {key: self.tag(member, depth) for key, member in value.items()}
        if any(map(self._registry.unhashable_during_load, value)):
            raise ValueError("a dict key of a type that cannot be a key")
        return {_DICT: [self.tag(part, depth) for item in value.items() for part in item]}


def _is_plain_object(value: dict[Any, Any]) -> bool:
    """Return whether a dict is written as a JSON object without a tag."""
    return all(type(key) is str and not key.startswith("~") for key in value)


def _parse_float(text: str) -> float:
    value = float(text)
    if repr(value) != text:
        _refuse("a float that is not canonical")
    return value


def _measure(text: str) -> tuple[int, int, int]:
    """Return the levels of nesting, the number of values and the number of typed values of a text's value.

    :param text: must match `_CANONICAL`. If it is not JSON, the numbers have no meaning.
    """
    depth = deepest = nodes = typed = 0
    added: list[int] = []  # the levels, 0 or 1, that each open bracket has added
    for match in _TOKENS.finditer(text):
        part = match[0]
        if part in "]}":
            depth -= added.pop() if added else 0
        elif part[0] in "[{":
            level = 0 if match[1] else 1
            added.append(level)
            depth += level
            deepest = max(deepest, depth)
            nodes += level
        else:
            tag = bool(match[2]) and part.startswith('"~')
            nodes += not tag  # a tag does not count as a value
            typed += tag
    return deepest, nodes, typed


class _Pairs(list[tuple[str, Any]]):
    """The items of a JSON object."""


_PAIRS_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=lambda _: None, parse_float=lambda _: None)


def _measure_hashed(value: Any) -> tuple[int, int]:
    """Return the weight of a text's value, and the part of it that is hashed (see `Limits`).

    :param value: the text, parsed as plain JSON, with its tags.
    """
    kind = type(value)
    if kind is not list and kind is not _Pairs:
        return kind is not str, 0
    tag, members = "", value
    if kind is _Pairs:
        members = [data for _, data in value]
        tag = value[0][0] if len(value) == 1 else ""
    own = 1
    if tag in (_BYTES, _FLOAT):
        return tag == _FLOAT, 0
    if tag.startswith("~"):
        is_list = type(members[0]) is list
        own = 2 + is_list if tag.startswith(_TYPED) else 1
        members = members[0] if is_list else members
    parts = [*map(_measure_hashed, members)]
    hashed = sum(counted for _, counted in parts)
    if tag in _HASHING_TAGS:
        keys = parts[::2] if tag == _DICT else parts
        hashed += sum(weight - counted for weight, counted in keys)
    return own + sum(weight for weight, _ in parts), hashed


def _refuse(problem: str) -> NoReturn:
    raise _RefusedError(problem)
