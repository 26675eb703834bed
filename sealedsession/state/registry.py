"""`StateRegistry`: types of values for sealed state, including whole class hierarchies and references.

The registry of a session supports exactly the registered types. Sealed state also holds instances of an application's
subclasses, and objects such as database rows, of which only a reference is sealed.

1. A family is a class and its subclasses with one code. Its `decode` may get hostile data.
2. A family with `fetch` is sealed by reference. `decode` checks the data and returns a reference, without side effects.
   After the whole payload has been read, `fetch` gets all references of the payload, and returns the values.
   Exceptions from `fetch` are not treated as tampering; they propagate unchanged.
3. Sealing makes and checks references. It does not fetch.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from sealedsession.errors import ConfigError, got
from sealedsession.serialization.registry import Registry, ValueType


class StateRegistry(Registry):
    """A registry with families and references. Sessions refuse it, because opening a session must not fetch."""

    __slots__ = ("families",)

    import_path: ClassVar[str] = "registry"  # for error messages: there is no default StateRegistry

    def __init__(self) -> None:
        super().__init__()
        self.families: dict[type, ValueType] = {}

    def register_base(
        self,
        base: type,
        code: str,
        *,
        encode: Callable[[Any], object],
        decode: Callable[[Any], Any],
        fetch: Callable[[list[Any]], list[Any]] | None = None,
        allow_nested: bool = True,
    ) -> None:
        """Support instances of a class and of all its subclasses.

        Instances are made after the whole payload has been read. They can be in lists, dicts and sets, but cannot be
        keys. A subclass that is registered itself, or is the base of another family, uses its own registration.

        :param code: the family's name on the wire, 1 to 32 characters. Never reuse a code for another type.
        :param encode: converts an instance into plain data, or values of registered types.
        :param decode: converts such data into an instance, or into a reference if there is a ``fetch``. The data may be
            hostile.
        :param fetch: converts a list of references, all those of a payload, into a list of values in the same order.
            Families with the same function are fetched together.
        :param allow_nested: allow the data of a reference to contain values that are made after reading, such as other
            references. Such a reference is fetched in a call of its own. With False, such data is refused, so that
            ``fetch`` always gets all references at once.
        :raises ConfigError: if the type or the code is registered already, or an argument is invalid.
        """
        if fetch is not None and not callable(fetch):
            raise ConfigError(f"fetch: must be a function for the code {code!r}{got(fetch)}")
        self.register(base, code, encode=encode, decode=decode)
        # `register` requires decoded values of exactly one type. Members of a family and references have other types.
        decode = decode if fetch is not None else _check_family(base, code, decode)
        self.families[base] = ValueType(base, code, encode, decode, True, fetch, allow_nested)
        self.add(self.families[base])

    def find_family(self, cls: type, /) -> ValueType | None:
        """Register a type under the code of its family, and return the family's entry, or None."""
        for base in cls.__mro__:
            if base in self.families:
                self.by_type[cls] = self.families[base]
                return self.families[base]
        return None


def _check_family(base: type, code: str, decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `decode` with a check that its result belongs to a family."""

    def checked(data: Any) -> Any:
        value = decode(data)
        if not isinstance(value, base):
            raise TypeError(f"the decoder of {code!r} returned a {type(value).__name__}")
        return value

    return checked
