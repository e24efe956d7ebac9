"""State on Redis and in PostgreSQL, beside redis-py (call by call, and by pipelines made by hand), aiocache and psycopg."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiocache
import orjson
import psycopg_pool
import redis.asyncio

import tierstore
from benches._paired import Call, Rate, Row, alternate, calling, faster
from tierstore import CacheConfig, Config, PostgresConfig, StateConfig

CALLERS, KEYS, SECONDS, TTL_S = 100, 1_000, 0.3, 3600
IN_A_PIPELINE = 100
CROWDS = (1, 4, 16, 64, 256)
"""Of the plot."""
COLD = CacheConfig(warm_on_start=False)
VALUE = {"user": 1234567, "name": "somebody", "scopes": ["read", "write"], "since": "2026-11-30T12:00:00Z"}
NAMES = [f"session:{number}" for number in range(KEYS)]


class Contender(NamedTuple):
    get: Call
    set: Call
    a_call: int = 1
    """Values of one call."""

    def rates(self, call: Call, callers: int) -> Rate:
        one = calling(call, callers, SECONDS)

        async def rate() -> float:
            return self.a_call * await one()

        return rate


def key(number: int) -> str:
    return NAMES[number % KEYS]


@asynccontextmanager
async def on_redis(url: str, folder: str) -> AsyncIterator[dict[str, Contender]]:
    """Ours and its rivals, all over values that are there."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=CALLERS, timeout=None)
    client, server = redis.asyncio.Redis(connection_pool=pool), urlsplit(url)
    library = aiocache.RedisCache(endpoint=server.hostname, port=server.port, pool_max_size=max(CROWDS))
    text = orjson.dumps(VALUE).decode()

    async def client_get(number: int) -> object:
        return orjson.loads(await client.get(f"plain:{key(number)}"))

    async def client_set(number: int) -> object:
        return await client.set(f"plain:{key(number)}", orjson.dumps(VALUE), ex=TTL_S)

    async def pipeline_get(number: int) -> object:
        async with client.pipeline(transaction=False) as pipeline:
            for at in range(IN_A_PIPELINE):
                pipeline.get(f"plain:{key(number + at)}")
            return [orjson.loads(value) for value in await pipeline.execute()]

    async def pipeline_set(number: int) -> object:
        async with client.pipeline(transaction=False) as pipeline:
            for at in range(IN_A_PIPELINE):
                pipeline.set(f"plain:{key(number + at)}", orjson.dumps(VALUE), ex=TTL_S)
            return await pipeline.execute()

    async def library_get(number: int) -> object:
        return await library.get(f"library:{key(number)}")

    async def library_set(number: int) -> object:
        return await library.set(f"library:{key(number)}", text, ttl=TTL_S)

    config = Config(folder, cache=COLD, state=StateConfig("redis", url, ttl=TTL_S))
    async with tierstore.open(config) as store:
        found = {
            "ours": ours(store),
            "redis-py": Contender(client_get, client_set),
            "redis-py, pipelines by hand": Contender(pipeline_get, pipeline_set, IN_A_PIPELINE),
            "aiocache": Contender(library_get, library_set),
        }
        await fill(found)
        yield found
    await client.aclose()
    await pool.disconnect()
    await library.close()


def ours(store: Any) -> Contender:
    async def get(number: int) -> object:
        return await store.state.get(key(number))

    async def put(number: int) -> object:
        return await store.state.set(key(number), VALUE)

    return Contender(get, put)


async def fill(contenders: dict[str, Contender]) -> None:
    for one in contenders.values():
        for number in range(0, KEYS, one.a_call):
            await one.set(number)
        if await one.get(0) is None:
            raise AssertionError("a value is missing")


async def redis_rows(url: str, folder: str) -> list[Row]:
    rows: list[Row] = []
    async with on_redis(url, folder) as contenders:
        for verb in ("get", "set"):
            crowd = await _rates(contenders, verb, CALLERS)
            rivals = {name: contenders[name] for name in ("ours", "redis-py")}
            lone = await _rates(rivals, verb, 1)
            rows.append(_beside(f"Redis, {verb}, 100 callers", crowd, "redis-py", 5))
            rows += [_beside(f"Redis, {verb}, 100 callers", crowd, name) for name in list(crowd)[2:]]
            rows.append(_beside(f"Redis, {verb}, lone caller", lone, "redis-py", 0.95))
    return rows


async def postgres_rows(url: str) -> list[Row]:
    rows: list[Row] = []
    async with (
        psycopg_pool.AsyncConnectionPool(url, min_size=10, max_size=20, kwargs={"autocommit": True}) as pool,
        tierstore.open(Config(postgres=PostgresConfig(url), cache=COLD, state=StateConfig("sql", ttl=TTL_S))) as store,
    ):
        async with pool.connection() as connection:
            await connection.execute("CREATE TABLE plain (key text PRIMARY KEY, value text, ends timestamptz)")

        async def get(number: int) -> object:
            async with pool.connection() as connection:
                query = "SELECT value FROM plain WHERE key = %s AND ends > now()"
                (text,) = await (await connection.execute(query, (key(number),), prepare=True)).fetchone() or (None,)
                return None if text is None else orjson.loads(text)

        async def put(number: int) -> object:
            query = (
                "INSERT INTO plain VALUES (%s, %s, now() + make_interval(secs => %s)) "
                "ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, ends = EXCLUDED.ends"
            )
            async with pool.connection() as connection:
                return await connection.execute(query, (key(number), orjson.dumps(VALUE).decode(), TTL_S), prepare=True)

        contenders = {"ours": ours(store), "psycopg": Contender(get, put)}
        await fill(contenders)
        for verb in ("get", "set"):
            for callers, who in ((CALLERS, "100 callers"), (1, "lone caller")):
                found = await _rates(contenders, verb, callers)
                rows.append(_beside(f"PostgreSQL, {verb}, {who}", found, "psycopg"))
    return rows


async def by_callers(url: str, folder: str) -> dict[str, dict[str, list[float]]]:
    """For each verb the rates of each contender at CROWDS."""
    found: dict[str, dict[str, list[float]]] = {"get": {}, "set": {}}
    async with on_redis(url, folder) as contenders:
        shown = {name: one for name, one in contenders.items() if one.a_call == 1}
        for verb, lines in found.items():
            for callers in CROWDS:
                rates = await _rates(shown, verb, callers, rounds=3)
                for name, rate in rates.items():
                    lines.setdefault("tierstore" if name == "ours" else name, []).append(rate)
    return found


async def _rates(contenders: dict[str, Contender], verb: str, callers: int, rounds: int = 5) -> dict[str, float]:
    def crowd(one: Contender) -> int:
        return (
            min(callers, 4) if one.a_call > 1 else callers
        )  # pipelines of 100 from 100 callers only wait for each other

    return await alternate(
        {name: one.rates(getattr(one, verb), crowd(one)) for name, one in contenders.items()}, rounds
    )


def _beside(what: str, found: dict[str, float], rival: str, times: float | None = None) -> Row:
    """A row of the table; a goal only where `times` says one."""
    if times is not None:
        return faster("state", what, found["ours"], (rival, found[rival]), times)
    ratio = found["ours"] / found[rival]
    return Row("", what, f"{found['ours']:,.0f}/s", f"{rival} {found[rival]:,.0f}/s", ratio, "", None)
