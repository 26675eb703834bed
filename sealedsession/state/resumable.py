"""Objects that live from request to request in a sealed state, and what of them a client may call.

1. `load` runs when the object is made, and again whenever it is resumed. What it sets, or what it calls sets, is left
   out of the state: it is made anew each time. `load` finds in place what the state has kept.
2. Everything else public goes into the state: the attributes of the instance that do not begin with an underscore.
3. A client may call methods marked with `public`, and nothing else.
4. A state sets attributes, and never stands in for a method, whatever is in it.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partialmethod
from traceback import walk_tb
from types import FunctionType, MemberDescriptorType
from typing import Any, ClassVar, TypeVar, cast

from sealedsession.errors import ConfigError, NotPublicError, NotSerializableError, StaleStateError, StateError, got

Method = TypeVar("Method", bound=Callable[..., Any])
State = TypeVar("State", bound="Resumable")

_PUBLIC = "_sealedsession_public"  # holds the function itself: functools.wraps copies marks, and means no such thing
_OURS = ("call", "state")


def public(method: Method | None = None, /) -> Method:
    """Let clients call a method. Its arguments are theirs: any JSON. An override is public only if it says so too.

    :raises ConfigError: for what is no function, such as a classmethod or a property.
    """
    if method is None:
        raise ConfigError("public() was called without a method: write @public, without parentheses")
    if type(method) is not FunctionType:
        raise ConfigError(f"@public marks the methods of a class{got(method)}")
    setattr(method, _PUBLIC, method)
    return method


class _Loading:
    """What `load` was called with, and the names that were set meanwhile."""

    __slots__ = ("args", "is_running", "kwargs", "names")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args, self.kwargs = args, kwargs
        self.names: set[str] = set()
        self.is_running = True


class Resumable:
    """Base class of objects that are sealed into a page, and resumed when it calls them.

    The arguments of the class are those of `load`, and are sealed along with the state. An ``__init__`` of your own
    runs once, when the object is made, and not when it is resumed: it sets what the state begins with, and calls
    ``super().__init__(...)``, which loads.

    :cvar stale_on: exceptions of `load` that mean that what it needs is gone: `StaleStateError` then. What else it
        raises is the application's own error.
    :raises ConfigError: where a subclass is defined that could not be resumed.
    """

    stale_on: ClassVar[tuple[type[Exception], ...]] = ()

    _sealedsession: _Loading | None = None
    # For the error about a value that cannot be serialized.
    _sealedsession_advice = (
        "Seal it by itself, in a token of its own: a state holds no other object, only what names one"
    )
    _sealedsession_taken = frozenset(("call", "load", "state"))  # names of methods and the like

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._sealedsession_taken = frozenset(filter(lambda name: _is_method(_static(cls, name)), dir(cls)))
        _check(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Load the object."""
        _load(self, args, kwargs)

    def load(self, *args: Any, **kwargs: Any) -> None:
        """Set what need not be sealed, because it can be had again."""

    def __setattr__(self, name: str, value: object) -> None:
        loading = self._sealedsession
        if loading is not None and loading.is_running:
            loading.names.add(name)
        super().__setattr__(name, value)

    @property
    def state(self) -> dict[str, Any]:
        """What is sealed, besides the arguments of `load`: public attributes that were not set by it.

        :raises NotSerializableError: for an attribute that has the name of a method.
        """
        loaded = loaded_with(self).names
        kept = {name: value for name, value in vars(self).items() if name[:1] != "_" and name not in loaded}
        for name in self._sealedsession_taken.intersection(kept):
            if not isinstance(_static(type(self), name), cached_property):  # that is computed again
                where = f"{type(self).__qualname__}.{name}"
                raise NotSerializableError(
                    where, type(kept[name]), "it has the name of a method, and could not be put back"
                )
            del kept[name]
        return kept

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a public method for a client.

        :raises NotPublicError: when it is not marked as public, or there is none.
        :raises StateError: when it does not take these arguments.
        """
        method = _static(type(self), name)
        if name.startswith("_") or not isinstance(method, FunctionType):
            raise NotPublicError(f"{type(self).__qualname__} has no public method {name[:60]!a}")
        if not _is_marked(method):
            raise NotPublicError(f"{type(self).__qualname__}.{name} is not marked @public")
        try:
            return method(self, *args, **kwargs)
        except TypeError as error:
            if not _refuses(method, error, (self, *args), kwargs):
                raise
            raise StateError(f"{type(self).__qualname__}.{name} takes other arguments: {error}") from None


def loaded_with(target: Resumable) -> _Loading:
    """What an object was loaded with.

    :raises NotSerializableError: when it was not.
    """
    if target._sealedsession is None:
        name = type(target).__qualname__
        raise NotSerializableError(
            name, type(target), f"{name}.__init__ does not call super().__init__(), which loads it"
        )
    return target._sealedsession


def resume(cls: type[State], args: Sequence[Any], kwargs: Mapping[str, Any], state: Mapping[str, Any]) -> State:
    """Make an object again of what was sealed.

    :param state: public names and values.
    :raises StaleStateError: when it does not fit the class any more, or `load` raises one of `stale_on`.
    """
    if not cls._sealedsession_taken.isdisjoint(state):
        taken = sorted(cls._sealedsession_taken.intersection(state))
        raise StaleStateError(f"a state of {cls.__qualname__} has attributes that are methods now: {taken}")
    target = cls.__new__(cls)
    vars(target).update(state)
    try:
        _load(target, tuple(args), dict(kwargs))
    except cls.stale_on as error:
        raise StaleStateError(f"{cls.__qualname__}: what it needs is gone: {type(error).__name__}") from error
    except TypeError as error:
        if not _refuses(cast(Any, _static(cls, "load")), error, (target, *args), kwargs):
            raise
        raise StaleStateError(f"{cls.__qualname__}.load takes other arguments now: {error}") from None
    return target


def _load(target: Resumable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    loading = vars(target)["_sealedsession"] = _Loading(args, kwargs)
    try:
        target.load(*args, **kwargs)
    finally:
        loading.is_running = False


def _refuses(function: Any, error: TypeError, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether a TypeError means that a function does not take its arguments, and not that its code failed.

    The signature alone does not show this, because a decorator can add arguments of its own. Two more conditions must
    hold. The function below all decorators has not begun. And the error's message begins with the function's name, as
    Python's messages about wrong arguments do.
    Checking the arguments before the call would be slower.
    """
    innermost: Any = inspect.unwrap(function)
    code = getattr(innermost, "__code__", None)  # None: a built-in function, or an object that can be called
    if any(frame.f_code is code for frame, _ in walk_tb(error.__traceback__)):
        return False
    names = {function.__qualname__, getattr(innermost, "__qualname__", "")}
    if not str(error).startswith(tuple(f"{name}() " for name in names)):
        return False
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return True
    return False


def _static(cls: type, name: str) -> object:
    """Return what the class or a base defines under a name. The metaclass defines nothing that instances have."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def _is_method(member: object) -> bool:
    """Whether it is a function, a property, or anything else that makes something of the object when it is asked for.
    What has a `__set__` of its own keeps a value in the object, under its own name perhaps.
    """
    return inspect.isroutine(member) or isinstance(member, property)


def check_resumable(cls: type[Resumable]) -> None:
    """Refuse a class whose objects are not loaded when they are made.

    :raises ConfigError: for a dataclass whose ``__init__`` calls no other, nor ``__post_init__``, which can.
    """
    made = vars(cls).get("__init__")
    if "__dataclass_fields__" not in vars(cls) or not isinstance(made, FunctionType):
        return
    if not {"__init__", "__post_init__"}.intersection(made.__code__.co_names):
        raise ConfigError(
            f"{cls.__qualname__} is a dataclass, whose __init__ does not load it: give it a __post_init__ that calls "
            "super().__init__(), or leave @dataclass out"
        )


def _check(cls: type[Resumable]) -> None:
    """Refuse a class whose objects would not come back as they were."""
    name = cls.__qualname__
    for ours in _OURS:
        if _static(cls, ours) is not vars(Resumable)[ours]:
            raise ConfigError(f"{name}.{ours}: Resumable has this name for itself; take another one")
    load = _static(cls, "load")
    if not isinstance(load, FunctionType) or inspect.iscoroutinefunction(load):
        raise ConfigError(f"{name}.load has to be an ordinary method, neither async nor a {type(load).__name__}")
    stale_on: Any = cls.stale_on
    if type(stale_on) is not tuple or not all(isinstance(e, type) and issubclass(e, Exception) for e in stale_on):
        raise ConfigError(f"{name}.stale_on has to be a tuple of exceptions, such as (KeyError,)")
    for attribute in dir(cls):
        if isinstance(_static(cls, attribute), MemberDescriptorType):
            raise ConfigError(f"{name}.{attribute} is one of __slots__, which no state has; leave __slots__ out")
        _check_mark(cls, attribute)
    for attribute, member in vars(cls).items():
        if isinstance(member, list | dict | set) and not attribute.startswith("_"):
            raise ConfigError(
                f"{name}.{attribute} is a {type(member).__name__} that all users would share: "
                "set it in __init__, or make it a tuple"
            )


def _is_marked(method: Any) -> bool:
    return vars(method).get(_PUBLIC) is method


def _check_mark(cls: type[Resumable], name: str) -> None:
    """Refuse a mark that would make nothing public. What has only been copied from a public method is no mistake."""
    member: Any = _static(cls, name)
    function = member
    if isinstance(member, classmethod | staticmethod):
        function = member.__func__
    elif isinstance(member, property):
        function = member.fget
    elif isinstance(member, cached_property | partialmethod):
        function = member.func
    marked: Any = vars(function).get(_PUBLIC) if isinstance(function, FunctionType) else None
    if marked is not None and marked is member and name[0] == "_":
        raise ConfigError(f"{cls.__qualname__}.{name} is @public, and no client may call a name with '_': rename it")
    if marked is not None and not any(marked is one for base in cls.__mro__ for one in vars(base).values()):
        raise ConfigError(
            f"{cls.__qualname__}.{name} has @public below another decorator, and what that made is not public: put "
            "@public on top, of an ordinary method, or leave it out"
        )
