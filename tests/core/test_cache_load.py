"""One load at a time for a key: over threads, tasks and event loops; what fails, is cancelled or is invalidated."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

import tierstore
from tierstore.cache import Cache

WAITERS = 8


class Loader:
    """Counts its calls; each takes a moment, and ends as `outcome` says."""

    def __init__(self, outcome=lambda: "value", seconds=0.05):
        self.calls, self.outcome, self.seconds = 0, outcome, seconds

    def __call__(self):
        self.calls += 1
        time.sleep(self.seconds)
        return self.outcome()

    async def awaited(self):
        self.calls += 1
        await asyncio.sleep(self.seconds)
        return self.outcome()


def fails():
    raise LookupError("no such thing")


def caught(function, *arguments):
    try:
        return function(*arguments)
    except BaseException as error:
        return error


@pytest.mark.requirement("S0-17")
def test_fifty_threads_make_one_load():
    cache, loader = Cache(10), Loader()
    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(lambda _: cache.get_or_load("k", loader), range(50)))
    assert (results, loader.calls) == (["value"] * 50, 1)
    assert cache.stats().loads == 1


@pytest.mark.requirement("S0-17")
def test_fifty_tasks_make_one_load():
    cache, loader = Cache(10), Loader()

    async def main():
        return await asyncio.gather(*(cache.aget_or_load("k", loader.awaited) for _ in range(50)))

    assert (asyncio.run(main()), loader.calls) == (["value"] * 50, 1)


def test_several_event_loops_share_one_load():
    cache, loader = Cache(10), Loader(seconds=0.2)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: asyncio.run(cache.aget_or_load("k", loader.awaited)), range(4)))
    assert (results, loader.calls) == (["value"] * 4, 1)


def test_a_thread_joins_the_load_of_a_loop_and_a_loop_that_of_a_thread():
    cache, loader = Cache(10), Loader(seconds=0.2)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(asyncio.run, cache.aget_or_load("k", loader.awaited))
        time.sleep(0.05)
        assert cache.get_or_load("k", loader) == one.result() == "value"
        two = pool.submit(cache.get_or_load, "l", loader)
        time.sleep(0.05)
        assert asyncio.run(cache.aget_or_load("l", loader.awaited)) == two.result() == "value"
    assert loader.calls == 2


def test_a_blocking_load_on_the_thread_of_the_loop_that_loads_does_not_wait_for_itself():
    cache, loader = Cache(10), Loader()

    async def main():
        task = asyncio.create_task(cache.aget_or_load("k", loader.awaited))
        await asyncio.sleep(0)
        assert cache.get_or_load("k", lambda: "other") == "other"
        return await task

    assert asyncio.run(main()) == "value"


def test_a_loader_that_raises_reaches_each_waiter_once_and_is_not_cached():
    cache, loader, here = Cache(10), Loader(fails, seconds=0.3), threading.Barrier(WAITERS)

    def load(_):
        here.wait()
        return caught(cache.get_or_load, "k", loader)

    with ThreadPoolExecutor(WAITERS) as pool:
        results = list(pool.map(load, range(WAITERS)))
    assert loader.calls == 1
    assert [type(result) for result in results] == [LookupError] * WAITERS
    assert cache.get_or_load("k", lambda: "later") == "later"
    assert (cache.stats().loads, cache.stats().load_failures) == (2, 1)


def test_an_awaited_loader_that_raises_reaches_each_waiter():
    cache, loader = Cache(10), Loader(fails)

    async def main():
        calls = (cache.aget_or_load("k", loader.awaited) for _ in range(WAITERS))
        return await asyncio.gather(*calls, return_exceptions=True)

    results = asyncio.run(main())
    assert loader.calls == 1
    assert [type(result) for result in results] == [LookupError] * WAITERS
    assert "k" not in cache


def test_a_cancelled_leader_hands_over():
    cache, loader = Cache(10), Loader(seconds=0.05)

    async def main():
        tasks = [asyncio.create_task(cache.aget_or_load("k", loader.awaited)) for _ in range(WAITERS)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, *others = asyncio.run(main())
    assert isinstance(first, asyncio.CancelledError)
    assert (others, loader.calls) == (["value"] * (WAITERS - 1), 2)


def test_a_cancelled_waiter_leaves_the_others_alone():
    cache, loader = Cache(10), Loader()

    async def main():
        tasks = [asyncio.create_task(cache.aget_or_load("k", loader.awaited)) for _ in range(3)]
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    one, cancelled, three = asyncio.run(main())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert (one, three, loader.calls) == ("value", "value", 1)


def test_an_interrupted_leader_hands_over_to_a_thread():
    cache, started = Cache(10), threading.Event()

    def interrupted():
        started.set()
        time.sleep(0.1)
        raise KeyboardInterrupt

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(caught, cache.get_or_load, "k", interrupted)
        started.wait()
        assert cache.get_or_load("k", lambda: "taken over") == "taken over"
        assert isinstance(leader.result(), KeyboardInterrupt)


def test_a_reader_after_an_invalidation_does_not_join_the_old_load():
    cache, loading, go = Cache(10), threading.Event(), threading.Event()

    def old():
        loading.set()
        go.wait()
        return "old"

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.get_or_load, "k", old)
        loading.wait()
        cache.invalidate("k")
        assert cache.get_or_load("k", lambda: "new") == "new"
        go.set()
        assert first.result() == "old"
    assert cache["k"] == "new"


def test_a_load_that_was_invalidated_is_not_kept():
    cache = Cache(10)

    def load():
        cache.invalidate("k")
        return "stale"

    assert cache.get_or_load("k", load) == "stale"
    assert "k" not in cache


def test_a_loader_may_want_the_key_or_not():
    cache = Cache(10)
    assert cache.get_or_load("a", lambda key: key * 2) == "aa"
    assert cache.get_or_load("b", lambda key="default": key) == "default"
    assert cache.get_or_load("c", lambda *parts: parts) == ()
    assert cache.get_or_load("d", dict) == {}
    assert cache.get_or_load("e", lambda: None) is None
    assert "e" in cache
    assert asyncio.run(cache.aget_or_load("f", lambda key: key)) == "f"


def test_what_is_loaded_lives_as_the_call_says():
    cache = Cache(10)
    cache.get_or_load("a", lambda: 1, ttl=0.02)
    asyncio.run(cache.aget_or_load("b", Loader(seconds=0).awaited, ttl=60, tags=["t"]))
    assert cache.invalidate_tag("t") == 1
    time.sleep(0.05)
    assert "a" not in cache


def test_memoize_a_function():
    cache, calls = Cache(100), []

    @cache.memoize(ttl=60)
    def double(number, *, times=2):
        """Twice as much."""
        calls.append(number)
        return number * times

    assert [double(2), double(2), double(2, times=3), double(2, times=3)] == [4, 4, 6, 6]
    assert calls == [2, 2]
    assert (double.__name__, double.__doc__, double.cache) == ("double", "Twice as much.", cache)
    assert double.invalidate(2) is True
    assert double.invalidate(2) is False
    assert double(2) == 4
    assert calls == [2, 2, 2]
    assert double.__wrapped__(5) == 10


def test_memoize_with_a_key_of_ones_own_and_two_functions_on_one_cache():
    cache = Cache(100)

    @cache.memoize(key=lambda text: text.lower())
    def loud(text):
        return text.upper() + "!"

    @cache.memoize()
    def quiet(text):
        return text.lower()

    assert (loud("a"), loud("A"), quiet("A"), quiet("a")) == ("A!", "A!", "a", "a")
    assert len(cache) == 3
    assert loud.invalidate("A")


def test_memoize_a_coroutine_function():
    cache, loader = Cache(100), Loader()

    @cache.memoize()
    async def load(number):
        return await loader.awaited()

    async def main():
        return await asyncio.gather(*(load(1) for _ in range(10)))

    assert (asyncio.run(main()), loader.calls) == (["value"] * 10, 1)
    assert load.invalidate(1)


class Doubler:
    """Called as a coroutine function."""

    async def __call__(self, number):
        return number * 2


async def plus(one, other):
    return one + other


@pytest.mark.parametrize("function", [Doubler(), functools.partial(plus, 2)])
def test_memoize_what_is_called_as_a_coroutine_function(function):
    load = Cache(100).memoize()(function)

    async def main():
        return [await load(2), await load(2)]

    assert asyncio.run(main()) == [4, 4]


def test_memoize_methods_of_every_kind():
    cache = Cache(100)

    class Times:
        def __init__(self, times):
            self.times = times

        @cache.memoize()
        def own(self, number):
            return self.times * number

        @classmethod
        @cache.memoize()
        def of_class(cls, number):
            return cls.__name__, number

        @staticmethod
        @cache.memoize()
        def of_none(number):
            return number

    one, other = Times(1), Times(2)
    assert (one.own(3), other.own(3), one.own(3)) == (3, 6, 3)
    assert (Times.of_class(1), one.of_none(1)) == (("Times", 1), 1)
    assert len(cache) == 4
    assert Times.own.invalidate(one, 3)


def test_a_generator_is_not_memoized():
    def some():
        yield 1

    async def others():
        yield 1

    for function in (some, others):
        with pytest.raises(TypeError, match="generator"):
            Cache(10).memoize()(function)


def test_a_coroutine_function_is_no_loader_of_a_blocking_load():
    cache, loader = Cache(10), Loader()
    with pytest.raises(TypeError, match="aget_or_load"):
        cache.get_or_load("k", loader.awaited)
    assert "k" not in cache
    assert cache.get_or_load("k", lambda: 1) == 1


def test_every_waiter_sees_the_trace_of_the_loader_and_of_nobody_else():
    cache, go = Cache(10), threading.Event()

    def failing():
        go.wait()
        raise LookupError("no such thing")

    def depth(_):
        error = caught(cache.get_or_load, "k", failing)
        return [frame.name for frame in traceback.extract_tb(error.__traceback__)].count("load")

    with ThreadPoolExecutor(WAITERS) as pool:
        results = [pool.submit(depth, number) for number in range(WAITERS)]
        time.sleep(0.1)
        go.set()
        assert max(each.result() for each in results) <= 2, "its own, and the leader's"


def test_a_load_that_fails_before_its_loader_is_called_keeps_nobody_out():
    class Tripping(Cache):
        trips = True

        def _peek(self, key):
            if self.trips:
                raise LookupError("a key that cannot be compared")
            return super()._peek(key)

    cache = Tripping(10)
    for _ in range(2):
        with pytest.raises(LookupError):
            cache.get_or_load("k", lambda: 1)
    cache.trips = False
    assert cache.get_or_load("k", lambda: 1) == 1


def test_a_load_whose_value_cannot_be_weighed_is_one_load_that_failed():
    cache = Cache(10, max_weight=10, weigher=lambda _key, value: value)
    with pytest.raises(tierstore.ValidationError):
        cache.get_or_load("k", lambda: -1)
    assert (cache.stats().loads, cache.stats().load_failures, len(cache)) == (1, 1, 0)
    assert cache.get_or_load("k", lambda: 3) == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_does_not_wait_for_a_load_of_its_parent():
    cache, loading, go = Cache(10), threading.Event(), threading.Event()

    def slow():
        loading.set()
        go.wait()
        return "the parent's"

    with ThreadPoolExecutor(1) as pool:
        parents = pool.submit(cache.get_or_load, "k", slow)
        loading.wait()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = int(cache.get_or_load("k", lambda: "the child's") != "the child's")
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        go.set()
        assert parents.result() == "the parent's"
