"""Checks of decoded data: recipes of QuerySets, and references to rows, files and template blocks.

The data may be hostile, because an attacker who has the keys can seal anything.

1. Types are compared exactly. A subclass is refused.
2. A model has one spelling of its label, the one in ``Model._meta.label``.
3. Invalid data is an `UnsealError` with the reason ``forbidden_value``.
"""

import datetime
import decimal
import ipaddress
import uuid
from typing import Any, NoReturn

from django.apps import apps

from sealedsession.errors import StaleStateError, UnsealError

# The types of primary keys and of values in lookups. Containers such as a range are excluded: they can expand to far
# more than the data that was sealed.
SCALARS = frozenset(
    {
        *(bool, int, float, str, bytes, decimal.Decimal, uuid.UUID),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta),
        *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
        *(ipaddress.IPv4Interface, ipaddress.IPv6Interface),
    }
)
INVALID = "invalid data: "  # begins the detail of every refusal


def refuse(problem: str) -> NoReturn:
    """Refuse the data.

    :param problem: a noun phrase, such as ``"more than 64 joins"``.
    :raises UnsealError: always, with the reason ``forbidden_value``.
    """
    raise UnsealError("forbidden_value", f"{INVALID}{problem}")


def check_type(data: Any, kind: Any, *, length: int | None = None, min_length: int = 0) -> Any:
    """Return `data` if it has exactly this type.

    :param length: number of members that a list or tuple must have.
    :param min_length: smallest number of members of a list. A tuple must have at least one.
    :raises UnsealError: if type or length differ.
    """
    if type(data) is not kind:
        refuse(f"a {type(data).__name__} instead of a {kind.__name__}")
    if kind not in (list, tuple):
        return data
    count = len(data)
    if length not in (None, count) or count < min_length or (kind is tuple and not data):
        refuse(f"a {kind.__name__} with {count} members")
    return data


def find_model(label: Any) -> Any:
    """Return the model with this label.

    :param label: ``app_label.ModelName``.
    :raises StaleStateError: if no such model is installed.
    """
    try:
        model = apps.get_model(check_type(label, str))
    except (LookupError, ValueError):
        model = None
    # Django ignores the case of labels. Rows are fetched per label, so each spelling would cost a query of its own.
    if model is None or model._meta.label != label:
        raise StaleStateError(f"the model {label[:60]!a} is no longer installed")
    return model
