"""The classes whose objects a sealer resumes, and the codes by which tokens name them.

A code stands for one class, for ever: pages that are open have it. No token names a class in any other way.
"""

from sealedsession.errors import ConfigError, NotSerializable, StaleStateError
from sealedsession.resumable import Resumable, check_made


class ResumableClasses:
    """Classes by code, and codes by class."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Resumable]] = {}
        self._codes: dict[type, str] = {}

    def add(self, cls: object, code: str | None) -> None:
        """Add a class.

        :param code: or None for its name.
        :raises ConfigError: when it is not a `Resumable` that can be resumed, or class or code are taken.
        """
        if isinstance(cls, str):
            raise ConfigError(
                f"register() takes a class, and {cls!r} was given: a code stands behind it, register(cls, {cls!r}), or "
                f"by name in a decorator, register(code={cls!r})"
            )
        if not (isinstance(cls, type) and issubclass(cls, Resumable)):
            raise ConfigError(f"{cls!r} is not a subclass of Resumable: nothing else can be resumed")
        name = cls.__qualname__
        check_made(cls)
        code = name if code is None else code
        if type(code) is not str or not code:
            raise ConfigError(f"the code of {name} has to be a str, and not an empty one")
        if cls in self._codes:
            raise ConfigError(f"{name} is registered already, with the code {self._codes[cls]!r}")
        if code in self._classes:
            raise ConfigError(
                f"{code!r} is the code of {self._classes[code]!r}: give {cls!r} another one, such as "
                f"register({name}, 'another-{code}')"
            )
        self._classes[code], self._codes[cls] = cls, code

    def code_of(self, target: Resumable) -> str:
        """The code of an object's class.

        :raises NotSerializable: when it has none.
        """
        code = self._codes.get(type(target))
        if code is None:
            name = type(target).__qualname__
            problem = "its class is not registered: put register above it, as a decorator"
            raise NotSerializable(name, type(target), problem)
        return code

    def find(self, code: str) -> type[Resumable] | None:
        """The class that a code stands for now, if any."""
        return self._classes.get(code)

    def of(self, code: str) -> type[Resumable]:
        """The class that a code stands for.

        :raises StaleStateError: when there is none.
        """
        cls = self.find(code)
        if cls is None:
            raise StaleStateError(f"a state of the class {code[:60]!a}, which is not registered any more")
        return cls
