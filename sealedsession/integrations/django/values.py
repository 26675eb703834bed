"""The types of values that sealed state supports in a Django project. `registry` has all of them.

=====================  ===============================================================================================
model instance         label, primary key and database; the row is fetched again
QuerySet               a recipe, which is plain data; the QuerySet is not evaluated
FieldFile              model, primary key and field; the row is fetched again
template block         engine, template and path; the template is loaded again
form                   data, initial values and prefix; for registered classes
SimpleLazyObject       the wrapped object, such as the user of a request
lazy text              the text in the current language
QueryDict, SafeString  their content; a SafeString is trusted when it is opened, too
AnonymousUser          nothing but its type
=====================  ===============================================================================================

Importing this module needs no settings and no installed applications.
"""

import sys
from typing import Any, ClassVar, NoReturn, TypeVar

from django.apps import apps
from django.db.models import Model, QuerySet
from django.db.models.fields.files import FieldFile
from django.db.models.manager import BaseManager
from django.db.models.query import RawQuerySet
from django.forms import BaseForm
from django.http import QueryDict
from django.template.loader_tags import BlockNode
from django.utils.functional import Promise, SimpleLazyObject, empty
from django.utils.safestring import SafeString

from sealedsession.integrations.django import blocks, querysets, references
from sealedsession.integrations.django.budget import begin_payload
from sealedsession.integrations.django.forms import form_codec
from sealedsession.integrations.django.validation import check_type
from sealedsession.serialization.registry import ValueType
from sealedsession.state.registry import StateRegistry

Form = TypeVar("Form", bound=BaseForm)

_ANONYMOUS = ("django.contrib.auth.models", "AnonymousUser")


class DjangoRegistry(StateRegistry):
    """A registry with the default types and the types of Django."""

    __slots__ = ()

    import_path: ClassVar[str] = "sealedsession.integrations.django.values.registry"

    def __init__(self) -> None:
        super().__init__()
        for base, code, encode, decode, fetch in _FAMILIES:
            # Rows are fetched in one query, and recipes share a budget: no reference may be fetched on its own.
            nested = base in _LAZY
            self.register_base(base, code, encode=encode, decode=decode, fetch=fetch, allow_nested=nested)
        self.register(SafeString, "dj.safe", encode=str.__str__, decode=_decode_safe_string)
        self.register(QueryDict, "dj.querydict", encode=lambda value: dict(value.lists()), decode=_decode_query_dict)
        # A lazy value is replaced by its data while the payload is read. A reference whose data contains a lazy text
        # is therefore fetched together with the other references.
        for code in ("dj.lazy", "dj.text"):
            self.by_code[code] = self.by_code[code]._replace(deferred=False)
        # Its module cannot be imported before applications are loaded, nor without django.contrib.auth.
        self.by_code["dj.anonymous"] = _ANONYMOUS_USER

    def begin_payload(self) -> None:
        """Renew the budget for the next payload."""
        begin_payload()

    def find_family(self, cls: type, /) -> ValueType | None:
        """Register a type that belongs to a family, or is AnonymousUser. Return the family's entry, or None."""
        if (cls.__module__, cls.__qualname__) != _ANONYMOUS:
            return super().find_family(cls)
        self.by_type[cls] = _ANONYMOUS_USER
        return _ANONYMOUS_USER

    def advice_for(self, cls: type, /) -> str | None:
        """Return what to do about a manager, or a form of a class that is not registered."""
        if issubclass(cls, BaseManager):
            return "Seal its QuerySet: .all()"
        if issubclass(cls, BaseForm):
            return f"Register its class: {self.import_path}.register_form({cls.__qualname__})"
        return None

    def register_form(self, cls: type[Form], code: str | None = None) -> type[Form]:
        """Support forms of exactly this class. Use it as a function or as a class decorator.

        :param code: identifies the class in tokens. Default: the name of the class. Never reuse a code for another
            class.
        :returns: the class.
        :raises ConfigError: if this is not a class of forms, if it needs other arguments than data, initial and prefix,
            and as `Registry.register`.
        """
        codec, make_forms = form_codec(cls)
        self.add_codec(cls, cls.__qualname__ if code is None else code, codec)
        # A form may query the database, so forms are made when rows are fetched. An error then is not tampering.
        self.add(self.by_type[cls]._replace(decode=codec.decode, deferred=True, fetch=make_forms))
        return cls


def _refuse_raw(_: Any) -> NoReturn:
    raise TypeError("raw SQL is never sealed. Make the query in load(), whose attributes are not sealed")


def _unwrap_lazy_object(lazy: Any) -> object:
    if lazy._wrapped is empty:
        lazy._setup()
    return lazy._wrapped


def _evaluate_lazy_text(promise: Any) -> object:
    return promise._proxy____cast()


def _return_data(data: Any) -> Any:
    return data


def _decode_safe_string(data: Any) -> SafeString:
    return SafeString(check_type(data, str))


def _decode_query_dict(data: Any) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, values in check_type(data, dict).items():
        query.setlist(check_type(name, str), check_type(values, list))
    query._mutable = False
    return query


def _decode_anonymous(data: Any) -> object:
    if data is not None:
        raise TypeError("AnonymousUser must have no data")
    models = sys.modules.get(_ANONYMOUS[0])  # not imported: the application has loaded it, and decoders import nothing
    if models is None or not apps.is_installed("django.contrib.auth"):
        raise TypeError("AnonymousUser needs django.contrib.auth in INSTALLED_APPS")
    return models.AnonymousUser()


_FAMILIES: tuple[tuple[type, str, Any, Any, Any], ...] = (
    (Model, "dj.row", references.encode_instance, references.decode_instance, references.fetch_references),
    (FieldFile, "dj.file", references.encode_file, references.decode_file, references.fetch_references),
    (QuerySet, "dj.queryset", querysets.encode_queryset, querysets.decode_recipe, querysets.fetch_querysets),
    (RawQuerySet, "dj.raw", _refuse_raw, _refuse_raw, None),
    (BlockNode, "dj.block", blocks.encode_block, blocks.decode_block, blocks.fetch_blocks),
    # Lazy values are replaced by the value that they stand for, which can have any type.
    (SimpleLazyObject, "dj.lazy", _unwrap_lazy_object, _return_data, list),
    (Promise, "dj.text", _evaluate_lazy_text, _return_data, list),
)
_LAZY = (SimpleLazyObject, Promise)
_PLACEHOLDER = type("AnonymousUser", (), {})
_ANONYMOUS_USER = ValueType(_PLACEHOLDER, "dj.anonymous", lambda _: None, _decode_anonymous, True)

registry: DjangoRegistry = DjangoRegistry()
