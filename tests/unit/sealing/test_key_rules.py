"""The rules for keys: encodings, patterns, published keys, files, and the secrets of frameworks."""

import secrets
from base64 import b32encode, b64encode, b85encode, urlsafe_b64encode
from hashlib import md5, sha1, sha256, sha384, sha512
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealedsession.errors import ConfigError
from sealedsession.sealing.key_rules import (
    FILE_LIMIT,
    KEY_BYTES,
    KEY_LIMIT,
    check_bytes,
    check_file,
    check_framework_secret,
    check_text,
)

KEY, KEY_2 = (sha256(b"key %d" % number).digest() for number in range(2))
TEXT = urlsafe_b64encode(KEY).decode()  # padded


def refusal(check, key):
    """Refuse a key, and return the message, which does not show the key."""
    with pytest.raises(ConfigError) as caught:
        check("the_key", key)
    message = str(caught.value)
    assert message.startswith("the_key: ")
    assert not key or str(key) not in message
    return message


def base64(key):
    return b64encode(key).decode()


def base64url(key):
    return urlsafe_b64encode(key).decode()


def unpadded(encode):
    def encode_unpadded(key):
        return encode(key).rstrip("=")

    return encode_unpadded


ENCODINGS = {
    "hexadecimal": bytes.hex,
    "upper case": lambda key: key.hex().upper(),
    "base64": base64,
    "base64, unpadded": unpadded(base64),
    "base64url": base64url,
    "base64url, unpadded": unpadded(base64url),
}
every_encoding = pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)

# ------------------------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    "names", [("hexadecimal", "upper case"), ("base64", "base64, unpadded"), ("base64url", "base64url, unpadded")]
)
def test_random_keys_are_accepted(names):
    """None of 10,000 random keys in each encoding is refused."""
    encode, encode_too = (ENCODINGS[name] for name in names)
    for _ in range(5_000):
        for text in (encode(secrets.token_bytes(32)), encode_too(secrets.token_bytes(32))):
            assert check_text("key", text) == text.encode()


@settings(deadline=None)
@given(st.integers(32, 100), st.binary(min_size=8))
def test_every_length_is_accepted(length, seed):
    """Text that encodes 32 bytes or more is accepted in every encoding."""
    key = b"".join(sha256(seed + bytes([number])).digest() for number in range(4))[:length]
    for encode in ENCODINGS.values():
        assert check_text("key", encode(key)) == encode(key).encode()


@every_encoding
@pytest.mark.parametrize("length", [1, 16, 24, 31])
def test_too_few_bytes(encode, length):
    """Text that encodes fewer than 32 bytes is refused with advice."""
    assert "python -m sealedsession keygen" in refusal(check_text, encode(KEY[:length]))


@pytest.mark.parametrize(
    "text",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "550e8400-e29b-41d4-a716-446655440000-6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        b85encode(KEY).decode(),
        b32encode(KEY).decode(),
        b32encode(KEY).decode().rstrip("="),
        KEY.hex()[1:] + "g.",
        KEY.hex(":"),
        KEY.hex() + "a",
        "0x" + KEY.hex(),
        TEXT[:20] + "\n" + TEXT[20:],
        TEXT + "=",
        "=" + TEXT,
        TEXT[:-2] + "==",
        TEXT[:20] + "+" + TEXT[20:30] + "-" + TEXT[30:],
        f"KEY={TEXT}",
        f"base64:{TEXT}",
        f"b'{TEXT}'",
        f"Bearer {TEXT}",
        "correct horse battery staple, and some more words",
        "CorrectHorseBatterySessionKeyForTheApplication0",
        "correct-horse-battery-staple-and-some-more-words",
        "größenwahnsinnige Äußerung, die lang genug ist",
        "\N{FULLWIDTH LATIN SMALL LETTER A}" * 64,
        TEXT.replace(TEXT[5], "\N{CYRILLIC SMALL LETTER A}"),
        "Enter passphrase for key '/etc/keys/session': ",
        "ENC[AES256_GCM,data:abc,iv:abc,tag:abc,type:str]",
        '{"error":"permission denied","code":403,"ts":17}',
    ],
)
def test_other_text_is_refused(text):
    """Text that is neither hexadecimal nor base64 nor base64url of random bytes is refused."""
    refusal(check_text, text)


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\r\n", "\N{NO-BREAK SPACE}", "\N{IDEOGRAPHIC SPACE}"])
def test_white_space_around_a_text(space):
    """White space before or after a key is refused, because it would be part of the key."""
    for text in (TEXT + space, space + TEXT, space + TEXT + space):
        assert "white space" in refusal(check_text, text)


@pytest.mark.parametrize("between", [",", ", ", " ", ";", "\n", "\r\n", ":", "|", "\t", '", "'])
@every_encoding
def test_two_keys_in_one_text(encode, between):
    """Two keys in one text are refused with the advice to give a list."""
    text = encode(KEY) + between + encode(KEY_2)
    assert "list" in refusal(check_text, text)
    assert "list" in refusal(check_file, text.encode())


def test_longest_text():
    """Text of more than 1024 characters is refused quickly."""
    text = "".join(sha256(b"%d" % number).hexdigest() for number in range(1_000_000 // 64))
    check_text("key", text[:KEY_LIMIT])
    refusal(check_text, text[: KEY_LIMIT + 2])
    start = perf_counter()
    refusal(check_text, text)
    refusal(check_bytes, text.encode())
    assert perf_counter() - start < 1


# ------------------------------------------------------------------------------------------------------------ bytes


@settings(deadline=None)
@given(st.integers(32, 200), st.binary(min_size=8))
def test_random_bytes_are_accepted(length, seed):
    """32 bytes or more are accepted as they are, including any encoding and surrounding text."""
    key = b"".join(sha256(seed + bytes([number])).digest() for number in range(7))[:length]
    for spelling in (key, b85encode(key), b32encode(key), key.hex().encode(), b"\n " + key + b" \n"):
        assert check_bytes("key", spelling) == spelling


def test_sentences_are_bytes():
    """Text that is refused as str is accepted as bytes."""
    check_bytes("key", b"correct horse battery staple, and some more words")


@pytest.mark.parametrize("key", [b"", b"k", KEY[:31], KEY.hex()[:62].encode(), KEY.hex()[:63].upper().encode()])
def test_short_bytes(key):
    """Fewer than 32 bytes are refused, and so are hexadecimal digits of fewer than 32 bytes."""
    assert "32" in refusal(check_bytes, key)


def test_longest_bytes():
    """1024 bytes are accepted, and one more is refused."""
    key = b"".join(sha256(b"%d" % number).digest() for number in range(33))
    check_bytes("key", key[:KEY_LIMIT])
    refusal(check_bytes, key[: KEY_LIMIT + 1])


# --------------------------------------------------------------------------------------------------------- patterns


def spellings(key):
    """Return the bytes themselves, and their text in every encoding, each with its check."""
    texts = [encode(key) for encode in ENCODINGS.values()]
    return [
        (check_bytes, key),
        *((check_text, text) for text in texts),
        *((check_bytes, text.encode()) for text in texts),
    ]


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=40), st.integers(32, 100))
def test_repeated_block(block, length):
    """A block that is repeated is refused in every encoding, even if the last repetition is incomplete."""
    length = max(length, 2 * len(block))
    for check, key in spellings((block * length)[:length]):
        refusal(check, key)


@pytest.mark.parametrize("length", [16, 20, 32])
def test_block_written_twice(length):
    """A random block that is written twice is refused: the second half adds no randomness."""
    for check, key in spellings(KEY[:length] * 2):
        refusal(check, key)


@settings(deadline=None)
@given(
    st.integers(0, 2**64 - 1),
    st.integers(-300, 300) | st.integers(0, 2**64 - 1),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from(["big", "little"]),
    st.integers(32, 100),
)
def test_counter(start, step, width, order, length):
    """Counters of numbers of 1 to 8 bytes, in either byte order, up or down, are refused in every encoding."""
    numbers = ((start + step * index) % 256**width for index in range(length))
    counter = b"".join(number.to_bytes(width, order) for number in numbers)[:length]
    for check, key in spellings(counter):
        refusal(check, key)


@pytest.mark.parametrize("steps", [(1, 2), (1, 1, 5), (10, 250), (1, 2, 3, 4), (1, 1, 1, 1, 1, 1, 1, 3)])
def test_counted_up_by_a_pattern(steps):
    """Bytes with repeated differences are refused, even if no block is repeated."""
    counter = bytes((33 + sum((steps * 48)[:index])) % 256 for index in range(48))
    for check, key in spellings(counter):
        refusal(check, key)


@pytest.mark.parametrize(
    "text",
    [
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_",
        "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA",
        "0123456789abcdef" * 4,
        "".join(f"{number:02}" for number in range(40)),
        "0" * 64,
        "deadbeef" * 8,
        "A" * 43,
    ],
)
def test_counted_text(text):
    """Alphabets, decimal counters and repeated digits are refused as text and as bytes."""
    refusal(check_text, text)
    refusal(check_bytes, text.encode())


# -------------------------------------------------------------------------------------------------- known to others

EXAMPLES = [
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho=",
    "complex_password_at_least_32_characters_long",
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_published_examples(example):
    """A key from the documentation of a framework or standard is refused as text, bytes, file and secret."""
    for check, key in ((check_text, example), (check_bytes, example.encode()), (check_file, example.encode() + b"\n")):
        refusal(check, key)
    refusal(check_framework_secret, example)


def test_published_examples_in_another_encoding():
    """A published key is refused in the other case, as bytes, and in base64."""
    key = bytes.fromhex(EXAMPLES[0])
    for check, spelling in spellings(key):
        assert "example" in refusal(check, spelling)


def test_the_secret_that_django_makes_for_a_new_project():
    """The random SECRET_KEY of startproject is accepted. A placeholder after its prefix is refused."""
    assert check_framework_secret("SECRET_KEY", "django-insecure-o$&x2f!8(zq@6w^k1t=9_r4n#m7y*c5v3b0j-l2h%p+d8s6ga")
    refusal(check_framework_secret, "django-insecure-change-me-please-or-be-sorry-soon")


@pytest.mark.parametrize(
    "placeholder",
    [
        "change-me-to-a-long-random-string-before-use",
        "ChangeMeBeforeYouDeployTheServerToTheWorld01",
        "REPLACE_ME_WITH_THE_OUTPUT_OF_OPENSSL_RAND_32",
        "please-change-this-to-something-nobody-knows1",
        "your-secret-key-of-at-least-32-bytes-goes-here",
        "YourOwnRandomGeneratedKeyOfAtLeastThirtyTwo",
        "django-insecure-9a8sXr4vBq7LmW2tKc5nZp0yHd3gJf6uEi1oAs",
        "placeholderPlaceholderForTheRealThing0123456",
    ],
)
def test_placeholders(placeholder):
    """A placeholder is refused as text, bytes, file and secret, even inside random text."""
    for text in (placeholder, f"{TEXT.rstrip('=')}-{placeholder}"):
        refusal(check_text, text)
        refusal(check_bytes, text.encode())
        refusal(check_file, text.encode())
        if not text.startswith("django-insecure-"):
            refusal(check_framework_secret, text)


@pytest.mark.parametrize("word", ["secret", "password", "changeme", "Secret", "PASSWORD", "secret\n", "", "123456"])
@pytest.mark.parametrize("function", [sha256, sha384, sha512])
def test_hashes_of_words(word, function):
    """The hash of a common word is refused in every encoding, with and without a line end in the word."""
    for check, key in spellings(function(word.encode()).digest()):
        assert "common word" in refusal(check, key)


@pytest.mark.parametrize("function", [md5, sha1])
def test_short_hashes_of_words(function):
    """MD5 and SHA-1 of a common word are refused as keys, and as the secret of a framework."""
    digits = function(b"secret").hexdigest()
    refusal(check_text, digits)
    refusal(check_bytes, digits.encode())
    assert "common word" in refusal(check_framework_secret, digits)


# ------------------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
@every_encoding
def test_file_of_text(encode, end):
    """The key in a text file is the text without the line end."""
    assert check_file("key", encode(KEY).encode() + end) == encode(KEY).encode()


def test_file_of_random_bytes():
    """The key in a file of random bytes is all of them. None of 10,000 random files is mistaken for text."""
    for _ in range(10_000):
        content = secrets.token_bytes(32)
        assert check_file("key", content) == content
    assert check_file("key", b" \xff" + KEY + b" \n") == b" \xff" + KEY + b" \n"
    for mark in (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"):
        assert check_file("key", mark + KEY) == mark + KEY


FILES = {
    "trailing space": f"{TEXT} \n",
    "byte order mark": f"\ufeff{TEXT}\r\n",
    "UTF-16": f"{TEXT}\r\n".encode("utf-16"),
    "UTF-16, little-endian without a mark": f"{TEXT}\r\n".encode("utf-16-le"),
    "UTF-16, big-endian": f"\ufeff{TEXT}".encode("utf-16-be"),
    "UTF-32": TEXT.encode("utf-32"),
    "name and key": f"KEY={TEXT}",
    "comment": f"# the key\n{TEXT}\n",
    "two lines": f"{TEXT}\n{TEXT[::-1].strip('=')}\n",
    "empty line first": f"\n{TEXT}",
    "PEM": f"-----BEGIN PRIVATE KEY-----\n{TEXT}\n{TEXT}\n-----END PRIVATE KEY-----\n",
    "HTML": "<html><head><title>404 Not Found</title></head><body>nginx</body></html>",
    "HTML in UTF-8": "<html><head><title>Größe überschritten: ä ö ü ß Ä Ö Ü</title></head></html>",
    "HTML in Latin-1": "<html><head><title>Seite nicht gefunden, f\u00fcr immer</title></head></html>".encode(
        "latin-1"
    ),
    "Japanese": "キーが見つかりません。もう一度やり直してください。",
    "coloured": f"\x1b[32m{TEXT}\x1b[0m\n",
    "git-lfs pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 43\n",
    "stray byte": b"\xff" + TEXT.encode(),
    "empty": b"",
    "line ends": b"\n" * 40,
    "too long": TEXT + "\n" * FILE_LIMIT,
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_files_that_are_not_keys(content):
    """A file of other text, of several lines, or in an encoding other than ASCII is refused."""
    refusal(check_file, content if isinstance(content, bytes) else content.encode())


def test_encodings_are_named():
    """The errors for a byte order mark and for UTF-16 name these, because editors do not show them."""
    assert "byte order mark" in refusal(check_file, FILES["byte order mark"].encode())
    assert "UTF-16" in refusal(check_file, FILES["UTF-16"])


# ------------------------------------------------------------------------------------------------- frameworks' secrets


@pytest.mark.parametrize(
    "secret",
    [
        "kq8m(2vRz!0tYc7nWb5s#d1hGf4pQ&9aUi6oT3r=",
        "the names of seven cats, two dogs and one snail",
        KEY.hex()[:32],
        KEY.hex()[:50],
        KEY,
        "größenwahnsinnige Äußerung 9§!xy",
    ],
)
def test_framework_secret(secret):
    """The secret of a framework needs 32 characters, in any encoding."""
    assert check_framework_secret("SECRET_KEY", secret) == (secret if isinstance(secret, bytes) else secret.encode())


def test_long_framework_secret():
    """The secret of a framework may be longer than a key, such as a PEM file."""
    secret = "".join(sha512(b"%d" % number).hexdigest() for number in range(100))
    assert check_framework_secret("SECRET_KEY", secret) == secret.encode()


@pytest.mark.parametrize(
    "secret", ["", "x", "kq8m(2vRz!0tYc7nWb5s#d1hGf4pQ&9", "ab" * 30, "0123456789" * 4, b"\0" * KEY_BYTES]
)
def test_weak_framework_secret(secret):
    """The secret of a framework is refused if it has fewer than 32 characters or a pattern."""
    refusal(check_framework_secret, secret)
