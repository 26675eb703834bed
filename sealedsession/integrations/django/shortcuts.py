"""Sealed state in views. Each function finds session and user in the request.

1. A token belongs to a session. `seal` creates a session if there is none; the other functions do not.
2. Signing in changes the session key and the user, and so does signing out. Tokens that were sealed before are refused.
3. The functions are synchronous, like models. An async view awaits ``sync_to_async(seal)(value, request)``.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib.sessions.backends import signed_cookies
from django.contrib.sessions.backends.base import SessionBase
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from sealedsession.errors import ConfigError, got
from sealedsession.integrations.django import conf
from sealedsession.integrations.django.conf import register as register
from sealedsession.integrations.django.sessions import SessionStore
from sealedsession.session import Session
from sealedsession.state.resumable import Resumable, State

# Used to open tokens without a session. Nothing is sealed with this id, so every token is refused, with an event.
_NO_SESSION = "-"


def seal(value: object, request: HttpRequest, *, purpose: str = "") -> str:
    """Seal a plain value, or an object of a registered class, for the session and the user of a request.

    :param purpose: what a plain value is for. `unseal` needs the same purpose.
    :returns: the token.
    :raises NotSerializableError: if a value is not supported. The message names its path.
    :raises StateTooLargeError: if the token would be longer than the option ``max_size``.
    :raises ConfigError: if the settings are invalid, or sessions have no id.
    :raises TypeError: if `request` is not a request.
    """
    return conf.get_state_sealer().seal(
        value, session_id=ensure_session_id(request), user=get_username(request), purpose=purpose
    )


def unseal(token: str, request: HttpRequest, *, purpose: str = "") -> Any:
    """Open a token of this session and user, and return its plain value. Use `resume` for the token of an object.

    :param purpose: the purpose that the value was sealed with.
    :raises UnsealError: if the token is refused. The reason is ``bad_signature`` for another purpose, and for the token
        of an object.
    :raises StaleStateError: if something that the value refers to no longer exists.
    """
    return conf.get_state_sealer().unseal(
        token, session_id=get_session_id(request), user=get_username(request), purpose=purpose
    )


def resume(
    token: str,
    request: HttpRequest,
    cls: type[State],
    *,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
) -> State:
    """Open a token of this session and user, and return its object.

    :param cls: required class of the object. `Resumable` accepts every registered class.
    :param args: replace the sealed positional arguments of `load`.
    :param kwargs: update the sealed keyword arguments of `load`.
    :raises UnsealError: if the token is refused. The reason is ``bad_signature`` for another class.
    :raises StaleStateError: if something that the object refers to no longer exists.
    """
    return conf.get_state_sealer().resume(
        token, session_id=get_session_id(request), user=get_username(request), cls=cls, args=args, kwargs=kwargs
    )


@require_POST
def handle(
    request: HttpRequest,
    *,
    cls: type[Resumable] = Resumable,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
) -> HttpResponse:
    """Answer a call of the browser module. This is a view: ``path("state/", handle, name="state")``.

    :param cls: as in `resume`, like `args` and `kwargs`.
    :returns: JSON with the new token and the method's result; an empty response with the status 415 unless the content
        type of the request is ``application/json``.
    :raises StateError: and UnsealError, which the middleware answers.
    """
    if request.content_type != "application/json":  # such as the types that forms of other sites can send
        return HttpResponse(status=415)
    body = conf.get_state_sealer().handle(
        request.body,
        session_id=get_session_id(request),
        user=get_username(request),
        cls=cls,
        args=args,
        kwargs=kwargs,
    )
    return HttpResponse(body, content_type="application/json", headers={"Cache-Control": "no-store"})


def get_username(request: HttpRequest) -> str:
    """Return the name of the user of a request for a sealer, or an empty string if nobody is signed in."""
    user = getattr(request, "user", None)  # missing if the site has no accounts
    return str(user.get_username()) if user is not None and user.is_authenticated else ""


def get_session_id(request: HttpRequest) -> str:
    """Return the id of the session of a request, to open tokens. No session is created.

    :raises ConfigError: if sessions have no id.
    """
    _check_request(request)
    if (session := _find_sealed_session(request)) is not None:
        return session.id
    return _get_django_session(request).session_key or _NO_SESSION


def ensure_session_id(request: HttpRequest) -> str:
    """Return the id of the session of a request, to seal tokens. A missing session is created, and kept even if empty.

    :raises ConfigError: if sessions have no id.
    """
    _check_request(request)
    if (session := _find_sealed_session(request)) is not None:
        # The browser may keep a refused cookie, and the new id would be lost. Saving replaces the cookie. While the
        # store is down, the cookie is left alone: it is valid again when the store is back.
        if session.new and session.rejected != "store_error":
            session.save()
        return session.id
    django_session = _get_django_session(request)
    if django_session.session_key is None:
        django_session.create()
    if django_session.session_key is None:
        raise ConfigError(conf.NO_SESSION_ID)
    return django_session.session_key


def _check_request(request: object) -> None:
    """Raise TypeError unless `request` looks like an HttpRequest. Django REST framework, for one, wraps requests."""
    if not hasattr(request, "META"):
        raise TypeError(f"request: must be an HttpRequest{got(request)}. Check the order of the arguments")


def _find_sealed_session(request: HttpRequest) -> Session | None:
    """Return the sealed session that state belongs to, or None if it belongs to a session of another engine."""
    if not conf.uses_django_sessions():
        return _get_sealed_session(request)
    session = _get_django_session(request)
    return session.sealed if isinstance(session, SessionStore) else None


def _get_django_session(request: HttpRequest) -> SessionBase:
    session = getattr(request, "session", None)
    if not isinstance(session, SessionBase):
        raise ConfigError(
            "request: has no Django session. Add django.contrib.sessions.middleware.SessionMiddleware to MIDDLEWARE, "
            f'or, if SessionMiddleware of sealedsession wraps the application, set {conf.NAME} = {{"SESSION_ID": '
            '"sealedsession"}'
        )
    if isinstance(session, signed_cookies.SessionStore):
        raise ConfigError(conf.NO_SESSION_ID)
    session.keys()  # load it: Django then sets the key of a session that no longer exists to None
    return session


def _get_sealed_session(request: HttpRequest) -> Session:
    if isinstance(request, ASGIRequest):
        session = request.scope.get("session")
    else:
        session = request.META.get("sealedsession.session")  # META is the WSGI environ
    if not isinstance(session, Session):
        raise ConfigError(
            f'{conf.NAME}["SESSION_ID"]: is "sealedsession", but the request has no such session. Wrap the '
            "application, in wsgi.py or asgi.py, in SessionMiddleware of sealedsession.wsgi or sealedsession.asgi"
        )
    return session
