"""Conditions and expressions of a recipe, made of data that may be hostile.

Types are exact, names are of one alphabet, and operators and functions are those listed here. What is of another form
is refused, before Django sees anything of it.

==========  ==========================================================================================================
condition   ``(path, value)``, ``(path, kind, operand)``, or ``[connector, negated, condition, ...]``
kind        ``v`` a value, ``x`` an expression, ``q`` a recipe, ``l`` a list of ``(kind, operand)``
expression  ``("F", path)``, ``("value", value)``, ``(operator, expression, expression)``, or an aggregate:
            ``("Count", expression, {"distinct": True, "filter": condition})``
ordering    a path, perhaps with a minus; an expression; or ``("order", expression, descending, first, last)``: the
            last two say where NULL goes
==========  ==========================================================================================================
"""

import datetime
import decimal
import enum
import ipaddress
import re
import sys
import uuid
from collections.abc import Callable
from typing import Any, cast

from django.db.models import Avg, Count, F, JSONField, Max, Min, OrderBy, Q, StdDev, Sum, Value, Variance
from django.db.models.expressions import CombinedExpression

from sealedsession.integrations.django.budget import Budget, Joins, refuse

AGGREGATES: dict[str, Any] = {cls.__name__: cls for cls in (Avg, Count, Max, Min, StdDev, Sum, Variance)}
ARITHMETIC = ("+", "-", "*", "/", "^", "%%")  # as Django calls them
# Values to compare with and pks. A container is none, such as a range, which makes far more of itself than was written.
SCALARS = frozenset(
    {
        *(bool, int, float, str, bytes, decimal.Decimal, uuid.UUID),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta),
        *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
        *(ipaddress.IPv4Interface, ipaddress.IPv6Interface),
    }
)

_DEPTH = 32  # levels: more than anybody reads, and far from the recursion limit
_MEMBERS = 16  # members or characters of a value that weigh as much as a node
_CONNECTORS = ("AND", "OR", "XOR")
# Fields, lookups, and keys in JSON. Django writes some into SQL, between quotation marks: there are none among these.
_PATH = re.compile(r"[\w-]{1,500}")
# Fields, in modules that are not loaded where no model has them.
_HSTORE = ("django.contrib.postgres.fields.hstore", "HStoreField")
_SPATIAL = ("django.contrib.gis.db.models.fields", "BaseSpatialField")


class Operands:
    """Makes conditions and expressions, of one recipe.

    :param queryset_of: makes a QuerySet of a recipe within, and gets the level it is on and the budget.
    :param joins: those of the query.
    :ivar query: Django's, as the steps so far have made it.
    """

    def __init__(self, queryset_of: Callable[[Any, int, Budget], Any], budget: Budget, joins: Joins) -> None:
        self.query: Any = None
        self._queryset_of = queryset_of
        self._budget = budget
        self._joins = joins
        self._weights: dict[str, int] = {}  # of annotations

    def annotation(self, name: Any, data: Any, depth: int) -> dict[str, Any]:
        """Make an annotation that later names can mention.

        :raises UnsealError: for what is none, and for a name that begins with a minus, which would not be found again:
            in an order the same says descending.
        """
        if path(name).startswith("-"):
            refuse("an annotation whose name begins with a minus")
        before = self._budget.weight
        made = {path(name): self.expression(data, depth)}
        self._weights[name] = before - self._budget.weight
        return made

    def path(self, data: Any, *, follow: Callable[[list[str]], None] | None = None) -> str:
        """Pay for a path: names of fields and lookups, and perhaps of an annotation first, joined by ``__``.

        :param follow: pays for its joins, `Joins.follow` unless given.
        """
        names = path(data).removeprefix("-").split("__")
        self._budget.names(len(names) - 1)
        starts = ["__".join(names[: number + 1]) for number in range(len(names))]  # Count("tags__name") names itself
        self._budget.node(max(self._weights.get(start, 1) for start in starts))
        if self._weights.keys().isdisjoint(starts):
            (follow or self._joins.follow)(names)
        return str(data)

    def paths(self, data: Any, *, follow: Callable[[list[str]], None] | None = None) -> list[str]:
        """Pay for a list of paths."""
        return [self.path(member, follow=follow) for member in exactly(data, list)]

    def condition(self, data: Any, depth: int) -> Q:
        """Make a condition.

        :raises UnsealError: for what is none.
        """
        made = self._condition(data, depth)
        return made if isinstance(made, Q) else Q(made)

    def expression(self, data: Any, depth: int) -> Any:
        """Make an expression.

        :raises UnsealError: for what is none.
        """
        check_depth(depth)
        self._budget.node()
        name, *arguments = exactly(data, tuple)
        if name == "F" and len(arguments) == 1:
            return F(self.path(arguments[0]))
        if name == "value" and len(arguments) == 1:
            return Value(self._value(arguments[0], None))
        if name in ARITHMETIC and len(arguments) == 2:
            left, right = (self.expression(argument, depth + 1) for argument in arguments)
            return CombinedExpression(left, name, right)
        if name in AGGREGATES and len(arguments) == 2:
            argument, options = arguments
            inner = "*" if argument == ("*",) else self.expression(argument, depth + 1)
            return AGGREGATES[name](inner, **self._options(options, inner, depth + 1))
        return refuse("an expression that there is not")

    def ordering(self, data: Any, depth: int) -> Any:
        """Make an argument of order_by().

        :raises UnsealError: for what is none.
        """
        if type(data) is str:
            return data if data == "?" else self.path(data, follow=self._joins.order)
        name, *arguments = exactly(data, tuple)
        if name != "order":
            return self.expression(data, depth)
        expression, descending, *nulls = exactly(arguments, list, length=4)
        if any(flag is not None and flag is not True for flag in nulls):
            refuse("an ordering of another form")
        return OrderBy(self.expression(expression, depth), exactly(descending, bool), *nulls)

    def _condition(self, data: Any, depth: int) -> Any:
        check_depth(depth)
        if type(data) is list:
            self._budget.node()
            connector, negated, *children = exactly(data, list, at_least=2)
            if type(connector) is not str or connector not in _CONNECTORS:
                refuse("a connector that there is not")
            written = 2 if connector == "XOR" else 1
            self._budget.times *= written
            self._budget.negations += exactly(negated, bool)
            made = [self._condition(child, depth + 1) for child in children]
            self._budget.negations -= negated
            self._budget.times //= written
            return Q(*made, _connector=connector, _negated=negated)
        self._budget.condition()
        name, *operand = exactly(data, tuple)
        kind, value = operand if len(operand) == 2 else ("v", *exactly(operand, list, length=1))
        name = self.path(name, follow=lambda names: self._joins.follow(names, self._joins.call))
        return name, self._operand(kind, value, name, depth + 1)

    def _operand(self, kind: Any, data: Any, name: str, depth: int) -> Any:
        """Make the right side of a lookup.

        :param name: the left side.
        """
        check_depth(depth)
        if kind == "v":
            return self._value(data, name)
        if kind == "x":
            return self.expression(data, depth)
        if kind == "q":
            return self._queryset_of(data, depth, self._budget)
        if kind == "l":
            members = [exactly(member, tuple, length=2) for member in exactly(data, list)]
            self._budget.hashes([value for inner, value in members if inner == "v"])  # they come into one set
            return [self._operand(inner, value, name, depth + 1) for inner, value in members]
        return refuse("an operand of another form")

    def _options(self, data: Any, argument: Any, depth: int) -> dict[str, Any]:
        options = dict(exactly(data, dict))
        for name, value in options.items():
            if name == "filter":
                options[name] = self.condition(value, depth)
            elif name == "default":
                self._value(value, cast(Any, argument).name if isinstance(argument, F) else None)
            elif name not in ("distinct", "sample") or value is not True:
                refuse("an option that there is not")
        return options

    def _value(self, value: Any, name: str | None) -> Any:
        """Check a value: plain data, and members of enums.

        A field that prepares the value could do more with it than compare: GeoDjango makes rasters of dicts, and opens
        files and URLs that a str names.

        :param name: what it is compared with, or stands for, if that is a column or an annotation.
        """
        self._budget.node(1 + _size(value) // _MEMBERS)
        if type(value) in (list, tuple, set, frozenset):
            self._budget.hashes(value)
        with_dict = _has_dict(value)
        if (with_dict or _SPATIAL[0] in sys.modules) and value is not None and type(value) is not bool:
            field = None if name is None else self._field(name)
            if with_dict and not (isinstance(field, JSONField) or _is_one(field, _HSTORE)):
                refuse("a dict for a field that holds none")
            if _is_one(field, _SPATIAL):
                refuse("a value for a spatial field")
        return value

    def _field(self, name: str) -> Any:
        """The field that a path leads to, or the one that an annotation is of."""
        _, names, annotation = self.query.solve_lookup_type(name)
        if annotation:
            return annotation.output_field
        field = self.query.names_to_path(list(names), self.query.get_meta())[1]
        return getattr(field, "base_field", field)  # of an array


def _size(value: Any) -> int:
    """Characters and members of a value to compare with."""
    kind = type(value)
    if kind is dict:
        return _size([*value, *value.values()])
    if kind in (list, tuple, set, frozenset):
        return len(value) + sum(map(_size, value))
    if value is not None and kind not in SCALARS and not isinstance(value, enum.Enum):
        refuse(f"a {kind.__name__} for a value")
    return len(value) if isinstance(value, str | bytes) else 0


def _has_dict(value: Any) -> bool:
    if type(value) in (list, tuple, set, frozenset):
        return any(map(_has_dict, value))
    return type(value) is dict


def _is_one(field: Any, of: tuple[str, str]) -> bool:
    """Whether a field is of a class, in a module that may not be loaded."""
    module, name = of
    return module in sys.modules and isinstance(field, getattr(sys.modules[module], name))


def path(data: Any) -> str:
    """The names of fields and lookups, joined by ``__``."""
    if type(data) is not str or not _PATH.fullmatch(data):
        refuse("a name of a field or a lookup that is none")
    return data


def exactly(data: Any, kind: Any, *, length: int | None = None, at_least: int = 0) -> Any:
    """Data of exactly that type; a list or tuple of that many members, a tuple of at least one."""
    if type(data) is not kind:
        refuse(f"a {type(data).__name__} for a {kind.__name__}")
    if kind not in (list, tuple):
        return data
    count = len(data)
    if length not in (None, count) or count < at_least or (kind is tuple and not data):
        refuse(f"a {kind.__name__} of {count}")
    return data


def check_depth(depth: int) -> None:
    """Refuse what is nested too deep."""
    if depth > _DEPTH:
        refuse(f"more than {_DEPTH} levels")
