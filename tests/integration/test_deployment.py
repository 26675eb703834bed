"""The commands of docs/operations/deployment.rst: each server believes the proxy, and some believe nobody else."""

import shlex
from pathlib import Path

import httpx
import pytest

from tests.support.pages import PAGES, block_with, blocks, section
from tests.support.servers import running

PAGE = PAGES["operations/deployment"]
APPLICATIONS = """
from sealedsession import SessionConfig
from sealedsession.asgi import SessionMiddleware as InAsgi
from sealedsession.wsgi import SessionMiddleware as InWsgi


def wsgi(environ, start_response):
    environ["sealedsession.session"]["seen"] = True
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.url_scheme"].encode()]


async def asgi(scope, receive, send):
    scope["session"]["seen"] = True
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


config = SessionConfig(validate_key="env:SESSION_VALIDATE_KEY", encrypt_key="env:SESSION_ENCRYPT_KEY")
application = {interface}
"""


SERVERS = ["gunicorn", "uvicorn", "waitress"]


# Hypercorn believes every client, as the page says.
@pytest.mark.parametrize(
    ("server", "proxy"), [*((server, proxy) for server in SERVERS for proxy in ("127.0.0.1", "192.0.2.1")),
                          ("Hypercorn", "127.0.0.1")],
)  # fmt: skip
def test_a_server_believes_the_proxy(server: str, proxy: str, tmp_path: Path, keys: dict[str, str]) -> None:
    """With the page's flag, the scheme is https and no warning is logged if the header comes from the proxy only."""
    part = section(PAGE, server)
    (command,) = blocks(part, "sh")
    (tmp_path / "visits.py").write_text(APPLICATIONS.replace("{interface}", "InWsgi(wsgi, config=config)"))
    (tmp_path / "visits_asgi.py").write_text(APPLICATIONS.replace("{interface}", "InAsgi(asgi, config=config)"))
    if server == "Hypercorn":
        code = PAGE.split(":caption: behind_proxy.py\n")[1]
        (tmp_path / "behind_proxy.py").write_text(block_with(".. code-block:: python\n" + code, "ProxyFixMiddleware"))
    name, *words = shlex.split(command.replace("\\\n", " ").replace(":8000", ":{port}").replace(" 8000", " {port}"))
    words = [proxy if word == "127.0.0.1" else word for word in words]
    module = {"waitress-serve": "waitress"}.get(name, name)
    env = {f"SESSION_{option.upper()}": key for option, key in keys.items()}
    with running(module, *words, cwd=tmp_path, directory=tmp_path, env=env) as port:
        headers = {"X-Forwarded-Proto": "https", "Host": "example.org"}
        answer = httpx.get(f"http://127.0.0.1:{port}/", headers=headers)
    believed = proxy == "127.0.0.1"
    assert answer.text == ("https" if believed else "http")
    assert "__Host-Http-session" in answer.headers["Set-Cookie"]
    assert ("over plain http" not in (tmp_path / "log").read_text()) == believed
