"""Which schemas are read how often, counted in memory."""

from __future__ import annotations

from collections import Counter

from tierstore.calls.usage import RING_READS, Usage


def _usage() -> Usage:
    """Counting asks neither the engine nor a deadline."""
    return Usage("schemas", None, None)  # type: ignore[arg-type]


def test_reads_are_counted_once():
    usage = _usage()
    for id in ("a", "b", "a"):
        usage.seen(id)
    assert usage.drain() == Counter(a=2, b=1)
    assert usage.drain() == Counter()


def test_counts_that_could_not_be_written_are_kept_for_the_next_time():
    usage = _usage()
    for id in ("a", "b", "a"):
        usage.seen(id)
    counts = usage.drain()
    usage.seen("c")
    usage.give_back(counts)
    assert usage.drain() == Counter(a=2, b=1, c=1)


def test_memory_is_bounded_and_the_latest_reads_stay():
    usage = _usage()
    for number in range(RING_READS + 10):
        usage.seen(str(number))
    counts = usage.drain()
    assert len(counts) == RING_READS
    assert "0" not in counts
    assert str(RING_READS + 9) in counts
    for number in range(RING_READS):
        usage.seen(f"new {number}")
    usage.give_back(counts)
    assert len(usage.drain()) == RING_READS
