"""The values that sealed state holds in a Django project: `registry` has them all, and is the default there.

=====================  ===============================================================================================
model instance         by label, pk and database; fetched again
QuerySet               as a recipe of plain data; not evaluated
FieldFile              by model, pk and field; the row is fetched again
template block         by engine, template and path; loaded again
form                   of a registered class: data, initial values, prefix
SimpleLazyObject       what it wraps, such as the user of a request
lazy text              the text, in the language of the moment
QueryDict, SafeString  as they are; what was safe when it was sealed is taken for safe when it is opened
AnonymousUser          as it is
=====================  ===============================================================================================

Importing this asks for no settings, and for no application.
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

from sealedsession.integrations.django import blocks, budget, querysets, references
from sealedsession.integrations.django.forms import form_codec
from sealedsession.integrations.django.operands import exactly
from sealedsession.serialization.registry import ValueType
from sealedsession.state.registry import StateRegistry

Form = TypeVar("Form", bound=BaseForm)

_ANONYMOUS = ("django.contrib.auth.models", "AnonymousUser")


class DjangoRegistry(StateRegistry):
    """The default types, and those of Django."""

    __slots__ = ()

    import_path: ClassVar[str] = "sealedsession.integrations.django.values.registry"

    def __init__(self) -> None:
        super().__init__()
        for base, code, encode, decode, fetch in _FAMILIES:
            # Rows are fetched by one query, and recipes share a budget: none may be fetched alone.
            self.register_base(base, code, encode=encode, decode=decode, fetch=fetch, plain=base not in _LAZY)
        self.register(SafeString, "dj.safe", encode=str.__str__, decode=lambda data: SafeString(exactly(data, str)))
        self.register(QueryDict, "dj.querydict", encode=lambda value: dict(value.lists()), decode=_query_dict)
        # What is plain is so from the beginning: a reference around it is fetched along with the others.
        for code in ("dj.lazy", "dj.text"):
            self.by_code[code] = self.by_code[code]._replace(deferred=False)
        # Its module cannot be imported before applications are loaded, nor without django.contrib.auth.
        self.by_code["dj.anonymous"] = _ANONYMOUS_USER

    def begin_payload(self) -> None:
        """Give the next payload a budget of its own."""
        budget.begin()

    def find_family(self, cls: type, /) -> ValueType | None:
        """Look for a family that an unregistered type belongs to; AnonymousUser is one too."""
        if (cls.__module__, cls.__qualname__) != _ANONYMOUS:
            return super().find_family(cls)
        self.by_type[cls] = _ANONYMOUS_USER
        return _ANONYMOUS_USER

    def advice_for(self, cls: type, /) -> str | None:
        """What to do about a form of another class, or a manager."""
        if issubclass(cls, BaseManager):
            return "Seal its query set: .all()"
        if issubclass(cls, BaseForm):
            return f"Register its class: {self.import_path}.register_form({cls.__qualname__})"
        return None

    def register_form(self, cls: type[Form], code: str | None = None) -> type[Form]:
        """Let state hold forms of exactly this class. It can stand as a decorator above the class.

        :param code: what the class is called in tokens, its name unless given. It may never be given to another class.
        :raises ConfigError: when it is no class of forms, or cannot be made of data, initial and prefix alone, and as
            `Registry.register`.
        """
        codec, make = form_codec(cls)
        self._register(cls, cls.__qualname__ if code is None else code, codec)
        # Made when rows are fetched: a class may ask the database, and what goes wrong then is no forgery.
        self._add(self.by_type[cls]._replace(decode=codec.decode, deferred=True, fetch=make))
        return cls


def _refuse_raw(_: Any) -> NoReturn:
    raise TypeError("it is raw SQL, which is never sealed: make it in load(), which leaves it out of the state")


def _wrapped(lazy: Any) -> object:
    if lazy._wrapped is empty:
        lazy._setup()
    return lazy._wrapped


def _spoken(promise: Any) -> object:
    return promise._proxy____cast()


def _itself(data: Any) -> Any:
    return data


def _query_dict(data: Any) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, values in exactly(data, dict).items():
        query.setlist(exactly(name, str), exactly(values, list))
    query._mutable = False
    return query


def _decode_anonymous(data: Any) -> object:
    if data is not None:
        raise TypeError("data for a value that has none")
    models = sys.modules.get(_ANONYMOUS[0])  # loaded with the application: a decoder imports nothing
    if models is None or not apps.is_installed("django.contrib.auth"):
        raise TypeError("an AnonymousUser without django.contrib.auth in INSTALLED_APPS")
    return models.AnonymousUser()


_FAMILIES: tuple[tuple[type, str, Any, Any, Any], ...] = (
    (Model, "dj.row", references.encode_instance, references.decode_instance, references.fetch),
    (FieldFile, "dj.file", references.encode_file, references.decode_file, references.fetch),
    (QuerySet, "dj.queryset", querysets.encode, querysets.decode, querysets.fetch),
    (RawQuerySet, "dj.raw", _refuse_raw, _refuse_raw, None),
    (BlockNode, "dj.block", blocks.encode, blocks.decode, blocks.fetch),
    # These become what they stand for, which can be anything.
    (SimpleLazyObject, "dj.lazy", _wrapped, _itself, list),
    (Promise, "dj.text", _spoken, _itself, list),
)
_LAZY = (SimpleLazyObject, Promise)
_PLACE = type("AnonymousUser", (), {})
_ANONYMOUS_USER = ValueType(_PLACE, "dj.anonymous", lambda _: None, _decode_anonymous, True)

registry = DjangoRegistry()
