"""Whether two QuerySets do the same: the SQL that Django makes of them, its parameters, and what becomes of the rows.

In which order joins were made, and how Django has called them for that, makes no difference to the result, and depends
on what else was done with a QuerySet. So each join is called by the way to it, and they are put in order.
"""

import re
from typing import Any

from sealedsession.integrations.django.expressions import plain


def mark_of(queryset: Any) -> tuple[Any, ...]:
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
    names: dict[str, str] = {}

    def from_clause_in_order() -> tuple[list[str], Any]:
        (first, *joined), parameters = from_clause()
        names.update(_names(query))  # now, when all joins are there and those in use are counted
        _, *aliases = (alias for alias in query.alias_map if query.alias_refcount[alias])
        joins = zip(joined, (query.alias_map[alias] for alias in aliases), strict=True)
        return [first, *sorted(_renamed(clause, join, names) for clause, join in joins)], parameters

    compiler.get_from_clause = from_clause_in_order
    sql, parameters = compiler.as_sql()
    return _with_names(sql, names), parameters


def _names(query: Any) -> dict[str, str]:
    """For each alias the way to it: by which relations, and for how many of them it is."""
    names: dict[str, str] = {}
    for alias, join in query.alias_map.items():
        if not query.alias_refcount[alias]:
            continue
        way = f"{names[join.parent_alias]}.{id(join.join_field)}" if join.parent_alias else "way"
        names[alias] = f"{way}.{sum(name.startswith(f'{way}.') for name in names.values())}"
    return names


def _renamed(clause: str, join: Any, names: dict[str, str]) -> str:
    condition = clause[clause.index(" ON (") :]
    return f"{join.join_type} {join.table_name} {names[join.table_alias]}{_with_names(condition, names)}"


def _with_names(sql: str, names: dict[str, str]) -> str:
    aliases = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    pattern = rf"""(?<![\w."`])(["`]?)({aliases})\1\."""
    return re.sub(pattern, lambda found: f"<{names[found[2]]}>.", sql) if names else sql
