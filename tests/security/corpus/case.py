"""One case of the corpus, and what is expected of a reader that is given it."""

from dataclasses import dataclass

from tests.security.corpus.assembler import ours, stock

REFUSED = "refused"  # an exception, and nothing else happened
ACCEPTED = "accepted"  # exactly this value
BOUNDED = "bounded"  # a value or an exception, within the limits, and nothing else happened


@dataclass(frozen=True)
class Case:
    """A payload and what must hold for it.

    :param why: one line: what the payload tries.
    :param layout: ``stock``, a whole pickle, also given to our reader without its head; or ``ours``, the stored form,
        which other readers are given with the head.
    :param expect: of our reader, `REFUSED`, `ACCEPTED` or `BOUNDED`.
    :param spelling: the repr of the value, where `ACCEPTED`.
    :param headless: of our reader, for a stock pickle without its head.
    :param elsewhere: of other readers. `BOUNDED` where only a closed form can refuse it, as it does no harm.
    """

    id: str
    group: str
    why: str
    payload: bytes
    layout: str
    expect: str
    spelling: str | None
    headless: str
    elsewhere: str

    @property
    def hostile(self) -> bool:
        return self.expect != ACCEPTED


class Group:
    """Makes the cases of one group.

    :param elsewhere: of other readers, where it is not what is expected of ours.
    """

    def __init__(self, name: str, layout: str, elsewhere: str | None = None) -> None:
        self.name = name
        self.layout = layout
        self.elsewhere = elsewhere

    def refused(
        self,
        name: str,
        why: str,
        *parts: bytes,
        protocol: int = 4,
        whole: bytes | None = None,
        headless: str = REFUSED,
        elsewhere: str | None = None,
    ) -> Case:
        """A payload that must be refused.

        :param whole: the payload itself, instead of parts: nothing is put around it.
        """
        payload = self._payload(parts, protocol) if whole is None else whole
        return self._case(name, why, payload, REFUSED, None, headless, elsewhere or self.elsewhere or REFUSED)

    def bounded(self, name: str, why: str, *parts: bytes, whole: bytes | None = None) -> Case:
        """A payload that may be read or refused, within the limits."""
        payload = self._payload(parts, 4) if whole is None else whole
        expect = BOUNDED if self.layout == "ours" else REFUSED  # our reader takes no pickle with a head
        return self._case(name, why, payload, expect, None, BOUNDED, BOUNDED)

    def accepted(self, name: str, why: str, value: object, *parts: bytes) -> Case:
        """A payload that must make this value."""
        return self._case(name, why, self._payload(parts, 4), ACCEPTED, repr(value), BOUNDED, BOUNDED)

    def _payload(self, parts: tuple[bytes, ...], protocol: int) -> bytes:
        return ours(*parts) if self.layout == "ours" else stock(*parts, protocol=protocol)

    def _case(
        self, name: str, why: str, payload: bytes, expect: str, spelling: str | None, headless: str, elsewhere: str
    ) -> Case:
        return Case(f"{self.name}-{name}", self.name, why, payload, self.layout, expect, spelling, headless, elsewhere)
