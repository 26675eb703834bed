"""Make tests/security/vectors/seal_v1.json: the wire format, version 1, by example, for readers in any language.

Keys, nonce and clock are fixed, so running this again changes nothing unless the format has changed, which it may not.
`vectors` have to be opened, and made, exactly as they stand. Only the deflated ones need not be made byte for byte:
deflate leaves the encoder a choice. `refused` have to be refused with their code.
"""

import json
from hashlib import sha256
from pathlib import Path

from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import JSON, PICKLE, Sealer

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
    }
    FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
