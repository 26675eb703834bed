"""The wire format: vectors, an independent reader, and the reason for every refusal."""

import hmac
import json
import random
import re
import sys
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import count, pairwise

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sealedsession.errors import UnsealError
from sealedsession.sealing import sealer as wire_format
from sealedsession.sealing.keys import KeyPair, Keyring
from sealedsession.sealing.sealer import INFLATED_MAX, JSON, PICKLE, Sealer, Unsealed
from tests.support import ROOT

DOCUMENT = json.loads((ROOT / "tests" / "security" / "vectors" / "seal_v1.json").read_text(encoding="ascii"))
NOW = 1_750_000_000
PURPOSE = "cookie:session"
VALIDATE, VALIDATE_2, ENCRYPT, ENCRYPT_2 = (sha256(b"key %d" % number).digest() for number in range(4))
SEALED, SIGNED, FALLBACK = (VALIDATE, ENCRYPT), (VALIDATE, None), (VALIDATE_2, ENCRYPT_2)  # key pairs
SESSION_ID = bytes(range(100, 116))
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

untimed = settings(deadline=None)
each_kind = pytest.mark.parametrize("pair", [SEALED, SIGNED], ids=["sealed", "signed"])


def make_sealer(*pairs, purpose=PURPOSE, now=NOW, **options):
    validate_keys, encrypt_keys = zip(*pairs or (SEALED,), strict=True)
    keyring = Keyring(validate_keys, None if None in encrypt_keys else encrypt_keys)
    return Sealer(keyring, purpose, clock=lambda: now, **options)


def seal(sealer, payload=b"payload", created=NOW, **fields):
    return sealer.seal(payload, created=created, **fields).encode()


def refusal(sealer, token, **options):
    with pytest.raises(UnsealError) as caught:
        sealer.unseal(token, **options)
    return caught.value.reason


# ------------------------------------------------------------------------------------- the format, written once more


def encode(envelope):
    return urlsafe_b64encode(envelope).rstrip(b"=")


def decode(token):
    return urlsafe_b64decode(token + b"=" * (-len(token) % 4))


def hkdf(key, salt, info):
    """HKDF-SHA256 for 32 bytes, which is one block (RFC 5869, 2)."""
    return hmac.digest(hmac.digest(salt or bytes(32), key, "sha256"), info + b"\x01", "sha256")


def derive_subkeys(validate_key, encrypt_key, purpose=PURPOSE):
    """Return the key id, the MAC key and the encryption key of a pair."""
    salt = sha256(encrypt_key).digest() if encrypt_key else b""
    key_id = hkdf(validate_key, salt, b"sealedsession v1 id")[:2]
    mac_key = hkdf(validate_key, salt, b"sealedsession v1 validate\0" + purpose.encode())
    return key_id, mac_key, encrypt_key and hkdf(encrypt_key, b"", b"sealedsession v1 encrypt\0" + purpose.encode())


def aes_ctr(key, nonce, data):
    return Cipher(AES(key), CTR(nonce)).encryptor().update(data)


def read(token, pair, purpose=PURPOSE, binding=b""):
    """Open a token by the description of the format alone, as an implementation in another language would."""
    key_id, mac_key, encryption_key = derive_subkeys(*pair, purpose)
    envelope = decode(token)
    body, tag = envelope[:-32], envelope[-32:]
    assert tag == hmac.digest(mac_key, body + binding + len(binding).to_bytes(4, "big"), "sha256")
    assert body[:3] == (b"\x01" if encryption_key else b"\x02") + key_id
    plaintext = aes_ctr(encryption_key, body[3:19], body[19:]) if encryption_key else body[3:]
    flags, created, sealed_at, rest = plaintext[0], plaintext[1:5], plaintext[5:9], plaintext[9:]
    assert not flags & 64
    lifetime = session_id = None
    if flags & 8:
        lifetime, rest = int.from_bytes(rest[:4], "big"), rest[4:]
    if flags & 16:
        session_id, rest = rest[:16], rest[16:]
    if flags & 32:
        rest = rest[: -rest[-1]]
    if flags & 4:
        rest = zlib.decompress(rest, wbits=-15)
    return Unsealed(
        payload=rest,
        serializer=flags & 3,
        created=int.from_bytes(created, "big"),
        sealed_at=int.from_bytes(sealed_at, "big"),
        lifetime=lifetime,
        session_id=session_id,
        by_fallback=False,
        persistent=flags >= 128,
    )


def sign(body, mac_key):
    return encode(body + hmac.digest(mac_key, body + bytes(4), "sha256"))


def forge(plaintext, pair=SEALED):
    """Make a token of any plaintext, with the right keys."""
    key_id, mac_key, encryption_key = derive_subkeys(*pair)
    if encryption_key is None:
        return sign(b"\x02" + key_id + plaintext, mac_key)
    nonce = bytes(16)
    return sign(b"\x01" + key_id + nonce + aes_ctr(encryption_key, nonce, plaintext), mac_key)


def expected_refusal(token, *pairs):
    """Return the reason for a changed token, by the order of the checks."""
    if not re.fullmatch(rb"[A-Za-z0-9_-]*", token) or len(token) % 4 == 1 or len(token) > 4096:
        return "malformed"
    envelope = decode(token)
    if encode(envelope) != token or len(envelope) < 3 + 9 + 32 or envelope[0] not in (1, 2):
        return "malformed"
    heads = [(b"\x01" if pair[1] else b"\x02") + derive_subkeys(*pair)[0] for pair in pairs]
    return "bad_signature" if envelope[:3] in heads else "unknown_key"


# ----------------------------------------------------------------------------------------------------------- vectors


def read_pairs(vector):
    return [tuple(key and bytes.fromhex(key) for key in pair.values()) for pair in vector["keys"]]


def read_fields(vector):
    return Unsealed(
        payload=bytes.fromhex(vector["payload"]),
        serializer=vector["serializer"],
        created=vector["created"],
        sealed_at=vector["sealed_at"],
        lifetime=vector["lifetime"],
        session_id=vector["sid"] and bytes.fromhex(vector["sid"]),
        by_fallback=vector["sealed_by"] != 0,
        persistent=vector["persistent"],
    )


each_vector = pytest.mark.parametrize("vector", DOCUMENT["vectors"], ids=lambda vector: vector["name"])


@each_vector
def test_vector_is_unsealed(vector):
    """Unsealing a vector's token returns exactly the vector's fields."""
    sealer = make_sealer(*read_pairs(vector), purpose=vector["purpose"])
    unsealed = sealer.unseal(vector["token"].encode(), binding=bytes.fromhex(vector["binding"]))
    assert unsealed == read_fields(vector)


@each_vector
def test_vector_is_sealed(vector):
    """Sealing a vector's fields returns its token. A deflated token is only read: encoders may differ."""
    pair = read_pairs(vector)[vector["sealed_by"]]
    binding = bytes.fromhex(vector["binding"])
    fields = read_fields(vector)._replace(by_fallback=False)
    sealer = make_sealer(
        pair,
        purpose=vector["purpose"],
        compress=vector["compress"],
        pad=vector["pad"],
        random_bytes=lambda length: bytes.fromhex(DOCUMENT["nonce"])[:length],
        now=vector["sealed_at"],
    )
    token = sealer.seal(
        fields.payload,
        created=fields.created,
        serializer=fields.serializer,
        lifetime=fields.lifetime,
        session_id=fields.session_id,
        persistent=fields.persistent,
        binding=binding,
    )
    if vector["deflated"]:
        assert read(token.encode(), pair, vector["purpose"], binding) == fields
        assert len(decode(token.encode())) < len(fields.payload)
    else:
        assert token == vector["token"]


@each_vector
def test_vector_is_read_independently(vector):
    """A reader written from the description of the format finds the vector's subkeys and fields."""
    pair = read_pairs(vector)[vector["sealed_by"]]
    subkeys = [vector[name] and bytes.fromhex(vector[name]) for name in ("key_id", "mac_key", "encryption_key")]
    assert list(derive_subkeys(*pair, vector["purpose"])) == subkeys
    found = read(vector["token"].encode(), pair, vector["purpose"], bytes.fromhex(vector["binding"]))
    assert found == read_fields(vector)._replace(by_fallback=False)


@pytest.mark.parametrize("case", DOCUMENT["refused"], ids=lambda case: case["name"])
def test_refused_vector(case):
    """A token that the vectors list as refused is refused with the listed reason."""
    vector = DOCUMENT["vectors"][0]
    sealer = make_sealer(*read_pairs(vector), purpose=vector["purpose"])
    assert refusal(sealer, case["token"].encode()) == case["code"]


# -------------------------------------------------------------------------------------------------------- round trips

all_fields = st.fixed_dictionaries(
    {
        "payload": st.binary(max_size=600) | st.binary(max_size=8).map(lambda block: block * 90),
        "created": st.integers(0, NOW),
        "serializer": st.sampled_from([PICKLE, JSON]),
        "lifetime": st.none() | st.integers(NOW, 2**32 - 1),
        "session_id": st.none() | st.binary(min_size=16, max_size=16),
        "persistent": st.booleans(),
    }
)
all_options = st.fixed_dictionaries({"compress": st.booleans(), "pad": st.integers(2, 255) | st.just(0)})


@untimed
@given(st.sampled_from([[SEALED], [SIGNED], [SEALED, FALLBACK]]), all_options, all_fields, st.binary(max_size=40))
def test_round_trip(pairs, options, fields, binding):
    """Unsealing returns the sealed fields, for every option and kind of keyring. So does the independent reader."""
    sealer = make_sealer(*pairs, **options)
    token = sealer.seal(**fields, binding=binding)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    expected = Unsealed(**fields, sealed_at=NOW, by_fallback=False)
    assert sealer.unseal(token.encode(), binding=binding) == expected
    assert read(token.encode(), pairs[0], binding=binding) == expected


@untimed
@given(all_fields, st.integers(2, 255))
def test_padding(fields, pad):
    """Padding makes the plaintext a whole number of blocks."""
    envelope = decode(seal(make_sealer(pad=pad), **fields))
    assert (len(envelope) - 3 - 16 - 32) % pad == 0


def test_padding_hides_the_length():
    """Payloads that end in the same block give tokens of the same length."""
    sealer = make_sealer(pad=64)
    lengths = [len(seal(sealer, bytes(length))) for length in range(56)]
    assert len(set(lengths[:55])) == 1
    assert lengths[55] > lengths[54]


def test_compression_only_where_it_helps():
    """A payload is deflated only if this makes the token shorter."""
    plain, deflating = make_sealer(), make_sealer(compress=True)
    assert len(seal(deflating, VALIDATE)) == len(seal(plain, VALIDATE))
    assert len(seal(deflating, bytes(500))) < len(seal(plain, bytes(500))) / 3


def test_compression_over_a_length():
    """A payload of up to deflate_over bytes is not deflated. A deflated payload of that length can be read."""
    deflating, over = make_sealer(compress=True), make_sealer(compress=True, deflate_over=500)
    assert len(seal(over, bytes(500))) > 4 * len(seal(over, bytes(501)))
    assert over.unseal(seal(deflating, bytes(500))).payload == bytes(500)


@pytest.mark.parametrize("length", [200, 249, 250, 251, 511, 512, 761, 762, 763, 1023, 4095, 8191, 16383, 32500])
def test_compression_reaches_back(length):
    """Deflating with a small window finds every repetition that the largest window finds."""
    once = random.Random(1).randbytes(100)
    payload = once + random.Random(2).randbytes(length - 200) + once
    assert len(wire_format.deflate(payload, 9)) <= len(deflate(payload)) < length - 40
    assert wire_format.inflate(wire_format.deflate(payload, 9)) == payload


def test_signed_only_can_be_read():
    """The payload of a signed-only token is readable, and that of a sealed token is not."""
    assert b"payload" in decode(seal(make_sealer(SIGNED)))
    assert b"payload" not in decode(seal(make_sealer(SEALED)))


def test_fraction_of_a_second():
    """A token is sealed at the last whole second. Its own sealer opens it without leeway."""
    sealer = make_sealer(now=NOW + 0.999, leeway=0, idle_timeout=1, absolute_timeout=1)
    assert sealer.unseal(seal(sealer)).sealed_at == NOW


# --------------------------------------------------------------------------------------------- the nonce, and threads


def test_nonce_comes_from_random_bytes():
    """Each seal calls random_bytes once for 16 bytes, which are the nonce."""
    asked = []

    def random_bytes(length):
        asked.append(length)
        return len(asked).to_bytes(length, "big")

    sealer = make_sealer(random_bytes=random_bytes)
    nonces = [decode(seal(sealer))[3:19] for _ in range(5)]
    assert nonces == [number.to_bytes(16, "big") for number in range(1, 6)]
    assert asked == [16] * 5


def test_nonce_is_fresh():
    """Sealing the same payload twice gives two nonces and two ciphertexts."""
    sealer = make_sealer()
    envelopes = [decode(seal(sealer)) for _ in range(100)]
    assert len({envelope[3:19] for envelope in envelopes}) == 100
    assert len({envelope[19:-32] for envelope in envelopes}) == 100


def test_threads():
    """Threads that share a sealer do not mix up their payloads."""
    sealer = make_sealer()

    def work(thread):
        for number in range(400):
            payload = b"%d %d " % (thread, number) * (1 + number % 60)
            token = seal(sealer, payload)
            assert sealer.unseal(token).payload == payload
            assert read(token, SEALED).payload == payload

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # seconds: threads take turns wherever they can
    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(8)))
    finally:
        sys.setswitchinterval(interval)


# ----------------------------------------------------------------------------------------------------- changed tokens

TOKENS = [
    seal(make_sealer(), b"one"),
    seal(make_sealer(), b"another", session_id=SESSION_ID),
    seal(make_sealer(FALLBACK), b"by the fallback", lifetime=5),
]
SIGNED_TOKENS = [
    seal(make_sealer(SIGNED), b"a payload of some length"),
    seal(make_sealer(SIGNED), b"", session_id=SESSION_ID),
]


@st.composite
def changed(draw, tokens):
    """Return a token with a few changes."""
    token = draw(st.sampled_from(tokens))
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted((draw(st.integers(0, len(token))), draw(st.integers(0, len(token)))))
        pieces = [
            st.just(b""),  # what was there is cut out
            st.binary(max_size=3),
            st.text(ALPHABET.decode(), max_size=8).map(str.encode),
            st.sampled_from(tokens),
            st.just(token[start:end][::-1]),
            st.just(token[start:end] * 2),
        ]
        piece = draw(st.one_of(pieces))
        token = token[:start] + piece + token[draw(st.sampled_from([end, start, start + len(piece)])) :]
    return token


@settings(untimed, max_examples=500)
@given(changed(TOKENS))
def test_changed_token(token):
    """A changed, cut, extended, reordered or concatenated token is refused with the reason of the first check."""
    assume(token not in TOKENS)
    assert refusal(make_sealer(SEALED, FALLBACK), token) == expected_refusal(token, SEALED, FALLBACK)


@settings(untimed, max_examples=300)
@given(changed(SIGNED_TOKENS))
def test_changed_signed_token(token):
    """The same is true for signed-only tokens."""
    assume(token not in SIGNED_TOKENS)
    assert refusal(make_sealer(SIGNED), token) == expected_refusal(token, SIGNED)


@untimed
@given(st.binary(max_size=200) | st.text(ALPHABET.decode(), max_size=200).map(str.encode))
def test_random_bytes(token):
    """Random bytes, and random characters of the alphabet, are refused with the reason of the first check."""
    assert refusal(make_sealer(SEALED, FALLBACK), token) == expected_refusal(token, SEALED, FALLBACK)


@each_kind
def test_every_changed_bit(pair):
    """A token with any one bit changed is refused."""
    sealer = make_sealer(pair)
    envelope = decode(seal(sealer, session_id=SESSION_ID))
    for bit in range(8 * len(envelope)):
        other = bytearray(envelope)
        other[bit // 8] ^= 1 << bit % 8
        code = "malformed" if bit < 8 else "unknown_key" if bit < 24 else "bad_signature"
        assert refusal(sealer, encode(other)) == code


@each_kind
def test_every_truncation(pair):
    """Every proper prefix and suffix of a token is refused."""
    sealer = make_sealer(pair)
    token = seal(sealer, b"a payload that is long enough to be cut")
    for length in range(len(token)):
        assert refusal(sealer, token[:length]) in ("malformed", "bad_signature")
        assert refusal(sealer, token[len(token) - length :]) == expected_refusal(token[len(token) - length :], pair)


@each_kind
@pytest.mark.parametrize("length", range(3))
def test_one_spelling_of_a_token(pair, length):
    """A token whose last character has unused bits that are not zero is malformed."""
    sealer = make_sealer(pair)
    token = seal(sealer, bytes(length))
    for last in set(ALPHABET) - {token[-1]}:
        other = token[:-1] + bytes((last,))
        assert refusal(sealer, other) == ("bad_signature" if encode(decode(other)) == other else "malformed")


@pytest.mark.parametrize(
    "foreign", [b"=", b"==", b"+", b"/", b" ", b"\t", b"\n", b"\r\n", b"\0", b".", b"%3D", b'"', b"\xff"]
)
def test_foreign_characters(foreign):
    """A token with a character outside of base64url is malformed. No character is skipped."""
    sealer = make_sealer()
    for length in range(3):
        token = seal(sealer, bytes(length))
        for position in (0, 1, 4, 50, len(token) - 1, len(token)):
            inserted = token[:position] + foreign + token[position:]
            replaced = token[:position] + foreign + token[position + len(foreign) :]
            assert refusal(sealer, inserted) == refusal(sealer, replaced) == "malformed"


def test_standard_alphabet():
    """A token in the standard alphabet of base64 is malformed, although it encodes the same bytes."""
    sealer = make_sealer(random_bytes=lambda length: b"\xff\xef" * (length // 2))
    token = seal(sealer)
    assert b"_" in token
    assert b"-" in token
    assert refusal(sealer, token.replace(b"_", b"/")) == refusal(sealer, token.replace(b"-", b"+")) == "malformed"


def test_length_cap():
    """A token of max_length characters is accepted, and one of max_length + 1 is refused."""
    token = seal(make_sealer(), bytes(60))
    assert make_sealer(max_length=len(token)).unseal(token).payload == bytes(60)
    assert refusal(make_sealer(max_length=len(token) - 1), token) == "malformed"


# ------------------------------------------------------------------------------------------------- keys and purposes


def test_sealed_and_signed_are_never_confused():
    """A keyring with an encrypt_key refuses signed-only tokens of its validate_key. The reverse is also true."""
    signed, sealed = make_sealer(SIGNED), make_sealer(SEALED)
    assert refusal(sealed, seal(signed, bytes(40))) == "unknown_key"
    assert refusal(signed, seal(sealed)) == "unknown_key"


@each_kind
def test_exchanged_version(pair):
    """A token whose version names the other kind is refused, even with a valid MAC."""
    key_id, mac_key, _ = derive_subkeys(*pair)
    other_version = b"\x02" if pair == SEALED else b"\x01"
    assert refusal(make_sealer(pair), sign(other_version + key_id + bytes(60), mac_key)) == "unknown_key"


@pytest.mark.parametrize("version", [0, 3, 4, 0x80, 0xFF])
def test_unknown_version(version):
    """A token of an unknown version is malformed, even with a valid MAC."""
    key_id, mac_key, _ = derive_subkeys(*SEALED)
    assert refusal(make_sealer(), sign(bytes((version,)) + key_id + bytes(60), mac_key)) == "malformed"


def test_wrong_encrypt_key():
    """A wrong encrypt_key with the right validate_key fails at the key id."""
    assert refusal(make_sealer((VALIDATE, ENCRYPT_2)), seal(make_sealer())) == "unknown_key"


def numbered_key(label, number):
    return sha256(f"{label} {number}".encode()).digest()


def colliding(pairs):
    """Return the first two pairs with the same key id. With 65,536 ids, this takes some hundred pairs."""
    seen = {}
    while True:
        pair = next(pairs)
        twin = seen.setdefault(derive_subkeys(*pair)[0], pair)
        if twin != pair:
            return twin, pair


def test_wrong_encrypt_key_of_the_same_id():
    """A wrong encrypt_key with the same key id fails at the MAC, before decryption."""
    right, wrong = colliding((VALIDATE, numbered_key("encrypt", number)) for number in count())
    assert refusal(make_sealer(wrong), seal(make_sealer(right))) == "bad_signature"


@pytest.mark.parametrize("kind", ["sealed", "signed"])
def test_pairs_of_the_same_id(kind):
    """Two pairs with the same key id both open their own tokens. Only the fallback's tokens are by_fallback."""
    first, second = colliding(
        (numbered_key("validate", number), numbered_key("encrypt", number) if kind == "sealed" else None)
        for number in count()
    )
    by_first, by_second = seal(make_sealer(first), b"first"), seal(make_sealer(second), b"second")
    assert decode(by_first)[:3] == decode(by_second)[:3]
    opened = [make_sealer(first, second).unseal(token) for token in (by_first, by_second)]
    assert [(unsealed.payload, unsealed.by_fallback) for unsealed in opened] == [(b"first", False), (b"second", True)]
    assert refusal(make_sealer(first), by_second) == refusal(make_sealer(second), by_first) == "bad_signature"


def test_fallback_key():
    """A fallback pair opens its tokens. Only the primary pair seals."""
    both = make_sealer(SEALED, FALLBACK)
    assert both.unseal(seal(make_sealer(FALLBACK))).by_fallback
    assert not both.unseal(seal(both)).by_fallback
    assert make_sealer(SEALED).unseal(seal(both)).payload == b"payload"
    assert refusal(make_sealer(FALLBACK), seal(both)) == "unknown_key"


# ------------------------------------------------------------------------------------- states, and keyrings that change


def ring(**states):
    """Make a keyring of the key pairs above: ``ring(primary=SEALED, staged=FALLBACK)``."""
    return Keyring.from_pairs([KeyPair(*pair, state) for state, pair in states.items()], "a keyring")


def make_source_sealer(source, **options):
    return Sealer(source, PURPOSE, clock=lambda: NOW, **options)


def test_states():
    """Staged and fallback keys open tokens and do not seal. Only tokens of a fallback are sealed again."""
    by_sealed, by_other = seal(make_sealer(SEALED)), seal(make_sealer(FALLBACK))
    staged = make_source_sealer(ring(primary=SEALED, staged=FALLBACK))
    fallback = make_source_sealer(ring(fallback=FALLBACK, primary=SEALED))
    assert not staged.unseal(by_other).by_fallback
    assert fallback.unseal(by_other).by_fallback
    for sealer in (staged, fallback):
        assert not sealer.unseal(by_sealed).by_fallback
        assert refusal(make_sealer(FALLBACK), seal(sealer)) == "unknown_key"
        assert make_sealer(SEALED).unseal(seal(sealer)).payload == b"payload"


def test_a_rotation_strands_nobody():
    """In each step of a rotation, servers before and after the step open the tokens of each other."""
    steps = [
        ring(primary=SEALED),
        ring(primary=SEALED, staged=FALLBACK),
        ring(fallback=SEALED, primary=FALLBACK),
        ring(primary=FALLBACK),
    ]
    for before, after in pairwise(map(make_source_sealer, steps)):
        for one, other in ((before, after), (after, before)):
            assert other.unseal(seal(one)).payload == b"payload"
    assert refusal(make_source_sealer(steps[3]), seal(make_source_sealer(steps[0]))) == "unknown_key"


class ChangingRing:
    """A source whose keyring a test changes. It records the seconds with which it was called."""

    def __init__(self, keyring):
        self.keyring = keyring
        self.seconds = []

    def current(self, second):
        self.seconds.append(second)
        return self.keyring


def test_a_changed_keyring_is_taken_over_at_once():
    """The first call after a change of the keyring uses the new one. The same is true when it changes back."""
    source = ChangingRing(ring(primary=SEALED))
    sealer = make_source_sealer(source)
    first = seal(sealer)
    source.keyring = ring(primary=FALLBACK)
    assert refusal(sealer, first) == "unknown_key"
    second = seal(sealer)
    assert make_sealer(FALLBACK).unseal(second).payload == b"payload"
    source.keyring = ring(primary=FALLBACK, fallback=SEALED)
    assert sealer.unseal(first).by_fallback
    source.keyring = ring(primary=SEALED)
    assert make_sealer(SEALED).unseal(seal(sealer)).payload == b"payload"
    assert refusal(sealer, second) == "unknown_key"


def test_a_new_state_of_the_same_keys():
    """A keyring of the same keys in other states replaces the previous one."""
    source = ChangingRing(ring(primary=SEALED, staged=FALLBACK))
    sealer = make_source_sealer(source)
    old = seal(sealer)
    source.keyring = ring(fallback=SEALED, primary=FALLBACK)
    assert sealer.unseal(old).by_fallback
    assert make_sealer(FALLBACK).unseal(seal(sealer)).payload == b"payload"


def test_sealed_becomes_signed():
    """A signed-only keyring replaces an encrypting one."""
    source = ChangingRing(ring(primary=SEALED))
    sealer = make_source_sealer(source)
    sealed = seal(sealer)
    source.keyring = ring(primary=SIGNED)
    assert b"payload" in decode(seal(sealer))
    assert sealer.unseal(seal(sealer)).payload == b"payload"
    assert refusal(sealer, sealed) == "unknown_key"


def test_a_source_is_asked_at_every_call():
    """The sealer calls the source with the whole second: at start, and for each seal and unseal."""
    source = ChangingRing(ring(primary=SEALED))
    times = iter([NOW + 0.9, NOW + 1.1, NOW + 2.9, NOW + 3.5])
    sealer = Sealer(source, PURPOSE, clock=lambda: next(times))
    sealer.unseal(seal(sealer))
    assert refusal(sealer, b"rubbish") == "malformed"
    assert source.seconds == [NOW, NOW + 1, NOW + 2, NOW + 3]
    assert all(type(second) is int for second in source.seconds)


def test_an_unchanged_keyring_is_made_ready_once(monkeypatch):
    """Subkeys are derived once for each keyring."""
    derived = []
    derive = Keyring.derive
    monkeypatch.setattr(Keyring, "derive", lambda self, purpose: derived.append(self) or derive(self, purpose))
    first, second = ring(primary=SEALED), ring(primary=FALLBACK)
    source = ChangingRing(first)
    sealer = make_source_sealer(source)
    for _ in range(3):
        sealer.unseal(seal(sealer))
    assert derived == [first]
    source.keyring = second
    for _ in range(3):
        sealer.unseal(seal(sealer))
    assert derived == [first, second]


@each_kind
def test_threads_while_keyrings_change(pair):
    """While a keyring changes under many threads, each token opens correctly or is of an unknown key."""
    other = (VALIDATE_2, None if pair is SIGNED else ENCRYPT_2)
    rings = [ring(primary=pair), ring(primary=other), ring(primary=pair, fallback=other)]
    source = ChangingRing(rings[0])
    sealer = make_source_sealer(source)
    tokens = []  # as sealed by some thread, with what is inside

    def work(number):
        codes = set()
        for turn in range(200):
            source.keyring = rings[(number + turn // 5) % 3]
            payload = b"%d %d " % (number, turn) * 10
            tokens.append((seal(sealer, payload), payload))
            token, expected = tokens[turn * 7919 % len(tokens)]
            try:
                assert sealer.unseal(token).payload == expected
            except UnsealError as error:
                codes.add(error.reason)
        return codes

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            codes = set().union(*pool.map(work, range(8)))
    finally:
        sys.setswitchinterval(interval)
    assert codes == {"unknown_key"}
    both = make_source_sealer(rings[2])
    assert all(both.unseal(token).payload == payload for token, payload in tokens)
    assert {both.unseal(token).by_fallback for token, _ in tokens} == {True, False}


# -------------------------------------------------------------------------------------------------- purpose and binding


@each_kind
@pytest.mark.parametrize("other", ["cookie:session2", "cookie:Session", "state:session", "cookie:sessio", ""])
def test_purpose_separation(pair, other):
    """A token for one purpose is refused for every other purpose of the same keys."""
    assert refusal(make_sealer(pair, purpose=other), seal(make_sealer(pair))) == "bad_signature"


@untimed
@given(st.binary(max_size=20), st.binary(max_size=20))
def test_binding(binding, other):
    """A token opens only with the binding with which it was sealed."""
    assume(binding != other)
    sealer = make_sealer(SIGNED)
    token = seal(sealer, binding=binding)
    assert sealer.unseal(token, binding=binding).payload == b"payload"
    assert refusal(sealer, token, binding=other) == "bad_signature"


def test_payload_cannot_move_into_the_binding():
    """The end of a payload cannot pass for a binding, because the MAC covers the length of the binding."""
    long, short = forge(bytes(9) + b"payload and more", SIGNED), forge(bytes(9) + b"payload", SIGNED)
    moved = encode(decode(short)[:-32] + decode(long)[-32:])
    assert refusal(make_sealer(SIGNED), moved, binding=b" and more") == "bad_signature"


# ------------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("options", "lifetime", "age", "code"),
    [
        ({"idle_timeout": 100, "leeway": 0}, None, 100, None),
        ({"idle_timeout": 100, "leeway": 0}, None, 101, "expired_idle"),
        ({"idle_timeout": 100, "leeway": 10}, None, 110, None),
        ({"idle_timeout": 100, "leeway": 10}, None, 111, "expired_idle"),
        ({"absolute_timeout": 100, "leeway": 0}, None, 100, None),
        ({"absolute_timeout": 100, "leeway": 0}, None, 101, "expired_absolute"),
        ({"absolute_timeout": 100, "leeway": 10}, None, 110, None),
        ({"absolute_timeout": 100, "leeway": 10}, None, 111, "expired_absolute"),
        ({"absolute_timeout": 100, "leeway": 0}, 50, 50, None),
        ({"absolute_timeout": 100, "leeway": 0}, 50, 51, "expired_absolute"),
        ({"absolute_timeout": 100, "leeway": 10}, 50, 60, None),
        ({"absolute_timeout": 100, "leeway": 10}, 50, 61, "expired_absolute"),
        ({"absolute_timeout": 100, "leeway": 0}, 200, 100, None),
        ({"absolute_timeout": 100, "leeway": 0}, 200, 101, "expired_absolute"),
        ({"leeway": 0}, 50, 50, None),
        ({"leeway": 0}, 50, 51, "expired_absolute"),
        ({"leeway": 0}, 0, 0, None),
        ({"leeway": 0}, 0, 1, "expired_absolute"),
        ({"leeway": 0}, None, 10**9, None),
        ({"leeway": 0}, None, 0, None),
        ({"leeway": 0}, None, -1, "from_the_future"),
        ({"leeway": 10}, None, -10, None),
        ({"leeway": 10}, None, -11, "from_the_future"),
        ({}, None, -60, None),
        ({}, None, -61, "from_the_future"),
    ],
)
def test_times(options, lifetime, age, code):
    """A token is accepted until the last second of its timeouts and the leeway, and refused one second later."""
    token = seal(make_sealer(), lifetime=lifetime)
    opener = make_sealer(now=NOW + age, **options)
    if code is None:
        assert opener.unseal(token).lifetime == lifetime
    else:
        assert refusal(opener, token) == code


def test_each_timeout_has_its_start():
    """The idle timeout counts from sealed_at. The absolute timeout and the lifetime count from created."""
    token = seal(make_sealer(), created=NOW - 1000, lifetime=2000)
    times = {"now": NOW + 100, "leeway": 0}
    assert make_sealer(**times, idle_timeout=100, absolute_timeout=1100).unseal(token).created == NOW - 1000
    assert refusal(make_sealer(**times, idle_timeout=100, absolute_timeout=1099), token) == "expired_absolute"
    assert refusal(make_sealer(**times, idle_timeout=99, absolute_timeout=1100), token) == "expired_idle"
    assert make_sealer(now=NOW + 1000, leeway=0).unseal(token).lifetime == 2000
    assert refusal(make_sealer(now=NOW + 1001, leeway=0), token) == "expired_absolute"


def test_created_after_it_was_sealed():
    """A session that was created after its token, by more than the leeway, is refused."""
    assert make_sealer(leeway=10).unseal(seal(make_sealer(), created=NOW + 10)).created == NOW + 10
    assert refusal(make_sealer(leeway=10), seal(make_sealer(), created=NOW + 11)) == "from_the_future"


# ----------------------------------------------------------------------------------- right signature, wrong content

TIMES = NOW.to_bytes(4, "big") * 2


def deflate(data):
    deflator = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflator.compress(data) + deflator.flush()


@each_kind
@pytest.mark.parametrize(
    ("flags", "rest", "payload"),
    [
        (0, b"payload", b"payload"),
        (4, deflate(b"payload"), b"payload"),
        (32, b"payload\x01", b"payload"),
        (32, b"payload\xff\xff\x03", b"payload"),
        (32, b"\x01", b""),
        (32, bytes(254) + b"\xff", b""),
    ],
)
def test_forged_token(flags, rest, payload, pair):
    """A token with valid flags and lengths is accepted, whatever implementation made it with the right keys."""
    assert make_sealer(pair).unseal(forge(bytes((flags,)) + TIMES + rest, pair)).payload == payload


@each_kind
@pytest.mark.parametrize(
    ("flags", "rest"),
    [
        (0x40, b"payload"),
        (0xC0, b"payload"),
        (0xFF, b"payload" * 9),
        (2, b"payload"),
        (3, b"payload"),
        (8, b""),
        (8, bytes(3)),
        (16, b""),
        (16, bytes(15)),
        (8 | 16, bytes(4)),
        (8 | 16, bytes(19)),
        (32, b""),
        (32, b"payload\0"),
        (32, b"payload\x09"),
        (32, b"payload\xff"),
        (8 | 32, bytes(3) + b"\x01"),
        (8 | 32, bytes(4)),
        (16 | 32, bytes(15) + b"\x01"),
        (8 | 16 | 32, bytes(20) + b"payload\x09"),
        (4, b""),
        (4, b"payload"),
        (4, deflate(b"payload")[:-1]),
        (4, deflate(b"payload") + b"more"),
        (4, zlib.compress(b"payload")),
        (4, deflate(bytes(INFLATED_MAX + 1))),
        (4, deflate(bytes(10**7))),
        (4 | 32, deflate(b"payload") + b"\x02"),
    ],
)
def test_forbidden_value(flags, rest, pair):
    """Unknown flags and wrong lengths under a valid MAC have the reason forbidden_value."""
    sealer = make_sealer(pair, max_length=20_000)
    assert refusal(sealer, forge(bytes((flags,)) + TIMES + rest, pair)) == "forbidden_value"


@pytest.mark.parametrize("length", range(9, 25))
def test_plaintext_too_short(length):
    """A token without room for nonce, flags and times under a valid MAC has the reason forbidden_value."""
    key_id, mac_key, _ = derive_subkeys(*SEALED)
    assert refusal(make_sealer(), sign(b"\x01" + key_id + bytes(length), mac_key)) == "forbidden_value"


def test_nothing_is_inflated_for_an_expired_token():
    """The times are checked after the flags, and before a payload is inflated."""
    late = make_sealer(now=NOW + 1000, idle_timeout=1)
    assert refusal(late, forge(b"\x04" + TIMES + b"does not inflate")) == "expired_idle"
    assert refusal(late, forge(b"\x40" + TIMES + b"payload")) == "forbidden_value"


def test_inflating_to_the_limit():
    """A payload that inflates to exactly the limit is accepted."""
    token = seal(make_sealer(compress=True), bytes(INFLATED_MAX))
    assert make_sealer().unseal(token).payload == bytes(INFLATED_MAX)


def test_signature_comes_first():
    """A token with a wrong MAC and forbidden content has the reason bad_signature."""
    assert refusal(make_sealer(purpose="cookie:other"), forge(b"\xff" + TIMES, SEALED)) == "bad_signature"
    assert refusal(make_sealer(SIGNED, purpose="cookie:other"), forge(b"\xff" + TIMES, SIGNED)) == "bad_signature"


def test_no_secret_in_an_error():
    """The error for a token shows neither the token nor its payload."""
    sealer = make_sealer(SIGNED)
    token = seal(sealer, b"secret payload")
    forbidden = forge(b"\xff" + TIMES + b"secret payload", SIGNED)
    for bad in (token + b"=", token[:-4] + b"AAAA", b"C" + token[1:], forbidden):
        with pytest.raises(UnsealError) as caught:
            sealer.unseal(bad)
        shown = repr(caught.value) + str(caught.value) + caught.value.detail
        assert "secret" not in shown
        assert bad[10:30].decode() not in shown
