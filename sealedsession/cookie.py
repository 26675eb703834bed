"""The cookie on the wire: find it in a Cookie header, render Set-Cookie, and the rules of both.

Rules, from RFC 6265bis (draft-ietf-httpbis-rfc6265bis) and CHIPS, all checked at start:

1. Name and value take at most 4096 bytes together, an attribute's value at most 1024 (5.7). Max-Age: 400 days.
2. The prefixes __Secure-, __Host-, __Http- and __Host-Http- mean what browsers enforce, in any case of letters.
3. SameSite is always explicit. SameSite=None and Partitioned need Secure.
4. A cookie is deleted by the same name, path, domain and Partitioned it was set with.
5. A neighbour cookie, however odd, never hides ours, nor do up to 15 others of our name. Headers are not split at
   commas, although some gateways join them with commas: a neighbour's value could then pass for a __Host- cookie.
"""

import ipaddress
import re
import typing
import warnings
from dataclasses import dataclass, fields
from itertools import islice

from sealedsession.errors import ConfigError

LIMIT = 4096  # bytes of name and value that a browser keeps
ATTRIBUTE_LIMIT = 1024  # bytes of an attribute's value
NAME_LIMIT = 256  # bytes of our own cookie's name, which count towards LIMIT
MAX_AGE_LIMIT = 400 * 24 * 3600  # seconds
# Cookies of our name that are tried. Another host of the domain may have set some that come before ours.
CANDIDATES = 16

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_DOMAIN = re.compile(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")  # no control character and no semicolon
_AROUND_VALUE = b' \t"'  # a value may stand in quotes (RFC 6265bis, 4.1.1); tokens hold none of these
_SAMESITE = {"lax": "Lax", "strict": "Strict", "none": "None"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CookiePolicy:
    """Name and attributes of the session cookie.

    :param name: None means ``__Host-session`` where its rules can be kept, and ``session`` elsewhere.
    :param path: the part of the site that gets the cookie.
    :param domain: None means this host only; a domain means its subdomains too.
    :param secure: only over https, and from localhost.
    :param httponly: hidden from JavaScript.
    :param samesite: ``Lax``, ``Strict`` or ``None`` (as a str), in any case of letters.
    :param partitioned: one cookie jar for each top-level site (CHIPS).
    :param max_age: seconds that a browser keeps the cookie, or None: until it is closed.
    :raises ConfigError: for an illegal value or combination.
    """

    name: str | None = None
    path: str = "/"
    domain: str | None = None
    secure: bool = True
    httponly: bool = True
    samesite: str = "Lax"
    partitioned: bool = False
    max_age: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            kinds = typing.get_args(field.type) or (field.type,)
            if type(getattr(self, field.name)) not in kinds:
                raise ConfigError(f"{field.name} cannot be a {type(getattr(self, field.name)).__name__}")
        if self.name is None:
            host_only = self.secure and self.domain is None and self.path == "/"
            object.__setattr__(self, "name", "__Host-session" if host_only else "session")
        object.__setattr__(self, "samesite", _SAMESITE.get(self.samesite.lower(), self.samesite))
        self._check_values()
        self._check_combinations()

    def _check_values(self) -> None:
        if not _TOKEN.fullmatch(str(self.name)):
            raise ConfigError(f"name={self.name!r} is no cookie name: use letters, digits, '-', '_' and '.'")
        if len(str(self.name)) > NAME_LIMIT:
            raise ConfigError(
                f"name takes {len(str(self.name))} bytes, and {NAME_LIMIT} is the most: the value needs room"
            )
        if self.samesite not in _SAMESITE.values():
            raise ConfigError(f"samesite={self.samesite!r} has to be 'Lax', 'Strict' or 'None' (RFC 6265bis, 5.6.7)")
        if not _PATH.fullmatch(self.path):
            raise ConfigError(f"path={self.path!r} has to begin with '/' and hold neither ';' nor control characters")
        if self.domain is not None and not _DOMAIN.fullmatch(self.domain):
            raise ConfigError(f"domain={self.domain!r} is no host name")
        for option, value in (("path", self.path), ("domain", self.domain or "")):
            if len(value) > ATTRIBUTE_LIMIT:
                raise ConfigError(f"{option} takes {len(value)} bytes, and browsers ignore it over {ATTRIBUTE_LIMIT}")
        if self.max_age is not None and not 0 < self.max_age <= MAX_AGE_LIMIT:
            raise ConfigError(
                f"max_age={self.max_age} has to be 1 to {MAX_AGE_LIMIT} seconds (400 days, RFC 6265bis, 5.6.2), "
                "or None for a cookie that ends with the browser; to end a session call session.invalidate()"
            )

    def _check_combinations(self) -> None:
        prefix = str(self.name).lower()
        if prefix.startswith(("__secure-", "__host-", "__http-")) and not self.secure:
            raise ConfigError(f"name={self.name!r} needs secure=True (RFC 6265bis, 4.1.3): browsers drop it otherwise")
        if prefix.startswith("__host-") and (self.domain is not None or self.path != "/"):
            raise ConfigError(f"name={self.name!r} needs path='/' and no domain (RFC 6265bis, 4.1.3.2)")
        if prefix.startswith(("__http-", "__host-http-")) and not self.httponly:
            raise ConfigError(f"name={self.name!r} needs httponly=True (RFC 6265bis, 4.1.3)")
        if self.samesite == "None" and not self.secure:
            raise ConfigError(
                "samesite='None' needs secure=True (RFC 6265bis, 5.7): browsers drop the cookie otherwise"
            )
        if self.partitioned and not self.secure:
            raise ConfigError("partitioned=True needs secure=True (CHIPS): browsers drop the cookie otherwise")
        if self.partitioned and self.samesite != "None":
            warnings.warn(
                f"partitioned=True with samesite={self.samesite!r}: a partitioned cookie is for embedded pages, "
                "and those get it only with samesite='None'",
                stacklevel=2,
            )

    @property
    def attributes(self) -> str:
        """All that follows name and value in Set-Cookie."""
        return (f"; Max-Age={self.max_age}" if self.max_age else "") + self._fixed_attributes

    @property
    def deletion(self) -> str:
        """The whole Set-Cookie that deletes the cookie."""
        return f"{self.name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT{self._fixed_attributes}"

    @property
    def _fixed_attributes(self) -> str:
        return (
            f"; Path={self.path}"
            + (f"; Domain={self.domain}" if self.domain else "")
            + ("; Secure" if self.secure else "")
            + ("; HttpOnly" if self.httponly else "")
            + f"; SameSite={self.samesite}"
            + ("; Partitioned" if self.partitioned else "")
        )


class CookieFinder:
    """Find the values of one cookie in Cookie headers."""

    __slots__ = ("_every", "_prefix", "_prefix_length")

    def __init__(self, name: str) -> None:
        self._prefix = name.encode("ascii") + b"="
        self._prefix_length = len(self._prefix)
        self._every = re.compile(rb"(?:^|;)[ \t]*" + re.escape(self._prefix) + rb"([^;]*)")

    def __call__(self, header: bytes) -> list[bytes]:
        """Return the cookie's values in the order of the header, at most one more than `CANDIDATES`.

        A header is cut at semicolons and nowhere else, as browsers write it (RFC 6265bis, 5.8.3).
        """
        at = header.find(self._prefix)
        if at < 0:
            return []
        start = at + self._prefix_length
        if (at == 0 or header[at - 2 : at] == b"; ") and header.find(self._prefix, start) < 0:
            end = header.find(b";", start)
            return [(header[start:] if end < 0 else header[start:end]).strip(_AROUND_VALUE)]
        return [match[1].strip(_AROUND_VALUE) for match in islice(self._every.finditer(header), CANDIDATES + 1)]

    def is_behind_comma(self, header: bytes) -> bool:
        """Return whether the cookie follows a comma, with which some gateways join Cookie headers."""
        return re.search(rb",[ \t]*" + re.escape(self._prefix), header) is not None


def is_loopback(host: str) -> bool:
    """Whether browsers take a Host header's host for this machine, and so accept Secure cookies from it over http.

    :param host: name or address, perhaps with a port, an IPv6 address in brackets (RFC 9110, 7.2).
    """
    name = host[1:].partition("]")[0] if host.startswith("[") else host
    if name.count(":") == 1:
        name = name.partition(":")[0]
    name = name.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
