"""The command ``sealedsession``, which is also ``python -m sealedsession``.

No argument is a key, because every user of the machine can see arguments. Only ``keygen`` prints keys. The exit status
is 0 for success, 1 if a step was refused or failed, and 2 for wrong usage.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Sequence

from sealedsession.errors import ConfigError, without_own_frames
from sealedsession.sealing import rotation
from sealedsession.sealing.key_rules import KEY_BYTES
from sealedsession.sealing.keyring_file import StoredKey, parse, read_file, utc

_MAX_SECONDS = 10**10  # about 300 years, so that all resulting times are valid dates


@without_own_frames
def main(
    arguments: Sequence[str] | None = None,
    *,
    clock: Callable[[], float] = time.time,
    random_text: Callable[[int], str] = secrets.token_urlsafe,
) -> int:
    """Run the command.

    :param arguments: the arguments after the program's name, or None for those of the process.
    :param clock: a function that returns the time in seconds since 1970.
    :param random_text: a function that returns the given number of random bytes, encoded as text.
    :returns: the exit status, 0 or 1.
    :raises SystemExit: with status 2, if the arguments are wrong.
    """
    options = _make_parser().parse_args(arguments)
    try:
        print(_run(options, int(clock()), random_text))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, now: int, random_text: Callable[[int], str]) -> str:
    if options.command == "keygen":
        return random_text(KEY_BYTES)
    if options.step == "list":
        return _render_table(options.file, now, options.reload_interval, options.absolute_timeout)
    if options.step == "init":
        keys, message = rotation.init(options.id, now, random_text, signed_only=options.signed_only)
        rotation.create(options.file, keys)
        return message
    steps: dict[str, Callable[[list[StoredKey]], rotation.Step]] = {
        "add": lambda keys: rotation.add(keys, options.id, now, random_text),
        "promote": lambda keys: rotation.promote(keys, options.id, now, options.reload_interval, force=options.force),
        "retire": lambda keys: rotation.retire(keys, options.id, now, options.absolute_timeout, force=options.force),
    }
    return rotation.edit(options.file, steps[options.step])


def _render_table(path: str, now: int, reload_interval: int, absolute_timeout: int) -> str:
    content, _ = read_file(path, f"keyring {path!r}")
    rows = [("ID", "KEY ID", "STATE", "SINCE", "NEXT")]
    for key in parse(content, f"keyring {path!r}"):
        since = "unknown" if key.since is None else utc(key.since)
        step = rotation.next_step(key, now, reload_interval, absolute_timeout)
        rows.append((key.id, key.pair.key_id.hex(), key.pair.state, since, step))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sealedsession", description="Tools for sealed sessions.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keygen", help="print one new key, for validate_key or encrypt_key")
    keyring = commands.add_parser("keyring", help="create a keyring, and rotate its keys")
    steps = keyring.add_subparsers(dest="step", required=True)

    init = steps.add_parser("init", help="create a keyring with one primary key")
    init.add_argument("--signed-only", action="store_true", help="make no encrypt_key; clients can read sessions")
    add = steps.add_parser("add", help="add a staged key, which is accepted but does not seal yet")
    promote = steps.add_parser("promote", help="make a staged key primary and the primary key a fallback, or undo this")
    retire = steps.add_parser("retire", help="remove a fallback key whose sessions have ended, or a staged key")
    listing = steps.add_parser("list", help="show the state and the next step of each key, but not the keys")

    for step in (init, add, promote, retire, listing):
        step.add_argument("file", metavar="FILE", help="the file of the keyring")
    for step in (init, add):
        step.add_argument("--id", metavar="NAME", help="the id of the new key (default: the key id that logs show)")
    for step in (promote, retire):
        step.add_argument("id", metavar="ID", nargs="?", help="the id of the key; required if there are several")
        step.add_argument("--force", action="store_true", help="do this even if sessions may be lost")
    for step in (promote, listing):
        step.add_argument(
            "--reload-interval", metavar="SECONDS", type=_seconds, default=rotation.RELOAD_INTERVAL,
            help="the time until every server has read a changed file (default: %(default)s)",
        )  # fmt: skip
    for step in (retire, listing):
        step.add_argument(
            "--absolute-timeout", metavar="SECONDS", type=_seconds, default=rotation.ABSOLUTE_TIMEOUT,
            help="the longest life of a session (default: %(default)s)",
        )  # fmt: skip
    return parser


def _seconds(text: str) -> int:
    number = int(text)
    if not 0 <= number <= _MAX_SECONDS:
        raise ValueError
    return number


_seconds.__name__ = "number of seconds"  # argparse uses the name in error messages
