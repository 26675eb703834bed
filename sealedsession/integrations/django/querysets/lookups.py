"""Lookup paths of columns. Django's `Query` keeps joins and columns; a recipe has paths such as ``author__name``.

1. A path is correct if Django makes the same joins and the same column from it. Several paths can lead to one column.
   The shortest one is used.
2. A column without a path is an error. A wrong path changes the fingerprint of the decoded recipe, so that it is not
   sealed.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from django.db.models import CompositePrimaryKey
from django.db.models.expressions import Col, ColPairs
from django.db.models.fields.reverse_related import ForeignObjectRel
from django.db.models.sql import Query
from django.db.models.sql.datastructures import Join

from sealedsession.integrations.django.querysets.spec import UnsupportedQueryError

_EXTRA_NAMES = 3  # names behind the last join, such as author__id: Django removes joins that it does not need


class JoinStep(NamedTuple):
    """A join: its field, or None if the field is unknown, and the joined table."""

    field: Any
    table: str


class LookupPaths:
    """Finds the lookup paths of the columns of one query.

    :param query: Django's `Query`.
    :param missing_field: the field of the one join that a subquery of exclude() has lost, see `encode_expressions`.
    :ivar used_joins: aliases of the joins to the columns so far.
    """

    def __init__(self, query: Any, missing_field: Any = None) -> None:
        self.query = query
        self.used_joins: set[str] = set()
        self._missing_field = missing_field

    def find_path(self, column: Any, *, in_lookup: bool) -> str:
        """Return the lookup path of a column.

        :param in_lookup: the column is the left side of a lookup, where author and author__id differ.
        :raises UnsupportedQueryError: if no path leads to the column.
        """
        steps = self._find_joins(column.alias)
        targets: Any = (column.target,) if isinstance(column, Col) else tuple(column.targets)
        if isinstance(column, ColPairs) and isinstance(column.output_field, CompositePrimaryKey):
            targets = (column.output_field,)
        path = _find_path(self.query.model, steps, targets, column.output_field if in_lookup else None)
        if path is None:
            raise UnsupportedQueryError(f"a lookup without a path, of {targets[0]} over {column.alias}")
        return path

    def use_joins(self, alias: str) -> None:
        """Add the joins to an alias to `used_joins`."""
        self._find_joins(alias)

    def _find_joins(self, alias: str) -> tuple[JoinStep, ...]:
        aliases, joins = list(self.query.alias_map), self.query.alias_map
        steps: list[JoinStep] = []
        while alias != aliases[0]:
            join = joins.get(alias)
            if join is None:
                raise UnsupportedQueryError("a reference to an outer query, OuterRef")
            self.used_joins.add(alias)
            is_join = isinstance(join, Join)
            steps.insert(0, JoinStep(join.join_field if is_join else self._missing_field, join.table_name))
            # The joins of a subquery of exclude() are a chain, so the parent of the lost join is the alias before it.
            alias = join.parent_alias if is_join else aliases[aliases.index(alias) - 1]
        return tuple(steps)


def find_multi_valued_relation(query: Any, alias: str) -> tuple[str, Any] | None:
    """Return the parent alias and the field of a join to a multi-valued relation, or None for other joins."""
    join = query.alias_map[alias]
    field = getattr(join, "join_field", None)
    if isinstance(field, ForeignObjectRel) and not field.field.unique:
        return join.parent_alias, field
    return None


@lru_cache(4096)
def _find_path(model: Any, steps: tuple[JoinStep, ...], targets: tuple[Any, ...], final: Any) -> str | None:
    for extra in range(_EXTRA_NAMES):
        for names in _candidates(model._meta, steps, extra):
            if _leads_to(model, names, steps, targets, final):
                return "__".join(names)
    return None


def _candidates(opts: Any, steps: tuple[JoinStep, ...], extra: int) -> Iterator[list[str]]:
    """Yield paths that make these joins, and at most `extra` more."""
    for field in opts.get_fields():
        if field.is_relation and field.related_model is None:
            continue  # a GenericForeignKey, which lookups cannot follow
        joins, *_ = Query(opts.model).names_to_path([field.name], opts)
        rest = steps[len(joins) :]
        is_extra = len(joins) > len(steps)
        if is_extra > extra or not all(map(_matches, joins, steps)):
            continue
        if not rest:
            yield [field.name]
        if field.is_relation:
            for names in _candidates(joins[-1].to_opts, rest, extra - is_extra):
                yield [field.name, *names]


def _matches(join: Any, step: JoinStep) -> bool:
    if step.field is None:
        return bool(join.to_opts.db_table == step.table)
    return bool(join.join_field == step.field)


def _leads_to(model: Any, names: list[str], steps: tuple[JoinStep, ...], targets: tuple[Any, ...], final: Any) -> bool:
    """Return whether Django makes these joins and this column from a path."""
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
