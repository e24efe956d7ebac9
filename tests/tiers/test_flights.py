"""Single flight, coalescing, and who is hurt by whose cancellation (rule 10), in both faces."""

from __future__ import annotations

import asyncio
import builtins
import threading
import time

import pytest

from tests.clock import BUSY_S
from tests.tiers.conftest import Bench
from tierstore.errors import QueryError, TimeoutError
from tierstore.runtime import AsyncioRuntime, ThreadsRuntime, drive
from tierstore.tiers.cached import L2_LANES
from tierstore.tiers.miss import Miss


def in_loop(story, **more):
    """Run `story(bench)` on a loop of its own."""

    async def run():
        await story(Bench(AsyncioRuntime(), l2=more.pop("l2", False), **more))

    asyncio.run(run())


@pytest.fixture(params=[False, True], ids=["without L2", "with L2"])
def l2(request):
    return request.param


def leaving_at_the_deadline(fetch):
    """As drivers do: the caller is gone at its deadline, whatever the server does."""

    async def leaving(query, params, *, deadline, **more):
        try:
            return await asyncio.wait_for(fetch(query, params, deadline=deadline, **more), deadline.remaining())
        except builtins.TimeoutError:
            raise TimeoutError("late") from None

    return leaving


class Gate:
    """Holds the database's answers back."""

    def __init__(self, bench) -> None:
        self.open = asyncio.Event()
        self.calls = 0
        bench.records.step = self.step

    async def step(self, name):
        if name == "answer":
            self.calls += 1
            await self.open.wait()


def test_fifty_callers_of_one_key_load_once(l2):
    async def story(bench):
        await bench.put("a")
        gate = Gate(bench)
        readers = [asyncio.create_task(bench.get("a")) for _ in range(50)]
        await asyncio.sleep(0.01)
        gate.open.set()
        assert await asyncio.gather(*readers) == [1] * 50
        assert bench.world.loads == [["a"]]

    in_loop(story, l2=l2)


def test_concurrent_misses_share_batches(l2):
    async def story(bench):
        keys = [f"k{number}" for number in range(100)]
        await bench.put(*keys)
        gate = Gate(bench)
        readers = [asyncio.create_task(bench.get(key)) for key in keys]
        await asyncio.sleep(0.01)
        gate.open.set()
        assert sorted(await asyncio.gather(*readers)) == list(range(1, 101))
        assert len(bench.world.loads) <= 4
        assert sorted(key for batch in bench.world.loads for key in batch) == sorted(keys)

    in_loop(story, l2=l2)


def test_the_leaders_cancellation_hands_over(l2):
    async def story(bench):
        await bench.put("a")
        gate = Gate(bench)
        leader = asyncio.create_task(bench.get("a"))
        await asyncio.sleep(0.01)
        followers = [asyncio.create_task(bench.get("a")) for _ in range(8)]
        await asyncio.sleep(0.01)
        leader.cancel()
        await asyncio.sleep(0.01)
        gate.open.set()
        assert await asyncio.gather(*followers) == [1] * 8
        with pytest.raises(asyncio.CancelledError):
            await leader
        assert len(bench.world.loads) == 2

    in_loop(story, l2=l2)


def test_cancelled_runners_of_a_batch_leave_the_others_be(l2):
    async def story(bench):
        keys = [f"k{number}" for number in range(40)]
        await bench.put(*keys)
        gate = Gate(bench)
        readers = {key: asyncio.create_task(bench.get(key)) for key in keys}
        await asyncio.sleep(0.01)
        for key in keys[:39:2]:
            readers[key].cancel()
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        gate.open.set()
        results = await asyncio.gather(*readers.values(), return_exceptions=True)
        kept = [result for result in results if not isinstance(result, asyncio.CancelledError)]
        assert len(kept) == 20
        assert all(isinstance(result, int) for result in kept)
        assert not bench.items._flights
        assert await bench.get(keys[0]) == 1

    in_loop(story, l2=l2)


def test_nothing_is_left_when_all_are_cancelled(l2):
    async def story(bench):
        await bench.put("a")
        gate = Gate(bench)
        readers = [asyncio.create_task(bench.get(f"k{number % 7}")) for number in range(50)]
        await asyncio.sleep(0.01)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        assert not bench.items._flights
        gate.open.set()
        assert await asyncio.wait_for(bench.get("a"), 1) == 1
        assert len(bench.items._database._lanes) == 2
        assert len(bench.items._l2._lanes) == L2_LANES

    in_loop(story, l2=l2)


def test_a_short_deadline_hurts_only_its_own_caller(l2):
    async def story(bench):
        await bench.put("a", "b")
        gate = Gate(bench)
        bench.records.fetch_fenced = leaving_at_the_deadline(bench.records.fetch_fenced)
        hasty = asyncio.create_task(bench.items.get("a", deadline=bench.deadline(0.05)))
        await asyncio.sleep(0.01)
        patient = asyncio.create_task(bench.get("a"))
        with pytest.raises(TimeoutError):
            await hasty
        gate.open.set()
        assert await patient == 1

    in_loop(story, l2=l2)


def test_a_waiter_leaves_at_its_deadline(l2):
    async def story(bench):
        await bench.put("a")
        gate = Gate(bench)
        leader = asyncio.create_task(bench.get("a"))
        await asyncio.sleep(0.01)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            await bench.items.get("a", deadline=bench.deadline(0.1))
        assert 0.09 < time.monotonic() - started < 0.2 + BUSY_S
        gate.open.set()
        assert await leader == 1

    in_loop(story, l2=l2)


def test_an_error_reaches_every_waiter_once(l2):
    async def story(bench):
        gate = Gate(bench)
        readers = [asyncio.create_task(bench.get("a")) for _ in range(8)]
        await asyncio.sleep(0.01)
        bench.records.step = failing
        gate.open.set()
        more = [asyncio.create_task(bench.get("b")) for _ in range(8)]
        errors = await asyncio.gather(*more, return_exceptions=True)
        assert [type(error) for error in errors] == [QueryError] * 8
        assert len({id(error) for error in errors}) == 8
        await asyncio.gather(*readers)
        bench.records.step = nothing
        assert await bench.get("b") is None

    async def failing(name):
        raise QueryError("refused")

    async def nothing(name):
        return None

    in_loop(story, l2=l2)


def test_who_reads_after_a_write_starts_a_new_flight(l2):
    async def story(bench):
        await bench.put("a")
        gate = Gate(bench)
        early = asyncio.create_task(bench.get("a"))
        await asyncio.sleep(0.01)
        await bench.put("a")
        late = asyncio.create_task(bench.get("a"))
        await asyncio.sleep(0.01)
        gate.open.set()
        assert await early == 1
        assert await late == 2
        assert await bench.get("a") == 2

    in_loop(story, l2=l2)


def test_get_many_shares_flights_with_others(l2):
    async def story(bench):
        await bench.put("a", "b", "c")
        gate = Gate(bench)
        one = asyncio.create_task(bench.get("b"))
        await asyncio.sleep(0.01)
        many = asyncio.create_task(bench.items.get_many(["a", "b", "c"], deadline=bench.deadline()))
        await asyncio.sleep(0.01)
        gate.open.set()
        assert await one == 2
        assert [item.row_version for item in await many] == [1, 2, 3]
        assert bench.world.loads == [["b"], ["a", "c"]]

    in_loop(story, l2=l2)


def test_readers_wait_for_another_process():
    async def story(bench):
        await bench.put("a")
        other = bench.second()
        gate = Gate(bench)
        loader = asyncio.create_task(bench.get("a"))
        await asyncio.sleep(0.005)
        waiters = [asyncio.create_task(other.get("a")) for _ in range(20)]
        await asyncio.sleep(0.005)
        gate.open.set()
        assert await asyncio.gather(loader, *waiters) == [1] * 21
        assert bench.world.loads == [["a"]]

    in_loop(story, l2=True)


def test_a_loader_that_is_slow_elsewhere_is_waited_for_half_of_the_time():
    async def story(bench):
        await bench.put("a")
        other = bench.second()
        gate = Gate(bench)
        loader = asyncio.create_task(bench.get("a"))
        await asyncio.sleep(0.005)
        deadline = other.deadline(1.0)
        assert (await other.items.get("a", deadline=deadline)).row_version == 1
        assert 0 < deadline.remaining() <= 0.5
        gate.open.set()
        await loader
        assert bench.world.loads == [["a"], ["a"]]

    in_loop(story, l2=True)


def test_a_load_that_everybody_left_is_nobodys_to_wait_for():
    """Its lease goes to the next who asks, long before it runs out."""

    async def story(bench):
        await bench.put("a")
        await bench.engine.open()
        other = bench.second()
        gate = Gate(bench)
        loader = asyncio.create_task(bench.get("a"))
        await asyncio.sleep(0.005)
        loader.cancel()
        deadline = other.deadline(1.0)
        assert (await other.items.get("a", deadline=deadline)).row_version == 1
        assert deadline.remaining() > 0.5
        gate.open.set()
        await bench.engine.close(bench.deadline())

    in_loop(story, l2=True)


@pytest.mark.parametrize("processes", [2, 6])
def test_two_loads_serve_all_who_do_not_trust_what_l2_has(processes):
    async def story(bench):
        await bench.put("a")
        await bench.get("a")
        await bench.put("a")
        others = [bench.second() for _ in range(processes)]
        for one in others:
            one.engine.l2_fresh = lambda: False
        bench.world.loads.clear()
        for one in others:
            one.records.step = slow_answer
        readers = [asyncio.create_task(one.get("a")) for one in others for _ in range(5)]
        assert await asyncio.gather(*readers) == [2] * 5 * processes
        assert bench.world.loads == [["a"], ["a"]]

    async def slow_answer(name):
        if name == "answer":
            await asyncio.sleep(0.05)

    in_loop(story, l2=True)


def test_what_was_handed_over_is_not_contradicted_by_l2_later():
    """L2 may lag behind it: only the next echo shows that it does not."""

    async def story(bench):
        await bench.put("a")
        waiting, loading = bench.second(), bench.second()
        for one in (waiting, loading):
            one.engine.l2_fresh = lambda: False
        gates = [Gate(bench), Gate(loading)]
        first = asyncio.create_task(bench.get("a"))
        await asyncio.sleep(0.005)
        answers = [asyncio.create_task(waiting.get("a"))]
        await asyncio.sleep(0.005)
        answers.append(asyncio.create_task(loading.get("a")))
        for gate in gates:
            gate.open.set()
        assert await asyncio.gather(first, *answers) == [1, 1, 1]
        assert waiting.items.floors.any_of(["a"])
        assert loading.items.floors.any_of(["a"])

    in_loop(story, l2=True)

    in_loop(story, l2=True)


class Threads:
    """Reads of many threads at once; the database takes `delay_s` for each batch."""

    def __init__(self, l2: bool, delay_s: float = 0.02) -> None:
        self.bench = Bench(ThreadsRuntime(), l2=l2)
        self.delay_s = delay_s
        self.results: dict[int, object] = {}

    async def slow(self, name):
        if name == "answer":
            time.sleep(self.delay_s)  # noqa: ASYNC251  (the blocking face blocks)

    def read(self, keys, seconds=5.0):
        """One thread a key; what each got."""
        bench = self.bench
        barrier = threading.Barrier(len(keys))

        def run(number, key):
            barrier.wait()
            try:
                item = drive(bench.items.get(key, deadline=bench.deadline(seconds)))
                self.results[number] = item and item.row_version
            except Exception as error:
                self.results[number] = error

        threads = [threading.Thread(target=run, args=(number, key)) for number, key in enumerate(keys)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        return [self.results[number] for number in range(len(keys))]


def test_threads_load_one_key_once(l2):
    threads = Threads(l2)
    drive(threads.bench.put("a"))
    threads.bench.records.step = threads.slow
    assert threads.read(["a"] * 50) == [1] * 50
    assert threads.bench.world.loads == [["a"]]


def test_threads_share_batches(l2):
    threads = Threads(l2)
    keys = [f"k{number}" for number in range(60)]
    drive(threads.bench.put(*keys))
    threads.bench.records.step = threads.slow
    assert threads.read(keys) == list(range(1, 61))
    assert len(threads.bench.world.loads) <= 12
    assert sum(map(len, threads.bench.world.loads)) == 60
    assert not threads.bench.items._flights
    assert len(threads.bench.items._database._lanes) == 2


def test_threads_time_out_and_others_go_on(l2):
    threads = Threads(l2, delay_s=0.3)
    drive(threads.bench.put("a"))
    threads.bench.records.step = threads.slow
    started = time.monotonic()
    results = threads.read(["a"] * 8, seconds=0.15)
    assert time.monotonic() - started < 1.5 + BUSY_S
    assert all(result == 1 or isinstance(result, TimeoutError) for result in results)
    assert threads.read(["a"] * 4) == [1] * 4
    assert not threads.bench.items._flights


def test_threads_under_a_storm_of_writes(l2):
    threads = Threads(l2, delay_s=0.001)
    bench = threads.bench
    bench.records.step = threads.slow
    keys = [f"k{number}" for number in range(5)]
    drive(bench.put(*keys))
    seen_lower: list[tuple[int, int]] = []
    stop = threading.Event()

    def reader(key):
        last = 0
        while not stop.is_set():
            item = drive(bench.items.get(key, deadline=bench.deadline()))
            if item.row_version < last:
                seen_lower.append((last, item.row_version))
            last = item.row_version

    readers = [threading.Thread(target=reader, args=(key,)) for key in keys for _ in range(2)]
    for thread in readers:
        thread.start()
    for number in range(40):
        key = keys[number % 5]
        drive(bench.put(key))
        item = drive(bench.items.get(key, deadline=bench.deadline()))
        assert item.row_version >= bench.world.version(key)
    stop.set()
    for thread in readers:
        thread.join(10)
    assert seen_lower == []
    assert not bench.items._flights


def test_a_miss_sets_every_slot_that_it_has():
    """Its constructor does not call the flight's: a slot that is added there must be set here too."""
    slots = [name for kind in Miss.__mro__ for name in getattr(kind, "__slots__", ())]
    miss = Miss("a", None, 0)
    assert "todo" in slots
    assert "ticket" in slots
    assert [name for name in slots if not hasattr(miss, name)] == []
