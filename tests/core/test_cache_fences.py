"""Fills with a ticket: taken only if nothing was invalidated since it was handed out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tierstore.cache import Cache


def test_a_fill_is_taken_only_if_nothing_was_invalidated_since():
    cache = Cache(100)
    ticket = cache.begin("a")
    assert cache.fill(ticket, 1) is True
    assert cache["a"] == 1
    for invalidate in (
        lambda: cache.invalidate("a"),
        lambda: cache.invalidate("a"),  # absent by now
        lambda: cache.invalidate_many(["a"]),
        lambda: cache.pop("a", None),
        lambda: cache.put("a", "newer"),
        lambda: cache.clear(),
    ):
        ticket = cache.begin("a")
        invalidate()
        kept = cache.get("a")
        assert cache.fill(ticket, "older") is False
        assert cache.get("a") == kept


def test_a_fill_with_a_tag_is_refused_if_the_tag_was_invalidated_since():
    cache = Cache(100)
    ticket = cache.begin("a")
    cache.invalidate_tag("t")
    assert cache.fill(ticket, 1, tags=["t"]) is False
    assert all(cache.fill(ticket, 1, tags=[f"other{number}"]) for number in range(64))


def test_two_loads_may_fill_one_key():
    cache = Cache(100)
    one, two = cache.begin("a"), cache.begin("a")
    assert cache.fill(one, 1, ttl=60)
    assert cache.fill(two, 2)
    assert cache["a"] == 2


def test_invalidations_of_other_keys_refuse_no_fill():
    """Some thousand are known by their hashes."""
    cache = Cache(1000)
    for number in range(256):
        ticket = cache.begin(f"a{number}")
        for other in range(60):
            cache.invalidate(f"b{number} {other}")
            cache[f"c{number} {other}"] = 1
        assert cache.fill(ticket, number)


def test_a_ticket_is_good_for_its_own_cache_only():
    with pytest.raises(TypeError):
        Cache(1).fill(Cache(1).begin("a"), 1)
    for _ in range(20):
        cache = Cache(1)
        ticket = cache.begin("a")
        del cache
        with pytest.raises(TypeError):
            Cache(1).fill(ticket, 1)  # which lies where the other one lay


def test_tickets_that_are_never_used_cost_nothing():
    cache = Cache(10)
    cache.begin("warm up")
    before = resident()
    for number in range(200_000):
        cache.begin(number)
    assert resident() - before < 4_000_000


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_thousands_of_good_fills_are_taken_among_thousands_of_invalidations():
    cache = Cache(10_000)
    tickets = [cache.begin(("key", number)) for number in range(5_000)]
    for number in range(0, 5_000, 2):
        cache.invalidate(("key", number))
    taken = [cache.fill(ticket, "value") for ticket in tickets]
    assert not any(taken[0::2])
    assert sum(taken[1::2]) > 2_350
