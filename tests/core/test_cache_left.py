"""Loads that were left, and what loaders leave behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from tierstore.cache import Cache


async def endless():
    await asyncio.sleep(3600)


@pytest.mark.filterwarnings("ignore")  # a task that its loop left is reported when it is collected
@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize(
    "ask",
    [
        lambda cache: cache.get_or_load("k", lambda: "value"),
        lambda cache: asyncio.run(cache.aget_or_load("k", lambda: "value")),
    ],
    ids=["blocking", "async"],
)
def test_a_load_whose_loop_ended_is_taken_over(close, ask):
    cache, loop, kept = Cache(10), asyncio.new_event_loop(), []

    async def begin():
        kept.append(asyncio.ensure_future(cache.aget_or_load("k", endless)))
        await asyncio.sleep(0.01)

    loop.run_until_complete(begin())
    if close:
        loop.close()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask, cache) for _ in range(4)]
        assert [each.result(20) for each in answers] == ["value"] * 4
        assert ask(cache) == "value"
    if not close:
        kept[0].cancel()
        loop.run_until_complete(asyncio.gather(*kept, return_exceptions=True))
        loop.close()
    assert cache["k"] == "value"


def test_what_a_loader_starts_keeps_no_load_and_closes_no_circle():
    class Value:
        pass

    async def scenario():
        cache, values, later = Cache(10), [], []

        async def load():
            async def refresh():
                await asyncio.sleep(0)
                cache.invalidate("k")
                if len(values) < 20:
                    await cache.aget_or_load("k", load)

            later.append(asyncio.create_task(refresh()))
            value = Value()
            values.append(weakref.ref(value))
            return value

        await cache.aget_or_load("k", load)
        while len(values) < 20:
            await asyncio.sleep(0)
        await asyncio.gather(*later)
        cache.clear()
        gc.collect()
        assert [each for each in values if each() is not None] == []

    asyncio.run(scenario())
