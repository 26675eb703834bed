"""The options: what is refused, what strings become, and that no key is ever shown."""

import dataclasses
import json
import traceback
import types
import typing
from datetime import timedelta

import pytest

from sealedsession import asgi, wsgi
from sealedsession.config import SessionConfig, SessionOptions
from sealedsession.errors import ConfigError
from sealedsession.paste import filter_factory
from sealedsession.revocation import MemoryStore
from sealedsession.serialization.limits import Limits
from sealedsession.serialization.registry import Registry
from tests.support.param_ids import stable_repr

KEY = "dVHvXGSdTJYuwJzhQRQnAlvjVOd1WpINsPnKkyqN0Vs"
OLD_KEY = "M4E5SWBGtZGDbSQF9qyZB5JnYWmR8rLxUCEQH2dZc0k"
ENCRYPT_KEY = "t0tmK7bkgVF5rwZoBO1PXk0cY3jQ2CL6XfKuVqHqYwA"
OLD_ENCRYPT_KEY = "Hk6CmO2Qv9sYpEr3TdJ1LxWzNnAaBf7UuGgIi4VvXy8"
OPTIONS = [option for option in dataclasses.fields(SessionConfig) if option.init]
HINTS = {option.name: typing.get_type_hints(SessionConfig)[option.name] for option in OPTIONS}
DAY = 24 * 3600


def plain_types(hint):
    """The plain types of an option, or None when it takes anything else."""
    if typing.get_origin(hint) is typing.Literal:
        return (type(typing.get_args(hint)[0]),)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        found = [plain_types(each) for each in typing.get_args(hint)]
        return tuple({kind for kinds in found for kind in kinds}) if all(found) else None
    return (hint,) if hint in (str, int, bool, types.NoneType) else None


async def nothing(*arguments):
    """A value that is not a function, for options that must be functions."""


PLAIN_OPTIONS = {name: kinds for name, hint in HINTS.items() if (kinds := plain_types(hint))}
SAMPLES = [None, True, 1, 1.5, "text", b"bytes", [], ("a",), {}]
OTHER_OPTIONS = {
    "validate_key": [None, True, 1, 1.5, {}, {KEY}, [KEY, None], [1], [], ""],
    "encrypt_key": [True, 1, 1.5, {}, {KEY}, [None], [], ""],
    "oversize": [None, True, 1, "drop", "", b"keep", ["raise"]],
    "revocation": [True, 1, 1.5, "", "redis", "sqlite:", "file:revoked.db", b"memory", MemoryStore, ["memory"], {}],
    "binding": [True, 1, "", "app:binding", b"bytes", []],
    "on_event": [True, 1, "", "app:count", b"bytes", []],
    "accept_serializers": [
        True,
        1,
        1.5,
        "pickle",
        "json",
        b"json",
        [b"json"],
        ["xml"],
        [None],
        [["json"]],
        [],
        {},
    ],
    "registry": [None, True, "default_registry", Registry, {}],
    "limits": [None, True, 16384, "size=1", Limits, {"size": 1}],
    "clock": [None, True, 1800000000, "time.time"],
}
WRONG = [
    *((name, value) for name, kinds in PLAIN_OPTIONS.items() for value in SAMPLES if type(value) not in kinds),
    *((name, value) for name, values in OTHER_OPTIONS.items() for value in values),
]


def test_every_option_is_tested():
    """Every option is in one of the tables of wrong types above."""
    assert {*PLAIN_OPTIONS, *OTHER_OPTIONS} == set(HINTS)
    assert not {*PLAIN_OPTIONS} & {*OTHER_OPTIONS}


@pytest.mark.parametrize(("option", "value"), WRONG, ids=str)
def test_wrong_type(option, value):
    """A value of the wrong type is refused by an error that names the option; a bool is no int, an int no bool."""
    with pytest.raises(ConfigError, match=rf"\b{option}\b"):
        SessionConfig(**{"validate_key": KEY, option: value})


def test_wrong_type_names_the_types():
    """The error for a wrong type names the expected type and the given one."""
    with pytest.raises(ConfigError, match=r"^secure:"):
        SessionConfig(validate_key=KEY, secure=1)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("idle_timeout", timedelta(days=1), "^idle_timeout: .* seconds, got a timedelta"),
        ("pad", "32", "^pad:"),
    ],
)
def test_wrong_type_names_the_unit(option, value, message):
    """The error for text that is not a number names the unit of the number."""
    with pytest.raises(ConfigError, match=message):
        SessionConfig(**{"validate_key": KEY, option: value})


@pytest.mark.parametrize("make", [SessionConfig.from_kwargs, SessionConfig.from_mapping])
def test_missing_validate_key(make):
    """Without validate_key there is no config, and the error tells how to make a key."""
    with pytest.raises(ConfigError, match=r"^validate_key:"):
        make({"encrypt_key": KEY})


@pytest.mark.parametrize("make", [SessionConfig.from_kwargs, SessionConfig.from_mapping])
@pytest.mark.parametrize(
    ("option", "meant"),
    [("same_site", "samesite"), ("idle_timout", "idle_timeout"), ("Secure", "secure")],
)
def test_unknown_option_with_a_suggestion(option, meant, make):
    """An unknown option that resembles one is refused with the name that was probably meant."""
    with pytest.raises(ConfigError, match=rf"'{option}'.* {meant}\b"):
        make({"validate_key": KEY, option: "1"})


@pytest.mark.parametrize("make", [SessionConfig.from_kwargs, SessionConfig.from_mapping])
@pytest.mark.parametrize(
    ("option", "meant"),
    [
        *((name, "validate_key and encrypt_key") for name in ("secret", "secret_key", "SECRET_KEY", "secret_keys")),
        *((name, "validate_key") for name in ("signing_key", "validation_key")),
        *((name, "name") for name in ("key", "cookie_name", "session_cookie", "SESSION_COOKIE_NAME")),
        *((name, "idle_timeout") for name in ("timeout", "expires", "session.timeout")),
        *((name, "absolute_timeout") for name in ("PERMANENT_SESSION_LIFETIME", "SESSION_COOKIE_AGE")),
        *((name, "secure") for name in ("https_only", "cookie_secure", "SESSION_COOKIE_SECURE")),
        *((name, "samesite") for name in ("same_site", "cookie_samesite", "SESSION_COOKIE_SAMESITE")),
        *((name, "path") for name in ("cookie_path", "SESSION_COOKIE_PATH")),
        *((name, "domain") for name in ("cookie_domain", "SESSION_COOKIE_DOMAIN")),
        *((name, "revocation=.*") for name in ("redis", "redis_url")),
        ("max_size", "limits=.*"),
        ("json", "serializer=.*"),
        ("data_serializer", "serializer"),
        ("salt", "name.*"),
    ],
)
def test_unknown_option_of_another_library(option, meant, make):
    """An option by the name that another library has for it is refused with the name that it has here."""
    with pytest.raises(ConfigError, match=rf"'{option}'.* {meant}\?"):
        make({"validate_key": KEY, option: "1"})


@pytest.mark.parametrize("option", ["type", "auto", "data_dir", "session.crypto_type", "encrypt_nonce_bits"])
def test_unknown_option_that_is_not_needed(option):
    """An option of Beaker that has no meaning here is refused with the advice to delete it."""
    with pytest.raises(ConfigError, match="delete it"):
        SessionConfig.from_kwargs({"validate_key": KEY, option: "1"})


def test_samesite_none():
    """None is not the str that SameSite needs, and the error says so."""
    with pytest.raises(ConfigError, match="'None'"):
        SessionConfig(validate_key=KEY, samesite=None)


@pytest.mark.parametrize("middleware", [wsgi.SessionMiddleware, asgi.SessionMiddleware])
def test_a_dict_as_config(middleware):
    """A dict of options is refused with the way to pass it."""
    app = asgi_app if middleware is asgi.SessionMiddleware else lambda environ, start_response: []
    with pytest.raises(ConfigError, match=r"\*\*options"):
        middleware(app, {"validate_key": KEY})


async def asgi_app(scope, receive, send):
    """An application that is never called."""


@pytest.mark.parametrize(
    ("idle", "absolute", "refused"),
    [(7200, 3600, True), (3601, 3600, True), (3600, 3600, False), (None, 3600, False), (7200, None, False)],
)
def test_an_idle_timeout_above_the_absolute_one(idle, absolute, refused):
    """An idle timeout that the absolute timeout makes ineffective is refused; the default one is not."""
    options = {"validate_key": KEY, "absolute_timeout": absolute}
    assert SessionConfig(**options).timeouts.absolute == absolute
    if refused:
        with pytest.raises(ConfigError, match="idle_timeout"):
            SessionConfig(**options, idle_timeout=idle)
    else:
        assert SessionConfig(**options, idle_timeout=idle).timeouts.idle == idle


@pytest.mark.parametrize("option", ["zzz", "keys", "timeouts", "store", "events", "cookie_factory_class", ""])
def test_unknown_option_without_a_suggestion(option):
    """Another unknown option is refused, also one that the config derives itself, with all names or a suggestion."""
    with pytest.raises(ConfigError, match=f"unknown option '{option}'"):
        SessionConfig.from_kwargs({"validate_key": KEY, option: 1})


def test_unknown_option_lists_the_options():
    """Where nothing resembles an unknown option, the error lists every option."""
    with pytest.raises(ConfigError) as caught:
        SessionConfig.from_kwargs({"validate_key": KEY, "zzz": 1})
    assert all(name in str(caught.value) for name in HINTS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"idle_timeout": None, "absolute_timeout": None}, "^idle_timeout and absolute_timeout "),
        ({"idle_timeout": 0}, "idle_timeout=0.*None"),
        ({"idle_timeout": -1}, "idle_timeout=-1"),
        ({"absolute_timeout": 0}, "absolute_timeout=0.*None"),
        ({"idle_timeout": 99, "refresh_interval": 10}, "refresh_interval=10.* idle_timeout=99"),
        ({"leeway": -1}, "leeway=-1"),
        ({"leeway": 601}, "leeway=601"),
        ({"oversize": "drop"}, "oversize.*'raise', 'keep'.*'drop'"),
        ({"serializer": "msgpack"}, "^serializer='msgpack':"),
        ({"serializer": "JSON"}, "^serializer='JSON':"),
        ({"serializer": "json", "accept_serializers": ["pickle"]}, "^serializer='json'.* accept_serializers"),
        ({"accept_serializers": ["json"]}, "^serializer='pickle'.* accept_serializers"),
        (
            {"accept_serializers": "json"},
            "^accept_serializers:",
        ),
        ({"accept_serializers": ["pickle", "xml"]}, "^accept_serializers:"),
        ({"registry": {}}, "^registry:"),
        ({"limits": {"size": 1}}, "^limits:"),
        ({"cache_control": ""}, "cache_control"),
        ({"cache_control": " "}, "cache_control"),
        ({"cache_control": "no-store\r\nX: y"}, "cache_control"),
        ({"cache_control": "nö-store"}, "cache_control"),
        ({"environ_key": "session"}, "environ_key='session'"),
        ({"environ_key": ".session."}, "environ_key"),
        ({"environ_key": ""}, "environ_key"),
        ({"name": ""}, "name=''"),
        ({"name": "two words"}, "name='two words'"),
        ({"name": "a;b"}, "name="),
        ({"name": "größe"}, "name="),
        ({"samesite": "sometimes"}, "samesite='sometimes'"),
        ({"path": "app"}, "path='app'"),
        ({"path": "/a;b"}, "path="),
        ({"path": "/a\n"}, "path="),
        ({"path": "/" + "a" * 1024}, "^path:"),
        ({"domain": ""}, "domain=''"),
        ({"domain": "example.com/"}, "domain="),
        ({"domain": "exa mple.com"}, "domain="),
        ({"domain": "a." * 512 + "a"}, "^domain:"),
        ({"lifetimes": "aal4"}, "^lifetimes='aal4':"),
        ({"lifetimes": "aal2", "idle_timeout": 60}, "^lifetimes='aal2' .*idle_timeout .*absolute_timeout"),
        ({"lifetimes": "aal2", "absolute_timeout": None}, "^lifetimes='aal2' .*idle_timeout .*absolute_timeout"),
        ({"lifetimes": "aal2", "refresh_interval": 181}, "refresh_interval=181.* idle_timeout=1800"),
        ({"on_store_error": "ignore"}, "^on_store_error='ignore':"),
        ({"revocation": "redis"}, "^revocation:"),
        ({"revocation": "sqlite:"}, "^revocation:"),
        ({"pad": -1}, "^pad=-1:"),
        ({"pad": 1}, "^pad=1:"),
        ({"pad": 256}, "^pad=256:"),
        *(({"token_cache": number}, f"^token_cache={number}:") for number in (-1, 1, 100_001)),
        ({"binding": "environ"}, "^binding:"),
        ({"on_event": "count"}, "^on_event:"),
        *(({option: nothing}, f"^{option}: .*async") for option in ("clock", "binding", "on_event")),
        ({"keyring": "env:SEALEDSESSION_TEST_UNSET"}, "^keyring .* validate_key .* encrypt_key"),
        ({"name": "__Secure-s", "secure": False}, "^name='__Secure-s': .*secure=True"),
        ({"name": "__host-s", "secure": False}, "^name='__host-s': .*secure=True"),
        ({"name": "__HTTP-s", "secure": False}, "^name='__HTTP-s': .*secure=True"),
        ({"name": "__Host-s", "domain": "example.com"}, "^name='__Host-s': .*path='/'"),
        ({"name": "__Host-s", "path": "/app"}, "^name='__Host-s': .*path='/'"),
        ({"name": "__Http-s", "httponly": False}, "^name='__Http-s': .*httponly=True"),
        ({"name": "__Host-Http-s", "httponly": False}, "^name='__Host-Http-s': .*httponly=True"),
        ({"samesite": "none", "secure": False}, "^samesite='None': .*secure=True"),
        ({"partitioned": True, "secure": False}, "^partitioned=True: .*secure=True"),
        ({"encrypt_key": KEY}, "^validate_key, encrypt_key:"),
        ({"encrypt_key": [ENCRYPT_KEY, OLD_ENCRYPT_KEY]}, "^validate_key, encrypt_key: .*1 .*2 "),
        ({"encrypt_key": "short"}, "^encrypt_key:"),
        ({"validate_key": b"k" * 32}, "^validate_key:"),
        ({"validate_key": "env:SEALEDSESSION_TEST_UNSET"}, "'SEALEDSESSION_TEST_UNSET'"),
        ({"validate_key": "file:/no/such/file"}, "'file:/no/such/file'"),
    ],
)
def test_illegal_values(options, message):
    """Every illegal value and combination is refused at start by an error that names the option and the rule."""
    with pytest.raises(ConfigError, match=message):
        SessionConfig(**{"validate_key": KEY, **options})


@pytest.mark.parametrize(
    "options",
    [
        {"idle_timeout": None},
        {"absolute_timeout": None},
        {"idle_timeout": 100, "refresh_interval": 10},
        {"idle_timeout": None, "refresh_interval": 10**6},
        {"leeway": 0},
        {"leeway": 600},
        {"lifetimes": "aal2", "refresh_interval": 180},
        {"persistent": True},
        {"on_store_error": "allow"},
        {"revocation": "memory"},
        {"revocation": MemoryStore()},
        {"pad": 2},
        {"pad": 255},
        {"token_cache": 2},
        {"token_cache": 100_000},
        {"compress": True},
        {"binding": lambda scope: b"", "on_event": print},
        {"oversize": "keep"},
        {"oversize": lambda session, error: session.clear()},
        {"serializer": "json"},
        {"accept_serializers": ["pickle"]},
        {"serializer": "json", "accept_serializers": ("json",)},
        {"serializer": "json", "accept_serializers": ["json", "pickle"]},
        {"registry": Registry()},
        {"limits": Limits(size=1, depth=1, nodes=1, typed=1, int_bytes=4)},
        {"cache_control": None},
        {"environ_key": "a.b"},
        {"path": "/" + "a" * 1023},
        {"domain": ".example.com"},
        {"name": "__Host-s"},
        {"name": "__Secure-s", "path": "/app", "domain": "example.com"},
        {"samesite": "Strict"},
        {"samesite": "None", "partitioned": True},
        {"encrypt_key": ENCRYPT_KEY},
        {"validate_key": [KEY, OLD_KEY], "encrypt_key": (ENCRYPT_KEY, OLD_ENCRYPT_KEY)},
        {"validate_key": KEY.encode()},
    ],
    ids=stable_repr,
)
def test_legal_values(options):
    """Every value at the edge of the rules is accepted and kept."""
    config = SessionConfig(**{"validate_key": KEY, **options})
    kept = {name: value for name, value in options.items() if name not in ("validate_key", "encrypt_key")}
    assert {name: getattr(config, name) for name in kept} == kept


@pytest.mark.parametrize("spelling", ["STRICT", "strict", "Strict"])
def test_samesite_is_spelled_as_it_is_sent(spelling):
    """samesite may be given in any case of letters; the cookie has it as it is sent, and the config as it was given."""
    config = SessionConfig(validate_key=KEY, samesite=spelling)
    assert (config.samesite, config.cookie.samesite) == (spelling, "Strict")


def test_partitioned_without_samesite_none_warns():
    """A partitioned cookie that embedded pages would not get is accepted with a warning."""
    with pytest.warns(UserWarning, match="samesite='None'"):
        SessionConfig(validate_key=KEY, partitioned=True)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "__Host-Http-session"),
        ({"secure": False}, "sealed-session"),
        ({"domain": "example.com"}, "sealed-session"),
        ({"path": "/app"}, "sealed-session"),
        ({"name": "sid"}, "sid"),
    ],
)
def test_default_name(options, name):
    """The default name has the strictest prefix that the other options allow; the option stays as it was given."""
    config = SessionConfig(validate_key=KEY, **options)
    assert (config.name, config.cookie.name) == (options.get("name"), name)


@pytest.mark.parametrize(
    ("idle_timeout", "expected"), [(7 * DAY, 3600), (36000, 3600), (35990, 3599), (100, 10), (None, 3600)]
)
def test_default_refresh_interval(idle_timeout, expected):
    """By default a session is sealed again after a tenth of the idle timeout, and after an hour at the latest."""
    assert SessionConfig(validate_key=KEY, idle_timeout=idle_timeout).timeouts.refresh == expected


@pytest.mark.parametrize(("preset", "expected"), [("aal1", 3600), ("aal2", 180), ("aal3", 90)])
def test_refresh_interval_of_a_preset(preset, expected):
    """The default refresh interval follows the idle timeout that a preset brings."""
    assert SessionConfig(validate_key=KEY, lifetimes=preset).timeouts.refresh == expected


@pytest.mark.parametrize("options", [{"validate_key": KEY}, {"encrypt_key": KEY}])
def test_a_keyring_holds_all_keys(options, monkeypatch):
    """A keyring takes the place of both key options: with either of them it is refused, and alone it is enough."""
    key = {"state": "primary", "validate_key": OLD_KEY}
    monkeypatch.setenv("SEALEDSESSION_TEST_RING", json.dumps({"version": 1, "keys": [key]}))
    ring = SessionConfig(keyring="env:SEALEDSESSION_TEST_RING")
    assert ring.keys.derive("cookie:s") == SessionConfig(validate_key=OLD_KEY).keys.derive("cookie:s")
    with pytest.raises(ConfigError, match=r"^keyring .* validate_key .* encrypt_key"):
        SessionConfig(keyring="env:SEALEDSESSION_TEST_RING", **options)


def test_a_broken_keyring_is_refused_at_start(tmp_path):
    """A file that holds no keyring keeps the process from starting."""
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(ConfigError, match=r"^keyring 'file:.*JSON"):
        SessionConfig(keyring=f"file:{tmp_path / 'keys.json'}")


def test_a_store_is_made_of_its_name():
    """A store that is named is made once, and one that is given is taken."""
    config = SessionConfig(validate_key=KEY, revocation="memory")
    assert type(config.store) is MemoryStore
    store = MemoryStore()
    assert SessionConfig(validate_key=KEY, revocation=store).store is store
    assert SessionConfig(validate_key=KEY).store is None


def from_strings(**options):
    return SessionConfig.from_mapping({"validate_key": KEY, **options})


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        *(("httponly", text, True) for text in ("true", "yes", "on", "1", "TRUE", " Yes\n")),
        *(("httponly", text, False) for text in ("false", "no", "off", "0", "False", "\tOFF ")),
        ("idle_timeout", "600", 600),
        ("idle_timeout", " 600 ", 600),
        ("leeway", "0", 0),
        *((option, text, None) for option in ("idle_timeout", "domain") for text in ("none", "None ")),
        ("cache_control", "NONE", None),
        ("path", " /app ", "/app"),
        ("name", "sid", "sid"),
        ("samesite", "none", "None"),
        ("oversize", " keep ", "keep"),
        ("serializer", " json ", "json"),
        ("persistent", "on", True),
        ("compress", "no", False),
        ("pad", " 32 ", 32),
        ("token_cache", "1024", 1024),
        ("lifetimes", "aal2", "aal2"),
        ("lifetimes", "none", None),
        ("revocation", " memory\n", "memory"),
        ("revocation", "None", None),
        ("on_store_error", "allow", "allow"),
        *((option, "none", None) for option in ("keyring", "binding", "on_event")),
        *(
            ("accept_serializers", text, ["pickle", "json"])
            for text in ("pickle json", " pickle,json", "pickle,\n json")
        ),
        ("accept_serializers", " pickle ", ["pickle"]),
    ],
)
def test_coercion(option, text, expected):
    """Strings from an ini file are converted to the type of the option, with white space removed."""
    config = from_strings(**{option: text})
    assert getattr(config.cookie if option == "samesite" else config, option) == expected


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        *((name, text, f"^{name}\\b") for name in HINTS for text in ("", " \n\t")),
        ("secure", "maybe", "^secure = maybe:"),
        ("secure", "none", "^secure = none:"),
        ("secure", "2", "^secure = 2:"),
        ("idle_timeout", "1h", "^idle_timeout = 1h:"),
        ("idle_timeout", "1.5", "^idle_timeout = 1.5:"),
        ("leeway", "none", "^leeway = none:"),
        ("idle_timeout", "-1", "idle_timeout=-1"),
        ("path", "none", "path='none'"),
        ("validate_key", "none", "^validate_key:"),
        ("clock", "time.time", "^clock:"),
        ("binding", "app:binding", "^binding:"),
        ("on_event", "app:count", "^on_event:"),
        ("pad", "none", "^pad = none:"),
        ("pad", "1", "^pad=1:"),
        ("token_cache", "yes", "^token_cache = yes:"),
        ("revocation", "yes", "^revocation:"),
        ("on_store_error", "none", "on_store_error='none'"),
        ("lifetimes", "AAL2", "^lifetimes='AAL2':"),
        ("oversize", "app:trim", "^oversize:"),
        ("serializer", "xml", "^serializer='xml':"),
        ("accept_serializers", "pickle xml", "^accept_serializers:"),
        ("accept_serializers", "json", "^serializer='pickle'.* accept_serializers"),
        ("registry", "sealedsession.default_registry", "^registry:"),
        ("limits", "size=1024", "^limits:"),
    ],
)
def test_refused_strings(option, text, message):
    """A blank string, a string that is no such value, and the name of a function are refused."""
    with pytest.raises(ConfigError, match=message):
        from_strings(**{option: text})


@pytest.mark.parametrize(("text", "encrypt"), [("none", None), (f" {ENCRYPT_KEY}\n", ENCRYPT_KEY.encode())])
def test_coercion_of_a_key(text, encrypt):
    """A key from an ini file may have space around it, or be none."""
    assert from_strings(encrypt_key=text).keys.pairs[0].encrypt == encrypt


def test_key_lists_are_one_key_to_a_line():
    """A multi-line string is a list of keys, primary first; blank lines and indentation do not count."""
    config = SessionConfig.from_mapping(
        {"validate_key": f"\n  {KEY}\n\n  {OLD_KEY}\n", "encrypt_key": f"{ENCRYPT_KEY}\n{OLD_ENCRYPT_KEY}"}
    )
    pairs = [(pair.validate.decode(), pair.encrypt.decode()) for pair in config.keys.pairs]
    assert pairs == [(KEY, ENCRYPT_KEY), (OLD_KEY, OLD_ENCRYPT_KEY)]


def test_prefix():
    """Options are taken with the prefix, without it, and with another prefix that was asked for."""
    config = SessionConfig.from_mapping({"session.validate_key": KEY, "session.leeway": "5", "pad": "60"})
    assert (config.keys.pairs[0].validate, config.leeway, config.pad) == (KEY.encode(), 5, 60)
    assert SessionConfig.from_mapping({"WEB_validate_key": KEY, "WEB_leeway": "5"}, "WEB_").leeway == 5


def test_prefix_and_bare_option():
    """An option given with the prefix and without it is refused."""
    with pytest.raises(ConfigError, match=r"^leeway: .*'session\."):
        from_strings(**{"leeway": "5", "session.leeway": "5"})


def test_unknown_option_with_the_prefix():
    """An unknown option is an error behind the prefix too, and is named as it was written."""
    with pytest.raises(ConfigError, match=r"'session\.secur'.* secure\b"):
        from_strings(**{"session.secur": "true"})


def test_values_that_are_no_strings_are_taken_as_they_are():
    """from_mapping takes values that have the right type already, functions too."""
    config = from_strings(secure=False, domain=None, clock=lambda: 5.0)
    assert (config.secure, config.domain, config.clock()) == (False, None, 5.0)


SECRET = "correct-horse-battery"  # what no message may show; too short for a key


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (SessionConfig.from_kwargs, {"validate_key": SECRET}),
        (SessionConfig.from_kwargs, {"validate_key": SECRET.encode()}),
        (SessionConfig.from_kwargs, {"validate_key": SECRET * 3}),
        (SessionConfig.from_kwargs, {"validate_key": [KEY, SECRET]}),
        (SessionConfig.from_kwargs, {"validate_key": {SECRET: KEY}}),
        (SessionConfig.from_kwargs, {"validate_key": [[SECRET]]}),
        (SessionConfig.from_kwargs, {"validate_key": KEY, "encrypt_key": SECRET}),
        (SessionConfig.from_kwargs, {"validate_key": KEY, "encrypt_key": KEY}),
        (SessionConfig.from_kwargs, {"validate_key": [KEY, OLD_KEY], "encrypt_key": ENCRYPT_KEY}),
        (SessionConfig.from_kwargs, {"validate_key": "\ud800" + KEY}),
        (SessionConfig.from_kwargs, {"validate_keys": KEY}),
        (SessionConfig.from_kwargs, {"validate_key": KEY, "encrypt_kye": SECRET}),
        (SessionConfig.from_mapping, {"validate_key": f"{KEY}\n{SECRET}"}),
        (SessionConfig.from_mapping, {"validate_key": KEY, "session.validate_key": OLD_KEY}),
        (SessionConfig.from_mapping, {"validate_key": KEY, "encrypt_key": f"{SECRET}\n{SECRET}"}),
        (SessionConfig.from_mapping, {"validate_key": KEY, "leeway": "-1"}),
    ],
)
def test_no_error_shows_a_key(make, options):
    """Whatever is wrong, neither the error nor its traceback shows the value of a key."""
    with pytest.raises(ConfigError) as caught:
        make(options)
    shown = repr(caught.value) + "".join(traceback.format_exception(caught.value, limit=0))
    assert not [secret for secret in (SECRET, KEY, OLD_KEY, ENCRYPT_KEY) if secret in shown]


def test_no_repr_shows_a_key():
    """The repr of a config and of its parts shows no key."""
    config = SessionConfig(validate_key=[KEY, OLD_KEY], encrypt_key=[ENCRYPT_KEY, OLD_ENCRYPT_KEY])
    shown = repr(config) + repr(config.keys) + repr(config.keys.derive("cookie:s")) + repr(config.cookie)
    assert not [key for key in (KEY, OLD_KEY, ENCRYPT_KEY, OLD_ENCRYPT_KEY) if key in shown]
    subkeys = config.keys.derive("cookie:s")[0]
    assert repr(bytes(subkeys.mac))[2:-1] not in shown


@pytest.mark.parametrize(
    "sources", [{"validate_key": KEY, "encrypt_key": ENCRYPT_KEY}, {"validate_key": [KEY, OLD_KEY]}]
)
@pytest.mark.parametrize("listed", [vars, dataclasses.asdict, dataclasses.astuple], ids=lambda listed: listed.__name__)
def test_no_list_of_the_options_shows_a_key(listed, sources):
    """What lists the options of a config, for a log perhaps, has no key in it."""
    shown = repr(listed(SessionConfig(**sources)))
    assert "Keyring" in shown
    assert not [key for key in (KEY, OLD_KEY, ENCRYPT_KEY) if key in shown]


def test_a_copy_has_the_same_keys():
    """A copy of a config with other options has its keys, unless both are replaced."""
    config = SessionConfig(validate_key=KEY, encrypt_key=ENCRYPT_KEY)
    assert dataclasses.replace(config, leeway=5).keys is config.keys
    other = dataclasses.replace(config, validate_key=OLD_KEY, encrypt_key=None)
    assert other.keys.pairs == SessionConfig(validate_key=OLD_KEY).keys.pairs
    for one in ({"validate_key": OLD_KEY}, {"encrypt_key": None}, {"encrypt_key": OLD_ENCRYPT_KEY}):
        with pytest.raises(ConfigError, match=r"^validate_key, encrypt_key: "):
            dataclasses.replace(config, **one)
    with pytest.raises(ConfigError, match=r"^keyring "):
        dataclasses.replace(config, keyring="env:SEALEDSESSION_TEST_UNSET")


def test_a_copy_shares_a_store_that_was_passed():
    """A copy of a config has its store if that was passed as an object, and a new store in memory if it was named."""
    config = SessionConfig(validate_key=KEY, encrypt_key=None, revocation=MemoryStore())
    assert dataclasses.replace(config, leeway=5).store is config.store
    config = SessionConfig(validate_key=KEY, encrypt_key=None, revocation="memory")
    assert dataclasses.replace(config, leeway=5).store is not config.store


def test_no_repr_shows_the_password_of_a_store():
    """The repr of a config does not show the url of its store, nor does that of the store."""
    config = SessionConfig(validate_key=KEY, revocation="redis://:hunter2@localhost:6379/0")
    assert "hunter2" not in repr(config) + repr(config.store)


def test_keys_from_the_environment_and_from_files(monkeypatch, tmp_path):
    """A key named by env: or file: makes the same keyring as the key itself."""
    (tmp_path / "key").write_text(ENCRYPT_KEY + "\n")
    monkeypatch.setenv("SEALEDSESSION_TEST_KEY", KEY)
    config = SessionConfig(validate_key="env:SEALEDSESSION_TEST_KEY", encrypt_key=f"file:{tmp_path / 'key'}")
    direct = SessionConfig(validate_key=KEY, encrypt_key=ENCRYPT_KEY)
    assert config.keys.derive("cookie:s") == direct.keys.derive("cookie:s")


def warnings(caplog):
    return [record for record in caplog.records if record.name == "sealedsession" and record.levelname == "WARNING"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: SessionConfig(validate_key=KEY),
        lambda: from_strings(validate_key=KEY),
        lambda: wsgi.SessionMiddleware(lambda environ, start_response: [], validate_key=[KEY, OLD_KEY]),
        lambda: asgi.SessionMiddleware(nothing, validate_key=KEY),
        lambda: filter_factory({}, validate_key=KEY)(lambda environ, start_response: []),
    ],
    ids=["config", "strings", "WSGI", "ASGI", "Paste"],
)
def test_missing_encrypt_key_is_logged(make, caplog):
    """Without encrypt_key one warning says that sessions can be read, and how to choose."""
    make()
    (record,) = warnings(caplog)
    assert "encrypt_key" in record.getMessage()
    assert KEY not in record.getMessage()


@pytest.mark.parametrize(
    "make",
    [
        lambda: SessionConfig(validate_key=KEY, encrypt_key=None),
        lambda: SessionConfig(validate_key=KEY, encrypt_key=ENCRYPT_KEY),
        lambda: from_strings(validate_key=KEY, encrypt_key="none"),
        lambda: asgi.SessionMiddleware(nothing, validate_key=KEY, encrypt_key=None),
        lambda: SessionConfig(keyring="env:SEALEDSESSION_TEST_KEYRING"),
        lambda: SessionConfig(keyring="env:SEALEDSESSION_TEST_KEYRING", encrypt_key=None),
    ],
    ids=["config", "encrypted", "strings", "ASGI", "keyring", "keyring and None"],
)
def test_encrypt_key_that_was_decided_on(make, caplog, monkeypatch):
    """There is no warning with encrypt_key, with None for it, nor with a keyring whose keys sign only."""
    keyring = {"version": 1, "keys": [{"state": "primary", "validate_key": KEY}]}
    monkeypatch.setenv("SEALEDSESSION_TEST_KEYRING", json.dumps(keyring))
    make()
    assert warnings(caplog) == []


def test_a_replaced_config_is_not_logged_again(caplog):
    """A config that was made of another one has its keys, and logs no second warning."""
    config = SessionConfig(validate_key=KEY)
    assert dataclasses.replace(config, leeway=5).keys is config.keys
    assert len(warnings(caplog)) == 1
    assert KEY not in repr(dataclasses.asdict(config))


def test_refused_keys_are_not_logged(caplog):
    """A config that is refused logs no warning."""
    with pytest.raises(ConfigError):
        SessionConfig(validate_key="short")
    assert warnings(caplog) == []


def test_options_for_type_checkers():
    """SessionOptions names exactly the options of SessionConfig, with the same types, none of them required."""
    # Callers leave encrypt_key out, or set it to None: they do not need the sentinel that is its default.
    assert typing.get_type_hints(SessionOptions) == {**HINTS, "encrypt_key": HINTS["validate_key"]}
    assert SessionOptions.__required_keys__ == frozenset()


@pytest.mark.parametrize("name", [option.name for option in dataclasses.fields(SessionConfig)])
def test_frozen(name):
    """No option can be changed after the start."""
    config = SessionConfig(validate_key=KEY)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, getattr(config, name))


def test_keyword_only():
    """Options have names: a key cannot be given by position."""
    with pytest.raises(TypeError):
        SessionConfig(KEY)


def test_defaults_are_secure():
    """With keys alone, the cookie is Secure, HttpOnly, SameSite=Lax and host-only, and both timeouts are on."""
    config = SessionConfig(validate_key=KEY)
    assert config.cookie.attributes == "; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert (config.idle_timeout, config.absolute_timeout, config.domain) == (7 * DAY, 30 * DAY, None)


def test_a_config_and_options_at_once():
    """A middleware accepts a config or options. Both together, or an object that is not a config, are a ConfigError."""
    config = SessionConfig(validate_key=KEY)
    assert SessionConfig.from_arguments(config, {}) is config
    with pytest.raises(ConfigError, match=r"^config\b.*\bsecure\b"):
        SessionConfig.from_arguments(config, {"secure": False})
    with pytest.raises(ConfigError, match=r"^config: .* got a dict"):
        SessionConfig.from_arguments({"validate_key": "x"}, {})


class AsyncCallable:
    """An object that is called as a coroutine function."""

    async def __call__(self, *_):
        return b""


@pytest.mark.parametrize("option", ["clock", "binding", "on_event", "oversize"])
def test_an_object_with_an_async_call_is_refused(keys, option):
    """Nobody awaits what such an object returns, so that it would have no effect."""
    with pytest.raises(ConfigError, match=option):
        SessionConfig(**keys, **{option: AsyncCallable()})
