"""The payload of sealed state: its format, paths of unsupported values, and sizes of its parts."""

import collections
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealedsession.errors import NotSerializableError, StateTooLargeError, UnsealError
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.state.payload import StatePayload
from sealedsession.state.resumable import Resumable, get_load_record, restore
from tests.support.param_ids import stable_repr
from tests.support.strategies import exactly
from tests.support.value_strategies import values

WRITER = PickleSerializer()


class Order(Resumable):
    """An object to be sealed."""

    def load(self, *args, **kwargs):
        self.loaded = object()


class Outer:
    class Inner(Resumable):
        """A nested class."""


@pytest.fixture(scope="module")
def state_payload():
    return StatePayload(Registry())


def made(**state):
    order = Order(1, shop="corner")
    for name, value in state.items():
        setattr(order, name, value)
    return order


def test_a_value(state_payload):
    """The payload of a plain value is a list of None and the value."""
    payload = state_payload.dumps({"a": 1}, None)
    assert payload == WRITER.dumps([None, {"a": 1}])
    assert state_payload.loads(payload) == [None, {"a": 1}]


def test_an_object(state_payload):
    """The payload of an object has its code, the arguments of load, and its state."""
    payload = state_payload.dumps(made(text="milk"), "order")
    assert payload == WRITER.dumps(["order", (1,), {"shop": "corner"}, {"text": "milk"}])
    assert state_payload.loads(payload) == ["order", (1,), {"shop": "corner"}, {"text": "milk"}]


@settings(deadline=None)
@given(value=values)
def test_round_trip(state_payload, value):
    """A payload holds every value that sessions hold."""
    try:
        payload = state_payload.dumps(value, None)
    except (NotSerializableError, StateTooLargeError):  # some values are over a limit
        return
    assert exactly(state_payload.loads(payload)[1]) == exactly(value)


names = st.text(st.characters(), max_size=8).filter(lambda name: not name.startswith("_") and not hasattr(Order, name))


@settings(deadline=None)
@given(
    args=st.lists(values, max_size=2),
    kwargs=st.dictionaries(st.text(max_size=8).filter(lambda name: name != "self"), values, max_size=2),
    state=st.dictionaries(names.filter(lambda name: name != "loaded"), values, max_size=3),
)
def test_an_object_makes_the_round_trip(state_payload, args, kwargs, state):
    """An object from a payload has the same arguments and state."""
    order = Order(*args, **kwargs)
    for name, value in state.items():
        setattr(order, name, value)
    try:
        code, *content = state_payload.loads(state_payload.dumps(order, "code"))
    except (NotSerializableError, StateTooLargeError):
        return
    back = restore(Order, *content)
    assert code == "code"
    assert exactly(back.state) == exactly(state)
    assert exactly(get_load_record(back).args) == exactly(tuple(args))
    assert exactly(get_load_record(back).kwargs) == exactly(kwargs)


GOOD = ["order", (), {}, {}]


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        (None, 1),
        [],
        [None],
        [None, 1, 2],
        ["order"],
        ["order", 1],
        GOOD[:3],
        [*GOOD, 1],
        (*GOOD,),
        [None, (), {}, {}],
        [b"order", (), {}, {}],
        [5, (), {}, {}],
        [["order"], (), {}, {}],
        ["order", [], {}, {}],
        ["order", {}, {}, {}],
        ["order", (), [], {}],
        ["order", (), None, {}],
        ["order", (), {}, []],
        ["order", (), {}, collections.OrderedDict()],
        ["order", (), collections.Counter(), {}],
        ["order", (), {5: 1}, {}],
        ["order", (), {"a": 1, b"b": 1}, {}],
        ["order", (), {}, {5: 1}],
        ["order", (), {}, {"a": 1, None: 1}],
        ["order", (), {}, {"a": 1, ("b",): 1}],
        ["order", (), {}, {"_cache": 1}],
        ["order", (), {}, {"a": 1, "_sealedsession": 1}],
        ["order", (), {}, {"__class__": 1}],
        ["order", (), {}, {"__dict__": {}}],
    ],
    ids=repr,
)
def test_wrong_structure(state_payload, content):
    """Any other payload is refused, and so is one with a private name, or a name that is not a str."""
    with pytest.raises(UnsealError) as caught:
        state_payload.loads(WRITER.dumps(content))
    assert (caught.value.reason, caught.value.detail) == ("forbidden_value", "not a payload of sealed state")


@pytest.mark.parametrize(
    "content", [[None, None], [None, [None, 1]], GOOD, ["", (1,), {"": 1}, {"": 1, "a b": 2}]], ids=repr
)
def test_right_structure(state_payload, content):
    """Payloads with any public names are accepted."""
    assert state_payload.loads(WRITER.dumps(content)) == content


# ----------------------------------------------------------------------------------------------------- where a fault is


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (object(), "state"),
        ([1, object()], "state[1]"),
        ({"cart": [{"price": object()}]}, "state['cart'][0]['price']"),
        ({object: 1}, "state[<class 'object'>] (the key)"),
        (2**300, "state"),
    ],
    ids=stable_repr,
)
def test_the_path_in_a_value(state_payload, value, path):
    """The error for an unsupported value names its path, which begins with "state"."""
    with pytest.raises(NotSerializableError) as caught:
        state_payload.dumps(value, None)
    assert caught.value.path == path
    assert str(caught.value).startswith(path + ": ")


@pytest.mark.parametrize(
    ("order", "path"),
    [
        (made(lines=[1, {"price": object()}]), "Order.lines[1]['price']"),
        (made(text=object()), "Order.text"),
        (made(ü2=object()), "Order.ü2"),
        (made(**{"a b": object()}), "Order['a b']"),
        (made(**{"2": object()}), "Order['2']"),
        (made(**{"it's": object()}), 'Order["it\'s"]'),
        (made(lines={object: 1}), "Order.lines[<class 'object'>] (the key)"),
        (Order(1, object()), "Order.load()[1]"),
        (Order(owner=[object()]), "Order.load()['owner'][0]"),
    ],
)
def test_the_path_in_an_object(state_payload, order, path):
    """The error for an unsupported value in an object names the attribute or argument."""
    with pytest.raises(NotSerializableError) as caught:
        state_payload.dumps(order, "code")
    assert caught.value.path == path


def test_the_path_in_a_class_within_a_class(state_payload):
    """An error names a nested class by its qualified name."""
    inner = Outer.Inner()
    inner.text = object()
    with pytest.raises(NotSerializableError) as caught:
        state_payload.dumps(inner, "code")
    assert caught.value.path == "Outer.Inner.text"


def test_the_cause_is_kept(state_payload):
    """The error keeps type and cause of the fault."""
    with pytest.raises(NotSerializableError, match=r"builtins\.object") as caught:
        state_payload.dumps([object()], None)
    assert caught.value.type is object
    assert caught.value.__cause__ is not None


def test_a_circle(state_payload):
    """An object that contains itself is not serializable, and the search for the fault ends."""
    order = made()
    order.me = order
    with pytest.raises(NotSerializableError, match=r"^Order.me:"):
        state_payload.dumps(order, "code")
    circle = []
    circle.append(circle)
    with pytest.raises(NotSerializableError, match="itself"):
        state_payload.dumps(circle, None)


# ------------------------------------------------------------------------------------------------------ how large it is


def test_too_large_to_be_read(state_payload):
    """A payload over the limit is too large even if it compresses well. The error names its parts."""
    order = made(small=1, text="x" * 70_000, lines=["y" * 1000] * 5)
    with pytest.raises(StateTooLargeError) as caught:
        state_payload.dumps(order, "code")
    error = caught.value
    assert error.limit == 64 * 1024
    assert error.size > error.limit
    assert list(error.by_key) == ["text", "lines", "load()", "small"]
    assert error.by_key["text"] == 64 * 1024  # at least
    assert 5000 < error.by_key["lines"] < 5100
    assert len(zlib.compress(b"x" * 70_000)) < 1000


def test_as_large_as_can_be_read(state_payload):
    """A payload of exactly 64 KiB is accepted. One of a byte more is too large."""
    value = b"x" * (64 * 1024 - len(WRITER.dumps([None, b"x" * 256])) + 256)
    payload = state_payload.dumps(value, None)
    assert len(payload) == 64 * 1024
    assert state_payload.loads(payload) == [None, value]
    with pytest.raises(StateTooLargeError, match=r"\b65537 .*\b65536 "):
        state_payload.dumps(value + b"x", None)


def test_many_parts_that_are_too_large_together(state_payload):
    """The sizes of parts are listed one by one if only their sum is too large."""
    with pytest.raises(StateTooLargeError) as caught:
        state_payload.dumps(dict.fromkeys(range(80), "x" * 1000), None)
    assert caught.value.size > caught.value.limit
    assert len(caught.value.by_key) == 80


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ({"b": None, 5: "x" * 100}, {5: "x" * 100, "b": None}),
        ({}, {}),
        (["x" * 100], {"state": ["x" * 100]}),
        (collections.OrderedDict(a=1), {"state": collections.OrderedDict(a=1)}),
        (made(a=1, b="x" * 100), {"b": "x" * 100, "load()": [(1,), {"shop": "corner"}], "a": 1}),
    ],
    ids=["dict", "empty", "list", "other", "object"],
)
def test_sizes(state_payload, value, parts):
    """Sizes are those of a dict's items, or of an object's attributes and arguments of load, largest first. Any other
    value is one part.
    """
    assert list(state_payload.measure(value).items()) == [(key, len(WRITER.dumps(part))) for key, part in parts.items()]


def test_a_part_behind_one_that_is_too_large(state_payload):
    """An unsupported part does not hide that another part is too large."""
    with pytest.raises(StateTooLargeError) as caught:
        state_payload.dumps({"large": "x" * 70_000, "odd": object()}, None)
    assert set(caught.value.by_key) == {"large", "odd"}


@pytest.mark.parametrize(
    "value",
    [[None] * 16 * 1024, [1.5j] * 1025, {"a": [frozenset()] * 1025}, dict.fromkeys(range(1025)), {*range(1025)}],
    ids=["values", "typed", "in a dict", "keys", "elements"],
)
def test_too_many_values(state_payload, value):
    """The error for too many values names all three limits."""
    for attempt, path in ((value, "state"), (made(lines=value), "Order")):
        with pytest.raises(NotSerializableError, match=r"\b16384 .*\b1024 .*\b1024 ") as caught:
            state_payload.dumps(attempt, "code" if isinstance(attempt, Order) else None)
        assert caught.value.path == path


def test_as_many_values_as_are_read(state_payload):
    """Values up to the limits are written and read."""
    value = [[None] * 9_000, [1.5j] * 1000, {*range(500)}, dict.fromkeys(range(520))]
    assert state_payload.loads(state_payload.dumps(value, None)) == [None, value]
