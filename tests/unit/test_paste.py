"""PasteDeploy: ini sections as middleware, and mistakes in them as errors at start."""

from importlib.metadata import entry_points
from textwrap import dedent, indent

import pytest
from paste.deploy import loadapp
from webob import Request

from sealedsession.errors import ConfigError
from sealedsession.paste import filter_app_factory, filter_factory
from sealedsession.wsgi import SessionMiddleware

PIPELINE = """
[pipeline:main]
pipeline = session counter

[app:counter]
paste.app_factory = {module}:app_factory

[filter:session]
use = egg:sealedsession
"""


def app_factory(global_conf):
    """Make the application of the ini files of these tests."""

    def app(environ, start_response):
        session = environ["sealedsession.session"]
        session["visits"] = session.get("visits", 0) + 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % session["visits"]]

    return app


@pytest.fixture
def load(tmp_path, keys):
    """Return a function that loads an application from an ini file, next to two files of keys."""
    for option, key in keys.items():
        (tmp_path / f"{option}.txt").write_text(key + "\n")

    def load(lines, default=""):
        ini = tmp_path / "app.ini"
        ini.write_text(f"[DEFAULT]\n{dedent(default)}\n{PIPELINE.format(module=__name__)}{dedent(lines)}")
        return loadapp(f"config:{ini}")

    return load


FILES = """
validate_key = file:%(here)s/validate_key.txt
encrypt_key = file:%(here)s/encrypt_key.txt
"""


def visit(app, cookie=""):
    """Make one request. Return the body, and the Cookie header of the next request."""
    response = Request.blank("/", headers={"Cookie": cookie}).get_response(app)
    return response.text, response.headers["Set-Cookie"].partition(";")[0]


@pytest.mark.parametrize("name", ["main", "session"])
@pytest.mark.parametrize(
    ("group", "factory"),
    [("paste.filter_factory", filter_factory), ("paste.filter_app_factory", filter_app_factory)],
)
def test_entry_points(group, factory, name):
    """PasteDeploy finds both factories under both names: egg:sealedsession and egg:sealedsession#session."""
    [entry] = [entry for entry in entry_points(group=group, name=name) if entry.value.startswith("sealedsession")]
    assert entry.load() is factory


def test_session_over_two_requests(load):
    """An application behind the filter has a session. Keys are read from files next to the ini file."""
    app = load(FILES)
    assert isinstance(app, SessionMiddleware)
    body, cookie = visit(app)
    assert body == "1"
    assert visit(app, cookie)[0] == "2"


def test_filter_app_factory(tmp_path, keys, load):
    """A filter-app section wraps the application that it names in next."""
    lines = "".join(f"{option} = {key}\n" for option, key in keys.items())
    (tmp_path / "filter-app.ini").write_text(
        f"[filter-app:main]\nuse = egg:sealedsession#session\nnext = counter\n{lines}"
        f"[app:counter]\npaste.app_factory = {__name__}:app_factory\n"
    )
    app = loadapp(f"config:{tmp_path}/filter-app.ini")
    _, cookie = visit(app)
    assert visit(load(FILES), cookie)[0] == "2"


def test_bare_and_prefixed_keys(load):
    """Options with and without the prefix can be mixed."""
    app = load(FILES + "session.name = one\nidle_timeout = 500\nsession.absolute_timeout = none\n")
    assert (app.config.cookie.name, app.config.idle_timeout, app.config.absolute_timeout) == ("one", 500, None)


def test_default_section(load):
    """Options with the prefix are read from [DEFAULT]. Other keys there are ignored."""
    default = "session.name = shared\nsession.idle_timeout = 500\nname = not-ours\ndebug = true\n"
    app = load(FILES + "idle_timeout = 700\n", default)
    assert app.config.cookie.name == "shared"
    assert app.config.idle_timeout == 700


@pytest.mark.parametrize(
    ("line", "option", "value"),
    [
        ("secure = false", "secure", False),
        ("secure = No", "secure", False),
        ("secure = 0", "secure", False),
        ("secure = TRUE", "secure", True),
        ("httponly = off", "httponly", False),
        ("save_on_error = on", "save_on_error", True),
        ("token_cache = 3600", "token_cache", 3600),
        ("domain = None", "domain", None),
        ("leeway = 5", "leeway", 5),
        ("samesite = strict", "samesite", "Strict"),
        ("samesite = none", "samesite", "None"),
        ("domain = example.org", "domain", "example.org"),
        ("cache_control = none", "cache_control", None),
        ("cache_control = private, no-store", "cache_control", "private, no-store"),
        ("oversize = keep", "oversize", "keep"),
        ("environ_key = my.session", "environ_key", "my.session"),
    ],
)
def test_coercion(load, line, option, value):
    """The strings of an ini file are converted to the types of the options."""
    config = load(FILES + line).config
    holder = config.cookie if option == "samesite" else config
    assert getattr(holder, option) == value


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("encrypt_key = none", "validate_key: "),
        (FILES + "idle_timeuot = 5", r"'idle_timeuot'.* idle_timeout\?"),
        (FILES + "session.colour = red", r"'session\.colour'.* validate_key, "),
        (FILES + "session.secret_key = x", r"'session\.secret_key'.* validate_key and"),
        ("validate_key = %(here)s/validate.key", "validate_key: .*file:PATH"),
        ('validate_key = "file:%(here)s/validate.key"', "validate_key: "),
        (FILES + "secure = maybe", "secure = maybe: "),
        (FILES + "idle_timeout = 1h", "idle_timeout = 1h: "),
        (FILES + "leeway = none", "leeway = none: "),
        (FILES + "name =", r"\bname\b"),
        (FILES + "leeway = 5\nsession.leeway = 6", "leeway: .*'session"),
        ("validate_key = file:%(here)s/absent.key", r"^.*validate_key .*absent\.key"),
        ("validate_key = env:SESSION_TEST_ABSENT", "validate_key .*'SESSION_TEST_ABSENT'"),
        ("validate_key = short", "validate_key: "),
    ],
)
def test_mistakes(load, lines, message):
    """A mistake in the ini file is a ConfigError that names the option, when the application is loaded."""
    with pytest.raises(ConfigError, match=message):
        load(lines)


def test_a_mistake_names_the_file_and_the_section(load, tmp_path):
    """The error begins with the ini file and, if only one section has these options, the section."""
    with pytest.raises(ConfigError) as caught:
        load(FILES + "idle_timeuot = 5")
    assert str(caught.value).startswith(f"{tmp_path / 'app.ini'}, section [filter:session]: ")
    with pytest.raises(ConfigError) as caught:
        load(FILES + "leewy = 5\n\n[filter:other]\nuse = egg:sealedsession\nleewy = 6\n" + FILES)
    assert str(caught.value).startswith(f"{tmp_path / 'app.ini'}: ")


@pytest.mark.parametrize("content", [None, "", "no section", "\xff\xfe["])
def test_a_mistake_in_a_file_that_cannot_be_read(tmp_path, content):
    """If the ini file cannot be parsed, the error is the same without the section."""
    path = tmp_path / "app.ini"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match="validate_key: "):
        filter_factory({"__file__": str(path)}, leeway="5")
    with pytest.raises(ConfigError, match="validate_key: "):
        filter_factory({}, leeway="5")


def test_unknown_option_in_the_default_section(load):
    """An unknown option with the prefix in [DEFAULT] is refused."""
    with pytest.raises(ConfigError, match=r"'session\.idle_timeuot'"):
        load(FILES, "session.idle_timeuot = 5")


def test_keys_from_the_environment(load, keys, monkeypatch):
    """Keys from env: are the same as keys from file:."""
    for option, key in keys.items():
        monkeypatch.setenv(f"TEST_{option.upper()}", key)
    _, cookie = visit(load(FILES))
    app = load("validate_key = env:TEST_VALIDATE_KEY\nencrypt_key = env:TEST_ENCRYPT_KEY\n")
    assert visit(app, cookie)[0] == "2"


def test_key_lists(load, keys, other_keys):
    """A list of keys has one key on each line: the primary key first, then fallbacks."""
    _, old_cookie = visit(load(FILES))
    lists = "".join(
        f"{option} =\n" + indent(f"{other_keys[option]}\n\nfile:%(here)s/{option}.txt\n", "    ") for option in keys
    )
    body, new_cookie = visit(load(lists), old_cookie)
    assert body == "2"
    only_new = load("".join(f"{option} = {key}\n" for option, key in other_keys.items()))
    assert visit(only_new, new_cookie)[0] == "3"
    assert visit(only_new, old_cookie)[0] == "1"


def test_one_factory_makes_many_filters(keys):
    """A filter can wrap several applications, which share its options."""
    make = filter_factory({}, **keys)
    first, second = make(app_factory({})), make(app_factory({}))
    assert first.config is second.config
    assert visit(second, visit(first)[1])[0] == "2"
