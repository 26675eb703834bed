"""Rows in sealed state: model instances by label, pk and database, and their files by the name of the field too.

1. Only the reference is sealed. The row is fetched when the state is opened: what the page saw before is not kept.
2. All rows of one model, proxies apart, that a state refers to are fetched by one query for each database.
3. What is gone is a `StaleStateError`, be it a row, a field, a model or a database; and so is a pk that its model takes
   no more. A database that is down says so itself.
"""

from collections import defaultdict
from typing import Any, NamedTuple

from django import db
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import router
from django.db.models import CompositePrimaryKey, FileField

from sealedsession.errors import StaleStateError
from sealedsession.integrations.django.budget import current
from sealedsession.integrations.django.operands import SCALARS, exactly
from sealedsession.integrations.django.recipes import model_of

# What fields say of a pk that is none of its model: an old state's, or a forged one's.
_NO_PK = (ValueError, TypeError, ValidationError, ArithmeticError)
# What databases say of one. The query runs code of the application too, whose errors are its own.
_NOT_IN_COLUMN = (OverflowError, UnicodeError, db.DataError)


class Reference(NamedTuple):
    """A row, or a file of it.

    :param field: the name of the file's field.
    """

    label: str
    pk: Any
    using: str
    field: str | None


def encode_instance(instance: Any) -> object:
    """The reference to a model instance.

    :raises ValueError: when it is not saved.
    """
    model, state = type(instance), instance._state
    label = model._meta.label
    if instance.pk is None or state.adding:
        raise ValueError(f"this {label} has no row: save it first, or it was deleted")
    if model_of(label) is not model:
        raise ValueError(f"{label} is the name of another model")
    using = state.db or router.db_for_read(model, instance=instance)
    try:
        return (label, _checked(_prepared(model, instance.pk)), using)
    except ValidationError as error:
        raise ValueError(f"its pk: {' '.join(error.messages)}") from None


def encode_file(file: Any) -> object:
    """The reference to the file of a model instance.

    :raises ValueError: when the instance, or the file, is not saved.
    """
    if file.instance is None:
        raise ValueError("this file belongs to no model instance")
    if not file._committed:
        raise ValueError(f"the file in {file.field.name!r} has not been stored yet: save it first")
    return (*exactly(encode_instance(file.instance), tuple), file.field.name)


def decode_instance(data: Any) -> Reference:
    """Check the data of a reference to an instance."""
    label, pk, using = exactly(data, tuple, length=3)
    return _reference(label, pk, using, None)


def decode_file(data: Any) -> Reference:
    """Check the data of a reference to a file."""
    label, pk, using, field = exactly(data, tuple, length=4)
    return _reference(label, pk, using, exactly(field, str))


def fetch(references: list[Reference], *, or_none: bool = False) -> list[Any]:
    """The instances and files that references name.

    :param or_none: for a row that is gone, and for its files, None is there instead of an error.
    :raises StaleStateError: when one of them is gone.
    """
    pks: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for reference in references:
        pks[reference.label, reference.using].append(reference.pk)
    rows = {named: _rows(*named, wanted) for named, wanted in pks.items()}
    for (label, using), found in rows.items():
        if (gone := found.count(None)) and not or_none:
            raise StaleStateError(
                f"{gone} of {len(found)} rows of {label} that the state refers to: gone from {using!r}"
            )
    taken = {named: iter(found) for named, found in rows.items()}
    return [_value(next(taken[each.label, each.using]), each.field) for each in references]


def _reference(label: Any, pk: Any, using: Any, field: str | None) -> Reference:
    return Reference(exactly(label, str), _checked(pk), exactly(using, str), field)


def _checked(pk: Any) -> Any:
    """A pk, of one column or several, that is nothing but plain data."""
    for part in pk if type(pk) is tuple else (pk,):
        if type(part) not in SCALARS:
            raise TypeError(f"its pk: a {type(part).__name__}, which is not kept as one")
        if type(part) is str and "\0" in part:
            raise ValueError("its pk: a text with a NUL, which some databases do not take")
    return pk


def _rows(label: str, using: str, pks: list[Any]) -> list[Any]:
    model = model_of(label)
    if using not in db.connections.settings:
        raise StaleStateError(f"a row of {label} in the database {using[:60]!a}, which is not in DATABASES any more")
    try:
        for pk in pks:
            _check_spelling(model, pk, db.connections[using])
    except _NO_PK as error:
        raise _not_taken(label, error) from error
    current().reading.hashes(pks)
    rows = model._base_manager.using(using)
    try:
        found = rows.in_bulk(set(pks))
    except _NOT_IN_COLUMN as error:
        raise _not_taken(label, error) from error
    return [found.get(pk) for pk in pks]


def _not_taken(label: str, error: Exception) -> StaleStateError:
    return StaleStateError(f"a row of {label} whose pk it does not take: {type(error).__name__}")


def _check_spelling(model: Any, pk: Any, connection: Any) -> None:
    prepared = _prepared(model, pk)
    if type(pk) is not type(prepared) or pk != prepared:
        raise TypeError("a pk in a spelling that is never written")
    key: Any = model._meta.pk
    is_composite = isinstance(key, CompositePrimaryKey)
    for field, part in zip(key.fields if is_composite else [key], pk if is_composite else [pk], strict=True):
        field.get_db_prep_value(part, connection)  # which refuses what cannot be sent


def _prepared(model: Any, pk: Any) -> Any:
    """A pk as rows have it: of the type of its field, and no enum."""
    key = model._meta.pk
    if not isinstance(key, CompositePrimaryKey):
        return _of_field(key, pk)
    return tuple(_of_field(field, part) for field, part in zip(key.fields, pk, strict=True))


def _of_field(field: Any, value: Any) -> Any:
    prepared = field.to_python(value)
    if prepared is None:
        raise ValueError("no pk")
    if isinstance(value, bool | float) and type(prepared) is not type(value):
        kinds = f"a {type(value).__name__} for a {type(prepared).__name__}"
        raise ValueError(f"its pk: {kinds}, and would come back as the row of {prepared!r}")
    return str.__str__(prepared) if isinstance(prepared, str) else prepared


def _value(row: Any, field: str | None) -> Any:
    if row is None or field is None:
        return row
    label = row._meta.label
    try:
        is_file = isinstance(row._meta.get_field(field), FileField)
    except FieldDoesNotExist:
        is_file = False
    if not is_file:
        raise StaleStateError(f"a file of {label} in {field[:60]!a}, which is not a field for files any more")
    return getattr(row, field)
