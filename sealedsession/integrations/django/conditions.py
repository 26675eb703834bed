"""Conditions of a query, as data for recipes.

A `Query` of Django's keeps what it was asked as a tree of lookups over columns. What Django adds to that by itself is
left out here, and added again when the recipe is followed:

1. ``IS NOT NULL`` beside a negated comparison with a column that may be NULL, and ``IS NULL`` where None was excluded.
2. The subquery that a negated lookup becomes on its way to many rows: ``exclude(books__title="x")``. It has forgotten
   the join to its first table, which is found by the column that ties it to the outer query.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, Model, Transform
from django.db.models.expressions import Col, ExpressionList
from django.db.models.fields.related_lookups import get_normalized_value
from django.db.models.lookups import IsNull, Lookup
from django.db.models.sql import Query
from django.db.models.sql.where import ExtraWhere, NothingNode, WhereNode

from sealedsession.integrations.django.columns import UnsupportedQuery
from sealedsession.integrations.django.expressions import Choice, Expressions, plain


class Conditions(Expressions):
    """The conditions and expressions of one query.

    :param outer: the conditions of the query around this one, if it is a subquery of exclude().
    :ivar excluded: aliases of joins that a condition must not find, or its subquery would be about their rows.
    """

    def __init__(self, query: Any, choice: Choice, lost: Any = None, outer: "Conditions | None" = None) -> None:
        super().__init__(query, choice, lost)
        self.excluded: set[str] = set()
        self._outer = outer

    def condition(self, node: Any, negated: bool = False, inside: bool = False) -> Any:
        """A lookup, or a tree of them.

        :param negated: whether what is around it negates it, all in all.
        :param inside: whether anything around it is negated, be it twice.
        """
        if isinstance(node, Lookup):
            return self._lookup(node)
        if type(node) is not WhereNode:
            raise UnsupportedQuery(
                "extra()" if isinstance(node, ExtraWhere) else f"the condition {type(node).__name__}"
            )
        negated, inside = negated ^ node.negated, inside or node.negated
        said = [self.condition(child, negated, inside) for child in self._asked(node, negated, inside)]
        if len(said) == 1 and not node.negated:
            return said[0]
        return [node.connector, node.negated, *said]

    def _lookup(self, lookup: Any) -> Any:
        if type(lookup.lhs) is Exists:
            return self._excluded(lookup.lhs.query)
        if not lookup.lookup_name:
            raise UnsupportedQuery(f"the lookup {type(lookup).__name__}, which has no name")
        path = f"{self.path(lookup.lhs, of_lookup=True)}__{lookup.lookup_name}"
        kind, data = self._operand(_without_rows(lookup.rhs, lookup.lhs))
        return (path, data) if kind == "v" else (path, kind, data)

    def _operand(self, value: Any) -> tuple[str, Any]:
        """The right side of a lookup, and of what kind it is."""
        if isinstance(value, Query):
            return "q", self.choice.recipe_of(value)
        if isinstance(value, ExpressionList):
            return "l", [self._operand(member) for member in value.get_source_expressions()]
        if hasattr(value, "resolve_expression"):
            column_of_outer = isinstance(value, Col) and value.alias not in self.query.alias_map
            scope = self._outer if column_of_outer and self._outer else self
            return "x", scope.expression(value)
        return "v", plain(value)

    def _excluded(self, query: Any) -> Any:
        """The lookup that a subquery was made of."""
        children = query.where.children
        if query.model is not self.query.model or len(children) < 2 or not _ties(children[-1]):
            raise UnsupportedQuery("the expression Exists")
        lookup, tie = children[0], children[-1]
        self.touch(tie.rhs.alias)
        if not _is_same_row(tie):
            self.excluded.add(_former_alias(query, tie.lhs.alias))
        inner = Conditions(query, self.choice, self._lost_join(tie, query), self)
        return inner._lookup(lookup)

    def _lost_join(self, tie: Any, query: Any) -> Any:
        """The field of the join to the first table of a subquery that is in use."""
        inner, outer = tie.lhs, tie.rhs
        table = query.alias_map[inner.alias].table_name
        if _is_same_row(tie):
            join = self.query.alias_map[outer.alias]
            return join.join_field if join.parent_alias and join.table_name == table else None
        if inner.target.remote_field and not inner.target.primary_key:
            return inner.target.remote_field
        remote = outer.target.remote_field
        return outer.target if remote and remote.model._meta.db_table == table else None

    def _asked(self, node: Any, negated: bool, inside: bool) -> Iterator[Any]:
        """The conditions of a tree but for those about NULL that Django adds."""
        added: list[Any] = []
        for child in map(_alone, node.children):
            if isinstance(child, IsNull) and (_place(child.lhs), child.rhs) in added:
                added.remove((_place(child.lhs), child.rhs))
                continue
            added = []
            if isinstance(child, Lookup) and node.connector == "OR" and inside:
                added = self._added_to_either(child)
            elif isinstance(child, Lookup) and node.connector == "AND" and negated:
                added = self._added_to_all(child)
            yield child

    def _added_to_either(self, lookup: Any) -> list[Any]:
        if type(lookup.lhs) is Exists:
            children: Any = lookup.lhs.query.where.children
            of_none = children and _ties(children[-1]) and isinstance(children[0], IsNull) and children[0].rhs is True
            return [(_place(children[-1].rhs), True)] if of_none else []
        with_none = lookup.lookup_name == "in" and isinstance(lookup.rhs, list) and None in lookup.rhs
        return [(_place(_column_of(lookup)), True)] if with_none else []

    def _added_to_all(self, lookup: Any) -> list[Any]:
        column, other = _column_of(lookup), lookup.rhs
        added: list[Any] = []
        if isinstance(lookup, IsNull):
            return added
        if isinstance(column, Col) and (self.query.is_nullable(column.target) or column.alias != self.query.base_table):
            added.append((_place(column), False))  # any column can be NULL if its join is an outer one, or was
        if isinstance(other, Col) and self.query.is_nullable(other.target):
            added.append((_place(other), False))
        return added


def is_empty(node: Any) -> bool:
    """Whether none() has put it there."""
    return isinstance(node, NothingNode)


def _alone(node: Any) -> Any:
    """The one condition of a tree that has no other: such trees are Django's."""
    while type(node) is WhereNode and len(node.children) == 1 and not node.negated:
        (node,) = node.children
    return node


def _column_of(lookup: Any) -> Any:
    expression = lookup.lhs
    while isinstance(expression, Transform):
        expression = expression.lhs
    return expression


def _without_rows(value: Any, column: Any) -> Any:
    """Instances as keys of several columns, for which Django takes them later."""
    if isinstance(value, list):
        return [_without_rows(member, column) for member in value]
    return get_normalized_value(value, column) if isinstance(value, Model) else value


def _ties(tie: Any) -> bool:
    return isinstance(tie, Lookup) and isinstance(tie.lhs, Col) and isinstance(tie.rhs, Col)


def _is_same_row(tie: Any) -> bool:
    """Whether a subquery is about rows that the outer query has joined."""
    return bool(tie.lhs.target.primary_key and tie.lhs.target == tie.rhs.target)


def _former_alias(query: Any, alias: str) -> str:
    """What an alias of a subquery was before Django renamed them all: by this it looks for joins of the same row."""
    aliases = list(query.alias_map)
    table, place = query.alias_map[alias].table_name, aliases.index(alias)
    is_first = all(query.alias_map[other].table_name != table for other in aliases[:place])
    return str(table) if is_first else f"T{place + 1}"


def _place(column: Any) -> tuple[Any, Any] | None:
    return (column.alias, column.target) if isinstance(column, Col) else None
