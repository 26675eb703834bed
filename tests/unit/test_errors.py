"""Errors: one root, branches by whose fault it is, and messages that say what to do."""

import dataclasses
from inspect import getmembers, isclass
from traceback import walk_tb
from typing import get_args

import pytest

import sealedsession
from sealedsession import errors
from sealedsession.errors import (
    ConfigError,
    CookieTooLargeError,
    NotPublicError,
    NotSerializableError,
    Reason,
    SealedSessionError,
    SealError,
    SessionClosedError,
    StaleStateError,
    StateError,
    StateTooLargeError,
    StoreError,
    UnsealError,
    drop_own_frames,
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
        (CookieTooLargeError, (SealError,)),
        (NotSerializableError, (SealError, TypeError)),
        (SessionClosedError, (SealError, RuntimeError)),
        (StateTooLargeError, (SealError,)),
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
        "other_serializer",
        "forbidden_value",
        "revoked",
        "store_error",
    }


def test_unseal_error():
    """An UnsealError tells code and detail, apart and in its message."""
    error = UnsealError("malformed", "a token of 3 characters")
    assert (error.reason, error.detail) == ("malformed", "a token of 3 characters")
    assert str(error) == "malformed: a token of 3 characters"


def test_cookie_too_large():
    """CookieTooLargeError names the cookie, its size, the limit and the five largest keys, and keeps them all."""
    by_key = {f"key {number}": 1000 - number for number in range(7)}
    error = CookieTooLargeError("sid", 5000, 4096, by_key)
    assert (error.name, error.size, error.limit, error.by_key) == ("sid", 5000, 4096, by_key)
    for part in ("'sid'", "5000", "4096", "'key 0' 1000 bytes", "'key 4' 996 bytes", "oversize="):
        assert part in str(error)
    assert "key 5" not in str(error)


def test_cookie_too_large_without_keys():
    """CookieTooLargeError says so when there are no keys to blame."""
    assert "none" in str(CookieTooLargeError("sid", 5000, 4096, {}))


def test_state_too_large():
    """StateTooLargeError tells its size, the limit and the five largest parts, and keeps them all."""
    by_key = {f"key {number}": 1000 - number for number in range(7)}
    error = StateTooLargeError(70_000, 65_536, by_key)
    assert (error.size, error.limit, error.by_key) == (70_000, 65_536, by_key)
    for part in ("70000", "65536", "'key 0' 1000 bytes", "'key 4' 996 bytes", "Set them in load()"):
        assert part in str(error)
    assert "key 5" not in str(error)
    assert "none" in str(StateTooLargeError(70_000, 65_536, {}))


def test_names_in_responses():
    """The codes of errors of calls are stable: pages know them."""
    assert {error: error.reason for error in (StateError, StaleStateError, NotPublicError)} == {
        StateError: "BadCall",
        StaleStateError: "StaleState",
        NotPublicError: "NotPublic",
    }


def test_not_serializable():
    """NotSerializableError tells where the value is, its type and what is wrong."""
    error = NotSerializableError("session['cart'][3]", complex, "not stored")
    assert (error.path, error.type) == ("session['cart'][3]", complex)
    assert str(error) == "session['cart'][3]: not stored"


# ---------------------------------------------------------------------------------------------------------- tracebacks


def make_function(module, code):
    """A function ``run`` whose frames belong to a module."""
    namespace = {"__name__": module}
    exec(code, namespace)  # a test has no other way to make frames of any module
    return namespace["run"]


def modules(error):
    """The modules of an error's frames, without those of this test."""
    names = [frame.f_globals["__name__"] for frame, _ in walk_tb(error.__traceback__)]
    return [name for name in names if name != __name__]


def caught(function, *arguments):
    """The error that a function raises."""
    with pytest.raises(Exception) as info:  # noqa: PT011
        function(*arguments)
    return info.value


CALL = "def run(function, *arguments): secret = arguments; return function(*arguments)"
RAISE = "def run(error): raise error"


@pytest.mark.parametrize(
    ("module", "dropped"),
    [
        ("sealedsession", True),
        ("sealedsession.sealing.keys", True),
        ("sealedsession.integrations.django.conf", True),
        ("sealedsession_extras", False),
        ("application.sealedsession", False),
        (None, False),
    ],
)
def test_own_frames_are_dropped(module, dropped):
    """Frames of this package and of its modules are dropped, and frames of every other module stay in their order."""
    callers = [make_function(name, CALL) for name in ("outer", module, "inner")]
    error = caught(*callers, make_function("leaf", RAISE), ValueError("x"))
    assert modules(error) == ["outer", module, "inner", "leaf"]
    lines = [line for _, line in walk_tb(error.__traceback__)]
    drop_own_frames(error)
    assert modules(error) == ["outer", *([] if dropped else [module]), "inner", "leaf"]
    assert [line for _, line in walk_tb(error.__traceback__)] == lines[:2] + ([] if dropped else lines[2:3]) + lines[3:]


def test_own_frames_of_linked_errors_are_dropped():
    """Causes, contexts, also suppressed ones, and the members of a group lose this package's frames too."""
    ours = make_function("sealedsession.sealing.keys", RAISE)
    cause, context, member = (caught(ours, ValueError(text)) for text in ("cause", "context", "member"))
    error = caught(ours, ExceptionGroup("group", [member]))
    error.__cause__, error.__context__, context.__context__ = cause, context, error  # a circle
    assert error.__suppress_context__
    drop_own_frames(error)
    assert [modules(each) for each in (error, cause, context, member)] == [[]] * 4


def test_bare_raise_after_dropping():
    """The frame that drops the frames and raises again with a bare ``raise`` does not come back."""
    code = "def run(function, error):\n try:\n  function(error)\n except ValueError as e:\n  drop(e)\n  raise"
    ours = make_function("sealedsession.wsgi", code)
    ours.__globals__["drop"] = drop_own_frames
    assert modules(caught(ours, make_function("inner", RAISE), ValueError("x"))) == ["inner"]


def test_error_without_a_traceback():
    """An error that was never raised has no frames to drop."""
    error = ValueError("x")
    drop_own_frames(error)
    assert error.__traceback__ is None


def test_drop_own_frames_of_an_error_that_lets_nothing_be_set():
    """An exception whose class refuses new attributes loses its frames too, and stays what it is."""

    @dataclasses.dataclass(frozen=True)
    class FrozenError(Exception):
        reason: str

    @errors.without_own_frames
    def fail():
        raise FrozenError("mine")

    with pytest.raises(FrozenError) as caught:
        fail()
    modules = [frame.f_globals["__name__"] for frame, _ in walk_tb(caught.value.__traceback__)]
    assert modules == [__name__, __name__]  # this test and fail(), without the decorator between them
