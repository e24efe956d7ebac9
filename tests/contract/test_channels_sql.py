"""The carriers over the outbox: what one process writes reaches another; an echo proves it; what was missed is a gap."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from tests.clock import BUSY_S
from tests.contract.engines import Engine, PostgresEngine
from tierstore.backends import Change, Channel, Echo, Event, Gap, Invalidated, Records, Undelivered
from tierstore.backends.postgres.channel import OutboxChannel
from tierstore.backends.sqlite.channel import SqliteChannel
from tierstore.runtime import Deadline, drive


def soon(engine: Engine, seconds: float = 10.0) -> Deadline:
    return engine.runtime.deadline(seconds)


async def channel_of(engine: Engine, records: Records) -> Channel:
    kind: Any = OutboxChannel if engine.name == "postgres" else SqliteChannel
    made: Channel = kind(engine.runtime, records)
    await made.open(soon(engine))
    return made


async def write(engine: Engine, records: Records, *changes: Change) -> None:
    params = {"keys": [key for key, _ in changes], "versions": [version for _, version in changes]}
    async with records.unit(deadline=soon(engine)) as unit:
        await unit.fetch("outbox.append", params)


async def mark_all(engine: Engine, records: Records, *, keep_s: float) -> None:
    """Deliver and trim, as the relay and the housekeeping do."""
    _, rows = await undelivered(engine, records)
    await records.execute("outbox.mark_delivered", {"ids": [row[0] for row in rows]}, deadline=soon(engine))
    await records.execute("outbox.trim", {"keep_s": keep_s}, deadline=soon(engine))


async def undelivered(engine: Engine, records: Records, *, after: int = -1, limit: int = 100) -> Undelivered:
    return await records.undelivered(after=after, limit=limit, deadline=soon(engine))


async def events(channel: Channel) -> list[Event]:
    """Those of the next poll."""
    while not (found := await channel.receive(wait_s=1)):
        pass
    return found


def changes_in(found: list[Event]) -> list[Change]:
    return [change for event in found if isinstance(event, Invalidated) for change in event.changes]


def test_another_process_hears_of_a_write_within_a_poll(engine: Engine) -> None:
    writer, reader = engine.migrated(), engine.records()

    async def run() -> None:
        channel = await channel_of(engine, reader)
        assert [type(event) for event in await events(channel)] == [Echo]
        await write(engine, writer, Change("k1", 5), Change("k2", 6))
        started = time.monotonic()
        found = await events(channel)
        assert time.monotonic() - started < 0.5 + BUSY_S
        assert changes_in(found) == [Change("k1", 5), Change("k2", 6)]
        assert [type(event) for event in await events(channel)] == [Echo]
        await write(engine, writer, Change("k1", 7))
        assert changes_in(await events(channel)) == [Change("k1", 7)]

    engine.face.run(run)


def test_an_echo_is_dated_before_its_poll(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        channel = await channel_of(engine, records)
        before = engine.runtime.monotonic()
        first, second = (await events(channel))[-1], (await events(channel))[-1]
        assert isinstance(first, Echo)
        assert isinstance(second, Echo)
        assert before <= first.sent_at < second.sent_at <= engine.runtime.monotonic()
        assert second.sent_at - first.sent_at == pytest.approx(0.2, abs=0.1)

    engine.face.run(run)


def test_waiting_less_than_a_poll_brings_nothing(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        channel = await channel_of(engine, records)
        await events(channel)
        started = time.monotonic()
        assert await channel.receive(wait_s=0.05) == []
        assert 0.04 < time.monotonic() - started < 0.15 + BUSY_S

    engine.face.run(run)


def test_rows_that_were_trimmed_unread_are_a_gap(engine: Engine) -> None:
    writer, reader = engine.migrated(), engine.records()

    async def run() -> None:
        channel = await channel_of(engine, reader)
        await events(channel)
        await write(engine, writer, Change("lost", 1))
        await mark_all(engine, writer, keep_s=-1)
        await write(engine, writer, Change("kept", 2))
        found = await events(channel)
        assert isinstance(found[0], Gap)
        assert changes_in(found) == [Change("kept", 2)]
        assert [type(event) for event in await events(channel)] == [Echo]

    engine.face.run(run)


def test_rows_that_were_trimmed_after_they_were_read_are_none(engine: Engine) -> None:
    writer, reader = engine.migrated(), engine.records()

    async def run() -> None:
        channel = await channel_of(engine, reader)
        await write(engine, writer, Change("k", 1))
        assert changes_in(await events(channel)) == [Change("k", 1)]
        await mark_all(engine, writer, keep_s=-1)
        for _ in range(2):
            assert [type(event) for event in await events(channel)] == [Echo]

    engine.face.run(run)


def test_trimming_keeps_what_is_young_or_undelivered(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        channel = await channel_of(engine, records)
        await write(engine, records, Change("young", 1))
        await mark_all(engine, records, keep_s=20)
        await write(engine, records, Change("undelivered", 2))
        keep_s = -1 if engine.name == "sqlite" else 20
        await records.execute("outbox.trim", {"keep_s": keep_s}, deadline=soon(engine))
        assert len((await undelivered(engine, records)).rows) == 1
        if engine.name == "postgres":
            assert changes_in(await events(channel)) == [Change("young", 1), Change("undelivered", 2)]

    engine.face.run(run)


def test_own_commits_cost_an_sqlite_process_nothing(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        channel = await channel_of(engine, records)
        await write(engine, records, Change("own", 1))
        own = changes_in(await events(channel))
        assert own == ([] if engine.name == "sqlite" else [Change("own", 1)])

    engine.face.run(run)


def test_a_transaction_that_commits_late_is_not_missed(pg: PostgresEngine) -> None:
    """The ids of its rows are lower than those of rows that were read long before."""
    writer, reader = pg.migrated(), pg.records()

    async def run() -> None:
        channel = await channel_of(pg, reader)
        async with writer.unit(deadline=soon(pg)) as late:
            await late.fetch("outbox.append", {"keys": ["late"], "versions": [1]})
            for number in range(3):
                await write(pg, writer, Change(f"soon{number}", number))
                assert changes_in(await events(channel)) == [Change(f"soon{number}", number)]
        assert changes_in(await events(channel)) == [Change("late", 1)]
        assert changes_in(await events(channel)) == []

    pg.face.run(run)


def test_the_relay_skips_no_row_and_waits_for_none(pg: PostgresEngine) -> None:
    """An echo promises that all that was committed is delivered, whatever still runs; what commits late has the lower id."""
    records = pg.migrated()

    async def run() -> None:
        async with records.unit(deadline=soon(pg)) as late:
            await late.fetch("outbox.append", {"keys": ["late"], "versions": [1]})
            await write(pg, records, Change("soon", 2))
            _, rows = await undelivered(pg, records)
            assert [row[1] for row in rows] == [["soon"]]
            await records.execute("outbox.mark_delivered", {"ids": [rows[0][0]]}, deadline=soon(pg))
            assert (await undelivered(pg, records)).rows == []
        _, rows = await undelivered(pg, records)
        assert [row[1] for row in rows] == [["late"]]

    pg.face.run(run)


def test_a_turn_of_the_relay_reads_a_page_and_which_database_it_is(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        identity = await records.identity(soon(engine))
        assert await undelivered(engine, records) == (identity, [])
        for number in range(3):
            await write(engine, records, Change(f"k{number}", number))
        _, first = await undelivered(engine, records, limit=2)
        found, rest = await undelivered(engine, records, after=first[-1][0], limit=2)
        assert (len(first), len(rest), found) == (2, 1, identity)
        await records.execute("outbox.mark_all", {"limit": 2}, deadline=soon(engine))
        assert [row[0] for row in (await undelivered(engine, records)).rows] == [row[0] for row in rest]

    engine.face.run(run)


def test_a_promoted_replica_is_another_database(pg: PostgresEngine, postgres) -> None:
    """Its timeline is new, and it may lack what the old primary had sent."""
    writer = pg.migrated()
    replica_url = postgres.replica_of(pg.url)
    host = pg.url.split("@")[1].split("/")[0]
    other = replica_url.split("@")[1].split("/")[0]
    reader = pg.records(url=pg.url.replace(host, f"{host},{other}"))

    async def first() -> Channel:
        channel = await channel_of(pg, reader)
        await write(pg, writer, Change("k", 1))
        assert changes_in(await events(channel)) == [Change("k", 1)]
        return channel

    async def until_gap(channel: Channel) -> list[Event]:
        until = time.monotonic() + 15
        while time.monotonic() < until:
            try:
                found = await events(channel)
            except OSError:
                continue
            if any(isinstance(event, Gap) for event in found):
                return found
        return []

    channel = pg.face.run(first)
    identity = pg.face.run(reader.identity, soon(pg))
    postgres.kill()
    postgres.replica.promote()
    assert pg.face.run(until_gap, channel)
    assert pg.face.run(reader.identity, soon(pg)) != identity


def test_polls_go_on_while_a_write_is_open(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        channel = await channel_of(engine, records)
        async with records.unit(deadline=soon(engine)) as unit:
            await unit.fetch("outbox.append", {"keys": ["k"], "versions": [1]})
            assert [type(event) for event in await events(channel)] == [Echo]

    engine.face.run(run)


def test_no_write_of_many_is_missed(engine: Engine) -> None:
    writer, reader = engine.migrated(), engine.records()
    wanted = {f"k{number}" for number in range(60)}
    heard: set[str] = set()

    async def write_some(first: int) -> None:
        for number in range(first, first + 20):
            await write(engine, writer, Change(f"k{number}", number))

    async def listen(channel: Channel) -> None:
        until = time.monotonic() + 10
        while heard != wanted and time.monotonic() < until:
            heard.update(key for key, _ in changes_in(await events(channel)))

    async def run_together() -> None:
        channel = await channel_of(engine, reader)
        await asyncio.gather(listen(channel), *(write_some(first) for first in (0, 20, 40)))

    if engine.face.name == "async":
        engine.face.run(run_together)
    else:
        channel = engine.face.run(channel_of, engine, reader)
        threads = [threading.Thread(target=lambda n=n: drive(write_some(n))) for n in (0, 20, 40)]
        for thread in threads:
            thread.start()
        engine.face.run(listen, channel)
        for thread in threads:
            thread.join()
    assert heard == wanted
