"""Django's session middleware with the cookie rules of this package.

    MIDDLEWARE = [
        ...
        "sealedsession.integrations.django.session_middleware.SessionMiddleware",  # instead of Django's
        ...
    ]

The cookie is Secure, HttpOnly and SameSite=Lax unless the settings say otherwise, and a setting that has Django's
default counts as not set. ``request.session.session_key`` is the stable id of the session, 32 hexadecimal digits.
"""

from collections.abc import Callable
from http.cookies import Morsel
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from sealedsession.integrations.django.sessions import Manager, SessionStore, get_session_managers


class SessionMiddleware(MiddlewareMixin):
    """Puts a sealed session into ``request.session``, and its cookie into the response.

    Views may be synchronous or asynchronous. Before asynchronous ones, a revocation store that blocks is awaited.

    :param get_response: the next middleware or the view.
    :raises ConfigError: if a setting is wrong.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        get_session_managers(renders=True)

    def process_request(self, request: HttpRequest) -> None:
        """Put the session into a request. It is opened when it is first used."""
        request.session = SessionStore(
            managers=get_session_managers(renders=True), cookie_header=request.META.get("HTTP_COOKIE"), request=request
        )

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Seal the session into a response.

        :raises SealError: if the session cannot be stored.
        """
        if (sealed := _find_opened(request)) is not None:
            headers = list(response.headers.items())
            _add(response, headers, sealed._manager.close(sealed, request, response.status_code, headers))
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponse:
        """Handle a request of an asynchronous server."""
        self.process_request(request)
        response: HttpResponse = await self.get_response(request)  # type: ignore[misc]
        if (sealed := _find_opened(request)) is not None:
            headers = list(response.headers.items())
            manager: Manager = sealed._manager
            _add(response, headers, await manager.aclose(sealed, request, response.status_code, headers))
        return response


def _find_opened(request: HttpRequest) -> Any:
    """Return the sealed session if anything has opened it, or None."""
    return request.session.__dict__.get("_session_cache") if isinstance(request.session, SessionStore) else None


def _add(response: Any, before: list[tuple[str, str]], headers: list[tuple[str, str]]) -> None:
    """Add the headers that the manager has added or changed."""
    for name, value in headers:
        if name == "Set-Cookie":
            cookie = _Cookie(value)
            response.cookies[cookie.key] = cookie
        elif (name, value) not in before:
            response.headers[name] = value


class _Cookie(Morsel[str]):
    """A cookie that is sent exactly as the manager has made it."""

    def __init__(self, set_cookie: str) -> None:
        super().__init__()
        name, _, value = set_cookie.partition(";")[0].partition("=")
        self.set(name, value, value)
        self._set_cookie = set_cookie

    def OutputString(self, attrs: Any = None) -> str:  # noqa: N802, ARG002  # the name is Python's
        return self._set_cookie
