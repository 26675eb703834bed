"""Encoding of the conditions, expressions and orderings of Django's `Query` for a recipe.

A `Query` keeps conditions as a tree of lookups over columns. Two additions of Django are left out of the recipe,
because decoding makes them again:

1. ``IS NOT NULL`` beside a negated comparison with a nullable column, and ``IS NULL`` where None was excluded.
2. The subquery of a negated lookup on a multi-valued relation, such as ``exclude(books__title="x")``. The subquery has
   lost the join to its first table. The condition that ties it to the outer query shows which join it was.

A `Query` does not show whether a column was named by its path or by the name of an annotation: see `Strategy`.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import Exists, F, Model, OrderBy, Transform, Value
from django.db.models.expressions import Col, ColPairs, CombinedExpression, ExpressionList, Ref, Star
from django.db.models.fields.related_lookups import get_normalized_value
from django.db.models.functions import Coalesce
from django.db.models.lookups import IsNull, Lookup
from django.db.models.sql import Query
from django.db.models.sql.where import ExtraWhere, NothingNode, WhereNode

from sealedsession.integrations.django.querysets.lookups import LookupPaths
from sealedsession.integrations.django.querysets.spec import (
    AGGREGATES,
    ARITHMETIC,
    UnsupportedQueryError,
    normalize_value,
)


@dataclasses.dataclass
class Strategy:
    """Assumptions about the calls behind a query, for cases in which different calls lead to the same query.

    :param encode_subquery: encodes a query inside this one.
    :param prefer_annotations: refer to a column by the name of its annotation, if it has one.
    :param split_filters: assume a separate filter() call for each condition, if possible.
    :ivar is_ambiguous: whether there was a column with an annotation.
    """

    encode_subquery: Callable[[Any], Any]
    prefer_annotations: bool
    split_filters: bool
    is_ambiguous: bool = False


class ExpressionEncoder(LookupPaths):
    """Encodes the conditions and expressions of one query.

    :param missing_field: see `LookupPaths`.
    :param outer: the encoder of the outer query, if the query is a subquery of exclude().
    :ivar known: names of annotations that the next expression can refer to.
    :ivar mentioned: names of annotations that were referred to.
    :ivar excluded_joins: aliases of joins that must not exist yet when a condition is added. Otherwise Django would
        use their rows in the condition's subquery.
    """

    def __init__(
        self, query: Any, strategy: Strategy, missing_field: Any = None, outer: "ExpressionEncoder | None" = None
    ) -> None:
        super().__init__(query, missing_field)
        self.known: set[Any] = set(query.annotations)
        self.mentioned: set[str] = set()
        self.excluded_joins: set[str] = set()
        self._strategy = strategy
        self._outer = outer

    def encode_expression(self, expression: Any) -> tuple[Any, ...]:
        """Encode F, a value, arithmetic, or a standard aggregate.

        :raises UnsupportedQueryError: for any other expression.
        """
        name = self._find_annotation(expression)
        if name is not None:
            return ("F", name)
        kind = type(expression)
        if kind is F or kind is Ref:
            return ("F", expression.name if kind is F else expression.refs)
        if kind is Value:
            return ("value", normalize_value(expression.value))
        if kind is Star:
            return ("*",)
        if isinstance(expression, CombinedExpression) and expression.connector in ARITHMETIC:
            left, right = self.encode_expression(expression.lhs), self.encode_expression(expression.rhs)
            return (expression.connector, left, right)
        if kind is Coalesce:
            return self._encode_default(*expression.get_source_expressions())
        if AGGREGATES.get(kind.__name__) is kind:
            return self._encode_aggregate(expression, {})
        return ("F", self.encode_path(expression, in_lookup=False))

    def encode_ordering(self, item: Any) -> Any:
        """Encode an argument of order_by(): a name or an expression.

        :raises UnsupportedQueryError: as `encode_expression`.
        """
        if isinstance(item, str):
            return item
        if type(item) is OrderBy:
            flags = (item.descending, item.nulls_first, item.nulls_last)
            return ("order", self.encode_expression(item.expression), *flags)
        return self.encode_expression(item)

    def encode_condition(self, node: Any, negated: bool = False, inside_negation: bool = False) -> Any:
        """Encode a lookup, or a tree of them.

        :param negated: whether an odd number of negations encloses the node.
        :param inside_negation: whether any negation encloses the node.
        :raises UnsupportedQueryError: for other conditions.
        """
        if isinstance(node, Lookup):
            return self._encode_lookup(node)
        if type(node) is not WhereNode:
            raise UnsupportedQueryError(
                "extra()" if isinstance(node, ExtraWhere) else f"the condition {type(node).__name__}"
            )
        negated, inside_negation = negated ^ node.negated, inside_negation or node.negated
        conditions = [
            self.encode_condition(child, negated, inside_negation)
            for child in self._skip_null_checks(node, negated, inside_negation)
        ]
        if len(conditions) == 1 and not node.negated:
            return conditions[0]
        return [node.connector, node.negated, *conditions]

    def encode_path(self, expression: Any, *, in_lookup: bool) -> str:
        """Encode a column with transforms, or an annotation, as a path.

        :param in_lookup: the expression is the left side of a lookup.
        :raises UnsupportedQueryError: for any other expression.
        """
        name = self._find_annotation(expression, in_lookup=in_lookup)
        if name is not None:
            return name
        if isinstance(expression, Transform):
            transform = getattr(expression, "key_name", None) or getattr(expression, "lookup_name", None)
            # An F in an argument of order_by() is unresolved, and has no transforms.
            is_unresolved = any(isinstance(part, F) for part in expression.flatten())
            if is_unresolved or not isinstance(transform, str) or not expression.lhs.get_transform(transform):
                raise UnsupportedQueryError(f"the expression {type(expression).__name__}")
            return f"{self.encode_path(expression.lhs, in_lookup=in_lookup)}__{transform}"
        if isinstance(expression, Col | ColPairs):
            return self.find_path(expression, in_lookup=in_lookup)
        name = "Subquery" if isinstance(expression, Query) else type(expression).__name__
        raise UnsupportedQueryError(f"the expression {name}")

    def _find_annotation(self, expression: Any, *, in_lookup: bool = False) -> str | None:
        """Return the name of the annotation that an expression stands for, or None."""
        known = [(name, annotation) for name, annotation in self.query.annotations.items() if name in self.known]
        # A column is one object, whether it was named by its path or by an annotation.
        is_column = isinstance(expression, Col)
        found = [] if is_column else [name for name, annotation in known if annotation is expression]
        if not found and (is_column or in_lookup):
            # A subquery has copies of the annotations.
            found = [name for name, annotation in known if annotation == expression]
        is_named = bool(found) and self.query.annotations[found[0]] is expression and not is_column
        if not is_named and isinstance(expression, Col | Transform):
            self._strategy.is_ambiguous = self._strategy.is_ambiguous or bool(found)
            found = found if self._strategy.prefer_annotations else []
        self.mentioned.update(found[:1])
        return found[0] if found else None

    def _encode_aggregate(self, aggregate: Any, default: dict[str, Any]) -> tuple[Any, ...]:
        options = dict(default)
        if aggregate.extra or getattr(aggregate, "order_by", None) or "output_field" in aggregate._constructor_args[1]:
            raise UnsupportedQueryError(
                f"options of {type(aggregate).__name__} except distinct, filter, default and sample"
            )
        if aggregate.distinct:
            options["distinct"] = True
        if aggregate.function.endswith("_SAMP"):
            options["sample"] = True
        if aggregate.filter is not None:
            options["filter"] = self.encode_condition(getattr(aggregate.filter, "condition", aggregate.filter))
        return (type(aggregate).__name__, self.encode_expression(aggregate.source_expressions[0]), options)

    def _encode_default(self, aggregate: Any, default: Any, *others: Any) -> tuple[Any, ...]:
        """Encode an aggregate with the option default. Django wraps such an aggregate in Coalesce."""
        if AGGREGATES.get(type(aggregate).__name__) is not type(aggregate) or type(default) is not Value or others:
            raise UnsupportedQueryError("the expression Coalesce")
        return self._encode_aggregate(aggregate, {"default": normalize_value(default.value)})

    def _encode_lookup(self, lookup: Any) -> Any:
        if type(lookup.lhs) is Exists:
            return self._encode_excluded(lookup.lhs.query)
        if not lookup.lookup_name:
            raise UnsupportedQueryError(f"the lookup {type(lookup).__name__}, which has no name")
        path = f"{self.encode_path(lookup.lhs, in_lookup=True)}__{lookup.lookup_name}"
        kind, data = self._encode_operand(_replace_instances(lookup.rhs, lookup.lhs))
        return (path, data) if kind == "v" else (path, kind, data)

    def _encode_operand(self, value: Any) -> tuple[str, Any]:
        """Return the kind and the data of the right side of a lookup."""
        if isinstance(value, Query):
            return "q", self._strategy.encode_subquery(value)
        if isinstance(value, ExpressionList):
            return "l", [self._encode_operand(member) for member in value.get_source_expressions()]
        if hasattr(value, "resolve_expression"):
            is_outer_column = isinstance(value, Col) and value.alias not in self.query.alias_map
            encoder = self._outer if is_outer_column and self._outer else self
            return "x", encoder.encode_expression(value)
        return "v", normalize_value(value)

    def _encode_excluded(self, query: Any) -> Any:
        """Encode the lookup that exclude() has turned into a subquery."""
        children = query.where.children
        if query.model is not self.query.model or len(children) < 2 or not _is_tie(children[-1]):
            raise UnsupportedQueryError("the expression Exists")
        lookup, tie = children[0], children[-1]
        self.use_joins(tie.rhs.alias)
        if not _ties_same_row(tie):
            self.excluded_joins.add(_find_former_alias(query, tie.lhs.alias))
        inner = ExpressionEncoder(query, self._strategy, self._find_missing_field(tie, query), self)
        return inner._encode_lookup(lookup)

    def _find_missing_field(self, tie: Any, query: Any) -> Any:
        """Return the field of the join to the first table that a subquery uses."""
        inner, outer = tie.lhs, tie.rhs
        table = query.alias_map[inner.alias].table_name
        if _ties_same_row(tie):
            join = self.query.alias_map[outer.alias]
            return join.join_field if join.parent_alias and join.table_name == table else None
        if inner.target.remote_field and not inner.target.primary_key:
            return inner.target.remote_field
        remote = outer.target.remote_field
        return outer.target if remote and remote.model._meta.db_table == table else None

    def _skip_null_checks(self, node: Any, negated: bool, inside_negation: bool) -> Iterator[Any]:
        """Yield the conditions of a tree, without the checks for NULL that Django adds."""
        added: list[Any] = []
        for child in map(_unwrap, node.children):
            if isinstance(child, IsNull) and (_identify_column(child.lhs), child.rhs) in added:
                added.remove((_identify_column(child.lhs), child.rhs))
                continue
            added = []
            if isinstance(child, Lookup) and node.connector == "OR" and inside_negation:
                added = self._predict_or_checks(child)
            elif isinstance(child, Lookup) and node.connector == "AND" and negated:
                added = self._predict_and_checks(child)
            yield child

    def _predict_or_checks(self, lookup: Any) -> list[Any]:
        """Return the checks for NULL that Django adds to a lookup with OR, as pairs of column and isnull value."""
        if type(lookup.lhs) is Exists:
            children: Any = lookup.lhs.query.where.children
            is_for_none = (
                children and _is_tie(children[-1]) and isinstance(children[0], IsNull) and children[0].rhs is True
            )
            return [(_identify_column(children[-1].rhs), True)] if is_for_none else []
        has_none = lookup.lookup_name == "in" and isinstance(lookup.rhs, list) and None in lookup.rhs
        return [(_identify_column(_strip_transforms(lookup)), True)] if has_none else []

    def _predict_and_checks(self, lookup: Any) -> list[Any]:
        """Return the checks for NULL that Django adds to a lookup with AND, as pairs of column and isnull value."""
        column, other = _strip_transforms(lookup), lookup.rhs
        added: list[Any] = []
        if isinstance(lookup, IsNull):
            return added
        # A joined column is nullable too: its join is an outer join, or was one.
        if isinstance(column, Col) and (self.query.is_nullable(column.target) or column.alias != self.query.base_table):
            added.append((_identify_column(column), False))
        if isinstance(other, Col) and self.query.is_nullable(other.target):
            added.append((_identify_column(other), False))
        return added


def is_nothing(node: Any) -> bool:
    """Return whether none() added this condition."""
    return isinstance(node, NothingNode)


def _unwrap(node: Any) -> Any:
    """Return a condition without the trees of one child that Django puts around it."""
    while type(node) is WhereNode and len(node.children) == 1 and not node.negated:
        (node,) = node.children
    return node


def _strip_transforms(lookup: Any) -> Any:
    expression = lookup.lhs
    while isinstance(expression, Transform):
        expression = expression.lhs
    return expression


def _replace_instances(value: Any, column: Any) -> Any:
    """Replace model instances by their primary keys. Django does this later for composite primary keys."""
    if isinstance(value, list):
        return [_replace_instances(member, column) for member in value]
    return get_normalized_value(value, column) if isinstance(value, Model) else value


def _is_tie(condition: Any) -> bool:
    """Return whether a condition ties a subquery to the outer query: it compares two columns."""
    return isinstance(condition, Lookup) and isinstance(condition.lhs, Col) and isinstance(condition.rhs, Col)


def _ties_same_row(tie: Any) -> bool:
    """Return whether a subquery refers to rows that the outer query has joined."""
    return bool(tie.lhs.target.primary_key and tie.lhs.target == tie.rhs.target)


def _find_former_alias(query: Any, alias: str) -> str:
    """Return the alias that a table of a subquery had before Django renamed all of them.

    Django looks for joins of the same row under this alias.
    """
    aliases = list(query.alias_map)
    table, index = query.alias_map[alias].table_name, aliases.index(alias)
    is_first = all(query.alias_map[other].table_name != table for other in aliases[:index])
    return str(table) if is_first else f"T{index + 1}"


def _identify_column(column: Any) -> tuple[Any, Any] | None:
    return (column.alias, column.target) if isinstance(column, Col) else None
