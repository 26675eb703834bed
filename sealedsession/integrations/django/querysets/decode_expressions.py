"""Decoding of the conditions, expressions and orderings of a recipe. `spec` describes their format.

The data may be hostile:

1. Types are exact, paths have one alphabet, and only listed operators and functions exist. Anything else is refused
   before Django sees it.
2. Every part is paid for before it is made, see `budget`.
"""

import enum
import re
import sys
from collections.abc import Callable
from typing import Any, cast

from django.db.models import F, JSONField, OrderBy, Q, Value
from django.db.models.expressions import CombinedExpression

from sealedsession.integrations.django.budget import Budget
from sealedsession.integrations.django.querysets.joins import JoinCosts
from sealedsession.integrations.django.querysets.spec import AGGREGATES, ARITHMETIC, CONNECTORS
from sealedsession.integrations.django.validation import SCALARS, check_type, refuse

_DEPTH = 32  # levels: more than people write, and far from the recursion limit
_MEMBERS = 16  # members or characters of a value that weigh as much as a node
# Fields, lookups and keys in JSON. Django writes some of them into SQL between quotation marks, which are not allowed.
_PATH = re.compile(r"[\w-]{1,500}")
# Module and class of fields. The modules are loaded only if a model uses them.
_HSTORE = ("django.contrib.postgres.fields.hstore", "HStoreField")
_SPATIAL = ("django.contrib.gis.db.models.fields", "BaseSpatialField")


class ExpressionDecoder:
    """Decodes the conditions and expressions of one recipe.

    :param build_queryset: builds a QuerySet from an inner recipe, its depth and the budget.
    :param joins: the costs of the joins of the query.
    :ivar query: Django's `Query`, as the previous steps have made it.
    """

    def __init__(self, build_queryset: Callable[[Any, int, Budget], Any], budget: Budget, joins: JoinCosts) -> None:
        self.query: Any = None
        self._build_queryset = build_queryset
        self._budget = budget
        self._joins = joins
        self._annotation_weights: dict[str, int] = {}

    def decode_annotation(self, name: Any, data: Any, depth: int) -> dict[str, Any]:
        """Decode an annotation, which later paths can refer to.

        :returns: the annotation by its name.
        :raises UnsealError: if the data or the name is invalid. A name must not begin with a minus, because a minus
            means descending in an ordering, and the annotation would not be found.
        """
        if check_path(name).startswith("-"):
            refuse("an annotation whose name begins with a minus")
        before = self._budget.weight
        annotation = {check_path(name): self.decode_expression(data, depth)}
        self._annotation_weights[name] = before - self._budget.weight
        return annotation

    def decode_path(self, data: Any, *, pay: Callable[[list[str]], None] | None = None) -> str:
        """Check a path, and pay for it.

        :param data: names of fields and lookups, or of an annotation and lookups, joined by ``__``.
        :param pay: pays for the joins of the path. Default: `JoinCosts.pay_path`.
        :raises UnsealError: if the path is invalid.
        """
        names = check_path(data).removeprefix("-").split("__")
        self._budget.pay_names(len(names) - 1)
        # The name of an annotation can contain "__": Count("tags__name") is annotated as tags__name__count.
        starts = ["__".join(names[: number + 1]) for number in range(len(names))]
        self._budget.pay_node(max(self._annotation_weights.get(start, 1) for start in starts))
        if self._annotation_weights.keys().isdisjoint(starts):
            (pay or self._joins.pay_path)(names)
        return str(data)

    def decode_paths(self, data: Any, *, pay: Callable[[list[str]], None] | None = None) -> list[str]:
        """Check a list of paths, and pay for them, as `decode_path`."""
        return [self.decode_path(member, pay=pay) for member in check_type(data, list)]

    def decode_condition(self, data: Any, depth: int) -> Q:
        """Decode a condition.

        :raises UnsealError: if the data is invalid.
        """
        condition = self._decode_condition(data, depth)
        return condition if isinstance(condition, Q) else Q(condition)

    def decode_expression(self, data: Any, depth: int) -> Any:
        """Decode an expression.

        :raises UnsealError: if the data is invalid.
        """
        check_depth(depth)
        self._budget.pay_node()
        name, *arguments = check_type(data, tuple)
        if name == "F" and len(arguments) == 1:
            return F(self.decode_path(arguments[0]))
        if name == "value" and len(arguments) == 1:
            return Value(self._check_value(arguments[0], None))
        if name in ARITHMETIC and len(arguments) == 2:
            left, right = (self.decode_expression(argument, depth + 1) for argument in arguments)
            return CombinedExpression(left, name, right)
        if name in AGGREGATES and len(arguments) == 2:
            argument, options = arguments
            inner = "*" if argument == ("*",) else self.decode_expression(argument, depth + 1)
            return AGGREGATES[name](inner, **self._decode_options(options, inner, depth + 1))
        return refuse("an unknown expression")

    def decode_ordering(self, data: Any, depth: int) -> Any:
        """Decode an argument of order_by().

        :raises UnsealError: if the data is invalid.
        """
        if type(data) is str:
            return data if data == "?" else self.decode_path(data, pay=self._joins.pay_order)
        name, *arguments = check_type(data, tuple)
        if name != "order":
            return self.decode_expression(data, depth)
        expression, descending, *nulls = check_type(arguments, list, length=4)
        if any(flag is not None and flag is not True for flag in nulls):
            refuse("an invalid ordering")
        return OrderBy(self.decode_expression(expression, depth), check_type(descending, bool), *nulls)

    def _decode_condition(self, data: Any, depth: int) -> Any:
        check_depth(depth)
        if type(data) is list:
            return self._decode_tree(data, depth)
        self._budget.pay_condition()
        name, *operand = check_type(data, tuple)
        kind, value = operand if len(operand) == 2 else ("v", *check_type(operand, list, length=1))
        name = self.decode_path(name, pay=lambda names: self._joins.pay_path(names, self._joins.call))
        return name, self._decode_operand(kind, value, name, depth + 1)

    def _decode_tree(self, data: list[Any], depth: int) -> Q:
        self._budget.pay_node()
        connector, negated, *children = check_type(data, list, min_length=2)
        if type(connector) is not str or connector not in CONNECTORS:
            refuse("an unknown connector")
        copies = 2 if connector == "XOR" else 1
        self._budget.copies *= copies
        self._budget.negations += check_type(negated, bool)
        conditions = [self._decode_condition(child, depth + 1) for child in children]
        self._budget.negations -= negated
        self._budget.copies //= copies
        return Q(*conditions, _connector=connector, _negated=negated)

    def _decode_operand(self, kind: Any, data: Any, name: str, depth: int) -> Any:
        """Decode the right side of a lookup.

        :param name: the left side.
        """
        check_depth(depth)
        if kind == "v":
            return self._check_value(data, name)
        if kind == "x":
            return self.decode_expression(data, depth)
        if kind == "q":
            return self._build_queryset(data, depth, self._budget)
        if kind == "l":
            members = [check_type(member, tuple, length=2) for member in check_type(data, list)]
            self._budget.pay_hashes([value for inner, value in members if inner == "v"])  # Django puts them into a set
            return [self._decode_operand(inner, value, name, depth + 1) for inner, value in members]
        return refuse("an unknown kind of operand")

    def _decode_options(self, data: Any, argument: Any, depth: int) -> dict[str, Any]:
        options = dict(check_type(data, dict))
        for name, value in options.items():
            if name == "filter":
                options[name] = self.decode_condition(value, depth)
            elif name == "default":
                self._check_value(value, cast(Any, argument).name if isinstance(argument, F) else None)
            elif name not in ("distinct", "sample") or value is not True:
                refuse("an unknown option of an aggregate")
        return options

    def _check_value(self, value: Any, name: str | None) -> Any:
        """Return a value if it is plain data or a member of an enum, and pay for it.

        A field that prepares the value for the database could do more with it. GeoDjango makes rasters of dicts, and
        opens files and URLs that a str names.

        :param name: the path or annotation that the value is compared with or replaces, if any.
        :raises UnsealError: if the value is of another type, or dangerous for the field.
        """
        self._budget.pay_node(1 + _measure(value) // _MEMBERS)
        if type(value) in (list, tuple, set, frozenset):
            self._budget.pay_hashes(value)
        has_dict = _contains_dict(value)
        if (has_dict or _SPATIAL[0] in sys.modules) and value is not None and type(value) is not bool:
            field = None if name is None else self._find_field(name)
            if has_dict and not (isinstance(field, JSONField) or _is_field(field, _HSTORE)):
                refuse("a dict for a field that holds no dicts")
            if _is_field(field, _SPATIAL):
                refuse("a value for a spatial field")
        return value

    def _find_field(self, name: str) -> Any:
        """Return the field that a path leads to, or the output field of an annotation."""
        _, names, annotation = self.query.solve_lookup_type(name)
        if annotation:
            return annotation.output_field
        field = self.query.names_to_path(list(names), self.query.get_meta())[1]
        return getattr(field, "base_field", field)  # of an ArrayField


def _measure(value: Any) -> int:
    """Return the number of members and characters of a value.

    :raises UnsealError: if the value contains another type than plain data and enums.
    """
    kind = type(value)
    if kind is dict:
        return _measure([*value, *value.values()])
    if kind in (list, tuple, set, frozenset):
        return len(value) + sum(map(_measure, value))
    if value is not None and kind not in SCALARS and not isinstance(value, enum.Enum):
        refuse(f"a value of type {kind.__name__}")
    return len(value) if isinstance(value, str | bytes) else 0


def _contains_dict(value: Any) -> bool:
    if type(value) in (list, tuple, set, frozenset):
        return any(map(_contains_dict, value))
    return type(value) is dict


def _is_field(field: Any, path: tuple[str, str]) -> bool:
    """Return whether a field is an instance of a class.

    :param path: module and name of the class. The module need not be loaded.
    """
    module, name = path
    return module in sys.modules and isinstance(field, getattr(sys.modules[module], name))


def check_path(data: Any) -> str:
    """Return a path if all its characters are allowed.

    :raises UnsealError: if they are not.
    """
    if type(data) is not str or not _PATH.fullmatch(data):
        refuse("an invalid name of a field or lookup")
    return data


def check_depth(depth: int) -> None:
    """Check the nesting of recipes, conditions and expressions.

    :raises UnsealError: if it is too deep.
    """
    if depth > _DEPTH:
        refuse(f"more than {_DEPTH} levels")
