"""Sealed state for components of Tetra (the extra ``tetra``). `install` replaces Tetra's own pickling and encryption.

1. A token identifies a component by application, library and name, never by a module. Only components that are
   registered in a Tetra library are resumed.
2. A token belongs to a session and a user, and is accepted for ``TETRA_STATE_MAX_AGE`` seconds.
3. Components can contain Django's values, Tetra's blocks, and uploads. A temporary upload is sealed as the name of its
   file. It costs part of the budget, because resuming it opens the file. An upload in memory is sealed with its
   content.
4. A row or upload that is missing or was never saved is None in the resumed component. Then `load` runs. A member of an
   enum of choices becomes its value, as in a row that is read from the database.
5. A token can set only attributes that a component's ``__getstate__`` writes. It cannot replace methods or Tetra's
   class attributes, such as the template and the list of public methods.
"""

from contextvars import ContextVar
from functools import cache, wraps
from inspect import getattr_static, isroutine
from io import BytesIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.db.models import IntegerChoices, Model, TextChoices
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.template import RequestContext, TemplateDoesNotExist, engines
from django.template.loader_tags import BlockNode

from sealedsession.errors import NotSerializableError, StaleStateError, StateError, UnsealError
from sealedsession.integrations import not_installed
from sealedsession.integrations.django import blocks, conf, references, shortcuts
from sealedsession.integrations.django.budget import current_budgets
from sealedsession.integrations.django.values import DjangoRegistry
from sealedsession.serialization.registry import ValueType
from sealedsession.state.registry import StateRegistry
from sealedsession.state.sealer import DAY

try:
    from tetra import exceptions, state
    from tetra.components import BasicComponent, base
    from tetra.conf import get_setting
    from tetra.library import Library
    from tetra.templates import InlineOrigin
    from tetra.utils import NamedTemporaryUploadedFile, isclassmethod
except ModuleNotFoundError as _error:
    raise not_installed(_error, "tetra") from _error

_UPLOAD = 512  # the cost of an upload in nodes, of 16,384 in a payload, because each upload opens a file
_NAME_MAX = 255  # bytes; most file systems raise an error for longer names
# Tetra 0.9 and later convert its own error into a response.
_STALE = getattr(exceptions, "StaleComponentStateError", StaleStateError)


def install() -> None:
    """Make Tetra seal its components with this library. Call it in ``AppConfig.ready``, after types are registered.

    The settings are those of sealed state in Django.

    :raises ConfigError: if a setting is invalid.
    """
    options = {"max_age": getattr(settings, "TETRA_STATE_MAX_AGE", DAY), **conf.state_options()}
    options.update(conf.state_keys(options), registry=_TetraRegistry(options["registry"]), name="tetra")
    sealer = conf.make_state_sealer(options)

    def encode_component(component: Any) -> str:
        attributes, request = _encode_component(component), component.request
        session_id, user = shortcuts.ensure_session_id(request), shortcuts.get_username(request)
        try:
            return sealer.seal(attributes, session_id=session_id, user=user)
        except NotSerializableError as error:
            path = type(component).__qualname__ + error.path.removeprefix("state")
            raise NotSerializableError(path, error.type, error.args[2]) from error.__cause__

    def decode_component(state_token: str, request: HttpRequest) -> Any:
        cls = _expected.get()
        _expected.set(BasicComponent)  # other components may be decoded while this one is used
        session_id, user = shortcuts.get_session_id(request), shortcuts.get_username(request)
        try:
            component = _make_component(sealer.unseal(state_token, session_id=session_id, user=user))
        except StaleStateError as error:
            raise _STALE(str(error)) from error
        if not isinstance(component, cls):
            name = type(component).__qualname__
            raise WrongComponentError(f"a call of {cls.__qualname__} has the state of another component, {name}")
        return component

    modules: Any = (state, base)  # the module that defines the functions, and the module that calls them
    for module in modules:
        module.encode_component, module.decode_component = encode_component, decode_component
    component: Any = base.Component
    component.from_state = classmethod(_from_state)


class WrongComponentError(StateError, TypeError):
    """A call has the state of another component. It is also a TypeError, as Tetra's own error is."""


# The class of the component that a call expects. Tetra checks it after decoding, but its error would become a server
# error.
_expected: ContextVar[type] = ContextVar("_expected", default=BasicComponent)
_tetra_from_state: Any = vars(base.Component)["from_state"].__func__


@wraps(_tetra_from_state)
def _from_state(cls: type, *args: Any, **kwargs: Any) -> Any:
    before = _expected.set(cls)
    try:
        return _tetra_from_state(cls, *args, **kwargs)
    finally:
        _expected.reset(before)


# ------------------------------------------------------------------------------------------------------------- uploads


def _encode_temporary_upload(upload: Any) -> tuple[str, str, int, str]:
    path = Path(upload.temporary_file_path()).resolve()
    if path.parent != _find_upload_folder():
        raise ValueError(f"the upload is not in {_find_upload_folder()}")
    return path.name, upload.name, upload.size, upload.content_type or ""


def _make_temporary_upload(temporary: str, name: str, size: int, content_type: str) -> Any:
    path = _find_upload_folder() / temporary
    is_name = Path(temporary).name == temporary and len(temporary.encode(errors="replace")) <= _NAME_MAX
    current_budgets().decoding.pay(_UPLOAD)
    if not is_name or not path.is_file():
        return None
    return NamedTemporaryUploadedFile(name, content_type, size, settings.DEFAULT_CHARSET, temp_path=str(path))


def _find_upload_folder() -> Path:
    return Path(settings.MEDIA_ROOT, get_setting("TETRA_TEMP_UPLOAD_PATH")).resolve()


def _encode_upload_in_memory(upload: Any) -> tuple[str, str, bytes]:
    content = upload.open().read()
    upload.open()  # rewinds the file
    return upload.name, upload.content_type or "", content


def _make_upload_in_memory(name: str, content_type: str, content: bytes) -> Any:
    return InMemoryUploadedFile(BytesIO(content), None, name, content_type, len(content), settings.DEFAULT_CHARSET)


# Class, code, encoder, maker, and the types of the encoded data.
UPLOADS: tuple[tuple[Any, ...], ...] = (
    (
        *(NamedTemporaryUploadedFile, "tetra.upload", _encode_temporary_upload, _make_temporary_upload),
        *(str, str, int, str),
    ),
    (InMemoryUploadedFile, "tetra.file", _encode_upload_in_memory, _make_upload_in_memory, str, str, bytes),
)


# ------------------------------------------------------------------------------------------------------------ registry


class _TetraRegistry(DjangoRegistry):
    """Django's values with None for missing rows, the project's registered values, and Tetra's values."""

    def __init__(self, registry: StateRegistry) -> None:
        super().__init__()
        del self.by_type[BlockNode]  # Tetra's blocks can be in inline templates, and are registered below
        for row in (Model, FieldFile):
            self.families[row] = _allow_missing(self.families[row])
            self.add(self.families[row])
        for entry in [entry for code, entry in registry.by_code.items() if code not in self.by_code]:
            self.add(entry)
        self.families = {**registry.families, **self.families}
        self._register_tuple(BasicComponent, "tetra.component", _wrap_component, _make_component, dict)
        self._register_tuple(BlockNode, "tetra.block", _encode_block, _find_block, str, str, str, str)
        for upload in UPLOADS:
            self._register_tuple(*upload)
        for choices, value in ((TextChoices, str), (IntegerChoices, int)):
            self._register_tuple(choices, f"tetra.{value.__name__}", lambda choice: (choice.value,), value, value)

    def _register_tuple(self, cls: type, code: str, encode: Any, make: Any, *types: type) -> None:
        """Register a base class whose data is a tuple of these types. `make` is called with its members."""

        def decode(data: Any) -> Any:
            if type(data) is not tuple or tuple(map(type, data)) != types:
                raise TypeError(f"invalid data of {code!r}")
            return data

        self.register_base(cls, code, encode=encode, decode=decode, fetch=lambda data: [make(*each) for each in data])


def _allow_missing(entry: ValueType) -> ValueType:
    """Return the same type, but with None for values that were never saved or no longer exist."""

    def encode(value: Any) -> object:
        row = value.instance if isinstance(value, FieldFile) else value
        return None if row.pk is None or row._state.adding else entry.encode(value)

    return entry._replace(encode=encode, decode=lambda data: data and entry.decode(data), fetch=_fetch_rows)


def _fetch_rows(wanted: list[Any]) -> list[Any]:
    found = iter(references.fetch_references([reference for reference in wanted if reference], allow_missing=True))
    return [next(found) if reference else None for reference in wanted]


# ---------------------------------------------------------------------------------------------------------- components


def _find_component_name(cls: Any) -> tuple[str, str, str]:
    library = cls._library
    if library is None or library.components.get(cls._name) is not cls:
        problem = "it is not registered in a library of Tetra"
        raise NotSerializableError(cls.__qualname__, cls, problem)
    return library.app.label, library.name, cls._name


def _find_component(app: str, library: str, name: str) -> Any:
    try:
        return Library.registry.get(app, {})[library].components[name]
    except KeyError:
        raise StaleStateError(f"no component {name[:60]!a} is registered in the library {library[:60]!a}") from None


def _encode_component(component: Any) -> dict[str, Any]:
    cls, attributes = component.__class__, component.__getstate__()
    for name in _find_methods(cls).intersection(attributes):
        problem = "this attribute has the name of a method, so it could not be restored. Rename it"
        raise NotSerializableError(f"{cls.__qualname__}.{name}", type(attributes[name]), problem)
    for name in _find_class_names(cls).intersection(attributes):
        problem = "Tetra uses this name for an attribute of the class, so the value could not be restored. Rename it"
        raise NotSerializableError(f"{cls.__qualname__}.{name}", type(attributes[name]), problem)
    if attributes.get("_context"):
        attributes["_context"] = _select_context(component)
    return {"": _find_component_name(cls), **attributes}


def _wrap_component(component: Any) -> tuple[dict[str, Any]]:
    return (_encode_component(component),)


def _make_component(attributes: Any) -> Any:
    name = attributes.pop("", None) if type(attributes) is dict else None
    if type(name) is not tuple or [*map(type, name)] != [str, str, str] or {*map(type, attributes)} - {str}:
        raise UnsealError("forbidden_value", "a state that is not of a component")
    cls = _find_component(*name)
    if taken := sorted(_find_methods(cls).intersection(attributes)):
        raise StaleStateError(f"a state of {cls.__qualname__} has attributes that are methods now: {taken}")
    if taken := sorted(_find_class_names(cls).intersection(attributes)):
        raise StaleStateError(f"a state of {cls.__qualname__} has attributes that cannot be in a state: {taken}")
    component = cls.__new__(cls)
    getattr(component, "__setstate__", vars(component).update)(attributes)
    return component


@cache
def _find_methods(cls: Any) -> frozenset[str]:
    """Return the names of the methods and properties of a class.

    A cached property is excluded: it stores its value under its own name.
    """
    members = {name: getattr_static(cls, name, None) for name in dir(cls)}
    own = (property, classmethod)
    return frozenset(name for name, it in members.items() if isinstance(it, own) or (isroutine(it) and callable(it)))


# The attributes for which Tetra's classes have defaults, and which Tetra sets in components.
_ATTRIBUTES = frozenset(
    ("_context", "_load_args", "_load_kwargs", "_slots", "component_id", "form_submitted", "key", "object")
)


@cache
def _find_class_names(cls: Any) -> frozenset[str]:
    """Return the names that no `__getstate__` writes.

    These are the names that a component excludes from its state, and the names in Tetra's classes except for public
    properties.
    """
    tetras = [parent for parent in cls.__mro__ if parent.__module__.partition(".")[0] == "tetra"]
    names = {"template", "__class__", "__dict__"}
    names.update(*map(vars, tetras), *(vars(parent).get("__annotations__", ()) for parent in tetras))
    excluded = [name for parent in cls.__mro__ for name in vars(parent).get("_excluded_props_from_saved_state", ())]
    public = getattr(cls, "_public_properties", ())
    return frozenset(names.difference(_ATTRIBUTES, public).union(excluded))


def _select_context(component: Any) -> dict[str, Any]:
    """Return the part of the surrounding context that neither Django nor the component sets again."""
    own, context = vars(component), component._context
    layers = getattr(context, "dicts", [context])[2 if isinstance(context, RequestContext) else 0 :]
    merged = {name: value for layer in layers for name, value in layer.items()}
    restored = _find_restored_names(component.__class__)
    return {name: it for name, it in merged.items() if name not in restored and (name[0] == "_" or name not in own)}


@cache
def _find_restored_names(cls: type) -> set[str]:
    own = {name for name in dir(cls) if name[0] != "_" and not isclassmethod(getattr(cls, name, None))}
    return own.union(state.keys_to_remove_from_context)


# -------------------------------------------------------------------------------------------------------------- blocks


def _encode_block(block: Any) -> tuple[str, str, str, str]:
    origin = block.origin
    if isinstance(origin, InlineOrigin):
        return (*_find_component_name(origin.component), block._path_key)
    if origin.template_name is None:
        raise ValueError("its template has no name, so the block could not be found again")
    return "", "", origin.template_name, block._path_key


def _find_block(app: str, library: str, name: str, path: str) -> Any:
    engine: Any = engines["django"]
    try:
        template = _find_component(app, library, name)._template if app else blocks.load_template(engine, name)
        return template.blocks_by_key[path]
    except (KeyError, TemplateDoesNotExist):
        raise StaleStateError(f"the block {path[:60]!a} of {name[:60]!a} no longer exists") from None
