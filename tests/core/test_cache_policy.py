"""The default policy beside LRU where either of them is at its best: small made traces; real ones are `make bench BENCH=hit_ratio`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import pytest

from tierstore.cache import Cache

SIZE = 1000


def hit_ratio(policy: str, keys: Iterable[int]) -> float:
    """Of a cache that is given what it misses."""
    cache: Cache[int, bool] = Cache(SIZE, policy=policy)
    for key in keys:
        if cache.get(key) is None:
            cache[key] = True
    return cache.stats().hit_ratio


def pairs(count: int, gap: int) -> Iterable[int]:
    """Each key twice, `gap` others between, and never again."""
    waiting: deque[int] = deque()
    for key in range(count):
        yield key
        waiting.append(key)
        if len(waiting) > gap:
            yield waiting.popleft()


@pytest.mark.parametrize("gap", [20, 100, 250, 400, 490])
def test_keys_asked_for_twice_and_never_again_are_hit_as_by_lru(gap):
    keys = list(pairs(30 * SIZE, gap))
    assert hit_ratio("default", keys) > hit_ratio("lru", keys) - 0.015


@pytest.mark.parametrize("length", [SIZE + SIZE // 5, 2 * SIZE, 4 * SIZE])
def test_a_loop_longer_than_the_cache_is_hit_where_lru_hits_nothing(length):
    keys = list(range(length)) * 20
    assert hit_ratio("lru", keys) == 0
    assert hit_ratio("default", keys) > 0.7 * SIZE / length


def test_a_scan_washes_nothing_out_that_is_used():
    used = list(range(SIZE // 2))
    keys = used * 4
    for scan in range(10):
        keys += [*range(10_000 * (scan + 1), 10_000 * (scan + 1) + 2 * SIZE), *used]
    assert hit_ratio("default", keys) > hit_ratio("lru", keys) + 0.1
