"""The names that a lookup has for columns: a `Query` of Django's keeps joins and columns, and a recipe says
``author__name``.

1. The joins between a column and the model are compared with those that Django makes of a name. Many names lead to the
   same column; the shortest is taken.
2. What is not found is an error, and what is found wrongly shows when the recipe is compared with the query.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from django.db.models import CompositePrimaryKey
from django.db.models.expressions import Col, ColPairs
from django.db.models.fields.reverse_related import ForeignObjectRel
from django.db.models.sql import Query
from django.db.models.sql.datastructures import Join

_BEYOND = 3  # names behind the last join, such as author__id: Django takes the joins back that they do not need


class UnsupportedQuery(TypeError):
    """A part of a query for which recipes have no words."""


class Step(NamedTuple):
    """A join: a field, or None where it is not known, and the table that is joined."""

    field: Any
    table: str


class Columns:
    """The columns of one query.

    :param query: a Query of Django's.
    :param lost: the field of the one join that the query does not know, see `conditions`.
    :ivar touched: aliases of the joins that were on the way to columns that were asked for.
    """

    def __init__(self, query: Any, lost: Any = None) -> None:
        self.query = query
        self.touched: set[str] = set()
        self._lost = lost

    def path_of(self, column: Any, *, of_lookup: bool) -> str:
        """The name of a column.

        :param of_lookup: whether it is the left side of a lookup, where author and author__id are not the same.
        """
        steps = self._steps(column.alias)
        targets: Any = (column.target,) if isinstance(column, Col) else tuple(column.targets)
        if isinstance(column, ColPairs) and isinstance(column.output_field, CompositePrimaryKey):
            targets = (column.output_field,)
        path = _path_of(self.query.model, steps, targets, column.output_field if of_lookup else None)
        if path is None:
            raise UnsupportedQuery(f"a lookup that has no name: of {targets[0]} by way of {column.alias}")
        return path

    def touch(self, alias: str) -> None:
        """Have the joins on the way to an alias among those that were asked for."""
        self._steps(alias)

    def _steps(self, alias: str) -> tuple[Step, ...]:
        aliases, joins = list(self.query.alias_map), self.query.alias_map
        steps: list[Step] = []
        while alias != aliases[0]:
            join = joins.get(alias)
            if join is None:
                raise UnsupportedQuery("a reference to an outer query, OuterRef")
            self.touched.add(alias)
            known = isinstance(join, Join)
            steps.insert(0, Step(join.join_field if known else self._lost, join.table_name))
            # A subquery of exclude() has forgotten one join; its joins are a chain, in their order.
            alias = join.parent_alias if known else aliases[aliases.index(alias) - 1]
        return tuple(steps)


def relation_of(query: Any, alias: str) -> tuple[str, Any] | None:
    """What a query has joined there if one row can have many: where from, and by which field. None for other joins."""
    join = query.alias_map[alias]
    field = getattr(join, "join_field", None)
    if isinstance(field, ForeignObjectRel) and not field.field.unique:
        return join.parent_alias, field
    return None


@lru_cache(4096)
def _path_of(model: Any, steps: tuple[Step, ...], targets: tuple[Any, ...], final: Any) -> str | None:
    for beyond in range(_BEYOND):
        for names in _spellings(model._meta, steps, beyond):
            if _leads_to(model, names, steps, targets, final):
                return "__".join(names)
    return None


def _spellings(opts: Any, steps: tuple[Step, ...], beyond: int) -> Iterator[list[str]]:
    """Names whose joins begin with these, or go beyond them as many times as may be."""
    for field in opts.get_fields():
        if field.is_relation and field.related_model is None:
            continue  # a GenericForeignKey, which no lookup can follow
        joins, *_ = Query(opts.model).names_to_path([field.name], opts)
        rest = steps[len(joins) :]
        is_beyond = len(joins) > len(steps)
        if is_beyond > beyond or not all(map(_fits, joins, steps)):
            continue
        if not rest:
            yield [field.name]
        if field.is_relation:
            for names in _spellings(joins[-1].to_opts, rest, beyond - is_beyond):
                yield [field.name, *names]


def _fits(join: Any, step: Step) -> bool:
    if step.field is None:
        return bool(join.to_opts.db_table == step.table)
    return bool(join.join_field == step.field)


def _leads_to(model: Any, names: list[str], steps: tuple[Step, ...], targets: tuple[Any, ...], final: Any) -> bool:
    """Whether Django makes these joins, and this column, of names."""
    query: Any = Query(model)
    found = query.setup_joins(names, model._meta, query.get_initial_alias())
    columns, _, aliases = query.trim_joins(found.targets, found.joins, found.path)
    joins = [query.alias_map[alias] for alias in aliases[1:]]
    return (
        len(joins) == len(steps)
        and tuple(columns) == targets
        and (final is None or found.final_field == final)
        and all(
            step.table == join.table_name and step.field in (None, join.join_field)
            for step, join in zip(steps, joins, strict=True)
        )
    )
