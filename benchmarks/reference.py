"""The reference: the lowest cost of encrypting, authenticating and dating a session in Python.

Do not use it in production. The codec combines the fastest known forms of AES-256-CTR, HMAC-SHA256, a time stamp and a
C unpickler. It has no key ids, fallback keys, limits or grammar, and its tokens contain ``+`` and ``/``. The prototypes
are minimal lazy middlewares around it: no Vary, no deleted cookies, three methods of a dict, http only.
"""

# Annotations stay text. Otherwise those of the nested functions would be evaluated for every request.
from __future__ import annotations

import pickle
import struct
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from hmac import compare_digest
from io import BytesIO
from os import urandom
from pickle import dumps
from time import time as now
from typing import Any
from uuid import UUID, SafeUUID

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

MAX_AGE = 14 * 24 * 3600  # seconds
PROTOCOL = 5
ENVIRON_KEY = "prototype.session"

_stamp, _read_stamp = struct.Struct(">I").pack, struct.Struct(">I").unpack_from  # seconds since 1970
_ENCRYPT_KEY, _VALIDATE_KEY = bytes(range(32)), bytes(range(32, 64))
_SHORTEST = 4 + 16 + 32  # stamp, nonce and tag
_ATTRIBUTES = f"; Path=/; Max-Age={MAX_AGE}; HttpOnly; Secure; SameSite=Lax"
_ALLOWED = {(kind.__module__, kind.__qualname__): kind for kind in (datetime, date, timedelta, timezone, Decimal, set)}
_ALLOWED |= {("uuid", "UUID"): UUID, ("uuid", "SafeUUID"): SafeUUID}


@cache
def _find_class(module: str, name: str) -> Any:
    try:
        return _ALLOWED[module, name]
    except KeyError:
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from None


class _Unpickler(pickle.Unpickler):
    find_class = staticmethod(_find_class)  # a C function on every hit: no frame


class RefusedError(Exception):
    """A token was refused."""


def loads(payload: bytes) -> Any:
    """Read a pickle of plain values and the types of `payloads`."""
    return _Unpickler(BytesIO(payload)).load()


class _Keys:
    """The objects that are kept between tokens: a MAC with its key and purpose, and idle CTR contexts."""

    def __init__(self) -> None:
        self._algorithm = AES(_ENCRYPT_KEY)
        mac = HMAC(_VALIDATE_KEY, SHA256())
        mac.update(b"reference\0session\0")
        self.mac_copy = mac.copy
        self.free: list[Any] = []  # between pop and append, a context has one owner

    def crypt_context(self) -> Any:
        return Cipher(self._algorithm, CTR(bytes(16))).encryptor()


def make_sealer() -> tuple[Callable[[bytes], bytes], Callable[[str | bytes], bytes | None]]:
    """Convert payloads to tokens and back, for the prototypes. None means a refused token."""
    keys = _Keys()
    pop, append, crypt_context, mac_copy = keys.free.pop, keys.free.append, keys.crypt_context, keys.mac_copy

    def seal(payload: bytes) -> bytes:
        nonce = urandom(16)
        try:
            context = pop()
        except IndexError:
            context = crypt_context()
        context.reset_nonce(nonce)
        body = _stamp(int(now())) + nonce + context.update(payload)
        append(context)
        mac = mac_copy()
        mac.update(body)
        return b2a_base64(body + mac.finalize(), newline=False)

    def unseal(token: str | bytes) -> bytes | None:
        try:
            envelope = a2b_base64(token)
        except (ValueError, Base64Error):
            return None
        if len(envelope) < _SHORTEST:
            return None
        body = envelope[:-32]
        mac = mac_copy()
        mac.update(body)
        if not compare_digest(mac.finalize(), envelope[-32:]) or now() - _read_stamp(body)[0] > MAX_AGE:
            return None
        try:
            context = pop()
        except IndexError:
            context = crypt_context()
        context.reset_nonce(body[4:20])
        payload: bytes = context.update(body[20:])
        append(context)
        return payload

    return seal, unseal


def make_codec() -> tuple[Callable[[object], str], Callable[[str], object]]:
    """Convert sessions to tokens and back.

    The functions repeat the code of `make_sealer`, with pickle. Calling those would cost 4 % more for a small session.
    """
    keys = _Keys()
    pop, append, crypt_context, mac_copy = keys.free.pop, keys.free.append, keys.crypt_context, keys.mac_copy

    def seal(value: object) -> str:
        payload = dumps(value, PROTOCOL)
        nonce = urandom(16)
        try:
            context = pop()
        except IndexError:
            context = crypt_context()
        context.reset_nonce(nonce)
        body = _stamp(int(now())) + nonce + context.update(payload)
        append(context)
        mac = mac_copy()
        mac.update(body)
        return str(b2a_base64(body + mac.finalize(), newline=False), "ascii")

    def unseal(token: str) -> object:
        envelope = a2b_base64(token)
        body = envelope[:-32]
        mac = mac_copy()
        mac.update(body)
        if not compare_digest(mac.finalize(), envelope[-32:]):
            raise RefusedError
        if now() - _read_stamp(body)[0] > MAX_AGE:
            raise RefusedError
        try:
            context = pop()
        except IndexError:
            context = crypt_context()
        context.reset_nonce(body[4:20])
        payload = context.update(body[20:])
        append(context)
        return _Unpickler(BytesIO(payload)).load()

    return seal, unseal


class _LazySession:
    """A session that finds, unseals and reads its cookie on first access."""

    __slots__ = ("_data", "_middleware", "_payload", "_request")

    def __init__(self, request: Any, middleware: Any) -> None:
        self._request = request
        self._middleware = middleware
        self._data: Any = None

    def _load(self) -> dict[str, Any]:
        middleware = self._middleware
        token = middleware.find(self._request)
        payload = self._payload = None if token is None else middleware.unseal(token)
        data = self._data = {} if payload is None else loads(payload)
        return data

    def __getitem__(self, key: str) -> Any:
        data = self._data
        if data is None:
            data = self._load()
        return data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        data = self._data
        if data is None:
            data = self._load()
        data[key] = value

    def get(self, key: str, default: Any = None) -> Any:
        data = self._data
        if data is None:
            data = self._load()
        return data.get(key, default)


class WsgiPrototype:
    """A WSGI middleware with a lazy session in ``environ["prototype.session"]``."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.seal, self.unseal = make_sealer()

    @staticmethod
    def find(environ: dict[str, Any]) -> str | None:
        header = environ.get("HTTP_COOKIE")
        if header is None:
            return None
        if header.startswith("session="):
            start = 8
        else:
            start = header.find("; session=") + 10
            if start < 10:
                return None
        end = header.find(";", start)
        return header[start:] if end < 0 else header[start:end]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        session = environ[ENVIRON_KEY] = _LazySession(environ, self)

        def sealing_start_response(status: str, headers: list[Any], exc_info: Any = None) -> Any:
            data = session._data
            if data is not None:
                payload = dumps(data, PROTOCOL)
                if payload != session._payload and (data or session._payload is not None):
                    headers.append(("Set-Cookie", f"session={str(self.seal(payload), 'ascii')}{_ATTRIBUTES}"))
            return start_response(status, headers, exc_info)

        return self.app(environ, sealing_start_response)


class AsgiPrototype:
    """An ASGI middleware with a lazy session in ``scope["session"]``."""

    attributes = _ATTRIBUTES.encode()

    def __init__(self, app: Any) -> None:
        self.app = app
        self.seal, self.unseal = make_sealer()

    @staticmethod
    def find(scope: dict[str, Any]) -> bytes | None:
        for name, header in scope["headers"]:
            if name == b"cookie":
                if header.startswith(b"session="):
                    start = 8
                else:
                    start = header.find(b"; session=") + 10
                    if start < 10:
                        continue
                end = header.find(b";", start)
                return header[start:] if end < 0 else header[start:end]
        return None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        session = scope["session"] = _LazySession(scope, self)

        # Not a coroutine function: it returns the server's coroutine.
        def sealing_send(message: Any) -> Any:
            data = session._data
            if data is not None and message["type"] == "http.response.start":
                payload = dumps(data, PROTOCOL)
                if payload != session._payload and (data or session._payload is not None):
                    message["headers"].append((b"set-cookie", b"session=" + self.seal(payload) + self.attributes))
            return send(message)

        await self.app(scope, receive, sealing_send)
