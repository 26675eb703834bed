"""Forms in sealed state: what they were made with, and they are made with it again.

1. Of a form there are sealed its data if it is bound, its initial values, its prefix, and of a form for a model the
   instance, by reference, if that is saved.
2. Files are not sealed, as browsers do not give them twice; nor are errors: validation finds them again.
3. Data is checked before a form is made of it. What its class raises then is the application's, and passes.
4. The number of forms in a payload, and of their fields, is bounded, see `budget`.
"""

import inspect
from collections.abc import Callable
from typing import Any, cast

from django.forms import BaseForm
from django.forms.models import BaseModelForm
from django.http import QueryDict

from sealedsession.errors import ConfigError, UnsealError
from sealedsession.integrations.django.budget import current
from sealedsession.integrations.django.operands import exactly
from sealedsession.serialization.class_codecs import Codec


def form_codec(cls: type[Any]) -> tuple[Codec, Callable[[list[Any]], list[Any]]]:
    """How forms of a class become data, and arguments for the class; and what makes forms of these.

    :raises ConfigError: for what is no class of forms, or cannot be made of data, initial values and prefix.
    """
    if not (isinstance(cls, type) and issubclass(cls, BaseForm)):
        raise ConfigError(f"{cls!r} is not a class of forms")
    model = cast(Any, cls)._meta.model if issubclass(cls, BaseModelForm) else None
    names = ["data", "initial", "prefix", *(["instance"] if model is not None else [])]
    try:
        inspect.signature(cls).bind(**dict.fromkeys(names))
    except TypeError as error:
        raise ConfigError(f"{cls.__qualname__} cannot be made of {', '.join(names)} alone: {error}") from None

    def decode(sealed: Any) -> Any:
        data, initial, prefix, instance = exactly(sealed, tuple, length=4)
        if type(data) not in (type(None), dict, QueryDict) or type(prefix) not in (type(None), str):
            raise TypeError("data of another form")
        made = {"data": data, "initial": exactly(initial, dict), "prefix": prefix}
        if model is not None:
            if not isinstance(instance, model | None):
                raise TypeError(f"a {type(instance).__name__} for the instance")
            made["instance"] = instance
        return made

    def make(checked: list[Any]) -> list[Any]:
        for _ in checked:
            current().reading.form(_fields_of(cls))
        return [cls(**made) for made in checked]

    return Codec(lambda form: current().once(form, _encode), decode), make


def _fields_of(cls: Any) -> int:
    return len(getattr(cls, "base_fields", ()))


def _encode(form: Any) -> object:
    try:
        current().reading.form(_fields_of(type(form)))
    except UnsealError as error:
        raise TypeError(f"it is one of too many: {error.detail}. Seal what the forms are made of") from None
    data = form.data if form.is_bound else None
    initial = {name: value() if callable(value) else value for name, value in form.initial.items()}
    instance = getattr(form, "instance", None)
    saved = None if instance is None or instance._state.adding else instance
    return (data, initial, form.prefix, saved)
