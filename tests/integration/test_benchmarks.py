"""The benchmarks measure what they say. No time is judged here.

Peers are tested where they are installed, which the tests do not ask for: ``make bench`` installs all of them, and asks
the same of each before it measures.
"""

import json
import math
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.django_project import configure

configure()  # before peers.py would configure a project of its own
BENCHMARKS = ROOT / "benchmarks"
sys.path.append(str(BENCHMARKS))

import charts  # noqa: E402
import check  # noqa: E402
import endtoend  # noqa: E402
import harness  # noqa: E402
import interfaces  # noqa: E402
import peer_middleware  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402
import scale  # noqa: E402
import serve  # noqa: E402
from payloads import PAYLOADS  # noqa: E402
from tables import Table  # noqa: E402

CODECS, MISSING_CODECS = peers.built()
MIDDLEWARES = [
    pytest.param(interface, middleware, id=f"{interface.name}, {name}")
    for interface in peer_middleware.INTERFACES
    for name, middleware in peer_middleware.built(interface.makers)[0].items()
]
ALWAYS = {peers.OURS, f"{peers.OURS}, JSON", f"{peers.OURS}, signed", peers.REFERENCE, peers.CONTROL}

# Those that the suite is to compare, by the beginning of their names.
NAMED = (
    "Beaker", "Starlette", "Flask", "Django signed_cookies", "Pyramid", "pyramid_nacl_session", "Litestar",
    "starsessions", "aiohttp-session", "asgi-sessions", "Tetra", "Fernet + pickle", "itsdangerous",
)  # fmt: skip


class SteppingClock:
    """Stands still until a case says how long it takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def taking(self, seconds: float) -> Callable[[], None]:
        def case() -> None:
            self.now += seconds

        return case


# ------------------------------------------------------------------------------------------------------------- harness


@pytest.fixture(autouse=True)
def fresh_yardstick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test knows of another one's clock."""
    monkeypatch.setattr(harness, "_shortest", [math.inf])


def test_a_ratio_is_that_of_the_times() -> None:
    """A case that takes three times as long has the ratio 3, and the control 1."""
    clock = SteppingClock()
    cases = {"case": clock.taking(3e-4), "reference": clock.taking(1e-4), "control": clock.taking(1e-4)}
    times = harness.measure(cases, clock=clock)
    assert {name: len(rounds) for name, rounds in times.items()} == dict.fromkeys(cases, harness.ROUNDS)
    assert harness.ratio(times, "case", "reference") == pytest.approx(3)
    assert harness.ratio(times, "control", "reference") == pytest.approx(1)


def test_what_is_measured_on_a_busy_machine_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the yardstick takes longer than it can, the time of a case does not stand while there is a shorter one."""
    monkeypatch.setattr(harness, "_shortest", [1e-4])
    clock = SteppingClock()
    looks = 0

    def slower() -> int:
        return 1 if looks % 10 > 5 else 3

    def work() -> None:
        nonlocal looks
        looks += 1
        clock.now += 1e-4 * slower()

    def case() -> None:
        clock.now += 1.0 * slower()

    monkeypatch.setattr(harness, "TRIES", 12)
    monkeypatch.setattr(harness, "_work", work)
    times = harness.measure({"case": case, "reference": case}, clock=clock)
    assert times == dict.fromkeys(("case", "reference"), [pytest.approx(1.0)] * harness.ROUNDS)


@pytest.mark.parametrize(
    ("yardsticks", "blocks"),
    [
        ([1, 1, 1, 1], 3),
        ([1.2, 1, 1, 1, 1], 4),  # before the first block
        ([1, 1.2, 1, 1, 1, 1], 5),  # after the first and before the second
        ([1, 1, 1, 1.2, 1, 1], 5),
        ([1, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2], 8),  # to the end
    ],
)
def test_blocks_between_long_yardsticks_are_repeated(
    monkeypatch: pytest.MonkeyPatch, yardsticks: list[float], blocks: int
) -> None:
    """A case is measured until three blocks had a fast yardstick, or until the largest number of tries."""
    monkeypatch.setattr(harness, "TRIES", 8)
    monkeypatch.setattr(harness, "_shortest", [1.0])
    clock = SteppingClock()
    seconds = iter(yardsticks)
    monkeypatch.setattr(harness, "_work", lambda: clock.taking(next(seconds))())
    calls = 0

    def case() -> None:
        nonlocal calls
        calls += 1

    harness._shortest_block(case, 1, clock)
    assert calls == blocks


def test_the_shortest_yardstick_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that becomes quiet shows by that what a quiet one is."""
    clock = SteppingClock()
    seconds = iter([3.0, 3.0, 1.0, 1.0, 1.0])
    monkeypatch.setattr(harness, "_work", lambda: clock.taking(next(seconds))())
    monkeypatch.setattr(harness, "TRIES", 8)
    harness._shortest_block(clock.taking(1.0), 1, clock)
    assert harness._shortest == [1.0]
    assert next(seconds, None) is None  # the first block counted, the second did not


def test_single_calls_are_timed_without_what_is_between() -> None:
    """The time of the other work is in no result."""
    clock = SteppingClock()
    times = harness.measure_singly({"case": clock.taking(2)}, between=clock.taking(100), rounds=5, clock=clock)
    assert times == {"case": [2] * 5}


def test_times_are_taken_apart_within_a_round() -> None:
    """What is added, what two take together and the ratio come of pairs, not of medians."""
    times = {"a": [3.0, 30.0, 5.0], "b": [1.0, 10.0, 2.0]}
    assert harness.added(times, "a", "b") == [2.0, 20.0, 3.0]
    assert harness.both(times, "a", "b") == [4.0, 40.0, 7.0]
    assert harness.ratio(times, "a", "b") == 3.0


@pytest.mark.filterwarnings("ignore")  # the peers' own, on changed cookies
@pytest.mark.parametrize("part", ["codec", "stages", "middleware", "cold", "options"])
def test_every_case_of_a_part_runs(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """A part makes tables with a number of sealedsession in every column that can be measured."""
    gaps = {
        **dict.fromkeys(("revocation: SQLite", "revocation: SQLite, cached"), "ASGI, "),  # which asks it in a thread
        "headers": ", reference",
        "sealing": "read, ",
    }
    for name, least in {"ROUNDS": 1, "TRIES": 1, "BLOCK_SECONDS": 1e-6}.items():
        monkeypatch.setattr(harness, name, least)
    monkeypatch.setattr("cold.ROUNDS", 2)
    tables, _ = run.PARTS[part]()
    assert tables
    for table in tables:
        ours = table.rows if part in ("stages", "options") else {peers.OURS: table.rows[peers.OURS]}
        for name, cells in ours.items():
            for column, cell in zip(table.columns, cells, strict=True):
                assert (cell is None) == (name in gaps and gaps[name] in column)


# --------------------------------------------------------------------------------------------------------------- peers


def test_every_peer_has_an_adapter() -> None:
    """Those that are to be compared are all there."""
    names = set(peers.PEERS) - ALWAYS
    assert [named for named in NAMED if not any(name.startswith(named) for name in names)] == []


def test_no_codec_is_dropped_silently() -> None:
    """A codec is either built or named as missing, with a reason; ours and the reference are always built."""
    assert CODECS.keys() | MISSING_CODECS.keys() == peers.PEERS.keys()
    assert CODECS.keys() >= {*ALWAYS, "Fernet + pickle, encrypted"}
    assert all("No module named" in reason for reason in MISSING_CODECS.values())


@pytest.mark.parametrize("name", CODECS)
def test_codecs_round_trip_and_refuse_a_changed_token(name: str) -> None:
    """Every codec returns the content of most sessions, and refuses a token in which one character was changed."""
    for payload in ("tiny", "login", "cart", "near"):
        assert peers.find_fault(CODECS[name], PAYLOADS[payload]) is None


@pytest.mark.parametrize("name", sorted(ALWAYS))
def test_ours_and_the_reference_hold_every_payload(name: str) -> None:
    """There is no gap in the rows that everything is compared with."""
    assert [peers.find_fault(CODECS[name], value) for value in PAYLOADS.values()] == [None] * len(PAYLOADS)


@pytest.mark.parametrize(
    ("unseal", "fault"),
    [
        (lambda token: {"user_id": 42}, "accepts a changed token"),
        (lambda token: {}, "returns other values than those that were sealed"),
        (lambda token: {}["no such key"], "KeyError: 'no such key'"),
    ],
)
def test_a_codec_that_does_not_do_its_work_is_found_out(unseal: Callable[[str], Any], fault: str) -> None:
    """A codec that takes any token, loses values or raises is not measured."""
    assert peers.find_fault((lambda value: "token", unseal), {"user_id": 42}) == fault


@pytest.mark.filterwarnings("ignore")  # a peer's own, on the changed cookie
@pytest.mark.parametrize(("interface", "middleware"), MIDDLEWARES)
def test_middlewares_round_trip_and_refuse_a_changed_cookie(
    interface: peer_middleware.Interface, middleware: peer_middleware.Middleware
) -> None:
    """Every middleware brings a session back in the next request, and takes no changed cookie."""
    assert peer_middleware.find_fault(interface, middleware) is None


@pytest.mark.parametrize("interface", peer_middleware.INTERFACES, ids=lambda interface: interface.name)
def test_a_middleware_without_a_seal_is_found_out(interface: peer_middleware.Interface) -> None:
    """A middleware that takes what it never sealed is not measured."""
    forger = peer_middleware.Middleware(lambda action: _forging(interface, action), None)
    assert peer_middleware.find_fault(interface, forger) == "accepts a changed cookie"


def _forging(interface: peer_middleware.Interface, action: interfaces.Action | None) -> Any:
    """A middleware whose every request has the same user."""
    session = {"user_id": 42}
    if interface.name == "WSGI":
        inner = interfaces.wsgi_application("session", action)

        def application(environ: Any, start_response: Any) -> Any:
            environ["session"] = session

            def with_cookie(status: str, headers: Any) -> Any:
                return start_response(status, [*headers, ("Set-Cookie", "session=anything; Path=/")])

            return inner(environ, with_cookie)

        return application
    inner = interfaces.asgi_application(action)

    async def asgi_application(scope: Any, receive: Any, send: Any) -> None:
        async def with_cookie(message: Any) -> None:
            cookie = (b"set-cookie", b"session=anything; Path=/")
            await send({**message, "headers": [*message.get("headers", ()), cookie]})

        await inner({**scope, "session": session}, receive, with_cookie)

    return asgi_application


@pytest.mark.parametrize("server", serve.MAKERS)
@pytest.mark.parametrize("name", [serve.BARE, peers.OURS, serve.CACHED, peers.REFERENCE])
def test_served_applications_answer_every_path(server: str, name: str) -> None:
    """Behind a real server, an application responds to all paths with 200, and sets a cookie when it should."""
    application = serve.make_application(server, name)
    is_wsgi = serve.MAKERS[server] is serve.WSGI
    interface = peer_middleware.INTERFACES[0 if is_wsgi else 1]
    cookies = {}
    for path in ("untouched", "read", "write", "sign-in"):
        request = interface.make_request(None) | ({"PATH_INFO": f"/{path}"} if is_wsgi else {"path": f"/{path}"})
        cookies[path] = len(interface.set_cookies(application, request))
    changing = 0 if name == serve.BARE else 1
    assert cookies == {"untouched": 0, "read": 0, "write": changing, "sign-in": changing}


# --------------------------------------------------------------------------------------------------------- bench-check


@pytest.mark.parametrize(
    ("now", "before", "control", "says"),
    [
        (1.50, 1.50, 1.00, "ok"),
        (1.50 * check.TOLERANCE - 0.01, 1.50, 1.00, "ok"),
        (1.50 * check.TOLERANCE + 0.01, 1.50, 1.00, "slower"),
        (1.50 / check.TOLERANCE - 0.01, 1.50, 1.00, "faster"),
        (9.00, 1.50, check.NOISE + 0.01, "noisy"),
        (9.00, 1.50, 1 / check.NOISE - 0.01, "noisy"),
        (9.00, 1.50, check.NOISE - 0.01, "slower"),
        (1.50, None, 1.00, "new"),
    ],
)
def test_verdicts(now: float, before: float | None, control: float, says: str) -> None:
    """A ratio is slower only beyond the tolerance, and where the control lets anything be said."""
    assert check.verdict(now, before, control) == says


def test_the_comparison_names_everything() -> None:
    """What was measured and what the baseline has besides are both in the table."""
    table = check.compare({"a": 3.0, "b": 1.0}, {"a": 1.0, "b": 1.0}, {"a": 1.0, "c": 2.0})
    assert table.column("verdict") == {"a": "slower", "b": "new", "c": "gone"}


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--strict"], 1)])
def test_only_strict_fails(
    arguments: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Something slower is an error when asked for, and information otherwise."""
    baseline = tmp_path / "baseline.json"
    baseline.write_text('{"a": 1.0, "b": 1.0}')
    monkeypatch.setattr(check, "BASELINE", baseline)
    monkeypatch.setattr(check, "fresh", lambda: ({"a": 3.0, "b": 1.0}, {"a": 1.0, "b": 1.0}))
    monkeypatch.setattr(sys, "argv", ["check.py", *arguments])
    assert check.main() == status
    assert "1 of 2 are slower" in capsys.readouterr().out


def test_store_makes_the_baseline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The ratios that were stored are those of the next comparison."""
    monkeypatch.setattr(check, "BASELINE", tmp_path / "baseline.json")
    monkeypatch.setattr(check, "fresh", lambda: ({"a": 3.0}, {"a": 1.0}))
    monkeypatch.setattr(sys, "argv", ["check.py", "--store", "--strict"])
    assert check.main() == 0
    assert check.BASELINE.read_text() == '{\n "a": 3.0\n}\n'


def test_the_baseline_has_what_is_measured() -> None:
    """Every payload both ways, and every case at both interfaces."""
    baseline = json.loads((BENCHMARKS / "baseline.json").read_text())
    codec_keys = {f"codec, {operation}, {payload}" for operation in ("seal", "unseal") for payload in PAYLOADS}
    assert baseline.keys() == codec_keys | {
        f"{interface}, {case}" for interface in ("WSGI", "ASGI") for case, _, _ in interfaces.CASES
    }


# ------------------------------------------------------------------------------------------------- tables and charts

TABLE = Table("codec-seal-and-unseal", 'Ratios of <a> & "b"', ["tiny", "login", "near"])
TABLE.rows = {peers.OURS: [1.234, 12.34, 123.4], "<peer> & co": [0.5, None, 1.0]}


def test_tables_as_text() -> None:
    """Columns are aligned, numbers have the digits they are worth, and a gap is a dash."""
    lines = TABLE.as_text().splitlines()
    assert lines[2:] == [
        "                tiny  login   near",
        "sealedsession  1.23x  12.3x   123x",
        "<peer> & co    0.50x      -  1.00x",
    ]


def test_tables_as_rst() -> None:
    """Every row of the list-table has as many cells as there are columns."""
    text = TABLE.as_rst()
    assert text.count("   * - ") == len(TABLE.rows)  # the head's first cell is empty
    assert text.count("     - ") == 3 * (len(TABLE.rows) + 1)


def test_tables_survive_json() -> None:
    """What is stored is what comes back, with three digits."""
    back = Table.of_json(TABLE.as_json())
    assert back.rows == {peers.OURS: [1.23, 12.3, 123.0], "<peer> & co": [0.5, None, 1.0]}
    assert (back.name, back.columns, back.unit) == (TABLE.name, TABLE.columns, TABLE.unit)


@pytest.mark.parametrize("log", [True, False])
def test_dots_are_well_formed(log: bool) -> None:
    """The chart is XML, names every row and series, and has a mark for every number and none for a gap."""
    root = ElementTree.fromstring(charts.dots(TABLE.title, TABLE.rows, TABLE.columns, log=log, ours=peers.OURS))
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert texts >= {TABLE.title, *TABLE.rows, *TABLE.columns}
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "<peer> & co, near: 1.00x" in titles
    assert len(titles) == 1 + 3 + 5  # the chart's own, the legend's, the marks'


def test_lines_are_well_formed() -> None:
    """The chart is XML, and has a curve for every row."""
    root = ElementTree.fromstring(charts.lines("a & b", [0, 10, 20], TABLE.rows, x_label="bytes <of> data"))
    curves = [element.get("points") for element in root.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(points.split()) for points in curves if points] == [3, 2]


def test_everything_in_the_documentation_is_made(tmp_path: Path) -> None:
    """The stored results make each file that docs/performance.rst includes or shows, and those are the ones there."""
    page = (BENCHMARKS.parent / "docs" / "performance.rst").read_text()
    report.render(report.stored(), tmp_path)
    shown = {line.split("performance/")[1] for line in page.splitlines() if line.startswith((".. include", ".. image"))}
    made = {path.name for path in tmp_path.iterdir()}
    assert shown <= made
    assert made == {path.name for path in report.DOCS.iterdir()}
    for path in tmp_path.glob("*.svg"):
        ElementTree.fromstring(path.read_text())


def test_stored_results_are_ratios() -> None:
    """results.json has every part, and no unit of time in it."""
    results = report.stored()
    assert results.keys() == run.PARTS.keys()
    assert {table["unit"] for part in results.values() for table in part["tables"]} <= {"x", "bytes", ""}


def test_a_cost_in_a_line_is_on_the_line() -> None:
    """What grows evenly is not off its line, and a step is."""
    assert scale._off_line([0, 1, 2, 3], [1.0, 3.0, 5.0, 7.0]) == pytest.approx(0)
    assert scale._off_line([0, 1, 2, 3], [1.0, 1.0, 5.0, 5.0]) > 0.2


def test_end_to_end_says_what_it_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wrk nothing is measured, and the output says how to get it."""
    monkeypatch.setattr(endtoend.shutil, "which", lambda command: None)
    tables, (note,) = endtoend.run()
    assert tables == []
    assert "apt-get install wrk" in note
