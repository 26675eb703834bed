"""The codecs to compare: from a session's dict to the value of its cookie and back, each by the peer's own code.

Objects that a peer keeps between requests are kept here too; all others are made for each call. `built` returns the
codecs whose packages are installed, and names the others. `find_fault` checks a codec, so that no defective one is
measured.
"""

import base64
import gzip
import importlib.util
import json
import pickle
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import reference

from sealedsession.config import SessionConfig
from sealedsession.sealing import base64url
from sealedsession.sealing import sealer as seal
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer

SECRET = "0123456789abcdef0123456789abcdef"
SECRET_BYTES = SECRET.encode()
OUR_KEYS = {
    "validate_key": "q1Yk3lWm8tB0xZr5Jd7HnVf2CsGoPaEu9LiT4wXyKbM",
    "encrypt_key": "Ue6RzQj0Sg1IhNcD8vFpAkWx4Bm7yLt2Oa5Tb9EiCqo",
}
MAX_AGE = reference.MAX_AGE

OURS, REFERENCE, CONTROL = "sealedsession", "reference", "control"

Codec = tuple[Callable[[Any], str], Callable[[str], Any]]


@dataclass(frozen=True)
class Peer:
    """One codec.

    :param packages: the distributions whose code it is, for their versions.
    :param protection: what it does against reading and changing.
    :param content: how it writes values.
    :param lacks: what it does not do that sealedsession does.
    """

    name: str
    make: Callable[[], Codec]
    packages: tuple[str, ...]
    encrypts: bool
    protection: str
    content: str
    lacks: str


PEERS: dict[str, Peer] = {}


def _peer(name: str, *packages: str, encrypts: bool, protection: str, content: str, lacks: str = "") -> Any:
    def add(make: Callable[[], Codec]) -> Callable[[], Codec]:
        PEERS[name] = Peer(name, make, packages, encrypts, protection, content, lacks)
        return make

    return add


def built() -> tuple[dict[str, Codec], dict[str, str]]:
    """Return the codecs whose packages are installed, and the reasons why the others are missing."""
    codecs, missing = {}, {}
    for name, peer in PEERS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of peers, at import
                codecs[name] = peer.make()
        except Exception as error:  # noqa: BLE001  # a peer's import may raise anything; the result names it
            missing[name] = f"{type(error).__name__}: {error}"
    return codecs, missing


def find_fault(codec: Codec, value: Any) -> str | None:
    """Return why a codec cannot be measured with a value, or None.

    It must restore the value, and refuse a changed token.
    """
    seal, unseal = codec
    try:
        token = seal(value)
        back = unseal(token)
    except Exception as error:  # noqa: BLE001  # a peer's refusal of a value has any type
        return f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"
    if back != value:
        return "returns other values than those that were sealed"
    try:
        accepted = unseal(_changed(token))
    except Exception:  # noqa: BLE001  # as above
        return None
    return "accepts a changed token" if accepted else None


def _changed(token: str) -> str:
    at = next(index for index in range(len(token) // 2, len(token)) if token[index].isalnum())
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


def run(coroutine: Any) -> Any:
    """Return the result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("it waits for something")


# --------------------------------------------------------------------------------------------------------------- ours


def _ours(
    serializer: PickleSerializer | JsonSerializer, encrypt_key: str | None, sealer_class: type[Sealer] = Sealer
) -> Codec:
    keyring = Keyring(OUR_KEYS["validate_key"], encrypt_key)
    timeouts = SessionConfig(**OUR_KEYS).timeouts  # the defaults
    sealer = sealer_class(keyring, "cookie:session", idle_timeout=timeouts.idle, absolute_timeout=timeouts.absolute)
    created = int(time.time())

    def seal(value: Any) -> str:
        return sealer.seal(serializer.dumps(value), created=created)

    def unseal(token: str) -> Any:
        return serializer.loads(sealer.unseal(token.encode("latin-1")).payload)

    return seal, unseal


_SEALED = "AES-256-CTR + HMAC-SHA256, two timeouts, key ids"


_CHECKED = "pickle, grammar and types checked both ways"


@_peer(OURS, "sealedsession", "pybase64", encrypts=True, protection=_SEALED, content=_CHECKED)
def _sealedsession() -> Codec:
    return _ours(PickleSerializer(), OUR_KEYS["encrypt_key"])


def _copy_module(module: ModuleType) -> Any:
    spec = importlib.util.spec_from_file_location(f"copy_of_{module.__name__}", str(module.__file__))
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


@_peer(
    f"{OURS}, no pybase64", "sealedsession", encrypts=True, protection=_SEALED, content=_CHECKED,
    lacks="what the extra speed installs",
)  # fmt: skip
def _sealedsession_alone() -> Codec:
    pybase64 = sys.modules.get("pybase64")
    sys.modules["pybase64"] = None  # type: ignore[assignment]  # importing it raises ImportError
    without = _copy_module(base64url)
    sys.modules.pop("pybase64")
    if pybase64 is not None:
        sys.modules["pybase64"] = pybase64
    alone = _copy_module(seal)
    alone.base64url = without
    return _ours(PickleSerializer(), OUR_KEYS["encrypt_key"], alone.Sealer)


@_peer(f"{OURS}, JSON", "sealedsession", encrypts=True, protection=_SEALED, content="tagged JSON, checked both ways")
def _sealedsession_json() -> Codec:
    return _ours(JsonSerializer(), OUR_KEYS["encrypt_key"])


@_peer(
    f"{OURS}, signed", "sealedsession", encrypts=False, protection="HMAC-SHA256, two timeouts, key ids",
    content="pickle, grammar and types checked both ways", lacks="encryption",
)  # fmt: skip
def _sealedsession_signed() -> Codec:
    return _ours(PickleSerializer(), None)


for _name in (REFERENCE, CONTROL):
    _peer(
        _name, "cryptography", encrypts=True, protection="AES-256-CTR + HMAC-SHA256, one age",
        content="pickle, an exact allow-list", lacks="key rotation, limits, a check of what is written",
    )(reference.make_codec)  # fmt: skip

# -------------------------------------------------------------------------------------------------------------- peers

_UNRESTRICTED = "a restricted unpickler: anyone who has the keys can run code"
_JSON_ONLY = "encryption; types besides JSON's"


def _beaker(encrypt_key: str | None) -> Codec:
    from beaker.session import CookieSession

    session = CookieSession({"cookie": ""}, validate_key=SECRET, encrypt_key=encrypt_key, data_serializer="pickle")
    jar = session.cookie

    def seal(value: Any) -> str:
        return jar.value_encode(session._encrypt_data(value))[1]

    def unseal(token: str) -> Any:
        return session._decrypt_data(jar.value_decode(token)[0])

    return seal, unseal


@_peer(
    "Beaker, encrypted", "Beaker", encrypts=True,
    protection="AES-256-GCM, a key by PBKDF2 (one round) per message, + HMAC-SHA1", content="pickle",
    lacks=_UNRESTRICTED,
)  # fmt: skip
def _beaker_encrypted() -> Codec:
    return _beaker(SECRET)


@_peer(
    "Beaker, signed", "Beaker", encrypts=False, protection="HMAC-SHA1", content="pickle",
    lacks="encryption; " + _UNRESTRICTED,
)  # fmt: skip
def _beaker_signed() -> Codec:
    return _beaker(None)


@_peer(
    "Starlette, signed", "starlette", "itsdangerous", encrypts=False, protection="HMAC-SHA1, one age", content="JSON",
    lacks=_JSON_ONLY + "; key rotation",
)  # fmt: skip
def _starlette() -> Codec:
    from itsdangerous import TimestampSigner

    signer = TimestampSigner(SECRET)

    # The two expressions of starlette.middleware.sessions, which has no function for them.
    def seal(value: Any) -> str:
        return signer.sign(base64.b64encode(json.dumps(value).encode("utf-8"))).decode("utf-8")

    def unseal(token: str) -> Any:
        return json.loads(base64.b64decode(signer.unsign(token.encode("utf-8"), max_age=MAX_AGE)))

    return seal, unseal


@_peer(
    "itsdangerous, signed", "itsdangerous", encrypts=False, protection="HMAC-SHA1, one age",
    content="JSON, deflated where shorter", lacks=_JSON_ONLY + "; it is no session",
)  # fmt: skip
def _itsdangerous() -> Codec:
    from itsdangerous import URLSafeTimedSerializer

    serializer = URLSafeTimedSerializer(SECRET)

    def unseal(token: str) -> Any:
        return serializer.loads(token, max_age=MAX_AGE)

    return serializer.dumps, unseal


@_peer(
    "Flask, signed", "Flask", "itsdangerous", encrypts=False, protection="HMAC-SHA1, one age",
    content="tagged JSON, deflated where shorter", lacks="encryption; some types",
)  # fmt: skip
def _flask() -> Codec:
    import flask

    app = flask.Flask("benchmark")
    app.secret_key = SECRET
    interface = app.session_interface

    def seal(value: Any) -> str:
        return interface.get_signing_serializer(app).dumps(dict(value))

    def unseal(token: str) -> Any:
        return interface.get_signing_serializer(app).loads(token, max_age=MAX_AGE)

    return seal, unseal


def set_up_django() -> None:
    """Configure Django for signed_cookies, once."""
    import django
    from django.conf import settings

    if settings.configured:
        return
    engine = "django.template.backends.django.DjangoTemplates"  # importing Tetra requires one
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        TEMPLATES=[{"BACKEND": engine}],
    )
    django.setup()


@_peer(
    "Django signed_cookies, signed", "Django", encrypts=False, protection="HMAC-SHA256, one age",
    content="JSON, deflated where shorter", lacks=_JSON_ONLY,
)  # fmt: skip
def _django() -> Codec:
    set_up_django()
    from django.contrib.sessions.serializers import JSONSerializer
    from django.core import signing

    salt = "django.contrib.sessions.backends.signed_cookies"

    def seal(value: Any) -> str:
        return signing.dumps(value, compress=True, salt=salt, serializer=JSONSerializer)

    def unseal(token: str) -> Any:
        return signing.loads(token, serializer=JSONSerializer, max_age=MAX_AGE, salt=salt)

    return seal, unseal


def _stamped(serializer: Any) -> Codec:
    """Return the triple that Pyramid's cookie sessions serialize."""

    def seal(value: Any) -> str:
        now = time.time()
        return serializer.dumps((int(now), now, dict(value))).decode("ascii")

    def unseal(token: str) -> Any:
        return serializer.loads(token.encode("ascii"))[2]

    return seal, unseal


@_peer(
    "Pyramid, signed", "pyramid", "WebOb", encrypts=False, protection="HMAC-SHA512; ages, not checked here",
    content="JSON", lacks=_JSON_ONLY,
)  # fmt: skip
def _pyramid() -> Codec:
    from pyramid.session import JSONSerializer
    from webob.cookies import SignedSerializer

    return _stamped(SignedSerializer(SECRET, "pyramid.session.", "sha512", serializer=JSONSerializer()))


@_peer(
    "pyramid_nacl_session, encrypted", "pyramid_nacl_session", "PyNaCl", encrypts=True,
    protection="XSalsa20-Poly1305; ages, not checked here", content="pickle", lacks=_UNRESTRICTED,
)  # fmt: skip
def _pyramid_nacl() -> Codec:
    from pyramid_nacl_session.serializer import EncryptedSerializer

    return _stamped(EncryptedSerializer(SECRET_BYTES))


@_peer(
    "Litestar, encrypted", "litestar", "msgspec", encrypts=True, protection="AES-256-GCM, one age", content="JSON",
    lacks="any check of types: typed values come back as text",
)  # fmt: skip
def _litestar() -> Codec:
    from litestar.middleware.session.client_side import CookieBackendConfig

    config = CookieBackendConfig(secret=SECRET_BYTES)
    backend = config._backend_class(config)

    def seal(value: Any) -> str:
        return b"".join(backend.dump_data(value)).decode("utf-8")

    def unseal(token: str) -> Any:
        return backend.load_data([token.encode("utf-8")])

    return seal, unseal


@_peer(
    "starsessions, signed", "starsessions", "itsdangerous", encrypts=False, protection="HMAC-SHA1, one age",
    content="JSON", lacks=_JSON_ONLY,
)  # fmt: skip
def _starsessions() -> Codec:
    from starsessions.serializers import JsonSerializer as Serializer
    from starsessions.stores.cookie import CookieStore

    store, serializer = CookieStore(SECRET), Serializer()

    def seal(value: Any) -> str:
        return run(store.write("", serializer.serialize(value), MAX_AGE, MAX_AGE))

    def unseal(token: str) -> Any:
        return serializer.deserialize(run(store.read(token, MAX_AGE)))

    return seal, unseal


@_peer(
    "aiohttp-session, encrypted", "aiohttp-session", "cryptography", encrypts=True,
    protection="Fernet (AES-128-CBC + HMAC-SHA256), one age", content="JSON", lacks="types besides JSON's",
)  # fmt: skip
def _aiohttp() -> Codec:
    from aiohttp_session import Session
    from aiohttp_session.cookie_storage import EncryptedCookieStorage

    storage = EncryptedCookieStorage(SECRET_BYTES, max_age=MAX_AGE)

    def seal(value: Any) -> str:
        data = {"created": int(time.time()), "session": value}
        session = Session(None, data=data, new=False, max_age=None)
        text = storage._encoder(storage._get_session_data(session))
        return storage._fernet.encrypt(text.encode("utf-8")).decode("utf-8")

    def unseal(token: str) -> Any:
        data = storage._decoder(storage._fernet.decrypt(token.encode("utf-8"), ttl=MAX_AGE).decode("utf-8"))
        return Session(None, data=data, new=False, max_age=MAX_AGE)._mapping

    return seal, unseal


@_peer(
    "asgi-sessions, encrypted", "asgi-sessions", "cryptography", encrypts=True,
    protection="Fernet (AES-128-CBC + HMAC-SHA256), made for each request", content="JSON",
    lacks="types besides JSON's; age in the seal",
)  # fmt: skip
def _asgi_sessions() -> Codec:
    from asgi_sessions import SessionFernet

    def seal(value: Any) -> str:
        session = SessionFernet(None, secret=SECRET)
        dict.update(session, value)
        return session.encode()

    def unseal(token: str) -> Any:
        return dict(SessionFernet(token, secret=SECRET))

    return seal, unseal


@_peer(
    "Tetra's state, encrypted", "tetra", "cryptography", encrypts=True,
    protection="Fernet, a key by HKDF for each request", content="pickle, gzip",
    lacks="a restricted unpickler; age in the seal; it is no session",
)  # fmt: skip
def _tetra() -> Codec:
    set_up_django()
    if not hasattr(warnings, "deprecated"):  # of Python 3.13; tetra imports it on every version
        import typing_extensions

        warnings.deprecated = typing_extensions.deprecated  # type: ignore[attr-defined]
    from tetra import state

    class User:
        is_authenticated = True

        def get_username(self) -> str:
            return "margarete"

    class Request:
        """The part of a request that the functions use."""

        user = User()
        session = type("Session", (), {"session_key": "abcdefghijklmnopqrstuvwxyz012345"})

    def seal(value: Any) -> str:
        fernet = state._get_fernet_for_request(Request)
        return fernet.encrypt(gzip.compress(state.pickle_state(value))).decode()

    def unseal(token: str) -> Any:
        fernet = state._get_fernet_for_request(Request)
        return state.unpickle_state(gzip.decompress(fernet.decrypt(token.encode())))

    return seal, unseal


@_peer(
    "Fernet + pickle, encrypted", "cryptography", encrypts=True, protection="AES-128-CBC + HMAC-SHA256, one age",
    content="pickle", lacks=_UNRESTRICTED + "; it is no session",
)  # fmt: skip
def _fernet() -> Codec:
    from cryptography.fernet import Fernet

    fernet = Fernet(base64.urlsafe_b64encode(SECRET_BYTES))

    def seal(value: Any) -> str:
        return fernet.encrypt(pickle.dumps(value, 5)).decode("ascii")

    def unseal(token: str) -> Any:
        return pickle.loads(fernet.decrypt(token, ttl=MAX_AGE))

    return seal, unseal
