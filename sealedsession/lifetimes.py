"""How long sessions live: the timeouts, where they come from, and when a session ends.

Two clocks run, both inside the seal: from `sealed_at` the idle timeout, and from `created` the absolute timeout (OWASP
ASVS 5.0, 7.3.1 and 7.3.2). A session's own lifetime can only shorten the latter.
"""

from dataclasses import dataclass

from sealedsession.errors import ConfigError

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600  # seconds
DEFAULT_IDLE, DEFAULT_ABSOLUTE = 7 * DAY, 30 * DAY

# Idle and absolute timeout, which NIST calls inactivity and overall timeout. All are within the limits of NIST SP
# 800-63B-4, 2.1.3, 2.2.3 and 2.3.3: 30 days at AAL1, which requires no idle timeout (we set the default one); 1 hour
# and 24 hours at AAL2; 15 minutes and 12 hours at AAL3. Revision 3 (4.2.3) required 30 minutes and 12 hours at AAL2.
PRESETS = {
    "aal1": (DEFAULT_IDLE, 30 * DAY),
    "aal2": (30 * MINUTE, 12 * HOUR),
    "aal3": (15 * MINUTE, 12 * HOUR),
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timeouts of a configuration.

    :param idle: seconds after `sealed_at`, or None.
    :param absolute: seconds after `created`, or None. One of the two is given.
    """

    idle: int | None
    absolute: int | None

    @property
    def longest(self) -> int:
        """Seconds for which no token outlives the second in which it was sealed."""
        return self.absolute or self.idle or 0

    def ends(self, created: int, sealed_at: int, lifetime: int | None) -> int:
        """When a session ends that nobody uses any more, in seconds since 1970, without leeway.

        :param lifetime: the session's own, in seconds after `created`, or None.
        """
        ends = [created + seconds for seconds in (self.absolute, lifetime) if seconds is not None]
        if self.idle is not None:
            ends.append(sealed_at + self.idle)
        return min(ends)


def timeouts_of(preset: str | None, idle: int | None, absolute: int | None) -> Timeouts:
    """Take the options `lifetimes`, `idle_timeout` and `absolute_timeout` together.

    :raises ConfigError: when they do not fit together.
    """
    if preset is not None:
        if preset not in PRESETS:
            raise ConfigError(f"lifetimes={preset!r} has to be one of {', '.join(map(repr, PRESETS))}, or None")
        if (idle, absolute) not in ((DEFAULT_IDLE, DEFAULT_ABSOLUTE), PRESETS[preset]):
            raise ConfigError(
                f"lifetimes={preset!r} sets idle_timeout and absolute_timeout, and they are given too: "
                "leave out lifetimes, or the other two"
            )
        return Timeouts(*PRESETS[preset])
    if idle is None and absolute is None:
        raise ConfigError(
            "idle_timeout and absolute_timeout are both None: sessions would never end. Set one of them, in seconds"
        )
    for option, seconds in (("idle_timeout", idle), ("absolute_timeout", absolute)):
        if seconds is not None and seconds <= 0:
            raise ConfigError(f"{option}={seconds} has to be more than 0 seconds, or None to switch it off")
    return Timeouts(idle, absolute)
