"""The JSON serializer: the same values as the allow-list pickle, by the same registry and limits, without any pickle.

None, bool, int, finite float, str, list, and dict with str keys none of which begins with "~", are plain JSON. All else
is an object with one key, a tag that begins with "~":

    {"~:CODE": data}      a value of a registered type
    {"~t": [...]}         a tuple
    {"~d": [k, v, ...]}   a dict with any other keys: those that look like tags are no tags here
    {"~b": "base64"}      bytes
    {"~f": "nan"}         a float that JSON does not have: nan, inf, -inf

Every other object with a key that begins with "~" is refused, and so is one with a key twice. Nesting and nodes are
those of the value: a tag counts where it stands for a registered type.

A value has one payload. `loads` refuses every other spelling of numbers, texts, white space, tags, dicts and default
types. It does not check the order of a set that has tuples or typed values as elements. The decoder of an
application's own type decides itself which spellings it accepts.
"""

import json
import math
import re
from base64 import b64decode, b64encode
from typing import Any, NoReturn

from sealedsession.errors import UnsealError
from sealedsession.serialization.diagnosis import FaultFinder
from sealedsession.serialization.limits import DEFAULT_LIMITS, SET_CODES, Limits, TooLarge, TooMany, TooManyValues
from sealedsession.serialization.registry import REFUSALS, Registry, default_registry

_TYPED = "~:"
_TUPLE, _DICT, _BYTES, _FLOAT = "~t", "~d", "~b", "~f"
_NOT_FINITE = ("nan", "inf", "-inf")
_PLAIN_ELEMENTS = {type(None), bool, int, float, str, bytes}
_HASHING = (_DICT, *(_TYPED + code for code in SET_CODES))
_HASHING_SIGNS = tuple(f'"{tag}"' for tag in _HASHING)

# The tokens of a JSON text, and with a "{" the tag behind it.
_TOKENS = re.compile(r'\{(?:"(~[tdbf])":)?|[\[\]}]|"(?:[^"\\]|\\.)*+"(:)?|[^,:"\[\]{}]+')

# Texts without white space outside of strings. The strings are complete, and have only the escapes that JSON demands,
# in the shortest form.
_CANONICAL = re.compile(r'(?:[^"\s]++|"(?:[^"\\\x00-\x1f]++|\\["\\bfnrt]|\\u00(?:0[0-7bef]|1[0-9a-f]))*+")*+')


class JsonSerializer:
    """Sessions to payloads and back, with the value types of one registry."""

    __slots__ = ("_decoder", "_limits", "_registry")

    def __init__(self, registry: Registry = default_registry, limits: Limits = DEFAULT_LIMITS) -> None:
        self._registry = registry
        self._limits = limits
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_int=self._int, parse_float=_float, parse_constant=_refuse
        )

    def dumps(self, value: object, known: bytes | None = None) -> bytes:
        """Serialize a value into a payload that `loads` accepts.

        :param known: a payload that `loads` has accepted. It is returned itself, the same object, when the value
            still serializes to it.
        :raises NotSerializableError: naming the path of the value that cannot be stored.
        :raises TooLarge: when the payload would be larger than the limit.
        """
        try:
            self._registry.begin()
            tagged = _Tagger(self._registry, self._limits).tagged(value, 1)
            text = json.dumps(tagged, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            payload = text.encode("utf-8", "surrogatepass")
            if len(payload) > self._limits.size:
                raise TooLarge
            if known is not None and payload == known:
                return known
            self.loads(payload)  # what cannot be read back is not sealed
        except TooLarge:
            raise
        except TooMany:
            raise TooManyValues from None
        except Exception as error:  # encoders are anybody's code
            raise FaultFinder(self._registry, self._limits).find(value, error) from error
        return payload

    def loads(self, payload: bytes) -> object:
        """Make the value that a payload holds.

        :raises UnsealError: ``forbidden_value`` for every payload that is not of the form.
        """
        if len(payload) > self._limits.size:
            problem = f"a payload of {len(payload)} bytes, and {self._limits.size} is the most"
            raise UnsealError("forbidden_value", problem)
        try:
            text = payload.decode("utf-8", "surrogatepass")
            if _CANONICAL.fullmatch(text) is None:
                raise UnsealError("forbidden_value", "a payload with white space or an escape that no writer uses")
            self._check_size(text)
        except (ValueError, RecursionError) as error:
            raise UnsealError("forbidden_value", f"a payload that cannot be read: {type(error).__name__}") from None
        try:
            value, end = self._decoder.raw_decode(text)
        except _Refused as error:
            raise UnsealError("forbidden_value", f"a payload with {error}") from None
        except REFUSALS as error:
            raise UnsealError("forbidden_value", f"a payload that cannot be read: {type(error).__name__}") from error
        if end != len(text):
            raise UnsealError("forbidden_value", "a payload that goes on after its end")
        return value

    def _check_size(self, text: str) -> None:
        """Bound nesting and nodes by what is cheap to count, and count exactly only if that says nothing."""
        limits = self._limits
        objects = text.count("{")
        if len(text) > limits.nodes or objects > limits.typed or objects + text.count("[") > limits.depth:
            limits.check(*_measure(text))
        if len(text) > limits.hashed and "~" in text:
            # Each value stands behind one of these characters.
            values = text.count(",") + text.count(":") + text.count("[") + objects
            if values > limits.hashed and any(sign in text for sign in _HASHING_SIGNS):
                limits.check_hashed(_hashed(_PAIRS.raw_decode(text)[0])[1])

    def _object(self, pairs: list[tuple[str, Any]]) -> Any:
        if len(pairs) == 1 and pairs[0][0].startswith("~"):
            return self._untagged(*pairs[0])
        value = dict(pairs)
        if len(value) != len(pairs):
            _refuse("a key twice in an object")
        if any(key.startswith("~") for key in value):
            _refuse("a tag among other keys")
        return value

    def _untagged(self, tag: str, data: Any) -> Any:
        if tag.startswith(_TYPED):
            entry = self._registry.by_code.get(tag[len(_TYPED) :])
            if entry is None:
                _refuse(f"a value of the type {ascii(tag[2:])[:40]}: not registered")
            typed: Any = entry.decode(data)
            if entry.cls is set or entry.cls is frozenset:
                self._check_elements(data, len(typed))
            return typed
        if tag == _TUPLE and type(data) is list:
            return tuple(data)
        if tag == _DICT and type(data) is list and len(data) % 2 == 0:
            if any(map(self._registry.unhashable_during_load, data[::2])):
                _refuse("a key that cannot be one")
            items = dict(zip(data[::2], data[1::2], strict=True))
            if len(items) * 2 != len(data) or _is_plain_object(items):
                _refuse("a dict in another spelling")
            return items
        if tag == _BYTES and type(data) is str:
            decoded = b64decode(data, validate=True)
            if b64encode(decoded).decode("ascii") != data:
                _refuse("base64 in another spelling")
            return decoded
        if tag == _FLOAT and data in _NOT_FINITE:
            return float(data)  # each its own: nan is not equal to nan, unless it is the same object
        raise _Refused("a tag that is none")

    def _check_elements(self, elements: list[Any], count: int) -> None:
        """Refuse an element that a set has twice, and plain elements in another order than the writer's.

        The order of other elements is not checked: for sets in sets, this could take seconds.
        """
        is_plain = {*map(type, elements)} <= _PLAIN_ELEMENTS
        if len(elements) != count or (is_plain and self._registry.ordering()(elements) != elements):
            _refuse("a set in another spelling")

    def _int(self, digits: str) -> int:
        if digits == "-0":
            _refuse("an int in another spelling")
        if len(digits) > 3 * self._limits.int_bytes + 1:  # 2.41 digits a byte and a sign; int() of thousands is slow
            _refuse(f"an int of {len(digits)} digits")
        value = int(digits)
        if not self._limits.takes_int(value):
            _refuse(f"an int of more than {self._limits.int_bytes} bytes")
        return value


class _Refused(Exception):
    """Leaves the parser at what a payload may not hold."""


class _Tagger:
    """Makes one value into what JSON can say."""

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._in_order = registry.ordering()
        self._limits = limits
        self._nodes = 0

    def tagged(self, value: Any, depth: int) -> Any:
        """:param depth: the level of nesting that a container here would be on."""
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise TooManyValues  # what is shared is written wherever it occurs, and could grow without end
        kind = type(value)
        if kind is str or kind is int or kind is bool or value is None:
            return value
        if kind is float:
            return value if math.isfinite(value) else {_FLOAT: repr(value)}
        if kind is bytes:
            return {_BYTES: b64encode(value).decode("ascii")}
        if depth > self._limits.depth:
            raise ValueError(f"nested more than {self._limits.depth} deep")
        if kind is list:
            return [self.tagged(member, depth + 1) for member in value]
        if kind is tuple:
            return {_TUPLE: [self.tagged(member, depth + 1) for member in value]}
        if kind is dict:
            return self._tagged_dict(value, depth + 1)
        entry = self._registry.by_type[kind]
        data = self._in_order(value) if kind is set or kind is frozenset else entry.encode(value)
        return {_TYPED + entry.code: self.tagged(data, depth + 1)}

    def _tagged_dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        if _is_plain_object(value):
            self._nodes += len(value)  # the keys
            return {key: self.tagged(member, depth) for key, member in value.items()}
        if any(map(self._registry.unhashable_during_load, value)):
            raise ValueError("a key that cannot be one")
        return {_DICT: [self.tagged(part, depth) for item in value.items() for part in item]}


def _is_plain_object(value: dict[Any, Any]) -> bool:
    """Return whether a dict is written as a JSON object without a tag."""
    return all(type(key) is str and not key.startswith("~") for key in value)


def _float(text: str) -> float:
    value = float(text)
    if repr(value) != text:
        _refuse("a float in another spelling")
    return value


def _measure(text: str) -> tuple[int, int, int]:
    """Count the levels of nesting, the nodes and the typed values of the value that a text makes.

    :param text: matches `_CANONICAL`. If it is not JSON, the numbers mean nothing.
    """
    depth = deepest = nodes = typed = 0
    added: list[int] = []  # levels that each bracket that is open has added
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
            nodes += not tag  # a tag is no node
            typed += tag
    return deepest, nodes, typed


class _Pairs(list[tuple[str, Any]]):
    """The items of a JSON object."""


_PAIRS = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=lambda _: None, parse_float=lambda _: None)


def _hashed(value: Any) -> tuple[int, int]:
    """Return the weight of a value that a text makes, and how much of that is hashed, see `Limits`.

    :param value: the text as plain JSON, with its tags.
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
    parts = [*map(_hashed, members)]
    hashed = sum(counted for _, counted in parts)
    if tag in _HASHING:
        keys = parts[::2] if tag == _DICT else parts
        hashed += sum(weight - counted for weight, counted in keys)
    return own + sum(weight for weight, _ in parts), hashed


def _refuse(problem: str) -> NoReturn:
    raise _Refused(problem)
