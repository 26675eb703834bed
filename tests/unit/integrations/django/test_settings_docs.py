"""The section on settings and middleware in docs/howto/django.rst: its project runs, its tables match the code."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import get_args

import pytest

from sealedsession.errors import NotPublicError, Reason, StaleStateError, StateError, UnsealError
from sealedsession.integrations.django import apps, shortcuts
from sealedsession.state.middleware import response_to
from tests.support import ROOT
from tests.support.pages import block_with, blocks, literals, rows, section

SECTION = section((ROOT / "docs" / "howto" / "django.rst").read_text(), "Settings and middleware")

# Visits the page, calls it twice as its script does, and prints the results and the audited events.
VISIT = """
import re, webtest, mysite.wsgi

browser = webtest.TestApp(mysite.wsgi.application, extra_environ={"wsgi.url_scheme": "https"})
browser.extra_environ["HTTP_HOST"] = "localhost"
page = browser.get("/")
find = lambda pattern: re.search(pattern, page.text)[1]
token, url = find('state="([^"]+)"'), find('url="([^"]+)"')
headers = {"X-CSRFToken": find('content="([^"]+)"'), "Referer": "https://localhost/"}
assert find('from "([^"]+)"') == "/static/sealedsession/sealed_state.js"
for _ in range(2):
    answer = browser.post_json(url, {"token": token, "method": "add", "args": []}, headers=headers).json
    token = answer["token"]
    print(answer["result"])
print(browser.post_json(url, {"token": token, "method": "gone", "args": []}, headers=headers, status=403).json)
import shop.audit
print(shop.audit.kinds[:2])
"""


@pytest.mark.parametrize("session_id", ["django", "sealedsession"])
def test_the_project_counts(session_id: str, tmp_path: Path, keys: dict[str, str]) -> None:
    """The project of the section counts as it is typed, with Django's session and with the one around the application.

    Where the page has ``...``, that is what startproject has put there.
    """
    captioned = re.findall(r"^\.\. code-block:: .+\n   :caption: (.+)\n\n((?:   .*\n|\n)+)", SECTION, re.MULTILINE)
    files = {name: textwrap.dedent(code) for name, code in captioned}
    assert len(files) == len(captioned) == 7
    own = re.sub(r"^(\w+) = \[\n    \.\.\.,$", r"\1 = [\n    *\1,", files.pop("mysite/settings.py"), flags=re.MULTILINE)
    assert "..." not in own
    own += block_with(SECTION, "SEALEDSESSION").replace('"django"', f'"{session_id}"')
    if session_id == "django":
        del files["mysite/wsgi.py"]  # startproject has made one
    files["shop/audit.py"] = "kinds = []\ndef note(event):\n    kinds.append(event.kind)\n"
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    env |= {f"SESSION_{option.upper()}": key for option, key in keys.items()} | {"PYTHONPATH": str(ROOT)}
    env["SECRET_KEY"] = keys["validate_key"]

    def run(directory: Path, *words: str) -> str:
        done = subprocess.run([sys.executable, *words], cwd=directory, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    made, started = (block.strip().splitlines() for block in blocks(SECTION, "sh"))
    install, startproject, change, startapp, export = made
    assert export == "export SECRET_KEY=$(python -m sealedsession keygen)"
    assert (install, change) == ("pip install 'sealedsession[django]'", "cd mysite")
    project = tmp_path / "mysite"
    run(tmp_path, "-m", "django", *startproject.removeprefix("django-admin ").split())
    run(project, *startapp.removeprefix("python ").split())
    with (project / "mysite" / "settings.py").open("a") as settings:
        settings.write(own)
    for name, content in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)
    migrate, runserver = started
    assert runserver == "python manage.py runserver"
    run(project, *migrate.removeprefix("python ").split())
    run(project, "manage.py", "check", "--fail-level", "WARNING")
    assert run(project, "-c", VISIT).splitlines() == [
        "1",
        "2",
        "{'error': {'code': 'NotPublic', 'message': 'There is no such public method.'}}",
        "['sealed', 'opened']",
    ]


def test_the_table_of_checks() -> None:
    """The table has the system checks of the code, with the same ids."""
    source = Path(apps.__file__).read_text()
    used = re.findall(r'id="(sealedsession\.[EW]\d+)"', source)
    assert len(set(used)) == len(used)
    described = [literals(name)[0] for name, *_ in rows(section(SECTION, "Settings")) if "sealedsession." in name]
    assert described == re.findall(r"^(sealedsession\.[EW]\d+)  ", source, re.MULTILINE) == sorted(used)


def test_the_table_of_errors() -> None:
    """The table has the status and code of every error."""
    errors = [row for row in rows(section(SECTION, "Errors")) if row[1].isdigit()]
    table = {tuple(literals(error)): (int(status), *literals(code)) for error, status, code, _ in errors}
    others = table.pop(("UnsealError",))
    for kind in (StaleStateError, NotPublicError, StateError):
        assert answer_to(kind("")) == table.pop((kind.__name__,))
    for reason in {*get_args(Reason)} - {"expired_absolute", "revoked", "store_error"}:  # these occur only in sessions
        assert answer_to(UnsealError(reason, "")) == table.pop(("UnsealError", reason), others)
    assert not table


def answer_to(error: StateError | UnsealError) -> tuple[int, str]:
    status, body = response_to(error)
    return status, re.findall(rb'"code": "(\w+)"', body)[0].decode()


def test_the_shortcuts() -> None:
    """The section describes every shortcut."""
    text = section(SECTION, "In views")
    own = (shortcuts.__name__, shortcuts.register.__module__)
    functions = {name for name, thing in vars(shortcuts).items() if getattr(thing, "__module__", None) in own}
    public = {name for name in functions if not name.startswith("_")}
    assert public == {
        "seal",
        "unseal",
        "resume",
        "handle",
        "register",
        "get_session_id",
        "ensure_session_id",
        "get_username",
    }
    assert public <= set(re.findall(r"``(\w+)", text))
