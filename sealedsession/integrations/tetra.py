"""Components of Tetra in sealed state: `install` puts it in the place of Tetra's own pickling and encryption.

1. Only components that are registered with a library of Tetra are resumed, by their names there: no token names a
   module. They hold what state of Django holds, Tetra's blocks, and uploads: tetra_uploads.py.
2. A token belongs to a session and a user, as in Tetra, and is accepted for ``TETRA_STATE_MAX_AGE`` seconds.
3. A row or an upload that is gone, or was never saved, is None in the component that is resumed, as Tetra has it, and
   `load` runs after that. A member of an enum of choices is its value then, as in a row that is read again.
4. A state sets attributes that a component's `__getstate__` can write. It replaces no method, and nothing that Tetra
   keeps in the class, such as its template and its public methods.
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
from tetra.conf import get_setting
from tetra.utils import NamedTemporaryUploadedFile

from sealedsession.errors import NotSerializableError, StaleStateError, StateError, UnsealError
from sealedsession.integrations import not_installed
from sealedsession.integrations.django import blocks, conf, references, shortcuts
from sealedsession.integrations.django.budget import current
from sealedsession.integrations.django.values import DjangoRegistry
from sealedsession.serialization.registry import ValueType
from sealedsession.state.registry import StateRegistry
from sealedsession.state.sealer import DAY

_UPLOAD = 512  # nodes, of 16,384 in a payload: each upload opens a file
_NAME_MAX = 255  # bytes, of most file systems; they have an error for longer names


def _of_upload(upload: Any) -> tuple[str, str, int, str]:
    path = Path(upload.temporary_file_path()).resolve()
    if path.parent != _uploads():
        raise ValueError(f"it is not in {_uploads()}")
    return path.name, upload.name, upload.size, upload.content_type or ""


def _upload(temporary: str, name: str, size: int, content_type: str) -> Any:
    path = _uploads() / temporary
    is_name = Path(temporary).name == temporary and len(temporary.encode(errors="replace")) <= _NAME_MAX
    current().reading.pay(_UPLOAD)
    if not is_name or not path.is_file():
        return None
    return NamedTemporaryUploadedFile(name, content_type, size, settings.DEFAULT_CHARSET, temp_path=str(path))


def _uploads() -> Path:
    return Path(settings.MEDIA_ROOT, get_setting("TETRA_TEMP_UPLOAD_PATH")).resolve()


def _of_file(upload: Any) -> tuple[str, str, bytes]:
    content = upload.open().read()
    upload.open()  # at the start again
    return upload.name, upload.content_type or "", content


def _file(name: str, content_type: str, content: bytes) -> Any:
    return InMemoryUploadedFile(BytesIO(content), None, name, content_type, len(content), settings.DEFAULT_CHARSET)


# Class, code, what is written for a file, how a file is made of that, and the types of it.
UPLOADS: tuple[tuple[Any, ...], ...] = (
    (NamedTemporaryUploadedFile, "tetra.upload", _of_upload, _upload, str, str, int, str),
    (InMemoryUploadedFile, "tetra.file", _of_file, _file, str, str, bytes),
)


try:
    from tetra import exceptions, state
    from tetra.components import BasicComponent, base
    from tetra.library import Library
    from tetra.templates import InlineOrigin
    from tetra.utils import isclassmethod

except ModuleNotFoundError as error:
    raise not_installed(error, "tetra") from error

# Tetra answers for its own error, which it has since 0.9.
_STALE = getattr(exceptions, "StaleComponentStateError", StaleStateError)


def install() -> None:
    """Have Tetra seal its components here. Call it in `ready` of an application, after values are registered.

    :raises ConfigError: for a mistake in the settings, which are those of sealed state in Django.
    """
    options = {"max_age": getattr(settings, "TETRA_STATE_MAX_AGE", DAY), **conf.state_options()}
    options.update(conf.state_keys(options), registry=_Values(options["registry"]), name="tetra")
    sealer = conf.make_state_sealer(options)

    def encode_component(component: Any) -> str:
        kept, request = _of_component(component), component.request
        session_id, user = shortcuts.begun_session_id(request), shortcuts.user(request)
        try:
            return sealer.seal(kept, session_id=session_id, user=user)
        except NotSerializableError as error:
            path = type(component).__qualname__ + error.path.removeprefix("state")
            raise NotSerializableError(path, error.type, error.args[2]) from error.__cause__

    def decode_component(state_token: str, request: HttpRequest) -> Any:
        cls = _expected.get()
        _expected.set(BasicComponent)  # for other components, which are decoded while this one is used
        session_id, user = shortcuts.session_id(request), shortcuts.user(request)
        try:
            component = _component(sealer.unseal(state_token, session_id=session_id, user=user))
        except StaleStateError as error:
            raise _STALE(str(error)) from error
        if not isinstance(component, cls):
            name = type(component).__qualname__
            raise WrongComponentError(f"a state of the component {name}, where {cls.__qualname__} is expected")
        return component

    modules: Any = (state, base)  # where they are defined, and where they are called
    for module in modules:
        module.encode_component, module.decode_component = encode_component, decode_component
    component: Any = base.Component
    component.from_state = classmethod(_from_state)


class WrongComponentError(StateError, TypeError):
    """A call came with the state of another component. This is a TypeError too, as Tetra's own error is."""


# Tetra checks the class of a component after decoding it, and its own error would be answered as a server error.
_expected: ContextVar[type] = ContextVar("_expected", default=BasicComponent)
_tetra_from_state: Any = vars(base.Component)["from_state"].__func__


@wraps(_tetra_from_state)
def _from_state(cls: type, *args: Any, **kwargs: Any) -> Any:
    before = _expected.set(cls)
    try:
        return _tetra_from_state(cls, *args, **kwargs)
    finally:
        _expected.reset(before)


class _Values(DjangoRegistry):
    """The values of Django, with None for rows that are gone, those that the project has registered, and Tetra's."""

    def __init__(self, registry: StateRegistry) -> None:
        super().__init__()
        del self.by_type[BlockNode]  # Tetra finds its own, which are anywhere
        for row in (Model, FieldFile):
            self._families[row] = _or_none(self._families[row])
            self._add(self._families[row])
        for entry in [entry for code, entry in registry.by_code.items() if code not in self.by_code]:
            self._add(entry)
        self._families = {**registry._families, **self._families}
        self._refer(BasicComponent, "tetra.component", lambda component: (_of_component(component),), _component, dict)
        self._refer(BlockNode, "tetra.block", _of_block, _block, str, str, str, str)
        for upload in UPLOADS:
            self._refer(*upload)
        for choices, value in ((TextChoices, str), (IntegerChoices, int)):
            self._refer(choices, f"tetra.{value.__name__}", lambda choice: (choice.value,), value, value)

    def _refer(self, cls: type, code: str, encode: Any, make: Any, *types: type) -> None:
        def decode(data: Any) -> Any:
            if type(data) is not tuple or tuple(map(type, data)) != types:
                raise TypeError("data of another shape")
            return data

        self.register_base(cls, code, encode=encode, decode=decode, fetch=lambda data: [make(*each) for each in data])


def _or_none(entry: ValueType) -> ValueType:
    """The same type, where None is written for what was never saved, and comes back for what is gone."""

    def encode(value: Any) -> object:
        row = value.instance if isinstance(value, FieldFile) else value
        return None if row.pk is None or row._state.adding else entry.encode(value)

    return entry._replace(encode=encode, decode=lambda data: data and entry.decode(data), fetch=_rows)


def _rows(wanted: list[Any]) -> list[Any]:
    found = iter(references.fetch([reference for reference in wanted if reference], or_none=True))
    return [next(found) if reference else None for reference in wanted]


def _name_of(cls: Any) -> tuple[str, str, str]:
    library = cls._library
    if library is None or library.components.get(cls._name) is not cls:
        raise NotSerializableError(cls.__qualname__, cls, "it is not registered in a library of Tetra")
    return library.app.label, library.name, cls._name


def _class_of(app: str, library: str, name: str) -> Any:
    try:
        return Library.registry.get(app, {})[library].components[name]
    except KeyError:
        raise StaleStateError(f"no component {name[:60]!a} is registered in the library {library[:60]!a}") from None


def _of_component(component: Any) -> dict[str, Any]:
    cls, kept = component.__class__, component.__getstate__()
    for name in _methods_of(cls).intersection(kept):
        why = "it has the name of a method, and could not be put back"
        raise NotSerializableError(f"{cls.__qualname__}.{name}", type(kept[name]), why)
    for name in _class_names_of(cls).intersection(kept):
        why = "Tetra uses this name for an attribute of the class, so the value could not be restored"
        raise NotSerializableError(f"{cls.__qualname__}.{name}", type(kept[name]), why)
    if kept.get("_context"):
        kept["_context"] = _context_of(component)
    return {"": _name_of(cls), **kept}


def _component(kept: Any) -> Any:
    name = kept.pop("", None) if type(kept) is dict else None
    if type(name) is not tuple or [*map(type, name)] != [str, str, str] or {*map(type, kept)} - {str}:
        raise UnsealError("forbidden_value", "a state of no component")
    cls = _class_of(*name)
    if taken := sorted(_methods_of(cls).intersection(kept)):
        raise StaleStateError(f"a state of {cls.__qualname__} has attributes that are methods now: {taken}")
    if taken := sorted(_class_names_of(cls).intersection(kept)):
        raise StaleStateError(f"a state of {cls.__qualname__} has attributes that no state of it has: {taken}")
    component = cls.__new__(cls)
    getattr(component, "__setstate__", vars(component).update)(kept)
    return component


@cache
def _methods_of(cls: Any) -> frozenset[str]:
    """The names of methods and properties of a class. A property that is cached is kept under its own name."""
    members = {name: getattr_static(cls, name, None) for name in dir(cls)}
    own = (property, classmethod)
    return frozenset(name for name, it in members.items() if isinstance(it, own) or (isroutine(it) and callable(it)))


# The attributes for which Tetra's classes have defaults, and which Tetra sets in components.
_ATTRIBUTES = frozenset(
    ("_context", "_load_args", "_load_kwargs", "_slots", "component_id", "form_submitted", "key", "object")
)


@cache
def _class_names_of(cls: Any) -> frozenset[str]:
    """Return the names that no `__getstate__` writes: those of Tetra's classes, except for public properties such as
    the router's, and those left out of a state."""
    tetras = [parent for parent in cls.__mro__ if parent.__module__.partition(".")[0] == "tetra"]
    names = {"template", "__class__", "__dict__"}
    names.update(*map(vars, tetras), *(vars(parent).get("__annotations__", ()) for parent in tetras))
    excluded = [name for parent in cls.__mro__ for name in vars(parent).get("_excluded_props_from_saved_state", ())]
    public = getattr(cls, "_public_properties", ())
    return frozenset(names.difference(_ATTRIBUTES, public).union(excluded))


def _context_of(component: Any) -> dict[str, Any]:
    """What of the context around a component neither Django nor the component will put there again."""
    own, context = vars(component), component._context
    layers = getattr(context, "dicts", [context])[2 if isinstance(context, RequestContext) else 0 :]
    merged = {name: value for layer in layers for name, value in layer.items()}
    again = _set_again(component.__class__)
    return {name: it for name, it in merged.items() if name not in again and (name[0] == "_" or name not in own)}


@cache
def _set_again(cls: type) -> set[str]:
    own = {name for name in dir(cls) if name[0] != "_" and not isclassmethod(getattr(cls, name, None))}
    return own.union(state.keys_to_remove_from_context)


def _of_block(block: Any) -> tuple[str, str, str, str]:
    origin = block.origin
    if isinstance(origin, InlineOrigin):
        return (*_name_of(origin.component), block._path_key)
    if origin.template_name is None:
        raise ValueError("its template has no name that it could be found by")
    return "", "", origin.template_name, block._path_key


def _block(app: str, library: str, name: str, path: str) -> Any:
    engine: Any = engines["django"]
    try:
        template = _class_of(app, library, name)._template if app else blocks.template_of(engine, name)
        return template.blocks_by_key[path]
    except (KeyError, TemplateDoesNotExist):
        raise StaleStateError(f"the block {path[:60]!a} of {name[:60]!a} is gone") from None
