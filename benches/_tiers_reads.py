"""T.1 to T.3 and T.6: reads by tier, beside the cache libraries and what people write by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiocache
import cashews
import psycopg_pool
import redis.asyncio
from dogpile.cache import make_region

import tierstore
from benches._paired import (
    Row,
    alternate,
    arriving,
    at_least,
    at_most,
    calling,
    faster,
    looping,
    share,
)
from benches.targets import body, query, seed, vocabulary
from tierstore import CacheConfig, Config
from tierstore.store import parts_of

CALLERS, HOT, OFFERED, SEARCHED = 100, 1000, 50_000, 100_000
COLD = CacheConfig(max_entries=1, warm_on_start=False)
"""An L1 that keeps nothing, so that every get is answered by the tier below."""


async def l1(config: Config) -> list[Row]:
    """T.1, and the blocking face in a thread of its own."""
    async with tierstore.open(config) as store:
        hot = await seed(store, HOT)
        values = dict(zip(hot, await store.schemas.get_many(hot), strict=True))
        by_hand, memory = dict(values), aiocache.SimpleMemoryCache()
        for key, value in values.items():
            await memory.set(key, value, ttl=3600)
        cached = cashews.Cache()
        cached.setup("mem://", size=2 * HOT)

        async def load(key: str) -> object:
            return values[key]

        async def get_by_hand(key: str) -> object:
            return by_hand.get(key)

        contenders: dict[str, Callable[[str], Any]] = {
            "ours": store.schemas.get,
            "aiocache get": memory.get,
            "aiocache @cached": aiocache.cached(ttl=3600, key_builder=_first)(load),
            "cashews @cache": cached(ttl="1h", key="schema:{key}")(load),
            "dict by hand": get_by_hand,
        }
        await asyncio.gather(*(get(key) for get in list(contenders.values())[1:] for key in hot))
        found = await alternate({name: looping(get, hot) for name, get in contenders.items()})
    ours = found["ours"]
    rows = [at_least("T.1", "L1 hit, async", ours, 2_500_000)]
    for name, times in (("aiocache get", 20), ("aiocache @cached", 20), ("cashews @cache", 70)):
        rows.append(faster("T.1", "L1 hit, async", ours, (name, found[name]), times))
    name = "dict by hand"
    rows.append(
        Row("", "L1 hit, async", f"{ours:,.0f}/s", f"{name} {found[name]:,.0f}/s", ours / found[name], "", None)
    )
    return rows + await _l1_blocking(config, hot)


def _first(_function: object, key: str) -> str:
    return key


async def _l1_blocking(config: Config, hot: Sequence[str]) -> list[Row]:
    with tierstore.blocking.open(config) as store:
        while any(schema is None for schema in map(store.schemas.hit_get, hot)):  # type: ignore[attr-defined]
            store.schemas.get_many(hot)
        region = make_region().configure("dogpile.cache.memory")
        region.set_multi({key: store.schemas.get(key) for key in hot})
        contenders = {
            "ours": store.schemas.get,
            "dogpile get": region.get,
            "dogpile get_or_create": lambda key: region.get_or_create(key, lambda: None),
        }
        found = await alternate({name: _looping_blocking(get, hot) for name, get in contenders.items()})
    ours, bare = found["ours"], found["dogpile get"]
    return [
        faster("T.1", "L1 hit, blocking", ours, ("dogpile get_or_create", found["dogpile get_or_create"]), 8),
        Row("", "L1 hit, blocking", f"{ours:,.0f}/s", f"dogpile get {bare:,.0f}/s", ours / bare, "", None),
    ]


def _looping_blocking(get: Callable[[str], object], keys: Sequence[str]) -> Any:
    async def nothing(_: str) -> None:
        for key in keys:
            get(key)

    one = looping(nothing, [""])

    async def rate() -> float:
        return len(keys) * await one()

    return rate


async def l2(config: Config) -> list[Row]:
    """T.2. redis-py fetches the same bytes, and decodes nothing."""
    assert config.redis is not None
    assert config.redis.url is not None
    url = config.redis.url
    pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=CALLERS, timeout=None)
    plain = redis.asyncio.Redis(connection_pool=pool)
    libraries = await _l2_libraries(url)
    async with tierstore.open(Config(postgres=config.postgres, redis=config.redis, cache=COLD)) as store:
        hot = await seed(store, HOT)
        for key, schema in zip(hot, await store.schemas.get_many(hot), strict=True):
            await plain.set(key, bytes(schema))
            for library in libraries.values():
                await library.set(key, schema.content.decode())

        async def ours(number: int) -> None:
            if await store.schemas.get(hot[number % HOT]) is None:
                raise AssertionError("a schema is missing")

        async def theirs(number: int) -> object:
            return await plain.get(hot[number % HOT])

        def library_get(library: Any) -> Any:
            return lambda number: library.get(hot[number % HOT])

        crowd = {"ours": ours, "redis-py": theirs} | {name: library_get(one) for name, one in libraries.items()}
        many = await alternate({name: calling(call, CALLERS) for name, call in crowd.items()})
        lone = await alternate({"ours": calling(ours, 1), "redis-py": calling(theirs, 1)})
        late: dict[str, list[float]] = {"ours": [], "redis-py": []}
        apart = await alternate(
            {name: arriving(crowd[name], OFFERED, late[name]) for name in late},
        )
        before = parts_of(store).tier_statistics()
    await plain.aclose()
    await pool.disconnect()
    assert before["loads"] < HOT, "the reads did not stay in L2"
    rows = [
        faster("T.2", "L2 hit, 100 callers", many["ours"], ("redis-py", many["redis-py"]), 8),
        at_least("T.2", "L2 hit, 100 callers", many["ours"], 150_000),
        faster("T.2", "L2 hit, 50 k/s offered", apart["ours"], ("redis-py", apart["redis-py"]), 2),
        faster("T.2", "L2 hit, lone caller", lone["ours"], ("redis-py", lone["redis-py"]), 0.95),
    ]
    for name in libraries:
        ratio = many["ours"] / many[name]
        rows.append(
            Row("", "L2 hit, 100 callers", f"{many['ours']:,.0f}/s", f"{name} {many[name]:,.0f}/s", ratio, "", None)
        )
    p95 = {name: share(latencies, 0.95) * 1e3 for name, latencies in late.items()}
    what, ours_text = "p95 of the last round, 50 k/s offered", f"{p95['ours']:.2f} ms"
    rows.append(Row("", what, ours_text, f"redis-py {p95['redis-py']:.2f} ms", None, "", None))
    return rows


async def _l2_libraries(url: str) -> dict[str, Any]:
    cached = cashews.Cache()
    cached.setup(url, max_connections=CALLERS)
    await cached.init()
    server = urlsplit(url)
    return {
        "cashews": cached,
        "aiocache": aiocache.RedisCache(endpoint=server.hostname, port=server.port, pool_max_size=CALLERS),
    }


async def database(config: Config) -> list[Row]:
    """T.3: 1 KB rows by primary key."""
    assert config.postgres is not None
    async with (
        tierstore.open(Config(postgres=config.postgres, cache=COLD)) as store,
        psycopg_pool.AsyncConnectionPool(config.postgres.url, min_size=10, max_size=50) as pool,
    ):
        hot = await seed(store, HOT)

        async def theirs(number: int) -> object:
            async with pool.connection() as connection:
                cursor = await connection.execute("SELECT * FROM schemas WHERE id = %s", (hot[number % HOT],))
                return await cursor.fetchone()

        async def ours(number: int) -> object:
            return await store.schemas.get(hot[number % HOT])

        many = await alternate({"ours": calling(ours, CALLERS), "psycopg": calling(theirs, CALLERS)})
        lone = await alternate({"ours": calling(ours, 1), "psycopg": calling(theirs, 1)})
    return [
        faster("T.3", "database hit, 100 callers", many["ours"], ("psycopg pool", many["psycopg"]), 8),
        at_least("T.3", "database hit, 100 callers", many["ours"], 80_000),
        faster("T.3", "database hit, lone caller", lone["ours"], ("psycopg pool", lone["psycopg"]), 0.95),
    ]


async def search(config: Config) -> list[Row]:
    """T.6: one word or two, twenty hits, ten callers, over SEARCHED schemas."""
    async with tierstore.open(config) as store:
        words = vocabulary()
        for start in range(0, SEARCHED, HOT):
            items = [
                {
                    "subject": f"search.{words[number % 16]}.{number}",
                    "version": "1.0.0",
                    "content": body(number),
                    "schema_type": "jsonschema",
                }
                for number in range(start, start + HOT)
            ]
            await store.schemas.register_many(items)
        latencies: list[float] = []
        clock = asyncio.get_running_loop().time

        async def one(number: int) -> None:
            started = clock()
            await store.schemas.search(query(number), limit=20)
            latencies.append(clock() - started)

        rate = (await alternate({"ours": calling(one, 10, 2.0)}))["ours"]
    return [
        at_least("T.6", f"search among {SEARCHED:,}", rate, 500),
        at_most("T.6", f"search among {SEARCHED:,}, p95", share(latencies, 0.95) * 1e3, 200),
    ]
