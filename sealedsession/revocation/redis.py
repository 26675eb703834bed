"""A revocation store in Redis or Valkey, which all machines share, by redis-py.

Rules:

1. In an event loop no call takes longer than twice the timeout. In a thread no single wait does than once: for a free
   connection, a new one, each answer while it is set up, and each piece of an answer, as redis-py knows no other limit.
   A Redis that hangs thus costs two of them. redis-py's own ten retries are off; a connection that was cut, as by a
   restart of Redis, is replaced once, at once.
2. One client for all threads, whose pool knows of forks; one for each event loop, closed with its loop.
3. A value is not_before(4, big-endian) spared(0 or 16), 4 or 20 bytes. Any other string is an error, never "not
   revoked"; a list or a hash under our key, Redis itself calls nothing.
4. A revocation is one EVAL: see `SCRIPT`. If a connection is cut before the answer, redis-py runs the script twice. The
   second run changes nothing; but if the first run has revoked the caller itself, the answer is False.
5. No message holds the url, and no error has redis-py's as its cause: both may hold a password.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from importlib import import_module
from typing import Any

from sealedsession.errors import ConfigError, StoreError
from sealedsession.revocation.store import Caller, Entry, RevocationStore, check_seconds

# Rules 1 and 3 depend on these options of redis-py: neither the url nor client_options may set them.
RETRY = {"retry", "retry_on_timeout", "retry_on_error"}
RESERVED = RETRY | {"socket_timeout", "socket_connect_timeout", "timeout", "decode_responses"}
CONNECTIONS = 16  # one process asks no faster by more, and making them is what is slow at start

# The transaction of `RevocationStore.revoke`, with the rule of `merge`. MGET returns false for a value that is not a
# string; `find` takes such a value for no entry too. A string of another length is not an entry. Under one of the
# caller's keys it is an error, because it does not show whether the caller is revoked. Under the key it is replaced.
# Numbers are compared as numbers: Lua's order of strings depends on the locale.
SCRIPT = """
local entry, ttl = ARGV[1], tonumber(ARGV[2])
local created, lineage, arrived = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local values = redis.call('MGET', unpack(KEYS))

local function is_entry(value) return value and (#value == 4 or #value == 20) end
local function not_before(value) return (struct.unpack('>I4', value)) end
local function spared(value) return string.sub(value, 5) end
local function refuses(value, time)
    return time <= not_before(value) and (spared(value) == '' or spared(value) ~= lineage)
end

for number = 2, #KEYS do
    local value = values[number]
    if value and not is_entry(value) then
        return redis.error_reply('ERR a value is not of this package: another program writes under the same prefix=')
    end
    if value and refuses(value, created) then return 'refused' end
end

local old, merged = values[1], entry
if is_entry(old) then
    local time, spares = string.sub(entry, 1, 4), ''
    if not_before(old) > not_before(entry) then time = string.sub(old, 1, 4) end
    if spared(old) == spared(entry) or (created and not refuses(old, arrived)) then spares = spared(entry) end
    merged = time .. spares
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
    """Revocations that all machines share.

    Redis forgets them when it restarts without persistence, and when it evicts keys: set ``appendonly yes`` and
    ``maxmemory-policy noeviction``. A revocation is one Lua script. No Redis Cluster.

    :param url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, as redis-py reads it. A password in it never shows.
    :param prefix: what the names of all keys begin with.
    :param timeout: seconds to wait for Redis, once for a connection and once for the answer: see rule 1.
    :param client_options: more options of redis-py's connections, such as ``{"ssl_ca_certs": path}``, or
        ``{"max_connections": 50}``, which are 16 for all threads, and for each event loop; a call waits for a free one.
    :raises ConfigError: when redis-py is not installed, or an option is wrong. That Redis is down does not stop the
        process: each call raises `StoreError`, until it is up.
    """

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        prefix: str = "sealedsession:",
        timeout: float = 0.5,  # it answers in under a millisecond, and a user waits
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        if type(url) is not str or type(prefix) is not str:
            raise ConfigError("url and prefix have to be str, such as 'redis://localhost:6379/0' and 'sealedsession:'")
        check_seconds("timeout", timeout)
        try:  # here, because the import takes 0.1 s, and the other stores do without
            redis: Any = import_module("redis")
        except ImportError as error:
            raise ConfigError("RedisStore needs redis-py: pip install 'sealedsession[redis]'") from error
        try:
            given = {*redis.connection.parse_url(url), *(client_options or {})}
        except ValueError:  # without the cause: of a password with a "/", it has the part before that
            raise ConfigError("url is not redis://, rediss:// or unix://, or not percent-encoded") from None
        if reserved := sorted(given & RESERVED):
            raise ConfigError(f"{', '.join(reserved)}: neither url nor client_options may set that; there is timeout=")
        self._url = url
        self._prefix = prefix.encode()
        self._timeout = timeout
        # Protocol 2 says all that is needed here, in one round trip less. "timeout" is for a free connection.
        times = dict.fromkeys(["timeout", "socket_timeout", "socket_connect_timeout"], timeout)
        self._options = {"protocol": 2, "max_connections": CONNECTIONS, **times, **(client_options or {})}
        try:
            pool = _pool("redis", url, self._options)
            pool.connection_class(**pool.connection_kwargs)  # refuses what it does not know; connects on use only
        except (TypeError, ValueError, redis.RedisError) as error:
            raise ConfigError(f"redis-py refuses an option of url or client_options: {error}") from error
        place = pool.connection_kwargs
        self._place = place.get("path") or f"{place.get('host', 'localhost')}:{place.get('port', 6379)}"
        self._client = redis.Redis.from_pool(pool)
        self._of_loops: dict[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[Any, None]]] = {}

    def revoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        try:
            return _written(self._client.eval(*self._script_call(key, entry, ttl, caller)))
        except Exception as error:  # noqa: BLE001  # redis-py raises anything where an answer is garbage
            raise self._failure(error) from None

    def find(self, keys: Sequence[bytes]) -> list[Entry | None]:
        try:
            return _decode(self._client.mget([self._prefix + key for key in keys]), len(keys))
        except Exception as error:  # noqa: BLE001
            raise self._failure(error) from None

    async def arevoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        try:
            async with asyncio.timeout(2 * self._timeout):
                client = await self._client_of_this_loop()
                return _written(await client.eval(*self._script_call(key, entry, ttl, caller)))
        except Exception as error:  # noqa: BLE001
            raise self._failure(error) from None

    async def afind(self, keys: Sequence[bytes]) -> list[Entry | None]:
        try:
            async with asyncio.timeout(2 * self._timeout):
                client = await self._client_of_this_loop()
                return _decode(await client.mget([self._prefix + key for key in keys]), len(keys))
        except Exception as error:  # noqa: BLE001
            raise self._failure(error) from None

    async def _client_of_this_loop(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._of_loops:
            for closed in [other for other in list(self._of_loops) if other.is_closed()]:
                self._of_loops.pop(closed, None)
            lease = _lease(self._url, self._options)
            self._of_loops[loop] = await anext(lease), lease
        return self._of_loops[loop][0]

    def _script_call(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None) -> tuple[Any, ...]:
        """Return the arguments of EVAL: the script, the number of keys, the keys, and the script's own arguments."""
        keys = [self._prefix + each for each in (key, *(caller.keys if caller else ()))]
        session = (caller.created, caller.lineage, caller.arrived) if caller else ()
        return SCRIPT, len(keys), *keys, _encode(entry), ttl, *session

    def _failure(self, error: Exception) -> StoreError:
        found = str(error).partition(", with args")[0].rstrip(".")  # the arguments of AUTH are a password
        found = found or f"no answer in {2 * self._timeout} seconds"
        return StoreError(
            f"the revocation store, Redis at {self._place}, failed: {found}. Is it up, and the url right?"
        )


def _pool(package: str, url: str, options: Mapping[str, Any]) -> Any:
    redis, chosen = import_module("redis"), import_module(package)
    # Once more on a new connection: where the old one led to is gone, or is a replica now.
    errors = (redis.ConnectionError, redis.ReadOnlyError)
    retry = chosen.retry.Retry(redis.backoff.NoBackoff(), 1, errors)
    return chosen.BlockingConnectionPool.from_url(url, retry=retry, **options)


async def _lease(url: str, options: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
    """Give a client, and close it with its event loop: a loop closes the generators that began in it (PEP 525)."""
    client = import_module("redis.asyncio").Redis.from_pool(_pool("redis.asyncio", url, options))
    try:
        yield client
    finally:
        await client.aclose()


def _written(answer: object) -> bool:
    if answer not in (b"written", b"refused"):
        raise ValueError("the script returned an unknown answer")
    return answer == b"written"


def _encode(entry: Entry) -> bytes:
    return entry.not_before.to_bytes(4, "big") + entry.spared


def _decode(answer: object, count: int) -> list[Entry | None]:
    if not isinstance(answer, list) or len(answer) != count:
        raise ValueError("the answer is none to MGET")
    if any(value is not None and (type(value) is not bytes or len(value) not in (4, 20)) for value in answer):
        raise ValueError("a value is not of this package: another program writes under the same prefix=")
    return [None if value is None else Entry(int.from_bytes(value[:4], "big"), value[4:]) for value in answer]
