"""The load tells what it gets, and what it does not get."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.support.load import Answer, Load, parse

WHOLE = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Rejected: revoked\r\n"
    b"set-cookie: __Host-Http-session=; Max-Age=0\r\n\r\n{}"
)


class Client:
    """One who asks until the load ends."""

    path = "/"

    def __init__(self) -> None:
        self.cookie = "old"
        self.answers: list[Answer] = []
        self.has_answer = threading.Event()

    def see(self, answer: Answer) -> None:
        self.answers.append(answer)
        self.has_answer.set()


@contextmanager
def server(*sent: bytes) -> Iterator[int]:
    """A server that sends the pieces of an answer to the first request, and then hangs up for good."""

    def serve() -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            connection.recv(65536)
            for piece in sent:
                connection.sendall(piece)
        listener.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_parse_in_part(end: int) -> None:
    """An answer that is not whole is none yet."""
    assert parse(WHOLE[:end]) == (None, False)


def test_parse() -> None:
    """Names of headers are of any case, and only what follows "Connection: close" is the last of a connection."""
    answer = Answer(200, "revoked", "", b"{}")
    assert parse(WHOLE) == (answer, False)
    assert parse(WHOLE.replace(b"X-Rejected: revoked", b"Connection: Close")) == (answer._replace(rejected=None), True)


@pytest.mark.parametrize("sent", [b"", WHOLE[:60], WHOLE])
def test_hung_up(sent: bytes) -> None:
    """A request that is not answered is reported, after those that were, and the load ends by itself."""
    client, problems = Client(), []
    with server(sent) as port:
        load = Load([port], [client], 1, problems.append)
        load._thread.join()
    assert [answer[:4] for answer in client.answers] == ([(200, "revoked", "", b"{}")] if sent == WHOLE else [])
    assert client.cookie == ("" if sent == WHOLE else "old")
    assert load.answers == len(client.answers)
    assert len(problems) == 1
    assert "server 0: a request was not answered" in problems[0]
