"""Sealed state in views: each function takes a request, and finds session and user in it.

1. State belongs to a session. `seal` begins one where there is none; nothing else does.
2. Signing in gives a new session key and another user: what was sealed before is refused then, and so it is after
   signing out.
3. These are synchronous, as models are: an async view awaits ``sync_to_async(seal)(value, request)``.
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
from sealedsession.session import Session
from sealedsession.state.resumable import Resumable, State

_NO_SESSION = "-"  # no session's id. Nothing is sealed for it, so that whatever comes is refused, and its event told


def seal(value: object, request: HttpRequest, *, purpose: str = "") -> str:
    """Make a token of a plain value, or of an object of a registered class, for the session and the user of a request.

    :param purpose: what a plain value is for. Only `unseal` with the same purpose opens it.
    :raises NotSerializableError: naming the path of the value that cannot be stored.
    :raises StateTooLargeError: when the token would be longer than the option ``max_size``.
    :raises ConfigError: for a mistake in the settings, and where sessions have no id.
    :raises TypeError: when `request` is none.
    """
    return conf.get_state_sealer().seal(
        value, session_id=begun_session_id(request), user=user(request), purpose=purpose
    )


def unseal(token: str, request: HttpRequest, *, purpose: str = "") -> Any:
    """Open a token of this session and user that holds a plain value. `resume` opens those that hold an object.

    :param purpose: what the value was sealed for.
    :raises UnsealError: with the reason code of what is wrong with the token; ``bad_signature``, for another purpose
        and for an object.
    :raises StaleStateError: when what it refers to is gone.
    """
    return conf.get_state_sealer().unseal(token, session_id=session_id(request), user=user(request), purpose=purpose)


def resume(
    token: str,
    request: HttpRequest,
    cls: type[State],
    *,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
) -> State:
    """Open a token that holds an object.

    :param cls: what the object has to be an instance of: `Resumable`, for any.
    :param args: instead of the arguments that `load` had; `kwargs` are those by name, put over the ones it had.
    :raises UnsealError: with the reason code of what is wrong with the token; ``bad_signature``, for another class.
    :raises StaleStateError: when what it refers to is gone.
    """
    return conf.get_state_sealer().resume(
        token, session_id=session_id(request), user=user(request), cls=cls, args=args, kwargs=kwargs
    )


@require_POST
def handle(
    request: HttpRequest,
    *,
    cls: type[Resumable] = Resumable,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
) -> HttpResponse:
    """Answer a call of the browser module. It is a view: ``path("state/", handle, name="state")``.

    :param cls: and the rest, as in `resume`.
    :returns: JSON: the new token, and what the method returned. An empty response with the status 415 if the request
        is not ``application/json``.
    :raises StateError: and UnsealError, which are the middleware's to answer.
    """
    if request.content_type != "application/json":  # the types that forms of other sites can send, for example
        return HttpResponse(status=415)
    body = conf.get_state_sealer().handle(
        request.body, session_id=session_id(request), user=user(request), cls=cls, args=args, kwargs=kwargs
    )
    return HttpResponse(body, content_type="application/json", headers={"Cache-Control": "no-store"})


def user(request: HttpRequest) -> str:
    """The name of the user that a request is of, as a sealer takes it: empty for nobody."""
    found = getattr(request, "user", None)  # sites without accounts have no such middleware
    return str(found.get_username()) if found is not None and found.is_authenticated else ""


def session_id(request: HttpRequest) -> str:
    """The id of the session that a request is of, to open what was sealed for it. None is begun.

    :raises ConfigError: where sessions have no id.
    """
    _check(request)
    if not conf.uses_django_sessions():
        return _sealed_session(request).id
    return _django_session(request).session_key or _NO_SESSION


def begun_session_id(request: HttpRequest) -> str:
    """The id of the session that a request is of, to seal for it. It is kept from now on even if nothing is in it.

    :raises ConfigError: where sessions have no id.
    """
    _check(request)
    if not conf.uses_django_sessions():
        session = _sealed_session(request)
        # A cookie that was refused may be kept by the browser, and a new id would be lost. While the store is down it
        # stays: it is good again when the store is back.
        if session.new and session.rejected != "store_error":
            session.save()
        return session.id
    django_session = _django_session(request)
    if django_session.session_key is None:
        django_session.create()
    if django_session.session_key is None:
        raise ConfigError(conf.NO_ID)
    return django_session.session_key


def _check(request: object) -> None:
    """Refuse what is no request. Frameworks have requests of their own around Django's, which will do."""
    if not hasattr(request, "META"):
        raise TypeError(f"request has to be an HttpRequest{got(request)}")


def _django_session(request: HttpRequest) -> SessionBase:
    session = getattr(request, "session", None)
    if not isinstance(session, SessionBase):
        raise ConfigError(
            "the request has no session of Django's: put django.contrib.sessions.middleware.SessionMiddleware into "
            f"MIDDLEWARE, or, where SessionMiddleware of sealedsession wraps the application, set {conf.NAME} = "
            '{"SESSION_ID": "sealedsession"}'
        )
    if isinstance(session, signed_cookies.SessionStore):
        raise ConfigError(conf.NO_ID)
    session.keys()  # loads it: a key that came in and names no session any more is None then
    return session


def _sealed_session(request: HttpRequest) -> Session:
    if isinstance(request, ASGIRequest):
        session = request.scope.get("session")
    else:
        session = request.META.get("sealedsession.session")  # META is the environ
    if not isinstance(session, Session):
        raise ConfigError(
            f'{conf.NAME}["SESSION_ID"] is "sealedsession", and the request came without such a session: wrap the '
            "application, in wsgi.py or asgi.py, into SessionMiddleware of sealedsession.wsgi or sealedsession.asgi"
        )
    return session
