"""Load: many clients, each with one cookie, that visit several servers in turn, over connections that stay open.

One thread does it all, with select and no HTTP library, so that it is faster than the servers. A client has one request
under way at a time, as it needs the cookie of each answer for the next request; a lane is a few clients that take
turns, so that as many requests as there are lanes are under way together.
"""

import http.client
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

NAME = "__Host-Http-session"
PATIENCE = 60  # seconds without an answer, after which there is none, on a busy machine too
LIMIT = 2_000_000  # requests of one load: it ends by itself, whoever forgets it


class Answer(NamedTuple):
    """What came back.

    :param rejected: why the session's cookie was, or None.
    :param cookie: its new value, empty where it was deleted, or None where the answer has no Set-Cookie.
    :param body: the session, as JSON.
    :param server: the number of the server that was asked.
    :param started: when the request went out, in seconds of `time.monotonic`.
    :param seconds: how long it took.
    """

    status: int
    rejected: str | None
    cookie: str | None
    body: bytes
    server: int = 0
    started: float = 0.0
    seconds: float = 0.0


class Client(Protocol):
    """What a load is made of. The load keeps its cookie."""

    cookie: str

    @property
    def path(self) -> str:
        """What it asks for next."""
        ...

    def see(self, answer: Answer) -> None:
        """Take note of an answer; called by the load's thread."""
        ...


class Load:
    """Requests without a pause, until `stop`.

    :param ports: of the servers on loopback. Each client asks them in turn.
    :param clients: who ask.
    :param lanes: requests under way together.
    :param report: told, in words, of a request that was not answered. Its lane rests from then on.
    """

    def __init__(
        self, ports: Sequence[int], clients: Sequence[Client], lanes: int, report: Callable[[str], object]
    ) -> None:
        self.answers = 0
        self._ports = ports
        self._report = report
        self._selector = selectors.DefaultSelector()
        self._lanes = [_Lane(clients[number::lanes], number) for number in range(lanes)]
        self._stopping = False
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="load")
        self._thread.start()

    @property
    def per_second(self) -> float:
        """Answers per second until now."""
        return self.answers / (time.monotonic() - self._started)

    def stop(self) -> None:
        """Let no request go out any more, and wait for the answers to those that have."""
        self._stopping = True
        self._thread.join()

    def _run(self) -> None:
        try:
            for lane in self._lanes:
                self._guarded(lane, self._ask, lane)
            tick = time.monotonic()
            while any(lane.asked_at for lane in self._lanes):
                for key, _ in self._selector.select(0.1):
                    self._guarded(key.data[0], self._hear, *key.data)
                if time.monotonic() > tick + 1:
                    tick = time.monotonic()
                    self._give_up_on_overdue(tick)
        except BaseException as error:
            self._report(f"the load itself failed: {error!r}")
            raise
        finally:
            for key in list(self._selector.get_map().values()):
                self._hang_up(*key.data)
            self._selector.close()

    def _guarded(self, lane: "_Lane", step: Callable[..., None], *arguments: object) -> None:
        try:
            step(*arguments)
        except OSError as error:
            lane.asked_at = None
            self._report(f"server {lane.server}: a request was not answered: {type(error).__name__}: {error}")

    def _ask(self, lane: "_Lane") -> None:
        if self._stopping or self.answers >= LIMIT:
            return
        lane.take_turn(len(self._ports))
        lane.asked_at = time.monotonic()
        if lane.server not in lane.connections:
            connection = socket.create_connection(("127.0.0.1", self._ports[lane.server]), timeout=PATIENCE)
            connection.setblocking(False)
            lane.connections[lane.server] = connection
            self._selector.register(connection, selectors.EVENT_READ, (lane, lane.server))
        lane.connections[lane.server].sendall(render_request(lane.client))

    def _hear(self, lane: "_Lane", server: int) -> None:
        received = lane.connections[server].recv(65536)
        if not received:
            self._hang_up(lane, server)
            if lane.asked_at is not None and lane.server == server:
                raise ConnectionError("the server hung up")
            return  # it may close connections that nobody uses
        lane.received += received
        answer, is_last = parse(lane.received)
        if answer is None or lane.asked_at is None:
            return
        now = time.monotonic()
        answer = answer._replace(server=server, started=lane.asked_at, seconds=now - lane.asked_at)
        lane.asked_at, lane.received = None, b""
        if is_last:
            self._hang_up(lane, server)
        self.answers += 1
        if answer.cookie is not None:
            lane.client.cookie = answer.cookie
        lane.client.see(answer)
        self._ask(lane)

    def _give_up_on_overdue(self, now: float) -> None:
        for lane in self._lanes:
            if lane.asked_at is not None and now - lane.asked_at > PATIENCE:
                lane.asked_at = None
                self._report(f"server {lane.server}: no answer in {PATIENCE} seconds")

    def _hang_up(self, lane: "_Lane", server: int) -> None:
        connection = lane.connections.pop(server)
        self._selector.unregister(connection)
        connection.close()


class _Lane:
    """One request at a time, of a few clients in turn, over one connection to each server.

    :ivar asked_at: when the request went out that is under way, or None.
    """

    __slots__ = ("_queue", "asked_at", "client", "connections", "received", "server")

    def __init__(self, clients: Sequence[Client], number: int) -> None:
        # With each client the count of its visits, which begin at different servers.
        self._queue = deque((client, number + place) for place, client in enumerate(clients))
        self.asked_at: float | None = None
        self.received = b""
        self.connections: dict[int, socket.socket] = {}

    def take_turn(self, servers: int) -> None:
        self.client, visits = self._queue.popleft()
        self._queue.append((self.client, visits + 1))
        self.server = visits % servers


def visit(port: int, path: str, cookie: str = "") -> Answer:
    """One request, for its own sake."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    started = time.monotonic()
    try:
        connection.request("GET", path, headers={"Cookie": f"{NAME}={cookie}"} if cookie else {})
        response = connection.getresponse()
        body = response.read()
        headers = response.headers
        set_cookie = headers["Set-Cookie"]
        value = None if set_cookie is None else _value(set_cookie)
        return Answer(response.status, headers["X-Rejected"], value, body, 0, started, time.monotonic() - started)
    finally:
        connection.close()


def render_request(client: Client) -> bytes:
    """What a client sends."""
    cookie = f"Cookie: {NAME}={client.cookie}\r\n" if client.cookie else ""
    return f"GET {client.path} HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n".encode()


def parse(received: bytes) -> tuple[Answer | None, bool]:
    """Read an answer, None while it is not whole, and whether it is the connection's last."""
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if len(head) == len(received) or len(body) < int(headers.get("content-length", 0)):
        return None, False
    set_cookie = headers.get("set-cookie")
    answer = Answer(
        int(status.split()[1]), headers.get("x-rejected"), None if set_cookie is None else _value(set_cookie), body
    )
    return answer, headers.get("connection", "").lower() == "close"


def _value(set_cookie: str) -> str:
    """A cookie's new value, which is empty where the header deletes it."""
    return set_cookie.partition(";")[0].removeprefix(f"{NAME}=")
