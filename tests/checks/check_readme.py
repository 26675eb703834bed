"""``python tests/checks/check_readme.py dist``: run the blocks of README and of the quickstart as a reader types them.

Each page gets a fresh virtual environment and an empty directory. Files are saved under the name in the paragraph
before their block. Commands run in one shell, in the order of the page, and pip installs the wheel of the directory. A
command that ends with ``# then open http://localhost:8000`` starts a server, which then has to count three visits.
Only the port is another one, because 8000 may be in use. ``make`` needs a checkout, and is left out.
"""

import http.client
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import venv
import zipfile

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ("README.rst", "docs/quickstart.rst")
BLOCK = re.compile(
    r"(?P<before>(?:^[^\s.].*\n)*)\n?^\.\. code-block:: (?P<language>\w+)\n\n(?P<block>(?:   .*\n|\n)+)", re.MULTILINE
)
NAME = re.compile(r"``(\w+\.(?:py|ini))``")
SERVES = re.compile(r"(.*\S) +# then open http://localhost:8000")
PATIENCE = 60  # seconds until a server answers


def parse(text: str) -> tuple[dict[str, str], list[str]]:
    """Return the files and the commands of a page.

    :raises SystemExit: for a block in another language, without a name, or that no command or other file uses.
    """
    files: dict[str, str] = {}
    commands: list[str] = []
    for before, language, indented in BLOCK.findall(text):
        block = textwrap.dedent(indented).strip() + "\n"
        names = NAME.findall(before)
        if language == "sh":
            commands += [line for line in block.splitlines() if not line.startswith("make ")]
        elif names:
            files[names[-1]] = block
        else:
            raise SystemExit(f"a {language} block: the paragraph before it names no file. Write: Save this as ``a.py``")
    users = "\n".join((*commands, *files.values()))
    unused = [name for name in files if not re.search(rf"\b{pathlib.Path(name).stem}\b", users)]
    if unused or text.count(".. code-block::") != len(BLOCK.findall(text)):
        raise SystemExit(f"blocks that no command runs, or after no paragraph: {unused}")
    return files, commands


def script(commands: list[str], port: int) -> str:
    """Return the commands as a shell script. A server is visited, then ended."""
    lines = ["set -euo pipefail"]
    for command in commands:
        if server := SERVES.fullmatch(command):
            visit = f"'{sys.executable}' '{__file__}' --visit {port} $server"
            lines += [f"{server[1]} & server=$!", f"{visit} || {{ kill $server; exit 1; }}"]
            lines += ["kill $server; wait $server || true"]
        else:
            lines.append(command)
    return "\n".join(lines)


def start(page: str, wheel: pathlib.Path, directory: pathlib.Path) -> "subprocess.Popen[str]":
    """Start the commands of a page in an empty directory."""
    files, commands = parse((ROOT / page).read_text())
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    venv.create(directory / "environment", with_pip=True)
    (directory / "constraint.txt").write_text(f"sealedsession == {wheel.name.split('-')[1]}\n")
    work = directory / "work"
    work.mkdir()
    for name, block in files.items():
        (work / name).write_text(block.replace("8000", str(port)))
    ours = ("PYTHON", "SECRET_KEY", "SESSION_")  # the reader's shell has none of them
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
        "PATH": f"{directory / 'environment' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_CONSTRAINT": str(directory / "constraint.txt"),
        "PIP_FIND_LINKS": wheel.parent.resolve().as_uri(),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_QUIET": "1",
        "UVICORN_PORT": str(port),
        "GUNICORN_CMD_ARGS": f"--bind localhost:{port}",
    }
    output = (directory / "output").open("w")
    command = ["bash", "-c", script(commands, port)]
    return subprocess.Popen(command, cwd=work, env=variables, stdout=output, stderr=output, text=True)


def is_installed(wheel: pathlib.Path, environment: pathlib.Path) -> bool:
    """Return whether the package in the environment is that of the wheel, and not one from an index."""
    [record] = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/RECORD"))
    expected = zipfile.ZipFile(wheel).read(record).decode().splitlines()
    [installed] = environment.glob(f"lib/python*/site-packages/{record}")
    lines = [line for line in expected if not line.startswith(record)]
    return set(lines) <= set(installed.read_text().splitlines())


def visit(port: int, server: int) -> None:
    """Visit a server three times, as a browser that keeps its cookie.

    :param server: its process id.
    :raises SystemExit: unless the server counts the visits.
    """
    cookie, seen = "", []
    end = time.monotonic() + PATIENCE
    while len(seen) < 3:
        connection = http.client.HTTPConnection("localhost", port, timeout=PATIENCE)
        try:
            connection.request("GET", "/", headers={"Cookie": cookie})
            response = connection.getresponse()
            seen += re.findall(r'visits"?: *(\d+)', body := response.read().decode())
        except ConnectionRefusedError:
            if time.monotonic() > end or not is_running(server):
                raise SystemExit("the server does not answer, or has ended") from None
            time.sleep(0.1)
            continue
        finally:
            connection.close()
        if response.status != 200:
            raise SystemExit(f"the server answers with {response.status}: {body}")
        cookie = response.getheader("Set-Cookie", cookie).partition(";")[0]
    if seen != ["1", "2", "3"]:
        raise SystemExit(f"the server counts {', '.join(seen)} instead of 1, 2, 3: the session is lost")


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def main(dist: pathlib.Path) -> int:
    [wheel] = dist.glob("*.whl")
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        directories = {page: pathlib.Path(name) / str(number) for number, page in enumerate(PAGES)}
        for directory in directories.values():
            directory.mkdir()
        running = {page: start(page, wheel, directory) for page, directory in directories.items()}
        for page, process in running.items():
            if process.wait() or not is_installed(wheel, directories[page] / "environment"):
                failed += 1
                print(f"{page}: its blocks do not run as they are typed\n{(directories[page] / 'output').read_text()}")
    return int(failed > 0)


if __name__ == "__main__":
    if sys.argv[1] == "--visit":
        visit(int(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.exit(main(pathlib.Path(sys.argv[1])))
