"""Decoding of recipes into QuerySets. `spec` describes recipes.

1. A recipe may be hostile. Its steps call methods of Django's own QuerySet, each listed in `STEPS`, and each argument
   is checked. A forged recipe can filter, join, count and order like the application. It cannot contain SQL, or name a
   function, class or attribute.
2. A QuerySet is built without a query. The only exception is a relation of contenttypes, whose content type Django
   fetches once per process.
3. A recipe that does not fit the models any more is a `StaleStateError`.
"""

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django import db
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import models, router
from django.db.models import QuerySet

from sealedsession.errors import StaleStateError, UnsealError
from sealedsession.integrations.django.budget import Budget, current_budgets
from sealedsession.integrations.django.querysets.decode_expressions import ExpressionDecoder, check_depth
from sealedsession.integrations.django.querysets.fingerprint import compile_queryset
from sealedsession.integrations.django.querysets.joins import JoinCosts
from sealedsession.integrations.django.querysets.spec import FETCH_MODES, STEPS, check_relations
from sealedsession.integrations.django.validation import check_type, find_model, refuse


class ManagerError(Exception):
    """Wraps an exception from a manager's own code. The recipe did not cause it."""


def decode_recipe(data: Any) -> object:
    """Return the recipe, which `fetch_querysets` decodes. No model is touched before that.

    :raises TypeError: if the data is not a tuple.
    """
    if type(data) is not tuple:
        raise TypeError(f"a recipe must be a tuple, got {type(data).__name__}")
    return data


def fetch_querysets(recipes: list[Any]) -> list[Any]:
    """Build the QuerySets of recipes. No QuerySet is evaluated.

    :raises UnsealError: if a recipe is invalid, or the recipes cost too much.
    :raises StaleStateError: if a recipe does not fit the models any more.
    """
    budget = current_budgets().decoding
    with _forbid_new_content_types():
        return [_fetch_queryset(recipe, budget) for recipe in recipes]


def _fetch_queryset(recipe: Any, budget: Budget) -> Any:
    try:
        queryset = build_queryset(recipe, 0, budget)
        compile_queryset(queryset)  # finds missing fields of order_by(), select_related() and only()
    except (UnsealError, StaleStateError, db.OperationalError, db.InterfaceError):
        raise
    except ManagerError as error:
        failure: Exception = error.args[0]
    except Exception as error:  # Django's errors about a query that does not fit the models have many types
        problem = str(error) if isinstance(error, FieldError | FieldDoesNotExist) else type(error).__name__
        raise StaleStateError(f"a QuerySet no longer fits the model {recipe[0]!a}: {problem}") from error
    else:
        return queryset
    raise failure  # outside the except clause, which would replace the exception's own context


def _forbid_new_content_types() -> AbstractContextManager[None]:
    """Keep Django from inserting a missing content type while it looks the type up."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return nullcontext()
    using = router.db_for_write(apps.get_model("contenttypes.ContentType"))
    return db.connections[using].execute_wrapper(_refuse_insert)


def _refuse_insert(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
    if sql.startswith("INSERT"):
        raise StaleStateError("a QuerySet has a generic relation whose content type no longer exists")
    return execute(sql, *arguments)


def build_queryset(recipe: Any, depth: int, budget: Budget) -> Any:
    """Build the QuerySet of a recipe.

    Django raises errors of many types if the recipe does not fit the models in another way than those below.

    :param depth: number of recipes around this one.
    :param budget: pays for the recipe.
    :raises UnsealError: if the recipe is invalid.
    :raises StaleStateError: if its model, manager or database no longer exists.
    :raises ManagerError: if the manager fails.
    """
    check_depth(depth)
    budget.pay_step()
    label, manager, using, steps = check_type(recipe, tuple, length=4)
    model = find_model(label)
    budget.pay_recipe(model)
    if using is not None and check_type(using, str) not in db.connections.settings:
        raise StaleStateError(f"the database {using[:60]!a} is no longer in DATABASES")
    builder = _Builder(QuerySet(model, using=using), depth + 1, budget)
    for step in check_type(steps, list):
        builder.apply(step)
    return _convert_class(builder.queryset, model, check_type(manager, str))


def _convert_class(queryset: Any, model: Any, manager: str) -> Any:
    """Return the same QuerySet with the class that a manager uses."""
    if not manager:
        return queryset
    managers = {known.name: known for known in model._meta.managers}
    if manager not in managers:
        raise StaleStateError(f"the manager {manager[:60]!a} of {model._meta.label} no longer exists")
    converted = _find_queryset_class(managers[manager])(model=model, query=queryset.query, using=queryset._db)
    for attribute in ("_prefetch_related_lookups", "_iterable_class", "_fields", "_fetch_mode"):
        if hasattr(queryset, attribute):
            setattr(converted, attribute, getattr(queryset, attribute))
    return converted


def _find_queryset_class(manager: Any) -> Any:
    try:
        return type(manager.all())
    except Exception as error:  # noqa: BLE001  # the application's own code
        raise ManagerError(error) from None


class _Builder:
    """Applies steps to a QuerySet. Each public method except `apply` is a step, and checks its arguments."""

    def __init__(self, queryset: Any, depth: int, budget: Budget) -> None:
        self.queryset = queryset
        self._depth = depth
        self._budget = budget
        self._joins = JoinCosts(queryset.model, budget)
        self._joins.pay_default_order(queryset.model._meta, [])
        self._expressions = ExpressionDecoder(build_queryset, budget, self._joins)
        self._nodes_before = budget.nodes
        self._duplicated = 0  # nodes that the combined queries and the query itself both have

    def apply(self, step: Any) -> None:
        self._budget.pay_step(self._budget.nodes - self._nodes_before)
        name, *arguments = check_type(step, tuple)
        if type(name) is not str or name not in STEPS:
            refuse("an unknown step")
        self._expressions.query = self.queryset.query
        self.queryset = getattr(self, name)(*check_type(arguments, list, length=STEPS[name]))

    def filter(self, condition: Any) -> Any:
        self._joins.call += 1
        return self.queryset.filter(self._expressions.decode_condition(condition, self._depth))

    def sticky(self, condition: Any) -> Any:
        """Filter as the manager of related rows does: the next filter() refers to the same rows."""
        self._joins.call += 1
        return self.queryset._next_is_sticky().filter(self._expressions.decode_condition(condition, self._depth))

    def annotate(self, name: Any, expression: Any) -> Any:
        annotation = self._expressions.decode_annotation(name, expression, self._depth)
        annotated = self.queryset.annotate(**annotation)
        if name.startswith("_"):
            refuse(f"the annotation {name[:60]!a}, whose name is private")
        if _is_taken(self.queryset.model, name):
            label = self.queryset.model._meta.label
            raise StaleStateError(f"the annotation {name[:60]!a} would hide an attribute of {label}")
        return annotated

    def alias(self, name: Any, expression: Any) -> Any:
        return self.queryset.alias(**self._expressions.decode_annotation(name, expression, self._depth))

    def values(self, paths: Any) -> Any:
        return self.queryset.values(*self._decode_selected(paths))

    def values_list(self, paths: Any) -> Any:
        return self.queryset.values_list(*self._decode_selected(paths))

    def flat(self, paths: Any) -> Any:
        return self.queryset.values_list(*self._decode_selected(paths), flat=True)

    def named(self, paths: Any) -> Any:
        return self.queryset.values_list(*self._decode_selected(paths), named=True)

    def _decode_selected(self, paths: Any) -> list[str]:
        if not paths:  # Django looks up all columns of the model and of its parents again
            meta = self.queryset.model._meta
            self._budget.pay_columns(len(meta.concrete_fields) * (1 + len(meta.get_parent_list())))
        return self._expressions.decode_paths(paths)

    def order_by(self, items: Any) -> Any:
        orderings = [self._expressions.decode_ordering(item, self._depth) for item in check_type(items, list)]
        return self.queryset.order_by(*orderings)

    def reverse(self) -> Any:
        return self.queryset.reverse()

    def distinct(self, paths: Any) -> Any:
        return self.queryset.distinct(*self._expressions.decode_paths(paths))

    def only(self, paths: Any) -> Any:
        return self.queryset.only(*self._expressions.decode_paths(paths))

    def defer(self, paths: Any) -> Any:
        return self.queryset.defer(*self._expressions.decode_paths(paths))

    def select_related(self, paths: Any) -> Any:
        return self.queryset.select_related(*self._expressions.decode_paths(paths, pay=self._joins.pay_select_related))

    def select_all_related(self) -> Any:
        self._joins.pay_all_related()
        queryset = self.queryset.all()
        queryset.query.select_related = True  # as select_related() without names, which newer versions deprecate
        return queryset

    def prefetch_related(self, paths: Any) -> Any:
        for path in self._expressions.decode_paths(paths):
            check_relations(self.queryset.model, path)
        return self.queryset.prefetch_related(*paths)

    def fetch_mode(self, mode: Any) -> Any:
        if check_type(mode, str) not in FETCH_MODES:
            refuse("an unknown fetch mode")
        return self.queryset.fetch_mode(getattr(models, mode))

    def none(self) -> Any:
        return self.queryset.none()

    def slice(self, low: Any, high: Any) -> Any:
        if check_type(low, int) < 0 or (high is not None and check_type(high, int) < low):
            refuse("an invalid slice")
        return self.queryset[low:high]

    def union(self, every: Any, recipes: Any) -> Any:
        return self.queryset.union(*self._build_others(recipes), all=check_type(every, bool))

    def intersection(self, every: Any, recipes: Any) -> Any:
        check_type(every, bool)
        return self.queryset.intersection(*self._build_others(recipes))

    def difference(self, every: Any, recipes: Any) -> Any:
        check_type(every, bool)
        return self.queryset.difference(*self._build_others(recipes))

    def _build_others(self, recipes: Any) -> list[Any]:
        # Django keeps the query as it is and adds it to the combined queries. Later steps copy both.
        own = self._budget.nodes - self._nodes_before - self._duplicated
        self._duplicated += own
        self._budget.nodes += own
        return [build_queryset(recipe, self._depth, self._budget) for recipe in check_type(recipes, list)]


def _is_taken(model: Any, name: str) -> bool:
    """Return whether an annotation of this name would hide a method of the rows, or be assigned to a property or
    related rows.
    """
    member = inspect.getattr_static(model, name, None)
    return inspect.isroutine(member) or hasattr(member, "__set__")
