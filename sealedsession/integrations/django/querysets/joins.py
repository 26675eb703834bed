"""The cost of the joins of one query.

Recipes name joins by paths such as ``author__mentor__name``. `JoinCosts` follows each path over the models, as Django
will, and pays for every join once, before Django makes it.
"""

from typing import Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist

from sealedsession.integrations.django.budget import Budget
from sealedsession.integrations.django.validation import refuse

Names: TypeAlias = tuple[str, ...]

JOINS = 64  # of one query, as many as databases accept. A many-to-many relation counts once.
_SELECT_LEVELS = 5  # of joins that Django follows for select_related() without names
_ORDER_LEVELS = 8  # relations in a path, up to which the default ordering of its model is followed


class JoinCosts:
    """Pays for the joins of one query.

    :param model: the model at which paths begin.
    :ivar call: number of the current filter() call. Each call has joins of its own on multi-valued relations.
    """

    def __init__(self, model: Any, budget: Budget) -> None:
        self.call = 0
        self._model = model
        self._budget = budget
        self._paid: dict[tuple[int, Names], int] = {}
        self._selected: set[Names] = set()

    def pay_path(self, names: list[str], call: int = 0) -> None:
        """Pay for the joins to a column. Names behind the column are lookups, and cost nothing here."""
        joins, is_column = self._find_joins(names)
        is_multi_valued = False
        for path, links in joins:
            is_multi_valued = is_multi_valued or any(link.m2m for link in links)
            number = len(links)
            if path == joins[-1][0] and links[-1].direct and not is_column:
                number -= 1  # Django removes this join again: the foreign key's column has the value
            if is_multi_valued and self._budget.negations:  # becomes a subquery
                self._budget.pay_joins(number)
            else:
                self._pay_join((call if is_multi_valued else 0, path), number)

    def pay_select_related(self, names: list[str]) -> None:
        """Pay for the joins of select_related(), and for the columns of the joined tables."""
        for path, links in self._find_joins(names)[0]:
            self._pay_selected(path, links)

    def pay_all_related(self) -> None:
        """Pay for the joins of select_related() without names: all foreign keys that are not nullable."""
        self._pay_all_selected(self._model._meta, ())

    def pay_order(self, names: list[str]) -> None:
        """Pay for the joins of order_by(). A relation is ordered by the default ordering of its model."""
        self.pay_path(names)
        joins, is_column = self._find_joins(names)
        if joins and not is_column and len(joins) <= _ORDER_LEVELS:
            self.pay_default_order(joins[-1][1][-1].to_opts, names)

    def pay_default_order(self, opts: Any, prefix: list[str]) -> None:
        """Pay for the default ordering of a model.

        :param prefix: the names that lead to the model.
        """
        for item in opts.ordering:
            self._budget.pay_node()
            if isinstance(item, str):
                self.pay_order([*prefix, *item.removeprefix("-").split("__")])

    def _find_joins(self, names: list[str]) -> tuple[list[tuple[Names, list[Any]]], bool]:
        """Return, for each name of a relation, the path to it and its joins; and whether a column follows."""
        opts = self._model._meta
        joins: list[tuple[Names, list[Any]]] = []
        for index, name in enumerate(names):
            field = _find_field(opts, name)
            links = _find_links(opts, field) if field else []
            if not links:
                return joins, field is not None
            joins.append((tuple(names[: index + 1]), links))
            opts = links[-1].to_opts
        return joins, False

    def _pay_selected(self, path: Names, links: list[Any]) -> None:
        self._pay_join((0, path), len(links))
        if path not in self._selected:
            self._selected.add(path)
            self._budget.pay_columns(len(links[-1].to_opts.concrete_fields))

    def _pay_all_selected(self, opts: Any, prefix: Names) -> None:
        if len(prefix) == _SELECT_LEVELS:
            return
        for field in opts.fields:
            if field.remote_field and not field.remote_field.parent_link and not field.null:
                path, links = (*prefix, field.name), _find_links(opts, field)
                self._pay_selected(path, links)
                self._pay_all_selected(links[-1].to_opts, path)

    def _pay_join(self, join: tuple[int, Names], number: int) -> None:
        new = number - self._paid.get(join, 0)
        if new <= 0:
            return
        self._paid[join] = number
        self._budget.pay_joins(new)
        if len(self._paid) > JOINS:
            refuse(f"more than {JOINS} joins")


def _find_field(opts: Any, name: str) -> Any:
    try:
        return opts.pk if name == "pk" else opts.get_field(name)
    except FieldDoesNotExist:
        return None


def _find_links(opts: Any, field: Any) -> list[Any]:
    """Return the joins that Django makes for a field: to parent tables, and to related tables."""
    owner = getattr(field, "model", None)
    is_inherited = owner is not None and owner._meta.concrete_model is not opts.concrete_model
    parents = opts.get_path_to_parent(owner._meta.concrete_model) if is_inherited else []  # type: ignore[union-attr]
    return [*parents, *getattr(field, "path_infos", ())]
