"""T.8 to T.10: several processes, and a Redis that does not answer."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

import aiocache
import cashews
import psycopg
from dogpile.cache import make_region

import tierstore
from benches._paired import Row, at_most, share
from benches.targets import seed
from tierstore import CacheConfig, Config
from tierstore.backends import Change
from tierstore.store import parts_of

CHANGES, GETS, PROCESSES, CALLERS = 1000, 100, 4, 50
SETTLED_S = 1.0
COLD = CacheConfig(max_entries=1, warm_on_start=False)
_processes = multiprocessing.get_context("spawn")


# ---- T.8 ------------------------------------------------------------------------------------------------------------


async def invalidation(config: Config) -> list[Row]:
    """From the writer's publication to the moment at which another process's L1 has dropped the entry, by one clock."""
    ours, theirs = _processes.Pipe()
    reader = _processes.Process(target=_reader, args=(config, theirs), daemon=True)
    async with tierstore.open(config) as store:
        ids = await seed(store, CHANGES)
        reader.start()
        theirs.close()
        ours.send(ids)
        await asyncio.to_thread(ours.recv)
        delivery = parts_of(store).engine._delivery
        committed = _stamp(delivery.deliver, lambda change_set: change_set.changes)
        published = _stamp(delivery._channel.publish, list)
        for identifier in ids:
            await store.schemas.set_state(identifier, "deprecated")
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.5)
        ours.send(None)
        dropped: dict[str, float] = await asyncio.to_thread(ours.recv)
    reader.join()
    rows = []
    for what, begun in (("publication", published), ("commit", committed)):
        late = [(dropped[key] - begun[key]) * 1e3 for key in ids]
        middle, worst = statistics.median(late), share(late, 0.99)
        if what == "publication":
            rows += [at_most("T.8", f"{what} to other L1, p50", middle, 0.15)]
            rows += [at_most("T.8", f"{what} to other L1, p99", worst, 2.0)]
        else:
            text = f"{middle:.3f} ms, p99 {worst:.3f} ms"
            rows.append(Row("", f"{what} to other L1, p50", text, "", None, "", None))
    return rows


def _stamp(method: Any, changes_of: Callable[[Any], Iterable[Change]]) -> dict[str, float]:
    """When each schema's change was first handed to the method of its object, by its id."""
    times: dict[str, float] = {}

    def stamped(given: Any, *arguments: Any, **named: Any) -> Any:
        now = time.monotonic()
        for change in changes_of(given):
            times.setdefault(change.key.rpartition(":")[2], now)
        return method(given, *arguments, **named)

    setattr(method.__self__, method.__name__, stamped)
    return times


def _reader(config: Config, pipe: Connection) -> None:
    asyncio.run(_watch(config, pipe))


async def _watch(config: Config, pipe: Connection) -> None:
    async with tierstore.open(config) as store:
        ids, dropped = pipe.recv(), {}
        kind = parts_of(store).engine.kinds["schema"]
        while not all(kind.hit(key) for key in ids):
            await store.schemas.get_many(ids)
        changed = kind.changed

        def noted(key: str, version: int) -> None:
            changed(key, version)
            dropped.setdefault(key, time.monotonic())

        kind.changed = noted  # type: ignore[method-assign]
        pipe.send(None)
        await asyncio.to_thread(pipe.recv)
        pipe.send(dropped)


# ---- T.9 ------------------------------------------------------------------------------------------------------------


async def redis_paused(config: Config, redis_server: Any) -> list[Row]:
    """Gets that L1 does not have, with Redis stopped by a signal: over what they take without Redis at all."""
    async with tierstore.open(Config(postgres=config.postgres, cache=COLD)) as store:
        ids = await seed(store, 3 * GETS)
        plain = await _latencies(store, ids[:GETS])
    async with tierstore.open(Config(postgres=config.postgres, redis=config.redis, cache=COLD)) as store:
        await _latencies(store, ids[GETS : 2 * GETS])
        redis_server.pause()
        try:
            paused = await _latencies(store, ids[2 * GETS :])
        finally:
            redis_server.resume()
    alone = statistics.median(plain)
    return [
        at_most("T.9", "Redis paused: first get, over the database", paused[0] - alone, 60),
        at_most(
            "T.9", "Redis paused: the next gets' median, over the database", statistics.median(paused[1:]) - alone, 1
        ),
    ]


async def _latencies(store: tierstore.Store, ids: list[str]) -> list[float]:
    """Milliseconds of one get after the other."""
    found = []
    for identifier in ids:
        started = time.perf_counter()
        await store.schemas.get(identifier)
        found.append((time.perf_counter() - started) * 1e3)
    return found


# ---- T.10 -----------------------------------------------------------------------------------------------------------


async def cold_key(config: Config) -> list[Row]:
    """How many loads PROCESSES × CALLERS callers of one cold key make: ours, and the libraries as their documentation begins."""
    async with tierstore.open(config) as store:
        (identifier,) = await seed(store, 1)
    counts = {}
    for name, process in (("ours", _ours), ("cashews", _cashews), ("dogpile", _dogpile), ("aiocache", _aiocache)):
        barrier = _processes.Barrier(PROCESSES)
        ends = [_processes.Pipe() for _ in range(PROCESSES)]
        running = [
            _processes.Process(target=process, args=(config, identifier, barrier, end), daemon=True) for _, end in ends
        ]
        for one, (_, theirs) in zip(running, ends, strict=True):
            one.start()
            theirs.close()  # so that a process that failed is not waited for
        counts[name] = sum([await asyncio.to_thread(ours.recv) for ours, _ in ends])
        for one in running:
            one.join()
    ours = counts.pop("ours")
    what, rivals = f"{PROCESSES} × {CALLERS} callers, a cold key", ", ".join(f"{n} {c}" for n, c in counts.items())
    return [Row("T.10", what, f"{ours} loads", rivals, None, "1 load", ours == 1)]


def _ours(config: Config, identifier: str, barrier: Any, pipe: Connection) -> None:
    async def run() -> None:
        cold = CacheConfig(warm_on_start=False)
        async with tierstore.open(Config(postgres=config.postgres, redis=config.redis, cache=cold)) as store:
            await asyncio.sleep(SETTLED_S)  # until the carrier is heard: before, nothing is asked of L2
            barrier.wait()
            before = parts_of(store).tier_statistics()["loads"]
            await asyncio.gather(*(store.schemas.get(identifier) for _ in range(CALLERS)))
            pipe.send(parts_of(store).tier_statistics()["loads"] - before)

    asyncio.run(run())


class _Loading:
    """The rivals' loader: one row by primary key; counts its calls."""

    def __init__(self, config: Config) -> None:
        assert config.postgres is not None
        assert config.redis is not None
        self.count = 0
        self.url = config.postgres.url
        self.redis = config.redis.url or ""

    async def load(self, identifier: str) -> str:
        self.count += 1
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            cursor = await connection.execute("SELECT search_text FROM schemas WHERE id = %s", (identifier,))
            row = await cursor.fetchone()
            return "" if row is None else str(row[0])

    def load_blocking(self, identifier: str) -> str:
        self.count += 1
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT search_text FROM schemas WHERE id = %s", (identifier,)).fetchone()
            return "" if row is None else str(row[0])

    async def run(
        self, get: Callable[[str], Awaitable[object]], identifier: str, barrier: Any, pipe: Connection
    ) -> None:
        barrier.wait()
        await asyncio.gather(*(get(identifier) for _ in range(CALLERS)))
        pipe.send(self.count)


def _cashews(config: Config, identifier: str, barrier: Any, pipe: Connection) -> None:
    async def run() -> None:
        loading, cached = _Loading(config), cashews.Cache()
        cached.setup(loading.redis)
        get = cached(ttl="1h", key="cashews:{identifier}")(loading.load)
        await loading.run(get, identifier, barrier, pipe)

    asyncio.run(run())


def _aiocache(config: Config, identifier: str, barrier: Any, pipe: Connection) -> None:
    async def run() -> None:
        loading = _Loading(config)
        server = urlsplit(loading.redis)
        address = {"endpoint": server.hostname, "port": server.port, "pool_max_size": CALLERS}
        get = aiocache.cached(ttl=3600, key_builder=_last, cache=aiocache.RedisCache, **address)(loading.load)
        await loading.run(get, identifier, barrier, pipe)

    asyncio.run(run())


def _last(_function: object, *arguments: Any) -> str:
    return f"aiocache:{arguments[-1]}"


def _dogpile(config: Config, identifier: str, barrier: Any, pipe: Connection) -> None:
    loading = _Loading(config)
    region = make_region().configure("dogpile.cache.redis", expiration_time=3600, arguments={"url": loading.redis})

    @region.cache_on_arguments()
    def get(key: str) -> str:
        return loading.load_blocking(key)

    callers = [threading.Thread(target=get, args=(identifier,)) for _ in range(CALLERS)]
    barrier.wait()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    pipe.send(loading.count)
