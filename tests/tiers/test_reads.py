"""Read-through: the order of the tiers, what is kept, what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.model.world import Item, item_kind
from tierstore.errors import ConnectionError, QueryError, ValidationError
from tierstore.telemetry import Series
from tierstore.tiers.kind import ABSENT
from tierstore.tiers.l1 import Entry


@pytest.mark.requirement("S1-01")
def test_a_read_fills_every_tier_on_the_way_back(face, bench):
    async def story():
        await bench.put("a")
        assert bench.items.hit("a") is None
        assert await bench.get("a") == 1
        assert bench.items.hit("a").row_version == 1
        assert await bench.get("a") == 1
        assert bench.world.loads == [["a"]]
        if bench.key_value is not None:
            bench.engine.flush()
            assert await bench.get("a") == 1
            assert bench.world.loads == [["a"]], "L2 answered"

    face.run(story)


def test_an_absence_is_kept_as_one(face, bench):
    async def story():
        assert await bench.get("a") is None
        assert bench.items.hit("a") is ABSENT
        assert await bench.get("a") is None
        assert bench.world.loads == [["a"]]
        if bench.key_value is not None:
            bench.engine.flush()
            assert await bench.get("a") is None
            assert bench.world.loads == [["a"]]
        await bench.put("a")
        assert await bench.get("a") == 1

    face.run(story)


def test_get_many_asks_each_tier_once(face, bench):
    async def story():
        await bench.put("a", "b", "c")
        await bench.get("b")
        items = await bench.items.get_many(["a", "b", "x", "a", "c"], deadline=bench.deadline())
        assert [item and item.key for item in items] == ["a", "b", None, "a", "c"]
        assert bench.world.loads == [["b"], ["a", "x", "c"]]
        assert await bench.items.get_many([], deadline=bench.deadline()) == []

    face.run(story)


def test_what_a_reading_says_of_itself(face, bench):
    async def story():
        await bench.put("a")
        first = await bench.items.get("a", deadline=bench.deadline())
        second = await bench.items.get("a", deadline=bench.deadline())
        assert first == second
        assert (first.meta.tier, second.meta.tier) == ("database", "l1")
        assert 0 <= second.meta.age < 5
        assert not second.meta.stale
        if bench.key_value is not None:
            bench.engine.flush()
            assert (await bench.items.get("a", deadline=bench.deadline())).meta.tier == "l2"

    face.run(story)


def test_latest_reads_past_every_cache(face, bench):
    async def story():
        await bench.put("a")
        await bench.get("a")
        bench.world.rows["a"] = (True, 99)  # a change without an invalidation
        assert await bench.get("a") == 1
        assert await bench.get("a", read="any") == 1
        assert await bench.get("a", read="bounded:1h") == 1
        assert await bench.get("a", read="latest") == 99
        assert await bench.get("a") == 99, "nothing older than what was seen, from L2 neither"
        bench.world.rows["a"] = (True, 100)
        assert await bench.get("a", not_before="7") == 100
        assert await bench.get("a") == 100
        with pytest.raises(ValidationError, match="bounded:2s"):
            await bench.get("a", read="newest")

    face.run(story)


def test_an_error_reaches_the_caller_and_is_not_kept(face, bench):
    async def story():
        await bench.put("a")
        bench.records.broken = QueryError("no such table")
        with pytest.raises(QueryError):
            await bench.get("a")
        with pytest.raises(QueryError):
            await bench.items.get_many(["a", "b"], deadline=bench.deadline())
        bench.records.broken = None
        assert await bench.get("a") == 1
        if bench.key_value is not None:
            assert not bench.key_value.fences.leases, "the lease of a failed load is given up"

    face.run(story)


def test_a_failing_database_leaves_values_marked_stale(face, bench):
    async def story():
        await bench.put("a")
        await bench.get("a")
        bench.age("a")
        if bench.key_value is not None:
            bench.key_value.broken = ConnectionError("gone")
        bench.records.broken = ConnectionError("gone")
        item = await bench.items.get("a", deadline=bench.deadline())
        assert isinstance(item, Item)
        assert item.meta.stale
        assert not bench.items.l1.look("a").value.meta.stale, "only this answer is marked"
        with pytest.raises(ConnectionError):
            await bench.get("b")
        with pytest.raises(ConnectionError):
            await bench.get("a", read="latest")
        with pytest.raises(ConnectionError):
            await bench.get("a", read="bounded:1h")
        bench.age("a", 3601)
        with pytest.raises(ConnectionError):
            await bench.get("a")

    face.run(story)


def test_an_l2_that_fails_is_a_miss(face, shared):
    async def story():
        await shared.put("a")
        shared.key_value.broken = ConnectionError("gone")
        assert await shared.get("a") == 1
        assert shared.items.counters.l2_failures == 1
        shared.key_value.broken = None
        shared.engine.flush()
        assert await shared.get("a") == 1

    face.run(story)


def test_damaged_bytes_in_l2_are_counted_and_replaced(face, shared):
    async def story():
        await shared.put("a")
        await shared.get("a")
        (name,) = shared.key_value.fences.values
        value = shared.key_value.fences.values[name]
        shared.key_value.fences.values[name] = value._replace(content=value.content[:-1] + b"\xff")
        shared.engine.flush()
        assert await shared.get("a") == 1
        assert shared.items.counters.l2_corrupt == 1
        assert shared.key_value.fences.values[name].content == value.content

    face.run(story)


def test_a_store_counts_its_own_reads_only(face, shared):
    async def story():
        other = shared.engine.kind(replace(item_kind(), name="thing", store="things"))
        await shared.put("a")
        for _ in range(3):
            await other.get("a", deadline=shared.deadline())
        await shared.get("a")
        items, things, all_of_it = (shared.engine.statistics(store) for store in ("items", "things", None))
        for name, mine, theirs in (
            ("l1_hits", 0, 2),
            ("l1_misses", 1, 1),
            ("loads", 1, 1),
            ("l2_misses", 1, 1),
            ("l2_fills", 1, 1),
        ):
            assert (items[name], things[name], all_of_it[name]) == (mine, theirs, mine + theirs), name
        assert shared.engine.hit_rates("items") == {"l1": 0.0, "l2": 0.0}
        assert shared.engine.hit_rates("things") == {"l1": 2 / 3, "l2": 0.0}
        assert "writes" not in items
        assert all_of_it["writes"] == 1

    face.run(story)


def test_hits_and_misses_are_counted_by_tier(face, shared):
    async def story():
        await shared.put("a")
        for _ in range(4):
            await shared.get("a")
        shared.engine.flush()
        await shared.get("a")
        statistics = shared.engine.statistics()
        assert (statistics["l1_hits"], statistics["l1_misses"]) == (3, 2)
        assert (statistics["l2_hits"], statistics["l2_misses"]) == (1, 1)
        assert shared.engine.hit_rates("items") == {"l1": 0.6, "l2": 0.5}
        assert shared.items.lookups() == 5

    face.run(story)


def test_what_l1_answered_at_once_is_counted_apart_from_other_reads(face, shared):
    """As a store reads: it asks L1 first (the blocking face twice), and the cached kind where that is no answer."""

    async def story():
        items = shared.engine.kind(
            replace(item_kind(), name="thing", operation="get", is_partial=lambda item: item.key.startswith("large"))
        )
        shortcut, asks = items.shortcut(), 1 if face.name == "async" else 2

        async def read(key):
            found = [item for item in (shortcut(key) for _ in range(asks)) if item is not None]
            if not found or found[0].key.startswith("large"):
                return await items.get(key, deadline=shared.deadline())
            items.l1.looks += asks - 1  # the first of them was the answer
            return found[0]

        await shared.put("a", "large", "old")
        for key in ("a", "large", "old"):
            await read(key)
        assert items.hits_at_once() == 0, "those were misses"
        for _ in range(5):
            await read("a")
        assert items.hits_at_once() == 5
        await items.get_many(["a", "a", "large"], deadline=shared.deadline())
        await items.get_many(["a", "new"], deadline=shared.deadline())
        for _ in range(4):
            await read("large")
        there = items.l1.look("old")
        items.l1.cache.put("old", Entry(there.value, 0.0, there.version, there.loaded_at, 0.0, 1))
        await read("old")
        assert items.hits_at_once() == 5
        counted = shared.engine.counts()
        assert counted[Series("tierstore.calls", "items", "get")] == 5
        assert counted[Series("tierstore.cache.hits", "items", tier="l1")] == 5 + 3 + 1 + 4
        assert counted[Series("tierstore.cache.misses", "items", tier="l1")] == 3 + 1 + 1

    face.run(story)
