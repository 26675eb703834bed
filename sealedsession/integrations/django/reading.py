"""Steps of a recipe, read from what Django's QuerySet keeps of its past: the `Query`.

It keeps no calls, but what came of them, so that more than one order of calls may explain a query. The ones worth
trying are given, the likeliest first; whether one makes the same query, `querysets` finds out.

1. Conditions that were given to one filter() speak of the same row of a relation to many, and share its join. Those of
   two filter() calls do not, and each has a join of its own: by these the calls are told apart.
2. An annotation uses the join that it finds; a filter() does not use that of an annotation. So what made a join came
   first, and joins are numbered as they were made.
3. values() before an aggregate says by what is grouped. After it, it only selects.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from django.db.models.expressions import Col, Ref
from django.db.models.sql import Query

from sealedsession.integrations.django.columns import UnsupportedQuery, relation_of
from sealedsession.integrations.django.conditions import Conditions, is_empty
from sealedsession.integrations.django.expressions import Choice

Steps = list[tuple[Any, ...]]

_INNER = 8  # explanations of a query within another one that are tried


class _Part(NamedTuple):
    """A filter() or an annotation.

    :param joins: the aliases of those on the way to its columns.
    :param mentioned: names of annotations in it.
    """

    step: tuple[Any, ...]
    joins: set[str]
    mentioned: set[str]


def explanations(query: Any, values: tuple[str, list[str]] | None) -> Iterator[Steps]:
    """Steps that may have made a query.

    :param values: what values() or values_list() was called with last, and which of them it was.
    :raises UnsupportedQuery: naming the part for which recipes have no words.
    """
    for by_name, apart in itertools.product((False, True), repeat=2):
        readings = _Readings(by_name, apart)
        yield from readings.explain(query, values)
        while readings.number < min(readings.most, _INNER):
            readings.number += 1
            yield from readings.explain(query, values)
        if apart and not readings.choice.is_open:
            break


class _Readings:
    """Readings of a query and those within it.

    :ivar number: which explanation of the queries within is taken, if they have as many.
    :ivar most: the last number that one of them has.
    """

    def __init__(self, by_name: bool, apart: bool) -> None:
        self.choice = Choice(self.recipe_of, by_name, apart)
        self.number = self.most = 0

    def recipe_of(self, query: Any) -> tuple[Any, ...]:
        """A recipe of a query within another one."""
        found = list(self.explain(query, _values_of(query)))
        self.most = max(self.most, len(found) - 1)
        steps = found[min(self.number, len(found) - 1)]
        return (query.model._meta.label, "", getattr(query, "_db", None), steps)

    def explain(self, query: Any, values: tuple[str, list[str]] | None) -> Iterator[Steps]:
        """Explanations of one query."""
        _check(query)
        if query.combinator:
            yield from self._explain_combination(query, values)
            return
        grouped, joins = _grouped(query, self.choice)
        parts = [part.step for part in _parts(query, self.choice, joins)]
        rest = [*_loading(query), *_end(query, self.choice)]
        if values is None:
            yield [*parts, *rest]
            return
        kind, names = values
        for place in range(len(parts), -1, -1):
            yield [*parts[:place], (kind, names), *parts[place:], *rest]
            if grouped is not None:
                yield [*parts[:place], ("values", grouped), *parts[place:], (kind, names), *rest]

    def _explain_combination(self, query: Any, values: tuple[str, list[str]] | None) -> Iterator[Steps]:
        first, *others = query.combined_queries
        recipes = [self.recipe_of(other) for other in others]
        end = _end(query, self.choice)
        own = _values_of(first)
        for steps in self.explain(first, own and (values[0] if values else "values_list", own[1])):
            combined = [*steps, (query.combinator, query.combinator_all, recipes)]
            yield [*combined, *end]
            if values is not None:
                yield [*combined, values, *end]


def _values_of(query: Any) -> tuple[str, list[str]] | None:
    """What values_list() of a query within another one was called with."""
    if query.selected is not None:
        return "values_list", list(query.selected)
    return ("values_list", []) if query.values_select else None


def _check(query: Any) -> None:
    """Name what recipes cannot say at all."""
    parts = {
        f"a {type(query).__name__}": type(query) is not Query,
        "extra()": query.extra or query.extra_tables or query.extra_order_by,
        "a FilteredRelation": query._filtered_relations,
        "select_for_update()": query.select_for_update,
    }
    for part, is_there in parts.items():
        if is_there:
            raise UnsupportedQuery(part)


def _parts(query: Any, choice: Choice, joined: set[str]) -> list[_Part]:
    """The filters and annotations, in an order that explains the joins.

    :param joined: those that explain nothing.
    """
    annotations = _annotations(query, choice)
    filters = _filters(query, choice, set().union(*[part.joins for part in annotations]))
    places = {alias: place for place, alias in enumerate(query.alias_map)}
    of_many = {alias for alias in query.alias_map if relation_of(query, alias)}
    parts: list[_Part] = []
    made: set[str] = set()

    def new_joins(part: _Part) -> list[int]:
        return sorted(places[alias] for alias in part.joins - joined)

    while filters and annotations:
        waits = not filters[0].mentioned <= made
        shares = filters[0].joins & annotations[0].joins & of_many - joined
        is_before = not shares and new_joins(annotations[0]) < new_joins(filters[0])
        part = (annotations if waits or is_before else filters).pop(0)
        joined = joined | part.joins
        made |= {part.step[1]} if part.step[0] in ("annotate", "alias") else set()
        parts.append(part)
    return [*parts, *filters, *annotations]


def _annotations(query: Any, choice: Choice) -> list[_Part]:
    parts = []
    for index, (name, annotation) in enumerate(query.annotations.items()):
        scope = Conditions(query, choice)
        scope.known = set(list(query.annotations)[:index])
        try:
            expression = scope.expression(annotation)
        except UnsupportedQuery as error:
            raise UnsupportedQuery(f"{error}, in the annotation {name!r}") from None
        if expression != ("F", name):  # which values() has made
            step = ("annotate" if name in query.annotation_select else "alias", name, expression)
            parts.append(_Part(step, scope.touched, scope.mentioned))
    return parts


def _filters(query: Any, choice: Choice, others: set[str]) -> list[_Part]:
    """The calls of filter().

    :param others: joins of annotations.
    """
    aliases = list(query.alias_map)
    where = query.where
    is_list = where.connector == "AND" and not where.negated
    children = [child for child in where.children if not is_empty(child)] if is_list else [where]
    parts: list[_Part] = []
    conditions: list[Any] = []
    relations: dict[Any, str] = {}  # to many rows, and the alias of each in this call
    part = _Part((), set(), set())
    for child in children:
        scope = Conditions(query, choice)
        condition = scope.condition(child)
        found = {relation: alias for alias in scope.touched if (relation := relation_of(query, alias))}
        apart = (
            any(relations.get(relation, alias) != alias for relation, alias in found.items())
            or scope.excluded & part.joins
            or _have_joins_of(query, choice, scope.mentioned, part.joins)
        )
        if not part.joins & {*found.values()}:  # it need not be the same call
            apart = apart or choice.apart or _is_between(aliases, part.joins, others, scope.touched)
        if conditions and apart:
            parts.append(_called(part, conditions))
            conditions, relations, part = [], {}, _Part((), set(), set())
        conditions.append(condition)
        relations.update(found)
        part.joins.update(scope.touched)
        part.mentioned.update(scope.mentioned)
    if conditions:
        parts.append(_called(part, conditions))
    if query.filter_is_sticky and parts:
        parts[-1] = parts[-1]._replace(step=("sticky", *parts[-1].step[1:]))
    return parts


def _called(part: _Part, conditions: list[Any]) -> _Part:
    return part._replace(step=("filter", conditions[0] if len(conditions) == 1 else ["AND", False, *conditions]))


def _have_joins_of(query: Any, choice: Choice, names: set[str], joins: set[str]) -> bool:
    """Whether annotations use joins that a filter() has made: then they were made in between."""
    for name in names:
        scope = Conditions(query, choice)
        scope.known = set()
        scope.expression(query.annotations[name])
        if any(relation_of(query, alias) for alias in scope.touched & joins):
            return True
    return False


def _is_between(aliases: list[str], before: set[str], others: set[str], after: set[str]) -> bool:
    """Whether others were joined after all that came before, and before what came after."""
    end = min(map(aliases.index, after - before), default=0)
    start = max(map(aliases.index, before), default=end)
    return any(start < aliases.index(alias) < end for alias in others - before - after)


def _grouped(query: Any, choice: Choice) -> tuple[list[str] | None, set[str]]:
    """What values() has said to group by, if it has, and the joins that it needed."""
    if not isinstance(query.group_by, tuple):
        return None, set()
    scope = Conditions(query, choice)
    names = []
    for expression in query.group_by:
        if isinstance(expression, Ref):
            names.append(cast(Any, expression).refs)
        elif isinstance(expression, Col):
            names.append(scope.path_of(expression, of_lookup=False))
    return list(dict.fromkeys(names)), scope.touched


def _loading(query: Any) -> Steps:
    """What is loaded of the rows, and what along with them."""
    steps: Steps = []
    names, deferred = query.deferred_loading
    if names or not deferred:
        steps.append(("defer" if deferred else "only", sorted(names)))
    if query.select_related is True:
        steps.append(("select_all_related",))
    elif query.select_related:
        steps.append(("select_related", list(_leaves(query.select_related))))
    if query.distinct:
        steps.append(("distinct", list(query.distinct_fields)))
    return steps


def _leaves(tree: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, below in tree.items():
        if below:
            yield from _leaves(below, f"{before}{name}__")
        else:
            yield before + name


def _end(query: Any, choice: Choice) -> Steps:
    """The order, and what can stand behind a union too."""
    steps: Steps = []
    if query.order_by or not query.default_ordering:
        scope = Conditions(query, choice)
        steps.append(("order_by", [scope.ordering(item) for item in query.order_by]))
    if not query.standard_ordering:
        steps.append(("reverse",))
    if any(map(is_empty, query.where.children)):
        steps.append(("none",))
    if query.is_sliced:
        steps.append(("slice", query.low_mark, query.high_mark))
    return steps
