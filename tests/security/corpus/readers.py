"""The readers that the corpus is run against, ours and those it is compared with.

``plain``, ``recipe`` and ``modules`` show what a payload does to the usual ways to read a pickle; their lists of safe
names are those an application needs that stores the same types as ours. ``picklescan`` is a gate before ``plain``.
"""

import collections
import copyreg
import datetime
import decimal
import fractions
import ipaddress
import pathlib
import pickle
import uuid
from collections.abc import Callable
from io import BytesIO

from sealedsession.errors import UnsealError
from sealedsession.serialization.safe_pickle import PickleSerializer
from tests.security.corpus import marker, registered
from tests.security.corpus.assembler import o, stock
from tests.security.corpus.cases_calls import EXT_CALLED, EXT_CLASS, EXT_UNUSED, EXT_WIDE

Reader = Callable[[bytes], object]

CANARY = {"user": 7, "cart": [1, 2.5, None], ("a", b"b"): True}

SAFE_TYPES: tuple[type, ...] = (
    *(int, float, str, bool, bytes, list, tuple, dict, set, frozenset, bytearray, complex, range, slice),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone),
    *(decimal.Decimal, fractions.Fraction, uuid.UUID),
    *(collections.OrderedDict, collections.Counter, collections.defaultdict, collections.deque),
    *(pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath),
    *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
    *registered.TYPES,
)
SAFE_NAMES = {(cls.__module__, cls.__qualname__) for cls in SAFE_TYPES} | {
    ("pathlib", cls.__qualname__) for cls in (pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath)
}
# builtins as a whole would allow eval, which nobody does.
SAFE_MODULES = {module for module, _ in SAFE_NAMES if module != "builtins"}

serializer = PickleSerializer(registered.registry())


class _ExactNames(pickle.Unpickler):
    """`find_class` with a list of names, as the documentation of pickle advises."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) in SAFE_NAMES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not on the list")


class _Modules(pickle.Unpickler):
    """The same with a list of modules; of builtins, the types alone and what is on them."""

    def find_class(self, module: str, name: str) -> object:
        if module in SAFE_MODULES or (module, name.partition(".")[0]) in SAFE_NAMES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"nothing of {module} is on the list")


def _recipe(payload: bytes) -> object:
    return _ExactNames(BytesIO(payload)).load()


def _modules(payload: bytes) -> object:
    return _Modules(BytesIO(payload)).load()


def _gated(payload: bytes) -> object:
    from picklescan.scanner import scan_pickle_bytes

    found = scan_pickle_bytes(BytesIO(payload), "payload")
    if found.issues_count or found.scan_err:
        raise pickle.UnpicklingError("the gate is shut")
    return pickle.loads(payload)


def available() -> dict[str, Reader]:
    """The readers by name, with the gate where it is installed."""
    readers: dict[str, Reader] = {
        "ours": serializer.loads,
        "plain": pickle.loads,
        "recipe": _recipe,
        "modules": _modules,
    }
    try:
        import picklescan.scanner  # noqa: F401
    except ImportError:
        return readers
    return {**readers, "picklescan": _gated}


def is_clean(error: BaseException) -> bool:
    """Whether our reader refused as it must: with its one error, and not because memory ran out."""
    cause = error.__cause__
    return isinstance(error, UnsealError) and error.reason == "forbidden_value" and not isinstance(cause, MemoryError)


def prepare() -> None:
    """Register extension codes and use some, as an application might have before it reads the first cookie."""
    for name, code in (("hit", EXT_CALLED), ("OnInit", EXT_CLASS), ("OnNew", EXT_WIDE), ("OnState", EXT_UNUSED)):
        copyreg.add_extension(marker.__name__, name, code)
    for opcode in (o.EXT1(EXT_CALLED), o.EXT2(EXT_CLASS), o.EXT4(EXT_WIDE)):
        pickle.loads(stock(opcode))  # finds the global, calls nothing, and keeps it
    b"a".decode("raw-unicode-escape")  # the codec of UNICODE is a module: this import is nobody's fault
    from importlib.util import find_spec

    if find_spec("picklescan"):
        import logging

        logging.disable()  # the gate's log is no part of the table
