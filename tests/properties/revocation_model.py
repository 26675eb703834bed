"""A model of sessions that are revoked, for Hypothesis: it tests the invariants of docs/howto/revocation.rst.

Servers share one store. Each has a middleware (WSGI or ASGI), a clock that may be wrong, and perhaps a cache. Users and
thieves send requests with cookies that they have received or copied. Requests hang between any two actions of a view,
and in ASGI also in calls of the store, while others run. Everything happens in one thread, one step at a time.

Rules:

1. The model keeps its own record of each cookie: of which lineage and subject the session is, when it began, and which
   revocations concern it. It never reads that from the library.
2. Three kinds of events are compared with the record: a session is accepted or refused, an entry is written or not, and
   a cookie is sent or not. Each of them may be required, allowed or forbidden.
3. "Required" is what the invariants promise. "Allowed" is wider where the documentation says so: with clocks that
   differ, with caches, for revocations in the same second, and for requests that overlap.
"""

import types
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sealedsession import SessionConfig, asgi, wsgi
from sealedsession.errors import SessionClosedError
from sealedsession.revocation import CachedStore, Caller, Entry, MemoryStore, RedisStore, RevocationStore, SQLiteStore
from sealedsession.session import Session

NOW = 1_800_000_000.0
NAME = "__Host-Http-session"
KEYS = {
    "validate_key": "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4",
    "encrypt_key": "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw",
}
DAY = 24 * 3600
ABSOLUTE, IDLE, LIFETIME, LEEWAY = 5 * DAY, 2 * DAY, 7200, 60  # seconds
USERS = ("ann", "bob")

# All times are multiples of 1/4 second, which floats represent exactly.
SKEWS = (0.0, 0.0, 0.0, 2.0, -2.0, 0.5, -20.0, 20.0)
STALENESS = (0.0, 0.0, 1.0, 4.0)
WAITS = (0.25, 0.25, 0.5, 0.5, 1.0, 1.0, 1.0, 2.0, 2.0, 5.0, 5.0, 60.0, 3600.0, 1.5 * DAY)

# What a view does, one action after the other. A request can hang before each of them. "respond" sends the headers;
# without it, they are sent at the end.
VIEWS = {
    "read": ["read"],
    "write": ["write"],
    "login": ["check", "sign_in"],
    "login after a read": ["read", "check", "sign_in"],
    "login and end all others": ["check", "sign_in", "everywhere"],
    "end all others and login": ["check", "suspend", "sign_in"],
    "login afresh": ["check", "invalidate", "sign_in"],
    "logout": ["logout"],
    "logout after a read": ["read", "logout"],
    "logout and write": ["logout", "write"],
    "revoke": ["read", "revoke"],
    "everywhere": ["everywhere"],
    "everywhere after a read": ["read", "everywhere"],
    "everywhere and logout": ["everywhere", "logout"],
    "logout and everywhere": ["read", "logout", "everywhere"],
    "change the password": ["check", "change_password", "everywhere"],
    "change the password and login": ["check", "change_password", "everywhere", "begin_anew"],
    "suspend": ["suspend"],
    "suspend without a session": ["suspend_by_job"],
    "suspend after a read": ["read", "suspend"],
    "regenerate": ["read", "regenerate"],
    "enter the password again": ["check", "begin_anew"],
    "limit": ["set_lifetime", "write"],
    "stream and logout": ["read", "respond", "logout"],
    "stream and everywhere": ["read", "respond", "everywhere"],
}
ACTIONS = (
    "read", "write", "check", "sign_in", "logout", "revoke", "everywhere", "suspend", "regenerate", "begin_anew",
    "change_password", "invalidate", "clear", "drop_subject", "set_lifetime", "save", "respond", "suspend_by_job",
)  # fmt: skip


DEVICE = SERVER = st.integers(0, 2)
USER = st.sampled_from(USERS)
VIEW = st.one_of(
    st.sampled_from(list(VIEWS.values())),
    st.sampled_from(list(VIEWS.values())),
    st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=5),
)


class ViolationError(AssertionError):
    """An invariant does not hold."""


@types.coroutine
def pause() -> Generator[None, None, None]:
    """Let other requests run."""
    yield


# ------------------------------------------------------------------------------------------------------------- backends


class Clock:
    """A clock that the model moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Backend:
    """A store and what the model needs to know of it.

    :param store: the store, whose clock is `clock` if it has one.
    :param clear: removes all entries.
    :param ends: returns the time when the entry under a key expires, by the store's own clock.
    """

    def __init__(
        self,
        clock: Clock,
        store: RevocationStore,
        clear: Callable[[], object],
        ends: Callable[[bytes], float],
    ) -> None:
        self.clock = clock
        self.store = store
        self.clear = clear
        self.ends = ends


def memory_backend(kind: type[MemoryStore] = MemoryStore) -> Backend:
    """Make a backend with a store in memory."""
    clock = Clock()
    store = kind(clock=clock)
    return Backend(clock, store, lambda: store._kept.clear(), lambda key: store._kept[key][0])


def sqlite_backend(path: str) -> Backend:
    """Make a backend with a store in a file."""
    clock = Clock()
    store = SQLiteStore(path, clock=clock)

    def query(statement: str, *parameters: object) -> Any:
        with store._connection() as connection:
            return connection.execute(statement, parameters).fetchone()

    def ends(key: bytes) -> float:
        return float(query("SELECT expires FROM revocations WHERE key = ?", key)[0])

    return Backend(clock, store, lambda: query("DELETE FROM revocations"), ends)


def redis_backend(url: str) -> Backend:
    """Make a backend with a store in a Redis of its own. Its entries expire by the true time, and so never here."""
    store = RedisStore(url)
    client = store._client

    def ends(key: bytes) -> float:
        return float(client.expiretime(b"sealedsession:" + key))

    return Backend(Clock(), store, client.flushall, ends)


# --------------------------------------------------------------------------------------------------- the model's record


@dataclass(eq=False)
class Revocation:
    """A call of revoke(), logout() or revoke_subject(), and what became of it.

    :ivar subject: whose sessions are revoked; None if it is a lineage.
    :ivar time: when the store was called, by the clock of the server. It counts only for a subject.
    :ivar request: the request that made it; None if a job did.
    :ivar callers: as which the request made it: the session that came in, and the present one.
    :ivar written: the step in which the store accepted it, or None; `written_at` is the true time.
    :ivar answered: the step in which the request knew.
    """

    subject: str | None
    lineage: "Lineage | None"
    time: int
    request: "Request | None"
    callers: "tuple[State | None, State] | None"
    written: int | None = None
    written_at: float = 0.0
    answered: int | None = None


@dataclass(eq=False)
class Lineage:
    """All that `regenerate` makes of one session.

    :ivar begun: when it began, in whole seconds by its server's clock.
    :ivar dated: the earliest time at which the library may say that it began.
    :ivar exempt_by: the revocations of a subject that do not concern it.
    :ivar margin: revocations of the subject at this time or later may undo that it is exempt.
    :ivar has_id: whether the session has an id already, so that `revoke` reaches it although it is empty.
    :ivar revocations: those that name this lineage and were written.
    :ivar refused: by subject, the step and the true time at which it was refused for the first time.
    """

    begun: int
    dated: int
    exempt_by: frozenset[Revocation] = frozenset()
    margin: int = 0
    has_id: bool = False
    revocations: list[Revocation] = field(default_factory=list)
    refused: dict[str | None, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class State:
    """A session as it should be.

    :ivar data: the content.
    :ivar lifetime: the absolute timeout, or its own lifetime if that is shorter, in seconds.
    :ivar end: the latest time at which it may end, however much it is used.
    """

    lineage: Lineage
    subject: str | None
    data: dict[str, Any]
    lifetime: int
    end: int


@dataclass(eq=False)
class Cookie:
    """A cookie that was sent, and the time when it was, by the server's clock."""

    value: str
    state: State
    sealed_at: float


# -------------------------------------------------------------------------------------------------------------- servers


class RecordingStore(RevocationStore):
    """Pass each call to the real store, and let the model compare what happens."""

    blocks = False

    def __init__(self, model: "RevocationModel") -> None:
        self.model = model
        self.store = model.backend.store

    def revoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        self.model.date_revocation()
        return self.write(key, entry, ttl, caller)

    def write(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None) -> bool:
        [old] = self.store.find([key])
        ended = 0.0 if old is None else self.model.backend.ends(key)
        done = self.store.revoke(key, entry, ttl, caller)
        [new] = self.store.find([key])
        try:
            self.model.check_entry(key, old, ended, entry, new, done)
            self.model.check_revocation(key, done)
        except ViolationError as violation:  # the library would take it for a failure of the store
            self.model.violation = violation
        return done

    def find(self, keys: Sequence[bytes]) -> list[Entry | None]:
        return self.store.find(keys)

    async def arevoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        return self.revoke(key, entry, ttl, caller)

    async def afind(self, keys: Sequence[bytes]) -> list[Entry | None]:
        return self.find(keys)


class AwaitedStore(RecordingStore):
    """A store on the network: requests hang before and after each call."""

    blocks = True

    async def arevoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        self.model.date_revocation()
        await pause()
        done = self.write(key, entry, ttl, caller)
        await pause()
        return done

    async def afind(self, keys: Sequence[bytes]) -> list[Entry | None]:
        await pause()
        found = self.find(keys)
        await pause()
        return found


def wsgi_app(environ: Any, start_response: Any) -> Generator[bytes, None, None]:
    request: Request = environ["model.request"]
    session = environ["sealedsession.session"]
    for act in request.acts:
        if act == "respond":
            request.about_to_respond(session)
            start_response("200 OK", [])
        else:
            request.perform(act, session)
            request.note_answers()  # the store has been called at once
        yield b""


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    request: Request = scope["model.request"]
    session = scope["session"]
    await pause()
    for act in request.acts:
        if act == "respond":
            request.about_to_respond(session)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            request.note_answers()
        else:
            request.perform(act, session)
        await pause()
    await send({"type": "http.response.body", "body": b""})
    request.note_answers()


class Server:
    """A process with a middleware.

    :param kind: "wsgi", "asgi", or "awaits": ASGI with a store on the network.
    :param skew: seconds by which its clock is ahead.
    :param staleness: seconds for which its cache remembers answers; 0 means that it has none.
    """

    def __init__(self, model: "RevocationModel", kind: str, skew: float, staleness: float, idle: int | None) -> None:
        self.kind = kind
        self.staleness = staleness
        self._clock = model.backend.clock
        self._skew = skew
        store: RevocationStore = AwaitedStore(model) if kind == "awaits" else RecordingStore(model)
        if staleness:
            store = model.cached_store(store, staleness=staleness, clock=model.backend.clock)
        config = SessionConfig(
            **KEYS,
            revocation=store,
            clock=self.clock,
            idle_timeout=idle,
            absolute_timeout=ABSOLUTE,
            leeway=LEEWAY,
            refresh_interval=300,
        )
        self.middleware: Any = (
            wsgi.SessionMiddleware(wsgi_app, config) if kind == "wsgi" else asgi.SessionMiddleware(asgi_app, config)
        )
        model.prepare(self)

    def clock(self) -> float:
        return self._clock.now + self._skew

    def handle(self, request: "Request") -> Generator[Any, None, None]:
        """Let a request arrive, and return a generator that runs it to its next pause."""
        value = None if request.cookie is None else f"{NAME}={request.cookie.value}"
        if self.kind == "wsgi":
            environ = {"wsgi.url_scheme": "https", "model.request": request}
            if value is not None:
                environ["HTTP_COOKIE"] = value
            return iter(self.middleware(environ, request.start_response))
        headers = [] if value is None else [(b"cookie", value.encode())]
        scope = {"type": "http", "scheme": "https", "headers": headers, "model.request": request}
        running = self.middleware(scope, None, request.send)
        running.send(None)
        return running


class Device:
    """A browser, or a thief's program: a cookie, or none."""

    cookie: Cookie | None = None


class Request:
    """A request on its way."""

    def __init__(
        self, model: "RevocationModel", device: Device, server: Server, acts: Sequence[str], user: str
    ) -> None:
        self.model = model
        self.device = device
        self.server = server
        self.acts = [*acts, *(["respond"] if "respond" not in acts else [])]
        self.user = user
        self.cookie = device.cookie
        self.arrived = model.step
        self.arrived_at = model.backend.clock.now
        self.arrived_second = int(server.clock())
        self.arrived_here = server.clock()
        self.password = model.passwords[user]  # as this client knows it
        self.is_password_right = False
        self.origin: State | None = None
        self.acts_for: State | None = None  # the session that came in, until a sign-in or its own revocation
        self.state: State | None = None
        self.owner: str | None = None  # the subject that the view has found at first
        self.is_changed = False
        self.is_refused = False
        self.has_responded = False
        self.unwritten: deque[Revocation] = deque()
        self.unanswered: list[Revocation] = []
        self.ended: list[Lineage] = []
        self.own: list[Revocation] = []  # of subjects
        self.exempt_lineages: dict[str, Lineage] = {}  # by subject, the lineage that this request has exempted
        self.is_finished = False
        self.running = server.handle(self)
        model.requests.append(self)

    def go_on(self) -> None:
        """Run to the next pause."""
        self.model.step += 1
        self.model.running = self
        try:
            self.running.send(None)
        except StopIteration:
            self.is_finished = True
            self.model.requests.remove(self)
        finally:
            self.model.running = None
        if self.model.violation is not None:
            raise self.model.violation
        if self.is_finished and self.unwritten and not self.is_refused:
            raise ViolationError("a revocation did not reach the store")

    def give_up(self) -> None:
        """Run the request to its end, without any checks. To close it would await something without an event loop."""
        with suppress(Exception):
            while True:
                self.running.send(None)

    def finish(self) -> None:
        while not self.is_finished:
            self.go_on()

    # ------------------------------------------------------------------------------------------------- what a view does

    def perform(self, act: str, session: Session) -> None:
        if self.model.has_failed:
            return
        try:
            self._perform(act, session)
        except ViolationError:
            if session._revocations is not None:
                session._revocations.pending = []  # there is no event loop, in which the middleware could await them
            raise

    def _perform(self, act: str, session: Session) -> None:
        if act == "check":  # before the session is touched
            self.is_password_right = self.password == self.model.passwords[self.user]
            return
        if self.state is None:
            self.touch(session)
        assert self.state is not None
        is_closed = self.has_responded
        if act == "change_password":
            if self.is_password_right and self.owner == self.user:
                self.model.passwords[self.user] += 1
        elif act == "logout":
            is_sent = is_closed and self.state.lineage.has_id
            self.revoke(session, session.logout, [self.origin, self.state if is_sent else None])
            if not is_closed:
                self.state = self.fresh()
        elif act == "revoke":
            # An empty session that this request has begun after another one is nobody's.
            is_something = self.origin is None or self.state.lineage.has_id or self.state.data
            self.revoke(session, session.revoke, [self.origin, self.state if is_something else None])
            self.state.lineage.has_id |= bool(is_something)
        elif act == "everywhere":
            self.revoke_subject(session, self.owner)
        elif act == "suspend":
            self.revoke_subject(session, self.user)
        elif act == "suspend_by_job":
            self.model.revoke_by_job(self.user)
        elif not is_closed and act != "read":
            getattr(self, act)(session)
        if not is_closed and session.expires_at > self.state.end:
            raise ViolationError(f"the session ends later than before, after {act}")

    def touch(self, session: Session) -> None:
        session.mark_accessed()
        self.state = self.origin = self.acts_for = self.model.check_opened(self, session)
        if self.state is None:
            self.state = self.fresh()
        self.owner = self.state.subject

    def write(self, session: Session) -> None:
        assert self.state is not None
        session["n"] = self.model.step
        self.state = replace(self.state, data={**self.state.data, "n": self.model.step})
        self.is_changed = True

    def save(self, session: Session) -> None:
        session.save()
        self.is_changed = True

    def set_lifetime(self, session: Session) -> None:
        assert self.state is not None
        session.set_lifetime(LIFETIME)
        self.state = replace(
            self.state, lifetime=LIFETIME, end=min(self.state.end, self.state.lineage.begun + LIFETIME)
        )

    def regenerate(self, session: Session) -> None:
        assert self.state is not None
        session.regenerate()
        self.state.lineage.has_id = True
        self.is_changed = True

    def invalidate(self, session: Session) -> None:
        session.invalidate()
        self.state = self.fresh()

    def clear(self, session: Session) -> None:
        assert self.state is not None
        session.clear()
        self.state = replace(self.state, subject=None, data={})

    def drop_subject(self, session: Session) -> None:
        assert self.state is not None
        session.subject = None
        self.is_changed |= self.state.subject is not None
        self.state = replace(self.state, subject=None)

    def sign_in(self, session: Session) -> None:
        assert self.state is not None
        if not self.is_password_right:
            return
        session["user"] = session.subject = self.user
        if self.state.subject != self.user:
            self.is_changed = True
            self.begin()
        self.state = replace(self.state, subject=self.user, data={**self.state.data, "user": self.user})
        self.model.seen["signed in"] += 1

    def begin_anew(self, session: Session) -> None:
        assert self.state is not None
        if self.is_password_right and self.state.subject == self.user:
            session.regenerate(begin_anew=True)
            self.is_changed = True
            self.begin()

    def begin(self) -> None:
        """Begin a lineage for the user of this request, exempt by what the request has revoked."""
        assert self.state is not None
        self.acts_for = None
        own = [revocation for revocation in self.own if revocation.subject == self.user]
        lineage = self.new_lineage()
        lineage.exempt_by = frozenset(own)
        if (exempt := self.exempt_lineages.get(self.user)) is not None:  # the same session once more
            lineage.exempt_by |= exempt.exempt_by
            lineage.begun = max(lineage.begun, exempt.begun)
        lineage.has_id = True
        self.state = replace(self.state, lineage=lineage, end=lineage.begun + self.state.lifetime, subject=self.user)

    def new_lineage(self) -> Lineage:
        dated = int(self.arrived_here - self.server.staleness)
        return Lineage(begun=self.arrived_second, dated=dated, margin=dated)

    def fresh(self) -> State:
        lineage = self.new_lineage()
        return State(lineage, None, {}, ABSOLUTE, lineage.begun + ABSOLUTE)

    def revoke(self, session: Session, call: Callable[[], None], states: Sequence[State | None]) -> None:
        assert self.state is not None
        callers = (self.acts_for, self.state)
        lineages = dict.fromkeys(state.lineage for state in states if state is not None)
        expected = [Revocation(None, lineage, 0, self, callers) for lineage in lineages if lineage not in self.ended]
        self.ended += [revocation.lineage for revocation in expected if revocation.lineage is not None]
        self.call(call, expected)

    def revoke_subject(self, session: Session, subject: str | None) -> None:
        assert self.state is not None
        if subject is None:
            return
        revocation = Revocation(subject, None, int(self.server.clock()), self, (self.acts_for, self.state))
        if self.call(lambda: session.revoke_subject(subject), [revocation]) and not self.has_responded:
            self.own.append(revocation)
            # The store exempts the new session from all that exempts the caller.
            caller = self.acts_for if self.acts_for is not None and self.acts_for.subject else self.state
            self.exempt_lineages[subject] = Lineage(0, 0, caller.lineage.exempt_by)
            if self.origin is not None and self.origin.subject == subject:
                self.acts_for = None
            if self.state.subject == subject and not self.is_refused:
                old = self.state.lineage
                exempt_by = old.exempt_by | {revocation}
                # The store takes a request behind a cache for older: its answer may have been.
                margin = min(old.margin, int(self.arrived_here - self.server.staleness))
                lineage = Lineage(old.begun, old.dated, exempt_by, margin, has_id=True)
                self.exempt_lineages[subject] = lineage
                self.state = replace(self.state, lineage=lineage)
                self.is_changed = True

    def call(self, call: Callable[[], None], expected: list[Revocation]) -> bool:
        """Call a method that revokes, and expect what the store is to be told."""
        self.unwritten += expected
        try:
            call()
        except SessionClosedError:  # it has no id, so that there is nothing to revoke
            for revocation in expected:
                self.unwritten.remove(revocation)
            return False
        return True

    # ----------------------------------------------------------------------------------------------------- the response

    def about_to_respond(self, session: Session) -> None:
        self.has_responded = True

    def note_answers(self) -> None:
        """Note that the request knows of all revocations until now."""
        for revocation in self.unanswered:
            revocation.answered = self.model.step
        self.unanswered.clear()

    def start_response(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.respond([value for name, value in headers if name.lower() == "set-cookie"])

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.respond([value.decode() for name, value in message["headers"] if name.lower() == b"set-cookie"])

    def respond(self, set_cookies: list[str]) -> None:
        """Check the response's cookie, and give it to the client."""
        token = None
        for value in set_cookies:
            token = value.partition(";")[0].partition("=")[2]
        if token:
            if self.state is None:
                raise ViolationError("a cookie was sent, and nothing had looked into the session")
            if self.is_refused:
                raise ViolationError("a revoked session was sealed")
            self.state.lineage.has_id = True
            self.device.cookie = Cookie(token, self.state, self.server.clock())
            self.model.cookies.append(self.device.cookie)
            self.model.seen["sealed"] += 1
            return
        if self.state is not None and not self.is_refused:
            is_empty = not self.state.data and self.state.subject is None
            is_other = self.origin is None or self.state.lineage is not self.origin.lineage or self.is_changed
            if not is_empty and is_other:
                raise ViolationError("a changed session was not sealed")
        if set_cookies:
            self.device.cookie = None


# ---------------------------------------------------------------------------------------------------------- the machine


class RevocationModel(RuleBasedStateMachine):
    """Users, thieves and servers.

    :cvar make_backend: returns the backend, the same one for all examples.
    :cvar cached_store: makes the cache of a server.
    :cvar seen: how often what happened, in all examples.
    """

    backend: ClassVar[Backend]
    cached_store: ClassVar[Callable[..., RevocationStore]] = CachedStore
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.backend.clear()
        self.backend.clock.now = NOW
        self.step = 0
        self.running: Request | None = None
        self.servers: list[Server] = []
        self.devices = [Device() for _ in range(3)]
        self.cookies: list[Cookie] = []
        self.requests: list[Request] = []
        self.hanging: list[Request] = []
        self.passwords = dict.fromkeys(USERS, 0)
        self.of_subject: dict[str, list[Revocation]] = {user: [] for user in USERS}
        self.dropped: set[tuple[bytes, bytes]] = set()
        self.violation: ViolationError | None = None
        self.has_failed = False
        self.seen["examples"] += 1

    def prepare(self, server: Server) -> None:
        """Change a server: a hook for tests that take a fix out."""

    # -------------------------------------------------------------------------------------------------------- the rules

    @initialize(
        servers=st.lists(
            st.tuples(st.sampled_from(("wsgi", "asgi", "awaits")), st.sampled_from(SKEWS), st.sampled_from(STALENESS)),
            min_size=2,
            max_size=3,
        ),
        idle=st.sampled_from((None, IDLE)),
    )
    def start(self, servers: list[tuple[str, float, float]], idle: int | None) -> None:
        self.servers = [Server(self, *server, idle) for server in servers]
        for device, user in zip(self.devices, USERS, strict=False):
            Request(self, device, self.servers[0], VIEWS["login"], user).finish()

    @rule(device=DEVICE, server=SERVER, view=VIEW, user=USER)
    def visit(self, device: int, server: int, view: list[str], user: str) -> None:
        """Send a request, and wait for its response."""
        with Guard(self):
            self.seen["requests"] += 1
            Request(self, self.devices[device], self.servers[server % len(self.servers)], view, user).finish()

    @rule(device=DEVICE, server=SERVER, view=VIEW, user=USER, steps=st.integers(0, 4))
    def arrive(self, device: int, server: int, view: list[str], user: str, steps: int) -> None:
        """Send a request that hangs after some steps."""
        with Guard(self):
            request = Request(self, self.devices[device], self.servers[server % len(self.servers)], view, user)
            for _ in range(steps):
                if not request.is_finished:
                    request.go_on()
            if not request.is_finished:
                self.hanging.append(request)
                self.seen["requests that hang"] += 1

    @precondition(lambda self: self.hanging)
    @rule(number=st.integers(0, 5), steps=st.one_of(st.none(), st.integers(1, 2)))
    def go_on(self, number: int, steps: int | None) -> None:
        """Run a hanging request for some steps, or to its end."""
        with Guard(self):
            request = self.hanging[number % len(self.hanging)]
            for _ in range(steps or 1000):
                if not request.is_finished:
                    request.go_on()
            if request.is_finished:
                self.hanging.remove(request)

    @rule(seconds=st.sampled_from(WAITS))
    def wait(self, seconds: float) -> None:
        with Guard(self):
            self.backend.clock.now += seconds

    @precondition(lambda self: self.cookies)
    @rule(device=DEVICE, number=st.integers(0, 20))
    def copy(self, device: int, number: int) -> None:
        """Copy a cookie, one that was sent lately or long ago."""
        with Guard(self):
            self.devices[device].cookie = self.cookies[-1 - number % len(self.cookies)]

    def teardown(self) -> None:
        """Let all requests end, and show every cookie to every server, at once and when the caches are out of date."""
        if self.has_failed:
            for request in self.requests:
                request.give_up()
            return
        with Guard(self):
            for request in self.hanging:
                request.finish()
            for seconds in (0.0, max(STALENESS) + 1):
                self.backend.clock.now += seconds
                for cookie in self.cookies[-30:]:
                    for server in self.servers:
                        self.step += 1
                        thief = Device()
                        thief.cookie = cookie
                        Request(self, thief, server, ["read"], USERS[0]).finish()

    # ------------------------------------------------------------------------------------------------------- the checks

    def check_opened(self, request: Request, session: Session) -> State | None:
        """Check that a session is accepted or refused as it must be, and return what it must be."""
        cookie = request.cookie
        if cookie is None:
            if not session.new or session or session.rejected is not None:
                raise ViolationError("a session came from nowhere")
            return None
        state, now = cookie.state, request.server.clock()
        lineage, subject = state.lineage, state.subject
        if session.new:
            self.seen[f"refused: {session.rejected}"] += 1
            if session.rejected == "revoked":
                # A cache that does not know yet by what the session is exempt may refuse it for a moment.
                if all(self.is_known(each, request) for each in lineage.exempt_by):
                    if not self.may_refuse(state):
                        raise ViolationError("a session was refused without a reason")
                    lineage.refused.setdefault(subject, (self.step, self.backend.clock.now))
            elif now <= min(state.end - (lineage.begun - lineage.dated), cookie.sealed_at + IDLE):
                raise ViolationError(f"a valid session was refused: {session.rejected}")
            if session or session.subject is not None:
                raise ViolationError("a refused session is not empty")
            return None
        self.seen["accepted"] += 1
        if self.must_refuse(request, state):
            raise ViolationError("a revoked session was accepted")
        if request.arrived_here > state.end + LEEWAY + 1:
            raise ViolationError("a session was accepted after its end")
        if dict(session) != state.data or session.subject != subject:
            raise ViolationError("a session has another content than it was sealed with")
        return state

    def revoke_by_job(self, user: str) -> None:
        """Revoke a subject from outside the middleware."""
        running, self.running = self.running, None
        self.job = Revocation(user, None, int(self.backend.clock.now), None, None)
        RecordingStore(self).revoke_subject(user, ttl=ABSOLUTE + 2 * LEEWAY, clock=self.backend.clock)
        self.running = running

    def date_revocation(self) -> None:
        """Date a request's revocation: the store is called now, and may write later."""
        request = self.running
        if request is not None and request.unwritten:
            request.unwritten[0].time = int(request.server.clock())

    def check_revocation(self, key: bytes, done: bool) -> None:
        """Check that the store has accepted or refused a revocation as it must, and note it."""
        request = self.running
        if request is None:
            revocation = self.job
        elif not request.unwritten:
            raise ViolationError("the store was called for no reason")
        else:
            revocation = request.unwritten.popleft()
            request.unanswered.append(revocation)
        if (revocation.subject is None) != (key[:1] == b"s"):
            raise ViolationError("the store was called with another key")
        self.seen["written" if done else "not written"] += 1
        if revocation.callers is not None:
            callers = [state for state in revocation.callers if state is not None]
            if done and request is not None and request.is_refused:
                raise ViolationError("a session that was refused wrote an entry")
            if done and any(self.is_hit(state, request) for state in callers):
                raise ViolationError("a revoked session wrote an entry")
            origin = [] if request is None or request.origin is None else [request.origin]
            if not done and not any(map(self.may_refuse, [*callers, *origin])):
                raise ViolationError("a revocation was refused without a reason")
        if not done:
            assert request is not None
            request.is_refused = True
            return
        revocation.written, revocation.written_at = self.step, self.backend.clock.now
        if revocation.subject is not None:
            self.of_subject[revocation.subject].append(revocation)
        elif revocation.lineage is not None:
            revocation.lineage.revocations.append(revocation)

    def check_entry(
        self, key: bytes, old: Entry | None, ended: float, entry: Entry, new: Entry | None, done: bool
    ) -> None:
        """Check that entries never weaken."""
        if not done:
            if new != old:
                raise ViolationError("a refused revocation changed an entry")
            return
        if new is None:
            raise ViolationError("an entry was not written")
        if new.not_before < entry.not_before or (old is not None and new.not_before < old.not_before):
            raise ViolationError("not_before became earlier")
        if self.backend.ends(key) < ended:
            raise ViolationError("the end of an entry became earlier")
        if old is not None and old.exempt_lineage and new.exempt_lineage != old.exempt_lineage:
            self.dropped.add((key, old.exempt_lineage))
        if new.exempt_lineage and (
            (key, new.exempt_lineage) in self.dropped
            or new.exempt_lineage not in (entry.exempt_lineage, old and old.exempt_lineage)
        ):
            raise ViolationError("a session is exempt again")

    def must_refuse(self, request: Request, state: State) -> bool:
        """Whether a revocation that the server must know refuses a session."""
        lineage = state.lineage
        refused = lineage.refused.get(state.subject)
        if refused is not None:
            step, at = refused
            if step < request.arrived and at + request.server.staleness <= request.arrived_at:
                return True
        return any(self.is_known(each, request) for each in self.hits(state))

    def is_known(self, revocation: Revocation, request: Request) -> bool:
        """Whether a revocation was made so early that a later request must respect it."""
        if revocation.written is None or revocation.written >= request.arrived:
            return False
        if revocation.written_at + request.server.staleness <= request.arrived_at:
            return True
        by = revocation.request
        return (
            by is not None
            and by.server is request.server
            and revocation.answered is not None
            and revocation.answered < request.arrived
        )

    def is_hit(self, state: State, request: Request | None) -> bool:
        """Whether a session was revoked, by others than this request."""
        return any(each.request is not request for each in self.hits(state))

    def hits(self, state: State) -> list[Revocation]:
        """Return the revocations that must concern a session."""
        lineage = state.lineage
        of_subject = self.of_subject.get(state.subject or "", ())
        hits = lineage.revocations + [
            each for each in of_subject if each.time >= lineage.begun and each not in lineage.exempt_by
        ]
        # An entry may expire once all sessions that it concerns have ended. A request can hang for longer than that.
        return [each for each in hits if each.written_at + ABSOLUTE + 2 * LEEWAY > self.backend.clock.now]

    def may_refuse(self, state: State) -> bool:
        """Whether there is a reason to refuse a session."""
        lineage = state.lineage
        if lineage.revocations:
            return True
        of_subject = self.of_subject.get(state.subject or "", ())
        exempting = [each.written for each in lineage.exempt_by if each.written is not None]
        exempt_since = min(exempting, default=self.step)
        return any(
            each not in lineage.exempt_by and (each.time >= lineage.margin or (each.written or 0) > exempt_since)
            for each in of_subject
        )


class Guard:
    """One step of the model: it counts, and notes whether it has failed."""

    def __init__(self, model: RevocationModel) -> None:
        self.model = model

    def __enter__(self) -> None:
        self.model.step += 1
        self.model.seen["steps"] += 1

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.model.has_failed = True


def model_with(backend: Backend) -> type[RevocationModel]:
    """Make a model of a store, with counters of its own."""
    return type("Model", (RevocationModel,), {"backend": backend, "seen": Counter()})
