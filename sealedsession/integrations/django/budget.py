"""The budget of one payload: what its recipes, rows and forms may cost together when it is read, or written again.

A few characters can ask for a query without end, or for hundreds of forms. Everything that costs time is therefore paid
for in nodes, before it is made. A node is what Django compiles in about 60 us on the machine of `docs/security.rst`.

1. All parts of a payload share one `Budget`. `begin` renews it for each payload, and `current` returns it.
2. What cannot be read within one budget is not sealed: writing pays for each part what reading will cost.
3. Explaining QuerySets has a budget of its own, for all explanations of all QuerySets in a payload.
"""

import dataclasses
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, NoReturn, TypeAlias

from django.core.exceptions import FieldDoesNotExist

from sealedsession.errors import UnsealError

WEIGHT = 16384  # nodes: about a second. As much plain data as a state may hold weighs less.
EXPLANATIONS = 64  # of one QuerySet
JOINS = 64  # of one query, and one for a relation to many by way of a third table: databases take about as many
FORMS = 16
FIELDS = 512  # of all forms

_COPIED = 8  # nodes that a step copies in the time in which one is compiled
_EXCLUDED = 16  # nodes that a negated condition weighs besides, which is a query of its own where it is on many rows
_RECIPE = 4  # nodes
_JOIN = 4
_COLUMNS = 2  # that weigh as much as a node: an aggregate groups by all of them
_FORM, _FIELD = 8, 4  # nodes
_LEVELS = 5  # of joins that Django follows when select_related() names none
_ORDERS = 8  # relations that are followed from the order of one model to that of the next
_COMPARED = 48  # pairs of values that are compared in the time in which a node is compiled, if their types differ


Names: TypeAlias = tuple[str, ...]


class Budget:
    """What is left for the parts of a payload.

    :param weight: nodes.
    :ivar times: how often Django writes what is read now.
    :ivar negations: those around what is read now.
    :ivar nodes: those that are there, to be copied.
    """

    def __init__(self, weight: int = WEIGHT) -> None:
        self.weight = weight
        self.times = 1
        self.negations = 0
        self.nodes = 0
        self._forms = FORMS
        self._fields = FIELDS

    def recipe(self, model: Any) -> None:
        """Pay for a recipe: the columns that Django selects by itself, and the query around them."""
        self.node(_RECIPE + len(model._meta.concrete_fields) // _COLUMNS)

    def step(self, copied: int = 0) -> None:
        """Pay for a step, and for the nodes that it copies."""
        self.pay(1 + copied // _COPIED)

    def node(self, weight: int = 1) -> None:
        """Pay for a node of SQL."""
        self.nodes += weight * self.times
        self.pay(weight * self.times)

    def condition(self) -> None:
        """Pay for what a condition may become where it is negated."""
        if self.negations:
            self.pay(_EXCLUDED * self.times)

    def names(self, number: int) -> None:
        """Pay for names on the way to a column, each of which Django looks for among all joins."""
        self.pay(number * self.times * (1 + bool(self.negations)))

    def joins(self, number: int) -> None:
        """Pay for joins."""
        self.pay(_JOIN * number * self.times)

    def columns(self, number: int) -> None:
        """Pay for columns of a joined table."""
        self.pay(1 + number // _COLUMNS)

    def hashes(self, values: Iterable[Any]) -> None:
        """Pay for values that Django puts into one set or dict, where those of one hash are compared with each other.

        Values that cannot be hashed cost nothing.
        """
        try:
            collisions = Counter(map(hash, {repr(value): value for value in values}.values()))
        except TypeError:
            return
        self.pay(sum(number * number for number in collisions.values() if number > 1) // _COMPARED)

    def form(self, fields: int) -> None:
        """Pay for a form, of which each field is copied.

        :raises UnsealError: also when there are too many forms, or fields.
        """
        self._forms -= 1
        self._fields -= fields
        if self._forms < 0 or self._fields < 0:
            raise UnsealError("forbidden_value", f"a payload with more than {FORMS} forms, or {FIELDS} fields in them")
        self.pay(_FORM + _FIELD * fields)

    def pay(self, weight: int) -> None:
        """Take nodes.

        :raises UnsealError: when so many are not left.
        """
        self.weight -= weight
        if self.weight < 0:
            refuse(
                f"more than {WEIGHT} nodes: annotations count wherever they are mentioned, XOR counts twice, negated "
                f"conditions for {_EXCLUDED}, joins for {_JOIN}, and each step for an {_COPIED}th of what is there"
            )


class Joins:
    """The joins of one query, as they are asked for by names. Each is paid for once.

    :param model: the model that names begin with.
    :ivar call: number of the filter() that is read now: on the way to many rows, each has joins of its own.
    """

    def __init__(self, model: Any, budget: Budget) -> None:
        self.call = 0
        self._model = model
        self._budget = budget
        self._made: dict[tuple[int, Names], int] = {}
        self._selected: set[Names] = set()

    def follow(self, names: list[str], call: int = 0) -> None:
        """Pay for the joins on the way to a column. Names behind it are those of lookups, and cost nothing here."""
        ways, is_column = self._ways(names)
        many = False
        for way, links in ways:
            many = many or any(link.m2m for link in links)
            number = len(links)
            if way == ways[-1][0] and links[-1].direct and not is_column:
                number -= 1  # a foreign key holds what is asked for: Django takes the join back
            if many and self._budget.negations:  # a query of its own
                self._budget.joins(number)
            else:
                self._join((call if many else 0, way), number)

    def select(self, names: list[str]) -> None:
        """Pay for the joins of select_related(), and the columns of their tables."""
        for way, links in self._ways(names)[0]:
            self._select(way, links)

    def select_all(self) -> None:
        """Pay for the joins that select_related() makes by itself: of all foreign keys that cannot be NULL."""
        self._select_all(self._model._meta, ())

    def order(self, names: list[str]) -> None:
        """Pay for the joins of order_by(). For the rows of a relation it takes the order of their model."""
        self.follow(names)
        ways, is_column = self._ways(names)
        if ways and not is_column and len(ways) <= _ORDERS:
            self.order_as(ways[-1][1][-1].to_opts, names)

    def order_as(self, opts: Any, before: list[str]) -> None:
        """Pay for the default order of a model.

        :param before: the names that lead to the model.
        """
        for item in opts.ordering:
            self._budget.node()
            if isinstance(item, str):
                self.order([*before, *item.removeprefix("-").split("__")])

    def _ways(self, names: list[str]) -> tuple[list[tuple[Names, list[Any]]], bool]:
        """For each name of a relation the way to it and what is joined for it; and whether a column follows."""
        opts = self._model._meta
        ways: list[tuple[Names, list[Any]]] = []
        for place, name in enumerate(names):
            field = _field(opts, name)
            links = _links(opts, field) if field else []
            if not links:
                return ways, field is not None
            ways.append((tuple(names[: place + 1]), links))
            opts = links[-1].to_opts
        return ways, False

    def _select(self, way: Names, links: list[Any]) -> None:
        self._join((0, way), len(links))
        if way not in self._selected:
            self._selected.add(way)
            self._budget.columns(len(links[-1].to_opts.concrete_fields))

    def _select_all(self, opts: Any, before: Names) -> None:
        if len(before) == _LEVELS:
            return
        for field in opts.fields:
            if field.remote_field and not field.remote_field.parent_link and not field.null:
                way, links = (*before, field.name), _links(opts, field)
                self._select(way, links)
                self._select_all(links[-1].to_opts, way)

    def _join(self, join: tuple[int, Names], number: int) -> None:
        new = number - self._made.get(join, 0)
        if new <= 0:
            return
        self._made[join] = number
        self._budget.joins(new)
        if len(self._made) > JOINS:
            refuse(f"more than {JOINS} joins")


def _field(opts: Any, name: str) -> Any:
    try:
        return opts.pk if name == "pk" else opts.get_field(name)
    except FieldDoesNotExist:
        return None


def _links(opts: Any, field: Any) -> list[Any]:
    """What Django joins for a field: tables of parents, and those of a relation. Nothing for a column of the table."""
    owner = getattr(field, "model", None)
    is_inherited = owner is not None and owner._meta.concrete_model is not opts.concrete_model
    parents = opts.get_path_to_parent(owner._meta.concrete_model) if is_inherited else []  # type: ignore[union-attr]
    return [*parents, *getattr(field, "path_infos", ())]


@dataclasses.dataclass
class Work:
    """What is done for one payload.

    :ivar reading: for what reading it costs, or will.
    :ivar explaining: for the explanations of QuerySets in it.
    """

    reading: Budget = dataclasses.field(default_factory=Budget)
    explaining: Budget = dataclasses.field(default_factory=lambda: Budget(2 * WEIGHT))
    _done: dict[int, tuple[weakref.ref[Any], Any]] = dataclasses.field(default_factory=dict)

    def once(self, value: Any, encode: Callable[[Any], Any]) -> Any:
        """Encode a value, or return what has come of it, be it a failure: the search for a fault encodes all again."""
        known, outcome = self._done.get(id(value), (lambda: None, None))
        if known() is not value:
            try:
                outcome = encode(value)
            except TypeError as error:
                outcome = str(error)
            self._done[id(value)] = (weakref.ref(value), outcome)
        if type(outcome) is str:
            raise TypeError(outcome)
        return outcome


_current: ContextVar[Work] = ContextVar("sealedsession_django_work")


def begin() -> Work:
    """Renew the budgets, for another payload."""
    work = Work()
    _current.set(work)
    return work


def current() -> Work:
    """Return the budgets of the payload that is read or written now."""
    return _current.get(None) or begin()


def refuse(what: str) -> NoReturn:
    """Refuse a recipe."""
    raise UnsealError("forbidden_value", f"a recipe with {what}")
