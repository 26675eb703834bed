"""Forms in sealed state: a token holds the arguments of a form, and the form is made again with them.

1. The arguments are the data of a bound form, the initial values, the prefix, and the saved instance of a form for a
   model, by reference.
2. Files are not sealed, because browsers do not send them twice. Errors are not sealed, because validation finds them
   again.
3. Arguments are checked before the form is made. Exceptions of the form's class propagate unchanged.
4. The number of forms and of their fields in a payload is limited, see `budget`.
"""

import inspect
from collections.abc import Callable
from typing import Any, cast

from django.forms import BaseForm
from django.forms.models import BaseModelForm
from django.http import QueryDict

from sealedsession.errors import ConfigError, UnsealError
from sealedsession.integrations.django.budget import current_budgets
from sealedsession.integrations.django.validation import INVALID, check_type
from sealedsession.serialization.class_codecs import Codec


def form_codec(cls: type[Any]) -> tuple[Codec, Callable[[list[Any]], list[Any]]]:
    """Return a codec between forms of a class and their arguments, and a function that makes forms of arguments.

    :raises ConfigError: if this is not a class of forms, or it needs other arguments.
    """
    if not (isinstance(cls, type) and issubclass(cls, BaseForm)):
        raise ConfigError(f"{cls!r} is not a class of forms. Pass a subclass of django.forms.Form or ModelForm")
    model = cast(Any, cls)._meta.model if issubclass(cls, BaseModelForm) else None
    names = ["data", "initial", "prefix", *(["instance"] if model is not None else [])]
    try:
        inspect.signature(cls).bind(**dict.fromkeys(names))
    except TypeError as error:
        only = ", ".join(names)
        problem = f"{cls.__qualname__} needs other arguments than {only}: {error}"
        raise ConfigError(f"{problem}. Give them defaults, or seal the values of the form") from None

    def decode(sealed: Any) -> Any:
        data, initial, prefix, instance = check_type(sealed, tuple, length=4)
        if type(data) not in (type(None), dict, QueryDict) or type(prefix) not in (type(None), str):
            raise TypeError("invalid data or prefix of a form")
        arguments = {"data": data, "initial": check_type(initial, dict), "prefix": prefix}
        if model is not None:
            if not isinstance(instance, model | None):
                raise TypeError(f"the instance of a form: expected {model.__name__}, got {type(instance).__name__}")
            arguments["instance"] = instance
        return arguments

    def make_forms(decoded: list[Any]) -> list[Any]:
        for _ in decoded:
            current_budgets().decoding.pay_form(_count_fields(cls))
        return [cls(**arguments) for arguments in decoded]

    return Codec(lambda form: current_budgets().encode_once(form, _encode), decode), make_forms


def _count_fields(cls: Any) -> int:
    return len(getattr(cls, "base_fields", ()))


def _encode(form: Any) -> object:
    try:
        current_budgets().decoding.pay_form(_count_fields(type(form)))
    except UnsealError as error:
        problem = error.detail.removeprefix(INVALID)
        raise TypeError(f"too many forms: {problem}. Seal the values of the forms instead") from None
    data = form.data if form.is_bound else None
    initial = {name: value() if callable(value) else value for name, value in form.initial.items()}
    instance = getattr(form, "instance", None)
    saved = None if instance is None or instance._state.adding else instance
    return (data, initial, form.prefix, saved)
