"""QuerySets in sealed state: a recipe goes in, and a QuerySet that has not been evaluated comes out.

1. What is sealed is what a QuerySet asks for, never rows that it has fetched, nor an object of Django's.
2. A recipe is read from the query, followed, and compiled: only if that makes the same SQL and the same parameters, it
   is sealed. What recipes cannot say is an error when it is sealed, and never a query that is another one.
3. What the recipes of a payload may cost together is bounded, see `budget`. What would cost more is not sealed.
4. Neither sealing nor unsealing makes a query. (Relations of contenttypes ask for their type once in a process. If
   there is none, Django would write it: unsealing does not let it, and the recipe is stale.)
"""

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django import db
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import models, router
from django.db.models import QuerySet
from django.db.models.query import ModelIterable

from sealedsession.errors import StaleStateError, UnsealError
from sealedsession.integrations.django.budget import EXPLANATIONS, WEIGHT, Budget, Work, current
from sealedsession.integrations.django.columns import UnsupportedQuery
from sealedsession.integrations.django.marks import compiled, fingerprint
from sealedsession.integrations.django.reading import explanations
from sealedsession.integrations.django.recipes import (
    FETCH_MODES,
    ITERABLES,
    ManagerError,
    check_relations,
    manager_of,
    model_of,
    queryset_of,
)

_ATTRIBUTES = frozenset(vars(QuerySet()))
_ADVICE = (
    "a QuerySet is sealed as a recipe, which knows filter, exclude, Q, F and arithmetic with it, annotate and alias "
    "with the standard aggregates, values, order_by, slices, union, and names of relations and fields. Make it in "
    "load(), which leaves it out of the state, or seal pks"
)


def encode(queryset: Any) -> object:
    """Return the recipe of a QuerySet.

    :raises TypeError: naming the part that recipes cannot say.
    """
    work = current()
    return work.once(queryset, lambda queryset: _encoded(queryset, work))


def _encoded(queryset: Any, work: Work) -> object:
    try:
        return _recipe_of(queryset, work)
    except UnsupportedQuery as error:
        raise TypeError(f"recipes have no words for {error}: {_ADVICE}") from None


def decode(data: Any) -> object:
    """A recipe, to be followed when it is fetched: the models are not looked at before."""
    if type(data) is not tuple:
        raise TypeError(f"a {type(data).__name__} for a recipe")
    return data


def fetch(recipes: list[Any]) -> list[Any]:
    """The QuerySets of recipes, without a query.

    :raises UnsealError: for what is no recipe.
    :raises StaleStateError: for one that does not fit the models any more.
    """
    budget = current().reading
    with _content_types_are_read():
        return [_followed(recipe, budget) for recipe in recipes]


def _followed(recipe: Any, budget: Budget) -> Any:
    try:
        queryset = queryset_of(recipe, 0, budget)
        compiled(queryset)  # finds fields that are gone in order_by(), select_related() and only()
    except (UnsealError, StaleStateError, db.OperationalError, db.InterfaceError):
        raise
    except ManagerError as error:
        failure: Exception = error.args[0]
    except Exception as error:  # Django says in errors of many types that something does not fit
        problem = str(error) if isinstance(error, FieldError | FieldDoesNotExist) else type(error).__name__
        raise StaleStateError(f"a QuerySet of {recipe[0]!a}, which takes it no more: {problem}") from error
    else:
        return queryset
    raise failure  # here, where it keeps the cause that it came with


def _content_types_are_read() -> AbstractContextManager[None]:
    """Refuse to write a content type that is missing, which Django does when it is asked for."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return nullcontext()
    using = router.db_for_write(apps.get_model("contenttypes.ContentType"))
    return db.connections[using].execute_wrapper(_without_insert)


def _without_insert(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
    if sql.startswith("INSERT"):
        raise StaleStateError("a QuerySet with a relation of contenttypes whose type there is not any more")
    return execute(sql, *arguments)


def _recipe_of(queryset: Any, work: Work) -> tuple[Any, ...]:
    query, model = queryset.query, queryset.model
    manager = manager_of(queryset)
    if manager is None:
        raise UnsupportedQuery(f"{type(queryset).__name__}, which is not the QuerySet of a manager of {model.__name__}")
    if model_of(model._meta.label) is not model:
        raise UnsupportedQuery(f"{model!r}, which is not the model of that name")
    if others := sorted(set(vars(queryset)) - _ATTRIBUTES):
        raise UnsupportedQuery(f"{', '.join(others)}: attributes of a {type(queryset).__name__}")
    end = _prefetching(queryset)
    mark = None
    for steps in itertools.islice(explanations(query, _values_of(queryset)), EXPLANATIONS):
        mark = mark or fingerprint(queryset)
        recipe = (model._meta.label, manager, _database_of(queryset), [*steps, *end])
        if _is_made_by(recipe, mark, work):
            return recipe
    raise UnsupportedQuery("the way in which its filters, annotations and values were put together")


def _is_made_by(recipe: tuple[Any, ...], mark: Any, work: Work) -> bool:
    try:
        budget = Budget()
        try:
            made = queryset_of(recipe, 0, budget)
        finally:
            work.explaining.pay(WEIGHT - budget.weight)
        if fingerprint(made) != mark:
            return False
        work.reading.pay(WEIGHT - budget.weight)
    except UnsealError as error:
        raise UnsupportedQuery(error.detail.removeprefix("a recipe with ")) from None
    except StaleStateError as error:
        raise UnsupportedQuery(str(error)) from None
    except (db.Error, FieldError, FieldDoesNotExist, TypeError, ValueError):
        return False  # not the order of calls that it was
    return True


def _values_of(queryset: Any) -> tuple[str, list[str]] | None:
    if queryset._iterable_class is ModelIterable:
        return None
    for kind, iterable in ITERABLES.items():
        if queryset._iterable_class is iterable:
            return kind, list(queryset._fields)
    raise UnsupportedQuery(f"rows made by {queryset._iterable_class.__name__}")


def _prefetching(queryset: Any) -> list[tuple[Any, ...]]:
    steps: list[tuple[Any, ...]] = []
    lookups = queryset._prefetch_related_lookups
    if any(not isinstance(lookup, str) for lookup in lookups):
        raise UnsupportedQuery("prefetch_related() with a Prefetch object: it takes names")
    for lookup in lookups:
        check_relations(queryset.model, lookup)
    if lookups:
        steps.append(("prefetch_related", list(lookups)))
    mode = getattr(queryset, "_fetch_mode", None)
    if mode is not getattr(QuerySet(), "_fetch_mode", None):
        names = [name for name in FETCH_MODES if getattr(models, name) is mode]
        if not names:
            raise UnsupportedQuery(f"the fetch mode {mode!r}")
        steps.append(("fetch_mode", names[0]))
    return steps


def _database_of(queryset: Any) -> str | None:
    """The database that it is bound to, be it by the row that its manager belongs to."""
    if queryset._db or not queryset._hints:
        return queryset._db  # type: ignore[no-any-return]
    hinted = router.db_for_read(queryset.model, **queryset._hints)
    return None if hinted == router.db_for_read(queryset.model) else hinted
