"""What an application does with a value of its session: the next one to stumble over what a reader let through."""

import collections
import copy
import datetime
import decimal
import math
import os
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from tests.security.corpus.yardstick import on_a_quiet_machine

CPU = 0.25  # seconds for one step
WRITING = 0.1  # seconds to write a value again, which also reads what was written: twice what reading may take
TRIES = 9  # a busy machine makes times longer, and never shorter
_NODES = 5000  # values looked at, one by one


def use(value: Any, again: Callable[[object], object], say: Callable[..., object]) -> None:
    """Use a value step by step, and say which steps fail or take long.

    :param again: writes the value again.
    :param say: takes ``spelling=``, the repr, ``step=``, before each step, and ``use=``, a list of faults.
    """

    def step(name: str, action: Callable[[], object], most: float = CPU, tries: int = 1) -> object:
        say(step=name)
        spent = math.inf
        while tries and most < spent:
            tries -= 1
            started = time.process_time()
            try:
                made = action()
            except BaseException as error:  # noqa: BLE001  # it is the fault that is looked for
                say(use=[f"{type(error).__name__} in {name}"])
                return None
            spent = on_a_quiet_machine(time.process_time() - started, most)
        if spent > most:
            say(use=[f"{spent * 1000:.0f} ms in {name}"])
        return made

    spelling = step("repr", lambda: repr(value))
    say(spelling=spelling if isinstance(spelling, str) and len(spelling) < 1 << 17 else None)
    twin = step("deepcopy", lambda: copy.deepcopy(value))
    step("==", lambda: value == twin)
    step("hash of keys", lambda: [hash(key) for node in _walk(value) if isinstance(node, dict) for key in node])
    step("methods", lambda: [_ask(node) for node in _walk(value)])
    step("dumps", lambda: again(value), WRITING, TRIES)
    step("missing key", lambda: [node["missing"] for node in _walk(twin) if getattr(node, "default_factory", None)])


def _walk(value: Any) -> Iterator[Any]:
    todo = [value]
    for _ in range(_NODES):
        if not todo:
            return
        node = todo.pop()
        yield node
        if isinstance(node, dict):
            todo += [*node, *node.values()]
        elif isinstance(node, (list, tuple, set, frozenset, collections.deque)):
            todo += node


def _ask(value: Any) -> None:
    """Call what shows a value that is not whole."""
    if isinstance(value, datetime.date):
        value.ctime()
        value.strftime("%Y-%m-%d")
    elif isinstance(value, datetime.time):
        value.isoformat()
    elif isinstance(value, decimal.Decimal):
        format(value, "f")
        if value.is_finite():
            int(value)
        if value == value:
            hash(value)
    elif isinstance(value, (uuid.UUID, int, complex)):
        str(value)
        hash(value)
    elif isinstance(value, datetime.timezone):
        value.utcoffset(None)
    elif isinstance(value, os.PathLike):
        os.fspath(value)
