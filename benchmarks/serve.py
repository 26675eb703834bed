"""Serve one application by a real server: ``python serve.py gunicorn|waitress|uvicorn MIDDLEWARE PORT``.

The path chooses the action on the session: /untouched, /read, /write, or /sign-in to fill it.
"""

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import interfaces
import peer_middleware
from peers import OURS, REFERENCE

CACHED = f"{OURS}, token_cache"

WSGI: peer_middleware.Makers = {
    OURS: peer_middleware.ours_wsgi,
    CACHED: partial(peer_middleware.ours_wsgi, token_cache=peer_middleware.KEPT),
    REFERENCE: peer_middleware.prototype_wsgi,
    "Beaker, encrypted": peer_middleware.beaker_encrypted,
    "Beaker, signed": peer_middleware.beaker_signed,
}
ASGI: peer_middleware.Makers = {
    OURS: peer_middleware.ours_asgi,
    CACHED: partial(peer_middleware.ours_asgi, token_cache=peer_middleware.KEPT),
    REFERENCE: peer_middleware.prototype_asgi,
    "Starlette, signed": peer_middleware.starlette_signed,
    "asgi-sessions, encrypted": peer_middleware.asgi_sessions,
}
MAKERS = {"gunicorn": WSGI, "waitress": WSGI, "uvicorn": ASGI}
BARE = "bare"


def make_application(server: str, name: str) -> Any:
    """Return the application to serve: bare, or with the named middleware around each path."""
    is_wsgi = MAKERS[server] is WSGI
    if name == BARE:
        return interfaces.wsgi_bare if is_wsgi else interfaces.asgi_bare
    middleware = MAKERS[server][name]()
    applications = {f"/{path}": middleware.build(action) for path, action in interfaces.ACTIONS.items()}
    applications["/sign-in"] = middleware.build(interfaces.sign_in)
    return _by_path_info(applications) if is_wsgi else _by_path(applications)


def _by_path_info(applications: dict[str, Any]) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        return applications[environ["PATH_INFO"]](environ, start_response)

    return application


def _by_path(applications: dict[str, Any]) -> Callable[..., Any]:
    # A coroutine function: by that, servers distinguish ASGI 3 from ASGI 2.
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await applications[scope["path"]](scope, receive, send)

    return application


def _gunicorn(application: Any, port: int) -> None:
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):
        def load_config(self) -> None:
            options = {"bind": f"127.0.0.1:{port}", "worker_class": "gthread", "threads": 1, "keepalive": 30}
            for name, value in {**options, "loglevel": "error"}.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return application

    Server().run()


def _waitress(application: Any, port: int) -> None:
    import waitress

    # It logs a warning for each request that waits for the only thread. Logging would be measured too.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(application, host="127.0.0.1", port=port, threads=1, _quiet=True)


def _uvicorn(application: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(
        application, port=port, loop="uvloop", http="httptools", access_log=False, log_level="error", lifespan="off",
        interface="asgi3",
    )  # fmt: skip


if __name__ == "__main__":
    server, name, port = sys.argv[1:]
    {"gunicorn": _gunicorn, "waitress": _waitress, "uvicorn": _uvicorn}[server](
        make_application(server, name), int(port)
    )
