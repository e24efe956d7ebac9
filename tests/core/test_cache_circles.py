"""A load that waits for itself is an error, wherever its loader asks; what a loader starts and does not wait for is none."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tierstore.cache import Cache


def caught(function, *arguments):
    try:
        return function(*arguments)
    except BaseException as error:
        return error


def test_loading_a_key_within_its_own_load_is_an_error():
    cache = Cache(10)
    with pytest.raises(RuntimeError, match="itself"):
        cache.get_or_load("a", lambda: cache.get_or_load("b", lambda: cache.get_or_load("a", lambda: 1)))

    async def again():
        return await asyncio.gather(cache.aget_or_load("a", again))

    with pytest.raises(RuntimeError, match="itself"):
        asyncio.run(cache.aget_or_load("a", again))
    assert cache.get_or_load("a", lambda: cache.get_or_load("b", lambda: 1)) == 1


async def _plainly(ask):
    await asyncio.create_task(ask())


async def _gathered(ask):
    await asyncio.gather(ask(), asyncio.sleep(0))


async def _waited(ask):
    (done,), _ = await asyncio.wait([asyncio.create_task(ask())])
    done.result()


async def _in_time(ask):
    await asyncio.wait_for(asyncio.create_task(ask()), 60)


async def _shielded(ask):
    await asyncio.shield(ask())


async def _grouped(ask):
    async with asyncio.TaskGroup() as group:
        group.create_task(ask())


async def _through_another(ask):
    await asyncio.create_task(_gathered(ask))


async def _begun_before(ask):
    task = asyncio.create_task(ask())
    await asyncio.sleep(0.01)
    await task


async def _in_a_thread(ask):
    await asyncio.create_task(asyncio.to_thread(asyncio.run, ask()))


WAYS = [_plainly, _gathered, _waited, _in_time, _shielded, _grouped, _through_another, _begun_before, _in_a_thread]


@pytest.mark.parametrize("waits", WAYS)
def test_a_loader_that_waits_for_a_task_that_asks_for_its_key_is_an_error(waits):
    cache = Cache(10)

    async def main():
        with pytest.raises((RuntimeError, ExceptionGroup)) as caught:
            await asyncio.wait_for(cache.aget_or_load("a", lambda: waits(lambda: cache.aget_or_load("a", dict))), 60)
        return caught

    caught = asyncio.run(main())
    assert "waits for itself" in str(getattr(caught.value, "exceptions", [caught.value])[0])
    assert "a" not in cache


def _as_task(ask, started):
    started.append(asyncio.create_task(ask()))


def _as_tasks_together(ask, started):
    started.append(asyncio.gather(ask(), ask()))


def _by_timer(ask, started):
    future = asyncio.get_running_loop().create_future()
    started.append(future)
    asyncio.get_running_loop().call_soon(lambda: _as_task(ask, started) or future.set_result(None))


def _as_thread(ask, started):
    started.append(asyncio.create_task(asyncio.to_thread(asyncio.run, ask())))


@pytest.mark.parametrize("start", [_as_task, _as_tasks_together, _by_timer, _as_thread])
def test_what_a_loader_starts_and_does_not_wait_for_may_ask_for_its_key(start):
    async def main():
        cache, started, asked = Cache(10), [], []

        async def ask():
            asked.append(1)
            return await cache.aget_or_load("a", lambda: "again")

        async def load():
            start(ask, started)
            while not asked:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.25)  # the one that waits has looked for a circle meanwhile
            return "value"

        assert await cache.aget_or_load("a", load) == "value"
        answers = [await each for each in started]
        return [each for each in answers if each is not None]

    assert asyncio.run(asyncio.wait_for(main(), 60)) in (["value"], [["value", "value"]])


def test_a_thread_that_a_loader_starts_may_ask_for_its_key():
    cache, asked = Cache(10), threading.Event()

    def ask():
        asked.set()
        return cache.get_or_load("a", lambda: "again")

    with ThreadPoolExecutor(1) as pool:
        started = []

        def load():
            started.append(pool.submit(contextvars.copy_context().run, ask))
            asked.wait()
            time.sleep(0.25)
            return "value"

        assert cache.get_or_load("a", load) == "value"
        assert started[0].result() == "value"


def test_two_loads_that_wait_for_each_other_are_an_error_in_threads():
    cache, both = Cache(10), threading.Barrier(2)

    def load(own, other):
        def loader():
            both.wait()
            return cache.get_or_load(other, lambda: "fresh")

        return caught(cache.get_or_load, own, loader)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(load, "ab", "ba"))
    assert RuntimeError in map(type, results)
    assert cache.get_or_load("a", lambda: 1) in ("fresh", 1)


def test_loads_that_wait_for_each_other_in_a_circle_are_an_error_in_tasks():
    cache, begun = Cache(10), []

    async def load(own, other):
        async def loader():
            begun.append(own)
            while len(begun) < 3:
                await asyncio.sleep(0)
            return await cache.aget_or_load(other, lambda: "fresh")

        return await cache.aget_or_load(own, loader)

    async def main():
        loads = [load(own, other) for own, other in ("ab", "bc", "ca")]
        return await asyncio.wait_for(asyncio.gather(*loads, return_exceptions=True), 30)

    assert RuntimeError in map(type, asyncio.run(main()))
