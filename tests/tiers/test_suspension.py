"""A machine is suspended and wakes: what was cached has grown old meanwhile, however still the monotonic clock stood.

No test can suspend the machine, so the runtime's clock is set forward, as CLOCK_BOOTTIME is at the moment of waking.
"""

from __future__ import annotations

import time

import pytest

from tests.tiers.conftest import Bench
from tierstore import _native
from tierstore.backends import Echo
from tierstore.backends.redis.channel import RedisChannel
from tierstore.backends.redis.key_value import route
from tierstore.plan.keys import Namespace
from tierstore.tiers.engine import Limits

HOUR_S = 3600.0


class Sleeper:
    """A runtime on a machine that `suspend`s. Timers and deadlines are the face's own, and know nothing of it."""

    def __init__(self, runtime) -> None:
        self._runtime = runtime
        self._suspended_s = 0.0

    def __getattr__(self, name):
        return getattr(self._runtime, name)

    def monotonic(self):
        return self._runtime.monotonic() + self._suspended_s

    def suspend(self, seconds=HOUR_S):
        self._suspended_s += seconds


@pytest.fixture
def runtime(face):
    return Sleeper(face.runtime())


def test_the_runtime_has_the_clock_that_counts_suspension(face):
    assert face.runtime().monotonic is _native.uptime
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= _native.uptime() <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_hits_are_held_against_that_clock_without_asking_for_it():
    cache = _native.Cache(10)
    fresh = _native.FreshUntil()
    fresh.until = float("inf")
    hits = _native.Hits(cache, fresh, _native.uptime, object(), lasting=False, owner_loop=None)
    cache["k"] = _native.TimedEntry("value", _native.uptime() + HOUR_S)
    assert hits.hit("k") == "value"
    cache["k"] = _native.TimedEntry("value", _native.uptime())
    assert hits.hit("k") is None


class Quiet:
    """A carrier that says nothing."""

    name = "quiet"

    async def publish(self, changes, *, deadline):
        return None


def test_nothing_is_fresh_when_the_machine_wakes(face, runtime):
    async def story():
        bench = Bench(runtime, l2=False, channel=Quiet())
        await bench.put("a")
        bench.engine.freshness.echo(runtime.monotonic())
        assert await bench.get("a") == 1
        assert bench.items.hit("a") is not None
        runtime.suspend()
        assert bench.items.hit("a") is None
        assert not bench.engine.freshness.is_fresh()
        assert bench.engine.freshness.age() >= HOUR_S

    face.run(story)


def test_a_ping_from_before_proves_nothing_afterwards(face, runtime):
    async def story():
        bench = Bench(runtime, l2=True, channel=Quiet())
        sent_at = runtime.monotonic()
        runtime.suspend()
        bench.engine.invalidation.on_echo(sent_at, l2=True)
        assert not bench.engine.freshness.is_fresh()
        assert not bench.engine.l2_fresh()

    face.run(story)


def test_lifetimes_go_on(face, runtime):
    async def story():
        bench = Bench(runtime, l2=False, limits=Limits(ttl_s=HOUR_S))
        await bench.put("a")
        assert await bench.get("a") == 1
        assert bench.items.hit("a") is not None
        runtime.suspend()
        assert bench.items.hit("a") is None
        loads = len(bench.world.loads)
        assert await bench.get("a") == 1
        assert len(bench.world.loads) == loads + 1

    face.run(story)


def test_a_ping_carries_the_time_that_counts_suspension(face, runtime, redis_server, request):
    channel = RedisChannel(runtime, route(runtime, url=redis_server.url), Namespace("", request.node.name))

    async def story():
        deadline = runtime.deadline(5.0)
        await channel.open(deadline)
        await channel.receive(wait_s=0.01)
        runtime.suspend()
        pings = await channel.take_pings(deadline=deadline)
        await channel.echo(pings, deadline=deadline)
        echoes = []
        while not echoes:
            echoes = [event for event in await channel.receive(wait_s=0.1) if isinstance(event, Echo)]
        assert all(runtime.monotonic() - echo.sent_at >= HOUR_S for echo in echoes[:1])
        await channel.close(deadline)

    face.run(story)
    channel._route.close()
