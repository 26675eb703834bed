"""Whether two QuerySets do the same: the SQL that Django makes of them, its parameters, and what becomes of the rows.

In which order joins were made, and how Django has called them for that, makes no difference to the result, and depends
on what else was done with a QuerySet. So each join is called by the way to it, and they are put in order.
"""

import re
from collections import Counter
from typing import Any

from sealedsession.integrations.django.expressions import plain


def fingerprint(queryset: Any) -> tuple[Any, ...]:
    """What is equal for QuerySets that do the same."""
    query = queryset.query
    sql, parameters = compiled(queryset)
    return (
        sql,
        [repr(plain(getattr(parameter, "obj", parameter))) for parameter in parameters],  # obj: of JSON, in psycopg
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


def compiled(queryset: Any) -> tuple[str, Any]:
    """The SQL, to be compared, and its parameters. No query is made.

    :raises FieldError: and others, for what the models do not take.
    """
    query = queryset.query.clone()
    compiler = query.get_compiler(queryset.db, elide_empty=False)
    from_clause = compiler.get_from_clause
    ways = _Ways()

    def from_clause_in_order() -> tuple[list[str], Any]:
        (first, *joined), parameters = from_clause()
        ways.find(query)  # now, when all joins are there and those in use are counted
        _, *aliases = (alias for alias in query.alias_map if query.alias_refcount[alias])
        joins = zip(joined, (query.alias_map[alias] for alias in aliases), strict=True)
        return [first, *sorted(ways.name_join(clause, join) for clause, join in joins)], parameters

    compiler.get_from_clause = from_clause_in_order
    sql, parameters = compiler.as_sql()
    return ways.name(sql), parameters


class _Ways:
    """The ways to the tables of one query, by their aliases: by which relations, and for how many of them it is."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._aliases: re.Pattern[str] | None = None

    def find(self, query: Any) -> None:
        """Find the way to each alias in use."""
        names, siblings = self._names, Counter[str]()
        for alias, join in query.alias_map.items():
            if not query.alias_refcount[alias]:
                continue
            way = f"{names[join.parent_alias]}.{id(join.join_field)}" if join.parent_alias else "way"
            names[alias] = f"{way}.{siblings[way]}"
            siblings[way] += 1
        aliases = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        self._aliases = re.compile(rf"""(?<![\w."`])(["`]?)({aliases})\1\.""") if names else None

    def name_join(self, clause: str, join: Any) -> str:
        """Write a join with ways instead of aliases."""
        condition = clause[clause.index(" ON (") :]
        return f"{join.join_type} {join.table_name} {self._names[join.table_alias]}{self.name(condition)}"

    def name(self, sql: str) -> str:
        """Write SQL with ways instead of aliases."""
        return self._aliases.sub(lambda found: f"<{self._names[found[2]]}>.", sql) if self._aliases else sql
