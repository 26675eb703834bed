"""What happens to sessions, told to the operator: one log record an event, on the logger ``sealedsession``.

A record holds reason codes, cookie names and sizes. It never holds a key, a token or a session value
(OWASP Session Management Cheat Sheet, "Logging Sessions Life Cycle").
"""

import logging

from sealedsession.errors import SealError, UnsealError

logger = logging.getLogger("sealedsession")

# Time does these to every session: no news. Anybody can send rubbish: worth a look. A payload that is
# correctly signed and yet forbidden is a mistake of ours or a stolen key: somebody has to act.
_LEVELS = {
    "expired_idle": logging.INFO,
    "expired_absolute": logging.INFO,
    "forbidden_value": logging.ERROR,
}


def rejected(name: str, error: UnsealError) -> None:
    """A cookie was not accepted; the request goes on with a new, empty session, or with another cookie."""
    logger.log(_LEVELS.get(error.code, logging.WARNING), "cookie %r rejected, %s", name, error)


def ambiguous(name: str, count: int) -> None:
    """A request had several cookies of our name: path or domain was changed, or somebody tosses cookies."""
    logger.warning("%d cookies named %r in one request; the newest valid one is used", count, name)


def kept_old_cookie(error: SealError) -> None:
    """The option oversize="keep" dropped a change; or a session that did not change could not be sealed again."""
    logger.error("a session was not saved: %s", error)


def plain_http(name: str, host: str) -> None:
    """A Secure cookie is being sent over plain http, from a host that browsers do not take for this machine."""
    logger.warning(
        "the cookie %r is Secure and this response goes to %r over plain http: browsers will drop it. "
        "Serve https; behind a proxy that does, make the server believe its X-Forwarded-Proto; "
        "for development without https use localhost, or secure=False",
        name,
        host,
    )
