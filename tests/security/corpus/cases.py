"""All cases, and what can be said of them without running them."""

import pickletools
from functools import cache

from tests.security.corpus import (
    cases_calls,
    cases_decoders,
    cases_frames,
    cases_limits,
    cases_objects,
    cases_positive,
    cases_structure,
)
from tests.security.corpus.assembler import with_head
from tests.security.corpus.case import Case


@cache
def all_cases() -> tuple[Case, ...]:
    """Every case, in the order of the table.

    :raises ValueError: when two cases have the same id.
    """
    modules = (cases_calls, cases_frames, cases_objects, cases_limits, cases_structure, cases_decoders, cases_positive)
    found = tuple(case for module in modules for case in module.cases())
    ids = [case.id for case in found]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise ValueError(f"ids that two cases have: {', '.join(repeated)}")
    return found


def opcodes(case: Case) -> set[str]:
    """The names of the opcodes in a payload, up to the place where it cannot be disassembled."""
    names: set[str] = set()
    payload = with_head(case.payload) if case.layout == "ours" else case.payload
    try:
        for opcode, _, _ in pickletools.genops(payload):
            names.add(opcode.name)
    except Exception:  # noqa: BLE001  # malformed payloads are the purpose; what stands before counts
        pass
    return names
