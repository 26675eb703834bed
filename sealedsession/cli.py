"""The command line: ``python -m sealedsession``."""

import argparse
import secrets
from collections.abc import Sequence

from sealedsession.keys import KEY_BYTES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    :param arguments: the words after the program's name; None means those of the process.
    :returns: the exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m sealedsession", description="Tools for sealed sessions.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keygen", help="print one new key, for validate_key or encrypt_key")
    parser.parse_args(arguments)
    print(secrets.token_urlsafe(KEY_BYTES))
    return 0
