"""The figures of docs/comparison.rst are those of the stored measurements."""

import json
import re

import pytest

from tests.support import ROOT
from tests.support.pages import DOCS, PAGES, rows, section

STORED = json.loads((ROOT / "benchmarks" / "results.json").read_text())
PAGE = PAGES["comparison"]
TEXT = " ".join(PAGE.split())


def table(part: str, name: str) -> dict[str, dict[str, float]]:
    """Return a stored table: row, column, number."""
    (found,) = [each for each in STORED[part]["tables"] if each["name"] == name]
    return {row: dict(zip(found["columns"], cells, strict=True)) for row, cells in found["rows"].items()}


@pytest.mark.parametrize("interface", ["WSGI", "ASGI"])
def test_the_cost_of_a_request(interface: str) -> None:
    """Both tables of the page have the stored ratios of a request with a cookie."""
    measured = table("middleware", f"middleware-{interface.lower()}")
    _, _, part = section(PAGE, "Speed").partition(f"* - {interface}\n")
    shown = [row for row in rows("   * - " + re.split(r"\n\n", part)[0]) if re.search(r"\d", row[1])]
    assert len(shown) >= 5
    for name, untouched, read in shown:
        row = measured[name.replace("``", "")]
        assert float(untouched) == pytest.approx(row["untouched, cookie"], abs=0.05), name
        assert float(read) == pytest.approx(row["read, cookie"], abs=0.005), name


def test_what_the_peers_do_better() -> None:
    """Each figure in the text is a stored one."""
    ratios, size = table("codec", "codec-seal-and-unseal"), table("codec", "codec-bytes")
    wsgi, asgi = table("middleware", "middleware-wsgi"), table("middleware", "middleware-asgi")
    cold, served = table("cold", "cold-asgi"), table("endtoend", "endtoend-uvicorn")
    ours = "sealedsession"
    assert f"{size['Flask, signed']['cart']} bytes for ``cart``, and {size[ours]['cart']:,} here" in TEXT
    assert (
        f"takes {ratios['Litestar, encrypted']['login']:.2f} of the reference, and {ratios[ours]['login']:.2f}" in TEXT
    )
    nacl = ratios["pyramid_nacl_session, encrypted"]
    for case in ("cart", "typed"):
        assert f"``{case}`` ({nacl[case]:.2f} and {ratios[ours][case]:.2f})" in TEXT
    assert f"{ratios['Beaker, signed']['login']:.2f} for ``login``" in TEXT
    starlette = "Starlette, signed"
    assert f"{asgi[starlette]['read, no cookie']:.2f} of the reference, and {asgi[ours]['read, no cookie']:.2f}" in TEXT
    assert f"{cold[starlette]['read']:.2f} and {cold[ours]['read']:.2f}" in TEXT
    assert abs(wsgi["pyramid_nacl_session, encrypted"]["untouched, cookie"]) < 0.1
    with_json = [ratios[f"{ours}, JSON"][case] / ratios[ours][case] for case in ratios[ours]]
    assert f"takes {min(with_json):.1f} to {max(with_json):.0f} times as long" in TEXT
    assert f"{served[ours]['untouched']:.2f} of the bare application's requests per second here" in TEXT
    assert f"and {served[starlette]['untouched']:.2f} with Starlette's" in TEXT
    assert f"{served[ours]['read']:.2f}" == f"{served[starlette]['read']:.2f}"
    assert f"answers {served[ours]['read']:.2f} with both" in TEXT


def test_the_peers_that_lack_something() -> None:
    """The page names every peer without encryption, and every one that unpickles anything."""
    peers = rows((DOCS / "performance" / "peers.txt").read_text())
    lacks = {name.partition(",")[0]: lack for name, _, _, lack in peers if "," in name and "sealed" not in name}
    named = dict(list(rows(section(PAGE, "What they do not do")))[1:])

    def unnamed(lack: str, row: str) -> set[str]:
        return {name for name in lacks if lack in lacks[name] and name not in named[row].replace("``", "")}

    assert unnamed("encryption", "The content is encrypted") == set()
    # The other two are no sessions.
    assert unnamed("restricted unpickler", "A payload cannot run code, even with the keys") == {
        "Tetra's state",
        "Fernet + pickle",
    }
