"""The session in its three states, with a manager that stands in for the manager."""

import copy
import json
import pickle
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from operator import methodcaller
from types import SimpleNamespace

import msgspec
import orjson
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealedsession.config import Timeouts
from sealedsession.errors import CookieTooLargeError, SessionClosedError
from sealedsession.events import Events
from sealedsession.lifecycle.revoke import SessionRevoker
from sealedsession.revocation import RevocationStore
from sealedsession.revocation.store import OF_SESSION, subject_key
from sealedsession.sealing.sealer import PICKLE, Unsealed
from sealedsession.session import UNOPENED_CONTENT, ClosedSession, Identity, Loaded, Session, UnopenedSession

CONTENT = {"user": 7, "cart": [1, 2], "": None}


class FakeStore(RevocationStore):
    """A store that notes what is revoked: lineages, and pairs of a subject and the lineage that is exempt."""

    def __init__(self):
        self.refuses = False  # whether it finds that the session itself is revoked
        self.revoked = []

    def revoke(self, key, entry, ttl, caller=None):
        self.revoked.append(key[1:] if key[:1] == OF_SESSION else (NAMES[key], entry.exempt_lineage))
        return not self.refuses

    def find(self, keys):
        return [None for _ in keys]


NAMES = {subject_key(subject): subject for subject in ("user:42", "user:7", "USER:42")}


class FakeManager:
    """A manager of one session: loads a content, and counts how often."""

    def __init__(self, content=CONTENT, origin=None, revokes=False, subject=None, root=None):
        self.store = FakeStore()
        self.identity = Identity(1000, subject=subject, lineage_id=root)
        if origin is not None:
            self.identity = Identity(origin.created, origin.session_id, origin.lifetime, subject, root)
        self.content = content
        self.origin = origin
        self.reason = None
        self.loads = 0
        self.ids = 0
        self.revoker = SessionRevoker(
            SimpleNamespace(
                store=self.store if revokes else None, clock=lambda: 1000, leeway=0, timeouts=Timeouts(10, 10),
                events=Events("session", None, bytes),
            )
        )  # fmt: skip
        for name in ("begin_lineage", "regenerate", "revoke", "revoke_incoming", "revoke_subject"):
            setattr(self, name, getattr(self.revoker, name))

    @property
    def revoked(self):
        return self.store.revoked

    def load(self, session):
        self.loads += 1
        lineage = self.identity.lineage
        return Loaded(copy.deepcopy(self.content), self.identity, self.origin, lineage, self.reason)

    def is_modified(self, session):
        return dict(session) != self.content

    def size(self, session):
        return 100 + len(session)

    def remaining(self, session):
        return 4096 - self.size(session)

    def new_session_id(self):
        self.ids += 1
        return bytes((self.ids,)) * 16

    def new_identity(self, session):
        if session._revocations is not None:
            session._revocations.exempt = None
        return Identity(self.revoker.begins_at(session))

    def was_revoked(self, session):
        return False

    def ensure_fits(self, session):
        if len(session) > len(self.content):
            raise CookieTooLargeError("session", 5000, 4096, {})

    def expires_at(self, session):
        return session.created + 100


def make_unopened(manager=None):
    session = UnopenedSession(UNOPENED_CONTENT)
    session._manager = manager or FakeManager()
    session._arrived = 990.5
    session._unclaimed = True
    session._opener = None
    session._headers_gone = False
    session._request = None
    return session


def make_open(manager=None):
    session = make_unopened(manager)
    session.mark_accessed()
    return session


def make_closed(manager=None):
    session = make_open(manager)
    session.__class__ = ClosedSession
    return session


def make_unopened_closed(manager=None):
    session = make_unopened(manager)
    session._headers_gone = True
    return session


def make_origin(session_id=None):
    return Unsealed(
        payload=b"",
        serializer=PICKLE,
        created=400,
        sealed_at=900,
        lifetime=None,
        session_id=session_id,
        by_fallback=False,
    )


STATES = [make_unopened, make_open, make_closed, make_unopened_closed]

# What a dict has from object, and what makes one. None of it tells or changes the content; repr has tests of its own.
NOT_CONTENT = {
    "__class__", "__class_getitem__", "__delattr__", "__dir__", "__doc__", "__format__", "__getattribute__",
    "__getstate__", "__hash__", "__init__", "__init_subclass__", "__new__", "__reduce__", "__reduce_ex__", "__repr__",
    "__setattr__", "__str__", "__subclasshook__",
}  # fmt: skip

READS = {
    "__contains__": [("user",), ("no",), ([],)],
    "__eq__": [(CONTENT,), ({},), (3,)],
    "__ge__": [({},)],
    "__getitem__": [("user",), ("no",), ([],)],
    "__gt__": [({},)],
    "__iter__": [()],
    "__le__": [({},)],
    "__len__": [()],
    "__lt__": [({},)],
    "__ne__": [(CONTENT,), ({},), (3,)],
    "__or__": [({"user": 8, "new": 1},), (3,)],
    "__reversed__": [()],
    "__ror__": [({"user": 8, "new": 1},), (3,)],
    "__sizeof__": [()],
    "copy": [()],
    "fromkeys": [("ab",), ("ab", 1)],
    "get": [("user",), ("no",), ("no", 5)],
    "items": [()],
    "keys": [()],
    "values": [()],
}
WRITES = {
    "__delitem__": [("user",), ("no",)],
    "__ior__": [({"user": 8, "new": 1},), ([("new", 1)],), (3,)],
    "__setitem__": [("user", 8), ("new", 1), ([], 1)],
    "clear": [()],
    "pop": [("user",), ("no",), ("no", 5)],
    "popitem": [()],
    "setdefault": [("user",), ("new",), ("new", 1)],
    "update": [(), ({"user": 8, "new": 1},), ([("new", 1)],), (3,)],
}
READ_CALLS = [(name, arguments) for name, calls in READS.items() for arguments in calls]
WRITE_CALLS = [(name, arguments) for name, calls in WRITES.items() for arguments in calls]


def outcome(target, name, arguments):
    """What a call gives, in a form that can be compared."""
    try:
        result = getattr(target, name)(*arguments)
    except (LookupError, TypeError) as error:
        return type(error), error.args
    if name == "__sizeof__":
        return type(result)  # a session has slots
    if isinstance(result, dict):
        return list(result.items())
    return list(result) if isinstance(result, Iterator | KeysView | ValuesView | ItemsView) else result


def test_every_dict_attribute_is_tested():
    """Every attribute that dict has in this version of Python is in the tables of this file."""
    assert set(dir(dict)) - NOT_CONTENT == {*READS, *WRITES}


@pytest.mark.parametrize("content", [CONTENT, {}], ids=["full", "empty"])
@pytest.mark.parametrize(("name", "arguments"), READ_CALLS + WRITE_CALLS)
def test_dict_methods_on_an_unopened_session(name, arguments, content):
    """Every dict method on an unopened session gives and does what it does on a dict of the same content."""
    manager, plain = FakeManager(content), copy.deepcopy(content)
    session = make_unopened(manager)
    assert outcome(session, name, arguments) == outcome(plain, name, arguments)
    assert list(session.items()) == list(plain.items())
    assert manager.loads == 1


@given(st.lists(st.sampled_from(WRITE_CALLS), max_size=8))
def test_any_sequence_of_writes(calls):
    """After any sequence of writes a session has the content of a dict, in the same order."""
    session, plain = make_unopened(), copy.deepcopy(CONTENT)
    assert [outcome(session, *call) for call in calls] == [outcome(plain, *call) for call in calls]
    assert list(session.items()) == list(plain.items())


def union_in_place(target, other):
    target |= other
    return target


def match_pattern(target):
    match target:
        case {"user": user}:
            return user


@pytest.mark.parametrize("make", STATES)
@pytest.mark.parametrize(
    "use",
    [
        dict, list, set, bool, len, sorted, lambda s: {**s}, lambda s: dict(x=1, **s), lambda s: [*s], match_pattern,
        lambda s: list(reversed(s)), lambda s: s == CONTENT, lambda s: s != {}, lambda s: dict(CONTENT) == s,
        lambda s: s | {"new": 1}, lambda s: {"new": 1} | s, lambda s: union_in_place({"new": 1}, s),
        lambda s: dict.fromkeys(s), lambda s: {"new": 1}.update(s),
        lambda s: "{user}".format_map(s), lambda s: "user" in s,
        lambda s: s.keys() & {"user"}, lambda s: next(iter(s)),
    ],
)  # fmt: skip
def test_operators_and_builtins(use, make):
    """Whatever Python itself reads a dict with reads the truth in every state."""
    manager = FakeManager()
    session = make(manager)
    assert use(session) == use(copy.deepcopy(CONTENT))
    assert manager.loads == 1


@pytest.mark.parametrize("make", [make_unopened, make_open])
def test_union_in_place_keeps_the_object(make):
    """`|=` changes the session and puts no plain dict in its place."""
    session = before = make()
    session |= {"new": 1}
    assert session is before
    assert session == {**CONTENT, "new": 1}


@pytest.mark.parametrize("make", STATES)
def test_a_session_is_a_dict_in_every_state(make):
    """A session is an instance of Session and of dict in every state."""
    session = make()
    assert isinstance(session, Session)
    assert isinstance(session, dict)


def test_states_are_classes():
    """A session is of the class of its state, and opening it makes it a plain Session."""
    session = make_unopened()
    assert type(session) is UnopenedSession
    assert session["user"] == 7
    assert type(session) is Session
    assert type(make_closed()) is ClosedSession


def test_an_open_session_overrides_nothing_of_dict():
    """An open session reads and writes by dict's own methods, so that C code and Python code see the same."""
    overridden = {name for name in {*READS, *WRITES} if name in vars(Session)}
    # fromkeys neither reads nor writes a session; clear also removes the subject.
    assert overridden <= {"fromkeys", "clear"}


@pytest.mark.parametrize("make", STATES)
@pytest.mark.parametrize("options", [{}, {"indent": 1}, {"sort_keys": True}])
def test_json(make, options):
    """json writes the full content, alone and nested, with its C and its Python encoder, in every state."""
    assert json.dumps(make(), **options) == json.dumps(CONTENT, **options)
    assert json.dumps([{"s": make()}], **options) == json.dumps([{"s": CONTENT}], **options)


@pytest.mark.parametrize("make", STATES)
def test_orjson(make):
    """orjson, which walks the table itself, gives the truth or fails, and never gives an empty object."""
    orjson = pytest.importorskip("orjson")
    session = make()
    try:
        written = orjson.dumps(session)
    except TypeError:
        assert isinstance(session, UnopenedSession)
    else:
        assert json.loads(written) == CONTENT


@pytest.mark.parametrize("make", STATES)
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda s: s.copy(),
        *(lambda s, p=p: pickle.loads(pickle.dumps(s, p)) for p in range(6)),
    ],
)
def test_copies_are_plain_dicts(duplicate, make):
    """Every kind of copy of a session is a plain dict of its content, in every state."""
    duplicated = duplicate(make())
    assert type(duplicated) is dict
    assert duplicated == CONTENT


def test_a_deep_copy_shares_nothing():
    """A change inside a deep copy does not reach the session."""
    session = make_unopened()
    copy.deepcopy(session)["cart"].append(3)
    assert session == CONTENT


@pytest.mark.parametrize("make", STATES)
def test_sessions_are_not_hashable(make):
    """No session can be a key or a set's element, as no dict can."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(make())


@pytest.mark.parametrize("make", STATES)
def test_sessions_take_no_attributes(make):
    """Setting an attribute fails: it would not be saved."""
    with pytest.raises(AttributeError):
        make().user = 7


@pytest.mark.parametrize("ask", [repr, str, lambda s: s.accessed, lambda s: s.modified, lambda s: isinstance(s, dict)])
@pytest.mark.parametrize("make", [make_unopened, make_unopened_closed])
def test_what_does_not_open_a_session(make, ask):
    """Asking for accessed, modified and repr opens nothing."""
    manager = FakeManager()
    session = make(manager)
    ask(session)
    assert manager.loads == 0
    assert isinstance(session, UnopenedSession)


def test_accessed():
    """A session is accessed as soon as anything has looked into it, and stays so."""
    session = make_unopened()
    assert session.accessed is False
    assert "no" not in session
    assert session.accessed is True
    assert make_closed().accessed is True


def test_modified():
    """A session is modified while it differs from what came in, nested values included."""
    session = make_unopened()
    assert session.modified is False
    assert session["cart"] == [1, 2]
    assert session.modified is False
    session["cart"].append(3)
    assert session.modified is True
    session["cart"].pop()
    assert session.modified is False


@pytest.mark.parametrize("make", [make_open, make_closed])
def test_repr_of_a_read_session(make):
    """Once opened, the repr is that of its content."""
    assert repr(make()) == repr(CONTENT)


@pytest.mark.parametrize("make", [make_unopened, make_unopened_closed])
def test_repr_of_an_unopened_session(make):
    """The repr of an unopened session says so and does not show what it holds inside."""
    assert repr(make()) == "<session, not opened>"


@pytest.mark.parametrize(
    "name", ["created", "expires_at", "id", "new", "rejected", "remaining", "sealed_at", "size", "subject"]
)
def test_properties_open_a_session(name):
    """Every property that depends on the cookie opens the session, once, and is the same when read again."""
    manager = FakeManager()
    session = make_unopened(manager)
    assert getattr(session, name) == getattr(session, name)
    assert type(session) is Session
    assert manager.loads == 1


def test_mark_accessed_opens():
    """mark_accessed opens the session, and on one that is open changes nothing."""
    manager = FakeManager()
    session = make_unopened(manager)
    session.mark_accessed()
    session.mark_accessed()
    assert type(session) is Session
    assert (session, manager.loads, session.modified) == (CONTENT, 1, False)


def test_a_new_session():
    """Without a valid cookie a session is new, was created now, and was never sealed."""
    session = make_unopened(FakeManager({}))
    assert (session.new, session.created, session.sealed_at, session.rejected) == (True, 1000, None, None)


def test_a_session_from_a_cookie():
    """A session from a cookie is not new and tells the times and the id of its seal."""
    session = make_unopened(FakeManager(origin=make_origin(session_id=b"\xab" * 16)))
    assert (session.new, session.created, session.sealed_at, session.id) == (False, 400, 900, "ab" * 16)


def test_rejected_tells_the_reason_code():
    """A session in the place of a bad cookie tells why that was not accepted."""
    manager = FakeManager({})
    manager.reason = "bad_signature"
    assert make_unopened(manager).rejected == "bad_signature"


def test_id_is_made_when_first_asked_for():
    """An id is made at the first question, 128 bits in hexadecimal, and stays."""
    manager = FakeManager()
    session = make_unopened(manager)
    session.mark_accessed()
    assert manager.ids == 0
    assert session.id == session.id == "01" * 16
    assert manager.ids == 1


def test_size_and_remaining():
    """The manager calculates size and remaining, which follow changes."""
    session = make_unopened()
    assert (session.size, session.remaining) == (103, 3993)
    session["new"] = 1
    assert (session.size, session.remaining) == (104, 3992)


def test_save_changes_no_content():
    """save() asks for a seal, and makes the session neither modified nor new."""
    session = make_unopened()
    session.save()
    assert session._save is True
    assert (session, session.modified) == (CONTENT, False)


@pytest.mark.parametrize("make", [make_unopened, make_open])
def test_invalidate(make):
    """invalidate() empties the session and gives it a new id and a new time of creation."""
    session = make(FakeManager(origin=make_origin(session_id=b"\xab" * 16)))
    session.invalidate()
    assert (session, session.created, session.id) == ({}, 990, "01" * 16)


@pytest.mark.parametrize("make", [make_unopened, make_open])
def test_regenerate(make):
    """regenerate() keeps the data and the time of creation, and gives the session a new id."""
    session = make(FakeManager(origin=make_origin(session_id=b"\xab" * 16)))
    session.regenerate()
    assert (session, session.created, session.id) == (CONTENT, 400, "01" * 16)


@pytest.mark.parametrize("make", [make_closed, make_unopened_closed])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [*WRITE_CALLS, ("invalidate", ()), ("regenerate", ()), ("save", ()), ("set_lifetime", (60,))],
)
def test_a_closed_session_refuses_changes(name, arguments, make):
    """Every mutator of a closed session raises, says what to do instead, and changes nothing."""
    session = make()
    with pytest.raises(SessionClosedError, match="before start_response"):
        getattr(session, name)(*arguments)
    assert session == CONTENT


@pytest.mark.parametrize("make", [make_closed, make_unopened_closed])
@pytest.mark.parametrize(("name", "arguments"), READ_CALLS)
def test_a_closed_session_can_be_read(name, arguments, make):
    """Every reader works on a closed session, whether it was opened before or not."""
    assert outcome(make(), name, arguments) == outcome(CONTENT, name, arguments)


def test_reading_after_closing_unopened():
    """A session that was closed unopened is opened by the first read, once, and is then a closed session."""
    manager = FakeManager()
    session = make_unopened_closed(manager)
    assert manager.loads == 0
    assert session["user"] == 7
    assert session["cart"] == [1, 2]
    assert manager.loads == 1
    assert type(session) is ClosedSession
    with pytest.raises(SessionClosedError):
        session["user"] = 8


@pytest.mark.parametrize("make", [make_closed, make_unopened_closed])
def test_id_of_a_closed_session(make):
    """A closed session tells the id it has, and makes none, as that could not be kept."""
    assert make(FakeManager(origin=make_origin(session_id=b"\xab" * 16))).id == "ab" * 16
    with pytest.raises(SessionClosedError):
        _ = make().id


class Visits(pydantic.BaseModel):
    user: int = 0


class VisitsStruct(msgspec.Struct):
    user: int = 0


def match_user(session):
    match session:
        case {"user": user}:
            return user
    return None


# What docs/sessions.rst says of readers that look into the dict's table, with an unopened session.
READERS = [
    (lambda session: json.loads(json.dumps(session)), "reads"),
    (lambda session: pickle.loads(pickle.dumps(session)), "reads"),
    (dict, "reads"),
    (lambda session: {**session}, "reads"),
    (lambda session: {"user": match_user(session)}, "reads"),
    (lambda session: Visits.model_validate(session).model_dump(), "reads"),
    (pydantic.TypeAdapter(dict).validate_python, "reads"),
    (lambda session: json.loads(orjson.dumps(session)), "raises"),
    (lambda session: json.loads(msgspec.json.encode(session)), "raises"),
    (lambda session: json.loads(pydantic.TypeAdapter(dict).dump_json(session)), "raises"),
    (lambda session: msgspec.to_builtins(msgspec.convert(session, VisitsStruct)), "raises"),
    (lambda session: msgspec.convert(session, dict), "is wrong"),
    (lambda session: Visits.model_validate(session, from_attributes=True).model_dump(), "is wrong"),
]


@pytest.mark.parametrize(("read", "what"), READERS)
def test_readers_written_in_c(read, what):
    """The table in the docs is right: which readers see an unopened session, and that all see an open one."""
    session = make_unopened()
    if what == "raises":
        with pytest.raises((TypeError, ValueError)):
            read(session)
    else:
        assert (read(session).get("user") == CONTENT["user"]) == (what == "reads")
    len(session)
    assert read(session)["user"] == CONTENT["user"]


@pytest.mark.parametrize("make", [make_unopened, make_open])
@pytest.mark.parametrize(
    "act",
    [
        methodcaller("save"),
        methodcaller("mark_modified"),
        methodcaller("changed"),
        lambda s: setattr(s, "modified", True),
    ],
    ids=["save", "mark_modified", "changed", "modified"],
)
def test_idioms_of_saving(make, act):
    """The names by which other libraries mark a session as changed all mean save()."""
    session = make()
    act(session)
    assert session._save is True
    assert session == CONTENT


@pytest.mark.parametrize("make", [make_unopened, make_open])
def test_modified_cannot_be_set_to_false(make):
    """Assigning False raises an error, and leaves the session as it was."""
    session = make()
    with pytest.raises(ValueError, match="modified"):
        session.modified = False
    assert session._save is False


@pytest.mark.parametrize("make", [make_closed, make_unopened_closed])
def test_idioms_of_saving_after_the_headers(make):
    """A closed session cannot be saved by any of the names."""
    for act in (methodcaller("mark_modified"), methodcaller("changed"), lambda s: setattr(s, "modified", True)):
        with pytest.raises(SessionClosedError):
            act(make())


@pytest.mark.parametrize("make", STATES)
def test_ensure_fits(make):
    """ensure_fits() asks the manager in every state."""
    manager = FakeManager()
    make(manager).ensure_fits()
    manager.content = {}
    session = make(manager)
    manager.content = {}
    session.ensure_fits()


# ------------------------------------------------------------------------------------- lifetime, subject and revocation

OLD, NEW = b"\xab" * 16, b"\x01" * 16  # the id that came in, and the first that the manager makes
ROOT = b"\xcd" * 16


def make_revocable(make=make_open, root=None, subject=None):
    """A session that came with an id, and the manager who notes what it revokes."""
    manager = FakeManager(origin=make_origin(session_id=OLD), revokes=True, subject=subject, root=root)
    return make(manager), manager


@pytest.mark.parametrize("make", [make_unopened, make_open])
def test_set_lifetime(make):
    """A lifetime is kept if it is shorter than the one before."""
    session = make()
    for seconds, kept in ((100, 100), (200, 100), (50, 50)):
        session.set_lifetime(seconds)
        assert session._identity.lifetime == kept


@pytest.mark.parametrize("make", STATES)
def test_expires_at(make):
    """Every state tells when the session ends, as the manager says."""
    assert make(FakeManager(origin=make_origin())).expires_at == 500


@pytest.mark.parametrize("make", [make_unopened, make_open])
def test_subject(make):
    """A session has no subject until it is given one, and loses it by None and by invalidate()."""
    session = make()
    assert session.subject is None
    session.subject = "user:42"
    assert session.subject == "user:42"
    session.subject = None
    assert session.subject is None
    session.subject = "user:43"
    session.invalidate()
    assert session.subject is None


@pytest.mark.parametrize(
    ("subject", "identity"),
    [("user:42", (OLD, ROOT, 400)), (None, (OLD, ROOT, 400)), ("user:43", (NEW, None, 990))],
)
def test_another_subject_is_a_new_identity(subject, identity):
    """Another subject gets a new id, lineage and time of creation; the same subject and None change none of them."""
    session, _ = make_revocable(root=ROOT, subject="user:42")
    session.subject = subject
    now = session._identity
    assert (session.subject, now.session_id, now.lineage_id, session.created) == (subject, *identity)


@pytest.mark.parametrize("make", [make_unopened, make_open])
def test_clear_removes_the_subject(make):
    """clear() signs the user out at once, and deleting the last key does not; the identity stays."""
    session, _ = make_revocable(make, subject="user:42")
    for key in list(session):
        del session[key]
    assert session.subject == "user:42"
    session.clear()
    assert (session.subject, session._identity.session_id, session.created) == (None, OLD, 400)


@pytest.mark.parametrize("make", [make_closed, make_unopened_closed])
def test_subject_of_a_closed_session(make):
    """A closed session tells its subject, and takes no other one, and not None."""
    session, _ = make_revocable(make, subject="user:42")
    for subject in ("user:43", None):
        with pytest.raises(SessionClosedError, match="before start_response"):
            session.subject = subject
    assert session.subject == "user:42"


@pytest.mark.parametrize("make", STATES)
@pytest.mark.parametrize(("root", "revoked"), [(None, OLD), (ROOT, ROOT)])
def test_revoke(make, root, revoked):
    """revoke() names the root, or the id that is one, once, in every state, and keeps the content."""
    session, manager = make_revocable(make, root=root)
    session.revoke()
    assert manager.revoked == [revoked]
    assert session == CONTENT


@pytest.mark.parametrize("make", [make_unopened, make_open])
def test_revoke_without_an_id(make):
    """A session without an id gets one, so that it can be revoked; logout() has nothing to revoke then."""
    session = make(manager := FakeManager(revokes=True))
    session.logout()
    assert (manager.revoked, manager.ids) == ([], 0)
    session.revoke()
    assert (manager.revoked, session._identity.session_id) == ([NEW], NEW)


@pytest.mark.parametrize("make", [make_closed, make_unopened_closed])
def test_revoke_of_a_closed_session_without_an_id(make):
    """After the headers have been sent, a session without an id cannot be revoked, and revoke() raises."""
    session = make(manager := FakeManager(revokes=True))
    with pytest.raises(SessionClosedError):
        session.revoke()
    assert manager.revoked == []


def test_revoke_of_a_session_begun_again():
    """revoke() names both: the root that came in, and the session that was begun in its place."""
    session, manager = make_revocable(root=ROOT)
    session.invalidate()
    assert session.id == NEW.hex()
    session.revoke()
    assert manager.revoked == [ROOT, NEW]


@pytest.mark.parametrize("make", [make_unopened, make_open])
def test_logout(make):
    """logout() revokes, and leaves an empty session of another identity, without a root."""
    session, manager = make_revocable(make, root=ROOT, subject="user:42")
    session.logout()
    assert manager.revoked == [ROOT]
    assert (session, session.subject, session._identity.lineage) == ({}, None, None)


@pytest.mark.parametrize("make", [make_closed, make_unopened_closed])
def test_logout_of_a_closed_session(make):
    """logout() of a closed session revokes; the content stays, as no header can say otherwise."""
    session, manager = make_revocable(make)
    session.logout()
    assert (session, manager.revoked) == (CONTENT, [OLD])


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("root", "revokes", "kept"), [(None, True, OLD), (ROOT, True, ROOT), (None, False, None)])
def test_regenerate_keeps_the_root(times, root, revokes, kept):
    """Where sessions can be revoked, a new id stands under the root that came in, or the id; elsewhere it is alone."""
    manager = FakeManager(origin=make_origin(session_id=OLD), revokes=revokes, root=root)
    session = make_open(manager)
    for _ in range(times):
        session.regenerate()
    assert (session.id, session._identity.lineage_id, manager.revoked) == (f"{times:02}" * 16, kept, [])


@pytest.mark.parametrize("revokes", [True, False])
@pytest.mark.parametrize(("begin_anew", "created"), [(False, 400), (True, 990)])
def test_regenerate_restarts_the_timeouts_for_a_new_sign_in_only(revokes, begin_anew, created):
    """regenerate() never extends the absolute timeout; begin_anew=True restarts it at the arrival of the request."""
    session = make_open(FakeManager(origin=make_origin(session_id=OLD), revokes=revokes, subject="user:42"))
    session.regenerate(begin_anew=begin_anew)
    assert (session.created, session.subject, session._identity.session_id) == (created, "user:42", NEW)
    assert session._identity.lineage_id == (OLD if revokes and not begin_anew else None)


def test_regenerate_after_invalidate():
    """What invalidate() gave up is not taken up again."""
    session, manager = make_revocable(root=ROOT)
    session.invalidate()
    session.regenerate()
    assert (session._identity.lineage_id, manager.revoked) == (None, [])


@pytest.mark.parametrize("make", [make_unopened, make_open])
def test_revoke_subject_of_ones_own(make):
    """A session that revokes its own subject is exempt under a new lineage, and keeps its time of creation."""
    session, manager = make_revocable(make, subject="user:42")
    session.revoke_subject("user:42")
    assert manager.revoked == [("user:42", NEW)]
    assert (session._identity.session_id, session._identity.lineage_id, session.created) == (NEW, None, 400)


@pytest.mark.parametrize("subject", [None, "user:7", "USER:42"])
def test_revoke_subject_of_another(subject):
    """A session that revokes another subject is left as it is."""
    session, manager = make_revocable(subject=subject)
    session.revoke_subject("user:42")
    assert manager.revoked == [("user:42", NEW)]
    assert (session._identity.session_id, session._identity.lineage_id) == (OLD, None)


@pytest.mark.parametrize("begin", [lambda session: None, methodcaller("logout")], ids=["", "after logout"])
def test_a_sign_in_after_revoke_subject_is_exempt(begin):
    """A session that signs in as the subject that the same request has revoked takes the exempt lineage."""
    session, manager = make_revocable()
    session.revoke_subject("user:42")
    begin(session)
    session.subject = "user:42"
    assert manager.revoked[0] == ("user:42", NEW)
    assert (session._identity.lineage_id or session._identity.session_id) == NEW
    session.regenerate()
    assert session._identity.lineage_id == NEW


def test_a_revoked_session_is_not_exempt():
    """A session that the store finds revoked keeps its lineage: nothing exempts it."""
    session, manager = make_revocable(subject="user:42")
    manager.store.refuses = True
    session.revoke_subject("user:42")
    assert (session._identity.session_id, session._identity.lineage_id) == (NEW, OLD)


@pytest.mark.parametrize("make", [make_closed, make_unopened_closed])
def test_revoke_subject_by_a_closed_session(make):
    """A closed session cannot get a new id, and is not exempt."""
    session, manager = make_revocable(make, subject="user:42")
    session.revoke_subject("user:42")
    assert manager.revoked == [("user:42", b"")]


@pytest.mark.parametrize("make", STATES)
@pytest.mark.parametrize(
    ("subject", "error"), [(None, TypeError), (7, TypeError), ("", ValueError), ("u" * 256, ValueError)]
)
def test_revoke_subject_of_nobody(make, subject, error):
    """An invalid subject cannot be revoked, in any state."""
    session, manager = make_revocable(make)
    with pytest.raises(error):
        session.revoke_subject(subject)
    assert manager.revoked == []
