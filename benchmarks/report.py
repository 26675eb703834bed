"""Write the results: results.json, and from it the tables and charts of docs/performance.rst.

Both contain ratios, bytes and versions, but no times, which differ on each machine. A part that is not measured keeps
its previous results.
"""

import importlib.metadata
import json
import os
import platform
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import charts
import peers
from harness import QUICK
from tables import Table

RESULTS = Path(__file__).with_name("results.json")
DOCS = Path(__file__).parent.parent / "docs" / "performance"

_SERVERS = ("gunicorn", "waitress", "uvicorn")
_BESIDES = ("httptools", "uvloop")

# The charts: the table, its columns, and whether the axis is logarithmic.
_DOTS: dict[str, tuple[Sequence[str], bool]] = {
    "codec-seal-and-unseal": (("tiny", "login", "near"), True),
    "middleware-wsgi": (("untouched, cookie", "read, cookie", "write, cookie"), True),
    "middleware-asgi": (("untouched, cookie", "read, cookie", "write, cookie"), True),
    "cold-codec": (("login, seal", "login, unseal"), True),
    "cold-wsgi": (("untouched", "read", "write"), True),
    "cold-asgi": (("untouched", "read", "write"), True),
    **{f"endtoend-{server}": (("untouched", "read", "write"), False) for server in _SERVERS},
}
_LINES = {
    "scale-size-one-text": "bytes of data",
    "scale-size-many-values": "bytes of data",
    "scale-cookies": "foreign cookies",
    "scale-cookie-size": "bytes of the foreign cookie",
}

Part = Mapping[str, Any]


def stored() -> dict[str, Any]:
    """Return the stored results: the parts by name."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def store(results: dict[str, Any], part: str, tables: Sequence[Table]) -> None:
    """Replace one part of the results."""
    results[part] = {"machine": machine(), "quick": QUICK, "tables": [table.as_json() for table in tables]}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def render(results: Mapping[str, Part], directory: Path = DOCS) -> None:
    """Write the tables and charts that docs/performance.rst includes."""
    directory.mkdir(exist_ok=True)
    for part in results.values():
        for table in map(Table.of_json, part["tables"]):
            (directory / f"{table.name}.txt").write_text(table.as_rst())
            svg = choose_chart(table)
            if svg is not None:
                (directory / f"{table.name}.svg").write_text(svg)
    (directory / "machine.txt").write_text(_machines(results))
    (directory / "peers.txt").write_text(peers_table().as_rst())


def choose_chart(table: Table) -> str | None:
    """Return a table as SVG, or None if it has no chart."""
    if table.name in _DOTS:
        columns, log = _DOTS[table.name]
        rows = {name: [_number(table.column(column)[name]) for column in columns] for name in table.rows}
        rows = dict(sorted(rows.items(), key=lambda row: _place(row[1]), reverse=not log))
        return charts.dots(table.title, rows, columns, log=log, ours=peers.OURS)
    if table.name in _LINES:
        rows = {name: [*map(_number, cells)] for name, cells in table.rows.items()}
        return charts.lines(table.title, [*map(float, table.columns)], rows, x_label=_LINES[table.name])
    return None


def peers_table() -> Table:
    """Return a table of the codecs: the features that each has and lacks."""
    table = Table("peers", "What is compared", ["Protection", "Content", "Lacks"], "")
    for peer in peers.PEERS.values():
        if peer.name != peers.CONTROL:
            table.rows[peer.name] = [peer.protection, peer.content, peer.lacks or "-"]
    return table


def machine() -> dict[str, Any]:
    """Return the conditions on which the results depend besides the code."""
    from cryptography.hazmat.backends.openssl import backend

    packages = {package for peer in peers.PEERS.values() for package in peer.packages} | {*_SERVERS, *_BESIDES}
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "optimized": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
        "openssl": backend.openssl_version_text(),
        "packages": {package: _version(package) for package in sorted(packages, key=str.lower)},
    }


def _machines(results: Mapping[str, Part]) -> str:
    """Return a line for each machine, with the parts that were measured there."""
    parts: dict[str, list[str]] = {}
    for name, part in results.items():
        parts.setdefault(_described(part["machine"]), []).append(f"{name} (a short run)" if part["quick"] else name)
    return "".join(f"* {', '.join(names)}: {machine}\n" for machine, names in parts.items())


def _described(facts: Mapping[str, Any]) -> str:
    optimized = "with" if facts["optimized"] else "without"
    versions = ", ".join(f"{package} {version}" for package, version in facts["packages"].items())
    return (
        f"{facts['processor']}, {facts['cpus']} CPUs, {facts['system']}; CPython {facts['python']}, built {optimized} "
        f"profile-guided optimization; {facts['openssl']}; {versions}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _number(cell: Any) -> float | None:
    return None if cell is None else float(cell)


def _place(cells: Sequence[float | None]) -> float:
    """Return a row's sort key: its second series, which is the login payload or reading."""
    value = cells[1] if len(cells) > 1 and cells[1] is not None else cells[0]
    return value if value is not None else 0.0
