"""Django middleware that answers errors of sealed state with JSON and the status 410, 403 or 400.

Other exceptions are not handled. If a database is down, for example, the response is Django's server error.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

from sealedsession.errors import StateError, UnsealError
from sealedsession.state.middleware import response_to


class StateErrorMiddleware:
    """Answers requests with stale, expired, foreign or invalid tokens.

    Views may be synchronous or asynchronous. Django rolls back a transaction around the view first. Put this middleware
    last in ``MIDDLEWARE``, so that it handles an error before a middleware that handles all errors.

    :param get_response: the next middleware or the view.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    # Django makes a response of a view's exception before __call__ could catch it, but calls this hook first.
    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:  # noqa: ARG002
        """Return a response for an error of sealed state, or None for any other exception."""
        if not isinstance(exception, StateError | UnsealError):
            return None
        status, body = response_to(exception)
        return HttpResponse(body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"})
