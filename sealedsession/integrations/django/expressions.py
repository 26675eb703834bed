"""Expressions of a query, as data for recipes: F, values, arithmetic with them, and the standard aggregates.

Columns are called by their way from the model, or by the name that an annotation has given them. A query does not tell
which of the two was meant: both are tried, see `Choice`.
"""

import dataclasses
import datetime
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from django.db.models import F, OrderBy, Transform, Value
from django.db.models.expressions import Col, ColPairs, CombinedExpression, Ref, Star
from django.db.models.functions import Coalesce
from django.db.models.sql import Query

from sealedsession.integrations.django.columns import Columns, UnsupportedQuery
from sealedsession.integrations.django.operands import AGGREGATES, ARITHMETIC


@dataclasses.dataclass
class Choice:
    """What is tried where a query can have come about in more than one way.

    :param recipe_of: makes a recipe of a query within this one.
    :param by_name: whether columns that annotations have given a name are called by that.
    :param apart: whether every condition was in a filter() of its own that can have been.
    :ivar is_open: whether there were columns with names of annotations.
    """

    recipe_of: Callable[[Any], Any]
    by_name: bool
    apart: bool
    is_open: bool = False


class Expressions(Columns, ABC):
    """The expressions of one query.

    :param choice: what is tried where there is more than one explanation.
    :param lost: see `Columns`.
    :ivar known: names of annotations that can be mentioned.
    :ivar mentioned: those that were.
    """

    def __init__(self, query: Any, choice: Choice, lost: Any = None) -> None:
        super().__init__(query, lost)
        self.choice = choice
        self.known = set(query.annotations)
        self.mentioned: set[str] = set()

    @abstractmethod
    def condition(self, node: Any) -> Any:
        """A condition."""

    def expression(self, expression: Any) -> tuple[Any, ...]:
        """An expression: F, a value, arithmetic with them, or one of the standard aggregates over that."""
        name = self._annotation(expression)
        if name is not None:
            return ("F", name)
        kind = type(expression)
        if kind is F or kind is Ref:
            return ("F", expression.name if kind is F else expression.refs)
        if kind is Value:
            return ("value", plain(expression.value))
        if kind is Star:
            return ("*",)
        if isinstance(expression, CombinedExpression) and expression.connector in ARITHMETIC:
            return (expression.connector, self.expression(expression.lhs), self.expression(expression.rhs))
        if kind is Coalesce:
            return self._with_default(*expression.get_source_expressions())
        if AGGREGATES.get(kind.__name__) is kind:
            return self._aggregate(expression, {})
        return ("F", self.path(expression, of_lookup=False))

    def ordering(self, item: Any) -> Any:
        """What order_by() was given: a name or an expression."""
        if isinstance(item, str):
            return item
        if type(item) is OrderBy:
            flags = (item.descending, item.nulls_first, item.nulls_last)
            return ("order", self.expression(item.expression), *flags)
        return self.expression(item)

    def path(self, expression: Any, *, of_lookup: bool) -> str:
        """The name of a column, with transforms, or of an annotation."""
        name = self._annotation(expression, of_lookup=of_lookup)
        if name is not None:
            return name
        if isinstance(expression, Transform):
            transform = getattr(expression, "key_name", None) or getattr(expression, "lookup_name", None)
            # What order_by() was given still has F in it, which knows of no transforms.
            is_open = any(isinstance(part, F) for part in expression.flatten())
            if is_open or not isinstance(transform, str) or not expression.lhs.get_transform(transform):
                raise UnsupportedQuery(f"the expression {type(expression).__name__}")
            return f"{self.path(expression.lhs, of_lookup=of_lookup)}__{transform}"
        if isinstance(expression, Col | ColPairs):
            return self.path_of(expression, of_lookup=of_lookup)
        name = "Subquery" if isinstance(expression, Query) else type(expression).__name__
        raise UnsupportedQuery(f"the expression {name}")

    def _annotation(self, expression: Any, *, of_lookup: bool = False) -> str | None:
        """The name of an annotation, if it is one."""
        known = [(name, made) for name, made in self.query.annotations.items() if name in self.known]
        # There is one object for a column, whatever it was asked for by.
        is_column = isinstance(expression, Col)
        found = [] if is_column else [name for name, made in known if made is expression]
        if not found and (is_column or of_lookup):
            found = [name for name, made in known if made == expression]  # a query within another one has copies
        named = bool(found) and self.query.annotations[found[0]] is expression and not is_column
        if not named and isinstance(expression, Col | Transform):
            self.choice.is_open = self.choice.is_open or bool(found)
            found = found if self.choice.by_name else []
        self.mentioned.update(found[:1])
        return found[0] if found else None

    def _aggregate(self, aggregate: Any, default: dict[str, Any]) -> tuple[Any, ...]:
        options = dict(default)
        if aggregate.extra or getattr(aggregate, "order_by", None) or "output_field" in aggregate._constructor_args[1]:
            raise UnsupportedQuery(f"{type(aggregate).__name__} with more than distinct, filter, default and sample")
        if aggregate.distinct:
            options["distinct"] = True
        if aggregate.function.endswith("_SAMP"):
            options["sample"] = True
        if aggregate.filter is not None:
            options["filter"] = self.condition(getattr(aggregate.filter, "condition", aggregate.filter))
        return (type(aggregate).__name__, self.expression(aggregate.source_expressions[0]), options)

    def _with_default(self, aggregate: Any, default: Any, *others: Any) -> tuple[Any, ...]:
        if AGGREGATES.get(type(aggregate).__name__) is not type(aggregate) or type(default) is not Value or others:
            raise UnsupportedQuery("the expression Coalesce")
        return self._aggregate(aggregate, {"default": plain(default.value)})


def plain(value: Any) -> Any:
    """Return a value as a database sees it: without enums and subclasses, and times with a zone in UTC."""
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
        return _in_utc(value)
    if isinstance(value, dict):
        return {plain(key): plain(member) for key, member in value.items()}
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return list(map(plain, value)) if isinstance(value, list | set | frozenset) else value


def _in_utc(value: datetime.datetime) -> datetime.datetime:
    try:
        return value.astimezone(datetime.UTC)
    except OverflowError:  # the first or the last hours that there are, which UTC does not reach
        return value
