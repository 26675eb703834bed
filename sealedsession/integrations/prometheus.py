"""Count session events by prometheus_client (the extra ``prometheus``)::

    SessionMiddleware(app, ..., on_event=EventCounter())

Prometheus keeps one time series for each combination of labels. So labels have few values: they contain no session, no
size and no detail.
"""

from sealedsession.events import Event
from sealedsession.integrations import not_installed

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter
except ModuleNotFoundError as _error:
    raise not_installed(_error, "prometheus") from _error


class EventCounter:
    """A counter of events, ``sealedsession_events_total``, with the labels ``cookie``, ``kind`` and ``reason``.

    Make one counter for each process, and pass it to all middlewares.

    :param registry: the registry to which the counter is added.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._counter = Counter(
            "sealedsession_events", "Events of sealed sessions", ("cookie", "kind", "reason"), registry=registry
        )

    def __call__(self, event: Event) -> None:
        """Count an event."""
        self._counter.labels(event.cookie, event.kind, event.reason or "").inc()
