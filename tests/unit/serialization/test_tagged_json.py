"""Tagged JSON: exact round trips, unknown tags, and texts that must be refused."""

import base64
import json
import os
import struct
import subprocess
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict, deque

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sealedsession.errors import NotSerializableError, UnsealError
from sealedsession.serialization.limits import DEFAULT_LIMITS, PayloadTooLargeError, TooManyValuesError
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.standard_types import DEFAULT_TYPES
from sealedsession.serialization.tagged_json import JsonSerializer
from tests.support.param_ids import stable_repr
from tests.support.strategies import ANY_TEXT, EXAMPLES, HASHABLE_EXAMPLES, NOON, VALUES, exactly

REGISTRY = Registry()
JSON, PICKLE = JsonSerializer(REGISTRY), PickleSerializer(REGISTRY)
dumps, loads = JSON.dumps, JSON.loads

untimed = settings(deadline=None)


def plainly(value):
    """As `exactly`, but all NaNs are one: JSON has no bits of them."""
    return exactly(value, repr)


def refused(payload, serializer=JSON):
    """Return the log record of a payload, which must be refused."""
    with pytest.raises(UnsealError) as caught:
        serializer.loads(payload if isinstance(payload, bytes) else payload.encode("utf-8", "surrogatepass"))
    assert caught.value.reason == "forbidden_value"
    return caught.value.detail


class Box:
    """A registered class that holds any value."""

    def __init__(self, content):
        self.content = content

    def __eq__(self, other):
        return type(other) is Box and other.content == self.content

    def __hash__(self):
        return hash(self.content)

    def __repr__(self):
        return f"Box({self.content!r})"


def serializer_with(decode=Box, code="own", encode=lambda box: box.content):
    registry = Registry()
    registry.register(Box, code, encode=encode, decode=decode)
    return JsonSerializer(registry)


# --------------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("value", EXAMPLES, ids=stable_repr)
def test_round_trip(value):
    """Every value comes back exactly, alone and inside lists, tuples, dicts and typed containers."""
    for whole in (
        value, [value, value], (value,), (1, 2, value), {"key": value}, {5: value}, [{"a": (value, [value])}],
        OrderedDict(a=value), deque([value, [value]], 5), defaultdict(dict, a={"b": value}),
    ):  # fmt: skip
        payload = dumps(whole)
        assert exactly(loads(payload)) == exactly(whole)
        assert dumps(loads(payload)) == payload


@pytest.mark.parametrize("value", HASHABLE_EXAMPLES, ids=stable_repr)
def test_round_trip_as_key_and_element(value):
    """Every hashable value comes back exactly as a key and as an element of sets, alone and in a tuple."""
    for whole in ({value: 1, (value,): 2}, {value}, frozenset([value, (value, "x")]), Counter({value: 3})):
        payload = dumps(whole)
        assert exactly(loads(payload)) == exactly(whole)
        assert dumps(loads(payload)) == payload


@untimed
@given(VALUES)
def test_any_value_round_trips(value):
    """Whatever sessions hold comes back exactly, serializes to the same payload, and is known when it comes again."""
    payload = dumps(value)
    again = loads(payload)
    assert plainly(again) == plainly(value)
    assert dumps(again) == payload
    assert dumps(again, known=payload) == payload


def test_known_payload():
    """A result that equals the known payload is not parsed again, and any other result is parsed."""
    decoded = []
    serializer = serializer_with(lambda content: decoded.append(content) or Box(content))
    for value in ([Box(1)], [Box(1), {...}]):
        known = serializer.dumps(value)
        decoded.clear()
        assert serializer.dumps(value, known=bytes(bytearray(known))) == known
        assert decoded == []
        value.append(2)
        changed = serializer.dumps(value, known=known)
        assert changed != known
        assert decoded == [1]
        assert serializer.loads(changed)[-1] == 2


def test_own_types():
    """Registered types come back, nested in themselves, as keys and as elements; their codes can be any text."""
    for code in ("own", "~t", ":", '"', "\\", "\ud800", "ü" * 32, "{", "\n"):
        serializer = serializer_with(code=code)
        value = [Box(Box([1, Box(None)])), {Box(1): {Box((2, Box(3)))}}, {"a": Box({"~t": Box(b"x")})}]
        assert serializer.loads(serializer.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        ({"user": "ann", "n": 1, "f": 1.5, "ok": True, "none": None, "l": [1, []]},
         '{"user":"ann","n":1,"f":1.5,"ok":true,"none":null,"l":[1,[]]}'),
        ("ü€\U0001f36a", '"ü€\U0001f36a"'),
        ((1, ()), '{"~t":[1,{"~t":[]}]}'),
        (b"\xff\0", '{"~b":"/wA="}'),
        ({1: "a", None: 2}, '{"~d":[1,"a",null,2]}'),
        ({"~t": [1]}, '{"~d":["~t",[1]]}'),
        (float("-inf"), '{"~f":"-inf"}'),
        (NOON, '{"~:d":"2030-06-01T12:00:00"}'),
        ({3, 1}, '{"~:s":[1,3]}'),
    ],
    ids=repr,
)  # fmt: skip
def test_the_layout(value, payload):
    """The form is the one that the module's documentation tells, without spaces and in UTF-8."""
    assert dumps(value) == payload.encode()
    assert plainly(loads(payload.encode())) == plainly(value)


@pytest.mark.parametrize("bits", [0x7FF8 << 48, 0xFFF8 << 48, 0x7FF0 << 48, 0xFFF0 << 48, 1, 1 << 63, 0x7FEF << 48])
def test_special_floats(bits):
    """NaN, infinities, the smallest number and -0.0 come back as these."""
    number = struct.unpack("<d", struct.pack("<Q", bits))[0]
    for value in (number, [{"a": number}], complex(number, -0.0), {"b": (number,)}):
        assert plainly(loads(dumps(value))) == plainly(value)


@pytest.mark.parametrize("bits", [7, 31, 53, 63, 64, 127, 254, 255])
def test_int_boundaries(bits):
    """Ints come back exactly, beyond the 53 bits of other languages too."""
    for number in (2**bits - 1, -(2**bits), *((2**bits,) if bits < 255 else ())):
        assert exactly(loads(dumps([number]))) == exactly([number])


@untimed
@given(ANY_TEXT)
@example("\ud83c\udf6a")
@example('\\u0041"\\')
@example("\u2028\0\x7f")
def test_any_text(text):
    """Any text comes back as value and as key: lone surrogates, and pairs of them, stay what they are."""
    for value in (text, {text: text}, {"~" + text: 1}, (text,)):
        assert exactly(loads(dumps(value))) == exactly(value)


HASH_SEED_SCRIPT = """
import sys
from sealedsession.serialization.tagged_json import JsonSerializer
serializer = JsonSerializer()
for line in sys.stdin:
    print(serializer.dumps(serializer.loads(bytes.fromhex(line))).hex())
"""


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_same_payload_in_every_process(seed):
    """A payload that is loaded and dumped again is the same in a process with any hash seed."""
    words = ["apple", "Birne", "cherry", "", "ü", "\ud800", "x" * 300]
    values = (set(words), {(word, n) for word in words for n in (1, None)}, {frozenset([word, 1]) for word in words})
    payloads = [dumps(value).hex() for value in values]
    child = subprocess.run(
        [sys.executable, "-c", HASH_SEED_SCRIPT],
        input="\n".join(payloads),
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.split() == payloads


# ------------------------------------------------------------------------------------------------- what looks like tags

TAGS = ["~", "~t", "~d", "~b", "~f", "~:", "~:u", "~:t", "~:zz", "~~", "~T", "~:\ud800"]
LOOKALIKES = [
    *({tag: [1, 2]} for tag in TAGS),
    *({tag: "nan"} for tag in TAGS),
    {"~t": [1], "~d": []},
    {"~t": [1], "a": 2},
    {"a": 1, "~:u": "x"},
    {"~d": {"~d": {"~d": ["~d", 1]}}},
    {"~t": {"~b": "eA=="}, 5: ({"~f": "nan"},)},
    [{"~:u": b"x" * 16}, uuid.UUID(bytes=b"x" * 16)],
    OrderedDict({"~t": [1]}),
    defaultdict(list, {"~:s": [1]}),
    Counter({"~t": 2}),
    {"~t"},
    {("~t", 1): {"~t": 1}},
    "~t",
    ["~d", 1],
    {"t": "~t", "a~": 1, "": 2},
]


@pytest.mark.parametrize("value", LOOKALIKES, ids=repr)
def test_what_looks_like_tags(value):
    """Dicts of the application whose keys look like tags come back as they were, and never as what the tag means."""
    for whole in (value, [value], {"a": value}, (value, {"~t": value}), Box(value)):
        serializer = serializer_with()
        payload = serializer.dumps(whole)
        assert exactly(serializer.loads(payload)) == exactly(whole)
        assert serializer.dumps(serializer.loads(payload)) == payload


TAG_LIKE = st.recursive(
    st.sampled_from([None, 1, "~t", "nan", b"x", (), "eA==", ...]),
    lambda inner: (
        st.dictionaries(st.sampled_from([*TAGS, "a", 1]), inner, max_size=3)
        | st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


@untimed
@given(TAG_LIKE)
def test_any_nesting_of_lookalikes(value):
    """However they are nested, no dict collides with a tag."""
    assert exactly(loads(dumps(value))) == exactly(value)


# -------------------------------------------------------------------------------------------------------- hostile texts


@pytest.mark.parametrize(
    "text",
    [
        # duplicate keys
        '{"a":1,"a":1}', '{"a":1,"b":2,"a":3}', '{"~t":[],"~t":[]}', '[{"":1,"":2}]', '{"a":1,"\\u0061":2}',
        # unknown tags, and tags among other keys
        '{"~":1}', '{"~x":[]}', '{"~T":[]}', '{"~tt":[]}', '{"~~":1}', '{"~ t":[]}', '{"~:":1}', '{"~:zz":1}',
        '{"~:U":"x"}', '{"~::u":1}', '{"~t":[],"a":1}', '{"a":1,"~t":[]}', '{"a":1,"~":1}', '{"~d":[],"~t":[]}',
        '{"\\u007et":1}', '[[{"a":{"~q":1}}]]',
        # tags with data that is not theirs
        '{"~t":{}}', '{"~t":1}', '{"~t":null}', '{"~t":"ab"}', '{"~t":{"~t":[]}}', '{"~t":{"~d":[]}}',
        '{"~d":{}}', '{"~d":{"a":1}}', '{"~d":"ab"}', '{"~d":[1]}', '{"~d":[1,2,3]}', '{"~d":[[],1]}', '{"~d":[{},1]}',
        '{"~d":{"~t":[1,2]}}', '{"~d":[{"~t":[[]]},1]}', '{"~d":[{"~:ba":{"~b":""}},1]}', '{"~d":null}',
        '{"~b":"x"}', '{"~b":"eA="}', '{"~b":"eA"}', '{"~b":"eA==="}', '{"~b":"e A=="}', '{"~b":"eA==\\n"}',
        '{"~b":"-_8="}', '{"~b":"ü=="}', '{"~b":"===="}', '{"~b":"eA==eA=="}', '{"~b":1}', '{"~b":null}', '{"~b":[1]}',
        '{"~b":{"~b":"eA=="}}', '{"~b":{"~b":"ZUE9PQ=="}}',
        '{"~f":"1.5"}', '{"~f":"NaN"}', '{"~f":"Infinity"}', '{"~f":"+inf"}', '{"~f":""}',
        '{"~f":1}', '{"~f":null}', '{"~f":[]}', '{"~f":"-nan"}', '{"~f":"1e999"}',
        '{"~:u":"x"}', '{"~:u":{"~b":"eA=="}}', '{"~:s":{}}', '{"~:s":[[]]}', '{"~:r":[1,2,3]}', '{"~:...":0}',
        '{"~:n":1}', '{"~:t":"eval"}', '{"~:q":{"~t":[[],{"~t":[]}]}}', '{"~:td":[1,2,3]}',
        # keys that can be no keys in a pickle
        '{"~d":[{"~:t":"int"},1]}', '{"~d":[{"~t":[1,{"~:t":"int"}]},1]}', '{"~d":["a",1,{"~:fs":[{"~:t":"int"}]},1]}',
        '{"~:C":{"~d":[{"~:t":"int"},1]}}',
        # literals that JSON does not have, and huge ints
        "NaN", "Infinity", "-Infinity", '[NaN]', '{"a":Infinity}', '{"~f":NaN}', '{"~:c":{"~t":[NaN,0.0]}}',
        str(2**255), str(-(2**255) - 1), f"[{10**100}]", "1" * 5000,
        f'{{"a":-{"9" * 5000}}}', '{"~t":[' + "9" * 90 + "]}",
        # no JSON at all
        "", " ", "{]", "[", "]", "{", "}", "[1,]", "{,}", "{1:2}", "{'a':1}", "nul", "True", "None", "tru",
        '"', '"\\"',
        '"\\x"', '"\\u12"', '"\n"', '"\0"', "01", "+1", "1.", ".5", "1e", "--1", "0x10", "1_000",
        "[1 2]", '{"a"}', '{"a":}',
        # more after the end, or before
        "1 ", "1\n", " 1", "1 1", "[][]", "{}{}", "null,", "[1]x", "\ufeff1", '{"a":1}\0',
    ],
    ids=lambda text: ascii(text)[:40],
)  # fmt: skip
def test_hostile_texts(text):
    """Texts that are no JSON, tags that are none, and tags with data that is not theirs are refused."""
    refused(text)


@pytest.mark.parametrize(
    "text",
    [
        # numbers
        "1e999", "-1e999", "[1E5]", "1e5", "1E+16", "1e16", "1e+016", "1.0e0", "1.50", "0.10", "1.0e2", "100e-2",
        "-0", "[-0]", "-0e0", "0e0", "0.0e1", "-0.00", "1e-400", "5e-325", "123456789.123456789012345",
        "0.1000000000000000055", '{"a":1.50}', '{"~t":[1e5]}', '{"~:c":{"~t":[1.00,0.0]}}',
        # strings
        r'"\u0041"', r'"\/"', r'"\u00e4"', r'"\ud83d\ude00"', r'"\ud800"', r'"\u000A"', r'"\u000a"', r'"\u0008"',
        r'"\u001F"', r'"\u0022"', r'"\u005c"', r'"\u007f"', r'{"\u0061":1}', r'{"\u007et":[]}', r'{"~\u0074":[]}',
        r'{"~b":"\u0065A=="}', r'{"~f":"n\u0061n"}', r'{"~:date":"2026\u002d01-01"}', r'"a\/b"',
        # white space
        "[ ]", "{ }", "[1, 2]", '{"a": 1}', '{"a" :1}', "[\n1]", "[1\t]", '{"~t": []}', '[{"~b":"eA==" }]', "[1\r,2]",
        # tags for what plain JSON says, or says otherwise
        '{"~d":[]}', '{"~d":["a",1]}', '{"~d":["",1,"b",2]}', '{"a":{"~d":["b",[]]}}', '{"~:od":{"~d":["a",1]}}',
        '{"~d":[1,"a",1,"b"]}', '{"~d":[1,"a",true,"b"]}', '{"~d":[0,1,-0.0,2]}', '{"~d":["~",1,"~",2]}',
        '{"~b":"eB=="}', '{"~b":"eHl="}', '{"~:ba":{"~b":"eB=="}}',
        # elements that occur twice, or in another order
        '{"~:s":[3,1]}', '{"~:s":[1,1]}', '{"~:s":["b","a"]}', '{"~:fs":["a","a"]}',
        '{"~:s":[{"~b":"eQ=="},{"~b":"eA=="}]}',
        '{"~:s":[1,true]}', '{"~:s":[1,1.0]}', '{"~:s":["a",1]}', '{"~:s":[1,null]}', '{"~:s":[2.0,1.0]}',
        '{"~:s":[{"~t":[1]},{"~t":[1]}]}',
        # data of typed values
        '{"~:date":"20260101"}', '{"~:date":"2026-W01-1"}', '{"~:d":"2030-06-01 12:00:00"}', '{"~:d":"2030-06-01"}',
        '{"~:d":"2030-06-01T12:00:00.000000"}', '{"~:d":"2030-06-01T12:00:00Z"}', '{"~:d":"20300601T120000"}',
        '{"~:d":{"~t":["2030-06-01T12:00:00",0,null]}}', '{"~:time":"12:00"}', '{"~:time":"120000"}',
        '{"~:td":{"~t":[0,86400,0]}}', '{"~:td":{"~t":[0,0,1000000]}}', '{"~:td":{"~t":[0,-1,0]}}',
        '{"~:tz":{"~t":[0,-3600,0]}}', '{"~:tz":{"~t":[0,3600,0,null]}}', '{"~:q":{"~t":[[1,2,3],2]}}',
        '{"~:n":"1E+2 "}', '{"~:n":"+1"}', '{"~:fr":{"~t":[2,4]}}', '{"~:p":"a//b"}', '{"~:ip4":"01.2.3.4"}',
        '{"~:dd":{"~t":["list",{"~d":["a",1]}]}}',
    ],
    ids=lambda text: ascii(text)[:40],
)  # fmt: skip
def test_second_spellings(text):
    """What the writer would spell otherwise is refused: a value has one payload."""
    refused(text)


@pytest.mark.parametrize(
    "value",
    [1e16, 1e-7, 5e-324, 1.7976931348623157e308, -0.0, 0, 0.1, 100000.0,
     "\0\x1f\x08\t\n\r\x0c\x0b\x7f\"\\/\u2028", "\ud800",
     " {} , : ", {" \n": [" "]}, {float("nan"), 1.5}, {1, "a", None, b"x"}, {(2, 1), frozenset([3]), "z"}],
    ids=stable_repr,
)  # fmt: skip
def test_what_the_writer_writes_is_read(value):
    """Every spelling that the writer uses is accepted, and written again as it was."""
    payload = dumps([value])
    assert dumps(loads(payload)) == payload


def test_the_types_of_an_application_decide_for_themselves():
    """What a registered type's own decoder accepts is accepted: its data may be of an earlier version."""
    serializer = serializer_with(decode=lambda data: Box(data if data != "old" else "new"))
    assert serializer.loads(b'{"~:own":"old"}') == Box("new")


@pytest.mark.parametrize("code", ["", "zz", "D", "d ", "datetime", "os.system", "x" * 200, "\ud800"], ids=ascii)
def test_unknown_code(code):
    """A type code that nobody registered is refused, with no more than the start of it in the log."""
    detail = refused(f'[{{"~:{code}":null}}]')
    assert ascii(code)[:30] in detail
    assert "not registered" in detail
    assert len(detail) < 100


@pytest.mark.parametrize(
    "payload", [b"\xff", b'"\xff"', b'"\xc0\x80"', b'"\xe2\x82"', b"\xfe\xff\0[", b'["\x80"]', b"N."]
)
def test_what_is_not_utf8(payload):
    """Bytes that are no UTF-8, and pickles, are refused."""
    refused(payload)


@pytest.mark.parametrize("levels", [257, 1500])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", "]"), ('{"a":', "}"), ('{"~t":[', "]}"), ('{"~d":[1,', "]}"), ('{"~:od":', "}"), ('{"~t":', "}"),
     ('{"~b":', "}"), ("[[],", "]"), ('{"~:s":[', "]}"), ("[", ""), ('{"a":', ""), ('{"~t":', ""), ("[{", "}]")],
)  # fmt: skip
def test_deep_texts(opening, closing, levels):
    """Texts of nothing but nesting, well formed or not, are refused."""
    text = opening * levels + "1" + closing * levels
    refused(text[: DEFAULT_LIMITS.size])


@pytest.mark.parametrize(
    "part", ['"\\x":1', '"\\', '"\\u12":1', '"\n":1', '"\0" :1', '"', '\\"', ":", "\\", "]}" * 300]
)
def test_what_has_to_be_measured_and_is_no_json(part):
    """A text with so many brackets that it is measured is refused whatever stands between them."""
    refused("[" * 200 + part)
    refused("[" * 300 + part + "]" * 300)
    refused("{" * 200 + part)


@pytest.mark.parametrize(
    "value",
    ["[" * 300, '{"~t":[' * 100, "\\" * 301, '\\"[' * 300, b"[[{" * 300, [[] for _ in range(300)], [{"[": "{"}] * 200,
     [("]",)] * 300, ["~:"] * 300, {"[{" * n: 1 for n in range(60)}],
    ids=range(10),
)  # fmt: skip
def test_what_only_looks_deep(value):
    """What looks like nesting or like tags, inside strings or side by side, is accepted: it is counted exactly."""
    assert exactly(loads(dumps(value))) == exactly(value)


@pytest.mark.parametrize("size", [20_000, 1_000_000])
@pytest.mark.parametrize("make", [lambda n: "x" * n, lambda n: b"x" * n, lambda n: [None] * n, lambda n: {"x" * n}])
def test_far_too_large(make, size):
    """A value far over the cap is refused as too large, in both directions."""
    with pytest.raises(PayloadTooLargeError):
        dumps(make(size))
    assert "bytes; the limit is" in refused(b'"' + b"x" * size + b'"')


class OwnError(Exception):
    """An error of a decoder's library."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"), TypeError(), KeyError("x"), IndexError(), AttributeError("x"), AssertionError(),
        RecursionError(), MemoryError(), StopIteration(), ZeroDivisionError(), EOFError(),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "x"), NotSerializableError("session", None, "x"),
        json.JSONDecodeError("x", "y", 0), UnsealError("revoked", "x"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_decoder_that_refuses_its_data(error):
    """The errors by which a decoder refuses its data leave the reader as UnsealError("forbidden_value")."""

    def decode(data):
        raise error

    for text in ('{"~:own":1}', '[{"a":{"~t":[{"~:own":null}]}}]'):
        refused(text, serializer_with(decode=decode))


@pytest.mark.parametrize("error", [TimeoutError("x"), OSError(2, "x"), OwnError("x"), SyntaxError()], ids=repr)
def test_an_error_that_is_not_the_payloads_fault(error):
    """Any other error, such as the timeout of a signal handler, leaves the reader unchanged."""

    def decode(data):
        raise error

    with pytest.raises(type(error)) as caught:
        serializer_with(decode=decode).loads(b'{"~:own":1}')
    assert caught.value is error


def test_a_decoder_makes_its_type():
    """A decoder must return a value of its type, or the payload is refused."""
    refused('{"~:own":1}', serializer_with(decode=lambda data: data))


def test_what_cannot_be_read_back_is_not_written():
    """A value whose decoder refuses its encoder's data is a NotSerializableError when it is written, with its path."""

    def decode(data):
        raise ValueError("no such box")

    with pytest.raises(NotSerializableError, match=r"^session\['a'\]:"):
        serializer_with(decode=decode).dumps({"a": Box(1)})


def test_an_encoder_that_raises():
    """Whatever an encoder raises becomes NotSerializableError, with its complaint and the path."""

    def encode(box):
        raise LookupError("the box is locked")

    with pytest.raises(NotSerializableError, match=r"^session\['a'\]\[0\]:"):
        serializer_with(encode=encode).dumps({"a": [Box(1)]})


# --------------------------------------------------------------------------------------------------------- any payload


def try_to_load(payload):
    """Load what may be nonsense: UnsealError, or a value that both serializers or none can dump, JSON as it was."""
    try:
        value = loads(payload)
    except UnsealError:
        return
    try:
        written = dumps(value)
    except (NotSerializableError, PayloadTooLargeError):
        return
    assert written == payload or b'"~:s"' in payload or b'"~:fs"' in payload  # whose order may not be checked
    assert plainly(PICKLE.loads(PICKLE.dumps(value))) == plainly(value)


@untimed
@given(st.binary(max_size=200) | st.text('[]{}",:~tdbf\\u0e1.- ', max_size=60).map(str.encode))
@example(b"null")
def test_random_bytes(payload):
    """Random bytes are a value or raise UnsealError, and nothing else."""
    try_to_load(payload)


CODES = [row.code for row in DEFAULT_TYPES] + ["t", "zz"]
KEYS = st.sampled_from([*TAGS, *("~:" + code for code in CODES), "a", "b"]) | st.text(max_size=3)
SCALARS = st.sampled_from([None, True, "", "nan", "eA==", "int", "list", "2030-01-01", "1.2.3.4", "a/b", 10**80]) | (
    st.integers(-5, 5) | st.floats() | st.text(max_size=5)
)
RANDOM_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=2)
        | st.builds(lambda tag, data: {tag: data}, KEYS, inner)
        | st.lists(inner, max_size=4).map(lambda members: {"~t": members})
    ),
    max_leaves=12,
)


@untimed
@given(RANDOM_JSON)
@example({"~d": [{"~:t": "int"}, 1]})
@example({"~:s": [{"~t": [{"~:t": "int"}]}]})
def test_random_json(tree):
    """Random JSON with tags in it is a value or raises UnsealError, and nothing else."""
    try_to_load(json.dumps(tree).encode())


@untimed
@given(st.sampled_from(EXAMPLES), st.data())
def test_mutated_payloads(value, data):
    """A payload of ours with bytes changed, put in or taken out is a value or raises UnsealError, and nothing else."""
    payload = bytearray(dumps([value, {"k": value}, deque([value])]))
    pieces = [b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"1e9", b'{"~t":', b'{"~d":[', *map(dumps, EXAMPLES)]
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(payload) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=2) | st.sampled_from(pieces))
        payload[position : position + data.draw(st.integers(0, 3))] = piece
    try_to_load(bytes(payload))


# ------------------------------------------------------------------------------------------- the two serializers agree


@untimed
@given(VALUES)
def test_both_hold_the_same_values(value):
    """What one serializer has read, the other one writes, and the value stays the same."""
    try:
        payload = PICKLE.dumps(value)
    except TooManyValuesError:  # both limit what is hashed, and weigh it in the same way
        with pytest.raises(TooManyValuesError):
            dumps(value)
        return
    from_pickle = PICKLE.loads(payload)
    from_json = loads(dumps(from_pickle))
    assert plainly(from_json) == plainly(value)
    assert PICKLE.dumps(from_json) == PICKLE.dumps(loads(dumps(value)))


@pytest.mark.parametrize(
    "value",
    [object(), print, {1: object()}, {object(): 1}, {object()}, Box(1), Box, [type], type("Sub", (str,), {})("x"),
     type("Sub", (dict,), {})(), 2**255, {2**255: 1}, deque([2**300]), memoryview(b"x"), {}.keys(), ValueError(),
     (n for n in ()), float, [int, {str}], slice(1), uuid.UUID(int=5)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_both_refuse_the_same_values(value):
    """What one serializer refuses the other one refuses too, by the same message; and both take the rest."""
    said = []
    for serializer in (JSON, PICKLE):
        try:
            said.append(exactly(serializer.loads(serializer.dumps({"a": [value]}))))
        except NotSerializableError as error:
            said.append(str(error))
    assert said[0] == said[1]


@pytest.mark.parametrize("serializer", [JSON, PICKLE], ids=["json", "pickle"])
def test_nans_are_not_merged(serializer):
    """Two NaNs are two elements of a set and two keys of a dict, and stay two."""
    one, other = float("nan"), float("nan")
    for value in ({one, other}, {one: 1, other: 2}, Counter({one: 1, other: 2})):
        payload = serializer.dumps(value)
        assert len(serializer.loads(payload)) == 2
        assert serializer.dumps(serializer.loads(payload)) == payload


def test_base64_is_the_standard_one():
    """Bytes are written in the alphabet of RFC 4648, section 4, with padding."""
    for length in range(7):
        raw = b"\xfb\xef\xff" * 3
        assert dumps(raw[:length]) == b'{"~b":"' + base64.b64encode(raw[:length]) + b'"}'
