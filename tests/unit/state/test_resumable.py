"""`Resumable`: which attributes are sealed, what load restores, and which methods clients can call."""

import abc
import asyncio
import copy
import dataclasses
import functools
import re
import threading
from types import MappingProxyType

import pytest

from sealedsession.errors import ConfigError, NotPublicError, NotSerializableError, StaleStateError, StateError, got
from sealedsession.state.resumable import Resumable, get_load_record, public, restore


class GoneError(Exception):
    """An exception for stale_on."""


class Item(Resumable):
    """An item with a default, a loaded attribute, and an attribute that a method sets."""

    stale_on = (GoneError, LookupError)
    text = "new"
    loads = 0

    def load(self, number, *, shop=None):
        self.title = f"item {number}"
        self.shop = shop

    @public
    def rename(self, text, times=1):
        self.text = text * times
        return self.text

    def delete(self):
        raise AssertionError("not public")

    def _hidden(self):
        raise AssertionError("private")

    @property
    def shown(self):
        return f"{self.title}: {self.text}"


def again(target, args=None, kwargs=None):
    """Restore a copy of an object from its state."""
    loading = get_load_record(target)
    return restore(type(target), loading.args if args is None else args, kwargs or loading.kwargs, target.state)


# ------------------------------------------------------------------------------------------------------- load and state


def test_load_runs_when_it_is_made_and_when_it_is_resumed():
    """load runs with the arguments of the class, when an object is made and when it is resumed."""
    item = Item(7, shop="corner")
    assert (item.title, item.shop) == ("item 7", "corner")
    back = again(item)
    assert type(back) is Item
    assert (back.title, back.shop) == ("item 7", "corner")
    assert get_load_record(back).args == (7,)
    assert get_load_record(back).kwargs == {"shop": "corner"}


def test_what_is_in_a_state():
    """The state has the attributes that were set, except private ones and those that load set."""
    item = Item(7)
    assert item.state == {}
    item.text, item._cache, item.note = "milk", "private", None
    assert item.state == {"text": "milk", "note": None}
    back = again(item)
    assert (back.text, back.note, back.state) == ("milk", None, item.state)
    assert not hasattr(back, "_cache")


def test_what_load_sets_is_left_out_for_good():
    """An attribute that load has set is never in the state, even if it is changed later."""
    item = Item(7)
    item.title = "changed"
    assert "title" not in item.state
    assert again(item).title == "item 7"


def test_what_load_calls_is_tracked():
    """Attributes that other functions set while load runs are not in the state."""

    def helper(target):
        target.by_helper = 1

    class Outer(Resumable):
        def load(self):
            self.prepare()
            setattr(self, "by_name", 3)  # noqa: B010

        def prepare(self):
            helper(self)
            self.by_method = 2

    assert vars(Outer()).keys() >= {"by_helper", "by_method", "by_name"}
    assert Outer().state == {}


def test_what_the_class_before_it_sets_is_tracked():
    """Attributes that super().load() sets are not in the state."""

    class Below(Item):
        def load(self, number):
            super().load(number)
            self.after = 1

    assert Below(7).state == {}


def test_load_finds_the_state():
    """The sealed attributes are in place when load runs."""

    class Search(Resumable):
        text = ""

        def load(self):
            self.found = [word for word in ("apple", "pear") if self.text and self.text in word]

    search = Search()
    assert search.found == []
    search.text = "pp"
    assert again(search).found == ["apple"]


def test_a_deleted_attribute_is_not_kept():
    """A deleted attribute is not in the state, and the class's default applies again."""
    item = Item(7)
    item.text = "milk"
    item = again(item)
    del item.text
    assert item.state == {}
    assert again(item).text == "new"


def test_what_load_deletes_is_gone():
    """load can delete a sealed attribute."""

    class Once(Resumable):
        note = ""

        def load(self):
            vars(self).pop("note", None)

    once = Once()
    once.note = "read me"
    assert again(once).state == {}


def test_a_change_in_place_is_kept():
    """A list that a method changes in place is sealed with its new content."""

    class Basket(Resumable):
        def __init__(self):
            self.items = []
            super().__init__()

    basket = Basket()
    basket.items.append("milk")
    back = again(basket)
    back.items.append("tea")
    assert back.state == {"items": ["milk", "tea"]}


def test_an_init_runs_once():
    """An __init__ runs once. It sets initial attributes, and passes load its arguments."""
    ran = []

    class Basket(Resumable):
        def __init__(self, owner, first):
            ran.append(owner)
            self.items = [first]
            super().__init__(owner, shop="corner")
            self.after = "load"

        def load(self, owner, shop):
            self.greeting = f"{owner} at {shop} with {self.items}"

    basket = Basket("ann", "milk")
    assert basket.state == {"items": ["milk"], "after": "load"}
    back = again(basket)
    assert ran == ["ann"]
    assert back.greeting == "ann at corner with ['milk']"
    assert back.state == basket.state


def test_an_init_that_does_not_load():
    """Sealing an object whose __init__ does not call Resumable.__init__ is an error that names the missing call."""

    @dataclasses.dataclass
    class Point(Resumable):
        x: int

    for ask in (lambda point: point.state, get_load_record):
        with pytest.raises(NotSerializableError, match=r"Point\.__init__ .*super\(\)\.__init__\(\)") as caught:
            ask(Point(1))
        assert caught.value.type is Point


def test_a_dataclass():
    """The fields of a dataclass that calls super().__init__ in __post_init__ are its state."""

    @dataclasses.dataclass
    class Point(Resumable):
        x: int
        tags: list = dataclasses.field(default_factory=list)

        def __post_init__(self):
            super().__init__()

        def load(self):
            self.double = 2 * self.x

    point = Point(3)
    assert point.state == {"x": 3, "tags": []}
    assert again(point) == point
    assert again(point).double == 6


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_copies(copied):
    """A copy has the same state and arguments, and load does not run for it."""
    item = Item(7)
    item.text = "milk"
    vars(item)["title"] = "as it was"
    made = copied(item)
    assert (made.state, get_load_record(made).args, made.title) == (item.state, (7,), "as it was")


def test_objects_do_not_share_what_was_tracked():
    """Objects and threads track their own attributes."""
    both = threading.Barrier(2, timeout=60)

    class Slow(Resumable):
        def load(self, name):
            both.wait()
            setattr(self, name, 1)
            both.wait()

    made = {}
    threads = [threading.Thread(target=lambda name=name: made.update({name: Slow(name)})) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made["a"].b, made["b"].a = 2, 3
    assert (made["a"].state, made["b"].state) == ({"b": 2}, {"a": 3})


def test_tracking_ends_when_load_fails():
    """Attributes that are set after a failed load are in the state."""

    class Fails(Resumable):
        def __init__(self):
            try:
                super().__init__()
            except GoneError:
                self.note = "failed"

        def load(self):
            self.half = 1
            raise GoneError

    assert Fails().state == {"note": "failed"}


def test_cached_properties_are_computed_again():
    """The stored value of a cached_property is not in the state."""

    class Report(Resumable):
        @functools.cached_property
        def total(self):
            return 5

    report = Report()
    assert report.total == vars(report)["total"] == 5
    assert report.state == {}


@pytest.mark.parametrize("name", ["rename", "delete", "load", "shown", "state", "call"])
def test_an_attribute_with_the_name_of_a_method(name):
    """Sealing an attribute with the name of a method is an error."""
    item = Item(7)
    vars(item)[name] = 1
    with pytest.raises(NotSerializableError, match=f"^Item.{name}:") as caught:
        _ = item.state
    assert (caught.value.path, caught.value.type) == (f"Item.{name}", int)


def test_names_that_are_no_identifiers():
    """Attributes with any public name are sealed, also those that only setattr can set."""
    item = Item(7)
    for name in ("", "a b", "ü", "class"):
        setattr(item, name, name)
    assert again(item).state == {"": "", "a b": "a b", "ü": "ü", "class": "class"}


def test_descriptors_that_store_in_the_object():
    """A descriptor that stores its value in the object under its own name is sealed like an attribute."""

    class Positive:
        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, instance, owner=None):
            return self if instance is None else vars(instance)[self.name]

        def __set__(self, instance, value):
            assert value > 0
            vars(instance)[self.name] = value

    class Counter(Resumable):
        count = Positive()

    counter = Counter()
    counter.count = 5
    assert counter.state == {"count": 5}
    assert again(counter).count == 5


# --------------------------------------------------------------------------------------------------------------- resume


@pytest.mark.parametrize("name", ["load", "rename", "delete", "shown", "call", "state", "cached", "of_class", "static"])
def test_a_state_does_not_shadow_a_method(name):
    """A state with an attribute that is a method now is stale, and the method remains."""

    class Changed(Item):
        cached = functools.cached_property(lambda self: 1)
        of_class = classmethod(lambda cls: 1)
        static = staticmethod(lambda: 1)

    with pytest.raises(StaleStateError, match=re.escape(f"{[name]}")):
        restore(Changed, (7,), {}, {"text": "kept", name: "shadow"})
    assert restore(Changed, (7,), {}, {"text": "kept"}).text == "kept"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((7, 8), {}), ((7,), {"number": 8}), ((7,), {"colour": 1}), ((), {"shop": 1})],
    ids=["none", "too many", "twice", "unknown", "missing"],
)
def test_arguments_that_no_longer_fit(args, kwargs):
    """A state is stale if load does not accept its arguments. The error names the problem."""
    with pytest.raises(StaleStateError, match=r"^Item\.load .*: .*load\(\)"):
        restore(Item, args, kwargs, {})


def test_arguments_named_self():
    """A keyword argument named like the first parameter of load makes a state stale."""

    class Takes(Resumable):
        def load(self, **names):
            self.names = names

    assert restore(Takes, (), {"it": 1}, {}).names == {"it": 1}
    with pytest.raises(StaleStateError, match=r"Takes\.load .*: .*'self'"):
        restore(Takes, (), {"self": 1}, {})


@pytest.mark.parametrize("args", [(7,), ("7",)])
def test_a_type_error_within_load(args):
    """A TypeError that load raises propagates unchanged."""

    class Broken(Resumable):
        def load(self, number):
            raise TypeError("broken")

    with pytest.raises(TypeError, match=r"^broken$"):
        restore(Broken, args, {}, {})


def test_a_type_error_of_what_load_calls():
    """A TypeError of a wrong call inside load propagates unchanged."""

    class Broken(Resumable):
        def load(self, number):
            Item().load()

    with pytest.raises(TypeError, match=r"load\(\)"):
        restore(Broken, (7,), {}, {})


@pytest.mark.parametrize(
    "error", [GoneError("secret"), KeyError("secret"), IndexError("secret")], ids=lambda e: type(e).__name__
)
def test_stale_on(error):
    """An exception of stale_on in load is a StaleStateError with this cause, and without its text."""

    class Row(Item):
        def load(self):
            raise error

    with pytest.raises(StaleStateError) as caught:
        restore(Row, (), {}, {})
    assert caught.value.__cause__ is error
    assert str(caught.value).endswith(f"Row.load raised {type(error).__name__}, which is in stale_on")


def test_stale_on_may_have_type_error():
    """stale_on may contain TypeError."""

    class Row(Resumable):
        stale_on = (TypeError,)

        def load(self):
            raise TypeError

    with pytest.raises(StaleStateError, match=r"Row\.load .*TypeError.* stale_on"):
        restore(Row, (), {}, {})


@pytest.mark.parametrize(
    "error",
    [ValueError("down"), ConnectionError("down"), StaleStateError("gone"), StateError("wrong"), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_of_load_pass(error):
    """Other exceptions of load propagate unchanged."""

    class Row(Item):
        def load(self):
            raise error

    with pytest.raises(type(error)) as caught:
        restore(Row, (), {}, {})
    assert caught.value is error


def test_stale_on_is_for_resuming():
    """While an object is made, exceptions of stale_on propagate unchanged."""

    class Row(Item):
        def load(self):
            raise GoneError

    with pytest.raises(GoneError):
        Row()


def test_stale_on_of_a_state_is_nothing():
    """An attribute stale_on in a state has no effect."""

    class Row(Resumable):
        def load(self):
            raise KeyError("a fault")

    with pytest.raises(KeyError):
        restore(Row, (), {}, {"stale_on": (KeyError,)})


# ----------------------------------------------------------------------------------------------------------------- call


def test_call():
    """`call` calls a public method with the client's arguments, and returns its result."""
    item = Item(7)
    assert item.call("rename", "milk") == "milk"
    assert item.call("rename", "ab", times=2) == "abab"
    assert item.text == "abab"


NOT_PUBLIC = [
    "shown", "state", "text", "title", "nothing", "_hidden", "__init__", "__class__", "",
    "rename ", "RENAME", "rename.__globals__", "mro", "_sealedsession_public", "\udc80", "x" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_PUBLIC, ids=lambda name: f"{name[:20]!a}")
def test_not_public(name):
    """Names of missing, private and other members are refused with the same short message."""
    with pytest.raises(NotPublicError) as caught:
        Item(7).call(name)
    assert str(caught.value).startswith("Item ")
    assert str(caught.value).endswith(f" {name[:60]!a}")


@pytest.mark.parametrize("name", ["delete", "load", "call"])
def test_not_marked(name):
    """A method without the mark is refused, with a message for the log."""
    with pytest.raises(NotPublicError, match=rf"^Item\.{name} .*@public$"):
        Item(7).call(name)


def test_nothing_of_a_metaclass_is_public():
    """Methods of the metaclass are not public. Marked methods of a base are."""

    class Meta(type):
        @public
        def of_meta(cls):
            raise AssertionError("a client has called it")

        @public
        def shared(cls):
            raise AssertionError("a client has called it")

    class Base:
        @public
        def shared(self):
            return "of the base"

    class Made(Base, Resumable, metaclass=Meta):
        pass

    with pytest.raises(NotPublicError):
        Made().call("of_meta")
    assert Made().call("shared") == "of the base"


def test_a_private_name_is_not_called():
    """A method with a private name cannot be called."""

    class Hides(Item):
        pass

    Hides._hidden = public(lambda self: 1)
    with pytest.raises(NotPublicError):
        Hides(7).call("_hidden")


def test_an_attribute_is_no_method():
    """An attribute of an object cannot be called."""
    item = Item(7)
    item.helper = public(lambda self: 1)
    with pytest.raises(NotPublicError):
        item.call("helper")


def test_an_inherited_method():
    """A public method is inherited. An override without the mark is not public."""

    class Inherits(Item):
        pass

    class Overrides(Item):
        def rename(self, text):
            raise AssertionError("not public")

    class MarksAgain(Overrides):
        @public
        def rename(self, text):
            return "again"

    class Removes(Item):
        rename = None

    assert Inherits(7).call("rename", "milk") == "milk"
    assert MarksAgain(7).call("rename", "milk") == "again"
    for cls in (Overrides, Removes):
        with pytest.raises(NotPublicError):
            cls(7).call("rename", "milk")


def test_methods_of_a_class_that_is_not_resumable():
    """Only marked methods of a mixin are public."""

    class Mixin:
        def plain(self):
            raise AssertionError("not public")

        @public
        def marked(self):
            return "called"

    class Mixed(Mixin, Resumable):
        pass

    assert Mixed().call("marked") == "called"
    with pytest.raises(NotPublicError):
        Mixed().call("plain")


def counted(method):
    """Decorate a method with functools.wraps, which copies the mark."""

    @functools.wraps(method)
    def counting(self, *args):
        self.calls = getattr(self, "calls", 0) + 1
        return method(self, *args)

    return counting


def test_wrapped_methods():
    """A decorated method is public if the mark is above the decorator."""

    class Wrapped(Resumable):
        @public
        @counted
        def show(self, value):
            return value

    wrapped = Wrapped()
    assert (wrapped.call("show", 1), wrapped.calls) == (1, 1)
    with pytest.raises(StateError, match=r"Wrapped\.show .*: "):
        wrapped.call("show")


def test_a_wrapped_override():
    """An override that wraps a public method is public only if it is marked itself."""

    class Quiet(Item):
        rename = counted(Item.rename)
        again = functools.partialmethod(Item.rename, times=2)

    class Marked(Item):
        rename = public(counted(Item.rename))

    assert Marked(7).call("rename", "milk") == "milk"
    assert Item(7).call("rename", "milk") == "milk"
    with pytest.raises(NotPublicError, match=r"Quiet\.rename .*@public"):
        Quiet(7).call("rename", "milk")
    with pytest.raises(NotPublicError):
        Quiet(7).call("again", "milk")


@pytest.mark.parametrize(
    "decorator",
    [classmethod, staticmethod, property, functools.cached_property, functools.partialmethod, counted],
    ids=lambda decorator: decorator.__name__,
)
@pytest.mark.parametrize("bases", [(Resumable,), (object,)], ids=["its own", "a mixin's"])
def test_a_mark_below_another_decorator(decorator, bases):
    """A mark below another decorator is refused when the class is defined."""
    members = {"show": decorator(public(lambda self: 1))}
    with pytest.raises(ConfigError, match=r"^Odd\.show:"):
        type("Odd", (type("Odd", bases, members), Resumable), {})


def test_a_mark_of_a_private_name():
    """A mark of a private method is refused when the class is defined."""
    with pytest.raises(ConfigError, match=r"^Odd\._show:"):
        make(_show=public(lambda self: 1))


def test_a_mark_with_parentheses():
    """@public() is an error that shows the correct spelling."""
    with pytest.raises(ConfigError, match=r"^@public: .*parentheses"):
        public()


@pytest.mark.parametrize(
    "what",
    [classmethod(len), staticmethod(len), property(len), functools.partial(len), len, Item, 5],
    ids=lambda what: type(what).__name__,
)
def test_public_marks_functions(what):
    """@public on anything except a function is an error."""
    with pytest.raises(ConfigError, match=f"^@public: .*{got(what)}$"):
        public(what)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), (("a", 2, 3), {}), (("a",), {"text": "b"}), (("a",), {"unknown": 1})],
    ids=["missing", "too many", "twice", "unknown"],
)
def test_arguments_that_do_not_fit(args, kwargs):
    """Arguments that a method does not accept are a StateError that names the method."""
    with pytest.raises(StateError, match=r"^Item\.rename .*: ") as caught:
        Item(7).call("rename", *args, **kwargs)
    assert type(caught.value) is StateError


@pytest.mark.parametrize(
    "error",
    [
        TypeError("a fault"),
        GoneError("gone"),
        LookupError("gone"),
        StaleStateError("gone"),
        StateError("too long"),
        ValueError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_a_method_pass(error):
    """Exceptions of a method propagate unchanged, also those of stale_on."""

    class Raises(Item):
        @public
        def fail(self):
            raise error

    with pytest.raises(type(error)) as caught:
        Raises(7).call("fail")
    assert caught.value is error


def test_a_wrong_call_within_a_method():
    """A TypeError of a wrong call inside a method propagates unchanged."""

    class Raises(Item):
        @public
        def fail(self, text):
            self.rename()

    with pytest.raises(TypeError, match=r"rename\(\)"):
        Raises(7).call("fail", "x")


def with_a_shop(method):
    """Decorate a method whose first argument is the decorator's, so that its signature is not the client's."""

    @functools.wraps(method)
    def with_shop(self, *args, **kwargs):
        return method(self, "corner", *args, **kwargs)

    return with_shop


def faulty_decorator(method):
    """Decorate a method with a decorator that fails before it calls the method."""

    @functools.wraps(method)
    def failing(self, *args):
        return method(self, int(None), *args)

    return failing


def never_wrapped(method):
    """Decorate a method without functools.wraps."""
    return lambda self, *args: method(self, "corner", *args)


def in_a_helper(method):
    """Decorate a method that a function of the decorator's own calls."""

    def run(function, *args):
        return function(*args)

    return functools.wraps(method)(lambda self, *args: run(method, self, "corner", *args))


class Decorated(Resumable):
    """Public methods below decorators, each with an argument of a client behind the decorator's own."""

    def _fail(self, shop, text):
        return len(5)

    def _call_wrongly(self, shop, text):
        return self._fail()

    def _work(self, shop, text):
        return f"{text} at {shop}"

    @staticmethod
    def _static(shop, text):
        return len(5)

    @classmethod
    def _of_class(cls, shop, text):
        return len(5)

    _partial = functools.partialmethod(_fail, "corner")

    wraps_fails = public(with_a_shop(_fail))
    wraps_calls_wrongly = public(with_a_shop(_call_wrongly))
    decorator_fails = public(faulty_decorator(_work))
    twice_fails = public(counted(with_a_shop(_fail)))
    unwrapped_fails = public(never_wrapped(_fail))
    helper_fails = public(in_a_helper(_fail))
    staticmethod_fails = public(with_a_shop(lambda self, shop, text: self._static(shop, text)))
    classmethod_fails = public(with_a_shop(lambda self, shop, text: self._of_class(shop, text)))
    partialmethod_fails = public(with_a_shop(lambda self, shop, text: self._partial(text)))
    partialmethod_called_wrongly = public(with_a_shop(lambda self, shop, text: self._partial(text, text)))

    @public
    @with_a_shop
    async def async_fails(self, shop, text):
        return len(5)

    builtin_fails = public(functools.wraps(len)(lambda self, text: len(int(text))))
    object_fails = public(functools.wraps(functools.partial(_fail))(lambda self, text: len(5)))

    works = public(with_a_shop(_work))
    works_twice = public(counted(with_a_shop(_work)))
    works_in_a_helper = public(in_a_helper(_work))


@pytest.mark.parametrize("name", [name for name in vars(Decorated) if name[0] != "_" and "work" not in name])
def test_a_type_error_below_a_decorator(name):
    """A TypeError of the application's code is raised unchanged, whatever the signature below its decorators is."""

    async def awaited(result):
        return await result if hasattr(result, "__await__") else result

    with pytest.raises(TypeError) as caught:
        asyncio.run(awaited(Decorated().call(name, "5")))
    assert not isinstance(caught.value, StateError)


@pytest.mark.parametrize("name", ["works", "works_twice", "works_in_a_helper"])
def test_arguments_that_do_not_fit_below_a_decorator(name):
    """Wrong arguments are a StateError, also if a decorator passes them on."""
    assert Decorated().call(name, "milk") == "milk at corner"
    for args in ((), ("milk", "tea", "bread")):
        with pytest.raises(StateError):
            Decorated().call(name, *args)


def test_arguments_that_an_async_method_does_not_take():
    """Wrong arguments for an async method are refused at the call, before it is awaited."""
    with pytest.raises(StateError):
        Decorated().call("async_fails")


def test_a_type_error_in_a_decorated_load():
    """A TypeError inside a decorated load propagates unchanged. Wrong arguments make the state stale."""

    class Broken(Resumable):
        @with_a_shop
        def load(self, shop, number):
            return len(number)

    assert restore(Broken, ("7",), {}, {}).state == {}
    with pytest.raises(TypeError):
        restore(Broken, (7,), {}, {})
    with pytest.raises(StaleStateError):
        restore(Broken, (), {}, {})


# ---------------------------------------------------------------------------------------- classes that cannot come back


def make(**members):
    return type("Odd", (Resumable,), members)


async def load_later(self):
    """Do nothing, asynchronously."""


SLOTTED = type("Slotted", (), {"__slots__": ("count",)})


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: make(call=lambda self: 1), "^Odd.call:"),
        (lambda: make(state=""), "^Odd.state:"),
        (lambda: make(state=property(lambda self: {})), "^Odd.state:"),
        (
            lambda: type("Odd", (type("Mixin", (), {"call": 1}), Resumable), {}),
            "^Odd.call:",
        ),
        (lambda: make(load=load_later), f"^Odd.load: .*{got(load_later)}$"),
        (
            lambda: make(load=classmethod(len)),
            f"^Odd.load: .*{got(classmethod(len))}$",
        ),
        (lambda: make(load=None), f"^Odd.load: .*{got(None)}$"),
        (lambda: make(stale_on=KeyError), "^Odd.stale_on:"),
        (lambda: make(stale_on=[KeyError]), "^Odd.stale_on:"),
        (lambda: make(stale_on=(KeyError, "gone")), "^Odd.stale_on:"),
        (lambda: make(stale_on=(KeyError, int)), "^Odd.stale_on:"),
        (lambda: make(stale_on=(KeyboardInterrupt,)), "^Odd.stale_on:"),
        (lambda: make(__slots__=("count",)), "^Odd.count:"),
        (lambda: type("Odd", (SLOTTED, Resumable), {}), "Odd.count: is in __slots__"),
        (lambda: make(items=[]), "^Odd.items:"),
        (lambda: make(items={}), "^Odd.items:"),
        (lambda: make(items=set()), "^Odd.items:"),
    ],
)
def test_a_class_that_cannot_be_resumed(attempt, message):
    """A class whose objects could not be resumed is refused when it is defined."""
    with pytest.raises(ConfigError, match=message):
        attempt()


@pytest.mark.parametrize(
    "members",
    [
        {"items": (), "names": frozenset(), "by_name": MappingProxyType({})},
        {"_cache": {}, "__annotations__": {"items": list}},
        {"stale_on": ()},
        {"__slots__": ()},
        {"Meta": type("Meta", (), {"names": []})},
    ],
    ids=lambda members: next(iter(members)),
)
def test_a_class_that_can_be_resumed(members):
    """Immutable class attributes, private names, empty slots and nested classes are accepted."""
    assert again(make(**members)()).state == {}


def test_other_kinds_of_classes():
    """Abstract classes and class arguments work as for any class."""

    class Named(Resumable, abc.ABC):
        def __init_subclass__(cls, name="", **kwargs):
            super().__init_subclass__(**kwargs)
            cls.called = name

        @abc.abstractmethod
        def show(self): ...

    class Concrete(Named, name="concrete"):
        def show(self):
            return self.called

    assert again(Concrete()).show() == "concrete"
    with pytest.raises(TypeError, match="abstract"):
        Named()


def test_resumable_itself():
    """An object of the base class loads nothing and has no state."""
    bare = Resumable(1, a=2)
    assert bare.state == {}
    with pytest.raises(NotPublicError):
        bare.call("load")
