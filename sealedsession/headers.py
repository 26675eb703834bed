"""The response headers of a session: Set-Cookie, Cache-Control and Vary, among those of the application.

Every response whose session was read before its headers were sent varies by the cookie. A response that sets the cookie
is not for shared caches, unless the application says so (OWASP Session Management Cheat Sheet, "Web Content Caching").
WSGI's headers are str and ASGI's are bytes; what is searched for and what is added is made once of the right kind.
"""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Text = TypeVar("Text", str, bytes)

_LENGTHS = len("vary"), len("cache-control")  # of the names that are looked for: most names have another


class SessionHeaders(Generic[Text]):
    """Adds a session's headers to an application's.

    :param text: makes a header's value of the server's kind of str.
    :param name: the same for its name, which ASGI wants in lower case.
    :param cache_control: what is sent with Set-Cookie, or None.
    """

    __slots__ = (
        "_and_cookie", "_cache_control", "_cache_control_name", "_comma", "_covers_cookie", "_equals", "_public",
        "_set_cookie", "_text", "_vary", "_vary_name",
    )  # fmt: skip

    def __init__(self, text: Callable[[str], Text], name: Callable[[str], Text], cache_control: str | None) -> None:
        self._text: Callable[[str], Text] = text
        self._set_cookie: Text = name("Set-Cookie")
        self._vary: tuple[Text, Text] = (name("Vary"), text("Cookie"))
        self._cache_control: tuple[Text, Text] | None = None
        if cache_control is not None:
            self._cache_control = (name("Cache-Control"), text(cache_control))
        # What the application's headers are searched for.
        self._vary_name: Text = text("vary")
        self._cache_control_name: Text = text("cache-control")
        self._covers_cookie: set[Text] = {text("cookie"), text("*")}
        self._comma: Text = text(",")
        self._and_cookie: Text = text(", Cookie")
        self._equals: Text = text("=")
        self._public: set[Text] = {text("public"), text("s-maxage")}

    def is_public(self, headers: Iterable[tuple[Text, Text]]) -> bool:
        """Return whether shared caches are to keep a response: ``Cache-Control: public`` or ``s-maxage`` (RFC 9111,
        5.2.2.9 and 5.2.2.10)."""
        return any(
            directive.strip().lower() in self._public
            for name, value in headers
            if name.lower() == self._cache_control_name
            for directive in value.replace(self._equals, self._comma).split(self._comma)  # a directive's value apart
        )

    def add(self, headers: list[tuple[Text, Text]], set_cookie: str | None) -> None:
        """Add the session's headers to the list of the application's headers.

        :param set_cookie: the value of Set-Cookie, or None.
        """
        vary_at = None
        varies = cached = False
        for index, (name, value) in enumerate(headers):
            if len(name) not in _LENGTHS:
                continue
            lower = name.lower()
            if lower == self._vary_name:
                vary_at = index
                fields = value.lower().split(self._comma)
                varies = varies or any(field.strip() in self._covers_cookie for field in fields)
            elif lower == self._cache_control_name:
                cached = True
        if vary_at is None:
            headers.append(self._vary)
        elif not varies:
            name, value = headers[vary_at]
            headers[vary_at] = (name, value + self._and_cookie)
        if set_cookie is not None:
            headers.append((self._set_cookie, self._text(set_cookie)))
            if self._cache_control is not None and not cached:
                headers.append(self._cache_control)
