"""Serve the demo with the standard library's server: ``python examples/demo``."""

import argparse
import errno
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from app import make_app

# Over plain http, browsers keep a Secure cookie only from this machine. All of them accept the name "localhost".
LOCAL_HOSTS = ("127.0.0.1", "0.0.0.0", "localhost", "")  # noqa: S104


class Server(ThreadingMixIn, WSGIServer):
    """A server with a thread for each connection, because browsers keep unused connections open."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Print the error, unless the browser has closed the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class QuietHandler(WSGIRequestHandler):
    """A handler that prints errors but not requests."""

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Print nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python examples/demo", description="A session, sealed in one cookie.")
    parser.add_argument("--port", type=port, default=8000, help="0 selects any free port (default: %(default)s)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="browsers keep the cookie on this machine only (default: %(default)s)"
    )
    options = parser.parse_args()
    try:
        server = make_server(options.host, options.port, make_app(), server_class=Server, handler_class=QuietHandler)
    except OSError as error:
        sys.exit(explanation(error, options.host, options.port))
    with server:
        host = "localhost" if options.host in LOCAL_HOSTS else options.host
        print(f"The demo runs at http://{host}:{server.server_port}/ until Ctrl-C is pressed.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number}: it must be 0 to 65535")
    return number


def explanation(error: OSError, host: str, number: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {number} is in use. Choose another one with --port, such as --port {number % 65535 + 1}."
    return f"Cannot listen on {host}, port {number}: {error.strerror}. Choose others with --host and --port."


if __name__ == "__main__":
    main()
