"""S1-54: 1, 10, 50 and 100 concurrent callers, and threads that contend for one cache. `make bench BENCH=concurrent_access`"""

from __future__ import annotations

import asyncio
import threading

import pytest

import tierstore
from tierstore import CacheConfig, Config

CALLERS = (1, 10, 50, 100)
SCHEMAS = 500
CALLS = 1_000


async def seeded(store: tierstore.Store) -> list[str]:
    items = [{"subject": f"bench.{number}", "version": "1.0.0", "content": b"{}"} for number in range(SCHEMAS)]
    return [schema.id for schema in await store.schemas.register_many(items)]


@pytest.fixture(params=["L1", "database"])
def store_of(request, tmp_path):
    """A loop, an open store and its ids: with a cache that holds all of them, or none."""
    size = SCHEMAS * 2 if request.param == "L1" else 1
    config = Config(tmp_path, cache=CacheConfig(max_entries=size, warm_on_start=False))
    with asyncio.Runner() as runner:
        store = runner.run(opened(config))
        ids = runner.run(seeded(store))
        yield request.param, runner, store, ids
        runner.run(store.close())


async def opened(config: Config) -> tierstore.Store:
    return await tierstore.open(config)


@pytest.mark.parametrize("callers", CALLERS)
def test_gets(benchmark, store_of, callers):
    tier, runner, store, ids = store_of
    benchmark.group = f"{CALLS} gets from {tier}"
    found = []

    async def caller(number: int) -> None:
        for step in range(CALLS // callers):
            found.append(await store.schemas.get(ids[(number * 37 + step) % SCHEMAS]))

    async def run() -> None:
        found.clear()
        await asyncio.gather(*(caller(number) for number in range(callers)))

    benchmark(lambda: runner.run(run()))
    assert all(schema is not None for schema in found)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_contention(benchmark, threads):
    """The same number of operations on one cache, shared by more and more threads."""
    cache = tierstore.Cache(1_000)
    benchmark.group = "100,000 operations on one cache"

    def work(first: int) -> None:
        for number in range(first, 100_000, threads):
            cache.put(number % 2_000, number)
            cache.get(number % 1_000)

    def run() -> None:
        workers = [threading.Thread(target=work, args=(first,)) for first in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    benchmark(run)
    assert 0 < len(cache) <= 1_000
