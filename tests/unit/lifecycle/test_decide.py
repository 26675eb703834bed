"""The table of docs/concepts.rst: what a response does with the browser's cookie."""

from itertools import product

import pytest

from sealedsession.errors import RETRYABLE_REASONS
from sealedsession.lifecycle.save import decide

TABLE = [
    ("read, and nothing is due", {}, "keep"),
    ("changed", {"changed": True}, "seal"),
    ("save() was called", {"save": True}, "seal"),
    ("a new session with data", {"new": True, "changed": True}, "seal"),
    ("emptied", {"changed": True, "empty": True}, "delete"),
    ("emptied and given a new id", {"changed": True, "empty": True, "has_new_id": True}, "seal"),
    ("sealed longer than refresh_interval ago", {"due": True}, "refresh"),
    ("opened by a fallback key", {"by_fallback": True}, "reseal"),
    ("opened by a fallback key, and due", {"by_fallback": True, "due": True}, "reseal"),
    ("new, empty, without a cookie", {"new": True, "changed": True, "empty": True}, "keep"),
    ("new and empty, with an id", {"new": True, "changed": True, "empty": True, "has_new_id": True}, "seal"),
    ("empty, and the cookie was bad", {"new": True, "changed": True, "empty": True, "reason": "malformed"},
     "delete_refused"),
    ("empty, bad, and not all cookies were read",
     {"new": True, "changed": True, "empty": True, "reason": "malformed", "keeps_cookie": True}, "keep"),
    ("signed out with a bad cookie",
     {"new": True, "changed": True, "empty": True, "reason": "malformed", "invalidated": True}, "delete"),
    ("revoked during the request", {"changed": True, "revoked": True}, "keep"),
    ("revoked during the request, and signed out",
     {"changed": True, "revoked": True, "empty": True, "invalidated": True}, "delete"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "action"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_table(facts, action):
    """Each row of the table has its action."""
    assert decide(**facts) == action


@pytest.mark.parametrize("reason", sorted(RETRYABLE_REASONS))
@pytest.mark.parametrize("has_new_id", [False, True])
def test_a_cookie_that_may_be_valid_elsewhere_is_kept(reason, has_new_id):
    """An empty session never replaces a cookie that another server may accept, unless the application asks for it."""
    facts = {"new": True, "changed": True, "empty": True, "has_new_id": has_new_id, "reason": reason}
    assert decide(**facts) == "keep"
    assert decide(**facts, save=True) == "seal"
    assert decide(**facts, invalidated=True) == ("seal" if has_new_id else "delete")


def test_what_the_saver_decides_itself():
    """The saver calls `decide` only where the answer depends on more than what it has seen by then."""
    for values in product((False, True), repeat=len(FLAGS)):
        flags = dict(zip(FLAGS, values, strict=True))
        if flags["changed"] and not flags["empty"] and not flags["revoked"]:
            assert {decide(new=new, **flags) for new in (False, True)} == {"seal"}, flags
        if not any(flags[name] for name in ("changed", "save", "revoked", "by_fallback", "due")):
            assert decide(**flags) == "keep", flags
        if not any(flags[name] for name in ("has_new_id", "save", "invalidated", "revoked")):
            assert decide(new=True, **{**flags, "changed": True, "empty": True}) == "keep", flags


FLAGS = ("changed", "empty", "has_new_id", "save", "invalidated", "revoked", "by_fallback", "due", "keeps_cookie")


@pytest.mark.parametrize("reason", [None, "malformed", "unknown_key"])
@pytest.mark.parametrize("new", [False, True])
def test_invariants(new, reason):
    """In every combination: no change is lost, a revoked session is never sealed, and nothing is volunteered for it."""
    for values in product((False, True), repeat=len(FLAGS)):
        facts = {"new": new, "reason": reason, **dict(zip(FLAGS, values, strict=True))}
        action = decide(**facts)
        if facts["revoked"]:
            assert action in ("keep", "delete"), facts
        elif (facts["changed"] or new) and not facts["empty"]:
            assert action == "seal", facts
        if facts["save"] and not facts["revoked"]:
            assert action == "seal", facts
        if action in ("refresh", "reseal"):
            assert (new, facts["changed"]) == (False, False), facts
        if action == "delete_refused":
            assert (new, reason, facts["empty"], facts["keeps_cookie"]) == (True, "malformed", True, False), facts
