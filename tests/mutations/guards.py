# ruff: noqa: E501  # the rows quote source lines
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
    Mutation(
        "sending revocations is not cancelled",
        "asgi.py",
        "await asyncio.shield(self.manager.finish(session))",
        "await self.manager.finish(session)",
        REVOCATION,
    ),
    Mutation(
        "token cache: range of the option",
        "config.py",
        "if self.token_cache != 0 and not 2 <= self.token_cache <= _TOKENS_MAX:",
        "if False:",
        CONFIG,
    ),
    Mutation("only known presets", "config.py", "if preset not in PRESETS:", "if False:", f"{LIFETIMES} {CONFIG}"),
    Mutation(
        "a preset excludes other timeouts",
        "config.py",
        "if (idle, absolute) not in ((DEFAULT_IDLE, DEFAULT_ABSOLUTE), PRESETS[preset]):",
        "if False:",
        f"{LIFETIMES} {CONFIG}",
    ),
    Mutation(
        "at least one timeout",
        "config.py",
        "if idle is None and absolute is None:",
        "if False:",
        f"{LIFETIMES} {CONFIG}",
    ),
    Mutation(
        "timeouts are positive",
        "config.py",
        "if seconds is not None and seconds <= 0:",
        "if False:",
        f"{LIFETIMES} {CONFIG}",
    ),
    Mutation(
        "a lifetime ends a session",
        "config.py",
        "for seconds in (self.absolute, lifetime)",
        "for seconds in (self.absolute,)",
        f"{LIFETIMES} {CONFIG}",
    ),
    Mutation("the earliest end counts", "config.py", "return min(ends)", "return ends[0]", f"{LIFETIMES} {CONFIG}"),
    Mutation(
        "async hooks are refused",
        "config.py",
        "if iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):",
        "if False:",
        CONFIG,
    ),
    Mutation(
        "the repr shows no URL",
        "config.py",
        "str | None = field(default=None, repr=False)\n    on_store",
        "str | None = None\n    on_store",
        CONFIG,
    ),
    Mutation(
        "the config does not keep validate_key",
        "config.py",
        'object.__setattr__(self, "validate_key", keys)',
        "pass",
        CONFIG,
    ),
    Mutation(
        "the config does not keep encrypt_key",
        "config.py",
        'object.__setattr__(self, "encrypt_key", keys)',
        "pass",
        CONFIG,
    ),
    Mutation(
        "the writing serializer is accepted", "config.py", "if self.serializer not in accepted:", "if False:", CONFIG
    ),
    Mutation("only known serializers", "config.py", "if self.serializer not in SERIALIZERS:", "if False:", CONFIG),
    Mutation(
        "number of candidates",
        "cookie.py",
        "islice(self._every.finditer(header), CANDIDATES + 1)",
        "islice(self._every.finditer(header), None)",
        COOKIE,
    ),
    Mutation(
        "errors have no frames of the package",
        "errors.py",
        "            drop_own_frames(error)\n",
        "            pass\n",
        FRAMES,
    ),
    Mutation(
        "errors of the hook are caught",
        "events.py",
        "except Exception as error:  # noqa: BLE001  # the hook belongs to the application",
        "except EOFError as error:",
        EVENTS,
    ),
    Mutation(
        "only the type of the hook's error is logged",
        "events.py",
        "type(error).__name__, kind)",
        "repr(error), kind)",
        EVENTS,
    ),
    Mutation(
        "no event without a hook", "events.py", "        if self._hook is None:\n            return\n", "", EVENTS
    ),
    Mutation(
        "session names are hashes",
        "events.py",
        "blake2b(session_id, key=self._hash_key, digest_size=8).hexdigest()",
        "session_id.hex()[:16]",
        EVENTS,
    ),
    Mutation(
        "session names are keyed hashes",
        "events.py",
        "blake2b(session_id, key=self._hash_key, digest_size=8)",
        "blake2b(session_id, digest_size=8)",
        EVENTS,
    ),
    Mutation(
        "events name the kind of object",
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
    Mutation(
        "maximum length of names",
        "integrations/django/blocks.py",
        " or len(name) > _NAME_MAX",
        "",
        "tests/unit/integrations/django/test_django_values.py",
    ),
    Mutation(
        "names that were not found are forgotten",
        "integrations/django/blocks.py",
        "        _forget_missing(backend.engine, name)\n",
        "",
        "tests/unit/integrations/django/test_django_values.py",
    ),
    Mutation(
        "nodes are counted",
        "integrations/django/budget.py",
        "        if self.weight < 0:",
        "        if False:",
        RECIPES,
    ),
    Mutation(
        "negations weigh more",
        "integrations/django/budget.py",
        "        if self.negations:",
        "        if False:",
        RECIPES,
    ),
    Mutation("copies count", "integrations/django/budget.py", "self.pay(1 + copied // _COPIED)", "pass", RECIPES),
    Mutation(
        "frames with keys are dropped",
        "integrations/django/conf.py",
        "@without_own_frames  # Django's debug page",
        "# Django's debug page",
        "tests/unit/integrations/django/test_settings.py -k not(example)",
    ),
    Mutation(
        "classes register with an existing sealer",
        "integrations/django/conf.py",
        "_sealer.register(cls, code)  #",
        "forget_state_sealer()  #",
        "tests/unit/integrations/django/test_settings.py -k not(example)",
    ),
    Mutation(
        "copied parts of unions count",
        "integrations/django/querysets/decode.py",
        "self._budget.nodes += own",
        "pass",
        RECIPES,
    ),
    Mutation(
        "`all` of an intersection is a bool",
        "integrations/django/querysets/decode.py",
        "check_type(every, bool)\n        return self.queryset.i",
        "return self.queryset.i",
        RECIPES,
    ),
    Mutation(
        "`all` of a difference is a bool",
        "integrations/django/querysets/decode.py",
        "check_type(every, bool)\n        return self.queryset.d",
        "return self.queryset.d",
        RECIPES,
    ),
    Mutation(
        "only managers of related rows",
        "integrations/django/querysets/decode.py",
        'or hasattr(member, "__set__")',
        "or isinstance(member, property)",
        RECIPES,
    ),
    Mutation(
        "errors of managers pass",
        "integrations/django/querysets/decode.py",
        "raise ManagerError(error) from None",
        "raise",
        RECIPES,
    ),
    Mutation(
        "reading writes no content type",
        "integrations/django/querysets/decode.py",
        'if sql.startswith("INSERT"):',
        "if False:",
        RECIPES,
    ),
    Mutation(
        "alphabet of lookup paths",
        "integrations/django/querysets/decode_expressions.py",
        're.compile(r"[\\w-]{1,500}")',
        're.compile(r"(?s:.){1,500}")',
        RECIPES,
    ),
    Mutation(
        "known connectors",
        "integrations/django/querysets/decode_expressions.py",
        "or connector not in CONNECTORS",
        "",
        RECIPES,
    ),
    Mutation(
        "known types of values",
        "integrations/django/querysets/decode_expressions.py",
        "if value is not None and kind not in SCALARS and",
        "if False and",
        RECIPES,
    ),
    Mutation(
        "dicts only for JSON fields",
        "integrations/django/querysets/decode_expressions.py",
        "            if has_dict and not (",
        "            if False and not (",
        RECIPES,
    ),
    Mutation(
        "XOR counts twice",
        "integrations/django/querysets/decode_expressions.py",
        'copies = 2 if connector == "XOR" else 1',
        "copies = 1",
        RECIPES,
    ),
    Mutation(
        "annotations are not descending",
        "integrations/django/querysets/decode_expressions.py",
        'if check_path(name).startswith("-"):',
        "if check_path(name) is None:",
        RECIPES,
    ),
    Mutation(
        "lists count as nodes",
        "integrations/django/querysets/decode_expressions.py",
        "        self._budget.pay_node()\n        conn",
        "        conn",
        RECIPES,
    ),
    Mutation(
        "a recipe gives the same QuerySet",
        "integrations/django/querysets/encode.py",
        "        if _decodes_to(recipe, wanted, budgets):",
        "        if True:",
        RECIPES,
    ),
    Mutation(
        "joins are counted",
        "integrations/django/querysets/joins.py",
        "        if len(self._paid) > JOINS:",
        "        if False:",
        RECIPES,
    ),
    Mutation(
        "only relations",
        "integrations/django/querysets/spec.py",
        "        if name not in relations:",
        "        if False:",
        RECIPES,
    ),
    Mutation(
        "primary keys are checked before a query",
        "integrations/django/references.py",
        "            _check_spelling(model, pk, db.connections[using])",
        "            pass",
        "tests/unit/integrations/django/test_rows.py",
    ),
    Mutation(
        "primary keys fit the database",
        "integrations/django/references.py",
        "        field.get_db_prep_value(part, connection)",
        "        pass",
        "tests/unit/integrations/django/test_rows.py",
    ),
    Mutation(
        "primary keys contain no NUL",
        "integrations/django/references.py",
        'if type(part) is str and "\\0" in part:',
        "if False:",
        "tests/unit/integrations/django/test_rows.py",
    ),
    Mutation(
        "errors of the database pass",
        "integrations/django/references.py",
        "except _DATABASE_ERRORS as",
        "except _FIELD_ERRORS as",
        "tests/unit/integrations/django/test_rows.py",
    ),
    Mutation(
        "one spelling of a label",
        "integrations/django/validation.py",
        "if model is None or model._meta.label != label:",
        "if model is None:",
        RECIPES,
    ),
    Mutation(
        "none() is followed alone", "integrations/django/values.py", "nested = base in _LAZY", "nested = True", RECIPES
    ),
    Mutation(
        "errors of bound forms pass",
        "integrations/django/values.py",
        "decode=codec.decode, deferred=True, fetch=make_forms",
        "",
        "tests/unit/integrations/django/test_django_values.py",
    ),
    Mutation("offers are counted from one", "integrations/hyperdiv/props.py", "if offer >= 0:", "if True:", HYPERDIV),
    Mutation(
        "token cache: off unless the option is set",
        "lifecycle/load.py",
        "if config.token_cache:",
        "if True:",
        TOKEN_CACHE,
    ),
    Mutation(
        "token cache: size limit of a payload",
        "lifecycle/load.py",
        "config.token_cache, config.limits.size",
        "config.token_cache, 1 << 20",
        TOKEN_CACHE,
    ),
    Mutation(
        "the store is called, WSGI",
        "lifecycle/load.py",
        "entries = self._store.find(keys)",
        "entries: Any = [None] * len(keys)",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "the store is called, ASGI",
        "lifecycle/load.py",
        "entries = await store.afind(keys)",
        "entries: Any = [None] * len(keys)",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "lineages are looked up",
        "lifecycle/load.py",
        "keys = [] if loaded.lineage is None else [session_key(loaded.lineage)]",
        "keys: list[bytes] = []",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "the first id of a lineage is looked up",
        "lifecycle/load.py",
        "lineage_id or session_id, None, False, None",
        "session_id, None, False, None",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "subjects are looked up",
        "lifecycle/load.py",
        "keys.append(subject_key(loaded.identity.subject))",
        "pass",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "the store returns one entry for each key",
        "lifecycle/load.py",
        "if len(entries) != len(keys):",
        "if False:",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "the store is not called without keys, WSGI",
        "lifecycle/load.py",
        "            if keys := _store_keys(loaded):",
        "            keys = _store_keys(loaded)\n            if True:",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "a later seal does not undo a revocation",
        "lifecycle/load.py",
        "entry.refuses(loaded.identity.created,",
        "entry.refuses(loaded.token.sealed_at,",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "sessions are refused while the store fails",
        "lifecycle/load.py",
        "if not self._allows_store_error:",
        "if False:",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "sessions are accepted while the store fails, if configured",
        "lifecycle/load.py",
        "if not self._allows_store_error:",
        "if True:",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "a retryable reason wins",
        "lifecycle/load.py",
        "if reason in RETRYABLE_REASONS:",
        "if False:",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "otherwise the first reason wins",
        "lifecycle/load.py",
        "return reasons[0] if reasons",
        "return reasons[-1] if reasons",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "the newest candidate wins",
        "lifecycle/load.py",
        "key=lambda unsealed: -unsealed.sealed_at",
        "key=lambda unsealed: 0",
        f"{REVOCATION} {MANAGER} {EVENTS}",
    ),
    Mutation(
        "all errors of a store are handled, WSGI",
        "lifecycle/load.py",
        "entries = self._store.find(keys)\n                except Exception as error:",
        "entries = self._store.find(keys)\n                except EOFError as error:",
        REVOCATION,
    ),
    Mutation(
        "all errors of a store are handled, ASGI",
        "lifecycle/load.py",
        "entries = await store.afind(keys)\n                except Exception as error:",
        "entries = await store.afind(keys)\n                except EOFError as error:",
        REVOCATION,
    ),
    Mutation(
        "a lineage that could not be looked up is kept",
        "lifecycle/load.py",
        "self._begin(session, attempt, loaded.lineage)",
        "self._begin(session, attempt)",
        REVOCATION,
    ),
    Mutation(
        "revocations after the request are sent at once",
        "lifecycle/manager.py",
        "        session._revocations.pending = None\n",
        "        pass\n",
        f"{REVOCATION} {SESSION}",
    ),
    Mutation(
        "an application is callable",
        "lifecycle/manager.py",
        "if not callable(app):",
        "if False:",
        "tests/unit/test_options.py",
    ),
    Mutation(
        "an application has the right arguments",
        "lifecycle/manager.py",
        "signature.bind(*arguments)",
        "pass",
        "tests/unit/test_options.py",
    ),
    Mutation(
        "async applications are refused in WSGI",
        "lifecycle/manager.py",
        "inspect.iscoroutinefunction(call)",
        "False",
        "tests/unit/test_options.py",
    ),
    Mutation(
        "applications without a signature are accepted",
        "lifecycle/manager.py",
        "except (TypeError, ValueError, NameError):",
        "except NameError:",
        "tests/unit/test_options.py",
    ),
    Mutation(
        "a token is the whole value",
        "lifecycle/manager.py",
        '_FOREIGN.sub(b"?", value)',
        "value",
        "tests/unit/lifecycle/test_seam.py tests/unit/integrations/test_hyperdiv.py",
    ),
    Mutation(
        "a payload is a dict or has three parts",
        "lifecycle/payload.py",
        "if type(value) is list and len(value) == 3:",
        "if type(value) is list and len(value) != 4:",
        SESSION_PAYLOAD,
    ),
    Mutation(
        "three parts are a list",
        "lifecycle/payload.py",
        "if type(value) is list and len(value) == 3:",
        "if type(value) in (list, tuple) and len(value) == 3:",
        SESSION_PAYLOAD,
    ),
    Mutation(
        "the data is a dict",
        "lifecycle/payload.py",
        "        type(data) is not dict\n        or (subject",
        "        (subject",
        SESSION_PAYLOAD,
    ),
    Mutation(
        "a subject is a str",
        "lifecycle/payload.py",
        "(type(subject) is str and 0 < len(subject)",
        "(0 < len(str(subject))",
        SESSION_PAYLOAD,
    ),
    Mutation(
        "a subject is not empty",
        "lifecycle/payload.py",
        "0 < len(subject) <= SUBJECT_LENGTH",
        "len(subject) <= SUBJECT_LENGTH",
        SESSION_PAYLOAD,
    ),
    Mutation(
        "maximum length of a subject",
        "lifecycle/payload.py",
        "0 < len(subject) <= SUBJECT_LENGTH",
        "0 < len(subject)",
        SESSION_PAYLOAD,
    ),
    Mutation(
        "a lineage id is bytes",
        "lifecycle/payload.py",
        "type(lineage_id) is bytes and len(lineage_id) == SESSION_ID_BYTES",
        "len(str(lineage_id)) == SESSION_ID_BYTES",
        SESSION_PAYLOAD,
    ),
    Mutation(
        "length of a lineage id",
        "lifecycle/payload.py",
        "type(lineage_id) is bytes and len(lineage_id) == SESSION_ID_BYTES",
        "type(lineage_id) is bytes",
        SESSION_PAYLOAD,
    ),
    Mutation(
        "accepted serializers: JSON", "lifecycle/payload.py", 'if "json" in accepted:', "if True:", SESSION_PAYLOAD
    ),
    Mutation(
        "accepted serializers: pickle", "lifecycle/payload.py", 'if "pickle" in accepted:', "if True:", SESSION_PAYLOAD
    ),
    Mutation(
        "a lineage id alone makes a list",
        "lifecycle/payload.py",
        "if identity.subject is not None or identity.lineage_id is not None:",
        "if identity.subject is not None:",
        SESSION_PAYLOAD,
    ),
    Mutation(
        "the age of a cached answer is subtracted",
        "lifecycle/revoke.py",
        "return int(session._arrived - self.staleness)",
        "return int(session._arrived)",
        f"{REVOCATION} {SESSION}",
    ),
    Mutation(
        "a new session is dated by the request's arrival",
        "lifecycle/revoke.py",
        "return int(session._arrived -",
        "return int(self.config.clock() -",
        f"{REVOCATION} {SESSION}",
    ),
    Mutation(
        "a revoked session revokes nothing, WSGI",
        "lifecycle/revoke.py",
        "done = not revocations.is_refused and store",
        "done = store",
        f"{REVOCATION} {SESSION}",
    ),
    Mutation(
        "a revoked session revokes nothing, ASGI",
        "lifecycle/revoke.py",
        "not revocations.is_refused and await store",
        "await store",
        f"{REVOCATION} {SESSION}",
    ),
    Mutation(
        "a session revoked meanwhile is not sealed",
        "lifecycle/revoke.py",
        "            revocations.is_refused = True\n",
        "",
        f"{REVOCATION} {SESSION}",
    ),
    Mutation(
        "a revocation's caller is the session that came in",
        "lifecycle/revoke.py",
        "if loaded.token is not None and acts_as is not None:",
        "if False:",
        f"{REVOCATION} {SESSION}",
    ),
    Mutation(
        "own revocations do not prevent others",
        "lifecycle/revoke.py",
        "tuple(key for key in caller.keys if key not in ended or ended[key])",
        "tuple(caller.keys)",
        f"{REVOCATION} {SESSION}",
    ),
    Mutation(
        "the session moves to the exempt lineage",
        "lifecycle/revoke.py",
        "session._identity = identity._replace(lineage_id=None if identity.session_id == exempt else exempt)",
        "pass",
        f"{REVOCATION} {SESSION}",
    ),
    Mutation(
        "a new id keeps the lineage",
        "lifecycle/revoke.py",
        "identity.lineage if self.revokes else identity.lineage_id",
        "identity.lineage_id",
        f"{SESSION} {REVOCATION}",
    ),
    Mutation(
        "no lineage id without a store",
        "lifecycle/revoke.py",
        "identity.lineage if self.revokes else identity.lineage_id",
        "identity.lineage",
        f"{SESSION} {REVOCATION}",
    ),
    Mutation(
        "the lineage that came in is revoked",
        "lifecycle/revoke.py",
        "(session._loaded.lineage, *revocations.sealed, session._identity.lineage, revocations.exempt)",
        "(session._identity.session_id,)",
        f"{SESSION} {REVOCATION}",
    ),
    Mutation(
        "a lineage that began in the request is revoked",
        "lifecycle/revoke.py",
        "(session._loaded.lineage, *revocations.sealed, session._identity.lineage, revocations.exempt)",
        "(session._loaded.lineage,)",
        f"{SESSION} {REVOCATION}",
    ),
    Mutation(
        "entries outlive running requests by a day",
        "lifecycle/revoke.py",
        "(0 if config.timeouts.absolute else DAY)",
        "0",
        REVOCATION,
    ),
    Mutation(
        "revocations that were not sent are kept",
        "lifecycle/revoke.py",
        "revocations.pending.insert(0, revocation)\n",
        "pass\n",
        REVOCATION,
    ),
    Mutation(
        "maximum size of the cookie",
        "lifecycle/save.py",
        "        if size > self.limit:\n            raise self._too_large(session, size)\n        if gets_id",
        "        if False:\n            raise self._too_large(session, size)\n        if gets_id",
        MANAGER,
    ),
    Mutation(
        "late responses send no unrequested cookie",
        "lifecycle/save.py",
        "session._arrived <= PROMPT",
        "session._arrived <= 10**9",
        MANAGER,
    ),
    Mutation(
        "public responses send no unrequested cookie",
        "lifecycle/save.py",
        " and not self._headers.is_public(headers)",
        "",
        MANAGER,
    ),
    Mutation("a session that would soon end is refreshed", "lifecycle/save.py", " or ends_soon)", ")", MANAGER),
    Mutation(
        "cookies that were not tried are kept",
        "lifecycle/save.py",
        "if reason is None or keeps_cookie else",
        "if reason is None else",
        MANAGER,
    ),
    Mutation(
        "a cookie with a retryable reason is kept",
        "lifecycle/save.py",
        "if new and empty and not save and not invalidated and reason in RETRYABLE_REASONS:",
        "if False:",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "an id alone does not replace such a cookie",
        "lifecycle/save.py",
        "if new and empty and not save and not invalidated and reason",
        "if new and empty and not save and not has_new_id and not invalidated and reason",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "an invalid cookie is deleted",
        "lifecycle/save.py",
        'else "delete_refused"',
        'else "keep"',
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "invalidate() deletes any cookie",
        "lifecycle/save.py",
        "not save and not invalidated and reason",
        "not save and reason",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "tokens by fallback keys are sealed again",
        "lifecycle/save.py",
        'return "reseal" if by_fallback else',
        "return",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "sessions are refreshed",
        "lifecycle/save.py",
        "age >= self._refresh_interval or (",
        " (",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "sessions without an id get one with a store",
        "lifecycle/save.py",
        " or (self._needs_id and token.session_id is None)",
        "",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "Max-Age is at least 1",
        "lifecycle/save.py",
        "max(remaining, 1)",
        "remaining",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "Max-Age is at most 400 days",
        "lifecycle/save.py",
        "min(max(remaining, 1), MAX_AGE_LIMIT)",
        "max(remaining, 1)",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "a lifetime is a change",
        "lifecycle/save.py",
        "identity[:3] == loaded[:3]",
        "identity[:2] == loaded[:2]",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "a new time of creation is a change",
        "lifecycle/save.py",
        "identity[:3] == loaded[:3]",
        "identity[1:3] == loaded[1:3]",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "a failing response saves nothing",
        "lifecycle/save.py",
        "if status >= 500 and not self._config.save_on_error:",
        "if False:",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "a subject alone is saved",
        "lifecycle/save.py",
        "            empty=_is_bare(identity),\n            has_new_id",
        "            empty=True,\n            has_new_id",
        f"{MANAGER} {LIFETIMES} {REVOCATION} {EVENTS}",
    ),
    Mutation(
        "replicas are avoided",
        "revocation/redis.py",
        "(redis.ConnectionError, redis.ReadOnlyError)",
        "(redis.ConnectionError,)",
        f"{STORES} -k redis",
    ),
    Mutation(
        "arguments of Redis commands do not appear in errors",
        "revocation/redis.py",
        'str(error).partition(", with args")[0]',
        "str(error)",
        f"{STORES} -k redis",
    ),
    Mutation(
        "the SQLite directory must exist",
        "revocation/sqlite.py",
        "if not os.path.isdir(directory):",
        "if False:",
        f"{STORES} -k sqlite",
    ),
    Mutation(
        "the SQLite path must not be another kind of file",
        "revocation/sqlite.py",
        "os.path.exists(real) and not os.path.isfile(real)",
        "False",
        f"{STORES} -k sqlite",
    ),
    Mutation(
        "the SQLite file must be writable",
        "revocation/sqlite.py",
        "not _is_writable(each)",
        "False",
        f"{STORES} -k sqlite",
    ),
    Mutation(
        "a link is resolved",
        "revocation/sqlite.py",
        "real = os.path.realpath(path)",
        "real = path",
        f"{STORES} -k sqlite",
    ),
    Mutation(
        "an entry refuses sessions that began in the same second",
        "revocation/store.py",
        "created <= self.not_before",
        "created < self.not_before",
        f"{STORES} {REVOCATION}",
    ),
    Mutation(
        "an entry accepts sessions that began later",
        "revocation/store.py",
        "return created <= self.not_before and",
        "return",
        f"{STORES} {REVOCATION}",
    ),
    Mutation(
        "the exempt lineage is accepted",
        "revocation/store.py",
        " and not (self.exempt_lineage and self.exempt_lineage == lineage)",
        "",
        f"{STORES} {REVOCATION}",
    ),
    Mutation(
        "only one lineage is exempt",
        "revocation/store.py",
        "and self.exempt_lineage == lineage)",
        ")",
        f"{STORES} {REVOCATION}",
    ),
    Mutation(
        "a forked process has its own locks",
        "revocation/store.py",
        "            alive._lock = threading.Lock()",
        "            pass",
        f"{STORES} -k fork",
    ),
    Mutation(
        "base64: strict",
        "sealing/base64url.py",
        "strict_mode=True",
        "strict_mode=False",
        "tests/unit/sealing/test_base64url.py",
    ),
    Mutation(
        "base64: strict, pybase64",
        "sealing/base64url.py",
        '(padded, b"-_", True)',
        '(padded, b"-_", False)',
        "tests/unit/sealing/test_base64url.py",
    ),
    Mutation(
        "base64: one alphabet",
        "sealing/base64url.py",
        "if _PLUS in text or _SLASH in text or",
        "if",
        "tests/unit/sealing/test_base64url.py",
    ),
    Mutation(
        "base64: no plus", "sealing/base64url.py", "if _PLUS in text or", "if", "tests/unit/sealing/test_base64url.py"
    ),
    Mutation(
        "base64: no slash", "sealing/base64url.py", " or _SLASH in text", "", "tests/unit/sealing/test_base64url.py"
    ),
    Mutation(
        "base64: no padding",
        "sealing/base64url.py",
        " or _PADDING in text:",
        ":",
        "tests/unit/sealing/test_base64url.py",
    ),
    Mutation(
        "base64: the last character",
        "sealing/base64url.py",
        "if end is not None and text[-1] not in end:",
        "if False:",
        "tests/unit/sealing/test_base64url.py",
    ),
    Mutation("keys do not appear in reprs", "sealing/key_rules.py", "    __str__ = __repr__\n", "", KEYS),
    Mutation(
        "sentences are not keys",
        "sealing/key_rules.py",
        "(_WORD.search(text) or _ONE_CASE.fullmatch(text))",
        "_ONE_CASE.fullmatch(text)",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "words of one case are not keys",
        "sealing/key_rules.py",
        " or _ONE_CASE.fullmatch(text))",
        ")",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "white space is not part of a key",
        "sealing/key_rules.py",
        "if text != text.strip():",
        "if False:",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "several keys in one text are refused",
        "sealing/key_rules.py",
        "if len(parts) > 1 and all(map(looks_like_key, parts)):",
        "if False:",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "published examples are refused",
        "sealing/key_rules.py",
        "decoded in _decoded_examples()",
        "False",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "placeholders are refused",
        "sealing/key_rules.py",
        "if _PLACEHOLDER.search(text):",
        "if False:",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "hashes of common words are refused",
        "sealing/key_rules.py",
        " or decoded in _hashes_of_words():",
        ":",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "patterns in encoded bytes are refused",
        "sealing/key_rules.py",
        " or (_find_pattern(decoded) if decoded else None)",
        "",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "counters of several bytes are refused",
        "sealing/key_rules.py",
        "_COUNTER_WIDTHS = (1, 2, 4, 8)",
        "_COUNTER_WIDTHS = (1,)",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "text files are checked as text",
        "sealing/key_rules.py",
        "if len(content) <= FILE_LIMIT and _is_text(content):",
        "if content.isascii():",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "long files are refused",
        "sealing/key_rules.py",
        "if len(content) <= FILE_LIMIT and _is_text(content):",
        "if _is_text(content):",
        "tests/unit/sealing/test_key_rules.py",
    ),
    Mutation(
        "a forked process checks the file itself",
        "sealing/keyring_file.py",
        "setdefault(os.getpid(), me",
        "setdefault(0, me",
        KEYRING_FILE,
    ),
    Mutation(
        "a key is not accepted as an id",
        "sealing/keyring_file.py",
        "[A-Za-z0-9._-]{1,31}",
        "[A-Za-z0-9._-]{1,64}",
        KEYRING_FILE,
    ),
    Mutation(
        "a copied config cannot lose encryption",
        "sealing/keyring_file.py",
        "if isinstance(validate_key, Keyring) or isinstance(encrypt_key, Keyring):",
        "if False:",
        CONFIG,
    ),
    Mutation(
        "errors of a reload have no frames of the package",
        "sealing/keyring_file.py",
        "                drop_own_frames(error)\n",
        "",
        FRAMES,
    ),
    Mutation("at least one key", "sealing/keys.py", "if primaries != 1:", "if False:", KEYS),
    Mutation(
        "all entries have an encrypt_key, or none",
        "sealing/keys.py",
        "if len({pair.encrypt is None for pair in pairs}) != 1:",
        "if False:",
        KEYS,
    ),
    Mutation("keys are unique", "sealing/keys.py", "if len(set(every_key)) != len(every_key):", "if False:", KEYS),
    Mutation(
        "world-readable files cause a warning",
        "sealing/keys.py",
        "    warn_if_world_readable(path, status)\n",
        "",
        KEYS,
    ),
    Mutation(
        "the primary key comes first",
        "sealing/keys.py",
        'sorted(pairs, key=lambda pair: pair.state != "primary")',
        "list(pairs)",
        KEYS,
    ),
    Mutation(
        "subkeys do not appear in reprs", "sealing/keys.py", "return SecretBytes(HKDF(", "return bytes(HKDF(", KEYS
    ),
    Mutation(
        "session ids and users can have surrogates",
        "sealing/keys.py",
        '.encode("utf-8", "surrogatepass")',
        ".encode()",
        STATE,
    ),
    Mutation(
        "promotions are undone",
        "sealing/rotation.py",
        "if not (force or has_sealed) and (",
        "if not force and (",
        ROTATION,
    ),
    Mutation(
        "unknown fallbacks wait",
        "sealing/rotation.py",
        "has_sealed = chosen.fallback_at is not None",
        "has_sealed = True",
        ROTATION,
    ),
    Mutation(
        "a re-seal uses the primary key",
        "sealing/rotation.py",
        "primary_at=now, fallback_at=None)",
        "primary_at=now)",
        ROTATION,
    ),
    Mutation("maximum length of a token", "sealing/sealer.py", "if len(token) > self._max_length:", "if False:", SEAL),
    Mutation(
        "minimum length of a token",
        "sealing/sealer.py",
        "if len(envelope) < _HEAD + TIMES.size + _TAG:",
        "if False:",
        SEAL,
    ),
    Mutation(
        "minimum length of a sealed token", "sealing/sealer.py", "if len(envelope) < key.min_length:", "if False:", SEAL
    ),
    Mutation("the MAC is compared", "sealing/sealer.py", "if compare_digest(mac.finalize(), tag):", "if True:", SEAL),
    Mutation("sealed in the future", "sealing/sealer.py", "sealed_at > now + self._leeway or", "", SEAL),
    Mutation("created after it was sealed", "sealing/sealer.py", "or created > sealed_at + self._leeway", "", SEAL),
    Mutation("idle timeout", "sealing/sealer.py", "now > sealed_at + self._idle_timeout + self._leeway", "False", SEAL),
    Mutation("absolute timeout", "sealing/sealer.py", "if now > created + ends + self._leeway:", "if False:", SEAL),
    Mutation(
        "lifetime", "sealing/sealer.py", "if lifetime is None else min(lifetime, self._absolute_timeout)", "", SEAL
    ),
    Mutation(
        "a lifetime only shortens", "sealing/sealer.py", "min(lifetime, self._absolute_timeout)", "lifetime", SEAL
    ),
    Mutation("exact check: the future", "sealing/sealer.py", "created <= sealed_at <= now <=", "now <=", SEAL),
    Mutation(
        "exact check: idle timeout", "sealing/sealer.py", "<= now <= sealed_at + self._idle_timeout\n", "<= now\n", SEAL
    ),
    Mutation(
        "exact check: absolute timeout",
        "sealing/sealer.py",
        "            and now <= created + self._absolute_timeout\n",
        "",
        SEAL,
    ),
    Mutation("exact check: lifetime", "sealing/sealer.py", "            and lifetime is None\n", "", SEAL),
    Mutation(
        "the times are checked",
        "sealing/sealer.py",
        "            self.check_times(now, created, sealed_at, lifetime)\n",
        "            pass\n",
        SEAL,
    ),
    Mutation("reserved flags are refused", "sealing/sealer.py", "flags & _RESERVED or", "", SEAL),
    Mutation("unknown serializers are refused", "sealing/sealer.py", "or flags & 3 > JSON:", ":", SEAL),
    Mutation("a lifetime fits into the plaintext", "sealing/sealer.py", "if start + 4 > end:", "if False:", SEAL),
    Mutation(
        "an id fits into the plaintext", "sealing/sealer.py", "if start + SESSION_ID_BYTES > end:", "if False:", SEAL
    ),
    Mutation(
        "length of the padding", "sealing/sealer.py", "if not 1 <= plaintext[-1] <= end - start:", "if False:", SEAL
    ),
    Mutation(
        "maximum size after inflating",
        "sealing/sealer.py",
        "inflator.decompress(payload, INFLATED_MAX)",
        "inflator.decompress(payload)",
        SEAL,
    ),
    Mutation("deflated data is complete", "sealing/sealer.py", "if not inflator.eof or", "if", SEAL),
    Mutation("nothing follows deflated data", "sealing/sealer.py", " or inflator.unused_data", "", SEAL),
    Mutation(
        "a new keyring unseals",
        "sealing/sealer.py",
        "current(int(now))) is not keys.keyring:",
        "current(int(now))) is None:",
        SEAL,
    ),
    Mutation(
        "a new keyring seals", "sealing/sealer.py", "current(now)) is not keys.keyring:", "current(now)) is None:", SEAL
    ),
    Mutation(
        "unsealing reuses derived keys",
        "sealing/sealer.py",
        "current(int(now))) is not keys.keyring:",
        "current(int(now))):",
        SEAL,
    ),
    Mutation(
        "sealing reuses derived keys", "sealing/sealer.py", "current(now)) is not keys.keyring:", "current(now)):", SEAL
    ),
    Mutation("fallback keys are distinguished", "sealing/sealer.py", 'subkeys.state == "fallback"', "False", SEAL),
    Mutation(
        "staged keys are not reported as fallback",
        "sealing/sealer.py",
        'subkeys.state == "fallback"',
        'subkeys.state != "primary"',
        SEAL,
    ),
    Mutation("compression only if shorter", "sealing/sealer.py", "if len(deflated) < len(payload):", "if True:", SEAL),
    Mutation(
        "small payloads are not compressed in vain",
        "sealing/sealer.py",
        " and len(payload) > self._deflate_over",
        "",
        SEAL,
    ),
    Mutation(
        "the binding's length is in the MAC, sealing",
        "sealing/sealer.py",
        "mac.update(body + (binding + U32.pack(len(binding)) if binding else _NO_BINDING))",
        "mac.update(body + binding)",
        SEAL,
    ),
    Mutation(
        "the deflate window is wide enough",
        "sealing/sealer.py",
        "(len(payload) + _MIN_LOOKAHEAD).bit_length()",
        "len(payload).bit_length()",
        SEAL,
    ),
    Mutation(
        "token cache: a changed keyring empties it",
        "sealing/token_cache.py",
        "if keyring is not unsealed_by:",
        "if False:",
        TOKEN_CACHE,
    ),
    Mutation(
        "token cache: the keyring is stored",
        "sealing/token_cache.py",
        "            young[key] = unsealed",
        "            self._kept[0][key] = unsealed",
        TOKEN_CACHE,
    ),
    Mutation(
        "token cache: a new generation stores the current keyring",
        "sealing/token_cache.py",
        "                self._generations = young, old, keyring\n            young",
        "                self._generations = young, old, self._generations[2]\n            young",
        TOKEN_CACHE,
    ),
    Mutation(
        "token cache: the binding is part of the key",
        "sealing/token_cache.py",
        "key = token, binding and sha256(binding).digest()",
        'key = token, b""',
        TOKEN_CACHE,
    ),
    Mutation(
        "token cache: the binding is not joined with the token",
        "sealing/token_cache.py",
        "key = token, binding and sha256(binding).digest()",
        'key = token + binding, b""',
        TOKEN_CACHE,
    ),
    Mutation(
        "token cache: the binding is hashed",
        "sealing/token_cache.py",
        "key = token, binding and sha256(binding).digest()",
        "key = token, binding",
        TOKEN_CACHE,
    ),
    Mutation(
        "token cache: the keyring file is checked once a second",
        "sealing/token_cache.py",
        "self._source.current(int(now))",
        "self._source.current(now)",
        TOKEN_CACHE,
    ),
    Mutation(
        "token cache: times are checked",
        "sealing/token_cache.py",
        "        self._check_times(now, created, sealed_at, lifetime)",
        "        pass",
        TOKEN_CACHE,
    ),
    Mutation(
        "token cache: number of tokens",
        "sealing/token_cache.py",
        "if len(young) >= self._half:",
        "if False:",
        TOKEN_CACHE,
    ),
    Mutation(
        "token cache: each generation has half of the tokens",
        "sealing/token_cache.py",
        "self._half = max_tokens // 2",
        "self._half = max_tokens",
        TOKEN_CACHE,
    ),
    Mutation("token cache: tokens in use stay", "sealing/token_cache.py", "old.get(key) or ", "", TOKEN_CACHE),
    Mutation(
        "token cache: large payloads are not cached",
        "sealing/token_cache.py",
        " and len(payload) <= self._max_payload:",
        ":",
        TOKEN_CACHE,
    ),
    Mutation(
        "enum: the class is not called with other values",
        "serialization/class_codecs.py",
        "lambda data: members[type(data), data]",
        "lambda data: cls(data)",
        CLASS_CODECS,
    ),
    Mutation(
        "enum: flags are refused",
        "serialization/class_codecs.py",
        "if issubclass(cls, enum.Flag):",
        "if False:",
        CLASS_CODECS,
    ),
    Mutation(
        "enum: values are hashable",
        "serialization/class_codecs.py",
        "except TypeError:\n        raise ConfigError",
        "except EOFError:\n        raise ConfigError",
        CLASS_CODECS,
    ),
    Mutation(
        "dataclass: all fields are arguments",
        "serialization/class_codecs.py",
        "if not field.init:",
        "if False:",
        CLASS_CODECS,
    ),
    Mutation(
        "dataclass: all required arguments are fields",
        "serialization/class_codecs.py",
        "if name not in names",
        "if False",
        CLASS_CODECS,
    ),
    Mutation(
        "fields: a tuple",
        "serialization/class_codecs.py",
        "if type(data) is not tuple or len(data)",
        "if len(data)",
        CLASS_CODECS,
    ),
    Mutation(
        "fields: types of the members",
        "serialization/class_codecs.py",
        "if not check(value):",
        "if False:",
        CLASS_CODECS,
    ),
    Mutation(
        "fields: annotations can be resolved",
        "serialization/class_codecs.py",
        "except NameError as error:",
        "except EOFError as error:",
        CLASS_CODECS,
    ),
    Mutation(
        "subclass: enums are refused",
        "serialization/class_codecs.py",
        "and not issubclass(cls, enum.Enum)",
        "",
        CLASS_CODECS,
    ),
    Mutation(
        "subclass: exactly the plain type",
        "serialization/class_codecs.py",
        "if type(data) is not base:",
        "if False:",
        CLASS_CODECS,
    ),
    Mutation(
        "subclass: attributes are refused", "serialization/class_codecs.py", "if attributes:", "if False:", CLASS_CODECS
    ),
    Mutation(
        "zones: only registered names are written",
        "serialization/class_codecs.py",
        "if zone.key not in zones:",
        "if False:",
        CLASS_CODECS,
    ),
    Mutation(
        "zones: decoding opens no file",
        "serialization/class_codecs.py",
        "lambda data: zones[data]",
        "lambda data: zoneinfo.ZoneInfo(data)",
        CLASS_CODECS,
    ),
    Mutation(
        "annotation: exactly the class",
        "serialization/class_codecs.py",
        "lambda value: type(value) is hint",
        "lambda value: isinstance(value, hint)",
        CLASS_CODECS,
    ),
    Mutation(
        "annotation: a float is not a bool",
        "serialization/class_codecs.py",
        "type(value) in (float, int)",
        "isinstance(value, float | int)",
        CLASS_CODECS,
    ),
    Mutation(
        "annotation: type of a literal",
        "serialization/class_codecs.py",
        "type(value) is type(choice) and",
        "",
        CLASS_CODECS,
    ),
    Mutation(
        "annotation: type of a container",
        "serialization/class_codecs.py",
        "type(value) is kind and all(map(check, value))",
        "all(map(check, value))",
        CLASS_CODECS,
    ),
    Mutation(
        "annotation: members of a container",
        "serialization/class_codecs.py",
        "type(value) is kind and all(map(check, value))",
        "type(value) is kind",
        CLASS_CODECS,
    ),
    Mutation(
        "annotation: a tuple",
        "serialization/class_codecs.py",
        "            type(value) is tuple\n            and len",
        "            len",
        CLASS_CODECS,
    ),
    Mutation(
        "annotation: length of a tuple",
        "serialization/class_codecs.py",
        "            and len(value) == len(checks)\n            and all(check(member) for check, member in zip(checks, value, strict=True))",
        "            and all(check(member) for check, member in zip(checks, value, strict=False))",
        CLASS_CODECS,
    ),
    Mutation(
        "annotation: keys",
        "serialization/class_codecs.py",
        "check(key) and check_member(member) for",
        "check_member(member) for",
        CLASS_CODECS,
    ),
    Mutation(
        "annotation: values",
        "serialization/class_codecs.py",
        "check(key) and check_member(member) for",
        "check(key) for",
        CLASS_CODECS,
    ),
    Mutation(
        "deferred values cannot be keys",
        "serialization/deferred.py",
        "    __hash__: ClassVar[None] = None  # type: ignore[assignment]",
        "    pass",
        PICKLING,
    ),
    Mutation(
        "values with unfetched references are not created",
        "serialization/deferred.py",
        "if not fetch and contains_deferred(deferred.data):",
        "if False:",
        REFERENCES,
    ),
    Mutation(
        "sealing fetches nothing",
        "serialization/deferred.py",
        "    if fetch:\n        references",
        "    if True:\n        references",
        REFERENCES,
    ),
    Mutation(
        "references are checked when sealing",
        "serialization/deferred.py",
        "        deferred.decode(deferred.data)\n        return deferred\n",
        "        return deferred\n",
        REFERENCES,
    ),
    Mutation(
        "references are fetched together",
        "serialization/deferred.py",
        "            _fetch_together(function, deferred)\n",
        "            pass\n",
        REFERENCES,
    ),
    Mutation(
        "fetch returns a value for each reference",
        "serialization/deferred.py",
        "if len(values) != len(references):",
        "if False:",
        REFERENCES,
    ),
    Mutation(
        "references are fetched once",
        "serialization/deferred.py",
        "    if deferred.fetched:\n        return deferred.fetched[0]\n",
        "",
        REFERENCES,
    ),
    Mutation(
        "references in references are fetched",
        "serialization/deferred.py",
        "value.fetch is not None and not contains_deferred(value.data)",
        "value.fetch is not None",
        REFERENCES,
    ),
    Mutation(
        "the search visits a bounded number of values",
        "serialization/diagnosis.py",
        "if self._nodes_left < 0:",
        "if False:",
        f"{LIMITS} -k search_is_bounded",
    ),
    Mutation(
        "the search detects cycles", "serialization/diagnosis.py", "if id(value) in parents:", "if False:", VALUES
    ),
    Mutation(
        "the error does not suggest to register code",
        "serialization/diagnosis.py",
        "issubclass(kind, _CODE_TYPES) or ",
        "",
        LIMITS,
    ),
    Mutation(
        "the search stops at the depth limit",
        "serialization/diagnosis.py",
        "if len(parents) > self._limits.depth:",
        "if False:",
        LIMITS,
    ),
    Mutation(
        "the search survives a RecursionError",
        "serialization/diagnosis.py",
        "except RecursionError:",
        "except EOFError:",
        LIMITS,
    ),
    Mutation(
        "deferred values in plain data are reported",
        "serialization/diagnosis.py",
        "if not entry.allow_nested and (nested :=",
        "if False and (nested :=",
        REFERENCES,
    ),
    Mutation(
        "maximum weight of hashed values", "serialization/limits.py", "if weight > self.hashed:", "if False:", LIMITS
    ),
    Mutation("maximum depth", "serialization/limits.py", "if depth > self.depth:", "if False:", LIMITS),
    Mutation("maximum number of values", "serialization/limits.py", "if nodes > self.nodes:", "if False:", LIMITS),
    Mutation(
        "maximum number of typed values", "serialization/limits.py", "if typed > self.typed:", "if False:", LIMITS
    ),
    Mutation(
        "maximum size of an int", "serialization/limits.py", "return -most <= value < most", "return True", LIMITS
    ),
    Mutation(
        "limits cannot be raised", "serialization/limits.py", "not least <= value <= most", "not least <= value", LIMITS
    ),
    Mutation(
        "limits have a minimum", "serialization/limits.py", "not least <= value <= most", "not value <= most", LIMITS
    ),
    Mutation("limits are ints", "serialization/limits.py", "type(value) is not int or", "", LIMITS),
    Mutation(
        "maximum size of a pickle",
        "serialization/pickle_grammar.py",
        "if len(payload) > self._size:",
        "if False:",
        PICKLING,
    ),
    Mutation(
        "opcodes outside of the grammar are refused",
        "serialization/pickle_grammar.py",
        "while not (match := self._match_all(payload, position)).lastindex:",
        "while False and (match := self._match_all(payload, position)):",
        PICKLING,
    ),
    Mutation("nothing follows STOP", "serialization/pickle_grammar.py", "(\\.\\Z)?+", "(\\.)?+", PICKLING),
    Mutation(
        "the fast match covers a bounded number of opcodes",
        "serialization/pickle_grammar.py",
        '{0," + max_count + rb"}+',
        '{0," + rb"}+',
        LIMITS,
    ),
    Mutation(
        "maximum length of an int in the grammar",
        "serialization/pickle_grammar.py",
        "_length_prefixed_pattern(int_bytes)",
        "_length_prefixed_pattern(255)",
        LIMITS,
    ),
    Mutation(
        "nesting is bounded by counting openers",
        "serialization/pickle_grammar.py",
        "len(counted.translate(None, _NOT_OPENERS)) > limits.depth",
        "False",
        LIMITS,
    ),
    Mutation(
        "bytes are compared with the limit of nodes",
        "serialization/pickle_grammar.py",
        "length > limits.nodes\n            or",
        "",
        LIMITS,
    ),
    Mutation(
        "typed values are counted",
        "serialization/pickle_grammar.py",
        "or (length > 4 * limits.typed and rest.count(_PERSID) > limits.typed)",
        "",
        LIMITS,
    ),
    Mutation(
        "long strings count as values",
        "serialization/pickle_grammar.py",
        "payload[start : position + 5]",
        "payload[start:position]",
        LIMITS,
    ),
    Mutation(
        "a decoder returns exactly its type",
        "serialization/registry.py",
        "if type(value) is not cls:",
        "if False:",
        VALUES,
    ),
    Mutation(
        "only classes can be registered",
        "serialization/registry.py",
        "if not isinstance(cls, type):",
        "if False:",
        VALUES,
    ),
    Mutation("length of a code", "serialization/registry.py", " or not 1 <= len(code) <= _MAX_CODE_LENGTH", "", VALUES),
    Mutation(
        "a type is registered once",
        "serialization/registry.py",
        "if cls in PLAIN_TYPES or cls in self.by_type:",
        "if cls in PLAIN_TYPES:",
        VALUES,
    ),
    Mutation(
        "plain types are not registered",
        "serialization/registry.py",
        "if cls in PLAIN_TYPES or cls in self.by_type:",
        "if cls in self.by_type:",
        VALUES,
    ),
    Mutation("a code is registered once", "serialization/registry.py", "if code in self.by_code:", "if False:", VALUES),
    Mutation(
        "registered classes with opcode methods are deferred",
        "serialization/registry.py",
        "encode, decode_exactly, _has_opcode_methods(cls)",
        "encode, decode_exactly, False",
        VALUES,
    ),
    Mutation(
        "default classes with opcode methods are deferred",
        "serialization/registry.py",
        "encode, decode, _has_opcode_methods(cls)",
        "encode, decode, False",
        PICKLING,
    ),
    Mutation(
        "methods that opcodes call are detected",
        "serialization/registry.py",
        "name in vars(base) for base in bases for name in _OPCODE_METHODS",
        "False for base in bases for name in _OPCODE_METHODS",
        VALUES,
    ),
    Mutation(
        "attribute hooks are detected",
        "serialization/registry.py",
        "for name in _ATTRIBUTE_HOOKS",
        "for name in ()",
        VALUES,
    ),
    Mutation(
        "slices are deferred",
        "serialization/registry.py",
        "self.add(self.by_type[slice]._replace(deferred=True))",
        "pass",
        PICKLING,
    ),
    Mutation(
        "classes are deferred",
        "serialization/registry.py",
        "_encode_class, _decode_class, True",
        "_encode_class, _decode_class, False",
        PICKLING,
    ),
    Mutation(
        "only default classes can be values",
        "serialization/registry.py",
        "if CLASS_VALUES.get(value.__name__) is not value:",
        "if False:",
        VALUES,
    ),
    Mutation(
        "the name of a class is a str", "serialization/registry.py", "if type(data) is not str:", "if False:", VALUES
    ),
    Mutation(
        "sets are written in order",
        "serialization/registry.py",
        "_replace(encode=self._encode_set, deferred=False)",
        "_replace(deferred=False)",
        VALUES,
    ),
    Mutation(
        "a pickle is checked before it is read",
        "serialization/safe_pickle.py",
        "        self._check(payload)\n        try:\n            reader",
        "        pass\n        try:\n            reader",
        PICKLING,
    ),
    Mutation(
        "find_class refuses every global",
        "serialization/safe_pickle.py",
        'raise _RefusedError(f"an opcode that names the global {module}.{name}")',
        "return super().find_class(module, name)",
        PICKLING,
    ),
    Mutation("a persistent id is a tuple", "serialization/safe_pickle.py", "type(pid) is not tuple or", "", PICKLING),
    Mutation("a persistent id has two members", "serialization/safe_pickle.py", "or len(pid) != 2", "", PICKLING),
    Mutation(
        "the code of a persistent id is a str",
        "serialization/safe_pickle.py",
        "or type(pid[0]) is not str",
        "",
        PICKLING,
    ),
    Mutation(
        "a pickle with an unknown code is refused",
        "serialization/safe_pickle.py",
        "if entry is None:\n                    raise",
        "if False:\n                    raise",
        PICKLING,
    ),
    Mutation(
        "deferred types are created after reading",
        "serialization/safe_pickle.py",
        "if entry.deferred or (",
        "if (",
        PICKLING,
    ),
    Mutation(
        "values that contain deferred values are deferred",
        "serialization/safe_pickle.py",
        "or (self.has_deferred and entry.fetch is None and contains_deferred(data))",
        "",
        PICKLING,
    ),
    Mutation(
        "data of deferred values is not searched again",
        "serialization/safe_pickle.py",
        "entry.fetch is None and ",
        "",
        REFERENCES,
    ),
    Mutation(
        "errors of the unpickler become UnsealError",
        "serialization/safe_pickle.py",
        "except _READ_ERRORS as error:",
        "except EOFError as error:",
        PICKLING,
    ),
    Mutation(
        "a plain payload is checked after writing",
        "serialization/safe_pickle.py",
        "                self._check(payload)\n            # Only",
        "                pass\n            # Only",
        PICKLING,
    ),
    Mutation(
        "a reader that failed is not used again",
        "serialization/safe_pickle.py",
        "            value = reader.load()\n",
        "            self._readers.append(reader)\n            value = reader.load()\n",
        PICKLING,
    ),
    Mutation(
        "a typed payload is checked after writing",
        "serialization/safe_pickle.py",
        "self.loads(payload, fetch=False)  # never",
        "pass  # never",
        PICKLING,
    ),
    Mutation(
        "the writer stops at the size limit",
        "serialization/safe_pickle.py",
        "if self._written or len(data) > self._max_length:",
        "if False:",
        f"{PICKLING} -k far_too_large",
    ),
    Mutation(
        "errors of fetch pass unchanged",
        "serialization/safe_pickle.py",
        "except FetchError as error:",
        "except EOFError as error:",
        REFERENCES,
    ),
    Mutation(
        "types of a family are registered",
        "serialization/safe_pickle.py",
        "if type(error) is _NotPlainError and self._registry.find_family(*error.args):",
        "if False:",
        REFERENCES,
    ),
    Mutation(
        "references in plain data are refused",
        "serialization/safe_pickle.py",
        "if self.has_deferred and not entry.allow_nested and contains_deferred(data):",
        "if False:",
        REFERENCES,
    ),
    Mutation(
        "_check_tuple: a tuple",
        "serialization/standard_types.py",
        "members = _check_type(tuple, data)\n    if len",
        "members: Any = data\n    if len",
        VALUES,
    ),
    Mutation(
        "_check_tuple: types of the members",
        "serialization/standard_types.py",
        "        _check_type(kind, member)\n",
        "        pass\n",
        VALUES,
    ),
    Mutation(
        "_check_type: exactly the type",
        "serialization/standard_types.py",
        "if type(data) is not kind:",
        "if False:",
        VALUES,
    ),
    Mutation(
        "text is a str", "serialization/standard_types.py", "text = _check_type(str, data)", "text: Any = data", VALUES
    ),
    Mutation(
        "maximum length of a text", "serialization/standard_types.py", "if len(text) > max_length:", "if False:", VALUES
    ),
    Mutation(
        "an int64 is an int",
        "serialization/standard_types.py",
        "number = _check_type(int, data)",
        "number: Any = data",
        VALUES,
    ),
    Mutation(
        "range of an int64",
        "serialization/standard_types.py",
        "if not -_INT64_LIMIT <= number < _INT64_LIMIT:",
        "if False:",
        VALUES,
    ),
    Mutation(
        "timezone: a tuple",
        "serialization/standard_types.py",
        "members = _check_type(tuple, data)\n    *offset",
        "members: Any = data\n    *offset",
        VALUES,
    ),
    Mutation(
        "timedelta: a tuple",
        "serialization/standard_types.py",
        "days, seconds, microseconds = _check_type(tuple, data)",
        "days, seconds, microseconds = data",
        VALUES,
    ),
    Mutation(
        "range: a tuple",
        "serialization/standard_types.py",
        "_check_type(tuple, data)\n    return range",
        "data\n    return range",
        VALUES,
    ),
    Mutation(
        "slice: a tuple",
        "serialization/standard_types.py",
        "_check_type(tuple, data)\n    return slice",
        "data\n    return slice",
        VALUES,
    ),
    Mutation(
        "defaultdict: a tuple",
        "serialization/standard_types.py",
        "name, items = _check_type(tuple, data)",
        "name, items = data",
        VALUES,
    ),
    Mutation(
        "deque: a tuple",
        "serialization/standard_types.py",
        "items, maxlen = _check_type(tuple, data)",
        "items, maxlen = data",
        VALUES,
    ),
    Mutation(
        "datetime: a tuple",
        "serialization/standard_types.py",
        "_check_type(tuple, data)\n    naive = datetime.datetime",
        "data\n    naive = datetime.datetime",
        VALUES,
    ),
    Mutation(
        "time: a tuple",
        "serialization/standard_types.py",
        "_check_type(tuple, data)\n    naive = datetime.time.",
        "data\n    naive = datetime.time.",
        VALUES,
    ),
    Mutation(
        "datetime: fold",
        "serialization/standard_types.py",
        "26))\n    value = naive.replace(tzinfo=_check_zone(zone), fold=_check_type(int, fold))",
        "26))\n    value = naive.replace(tzinfo=zone, fold=fold)",
        VALUES,
    ),
    Mutation(
        "time: fold",
        "serialization/standard_types.py",
        "15))\n    value = naive.replace(tzinfo=_check_zone(zone), fold=_check_type(int, fold))",
        "15))\n    value = naive.replace(tzinfo=zone, fold=fold)",
        VALUES,
    ),
    Mutation(
        "datetime: length of a text", "serialization/standard_types.py", "len(data) <= 32", "len(data) <= 9999", VALUES
    ),
    Mutation(
        "datetime: length beside a zone",
        "serialization/standard_types.py",
        "_text(text, 26)",
        "_text(text, 9999)",
        VALUES,
    ),
    Mutation(
        "time: length of a text", "serialization/standard_types.py", "len(data) <= 21", "len(data) <= 9999", VALUES
    ),
    Mutation(
        "time: length beside a zone", "serialization/standard_types.py", "_text(text, 15)", "_text(text, 9999)", VALUES
    ),
    Mutation(
        "length of a zone's name",
        "serialization/standard_types.py",
        "_check_text(name, _MAX_NAME_LENGTH)",
        "name",
        VALUES,
    ),
    Mutation(
        "Decimal: length",
        "serialization/standard_types.py",
        "_MAX_DECIMAL_LENGTH = 64",
        "_MAX_DECIMAL_LENGTH = 9999",
        VALUES,
    ),
    Mutation(
        "Decimal: exponent",
        "serialization/standard_types.py",
        "if abs(value.adjusted()) > _MAX_DECIMAL_EXPONENT:",
        "if False:",
        VALUES,
    ),
    Mutation(
        "Decimal: signaling NaN", "serialization/standard_types.py", "elif value.is_snan():", "elif False:", VALUES
    ),
    Mutation(
        "one spelling of dates, times and numbers",
        "serialization/standard_types.py",
        "if encode(value) != data:",
        "if False:",
        VALUES,
    ),
    Mutation(
        "deque: one spelling", "serialization/standard_types.py", "if len(value) != len(items):", "if False:", VALUES
    ),
    Mutation("timedelta: days", "serialization/standard_types.py", "_int64(days)", "days", VALUES),
    Mutation("timedelta: seconds", "serialization/standard_types.py", "_int64(seconds)", "seconds", VALUES),
    Mutation(
        "timedelta: microseconds", "serialization/standard_types.py", "_int64(microseconds)", "microseconds", VALUES
    ),
    Mutation("range: start", "serialization/standard_types.py", "range(_check_int64(start)", "range(start", VALUES),
    Mutation("range: stop", "serialization/standard_types.py", "_int64(stop)", "stop", VALUES),
    Mutation("range: step", "serialization/standard_types.py", "_int64(step)", "step", VALUES),
    Mutation(
        "slice: bounds",
        "serialization/standard_types.py",
        "None if bound is None else _check_int64(bound)",
        "bound",
        VALUES,
    ),
    Mutation(
        "singletons have no data",
        "serialization/standard_types.py",
        "        _check_type(type(None), data)\n",
        "",
        VALUES,
    ),
    Mutation(
        "Counter: ints", "serialization/standard_types.py", "        _check_type(int, count)", "        pass", VALUES
    ),
    Mutation(
        "Counter: a dict",
        "serialization/standard_types.py",
        "counts = _check_type(dict, data)",
        "counts = dict(data)",
        VALUES,
    ),
    Mutation(
        "defaultdict: known factories",
        "serialization/standard_types.py",
        "if _DEFAULT_FACTORIES.get(name) is not factory:",
        "if name not in _DEFAULT_FACTORIES:",
        VALUES,
    ),
    Mutation("defaultdict: a dict", "serialization/standard_types.py", "_check_type(dict, items)", "items", VALUES),
    Mutation("deque: a list", "serialization/standard_types.py", "_check_type(list, items)", "items", VALUES),
    Mutation(
        "deque: maxlen",
        "serialization/standard_types.py",
        "None if maxlen is None else _check_int64(maxlen)",
        "maxlen",
        VALUES,
    ),
    Mutation(
        "OrderedDict: a dict",
        "serialization/standard_types.py",
        "    items = _check_type(dict, data)\n    if len",
        "    items: Any = data\n    if len",
        VALUES,
    ),
    Mutation(
        "OrderedDict: number of keys that can collide",
        "serialization/standard_types.py",
        "_ORDERED_KEYS = 128",
        "_ORDERED_KEYS = 9999",
        VALUES,
    ),
    Mutation(
        "OrderedDict: str keys are not limited",
        "serialization/standard_types.py",
        "sum(type(key) not in (str, bytes) for key in items)",
        "len(items)",
        VALUES,
    ),
    Mutation(
        "set: a list", "serialization/standard_types.py", "lambda data: set(_check_type(list, data))", "set", VALUES
    ),
    Mutation(
        "frozenset: a list",
        "serialization/standard_types.py",
        "lambda data: frozenset(_check_type(list, data))",
        "frozenset",
        VALUES,
    ),
    Mutation(
        "bytearray: bytes",
        "serialization/standard_types.py",
        "bytearray(_check_type(bytes, data))",
        "bytearray(data)",
        VALUES,
    ),
    Mutation(
        "UUID: bytes",
        "serialization/standard_types.py",
        "bytes=_check_type(bytes, data))",
        "bytes=bytes(data))",
        VALUES,
    ),
    Mutation(
        "attributes beside the items are refused",
        "serialization/standard_types.py",
        'if getattr(value, "__dict__", None):',
        "if False:",
        VALUES,
    ),
    Mutation(
        "maximum length of a path",
        "serialization/standard_types.py",
        "_MAX_PATH_LENGTH = 1024",
        "_MAX_PATH_LENGTH = 9999",
        VALUES,
    ),
    Mutation(
        "maximum length of an address",
        "serialization/standard_types.py",
        "_MAX_NAME_LENGTH = 64",
        "_MAX_NAME_LENGTH = 9999",
        VALUES,
    ),
    Mutation("paths contain no NUL", "serialization/standard_types.py", 'if "\\0" in text:', "if False:", VALUES),
    Mutation(
        "one spelling of paths and addresses",
        "serialization/standard_types.py",
        "return _check_canonical(cls(text), str, text)",
        "return cls(text)",
        VALUES,
    ),
    Mutation(
        "maximum size of a JSON text",
        "serialization/tagged_json.py",
        "if len(payload) > self._limits.size:\n            problem",
        "if False:\n            problem",
        LIMITS,
    ),
    Mutation(
        "maximum size of a JSON text when writing",
        "serialization/tagged_json.py",
        "if len(payload) > self._limits.size:\n                raise PayloadTooLargeError",
        "if False:\n                raise PayloadTooLargeError",
        LIMITS,
    ),
    Mutation(
        "characters are compared with the limit of nodes",
        "serialization/tagged_json.py",
        "len(text) > limits.nodes or",
        "",
        LIMITS,
    ),
    Mutation(
        "objects are compared with the limit of typed values",
        "serialization/tagged_json.py",
        "objects > limits.typed or",
        "",
        LIMITS,
    ),
    Mutation(
        "brackets are compared with the depth limit",
        "serialization/tagged_json.py",
        'or objects + text.count("[") > limits.depth',
        "",
        LIMITS,
    ),
    Mutation(
        "values are counted when writing",
        "serialization/tagged_json.py",
        "if self._nodes > self._limits.nodes:",
        "if False:",
        f"{LIMITS} -k writing_is_bounded",
    ),
    Mutation(
        "repeated keys are refused", "serialization/tagged_json.py", "if len(value) != len(pairs):", "if False:", JSON
    ),
    Mutation(
        "a tag is the only key of its object",
        "serialization/tagged_json.py",
        'if any(key.startswith("~") for key in value):',
        "if False:",
        JSON,
    ),
    Mutation(
        "an unknown code in JSON is refused", "serialization/tagged_json.py", "if entry is None:", "if False:", JSON
    ),
    Mutation(
        "the data of a tuple is a list",
        "serialization/tagged_json.py",
        "tag == _TUPLE and type(data) is list",
        "tag == _TUPLE",
        JSON,
    ),
    Mutation(
        "the data of a dict is a list",
        "serialization/tagged_json.py",
        "tag == _DICT and type(data) is list and",
        "tag == _DICT and",
        JSON,
    ),
    Mutation(
        "deferred values as keys are refused in JSON",
        "serialization/tagged_json.py",
        "if any(map(self._registry.unhashable_during_load, data[::2])):",
        "if False:",
        JSON,
    ),
    Mutation("base64 is strict", "serialization/tagged_json.py", "validate=True", "validate=False", JSON),
    Mutation(
        "the data of bytes is a str",
        "serialization/tagged_json.py",
        "tag == _BYTES and type(data) is str",
        "tag == _BYTES",
        JSON,
    ),
    Mutation(
        "maximum size of an int in JSON",
        "serialization/tagged_json.py",
        "if not self._limits.allows_int(value):",
        "if False:",
        JSON,
    ),
    Mutation(
        "NaN literals are refused", "serialization/tagged_json.py", "            parse_constant=_refuse,\n", "", JSON
    ),
    Mutation(
        "one spelling of strings",
        "serialization/tagged_json.py",
        "if _CANONICAL.fullmatch(text) is None:",
        "if False:",
        JSON,
    ),
    Mutation("one spelling of a float", "serialization/tagged_json.py", "if repr(value) != text:", "if False:", JSON),
    Mutation("one spelling of zero", "serialization/tagged_json.py", 'if digits == "-0":', "if False:", JSON),
    Mutation(
        "one spelling of bytes",
        "serialization/tagged_json.py",
        'if b64encode(decoded).decode("ascii") != data:',
        "if False:",
        JSON,
    ),
    Mutation(
        "a dict with str keys only has no tag",
        "serialization/tagged_json.py",
        " or _is_plain_object(items):",
        ":",
        JSON,
    ),
    Mutation(
        "repeated keys of a tagged dict are refused",
        "serialization/tagged_json.py",
        "len(items) * 2 != len(data) or ",
        "",
        JSON,
    ),
    Mutation(
        "repeated elements of a set are refused", "serialization/tagged_json.py", "len(elements) != count or ", "", JSON
    ),
    Mutation(
        "nothing follows the JSON value", "serialization/tagged_json.py", "if end != len(text):", "if False:", JSON
    ),
    Mutation(
        "a JSON payload is checked after writing",
        "serialization/tagged_json.py",
        "self.loads(payload)  # never",
        "pass  # never",
        JSON,
    ),
    Mutation(
        "errors of the JSON parser become UnsealError",
        "serialization/tagged_json.py",
        "except DECODE_ERRORS as error:",
        "except EOFError as error:",
        JSON,
    ),
    Mutation(
        "invalidate() drops the lineage",
        "session.py",
        "        super().clear()\n        self._identity = self._manager.new_identity(self)\n        self._invalidated",
        "        super().clear()\n        self._identity = self._manager.new_identity(self)._replace(lineage_id=self._identity.lineage_id)\n        self._invalidated",
        f"{SESSION} {REVOCATION}",
    ),
    Mutation(
        "errors of generators are handled",
        "state/middleware.py",
        "return parts if is_file or isinstance(parts, list | tuple) else",
        "return parts if True else",
        STATE_RESPONSES,
    ),
    Mutation(
        "file wrappers are kept",
        "state/middleware.py",
        "return parts if is_file or isinstance",
        "return parts if isinstance",
        STATE_RESPONSES,
    ),
    Mutation(
        "iterables are closed", "state/middleware.py", "            close()\n", "            pass\n", STATE_RESPONSES
    ),
    Mutation(
        "errors after the headers, WSGI",
        "state/middleware.py",
        ", headers, sys.exc_info())",
        ", headers)",
        STATE_RESPONSES,
    ),
    Mutation(
        "no body for HEAD",
        "state/middleware.py",
        'return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]',
        "return [body]",
        STATE_RESPONSES,
    ),
    Mutation(
        "errors after the headers, ASGI",
        "state/middleware.py",
        "            if has_begun:\n                raise\n",
        "",
        STATE_RESPONSES,
    ),
    Mutation(
        "only http scopes, ASGI",
        "state/middleware.py",
        'has_begun = scope["type"] != "http"',
        "has_begun = False",
        STATE_RESPONSES,
    ),
    Mutation(
        "a state's payload is a list",
        "state/payload.py",
        "if type(content) is not list:",
        "if content is None:",
        STATE_PAYLOAD,
    ),
    Mutation(
        "a value has no other parts",
        "state/payload.py",
        "len(content) == 3 and type(content[2]) is str",
        "type(content[2]) is str",
        STATE_PAYLOAD,
    ),
    Mutation(
        "a value follows None",
        "state/payload.py",
        "if not content or content[0] is not None:",
        "if not content:",
        STATE_PAYLOAD,
    ),
    Mutation(
        "the parts of an object",
        "state/payload.py",
        "if [*map(type, content)] != _OBJECT_TYPES:",
        "if len(content) != 4:",
        STATE_PAYLOAD,
    ),
    Mutation(
        "keyword names are str",
        "state/payload.py",
        "{*map(type, content[2]), *map(type, content[3])}",
        "{*map(type, content[3])}",
        STATE_PAYLOAD,
    ),
    Mutation(
        "attribute names are str",
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
    Mutation("maximum length of a call", "state/protocol.py", "if len(body) > max_length:", "if False:", STATE_CALLS),
    Mutation(
        "calls are UTF-8",
        "state/protocol.py",
        'str(body, "utf-8")',
        "str(body, json.detect_encoding(body))",
        STATE_CALLS,
    ),
    Mutation(
        "repeated names in a call are refused",
        "state/protocol.py",
        "if len(members) != len(pairs):",
        "if False:",
        STATE_CALLS,
    ),
    Mutation(
        "numbers are finite",
        "state/protocol.py",
        "if not math.isfinite(value := float(number)):",
        "if (value := float(number)) is None:",
        STATE_CALLS,
    ),
    Mutation(
        "members of a call have their types",
        "state/protocol.py",
        "if {name: type(member) for name, member in call.items()} == _MEMBERS:",
        "if set(call) == set(_MEMBERS):",
        STATE_CALLS,
    ),
    Mutation(
        "deeply nested calls are refused",
        "state/protocol.py",
        "except (ValueError, RecursionError) as error:\n        raise StateError",
        "except ValueError as error:\n        raise StateError",
        STATE_CALLS,
    ),
    Mutation("results without NaN", "state/protocol.py", ", allow_nan=False", "", STATE_CALLS),
    Mutation(
        "only types of a family are registered",
        "state/registry.py",
        "if base in self.families:",
        "if self.families:",
        REFERENCES,
    ),
    Mutation(
        "a family's decoder returns a member",
        "state/registry.py",
        "if not isinstance(value, base):",
        "if False:",
        REFERENCES,
    ),
    Mutation(
        "fetch is callable",
        "state/registry.py",
        "if fetch is not None and not callable(fetch):",
        "if False:",
        REFERENCES,
    ),
    Mutation(
        "only public methods are called", "state/resumable.py", "if not _is_marked(method):", "if False:", RESUMABLE
    ),
    Mutation(
        "copied marks do not count",
        "state/resumable.py",
        "vars(method).get(_PUBLIC) is method",
        "vars(method).get(_PUBLIC) is not None",
        RESUMABLE,
    ),
    Mutation(
        "public private names are refused",
        "state/resumable.py",
        "if marked is not None and marked is member and",
        "if False and",
        RESUMABLE,
    ),
    Mutation(
        "hidden public methods are refused",
        "state/resumable.py",
        "if marked is not None and not any(",
        "if False and any(",
        RESUMABLE,
    ),
    Mutation(
        "public() without a method is refused", "state/resumable.py", "if method is None:", "if False:", RESUMABLE
    ),
    Mutation(
        "load may use any name for its first argument",
        "state/resumable.py",
        '_find_member(cls, "load")), error, (target, *args)',
        "target.load), error, args",
        RESUMABLE,
    ),
    Mutation("private names are refused", "state/resumable.py", 'if name.startswith("_") or not', "if not", RESUMABLE),
    Mutation(
        "methods are looked up in the class",
        "state/resumable.py",
        "method = _find_member(type(self), name)",
        "method = getattr(self, name, None)",
        RESUMABLE,
    ),
    Mutation(
        "own TypeErrors of a method pass",
        "state/resumable.py",
        "if not _is_argument_error(method, error, (self, *args), kwargs):",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "own TypeErrors of load pass",
        "state/resumable.py",
        'if not _is_argument_error(cast(Any, _find_member(cls, "load")), error, (target, *args), kwargs):',
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "wrong arguments of a method are a StateError",
        "state/resumable.py",
        "if not _is_argument_error(method, error, (self, *args), kwargs):",
        "if True:",
        RESUMABLE,
    ),
    Mutation(
        "wrong arguments of load are stale",
        "state/resumable.py",
        'if not _is_argument_error(cast(Any, _find_member(cls, "load")), error, (target, *args), kwargs):',
        "if True:",
        RESUMABLE,
    ),
    Mutation(
        "a state cannot shadow a method",
        "state/resumable.py",
        "if not cls._sealedsession_methods.isdisjoint(state):",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "an attribute cannot shadow a method when sealing",
        "state/resumable.py",
        "for name in self._sealedsession_methods.intersection(attributes):",
        "for name in ():",
        RESUMABLE,
    ),
    Mutation(
        "private attributes are not sealed",
        "state/resumable.py",
        'if name[:1] != "_" and name not in loaded}',
        "if name not in loaded}",
        RESUMABLE,
    ),
    Mutation(
        "attributes that load sets are not sealed", "state/resumable.py", "record.names.add(name)", "pass", RESUMABLE
    ),
    Mutation(
        "the record of load ends",
        "state/resumable.py",
        "        record.is_running = False\n",
        "        pass\n",
        RESUMABLE,
    ),
    Mutation(
        "stale_on makes errors stale",
        "state/resumable.py",
        "except cls.stale_on as error:",
        "except EOFError as error:",
        RESUMABLE,
    ),
    Mutation(
        "stale_on is a tuple of exceptions",
        "state/resumable.py",
        "if type(stale_on) is not tuple or",
        "if False and",
        RESUMABLE,
    ),
    Mutation(
        "reserved names are refused",
        "state/resumable.py",
        "if _find_member(cls, reserved) is not vars(Resumable)[reserved]:",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "load is a plain method",
        "state/resumable.py",
        "if not isinstance(load, FunctionType) or inspect.iscoroutinefunction(load):",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "slots are refused",
        "state/resumable.py",
        "if isinstance(_find_member(cls, attribute), MemberDescriptorType):",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "mutable class attributes are refused",
        "state/resumable.py",
        "if isinstance(member, list | dict | set) and",
        "if False and",
        RESUMABLE,
    ),
    Mutation(
        "public on other objects is refused",
        "state/resumable.py",
        "if type(method) is not FunctionType:",
        "if False:",
        RESUMABLE,
    ),
    Mutation(
        "a token belongs to a session", "state/sealer.py", "{len(session_id)}:{session_id}{user}", "{user}", STATE
    ),
    Mutation("a token belongs to a user", "state/sealer.py", "{session_id}{user}", "{session_id}", STATE),
    Mutation("the session id is delimited", "state/sealer.py", "{len(session_id)}:", "", STATE),
    Mutation("a token belongs to a sealer's name", "state/sealer.py", "state:{name}:", "state:", STATE),
    Mutation("max_age", "state/sealer.py", "idle_timeout=max_age,", "", STATE),
    Mutation("leeway of states", "state/sealer.py", "leeway=leeway,\n                max_length", "max_length", STATE),
    Mutation(
        "maximum length of a token, reading", "state/sealer.py", "max_length=max_size,", "max_length=65536,", STATE
    ),
    Mutation(
        "maximum length of a token, writing", "state/sealer.py", "if len(token) > self._max_size:", "if False:", STATE
    ),
    Mutation("an empty session id is refused", "state/sealer.py", "if not session_id:", "if False:", STATE),
    Mutation("session id and user are str", "state/sealer.py", "if not isinstance(value, str):", "if False:", STATE),
    Mutation("a token is a str", "state/sealer.py", "if not isinstance(token, str):", "if False:", STATE),
    Mutation(
        "the class is the expected one",
        "state/sealer.py",
        "if known is not None and not issubclass(known, cls):",
        "if False:",
        STATE,
    ),
    Mutation(
        "an unknown class is stale",
        "state/sealer.py",
        "if cls is None:\n            raise Stale",
        "if False:\n            raise Stale",
        STATE,
    ),
    Mutation(
        "only Resumable classes are registered",
        "state/sealer.py",
        "if not (isinstance(cls, type) and issubclass(cls, Resumable)):",
        "if False:",
        STATE,
    ),
    Mutation("a class is registered once", "state/sealer.py", "if cls in self._codes:", "if False:", STATE),
    Mutation("a class's code is unique", "state/sealer.py", "if code in self._classes:", "if False:", STATE),
    Mutation("a class's code is a str", "state/sealer.py", "if type(code) is not str or not code:", "if False:", STATE),
    Mutation("classes are checked when registered", "state/sealer.py", "        check_resumable(cls)\n", "", STATE),
    Mutation("a code without a class is refused", "state/sealer.py", "if isinstance(cls, str):", "if False:", STATE),
    Mutation("the purpose of a value is checked", "state/sealer.py", "if sealed_for != purpose:", "if False:", STATE),
    Mutation(
        "an object is not accepted as a value", "state/sealer.py", "if content[0] is not None:", "if False:", STATE
    ),
    Mutation("the cache of subkeys is bounded", "state/sealer.py", "@lru_cache(_SEALERS)", "@lru_cache(None)", STATE),
    Mutation("async methods are refused", "state/sealer.py", "if inspect.iscoroutine(result):", "if False:", STATE),
    Mutation(
        "a keyring for states encrypts",
        "state/sealer.py",
        "if keys.current(int(clock())).pairs[0].encrypt is None:",
        "if False:",
        STATE_OPTIONS,
    ),
    Mutation(
        "states need both keys",
        "state/sealer.py",
        "if missing := [option for option, key in pair.items() if key is None]:",
        'if missing := ["validate_key"] * (validate_key is None):',
        STATE_OPTIONS,
    ),
    Mutation("a sealer's name has no colon", "state/sealer.py", ' or ":" in name', "", STATE_OPTIONS),
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
