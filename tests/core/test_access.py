"""Which schemas are read how often, counted in memory."""

from __future__ import annotations

from collections import Counter

from tierstore.stores.schemas.access import RING_READS, Access


def test_reads_are_counted_once():
    access = Access()
    for id in ("a", "b", "a"):
        access.seen(id)
    assert access.drain() == Counter(a=2, b=1)
    assert access.drain() == Counter()


def test_counts_that_could_not_be_written_are_kept_for_the_next_time():
    access = Access()
    for id in ("a", "b", "a"):
        access.seen(id)
    counts = access.drain()
    access.seen("c")
    access.give_back(counts)
    assert access.drain() == Counter(a=2, b=1, c=1)


def test_memory_is_bounded_and_the_latest_reads_stay():
    access = Access()
    for number in range(RING_READS + 10):
        access.seen(str(number))
    counts = access.drain()
    assert len(counts) == RING_READS
    assert "0" not in counts
    assert str(RING_READS + 9) in counts
    for number in range(RING_READS):
        access.seen(f"new {number}")
    access.give_back(counts)
    assert len(access.drain()) == RING_READS
