"""Errors: one root, branches by whose fault it is, and messages that say what to do."""

from inspect import getmembers, isclass
from typing import get_args

import pytest

import sealedsession
from sealedsession import errors
from sealedsession.errors import (
    ConfigError,
    CookieTooLarge,
    NotPublicError,
    NotSerializable,
    Reason,
    SealedSessionError,
    SealError,
    SessionClosed,
    StaleStateError,
    StateError,
    StateTooLarge,
    StoreError,
    UnsealError,
)


def test_one_root():
    """Every error of the package is a SealedSessionError, and can be imported from the package itself."""
    found = [member for _, member in getmembers(errors, isclass) if issubclass(member, Exception)]
    assert len(found) >= 12
    for error in found:
        assert issubclass(error, SealedSessionError)
        assert getattr(sealedsession, error.__name__) is error


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (ConfigError, (ValueError,)),
        (CookieTooLarge, (SealError,)),
        (NotSerializable, (SealError, TypeError)),
        (SessionClosed, (SealError, RuntimeError)),
        (StateTooLarge, (SealError,)),
        (StaleStateError, (StateError,)),
        (NotPublicError, (StateError,)),
    ],
)
def test_branches(error, bases):
    """Each leaf is of its branch, and of the built-in error that callers may expect."""
    assert all(issubclass(error, base) for base in bases)


def test_branches_do_not_overlap():
    """The operator's, the application's and the client's faults are never each other's."""
    branches = [ConfigError, SealError, UnsealError, StateError, StoreError]
    assert not any(issubclass(one, other) for one in branches for other in branches if one is not other)


def test_reason_codes():
    """The reason codes are stable: logs and dashboards know them."""
    assert set(get_args(Reason)) == {
        "malformed",
        "unknown_key",
        "bad_signature",
        "expired_idle",
        "expired_absolute",
        "from_the_future",
        "forbidden_value",
        "revoked",
        "store_error",
    }


def test_unseal_error():
    """An UnsealError tells code and detail, apart and in its message."""
    error = UnsealError("malformed", "a token of 3 characters")
    assert (error.code, error.detail) == ("malformed", "a token of 3 characters")
    assert str(error) == "malformed: a token of 3 characters"


def test_cookie_too_large():
    """CookieTooLarge names the cookie, its size, the limit and the five largest keys, and keeps them all."""
    by_key = {f"key {number}": 1000 - number for number in range(7)}
    error = CookieTooLarge("sid", 5000, 4096, by_key)
    assert (error.name, error.size, error.limit, error.by_key) == ("sid", 5000, 4096, by_key)
    for part in ("'sid'", "5000", "4096", "'key 0' 1000 bytes", "'key 4' 996 bytes", "oversize="):
        assert part in str(error)
    assert "key 5" not in str(error)


def test_cookie_too_large_without_keys():
    """CookieTooLarge says so when there are no keys to blame."""
    assert "none" in str(CookieTooLarge("sid", 5000, 4096, {}))


def test_state_too_large():
    """StateTooLarge tells its size, the limit and the five largest parts, and keeps them all."""
    by_key = {f"key {number}": 1000 - number for number in range(7)}
    error = StateTooLarge(70_000, 65_536, by_key)
    assert (error.size, error.limit, error.by_key) == (70_000, 65_536, by_key)
    for part in ("70000", "65536", "'key 0' 1000 bytes", "'key 4' 996 bytes", "Set them during load"):
        assert part in str(error)
    assert "key 5" not in str(error)
    assert "none" in str(StateTooLarge(70_000, 65_536, {}))


def test_names_in_responses():
    """The codes of errors of calls are stable: pages know them."""
    assert {error: error.code for error in (StateError, StaleStateError, NotPublicError)} == {
        StateError: "BadCall",
        StaleStateError: "StaleState",
        NotPublicError: "NotPublic",
    }


def test_not_serializable():
    """NotSerializable tells where the value is, its type and what is wrong."""
    error = NotSerializable("session['cart'][3]", complex, "values of type complex are not stored")
    assert (error.path, error.type) == ("session['cart'][3]", complex)
    assert str(error) == "session['cart'][3]: values of type complex are not stored"
