"""One process of `benches/brownout.py`: its cache, its callers, and what they met.

A read of a cold key is one that all callers of all processes want at the same moment; hot keys are read all the time. Each contender is set
up against a slow database as its documentation advises, and none shows as good, without saying so, what is older than FRESH_S and was asked
for again. No call may take longer than CALL_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiocache
import cashews
import psycopg_pool
import redis
from dogpile.cache import make_region

import tierstore
from tierstore import CacheConfig, Config, PostgresConfig, RedisConfig
from tierstore.store import parts_of

CALL_S = 1.0
FRESH_S = 2
KEPT_S = 3600
CALLERS = 4
COLD_EVERY_S, HOT_PAUSE_S = 0.1, 0.01
CONNECTIONS, THREADS = 8, 64
QUERY = "SELECT search_text FROM schemas WHERE id = %s"
Get = Callable[[str], Awaitable[object]]


class Servers(NamedTuple):
    database: str
    redis: str


@dataclass
class Met:
    """What the callers of one process met in a while: seconds of each read, the failed ones too, and how many loads they caused."""

    hot: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    failed: int = 0
    loads: int = 0

    def add(self, other: Met) -> None:
        self.hot += other.hot
        self.cold += other.cold
        self.failed += other.failed
        self.loads += other.loads


@dataclass
class Reads:
    """Those of one while; who has not come back at its end is counted with the time until then, as failed."""

    get: Get
    met: Met = field(default_factory=Met)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    under_way: dict[int, tuple[float, list[float]]] = field(default_factory=dict)

    async def read(self, key: str, times: list[float]) -> None:
        number, began = id(asyncio.current_task()), time.perf_counter()
        self.under_way[number] = began, times
        try:
            await self.get(key)
        except Exception:
            self.met.failed += 1
        if self.under_way.pop(number, None) is not None:
            times.append(time.perf_counter() - began)

    async def hot(self, keys: Sequence[str], ends: float) -> None:
        while True:
            for key in keys:
                if time.monotonic() >= ends:
                    return
                await self.read(key, self.met.hot)
                await asyncio.sleep(HOT_PAUSE_S)

    def spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def run(self, hot: Sequence[str], cold: Sequence[str], starts: float, seconds: float) -> Met:
        """`starts`: by the monotonic clock, which all processes of a machine share."""
        ends = starts + seconds
        for caller in range(CALLERS):
            self.spawn(self.hot(hot[caller:] + hot[:caller], ends))
        for number, key in enumerate(cold):
            if (due := starts + number * COLD_EVERY_S) >= ends:
                break
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            for _ in range(CALLERS):
                self.spawn(self.read(key, self.met.cold))
        await asyncio.sleep(max(0.0, ends - time.monotonic()))
        await asyncio.wait(list(self.tasks), timeout=CALL_S / 2) if self.tasks else None
        left, self.under_way = list(self.under_way.values()), {}
        for began, times in left:
            times.append(time.perf_counter() - began)
        self.met.failed += len(left)
        return self.met


class Counted:
    """Loads of the rivals. A lost answer is given up after CALL_S, where the driver can."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.loads = 0

    @asynccontextmanager
    async def pool(self) -> Any:
        async with psycopg_pool.AsyncConnectionPool(
            self.database, min_size=2, max_size=CONNECTIONS, timeout=CALL_S, open=False
        ) as self.connections:
            await self.connections.wait()
            yield

    async def load(self, identifier: str) -> str:
        self.loads += 1
        async with asyncio.timeout(CALL_S), self.connections.connection() as connection:
            row = await (await connection.execute(QUERY, (identifier,))).fetchone()
        return "" if row is None else str(row[0])


def within_its_time(get: Get) -> Get:
    async def limited(key: str) -> object:
        async with asyncio.timeout(CALL_S):
            return await get(key)

    return limited


Contender = AbstractAsyncContextManager[tuple[Get, Callable[[], int]]]
"""`get`, and how many loads there were so far."""


@asynccontextmanager
async def ours(servers: Servers) -> Any:
    postgres = PostgresConfig(servers.database, max_connections=CONNECTIONS, min_connections=2)
    config = Config(postgres=postgres, redis=RedisConfig(servers.redis), cache=CacheConfig(warm_on_start=False))
    async with tierstore.open(config) as store:
        engine = parts_of(store).engine
        yield (
            lambda key: store.schemas.get(key, timeout=CALL_S),
            lambda: engine.statistics("schemas")["loads"],
        )


@asynccontextmanager
async def with_cashews(servers: Servers) -> Any:
    """`early` loads anew in the background; what it adds by itself lets one caller of a process load a cold key.

    `locked` is not used: who waited for its lock asks the database all the same.
    """
    counted, cached = Counted(servers.database), cashews.Cache()
    cached.setup(servers.redis, max_connections=100)
    get = cached.early(ttl=KEPT_S, early_ttl=FRESH_S, key="cashews:{identifier}")(counted.load)
    async with counted.pool():
        yield within_its_time(get), lambda: counted.loads


@asynccontextmanager
async def with_aiocache(servers: Servers) -> Any:
    """`cached_stampede` lets one process load a key."""
    counted, server = Counted(servers.database), urlsplit(servers.redis)
    address = {"endpoint": server.hostname, "port": server.port, "pool_max_size": 100}
    stampede = aiocache.cached_stampede(
        lease=FRESH_S, ttl=FRESH_S, key_builder=_last, cache=aiocache.RedisCache, **address
    )
    async with counted.pool():
        yield within_its_time(stampede(counted.load)), lambda: counted.loads


def _last(_function: object, *arguments: Any) -> str:
    return f"aiocache:{arguments[-1]}"


@asynccontextmanager
async def with_dogpile(servers: Servers) -> Any:
    """A lock in Redis, and a thread that loads anew. Its callers are threads, and a driver that blocks cannot be left at a deadline."""
    counted = Counted(servers.database)
    pool = redis.BlockingConnectionPool.from_url(servers.redis, max_connections=2 * THREADS, timeout=CALL_S)
    arguments = {
        "connection_pool": pool,
        "distributed_lock": True,
        "lock_timeout": FRESH_S,
        "lock_sleep": 0.01,
        "thread_local_lock": False,
    }
    region = make_region(async_creation_runner=_in_a_thread).configure(
        "dogpile.cache.redis", expiration_time=FRESH_S, arguments=arguments
    )
    connections = psycopg_pool.ConnectionPool(
        servers.database, min_size=2, max_size=CONNECTIONS, timeout=CALL_S, open=True
    )

    @region.cache_on_arguments()
    def get(identifier: str) -> str:
        counted.loads += 1
        with connections.connection() as connection:
            row = connection.execute(QUERY, (identifier,)).fetchone()
        return "" if row is None else str(row[0])

    threads, loop = ThreadPoolExecutor(THREADS), asyncio.get_running_loop()

    async def threaded(key: str) -> object:
        return await loop.run_in_executor(threads, get, key)

    await asyncio.to_thread(connections.wait)
    yield within_its_time(threaded), lambda: counted.loads


def _in_a_thread(cache: Any, key: str, creator: Callable[[], Any], mutex: Any) -> None:
    def create() -> None:
        with contextlib.suppress(
            Exception
        ):  # the database failed, or took longer than the lock lasts: the next caller tries again
            try:
                cache.set(key, creator())
            finally:
                mutex.release()

    threading.Thread(target=create, daemon=True).start()


CONTENDERS: dict[str, Callable[[Servers], Contender]] = {
    "tierstore": ours,
    "cashews": with_cashews,
    "aiocache": with_aiocache,
    "dogpile.cache": with_dogpile,
}


def process(name: str, servers: Servers, hot: list[str], pipe: Connection) -> None:
    """Get ready, and say so; then for each (cold keys, start, seconds) that comes, send what was met. None ends it."""

    async def run() -> None:
        async with CONTENDERS[name](servers) as (get, loads):
            for key in hot:
                await get(key)
            pipe.send(None)
            while (asked := await asyncio.to_thread(pipe.recv)) is not None:
                cold, starts, seconds = asked
                before = loads()
                met = await Reads(get).run(hot, cold, starts, seconds)
                met.loads = loads() - before
                pipe.send(met)
            pipe.close()
            os._exit(0)  # a driver that waits for a server which does not answer would hold up a tidy end

    asyncio.run(run())
