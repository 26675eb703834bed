"""Take out each guard in turn, and see the tests fail: ``python tests/mutations/guards.py [WORD ...]``.

Every row below removes one check from a copy of the package and runs the tests that should notice. A row that no test
notices has survived: the guard is not tested, and the exit status is 1. Words choose the rows whose name or file has
one of them. A check that something later makes again, with the same outcome, is not listed.

A row whose text is no longer in its module exactly once is reported as stale. It fails the run too, after the others.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COPIED = ("sealedsession", "tests", "setup.cfg", "docs", "README.rst")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "_build", "corpus", "browser", "seeds")
LIMIT = 120  # seconds for one run
# A guard that is gone may let memory be filled. pytest in a process that cannot have more than this.
PYTEST = """
import resource, sys, pytest
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
sys.exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""
PASSED, FAILED = 0, 1  # exit codes of pytest

VALUES = "tests/unit/serialization/test_values.py"
CLASS_CODECS = "tests/unit/serialization/test_class_codecs.py"
PICKLING = "tests/unit/serialization/test_pickling.py"
JSON = "tests/unit/serialization/test_tagged_json.py"
LIMITS = "tests/unit/serialization/test_limits.py"
SEAL = "tests/unit/sealing/test_seal.py"
TOKEN_CACHE = "tests/unit/sealing/test_token_cache.py"
COOKIE = "tests/unit/test_cookie.py"
MANAGER = "tests/unit/lifecycle/test_manager.py"
SESSION_PAYLOAD = "tests/unit/lifecycle/test_session_payload.py"
LIFETIMES = "tests/unit/test_lifetimes.py"
REVOCATION = "tests/unit/lifecycle/test_revocation.py"
EVENTS = "tests/unit/test_events.py"
KEYS = "tests/unit/sealing/test_keys.py"
CONFIG = "tests/unit/test_config.py"
KEYRING_FILE = "tests/unit/sealing/test_keyring_file.py"
FRAMES = "tests/security/test_secret_frames.py"
SESSION = "tests/unit/test_session.py"
STORES = "tests/unit/revocation/test_revocation_stores.py"
ROTATION = "tests/unit/sealing/test_rotation.py"
RECIPES = "tests/unit/integrations/django/test_forged_recipes.py tests/unit/integrations/django/test_querysets.py"
SETTINGS = "test_settings.py -k not(example)"  # which is not copied
REFERENCES = "tests/unit/state/test_state_registry.py"
RESUMABLE = "tests/unit/state/test_resumable.py"
STATE = "tests/unit/state/test_state.py"
STATE_CALLS = "tests/unit/state/test_state_calls.py"
STATE_PAYLOAD = "tests/unit/state/test_state_payload.py"
STATE_OPTIONS = "tests/unit/state/test_state_options.py"
HYPERDIV = "tests/unit/integrations/test_hyperdiv.py"
STATE_RESPONSES = "tests/unit/state/test_state_responses.py"


class Mutation(NamedTuple):
    """One guard: the text that is it, what stands there without it, and pytest's arguments for who should notice."""

    name: str
    file: str
    old: str
    new: str
    tests: str


MUTATIONS = [
    # ------------------------------------------------------------------------------------------ the grammar, and limits
    Mutation("size of a pickle", "grammar.py", "if len(payload) > self._size:", "if False:", PICKLING),
    Mutation(
        "the grammar itself",
        "grammar.py",
        "while not (match := self._match(payload, position)).lastindex:",
        "while False and (match := self._match(payload, position)):",
        PICKLING,
    ),
    Mutation("nothing after STOP", "grammar.py", r"(\.\Z)?+", r"(\.)?+", PICKLING),
    Mutation("few opcodes are counted", "grammar.py", '{0," + most + rb"}+', '{0," + rb"}+', LIMITS),
    Mutation("int length in the grammar", "grammar.py", "_counted(int_bytes)", "_counted(255)", LIMITS),
    Mutation(
        "openers are counted",
        "grammar.py",
        "len(counted.translate(None, _NOT_OPENERS)) > self._depth",
        "False",
        LIMITS,
    ),
    Mutation("hashed values", "limits.py", "if weight > self.hashed:", "if False:", LIMITS),
    Mutation("bytes against nodes", "grammar.py", "length > self._nodes\n            or", "", LIMITS),
    Mutation(
        "BINPERSIDs are counted",
        "grammar.py",
        "or (length > 4 * self._typed and rest.count(_PERSID) > self._typed)",
        "",
        LIMITS,
    ),
    Mutation(
        "long strings are nodes", "grammar.py", "payload[start : position + 5]", "payload[start:position]", LIMITS
    ),
    Mutation("depth", "limits.py", "if depth > self.depth:", "if False:", LIMITS),
    Mutation("nodes", "limits.py", "if nodes > self.nodes:", "if False:", LIMITS),
    Mutation("typed values", "limits.py", "if typed > self.typed:", "if False:", LIMITS),
    Mutation("size of an int", "limits.py", "return -most <= value < most", "return True", LIMITS),
    Mutation("limits only go down", "limits.py", "not least <= value <= most", "not least <= value", LIMITS),
    Mutation("limits have a least", "limits.py", "not least <= value <= most", "not value <= most", LIMITS),
    Mutation("limits are ints", "limits.py", "type(value) is not int or", "", LIMITS),
    Mutation("the search is bounded", "limits.py", "if self._left < 0:", "if False:", f"{LIMITS} -k search_is_bounded"),
    Mutation("the search sees circles", "limits.py", "if id(value) in parents:", "if False:", VALUES),
    Mutation("code is not registered", "limits.py", "or _instead_of(kind)\n", "\n", LIMITS),
    Mutation("the search sees depth", "limits.py", "if len(inside) > self._limits.depth:", "if False:", LIMITS),
    Mutation("the search survives recursion", "limits.py", "except RecursionError:", "except EOFError:", LIMITS),
    # ----------------------------------------------------------------------------------------- the allow-list pickle
    Mutation(
        "the check before reading",
        "pickling.py",
        "            self._check_on(payload, match)\n        try:\n            source",
        "            pass\n        try:\n            source",
        PICKLING,
    ),
    Mutation(
        "find_class refuses",
        "pickling.py",
        'raise _Refused(f"an opcode that names the global {module}.{name}")',
        "return super().find_class(module, name)",
        PICKLING,
    ),
    Mutation("pid is a tuple", "pickling.py", "type(pid) is not tuple or", "", PICKLING),
    Mutation("pid has two members", "pickling.py", "or len(pid) != 2", "", PICKLING),
    Mutation("the code is a str", "pickling.py", "or type(pid[0]) is not str", "", PICKLING),
    Mutation(
        "unknown code in a pickle",
        "pickling.py",
        "if entry is None:\n                    raise",
        "if False:\n                    raise",
        PICKLING,
    ),
    Mutation("deferral", "pickling.py", "if entry.deferred or (", "if (", PICKLING),
    Mutation(
        "deferral of what holds it",
        "pickling.py",
        "or (self.deferred and entry.fetch is None and contains_deferred(data))",
        "",
        PICKLING,
    ),
    Mutation("what becomes its data is not searched", "pickling.py", "entry.fetch is None and ", "", REFERENCES),
    Mutation("deferred values are no keys", "deferred.py", "    __hash__ = None", "    pass", PICKLING),
    Mutation(
        "errors of the reader",
        "pickling.py",
        "except _REFUSALS as error:",
        "except EOFError as error:",
        PICKLING,
    ),
    Mutation(
        "the check after writing, plain",
        "pickling.py",
        "                self._check_on(payload, match)\n",
        "                pass\n",
        PICKLING,
    ),
    Mutation(
        "a source that failed is gone",
        "pickling.py",
        "            value = source.load()\n",
        "            self._sources.append(source)\n            value = source.load()\n",
        PICKLING,
    ),
    Mutation(
        "the check after writing, typed",
        "pickling.py",
        "self.loads(payload, fetching=False)  # what",
        "pass  # what",
        PICKLING,
    ),
    Mutation(
        "the writer's cap",
        "pickling.py",
        "if self.written or len(data) > self._most:",
        "if False:",
        f"{PICKLING} -k far_too_large",
    ),
    # ---------------------------------------------------------------------------------------------------- tagged JSON
    Mutation(
        "size of a JSON text",
        "tagged_json.py",
        "if len(payload) > self._limits.size:\n            problem",
        "if False:\n            problem",
        LIMITS,
    ),
    Mutation(
        "size of a JSON text written",
        "tagged_json.py",
        "if len(payload) > self._limits.size:\n                raise PayloadTooLargeError",
        "if False:\n                raise PayloadTooLargeError",
        LIMITS,
    ),
    Mutation("characters against nodes", "tagged_json.py", "len(text) > limits.nodes or", "", LIMITS),
    Mutation("objects against typed values", "tagged_json.py", "objects > limits.typed or", "", LIMITS),
    Mutation("brackets against depth", "tagged_json.py", 'or objects + text.count("[") > limits.depth', "", LIMITS),
    Mutation(
        "values written are counted",
        "tagged_json.py",
        "if self._nodes > self._limits.nodes:",
        "if False:",
        f"{LIMITS} -k writing_is_bounded",
    ),
    Mutation("keys are there once", "tagged_json.py", "if len(value) != len(pairs):", "if False:", JSON),
    Mutation("tags are alone", "tagged_json.py", 'if any(key.startswith("~") for key in value):', "if False:", JSON),
    Mutation("unknown code in JSON", "tagged_json.py", "if entry is None:", "if False:", JSON),
    Mutation("a tuple is a list", "tagged_json.py", "tag == _TUPLE and type(data) is list", "tag == _TUPLE", JSON),
    Mutation("a dict is a list", "tagged_json.py", "tag == _DICT and type(data) is list and", "tag == _DICT and", JSON),
    Mutation(
        "late keys in JSON",
        "tagged_json.py",
        "if any(map(self._registry.unhashable_during_load, data[::2])):",
        "if False:",
        JSON,
    ),
    Mutation("base64 is strict", "tagged_json.py", "validate=True", "validate=False", JSON),
    Mutation("base64 is a str", "tagged_json.py", "tag == _BYTES and type(data) is str", "tag == _BYTES", JSON),
    Mutation("size of an int in JSON", "tagged_json.py", "if not self._limits.takes_int(value):", "if False:", JSON),
    Mutation("no NaN literal", "tagged_json.py", ", parse_constant=_refuse", "", JSON),
    Mutation("one spelling of texts", "tagged_json.py", "if _CANONICAL.fullmatch(text) is None:", "if False:", JSON),
    Mutation("one spelling of a float", "tagged_json.py", "if repr(value) != text:", "if False:", JSON),
    Mutation("one spelling of zero", "tagged_json.py", 'if digits == "-0":', "if False:", JSON),
    Mutation(
        "one spelling of bytes", "tagged_json.py", 'if b64encode(decoded).decode("ascii") != data:', "if False:", JSON
    ),
    Mutation("plain dicts have no tag", "tagged_json.py", " or _is_plain_object(items):", ":", JSON),
    Mutation("keys of a tagged dict", "tagged_json.py", "len(items) * 2 != len(data) or ", "", JSON),
    Mutation("elements are there once", "tagged_json.py", "len(elements) != count or ", "", JSON),
    Mutation("nothing after the end", "tagged_json.py", "if end != len(text):", "if False:", JSON),
    Mutation("the check after writing, JSON", "tagged_json.py", "self.loads(payload)  # what", "pass  # what", JSON),
    Mutation(
        "errors of the parser",
        "tagged_json.py",
        "except REFUSALS as error:",
        "except EOFError as error:",
        JSON,
    ),
    # ---------------------------------------------------------------------------------------------------- the registry
    Mutation("a decoder makes its type", "values.py", "if type(value) is not cls:", "if False:", VALUES),
    Mutation("only classes", "values.py", "if not isinstance(cls, type):", "if False:", VALUES),
    Mutation("the code is short", "values.py", "or not 1 <= len(code) <= _CODE", "", VALUES),
    Mutation("a type once", "values.py", "if cls in PLAIN or cls in self.by_type:", "if cls in PLAIN:", VALUES),
    Mutation("plain types", "values.py", "if cls in PLAIN or cls in self.by_type:", "if cls in self.by_type:", VALUES),
    Mutation("a code once", "values.py", "if code in self.by_code:", "if False:", VALUES),
    Mutation(
        "own classes are deferred", "values.py", "encode, checked, _is_reachable(cls)", "encode, checked, False", VALUES
    ),
    Mutation(
        "default classes are deferred",
        "values.py",
        "encode, decode, _is_reachable(cls)",
        "encode, decode, False",
        PICKLING,
    ),
    Mutation(
        "reachable methods",
        "values.py",
        "name in vars(base) for base in bases for name in _REACHABLE",
        "False for base in bases for name in _REACHABLE",
        VALUES,
    ),
    Mutation("attribute hooks", "values.py", "for name in _ATTRIBUTE_HOOKS", "for name in ()", VALUES),
    Mutation(
        "slices are deferred", "values.py", "self._add(self.by_type[slice]._replace(deferred=True))", "pass", PICKLING
    ),
    Mutation(
        "classes are deferred",
        "values.py",
        "_encode_class, _decode_class, True",
        "_encode_class, _decode_class, False",
        PICKLING,
    ),
    Mutation(
        "only default classes are values",
        "values.py",
        "if CLASSES.get(value.__name__) is not value:",
        "if False:",
        VALUES,
    ),
    Mutation("the name of a class is a str", "values.py", "if type(data) is not str:", "if False:", VALUES),
    Mutation(
        "sets are in order",
        "values.py",
        "_replace(encode=self._in_order, deferred=False)",
        "_replace(deferred=False)",
        VALUES,
    ),
    # ---------------------------------------------------------------------------------------------- default decoders
    *(
        Mutation(name, "default_types.py", old, new, VALUES)
        for name, old, new in [
            ("members: a tuple", "if type(data) is not tuple or len(data)", "if len(data)"),
            ("members: exact types", "if type(member) is not kind:", "if False:"),
            ("exactly this type", "if type(data) is not kind:", "if False:"),
            ("text: a str", "if type(data) is not str:", "if False:"),
            ("text: its length", "if len(data) > limit:", "if False:"),
            ("int64: an int", "if type(data) is not int:", "if False:"),
            ("int64: its size", "if not -_INT64 <= data < _INT64:", "if False:"),
            ("timezone: a tuple", "members = _of(tuple, data)", "members = data"),
            ("timedelta: a tuple", "microseconds = _of(tuple, data)", "microseconds = data"),
            ("range: a tuple", "_of(tuple, data)\n    return range", "data\n    return range"),
            ("slice: a tuple", "_of(tuple, data)\n    return slice", "data\n    return slice"),
            ("defaultdict: a tuple", "name, items = _of(tuple, data)", "name, items = data"),
            ("deque: a tuple", "items, maxlen = _of(tuple, data)", "items, maxlen = data"),
            (
                "datetime: a tuple",
                "_of(tuple, data)\n    moment = datetime.datetime",
                "data\n    moment = datetime.datetime",
            ),
            ("time: a tuple", "_of(tuple, data)\n    moment = datetime.time.", "data\n    moment = datetime.time."),
            (
                "datetime: fold",
                "26)).replace(tzinfo=_zone(zone), fold=_of(int, fold))",
                "26)).replace(tzinfo=zone, fold=fold)",
            ),
            (
                "time: fold",
                "15)).replace(tzinfo=_zone(zone), fold=_of(int, fold))",
                "15)).replace(tzinfo=zone, fold=fold)",
            ),
            ("datetime: length of a text", "len(data) <= 32", "len(data) <= 9999"),
            ("datetime: length beside a zone", "_text(text, 26)", "_text(text, 9999)"),
            ("time: length of a text", "len(data) <= 21", "len(data) <= 9999"),
            ("time: length beside a zone", "_text(text, 15)", "_text(text, 9999)"),
            ("length of a zone's name", "_text(name, _NAME)", "name"),
            ("Decimal: length", "_DECIMAL_TEXT = 64", "_DECIMAL_TEXT = 9999"),
            ("Decimal: exponent", "if abs(value.adjusted()) > _DECIMAL_EXPONENT:", "if False:"),
            ("Decimal: signaling NaN", "elif value.is_snan():", "elif False:"),
            ("one spelling of dates, times and numbers", "if encode(value) != data:", "if False:"),
            ("deque: one spelling", "if len(value) != len(items):", "if False:"),
            ("timedelta: days", "_int64(days)", "days"),
            ("timedelta: seconds", "_int64(seconds)", "seconds"),
            ("timedelta: microseconds", "_int64(microseconds)", "microseconds"),
            ("range: start", "range(_int64(start)", "range(start"),
            ("range: stop", "_int64(stop)", "stop"),
            ("range: step", "_int64(step)", "step"),
            ("slice: bounds", "None if bound is None else _int64(bound)", "bound"),
            ("singletons have no data", "if data is not None:\n            raise", "if False:\n            raise"),
            ("Counter: ints", "_of(int, count)", "pass"),
            ("Counter: a dict", "counts = _of(dict, data)", "counts = dict(data)"),
            ("defaultdict: known factories", "if _FACTORIES.get(name) is not factory:", "if name not in _FACTORIES:"),
            ("defaultdict: a dict", "_of(dict, items)", "items"),
            ("deque: a list", "_of(list, items)", "items"),
            ("deque: maxlen", "None if maxlen is None else _int64(maxlen)", "maxlen"),
            ("OrderedDict: a dict", "    items = _of(dict, data)\n    if len", "    items: Any = data\n    if len"),
            ("OrderedDict: few keys that collide", "_ORDERED_KEYS = 128", "_ORDERED_KEYS = 9999"),
            ("OrderedDict: any texts", "sum(type(key) not in (str, bytes) for key in items)", "len(items)"),
            ("set: a list", "lambda data: set(_of(list, data))", "set"),
            ("frozenset: a list", "lambda data: frozenset(_of(list, data))", "frozenset"),
            ("bytearray: bytes", "bytearray(_of(bytes, data))", "bytearray(data)"),
            ("UUID: bytes", "_of(bytes, data))\n\n\n# ", "bytes(data))\n\n\n# "),
            ("attributes are not lost", 'if getattr(value, "__dict__", None):', "if False:"),
            ("length of a path", "_PATH_TEXT = 1024", "_PATH_TEXT = 9999"),
            ("length of an address", "_NAME = 64", "_NAME = 9999"),
            ("paths hold no NUL", '"\\0" in text or ', ""),
            ("spelling of paths and addresses", " or str(value) != text", ""),
        ]
    ),
    # ---------------------------------------------------------------------------------------------------------- shapes
    *(
        Mutation(name, "shapes.py", old, new, CLASS_CODECS)
        for name, old, new in [
            ("enum: never called", "lambda data: members[type(data), data]", "lambda data: cls(data)"),
            ("enum: no flags", "if issubclass(cls, enum.Flag):", "if False:"),
            (
                "enum: hashable values",
                "except TypeError:\n        raise ConfigError",
                "except EOFError:\n        raise ConfigError",
            ),
            ("dataclass: all fields are arguments", "if not field.init:", "if False:"),
            ("dataclass: all arguments are fields", "if name not in names", "if False"),
            ("fields: a tuple", "if type(data) is not tuple or len(data)", "if len(data)"),
            ("fields: their types", "if not check(value):", "if False:"),
            ("fields: known annotations", "except NameError as error:", "except EOFError as error:"),
            ("subclass: no enum", "and not issubclass(cls, enum.Enum)", ""),
            ("subclass: exactly the plain type", "if type(data) is not base:", "if False:"),
            ("subclass: no attributes", "if own:", "if False:"),
            ("zones: those named", "if zone.key not in zones:", "if False:"),
            ("zones: from the table", "lambda data: zones[data]", "lambda data: zoneinfo.ZoneInfo(data)"),
            (
                "annotation: exactly the class",
                "lambda value: type(value) is hint",
                "lambda value: isinstance(value, hint)",
            ),
            ("annotation: float is no bool", "type(value) in (float, int)", "isinstance(value, float | int)"),
            ("annotation: type of a literal", "type(value) is type(choice) and", ""),
            (
                "annotation: container's type",
                "type(value) is kind and all(map(check, value))",
                "all(map(check, value))",
            ),
            ("annotation: members", "type(value) is kind and all(map(check, value))", "type(value) is kind"),
            ("annotation: a tuple", "if type(value) is not tuple or", "if"),
            (
                "annotation: length of a tuple",
                "or len(value) != len(checks):\n            return False",
                ":\n            return False",
            ),
            ("annotation: keys", "check_key(key) and", ""),
            ("annotation: values", "check_key(key) and check_value(value[key])", "check_key(key)"),
        ]
    ),
    # ------------------------------------------------------------------------------------------------------------ seal
    *(
        Mutation(name, "seal.py", old, new, SEAL)
        for name, old, new in [
            ("length of a token", "if len(token) > self._max_length:", "if False:"),
            ("the shortest token", "if len(envelope) < _HEAD + TIMES.size + _TAG:", "if False:"),
            ("the shortest sealed token", "if len(envelope) < key.least:", "if False:"),
            ("the MAC", "if compare_digest(mac.finalize(), tag):", "if True:"),
            ("sealed in the future", "sealed_at > now + self._leeway or", ""),
            ("begun after it was sealed", "or created > sealed_at + self._leeway", ""),
            ("idle timeout", "now > sealed_at + self._idle_timeout + self._leeway", "False"),
            ("absolute timeout", "if now > created + ends + self._leeway:", "if False:"),
            ("lifetime", "if lifetime is None else min(lifetime, self._absolute_timeout)", ""),
            ("a lifetime only shortens", "min(lifetime, self._absolute_timeout)", "lifetime"),
            ("a closer look: the future", "created <= sealed_at <= now <=", "now <="),
            ("a closer look: idle", "<= now <= sealed_at + self._idle_timeout\n", "<= now\n"),
            ("a closer look: absolute", "            and now <= created + self._absolute_timeout\n", ""),
            ("a closer look: lifetime", "            and lifetime is None\n", ""),
            (
                "the times are checked",
                "            self.check_times(now, created, sealed_at, lifetime)\n",
                "            pass\n",
            ),
        ]
    ),
    *(
        Mutation(name, "token_cache.py", old, new, TOKEN_CACHE)
        for name, old, new in [
            ("kept tokens: another keyring", "if keyring is not unsealed_by:", "if False:"),
            (
                "kept tokens: the keyring they are kept for",
                "            young[key] = unsealed",
                "            self._kept[0][key] = unsealed",
            ),
            (
                "kept tokens: the keyring of a generation",
                "                self._kept = young, old, keyring",
                "                self._kept = young, old, self._kept[2]",
            ),
            ("kept tokens: the binding", "key = token, binding and sha256(binding).digest()", 'key = token, b""'),
            (
                "kept tokens: the binding's place",
                "key = token, binding and sha256(binding).digest()",
                'key = token + binding, b""',
            ),
            (
                "kept tokens: the binding's length",
                "key = token, binding and sha256(binding).digest()",
                "key = token, binding",
            ),
            ("kept tokens: one look a second", "self._source.current(int(now))", "self._source.current(now)"),
            ("kept tokens: times", "        self._check_times(now, created, sealed_at, lifetime)", "        pass"),
            ("kept tokens: how many", "if len(young) >= self._half:", "if False:"),
            ("kept tokens: half of them each", "self._half = most // 2", "self._half = most"),
            ("kept tokens: the used ones stay", "old.get(key) or ", ""),
            ("kept tokens: large payloads", " and len(payload) <= self._largest:", ":"),
        ]
    ),
    Mutation("kept tokens: the option", "incoming.py", "if config.token_cache:", "if True:", TOKEN_CACHE),
    Mutation(
        "kept tokens: limits",
        "incoming.py",
        "config.token_cache, config.limits.size",
        "config.token_cache, 1 << 20",
        TOKEN_CACHE,
    ),
    Mutation(
        "kept tokens: range",
        "config.py",
        "if self.token_cache != 0 and not 2 <= self.token_cache <= _TOKENS_MAX:",
        "if False:",
        CONFIG,
    ),
    *(
        Mutation(name, "base64url.py", old, new, "tests/unit/sealing/test_base64url.py")
        for name, old, new in [
            ("base64: strict", "strict_mode=True", "strict_mode=False"),
            ("base64: strict, pybase64", '(padded, b"-_", True)', '(padded, b"-_", False)'),
            ("base64: one alphabet", "if _PLUS in text or _SLASH in text or", "if"),
            ("base64: no plus", "if _PLUS in text or", "if"),
            ("base64: no slash", " or _SLASH in text", ""),
            ("base64: no padding", " or _PADDING in text:", ":"),
            ("base64: the last character", "if end is not None and text[-1] not in end:", "if False:"),
        ]
    ),
    *(
        Mutation(name, "plaintext.py", old, new, SEAL)
        for name, old, new in [
            ("flags that are reserved", "flags & _RESERVED or", ""),
            ("flags of other serializers", "or flags & 3 > JSON:", ":"),
            ("room for a lifetime", "if start + 4 > end:", "if False:"),
            ("room for an id", "if start + SESSION_ID_BYTES > end:", "if False:"),
            ("length of the padding", "if not 1 <= plaintext[-1] <= end - start:", "if False:"),
            ("inflated size", "inflator.decompress(payload, INFLATED_MAX)", "inflator.decompress(payload)"),
            ("the end of what is deflated", "if not inflator.eof or", "if"),
            ("nothing after what is deflated", " or inflator.unused_data", ""),
        ]
    ),
    # --------------------------------------------------------------------------------------------- cookie and manager
    Mutation(
        "number of candidates",
        "cookie.py",
        "islice(self._every.finditer(header), CANDIDATES + 1)",
        "islice(self._every.finditer(header), None)",
        COOKIE,
    ),
    Mutation(
        "size of the cookie",
        "outgoing.py",
        "size = len(self._name) + len(token)\n        if size > LIMIT:",
        "size = len(self._name) + len(token)\n        if False:",
        MANAGER,
    ),
    *(
        Mutation(name, "form.py", old, new, SESSION_PAYLOAD)
        for name, old, new in [
            (
                "a session is a dict, or three things",
                "if type(value) is not list or len(value) != 3:",
                "if type(value) is not list:",
            ),
            (
                "three things are a list",
                "if type(value) is not list or len(value) != 3:",
                "if type(value) not in (list, tuple) or len(value) != 3:",
            ),
            ("the data are a dict", "        type(data) is not dict\n        or subject", "        subject"),
            ("a subject is a str", "(type(subject) is str and 0 < len(subject)", "(0 < len(str(subject))"),
            ("a subject is not empty", "0 < len(subject) <= SUBJECT_LENGTH", "len(subject) <= SUBJECT_LENGTH"),
            ("a subject is short", "0 < len(subject) <= SUBJECT_LENGTH", "0 < len(subject)"),
            (
                "a root is bytes",
                "type(root) is bytes and len(root) == SESSION_ID_BYTES",
                "len(str(root)) == SESSION_ID_BYTES",
            ),
            ("length of a root", "type(root) is bytes and len(root) == SESSION_ID_BYTES", "type(root) is bytes"),
            ("accepted serializers, JSON", 'if "json" in config.accept_serializers:', "if True:"),
            ("accepted serializers, pickle", 'if "pickle" in config.accept_serializers:', "if True:"),
            (
                "a root alone makes a list",
                "if session._subject is not None or session._root is not None:",
                "if session._subject is not None:",
            ),
        ]
    ),
    # ------------------------------------------------------------------------------------------------ in, and out
    *(
        Mutation(name, "revocation/store.py", old, new, f"{STORES} {REVOCATION}")
        for name, old, new in [
            ("what began in that second", "created <= self.not_before", "created < self.not_before"),
            ("what began since", "return created <= self.not_before and", "return"),
            ("the one that is exempt", " and not (self.exempt_lineage and self.exempt_lineage == lineage)", ""),
            ("only one is exempt", "and self.exempt_lineage == lineage)", ")"),
        ]
    ),
    *(
        Mutation(name, "manager.py", old, new, f"{REVOCATION} {SESSION}")
        for name, old, new in [
            (
                "how old the answer may be",
                "int(session._arrived - (self.config.store.staleness if self.config.store is not None else 0))",
                "int(session._arrived)",
            ),
            ("dated by arrival", "return int(session._arrived -", "return int(self.config.clock() -"),
            ("a revoked session calls no store, WSGI", "done = not session._revoked and store", "done = store"),
            ("a revoked session calls no store, ASGI", "not session._revoked and await self", "await self"),
            ("what was revoked is sealed no more", "            session._revoked = True\n", ""),
            (
                "it acts as the session that came in",
                "if origin is not None and session._came_as is not None:",
                "if False:",
            ),
            ("own revocations are no obstacle", "if key not in ended)", ")"),
            (
                "the exempt lineage",
                "session._root = None if session._sid == revocation.exempt else revocation.exempt",
                "pass",
            ),
            ("revocations after the request", "if self.awaits and session._pending is not None:", "if self.awaits:"),
        ]
    ),
    *(
        Mutation(name, "outgoing.py", old, new, MANAGER)
        for name, old, new in [
            ("old requests send nothing unrequested", "session._arrived <= PROMPT", "session._arrived <= 10**9"),
            ("public responses", " and not self._headers.is_public(headers)", ""),
            ("what would soon end", " or ends_soon)", ")"),
            ("cookies that were not tried", "session._keeps_cookie or not", "not"),
        ]
    ),
    *(
        Mutation(name, "incoming.py", old, new, f"{REVOCATION} {MANAGER} {EVENTS}")
        for name, old, new in [
            ("the store is called, WSGI", "self._is_revoked(session, keys, self._store.find(keys))", "False"),
            ("the store is called, ASGI", "self._is_revoked(session, keys, await store.afind(keys))", "False"),
            (
                "sessions are looked up",
                "keys = [] if lineage is None else [OF_SESSION + lineage]",
                "keys: list[bytes] = []",
            ),
            (
                "roots are looked up",
                "session._came_under = session._root or sid",
                "session._came_under = sid",
            ),
            ("subjects are looked up", "keys.append(subject_key(session._subject))", "pass"),
            ("as many answers as questions", "if len(entries) != len(keys):", "if False:"),
            (
                "nothing to ask, WSGI",
                "if self._store is not None and (keys := _keys_of(session)):",
                "keys = _keys_of(session)\n            if self._store is not None:",
            ),
            (
                "nothing to ask, ASGI",
                "            if keys := _keys_of(session):",
                "            keys = _keys_of(session)\n            if True:",
            ),
            ("a new seal is no way out", "entry.refuses(session._created,", "entry.refuses(session._origin.sealed_at,"),
            ("rejected while the store fails", "if self._allow_on_store_error:", "if True:"),
            ("allowed while the store fails", "if self._allow_on_store_error:", "if False:"),
            (
                "the reason that keeps the cookie",
                "or (error.reason in RETRYABLE_REASONS and session._rejected not in RETRYABLE_REASONS)",
                "",
            ),
            ("the first reason", "session._rejected is None or (", "True or ("),
            ("the newest candidate", "key=lambda unsealed: -unsealed.sealed_at", "key=lambda unsealed: 0"),
        ]
    ),
    *(
        Mutation(
            f"errors of {store}, {interface}",
            "incoming.py",
            f"{call}(keys))\n{indent}except Exception as error:",
            f"{call}(keys))\n{indent}except EOFError as error:",
            REVOCATION,
        )
        for store, interface, call, indent in [
            ("somebody's store", "WSGI", "self._store.find", 16 * " "),
            ("somebody's store", "ASGI", "store.afind", 16 * " "),
        ]
    ),
    *(
        Mutation(name, "outgoing.py", old, new, f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}")
        for name, old, new in [
            (
                "a cookie that may be right elsewhere stays",
                "if session._rejected in RETRYABLE_REASONS and not session._invalidated:",
                "if False:",
            ),
            (
                "an id does not take its place",
                "if origin is None and is_empty and not session._save:",
                "if origin is None and is_empty and not session._save and session._sid is None:",
            ),
            ("a bad cookie is deleted", "return self._deletion_of_rejected(session, headers)", "return None"),
            (
                "invalidate() deletes any cookie",
                "in RETRYABLE_REASONS and not session._invalidated:",
                "in RETRYABLE_REASONS:",
            ),
            ("fallback keys are replaced", "if origin.by_fallback:", "if False:"),
            ("refreshing", "elif now - origin.sealed_at >= self._refresh_interval or", "elif False or"),
            ("ids for sessions from before the store", "self._needs_sid and origin.sid is None", "False"),
            ("Max-Age is not 0", "max(remaining, 1)", "remaining"),
            ("Max-Age is at most 400 days", "min(max(remaining, 1), MAX_AGE_LIMIT)", "max(remaining, 1)"),
            ("a lifetime is a change", "\n                    and session._lifetime == origin.lifetime\n", "\n"),
            ("a new beginning is a change", "\n                    and session._created == origin.created\n", "\n"),
            ("a failing response saves nothing", "if status >= 500 and not self._config.save_on_error:", "if False:"),
            (
                "a subject alone is worth a cookie",
                "is_empty = not session and session._subject is None",
                "is_empty = not session",
            ),
        ]
    ),
    *(
        Mutation(name, "session.py", old, new, f"{SESSION} {REVOCATION}")
        for name, old, new in [
            ("a new id keeps the root", "            self._root = self._root or self._sid\n", "            pass\n"),
            (
                "no root without a store",
                "if self._manager.revokes:",
                "if True:",
            ),
            ("invalidate() drops the root", "self._sid = self._root = self._lifetime", "self._sid = self._lifetime"),
            ("roots are revoked", "(self._came_under, self._root or self._sid, exempt)", "(self._sid,)"),
            (
                "what was begun again is revoked",
                "(self._came_under, self._root or self._sid, exempt)",
                "(self._came_under,)",
            ),
        ]
    ),
    *(
        Mutation(name, file, old, new, REVOCATION)
        for name, file, old, new in [
            (
                "a root that could not be looked up is kept",
                "incoming.py",
                "session._came_under = came_under",
                "session._came_under = None",
            ),
            ("a day for requests under way", "manager.py", "(0 if self.config.timeouts.absolute else DAY)", "0"),
            (
                "what was not told is kept",
                "manager.py",
                "session._pending.insert(0, revocation)\n",
                "pass\n",
            ),
            (
                "telling is not cancelled",
                "asgi.py",
                "await asyncio.shield(self.manager.finish(session))",
                "await self.manager.finish(session)",
            ),
        ]
    ),
    *(
        Mutation(name, "revocation/sqlite.py", old, new, f"{STORES} -k sqlite")
        for name, old, new in [
            ("a directory that exists", "if not os.path.isdir(directory):", "if False:"),
            ("a file, where there is something", "os.path.exists(real) and not os.path.isfile(real)", "False"),
            ("what can be written", "not _is_writable(each)", "False"),
            ("of a link its target", "real = os.path.realpath(path)", "real = path"),
        ]
    ),
    *(
        Mutation(name, "revocation/redis.py", old, new, f"{STORES} -k redis")
        for name, old, new in [
            ("replicas are left", "(redis.ConnectionError, redis.ReadOnlyError)", "(redis.ConnectionError,)"),
            ("arguments are not told", 'str(error).partition(", with args")[0]', "str(error)"),
        ]
    ),
    *(
        Mutation(name, "lifetimes.py", old, new, f"{LIFETIMES} {CONFIG}")
        for name, old, new in [
            ("presets that exist", "if preset not in PRESETS:", "if False:"),
            (
                "a preset alone",
                "if (idle, absolute) not in ((DEFAULT_IDLE, DEFAULT_ABSOLUTE), PRESETS[preset]):",
                "if False:",
            ),
            ("one timeout at least", "if idle is None and absolute is None:", "if False:"),
            ("timeouts over 0", "if seconds is not None and seconds <= 0:", "if False:"),
            (
                "a lifetime ends a session",
                "for seconds in (self.absolute, lifetime)",
                "for seconds in (self.absolute,)",
            ),
            ("the earliest end", "return min(ends)", "return ends[0]"),
        ]
    ),
    *(
        Mutation(name, "events.py", old, new, EVENTS)
        for name, old, new in [
            (
                "errors of the hook",
                "except Exception as error:  # noqa: BLE001  # the hook belongs to the application",
                "except EOFError as error:",
            ),
            ("the hook's error is its type", "type(error).__name__, kind)", "repr(error), kind)"),
            ("nothing without a hook", "        if self._hook is None:\n            return\n", ""),
            (
                "names are hashes",
                "blake2b(session_id, key=self._hash_key, digest_size=8).hexdigest()",
                "session_id.hex()[:16]",
            ),
            (
                "names are keyed",
                "blake2b(session_id, key=self._hash_key, digest_size=8)",
                "blake2b(session_id, digest_size=8)",
            ),
        ]
    ),
    *(
        Mutation(name, "keys.py", old, new, KEYS)
        for name, old, new in [
            ("one primary key", "if primaries != 1:", "if False:"),
            ("all encrypt, or none", "if len({pair.encrypt is None for pair in pairs}) != 1:", "if False:"),
            ("keys are there once", "if len(set(every_key)) != len(every_key):", "if False:"),
            ("files open to everybody", "    warn_if_world_readable(path, status)\n", ""),
            ("the primary key comes first", 'sorted(pairs, key=lambda pair: pair.state != "primary")', "list(pairs)"),
        ]
    ),
    *(
        Mutation(name, "seal.py", old, new, SEAL)
        for name, old, new in [
            ("a new keyring unseals", "current(int(now))) is not keys.keyring:", "current(int(now))) is None:"),
            ("a new keyring seals", "current(now)) is not keys.keyring:", "current(now)) is None:"),
            ("unsealing keeps what is ready", "current(int(now))) is not keys.keyring:", "current(int(now))):"),
            ("sealing keeps what is ready", "current(now)) is not keys.keyring:", "current(now)):"),
            ("fallback keys are told apart", 'subkeys.state == "fallback"', "False"),
            ("staged keys are no fallback", 'subkeys.state == "fallback"', 'subkeys.state != "primary"'),
            ("compressed only when shorter", "if len(deflated) < len(payload):", "if True:"),
            ("small payloads may stay as they are", " and len(payload) > self._deflate_over", ""),
            (
                "a binding's length, sealing",
                "mac.update(body + (binding + U32.pack(len(binding)) if binding else _NO_BINDING))",
                "mac.update(body + binding)",
            ),
        ]
    ),
    *(
        Mutation(name, "rotation.py", old, new, ROTATION)
        for name, old, new in [
            ("promotions are taken back", "if not (force or has_sealed) and (", "if not force and ("),
            ("unknown fallbacks wait", "has_sealed = chosen.fallback_at is not None", "has_sealed = True"),
            ("who seals again is no fallback", "primary_at=now, fallback_at=None)", "primary_at=now)"),
        ]
    ),
    Mutation(
        "a fork looks for itself", "keyring_file.py", "setdefault(os.getpid(), me", "setdefault(0, me", KEYRING_FILE
    ),
    Mutation(
        "a fork has locks of its own",
        "revocation/store.py",
        "            alive._lock = threading.Lock()",
        "            pass",
        f"{STORES} -k fork",
    ),
    Mutation(
        "nobody awaits hooks",
        "config.py",
        "if iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):",
        "if False:",
        CONFIG,
    ),
    Mutation("keys are no ids", "keyring_file.py", "[A-Za-z0-9._-]{1,31}", "[A-Za-z0-9._-]{1,64}", KEYRING_FILE),
    Mutation(
        "no url in a repr",
        "config.py",
        "str | None = field(default=None, repr=False)\n    on_store",
        "str | None = None\n    on_store",
        CONFIG,
    ),
    Mutation("a config keeps no key", "config.py", 'self._set("validate_key", self.keys)', "pass", CONFIG),
    Mutation("a config keeps no encrypt_key", "config.py", 'self._set("encrypt_key", self.keys)', "pass", CONFIG),
    Mutation(
        "a copy is not signed only by mistake",
        "options.py",
        "if isinstance(validate_key, Keyring) or isinstance(encrypt_key, Keyring):",
        "if False:",
        CONFIG,
    ),
    Mutation("keys do not show", "key_rules.py", "    __str__ = __repr__\n", "", KEYS),
    *(
        Mutation(name, "key_rules.py", old, new, "tests/unit/sealing/test_key_rules.py")
        for name, old, new in [
            (
                "sentences are not keys",
                "(_WORD.search(text) or _ONE_CASE.fullmatch(text))",
                "_ONE_CASE.fullmatch(text)",
            ),
            ("words of one case are not keys", " or _ONE_CASE.fullmatch(text))", ")"),
            ("white space is not part of a key", "if text != text.strip():", "if False:"),
            ("one key in a text", "if len(parts) > 1 and all(map(is_key_text, parts)):", "if False:"),
            ("examples are refused", "decoded in _decoded_examples()", "False"),
            ("placeholders are refused", "if _PLACEHOLDER.search(text):", "if False:"),
            ("hashes of words are refused", " or decoded in _hashes_of_words():", ":"),
            ("patterns in what is encoded", " or (_pattern_in(decoded) if decoded else None)", ""),
            ("counters of several bytes", "_COUNTER_WIDTHS = (1, 2, 4, 8)", "_COUNTER_WIDTHS = (1,)"),
            ("files of text", "if len(content) <= FILE_LIMIT and _is_text(content):", "if content.isascii():"),
            ("long files", "if len(content) <= FILE_LIMIT and _is_text(content):", "if _is_text(content):"),
        ]
    ),
    Mutation(
        "errors without our frames", "errors.py", "            drop_own_frames(error)\n", "            pass\n", FRAMES
    ),
    Mutation("reloads without our frames", "keyring_file.py", "                drop_own_frames(error)\n", "", FRAMES),
    Mutation("subkeys do not show", "keys.py", "return SecretBytes(HKDF(", "return bytes(HKDF(", KEYS),
    Mutation("what is sealed can be read", "config.py", "if self.serializer not in accepted:", "if False:", CONFIG),
    Mutation("serializers that exist", "config.py", "if self.serializer not in SERIALIZERS:", "if False:", CONFIG),
    *(
        Mutation(name, "options.py", old, new, "tests/unit/test_options.py")
        for name, old, new in [
            ("applications can be called", "if not callable(app):", "if False:"),
            ("applications are called by their arguments", "signature.bind(*arguments)", "pass"),
            ("WSGI awaits nothing", "inspect.iscoroutinefunction(call)", "False"),
            ("what does not tell is taken", "except (TypeError, ValueError, NameError):", "except NameError:"),
        ]
    ),
    Mutation(
        "the window is wide enough",
        "plaintext.py",
        "(len(payload) + _BEYOND).bit_length()",
        "len(payload).bit_length()",
        SEAL,
    ),
    # -------------------------------------------------------------------------------------- sealed state: what is read
    Mutation(
        "what holds a reference is not made",
        "deferred.py",
        "if not fetching and contains_deferred(deferred.data):",
        "if False:",
        REFERENCES,
    ),
    Mutation("sealing fetches nothing", "deferred.py", "    if fetching:\n", "    if True:\n", REFERENCES),
    Mutation(
        "references are checked when sealed",
        "deferred.py",
        "        deferred.decode(deferred.data)\n        return deferred\n",
        "        return deferred\n",
        REFERENCES,
    ),
    Mutation(
        "references go together",
        "deferred.py",
        "            _fetch_together(fetch, deferred)\n",
        "            pass\n",
        REFERENCES,
    ),
    Mutation(
        "a value for each reference", "deferred.py", "if len(values) != len(references):", "if False:", REFERENCES
    ),
    Mutation(
        "what fetch raises passes",
        "pickling.py",
        "except NotFetched as error:",
        "except EOFError as error:",
        REFERENCES,
    ),
    Mutation(
        "references are fetched once",
        "deferred.py",
        "    if deferred.made:\n        return deferred.made[0]\n",
        "",
        REFERENCES,
    ),
    Mutation(
        "references of references",
        "deferred.py",
        "value.fetch is not None and not contains_deferred(value.data)",
        "value.fetch is not None",
        REFERENCES,
    ),
    Mutation(
        "families are adopted",
        "pickling.py",
        "if type(error) is _NotPlain and self._registry.adopt(*error.args):",
        "if False:",
        REFERENCES,
    ),
    Mutation(
        "only of a family",
        "references.py",
        "if base in self._families:",
        "if next(iter(self._families.values())):",
        REFERENCES,
    ),
    Mutation(
        "a family's decoder makes a member", "references.py", "if not isinstance(value, base):", "if False:", REFERENCES
    ),
    Mutation(
        "fetch is a function", "references.py", "if fetch is not None and not callable(fetch):", "if False:", REFERENCES
    ),
    Mutation(
        "a state is a list", "state/payload.py", "if type(content) is not list:", "if content is None:", STATE_PAYLOAD
    ),
    Mutation(
        "a value stands alone",
        "state/payload.py",
        "len(content) == 3 and type(content[2]) is str",
        "type(content[2]) is str",
        STATE_PAYLOAD,
    ),
    Mutation(
        "a value stands behind None",
        "state/payload.py",
        "if not content or content[0] is not None:",
        "if not content:",
        STATE_PAYLOAD,
    ),
    Mutation(
        "the shape of an object",
        "state/payload.py",
        "if [*map(type, content)] != _OBJECT_TYPES:",
        "if len(content) != 4:",
        STATE_PAYLOAD,
    ),
    Mutation(
        "keywords are texts",
        "state/payload.py",
        "{*map(type, content[2]), *map(type, content[3])}",
        "{*map(type, content[3])}",
        STATE_PAYLOAD,
    ),
    Mutation(
        "attributes are texts",
        "state/payload.py",
        "{*map(type, content[2]), *map(type, content[3])}",
        "{*map(type, content[2])}",
        STATE_PAYLOAD,
    ),
    Mutation(
        "attributes are public",
        "state/payload.py",
        ' and not any(name[:1] == "_"',
        " and not any(name == 1",
        STATE_PAYLOAD,
    ),
    # ----------------------------------------------------------------------------------- sealed state: whose, how long
    Mutation("a token is of a session", "state/sealer.py", "{len(session_id)}:{session_id}{user}", "{user}", STATE),
    Mutation("a token is of a user", "state/sealer.py", "{session_id}{user}", "{session_id}", STATE),
    Mutation("where a session's id ends", "state/sealer.py", "{len(session_id)}:", "", STATE),
    Mutation("a token is of a sealer", "state/sealer.py", "state:{name}:", "state:", STATE),
    Mutation("max_age", "state/sealer.py", "idle_timeout=max_age,", "", STATE),
    Mutation("leeway of states", "state/sealer.py", "leeway=leeway,\n                max_length", "max_length", STATE),
    Mutation("how long a token may come", "state/sealer.py", "max_length=max_size,", "max_length=65536,", STATE),
    Mutation("how long a token may go", "state/sealer.py", "if len(token) > self._max_size:", "if False:", STATE),
    Mutation("a session without an id", "state/sealer.py", "if not session_id:", "if False:", STATE),
    Mutation("owners are texts", "state/sealer.py", "if not isinstance(value, str):", "if False:", STATE),
    Mutation("a token is a text", "state/sealer.py", "if not isinstance(token, str):", "if False:", STATE),
    Mutation(
        "the class that is due",
        "state/sealer.py",
        "if known is not None and not issubclass(known, cls):",
        "if False:",
        STATE,
    ),
    Mutation(
        "a class that is gone",
        "state/sealer.py",
        "if cls is None:\n            raise Stale",
        "if False:\n            raise Stale",
        STATE,
    ),
    Mutation(
        "resumable classes",
        "state/sealer.py",
        "if not (isinstance(cls, type) and issubclass(cls, Resumable)):",
        "if False:",
        STATE,
    ),
    Mutation("a class is registered once", "state/sealer.py", "if cls in self._codes:", "if False:", STATE),
    Mutation("a class's code is its own", "state/sealer.py", "if code in self._classes:", "if False:", STATE),
    Mutation(
        "a class's code is a text", "state/sealer.py", "if type(code) is not str or not code:", "if False:", STATE
    ),
    Mutation("a dataclass is not loaded", "state/sealer.py", "        check_resumable(cls)\n", "", STATE),
    Mutation("a code is no class", "state/sealer.py", "if isinstance(cls, str):", "if False:", STATE),
    Mutation("owners are any text", "keys.py", '.encode("utf-8", "surrogatepass")', ".encode()", STATE),
    Mutation("the purpose of a value", "state/sealer.py", "if sealed_for != purpose:", "if False:", STATE),
    Mutation(
        "an object is no value",
        "state/sealer.py",
        "if content[0] is not None:",
        "if False:",
        STATE,
    ),
    Mutation("subkeys are bounded", "state/sealer.py", "@lru_cache(_SEALERS)", "@lru_cache(None)", STATE),
    Mutation("coroutines", "state/sealer.py", "if inspect.iscoroutine(result):", "if False:", STATE),
    # ------------------------------------------------------------------------------------ sealed state: what is called
    Mutation("methods are marked", "state/resumable.py", "if not _is_marked(method):", "if False:", RESUMABLE),
    Mutation(
        "marks are not copied",
        "state/resumable.py",
        "vars(method).get(_PUBLIC) is method",
        "vars(method).get(_PUBLIC) is not None",
        RESUMABLE,
    ),
    Mutation(
        "marks of private names",
        "state/resumable.py",
        "if marked is not None and marked is member and",
        "if False and",
        RESUMABLE,
    ),
    Mutation(
        "marks that are hidden",
        "state/resumable.py",
        "if marked is not None and not any(",
        "if False and any(",
        RESUMABLE,
    ),
    Mutation("marks without parentheses", "state/resumable.py", "if method is None:", "if False:", RESUMABLE),
    Mutation(
        "load's own first argument",
        "state/resumable.py",
        '_find_member(cls, "load")), error, (target, *args)',
        "target.load), error, args",
        RESUMABLE,
    ),
    Mutation("private methods", "state/resumable.py", 'if name.startswith("_") or not', "if not", RESUMABLE),
    Mutation(
        "methods are the class's",
        "state/resumable.py",
        "method = _find_member(type(self), name)",
        "method = getattr(self, name, None)",
        RESUMABLE,
    ),
    Mutation(
        "whose TypeError, in a method",
        "state/resumable.py",
        "if not _is_argument_error(method, error, (self, *args), kwargs):",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "whose TypeError, in load",
        "state/resumable.py",
        'if not _is_argument_error(cast(Any, _find_member(cls, "load")), error, (target, *args), kwargs):',
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "arguments of a method",
        "state/resumable.py",
        "if not _is_argument_error(method, error, (self, *args), kwargs):",
        "if True:",
        RESUMABLE,
    ),
    Mutation(
        "arguments of load",
        "state/resumable.py",
        'if not _is_argument_error(cast(Any, _find_member(cls, "load")), error, (target, *args), kwargs):',
        "if True:",
        RESUMABLE,
    ),
    Mutation(
        "a state shadows no method",
        "state/resumable.py",
        "if not cls._sealedsession_methods.isdisjoint(state):",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "no method is sealed over",
        "state/resumable.py",
        "for name in self._sealedsession_methods.intersection(attributes):",
        "for name in ():",
        RESUMABLE,
    ),
    Mutation(
        "private attributes",
        "state/resumable.py",
        'if name[:1] != "_" and name not in loaded}',
        "if name not in loaded}",
        RESUMABLE,
    ),
    Mutation("what load sets", "state/resumable.py", "record.names.add(name)", "pass", RESUMABLE),
    Mutation(
        "load comes to an end", "state/resumable.py", "        record.is_running = False\n", "        pass\n", RESUMABLE
    ),
    Mutation("stale_on", "state/resumable.py", "except cls.stale_on as error:", "except EOFError as error:", RESUMABLE),
    Mutation(
        "stale_on is checked", "state/resumable.py", "if type(stale_on) is not tuple or", "if False and", RESUMABLE
    ),
    Mutation(
        "names that are ours",
        "state/resumable.py",
        "if _find_member(cls, reserved) is not vars(Resumable)[reserved]:",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "load is a method",
        "state/resumable.py",
        "if not isinstance(load, FunctionType) or inspect.iscoroutinefunction(load):",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "slots",
        "state/resumable.py",
        "if isinstance(_find_member(cls, attribute), MemberDescriptorType):",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "what all users would share",
        "state/resumable.py",
        "if isinstance(member, list | dict | set) and",
        "if False and",
        RESUMABLE,
    ),
    Mutation(
        "a mark that does nothing", "state/resumable.py", "if type(method) is not FunctionType:", "if False:", RESUMABLE
    ),
    Mutation("the length of a call", "state/protocol.py", "if len(body) > max_length:", "if False:", STATE_CALLS),
    Mutation(
        "calls are UTF-8",
        "state/protocol.py",
        'str(body, "utf-8")',
        "str(body, json.detect_encoding(body))",
        STATE_CALLS,
    ),
    Mutation("names are given once", "state/protocol.py", "if len(members) != len(pairs):", "if False:", STATE_CALLS),
    Mutation(
        "numbers are finite",
        "state/protocol.py",
        "if not math.isfinite(value := float(number)):",
        "if (value := float(number)) is None:",
        STATE_CALLS,
    ),
    Mutation(
        "the members of a call",
        "state/protocol.py",
        "if {name: type(member) for name, member in call.items()} == _MEMBERS:",
        "if set(call) == set(_MEMBERS):",
        STATE_CALLS,
    ),
    Mutation(
        "deep calls",
        "state/protocol.py",
        "except (ValueError, RecursionError) as error:\n        raise StateError",
        "except ValueError as error:\n        raise StateError",
        STATE_CALLS,
    ),
    Mutation("answers without NaN", "state/protocol.py", ", allow_nan=False", "", STATE_CALLS),
    Mutation(
        "states are encrypted", "state/sealer.py", "if ring.pairs[0].encrypt is None:", "if False:", STATE_OPTIONS
    ),
    Mutation(
        "states have both keys",
        "state/sealer.py",
        "if missing := [option for option, key in pair.items() if key is None]:",
        'if missing := ["validate_key"] * (validate_key is None):',
        STATE_OPTIONS,
    ),
    Mutation("a name has no colon", "state/sealer.py", ' or ":" in name', "", STATE_OPTIONS),
    Mutation("offers", "integrations/hyperdiv/props.py", "if offer >= 0:", "if True:", HYPERDIV),
    Mutation(
        "what is around a token", "integrations/hyperdiv/tokens.py", "_FOREIGN.sub('?', token)", "token", HYPERDIV
    ),
    # ---------------------------------------------------------------------------------- sealed state: what is answered
    Mutation(
        "errors of generators",
        "state/middleware.py",
        "return parts if is_file or isinstance(parts, list | tuple) else",
        "return parts if True else",
        STATE_RESPONSES,
    ),
    Mutation(
        "files stay files",
        "state/middleware.py",
        "return parts if is_file or isinstance",
        "return parts if isinstance",
        STATE_RESPONSES,
    ),
    Mutation(
        "iterables are closed", "state/middleware.py", "            close()\n", "            pass\n", STATE_RESPONSES
    ),
    Mutation("too late in WSGI", "state/middleware.py", ", headers, sys.exc_info())", ", headers)", STATE_RESPONSES),
    Mutation(
        "no body for HEAD",
        "state/middleware.py",
        'return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]',
        "return [body]",
        STATE_RESPONSES,
    ),
    Mutation(
        "too late in ASGI",
        "state/middleware.py",
        "            if has_begun:\n                raise\n",
        "",
        STATE_RESPONSES,
    ),
    Mutation(
        "only http in ASGI",
        "state/middleware.py",
        'has_begun = scope["type"] != "http"',
        "has_begun = False",
        STATE_RESPONSES,
    ),
    Mutation(
        "the noun of events",
        "events.py",
        'logger.log(_level(error), "%s %r rejected, %s", self._what,',
        'logger.log(_level(error), "%s %r rejected, %s", "cookie",',
        EVENTS,
    ),
    Mutation(
        "stale states are no warnings",
        "events.py",
        "level = logging.INFO if stale else logging.WARNING",
        "level = logging.WARNING",
        EVENTS,
    ),
    # ------------------------------------------------------------------------------------ recipes of QuerySets
    *(
        Mutation(name, f"integrations/django/{file}", old, new, RECIPES)
        for name, file, old, new in [
            (
                "a recipe says the same",
                "querysets/encode.py",
                "        if _decodes_to(recipe, wanted, budgets):",
                "        if True:",
            ),
            (
                "the alphabet of paths",
                "querysets/decode_expressions.py",
                r're.compile(r"[\w-]{1,500}")',
                r're.compile(r"(?s:.){1,500}")',
            ),
            ("known connectors", "querysets/decode_expressions.py", "or connector not in CONNECTORS", ""),
            (
                "known values",
                "querysets/decode_expressions.py",
                "if value is not None and kind not in SCALARS and",
                "if False and",
            ),
            ("nodes are counted", "budget.py", "        if self.weight < 0:", "        if False:"),
            ("joins are counted", "querysets/joins.py", "        if len(self._paid) > JOINS:", "        if False:"),
            (
                "dicts for their fields only",
                "querysets/decode_expressions.py",
                "            if has_dict and not (",
                "            if False and not (",
            ),
            (
                "XOR counts twice",
                "querysets/decode_expressions.py",
                'copies = 2 if connector == "XOR" else 1',
                "copies = 1",
            ),
            (
                "no annotation is descending",
                "querysets/decode_expressions.py",
                'if check_path(name).startswith("-"):',
                "if check_path(name) is None:",
            ),
            (
                "lists are nodes",
                "querysets/decode_expressions.py",
                "        self._budget.pay_node()\n        conn",
                "        conn",
            ),
            ("negations weigh more", "budget.py", "        if self.negations:", "        if False:"),
            ("copies are paid", "budget.py", "self.pay(1 + copied // _COPIED)", "pass"),
            ("what unions keep is copied", "querysets/decode.py", "self._budget.nodes += own", "pass"),
            (
                "all of an intersection",
                "querysets/decode.py",
                "check_type(every, bool)\n        return self.queryset.i",
                "return self.queryset.i",
            ),
            (
                "all of a difference",
                "querysets/decode.py",
                "check_type(every, bool)\n        return self.queryset.d",
                "return self.queryset.d",
            ),
            (
                "one spelling of a label",
                "validation.py",
                "if model is None or model._meta.label != label:",
                "if model is None:",
            ),
            ("related rows", "querysets/decode.py", 'or hasattr(member, "__set__")', "or isinstance(member, property)"),
            ("errors of managers", "querysets/decode.py", "raise ManagerError(error) from None", "raise"),
            ("no content type is written", "querysets/decode.py", 'if sql.startswith("INSERT"):', "if False:"),
            ("none is followed alone", "values.py", "nested = base in _LAZY", "nested = True"),
            ("relations only", "querysets/spec.py", "        if name not in relations:", "        if False:"),
        ]
    ),
    Mutation(
        "references in plain data",
        "pickling.py",
        "if self.deferred and entry.plain and contains_deferred(data):",
        "if False:",
        REFERENCES,
    ),
    Mutation("late values in plain data", "limits.py", "if entry.plain and (late", "if False and (late", REFERENCES),
    # ------------------------------------------------------------------------------------ other values of Django
    *(
        Mutation(name, f"integrations/django/{file}", old, new, f"tests/unit/integrations/django/{tests}")
        for name, file, old, new, tests in [
            (
                "pks are checked first",
                "references.py",
                "            _check_spelling(model, pk, db.connections[using])",
                "            pass",
                "test_rows.py",
            ),
            (
                "pks can be sent",
                "references.py",
                "        field.get_db_prep_value(part, connection)",
                "        pass",
                "test_rows.py",
            ),
            (
                "pks without NUL",
                "references.py",
                'if type(part) is str and "\\0" in part:',
                "if False:",
                "test_rows.py",
            ),
            (
                "whose errors rows have",
                "references.py",
                "except _DATABASE_ERRORS as",
                "except _FIELD_ERRORS as",
                "test_rows.py",
            ),
            ("long names", "blocks.py", " or len(name) > _NAME_MAX", "", "test_django_values.py"),
            (
                "names not found",
                "blocks.py",
                "        _forget_missing(backend.engine, name)\n",
                "",
                "test_django_values.py",
            ),
            (
                "errors of forms",
                "values.py",
                "decode=codec.decode, deferred=True, fetch=make_forms",
                "",
                "test_django_values.py",
            ),
            (
                "frames with keys",
                "conf.py",
                "@without_own_frames  # Django's debug page",
                "# Django's debug page",
                SETTINGS,
            ),
            (
                "classes after the sealer",
                "conf.py",
                "_sealer.register(cls, code)  #",
                "forget_state_sealer()  #",
                SETTINGS,
            ),
        ]
    ),
]


def copy(to: Path) -> None:
    """Copy what the tests need."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=NOT_COPIED)
        else:
            shutil.copy(ROOT / name, to / name)


def run(directory: Path, tests: str) -> tuple[int, str]:
    """Run tests in a copy: pytest's exit code, `FAILED` where they do not end; and what it wrote."""
    words = re.findall(r"\S+", tests)
    command = [sys.executable, "-c", PYTEST, *words]
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return FAILED, f"not done within {LIMIT} seconds"
    return done.returncode, done.stdout + done.stderr


def check_tests(tests: str) -> None:
    """Make sure that tests pass while all guards are there: otherwise their failing says nothing."""
    with tempfile.TemporaryDirectory() as directory:
        copy(Path(directory))
        code, output = run(Path(directory), tests)
    if code != PASSED:
        sys.exit(f"{tests} fails with all guards in place:\n{output}")


def mutated(mutation: Mutation) -> str | None:
    """Return the text of a module without one guard, or None if the guard's text is not in it exactly once."""
    text = (ROOT / "sealedsession" / mutation.file).read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        return None
    changed = text.replace(mutation.old, mutation.new)
    compile(changed, mutation.file, "exec")
    return changed


def survives(mutation: Mutation) -> bool:
    """Take out one guard of a copy, and say whether the tests pass all the same."""
    changed = mutated(mutation)
    assert changed is not None  # stale rows are sorted out before
    with tempfile.TemporaryDirectory() as directory:
        copy(Path(directory))
        Path(directory, "sealedsession", mutation.file).write_text(changed, encoding="utf-8")
        code, output = run(Path(directory), mutation.tests)
    if code not in (PASSED, FAILED):
        sys.exit(f"{mutation.name}: pytest could not run:\n{output}")
    return code == PASSED


def main(words: list[str]) -> int:
    """Run the rows that words choose, or all."""
    chosen = [row for row in MUTATIONS if not words or any(word in f"{row.file}: {row.name}" for word in words)]
    stale = [row for row in chosen if mutated(row) is None]
    for row in stale:
        print(f"STALE     {row.file}: {row.name}", flush=True)
    chosen = [row for row in chosen if row not in stale]
    with ThreadPoolExecutor(cpu_count()) as pool:
        list(pool.map(check_tests, sorted({row.tests for row in chosen})))
        survived = 0
        for row, alive in zip(chosen, pool.map(survives, chosen), strict=True):
            survived += alive
            print(f"{'SURVIVED' if alive else 'killed  '}  {row.file}: {row.name}", flush=True)
    print(f"{len(chosen) - survived} killed, {survived} survived, {len(stale)} stale")
    return 1 if survived or stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
