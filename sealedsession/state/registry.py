"""Value types for sealed state: families of types, and values kept by reference.

A registry for sessions means exactly the types that were registered. State holds what a page was made of: instances of
whatever subclasses an application has, and rows of a database, of which only the name is written.

1. A family is a class and its subclasses under one code. `decode` gets hostile data, as in values.py.
2. A type with a `fetch` is kept by reference: `decode` checks the data and makes a reference of it, and touches nothing
   else. After the whole payload was read, `fetch` gets the references of one payload, all together, and gives the
   values. What it raises is not taken for a forgery: it passes, as `StaleStateError` or as what a database says.
3. When state is sealed, references are made and checked, and nothing is fetched.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from sealedsession.errors import ConfigError
from sealedsession.serialization.registry import Registry, ValueType


class StateRegistry(Registry):
    """A registry that knows families and references. Sessions do not take it: opening one asks nobody else."""

    __slots__ = ("_families",)

    import_path: ClassVar[str] = "registry"  # there is no default one

    def __init__(self) -> None:
        super().__init__()
        self._families: dict[type, ValueType] = {}

    def register_base(
        self,
        base: type,
        code: str,
        *,
        encode: Callable[[Any], object],
        decode: Callable[[Any], Any],
        fetch: Callable[[list[Any]], list[Any]] | None = None,
        plain: bool = False,
    ) -> None:
        """Let state hold instances of a class and of all its subclasses.

        The instances are made after the whole payload was read, and so can be in lists, dicts and sets, and cannot be
        keys. A subclass that is registered itself, or is the base of a family, goes by that.

        :param code: 1 to 32 characters, the family's name on the wire. It may never be given to another type.
        :param encode: makes plain data, or values of registered types, of an instance.
        :param decode: makes an instance of such data; or, with ``fetch``, a reference. The data may be hostile.
        :param fetch: gets what ``decode`` made, in a list, for all instances in a payload, and gives as many values, in
            the same order. Families that have the same function are fetched together. A reference whose data holds
            values that are made afterwards, such as references, is fetched alone.
        :param plain: refuse such data, for where ``fetch`` has to get all instances of a payload at once.
        :raises ConfigError: when the type or the code is taken, or the code is not a short string.
        """
        if fetch is not None and not callable(fetch):
            raise ConfigError(f"fetch of the code {code!r} has to be a function")
        self.register(base, code, encode=encode, decode=decode)
        # `register` demands exactly one type of what is decoded, which a family is not, and a reference even less.
        made = decode if fetch is not None else _of_family(base, code, decode)
        self._families[base] = ValueType(base, code, encode, made, True, fetch, not plain)
        self._add(self._families[base])

    def find_family(self, cls: type, /) -> ValueType | None:
        """Look for a family that an unregistered type belongs to, and register the type with it.

        :returns: the family's entry, or None.
        """
        for base in cls.__mro__:
            if base in self._families:
                self.by_type[cls] = self._families[base]
                return self._families[base]
        return None


def _of_family(base: type, code: str, decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(data: Any) -> Any:
        value = decode(data)
        if not isinstance(value, base):
            raise TypeError(f"the decoder of {code!r} made a {type(value).__name__}")
        return value

    return checked
