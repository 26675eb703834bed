"""The rules for keys: which keys are accepted, and why a key is refused.

1. Text is a key if it is hexadecimal, base64 or base64url of at least 32 bytes. The key is the text itself, not the
   bytes that it encodes. All other text is refused: it is a password, a path, an error page or a damaged key.
2. Bytes are a key in any form, from 32 bytes on.
3. Patterns, published keys and hashes of common words are refused, in the key itself and in the bytes that it encodes.
4. A random key of 32 bytes passes in every encoding: fewer than one in 10**8 is refused. A key that passes may still
   be weak, because no check can prove that it is random.
5. The secret of a web framework has its own rule: `check_framework_secret`.
6. No key appears in an error.
"""

import base64
import re
from functools import cache
from hashlib import md5, sha1, sha256, sha384, sha512
from operator import sub
from string import printable

from sealedsession.errors import ConfigError

KEY_BYTES = 32  # 256 bits: the strength of AES-256 and of HMAC-SHA256 (OWASP ASVS 5.0, 11.2.3)
KEY_LIMIT = 1024  # characters or bytes: longer keys are not stronger, and take longer to check for patterns
FILE_LIMIT = KEY_LIMIT + len("\r\n")  # bytes of a file
DIFFERENT_BYTES = 10  # at least; 64 random hexadecimal digits have fewer once in 10**12
KEYGEN = "Make one with: python -m sealedsession keygen"
IN_CODE = (
    f"{KEYGEN}. If the key is elsewhere, write 'file:PATH' or 'env:NAME' (without quotes in ini files). "
    "In code, pass a random key in any other form as bytes"
)

_HEXADECIMAL = re.compile("[0-9a-fA-F]+")
_BASE64 = re.compile("([A-Za-z0-9+/]+|[A-Za-z0-9_-]+)={0,2}")
_SHORTEST = 43  # characters of base64 for 32 bytes
_TEXT_BYTES = printable.encode() + b"\0"  # UTF-16 writes ASCII with a NUL byte for each character
_COUNTER_WIDTHS = (1, 2, 4, 8)  # bytes of a number

# Keys from documentation, tutorials and images, which users copy.
_EXAMPLES = (
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",  # Flask
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # FastAPI
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",  # Spring Boot
    "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho=",  # Airflow
    "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs=",  # Airflow
    "complex_password_at_least_32_characters_long",  # iron-session
    "super-secret-jwt-token-with-at-least-32-characters-long",  # Supabase
    "a-string-secret-at-least-256-bits-long",  # jwt.io
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",  # RFC 7515, A.1
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",  # RFC 7520, 3.5
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",  # NIST SP 800-38A, F.1.5
)
_PLACEHOLDER = re.compile(
    "(change|replace)[-_ .]?(me|this)|your[-_ .]?(own[-_ .]?)?(secret|random)|placeholder|insecure",
    re.IGNORECASE,
)
# Words in names, paths and sentences. Random base64 of 43 characters contains one of them once in 10**8.
_WORDS = (
    "secret", "cookie", "session", "password", "passphrase", "validate", "encrypt", "signing", "private", "example",
    "application", "development", "production",
)  # fmt: skip
_WORD = re.compile("|".join(case for word in _WORDS for case in (word, word.capitalize(), word.upper())))
# Random base64 of 43 characters has letters of one case only once in 10**9.
_ONE_CASE = re.compile("[^a-z]+|[^A-Z]+")
_HASHED_WORDS = """
    secret secretkey secret_key secret-key mysecret mysecretkey my_secret my-secret supersecret super_secret
    super-secret topsecret password passw0rd passwd pass passphrase changeme change_me change-me changeit default key
    mykey my_key my-key session cookie token salt test testing example demo dev development prod production admin root
    user hello world helloworld foo bar foobar abc 123 1234 12345 123456 12345678 123456789 1234567890 qwerty letmein
    django flask
    """


def check_text(where: str, text: str, advice: str = KEYGEN) -> bytes:
    """Check a key that is given as text, and return it as bytes.

    :param where: the option or path of the key, for errors.
    :param text: the key, at most `KEY_LIMIT` characters.
    :param advice: the last sentence of the error.
    :raises ConfigError: if the text is not a key, or the key is short, long, patterned or publicly known.
    """
    if problem := _find_text_problem(text) or _find_weakness(text.encode()):
        raise ConfigError(f"{where}: {problem}. {advice}")
    return SecretBytes(text.encode())


def check_bytes(where: str, key: bytes) -> bytes:
    """Check a key that is given as bytes, and return it.

    :param where: the option or path of the key, for errors.
    :raises ConfigError: if the key is short, long, patterned or publicly known.
    """
    if problem := _find_bytes_problem(key) or _find_weakness(key):
        raise ConfigError(f"{where}: {problem}. {KEYGEN}")
    return SecretBytes(key)


def check_file(where: str, content: bytes) -> bytes:
    """Check the key in a file, and return it: text without its line end, or bytes that are not text.

    :param where: the option and path of the key, for errors.
    :param content: the file's first bytes, at most one more than `FILE_LIMIT`.
    :raises ConfigError: if the file does not contain exactly one key, or `check_text` or `check_bytes` refuses it.
    """
    if len(content) <= FILE_LIMIT and _is_text(content):
        return check_text(where, str(content.rstrip(b"\r\n"), "utf-8", "replace"))
    return check_bytes(where, content)


def check_framework_secret(where: str, secret: str | bytes) -> bytes:
    """Check the secret of a web framework, such as Django's ``SECRET_KEY``, and return it as bytes to derive keys from.

    A secret has at least 32 characters, which need not be hexadecimal or base64. The random key of Django's
    startproject is accepted: Django's own deployment check warns about its prefix.

    :param where: the setting of the secret, for errors.
    :raises ConfigError: if the secret is short, patterned, a default, a placeholder or a published example.
    """
    key = secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogatepass")
    problem = _find_weakness(key.removeprefix(b"django-insecure-")[:KEY_LIMIT])
    if len(secret) < KEY_BYTES:
        problem = f"a secret needs at least {KEY_BYTES} characters, got {len(secret)}"
    if problem:
        raise ConfigError(f"{where}: {problem}. {KEYGEN}")
    return SecretBytes(key)


def looks_like_key(text: str) -> bool:
    """Return whether a text is hexadecimal, base64 or base64url of at least 32 bytes."""
    return len(_decode(text) or b"") >= KEY_BYTES


class SecretBytes(bytes):
    """Bytes whose repr does not show them, such as in the result of `dataclasses.asdict`."""

    def __repr__(self) -> str:
        return f"<{len(self)} secret bytes>"

    __str__ = __repr__


def _find_bytes_problem(key: bytes) -> str | None:
    if len(key) > KEY_LIMIT:
        return f"it is longer than {KEY_LIMIT} bytes"
    if len(key) < KEY_BYTES:
        return f"a key needs at least {KEY_BYTES} bytes, got {len(key)}"
    if len(key) < 2 * KEY_BYTES and _HEXADECIMAL.fullmatch(str(key, "latin-1")):
        return f"a key needs at least {KEY_BYTES} bytes, got {len(key) // 2} bytes in hexadecimal"
    return None


def _find_text_problem(text: str) -> str | None:
    if len(text) > KEY_LIMIT:
        return f"it is longer than {KEY_LIMIT} characters"
    if text.startswith("\ufeff"):
        return "it starts with a byte order mark. Save it as plain ASCII, without the mark"
    if "\0" in text:
        return "it contains NUL bytes, as in UTF-16. Save it as plain ASCII"
    if text != text.strip():
        return "it has white space at the start or end. Delete that"
    if len(text) < _SHORTEST:
        return f"a key of {KEY_BYTES} bytes has at least {_SHORTEST} characters, got {len(text)}"
    decoded = _decode(text)
    if decoded is None:
        parts = re.findall("[A-Za-z0-9+/_-]+", text)
        if len(parts) > 1 and all(map(looks_like_key, parts)):
            return "it contains several keys. Give a list of keys, each in its own str, line, variable or file"
        if len(text.splitlines()) > 1:
            return "it has several lines. Write the key on one line, and nothing else"
        return "it is not hexadecimal, base64 or base64url, as the text of a key must be"
    if len(decoded) < KEY_BYTES:
        return f"a key needs at least {KEY_BYTES} bytes, got {len(decoded)} bytes in hexadecimal"
    if not _HEXADECIMAL.fullmatch(text) and (_WORD.search(text) or _ONE_CASE.fullmatch(text)):
        return "it is a name, a path or a sentence, not a random key"
    return None


def _find_weakness(key: bytes) -> str | None:
    """Describe what makes a key, or the bytes that it encodes, predictable. Return None if nothing does."""
    text = str(key, "latin-1")
    decoded = _decode(text)
    if text in _EXAMPLES or key in _decoded_examples() or decoded in _decoded_examples():
        return "it is a published example, which attackers know"
    if _PLACEHOLDER.search(text):
        return "it is a placeholder"
    if key in _hashes_of_words() or decoded in _hashes_of_words():
        return "it is the hash of a common word"
    return _find_pattern(key) or (_find_pattern(decoded) if decoded else None)


def _find_pattern(data: bytes) -> str | None:
    different = len(set(data))
    if different < DIFFERENT_BYTES:
        return f"it has only {different} different bytes, and is not random"
    if _repeats(data) or _repeats(_steps(data)) or any(_counts(data, width) for width in _COUNTER_WIDTHS):
        return "it repeats a pattern or counts up, and is not random"
    return None


def _steps(data: bytes) -> bytes:
    return bytes([step & 255 for step in map(sub, data[1:], data)])


def _repeats(data: bytes) -> bool:
    """Return whether the data repeats one block. The last repetition may be incomplete."""
    return any(data[period:] == data[:-period] for period in range(1, len(data) // 2 + 1))


def _counts(data: bytes, width: int) -> bool:
    """Return whether the data is a sequence of at least four numbers that count up or down, by any constant step.

    In such a sequence, each byte position changes by the same amount in at least half of the steps. Carries change the
    other steps by 1.

    :param width: bytes of each number.
    """
    if len(data) < 4 * width:
        return False
    lanes = (_steps(data[first::width]) for first in range(width))
    return all(2 * max(map(steps.count, steps)) >= len(steps) for steps in lanes)


def _decode(text: str) -> bytes | None:
    """Decode hexadecimal, or base64 in either alphabet, with or without padding. Unused bits are ignored.

    :returns: None if the text is none of these.
    """
    if _HEXADECIMAL.fullmatch(text):
        return bytes.fromhex(text) if len(text) % 2 == 0 else None
    digits = text.rstrip("=")
    if not _BASE64.fullmatch(text) or len(digits) % 4 == 1 or (digits != text and len(text) % 4):
        return None
    return base64.b64decode(digits.replace("-", "+").replace("_", "/") + "=" * (-len(digits) % 4))


def _is_text(content: bytes) -> bool:
    """Return whether a file is text in any encoding. A random file of 32 bytes looks like text once in 10**9."""
    if 16 * len(content.translate(None, _TEXT_BYTES)) <= len(content):
        return True
    try:
        return all(character.isprintable() or character.isspace() for character in content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return False


@cache
def _decoded_examples() -> frozenset[bytes | None]:
    return frozenset(map(_decode, _EXAMPLES)) - {None}


@cache
def _hashes_of_words() -> frozenset[bytes | None]:
    """Hash the common words, with and without the line end that ``echo`` writes.

    Hashes by MD5 and SHA-1 are too short for keys, but not for secrets of frameworks.
    """
    words = ["", *(case for word in _HASHED_WORDS.split() for case in (word, word.capitalize(), word.upper()))]
    return frozenset(
        function((word + end).encode(), usedforsecurity=False).digest()
        for word in words
        for end in ("", "\n")
        for function in (md5, sha1, sha256, sha384, sha512)
    )
