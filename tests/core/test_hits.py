"""A hit of the first tier in one native call: time, freshness, and the place from which it is asked."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import weakref

import pytest

from tierstore import _native
from tierstore.cache import Cache

ABSENT = object()


class Clock:
    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        return self.now


class Loop:
    """An event loop that is none of asyncio's own."""

    def __init__(self, running=True):
        self.running = running

    def is_running(self):
        return self.running


def keeping(cache):
    return _native.Hits(
        cache,
        _native.FreshUntil(),
        time.monotonic,
        ABSENT,
        lasting=False,
        owner_loop=None,
        ttl_s=100.0,
        absent_ttl_s=30.0,
    ).keep


def hits_over(cache, *, clock, until=float("inf"), lasting=False, owner_loop=None):
    fresh = _native.FreshUntil()
    fresh.until = until
    return fresh, _native.Hits(cache, fresh, clock, ABSENT, lasting, owner_loop).hit


def test_a_hit_is_believed_until_its_own_time_and_while_all_is_fresh():
    cache, clock = Cache(10), Clock(5.0)
    cache["k"] = _native.TimedEntry("value", 10.0)
    fresh, hit = hits_over(cache, clock=clock, until=8.0)
    assert (hit("k"), hit("other")) == ("value", None)
    clock.now = 8.0
    assert hit("k") is None, "not fresh from that second on"
    fresh.until = 20.0
    assert hit("k") == "value"
    clock.now = 10.0
    assert hit("k") is None, "past its own time"
    cache["k"].until = 11.0
    assert hit("k") == "value"


def test_what_lasts_needs_no_freshness_and_an_absence_does():
    cache = Cache(10)
    cache["k"], cache["gone"] = _native.TimedEntry("value", 10.0), _native.TimedEntry(ABSENT, 10.0)
    fresh, hit = hits_over(cache, clock=Clock(5.0), until=0.0, lasting=True)
    assert (hit("k"), hit("gone")) == ("value", None)
    fresh.until = 6.0
    assert hit("gone") is ABSENT


@pytest.mark.parametrize("clock", [_native.uptime, time.monotonic])
def test_time_is_that_of_the_clock(clock):
    cache = Cache(10)
    _, hit = hits_over(cache, clock=clock)
    cache["k"] = _native.TimedEntry("value", clock() + 3600)
    assert hit("k") == "value"
    cache["k"] = _native.TimedEntry("value", clock())
    assert hit("k") is None
    before = clock()
    entry = cache["k"] = _native.TimedEntry("value", 0.0)
    entry.until = before + 0.05
    while hit("k") is not None:
        assert clock() - before < 30
    assert clock() >= before + 0.05


class Key:
    """Compared by Python."""

    def __hash__(self):
        return 7

    def __eq__(self, other):
        return isinstance(other, Key)


def test_keys_of_every_kind_and_what_they_raise():
    cache = Cache(10)
    _, hit = hits_over(cache, clock=Clock())
    cache[Key()] = _native.TimedEntry("value", 1.0)
    assert hit(Key()) == "value"
    with pytest.raises(TypeError, match="unhashable"):
        hit([])
    cache["plain"] = 5
    with pytest.raises(TypeError, match="its own tier"):
        hit("plain")

    def broken():
        raise LookupError("no clock")

    _, hit = hits_over(cache, clock=broken)
    with pytest.raises(LookupError, match="no clock"):
        hit(Key())
    _, hit = hits_over(cache, clock=lambda: "noon")
    with pytest.raises(TypeError):
        hit(Key())


@pytest.mark.parametrize("make", [asyncio.new_event_loop, Loop])
def test_here_is_the_running_loop_on_its_own_thread_in_its_own_process(make):
    loop = make()

    async def main():
        own = _native.OwnerLoop(loop)
        assert own.is_here()
        with_thread = []
        thread = threading.Thread(target=lambda: with_thread.append(own.is_here()))
        thread.start()
        thread.join()
        assert with_thread == [False]
        child = os.fork()
        if child == 0:
            os._exit(int(own.is_here()))
        assert os.waitpid(child, 0)[1] == 0  # noqa: ASYNC222  (nothing else runs on this loop)
        return own

    if isinstance(loop, Loop):
        own = asyncio.run(main())
        loop.running = False
    else:
        own = loop.run_until_complete(main())
    assert not own.is_here(), "the loop does not run"

    async def elsewhere():
        return own.is_here()

    assert asyncio.run(elsewhere()) is False
    if not isinstance(loop, Loop):
        assert loop.run_until_complete(elsewhere()) is True
        loop.close()


def test_nothing_is_answered_off_the_owner_loop():
    cache, loop = Cache(10), Loop()
    cache["k"] = _native.TimedEntry("value", 10.0)
    _, hit = hits_over(cache, clock=Clock(), owner_loop=_native.OwnerLoop(loop))
    assert hit("k") == "value"
    loop.running = False
    assert hit("k") is None


def test_a_cycle_through_the_entries_and_the_clock_is_collected():
    cache, clock = Cache(10), Clock()
    fresh, hit = hits_over(cache, clock=clock)
    clock.all = [hit, cache, fresh]
    cache["k"] = _native.TimedEntry(clock, 10.0)
    gone = weakref.ref(clock)
    del cache, clock, fresh, hit
    gc.collect()
    assert gone() is None


def test_a_later_version_stays_and_a_fill_overtaken_is_refused():
    cache = Cache(10)
    keep = keeping(cache)
    overtaken = cache.begin("k")
    assert keep(cache.begin("k"), "new", 2, 1000.0, 1) is True
    entry = cache["k"]
    life = entry.ends - 1000.0
    assert (entry.value, entry.version, entry.loaded_at) == ("new", 2, 1000.0)
    assert 90.0 <= life <= 100.0
    assert entry.until == pytest.approx(1000.0 + 0.8 * life)
    assert keep(cache.begin("k"), "old", 1, 1001.0, 1) is entry
    cache.invalidate("k")
    assert keep(overtaken, "newer", 3, 1001.0, 1) is False
    assert "k" not in cache


def test_what_is_asked_for_all_the_time_lives_longer_but_an_absence():
    cache = Cache(10)
    keep = keeping(cache)
    now, lives = 0.0, []
    for _ in range(4):
        keep(cache.begin("k"), "value", 1, now, 1)
        lives.append(cache["k"].ends - now)
        now = cache["k"].ends + 1
    assert lives == pytest.approx([lives[0], 2 * lives[0], 4 * lives[0], 4 * lives[0]])
    keep(cache.begin("k"), ABSENT, 1, now, 1)
    assert 27.0 <= cache["k"].ends - now <= 30.0
    keep(cache.begin("k"), "value", 1, now + 1000, 1)
    assert cache["k"].stretch == 1, "it was not asked for when its life was over"
