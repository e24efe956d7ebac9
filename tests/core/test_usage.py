"""Which schemas are read how often, counted in memory."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
    for number in range(RING_READS - 5):
        usage.seen(f"new {number}")
    usage.give_back(counts)
    counts = usage.drain()
    assert counts.total() == RING_READS
    assert sum(id.startswith("new ") for id in counts) == RING_READS - 5


def test_a_flush_that_is_cancelled_keeps_its_counts():
    class Hanging:
        @asynccontextmanager
        async def housekeeping(self, *, deadline: object) -> AsyncIterator[None]:
            await asyncio.Event().wait()
            yield

    async def scenario() -> Counter[str]:
        usage = Usage("schemas", Hanging(), lambda: None)  # type: ignore[arg-type, return-value]
        usage.seen("a")
        flush = asyncio.create_task(usage.flush())
        await asyncio.sleep(0)
        flush.cancel()
        await asyncio.wait([flush])
        return usage.drain()

    assert asyncio.run(scenario()) == Counter(a=1)


def test_two_flushes_at_once_share_the_counts():
    usage = _usage()

    class Ring(deque[str]):
        def popleft(self) -> str:
            if len(self) == 1:
                self.clear()  # the other one was quicker
            return super().popleft()

    usage._ring = Ring("ab")
    assert usage.drain() == Counter(a=1)
