"""The counter for prometheus_client: its labels and values in a real registry."""

import inspect
from operator import methodcaller
from typing import get_args

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from sealedsession.events import Event, Kind
from sealedsession.integrations.prometheus import EventCounter
from tests.support.manager_browser import Browser, fill


@pytest.fixture
def registry():
    return CollectorRegistry()


def read_count(registry, kind, reason="", cookie="__Host-Http-session"):
    labels = {"cookie": cookie, "kind": kind, "reason": reason}
    return registry.get_sample_value("sealedsession_events_total", labels)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_is_counted(registry, kind):
    """Each event adds one to the counter of its kind, and to no other."""
    counter = EventCounter(registry)
    for times in (1, 2):
        counter(Event(kind, "sid"))
        assert read_count(registry, kind, cookie="sid") == times
    assert (
        len([sample for metric in registry.collect() for sample in metric.samples if sample.name[-5:] == "total"]) == 1
    )


def test_rejections_are_counted_by_reason(registry):
    """A rejected cookie is counted under its reason."""
    counter = EventCounter(registry)
    for reason in ("revoked", "revoked", "bad_signature"):
        counter(Event("rejected", "sid", reason=reason))
    assert read_count(registry, "rejected", "revoked", "sid") == 2
    assert read_count(registry, "rejected", "bad_signature", "sid") == 1


def test_as_the_option(registry, clock, keys):
    """As on_event, one counter serves several middlewares with different cookies."""
    counter = EventCounter(registry)
    first, second = (Browser(clock, **keys, on_event=counter, name=name) for name in ("first", "second"))
    first.visit(fill)
    first.visit(fill)
    first.visit(cookie="first=rubbish")
    second.visit(fill)
    assert read_count(registry, "sealed", cookie="first") == 1
    assert read_count(registry, "opened", cookie="first") == 1
    assert read_count(registry, "rejected", "malformed", "first") == 1
    assert read_count(registry, "sealed", cookie="second") == 1
    assert read_count(registry, "opened", cookie="second") is None


def test_labels_have_few_values(registry, clock, keys):
    """No id, size or detail is a label: thousands of sessions make only a few series."""
    browser = Browser(clock, **keys, on_event=EventCounter(registry), revocation="memory")
    for _ in range(20):
        browser.visit(fill)
        browser.visit(methodcaller("logout"))
        browser.visit(cookie=f"{browser.config.cookie.name}=rubbish")
    exposed = generate_latest(registry).decode()
    assert len([line for line in exposed.splitlines() if line.startswith("sealedsession_events_total{")]) == 4
    assert 'kind="revoked",reason=""} 20.0' in exposed


def test_two_counters_in_one_registry(registry):
    """A second counter in the same registry is an error of prometheus_client."""
    EventCounter(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        EventCounter(registry)


def test_the_default_registry():
    """By default, the counter is in the global registry, which exporters use."""
    assert inspect.signature(EventCounter).parameters["registry"].default is REGISTRY
