"""Tokens with the real keys and with content that no application seals."""

from operator import attrgetter
from typing import Any

from sealedsession.integrations.django.values import registry
from sealedsession.serialization.registry import ValueType
from sealedsession.state.registry import StateRegistry


class _Forged:
    """Data of any form, written under the code of one of Django's types."""

    def __init__(self, data: object) -> None:
        self.data = data


_CLASSES: dict[str, type[_Forged]] = {code: type("Forged", (_Forged,), {}) for code in registry.by_code}


def forged(code: str, data: object) -> Any:
    """Return a value that is written under a code."""
    return _CLASSES[code](data)


class ForgingRegistry(StateRegistry):
    """Writes any data under any code, and checks nothing."""

    def __init__(self) -> None:
        super().__init__()
        for code, cls in _CLASSES.items():
            self.by_type[cls] = ValueType(cls, code, attrgetter("data"), attrgetter("data"), True)
            self.by_code.setdefault(code, ValueType(cls, code, attrgetter("data"), lambda data: (data,), True))
