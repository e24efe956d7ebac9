"""Fail-safe: a database that keeps its callers waiting costs a read that may be served stale a part of its time, and then nothing."""

from __future__ import annotations

import asyncio

import pytest

from tierstore.errors import ConnectionError, QueryError, TimeoutError
from tierstore.tiers import fail_safe
from tierstore.tiers.fail_safe import Silence

CALL_S, LONG_S = 3.0, 60.0


class Turned:
    """A clock that a test turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Hung:
    """The database of a bench takes questions, and answers none until `recover`. For each it is counted as silent for SILENT_S. It gives
    up after `wait_s`, or when it must: a TimeoutError is no answer, whenever it comes."""

    def __init__(self, bench, wait_s=0.02) -> None:
        self._bench = bench
        self._wait_s = wait_s
        self._clock = silence_of(bench)._clock = Turned()
        self._clock.now = float(int(bench.runtime.monotonic()) + 1)
        self._answer = bench.records.fetch_fenced
        self.asked_until: list[float] = []
        bench.records.fetch_fenced = self._wait

    async def _wait(self, query, params, *, deadline, **_):
        self.asked_until.append(deadline.at)
        await self._bench.runtime.sleep(min(deadline.remaining(), self._wait_s))
        self._clock.now += fail_safe.SILENT_S
        raise TimeoutError(query)

    def recover(self) -> None:
        self._bench.records.fetch_fenced = self._answer


@pytest.fixture
def lapsed(face, bench):
    """A bench whose L1 has `a`, `b` and `c`, at their end."""

    async def fill():
        await bench.put("a", "b", "c")
        for key in ("a", "b", "c"):
            await bench.get(key)
            bench.age(key)
        if bench.key_value is not None:
            bench.key_value.broken = ConnectionError("gone")

    face.run(fill)
    return bench


def silence_of(bench) -> Silence:
    return bench.engine.silence


@pytest.mark.parametrize("read", ["session", "any"])
@pytest.mark.parametrize("call", ["get", "get_many"])
def test_a_read_waits_for_a_part_of_its_time(face, lapsed, read, call):
    async def story():
        hung, deadline = Hung(lapsed), lapsed.deadline(CALL_S)
        if call == "get":
            found = [await lapsed.items.get("a", deadline=deadline, read=read)]
        else:
            found = await lapsed.items.get_many(["a", "b"], deadline=deadline, read=read)
        assert all(item.meta.stale for item in found)
        (until,) = hung.asked_until
        assert until < deadline.at
        assert lapsed.items.counters.stale_served == len(found)

    face.run(story)


@pytest.mark.parametrize("read", ["latest", "bounded:1ms"])
def test_a_read_that_may_not_be_stale_has_its_whole_time_and_fails(face, lapsed, read):
    async def story():
        lapsed.engine.freshness.end()
        lapsed.engine.freshness.echo(lapsed.runtime.monotonic() - 1)
        hung, deadline = Hung(lapsed), lapsed.deadline(CALL_S)
        with pytest.raises(TimeoutError):
            await lapsed.items.get("a", deadline=deadline, read=read)
        assert hung.asked_until == [deadline.at]
        many = lapsed.deadline(CALL_S)
        with pytest.raises(TimeoutError):
            await lapsed.items.get_many(["a", "b"], deadline=many, read=read)
        assert hung.asked_until == [deadline.at, many.at]

    face.run(story)


@pytest.mark.parametrize("why", ["unknown", "too old", "an absence"])
def test_what_l1_cannot_stand_in_for_has_its_whole_time_and_fails(face, lapsed, why):
    async def story():
        key = {"unknown": "x", "too old": "b", "an absence": "none"}[why]
        lapsed.age("b", 3601)
        if why == "an absence":
            assert await lapsed.get(key) is None
            lapsed.age(key)
        hung = Hung(lapsed)
        one = lapsed.deadline(CALL_S)
        with pytest.raises(TimeoutError):
            await lapsed.items.get(key, deadline=one)
        many = lapsed.deadline(CALL_S)
        with pytest.raises(TimeoutError):
            await lapsed.items.get_many(["a", key], deadline=many)
        assert hung.asked_until == [one.at, many.at]
        assert (await lapsed.items.get("a", deadline=lapsed.deadline(CALL_S))).meta.stale

    face.run(story)


@pytest.mark.parametrize("call", ["get", "get_many"])
def test_what_changes_meanwhile_is_not_served_as_it_was(face, lapsed, call):
    async def story():
        hung = Hung(lapsed, wait_s=LONG_S)
        answer = hung._wait

        async def changed(*arguments, **named):
            if len(hung.asked_until) == 0:
                lapsed.items.changed("a", 99)
                lapsed.world.rows["a"] = (True, 99)
            else:
                hung.recover()
                return await hung._answer(*arguments, **named)
            return await answer(*arguments, **named)

        lapsed.records.fetch_fenced = changed
        deadline = lapsed.deadline(CALL_S)
        if call == "get":
            item = await lapsed.items.get("a", deadline=deadline)
        else:
            item, _ = await lapsed.items.get_many(["a", "b"], deadline=deadline)
        assert item.row_version == 99
        assert not item.meta.stale

    face.run(story)


def test_nobody_waits_once_the_database_has_been_silent_for_long(face, lapsed):
    async def story():
        hung = Hung(lapsed)
        assert (await lapsed.items.get("a", deadline=lapsed.deadline(CALL_S))).meta.stale
        assert silence_of(lapsed).lasts()
        for _ in range(5):
            assert (await lapsed.items.get("a", deadline=lapsed.deadline(LONG_S))).meta.stale
            assert all(i.meta.stale for i in await lapsed.items.get_many(["b", "c"], deadline=lapsed.deadline(LONG_S)))
        assert len(hung.asked_until) == 1
        assert lapsed.engine._ripe == {"item": {"a"}}, "a job asks on, for one key"
        await lapsed.engine._refresh()
        assert len(hung.asked_until) == 2
        assert silence_of(lapsed).lasts()
        silence_of(lapsed)._asked_at -= fail_safe.ASK_AGAIN_S
        assert (await lapsed.items.get("a", deadline=lapsed.deadline(LONG_S))).meta.stale
        hung.recover()
        await lapsed.engine._refresh()
        assert not silence_of(lapsed).lasts()
        assert not (await lapsed.items.get("a", deadline=lapsed.deadline())).meta.stale
        assert not (await lapsed.items.get("b", deadline=lapsed.deadline())).meta.stale

    face.run(story)


@pytest.fixture
def clock() -> Turned:
    return Turned()


def ends(face, silence, clock, seconds, error=None):
    """A load that takes so long, and what it came to."""

    async def load():
        clock.now += seconds
        if error is not None:
            raise error

    async def broken():
        try:
            await silence.broken_by(load())
        except BaseException as caught:
            return caught

    return face.run(broken)


@pytest.mark.parametrize(
    "error", [TimeoutError("late"), ConnectionError("gone"), KeyboardInterrupt(), asyncio.CancelledError()]
)
def test_waiting_without_an_answer_adds_up(face, clock, error):
    silence = Silence(clock)
    for _ in range(3):
        assert not silence.lasts()
        assert ends(face, silence, clock, 0.7, error) is error
        clock.now += LONG_S  # in which nobody asked: that says nothing
    assert silence.lasts()


@pytest.mark.parametrize("error", [None, QueryError("no such table"), ValueError("a loader's own")])
def test_any_answer_ends_it(face, clock, error):
    silence = Silence(clock)
    ends(face, silence, clock, 5.0, TimeoutError("late"))
    assert silence.lasts()
    assert ends(face, silence, clock, 5.0, error) is error
    assert not silence.lasts()


def test_a_load_under_way_counts_from_the_last_answer_on(face, clock):
    silence, seen = Silence(clock), []

    async def long():
        clock.now += 1.9
        seen.append(silence.lasts())
        await silence.broken_by(short())
        clock.now += 1.9
        seen.append(silence.lasts())
        clock.now += 0.2
        seen.append(silence.lasts())

    async def short():
        return None

    face.run(lambda: silence.broken_by(long()))
    assert seen == [False, False, True]
    assert not silence.lasts()


def test_it_is_tried_once_in_a_while(clock):
    silence = Silence(clock)
    assert [silence.is_to_be_tried() for _ in range(3)] == [True, False, False]
    clock.now += fail_safe.ASK_AGAIN_S
    assert silence.is_to_be_tried()
