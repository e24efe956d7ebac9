"""S1-55: hit ratios under a realistic pattern: Pareto (80 % of the requests to 20 % of the keys), with scans and without.

`make bench BENCH=cache_hit_rates`
"""

from __future__ import annotations

import random

import cachebox
import cachetools
import pytest

import tierstore

KEYS = 10_000
REQUESTS = 200_000
SHAPE = 1.16
"""The Pareto exponent at which 20 % of the keys get 80 % of the requests."""
RIVALS = {
    "tierstore": lambda size: tierstore.Cache(size),
    "tierstore lru": lambda size: tierstore.Cache(size, policy="lru"),
    "cachebox lru": lambda size: cachebox.LRUCache(size),
    "cachetools lfu": lambda size: cachetools.LFUCache(size),
}


def pareto(chance: random.Random, requests: int) -> list[int]:
    return [min(int(chance.paretovariate(SHAPE) * KEYS * 0.002), KEYS - 1) for _ in range(requests)]


def with_scans(chance: random.Random, requests: int) -> list[int]:
    """The same, and every so often somebody reads a thousand keys in order, once."""
    found: list[int] = []
    scanned = KEYS
    for start in range(0, requests, 10_000):
        found += pareto(chance, 9_000) + list(range(scanned, scanned + 1_000))
        scanned += 1_000
        assert start < requests
    return found


PATTERNS = {"pareto": pareto, "pareto with scans": with_scans}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("share", [0.02, 0.1, 0.2])
@pytest.mark.parametrize("name", RIVALS)
def test_hit_ratio(benchmark, name, share, pattern):
    requests = PATTERNS[pattern](random.Random(1), REQUESTS)
    benchmark.group = f"{pattern}, cache of {share:.0%} of the keys"

    def run() -> float:
        cache, hits = RIVALS[name](int(KEYS * share)), 0
        for key in requests:
            if cache.get(key) is not None:  # type: ignore[attr-defined]
                hits += 1
            else:
                cache[key] = key
        return hits / len(requests)

    ratio = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info["hit ratio"] = ratio
    print(f"\n{pattern}, {share:.0%}: {name} hit ratio {ratio:.3f}")
    assert 0 < ratio < 1
