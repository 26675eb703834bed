"""The JSON protocol of the browser module: which calls are accepted or refused, and how they are answered."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sealedsession.errors import StateError
from sealedsession.state.protocol import read_call, read_token, write_answer

CALL = '{"token": "t", "method": "m", "args": [1, "ä", null]}'
MOST = 2000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_a_call():
    """A call is a token, the name of a method, and its arguments."""
    assert read_call(CALL.encode()) == ("t", "m", [1, "ä", None])


def test_a_call_without_arguments():
    """The arguments are optional."""
    assert read_call(b'{"method": "m", "token": "t"}').args == []


@given(token=st.text(), method=st.text(), args=st.lists(json_values))
def test_every_call_is_read(token, method, args):
    """Any JSON of texts and arguments that a browser makes is parsed unchanged."""
    for ascii_only in (True, False):
        body = json.dumps({"token": token, "method": method, "args": args}, ensure_ascii=ascii_only)
        assert read_call(body.encode()) == (token, method, args)


BAD_CALLS = {
    "nothing": b"",
    "no JSON": b"token=t&method=m",
    "cut off": CALL.encode()[:-1],
    "more behind": CALL.encode() + b"}",
    "no object": b'["t", "m", []]',
    "a text": b'"token method args"',
    "null": b"null",
    "no token": b'{"method": "m", "args": []}',
    "no method": b'{"token": "t", "args": []}',
    "token is no text": b'{"token": 5, "method": "m"}',
    "token is null": b'{"token": null, "method": "m"}',
    "method is no text": b'{"token": "t", "method": ["m"]}',
    "args is an object": b'{"token": "t", "method": "m", "args": {"0": 1}}',
    "args is null": b'{"token": "t", "method": "m", "args": null}',
    "args is a text": b'{"token": "t", "method": "m", "args": "ab"}',
    "something else": b'{"token": "t", "method": "m", "kwargs": {}}',
    "twice": b'{"token": "t", "token": "t", "method": "m"}',
    "twice inside": b'{"token": "t", "method": "m", "args": [{"a": 1, "a": 2}]}',
    "NaN": b'{"token": "t", "method": "m", "args": [NaN]}',
    "Infinity": b'{"token": "t", "method": "m", "args": [Infinity]}',
    "-Infinity": b'{"token": "t", "method": "m", "args": [-Infinity]}',
    "1e999": b'{"token": "t", "method": "m", "args": [1e999]}',
    "-1e999": b'{"token": "t", "method": "m", "args": [[-1.5e999]]}',
    "a huge int": b'{"token": "t", "method": "m", "args": [1' + b"0" * 10_000 + b"]}",
    "no UTF-8": b'{"token": "\xff", "method": "m"}',
    "cut UTF-8": b'{"token": "t", "method": "\xc3"}',
    "UTF-8 of a surrogate": b'{"token": "\xed\xa0\x80", "method": "m"}',
    "a byte order mark": b"\xef\xbb\xbf" + CALL.encode(),
    "UTF-16": CALL.encode("utf-16"),
    "UTF-32": CALL.encode("utf-32-le"),
    "nested too deep": b'{"token": "t", "method": "m", "args": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
}


@pytest.mark.parametrize("body", BAD_CALLS.values(), ids=BAD_CALLS)
def test_what_is_no_call(body):
    """A body that is not exactly a call is refused with one error that quotes nothing from it."""
    with pytest.raises(StateError, match="JSON") as caught:
        read_call(body)
    assert type(caught.value) is StateError
    assert len(str(caught.value)) < 120


@given(body=st.binary() | st.text().map(str.encode) | json_values.map(json.dumps).map(str.encode))
@example(body=b'{"token": "t", "method": "m"}')
def test_any_body(body):
    """Any bytes are either a call or a StateError."""
    try:
        token, method, args = read_call(body)
    except StateError:
        return
    assert (type(token), type(method), type(args)) == (str, str, list)


@pytest.mark.parametrize("half", [r"\ud83d", r"\uDE00", r"\ude00\ud83d"])
def test_half_a_character(half):
    """Half of a surrogate pair is refused. Both halves together are one character."""
    with pytest.raises(StateError, match="UnicodeEncodeError"):
        read_call(f'{{"token": "t", "method": "m", "args": [{{"a": "{half}"}}]}}'.encode())
    assert read_call(rb'{"token": "t", "method": "m", "args": ["\ud83d\ude00"]}').args == ["\U0001f600"]


@pytest.mark.parametrize("body", ["{}", {}, None])
def test_a_body_that_is_no_bytes(body):
    """A body that is not bytes is a TypeError."""
    with pytest.raises(TypeError, match=r"^body:"):
        read_token(body, MOST)


def test_a_long_call():
    """A body longer than the limit is refused without reading it. One of exactly the limit is read."""
    body = CALL.encode()
    assert read_token(body, len(body)) == "t"
    with pytest.raises(StateError, match=rf"\b{len(body)} .*\b{len(body) - 1}$"):
        read_token(body, len(body) - 1)
    with pytest.raises(StateError, match=r"\b9 .*\b8$"):
        read_token(b"\xff" * 9, 8)


@given(token=st.text(st.characters(exclude_characters='"\\', max_codepoint=255)), args=st.lists(json_values))
def test_the_token_is_found_before_the_call_is_read(token, args):
    """`read_token` finds the same token as the parser."""
    body = json.dumps({"token": token, "method": "m", "args": args}, ensure_ascii=False)
    if "\\" not in body[: body.index('", "method"')]:
        assert read_token(body.encode(), 10**9).encode("latin-1").decode() == read_call(body.encode()).token
    for changed in (body[:1] + body, body.replace("token", "tokens", 1), body[1:], "[" + body):
        with pytest.raises(StateError):
            read_token(changed.encode(), 10**9)


@given(result=json_values)
def test_an_answer(result):
    """An answer is ASCII JSON with the new token and the result."""
    answer = write_answer("t", "C.m", result)
    assert answer.isascii()
    assert json.loads(answer, parse_constant=pytest.fail) == {"token": "t", "result": result}


LOOP = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "result",
    [object(), {1, 2}, b"bytes", {"a": [float("nan")]}, float("inf"), {(1, 2): 3}, LOOP],
    ids=lambda value: type(value).__name__,
)
def test_a_result_that_is_no_json(result):
    """A result that is not JSON, such as NaN, is a TypeError that names the method."""
    with pytest.raises(TypeError, match=r"^Counter\.add:") as caught:
        write_answer("t", "Counter.add", result)
    assert caught.value.__cause__ is not None
