"""The session cookie on the wire: find it in a Cookie header, and render Set-Cookie.

Rules, from RFC 6265bis (draft-ietf-httpbis-rfc6265bis) and CHIPS. Rules 1 to 3 are checked at start:

1. Name and value have at most 4096 bytes together, and an attribute's value at most 1024 (5.7). Max-Age is at most 400
   days.
2. Browsers enforce the prefixes __Secure-, __Host-, __Http- and __Host-Http-, in upper and lower case.
3. SameSite is always set. SameSite=None and Partitioned need Secure.
4. A cookie is deleted by the name, path, domain and Partitioned with which it was set.
5. No other cookie in the header hides the session cookie, even if it is malformed, and neither do up to 15 others of
   the same name. Headers are not split at commas, although some gateways join headers with commas: otherwise the value
   of another cookie could be read as a __Host- cookie.
"""

import ipaddress
import re
import typing
import warnings
from dataclasses import dataclass, fields
from itertools import islice
from types import NoneType
from typing import Any, Literal

from sealedsession.errors import ConfigError, got

SameSite = Literal["Lax", "Strict", "None"]

LIMIT = 4096  # bytes of name and value that a browser keeps
ATTRIBUTE_LIMIT = 1024  # bytes of an attribute's value
NAME_LIMIT = 256  # bytes of the session cookie's name, which count towards LIMIT
MAX_AGE_LIMIT = 400 * 24 * 3600  # seconds
# Cookies of the same name that are tried. Another host of the domain may have set some that come first.
CANDIDATES = 16

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_DOMAIN = re.compile(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")  # without control characters and semicolons
_AROUND_VALUE = b' \t"'  # a value may be quoted (RFC 6265bis, 4.1.1); tokens contain none of these
_SAMESITE: dict[str, SameSite] = {"lax": "Lax", "strict": "Strict", "none": "None"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CookiePolicy:
    """The name and the attributes of the session cookie.

    :param name: the name. None means ``__Host-Http-session``, ``__Host-session`` with ``httponly=False``, and
        ``sealed-session`` if the other options rule out these prefixes.
    :param path: the path below which browsers send the cookie.
    :param domain: None means this host only. A domain includes its subdomains.
    :param secure: whether browsers send the cookie only over https, and to localhost.
    :param httponly: whether the cookie is hidden from JavaScript.
    :param samesite: the str ``Lax``, ``Strict`` or ``None``, in upper or lower case.
    :param partitioned: whether the cookie is separate for each top-level site (CHIPS).
    :raises ConfigError: for an illegal value or combination.
    """

    name: str | None = None
    path: str = "/"
    domain: str | None = None
    secure: bool = True
    httponly: bool = True
    samesite: SameSite = "Lax"
    partitioned: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kinds: tuple[Any, ...] = typing.get_args(field.type) or (field.type,)
            if field.type is SameSite:
                kinds = (str,)
            if type(value) not in kinds:
                expected = " or ".join("None" if kind is NoneType else kind.__name__ for kind in kinds)
                raise ConfigError(f"{field.name}: it must be {expected}{got(value)}")
        if self.name is None:
            name = "__Host-Http-session" if self.httponly else "__Host-session"
            host_only = self.secure and self.domain is None and self.path == "/"
            object.__setattr__(self, "name", name if host_only else "sealed-session")
        object.__setattr__(self, "samesite", _SAMESITE.get(self.samesite.lower(), self.samesite))
        self._check_values()
        self._check_combinations()

    def _check_values(self) -> None:
        if not _TOKEN.fullmatch(str(self.name)):
            raise ConfigError(f"name={self.name!r}: it is not a cookie's name. Use letters, digits, '-', '_' and '.'")
        if len(str(self.name)) > NAME_LIMIT:
            raise ConfigError(
                f"name: it can have at most {NAME_LIMIT} bytes, got {len(str(self.name))}. Choose a shorter name: name "
                "and value share the cookie's limit"
            )
        if self.samesite not in _SAMESITE.values():
            raise ConfigError(f"samesite={self.samesite!r}: it must be 'Lax', 'Strict' or 'None' (RFC 6265bis, 5.6.7)")
        if not _PATH.fullmatch(self.path):
            raise ConfigError(f"path={self.path!r}: it must begin with '/', without ';' and control characters")
        if self.domain is not None and not _DOMAIN.fullmatch(self.domain):
            raise ConfigError(f"domain={self.domain!r}: it is not a host name. Use a name such as 'example.com'")
        for option, value in (("path", self.path), ("domain", self.domain or "")):
            if len(value) > ATTRIBUTE_LIMIT:
                raise ConfigError(
                    f"{option}: it can have at most {ATTRIBUTE_LIMIT} bytes, or browsers ignore it, got {len(value)}. "
                    "Choose a shorter one"
                )

    def _check_combinations(self) -> None:
        prefix = str(self.name).lower()
        if prefix.startswith(("__secure-", "__host-", "__http-")) and not self.secure:
            raise ConfigError(
                f"name={self.name!r}: this prefix needs secure=True (RFC 6265bis, 4.1.3). Otherwise browsers drop "
                "the cookie: set secure=True, or leave out name"
            )
        if prefix.startswith("__host-") and (self.domain is not None or self.path != "/"):
            raise ConfigError(
                f"name={self.name!r}: this prefix needs path='/' and no domain (RFC 6265bis, 4.1.3.2). Otherwise "
                "browsers drop the cookie: leave out path and domain, or name"
            )
        if prefix.startswith(("__http-", "__host-http-")) and not self.httponly:
            raise ConfigError(
                f"name={self.name!r}: this prefix needs httponly=True (RFC 6265bis, 4.1.3). Otherwise browsers drop "
                "the cookie: set httponly=True, or leave out name"
            )
        if self.samesite == "None" and not self.secure:
            raise ConfigError(
                "samesite='None': it needs secure=True (RFC 6265bis, 5.7). Otherwise browsers drop the cookie: set "
                "secure=True, or samesite='Lax'"
            )
        if self.partitioned and not self.secure:
            raise ConfigError(
                "partitioned=True: it needs secure=True (CHIPS). Otherwise browsers drop the cookie: set secure=True, "
                "or leave out partitioned"
            )
        if self.partitioned and self.samesite != "None":
            warnings.warn(
                "partitioned=True: a partitioned cookie is for embedded pages, which get it only with samesite='None', "
                f"and samesite is {self.samesite!r}. Set samesite='None', or leave out partitioned",
                stacklevel=2,
            )

    @property
    def attributes(self) -> str:
        """The attributes, as Set-Cookie has them after name and value."""
        return (
            f"; Path={self.path}"
            + (f"; Domain={self.domain}" if self.domain else "")
            + ("; Secure" if self.secure else "")
            + ("; HttpOnly" if self.httponly else "")
            + f"; SameSite={self.samesite}"
            + ("; Partitioned" if self.partitioned else "")
        )

    @property
    def deletion(self) -> str:
        """The value of the Set-Cookie header that deletes the cookie."""
        return f"{self.name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT{self.attributes}"


class CookieFinder:
    """Find the values of one cookie in Cookie headers."""

    __slots__ = ("_every", "_prefix", "_prefix_length")

    def __init__(self, name: str) -> None:
        self._prefix = name.encode("ascii") + b"="
        self._prefix_length = len(self._prefix)
        self._every = re.compile(rb"(?:^|;)[ \t]*" + re.escape(self._prefix) + rb"([^;]*)")

    def __call__(self, header: bytes) -> list[bytes]:
        """Return the cookie's values in the order of the header, at most `CANDIDATES` + 1.

        The header is split only at semicolons, with which browsers separate cookies (RFC 6265bis, 5.8.3).
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
        """Return whether the cookie follows a comma. Some gateways join Cookie headers with commas."""
        return re.search(rb",[ \t]*" + re.escape(self._prefix), header) is not None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine for browsers, which then accept Secure cookies over http.

    :param host: the value of a Host header: a name or an address, perhaps with a port. An IPv6 address is in brackets
        (RFC 9110, 7.2).
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
