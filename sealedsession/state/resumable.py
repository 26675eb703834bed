"""`Resumable`: objects that are sealed into a page, and resumed when the page calls one of their methods.

1. `load` runs when an object is made, and each time it is resumed. Attributes that are set while `load` runs are not
   sealed, because `load` sets them again. When it runs, the sealed attributes are already in place.
2. All other public attributes of the instance are sealed. An attribute is public if its name has no leading underscore.
3. A client can call methods that are marked with `public`, and nothing else.
4. A sealed state only sets attributes. It can never replace a method.
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

# Under this name, a public function has a reference to itself. functools.wraps copies the reference to other functions,
# which are not public, because the reference is not to themselves.
_PUBLIC = "_sealedsession_public"
_RESERVED = ("call", "state")  # names that a subclass must not override


def public(method: Method | None = None, /) -> Method:
    """Allow clients to call a method. Use it as a decorator.

    A client chooses the arguments freely, so the method must expect any JSON. Mark an override again.

    :raises ConfigError: if this is not a function, for example a classmethod or a property.
    """
    if method is None:
        raise ConfigError("@public: called without a method. Write @public, without parentheses")
    if type(method) is not FunctionType:
        raise ConfigError(f"@public: must decorate an ordinary method of a class{got(method)}")
    setattr(method, _PUBLIC, method)
    return method


class LoadRecord:
    """The arguments of `load`, and the names of the attributes that were set while it ran."""

    __slots__ = ("args", "is_running", "kwargs", "names")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args: tuple[Any, ...] = args
        self.kwargs: dict[str, Any] = kwargs
        self.names: set[str] = set()
        self.is_running: bool = True


class Resumable:
    """Base class of objects that are sealed into a page, and resumed when the page calls one of their methods.

    The arguments of the class are those of `load`, and are sealed with the attributes. An ``__init__`` of a subclass
    runs only when the object is made. It can set initial attributes, and calls ``super().__init__(...)`` with the
    arguments of `load`.

    :cvar stale_on: exceptions of `load` which mean that something it needs no longer exists. They become
        `StaleStateError`. Other exceptions propagate unchanged.
    :raises ConfigError: when a subclass is defined whose objects could not be resumed.
    """

    stale_on: ClassVar[tuple[type[Exception], ...]] = ()

    _sealedsession: LoadRecord | None = None
    # Used in the error about a value that is not serializable.
    _sealedsession_advice = (
        "Seal it in a token of its own. A state cannot contain another Resumable, only a value that identifies it"
    )
    _sealedsession_methods = frozenset(("call", "load", "state"))  # names of methods and properties

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._sealedsession_methods = frozenset(filter(lambda name: _is_method(_find_member(cls, name)), dir(cls)))
        _check_class(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Run `load` with these arguments."""
        _load(self, args, kwargs)

    def load(self, *args: Any, **kwargs: Any) -> None:
        """Set the attributes that need not be sealed, because they can be loaded again."""

    def __setattr__(self, name: str, value: object) -> None:
        record = self._sealedsession
        if record is not None and record.is_running:
            record.names.add(name)
        super().__setattr__(name, value)

    @property
    def state(self) -> dict[str, Any]:
        """The public attributes that `load` did not set. They are sealed, together with the arguments of `load`.

        :raises NotSerializableError: if an attribute has the name of a method.
        """
        loaded = get_load_record(self).names
        attributes = {name: value for name, value in vars(self).items() if name[:1] != "_" and name not in loaded}
        for name in self._sealedsession_methods.intersection(attributes):
            if not isinstance(_find_member(type(self), name), cached_property):
                where = f"{type(self).__qualname__}.{name}"
                problem = "this attribute has the name of a method, so it could not be restored. Rename it"
                raise NotSerializableError(where, type(attributes[name]), problem)
            del attributes[name]  # the cached property computes it again
        return attributes

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a public method for a client, and return its result.

        :raises NotPublicError: if there is no such method, or it is not marked with `public`.
        :raises StateError: if the method does not accept the arguments.
        """
        method = _find_member(type(self), name)
        if name.startswith("_") or not isinstance(method, FunctionType):
            raise NotPublicError(f"{type(self).__qualname__} has no public method {name[:60]!a}")
        if not _is_marked(method):
            raise NotPublicError(f"{type(self).__qualname__}.{name} is not marked @public")
        try:
            return method(self, *args, **kwargs)
        except TypeError as error:
            if not _is_argument_error(method, error, (self, *args), kwargs):
                raise
            raise StateError(f"{type(self).__qualname__}.{name} does not accept these arguments: {error}") from None


def get_load_record(target: Resumable) -> LoadRecord:
    """Return the record of the last `load` of an object.

    :raises NotSerializableError: if `load` never ran.
    """
    if target._sealedsession is None:
        name = type(target).__qualname__
        problem = f"{name}.__init__ does not call super().__init__(), which runs load(). Add the call"
        raise NotSerializableError(name, type(target), problem)
    return target._sealedsession


def restore(cls: type[State], args: Sequence[Any], kwargs: Mapping[str, Any], state: Mapping[str, Any]) -> State:
    """Make an object from its sealed state.

    :param args: positional arguments of `load`.
    :param kwargs: keyword arguments of `load`.
    :param state: attributes, with public names only.
    :raises StaleStateError: if the state no longer fits the class, or `load` raises an exception of `stale_on`.
    """
    if not cls._sealedsession_methods.isdisjoint(state):
        taken = sorted(cls._sealedsession_methods.intersection(state))
        raise StaleStateError(f"a state of {cls.__qualname__} has attributes that are methods now: {taken}")
    target = cls.__new__(cls)
    vars(target).update(state)
    try:
        _load(target, tuple(args), dict(kwargs))
    except cls.stale_on as error:
        raise StaleStateError(f"{cls.__qualname__}.load raised {type(error).__name__}, which is in stale_on") from error
    except TypeError as error:
        if not _is_argument_error(cast(Any, _find_member(cls, "load")), error, (target, *args), kwargs):
            raise
        raise StaleStateError(f"{cls.__qualname__}.load no longer accepts the sealed arguments: {error}") from None
    return target


def _load(target: Resumable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    record = vars(target)["_sealedsession"] = LoadRecord(args, kwargs)
    try:
        target.load(*args, **kwargs)
    finally:
        record.is_running = False


def _is_argument_error(function: Any, error: TypeError, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether a TypeError means that a function does not accept its arguments, and not that its code failed.

    The signature alone does not show this, because a decorator can add arguments of its own. The error is about the
    arguments if the function below all decorators has not started, if the message begins with the function's name, as
    Python's own messages do, and if the signature does not match. Checking before each call would be slower.
    """
    innermost: Any = inspect.unwrap(function)
    code = getattr(innermost, "__code__", None)  # None for built-in functions and other callables
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


def _find_member(cls: type, name: str) -> object:
    """Return what a class or its bases define under a name, or None. The metaclass is ignored, as for instances."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def _is_method(member: object) -> bool:
    """Return whether a member is a method or a property.

    Other descriptors are excluded: those with ``__set__`` may store a value in the object under their own name.
    """
    return inspect.isroutine(member) or isinstance(member, property)


def check_resumable(cls: type[Resumable]) -> None:
    """Check that a class runs `load` when an object is made.

    :raises ConfigError: for a dataclass whose generated ``__init__`` runs neither ``super().__init__`` nor a
        ``__post_init__``, which could call it.
    """
    init = vars(cls).get("__init__")
    if "__dataclass_fields__" not in vars(cls) or not isinstance(init, FunctionType):
        return
    if not {"__init__", "__post_init__"}.intersection(init.__code__.co_names):
        raise ConfigError(
            f"{cls.__qualname__}: is a dataclass, whose __init__ does not run load(). Add a __post_init__ that calls "
            "super().__init__(), or remove @dataclass"
        )


def _check_class(cls: type[Resumable]) -> None:
    """Refuse a class whose objects could not be resumed."""
    name = cls.__qualname__
    for reserved in _RESERVED:
        if _find_member(cls, reserved) is not vars(Resumable)[reserved]:
            raise ConfigError(f"{name}.{reserved}: Resumable reserves this name. Choose another name")
    load = _find_member(cls, "load")
    if not isinstance(load, FunctionType) or inspect.iscoroutinefunction(load):
        raise ConfigError(f"{name}.load: must be an ordinary method that is not async{got(load)}")
    stale_on: Any = cls.stale_on
    if type(stale_on) is not tuple or not all(isinstance(e, type) and issubclass(e, Exception) for e in stale_on):
        raise ConfigError(f"{name}.stale_on: must be a tuple of exceptions, such as (KeyError,){got(stale_on)}")
    for attribute in dir(cls):
        if isinstance(_find_member(cls, attribute), MemberDescriptorType):
            raise ConfigError(f"{name}.{attribute}: is in __slots__, and slots are not sealed. Remove __slots__")
        _check_mark(cls, attribute)
    for attribute, member in vars(cls).items():
        if isinstance(member, list | dict | set) and not attribute.startswith("_"):
            raise ConfigError(
                f"{name}.{attribute}: all users would share this {type(member).__name__}. Set it in __init__, or make "
                "it a tuple"
            )


def _is_marked(method: Any) -> bool:
    return vars(method).get(_PUBLIC) is method


def _check_mark(cls: type[Resumable], name: str) -> None:
    """Refuse a mark that makes no method public. A mark that functools.wraps has copied is accepted, and ignored."""
    member: Any = _find_member(cls, name)
    function = member
    if isinstance(member, classmethod | staticmethod):
        function = member.__func__
    elif isinstance(member, property):
        function = member.fget
    elif isinstance(member, cached_property | partialmethod):
        function = member.func
    marked: Any = vars(function).get(_PUBLIC) if isinstance(function, FunctionType) else None
    if marked is not None and marked is member and name[0] == "_":
        raise ConfigError(
            f"{cls.__qualname__}.{name}: is @public, but clients cannot call names that begin with '_'. Rename it"
        )
    if marked is not None and not any(marked is one for base in cls.__mro__ for one in vars(base).values()):
        raise ConfigError(
            f"{cls.__qualname__}.{name}: has @public below another decorator, whose result is not public. Put @public "
            "above all decorators of an ordinary method, or remove it"
        )
