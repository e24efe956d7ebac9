"""An event loop ends without a close, whatever psycopg_pool and our own tasks do just then."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from psycopg_pool.pool_async import ShrinkPool

from tests.clock import BUSY_S
from tests.contract.engines import PostgresEngine, queries_of
from tests.servers.postgres import Postgres
from tierstore.backends import Records
from tierstore.backends.postgres.records import PostgresRecords
from tierstore.runtime import AsyncioRuntime, Deadline

HANGS_S = 60.0
"""Nothing takes so long but what never ends."""
STEPS = 6
"""How many steps of the loop later it ends: those before and after the one that matters do no harm."""


def left_s(main: Callable[[], Awaitable[Any]]) -> float:
    """How long the loop of `main` takes to end after it."""
    times: list[float] = []

    async def timed() -> None:
        await main()
        times.append(time.monotonic())

    def run() -> None:
        asyncio.run(timed())
        times.append(time.monotonic())

    running = threading.Thread(target=run, daemon=True)
    running.start()
    running.join(HANGS_S)
    assert not running.is_alive(), "a task swallowed its cancellation, and is waited for"
    return times[1] - times[0]


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def opened(url: str, **options: Any) -> PostgresRecords:
    runtime = AsyncioRuntime()
    records = PostgresRecords(runtime, url, queries=queries_of("postgres"), **options)
    await records.ping(runtime.deadline(30))
    return records


@pytest.fixture(autouse=True)
def _nothing_is_said(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert not [record.getMessage() for record in caplog.records if record.name.startswith("psycopg")]


@pytest.mark.requirement("S0-04")
@pytest.mark.parametrize("count", range(STEPS))
def test_while_the_pools_scheduler_wakes_up(database: str, count: int) -> None:
    async def main() -> None:
        pool = (await opened(database))._looks.raw
        pool._sched._event.set()
        await steps(count)

    assert left_s(main) < BUSY_S


def test_while_a_worker_of_the_pool_waits_for_a_lock(database: str) -> None:
    async def main() -> None:
        pool = (await opened(database))._looks.raw
        await pool._lock.acquire()
        pool.run_task(ShrinkPool(pool))
        await steps(STEPS)

    assert left_s(main) < BUSY_S


@pytest.mark.parametrize("count", range(0, 60, 4))
def test_while_connections_are_made(database: str, count: int) -> None:
    async def main() -> None:
        await (await opened(database))._primary.start()
        await asyncio.sleep(count / 1000)

    assert left_s(main) < BUSY_S


def test_while_a_silent_server_is_asked_about_a_new_connection(database: str, postgres: Postgres) -> None:
    """psycopg would ask it to end the question, and wait 5 s for each of the two."""

    async def main() -> None:
        records = await opened(database)
        pool, question = records._primary, records._primary._question
        asked = asyncio.Event()

        def ask(connection: Any) -> Any:
            if not asked.is_set():
                postgres.pause()
                asked.set()
            return question(connection)

        pool._question = ask  # type: ignore[method-assign]
        await pool.start()
        await asked.wait()
        await steps(STEPS)

    assert left_s(main) < BUSY_S


def test_while_a_silent_server_is_to_roll_back(database: str, postgres: Postgres) -> None:
    async def main() -> None:
        records = await opened(database, min_connections=1)
        await leave_in_transaction(records, AsyncioRuntime().deadline(30), postgres)
        await steps(STEPS)

    assert left_s(main) < BUSY_S


async def leave_in_transaction(records: Records, deadline: Deadline, postgres: Postgres) -> Any:
    """The connection of a caller who was cancelled between two statements."""
    with suppress(asyncio.CancelledError):
        async with records.unit(deadline=deadline) as unit:
            await unit.fetch("suite.backend")
            postgres.pause()
            raise asyncio.CancelledError
    return unit._connection  # type: ignore[attr-defined]


def test_a_silent_server_has_the_reapers_time_to_roll_back(
    pg: PostgresEngine, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierstore.backends.postgres.wire.REAP_S", 0.2)
    records = pg.records(min_connections=1)

    async def main() -> None:
        deadline = pg.runtime.deadline(30)
        left = await leave_in_transaction(records, deadline, postgres)
        until = time.monotonic() + BUSY_S
        while not left.closed:
            assert time.monotonic() < until, "it waits on, after its time"
            await pg.runtime.sleep(0.05)

    pg.face.run(main)
    postgres.resume()


@pytest.mark.parametrize("count", range(STEPS))
def test_while_a_job_is_woken(count: int) -> None:
    async def main() -> None:
        supervisor = AsyncioRuntime().supervisor()
        supervisor.start("sleepy", sleepy)
        await steps(STEPS)
        supervisor.wake("sleepy")
        await steps(count)

    async def sleepy() -> float:
        return 2 * HANGS_S

    assert left_s(main) < BUSY_S


@pytest.mark.parametrize("count", range(STEPS))
def test_a_close_ends_a_job_that_is_woken(count: int) -> None:
    async def main() -> None:
        runtime = AsyncioRuntime()
        supervisor = runtime.supervisor()
        supervisor.start("sleepy", sleepy)
        await steps(STEPS)
        supervisor.wake("sleepy")
        await steps(count)
        await supervisor.close(runtime.deadline(BUSY_S))
        assert len(asyncio.all_tasks()) == 1

    async def sleepy() -> float:
        return 2 * HANGS_S

    asyncio.run(main())


@pytest.mark.parametrize("count", range(2 * STEPS))
def test_a_caller_who_is_cancelled_as_a_connection_comes_is_cancelled(database: str, count: int) -> None:
    async def main() -> None:
        records = await opened(database, max_connections=1, min_connections=1)
        deadline = AsyncioRuntime().deadline(30)
        async with records.unit(deadline=deadline) as unit:
            await unit.fetch("suite.backend")
            waiter = asyncio.create_task(records.fetch("suite.backend", deadline=deadline))
            await steps(STEPS)
        await steps(count)
        while waiter.cancel():
            with suppress(asyncio.CancelledError):
                await waiter
            assert waiter.cancelled()
        await records.fetch("suite.backend", deadline=deadline)
        await records.close(deadline)

    asyncio.run(main())


def test_a_job_that_swallows_its_cancellation_ends_after_its_step() -> None:
    async def main() -> None:
        runtime, began = AsyncioRuntime(), asyncio.Event()

        async def swallows() -> float:
            began.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(2 * HANGS_S)
            return 2 * HANGS_S

        supervisor = runtime.supervisor()
        supervisor.start("swallows", swallows)
        await began.wait()
        await supervisor.close(runtime.deadline(BUSY_S))
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
