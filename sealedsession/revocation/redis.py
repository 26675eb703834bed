"""A revocation store in Redis or Valkey, which all machines share. It uses redis-py.

Rules:

1. In an event loop, no call takes longer than twice the timeout. In a thread, the timeout limits each wait: for a free
   connection, for a new one, for each answer during its setup, and for each part of an answer. redis-py cannot limit a
   whole call. If Redis hangs, a call takes two timeouts. redis-py's own ten retries are off. A connection that was cut,
   for example by a restart of Redis, is replaced once, immediately.
2. All threads share one client, whose pool handles forks. Each event loop has its own client, which is closed with the
   loop.
3. A value is not_before(4, big-endian) exempt_lineage(0 or 16): 4 or 20 bytes. Any other string is an error, and never
   means "not revoked". Redis itself returns no value for a key of another type, such as a list or a hash.
4. A revocation is one EVAL: see `SCRIPT`. If a connection is cut before the answer, redis-py runs the script twice. The
   second run changes nothing, but its answer is False if the first run has revoked the caller itself.
5. No message contains the url, and no error has an error of redis-py as its cause: both may contain a password.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from importlib import import_module
from typing import Any

from sealedsession.errors import ConfigError, StoreError, got
from sealedsession.revocation.store import Caller, Entry, RevocationStore, check_seconds

# Options of redis-py on which rules 1 and 3 depend. Neither the url nor client_options may set them.
RETRY = {"retry", "retry_on_timeout", "retry_on_error"}
RESERVED = RETRY | {"socket_timeout", "socket_connect_timeout", "timeout", "decode_responses"}
CONNECTIONS = 16  # more do not make one process faster, and making them is slow at start

# The transaction of `RevocationStore.revoke`, with the rule of `merge`. MGET returns false for a value that is not a
# string; `find` treats such a value as no entry too. A string of another length is not an entry. Under one of the
# caller's keys it is an error, because it does not show whether the caller is revoked. Under the key it is replaced.
# Numbers are compared as numbers: Lua's order of strings depends on the locale.
SCRIPT = """
local entry, ttl = ARGV[1], tonumber(ARGV[2])
local created, lineage, arrived = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local values = redis.call('MGET', unpack(KEYS))

local function is_entry(value) return value and (#value == 4 or #value == 20) end
local function not_before(value) return (struct.unpack('>I4', value)) end
local function exempt(value) return string.sub(value, 5) end
local function refuses(value, time)
    return time <= not_before(value) and (exempt(value) == '' or exempt(value) ~= lineage)
end

for number = 2, #KEYS do
    local value = values[number]
    if value and not is_entry(value) then
        return redis.error_reply('ERR a value is not an entry: another program writes under the same prefix=')
    end
    if value and refuses(value, created) then return 'refused' end
end

local old, merged = values[1], entry
if is_entry(old) then
    local time, exempted = string.sub(entry, 1, 4), ''
    if not_before(old) > not_before(entry) then time = string.sub(old, 1, 4) end
    if exempt(old) == exempt(entry) or (created and not refuses(old, arrived)) then exempted = exempt(entry) end
    merged = time .. exempted
end
local left = redis.call('PTTL', KEYS[1])
local done
if is_entry(old) and (left == -1 or left > ttl * 1000) then
    done = redis.pcall('SET', KEYS[1], merged, 'KEEPTTL')
else
    done = redis.pcall('SET', KEYS[1], merged, 'EX', ARGV[2])
end
if done.err then return done end  -- unchanged, so that redis-py recognizes the error of a replica
return 'written'
"""


class RedisStore(RevocationStore):
    """A store in Redis or Valkey, which all machines share.

    Redis loses revocations when it restarts without persistence, and when it evicts keys. Set ``appendonly yes`` and
    ``maxmemory-policy noeviction``. A revocation is one Lua script. Redis Cluster is not supported.

    :param url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, in the form that redis-py accepts. No message shows a
        password in it.
    :param prefix: the beginning of the names of all keys.
    :param timeout: seconds to wait for Redis, once for a connection and once for the answer.
    :param client_options: more options for redis-py's connections, such as ``{"ssl_ca_certs": path}``. By default, all
        threads share 16 connections, and each event loop has 16; a call waits for a free one. Set another number by
        ``{"max_connections": 50}``.
    :raises ConfigError: if redis-py is not installed, or an option is wrong. The process starts even if Redis is down:
        each call raises `StoreError` until Redis is up.
    """

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        prefix: str = "sealedsession:",
        timeout: float = 0.5,  # Redis answers in less than a millisecond, and a user waits
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        for option, value, example in (("url", url, "redis://localhost:6379/0"), ("prefix", prefix, "sealedsession:")):
            if type(value) is not str:
                raise ConfigError(f"{option}: it must be a str, such as {example!r}{got(value)}")
        check_seconds("timeout", timeout)
        try:  # imported here, because the import takes 0.1 s and the other stores do not need it
            redis: Any = import_module("redis")
        except ImportError as error:
            raise ConfigError(
                "RedisStore: redis-py is not installed. Run: pip install 'sealedsession[redis]'"
            ) from error
        try:
            passed = {*redis.connection.parse_url(url), *(client_options or {})}
        except ValueError:  # the cause is dropped: it contains a part of a password with a "/"
            raise ConfigError(
                "url: it must begin with redis://, rediss:// or unix://, and be percent-encoded. In credentials, "
                "write '/', '#' and '@' as %2F, %23 and %40"
            ) from None
        if reserved := sorted(passed & RESERVED):
            raise ConfigError(
                f"{', '.join(reserved)}: neither url nor client_options may set this. Use timeout= for time limits"
            )
        self._url = url
        self._prefix = prefix.encode()
        self._timeout = timeout
        # Protocol 2 suffices here, and saves a round trip. "timeout" is the time to wait for a free connection.
        times = dict.fromkeys(["timeout", "socket_timeout", "socket_connect_timeout"], timeout)
        self._options = {"protocol": 2, "max_connections": CONNECTIONS, **times, **(client_options or {})}
        try:
            pool = _make_pool("redis", url, self._options)
            pool.connection_class(**pool.connection_kwargs)  # raises for unknown options, and does not connect yet
        except (TypeError, ValueError, redis.RedisError) as error:
            raise ConfigError(
                f"url, client_options: redis-py refuses an option: {error}. Change or delete it"
            ) from error
        place = pool.connection_kwargs
        self._place = place.get("path") or f"{place.get('host', 'localhost')}:{place.get('port', 6379)}"
        self._client = redis.Redis.from_pool(pool)
        self._loop_clients: dict[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[Any, None]]] = {}

    def revoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        try:
            return _parse_answer(self._client.eval(*self._script_call(key, entry, ttl, caller)))
        except Exception as error:  # noqa: BLE001  # for a malformed answer, redis-py raises errors of any class
            raise self._make_error(error) from None

    def find(self, keys: Sequence[bytes]) -> list[Entry | None]:
        try:
            return _decode(self._client.mget([self._prefix + key for key in keys]), len(keys))
        except Exception as error:  # noqa: BLE001
            raise self._make_error(error) from None

    async def arevoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        try:
            async with asyncio.timeout(2 * self._timeout):
                client = await self._get_loop_client()
                return _parse_answer(await client.eval(*self._script_call(key, entry, ttl, caller)))
        except Exception as error:  # noqa: BLE001
            raise self._make_error(error) from None

    async def afind(self, keys: Sequence[bytes]) -> list[Entry | None]:
        try:
            async with asyncio.timeout(2 * self._timeout):
                client = await self._get_loop_client()
                return _decode(await client.mget([self._prefix + key for key in keys]), len(keys))
        except Exception as error:  # noqa: BLE001
            raise self._make_error(error) from None

    async def _get_loop_client(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._loop_clients:
            for closed in [other for other in list(self._loop_clients) if other.is_closed()]:
                self._loop_clients.pop(closed, None)
            generator = _open_client(self._url, self._options)
            self._loop_clients[loop] = await anext(generator), generator
        return self._loop_clients[loop][0]

    def _script_call(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None) -> tuple[Any, ...]:
        """Return the arguments of EVAL: the script, the number of keys, the keys, and the script's own arguments."""
        keys = [self._prefix + each for each in (key, *(caller.keys if caller else ()))]
        session = (caller.created, caller.lineage, caller.arrived) if caller else ()
        return SCRIPT, len(keys), *keys, _encode(entry), ttl, *session

    def _make_error(self, error: Exception) -> StoreError:
        found = str(error).partition(", with args")[0].rstrip(".")  # the arguments of AUTH are a password
        found = found or f"no answer in {2 * self._timeout} seconds"
        return StoreError(f"revocation store, Redis at {self._place}: {found}. Is the url right, and Redis up?")


def _make_pool(package: str, url: str, options: Mapping[str, Any]) -> Any:
    redis, chosen = import_module("redis"), import_module(package)
    # One retry on a new connection: the server of the old one is gone, or has become a replica.
    errors = (redis.ConnectionError, redis.ReadOnlyError)
    retry = chosen.retry.Retry(redis.backoff.NoBackoff(), 1, errors)
    return chosen.BlockingConnectionPool.from_url(url, retry=retry, **options)


async def _open_client(url: str, options: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
    """Yield a client, and close it with its event loop: a loop closes the generators that began in it (PEP 525)."""
    client = import_module("redis.asyncio").Redis.from_pool(_make_pool("redis.asyncio", url, options))
    try:
        yield client
    finally:
        await client.aclose()


def _parse_answer(answer: object) -> bool:
    if answer not in (b"written", b"refused"):
        raise ValueError("the script returned an unknown answer")
    return answer == b"written"


def _encode(entry: Entry) -> bytes:
    return entry.not_before.to_bytes(4, "big") + entry.exempt_lineage


def _decode(answer: object, count: int) -> list[Entry | None]:
    if not isinstance(answer, list) or len(answer) != count:
        raise ValueError("the answer is not that of MGET")
    if any(value is not None and (type(value) is not bytes or len(value) not in (4, 20)) for value in answer):
        raise ValueError("a value is not an entry: another program writes under the same prefix=")
    return [None if value is None else Entry(int.from_bytes(value[:4], "big"), value[4:]) for value in answer]
