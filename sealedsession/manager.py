"""One request's session, from Cookie header to Set-Cookie, for any kind of server.

    open(request)                     a session that has looked at nothing yet
    load(session)                     on first touch: find the cookie, unseal, parse; a bad one gives an empty session
    close(session, status, headers)   the response's headers: the same object when the session was not touched

Set-Cookie is sent when the session changed, found by comparing its serialized form with the one that came in; or when
it is due for sealing again: `refresh_interval` has passed, a fallback key sealed it, or `save()` was called. An emptied
session, and a bad cookie whose session stays empty, is answered by a deletion. `Vary: Cookie` goes with every response
whose session was looked into, `Cache-Control` with every Set-Cookie unless the application sent its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from sealedsession import events
from sealedsession.config import SessionConfig
from sealedsession.cookie import LIMIT, CookieFinder, is_loopback
from sealedsession.errors import CookieTooLarge, NotSerializable, SealError, UnsealError
from sealedsession.headers import SessionHeaders, Text
from sealedsession.limits import TooLarge, TooManyValues
from sealedsession.pickling import PickleSerializer
from sealedsession.seal import JSON, PICKLE, SID_BYTES, Sealer, Unsealed
from sealedsession.session import UNOPENED_CONTENT, ClosedSession, Session, UnopenedSession
from sealedsession.tagged_json import JsonSerializer

Request = TypeVar("Request")
_SEAL_LENGTH = 80  # characters of a token besides the payload's: head, nonce, times and tag in base64


class SessionManager(Generic[Request, Text]):
    """Opens and closes sessions by one configuration. One manager serves all requests and threads.

    :param cookie_header: gives the Cookie header of a request, str (latin-1) or bytes, or None.
    :param plain_http_host: gives the host that a request was made to if that was by plain http, or None.
    :param text: makes a header's value of the server's kind of str.
    :param header_name: the same for its name, which ASGI wants in lower case.
    """

    def __init__(
        self,
        config: SessionConfig,
        *,
        cookie_header: Callable[[Request], str | bytes | None],
        plain_http_host: Callable[[Request], str | None],
        text: Callable[[str], Text],
        header_name: Callable[[str], Text],
    ) -> None:
        self.config = config
        self._cookie_header = cookie_header
        self._plain_http_host = plain_http_host
        self._watch_transport = config.secure
        self._name = str(config.name)
        self._find = CookieFinder(self._name)
        self._sealer = Sealer(
            config.keyring,
            "cookie:" + self._name,
            idle_timeout=config.idle_timeout,
            absolute_timeout=config.absolute_timeout,
            leeway=config.leeway,
            max_length=LIMIT - len(self._name),
            clock=config.clock,
            random_bytes=config.random_bytes,
        )
        # A payload of more than this comes out of a cookie only if it was deflated, which no option does.
        limits = replace(config.limits, size=min(config.limits.size, LIMIT * 3 // 4))
        self._too_many = (
            f"it has more than the {limits.nodes} values, or the {limits.typed} of types besides the plain ones, "
            "that the option limits allows. Store less, or values that say the same with fewer parts"
        )
        # By the number that the token has for them.
        self._serializers: dict[int, PickleSerializer | JsonSerializer] = {}
        if "pickle" in config.accept_serializers:
            self._serializers[PICKLE] = PickleSerializer(config.registry, limits)
        if "json" in config.accept_serializers:
            self._serializers[JSON] = JsonSerializer(config.registry, limits)
        self._serializer_number = PICKLE if config.serializer == "pickle" else JSON
        self._serializer = self._serializers[self._serializer_number]
        self._refresh_interval: int = config.refresh_interval or 0
        self._attributes = config.cookie.attributes
        self._deletion = config.cookie.deletion
        self._headers: SessionHeaders[Text] = SessionHeaders(text, header_name, config.cache_control)

    def open(self, request: Request) -> Session:
        """Make the session of a request. Nothing is read until it is touched."""
        session = UnopenedSession(UNOPENED_CONTENT)
        session._keeper = self
        session._request = request
        return session

    def close(self, session: Session, status: int, headers: list[tuple[Text, Text]]) -> list[tuple[Text, Text]]:
        """Close a session before the response's headers go out.

        It may be called again, when the application replaces a response that has not been sent.

        :param status: the response's status code.
        :param headers: the application's; left as they are.
        :returns: the headers to send, the same object where nothing is to be added.
        :raises SealError: when the session cannot be stored. It stays open.
        """
        if isinstance(session, UnopenedSession):
            session._headers_gone = True
            return headers
        session.__class__ = Session  # open, so that a function given as `oversize` can trim it, the second time too
        set_cookie = self._set_cookie(session, status)
        session.__class__ = ClosedSession
        return self._headers.add(headers, set_cookie)

    def adopt(self, session: Session, current: object) -> None:
        """Take over what the application has put where its session was, before the session is closed: a mapping
        becomes its content, and anything else empties it. Another middleware's session is left alone.
        """
        if isinstance(current, Session) or isinstance(session, ClosedSession):
            return
        content = dict(current) if isinstance(current, Mapping) else {}  # a copy: it may be a view of the session
        session.clear()
        session.update(content)

    # ------------------------------------------------------------------------------------------- what a session asks

    def load(self, session: Session) -> dict[Any, Any]:
        """Find what the request's cookie holds, and note where the session comes from."""
        session._origin = None
        session._rejected = None
        session._sid = None
        session._save = False
        session._created = self.now()
        header = self._cookie_header(session._request)
        if not header:
            return {}
        content = self._load_from(session, header.encode("latin-1", "replace") if isinstance(header, str) else header)
        if session._origin is not None:
            session._rejected = None
            session._created = session._origin.created
            session._sid = session._origin.sid
        return content

    def is_modified(self, session: Session) -> bool:
        """Whether the session differs from what came in."""
        origin = session._origin
        if origin is None:
            return bool(session) or session._sid is not None
        if session._sid != origin.sid or session._created != origin.created:
            return True
        try:
            return self._serializers[origin.serializer].dumps(session.copy(), origin.payload) is not origin.payload
        except TooLarge:
            return True

    def size(self, session: Session) -> int:
        """Bytes of name and value that the cookie would take now."""
        try:
            return len(self._name) + len(self._seal(session, self._serializer.dumps(session.copy())))
        except TooLarge:
            return len(self._name) + _SEAL_LENGTH + sum(self._sizes(session).values())

    def remaining(self, session: Session) -> int:
        """Bytes until the limit."""
        return LIMIT - self.size(session)

    def new_sid(self) -> bytes:
        """128 bits from the CSPRNG."""
        return self.config.random_bytes(SID_BYTES)

    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.config.clock())

    # --------------------------------------------------------------------------------------------------- on the way in

    def _load_from(self, session: Session, header: bytes) -> dict[Any, Any]:
        tokens = self._find(header)
        if len(tokens) > 1:
            events.ambiguous(self._name, len(tokens))
        opened: list[Unsealed] = []
        for token in tokens:
            try:
                opened.append(self._sealer.unseal(token))
            except UnsealError as error:
                self._reject(session, error)
        opened.sort(key=lambda unsealed: -unsealed.sealed_at)  # a tie goes to the first, whose path is more specific
        for unsealed in opened:
            try:
                content = self._parse(unsealed)
            except UnsealError as error:
                self._reject(session, error)
            else:
                session._origin = unsealed
                return content
        return {}

    def _reject(self, session: Session, error: UnsealError) -> None:
        events.rejected(self._name, error)
        session._rejected = session._rejected or error.code

    def _parse(self, unsealed: Unsealed) -> dict[Any, Any]:
        serializer = self._serializers.get(unsealed.serializer)
        if serializer is None:
            raise UnsealError(
                "forbidden_value", f"a payload by serializer {unsealed.serializer}, which is not accepted here"
            )
        content = serializer.loads(unsealed.payload)
        if type(content) is not dict:
            raise UnsealError("forbidden_value", f"a {type(content).__name__} for a session")
        return content

    # -------------------------------------------------------------------------------------------------- on the way out

    def _set_cookie(self, session: Session, status: int) -> str | None:
        """The value of the Set-Cookie header, or None."""
        if status >= 500 and not self.config.save_on_error:
            return None
        try:
            return self._cookie_for(session)
        except SealError as error:
            if self._is_as_it_came(session):
                events.kept_old_cookie(error)
                return None
            if not isinstance(error, CookieTooLarge):
                raise
            if self.config.oversize == "raise":
                raise
            if self.config.oversize == "keep":
                events.kept_old_cookie(error)
                return None
            self.config.oversize(session, error)
            return self._cookie_for(session)

    def _cookie_for(self, session: Session) -> str | None:
        origin = session._origin
        if origin is None and not session and session._sid is None and not session._save:
            return self._deletion if session._rejected else None
        content = session.copy()
        payload = b""
        try:
            if origin is not None:
                payload = self._serializers[origin.serializer].dumps(content, origin.payload)
                due = self.config.clock() - origin.sealed_at >= self._refresh_interval
                same = payload is origin.payload and session._sid == origin.sid and session._created == origin.created
                if same and not session._save and origin.by_primary and not due:
                    return None
                if not same and not session and not session._save and session._sid in (None, origin.sid):
                    return self._deletion
            if origin is None or origin.serializer != self._serializer_number:
                payload = self._serializer.dumps(content)
        except TooManyValues:
            raise NotSerializable("session", None, self._too_many) from None
        except TooLarge:
            by_key = self._sizes(session)
            size = len(self._name) + _SEAL_LENGTH + sum(by_key.values())
            raise CookieTooLarge(self._name, size, LIMIT, by_key) from None
        token = self._seal(session, payload)
        size = len(self._name) + len(token)
        if size > LIMIT:
            raise CookieTooLarge(self._name, size, LIMIT, self._sizes(session))
        if self._watch_transport:
            self._warn_of_plain_http(session)
        return f"{self._name}={token}{self._attributes}"

    def _is_as_it_came(self, session: Session) -> bool:
        """Whether the application has changed nothing, asked of the values: what came in cannot be written again."""
        origin = session._origin
        if origin is None or session._save or session._sid != origin.sid or session._created != origin.created:
            return False
        return self._parse(origin) == session

    def _warn_of_plain_http(self, session: Session) -> None:
        host = self._plain_http_host(session._request)
        if host is not None and not is_loopback(host):
            self._watch_transport = False  # once says it
            events.plain_http(self._name, host)

    def _seal(self, session: Session, payload: bytes) -> str:
        return self._sealer.seal(
            payload,
            serializer=self._serializer_number,
            created=session._created,
            sid=session._sid,
            lifetime=session._origin.lifetime if session._origin is not None else None,
        )

    def _sizes(self, session: Session) -> dict[object, int]:
        """For every key the bytes that it and its value take on the wire, largest first."""
        empty = len(self._serializer.dumps({}))
        sizes = {key: (self._length({key: value}) - empty) * 4 // 3 for key, value in session.items()}  # base64
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))

    def _length(self, value: object) -> int:
        try:
            return len(self._serializer.dumps(value))
        except TooLarge:
            return self.config.limits.size
