"""The settings: derived keys, options, system checks, and the static file."""

import hashlib
import hmac
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb
from typing import Any

import pytest
from django.apps import apps
from django.contrib.staticfiles import finders
from django.core import checks
from django.core.management import call_command
from django.templatetags.static import static
from django.test import modify_settings, override_settings
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter

from sealedsession import default_registry
from sealedsession.errors import ConfigError, NotSerializableError, UnsealError
from sealedsession.events import Event
from sealedsession.integrations.django import conf
from sealedsession.integrations.django.apps import MIDDLEWARE
from sealedsession.integrations.django.conf import get_state_sealer, register
from sealedsession.state.resumable import Resumable
from sealedsession.state.sealer import SCRIPT, StateSealer
from tests.support import ROOT
from tests.support.forks import in_fork

SECRET = "kq8mX2vRzL0tYc7nWb5sJd1hGf4pQe9aUi6oT3rE-_wZxCvBnM"
OTHER_SECRET = "uR6yTq1Lb-Zo4XkM0cWnE7_hVd3fJt9gSa5iPw2eKzYxGvQj8C"
SESSION_ID = "session"

events: list[Event] = []


@pytest.fixture(autouse=True)
def project() -> Iterator[None]:
    """Configure a project with valid settings."""
    events.clear()
    with override_settings(SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS=[], SEALEDSESSION={}, MIDDLEWARE=[MIDDLEWARE]):
        yield


@pytest.fixture
def classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the classes that a test registers."""
    monkeypatch.setattr(conf, "_classes", dict(conf._classes))
    monkeypatch.setattr(conf, "_sealer", None)


def faults() -> list[tuple[str, str]]:
    """Return ids and messages of the system check."""
    return [(fault.id, fault.msg) for fault in checks.run_checks(tags=["sealedsession"])]


def opens(token: str) -> bool:
    try:
        return bool(get_state_sealer().unseal(token, session_id=SESSION_ID) == "state")
    except UnsealError as error:
        return error.reason not in ("unknown_key", "bad_signature")


def hkdf(secret: str, label: str) -> bytes:
    """Compute 32 bytes of HKDF-SHA256 (RFC 5869), independently of the package."""
    prk = hmac.digest(bytes(32), secret.encode(), hashlib.sha256)
    return hmac.digest(prk, label.encode() + b"\1", hashlib.sha256)


def test_keys_are_made_of_the_secrets() -> None:
    """Each secret gives two independent keys by HKDF with fixed labels, the current secret first. Other versions must
    derive the same keys.
    """
    with override_settings(SECRET_KEY_FALLBACKS=[OTHER_SECRET]):
        keys = conf.state_keys({})
    assert keys == {
        option: [hkdf(secret, f"sealedsession django v1 {option}") for secret in (SECRET, OTHER_SECRET)]
        for option in ("validate_key", "encrypt_key")
    }
    token = get_state_sealer().seal("state", session_id=SESSION_ID)
    own = StateSealer(**{option: both[0] for option, both in keys.items()})
    assert own.unseal(token, session_id=SESSION_ID) == "state"


def test_rotation() -> None:
    """A token opens while its secret is a fallback, and not afterwards."""
    token = get_state_sealer().seal("state", session_id=SESSION_ID)
    with override_settings(SECRET_KEY=OTHER_SECRET, SECRET_KEY_FALLBACKS=[SECRET]):
        assert opens(token)
        new = get_state_sealer().seal("state", session_id=SESSION_ID)
    with override_settings(SECRET_KEY=OTHER_SECRET):
        assert not opens(token)
        assert opens(new)
    assert not opens(new)


@pytest.mark.parametrize("again", [SECRET, SECRET.encode()], ids=["str", "bytes"])
def test_a_secret_that_is_a_fallback_too(again: str | bytes) -> None:
    """The current secret may be a fallback, too. bytes and str are equivalent."""
    token = get_state_sealer().seal("state", session_id=SESSION_ID)
    with override_settings(SECRET_KEY_FALLBACKS=[again]):
        assert opens(token)
    with override_settings(SECRET_KEY=again):
        assert opens(token)


@pytest.mark.parametrize("secret", ["short-secret", "0123456789abcdef" * 2, "abc" * 20, b"\0" * 50])
@pytest.mark.parametrize("setting", ["SECRET_KEY", "SECRET_KEY_FALLBACKS[0]"])
def test_weak_secrets_are_refused(setting: str, secret: str) -> None:
    """A weak secret is refused with its name and both remedies, and without its content."""
    weak: dict[str, Any] = {"SECRET_KEY": secret} if setting == "SECRET_KEY" else {"SECRET_KEY_FALLBACKS": [secret]}
    with override_settings(**weak):
        with pytest.raises(ConfigError) as caught:
            get_state_sealer()
        assert faults() == [("sealedsession.E002", str(caught.value))]
    message = str(caught.value)
    assert message.startswith(f"{setting}: ")
    assert str(secret) not in message
    assert "python -m sealedsession keygen" in message
    assert 'validate_key and encrypt_key in SEALEDSESSION["STATE"]' in message


def test_no_secret() -> None:
    """Without SECRET_KEY, the check reports Django's error."""
    with override_settings(SECRET_KEY=""):
        ((number, message),) = faults()
    assert number == "sealedsession.E002"
    assert "SECRET_KEY" in message


def test_explicit_keys(keys: dict[str, str], other_keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the settings replace the secrets: one key, a list, or a name."""
    monkeypatch.setenv("TEST_VALIDATE_KEY", keys["validate_key"])
    token = StateSealer(**keys).seal("state", session_id=SESSION_ID)
    named = {**keys, "validate_key": "env:TEST_VALIDATE_KEY"}
    both = {option: [other_keys[option], keys[option]] for option in keys}
    for options in (keys, named, both):
        with override_settings(SECRET_KEY="short", SEALEDSESSION={"STATE": options}):
            assert faults() == []
            assert opens(token)


def test_options() -> None:
    """The entries of STATE are options of the sealer. Functions can be dotted names."""
    options = {"max_age": 100, "max_size": 300, "clock": f"{__name__}.clock", "on_event": f"{__name__}.note"}
    with override_settings(SEALEDSESSION={"STATE": options}):
        assert faults() == []
        token = get_state_sealer().seal("state", session_id=SESSION_ID)
        assert opens(token)
    with (
        override_settings(SEALEDSESSION={"STATE": {**options, "clock": lambda: clock() + 161}}),
        pytest.raises(UnsealError) as caught,
    ):
        get_state_sealer().unseal(token, session_id=SESSION_ID)
    assert caught.value.reason == "expired_idle"
    assert [event.kind for event in events] == ["sealed", "opened", "rejected"]


def test_the_registry() -> None:
    """Tokens hold Django's values, unless the settings have another registry."""
    safe = mark_safe("<b>bold</b>")
    token = get_state_sealer().seal(safe, session_id=SESSION_ID)
    assert isinstance(get_state_sealer().unseal(token, session_id=SESSION_ID), SafeString)
    for other in (default_registry, "sealedsession.default_registry"):
        with (
            override_settings(SEALEDSESSION={"STATE": {"registry": other}}),
            pytest.raises(NotSerializableError, match="SafeString"),
        ):
            get_state_sealer().seal(safe, session_id=SESSION_ID)


def clock() -> float:
    return 1_800_000_000.0


def note(event: Event) -> None:
    events.append(event)


@pytest.mark.parametrize(
    ("sealedsession", "number", "words"),
    [
        ([], "E001", ["SEALEDSESSION: must be a dict", "got a list"]),
        ({"STATES": {}}, "E001", ["SEALEDSESSION: unknown entry", "'STATES'", "Did you mean 'STATE'?"]),
        (
            {"max_age": 1},
            "E001",
            ["SEALEDSESSION: unknown entry", "'max_age'", "Known entries: SESSION, SESSION_ID, STATE"],
        ),
        ({"STATE": 3600}, "E001", ['SEALEDSESSION["STATE"]: must be a dict', "got an int"]),
        ({"STATE": {"MAX_AGE": 1}}, "E001", ['SEALEDSESSION["STATE"]', "'MAX_AGE'", "Did you mean 'max_age'?"]),
        ({"STATE": {1: 1}}, "E001", ["unknown entry 1", "Known entries: validate_key, encrypt_key, keyring"]),
        ({"STATE": {"on_event": "nowhere.note"}}, "E001", ["on_event", "'nowhere.note'", "cannot be imported"]),
        ({"SESSION_ID": "cookie"}, "E001", ['SEALEDSESSION["SESSION_ID"]', '"django" or "sealedsession"']),
        ({"SESSION_ID": ["django"]}, "E001", ['SEALEDSESSION["SESSION_ID"]']),
        ({"STATE": {"validate_key": "v" * 40}}, "E002", ['SEALEDSESSION["STATE"]: ', "encrypt_key: missing"]),
        (
            {"STATE": {"validate_key": "v", "encrypt_key": "e"}},
            "E002",
            ["STATE", "validate_key: a key of 32 bytes has at least 43 characters, got 1"],
        ),
        ({"STATE": {"keyring": "env:NOT_SET"}}, "E002", ["STATE", "NOT_SET"]),
        ({"STATE": {"max_age": "3600"}}, "E003", ['SEALEDSESSION["STATE"]: max_age: must be an int']),
        ({"STATE": {"max_size": 10**9}}, "E003", ["max_size"]),
        ({"STATE": {"compress": None}}, "E003", ["compress"]),
        ({"STATE": {"registry": dict}}, "E003", ["registry"]),
    ],
    ids=str,
)
def test_mistakes(sealedsession: Any, number: str, words: list[str]) -> None:
    """Every mistake is one error of the system check with a stable id, and the same error at first use."""
    with override_settings(SEALEDSESSION=sealedsession):
        ((found, message),) = faults()
        assert found == f"sealedsession.{number}"
        for word in words:
            assert word in message
        used = conf.uses_django_sessions if "SESSION_ID" in sealedsession else get_state_sealer
        with pytest.raises(ConfigError) as caught:
            used()
        assert str(caught.value) == message


def test_no_mistakes() -> None:
    """Empty settings have no errors, with each kind of session."""
    assert faults() == []
    with override_settings(SEALEDSESSION={"SESSION_ID": "sealedsession", "STATE": {}}):
        assert faults() == []


def test_the_example_has_no_mistakes() -> None:
    """examples/django_todo passes the system check."""
    example = ROOT / "examples" / "django_todo"
    command = [sys.executable, "manage.py", "check", "--fail-level", "WARNING"]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings"}
    run = subprocess.run(command, cwd=example, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "no issues" in run.stdout


def test_missing_middleware() -> None:
    """A missing middleware is a warning."""
    with override_settings(MIDDLEWARE=[]):
        ((number, message),) = faults()
    assert number == "sealedsession.W001"
    assert MIDDLEWARE in message


def test_sessions_in_signed_cookies() -> None:
    """The engine signed_cookies is refused if state belongs to Django's sessions."""
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
        ((number, message),) = faults()
        assert number == "sealedsession.E004"
        assert "SESSION_ENGINE" in message
        with override_settings(SEALEDSESSION={"SESSION_ID": "sealedsession"}):
            assert faults() == []


def test_the_sealer_is_made_once() -> None:
    """The sealer is made once, and again when one of its settings changes."""
    sealer = get_state_sealer()
    with override_settings(TIME_ZONE="UTC", DEBUG=True):
        assert get_state_sealer() is sealer
    with override_settings(SEALEDSESSION={"STATE": {"max_age": 1}}):
        other = get_state_sealer()
        assert other is not sealer
        assert get_state_sealer() is other
    assert get_state_sealer() is not other


STATE_KEYS = {"validate_key": OTHER_SECRET, "encrypt_key": OTHER_SECRET[::-1]}
IN_REQUESTS: dict[str, dict[str, Any]] = {
    "weak fallback": {"SECRET_KEY_FALLBACKS": [OTHER_SECRET, "short"]},
    "weak key in a list": {
        "SEALEDSESSION": {
            "STATE": {**STATE_KEYS, "validate_key": [OTHER_SECRET, "short"], "encrypt_key": [SECRET, "x"]}
        }
    },
    "wrong option": {"SEALEDSESSION": {"STATE": {**STATE_KEYS, "max_age": "x"}}},
    "unknown option": {"SEALEDSESSION": {"STATE": {**STATE_KEYS, "max_ages": 1}}},
    "what cannot be imported": {"SEALEDSESSION": {"STATE": {**STATE_KEYS, "clock": "nowhere.clock"}}},
    "what fails when it is imported": {"SEALEDSESSION": {"STATE": {**STATE_KEYS, "clock": "broken_clock.clock"}}},
}


@pytest.mark.parametrize("name", IN_REQUESTS)
def test_errors_show_no_keys(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's debug page shows no keys. Frames of the application remain."""
    (tmp_path / "broken_clock.py").write_text("raise LookupError('no clock')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with override_settings(**IN_REQUESTS[name], DEBUG=True):
        with pytest.raises((ConfigError, LookupError)) as caught:
            get_state_sealer()
        page = ExceptionReporter(None, caught.type, caught.value, caught.tb).get_traceback_html()
    error: BaseException | None = caught.value
    frames = []
    while error is not None:
        frames += [frame for frame, _ in walk_tb(error.__traceback__) if frame.f_globals is not globals()]
        error = error.__cause__ or error.__context__
    for key in (SECRET, *STATE_KEYS.values()):
        assert not any(key in text for text in (page, *(repr(frame.f_locals) for frame in frames)))
    assert any("broken_clock" in frame.f_code.co_filename for frame in frames) == ("fails" in name)


@pytest.mark.usefixtures("classes")
def test_register() -> None:
    """A class can be registered before and after the sealer is made, and stays registered when settings change."""
    with override_settings(SECRET_KEY="short"):  # no key is derived yet

        @register
        class Early(Resumable):
            pass

    sealer = get_state_sealer()

    class Late(Resumable):
        pass

    assert register(Late, "late") is Late
    assert get_state_sealer() is sealer  # also for code that holds the sealer
    assert type(sealer.resume(sealer.seal(Late(), session_id=SESSION_ID), session_id=SESSION_ID)) is Late
    for cls in (Early, Late):
        token = get_state_sealer().seal(cls(), session_id=SESSION_ID)
        with override_settings(SEALEDSESSION={"STATE": {"max_age": 60}}):
            assert type(get_state_sealer().resume(token, session_id=SESSION_ID)) is cls


@pytest.mark.usefixtures("classes")
def test_register_mistakes() -> None:
    """Registering a class or a code twice is an error, and so is registering another class."""

    class Thing(Resumable):
        pass

    class Other(Resumable):
        pass

    register(Thing, "thing")
    for cls, code in ((Thing, "thing"), (Thing, "other"), (Other, "thing")):
        with pytest.raises(ConfigError, match=r"^register: "):
            register(cls, code)
    with pytest.raises(ConfigError, match=r"^register: .* Resumable"):
        register(dict)  # type: ignore[type-var]
    assert list(conf._classes.values()).count(Thing) == 1


def test_the_browser_module_is_a_static_file(tmp_path: Path) -> None:
    """The finders find the browser module, collectstatic collects it, and templates can refer to it."""
    name = "sealedsession/sealed_state.js"
    assert Path(finders.find(name)) == SCRIPT
    with (
        modify_settings(INSTALLED_APPS={"append": "django.contrib.staticfiles"}),
        override_settings(STATIC_ROOT=str(tmp_path), STATIC_URL="static/"),
    ):
        call_command("collectstatic", interactive=False, verbosity=0)
        assert static(name) == f"/static/{name}"
    assert (tmp_path / name).read_bytes() == SCRIPT.read_bytes()


def test_the_application() -> None:
    """The application has its own label, and no models."""
    config = apps.get_app_config("sealedsession")
    assert config.name == "sealedsession.integrations.django"
    assert list(config.get_models()) == []


@pytest.mark.usefixtures("classes")
def test_sealer_in_a_fork() -> None:
    """A forked process can make the sealer while a thread of its parent holds the lock."""
    taken, may_end = threading.Event(), threading.Event()

    def make() -> None:
        with conf._lock:
            taken.set()
            may_end.wait(60)

    thread = threading.Thread(target=make)
    thread.start()
    taken.wait(60)
    try:
        assert in_fork(lambda: get_state_sealer().seal("state", session_id=SESSION_ID))
    finally:
        may_end.set()
        thread.join()
