"""Error trackers record the local variables of an error's frames, and find neither this package's frames nor a key."""

import json
import logging
import os
from dataclasses import replace
from hashlib import sha256
from traceback import walk_tb

import pytest

from sealedsession import asgi, cli, wsgi
from sealedsession.config import SessionConfig
from sealedsession.errors import ConfigError
from sealedsession.paste import filter_app_factory, filter_factory
from sealedsession.sealing.keyring_file import KeyringFile
from sealedsession.sealing.keys import Keyring
from sealedsession.state.sealer import StateSealer

KEY, KEY_2, KEY_3 = (sha256(b"frames %d" % number).hexdigest() for number in range(3))
KEYS = {"validate_key": KEY, "encrypt_key": KEY_2}
KEYRING = {"version": 1, "keys": [{"id": "k1", "state": "primary", **KEYS}]}


def wsgi_app(environ, start_response):
    return []


async def asgi_app(scope, receive, send):
    pass


def collect_errors(error):
    """An error, its causes and its contexts."""
    found, rest = [], [error]
    while rest:
        current = rest.pop()
        if current is not None and current not in found:
            found.append(current)
            rest += [current.__cause__, current.__context__]
    return found


def check_frames(error):
    """Assert that no frame is this package's, and that no frame but the test's and no error has a key."""
    frames = [frame for each in collect_errors(error) for frame, _ in walk_tb(each.__traceback__)]
    others = [frame for frame in frames if frame.f_globals is not globals()]
    assert [frame for frame in others if frame.f_globals["__name__"].startswith("sealedsession")] == []
    shown = repr([frame.f_locals for frame in others])
    shown += "".join(repr((each.args, vars(each), getattr(each, "object", None))) for each in collect_errors(error))
    assert not [key for key in (KEY, KEY_2, KEY_3) if key in shown]


def catch(function, *args, **kwargs):
    with pytest.raises((ConfigError, TypeError)) as caught:
        function(*args, **kwargs)
    return caught.value


ROUTES = {
    "SessionConfig": SessionConfig,
    "replace": lambda **options: replace(SessionConfig(**KEYS), **options),
    "from_mapping": lambda **options: SessionConfig.from_mapping(options),
    "WSGI": lambda **options: wsgi.SessionMiddleware(wsgi_app, **options),
    "ASGI": lambda **options: asgi.SessionMiddleware(asgi_app, **options),
    "Paste filter": lambda **options: filter_factory({f"session.{name}": value for name, value in options.items()}),
    "Paste filter app": lambda **options: filter_app_factory(wsgi_app, {}, **options),
    "StateSealer": StateSealer,
}
MISTAKES = {
    "unrelated option": {**KEYS, "leeway": "x"},
    "unknown option": {**KEYS, "leewy": 5},
    "weak second key": {**KEYS, "encrypt_key": "hunter2"},
    "weak first key": {**KEYS, "validate_key": "hunter2"},
    "damaged key": {**KEYS, "encrypt_key": KEY_3 + "x"},
    "key that is not UTF-8": {**KEYS, "encrypt_key": KEY_3 + "\ud800"},
    "key twice": {**KEYS, "encrypt_key": KEY},
    "keyring too": {**KEYS, "keyring": "file:keys.json"},
    "prefixed key": {**KEYS, "encrypt_key": f"env:{KEY_3}"},
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("route", [name for name in ROUTES if name != "replace"])
def test_no_frames_of_a_constructor(route, mistake):
    """An error of the options leaves no frame of this package and no key behind, whichever option is wrong."""
    check_frames(catch(ROUTES[route], **MISTAKES[mistake]))


@pytest.mark.parametrize("route", ["WSGI", "ASGI"])
def test_no_frames_for_a_wrong_application(route):
    """Nor does an error of the application that is wrapped, or of a config that is given with options."""
    middleware = {"WSGI": wsgi, "ASGI": asgi}[route].SessionMiddleware
    check_frames(catch(middleware, "application", **KEYS))
    check_frames(catch(middleware, {"WSGI": wsgi_app, "ASGI": asgi_app}[route], SessionConfig(**KEYS), leeway=5))


def test_no_frames_of_replace():
    """An error of dataclasses.replace has no frame of this package."""
    error = catch(replace, SessionConfig(**KEYS), leeway=-1)
    assert [frame for frame, _ in walk_tb(error.__traceback__) if "sealedsession" in frame.f_globals["__name__"]] == []


@pytest.mark.parametrize(
    "keys",
    [(KEY, "hunter2"), ([KEY, KEY_2], KEY_3), ([KEY, KEY_2, "x"],), (KEY, KEY), (KEY, 5), ([KEY, [KEY_2]],), ()],
)
def test_no_frames_of_a_keyring(keys):
    """Nor does an error of a Keyring, also for missing arguments."""
    check_frames(catch(Keyring, *keys))


@pytest.mark.parametrize("content", [f"{KEY_3} {KEY_3}", f"{KEY_3}=", "\ufeff" + KEY_3, f"{KEY_3}\n{KEY_3} x"])
def test_no_frames_of_a_source(content, tmp_path, monkeypatch):
    """Nor does an error about the content of a variable or of a key file."""
    monkeypatch.setenv("FRAMES_KEY", content)
    (tmp_path / "key").write_text(content)
    for source in ("env:FRAMES_KEY", f"file:{tmp_path / 'key'}"):
        check_frames(catch(Keyring, KEY, source))
        check_frames(catch(SessionConfig, validate_key=KEY, encrypt_key=source))


BROKEN = [
    json.dumps(KEYRING)[:-1],
    json.dumps({**KEYRING, KEY_3: 1}),
    json.dumps(KEYRING).replace(KEY_2, "hunter2"),
    json.dumps(KEYRING).replace("primary", "staged"),
    json.dumps(KEYRING).replace(KEY_2, KEY_2 + r"\ud800"),
    json.dumps(KEYRING) + "\xff",
]


@pytest.mark.parametrize("content", BROKEN)
def test_no_frames_of_a_keyring_file(content, tmp_path, monkeypatch):
    """Nor does an error about a JSON keyring, read by any route."""
    monkeypatch.setenv("FRAMES_KEYRING", content)
    path = tmp_path / "keys.json"
    path.write_bytes(content.encode("latin-1"))
    for source in ("env:FRAMES_KEYRING", f"file:{path}"):
        for function in (SessionConfig, StateSealer):
            check_frames(catch(function, keyring=source))


@pytest.mark.parametrize("content", BROKEN)
def test_no_frames_of_a_reload(content, tmp_path, caplog):
    """The error of a keyring that broke while it was in use is reported without frames of this package."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(KEYRING))
    path.chmod(0o600)
    reported = []
    config = SessionConfig(keyring=f"file:{path}")
    keyring = KeyringFile(str(path), reported.append)
    path.write_bytes(content.encode("latin-1"))
    os.utime(path, (1, 1))
    keyring.current(1)
    config.keys.current(1)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    for error in (*reported, *record.args):
        check_frames(error)


@pytest.mark.parametrize("content", BROKEN)
def test_no_frames_of_the_command_line(content, tmp_path, capsys):
    """The command line shows no key of a broken keyring."""
    path = tmp_path / "keys.json"
    path.write_bytes(content.encode("latin-1"))
    assert cli.main(["keyring", "list", str(path)]) == 1
    shown = capsys.readouterr()
    assert not [key for key in (KEY, KEY_2, KEY_3) if key in shown.out + shown.err]


def test_an_error_of_the_application_keeps_its_frames(tmp_path):
    """An error that a function of the application raises keeps the application's frames, and loses ours."""

    def broken_clock():
        raise LookupError("no clock")

    path = tmp_path / "keys.json"
    path.write_text(json.dumps(KEYRING))
    with pytest.raises(LookupError) as caught:
        StateSealer(keyring=f"file:{path}", clock=broken_clock)
    check_frames(caught.value)
    names = [frame.f_code.co_name for frame, _ in walk_tb(caught.value.__traceback__)]
    assert names == ["test_an_error_of_the_application_keeps_its_frames", "broken_clock"]
