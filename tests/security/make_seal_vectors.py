"""Make tests/security/vectors/seal_v1.json: the wire format, version 1, by example, for readers in any language.

Keys, nonce and clock are fixed, so running this again changes nothing unless the format has changed, which it may not.
`vectors` must be unsealed and sealed exactly as written. Only the deflated ones may differ when they are sealed,
because deflate leaves the encoder a choice. `refused` must be refused with their reason. `payloads` and
`refused_payloads` are the same for the payload of a session.
"""

import json
from hashlib import sha256
from pathlib import Path

from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import JSON, PICKLE, Sealer
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer

FILE = Path(__file__).parent / "vectors" / "seal_v1.json"
PURPOSE = "cookie:__Host-session"
CLOCK = 1_750_000_000
CREATED = CLOCK - 1234
NONCE = sha256(b"nonce").digest()[:16]
SID = sha256(b"sid").digest()[:16]
PAYLOAD = b"}\x8c\x04user\x8c\x03anns."  # {"user": "ann"}
LONG_PAYLOAD = b"}\x8c\x04text\x8c\xf0" + b"over and over, " * 16 + b"s."

PRIMARY = {"validate_key": sha256(b"validate 1").hexdigest(), "encrypt_key": sha256(b"encrypt 1").hexdigest()}
FALLBACK = {"validate_key": sha256(b"validate 2").hexdigest(), "encrypt_key": sha256(b"encrypt 2").hexdigest()}
SIGNED_ONLY = {"validate_key": PRIMARY["validate_key"], "encrypt_key": None}
DEFAULTS = {
    "keys": [PRIMARY],
    "sealed_by": 0,  # index of the pair in keys; the first is the primary one
    "purpose": PURPOSE,
    "compress": False,
    "pad": 0,
    "payload": PAYLOAD.hex(),
    "serializer": PICKLE,
    "created": CREATED,
    "sealed_at": CLOCK,
    "lifetime": None,
    "sid": None,
    "persistent": False,
    "binding": "",
    "deflated": False,  # what comes of compress
}
CASES = {
    "sealed": {},
    "signed only": {"keys": [SIGNED_ONLY]},
    "empty payload": {"payload": ""},
    "sid": {"sid": SID.hex()},
    "lifetime": {"lifetime": 3600},
    "lifetime and sid": {"lifetime": 3600, "sid": SID.hex()},
    "json": {"serializer": JSON, "payload": b'{"user":"ann"}'.hex()},
    "padded": {"pad": 64},
    "deflated": {"compress": True, "deflated": True, "payload": LONG_PAYLOAD.hex()},
    "not deflated, as that is longer": {"compress": True},
    "with all of it": {
        "compress": True,
        "deflated": True,
        "payload": LONG_PAYLOAD.hex(),
        "pad": 32,
        "lifetime": 2**32 - 1,
        "sid": SID.hex(),
        "binding": b"client 7".hex(),
    },
    "persistent": {"persistent": True},
    "persistent, sid": {"persistent": True, "sid": SID.hex()},
    "binding": {"binding": b"client 7".hex()},
    "binding, signed only": {"binding": b"client 7".hex(), "keys": [SIGNED_ONLY]},
    "another purpose": {"purpose": "state:sign-in"},
    "by a fallback key": {"keys": [PRIMARY, FALLBACK], "sealed_by": 1},
    "by the primary of two": {"keys": [PRIMARY, FALLBACK]},
}

DATA = {"user": "ann", "state": "xyz", "code": 7}
FLASH = ["", "Saved", "error", "Not sent"]
CSRF = sha256(b"csrf").digest()
ENDS = [1, CLOCK + 300, 2, CLOCK + 600]
PAYLOADS = {
    "data": (None, None, None),
    "subject": ("user:42", None, None),
    "lineage": (None, SID, None),
    "subject and lineage": ("user:42", SID, None),
    "flash": (None, None, {"flash": FLASH}),
    "csrf": (None, None, {"csrf": CSRF}),
    "ends": (None, None, {"ends": ENDS}),
    "all": ("user:42", SID, {"flash": FLASH, "csrf": CSRF, "ends": ENDS}),
}
REFUSED_PAYLOADS = {
    "neither subject nor lineage": [None, None, DATA],
    "an empty own": ["user:42", None, DATA, {}],
    "a list of five": ["user:42", None, DATA, {"csrf": CSRF}, None],
    "an unknown member": ["user:42", None, DATA, {"csrf": CSRF, "other": 1}],
    "an odd flash": ["user:42", None, DATA, {"flash": ["", "Saved", "error"]}],
    "a category that is not a text": ["user:42", None, DATA, {"flash": [1, "Saved"]}],
    "a short csrf": ["user:42", None, DATA, {"csrf": CSRF[:31]}],
    "a position beyond the last key": ["user:42", None, DATA, {"ends": [3, CLOCK]}],
    "positions that do not ascend": ["user:42", None, DATA, {"ends": [2, CLOCK, 1, CLOCK]}],
    "an end that is a float": ["user:42", None, DATA, {"ends": [1, float(CLOCK)]}],
    "an end of 2^33": ["user:42", None, DATA, {"ends": [1, 2**33]}],
}
DUMPS = {PICKLE: PickleSerializer(Registry()).dumps, JSON: JsonSerializer(Registry()).dumps}


def make_payload(name: str, serializer: int) -> dict:
    """Serialize the session of one case."""
    subject, lineage, own = PAYLOADS[name]
    value = [subject, lineage, DATA] if own is None else [subject, lineage, DATA, own]
    return {
        "name": name,
        "serializer": serializer,
        "subject": subject,
        "lineage": lineage and lineage.hex(),
        "data": DATA,
        "own": own and own | {name: member.hex() for name, member in own.items() if name == "csrf"},
        "payload": DUMPS[serializer](DATA if name == "data" else value).hex(),
    }


def make_refused_payload(name: str, serializer: int) -> dict:
    payload = DUMPS[serializer](REFUSED_PAYLOADS[name]).hex()
    return {"name": name, "serializer": serializer, "payload": payload, "code": "forbidden_value"}


def make_vector(name: str, case: dict) -> dict:
    """Seal one case, and note the subkeys, so that another implementation can be checked in parts."""
    vector = {"name": name, **DEFAULTS, **case}
    pair = {
        option: key and bytes.fromhex(key)  # None: signed only
        for option, key in vector["keys"][vector["sealed_by"]].items()
    }
    keyring = Keyring(**pair)
    (subkeys,) = keyring.derive(vector["purpose"])
    sealer = Sealer(
        keyring,
        vector["purpose"],
        compress=vector["compress"],
        pad=vector["pad"],
        clock=lambda: CLOCK,
        random_bytes=lambda count: NONCE[:count],
    )
    token = sealer.seal(
        bytes.fromhex(vector["payload"]),
        created=vector["created"],
        serializer=vector["serializer"],
        lifetime=vector["lifetime"],
        session_id=vector["sid"] and bytes.fromhex(vector["sid"]),
        persistent=vector["persistent"],
        binding=bytes.fromhex(vector["binding"]),
    )
    return vector | {
        "key_id": subkeys.key_id.hex(),
        "mac_key": subkeys.mac.hex(),
        "encryption_key": subkeys.encrypt and subkeys.encrypt.hex(),
        "token": token,
    }


def make_refused(tokens: dict[str, str]) -> list[dict]:
    """Tokens that the keyring of PRIMARY alone refuses, for PURPOSE and without binding."""
    sealed = tokens["sealed"]
    flipped = "A" if sealed[40] != "A" else "B"
    cases = [
        ("empty", "", "malformed"),
        ("padded base64", sealed + "=", "malformed"),
        ("foreign character", sealed[:40] + "+" + sealed[41:], "malformed"),
        ("line end", sealed + "\n", "malformed"),
        ("unused bits of the last character", sealed[:-1] + chr(ord(sealed[-1]) + 1), "malformed"),
        ("version 3", "Aw" + sealed[2:], "malformed"),
        ("a character changed", sealed[:40] + flipped + sealed[41:], "bad_signature"),
        ("a block cut off", sealed[:-8] + sealed[-4:], "bad_signature"),
        ("for another purpose", tokens["another purpose"], "bad_signature"),
        ("bound", tokens["binding"], "bad_signature"),
        ("by another key", tokens["by a fallback key"], "unknown_key"),
        ("signed only", tokens["signed only"], "unknown_key"),
        ("shorter than any token", sealed[:56], "malformed"),
    ]
    return [{"name": name, "token": token, "code": code} for name, token, code in cases]


def main() -> None:
    vectors = [make_vector(name, case) for name, case in CASES.items()]
    document = {
        "format": "sealedsession wire format, version 1",
        "about": "All byte strings but tokens are hexadecimal, keys included; times are seconds since 1970. "
        "The rules stand in tests/security/make_seal_vectors.py, which makes this file.",
        "nonce": NONCE.hex(),
        "vectors": vectors,
        "refused": make_refused({vector["name"]: vector["token"] for vector in vectors}),
        "payloads": [make_payload(name, serializer) for serializer in DUMPS for name in PAYLOADS],
        "refused_payloads": [
            make_refused_payload(name, serializer) for serializer in DUMPS for name in REFUSED_PAYLOADS
        ],
    }
    FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
