"""The session cookie: rules of its attributes, Set-Cookie, and its values in a Cookie header."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealedsession.cookie import CANDIDATES, CookieFinder, CookiePolicy, is_loopback
from sealedsession.errors import ConfigError

NAME = "__Host-session"
untimed = settings(deadline=None)


def refusal(**options):
    with pytest.raises(ConfigError) as caught:
        CookiePolicy(**options)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------------- the policy


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "__Host-Http-session"),
        ({"samesite": "Strict", "httponly": False}, "__Host-session"),
        ({"secure": False}, "sealed-session"),
        ({"path": "/app"}, "sealed-session"),
        ({"domain": "example.com"}, "sealed-session"),
        ({"name": "sid"}, "sid"),
    ],
)
def test_default_name(options, name):
    """The default name has the strictest prefix that the other options allow."""
    assert CookiePolicy(**options).name == name


@pytest.mark.parametrize(
    ("name", "options", "option"),
    [
        ("__Secure-sid", {"secure": False}, "secure"),
        ("__SECURE-sid", {"secure": False}, "secure"),
        ("__Host-sid", {"secure": False}, "secure"),
        ("__hOSt-sid", {"secure": False}, "secure"),
        ("__Http-sid", {"secure": False}, "secure"),
        ("__Host-Http-sid", {"secure": False}, "secure"),
        ("__Host-sid", {"path": "/app"}, "path"),
        ("__HOST-sid", {"path": "/app"}, "path"),
        ("__host-sid", {"domain": "example.com"}, "domain"),
        ("__Host-Http-sid", {"path": "/app"}, "path"),
        ("__host-HTTP-sid", {"domain": "example.com"}, "domain"),
        ("__Http-sid", {"httponly": False}, "httponly"),
        ("__hTTP-sid", {"httponly": False}, "httponly"),
        ("__Host-Http-sid", {"httponly": False}, "httponly"),
        ("__HOST-http-sid", {"httponly": False}, "httponly"),
    ],
)
def test_prefix_rules(name, options, option):
    """A prefix in any case needs the options that browsers require. The error names cookie and option."""
    message = refusal(name=name, **options)
    assert repr(name) in message
    assert option in message


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("__Secure-sid", {"path": "/app", "domain": "example.com", "httponly": False}),
        ("__Host-sid", {"httponly": False}),
        ("__Http-sid", {"path": "/app", "domain": "example.com"}),
        ("__Host-Http-sid", {}),
        ("x__Host-sid", {"secure": False, "path": "/app"}),
        ("__Hostsid", {"secure": False}),
    ],
)
def test_prefix_rules_ask_no_more(name, options):
    """Each prefix needs only its own options. It counts only at the beginning of the name."""
    assert CookiePolicy(name=name, **options).name == name


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a=b", "a;b", "a,b", 'a"b', "a\r\nb", "sid\n", "a\0", "a/b", "a[b]", "größe", "sid\u2028"]
)
def test_name_is_a_token(name):
    """A name that is not a token of RFC 9110 is refused."""
    assert "name=" in refusal(name=name)


def test_every_token_character():
    """Every character of a token is accepted in a name."""
    name = "!#$%&'*+-.^_`|~09AZaz"
    assert CookiePolicy(name=name).name == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "app",
        "app/",
        "/a;b",
        "/; Domain=evil.example",
        "/a\r\nSet-Cookie: x=1",
        "/a\n",
        "/a\tb",
        "/a\x7f",
        "/ä",
        " /",
    ],
)
def test_path(path):
    """A path without a leading slash, or with characters that end the attribute or the header, is refused."""
    assert "path=" in refusal(path=path)


@pytest.mark.parametrize(
    "domain",
    ["", " ", "a;b", "example.com; Secure", "example.com\r\nX: y", "example.com\n", "bücher.example", "a b", "a..b",
     "..a", "a.", "a/b", "example.com:80", "[::1]", "*.example.com", "."],
)  # fmt: skip
def test_domain(domain):
    """A domain that is not a host name, or that could end the attribute or the header, is refused."""
    assert "domain=" in refusal(domain=domain)


@pytest.mark.parametrize("domain", ["example.com", ".example.com", "localhost", "EXAMPLE.com", "xn--bcher-kva.example"])
def test_legal_domain(domain):
    """A host name is a domain, with or without a leading dot."""
    assert f"; Domain={domain};" in CookiePolicy(domain=domain).attributes


def test_attribute_limit():
    """A path or domain of 1024 bytes is accepted, and one more byte is refused."""
    CookiePolicy(path="/" + "a" * 1023, domain="a" * 1024)
    assert "path" in refusal(path="/" + "a" * 1024)
    assert "domain" in refusal(domain="a" * 1025)


@pytest.mark.parametrize("samesite", ["", "no", "Lax; Domain=x", "lax\n", " Lax"])
def test_unknown_samesite(samesite):
    """SameSite is Lax, Strict or None, and nothing else."""
    assert "samesite=" in refusal(samesite=samesite)


@pytest.mark.parametrize("samesite", ["lax", "LAX", "Lax", "strict", "sTRICT", "none", "NONE"])
def test_samesite_in_any_case(samesite):
    """SameSite is accepted in any case, and sent in the usual one."""
    assert CookiePolicy(samesite=samesite).attributes.endswith(f"; SameSite={samesite.capitalize()}")


@pytest.mark.parametrize("samesite", ["None", "none", "NONE"])
def test_samesite_none_needs_secure(samesite):
    """SameSite=None without Secure is refused, in any case."""
    message = refusal(samesite=samesite, secure=False)
    assert "samesite" in message
    assert "secure=True" in message


def test_partitioned_needs_secure():
    """Partitioned without Secure is refused."""
    assert "partitioned=True: it needs secure=True" in refusal(partitioned=True, secure=False)


@pytest.mark.parametrize("samesite", ["Lax", "Strict"])
def test_partitioned_wants_samesite_none(samesite):
    """Partitioned without SameSite=None is accepted with a warning."""
    with pytest.warns(UserWarning, match="partitioned"):
        policy = CookiePolicy(partitioned=True, samesite=samesite)
    assert policy.attributes.endswith(f"; SameSite={samesite}; Partitioned")


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({}, "; Path=/; Secure; HttpOnly; SameSite=Lax"),
        ({"secure": False, "httponly": False}, "; Path=/; SameSite=Lax"),
        ({"partitioned": True, "samesite": "none"}, "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"),
        (
            {"path": "/a b", "domain": "example.com", "samesite": "Strict"},
            "; Path=/a b; Domain=example.com; Secure; HttpOnly; SameSite=Strict",
        ),
    ],
)
def test_attributes(options, attributes):
    """Set-Cookie has exactly these attributes, in this order."""
    assert CookiePolicy(**options).attributes == attributes


@pytest.mark.parametrize(
    ("options", "deletion"),
    [
        (
            {"name": "__Host-session"},
            "__Host-session=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
        (
            {"name": "sid", "path": "/app", "domain": "example.com", "partitioned": True, "samesite": "None"},
            "sid=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/app; Domain=example.com; Secure; HttpOnly; "
            "SameSite=None; Partitioned",
        ),
    ],
)
def test_deletion(options, deletion):
    """The deleting Set-Cookie has an empty value, a past date, and the same name, path, domain and Partitioned."""
    assert CookiePolicy(**options).deletion == deletion


# ------------------------------------------------------------------------------------------------------- the finder


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("", []),
        ("other=1", []),
        ("__Host-session=abc", ["abc"]),
        ("other=1; __Host-session=abc; more=2", ["abc"]),
        # odd neighbours
        ('{"json":1}=a; __Host-session=abc', ["abc"]),
        ('__Host-session=abc; {"json":1}=a', ["abc"]),
        ("null; x=1; __Host-session=abc; null", ["abc"]),
        ("a b=c; __Host-session=abc", ["abc"]),
        ("bad name=1; __Host-session=abc", ["abc"]),
        ("=x; __Host-session=abc", ["abc"]),
        (";;; ; __Host-session=abc;", ["abc"]),
        ('x="unclosed; __Host-session=abc', ["abc"]),
        ("größe=1; __Host-session=abc", ["abc"]),
        ("\0\x01=\xff; __Host-session=abc", ["abc"]),
        # values
        ("__Host-session=", [""]),
        ("__Host-session=; x=1", [""]),
        ('__Host-session="abc"', ["abc"]),
        ('__Host-session="abc"; x=1', ["abc"]),
        ("__Host-session= abc ; x=1", ["abc"]),
        ("__Host-session=\tabc\t", ["abc"]),
        ('x="__Host-session=fake"; __Host-session=abc', ["abc"]),
        ("__Host-session=a=b==", ["a=b=="]),
        ("__Host-session=a,__Host-session=b", ["a,__Host-session=b"]),
        # spaces between cookies
        ("x=1;__Host-session=abc;y=2", ["abc"]),
        ("x=1;  \t __Host-session=abc", ["abc"]),
        ("  __Host-session=abc", ["abc"]),
        ("\t__Host-session=abc", ["abc"]),
        (";__Host-session=abc", ["abc"]),
        # names that look like ours
        ("x__Host-session=no", []),
        ("x __Host-session=no", []),
        ("__Host-session2=no; __Host-sessio=no; __host-session=no", []),
        ("__Host-session", []),
        ("__Host-session; x=1", []),
        ("__Host-session =no", []),
        ("$__Host-session=no; x__Host-session=no; __Host-session=abc", ["abc"]),
        ("x=__Host-session=no", []),
        ("x=; y=;x__Host-session=no", []),
        # several
        ("__Host-session=a; __Host-session=b", ["a", "b"]),
        ("__Host-session=a;__Host-session=b; x=1; __Host-session=", ["a", "b", ""]),
        ("; ".join(f"__Host-session={letter}" for letter in "abcdefghijklmnopqrst"), [*"abcdefghijklmnopq"]),
        ("__Host-session=__Host-session=a; __Host-session=b", ["__Host-session=a", "b"]),
    ],
)
def test_finder(header, values):
    """The finder returns the values in their order, at most 17, whatever other cookies there are."""
    assert CookieFinder(NAME)(header.encode("latin-1")) == [value.encode() for value in values]


@pytest.mark.parametrize("name", ["a.b", "a|b", "a*", "^a", "$a", "a+b"])
def test_name_is_no_expression(name):
    """The characters of a name have no meaning as a regular expression."""
    finder = CookieFinder(name)
    assert finder(f"x=1;{name}=abc;{name}=d".encode()) == [b"abc", b"d"]
    assert finder(b"aab=1;acb=1;aaa=1;a=1;b=1;") == []


def find_simply(name, header):
    """The reference: split at semicolons, and return the values of the name."""
    pairs = [part.lstrip(b" \t") for part in header.split(b";")]
    prefix = name + b"="
    return [pair[len(prefix) :].strip(b' \t"') for pair in pairs if pair.startswith(prefix)][:17]


pieces = st.sampled_from(
    [b"__Host-session", b"__Host-session=", b"=", b";", b"; ", b" ", b"\t", b'"', b"abc", b"x", b",", b"\r\n", b"\xff"]
)


@settings(untimed, max_examples=1000)
@given(st.lists(pieces | st.binary(max_size=3), max_size=30).map(b"".join))
def test_finder_agrees_with_the_reference(header):
    """For any header, the finder returns the same values as the reference."""
    assert CookieFinder(NAME)(header) == find_simply(NAME.encode(), header)


@settings(untimed, max_examples=300)
@given(st.text("ab=; ", max_size=30).map(str.encode))
def test_finder_agrees_for_a_short_name(header):
    """The same is true for a name of one letter, which occurs in many places."""
    assert CookieFinder("a")(header) == find_simply(b"a", header)


@untimed
@given(st.lists(st.binary(max_size=20).filter(lambda value: b";" not in value), min_size=1, max_size=8), st.binary())
def test_finder_never_raises(values, rest):
    """For any bytes, the finder returns at most 17 values, without semicolons."""
    header = b"; ".join(b"__Host-session=" + value for value in values) + b";" + rest
    found = CookieFinder(NAME)(header)
    assert 1 <= len(found) <= CANDIDATES + 1 == 17
    assert not any(b";" in value for value in found)


# ------------------------------------------------------------------------------------------------------ is_loopback


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "localhost:8000", "app.localhost", "app.localhost:80", "127.0.0.1", "127.0.0.1:8000",
     "127.1.2.3", "[::1]", "[::1]:8000", "::1", "localhost.", "localhost.:8000"],
)  # fmt: skip
def test_loopback(host):
    """Names and addresses of this machine are loopback, with or without a port."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "example.com", "localhost.example.com", "notlocalhost", "128.0.0.1", "10.127.0.1", "0.0.0.0", "[::2]",
     "[2001:db8::1]:80", "192.168.0.1:8000", "127.example.com", "127.0.0.1.example.com", ":8000"],
)  # fmt: skip
def test_not_loopback(host):
    """Every other host is not loopback."""
    assert not is_loopback(host)


@pytest.mark.parametrize("options", [{"path": None}, {"samesite": None}, {"name": 5}, {"secure": 1}])
def test_options_of_another_type(options):
    """An option of another type is refused with a ConfigError that names it."""
    [option] = options
    with pytest.raises(ConfigError, match=f"^{option}:"):
        CookiePolicy(**options)


def test_a_name_that_leaves_no_room():
    """A name of more than 256 bytes is refused."""
    assert CookiePolicy(name="a" * 256).name == "a" * 256
    with pytest.raises(ConfigError, match=r"^name: .*257"):
        CookiePolicy(name="a" * 257)
