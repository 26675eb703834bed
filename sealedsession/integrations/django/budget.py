"""Budgets for the work on one payload: decoding and encoding its recipes, rows, blocks and forms.

A short token can require an endless query, or hundreds of forms. Everything that costs time is therefore paid for
in nodes before it is made. Django compiles a node in about 60 us on the machine of `docs/internals/payload.rst`.

1. All parts of a payload share one `Budget`. `begin_payload` renews it, and `current_budgets` returns it.
2. Encoding a value pays what decoding it will cost. A payload that cannot be decoded is therefore not sealed.
3. The search for recipes has a budget of its own, shared by all QuerySets in a payload.
"""

import dataclasses
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from sealedsession.integrations.django.validation import refuse

WEIGHT = 16384  # nodes, about one second. The largest plain state weighs less.
FORMS = 16
FIELDS = 512  # in all forms together
JOIN_WEIGHT = 4  # nodes

_COPIED = 8  # nodes that a step copies in the time needed to compile one
_NEGATED = 16  # additional nodes of a negated condition, which becomes a subquery on a multi-valued relation
_RECIPE = 4  # nodes
_COLUMNS = 2  # columns that weigh as much as a node: an aggregate groups by all of them
_FORM, _FIELD = 8, 4  # nodes
_COMPARED = 48  # pairs of values of different types that are compared in the time needed to compile a node


class Budget:
    """The remaining budget of a payload.

    :param weight: nodes.
    :ivar copies: how often Django writes the current condition into the SQL.
    :ivar negations: number of negations around the current condition.
    :ivar nodes: nodes of the query so far. Each further step copies them.
    """

    def __init__(self, weight: int = WEIGHT) -> None:
        self.weight: int = weight
        self.copies = 1
        self.negations = 0
        self.nodes: int = 0
        self._forms = FORMS
        self._fields = FIELDS

    def pay_recipe(self, model: Any) -> None:
        """Pay for a recipe: the query, and the columns that Django selects by default."""
        self.pay_node(_RECIPE + len(model._meta.concrete_fields) // _COLUMNS)

    def pay_step(self, copied: int = 0) -> None:
        """Pay for a step, and for the nodes that it copies."""
        self.pay(1 + copied // _COPIED)

    def pay_node(self, weight: int = 1) -> None:
        """Pay for a node of SQL."""
        self.nodes += weight * self.copies
        self.pay(weight * self.copies)

    def pay_condition(self) -> None:
        """Pay for the subquery that a negated condition may become."""
        if self.negations:
            self.pay(_NEGATED * self.copies)

    def pay_names(self, number: int) -> None:
        """Pay for the names in a path. Django compares each of them with all joins."""
        self.pay(number * self.copies * (1 + bool(self.negations)))

    def pay_joins(self, number: int) -> None:
        """Pay for joins."""
        self.pay(JOIN_WEIGHT * number * self.copies)

    def pay_columns(self, number: int) -> None:
        """Pay for the columns of a joined table."""
        self.pay(1 + number // _COLUMNS)

    def pay_hashes(self, values: Iterable[Any]) -> None:
        """Pay for values that Django puts into one set or dict, where values with equal hashes are compared.

        Unhashable values cost nothing.
        """
        try:
            collisions = Counter(map(hash, {repr(value): value for value in values}.values()))
        except TypeError:
            return
        self.pay(sum(number * number for number in collisions.values() if number > 1) // _COMPARED)

    def pay_form(self, fields: int) -> None:
        """Pay for a form. Django copies each of its fields.

        :raises UnsealError: if the payload has too many forms, too many fields in them, or no budget left.
        """
        self._forms -= 1
        self._fields -= fields
        if self._forms < 0 or self._fields < 0:
            refuse(f"more than {FORMS} forms, or {FIELDS} fields in them")
        self.pay(_FORM + _FIELD * fields)

    def pay(self, weight: int) -> None:
        """Pay nodes.

        :raises UnsealError: if the remaining budget is smaller.
        """
        self.weight -= weight
        if self.weight < 0:
            refuse(
                f"more than {WEIGHT} nodes. An annotation counts at each mention, XOR counts twice, a negated "
                f"condition counts {_NEGATED}, a join counts {JOIN_WEIGHT}, and each step counts 1/{_COPIED} of the "
                "query so far"
            )


@dataclasses.dataclass
class Budgets:
    """The budgets of one payload, and the values that were encoded for it.

    :ivar decoding: pays what decoding the payload costs, now or later.
    :ivar search: pays for recipes that are tried while QuerySets are encoded.
    """

    decoding: Budget = dataclasses.field(default_factory=Budget)
    search: Budget = dataclasses.field(default_factory=lambda: Budget(2 * WEIGHT))
    _encoded: dict[int, tuple[weakref.ref[Any], Any]] = dataclasses.field(default_factory=dict)

    def encode_once(self, value: Any, encode: Callable[[Any], Any]) -> Any:
        """Encode a value, or return the previous result for the same object.

        If serialization fails, the search for the faulty value encodes all values again. Failures are kept too.

        :raises TypeError: as `encode`.
        """
        known, result = self._encoded.get(id(value), (lambda: None, None))
        if known() is not value:
            try:
                result = encode(value)
            except TypeError as error:
                result = str(error)
            self._encoded[id(value)] = (weakref.ref(value), result)
        if type(result) is str:
            raise TypeError(result)
        return result


_current: ContextVar[Budgets] = ContextVar("sealedsession_django_budgets")


def begin_payload() -> Budgets:
    """Renew the budgets for the next payload, and return them."""
    budgets = Budgets()
    _current.set(budgets)
    return budgets


def current_budgets() -> Budgets:
    """Return the budgets of the payload that is being encoded or decoded."""
    return _current.get(None) or begin_payload()
