"""Fingerprints of QuerySets: equal for two QuerySets that run the same query and return the same rows.

A fingerprint consists of the SQL that Django compiles, its parameters, and the form of the rows. The order and the
aliases of joins depend on the history of a QuerySet, but do not change the result. A fingerprint therefore names each
join by its path from the model, and sorts the joins.
"""

import re
from collections import Counter
from typing import Any

from sealedsession.integrations.django.querysets.spec import normalize_value


def fingerprint(queryset: Any) -> tuple[Any, ...]:
    """Return the fingerprint of a QuerySet, to be compared with ``==``."""
    query = queryset.query
    sql, parameters = compile_queryset(queryset)
    return (
        sql,
        # psycopg wraps JSON into an object, whose attribute obj is the value
        [repr(normalize_value(getattr(parameter, "obj", parameter))) for parameter in parameters],
        type(queryset),
        queryset.db,
        queryset._iterable_class,
        queryset._fields,
        {name: type(annotation.output_field) for name, annotation in query.annotations.items()},
        set(query.annotation_select),
        query.selected,
        query.select_related,
        query.filter_is_sticky and query.used_aliases,
    )


def compile_queryset(queryset: Any) -> tuple[str, Any]:
    """Return normalized SQL and its parameters, without running the query.

    :raises FieldError: and other errors, if the query does not fit the models.
    """
    query = queryset.query.clone()
    compiler = query.get_compiler(queryset.db, elide_empty=False)
    from_clause = compiler.get_from_clause
    names = _JoinNames()

    def sorted_from_clause() -> tuple[list[str], Any]:
        (first, *joined), parameters = from_clause()
        names.assign(query)  # only now has Django made all joins and counted their uses
        _, *aliases = (alias for alias in query.alias_map if query.alias_refcount[alias])
        joins = zip(joined, (query.alias_map[alias] for alias in aliases), strict=True)
        return [first, *sorted(names.rewrite_join(clause, join) for clause, join in joins)], parameters

    compiler.get_from_clause = sorted_from_clause
    sql, parameters = compiler.as_sql()
    return names.rewrite(sql), parameters


class _JoinNames:
    """Names for the aliases of one query: the relations from the model, and a number for repeated joins."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._aliases: re.Pattern[str] | None = None

    def assign(self, query: Any) -> None:
        """Name each alias that the query uses."""
        names, siblings = self._names, Counter[str]()
        for alias, join in query.alias_map.items():
            if not query.alias_refcount[alias]:
                continue
            path = f"{names[join.parent_alias]}.{id(join.join_field)}" if join.parent_alias else "root"
            names[alias] = f"{path}.{siblings[path]}"
            siblings[path] += 1
        aliases = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        self._aliases = re.compile(rf"""(?<![\w."`])(["`]?)({aliases})\1\.""") if names else None

    def rewrite_join(self, clause: str, join: Any) -> str:
        """Return a join clause with names instead of aliases."""
        condition = clause[clause.index(" ON (") :]
        return f"{join.join_type} {join.table_name} {self._names[join.table_alias]}{self.rewrite(condition)}"

    def rewrite(self, sql: str) -> str:
        """Return SQL with names instead of aliases."""
        return self._aliases.sub(lambda found: f"<{self._names[found[2]]}>.", sql) if self._aliases else sql
