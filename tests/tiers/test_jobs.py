"""Freshness, carriers, relay, replicas, eager refresh: each a step at a time, in both faces."""

from __future__ import annotations

import pytest

from tests.model.bus import Bus, FakeChannel
from tests.tiers.conftest import Bench
from tierstore.backends import Change, Echo, Gap, Invalidated
from tierstore.errors import ConnectionError
from tierstore.plan.invalidate import Changes, merged, parse
from tierstore.plan.route import route
from tierstore.runtime.outages import Outages
from tierstore.tiers.freshness import Freshness


class Clock:
    """A runtime whose clock the test moves; all else is the face's own."""

    def __init__(self, runtime) -> None:
        self._runtime = runtime
        self.now = 1000.0
        self.outages = Outages(self.monotonic)

    def __getattr__(self, name):
        return getattr(self._runtime, name)

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


class Line:
    """A carrier of the test's making."""

    def __init__(self, name, runtime, *, pings=False) -> None:
        self.name = name
        self.runtime = runtime
        self.events: list = []
        self.error: Exception | None = None
        if pings:
            self.take_pings = self._no_pings
            self.echo = self._no_echo
            self.retire = self._no_relay
            self.move = self._never

    async def receive(self, *, wait_s):
        if self.error is not None:
            raise self.error
        events, self.events = self.events, []
        return events

    async def publish(self, changes, *, deadline):
        return None

    def _never(self, namespace):
        raise AssertionError("the database stays the same")

    async def _no_pings(self, *, deadline):
        return []

    async def _no_echo(self, pings, *, deadline):
        return None

    async def _no_relay(self, *, deadline):
        return None


@pytest.fixture
def clock(face):
    return Clock(face.runtime())


def test_freshness_ends_a_horizon_after_the_echoed_ping():
    now = [100.0]
    freshness = Freshness(lambda: now[0], carried=True)
    assert not freshness.is_fresh()
    freshness.echo(99.0)
    assert freshness.is_fresh()
    assert freshness.within(1.5)
    assert not freshness.within(0.5)
    now[0] = 101.0
    assert not freshness.is_fresh()
    freshness.echo(98.0)
    assert not freshness.is_fresh(), "an old echo takes nothing back and gives nothing"
    assert Freshness(lambda: 1e12, carried=False).is_fresh()


def test_hits_need_a_carrier_that_is_heard(face, clock):
    async def story():
        line = Line("sqlite", clock)
        bench = Bench(clock, l2=False, channel=line)
        await bench.put("a")
        assert await bench.get("a") == 1
        assert bench.items.hit("a") is None, "nothing was heard yet"
        line.events = [Echo(clock.now)]
        await bench.engine.carriers.step()
        assert bench.items.hit("a").row_version == 1
        clock.now += 1.9
        assert bench.items.hit("a").row_version == 1
        loads = len(bench.world.loads)
        assert await bench.get("a", read="bounded:2s") == 1
        assert len(bench.world.loads) == loads
        assert await bench.get("a", read="bounded:1s") == 1
        assert len(bench.world.loads) == loads + 1, "no cache is that near"
        clock.now += 0.2
        assert bench.items.hit("a") is None
        assert await bench.get("a", read="bounded:5s") == 1
        loads = len(bench.world.loads)
        assert await bench.get("a", read="any") == 1
        assert len(bench.world.loads) == loads
        await bench.get("a")
        assert len(bench.world.loads) == loads + 1

    face.run(story)


def test_the_standby_takes_over_from_a_silent_channel_and_gives_back(face, clock):
    async def story():
        redis, outbox = Line("redis", clock, pings=True), Line("outbox", clock)
        bench = Bench(clock, l2=True, channel=redis, standby=outbox)
        carriers = bench.engine.carriers
        redis.events = [Echo(clock.now)]
        await carriers.step()
        await bench.put("a")
        await bench.get("a")
        assert carriers.carrying == "redis"
        redis.error = ConnectionError("gone")
        clock.now += 1.1
        await carriers.step()
        assert carriers.carrying == "outbox"
        outbox.events = [Echo(clock.now)]
        assert await carriers.step_standby() == 0.0
        clock.now += 1.5
        assert bench.items.hit("a").row_version == 1, "L1 goes on through the outage"
        assert not bench.engine.l2_fresh(), "L2 is not believed before an echo of the relay"
        outbox.events = [Invalidated((bench.items.name("a", 9),)), Echo(clock.now)]
        await carriers.step_standby()
        assert bench.items.hit("a") is None
        assert bench.items.name("a", 9).key in bench.engine.unconfirmed
        redis.error, redis.events = None, [Gap("subscribed again"), Echo(clock.now + 0.1)]
        clock.now += 0.2
        await carriers.step()
        assert carriers.carrying == "redis"
        assert bench.engine.l2_fresh()
        assert not bench.engine.unconfirmed
        assert bench.engine.counters.l1_flushes == 1
        assert await carriers.step_standby() > 1.0, "it stands by again"

    face.run(story)


def test_a_silent_channel_is_one_line_unless_what_is_behind_it_does_not_answer(face, clock, caplog):
    async def story():
        redis = Line("redis", clock, pings=True)
        carriers = Bench(clock, l2=True, channel=redis, standby=Line("outbox", clock)).engine.carriers

        async def listen(seconds):
            for _ in range(seconds):
                clock.now += 1.0
                await carriers.step()

        redis.error = ConnectionError("gone")
        clock.outages.began("Redis", "gone")
        await listen(30)
        clock.outages.ended("Redis")
        await listen(9)
        assert [message.split()[0] for message in caplog.messages] == ["Redis", "Redis"]
        caplog.clear()
        await listen(60)
        (began,) = caplog.messages
        for part in ("channel", "redis", "changes of other processes are read from the database"):
            assert part in began
        redis.error, redis.events = None, [Echo(clock.now)]
        await carriers.step()
        await carriers.step()
        assert len(caplog.messages) == 2
        assert "answers again" in caplog.messages[1]

    face.run(story)


def test_a_channel_that_was_missing_at_the_start_answers_with_its_first_echo(face, clock, caplog):
    async def story():
        redis = Line("redis", clock, pings=True)
        carriers = Bench(clock, l2=True, channel=redis, standby=Line("outbox", clock)).engine.carriers
        clock.outages.began("channel", "nobody listens")
        await carriers.step()
        assert "channel" in clock.outages, "nothing was heard of it yet"
        redis.events = [Echo(clock.now)]
        await carriers.step()
        assert "channel" not in clock.outages
        assert len(caplog.messages) == 2

    face.run(story)


def test_a_gap_flushes_l1_and_refuses_what_is_being_loaded(face, clock):
    async def story():
        bench = Bench(clock, l2=False, channel=Line("redis", clock))
        bench.engine.invalidation.on_echo(clock.now, l2=True)
        await bench.put("a")
        await bench.get("a")

        async def gap(name):
            if name == "answer":
                bench.engine.invalidation.on_gap("a message is missing")

        bench.engine.invalidation.on_gap("a message is missing")
        assert bench.items.hit("a") is None
        bench.records.step = gap
        assert await bench.get("a") == 1
        assert bench.items.hit("a") is None

    face.run(story)


def test_the_relay_delivers_what_a_dead_writer_left_and_then_echoes(face):
    async def story():
        runtime, bus = face.runtime(), Bus()
        alive = Bench(runtime, l2=True, channel=FakeChannel(bus, runtime))
        dead = alive.second(channel=FakeChannel(bus, runtime))
        for _ in range(2):
            await alive.engine.carriers.step()
            await alive.engine._relay.step()
        await alive.put("a")
        await alive.engine._delivery.mark()
        assert await alive.get("a") == 1

        async def dies(change_set, deadline):
            raise KeyboardInterrupt

        dead.engine._delivery.deliver = dies
        with pytest.raises(KeyboardInterrupt):
            await dead.put("a")
        assert alive.items.hit("a").row_version == 1
        assert [row.delivered for row in alive.world.outbox] == [True, False]
        await alive.engine._relay.step()
        await alive.engine.carriers.step()
        assert alive.items.hit("a") is None
        assert await alive.get("a") == 2
        await alive.engine._delivery.mark()
        assert all(row.delivered for row in alive.world.outbox)

    face.run(story)


def test_an_l2_that_cannot_be_invalidated_holds_the_echo_back(face):
    async def story():
        runtime, bus = face.runtime(), Bus()
        bench = Bench(runtime, l2=True, channel=FakeChannel(bus, runtime))
        bench.key_value.broken = ConnectionError("gone")
        await bench.put("a")
        await bench.engine.carriers.step()
        with pytest.raises(ConnectionError):
            await bench.engine._relay.step()
        await bench.engine.carriers.step()
        assert not bench.engine.freshness.is_fresh()

    face.run(story)


def test_another_database_is_another_epoch(face):
    async def story():
        runtime, bus = face.runtime(), Bus()
        channel = FakeChannel(bus, runtime)
        bench = Bench(runtime, l2=True, channel=channel)
        for _ in range(2):
            await bench.engine.carriers.step()
            await bench.engine._relay.step()
        await bench.put("a", "a")
        assert await bench.get("a") == 2
        assert await bench.get("a") == 2
        bench.world.rows["a"] = (True, 1)  # a replica was promoted that lacks the last write
        bench.world.identity = "promoted"
        await bench.engine._relay.step()
        assert await bench.get("a") == 1
        assert channel.moved_to == [bench.engine.namespace]
        assert bench.engine.namespace.database != "test"

    face.run(story)


async def turn(clock, *processes):
    """A ping of each, half a second later, and its echo."""
    clock.now += 0.6
    for bench in processes:
        await bench.engine.carriers.step()
    for bench in processes:
        await bench.engine._relay.step()
    for bench in processes:
        await bench.engine.carriers.step()


async def two_processes(clock):
    """Over one database, whose changes both hear of; both have seen "a", and L2 has it."""
    bus = Bus()
    one = Bench(clock, l2=True, channel=FakeChannel(bus, clock))
    other = one.second(channel=FakeChannel(bus, clock))
    for bench in (one, other):
        await bench.engine.invalidation.check_epoch(bench.deadline())
    await one.put("a")
    await turn(clock, one, other)
    assert [await one.get("a"), await other.get("a")] == [1, 1]
    return one, other


async def one_of_two_has_noticed_the_promotion(clock):
    """Two processes, of which the second has moved to the new names, and has filled L2 under them."""
    one, other = await two_processes(clock)
    one.world.identity = "promoted"
    await turn(clock, other)
    await turn(clock, other)
    assert await other.get("a") == 1
    return one, other


def test_a_write_that_meets_the_promoted_database_first_is_told_under_its_name(face, clock):

    async def story():
        writer, other = await one_of_two_has_noticed_the_promotion(clock)
        assert other.engine.namespace != writer.engine.namespace
        await writer.put("a")
        assert writer.engine.namespace == other.engine.namespace
        assert await writer.get("a") == 2, "I2"
        other.engine.flush()
        await turn(clock, writer, other)
        assert other.engine.l2_fresh()
        assert await other.get("a") == 2, "it is told of in L2, for as long as that keeps it"
        assert await writer.get("a") == 2

    face.run(story)


def test_a_write_that_is_in_doubt_while_the_database_moves_is_read_past_l2(face, clock):
    async def story():
        writer, other = await one_of_two_has_noticed_the_promotion(clock)
        writer.key_value.broken = ConnectionError("gone")
        await writer.put("a")  # committed, and nobody was told
        writer.key_value.broken = None
        assert await writer.get("a") == 2
        await turn(clock, writer, other)
        assert [await writer.get("a"), await other.get("a")] == [2, 2], "the relay has delivered it"

    face.run(story)


def test_l2_under_the_names_of_another_database_is_not_read_before_an_echo(face, clock):
    """What was heard was said of the old names. A process that has noticed the promotion may have filled the new ones meanwhile."""

    async def story():
        reader, other = await one_of_two_has_noticed_the_promotion(clock)
        other.key_value.broken = ConnectionError("gone")
        await other.put("a")
        other.key_value.broken = None
        assert reader.engine.l2_fresh()
        assert await reader.get("a", read="latest") == 2
        await reader.engine.invalidation.check_epoch(reader.deadline())
        assert not reader.engine.l2_fresh()
        assert await reader.get("a") == 2, "I1"

    face.run(story)


def test_replicas_answer_what_lies_behind_the_baseline(face):
    async def story():
        bench = Bench(face.runtime(), l2=False, replicas=True)
        asked = []
        fetch = bench.records.fetch_fenced

        async def watched(query, params, *, primary, after, **more):
            asked.append((primary, after is not None))
            return await fetch(query, params, **more)

        bench.records.fetch_fenced = watched
        await bench.get("a")
        await bench.put("a")
        await bench.get("a")
        bench.engine._replicas.changed("item", "b")
        await bench.get("b")
        await bench.engine._replicas.step()
        bench.engine.flush()
        await bench.get("a")
        await bench.get("c", not_before="0/1")
        await bench.get("a", not_before="0/1")
        assert asked[:5] == [(False, True), (True, True), (True, True), (False, True), (False, True)]
        assert asked[5] == (True, True), "what was shown since the baseline may come from a replica that is ahead"

    face.run(story)


@pytest.mark.requirement("S1-38")
def test_what_is_asked_for_all_the_time_is_loaded_ahead_and_lives_longer(face, clock):
    async def story():
        bench = Bench(clock, l2=False, kind={"ttl_s": 100.0})
        await bench.put("a")
        await bench.get("a")
        entry = bench.items.l1.look("a")
        clock.now = entry.until + 0.1
        assert bench.items.hit("a") is None
        assert await bench.get("a") == 1
        assert bench.items.hit("a").row_version == 1, "it is served while it is loaded anew"
        assert len(bench.world.loads) == 1
        await bench.engine._refresh()
        assert len(bench.world.loads) == 2
        renewed = bench.items.l1.look("a")
        assert renewed.ends - renewed.loaded_at > 1.5 * (entry.ends - entry.loaded_at)
        clock.now = renewed.ends + 1000
        await bench.get("a")
        cold = bench.items.l1.look("a")
        assert cold.ends - cold.loaded_at <= 100.0

    face.run(story)


def test_lifetimes_are_spread(face, local):
    async def story():
        keys = [f"k{number}" for number in range(50)]
        await local.put(*keys)
        await local.items.get_many(keys, deadline=local.deadline())
        lives = {round(entry.ends - entry.loaded_at) for entry in map(local.items.l1.look, keys)}
        assert len(lives) > 10
        assert all(0.9 * 3600 <= life <= 3600 for life in lives)

    face.run(story)


def test_immutable_values_need_no_carrier(face, clock):
    async def story():
        bench = Bench(clock, l2=False, channel=Line("redis", clock), kind={"immutable": True})
        await bench.put("a")
        await bench.get("a")
        assert bench.items.hit("a").row_version == 1
        assert await bench.get("b") is None
        assert bench.items.hit("b") is None, "that it is not there may change"

    face.run(story)


def test_an_open_engine_does_all_of_it_by_itself(face):
    async def story():
        runtime, bus = face.runtime(), Bus()
        bench = Bench(runtime, l2=True, channel=FakeChannel(bus, runtime, ping_every_s=0.05))
        await bench.engine.open()
        try:
            for _ in range(100):
                if bench.engine.freshness.is_fresh():
                    break
                await runtime.sleep(0.05)
            await bench.put("a")
            await bench.get("a")
            assert bench.items.hit("a").row_version == 1
        finally:
            await bench.engine.close(bench.deadline())
        assert all(row.delivered for row in bench.world.outbox)

    face.run(story)


def test_names_of_changes():
    assert parse("ts1:{prod:17}:schema_version:1.0.0:a:b") == ("schema_version", "1.0.0:a:b")
    assert parse("ts1:{prod:17}:schema:") == ("schema", "")
    assert parse("somebody else's key") is None
    assert merged([Change("a", 1), Change("b", 5), Change("a", 3), Change("a", 2)]) == [Change("a", 3), Change("b", 5)]
    changes = Changes()
    changes.add("item", "a", 2)
    mark = changes.mark()
    changes.add("item", "a", 5)
    changes.add("item", "b", 5)
    changes.rewind(mark)
    assert changes.items() == [("item", "a", 2)]


@pytest.mark.parametrize(
    ("read", "bound_s"), [("bounded:2s", 2.0), ("bounded:250ms", 0.25), ("bounded:1.5m", 90.0), ("bounded:1h", 3600.0)]
)
def test_bounds_of_reads(read, bound_s):
    assert route(read).bound_s == bound_s
