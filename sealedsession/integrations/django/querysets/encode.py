"""Encoding of QuerySets as recipes.

Django's `Query` keeps no calls, only their result. Several sequences of calls can explain one query. `explain` yields
the likely ones, and `encode_queryset` takes the first recipe that decodes to a QuerySet with the same fingerprint.

1. Conditions of one filter() call refer to the same row of a multi-valued relation and share its join. Each call has
   joins of its own, which separates the calls.
2. An annotation uses an existing join, but a filter() does not use a join of an annotation. The call that made a join
   therefore came first. Joins are numbered in the order in which they were made.
3. values() before an aggregate defines the grouping. After it, values() only selects.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from django import db
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import models, router
from django.db.models import QuerySet
from django.db.models.expressions import Col, Ref
from django.db.models.query import ModelIterable
from django.db.models.sql import Query

from sealedsession.errors import StaleStateError, UnsealError
from sealedsession.integrations.django.budget import WEIGHT, Budget, Budgets, current_budgets
from sealedsession.integrations.django.querysets.decode import build_queryset
from sealedsession.integrations.django.querysets.encode_expressions import ExpressionEncoder, Strategy, is_nothing
from sealedsession.integrations.django.querysets.fingerprint import fingerprint
from sealedsession.integrations.django.querysets.lookups import find_multi_valued_relation
from sealedsession.integrations.django.querysets.spec import (
    FETCH_MODES,
    ITERABLES,
    UnsupportedQueryError,
    check_relations,
)
from sealedsession.integrations.django.validation import INVALID, find_model

Steps = list[tuple[Any, ...]]

EXPLANATIONS = 64  # tried for one QuerySet
_SUBQUERY_EXPLANATIONS = 8  # tried for one subquery
_ATTRIBUTES = frozenset(vars(QuerySet()))
_ADVICE = (
    "Recipes support filter, exclude, Q, F and arithmetic, annotate and alias with the standard aggregates, values, "
    "order_by, slices, union, and names of relations and fields. Make the QuerySet in load(), whose attributes are not "
    "sealed, or seal primary keys"
)


class _Part(NamedTuple):
    """A filter() call or an annotation.

    :param joins: aliases of the joins to its columns.
    :param mentioned: names of annotations that it refers to.
    """

    step: tuple[Any, ...]
    joins: set[str]
    mentioned: set[str]


def encode_queryset(queryset: Any) -> object:
    """Return the recipe of a QuerySet.

    :raises TypeError: if recipes do not support a part of the query. The message names the part.
    """
    budgets = current_budgets()
    return budgets.encode_once(queryset, lambda queryset: _encode(queryset, budgets))


def _encode(queryset: Any, budgets: Budgets) -> object:
    try:
        return _find_recipe(queryset, budgets)
    except UnsupportedQueryError as error:
        raise TypeError(f"recipes of QuerySets do not support {error}. {_ADVICE}") from None


def _find_recipe(queryset: Any, budgets: Budgets) -> tuple[Any, ...]:
    query, model = queryset.query, queryset.model
    manager = _find_manager_name(queryset)
    if manager is None:
        raise UnsupportedQueryError(f"{type(queryset).__name__}, which no manager of {model.__name__} uses")
    if find_model(model._meta.label) is not model:
        raise UnsupportedQueryError(f"{model!r}, whose label belongs to another model")
    if others := sorted(set(vars(queryset)) - _ATTRIBUTES):
        raise UnsupportedQueryError(f"attributes of a {type(queryset).__name__}: {', '.join(others)}")
    end = _encode_prefetching(queryset)
    wanted = None
    for steps in itertools.islice(explain(query, _find_values_call(queryset)), EXPLANATIONS):
        wanted = wanted or fingerprint(queryset)
        recipe = (model._meta.label, manager, _find_database(queryset), [*steps, *end])
        if _decodes_to(recipe, wanted, budgets):
            return recipe
    raise UnsupportedQueryError("this combination of filters, annotations and values")


def _decodes_to(recipe: tuple[Any, ...], wanted: Any, budgets: Budgets) -> bool:
    """Return whether a recipe decodes to a QuerySet with this fingerprint. Pay for the recipe if it does."""
    try:
        budget = Budget()
        try:
            queryset = build_queryset(recipe, 0, budget)
        finally:
            budgets.search.pay(WEIGHT - budget.weight)
        if fingerprint(queryset) != wanted:
            return False
        budgets.decoding.pay(WEIGHT - budget.weight)
    except UnsealError as error:
        raise UnsupportedQueryError(error.detail.removeprefix(INVALID)) from None
    except StaleStateError as error:
        raise UnsupportedQueryError(f"this query: {error}") from None
    except (db.Error, FieldError, FieldDoesNotExist, TypeError, ValueError):
        return False  # these calls cannot be made in this order
    return True


def _find_manager_name(queryset: Any) -> str | None:
    """Return the name of a manager that uses the class of a QuerySet, "" for Django's own class, or None."""
    if type(queryset) is QuerySet:
        return ""
    managers = (manager for manager in queryset.model._meta.managers if type(manager.all()) is type(queryset))
    return next((str(manager.name) for manager in managers), None)


def _find_values_call(queryset: Any) -> tuple[str, list[str]] | None:
    """Return the variant and the arguments of the last call of values() or values_list(), if any."""
    if queryset._iterable_class is ModelIterable:
        return None
    for kind, iterable in ITERABLES.items():
        if queryset._iterable_class is iterable:
            return kind, list(queryset._fields)
    raise UnsupportedQueryError(f"rows made by {queryset._iterable_class.__name__}")


def _encode_prefetching(queryset: Any) -> Steps:
    steps: Steps = []
    lookups = queryset._prefetch_related_lookups
    if any(not isinstance(lookup, str) for lookup in lookups):
        raise UnsupportedQueryError("a Prefetch object in prefetch_related(), only names")
    for lookup in lookups:
        check_relations(queryset.model, lookup)
    if lookups:
        steps.append(("prefetch_related", list(lookups)))
    mode = getattr(queryset, "_fetch_mode", None)
    if mode is not getattr(QuerySet(), "_fetch_mode", None):
        names = [name for name in FETCH_MODES if getattr(models, name) is mode]
        if not names:
            raise UnsupportedQueryError(f"the fetch mode {mode!r}")
        steps.append(("fetch_mode", names[0]))
    return steps


def _find_database(queryset: Any) -> str | None:
    """Return the alias of the database that a QuerySet is bound to, by using() or by the instance of its manager."""
    if queryset._db or not queryset._hints:
        return queryset._db  # type: ignore[no-any-return]
    hinted = router.db_for_read(queryset.model, **queryset._hints)
    return None if hinted == router.db_for_read(queryset.model) else hinted


def explain(query: Any, values_call: tuple[str, list[str]] | None) -> Iterator[Steps]:
    """Yield sequences of steps that may have made a query, the likeliest first.

    :param values_call: variant and arguments of the last call of values() or values_list(), if any.
    :raises UnsupportedQueryError: if recipes do not support a part of the query.
    """
    for prefer_annotations, split_filters in itertools.product((False, True), repeat=2):
        explainer = _Explainer(prefer_annotations, split_filters)
        yield from explainer.explain(query, values_call)
        while explainer.subquery_index < min(explainer.last_subquery_index, _SUBQUERY_EXPLANATIONS):
            explainer.subquery_index += 1
            yield from explainer.explain(query, values_call)
        if split_filters and not explainer.strategy.is_ambiguous:
            break


class _Explainer:
    """Explains a query and its subqueries.

    :ivar subquery_index: index of the explanation that is used for each subquery, if it has as many.
    :ivar last_subquery_index: the largest index of any subquery.
    """

    def __init__(self, prefer_annotations: bool, split_filters: bool) -> None:
        self.strategy = Strategy(self.encode_subquery, prefer_annotations, split_filters)
        self.subquery_index = self.last_subquery_index = 0

    def encode_subquery(self, query: Any) -> tuple[Any, ...]:
        """Return a recipe of a query inside another one."""
        explanations = list(self.explain(query, _find_subquery_values(query)))
        self.last_subquery_index = max(self.last_subquery_index, len(explanations) - 1)
        steps = explanations[min(self.subquery_index, len(explanations) - 1)]
        return (query.model._meta.label, "", getattr(query, "_db", None), steps)

    def explain(self, query: Any, values_call: tuple[str, list[str]] | None) -> Iterator[Steps]:
        """Yield sequences of steps for one query."""
        _check_supported(query)
        if query.combinator:
            yield from self._explain_combination(query, values_call)
            return
        group_by, joins = _find_group_by(query, self.strategy)
        parts = [part.step for part in _find_parts(query, self.strategy, joins)]
        rest = [*_encode_loading(query), *_encode_end(query, self.strategy)]
        if values_call is None:
            yield [*parts, *rest]
            return
        kind, names = values_call
        for index in range(len(parts), -1, -1):
            yield [*parts[:index], (kind, names), *parts[index:], *rest]
            if group_by is not None:
                yield [*parts[:index], ("values", group_by), *parts[index:], (kind, names), *rest]

    def _explain_combination(self, query: Any, values_call: tuple[str, list[str]] | None) -> Iterator[Steps]:
        first, *others = query.combined_queries
        recipes = [self.encode_subquery(other) for other in others]
        end = _encode_end(query, self.strategy)
        own = _find_subquery_values(first)
        for steps in self.explain(first, own and (values_call[0] if values_call else "values_list", own[1])):
            combined = [*steps, (query.combinator, query.combinator_all, recipes)]
            yield [*combined, *end]
            if values_call is not None:
                yield [*combined, values_call, *end]


def _find_subquery_values(query: Any) -> tuple[str, list[str]] | None:
    """Return the call of values_list() that a subquery shows, if any."""
    if query.selected is not None:
        return "values_list", list(query.selected)
    return ("values_list", []) if query.values_select else None


def _check_supported(query: Any) -> None:
    parts = {
        f"a {type(query).__name__}": type(query) is not Query,
        "extra()": query.extra or query.extra_tables or query.extra_order_by,
        "a FilteredRelation": query._filtered_relations,
        "select_for_update()": query.select_for_update,
    }
    for part, is_used in parts.items():
        if is_used:
            raise UnsupportedQueryError(part)


def _find_parts(query: Any, strategy: Strategy, known_joins: set[str]) -> list[_Part]:
    """Return the filter() calls and annotations, in an order that explains the joins.

    :param known_joins: aliases of joins that exist before.
    """
    annotations = _find_annotations(query, strategy)
    filters = _find_filters(query, strategy, set().union(*[part.joins for part in annotations]))
    positions = {alias: position for position, alias in enumerate(query.alias_map)}
    multi_valued = {alias for alias in query.alias_map if find_multi_valued_relation(query, alias)}
    parts: list[_Part] = []
    annotated: set[str] = set()

    def find_new_joins(part: _Part) -> list[int]:
        return sorted(positions[alias] for alias in part.joins - known_joins)

    while filters and annotations:
        needs_annotation = not filters[0].mentioned <= annotated
        shares_join = filters[0].joins & annotations[0].joins & multi_valued - known_joins
        is_earlier = not shares_join and find_new_joins(annotations[0]) < find_new_joins(filters[0])
        part = (annotations if needs_annotation or is_earlier else filters).pop(0)
        known_joins = known_joins | part.joins
        annotated |= {part.step[1]} if part.step[0] in ("annotate", "alias") else set()
        parts.append(part)
    return [*parts, *filters, *annotations]


def _find_annotations(query: Any, strategy: Strategy) -> list[_Part]:
    parts = []
    for index, (name, annotation) in enumerate(query.annotations.items()):
        encoder = ExpressionEncoder(query, strategy)
        encoder.known = set(list(query.annotations)[:index])
        try:
            expression = encoder.encode_expression(annotation)
        except UnsupportedQueryError as error:
            raise UnsupportedQueryError(f"{error}, in the annotation {name!r}") from None
        if expression != ("F", name):  # otherwise values() made it
            step = ("annotate" if name in query.annotation_select else "alias", name, expression)
            parts.append(_Part(step, encoder.used_joins, encoder.mentioned))
    return parts


def _find_filters(query: Any, strategy: Strategy, annotation_joins: set[str]) -> list[_Part]:
    """Return the filter() calls.

    :param annotation_joins: aliases of the joins of annotations.
    """
    aliases = list(query.alias_map)
    where = query.where
    is_list = where.connector == "AND" and not where.negated
    children = [child for child in where.children if not is_nothing(child)] if is_list else [where]
    parts: list[_Part] = []
    conditions: list[Any] = []
    relations: dict[Any, str] = {}  # multi-valued relations of the current call, and their aliases
    part = _Part((), set(), set())
    for child in children:
        encoder = ExpressionEncoder(query, strategy)
        condition = encoder.encode_condition(child)
        found = {
            relation: alias for alias in encoder.used_joins if (relation := find_multi_valued_relation(query, alias))
        }
        is_next_call = (
            any(relations.get(relation, alias) != alias for relation, alias in found.items())
            or encoder.excluded_joins & part.joins
            or _annotations_use_joins(query, strategy, encoder.mentioned, part.joins)
        )
        if not part.joins & {*found.values()}:  # nothing shows that it is the same call
            is_next_call = (
                is_next_call
                or strategy.split_filters
                or _has_joins_between(aliases, part.joins, annotation_joins, encoder.used_joins)
            )
        if conditions and is_next_call:
            parts.append(_finish_filter(part, conditions))
            conditions, relations, part = [], {}, _Part((), set(), set())
        conditions.append(condition)
        relations.update(found)
        part.joins.update(encoder.used_joins)
        part.mentioned.update(encoder.mentioned)
    if conditions:
        parts.append(_finish_filter(part, conditions))
    if query.filter_is_sticky and parts:
        parts[-1] = parts[-1]._replace(step=("sticky", *parts[-1].step[1:]))
    return parts


def _finish_filter(part: _Part, conditions: list[Any]) -> _Part:
    return part._replace(step=("filter", conditions[0] if len(conditions) == 1 else ["AND", False, *conditions]))


def _annotations_use_joins(query: Any, strategy: Strategy, names: set[str], joins: set[str]) -> bool:
    """Return whether annotations use multi-valued joins of a filter() call, which shows that they were added later."""
    for name in names:
        encoder = ExpressionEncoder(query, strategy)
        encoder.known = set()
        encoder.encode_expression(query.annotations[name])
        if any(find_multi_valued_relation(query, alias) for alias in encoder.used_joins & joins):
            return True
    return False


def _has_joins_between(aliases: list[str], before: set[str], others: set[str], after: set[str]) -> bool:
    """Return whether any of `others` was joined after all of `before`, and before the new joins of `after`."""
    end = min(map(aliases.index, after - before), default=0)
    start = max(map(aliases.index, before), default=end)
    return any(start < aliases.index(alias) < end for alias in others - before - after)


def _find_group_by(query: Any, strategy: Strategy) -> tuple[list[str] | None, set[str]]:
    """Return the arguments of the values() call that defines the grouping, if any, and its joins."""
    if not isinstance(query.group_by, tuple):
        return None, set()
    encoder = ExpressionEncoder(query, strategy)
    names = []
    for expression in query.group_by:
        if isinstance(expression, Ref):
            names.append(cast(Any, expression).refs)
        elif isinstance(expression, Col):
            names.append(encoder.find_path(expression, in_lookup=False))
    return list(dict.fromkeys(names)), encoder.used_joins


def _encode_loading(query: Any) -> Steps:
    """Encode only(), defer(), select_related() and distinct()."""
    steps: Steps = []
    names, deferred = query.deferred_loading
    if names or not deferred:
        steps.append(("defer" if deferred else "only", sorted(names)))
    if query.select_related is True:
        steps.append(("select_all_related",))
    elif query.select_related:
        steps.append(("select_related", list(_find_leaves(query.select_related))))
    if query.distinct:
        steps.append(("distinct", list(query.distinct_fields)))
    return steps


def _find_leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, below in tree.items():
        if below:
            yield from _find_leaves(below, f"{prefix}{name}__")
        else:
            yield prefix + name


def _encode_end(query: Any, strategy: Strategy) -> Steps:
    """Encode the steps that can also follow a union: the ordering, none() and a slice."""
    steps: Steps = []
    if query.order_by or not query.default_ordering:
        encoder = ExpressionEncoder(query, strategy)
        steps.append(("order_by", [encoder.encode_ordering(item) for item in query.order_by]))
    if not query.standard_ordering:
        steps.append(("reverse",))
    if any(map(is_nothing, query.where.children)):
        steps.append(("none",))
    if query.is_sliced:
        steps.append(("slice", query.low_mark, query.high_mark))
    return steps
