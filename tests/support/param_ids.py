"""Ids of parametrized tests. Processes that run tests in parallel must agree on them."""

import re


def stable_repr(value: object) -> str | None:
    """Return the repr of a value without addresses, or None (pytest counts) where the order of a set decides on it."""
    return None if _contains_set(value) else re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _contains_set(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_contains_set, [*value, *value.values()]))
    return isinstance(value, (set, frozenset)) or (isinstance(value, (list, tuple)) and any(map(_contains_set, value)))
