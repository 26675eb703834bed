"""The text of every error, log record and command's answer. Other tests assert on behaviour, not on wordings.

A change of wording changes this file alone. It is a unit test, so that `make quick` and the mutation tests run it. The
texts of the Django integration, which needs a project, are in integrations/django/test_django_messages.py.
"""

import ast
import asyncio
import dataclasses
import datetime
import enum
import io
import json
import logging
import os
import re
import sqlite3
import struct
import zoneinfo
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from hashlib import sha256
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any
from unittest import mock

import pytest
from hyperdiv.test_utils import MockManualRunner
from pydantic import TypeAdapter

from sealedsession import Limits, Registry, SessionConfig, asgi, get_session, testing, wsgi
from sealedsession.cli import main
from sealedsession.errors import (
    CookieTooLargeError,
    NotPublicError,
    SealedSessionError,
    StaleStateError,
    StateError,
    StoreError,
    UnsealError,
)
from sealedsession.events import Events
from sealedsession.integrations import fastapi, not_installed, starlette
from sealedsession.integrations.fastapi import InSession
from sealedsession.integrations.flask import SealedSession, SealedSessionInterface
from sealedsession.integrations.hyperdiv import plugin, sealed_session, tokens
from sealedsession.lifecycle.manager import SessionManager
from sealedsession.revocation import CachedStore, MemoryStore, RedisStore, RevocationStore, SQLiteStore, redis
from sealedsession.sealing import base64url, rotation
from sealedsession.sealing.keyring_file import KeyringFile
from sealedsession.sealing.keys import Keyring, derive_keys
from sealedsession.sealing.sealer import Sealer
from sealedsession.serialization.diagnosis import FaultFinder
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer
from sealedsession.session import SessionProxy, wait_until_open
from sealedsession.state.middleware import response_to
from sealedsession.state.registry import StateRegistry
from sealedsession.state.resumable import Resumable, public
from sealedsession.state.sealer import StateSealer
from tests.support import ROOT

KEY = "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4"
ENCRYPT_KEY = "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw"
OTHER_KEY = "BbMnPkV5nDeTF-JWm-nAw9IoXwnYuIuAShiuXXnaY6g"
OTHER_ENCRYPT_KEY = "rKjse4DFshgS64DKCJIl4m25rMv3yBcKGtGY56yUSQw"
KEYS = {"validate_key": KEY, "encrypt_key": ENCRYPT_KEY}
NOON = 1_800_000_000

# The ends of many messages.
KEYGEN = ". Make one with: python -m sealedsession keygen"
IN_CODE = (
    f"{KEYGEN}. If the key is elsewhere, write 'file:PATH' or 'env:NAME' (without quotes in ini files). In code, pass "
    "a random key in any other form as bytes"
)
UNCHANGED = (
    " Nothing was sent, and the browser keeps the previous session. Store large values elsewhere and"
    " keep a reference to them in the session, or set oversize= to a function that trims the "
    "session."
)

# ------------------------------------------------------------------------------------------- options of SessionConfig


async def wait(*_: object) -> None:
    """A function that somebody would have to await."""


OPTION_ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"secure": 1}, "secure: it must be bool, got an int"),
    ({"path": None}, "path: it must be str, got a NoneType"),
    ({"domain": 5}, "domain: it must be str or None, got an int"),
    (
        {"idle_timeout": datetime.timedelta(days=1)},
        "idle_timeout: it must be int or None, a whole number of seconds, got a timedelta",
    ),
    ({"pad": "32"}, "pad: it must be int, a whole number of bytes, got a str"),
    ({"token_cache": True}, "token_cache: it must be int, a whole number of tokens, got a bool"),
    ({"samesite": None}, "samesite: it must be a str, got None. Did you mean 'None'? The default is 'Lax'"),
    ({"clock": 5}, "clock: it must be a function, got an int"),
    ({"binding": "environ"}, "binding: it must be a function or None, got a str"),
    ({"on_event": "count"}, "on_event: it must be a function or None, got a str"),
    ({"clock": wait}, "clock: it must not be an async function, because its result is not awaited"),
    ({"oversize": wait}, "oversize: it must not be an async function, because its result is not awaited"),
    ({"oversize": "drop"}, "oversize: it must be 'raise', 'keep' or a function of session and error, got 'drop'"),
    ({"oversize": None}, "oversize: it must be 'raise', 'keep' or a function of session and error, got a NoneType"),
    ({"secret_key": "s"}, "unknown option 'secret_key'; did you mean validate_key and encrypt_key?"),
    ({"cookie_name": "s"}, "unknown option 'cookie_name'; did you mean name?"),
    ({"redis_url": "s"}, "unknown option 'redis_url'; did you mean revocation='redis://...'?"),
    ({"json": True}, "unknown option 'json'; did you mean serializer='json'?"),
    ({"salt": "s"}, "unknown option 'salt'; did you mean name, which is part of the seal?"),
    (
        {"crypto_type": "s"},
        "unknown option 'crypto_type'; delete it: the whole session is in the cookie, in one format",
    ),
    ({"idle_timout": 5}, "unknown option 'idle_timout'; did you mean idle_timeout?"),
    (
        {"zzz": 1},
        "unknown option 'zzz'; the options are: validate_key, encrypt_key, keyring, name, path, "
        "domain, secure, httponly, samesite, partitioned, persistent, lifetimes, idle_timeout, absolute_timeout,"
        " refresh_interval, leeway, revocation, on_store_error, compress, pad, binding, token_cache, "
        "on_event, oversize, serializer, accept_serializers, registry, "
        "limits, save_on_error, cache_control, environ_key, scope_key, clock",
    ),
    ({"lifetimes": "aal4"}, "lifetimes='aal4': it must be one of 'aal1', 'aal2', 'aal3', or None"),
    (
        {"lifetimes": "aal2", "idle_timeout": 60},
        "lifetimes='aal2' sets idle_timeout and absolute_timeout, which are set as well. Remove "
        "lifetimes, or remove the other two",
    ),
    (
        {"idle_timeout": None, "absolute_timeout": None},
        "idle_timeout and absolute_timeout are both None, so sessions would never end. Set one of them, in seconds",
    ),
    ({"idle_timeout": 0}, "idle_timeout=0: it must be more than 0 seconds, or None to switch it off"),
    ({"absolute_timeout": -1}, "absolute_timeout=-1: it must be more than 0 seconds, or None to switch it off"),
    (
        {"idle_timeout": 7200, "absolute_timeout": 3600},
        "idle_timeout=7200: it is longer than absolute_timeout=3600, so it has no effect. Shorten it, or remove it",
    ),
    ({"refresh_interval": -1}, "refresh_interval=-1: it must be 0 or more seconds"),
    (
        {"idle_timeout": 99, "refresh_interval": 10},
        "refresh_interval=10: it is more than a tenth of idle_timeout=99, so users would be "
        "signed out early. Shorten it, or remove it",
    ),
    ({"leeway": 601}, "leeway=601: it must be 0 to 600 seconds. It is meant for inexact clocks, not for time zones"),
    ({"pad": 1}, "pad=1: it must be 2 to 255 bytes, or 0 for none"),
    ({"token_cache": 1}, "token_cache=1: it must be 2 to 100000 tokens, or 0 for none"),
    (
        {"cache_control": " "},
        "cache_control: it must be the value of a header, in printable ASCII, such as 'no-store', or None",
    ),
    (
        {"environ_key": "session"},
        "environ_key='session': it must contain a dot, because PEP 3333 reserves other names for "
        "CGI. Use a name such as 'myapp.session'",
    ),
    ({"scope_key": ""}, "scope_key: it must not be empty. Remove it, or use a name such as 'admin_session'"),
    ({"revocation": 5}, "revocation: it must be a RevocationStore, a str that names one, or None, got an int"),
    (
        {"revocation": "disk"},
        "revocation: it must be 'memory', 'sqlite:PATH', 'redis://HOST:PORT/NUMBER' (or rediss://, "
        "unix://), a RevocationStore, or None",
    ),
    ({"on_store_error": "ignore"}, "on_store_error='ignore': it must be 'reject' or 'allow'"),
    ({"serializer": "xml"}, "serializer='xml': it must be 'pickle' or 'json'"),
    (
        {"accept_serializers": "json"},
        "accept_serializers: it must be a list of 'pickle' or 'json', or both, such as ['json'], or None",
    ),
    (
        {"serializer": "json", "accept_serializers": ["pickle"]},
        "serializer='json': it is not in accept_serializers, so its sessions would be refused. "
        "Add it there, or remove accept_serializers",
    ),
    ({"registry": {}}, "registry: it must be a Registry, got a dict. Pass it in code"),
    ({"limits": {"size": 1}}, "limits: it must be Limits, got a dict. Pass it in code, as Limits(size=2048)"),
    ({"name": "a;b"}, "name='a;b': it is not a cookie's name. Use letters, digits, '-', '_' and '.'"),
    (
        {"name": "a" * 257},
        "name: it can have at most 256 bytes, got 257. Choose a shorter name: name and value share the cookie's limit",
    ),
    ({"samesite": "sometimes"}, "samesite='sometimes': it must be 'Lax', 'Strict' or 'None' (RFC 6265bis, 5.6.7)"),
    ({"path": "app"}, "path='app': it must begin with '/', without ';' and control characters"),
    (
        {"path": "/" + "a" * 1024},
        "path: it can have at most 1024 bytes, or browsers ignore it, got 1025. Choose a shorter one",
    ),
    ({"domain": "example.com/"}, "domain='example.com/': it is not a host name. Use a name such as 'example.com'"),
    (
        {"domain": "a." * 512 + "a"},
        "domain: it can have at most 1024 bytes, or browsers ignore it, got 1025. Choose a shorter one",
    ),
    (
        {"name": "__Secure-s", "secure": False},
        "name='__Secure-s': this prefix needs secure=True (RFC 6265bis, 4.1.3). Otherwise browsers "
        "drop the cookie: set secure=True, or leave out name",
    ),
    (
        {"name": "__Host-s", "path": "/app"},
        "name='__Host-s': this prefix needs path='/' and no domain (RFC 6265bis, 4.1.3.2). Otherwise "
        "browsers drop the cookie: leave out path and domain, or name",
    ),
    (
        {"name": "__Http-s", "httponly": False},
        "name='__Http-s': this prefix needs httponly=True (RFC 6265bis, 4.1.3). Otherwise browsers "
        "drop the cookie: set httponly=True, or leave out name",
    ),
    (
        {"samesite": "None", "secure": False},
        "samesite='None': it needs secure=True (RFC 6265bis, 5.7). Otherwise browsers drop the "
        "cookie: set secure=True, or samesite='Lax'",
    ),
    (
        {"partitioned": True, "secure": False},
        "partitioned=True: it needs secure=True (CHIPS). Otherwise browsers drop the cookie: set "
        "secure=True, or leave out partitioned",
    ),
    # Keys.
    (
        {"validate_key": None},
        "validate_key: the key is missing, and nothing can be sealed without it" + KEYGEN,
    ),
    (
        {"validate_key": {}},
        "validate_key: it must be a key or a list of keys (str or bytes), got a dict" + KEYGEN,
    ),
    (
        {"validate_key": []},
        "validate_key: the list is empty, and needs at least the primary key" + KEYGEN,
    ),
    (
        {"validate_key": [KEY, 5], "encrypt_key": None},
        "validate_key[1]: a key must be str or bytes, got an int" + KEYGEN,
    ),
    (
        {"validate_key": "short"},
        "validate_key: a key of 32 bytes has at least 43 characters, got 5" + IN_CODE,
    ),
    (
        {"validate_key": KEY + KEY * 30},
        "validate_key: it is longer than 1024 characters" + IN_CODE,
    ),
    (
        {"validate_key": "\ufeff" + KEY},
        "validate_key: it starts with a byte order mark. Save it as plain ASCII, without the mark" + IN_CODE,
    ),
    (
        {"validate_key": KEY + "\0"},
        "validate_key: it contains NUL bytes, as in UTF-16. Save it as plain ASCII" + IN_CODE,
    ),
    (
        {"validate_key": KEY + " "},
        "validate_key: it has white space at the start or end. Delete that" + IN_CODE,
    ),
    (
        {"validate_key": f"{KEY} {OTHER_KEY}"},
        ("validate_key: it contains several keys. Give a list of keys, each in its own str, line, variable or file")
        + IN_CODE,
    ),
    (
        {"validate_key": f"{KEY}\nabc"},
        "validate_key: it has several lines. Write the key on one line, and nothing else" + IN_CODE,
    ),
    (
        {"validate_key": "this-is-no-key-as-it-has-a-star-in-it-*-which-no-key-has"},
        "validate_key: it is not hexadecimal, base64 or base64url, as the text of a key must be" + IN_CODE,
    ),
    (
        {"validate_key": "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf"},
        "validate_key: it is a published example, which attackers know" + IN_CODE,
    ),
    (
        {"validate_key": sha256(b"secret").hexdigest()},
        "validate_key: it is the hash of a common word" + IN_CODE,
    ),
    (
        {"validate_key": "0123456789012345678901234567890123456789012345"},
        "validate_key: a key needs at least 32 bytes, got 23 bytes in hexadecimal" + IN_CODE,
    ),
    (
        {"validate_key": "abcdefghijklmnopqrstuvwxyz" * 2},
        "validate_key: it is a name, a path or a sentence, not a random key" + IN_CODE,
    ),
    (
        {"validate_key": bytes(5)},
        "validate_key: a key needs at least 32 bytes, got 5" + KEYGEN,
    ),
    (
        {"validate_key": b"ab" * 20},
        "validate_key: a key needs at least 32 bytes, got 20 bytes in hexadecimal" + KEYGEN,
    ),
    (
        {"validate_key": os.urandom(1025)},
        "validate_key: it is longer than 1024 bytes" + KEYGEN,
    ),
    (
        {"validate_key": bytes(32)},
        "validate_key: it has only 1 different bytes, and is not random" + KEYGEN,
    ),
    (
        {"validate_key": bytes(range(32))},
        "validate_key: it repeats a pattern or counts up, and is not random" + KEYGEN,
    ),
    (
        {"validate_key": f"env:{KEY}"},
        "validate_key: 'env:' is followed by a key. Delete 'env:', or write a name or path after it",
    ),
    (
        {"validate_key": "env:SEALEDSESSION_TEST_UNSET"},
        "validate_key (from 'env:SEALEDSESSION_TEST_UNSET'): the environment variable "
        "'SEALEDSESSION_TEST_UNSET' is not set. Set it for this process",
    ),
    (
        {"validate_key": "file:no.key"},
        "validate_key (from 'file:no.key'): the file cannot be read: No such file or directory. Give "
        "the path of a file that this process can read",
    ),
    (
        {"encrypt_key": KEY},
        ("validate_key, encrypt_key: one key is given twice. All validate and encrypt keys must differ, in every state")
        + KEYGEN,
    ),
    (
        {"encrypt_key": [ENCRYPT_KEY, OTHER_ENCRYPT_KEY]},
        "validate_key, encrypt_key: they are used in pairs, got 1 validate and 2 encrypt keys. Give "
        "the same number of both, the primary key first",
    ),
    # A keyring.
    (
        {"keyring": "env:SEALEDSESSION_TEST_UNSET"},
        "keyring is given, and validate_key or encrypt_key too: a keyring holds all keys",
    ),
    (
        {"validate_key": None, "encrypt_key": None, "keyring": "keys.json"},
        "keyring: it must be 'file:PATH' or 'env:NAME', the place of the keys. Make a file of keys "
        "with: python -m sealedsession keyring init FILE",
    ),
    (
        {"validate_key": None, "encrypt_key": None, "keyring": "env:SEALEDSESSION_TEST_UNSET"},
        "keyring 'env:SEALEDSESSION_TEST_UNSET': the environment variable is not set. Set it for this process",
    ),
    (
        {"validate_key": None, "encrypt_key": None, "keyring": "file:keys.json"},
        "keyring 'file:keys.json': the file cannot be read: No such file or directory. Give the path "
        "of a file that this process can read",
    ),
    # Revocation stores by name.
    (
        {"revocation": "sqlite:missing/revoked.db"},
        "revocation store 'missing/revoked.db': the directory 'missing' does not exist. Make it, "
        "writable for this process",
    ),
    (
        {"revocation": "sqlite:folder"},
        "revocation store 'folder': it is not a file. Give the path of a file, which is made on first use",
    ),
    (
        {"partitioned": True},
        "partitioned=True: a partitioned cookie is for embedded pages, which get it only with "
        "samesite='None', and samesite is 'Lax'. Set samesite='None', or leave out partitioned",
    ),
    (
        {"max_age": 5},
        "unknown option 'max_age'; did you mean persistent=True, so that the browser keeps the cookie "
        "for the remaining lifetime of the session?",
    ),
    (
        {"expire_at_browser_close": True},
        "unknown option 'expire_at_browser_close'; did you mean persistent, with the opposite value?",
    ),
    ({"save_every_request": True}, "unknown option 'save_every_request'; did you mean refresh_interval, in seconds?"),
    ({"max_size": 5}, "unknown option 'max_size'; did you mean limits=Limits(size=...)?"),
]

INI_ERRORS: list[tuple[dict[str, str], str]] = [
    ({"name": " "}, "name: the value is blank. Set a value, or delete the line"),
    (
        {"session.leeway": "5", "leeway": "5"},
        "leeway: it is set twice, with and without the prefix 'session.'. Delete one",
    ),
    ({"session.secur": "true"}, "unknown option 'session.secur'; did you mean secure?"),
    ({"secure": "maybe"}, "secure = maybe: it must be true or false (or yes, no, on, off, 1, 0)"),
    ({"idle_timeout": "1h"}, "idle_timeout = 1h: it must be a whole number of seconds or none"),
    ({"leeway": "none"}, "leeway = none: it must be a whole number of seconds"),
    ({"pad": "none"}, "pad = none: it must be a whole number of bytes"),
    ({"token_cache": "yes"}, "token_cache = yes: it must be a whole number of tokens"),
    ({"registry": "shop.registry"}, "registry: it must be a Registry, got a str. Pass it in code"),
]

# --------------------------------------------------------------------------------------------------------- state

STATE_OPTION_ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"max_age": 0}, "max_age: must be an int of seconds, 1 to 2**32 - 1, got an int"),
    ({"registry": None}, "registry: must be a Registry or StateRegistry, got a NoneType"),
    ({"compress": 1}, "compress: must be True or False, got an int"),
    ({"max_size": 255}, "max_size: must be an int of characters, 256 to 65536, got an int"),
    ({"name": "a:b"}, "name: must be a non-empty str of ASCII characters without a colon, got a str"),
    (
        {"leeway": 601},
        "leeway: must be an int of seconds, 0 to 600, got an int. It covers clock differences, not time zones",
    ),
    ({"on_event": "print"}, "on_event: must be a function that accepts an event, got a str"),
    ({"clock": None}, "clock: must be a function that returns seconds, got a NoneType"),
    (
        {"validate_key": 5},
        "validate_key: must be a key or a list of keys, each a str or bytes, got an int. Pass the "
        "keys of a SessionConfig, not the config",
    ),
    (
        {"validate_key": None},
        "validate_key: missing, and state is always encrypted. Make each key with: python -m sealedsession keygen",
    ),
    (
        {"validate_key": None, "encrypt_key": None},
        "validate_key and encrypt_key: missing, and state is always encrypted. Make each key with: "
        "python -m sealedsession keygen",
    ),
    (
        {"keyring": "env:SEALEDSESSION_TEST_UNSET"},
        "keyring: cannot be combined with validate_key or encrypt_key. A keyring holds all keys",
    ),
    (
        {"validate_key": None, "encrypt_key": None, "keyring": "env:SEALEDSESSION_TEST_SIGNING"},
        "keyring: has no encrypt_key, and state is always encrypted. Add an encrypt_key to each entry",
    ),
]


class Item(Resumable):
    """An object whose state is sealed."""

    stale_on = (KeyError,)

    def load(self, number: int) -> None:
        self.row = {1: "one", 2: "two"}[number]

    @public
    def show(self) -> object:
        return {1}

    @public
    async def wait(self) -> None: ...

    def hide(self) -> None: ...


class Other(Resumable):
    """Another class."""

    def __init__(self) -> None:  # without the call of the base class
        self.number = 5


class Named(Resumable):
    """An object with attributes that nobody loads."""


def state_sealer(**options: Any) -> StateSealer:
    made = StateSealer(**{**KEYS, "clock": lambda: NOON, **options})
    for cls in (Item, Other, Named):
        made.register(cls)
    return made


ANN = {"session_id": "a", "user": "ann"}


def named(**attributes: object) -> Named:
    made = Named()
    vars(made).update(attributes)
    return made


def wrong_member() -> object:
    registry = StateRegistry()
    registry.register_base(Slotted, "slot", encode=lambda value: 5, decode=str)
    return PickleSerializer(registry).dumps(Slotted())


def sealed_state(content: list[object]) -> str:
    """A token of Ann's with any content, as only somebody with the keys can make it."""
    made = state_sealer()
    return made._get_sealer("a", "ann").seal(PickleSerializer().dumps(content), created=NOON)


def call(*args: object, method: object = "show", **members: object) -> bytes:
    return state_sealer().handle(
        json.dumps({"token": state_sealer().seal(Item(1), **ANN), "method": method, "args": args, **members}).encode(),
        **ANN,
    )


def resume(content: list[object]) -> object:
    return state_sealer().resume(sealed_state(content), **ANN)


def resumable(**members: object) -> type:
    return type("Odd", (Resumable,), members)


class Slotted:
    """A base class with a slot."""

    __slots__ = ("count",)


def below(function: Callable[..., Any]) -> property:
    return property(public(function))


@dataclasses.dataclass
class Filled(Resumable):
    """A dataclass whose generated __init__ does not run load."""

    number: int


# What the browser module shows.
ANSWERS: list[tuple[Any, str]] = [
    (UnsealError("malformed", ""), "This is not the state of a page."),
    (UnsealError("expired_idle", ""), "This page is too old. Load it again."),
    (UnsealError("bad_signature", ""), "This state was made for another session or user. Load the page again."),
    (StaleStateError(), "What this part of the page shows is gone or has changed. Load the page again."),
    (NotPublicError(), "There is no such public method."),
    (StateError(), "This call is invalid."),
]

Case = tuple[Callable[[], object], str]

STATE_ERRORS: list[Case] = [
    (lambda: state_sealer().register(Item), "register: Item is registered already, with the code 'Item'"),
    (lambda: state_sealer().register(Item, "i"), "register: Item is registered already, with the code 'Item'"),
    (
        lambda: state_sealer().register("i"),
        "register: the first argument must be a class, got a str. Pass a code second: register(cls, "
        "'i'), or by name in a decorator: register(code='i')",
    ),
    (
        lambda: state_sealer().register(int),
        "register: <class 'int'> is not a subclass of Resumable. Derive the class from Resumable",
    ),
    (lambda: state_sealer().register(resumable(), ""), "register: the code of Odd must be a non-empty str, got a str"),
    (
        lambda: state_sealer().register(resumable(), "Item"),
        "register: 'Item' is the code of <class 'test_messages.Item'> already. Pass a different code "
        "for <class 'test_messages.Odd'>, such as register(Odd, 'another-Item')",
    ),
    (
        lambda: state_sealer().register(Filled),
        "Filled: is a dataclass, whose __init__ does not run load(). Add a __post_init__ that calls "
        "super().__init__(), or remove @dataclass",
    ),
    (
        lambda: state_sealer().seal(1, session_id=""),
        "session_id: is empty. State belongs to a session: pass an id such as session.id",
    ),
    (lambda: state_sealer().seal(1, session_id=5), "session_id: must be a str, got an int"),
    (lambda: state_sealer().seal(1, session_id="a", user=5), "user: must be a str, got an int"),
    (lambda: state_sealer().seal(1, **ANN, purpose=5), "purpose: must be a str, got an int"),
    (
        lambda: state_sealer().seal(Item(1), **ANN, purpose="basket"),
        "purpose: is only for plain values, got an Item. Seal a Item without a purpose",
    ),
    (
        lambda: state_sealer().seal(resumable()(), **ANN),
        "Odd: its class is not registered. Decorate the class with the sealer's register",
    ),
    (
        lambda: state_sealer().seal(Other(), **ANN),
        "Other: Other.__init__ does not call super().__init__(), which runs load(). Add the call",
    ),
    (
        lambda: state_sealer().seal(named(load=5), **ANN),
        "Named.load: this attribute has the name of a method, so it could not be restored. Rename it",
    ),
    (
        lambda: state_sealer().seal(named(item=Item(1)), **ANN),
        "Named.item: values of type test_messages.Item cannot be stored in states. Seal it in a token "
        "of its own. A state cannot contain another Resumable, only a value that identifies it",
    ),
    (
        lambda: state_sealer().seal([object()], **ANN),
        "state[0]: values of type builtins.object cannot be stored in states. Store plain values "
        "(str, int, list, dict, datetime ...), or register the type: "
        "sealedsession.default_registry.register(object, 'object', encode=..., decode=...)",
    ),
    (
        lambda: state_sealer().seal([None] * 16_384, **ANN),
        "state: a state has at most 16384 values, 1024 values of types other than the plain ones, and "
        "a weight of 1024 for keys and elements other than str and bytes. Store fewer values, or use "
        "str as keys",
    ),
    (
        lambda: state_sealer(max_size=256).seal({"a": "a" * 500, "b": "b" * 300}, **ANN),
        "sealed state: it would have 1179 bytes, and the limit is 256. Largest parts, before"
        " compression: 'a' 506 bytes, 'b' 306 bytes. Set them in load(), so that they are not "
        "sealed, or store them elsewhere and keep a reference to them.",
    ),
    (lambda: state_sealer().unseal(5, **ANN), "malformed: the token must be a str, got an int"),
    (
        lambda: state_sealer().unseal(state_sealer().seal(1, session_id="b"), **ANN),
        "bad_signature: a token of another session, user or sealer name, or a changed token",
    ),
    (
        lambda: state_sealer().unseal(state_sealer().seal(1, **ANN, purpose="a"), **ANN, purpose="b"),
        "bad_signature: a value with the purpose 'a', where 'b' is expected",
    ),
    (
        lambda: state_sealer().unseal(state_sealer().seal(Item(1), **ANN), **ANN),
        "bad_signature: an object of the class 'Item', where a value is expected",
    ),
    (
        lambda: state_sealer().resume(state_sealer().seal(1, **ANN), **ANN),
        "bad_signature: a plain value, where Resumable is expected",
    ),
    (
        lambda: state_sealer().resume(state_sealer().seal(Item(1), **ANN), **ANN, cls=Named),
        "bad_signature: a state of Item, where Named is expected",
    ),
    (lambda: resume([1]), "forbidden_value: not a payload of sealed state"),
    (lambda: resume(["Gone", (), {}, {}]), "the class 'Gone' is no longer registered"),
    (
        lambda: resume(["Item", (), {}, {}]),
        "Item.load no longer accepts the sealed arguments: Item.load() missing 1 required positional "
        "argument: 'number'",
    ),
    (lambda: resume(["Item", (3,), {}, {}]), "Item.load raised KeyError, which is in stale_on"),
    (
        lambda: resume(["Item", (1,), {}, {"load": 1, "show": 1}]),
        "a state of Item has attributes that are methods now: ['load', 'show']",
    ),
    (lambda: state_sealer().handle("call", **ANN), "body: must be bytes, got a str"),
    (
        lambda: state_sealer(max_size=256).handle(bytes(1025), **ANN),
        "a call of 1025 bytes is longer than the limit of 1024",
    ),
    (
        lambda: state_sealer().handle(b"[]", **ANN),
        'a call must be JSON such as {"token": "...", "method": "...", "args": []}. This call does '
        "not begin with a token",
    ),
    (
        lambda: call(number=5),
        'a call must be JSON such as {"token": "...", "method": "...", "args": []}. This call has other members',
    ),
    (
        lambda: call(float("inf")),
        'a call must be JSON such as {"token": "...", "method": "...", "args": []}. Parsing failed: ValueError',
    ),
    (
        lambda: call(5),
        "Item.show does not accept these arguments: Item.show() takes 1 positional argument but 2 were given",
    ),
    (lambda: call(method="drop"), "Item has no public method 'drop'"),
    (lambda: call(method="hide"), "Item.hide is not marked @public"),
    (
        lambda: call(method="wait"),
        "Item.wait: is async, and handle() does not await it. Use resume(), await call(), and seal()",
    ),
    (
        lambda: call(),
        "Item.show: the result must be JSON, got a set. Return JSON values only: Object of type set "
        "is not JSON serializable",
    ),
    (lambda: public(), "@public: called without a method. Write @public, without parentheses"),
    (lambda: public(5), "@public: must decorate an ordinary method of a class, got an int"),
    (lambda: resumable(call=5), "Odd.call: Resumable reserves this name. Choose another name"),
    (lambda: resumable(load=wait), "Odd.load: must be an ordinary method that is not async, got a function"),
    (
        lambda: resumable(stale_on=KeyError),
        "Odd.stale_on: must be a tuple of exceptions, such as (KeyError,), got a type",
    ),
    (
        lambda: type("Odd", (Slotted, Resumable), {}),
        "Odd.count: is in __slots__, and slots are not sealed. Remove __slots__",
    ),
    (lambda: resumable(items=[]), "Odd.items: all users would share this list. Set it in __init__, or make it a tuple"),
    (
        lambda: resumable(_show=public(lambda self: 1)),
        "Odd._show: is @public, but clients cannot call names that begin with '_'. Rename it",
    ),
    (
        lambda: resumable(show=below(lambda self: 1)),
        "Odd.show: has @public below another decorator, whose result is not public. Put @public above "
        "all decorators of an ordinary method, or remove it",
    ),
    (
        lambda: StateRegistry().register_base(Slotted, "s", encode=str, decode=str, fetch=5),
        "fetch: must be a function for the code 's', got an int",
    ),
    (
        lambda: wrong_member(),
        "session: a session cannot hold this test_messages.Slotted: the decoder of 'slot' returned a str",
    ),
]

# -------------------------------------------------------------------------------------------------- serialization


class Colour(enum.Enum):
    """An enum."""

    RED = 1


class Permission(enum.Flag):
    """A flag."""

    READ = 1


class Unhashable(enum.Enum):
    """An enum with a value that cannot be hashed."""

    LIST = []


class Text(str):
    """A str with attributes of its own."""


Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int = 0
    y: "list" = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Derived:
    """A dataclass with a field that is no argument."""

    x: int = dataclasses.field(init=False)


@dataclasses.dataclass
class Needing:
    """A dataclass with an argument that is no field."""

    x: int
    more: dataclasses.InitVar[int]


@dataclasses.dataclass
class Nameless:
    """A dataclass whose annotation names nothing."""

    x: "Nowhere"  # noqa: F821


@dataclasses.dataclass
class Callback:
    """A dataclass whose annotation cannot be checked."""

    run: Callable[[int], int]


def add(cls: type, *arguments: Any, kind: str = "", **codec: Any) -> Registry:
    made = Registry()
    getattr(made, f"register_{kind}" if kind else "register")(cls, *arguments, **codec)
    return made


class NoRows:
    """A function that fetches nothing."""

    def __new__(cls, references: object) -> Any:
        return ()


CODEC = {"encode": vars, "decode": len}
TEXTS = add(Text, "text", kind="subclass")
POINTS = add(Point, "point", kind="dataclass")
BAD_DECODER = add(Point, "dot", **CODEC)
ZONES = Registry()
ZONES.register_zoneinfo(["UTC"])
TWO_REFERENCES = StateRegistry()
TWO_REFERENCES.register_base(Point, "dot", encode=lambda point: point.x, decode=int, fetch=NoRows)


NESTED, NESTING = StateRegistry(), StateRegistry()
for registry in (NESTED, NESTING):
    registry.register_base(
        Point, "dot", encode=lambda point: point.x, decode=Point, fetch=list, allow_nested=registry is NESTING
    )


def nested(value: object) -> bytes:
    return PickleSerializer(NESTED).dumps(value)


def raise_(error: Exception) -> None:
    raise error


def with_attribute() -> OrderedDict[str, int]:
    made: Any = OrderedDict()
    made.label = 1
    return made


def labelled() -> Text:
    made = Text("a")
    made.label = 1
    return made


def circle() -> list[object]:
    made: list[object] = []
    made.append(made)
    return made


def deep() -> list[object]:
    made: list[object] = []
    for _ in range(300):
        made = [made]
    return made


def pickled(value: object, registry: Registry = TEXTS) -> bytes:
    return PickleSerializer(registry).dumps(value)


def unpickle(payload: bytes, registry: Registry = TEXTS, **limits: int) -> object:
    return PickleSerializer(registry, Limits(**limits)).loads(payload)


def unjson(payload: str, registry: Registry = TEXTS, **limits: int) -> object:
    return JsonSerializer(registry, Limits(**limits)).loads(payload.encode())


def cause_of(code: str, data: str, registry: Registry = TEXTS) -> None:
    """Raise the error that the decoder of a type has raised."""
    try:
        unjson(f'{{"~:{code}":{data}}}', registry)
    except UnsealError as error:
        raise error.__cause__ from None


SERIALIZATION_ERRORS: list[Case] = [
    (lambda: Limits(size=0), "limits: size must be an int from 1 to 8192, got 0"),
    (lambda: Limits(depth=True), "limits: depth must be an int from 1 to 256, got a bool"),
    (lambda: add(5, "five", **CODEC), "register: cls must be a class, got an int"),
    (lambda: add(Point, "", **CODEC), "Point: the code must be a str of 1 to 32 characters, got 0 characters"),
    (lambda: add(Point, 5, **CODEC), "Point: the code must be a str of 1 to 32 characters, got an int"),
    (lambda: add(int, "i", **CODEC), "int: sessions can hold this type already. Do not register it again"),
    (lambda: add(Point, "p", encode=5, decode=len), "Point: encode and decode must be functions, got an int"),
    (lambda: add(Point, "d", **CODEC), "Point: the code 'd' belongs to datetime. Choose another code"),
    (lambda: add(Point, "p", kind="enum"), "Point: it must be an Enum. Use register() for other classes"),
    (
        lambda: add(Permission, "p", kind="enum"),
        "Permission: a Flag has values that are not members. Store its int value instead",
    ),
    (
        lambda: add(Unhashable, "u", kind="enum"),
        "Unhashable: a member has an unhashable value. Register the class with encode and decode",
    ),
    (lambda: add(Colour, "c", kind="dataclass"), "Colour: it must be a dataclass. Use register() for other classes"),
    (
        lambda: add(Derived, "d-1", kind="dataclass"),
        "Derived.x: the field is not an argument of __init__. Register the class with encode and decode",
    ),
    (
        lambda: add(Needing, "n-1", kind="dataclass"),
        "Needing: __init__ requires more, which is not a field. Register the class with encode and decode",
    ),
    (
        lambda: add(Nameless, "n-1", kind="dataclass"),
        "Nameless: its annotations cannot be resolved: name 'Nowhere' is not defined. Define or "
        "import that name in the module of the class",
    ),
    (
        lambda: add(Callback, "c-1", kind="dataclass"),
        "Callback.run: the annotation collections.abc.Callable[[int], int] cannot be checked. Use a "
        "class, None, a union, Literal, or list, dict, tuple, set or frozenset of these",
    ),
    (lambda: add(Point, "p-1", kind="namedtuple"), "Point: it must be a named tuple. Use register() for other classes"),
    (
        lambda: add(str, "s-1", kind="subclass"),
        "str: it must be a subclass of str, int, float or bytes. Use register() for other classes",
    ),
    (
        lambda: add(["Nowhere/City"], kind="zoneinfo"),
        "register_zoneinfo: there is no time zone 'Nowhere/City' on this machine. Correct the name, "
        "or install the package tzdata",
    ),
    # Values that cannot be stored.
    (
        lambda: pickled({"a": [object()]}),
        "session['a'][0]: values of type builtins.object cannot be stored in sessions. Store plain "
        "values (str, int, list, dict, datetime ...), or register the type: "
        "sealedsession.default_registry.register(object, 'object', encode=..., decode=...)",
    ),
    (
        lambda: pickled(Colour.RED),
        "session: values of type test_messages.Colour cannot be stored in sessions. Store plain "
        "values (str, int, list, dict, datetime ...), or register the type: "
        "sealedsession.default_registry.register_enum(Colour, 'colour')",
    ),
    (
        lambda: pickled(Point()),
        "session: values of type test_messages.Point cannot be stored in sessions. Store plain values "
        "(str, int, list, dict, datetime ...), or register the type: "
        "sealedsession.default_registry.register_dataclass(Point, 'point')",
    ),
    (
        lambda: pickled(Pair(1, 2)),
        "session: values of type test_messages.Pair cannot be stored in sessions. Store plain values "
        "(str, int, list, dict, datetime ...), or register the type: "
        "sealedsession.default_registry.register_namedtuple(Pair, 'pair')",
    ),
    (
        lambda: pickled(zoneinfo.ZoneInfo("UTC")),
        "session: values of type zoneinfo.ZoneInfo cannot be stored in sessions. Store plain values "
        "(str, int, list, dict, datetime ...), or register the type: "
        "sealedsession.default_registry.register_zoneinfo([...])",
    ),
    (
        lambda: pickled(Text("a"), Registry()),
        "session: values of type test_messages.Text cannot be stored in sessions. Store plain values "
        "(str, int, list, dict, datetime ...), or register the type: "
        "sealedsession.default_registry.register_subclass(Text, 'text')",
    ),
    (
        lambda: pickled(Permission.READ),
        "session: values of type test_messages.Permission cannot be stored in sessions. Store its int "
        "value, and create the flag from that value",
    ),
    (
        lambda: pickled(len),
        "session: values of type builtins.builtin_function_or_method cannot be stored in sessions. "
        "Store its name or id, and use that to find it again",
    ),
    (lambda: pickled(circle()), "session[0]: it contains itself. Remove the circular reference"),
    (
        lambda: pickled(deep()),
        "session[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0...: it is nested more than 256 "
        "levels deep. Store a flatter value",
    ),
    (lambda: pickled(1 << 300), "session: it has 301 bits; the limit is 255. Store it as bytes or str"),
    (
        lambda: pickled({OrderedDict: 1}),
        "session[<class 'collections.OrderedDict'>] (the key): a value of type type cannot be a key "
        "or part of a key. Use a str",
    ),
    (
        lambda: pickled({"a": labelled()}),
        "session['a']: this test_messages.Text cannot be stored: it has attributes of its own "
        "(label), which would be lost",
    ),
    (
        lambda: pickled(defaultdict(lambda: 1)),
        "session: this collections.defaultdict cannot be stored: the factory of a defaultdict must be "
        "one of list, dict, set, int, float, str, bool, tuple, bytes",
    ),
    (
        lambda: pickled(OrderedDict.fromkeys(range(200))),
        "session: a session cannot hold this collections.OrderedDict: over 128 keys that are not str "
        "or bytes. Store a dict, which keeps its order too",
    ),
    (
        lambda: pickled(type(labelled)),
        "session: this builtins.type cannot be stored: builtins.function is a class, and only the "
        "classes of plain and default types can be values",
    ),
    (
        lambda: pickled(zoneinfo.ZoneInfo("Europe/Berlin"), ZONES),
        "session: this zoneinfo.ZoneInfo cannot be stored: the zone Europe/Berlin is not registered",
    ),
    (
        lambda: pickled(Point(), BAD_DECODER),
        "session: a session cannot hold this test_messages.Point: the decoder of 'dot' must return a Point, got an int",
    ),
    (
        lambda: pickled(Point("a"), POINTS),
        "session: a session cannot hold this test_messages.Point: Point.x: a str does not fit the annotation",
    ),
    (
        lambda: pickled({"a": Decimal("1e99999")}),
        "session['a']: a session cannot hold this decimal.Decimal: an exponent beyond 1000",
    ),
    (
        lambda: pickled({"a": Decimal("sNaN")}),
        "session['a']: a session cannot hold this decimal.Decimal: a signaling NaN, which raises an "
        "error in every operation",
    ),
    (
        lambda: pickled({"a": PurePosixPath("a" * 5000)}),
        "session['a']: a session cannot hold this pathlib.PurePosixPath: 5000 characters; the limit is 1024",
    ),
    # Payloads that are refused.
    (lambda: unpickle(b"}" * 9000), "forbidden_value: a payload of 9000 bytes; the limit is 8192"),
    (lambda: unpickle(b"\x80\x05N."), "forbidden_value: a payload that this library does not write: PROTO at byte 0"),
    (
        lambda: unpickle(b"cos\nsystem\n."),
        "forbidden_value: a payload that this library does not write: GLOBAL at byte 0, and it names "
        "the global os.system",
    ),
    (lambda: unpickle(b"}"), "forbidden_value: a payload that this library does not write: it ends at byte 1"),
    (lambda: unpickle(b"NQ."), "forbidden_value: a payload with a typed value that is not (code, data)"),
    (
        lambda: unpickle(b"\x8c\x04nonsN\x86Q."),
        "forbidden_value: a payload with a value of type 'nons', which is not registered",
    ),
    (lambda: unpickle(pickled([[[1]]]), depth=2), "forbidden_value: a payload nested more than 2 levels deep"),
    (lambda: unpickle(pickled([1, 2, 3]), nodes=2), "forbidden_value: a payload of 4 values; the limit is 2"),
    (
        lambda: unpickle(pickled([Text("a")] * 2), typed=1),
        "forbidden_value: a payload of 2 typed values; the limit is 1",
    ),
    (
        lambda: unpickle(pickled({1, 2, 3}), hashed=2),
        "forbidden_value: a payload with keys and elements, other than str and bytes, of weight 3; the limit is 2",
    ),
    (lambda: unjson("1" * 9000), "forbidden_value: a payload of 9000 bytes; the limit is 8192"),
    (lambda: unjson("[1, 2]"), "forbidden_value: a payload with white space or an escape that is never written"),
    (lambda: unjson("["), "forbidden_value: a payload that cannot be read: JSONDecodeError"),
    (lambda: unjson("[1]2"), "forbidden_value: a payload with text after its end"),
    (lambda: unjson('{"a":1,"a":2}'), "forbidden_value: a payload with a repeated key in an object"),
    (lambda: unjson('{"~t":[],"a":1}'), "forbidden_value: a payload with an object with a tag and other keys"),
    (lambda: unjson('{"~x":1}'), "forbidden_value: a payload with an unknown tag, or data that does not fit its tag"),
    (lambda: unjson('{"~:none":1}'), "forbidden_value: a payload with a value of type 'none', which is not registered"),
    (
        lambda: unjson('{"~d":[{"~:ba":{"~b":"YQ=="}},1]}'),
        "forbidden_value: a payload with a dict key of a type that cannot be a key",
    ),
    (lambda: unjson('{"~d":["a",1]}'), "forbidden_value: a payload with a dict that is not canonical"),
    (lambda: unjson('{"~b":"YR=="}'), "forbidden_value: a payload with base64 that is not canonical"),
    (lambda: unjson('{"~:s":[2,1]}'), "forbidden_value: a payload with a set that is not canonical"),
    (lambda: unjson("-0"), "forbidden_value: a payload with an int that is not canonical"),
    (lambda: unjson("1" * 99), "forbidden_value: a payload with an int of 99 digits"),
    (lambda: unjson("9" * 78), "forbidden_value: a payload with an int of more than 32 bytes"),
    (lambda: unjson("1.50"), "forbidden_value: a payload with a float that is not canonical"),
    (lambda: unjson("[[[1]]]", depth=2), "forbidden_value: a payload nested more than 2 levels deep"),
    # The causes that decoders name.
    (lambda: cause_of("text", "5"), "Text: expected str, got int"),
    (lambda: cause_of("point", "5", POINTS), "Point: expected a tuple of 2 fields, got int"),
    (lambda: cause_of("point", '{"~t":["a",[]]}', POINTS), "Point.x: a str does not fit the annotation"),
    (lambda: cause_of("d", "5"), "expected tuple, got int"),
    (lambda: cause_of("date", f'"{"1" * 11}"'), "11 characters; the limit is 10"),
    (lambda: cause_of("date", '"20260101"'), "data that the encoder does not write"),
    (lambda: cause_of("time", '{"~t":["10:00:00",0,5]}'), "expected a time zone, got int"),
    (lambda: cause_of("td", '{"~t":[99999999999999999999,0,0]}'), "an int of more than 64 bits"),
    (lambda: cause_of("fr", '{"~t":[1]}'), "expected a tuple of 2, got 1 members"),
    (lambda: cause_of("q", '{"~t":[[1,2],1]}'), "more items than its maxlen"),
    (lambda: cause_of("pp", '"a\\u0000"'), "a NUL character"),
    (
        lambda: PickleSerializer(TWO_REFERENCES).loads(PickleSerializer(TWO_REFERENCES).dumps(Point(1))),
        "<class 'test_messages.NoRows'> returned 0 values for 1 references",
    ),
    (lambda: cause_of("t", "5"), "expected the name of a class, got int"),
    (
        lambda: pickled({"a": with_attribute()}),
        "session['a']: this collections.OrderedDict cannot be stored: a OrderedDict with attributes of its own (label)",
    ),
    (lambda: raise_(FaultFinder(TEXTS, Limits()).find([1], ValueError("odd"))), "session: it cannot be stored: odd"),
    (
        lambda: nested(Point(Point())),
        "session: this test_messages.Point cannot be stored: its data contains a value of type Point. "
        "Encode it as plain data",
    ),
    (
        lambda: PickleSerializer(NESTED).loads(pickled(Point(Point()), NESTING)),
        "forbidden_value: a payload with a value of type 'dot', whose data contains a deferred value",
    ),
    (
        lambda: PickleSerializer()._unpickler_class(io.BytesIO(b"cos\nsystem\n.")).load(),
        "an opcode that names the global os.system",
    ),
]

# -------------------------------------------------------------------------------------------------------- tokens


RING = Keyring(KEY, ENCRYPT_KEY)


def sealer(**options: Any) -> Sealer:
    return Sealer(RING, "cookie:a", **{"clock": lambda: NOON, **options})


def unseal(token: str, **options: Any) -> object:
    return sealer(**options).unseal(token.encode())


def sealed(content: bytes = b"}.", **options: Any) -> str:
    return sealer().seal(content, **{"created": NOON, **options})


def plain(text: bytes) -> str:
    """A token with any plaintext, as only somebody with the keys can make it."""
    made = sealer()
    key = made._keys.primary
    body = key.head + bytes(16) + key.crypt(bytes(16), text)
    mac = key.mac_copy()
    mac.update(body + bytes(4))
    return base64url.encode(body + mac.finalize())


def times(flags: int) -> bytes:
    return struct.pack(">BII", flags, NOON, NOON)


def later(seconds: int) -> Callable[[], float]:
    return lambda: NOON + seconds


TOKEN_ERRORS: list[Case] = [
    (lambda: unseal("a" * 4097), "malformed: the token is too long: 4097 characters, and the limit is 4096"),
    (lambda: unseal("a?"), "malformed: the token is not strict base64url without padding"),
    (lambda: unseal("AAAA"), "malformed: the token is too short: 3 bytes"),
    (lambda: unseal("A" * 100), "malformed: the token has an unknown version, 0"),
    (
        lambda: unseal(sealed()[:-8] + "AAAAAAAA"),
        "bad_signature: the token was tampered with, or made for another purpose",
    ),
    (
        lambda: unseal(Sealer(Keyring(OTHER_KEY), "cookie:a").seal(b"}.", created=NOON)),
        "unknown_key: the token is signed only, with key 4f58, which is not configured",
    ),
    (
        lambda: unseal(Sealer(Keyring(OTHER_KEY, OTHER_ENCRYPT_KEY), "cookie:a").seal(b"}.", created=NOON)),
        "unknown_key: the token is sealed, with key 0ac0, which is not configured",
    ),
    (lambda: unseal(sealed(), clock=later(-100)), "from_the_future: a time in the token is 100 seconds ahead"),
    (lambda: unseal(sealed(), clock=later(100), idle_timeout=5), "expired_idle: the token was sealed 100 seconds ago"),
    (
        lambda: unseal(sealed(), clock=later(100), absolute_timeout=5),
        "expired_absolute: the session was created 100 seconds ago",
    ),
    (lambda: unseal(plain(b"abc")), "forbidden_value: the plaintext is too short for its flags and times"),
    (lambda: unseal(plain(times(2))), "forbidden_value: the plaintext has unknown flags, 0x02"),
    (lambda: unseal(plain(times(8) + b"a")), "forbidden_value: the plaintext is too short for its lifetime"),
    (lambda: unseal(plain(times(16) + b"a")), "forbidden_value: the plaintext is too short for its session id"),
    (lambda: unseal(plain(times(32) + b"a")), "forbidden_value: the padding has 0 bytes, or more than the plaintext"),
    (lambda: unseal(plain(times(4) + b"aaaa")), "forbidden_value: the payload does not inflate to at most 65536 bytes"),
    (lambda: unseal(plain(times(4))), "forbidden_value: the payload does not inflate to at most 65536 bytes"),
    (
        lambda: derive_keys({"APP_SECRET": "short"}, "django"),
        "APP_SECRET: a secret needs at least 32 characters, got 5" + KEYGEN,
    ),
    (
        lambda: derive_keys({"APP_SECRET": "change-me-change-me-change-me-change-me"}, "django"),
        "APP_SECRET: it is a placeholder" + KEYGEN,
    ),
    (lambda: unseal(plain(times(4) + b"\xff\xff")), "forbidden_value: the payload is not valid deflate data"),
    (lambda: base64url.decode(b"a"), "the length or the last character is not that of base64url without padding"),
    (lambda: base64url.decode(b"ab+c"), "a character is not one of base64url"),
]

# ------------------------------------------------------------------------------- sessions, middlewares, revocation


async def asgi_app(scope: object, receive: object, send: object) -> None: ...


def wsgi_app(environ: object, start_response: object) -> list[bytes]:
    return []


def manager(**options: Any) -> SessionManager[Any, Any]:
    return SessionManager(SessionConfig(**KEYS, clock=lambda: NOON, **options))


def session(header: str = "", **options: Any) -> Any:
    made = manager(**options).open(header)
    made.mark_accessed()
    return made


def closed() -> Any:
    made = session()
    made._manager.close(made, {}, 200, [])
    return made


def put(**values: object) -> Any:
    made = session()
    made.update(values)
    return made._manager.set_cookie(made)


class BlockingStore(MemoryStore):
    """A store that must be awaited."""

    blocks = True


def awaiting() -> SessionManager[Any, Any]:
    return SessionManager(SessionConfig(**KEYS, revocation=BlockingStore()), awaits=True)


async def close_too_early() -> None:
    made = await awaiting().aopen(None)
    made["a"] = 1
    made.revoke()
    made._manager.close(made, {}, 200, [])


def revoked_token() -> str:
    made = manager(revocation="memory")
    first = made.open("")
    first["a"] = 1
    cookie = made.set_cookie(first).partition(";")[0]
    other, second = made.open(cookie), made.open(cookie)
    other.mark_accessed()
    second.revoke()
    other.revoke_subject("ann")
    return made.token(other)


def opened_by_its_own_binding() -> None:
    made = manager(binding=lambda request: len(request[0]).to_bytes()).open("__Host-Http-session=a", [])
    made._request.append(made)
    made.mark_accessed()


def sealed_payload(content: object, number: int = 0, **options: Any) -> None:
    """Raise the detail of the event about a cookie with any content."""
    events: list[Any] = []
    made = manager(on_event=events.append, **options)
    payload = (JsonSerializer if number else PickleSerializer)().dumps(content)
    token = made._sealer.seal(payload, created=NOON, serializer=number)
    made.open(f"__Host-Http-session={token}").mark_accessed()
    raise ValueError(events[0].detail)


def websocket(kind: str, version: str = "2.3") -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["a"] = 1
        await send({"type": kind})

    async def nothing(*_: object) -> None: ...

    scope = {"type": "websocket", "headers": [], "asgi": {"spec_version": version}}
    asyncio.run(asgi.SessionMiddleware(app, **KEYS)(scope, nothing, nothing))


def paste(text: str) -> object:
    from sealedsession.paste import filter_factory

    Path("app.ini").write_text(text)
    return filter_factory({"__file__": "app.ini"}, pad="yes")


def old_method() -> type:
    return type("Mine", (MemoryStore,), {"revoke": lambda self, key, entry, ttl: True})


def broken_database() -> object:
    Path("revoked.db").write_bytes(b"no database" * 500)
    return SQLiteStore("revoked.db").find([b"key"])


def sqlite_error(code: int) -> None:
    store = SQLiteStore("revoked.db")
    error = sqlite3.OperationalError("the database says no")
    error.sqlite_errorcode = code
    with store._connection():
        raise error


def refused_option() -> object:
    with mock.patch("redis.BlockingConnectionPool.from_url", side_effect=TypeError("no colour")):
        return RedisStore(client_options={"colour": 5})


def unwritable() -> object:
    Path("revoked.db").touch()
    with mock.patch("os.access", return_value=False):
        return SQLiteStore("revoked.db")


def fifo() -> object:
    os.mkfifo("keys.json")
    return KeyringFile("keys.json", print)


def being_written() -> object:
    Path("keys.json").write_text("{}")
    statuses = [os.stat("keys.json"), os.stat("folder")]
    with mock.patch("sealedsession.sealing.keyring_file.os.fstat", side_effect=statuses):
        return KeyringFile("keys.json", print)


def write_keyring(error: OSError) -> None:
    with mock.patch("tempfile.mkstemp", side_effect=error):
        rotation.create("keys.json", [])


def put_into(made: SessionManager[Any, Any], value: object) -> object:
    return made.set_cookie(filled(made, value))


def opened_by_another_thread() -> None:
    with mock.patch("sealedsession.session._PATIENCE", 0):
        wait_until_open(manager().open(""))


def without(module: str, function: Callable[[], object]) -> object:
    with mock.patch.dict("sys.modules", {module: None}):
        return function()


def hyperdiv_manager(**options: Any) -> tokens.TokenManager:
    return tokens.get_manager({**KEYS, **options})


def hyperdiv_token(**values: object) -> str:
    made = hyperdiv_manager(max_size=256)
    opened = made.open("")
    opened.update(values)
    return made.seal(opened)


def in_hyperdiv(action: Callable[[Any], Any]) -> Any:
    """Run a function on the session of a Hyperdiv application."""
    results: list[Any] = []

    def application() -> None:
        made = sealed_session(key="session", **KEYS)
        if results:  # a change makes the application run again
            return
        try:
            results.append(action(made))
        except Exception as error:  # noqa: BLE001  # raised again below
            results.append(error)

    MockManualRunner(application).advance()
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


SESSION_ERRORS: list[Case] = [
    (
        lambda: wsgi.SessionMiddleware(None, **KEYS),
        "app: it must be an application of WSGI, a function of environ, start_response, got a NoneType",
    ),
    (
        lambda: wsgi.SessionMiddleware(asgi_app, **KEYS),
        "app: it must be an application of WSGI, a function of environ, start_response; for ASGI "
        "there is sealedsession.asgi.SessionMiddleware",
    ),
    (
        lambda: wsgi.SessionMiddleware(wait, **KEYS),
        "app: it must be an application of WSGI, a function of environ, start_response, and not "
        "async; for ASGI there is sealedsession.asgi.SessionMiddleware",
    ),
    (
        lambda: asgi.SessionMiddleware(wsgi_app, **KEYS),
        "app: it must be an application of ASGI, a function of scope, receive, send; for WSGI there "
        "is sealedsession.wsgi.SessionMiddleware",
    ),
    (
        lambda: wsgi.SessionMiddleware(wsgi_app, KEYS),
        "config: it must be a SessionConfig, got a dict. Pass a dict of options as keyword arguments: "
        "SessionMiddleware(app, **options)",
    ),
    (
        lambda: wsgi.SessionMiddleware(wsgi_app, SessionConfig(**KEYS), secure=False),
        "config and secure are both passed. Set the options in the config",
    ),
    (
        lambda: wsgi.SessionMiddleware(wsgi_app, **KEYS, scope_key="a"),
        "scope_key: 'a' has no effect in WSGI. Set environ_key instead, which names the key of the environ",
    ),
    (
        lambda: asgi.SessionMiddleware(asgi_app, **KEYS, environ_key="a.b"),
        "environ_key: 'a.b' has no effect in ASGI. Set scope_key instead, which names the key of the scope",
    ),
    (
        lambda: paste("[filter:session]\npad = yes\n"),
        "app.ini, section [filter:session]: pad = yes: it must be a whole number of bytes",
    ),
    (
        lambda: dataclasses.replace(SessionConfig(**KEYS), encrypt_key=None),
        "validate_key, encrypt_key: only one of them was replaced, and the config does not keep the "
        "other. Give both, with encrypt_key=None for signed only",
    ),
    (
        lambda: get_session(5),
        "get_session: it needs a WSGI environ, an ASGI scope or a request that has one, got an int. "
        "Pass the request of the framework",
    ),
    (
        lambda: get_session({}),
        "get_session: the request has no session. Wrap the application in the SessionMiddleware of "
        "sealedsession.wsgi or sealedsession.asgi, outside of the code that calls this",
    ),
    (
        lambda: get_session({}, "admin"),
        "get_session: the request has no session under 'admin'. Wrap the application in the "
        "SessionMiddleware of sealedsession.wsgi or sealedsession.asgi, outside of the code that "
        "calls this",
    ),
    (
        lambda: get_session({"a": session(), "b": session()}),
        "get_session: the request has several sessions: 'a', 'b'. Choose one with key=",
    ),
    (lambda: manager().open(5), "cookie_header: it must be str, bytes or None, got an int"),
    (lambda: manager().token(session(), action="keep"), "action='keep': it must be 'seal', 'refresh' or 'reseal'"),
    (
        lambda: manager().replace(session(), [1]),
        "session: only a mapping can replace its content, got a list. Assign a dict, or call session.update() with one",
    ),
    (
        lambda: manager(binding=lambda request: "a").open("__Host-Http-session=a").mark_accessed(),
        "binding: the function must return bytes, got a str",
    ),
    (lambda: awaiting().open(None).mark_accessed(), "open: the revocation store must be awaited. Call aopen() instead"),
    (
        lambda: asyncio.run(close_too_early()),
        "close: the session has revocations that must be awaited. Call aclose() instead",
    ),
    (lambda: revoked_token(), "the session was revoked during the request, and cannot be sealed. Send no cookie"),
    (
        lambda: opened_by_its_own_binding(),
        "session: it was used while it was being opened. A binding function, a revocation store, a "
        "clock and a decoder must not use the session; with greenlets, patch the standard library "
        "before the first import",
    ),
    (lambda: setattr(session(), "persistent", 1), "session.persistent: it must be True or False, got an int"),
    (
        lambda: setattr(session(), "modified", False),
        "session.modified: it cannot be set to False, because changes are found by comparison. Undo "
        "the change in the session instead, or do not write it",
    ),
    (lambda: setattr(session(), "subject", 5), "subject: it must be a str, such as 'user:42', got an int"),
    (
        lambda: setattr(session(), "subject", ""),
        "subject: it must have 1 to 255 characters, got 0. Use an id such as 'user:42'",
    ),
    (lambda: session().set_lifetime("5"), "set_lifetime: it takes a whole number of seconds, got a str"),
    (lambda: session().set_lifetime(0), "set_lifetime: it takes 1 to 2**32 - 1 seconds, got 0"),
    (
        lambda: closed().update(a=1),
        "the session was changed, or asked for an id or a CSRF token that it did not have, after the "
        "response headers had gone, and no cookie can carry that. Do it before start_response, before "
        "the first message of the response, or before websocket.accept",
    ),
    (
        lambda: session().flash("text", 1),
        "session.flash: a category must be a str, got an int. Pass a name such as 'error'",
    ),
    (
        lambda: session().pop_flash("x" * 256),
        "session.peek_flash and pop_flash: a category must have at most 255 characters, got 256. Pass "
        "a name such as 'error', and the text as the message",
    ),
    (
        lambda: session().set("key", 1, seconds=1.5),
        "session.set: seconds must be an int, got a float. Pass a whole number of seconds",
    ),
    (
        lambda: session().set("key", 1, seconds=0),
        "session.set: seconds must be 1 to 2**32 - 1, got another number. Assign a value without an end to its key",
    ),
    (
        lambda: session().revoke(),
        "a session can only be revoked with a store that every server asks: set the option "
        "revocation, such as revocation='sqlite:/var/lib/app/revoked.db'. session.invalidate() needs "
        "none",
    ),
    (
        lambda: websocket("websocket.close"),
        "the session was changed, and websocket.close before websocket.accept carries no headers, so "
        "that no cookie can. Change it in an http request, or deny the websocket with a response "
        "(websocket.http.response.start)",
    ),
    (
        lambda: websocket("websocket.accept", "2.0"),
        "the session was changed, and websocket.accept of this server, whose ASGI spec_version is "
        "below 2.1, carries no headers, so that no cookie can. Change it in an http request, or deny "
        "the websocket with a response (websocket.http.response.start)",
    ),
    (
        lambda: put(a=os.urandom(4000), b=os.urandom(100)),
        "session cookie '__Host-Http-session': it would have 5589 bytes, and browsers drop a "
        "cookie of more than 4096 bytes. Largest keys: 'a' 5345 bytes, 'b' 141 bytes. Nothing "
        "was sent, and the browser keeps the previous session. Store large values elsewhere and "
        "keep a reference to them in the session, or set oversize= to a function that trims the "
        "session.",
    ),
    (
        lambda: put(a=list(range(9000))),
        "session cookie '__Host-Http-session': it would have 11019 bytes, and browsers drop a "
        "cookie of more than 4096 bytes. Largest keys: 'a' 10920 bytes. Nothing was sent, and "
        "the browser keeps the previous session. Store large values elsewhere and keep a "
        "reference to them in the session, or set oversize= to a function that trims the session.",
    ),
    (
        lambda: put(a=object()),
        "session['a']: values of type builtins.object cannot be stored in sessions. Store plain "
        "values (str, int, list, dict, datetime ...), or register the type: "
        "sealedsession.default_registry.register(object, 'object', encode=..., decode=...)",
    ),
    (lambda: sealed_payload(5), "a int for a session"),
    (lambda: sealed_payload(["", None, {}]), "invalid subject or lineage id in the payload of a session"),
    (
        lambda: sealed_payload(["user:42", None, {}, {}]),
        "invalid own data of the library in the payload of a session",
    ),
    (lambda: sealed_payload({}, 1), "a payload in JSON: the option accept_serializers does not list 'json'"),
    (
        lambda: sealed_payload({}, serializer="json"),
        "a payload in pickle: the option accept_serializers does not list 'pickle'",
    ),
    (
        lambda: old_method(),
        "Mine.revoke: the method does not accept the argument caller, got revoke(self, key, entry, "
        "ttl). Define it as revoke(self, key, entry, ttl, caller=None)",
    ),
    (lambda: MemoryStore(clock=5), "clock: it must be a function that returns seconds, got an int"),
    (
        lambda: CachedStore("memory"),
        "store: it must be a RevocationStore, got a str. Pass an object, not a class or a URL",
    ),
    (
        lambda: CachedStore(MemoryStore(), staleness=0),
        "staleness: it must be a number of seconds greater than 0, got 0",
    ),
    (lambda: CachedStore(MemoryStore(), size=0), "size: it must be a number of keys, at least 1, got 0"),
    (lambda: RedisStore(5), "url: it must be a str, such as 'redis://localhost:6379/0', got an int"),
    (lambda: RedisStore(timeout=-1), "timeout: it must be a number of seconds greater than 0, got -1"),
    (
        lambda: SQLiteStore(":memory:"),
        "path: it must be the path of a file, got ':memory:'. For a store in memory, use MemoryStore",
    ),
    (
        lambda: broken_database(),
        "revocation store revoked.db: file is not a database. Give the path of a file that only the store uses",
    ),
    (
        lambda: put_into(manager(limits=Limits(nodes=5)), [None] * 9),
        "session: it has more than the 5 values, the 256 of types besides the plain ones, or the "
        "weight 256 of keys and elements, other than str and bytes, that the option limits allows. "
        "Store fewer values, or str as keys",
    ),
    (
        lambda: opened_by_another_thread(),
        "session: another thread has been opening it for 0 seconds. Does that thread hang?",
    ),
    (lambda: SessionProxy(session()).nothing, "'SessionProxy' object has no attribute 'nothing'"),
    (
        lambda: raise_(not_installed(ModuleNotFoundError(name="flask"), "flask")),
        "flask is not installed: pip install 'sealedsession[flask]'",
    ),
    (
        lambda: without("redis", lambda: RedisStore()),
        "RedisStore: redis-py is not installed. Run: pip install 'sealedsession[redis]'",
    ),
    (
        lambda: RedisStore("redis://:a/b@localhost"),
        "url: it must begin with redis://, rediss:// or unix://, and be percent-encoded. In "
        "credentials, write '/', '#' and '@' as %2F, %23 and %40",
    ),
    (
        lambda: RedisStore("redis://localhost?socket_timeout=5"),
        "socket_timeout: neither url nor client_options may set this. Use timeout= for time limits",
    ),
    (lambda: refused_option(), "url, client_options: redis-py refuses an option: no colour. Change or delete it"),
    (
        lambda: raise_(RedisStore("redis://localhost:1")._make_error(ConnectionError("refused."))),
        "revocation store, Redis at localhost:1: refused. Is the url right, and Redis up?",
    ),
    (
        lambda: raise_(RedisStore("redis://localhost:1")._make_error(TimeoutError())),
        "revocation store, Redis at localhost:1: no answer in 1.0 seconds. Is the url right, and Redis up?",
    ),
    (lambda: redis._parse_answer(b"done"), "the script returned an unknown answer"),
    (lambda: redis._decode([], 1), "the answer is not that of MGET"),
    (lambda: redis._decode([b"a"], 1), "a value is not an entry: another program writes under the same prefix="),
    (
        lambda: sqlite_error(sqlite3.SQLITE_BUSY),
        "revocation store revoked.db: the database says no. Look for what writes to it for longer "
        "than timeout=: a backup, or a shell in a transaction",
    ),
    (
        lambda: sqlite_error(sqlite3.SQLITE_READONLY),
        "revocation store revoked.db: the database says no. Make the file and its directory writable for this process",
    ),
    (
        lambda: sqlite_error(sqlite3.SQLITE_CANTOPEN),
        "revocation store revoked.db: the database says no. Make its directory, writable for this process",
    ),
    (
        lambda: sqlite_error(sqlite3.SQLITE_FULL),
        "revocation store revoked.db: the database says no. Free some space on the disk",
    ),
    (
        lambda: sqlite_error(sqlite3.SQLITE_CORRUPT),
        "revocation store revoked.db: the database says no. Move the file away: a new one is made, "
        "and all previous revocations are forgotten",
    ),
    (
        lambda: sqlite_error(sqlite3.SQLITE_ERROR),
        "revocation store revoked.db: the database says no. Run PRAGMA integrity_check on the file",
    ),
    (
        lambda: unwritable(),
        "revocation store 'revoked.db': '.' cannot be written. Make the file and its "
        "directory writable for this process",
    ),
    # Keyrings that cannot be read or written.
    (
        lambda: KeyringFile("folder", print),
        "keyring 'file:folder': the file cannot be read: Is a directory. Give the path of a file that "
        "this process can read",
    ),
    (
        lambda: fifo(),
        "keyring 'file:keys.json': it is a pipe or a device, which cannot be read again. Give the "
        "path of a file that this process can read",
    ),
    (
        lambda: being_written(),
        "keyring 'file:keys.json': the file is being written. Replace it by renaming a complete file, and try again",
    ),
    (
        lambda: write_keyring(PermissionError(13, "Permission denied")),
        "keyring 'keys.json': the file cannot be written: Permission denied. Run this as the owner of the file",
    ),
    (
        lambda: write_keyring(OSError(28, "No space left on device")),
        "keyring 'keys.json': the file cannot be written: No space left on device. Check that a file "
        "can be made in its directory",
    ),
    # Hyperdiv.
    (
        lambda: hyperdiv_manager(httponly=True),
        "unknown option 'httponly'; the options are: validate_key, encrypt_key, keyring, name, "
        "lifetimes, idle_timeout, absolute_timeout, refresh_interval, leeway, revocation, "
        "on_store_error, compress, pad, max_size, on_event, registry, clock",
    ),
    (lambda: hyperdiv_manager(name=5), "name: it must be str, got an int"),
    (
        lambda: hyperdiv_manager(encrypt_key=None),
        "encrypt_key: the key is missing, but these tokens are always encrypted. Make one with: "
        "python "
        "-m sealedsession keygen",
    ),
    (lambda: hyperdiv_manager(max_size=255), "max_size: it must be a whole number of characters, 256 to 65536"),
    (lambda: hyperdiv_manager(registry={}), "registry: it must be a Registry, got a dict. Pass it in code"),
    (
        lambda: (hyperdiv_manager(), hyperdiv_manager(leeway=5)),
        "name: another sealed_session of this process is called 'session' and differs in leeway. "
        "Use another name. If it is the same session, pass the same options in every run: make "
        "functions, registries and stores once, outside the application function",
    ),
    (
        lambda: hyperdiv_token(a="a" * 500, b=5),
        "session.data: the token would have 791 characters, and max_size is 256. Nothing was "
        "saved. Largest keys: 'a' 678, 'b' 8. Store large values elsewhere, and keep a reference "
        "to them here",
    ),
    (
        lambda: in_hyperdiv(lambda made: setattr(made, "gdpr_flag", 5)),
        "gdpr_flag: it must be True or False, got an int",
    ),
    (
        lambda: in_hyperdiv(lambda made: made.logout()),
        "logout(): it requires the option revocation. Set the option, or call clear() instead",
    ),
    (
        lambda: in_hyperdiv(lambda made: made.data),
        "session.data: there is no session. Call create_new() or login() first",
    ),
    (
        lambda: (kept := in_hyperdiv(lambda made: made)) and in_hyperdiv(lambda _: kept.data),
        "session.data: it was read in a task or after its run, where changes would be lost. Pass "
        "the data to the task as arguments, and put the task's result into session.data in the "
        "application "
        "function",
    ),
    (lambda: rejected_by_a_store(), "the store did not answer"),
    # Frameworks, and the helpers for tests.
    (
        lambda: starlette.SessionMiddleware(asgi_app),
        "secret_key: it is missing. Pass a secret of 32 characters or more, such as the output of "
        "python -m sealedsession keygen",
    ),
    (
        lambda: starlette.SessionMiddleware(asgi_app, "s" * 40, **KEYS),
        "secret_key: keys are given too. Leave out secret_key and fallback_keys, or the keys",
    ),
    (
        lambda: starlette.SessionMiddleware(asgi_app, **KEYS, max_age=0),
        "max_age: it must be a whole number of seconds above 0, or None, got an int. Leave it out",
    ),
    (
        lambda: starlette.SessionMiddleware(asgi_app, **KEYS, https_only=True, secure=True),
        "secure: it is set twice, by Starlette's name too. Leave out one of the two",
    ),
    (
        lambda: SealedSession(asgi_app),
        "app: it must be an application of Flask, got a function. For others, see the integrations",
    ),
    (
        lambda: SealedSessionInterface().save_session(None, {}, None),
        "session: it must be a session of this interface, got a dict. Change its items instead",
    ),
    (lambda: InSession(Needing, key="a"), "InSession: Needing() must work. Give every field a default"),
    (
        lambda: testing.find_manager(5),
        "target: it has no sealed session, got an int. Pass the SessionConfig, or the middleware",
    ),
    (
        lambda: testing._find_headers(5),
        "source: it must be a response or a header, got an int. Pass the response of the client",
    ),
    (lambda: testing._get_cookie(5, "a"), "client: it must be a test client with cookies, got an int"),
]

# ---------------------------------------------------------------------------------------------------- keyring files

PRIMARY = {"state": "primary", **KEYS}
STAGED = {"state": "staged", "validate_key": OTHER_KEY, "encrypt_key": OTHER_ENCRYPT_KEY}

# The file, or what is in the list of keys, and the error without "keyring 'file:keys.json'", with which each begins.
KEYRING_ERRORS: list[tuple[Any, str]] = [
    ("", ": it is empty. Make a file of keys with: python -m sealedsession keyring init FILE"),
    (
        "{",
        ": it is not a keyring in JSON: Expecting property name enclosed in double quotes: line 1 "
        "column 2 (char 1). Write the complete file again",
    ),
    ("[" * 100_000, ": it is not a keyring in JSON: nested too deeply. Write the complete file again"),
    (b"\xff", ": it is not a keyring in JSON: not UTF-8 at byte 0. Write the complete file again"),
    (
        "a" * 70_000,
        ": it is not a keyring in JSON: Expecting value: line 1 column 1 (char 0). Write the complete file again",
    ),
    (
        '{"version": 1, "version": 1}',
        ": it is not a keyring in JSON: a member is given twice in one object. Write the complete file again",
    ),
    ("[]", ": it must be an object with the members version, keys, got a list"),
    ('{"version": 2}', ": version must be 1. This release reads no other version"),
    ('{"version": 1}', ": keys is missing. Add it"),
    ('{"version": 1, "keys": {}}', ": keys must be a list of objects, got a dict"),
    ('{"version": 1, "keys": [], "more": 1}', ": unknown member 'more'. The members are version, keys"),
    (
        [],
        " (no keys): exactly one key seals and must be primary, got 0 primary keys. Set the state of "
        "one key to primary",
    ),
    ([5], ", keys[0]: it must be an object with the members state, validate_key, got an int"),
    ([{"state": "primary"}], ", keys[0]: validate_key is missing. Add it"),
    (
        [{**PRIMARY, "comment": "a"}],
        ", keys[0]: unknown member 'comment'. The members are id, state, validate_key, encrypt_key, "
        "staged_at, primary_at, fallback_at",
    ),
    (
        [{**PRIMARY, KEY: "a"}],
        ", keys[0]: unknown member (not shown). The members are id, state, validate_key, encrypt_key, "
        "staged_at, primary_at, fallback_at",
    ),
    ([{**PRIMARY, "id": 5}], ", keys[0]: id must be a string, got an int"),
    (
        [{**PRIMARY, "id": "a b"}],
        ", keys[0]: an id must be 1 to 31 letters, digits, dots, underscores or hyphens. Choose another id",
    ),
    (
        [{**PRIMARY, "id": "a"}, {**STAGED, "id": "a"}],
        ", keys[1]: the id 'a' is that of another key. Give it another id",
    ),
    (
        [{**PRIMARY, "id": "a", "encrypt_key": "env:NAME"}],
        ", keys[0] with the id 'a': encrypt_key: a key of 32 bytes has at least 43 characters, got 8. "
        "Make one with: python -m sealedsession keygen. A keyring contains the keys themselves, and "
        "no 'env:' or 'file:'",
    ),
    ([{**PRIMARY, "state": "old"}], ", keys[0]: state must be one of staged, primary, fallback"),
    (
        [{**PRIMARY, "fallback_at": "2026-11-21T12:00:00Z"}],
        ", keys[0]: state is primary, but there is a date of a later state. Set state to the latest state with a date",
    ),
    (
        [{**PRIMARY, "primary_at": "yesterday"}],
        ", keys[0]: primary_at must be a time in UTC, such as 2026-11-21T12:00:00Z",
    ),
    (
        [{**PRIMARY, "id": "a"}, {**STAGED, "id": "b", "state": "primary"}],
        " (a primary, b primary): exactly one key seals and must be primary, got 2 primary keys. Set "
        "the state of one key to primary",
    ),
    (
        [{**PRIMARY, "id": "a"}, {"id": "b", "state": "staged", "validate_key": OTHER_KEY}],
        " (a primary, b staged): some keys have an encrypt_key and some have none. A keyring either "
        "encrypts all tokens or only signs them: give every key an encrypt_key, or none",
    ),
    (
        [{**PRIMARY, "id": "a"}, {**STAGED, "id": "b", "validate_key": KEY}],
        (" (a primary, b staged): one key is given twice. All validate and encrypt keys must differ, in every state")
        + KEYGEN,
    ),
    ("a" * 2_000_000, ": it is larger than 1048576 bytes, the limit for a keyring. Give the path of a keyring"),
]

# ------------------------------------------------------------------------------------------------------ the commands

# The commands before, each with the hour of it, the last one, and what that one prints.
COMMANDS: list[tuple[list[str], str, str]] = [
    (
        [],
        "0 init keys.json --id a",
        "a is primary: it seals. Next: set the option keyring to this file. To replace the key, 'add' another.",
    ),
    (
        ["0 init keys.json --id a"],
        "0 init keys.json",
        "error: 'keys.json': the file exists, and its keys would be lost. 'add' a key to it, or name another file",
    ),
    (
        [],
        "0 init no/keys.json",
        "error: keyring 'no/keys.json': the file cannot be written: No such file or directory. Make "
        "its directory first",
    ),
    (
        [],
        "0 add keys.json",
        "error: keyring 'keys.json': the file cannot be read: No such file or directory. Give the "
        "path of a file that this process can read",
    ),
    (
        ["0 init keys.json --id a"],
        "1 add keys.json --id b",
        "b is staged: its tokens are accepted, and it does not seal yet. Next: copy the file to every "
        "server. After the reload interval (by default 120 seconds), 'promote' b.",
    ),
    (
        ["0 init keys.json --id a"],
        "1 add keys.json --id a",
        "error: key a: this is the id of another key. Choose another id for the new key",
    ),
    (
        ["0 init keys.json --id a"],
        "1 add keys.json --id a?",
        "error: new key: an id must be 1 to 31 letters, digits, dots, underscores or hyphens. Choose another id",
    ),
    (
        ["0 init keys.json --id a"],
        "1 promote keys.json",
        "error: there is no staged key to promote. The keyring has a (primary)",
    ),
    (
        ["0 init keys.json --id a"],
        "1 promote keys.json b",
        "error: there is no key of this id. The keyring has a (primary)",
    ),
    (
        ["0 init keys.json --id a"],
        "1 promote keys.json a",
        "error: key a: it is primary already. 'add' another key, and promote that",
    ),
    (
        ["0 init keys.json --id a", "1 add keys.json --id b"],
        "1 promote keys.json",
        "error: key b: it may not be on every server yet. Promote it from 2027-01-15T09:02:00Z on, in "
        "120 seconds, or with --force",
    ),
    (
        ["0 init keys.json --id a", "1 add keys.json --id b"],
        "0 promote keys.json",
        "error: key b: it may not be on every server yet. Promote it when you know that it is safe "
        "(staged_at is 2027-01-15T09:00:00Z, which is in the future: a clock was wrong), or with "
        "--force",
    ),
    (
        ["0 init keys.json --id a", "1 add keys.json --id b", "1 add keys.json --id c"],
        "2 promote keys.json",
        "error: there are 2 staged keys. Name the key to promote. The keyring has a (primary), b (staged), c (staged)",
    ),
    (
        ["0 init keys.json --id a", "1 add keys.json --id b"],
        "2 promote keys.json",
        "b is primary: it seals. a is fallback: its tokens are accepted, and sealed again. Next: copy "
        "the file to every server. After the absolute timeout (by default 30 days), 'retire' a.",
    ),
    (
        ["0 init keys.json --id a", "1 add keys.json --id b", "2 promote keys.json"],
        "3 retire keys.json",
        "error: key a: sessions that it sealed may be left. Retire it from 2027-02-14T10:00:00Z on, "
        "in 2588400 seconds, or with --force",
    ),
    (
        ["0 init keys.json --id a", "1 add keys.json --id b", "2 promote keys.json"],
        "999 retire keys.json",
        "a is removed: its tokens are no longer accepted. Next: copy the file to every server.",
    ),
    (
        ["0 init keys.json --id a"],
        "1 retire keys.json a",
        "error: key a: it is primary, and nothing would seal without it. 'promote' another key first",
    ),
    (
        ["0 init keys.json --id a", "1 add keys.json --id b", "2 promote keys.json"],
        "3 list keys.json",
        "ID  KEY ID  STATE     SINCE                 NEXT\na   6b63    fallback  2027-01-15T10:00:00Z  "
        "retire from 2027-02-14T10:00:00Z on, in 2588400 seconds\nb   06fa    primary   "
        "2027-01-15T10:00:00Z  seals; to replace it, add and promote another",
    ),
]


# --------------------------------------------------------------------------------------------------------- log records


def events(what: str = "cookie") -> Events:
    return Events("sid", None, lambda: bytes(32), what)


def failing_hook() -> None:
    Events("sid", lambda event: event.nothing, lambda: bytes(32)).emit("sealed")


def open_key_file() -> None:
    Path("a.key").write_text(KEY)
    Path("a.key").chmod(0o644)
    Keyring("file:a.key")


def changed_keyring(entry: dict[str, str]) -> None:
    Path("keys.json").write_text(json.dumps({"version": 1, "keys": [PRIMARY]}))
    keyring = KeyringFile("keys.json", events().keyring)
    Path("keys.json").chmod(0o600)
    Path("keys.json").write_text(json.dumps({"version": 1, "keys": [entry]}))
    keyring.current(1)


class BrokenStore(MemoryStore):
    """A store that is down."""

    def find(self, keys: object) -> Any:
        raise StoreError("revocation store: it is down")

    def revoke(self, key: object, entry: object, ttl: object, caller: object = None) -> Any:
        return None


class ForgetfulStore(MemoryStore):
    """A store that answers nothing."""

    def find(self, keys: object) -> Any:
        return []


def with_store(store: RevocationStore, on_store_error: Any = "reject", **options: Any) -> None:
    made = manager(revocation=store, on_store_error=on_store_error, **options)
    cookie = made.set_cookie(filled(made)).partition(";")[0]
    made.open(cookie).mark_accessed()


def rejected_by_a_store() -> None:
    """Raise the detail of the event about the session."""
    events: list[Any] = []
    with_store(BrokenStore(), on_event=events.append)
    raise ValueError(next(event.detail for event in events if event.kind == "rejected"))


def filled(made: SessionManager[Any, Any], value: object = 1) -> Any:
    first = made.open("")
    first["a"] = value
    return first


def changed_class() -> object:
    return fastapi._load(TypeAdapter(Point), Point, session_with(point={"x": "a"}), "point")


def session_with(**values: object) -> Any:
    made = session()
    made.update(values)
    return made


def dropped_change() -> None:
    def drop(made: Any) -> None:
        made.login("user:1")
        working_copy = plugin.WorkingCopy(made._manager, made._manager.open(""))
        working_copy.data["a"] = 1
        made._save_changes(working_copy)

    in_hyperdiv(drop)


def revoked(store: RevocationStore, subject: str = "") -> None:
    made = filled(manager(revocation=store))
    if subject:
        made.revoke_subject(subject)
    else:
        made.revoke()


EXPIRED = UnsealError("expired_idle", "the token was sealed 5 seconds ago")
UNKNOWN = UnsealError("unknown_key", "the token has key 0102")

LOG_RECORDS: list[tuple[Callable[[], object], str, str]] = [
    (
        lambda: events().rejected(EXPIRED),
        "INFO",
        "cookie 'sid' rejected, expired_idle: the token was sealed 5 seconds ago",
    ),
    (lambda: events("state").rejected(UNKNOWN), "WARNING", "state 'sid' rejected, unknown_key: the token has key 0102"),
    (
        lambda: events().rejected_cookies([(EXPIRED, None)]),
        "INFO",
        "cookie 'sid' rejected, expired_idle: the token was sealed 5 seconds ago",
    ),
    (
        lambda: events().rejected_cookies([(UNKNOWN, None)]),
        "WARNING",
        "cookie 'sid' rejected, unknown_key: the token has key 0102. Either another server has "
        "other keys, or another application on this host, such as localhost on another port, "
        "uses the same cookie name. In the second case, set name= in one of them",
    ),
    (
        lambda: events().rejected_cookies([(EXPIRED, None), (UNKNOWN, None)]),
        "WARNING",
        "2 cookies named 'sid' of one request rejected: expired_idle, unknown_key; the worst was "
        "unknown_key: the token has key 0102. Either another server has other keys, or another "
        "application on this host, such as localhost on another port, uses the same cookie name. "
        "In the second case, set name= in one of them",
    ),
    (
        lambda: events().comma(),
        "WARNING",
        "the cookie 'sid' follows a comma in the Cookie header and is not read: a gateway in "
        "front of this server joins Cookie headers with a comma, but RFC 9113, 8.2.3, requires "
        "'; '. Update or configure the gateway",
    ),
    (
        lambda: events().foreign_session(dict),
        "WARNING",
        "the session in the scope was replaced by a builtins.dict, which is ignored: the session "
        "of the cookie 'sid' keeps its content. To write to the session, change the object that "
        "the middleware has put there, with session.clear() and session.update()",
    ),
    (
        lambda: state_sealer().handle(b"", **ANN),
        "WARNING",
        'state \'state\': BadCall, a call must be JSON such as {"token": "...", "method": "...", '
        '"args": []}. This call does not begin with a token',
    ),
    (
        lambda: resume(["Gone", (), {}, {}]),
        "INFO",
        "state 'state': StaleState, the class 'Gone' is no longer registered",
    ),
    (lambda: events().ambiguous(3), "WARNING", "3 cookies named 'sid' in one request; the newest valid one is used"),
    (
        lambda: events().not_saved(CookieTooLargeError("sid", 5000, 4096, {"cart": 4000})),
        "ERROR",
        "a session was not saved: session cookie 'sid': it would have 5000 bytes, and browsers "
        "drop a cookie of more than 4096 bytes. Largest keys: 'cart' 4000 bytes. Nothing was "
        "sent, and the browser keeps the previous session. Store large values elsewhere and keep "
        "a reference to them in the session, or set oversize= to a function that trims the "
        "session.",
    ),
    (
        lambda: events().plain_http("example.com"),
        "WARNING",
        "the cookie 'sid' is Secure, but this response is sent to 'example.com' over plain http, "
        "so browsers will drop the cookie. Serve https; behind a proxy that does, make the "
        "server trust its X-Forwarded-Proto; for development without https, use localhost or "
        "secure=False",
    ),
    (lambda: failing_hook(), "ERROR", "on_event raised AttributeError for the event sealed"),
    (
        lambda: open_key_file(),
        "WARNING",
        "a.key: every user of this machine can open this file of keys. Run: chmod o-rwx a.key",
    ),
    (
        lambda: changed_keyring(STAGED | {"state": "primary"}),
        "INFO",
        "the keyring was read again, and its keys are now in use",
    ),
    (
        lambda: changed_keyring({"state": "primary", "validate_key": OTHER_KEY}),
        "ERROR",
        "the previous keys stay in use: keyring 'file:keys.json': encrypt_key was added to the keys, or "
        "removed from them. Restart every process to use these keys, or restore the "
        "previous ones",
    ),
    (
        lambda: SessionConfig(validate_key=KEY),
        "WARNING",
        "encrypt_key: it is not set, so sessions are signed but not encrypted, and clients can read "
        "them. Set encrypt_key, or set it to None (none in ini files) if clients may read sessions",
    ),
    (
        lambda: with_store(BrokenStore()),
        "ERROR",
        "the revocation store failed, and the session is refused for now: revocation store: it is down",
    ),
    (
        lambda: with_store(BrokenStore(), "allow"),
        "ERROR",
        "the revocation store failed, and the session is accepted: revocation store: it is down",
    ),
    (
        lambda: revoked(BrokenStore()),
        "ERROR",
        "the revocation store failed, and what was to be revoked is not: copies of the cookie live on "
        "until their timeouts: revoke() must return True or False, got a NoneType",
    ),
    (lambda: revoked(MemoryStore()), "INFO", "a session was revoked"),
    (lambda: revoked(MemoryStore(), "ann"), "INFO", "all sessions of a subject were revoked"),
    (
        lambda: revoked_token(),
        "INFO",
        "cookie '__Host-Http-session' rejected, revoked: its session or its subject was revoked during the request",
    ),
    (
        lambda: session("__Host-Http-session=a, b=c"),
        "WARNING",
        "cookie '__Host-Http-session' rejected, malformed: a token with a comma: a gateway may have "
        "joined several Cookie headers",
    ),
    (
        lambda: with_store(ForgetfulStore()),
        "ERROR",
        "the revocation store failed, and the session is refused for now: find: it must return an entry or None for "
        "each of 1 keys, got 0",
    ),
    (
        lambda: dropped_change(),
        "WARNING",
        "a change of a session's data was dropped, because the session was signed out or replaced in the meantime",
    ),
    (
        lambda: changed_class(),
        "WARNING",
        "session['point'] no longer fits Point (1 errors). A new object is used, and replaces the data if it changes",
    ),
]


# ---------------------------------------------------------------------------------------------------------- the tests


def text_of(function: Callable[..., object], *arguments: object, **more: object) -> str:
    """The text of the error that a call raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        function(*arguments, **more)
    here = str(Path.cwd())
    text = str(caught.value).replace(f"{here}/", "").replace(here, ".")
    return text.replace("pathlib._local.", "pathlib.")  # the module of paths in Python 3.13


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a directory of its own, so that paths in messages are the same everywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tokens, "_managers", {})
    Path("folder").mkdir()
    monkeypatch.setenv("SEALEDSESSION_TEST_SIGNING", json.dumps(
        {"version": 1, "keys": [{"id": "a", "state": "primary", "validate_key": KEY}]}
    ))  # fmt: skip
    monkeypatch.delenv("SEALEDSESSION_TEST_UNSET", raising=False)


def id_of(value: object) -> str:
    """A short name of a case: the beginning of its text."""
    return value[:40] if isinstance(value, str) else ""


@pytest.mark.parametrize(("options", "text"), OPTION_ERRORS, ids=id_of)
def test_option_errors(options: dict[str, Any], text: str) -> None:
    """The error for an option begins with the name of an option, names this one, and has this text."""
    assert text_of(SessionConfig.from_kwargs, {**KEYS, **options}) == text
    assert text.startswith((*(option.name for option in dataclasses.fields(SessionConfig)), "unknown option "))
    assert any(option in text for option in options)


@pytest.mark.parametrize(("options", "text"), INI_ERRORS, ids=id_of)
def test_ini_errors(options: dict[str, str], text: str) -> None:
    """The error for an option in an ini file has this text."""
    assert text_of(SessionConfig.from_mapping, {**KEYS, **options}) == text


@pytest.mark.parametrize(("options", "text"), STATE_OPTION_ERRORS, ids=id_of)
def test_state_option_errors(options: dict[str, Any], text: str) -> None:
    """The error for an option of StateSealer has this text."""
    assert text_of(StateSealer, **{**KEYS, **options}) == text


@pytest.mark.parametrize(("error", "text"), ANSWERS, ids=id_of)
def test_answers(error: Any, text: str) -> None:
    """The response to an error of sealed state has this text for users."""
    assert json.loads(response_to(error)[1])["error"]["message"] == text


@pytest.mark.parametrize(
    ("provoke", "text"),
    [*STATE_ERRORS, *SERIALIZATION_ERRORS, *TOKEN_ERRORS, *SESSION_ERRORS],
    ids=id_of,
)
def test_errors(provoke: Callable[[], object], text: str) -> None:
    """The error that a mistake, or a request, provokes has this text."""
    assert text_of(provoke) == text


@pytest.mark.parametrize(("content", "text"), KEYRING_ERRORS, ids=id_of)
def test_keyring_errors(content: Any, text: str) -> None:
    """The error for a keyring's file names the file, and has this text."""
    if isinstance(content, list):
        content = json.dumps({"version": 1, "keys": content})
    Path("keys.json").write_bytes(content.encode() if isinstance(content, str) else content)
    assert text_of(SessionConfig, keyring="file:keys.json") == f"keyring 'file:keys.json'{text}"


def run_command(command: str, random: Any) -> None:
    hour, step, path, *more = command.split()
    main(
        ["keyring", step, path, *more],
        clock=lambda: NOON + 3600 * int(hour),
        random_text=lambda size: base64url.encode(sha256(b"%d" % next(random)).digest()),
    )


@pytest.mark.parametrize(("before", "command", "text"), COMMANDS, ids=id_of)
def test_commands(before: list[str], command: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command prints this text."""
    random = count()
    for each in before:
        run_command(each, random)
    capsys.readouterr()
    run_command(command, random)
    shown = capsys.readouterr()
    assert (shown.out + shown.err).rstrip("\n") == text


@pytest.mark.parametrize(("provoke", "level", "text"), LOG_RECORDS, ids=id_of)
def test_log_records(provoke: Callable[[], object], level: str, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """An event is logged at this level, with this text."""
    caplog.set_level(logging.INFO, "sealedsession")
    with suppress(SealedSessionError):
        provoke()
    record = caplog.records[-1]
    assert (record.levelname, record.getMessage()) == (level, text)


# ------------------------------------------------------------------------------------------------------- completeness

TABLES: list[Any] = [
    OPTION_ERRORS, INI_ERRORS, STATE_OPTION_ERRORS, ANSWERS, STATE_ERRORS, SERIALIZATION_ERRORS, TOKEN_ERRORS,
    SESSION_ERRORS, KEYRING_ERRORS, COMMANDS, LOG_RECORDS,
]  # fmt: skip
# Their tests are in folders of their own, for a project of Django and for Tetra.
ELSEWHERE = ("integrations/django/", "integrations/tetra.py")
NO_MESSAGES = (
    "Raised in ",  # a note, with the number of a line
    "Events of sealed sessions",  # the help of a metric
    "Open the session, then ",  # docstrings that are made
    "a repeated name",  # only the type of this error is shown, and of the next
    "a number that is not finite",
    ", with args",  # a part of redis-py's errors
    "<",  # a repr
    "sealedsession \0 v1",  # a label of a key
    "revocation store: the process forks",  # of SQLite in a forked process: test_revocation_stores.py makes one
    "revocation store: this process was forked",
    "This thread forked during the call",
)
# SQL, Lua, expressions, and the lists of placeholders for keys.
NO_PROSE = re.compile("[A-Z]{4,} [A-Z]|SELECT |redis.call|Max-Age=|[|]|topsecret")


def strings_of(node: ast.AST) -> Iterator[ast.AST]:
    """The strings in code, without docstrings, annotations and the help of commands. An f-string is one string."""
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if is_docstring or (isinstance(node, ast.keyword) and node.arg in ("help", "description")):
        return
    if isinstance(node, ast.JoinedStr | ast.Constant):
        yield node
        return
    for name, child in ast.iter_fields(node):
        for each in child if isinstance(child, list) else [child]:
            if isinstance(each, ast.AST) and name not in ("annotation", "returns"):
                yield from strings_of(each)


def pattern_of(node: ast.AST) -> str:
    """A regular expression for the text that a string of three words or more becomes."""
    text = ""
    if isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = re.sub("%[rsd]", "\0", node.value)
    if len(text.split()) < 3 or text.startswith(NO_MESSAGES) or NO_PROSE.search(text):
        return ""
    return re.escape(text.strip()).replace("\0", ".*")


def test_every_message_has_a_case() -> None:
    """Each message in the source is in one of the tables."""
    texts = "\n".join(row[-1] for table in TABLES for row in table)
    package = ROOT / "sealedsession"
    missing = [
        f"{path.relative_to(package)}: {pattern}"
        for path in sorted(package.rglob("*.py"))
        if not str(path.relative_to(package)).startswith(ELSEWHERE)
        for node in strings_of(ast.parse(path.read_text()))
        if (pattern := pattern_of(node)) and not re.search(pattern, texts)
    ]
    assert missing == []
