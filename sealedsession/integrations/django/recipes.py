"""Recipes: what a QuerySet asks for, as plain data, and the QuerySet that follows one::

    ("shop.Book", "", None, [("filter", ("author__name__exact", "Ada")), ("order_by", ["-title"]), ("slice", 0, 10)])

That is the name of a model, of the manager whose class of QuerySet it has (none for Django's own), of a database (none
for the one that routers choose), and steps. `querysets` makes recipes, and follows them.

1. Data of a recipe may be hostile. A step is one of `_STEPS`; it calls a method of Django's own QuerySet, and each
   argument is checked. A forged recipe filters, joins, counts and orders as an application can, and does nothing else:
   there is no way in it to say SQL, a function, a class or an attribute.
2. No query is made, but for content types, see `querysets`.
"""

import inspect
from typing import Any

from django import db
from django.apps import apps
from django.core.exceptions import FieldError
from django.db import models
from django.db.models import QuerySet
from django.db.models.query import FlatValuesListIterable, NamedValuesListIterable, ValuesIterable, ValuesListIterable

from sealedsession.errors import StaleStateError
from sealedsession.integrations.django.budget import Budget, Joins, refuse
from sealedsession.integrations.django.operands import Operands, check_depth, exactly

# What the steps of values() and values_list() make.
ITERABLES: dict[str, Any] = {
    "values": ValuesIterable,
    "values_list": ValuesListIterable,
    "flat": FlatValuesListIterable,
    "named": NamedValuesListIterable,
}
FETCH_MODES = ("FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE")  # constants of Django 6.1
COMBINATORS = ("union", "intersection", "difference")


class ManagerError(Exception):
    """Carries what a manager's own code raised: nothing in a recipe is the cause of it."""


def queryset_of(recipe: Any, depth: int, budget: Budget) -> Any:
    """Make the QuerySet.

    :param depth: how deep in other recipes it is.
    :param budget: what it may cost; less is left of it afterwards.
    :raises UnsealError: for what is no recipe.
    :raises ManagerError: when a manager does not give a QuerySet.
    :raises StaleStateError: when its model, its manager or its database is gone. What else does not fit the models is
        told by Django, in errors of many types.
    """
    check_depth(depth)
    budget.step()
    label, manager, using, steps = exactly(recipe, tuple, length=4)
    model = model_of(label)
    budget.recipe(model)
    if using is not None and exactly(using, str) not in db.connections.settings:
        raise StaleStateError(f"the database {using[:60]!a}, which is not in DATABASES any more")
    making = _Making(QuerySet(model, using=using), depth + 1, budget)
    for step in exactly(steps, list):
        making.take(step)
    return _with_class(making.queryset, model, exactly(manager, str))


def model_of(label: Any) -> Any:
    """The model of that name.

    :raises StaleStateError: when there is none.
    """
    try:
        model = apps.get_model(exactly(label, str))
    except (LookupError, ValueError):
        model = None
    # Django takes it in any case of letters, and each spelling would be a model of its own, with its own query.
    if model is None or model._meta.label != label:
        raise StaleStateError(f"the model {label[:60]!a}, which is not installed any more")
    return model


def manager_of(queryset: Any) -> str | None:
    """The name of a manager whose class of QuerySet it has, nothing for Django's own, None where there is none."""
    if type(queryset) is QuerySet:
        return ""
    named = (manager for manager in queryset.model._meta.managers if type(manager.all()) is type(queryset))
    return next((str(manager.name) for manager in named), None)


def check_relations(model: Any, names: str) -> None:
    """See that names are those of relations, as prefetch_related() looks up any attribute.

    :raises FieldError: when one is not.
    """
    for name in names.split("__"):
        fields = model._meta.get_fields() if model else ()
        relations = {_accessor(field): field.related_model for field in fields if field.is_relation}
        if name not in relations:
            raise FieldError(f"prefetch_related({names!r}): {name!r} is no relation")
        model = relations[name]


def _with_class(queryset: Any, model: Any, manager: str) -> Any:
    if not manager:
        return queryset
    managers = {known.name: known for known in model._meta.managers}
    if manager not in managers:
        raise StaleStateError(f"the manager {manager[:60]!a} of {model._meta.label}, which there is not any more")
    made = _class_of(managers[manager])(model=model, query=queryset.query, using=queryset._db)
    for attribute in ("_prefetch_related_lookups", "_iterable_class", "_fields", "_fetch_mode"):
        if hasattr(queryset, attribute):
            setattr(made, attribute, getattr(queryset, attribute))
    return made


def _class_of(manager: Any) -> Any:
    try:
        return type(manager.all())
    except Exception as error:  # noqa: BLE001  # the application's own
        raise ManagerError(error) from None


class _Making:
    """A QuerySet in the making. Each method but `take` is a step, and checks its arguments."""

    def __init__(self, queryset: Any, depth: int, budget: Budget) -> None:
        self.queryset = queryset
        self._depth = depth
        self._budget = budget
        self._joins = Joins(queryset.model, budget)
        self._joins.order_as(queryset.model._meta, [])
        self._operands = Operands(queryset_of, budget, self._joins)
        self._before = budget.nodes
        self._kept = 0  # nodes that are there twice

    def take(self, step: Any) -> None:
        self._budget.step(self._budget.nodes - self._before)
        name, *arguments = exactly(step, tuple)
        if type(name) is not str or name not in _STEPS:
            refuse("a step that there is not")
        self._operands.query = self.queryset.query
        self.queryset = getattr(self, name)(*exactly(arguments, list, length=_STEPS[name]))

    def filter(self, condition: Any) -> Any:
        self._joins.call += 1
        return self.queryset.filter(self._operands.condition(condition, self._depth))

    def sticky(self, condition: Any) -> Any:
        """The filter of a manager of related rows: the next one speaks of the same rows."""
        self._joins.call += 1
        return self.queryset._next_is_sticky().filter(self._operands.condition(condition, self._depth))

    def annotate(self, name: Any, expression: Any) -> Any:
        named = self._operands.annotation(name, expression, self._depth)
        annotated = self.queryset.annotate(**named)
        if name.startswith("_"):
            refuse(f"the annotation {name[:60]!a}, as private attributes of rows are called")
        if _is_method(self.queryset.model, name):
            label = self.queryset.model._meta.label
            raise StaleStateError(f"the annotation {name[:60]!a}, which would hide what rows of {label} have")
        return annotated

    def alias(self, name: Any, expression: Any) -> Any:
        return self.queryset.alias(**self._operands.annotation(name, expression, self._depth))

    def values(self, paths: Any) -> Any:
        return self.queryset.values(*self._selected(paths))

    def values_list(self, paths: Any) -> Any:
        return self.queryset.values_list(*self._selected(paths))

    def flat(self, paths: Any) -> Any:
        return self.queryset.values_list(*self._selected(paths), flat=True)

    def named(self, paths: Any) -> Any:
        return self.queryset.values_list(*self._selected(paths), named=True)

    def _selected(self, paths: Any) -> list[str]:
        """Check paths to select. Without any, Django looks up all columns of the model, and of its parents, again."""
        if not paths:
            meta = self.queryset.model._meta
            self._budget.columns(len(meta.concrete_fields) * (1 + len(meta.get_parent_list())))
        return self._operands.paths(paths)

    def order_by(self, items: Any) -> Any:
        return self.queryset.order_by(*[self._operands.ordering(item, self._depth) for item in exactly(items, list)])

    def reverse(self) -> Any:
        return self.queryset.reverse()

    def distinct(self, paths: Any) -> Any:
        return self.queryset.distinct(*self._operands.paths(paths))

    def only(self, paths: Any) -> Any:
        return self.queryset.only(*self._operands.paths(paths))

    def defer(self, paths: Any) -> Any:
        return self.queryset.defer(*self._operands.paths(paths))

    def select_related(self, paths: Any) -> Any:
        return self.queryset.select_related(*self._operands.paths(paths, follow=self._joins.select))

    def select_all_related(self) -> Any:
        self._joins.select_all()
        queryset = self.queryset.all()
        queryset.query.select_related = True  # which is what select_related() does, and newer versions warn of
        return queryset

    def prefetch_related(self, paths: Any) -> Any:
        for names in self._operands.paths(paths):
            check_relations(self.queryset.model, names)
        return self.queryset.prefetch_related(*paths)

    def fetch_mode(self, mode: Any) -> Any:
        if exactly(mode, str) not in FETCH_MODES:
            refuse("a fetch mode that there is not")
        return self.queryset.fetch_mode(getattr(models, mode))

    def none(self) -> Any:
        return self.queryset.none()

    def slice(self, low: Any, high: Any) -> Any:
        if exactly(low, int) < 0 or (high is not None and exactly(high, int) < low):
            refuse("a slice that is none")
        return self.queryset[low:high]

    def union(self, every: Any, recipes: Any) -> Any:
        return self.queryset.union(*self._others(recipes), all=exactly(every, bool))

    def intersection(self, every: Any, recipes: Any) -> Any:
        exactly(every, bool)
        return self.queryset.intersection(*self._others(recipes))

    def difference(self, every: Any, recipes: Any) -> Any:
        exactly(every, bool)
        return self.queryset.difference(*self._others(recipes))

    def _others(self, recipes: Any) -> list[Any]:
        # What was there stays beside what it is combined with, and steps from now on copy both.
        own = self._budget.nodes - self._before - self._kept
        self._kept += own
        self._budget.nodes += own
        return [queryset_of(recipe, self._depth, self._budget) for recipe in exactly(recipes, list)]


# The steps, and how many arguments each has.
_STEPS = {
    **dict.fromkeys(("reverse", "select_all_related", "none"), 0),
    **dict.fromkeys(("filter", "sticky", "order_by", "distinct", "only", "defer", "select_related"), 1),
    **dict.fromkeys(("prefetch_related", "fetch_mode", *ITERABLES), 1),
    **dict.fromkeys(("annotate", "alias", "slice", *COMBINATORS), 2),
}


def _is_method(model: Any, name: str) -> bool:
    """Whether rows have a method of that name, which an annotation would hide, or a property or related rows, which it
    would be assigned to.
    """
    member = inspect.getattr_static(model, name, None)
    return inspect.isroutine(member) or hasattr(member, "__set__")


def _accessor(field: Any) -> Any:
    return field.get_accessor_name() if field.auto_created and not field.concrete else field.name
