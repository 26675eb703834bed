"""A counter of session events for prometheus_client; extra ``[prometheus]``::

    SessionMiddleware(app, ..., on_event=EventCounter())

Labels have few values, as counters want them: no session, no size, no detail.
"""

from sealedsession.events import Event
from sealedsession.integrations import not_installed

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter
except ModuleNotFoundError as error:
    raise not_installed(error, "prometheus") from error


class EventCounter:
    """Counts events as ``sealedsession_events_total``, with the labels ``cookie``, ``kind`` and ``reason``.

    One counter serves any number of middlewares: make it once in a process.

    :param registry: where it is registered.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._counter = Counter(
            "sealedsession_events", "Events of sealed sessions", ("cookie", "kind", "reason"), registry=registry
        )

    def __call__(self, event: Event) -> None:
        """Count an event."""
        self._counter.labels(event.cookie, event.kind, event.reason or "").inc()
