"""README.rst and docs/ are true: their code runs, and their tables are those of the code."""

import ast
import asyncio
import json
import os
import pickle
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import fields
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import webtest
from paste.deploy import loadapp

from sealedsession import Limits, Registry, Session, SessionConfig, UnsealError, default_registry
from sealedsession.errors import ConfigError, NotSerializableError, Reason
from sealedsession.events import Kind
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.serialization.limits import DEFAULT_LIMITS
from sealedsession.serialization.pickle_grammar import Grammar
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.standard_types import CLASS_VALUES, DEFAULT_TYPES
from sealedsession.serialization.tagged_json import JsonSerializer
from sealedsession.wsgi import SessionMiddleware
from tests.support import ROOT
from tests.support.pages import PAGES, README, block_with, blocks, literals, rows, run, section

QUICKSTARTS = {"README": README, "quickstart": PAGES["quickstart"]}
OPTIONS = {option.name: option.default for option in fields(SessionConfig) if option.init}
OPTIONS["encrypt_key"] = None  # apart from a warning in the log, this is the same as no option
SERIALIZERS = [PickleSerializer, JsonSerializer]

# Defaults that are no literals, as docs/reference/options.rst writes them. validate_key has none.
NAMED_DEFAULTS = {
    "registry": "sealedsession.default_registry",
    "limits": "Limits()",
    "clock": "time.time",
}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page registers with the default registry is gone after the test."""
    monkeypatch.setattr(default_registry, "by_code", dict(default_registry.by_code))
    monkeypatch.setattr(default_registry, "by_type", dict(default_registry.by_type))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]) -> None:
    """The variables that the quickstarts export."""
    monkeypatch.setenv("SESSION_VALIDATE_KEY", keys["validate_key"])
    monkeypatch.setenv("SESSION_ENCRYPT_KEY", keys["encrypt_key"])


def wsgi_visits(application: Callable[..., Any]) -> list[str]:
    browser = webtest.TestApp(application, extra_environ={"wsgi.url_scheme": "https"})
    return [browser.get("/").text for _ in range(3)]


def asgi_visits(application: Callable[..., Any]) -> list[str]:
    async def visit() -> list[str]:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="https://example.org") as browser:
            return [(await browser.get("/")).text for _ in range(3)]

    return asyncio.run(visit())


COUNTED = ["visits: 1\n", "visits: 2\n", "visits: 3\n"]


@pytest.mark.parametrize("page", QUICKSTARTS)
@pytest.mark.usefixtures("environment")
def test_the_wsgi_quickstart_counts_visits(page: str) -> None:
    """The WSGI quickstart is an application whose session lasts from request to request."""
    assert wsgi_visits(run(block_with(QUICKSTARTS[page], "sealedsession.wsgi"))["application"]) == COUNTED


@pytest.mark.usefixtures("environment")
def test_the_asgi_quickstart_counts_visits() -> None:
    """The ASGI quickstart is an application whose session lasts from request to request."""
    code = block_with(PAGES["quickstart"], "sealedsession.asgi", "async def visits(scope")
    assert asgi_visits(run(code)["application"]) == COUNTED


def test_the_fastapi_quickstart_counts_visits(monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]) -> None:
    """README's FastAPI example is an application whose request.session lasts from request to request."""
    monkeypatch.setenv("SECRET_KEY", keys["validate_key"])
    application = run(block_with(README, "from fastapi"))["app"]
    assert asgi_visits(application) == [f'{{"visits":{count}}}' for count in (1, 2, 3)]


@pytest.mark.usefixtures("environment")
def test_the_starlette_quickstart_counts_visits() -> None:
    """The Starlette quickstart is an application whose request.session is ours."""
    code = block_with(PAGES["quickstart"], "from starlette.applications")
    assert asgi_visits(run(code)["application"]) == COUNTED


@pytest.mark.parametrize("page", QUICKSTARTS)
def test_the_paste_quickstart_counts_visits(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]
) -> None:
    """The Paste quickstart's ini file and module make an application through PasteDeploy."""
    text = QUICKSTARTS[page]
    (tmp_path / "validate.key").write_text(keys["validate_key"] + "\n")
    (tmp_path / "encrypt.key").write_text(keys["encrypt_key"] + "\n")
    (tmp_path / "development.ini").write_text(block_with(text, "[pipeline:main]", language="ini"))
    (tmp_path / "visits_paste.py").write_text(block_with(text, "app_factory"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "visits_paste", raising=False)
    assert wsgi_visits(loadapp("config:development.ini", relative_to=str(tmp_path))) == COUNTED


@pytest.mark.usefixtures("environment")
def test_both_quickstarts_open_the_same_cookie() -> None:
    """docs/quickstart.rst says so: what its WSGI application seals, its ASGI application opens."""
    page = PAGES["quickstart"]
    browser = webtest.TestApp(run(block_with(page, "sealedsession.wsgi"))["application"])
    cookie = browser.get("/").headers["Set-Cookie"].split(";")[0]
    application = run(block_with(page, "sealedsession.asgi", "async def visits(scope"))["application"]

    async def visit() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="https://a") as client:
            return (await client.get("/", headers={"Cookie": cookie})).text

    assert asyncio.run(visit()) == "visits: 2\n"


@pytest.mark.parametrize(
    ("page", "code"), [(name, code) for name, text in PAGES.items() for code in blocks(text, "python")]
)
def test_every_python_block_of_the_docs_runs(
    page: str, code: str, monkeypatch: pytest.MonkeyPatch, keys: dict[str, str], tmp_path: Path
) -> None:
    """Every block of Python in docs/ runs by itself, where keys are in the environment and directories exist."""
    for name in [name for name in os.environ if name.startswith("SEALEDSESSION_")]:
        monkeypatch.delenv(name)
    for option, key in keys.items():
        monkeypatch.setenv(f"SESSION_{option.upper()}", key)
        monkeypatch.setenv(f"SEALEDSESSION_{option.upper()}", key)
    for name in ("SECRET_KEY", "FLASK_SECRET_KEY"):
        monkeypatch.setenv(name, keys["validate_key"])
    run(code.replace("/var/lib/app", str(tmp_path)))


def test_options_from_variables_need_the_encrypt_key(monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]) -> None:
    """The block that reads all options from the environment does not go on without encryption, but with a keyring."""
    code = block_with(PAGES["reference/options"], "SEALEDSESSION_")
    monkeypatch.setenv("SESSION_ENCRYPT_KEY", keys["encrypt_key"])
    monkeypatch.setenv("SEALEDSESSION_VALIDATE_KEY", keys["validate_key"])
    with pytest.raises(SystemExit, match="SEALEDSESSION_ENCRYPT_KEY"):
        run(code)
    monkeypatch.delenv("SEALEDSESSION_VALIDATE_KEY")
    ring = {"version": 1, "keys": [{"state": "primary", **keys}]}
    monkeypatch.setenv("TEST_KEYRING", json.dumps(ring))
    monkeypatch.setenv("SEALEDSESSION_KEYRING", "env:TEST_KEYRING")
    assert run(code)["config"].keys.pairs[0].encrypt == keys["encrypt_key"].encode()


@pytest.mark.parametrize("page", ["README", *PAGES])
def test_no_command_of_the_docs_is_broken(page: str) -> None:
    """No line of a shell block goes on in the next one without a backslash: pasted, it would fail."""
    for block in blocks({"README": README, **PAGES}[page], "sh"):
        for before, line in pairwise(block.splitlines()):
            assert before.endswith("\\") or not re.match(r"\s*(-|[|]|&&)", line), line


def test_key_files_are_made_for_their_owner_alone() -> None:
    """Wherever a page or an example writes a key to a file, nobody else can read it."""
    sources = [README, *PAGES.values(), *(path.read_text() for path in (ROOT / "examples").rglob("*.ini"))]
    lines = [line for source in sources for line in source.splitlines() if "keygen >" in line]
    assert len(lines) == 3
    assert all("(umask 077; " in line for line in lines)


def test_the_setting_that_old_tetra_needs_lets_it_start() -> None:
    """What docs/howto/tetra.rst has at the top of the settings brings what Tetra 0.7.1 imports."""
    code = textwrap.dedent(re.search(r"above all else\n\n((?:   .*\n|\n)+)", PAGES["howto/tetra"])[1])
    script = f"import warnings\nvars(warnings).pop('deprecated', None)\n{code}\nfrom warnings import deprecated\n"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_overview_lists_every_option_with_its_default() -> None:
    """The overview of docs/reference/options.rst has exactly the options of SessionConfig, in order, with defaults."""
    overview = rows(section(PAGES["reference/options"], "Overview"))
    table = {name[1]: default for cell, default, _ in overview if (name := re.match(r":confval:`(\w+)`", cell))}
    assert list(table) == list(OPTIONS), "Overview: one row for each option, in the order of the fields"
    assert table.pop("validate_key") == "required"
    for option, named in NAMED_DEFAULTS.items():
        assert table.pop(option) == f"``{named}``"
    for option, default in table.items():
        assert ast.literal_eval(literals(default)[0]) == OPTIONS[option], option


def test_the_default_name_and_refresh_interval_are_as_described(keys: dict[str, str]) -> None:
    """What None stands for in `name` and `refresh_interval` is what docs/reference/options.rst says."""
    config = SessionConfig(**keys)
    assert (config.cookie.name, config.timeouts.refresh) == ("__Host-Http-session", 3600)
    assert SessionConfig(**keys, secure=False).cookie.name == "sealed-session"
    assert SessionConfig(**keys, httponly=False).cookie.name == "__Host-session"
    assert SessionConfig(**keys, idle_timeout=600).timeouts.refresh == 60


def test_the_options_page_describes_every_option() -> None:
    """docs/reference/options.rst has an entry for each option, each with type and default."""
    page = PAGES["reference/options"]
    entries = re.findall(r"^\.\. confval:: (\w+)\n   :type: .+\n   :default: (.+)\n", page, re.MULTILINE)
    assert [option for option, _ in entries] == list(OPTIONS), "docs/reference/options.rst: in the order of the fields"
    for option, default in entries:
        if option in NAMED_DEFAULTS:
            assert literals(default)[0] == NAMED_DEFAULTS[option]
        elif option != "validate_key":
            documented = ast.literal_eval(literals(default)[0])
            assert documented == OPTIONS[option], option


# Each option with its field "Error"
ERRORS = re.findall(
    r"^\.\. confval:: (\w+)\n(?:   .*\n|\n)*?   :Error: (.+\n(?:           .+\n)*)",
    PAGES["reference/options"],
    re.MULTILINE,
)


@pytest.mark.parametrize("option", OPTIONS)
def test_the_options_page_has_refused_values(option: str, keys: dict[str, str]) -> None:
    """Each value that docs/reference/options.rst describes as an error of an option is one that names the option."""
    examples = [text for text in literals(" ".join(dict(ERRORS)[option].split())) if "=" in text]
    assert examples
    for example in examples:
        call = ast.parse(f"dict({example})", mode="eval").body
        assert isinstance(call, ast.Call)
        values = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        assert option in values
        with pytest.raises(ConfigError, match=option):
            SessionConfig(**{**keys, **values})


def test_the_defaults_that_have_names_are_those() -> None:
    """The options whose defaults the tables name have these defaults."""
    assert OPTIONS["registry"] is default_registry
    assert OPTIONS["limits"] == Limits()


def test_the_limits_are_as_described() -> None:
    """The limits in the docs (options, types, format and security) are those of Limits."""
    (entry,) = re.findall(r"^   :default: ``Limits\(\)``: (.+)$", PAGES["reference/options"], re.MULTILINE)
    documented = dict(text.split("=") for text in literals(entry))
    assert {name: int(number) for name, number in documented.items()} == {
        limit.name: limit.default for limit in fields(Limits)
    }
    limits = DEFAULT_LIMITS
    for page, *phrases in (
        ("howto/types", f"{limits.size:,} bytes when serialized", f"{limits.depth} levels of nesting"),
        (
            "howto/types",
            f"{limits.nodes:,} values",
            f"{limits.typed} of them with a code",
            f"at most {limits.int_bytes} bytes",
        ),
        ("reference/format", f"payload of at most {limits.size // 1024} KiB", f"nesting of at most {limits.depth}"),
        (
            "reference/format",
            f"at most {limits.nodes:,} values and {limits.typed} typed ones",
            f"at most {limits.int_bytes}, that",
        ),
        ("reference/format", f"more than {limits.int_bytes} bytes in two's complement"),
        ("internals/payload", f"bounded at {limits.size // 1024} KiB, nesting at {limits.depth} levels"),
        ("internals/payload", f"values at {limits.nodes:,} and those with a code at {limits.typed}"),
        ("internals/payload", f"integers at {limits.int_bytes} bytes"),
        ("sessions", f"has at most {8 * limits.int_bytes - 1} bits and a sign", f"at most {limits.depth} deep"),
    ):
        text = " ".join(PAGES[page].split())
        assert [phrase for phrase in phrases if phrase not in text] == [], page


@pytest.mark.parametrize("ini", [block for text in PAGES.values() for block in blocks(text, "ini") if "key" in block])
def test_every_key_in_the_docs_ini_blocks_is_an_option(ini: str) -> None:
    """An ini block of docs/ sets nothing but options of ours, and PasteDeploy's own words."""
    for option in re.findall(r"^(?:session\.)?(\w[\w.]*) *=", ini, re.MULTILINE):
        assert option in {*OPTIONS, "use", "pipeline", "paste.app_factory"}


def test_the_session_page_names_what_a_session_has() -> None:
    """The overview of docs/reference/session.rst has exactly the public names that Session adds to a dict."""
    overview = rows(section(PAGES["reference/session"], "Overview"))
    documented = {name for cell, _ in overview for name in re.findall(r":(?:attr|meth):`~Session\.(\w+)`", cell)}
    added = {name for name in vars(Session) if not name.startswith("_") and not hasattr(dict, name)}
    assert documented == added - {"mark_accessed"}  # for Starlette, not for applications


def test_the_reason_codes_are_those_of_the_code() -> None:
    """The table in docs/reference/reasons.rst has exactly the codes of sealedsession.errors.Reason."""
    codes = [literals(code)[0] for code, *_ in rows(section(PAGES["reference/reasons"], "Codes")) if code != "Code"]
    assert codes == list(Reason.__args__), "docs/reference/reasons.rst: in the order of Reason"


def test_the_event_kinds_are_those_of_the_code() -> None:
    """The table of events in docs/operations/events.rst has exactly the kinds of sealedsession.events.Kind."""
    _, *kinds = re.findall(r"^   \* - ``(\w+)``$", PAGES["operations/events"], re.MULTILINE)  # without the table's head
    assert set(kinds) == set(Kind.__args__), "docs/operations/events.rst: a row for each kind"


def test_the_codes_of_typed_values_are_those_of_the_code() -> None:
    """The table in docs/howto/types.rst has every default type with its code, and that of classes."""
    table = [row for row in rows(section(PAGES["howto/types"], "The types sessions hold")) if row[1] != "Code"]
    codes = {code: kinds for kinds, cell, *_ in table for code in literals(cell)}
    assert len(codes) == len(table)
    assert codes.pop("t") == "a class"
    assert set(codes) == {row.code for row in DEFAULT_TYPES}
    for row in DEFAULT_TYPES:
        assert row.cls.__name__ in literals(codes[row.code])


def test_the_codes_of_default_types_are_short() -> None:
    """docs/howto/types.rst says that longer codes than these do not meet them."""
    assert "at most four characters" in " ".join(PAGES["howto/types"].split())
    assert max(len(code) for code in Registry().by_code) == 4


def test_the_deferred_types_are_those_of_the_code() -> None:
    """docs/howto/types.rst names the default types that cannot be keys with the pickle serializer."""
    text = " ".join(section(PAGES["howto/types"], "What cannot be a key").split())
    (named,) = re.findall(r"Of the default types these are (.+) and the classes themselves; (.+) are not", text)
    deferred, not_deferred = map(literals, named)
    by_type = Registry().by_type
    deferred_types = {entry.cls for entry in by_type.values() if entry.deferred}
    assert {CLASS_VALUES[name] for name in deferred} | {type} == deferred_types
    assert not any(by_type[CLASS_VALUES[name]].deferred for name in not_deferred)


REGISTRATIONS = [
    code for code in blocks(PAGES["howto/types"], "python") if re.search(r"^session = ", code, re.MULTILINE)
]


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("code", REGISTRATIONS)
def test_registered_types_round_trip(code: str, serializer: Callable[..., Any]) -> None:
    """What a block of docs/howto/types.rst registers and puts into a session comes back equal, and as its type."""
    namespace = run(code)
    written = namespace["session"]
    registry = namespace.get("registry", default_registry)
    read = (loads := serializer(registry)).loads(loads.dumps(written))
    assert read == written
    assert [*map(type, [*read, *read.values()])] == [*map(type, [*written, *written.values()])]
    stored = {type(value) for value in [*written, *written.values()]} - {str, int, bool}
    assert stored
    with pytest.raises(UnsealError, match="not registered"):
        serializer(Registry()).loads(loads.dumps(written))


def test_every_kind_of_registration_is_in_the_docs() -> None:
    """docs/howto/types.rst has an example of every method that registers."""
    methods = {name for name in vars(Registry) if name.startswith("register")}
    assert {name for code in REGISTRATIONS for name in re.findall(r"registry\.(register\w*)\(", code)} == methods


@pytest.mark.usefixtures("environment")
def test_two_middlewares_have_two_registries() -> None:
    """The applications of docs/howto/types.rst store a type each, and neither knows the other's."""
    applications = run(block_with(PAGES["howto/types"], "shop_types"))
    shop, office = applications["shop_types"].by_code, applications["office_types"].by_code
    assert ("step" in shop, "role" in shop, "step" in office, "role" in office) == (True, False, False, True)
    for name in ("shop", "office"):
        answer = webtest.TestApp(applications[f"{name}_application"]).get("/")
        assert answer.headers["Set-Cookie"].startswith(f"__Host-{name}=")


def test_the_error_in_the_types_page_is_that_of_the_code() -> None:
    """The error that docs/howto/types.rst quotes for a type that is not registered is the one that is raised."""
    (quoted,) = blocks(PAGES["howto/types"], "text")
    kind = run(block_with(PAGES["howto/types"], "register_enum(Colour"))["Colour"]
    kind.__module__ = "shop"
    for serializer in SERIALIZERS:
        with pytest.raises(NotSerializableError) as caught:
            serializer(Registry()).dumps({"colour": kind.RED})
        assert str(caught.value) == " ".join(quoted.split())


def test_the_json_payload_is_as_described() -> None:
    """Each tag in the table of docs/reference/format.rst is what the JSON serializer writes."""
    table = [
        literals(cell)[0] for cell, _ in rows(section(PAGES["reference/format"], "The JSON payload")) if "~" in cell
    ]
    written = [date(2026, 10, 25), (1, 2), {1: 2}, b"ab", float("nan")]
    assert [tag[:4] for tag in table] == [JsonSerializer().dumps(value).decode()[:4] for value in written]
    assert JsonSerializer().dumps(date(2026, 10, 25)) == b'{"~:date":"2026-10-25"}'
    assert JsonSerializer().dumps({"~t": 1}) == b'{"~d":["~t",1]}'
    for payload in (b'{"~x":1}', b'{"~t":[],"a":1}', b'{"a":1,"a":1}', b"NaN", b"Infinity", b" 1", b"1 ", b"1" * 80):
        with pytest.raises(UnsealError):
            JsonSerializer().loads(payload)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_stock_pickles_are_refused(protocol: int) -> None:
    """docs/internals/payload.rst says so, also of those that hold plain values only, with and without their head."""
    for payload in (stock := pickle.dumps({"user": 7, "name": "Ada"}, protocol), stock[11:]):
        with pytest.raises(UnsealError) as caught:
            PickleSerializer().loads(payload)
        assert caught.value.reason == "forbidden_value"


def test_the_groups_of_the_corpus_are_described() -> None:
    """docs/internals/payload.rst describes each group of the table that is made of the corpus, in its order."""
    table = section(PAGES["internals/payload"], "The corpus")
    described = [literals(group)[0] for group, *_ in rows(table) if "`" in group]
    counted = [group for group, *_ in rows(PAGES["corpus-table"])]
    assert described == [group for group in counted if group not in ("group", "all")]


def test_the_opcodes_are_those_that_are_read() -> None:
    """The table of opcodes in docs/reference/format.rst has exactly the bytes that begin an opcode."""
    table = rows(section(PAGES["reference/format"], "The pickle payload"))
    documented = {int(byte, 16) for cell, *_ in table for byte in literals(cell)}
    argument = b"\0" * 8
    grammar = Grammar(DEFAULT_LIMITS)

    def takes(payload: bytes) -> bool:
        try:
            grammar.check(payload)
        except UnsealError:
            return False
        return True

    read = {byte for byte in range(256) if any(takes(bytes((byte,)) + argument[:count] + b".") for count in range(9))}
    assert takes(b".")
    assert documented == read | {ord(".")}
    assert len(documented) == 26


@pytest.mark.parametrize("encrypted", [True, False])
def test_the_reader_in_the_format_page_reads_our_tokens(encrypted: bool, keys: dict[str, str]) -> None:
    """The reader that docs/reference/format.rst gives in full opens what Sealer seals, and refuses another purpose."""
    read_token = run(block_with(PAGES["reference/format"], "def read_token"))["read_token"]
    validate_key = keys["validate_key"].encode()
    encrypt_key = keys["encrypt_key"].encode() if encrypted else None
    token = Sealer(Keyring(validate_key, encrypt_key), "cookie:a", clock=lambda: 2000.0).seal(b"}.", created=1000)
    assert read_token(token, validate_key, encrypt_key, b"cookie:a") == (0, 1000, 2000, b"}.")
    with pytest.raises(ValueError, match="bad_signature"):
        read_token(token, validate_key, encrypt_key, b"cookie:b")


def test_the_format_page_names_the_fields_of_the_vectors() -> None:
    """docs/reference/format.rst describes every field of tests/security/vectors/seal_v1.json."""
    document = json.loads((ROOT / "tests" / "security" / "vectors" / "seal_v1.json").read_text())
    named = {name for cell, *_ in rows(section(PAGES["reference/format"], "Test vectors")) for name in literals(cell)}
    fields = {*document, *(field for name in ("vectors", "payloads") for vector in document[name] for field in vector)}
    assert fields - {"format", "about", "name"} == named


def code_messages() -> list[str]:
    """Every string in the package's source, with … where a value is put in, and what `errors.got` returns."""
    found = []
    for path in (ROOT / "sealedsession").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(map(_as_said, node.values)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[rsd]", "…", node.value))
    return found


def _as_said(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    return ", got a …" if ast.unparse(part.value).startswith("got(") else "…"


def documented_messages() -> list[str]:
    text = PAGES["operations/troubleshooting"].split("\nLog records\n", 1)[1].replace("\\", "")
    terms = re.findall(r"^(?! )(.+)\n   \S", text, re.MULTILINE)
    return [term for term in terms if not term.startswith((".. ", "The logger"))]


@pytest.mark.parametrize("message", documented_messages())
def test_every_message_in_troubleshooting_is_one_of_the_code(message: str) -> None:
    """Every message in docs/operations/troubleshooting.rst is in the source, so that a search finds its entry."""
    rejection = re.match(r"cookie \.\.\. rejected, (\w+): ", message)
    if rejection:
        assert rejection[1] in Reason.__args__
        message = message[rejection.end() :]
        if message == "...":
            return
    parts = [part.strip(" :") for part in message.split("...")]
    pattern = re.compile(".*".join(re.escape(part) for part in parts if part), re.DOTALL)
    assert any(pattern.search(text) for text in code_messages())


def test_the_size_left_for_data_is_as_described(keys: dict[str, str]) -> None:
    """README says that about 3,000 bytes are for the data: 2,950 fit and 3,050 do not."""

    def size_with(count: int) -> int:
        sizes = []

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            session = environ["sealedsession.session"]
            session["text"] = "x" * count
            sizes.append(session.remaining)
            session.clear()
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b""]

        webtest.TestApp(SessionMiddleware(application, **keys)).get("/")
        return sizes[0]

    assert size_with(2950) >= 0 > size_with(3050)
