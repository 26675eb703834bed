"""The middleware: errors of sealed state become their responses, JSON with 410, 403 or 400, whichever view they left.

What else a view raises is not its business: a database that is down is a server error, as ever.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

from sealedsession.errors import StateError, UnsealError
from sealedsession.state.middleware import response_to


class StateErrorMiddleware:
    """Answers requests whose tokens are stale, expired, somebody else's or broken.

    Views may be synchronous or not. A transaction that was open for the view is rolled back before. Last in the list,
    it is asked first: before a middleware that answers all errors.

    :param get_response: what is below it.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    # Django turns what a view raises into a response before a middleware could catch it, but asks here first.
    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:  # noqa: ARG002
        """Answer for a view, if it was an error of sealed state that it raised."""
        if not isinstance(exception, StateError | UnsealError):
            return None
        status, body = response_to(exception)
        return HttpResponse(body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"})
