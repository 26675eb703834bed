"""References to rows in sealed state: model instances, and the files of their fields.

1. A token holds label, primary key and database of a row, and the field of a file. The row is fetched when the token is
   opened, with its current content.
2. One query per model and database fetches all rows that a state refers to. Proxy models are fetched separately.
3. A missing row, field, model or database is a `StaleStateError`. So is a primary key that its model does not accept.
   Errors about the database connection propagate unchanged.
"""

from collections import defaultdict
from typing import Any, NamedTuple

from django import db
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import router
from django.db.models import CompositePrimaryKey, FileField

from sealedsession.errors import StaleStateError
from sealedsession.integrations.django.budget import current_budgets
from sealedsession.integrations.django.validation import SCALARS, check_type, find_model

# Raised by fields for a primary key that does not fit the model: the state is old, or the token is forged.
_FIELD_ERRORS = (ValueError, TypeError, ValidationError, ArithmeticError)
# Raised by databases for such a key. Other errors can come from the application, whose code the query runs.
_DATABASE_ERRORS = (OverflowError, UnicodeError, db.DataError)


class Reference(NamedTuple):
    """A reference to a row, or to a file of a row.

    :param label: of the model.
    :param pk: a tuple for a composite primary key.
    :param using: alias of the database.
    :param field: name of the file's field, or None for a row.
    """

    label: str
    pk: Any
    using: str
    field: str | None


def encode_instance(instance: Any) -> object:
    """Return the data of a reference to a model instance.

    :raises ValueError: if the instance is not saved, or its primary key is invalid.
    """
    model, state = type(instance), instance._state
    label = model._meta.label
    if instance.pk is None or state.adding:
        raise ValueError(f"this {label} has no row, or its row was deleted. Save the instance first")
    if find_model(label) is not model:
        raise ValueError(f"the label {label} belongs to another model")
    using = state.db or router.db_for_read(model, instance=instance)
    try:
        return (label, _check_pk(_prepare_pk(model, instance.pk)), using)
    except ValidationError as error:
        raise ValueError(f"primary key: {' '.join(error.messages)}") from None


def encode_file(file: Any) -> object:
    """Return the data of a reference to a file of a model instance.

    :raises ValueError: if the file or its instance is not saved.
    """
    if file.instance is None:
        raise ValueError("this file belongs to no model instance")
    if not file._committed:
        raise ValueError(f"the file of the field {file.field.name!r} is not stored yet. Save the instance first")
    return (*check_type(encode_instance(file.instance), tuple), file.field.name)


def decode_instance(data: Any) -> Reference:
    """Check the data of a reference to an instance.

    :raises UnsealError: if it is invalid; also TypeError and ValueError.
    """
    label, pk, using = check_type(data, tuple, length=3)
    return _make_reference(label, pk, using, None)


def decode_file(data: Any) -> Reference:
    """Check the data of a reference to a file.

    :raises UnsealError: if it is invalid; also TypeError and ValueError.
    """
    label, pk, using, field = check_type(data, tuple, length=4)
    return _make_reference(label, pk, using, check_type(field, str))


def fetch_references(references: list[Reference], *, allow_missing: bool = False) -> list[Any]:
    """Fetch the instances and files of references, in the same order.

    :param allow_missing: return None for a missing row and its files.
    :raises StaleStateError: if one of them no longer exists.
    """
    pks: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for reference in references:
        pks[reference.label, reference.using].append(reference.pk)
    rows = {key: _fetch_rows(*key, wanted) for key, wanted in pks.items()}
    for (label, using), found in rows.items():
        if (missing := found.count(None)) and not allow_missing:
            raise StaleStateError(f"{missing} of {len(found)} rows of {label} no longer exist in {using!r}")
    remaining = {key: iter(found) for key, found in rows.items()}
    return [_get_value(next(remaining[each.label, each.using]), each.field) for each in references]


def _make_reference(label: Any, pk: Any, using: Any, field: str | None) -> Reference:
    return Reference(check_type(label, str), _check_pk(pk), check_type(using, str), field)


def _check_pk(pk: Any) -> Any:
    """Return a primary key, of one or several columns, if it is plain data."""
    for part in pk if type(pk) is tuple else (pk,):
        if type(part) not in SCALARS:
            raise TypeError(f"primary key: unsupported type {type(part).__name__}")
        if type(part) is str and "\0" in part:
            raise ValueError("primary key: contains a NUL character, which some databases refuse")
    return pk


def _fetch_rows(label: str, using: str, pks: list[Any]) -> list[Any]:
    """Fetch the rows with these primary keys, with None for a missing row."""
    model = find_model(label)
    if using not in db.connections.settings:
        raise StaleStateError(f"a row of {label}: the database {using[:60]!a} is no longer in DATABASES")
    try:
        for pk in pks:
            _check_spelling(model, pk, db.connections[using])
    except _FIELD_ERRORS as error:
        raise _invalid_pk(label, error) from error
    current_budgets().decoding.pay_hashes(pks)
    rows = model._base_manager.using(using)
    try:
        found = rows.in_bulk(set(pks))
    except _DATABASE_ERRORS as error:
        raise _invalid_pk(label, error) from error
    return [found.get(pk) for pk in pks]


def _invalid_pk(label: str, error: Exception) -> StaleStateError:
    return StaleStateError(f"{label} no longer accepts the primary key of a row: {type(error).__name__}")


def _check_spelling(model: Any, pk: Any, connection: Any) -> None:
    """Check that `encode_instance` would write a primary key in this way, and that the database can receive it."""
    prepared = _prepare_pk(model, pk)
    if type(pk) is not type(prepared) or pk != prepared:
        raise TypeError("primary key: unexpected spelling")
    key: Any = model._meta.pk
    is_composite = isinstance(key, CompositePrimaryKey)
    for field, part in zip(key.fields if is_composite else [key], pk if is_composite else [pk], strict=True):
        field.get_db_prep_value(part, connection)  # raises an error for values that cannot be sent


def _prepare_pk(model: Any, pk: Any) -> Any:
    """Return a primary key with the type of its field, without enums."""
    key = model._meta.pk
    if not isinstance(key, CompositePrimaryKey):
        return _prepare_part(key, pk)
    return tuple(_prepare_part(field, part) for field, part in zip(key.fields, pk, strict=True))


def _prepare_part(field: Any, value: Any) -> Any:
    prepared = field.to_python(value)
    if prepared is None:
        raise ValueError("primary key: missing")
    if isinstance(value, bool | float) and type(prepared) is not type(value):
        kinds = f"expected {type(prepared).__name__}, got {type(value).__name__}"
        raise ValueError(f"primary key: {kinds}. It would come back as the row of {prepared!r}")
    return str.__str__(prepared) if isinstance(prepared, str) else prepared


def _get_value(row: Any, field: str | None) -> Any:
    """Return the row, or the file of one of its fields."""
    if row is None or field is None:
        return row
    label = row._meta.label
    try:
        is_file = isinstance(row._meta.get_field(field), FileField)
    except FieldDoesNotExist:
        is_file = False
    if not is_file:
        raise StaleStateError(f"a file of {label}: {field[:60]!a} is no longer a field for files")
    return getattr(row, field)
