"""The format of recipes, the plain data that stands for a QuerySet in sealed state::

    ("shop.Book", "", None, [("filter", ("author__name__exact", "Ada")), ("order_by", ["-title"]), ("slice", 0, 10)])

A recipe has the label of a model, the name of the manager whose QuerySet class it has ("" for Django's own class), a
database alias (None if the routers choose), and steps. A step is its name and its arguments: see `STEPS`.

`encode` writes recipes, and `decode` reads them. Both use the definitions here.
"""

import datetime
from typing import Any

from django.core.exceptions import FieldError
from django.db.models import Avg, Count, Max, Min, StdDev, Sum, Variance
from django.db.models.query import FlatValuesListIterable, NamedValuesListIterable, ValuesIterable, ValuesListIterable

# The arguments of steps:
#
# path        names of fields and lookups, joined by "__"
# condition   (path, value), (path, kind, operand), or [connector, negated, condition, ...]
# kind        "v" a value, "x" an expression, "q" a recipe, "l" a list of (kind, operand)
# expression  ("F", path), ("value", value), (operator, expression, expression), or an aggregate:
#             ("Count", expression, {"distinct": True, "filter": condition})
# ordering    a path, which may begin with a minus; an expression; or
#             ("order", expression, descending, nulls_first, nulls_last)

CONNECTORS = ("AND", "OR", "XOR")
AGGREGATES: dict[str, Any] = {cls.__name__: cls for cls in (Avg, Count, Max, Min, StdDev, Sum, Variance)}
ARITHMETIC = ("+", "-", "*", "/", "^", "%%")  # Django's names of the operators
FETCH_MODES = ("FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE")  # constants of Django 6.1
COMBINATORS = ("union", "intersection", "difference")
# The rows that each variant of values() and values_list() produces.
ITERABLES: dict[str, Any] = {
    "values": ValuesIterable,
    "values_list": ValuesListIterable,
    "flat": FlatValuesListIterable,
    "named": NamedValuesListIterable,
}
# The number of arguments of each step.
STEPS = {
    **dict.fromkeys(("reverse", "select_all_related", "none"), 0),
    **dict.fromkeys(("filter", "sticky", "order_by", "distinct", "only", "defer", "select_related"), 1),
    **dict.fromkeys(("prefetch_related", "fetch_mode", *ITERABLES), 1),
    **dict.fromkeys(("annotate", "alias", "slice", *COMBINATORS), 2),
}


class UnsupportedQueryError(TypeError):
    """A query has a part that recipes do not support. The message is a noun phrase that names the part."""


def check_relations(model: Any, path: str) -> None:
    """Check that a path consists of relations. `prefetch_related` itself would look up any attribute.

    :raises FieldError: if a name is not a relation.
    """
    for name in path.split("__"):
        fields = model._meta.get_fields() if model else ()
        relations = {_find_accessor(field): field.related_model for field in fields if field.is_relation}
        if name not in relations:
            raise FieldError(f"prefetch_related({path!r}): {name!r} is not a relation")
        model = relations[name]


def _find_accessor(field: Any) -> Any:
    return field.get_accessor_name() if field.auto_created and not field.concrete else field.name


def normalize_value(value: Any) -> Any:
    """Return a value as the database sees it: without enums and subclasses, and aware datetimes in UTC."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return _convert_to_utc(value)
    if isinstance(value, dict):
        return {normalize_value(key): normalize_value(member) for key, member in value.items()}
    if isinstance(value, tuple):
        return tuple(map(normalize_value, value))
    return list(map(normalize_value, value)) if isinstance(value, list | set | frozenset) else value


def _convert_to_utc(value: datetime.datetime) -> datetime.datetime:
    try:
        return value.astimezone(datetime.UTC)
    except OverflowError:  # in UTC it would be before year 1 or after year 9999
        return value
