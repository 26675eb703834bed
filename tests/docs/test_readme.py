"""README.rst is short, and everything that it names exists. tests/checks/check_readme.py runs its examples as typed."""

import re

import pytest

from tests.checks import check_readme
from tests.support import ROOT
from tests.support.pages import PAGES, README, blocks

SITE = "https://sealedsession.readthedocs.io"


def test_readme_is_short() -> None:
    """README has at most 150 lines."""
    assert len(README.splitlines()) <= 150


def test_the_commands_are_those_of_the_makefile() -> None:
    """README names make demo and make test, no other target in its commands, and the Makefile has all that it names."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake (\w+)", "\n".join(blocks(README, "sh")))) == {"demo", "test"}
    assert set(re.findall(r"``make ([\w-]+)``", README)) <= targets


def test_the_links_lead_to_pages() -> None:
    """Each page of the documentation to which README links exists, and is found without a redirect."""
    links = re.findall(rf"{SITE}/en/latest/([\w/-]+)\.html", README)
    assert set(links) <= set(PAGES)
    assert README.count(SITE) == len(links) + 1  # and the site itself
    assert {"security", "changes", "contributing"} <= set(links)


def test_the_check_runs_every_block() -> None:
    """The check of README and the quickstart saves every file and starts a server for every entry point."""
    servers = {}
    for page in check_readme.PAGES:
        files, commands = check_readme.parse((ROOT / page).read_text())
        assert len(files) == len(blocks((ROOT / page).read_text(), "(?:python|ini)"))
        servers[page] = [command.split()[0] for command in commands if check_readme.SERVES.fullmatch(command)]
    assert servers["README.rst"] == ["uvicorn", "python", "PYTHONPATH=."]
    assert len(servers["docs/quickstart.rst"]) == 4


@pytest.mark.parametrize(
    "page",
    [
        "Words\n\n.. code-block:: python\n\n   import a\n",
        "Save ``a.py``:\n\n.. code-block:: python\n\n   import b\n",
        "Save ``a.py``:\n\n.. code-block:: js\n\n   b\n\n.. code-block:: sh\n\n   ls\n",
    ],
)
def test_the_check_refuses_blocks_that_it_would_not_run(page: str) -> None:
    """A block without a file name, or whose file no command uses, fails the check."""
    with pytest.raises(SystemExit):
        check_readme.parse(page)
