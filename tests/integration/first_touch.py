"""First touches of a session by several threads of one request: nothing is lost, and nothing is undone.

    python -m tests.integration.first_touch --touches 1000000     as many first touches in total
    python -m tests.integration.first_touch --sabotage            without the registry: the claim has to fail

In each request, two to eight threads touch the session for the first time at the same moment. Each writes a key of its
own, some read first, and in every fourth request one of them calls `invalidate()`. After the response, every write is
in the cookie; after an `invalidate()`, no earlier data is.
"""

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sealedsession import session as session_states
from sealedsession.session import Session
from sealedsession.wsgi import SessionMiddleware

THREADS = 8
KEYS = {
    "validate_key": "3yq0cJZ1m8rWv5xKtP7bQeUoLhGfDsAnIi2MwXz4R6k",
    "encrypt_key": "Vt9uYbN3pKe7jRcQ1xZsWm5aLgHdF8oTi0vXyB2nMkE",
}


class Race:
    """Threads that touch one session after another, together."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.session: Session | None = None
        self.width = 0  # threads that take part in this request
        self.invalidates = False
        self.ended = False
        self._start, self._end = threading.Barrier(THREADS + 1), threading.Barrier(THREADS + 1)
        self._middleware = SessionMiddleware(self._application, **KEYS)
        self._cookie = self._request(None)
        self._threads = [threading.Thread(target=self._touch, args=(number,), daemon=True) for number in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def run(self, number: int) -> int:
        """Make one request, check what is stored, and return how many first touches there were."""
        self.width, self.invalidates = 2 + number % 7, number % 4 == 0
        cookie = self._request(self._cookie)
        self.width = 0
        stored: dict[object, object] = {}
        self._request(cookie, stored)
        missing = {f"key {each}" for each in range(2 + number % 7)} - set(stored)
        if self.invalidates:
            # What others wrote before it is gone with the old data, and what they wrote after it is there.
            missing &= {"key 0"}
            if "user" in stored:
                self.problems.append(f"request {number}: an invalidate() was undone: {stored}")
        elif stored.get("user") != "ann":
            self.problems.append(f"request {number}: the session's data is lost: {stored}")
        if missing:
            self.problems.append(f"request {number}: lost {sorted(missing)}")
        return 2 + number % 7

    def end(self) -> None:
        """End the threads."""
        self.ended = True
        self._start.wait()

    def _touch(self, number: int) -> None:
        while True:
            self._start.wait()
            if self.ended:
                return
            session = self.session
            if session is not None and number < self.width:
                try:
                    if number == 0 and self.invalidates:
                        session.invalidate()
                    elif number % 3 == 1:
                        session.get("user")
                    session[f"key {number}"] = number
                except Exception as error:  # noqa: BLE001  # whatever it is, it is a problem
                    self.problems.append(f"thread {number}: {error!r}")
            self._end.wait()

    def _application(self, environ, start_response):  # type: ignore[no-untyped-def]
        session = environ["sealedsession.session"]
        if "stored" in environ:
            environ["stored"].update(session)
        elif self.width == 0:
            session["user"] = "ann"
        else:
            self.session = session
            self._start.wait()
            self._end.wait()
        start_response("200 OK", [])
        return []

    def _request(self, cookie: str | None, stored: dict[object, object] | None = None) -> str:
        environ: dict[str, object] = {"wsgi.url_scheme": "https"}
        if cookie is not None:
            environ["HTTP_COOKIE"] = cookie
        if stored is not None:
            environ["stored"] = stored
        headers: list[tuple[str, str]] = []
        self._middleware(environ, lambda _, sent: headers.extend(sent))  # type: ignore[arg-type, return-value]
        cookies = [value.partition(";")[0] for name, value in headers if name == "Set-Cookie"]
        return cookies[0] if cookies else cookie or ""


def open_without_claim(session: Any) -> None:
    """Open a session whether or not another thread opens it."""
    loaded = session._loaded = session._manager.load(session)
    session._identity, session._revocations = loaded.identity, loaded.revocations
    session._save = session._invalidated = False
    dict.update(session, loaded.data)
    dict.pop(session, session_states._PLACEHOLDER, None)
    session.__class__ = session_states.ClosedSession if session._headers_gone else Session
    with suppress(AttributeError):
        del session._unclaimed


def run(touches: int, *, sabotage: bool = False) -> list[str]:
    """Make requests until there have been so many first touches, and return what went wrong."""
    interval = sys.getswitchinterval()
    open_session = session_states._open
    sys.setswitchinterval(1e-6)  # threads take turns in the middle of everything
    if sabotage:
        session_states._open = open_without_claim
    race = Race()
    try:
        done = number = 0
        while done < touches and not (sabotage and race.problems):
            done += race.run(number)
            number += 1
        return race.problems
    finally:
        race.end()
        session_states._open = open_session
        sys.setswitchinterval(interval)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the race, and print what was done and what went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--touches", type=int, default=1_000_000, help="first touches in total (default: %(default)s)")
    parser.add_argument("--sabotage", action="store_true", help="let threads open sessions side by side")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    problems = run(options.touches, sabotage=options.sabotage)
    print(
        f"{options.touches} first touches by 2 to {THREADS} threads of a request on Python "
        f"{sys.version.partition(' ')[0]}, {time.monotonic() - began:.0f} s: {len(problems)} problems"
    )
    for problem in problems[:10]:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
