"""What of a session is serialized: a dict, or a list of subject, root, dict and own data, and nothing else."""

import json
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealedsession.config import SessionConfig
from sealedsession.errors import NotSerializableError, UnsealError
from sealedsession.lifecycle.payload import SessionPayload
from sealedsession.own import FlashMessage, Own
from sealedsession.sealing.sealer import JSON, PICKLE, Unsealed
from sealedsession.serialization.limits import Limits, PayloadTooLargeError
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer
from sealedsession.session import Identity, Session
from tests.support import ROOT
from tests.support.strategies import ANY_TEXT

KEY = "wHkPq3vZx7Lr9sTn2mYc5bJf8dGa1eUo4iVhWjKlMnQ"
NUMBERS = {"pickle": PICKLE, "json": JSON}
DUMPS = {PICKLE: PickleSerializer(Registry()).dumps, JSON: JsonSerializer(Registry()).dumps}
SESSION_ID = bytes(range(16))

each_serializer = pytest.mark.parametrize("serializer", ["pickle", "json"])


def make_session_payload(serializer="pickle", **options):
    options = {"accept_serializers": ["pickle", "json"], **options}
    return SessionPayload(SessionConfig(validate_key=KEY, serializer=serializer, **options))


def make_session(data=(), subject=None, root=None, own=None):
    session = Session(data)
    session._identity = Identity(1, subject=subject, lineage_id=root, own=own)
    return session


def change_identity(session, **fields):
    session._identity = session._identity._replace(**fields)


def unsealed(payload, number=PICKLE):
    return Unsealed(
        payload, serializer=number, created=1, sealed_at=1, lifetime=None, session_id=None, by_fallback=False
    )  # fmt: skip


def refusal(session_payload, payload, number=PICKLE):
    with pytest.raises(UnsealError) as caught:
        session_payload.decode(unsealed(payload, number))
    return caught.value.reason


# ---------------------------------------------------------------------------------------------------------- round trips


@each_serializer
@given(
    data=st.dictionaries(ANY_TEXT, st.integers(-1000, 1000) | ANY_TEXT, max_size=4),
    subject=st.none() | ANY_TEXT.filter(bool).map(lambda text: text[:255]),
    root=st.none() | st.binary(min_size=16, max_size=16),
)
def test_round_trip(serializer, data, subject, root):
    """Whatever subject, root and data a session has come back as they were."""
    session_payload = make_session_payload(serializer)
    session = make_session(data, subject, root)
    try:
        payload = session_payload.encode(session)
    except PayloadTooLargeError:
        assert len(DUMPS[session_payload.serializer](session.copy())) > 2000
        return
    assert session_payload.decode(unsealed(payload, session_payload.serializer)) == (data, subject, root, None)


@each_serializer
def test_a_plain_session_is_its_dict(serializer):
    """A session without subject and root is written as its dict alone, and costs no byte more."""
    session_payload = make_session_payload(serializer)
    assert session_payload.encode(make_session({"a": 1})) == DUMPS[session_payload.serializer]({"a": 1})


@each_serializer
@pytest.mark.parametrize(("subject", "root"), [("user:42", None), (None, SESSION_ID), ("user:42", SESSION_ID)])
def test_more_than_a_dict_is_a_list_of_three(serializer, subject, root):
    """A subject or a root makes it a list: subject, root, dict. The wire format is in docs/reference/format.rst."""
    session_payload = make_session_payload(serializer)
    payload = session_payload.encode(make_session({"a": 1}, subject, root))
    assert payload == DUMPS[session_payload.serializer]([subject, root, {"a": 1}])


@each_serializer
@pytest.mark.parametrize(("subject", "root"), [(None, None), ("user:42", SESSION_ID)])
def test_own_data_is_the_fourth_member(serializer, subject, root):
    """Own data makes it a list of four, with or without a subject. Without any, the list is that of three."""
    session_payload = make_session_payload(serializer)
    own = Own((FlashMessage("", "Saved"),), bytes(32), {"b": 1000})
    payload = session_payload.encode(make_session({"a": 1, "b": 2}, subject, root, own))
    packed = {"flash": ["", "Saved"], "csrf": bytes(32), "ends": [1, 1000]}
    assert payload == DUMPS[session_payload.serializer]([subject, root, {"a": 1, "b": 2}, packed])
    assert session_payload.decode(unsealed(payload, session_payload.serializer)) == (
        {"a": 1, "b": 2},
        subject,
        root,
        own,
    )


DOCUMENT = json.loads((ROOT / "tests" / "security" / "vectors" / "seal_v1.json").read_text(encoding="ascii"))


@pytest.mark.parametrize("vector", DOCUMENT["payloads"], ids=lambda vector: f"{vector['name']}-{vector['serializer']}")
def test_vector(vector):
    """A session of the vectors has exactly the vector's payload, and comes back from it."""
    session_payload = make_session_payload("pickle" if vector["serializer"] == PICKLE else "json")
    payload = bytes.fromhex(vector["payload"])
    data, subject, root, own = session_payload.decode(unsealed(payload, vector["serializer"]))
    assert (data, subject, root and root.hex()) == (vector["data"], vector["subject"], vector["lineage"])
    packed = own and own.pack(data)
    assert packed == (
        vector["own"]
        and {name: bytes.fromhex(member) if name == "csrf" else member for name, member in vector["own"].items()}
    )
    assert session_payload.encode(make_session(data, subject, root, own)) == payload


@pytest.mark.parametrize(
    "vector", DOCUMENT["refused_payloads"], ids=lambda vector: f"{vector['name']}-{vector['serializer']}"
)
def test_refused_vector(vector):
    """A payload that the vectors list as refused is refused with the listed reason."""
    assert refusal(make_session_payload(), bytes.fromhex(vector["payload"]), vector["serializer"]) == vector["code"]


@each_serializer
@pytest.mark.parametrize("other", ["pickle", "json"])
def test_either_serializer_reads_both(serializer, other):
    """A form reads what the other serializer wrote."""
    session = make_session({"a": (1, b"2")}, "user:42", SESSION_ID)
    payload = make_session_payload(other).encode(session)
    assert make_session_payload(serializer).decode(unsealed(payload, NUMBERS[other])) == (
        {"a": (1, b"2")},
        "user:42",
        SESSION_ID,
        None,
    )


@each_serializer
@pytest.mark.parametrize(
    ("change", "same"),
    [
        (len, True),
        (lambda session: change_identity(session, subject="user:42"), True),
        (lambda session: change_identity(session, subject="user:43"), False),
        (lambda session: change_identity(session, subject=None), False),
        (lambda session: change_identity(session, lineage_id=None), False),
        (lambda session: session.update(a=2), False),
        (lambda session: session["b"].append(1), False),
    ],
)
def test_dumps_tells_a_change(serializer, change, same):
    """The same payload is returned if nothing has changed, and only then."""
    session_payload = make_session_payload(serializer)
    session = make_session({"a": 1, "b": []}, "user:42", SESSION_ID)
    origin = unsealed(session_payload.encode(session), session_payload.serializer)
    change(session)
    assert (session_payload.encode_if_changed(session, origin) is None) == same


def test_dumps_writes_as_the_token_did():
    """A payload is compared in the serializer of its own token, whichever one writes new ones."""
    session = make_session({"a": 1}, "user:42")
    origin = unsealed(make_session_payload("json").encode(session), JSON)
    assert make_session_payload("pickle").encode_if_changed(session, origin) is None


# ------------------------------------------------------------------------------------------------------------- refusals

WRONG = {
    "none": None,
    "a number": 1,
    "text": "abc",
    "bytes": b"abc",
    "an empty list": [],
    "a list of one": [{}],
    "a list of two": [None, None],
    "own data: none": [None, None, {}, None],
    "own data: empty": ["user:42", None, {}, {}],
    "own data: unknown": ["user:42", None, {}, {"labels": {}}],
    "own data: a list": ["user:42", None, {}, ["csrf"]],
    "own data: an end without its key": ["user:42", None, {}, {"ends": [0, 1]}],
    "own data: beside an invalid subject": ["", None, {}, {"csrf": bytes(32)}],
    "a tuple of four": ("user:42", None, {}, {"csrf": bytes(32)}),
    "a list of five": ["user:42", None, {}, {"csrf": bytes(32)}, None],
    "a tuple of three": ("u", None, {}),
    "a tuple of pairs": (("a", 1),),
    "neither subject nor root": [None, None, {}],
    "data: none": ["u", None, None],
    "data: a list": ["u", None, []],
    "data: text": ["u", None, "abc"],
    "subject: a number": [42, None, {}],
    "subject: a bool": [True, None, {}],
    "subject: bytes": [b"user:42", None, {}],
    "subject: a list": [["user:42"], None, {}],
    "subject: empty": ["", None, {}],
    "subject: too long": ["u" * 256, None, {}],
    "root: an empty list": [None, [], {}],
    "root: in a list": [None, [SESSION_ID], {}],
    "root: in a tuple": [None, (SESSION_ID,), {}],
    "root: a list of ints": [None, list(SESSION_ID), {}],
    "root: 15 bytes": [None, SESSION_ID[:15], {}],
    "root: 17 bytes": [None, SESSION_ID + b"x", {}],
    "root: no bytes": [None, b"", {}],
    "root: text": [None, "a" * 16, {}],
    "root: a number": [None, 0, {}],
    "root: a bool": [None, False, {}],
    "all at once": [{}, [], None],
}


@each_serializer
@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
def test_wrong_structure(serializer, value):
    """A payload of any other shape is forbidden, though its serializer can write and read it."""
    number = NUMBERS[serializer]
    assert refusal(make_session_payload(), DUMPS[number](value), number) == "forbidden_value"


@each_serializer
@pytest.mark.parametrize(
    "value", [["u", None, {}], ["u" * 255, SESSION_ID, {"a": 1}], [None, SESSION_ID, {}]], ids=repr
)
def test_right_structure(serializer, value):
    """Beside the wrong shapes stand the right ones, at the edge of the rules."""
    number = NUMBERS[serializer]
    subject, root, data = value
    assert make_session_payload().decode(unsealed(DUMPS[number](value), number)) == (data, subject, root, None)


@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_a_serializer_that_is_not_accepted(serializer):
    """A payload by a serializer that is not accepted is refused, and not even looked at."""
    session_payload = make_session_payload(serializer, accept_serializers=[serializer])
    other = JSON if serializer == "pickle" else PICKLE
    assert refusal(session_payload, b"rubbish", other) == "other_serializer"
    with pytest.raises(UnsealError, match=r"^other_serializer: .*accept_serializers"):
        session_payload.decode(unsealed(DUMPS[other]({}), other))


@each_serializer
def test_no_value_in_an_error(serializer):
    """The error for a wrong shape holds nothing of what was found."""
    number = NUMBERS[serializer]
    with pytest.raises(UnsealError) as caught:
        make_session_payload().decode(unsealed(DUMPS[number](["confidential" * 30, None, {"confidential": 1}]), number))
    assert "confidential" not in str(caught.value)


# ---------------------------------------------------------------------------------------------------------------- sizes


@each_serializer
@pytest.mark.parametrize("compress", [True, False])
def test_size_has_one_limit(serializer, compress):
    """The limits alone say how large a payload is: servers with and without compression read each other's."""
    session = make_session({"a": "x" * 5000})
    session_payload, other = (
        make_session_payload(serializer, compress=compress),
        make_session_payload(serializer, compress=not compress),
    )
    payload = session_payload.encode(session)
    assert other.decode(unsealed(payload, session_payload.serializer))[0] == session
    with pytest.raises(PayloadTooLargeError):
        session_payload.encode(make_session({"a": "x" * Limits().size}))


@pytest.mark.parametrize("compress", [True, False])
def test_limits_hold_with_compression(compress):
    """A smaller size in the limits holds, with compression as without."""
    session_payload = make_session_payload(compress=compress, limits=Limits(size=1000))
    assert session_payload.decode(unsealed(session_payload.encode(make_session({"a": "x" * 900}))))[0] == {
        "a": "x" * 900
    }
    with pytest.raises(PayloadTooLargeError):
        session_payload.encode(make_session({"a": "x" * 1000}))


@each_serializer
def test_sizes_by_key(serializer):
    """Sizes are those on the wire, in base64, largest first; a value that is far too large has the most there is."""
    session_payload = make_session_payload(serializer)
    sizes = session_payload.sizes(make_session({"small": 1, "large": "x" * 300, "huge": "x" * 10**6}, "user:42"))
    assert list(sizes) == ["huge", "large", "small"]
    assert 400 <= sizes["large"] < 440
    assert sizes["huge"] > 4000


@each_serializer
def test_too_many_values(serializer):
    """Too many values are an error that names the limits, also where a subject makes the payload a list."""
    session_payload = make_session_payload(serializer, limits=Limits(nodes=10))
    for subject in (None, "user:42"):
        with pytest.raises(NotSerializableError, match=r"^session: .*\b10\b"):
            session_payload.encode(make_session({"a": list(range(20))}, subject))


@each_serializer
@pytest.mark.parametrize(("subject", "root"), [(None, None), ("user:42", None), (None, SESSION_ID)])
def test_the_path_of_a_fault(serializer, subject, root):
    """The path of what cannot be stored is that in the session, also where the payload is a list."""
    with pytest.raises(NotSerializableError) as caught:
        make_session_payload(serializer).encode(make_session({"a": [1, object()]}, subject, root))
    assert (caught.value.path, caught.value.type) == ("session['a'][1]", object)


def test_the_session_is_left_alone():
    """Writing a session changes nothing in it."""
    session = make_session({"a": [1]}, "user:42", SESSION_ID)
    before = session.copy(), attrgetter("_identity")(session)
    make_session_payload().encode(session)
    assert (session.copy(), attrgetter("_identity")(session)) == before
