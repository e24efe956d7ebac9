"""S1-52: put and get, hot and cold, at 100, 1,000 and 10,000 entries, ours beside the rivals. `make bench BENCH=cache_operations`"""

from __future__ import annotations

import itertools

import cachebox
import cachetools
import pytest
from lru import LRU

import tierstore

SIZES = (100, 1_000, 10_000)
OPERATIONS = 1_000
RIVALS = {
    "tierstore": lambda size: tierstore.Cache(size),
    "cachebox": lambda size: cachebox.LRUCache(size),
    "lru-dict": lambda size: LRU(size),
    "cachetools": lambda size: cachetools.LRUCache(size),
}


@pytest.fixture(params=RIVALS)
def make(request):
    return RIVALS[request.param]


def keys(size: int) -> list[str]:
    return [f"schema-{number:030d}" for number in range(size)]


@pytest.mark.parametrize("size", SIZES)
def test_get_hot(benchmark, make, size):
    """Every key is there."""
    cache, names = make(size), keys(size)
    for name in names:
        cache[name] = name
    chosen = list(itertools.islice(itertools.cycle(names), OPERATIONS))
    benchmark.group = f"get hot, {size} entries, {OPERATIONS} operations"

    def run():
        get = cache.get
        for name in chosen:
            get(name)

    benchmark(run)
    assert cache.get(names[0]) == names[0]


@pytest.mark.parametrize("size", SIZES)
def test_get_cold(benchmark, make, size):
    """No key is there."""
    cache, absent = make(size), [f"absent-{number}" for number in range(OPERATIONS)]
    benchmark.group = f"get cold, {size} entries, {OPERATIONS} operations"

    def run():
        get = cache.get
        for name in absent:
            get(name)

    benchmark(run)
    assert len(cache) == 0


@pytest.mark.parametrize("size", SIZES)
def test_put_evicting(benchmark, make, size):
    """Every put evicts."""
    cache = make(size)
    for name in keys(size):
        cache[name] = name
    numbers = itertools.count(size)
    benchmark.group = f"put with eviction, {size} entries, {OPERATIONS} operations"

    def run():
        for number in itertools.islice(numbers, OPERATIONS):
            cache[f"schema-{number:030d}"] = number

    benchmark(run)
    assert len(cache) <= size
