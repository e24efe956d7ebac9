"""Writes and transactions: what is invalidated when, and what is remembered when telling fails (rules 2 and 12)."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tests.model.bus import Bus, FakeChannel
from tierstore.errors import ClosedError, ConflictError, ConnectionError, OutcomeUnknownError, TimeoutError
from tierstore.runtime import drive
from tierstore.tiers.relay import Relay


def test_a_read_after_a_write_sees_it(face, bench):
    async def story():
        for version in range(1, 5):
            await bench.put("a")
            assert await bench.get("a") == version
            assert await bench.get("a") == version
        await bench.put("a", present=False)
        assert await bench.get("a") is None

    face.run(story)


@pytest.mark.requirement("S1-02", "S1-75")
def test_nothing_is_invalidated_before_the_commit(face, bench):
    async def story():
        await bench.put("a")
        await bench.get("a")
        async with bench.engine.write(deadline=bench.deadline()) as write:
            write.changed(bench.items, "a", await write.unit.put("a"))
            assert bench.items.hit("a").row_version == 1
        assert bench.items.hit("a") is None
        if bench.key_value is not None:
            assert not bench.key_value.fences.values
        assert await bench.get("a") == 2

    face.run(story)


def test_a_write_that_raises_changes_nothing(face, bench):
    async def story():
        await bench.put("a")
        await bench.get("a")
        with pytest.raises(ZeroDivisionError):
            async with bench.engine.write(deadline=bench.deadline()) as write:
                write.changed(bench.items, "a", await write.unit.put("a"))
                raise ZeroDivisionError
        assert bench.items.hit("a").row_version == 1
        assert len(bench.world.outbox) == 1
        assert not bench.engine.unconfirmed

    face.run(story)


def test_savepoints_take_their_changes_back(face, bench):
    async def story():
        await bench.put("a", "b")
        await bench.items.get_many(["a", "b"], deadline=bench.deadline())
        async with bench.engine.transaction(deadline=bench.deadline()) as tx:
            tx.changed(bench.items, "a", await tx.unit.put("a"))
            with pytest.raises(ZeroDivisionError):
                async with tx.savepoint():
                    tx.changed(bench.items, "b", await tx.unit.put("b"))
                    raise ZeroDivisionError
        assert bench.items.hit("a") is None
        assert bench.items.hit("b").row_version == 2
        assert [len(row.keys) for row in bench.world.outbox] == [2, 1]

    face.run(story)


@pytest.mark.requirement("S1-09")
def test_a_transaction_is_ended_once(face, bench):
    async def story():
        async with bench.engine.transaction(deadline=bench.deadline()) as tx:
            tx.changed(bench.items, "a", await tx.unit.put("a"))
            await tx.commit()
            assert await bench.get("a") == 1
            with pytest.raises(ClosedError):
                await tx.commit()
        async with bench.engine.transaction(deadline=bench.deadline()) as tx:
            tx.changed(bench.items, "a", await tx.unit.put("a", present=False))
            await tx.rollback()
            with pytest.raises(ClosedError):
                _ = tx.unit
        assert await bench.get("a", read="latest") == 1

    face.run(story)


def test_reads_in_a_transaction_see_it_and_fill_nothing(face, bench):
    async def story():
        async with bench.engine.transaction(deadline=bench.deadline()) as tx:
            tx.changed(bench.items, "a", await tx.unit.put("a"))
            (item,) = await bench.items.get_in(tx, ["a"], deadline=tx.deadline)
            assert item.row_version == 1
            assert bench.items.hit("a") is None
            assert await bench.get("a") is None, "outside it nobody sees it"
        assert await bench.get("a") == 1

    face.run(story)


def test_a_write_outside_its_own_open_transaction_is_refused(face, bench):
    async def story():
        async with bench.engine.transaction(deadline=bench.deadline()) as tx:
            with pytest.raises(ConflictError, match="open transaction"):
                await bench.put("a")
            tx.changed(bench.items, "a", await tx.unit.put("a"))
        await bench.put("b")

    face.run(story)


def test_another_task_may_write_meanwhile():
    async def story():
        from tests.tiers.conftest import Bench
        from tierstore.runtime import AsyncioRuntime

        bench = Bench(AsyncioRuntime(), l2=False)
        async with bench.engine.transaction(deadline=bench.deadline()):
            await asyncio.create_task(bench.put("a"))
        assert await bench.get("a") == 1

    asyncio.run(story())


class FailsAfterCommit:
    """The commit happens, its answer is lost."""

    def __init__(self, records) -> None:
        self._records = records

    def __getattr__(self, name):
        return getattr(self._records, name)

    def unit(self, **more):
        return _Lost(self._records.unit(**more))


class _Lost:
    def __init__(self, unit) -> None:
        self._unit = unit

    async def __aenter__(self):
        return await self._unit.__aenter__()

    async def __aexit__(self, *error):
        await self._unit.__aexit__(*error)
        raise OutcomeUnknownError("the answer was lost")


def test_a_commit_in_doubt_counts_as_a_change(face, bench):
    async def story():
        await bench.put("a")
        await bench.get("a")
        bench.engine.records = FailsAfterCommit(bench.records)
        with pytest.raises(OutcomeUnknownError):
            await bench.put("a")
        bench.engine.records = bench.records
        assert await bench.get("a") == 2

    face.run(story)


@pytest.mark.requirement("S1-22")
def test_an_l2_that_fails_delays_nobody_and_is_invalidated_later(face, shared):
    async def story():
        await shared.put("a")
        await shared.get("a")
        shared.key_value.broken = ConnectionError("gone")
        await shared.put("a")
        shared.key_value.broken = None
        assert len(shared.engine.unconfirmed) == 1
        assert await shared.get("a") == 2, "read past the old value in L2"
        (value,) = shared.key_value.fences.values.values()
        assert value.version == 2, "what was loaded took its place"
        relay: Relay = shared.engine._relay
        await relay.step()
        await shared.engine._delivery.mark()
        assert not shared.key_value.fences.values
        assert not shared.engine.unconfirmed
        assert [row.delivered for row in shared.world.outbox][-1]
        shared.engine.flush()
        assert await shared.get("a") == 2

    face.run(story)


def test_what_could_not_be_invalidated_is_believed_again_after_an_echo_of_a_later_ping(face, shared):
    """Another process may hold the relay: its echo of a ping sent since says that it has invalidated L2 for all before."""

    async def story():
        before = shared.runtime.monotonic()
        shared.key_value.broken = ConnectionError("gone")
        await shared.put("a")
        shared.key_value.broken = None
        shared.engine.unconfirmed.echo(before)
        assert len(shared.engine.unconfirmed) == 1
        shared.engine.unconfirmed.echo(shared.runtime.monotonic())
        assert not shared.engine.unconfirmed

    face.run(story)


def test_delivered_rows_are_marked_together(face, shared):
    async def story():
        await shared.put("a")
        await shared.put("b")
        assert not any(row.delivered for row in shared.world.outbox)
        await shared.engine._delivery.mark()
        assert all(row.delivered for row in shared.world.outbox)

    face.run(story)


def test_the_channel_reaches_another_process(face):
    async def story():
        from tests.tiers.conftest import Bench

        runtime, bus = face.runtime(), Bus()
        first = Bench(runtime, l2=True, channel=FakeChannel(bus, runtime))
        other = first.second(channel=FakeChannel(bus, runtime))
        for bench in (first, other):
            await bench.engine.carriers.step()
        await first.engine._relay.step()
        for bench in (first, other):
            await bench.engine.carriers.step()
        await first.put("a")
        assert await other.get("a") == 1
        assert other.items.hit("a").row_version == 1
        await first.put("a")
        assert other.items.hit("a").row_version == 1
        await other.engine.carriers.step()
        assert other.items.hit("a") is None
        assert await other.get("a") == 2
        loads = len(first.world.loads)
        assert await first.get("a") == 2
        assert len(first.world.loads) == loads, "L2 has it"

    face.run(story)


def test_own_news_does_not_drop_what_is_known(face, local):
    async def story():
        await local.put("a")
        await local.get("a")
        change = local.items.name("a", 1)
        local.engine.invalidation.on_invalidated((change,), ahead_of_l2=False)
        assert local.items.hit("a").row_version == 1
        local.engine.invalidation.on_invalidated((change._replace(version=2),), ahead_of_l2=False)
        assert local.items.hit("a") is None
        local.engine.invalidation.on_invalidated((change._replace(key="ts1:{x:1}:another kind:a"),), ahead_of_l2=False)

    face.run(story)


def test_tokens_and_sessions(face, local):
    async def story():
        assert local.engine.token() is None
        await local.put("a")
        token = local.engine.token()
        assert token is not None
        async with local.engine.session():
            assert local.engine.token() is None
            await local.put("a")
            assert local.engine.token() not in (None, token)
        assert local.engine.token() == token

    face.run(story)


async def in_turn(write, deadline, seen, name, pause):
    async with write.turn(deadline):
        seen.append(f"+{name}")
        await pause()
        seen.append(f"-{name}")


def alone(seen):
    """Whether nobody began before the one before it had ended."""
    return all(one[1:] == other[1:] for one, other in zip(seen[::2], seen[1::2], strict=True))


def test_writing_calls_of_one_transaction_take_turns(face, bench):
    """Whoever is cancelled while it waits, also with its turn in hand, or runs out of time, holds nobody up."""

    async def story():
        seen = []
        async with bench.engine.write(deadline=bench.deadline()) as write:
            calls = [
                asyncio.create_task(in_turn(write, bench.deadline(), seen, name, lambda: asyncio.sleep(0.01)))
                for name in range(6)
            ]
            late = asyncio.create_task(in_turn(write, bench.deadline(0.001), seen, "late", asyncio.sleep))
            await asyncio.sleep(0.005)
            calls[2].cancel()
            while "-0" not in seen:
                await asyncio.sleep(0)
            calls[1].cancel()  # it has been woken, and has not run yet
            ended = await asyncio.gather(*calls, return_exceptions=True)
            with pytest.raises(TimeoutError, match="another call of the same transaction"):
                await late
        assert [type(end) for end in ended[1:3]] == [asyncio.CancelledError] * 2
        assert ended[3:] == [None] * 3
        assert alone(seen), seen

    if bench.runtime.face == "async":
        face.run(story)


def test_threads_take_turns_too(face, bench):
    seen = []

    def call(write, name):
        async def pause():
            time.sleep(0.002)  # noqa: ASYNC251  (the blocking face blocks)

        drive(in_turn(write, bench.deadline(), seen, name, pause))

    async def story():
        async with bench.engine.write(deadline=bench.deadline()) as write:
            threads = [threading.Thread(target=call, args=(write, name)) for name in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert not any(thread.is_alive() for thread in threads)

    if bench.runtime.face == "blocking":
        face.run(story)
        assert len(seen) == 16
        assert alone(seen), seen
