"""PostgreSQL that is paused, killed, restarted, or cut off: deadlines hold, nothing acknowledged is lost, doubt is said to be doubt."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.clock import BUSY_S
from tests.contract.engines import PostgresEngine
from tests.contract.test_records import add, subjects
from tests.contract.test_records_postgres import address, soon
from tierstore import errors
from tierstore.backends import Records
from tierstore.runtime import drive

# Deadlines


@pytest.mark.requirement("S0-02", "S1-15")
def test_a_paused_server_does_not_move_the_deadline(pg: PostgresEngine, postgres) -> None:
    """I9, for reads, for open units, for commits, and for callers that need a new connection."""
    records = pg.migrated(max_connections=4)

    async def run() -> None:
        await add(records, "before", soon(pg))
        async with records.unit(deadline=soon(pg, 0.5)) as unit:
            started = time.monotonic()
            postgres.pause()
            with pytest.raises(errors.TimeoutError):
                await unit.execute("suite.add_subject", {"subject": "during", "version": 1})
            with pytest.raises(errors.TimeoutError):
                await unit.execute("suite.add_subject", {"subject": "during", "version": 1})
            assert time.monotonic() - started < 0.6 + BUSY_S
            raise KeyError

    with pytest.raises(KeyError):
        pg.face.run(run)

    async def read() -> None:
        for _ in range(6):
            started = time.monotonic()
            with pytest.raises(errors.TimeoutError):
                await records.fetch("suite.subjects", deadline=soon(pg, 0.3))
            assert time.monotonic() - started < 0.4 + BUSY_S

    pg.face.run(read)
    postgres.resume()

    async def after() -> None:
        assert await subjects(records, soon(pg, 8)) == ["before"]
        await add(records, "after", soon(pg))

    pg.face.run(after)


def test_a_commit_that_is_not_answered_in_time_is_in_doubt(pg: PostgresEngine, postgres) -> None:
    records = pg.migrated()

    async def run() -> None:
        started = time.monotonic()
        with pytest.raises(errors.OutcomeUnknownError) as doubt:
            async with records.unit(deadline=soon(pg, 0.5), idempotency_key="mine") as unit:
                await unit.execute("suite.add_subject", {"subject": "perhaps", "version": 1})
                postgres.pause()
        assert doubt.value.idempotency_key == "mine"
        assert time.monotonic() - started < 0.7 + BUSY_S
        postgres.resume()
        assert await subjects(records, soon(pg, 8)) in ([], ["perhaps"])

    pg.face.run(run)


def test_the_server_ends_a_statement_that_nobody_waits_for(pg: PostgresEngine) -> None:
    records = pg.migrated()

    async def run() -> None:
        with pytest.raises(errors.TimeoutError):
            await records.fetch("suite.slow", deadline=soon(pg, 0.2))
        until = time.monotonic() + 2
        while (found := await records.fetch("suite.running", deadline=soon(pg))) != [(0,)]:
            assert time.monotonic() < until
        assert found == [(0,)]

    pg.face.run(run)


@pytest.mark.requirement("S1-15")
def test_the_servers_own_statement_timeout(pg: PostgresEngine) -> None:
    records = pg.migrated(statement_timeout=0.3)

    async def run() -> None:
        started = time.monotonic()
        with pytest.raises(errors.TimeoutError):
            await records.fetch("suite.slow", deadline=soon(pg, 10))
        assert time.monotonic() - started < 1 + BUSY_S

    pg.face.run(run)


def test_a_storm_of_late_callers_leaves_a_working_pool(pg: PostgresEngine) -> None:
    """More than the reaper takes: the rest are closed and replaced."""
    records = pg.migrated(max_connections=30, acquire_timeout=5)

    async def late() -> None:
        with pytest.raises(errors.TimeoutError):
            await records.fetch("suite.slow", deadline=soon(pg, 1.0))

    async def storm() -> None:
        await asyncio.gather(*(late() for _ in range(30)))

    if pg.face.name == "async":
        pg.face.run(storm)
    else:
        threads = [threading.Thread(target=lambda: drive(late())) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async def after() -> None:
        until = time.monotonic() + 8
        while records.pool().in_use and time.monotonic() < until:
            await pg.runtime.sleep(0.02)
        assert records.pool().in_use == 0
        await add(records, "a", soon(pg))

    pg.face.run(after)


# Restarts and lost answers


@pytest.mark.requirement("S1-44")
def test_a_restarted_server_costs_no_read(pg: PostgresEngine, postgres) -> None:
    records = pg.migrated(min_connections=5)

    async def run() -> None:
        await add(records, "a", soon(pg))
        postgres.stop()
        postgres.start()
        for _ in range(20):
            assert await subjects(records, soon(pg)) == ["a"]
        await add(records, "b", soon(pg))

    pg.face.run(run)


def test_a_server_that_is_down_is_named_at_once(pg: PostgresEngine, postgres) -> None:
    records = pg.migrated(acquire_timeout=3)

    async def run() -> None:
        postgres.stop()
        with pytest.raises(errors.StorageError):
            await subjects(records, soon(pg, 2))
        started = time.monotonic()
        for _ in range(5):
            with pytest.raises(errors.ConnectionError, match="connect"):
                await subjects(records, soon(pg, 2))
        assert time.monotonic() - started < 4 + BUSY_S
        postgres.start()
        assert await when_it_is_back(pg, records) == []

    pg.face.run(run)


async def when_it_is_back(pg: PostgresEngine, records: Records) -> list[str]:
    """Until a new connection is made, callers are told at once why the last one could not be."""
    started = time.monotonic()
    while True:
        try:
            return await subjects(records, soon(pg, 2))
        except errors.ConnectionError:
            assert time.monotonic() - started < 3 + BUSY_S
            await pg.runtime.sleep(0.05)


def test_sessions_that_were_ended_are_replaced(pg: PostgresEngine) -> None:
    records = pg.migrated()

    async def run() -> None:
        with pytest.raises(errors.ConnectionError):
            async with records.unit(deadline=soon(pg)) as unit:
                await unit.execute("suite.add_subject", {"subject": "dropped", "version": 1})
                with psycopg.connect(pg.url, autocommit=True) as admin:
                    admin.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                await unit.execute("suite.add_subject", {"subject": "dropped too", "version": 1})
        await add(records, "next", soon(pg))
        assert await subjects(records, soon(pg)) == ["next"]

    pg.face.run(run)


@pytest.mark.requirement("S1-11")
def test_kill_9_of_the_server_loses_nothing_acknowledged(pg: PostgresEngine, postgres) -> None:
    records = pg.migrated(max_connections=4)
    acknowledged: list[str] = []

    async def write(worker: int) -> None:
        for number in range(10_000):
            name = f"w{worker}-{number:05}"
            try:
                await add(records, name, soon(pg, 2))
            except errors.StorageError:
                return
            acknowledged.append(name)

    async def storm() -> None:
        await asyncio.gather(*(write(worker) for worker in range(3)))

    threading.Timer(0.7, postgres.kill).start()
    if pg.face.name == "async":
        pg.face.run(storm)
    else:
        threads = [threading.Thread(target=lambda n=n: drive(write(n))) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    while postgres.running:
        time.sleep(0.01)
    postgres.start()
    assert acknowledged
    assert set(acknowledged) <= set(pg.face.run(when_it_is_back, pg, records))


class LossyProxy:
    """Passes everything on, until `armed`: then what the client sends still arrives, and no answer comes back."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.armed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers and self.armed:
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def proxy(pg: PostgresEngine) -> Iterator[LossyProxy]:
    host, port = address(pg.url).split(":")
    made = LossyProxy((host, int(port)))
    yield made
    made.close()


def test_an_acknowledgement_lost_after_commit_is_unknown_and_was_applied_once(
    pg: PostgresEngine, proxy: LossyProxy
) -> None:
    direct = pg.migrated()
    records = pg.records(url=pg.url.replace(address(pg.url), f"127.0.0.1:{proxy.port}"), min_connections=0)

    async def run() -> None:
        with pytest.raises(errors.OutcomeUnknownError) as doubt:
            async with records.unit(deadline=soon(pg), idempotency_key="mine") as unit:
                await unit.execute("suite.add_subject", {"subject": "once", "version": 1})
                await unit.execute("protocol.claim_key", {"key": "mine", "request": "r"})
                proxy.armed = True
        assert doubt.value.idempotency_key == "mine"
        proxy.armed = False
        assert await subjects(records, soon(pg)) == ["once"]
        assert await direct.fetch("protocol.recall", {"key": "mine"}, deadline=soon(pg)) == [("r", "[]")]

    pg.face.run(run)


def test_a_caller_that_outlives_the_close_leaves_no_task_and_no_connection(pg: PostgresEngine) -> None:
    """The loop ends soon after: whatever is begun for such a caller then, nobody would finish."""
    if pg.face.name == "blocking":
        records = pg.migrated()
        unit = records.unit(deadline=soon(pg, 30))
        drive(unit.__aenter__())
        drive(records.close(soon(pg, 0.2)))
        before = threading.active_count()
        with contextlib.suppress(errors.StorageError):
            drive(unit.__aexit__(KeyError, KeyError(), None))
        assert threading.active_count() == before
    else:
        records = pg.migrated()

        async def run() -> None:
            inside = asyncio.Event()

            async def hold() -> None:
                async with records.unit(deadline=soon(pg, 30)):
                    inside.set()
                    await asyncio.Event().wait()

            holder = asyncio.create_task(hold())
            await inside.wait()
            known = asyncio.all_tasks() - {holder}
            await records.close(soon(pg, 0.2))
            holder.cancel()
            await asyncio.wait([holder])
            assert asyncio.all_tasks() <= known

        pg.face.run(run)
    with psycopg.connect(pg.url, autocommit=True) as admin:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        for _ in range(100):
            if admin.execute(others).fetchone() == (0,):
                return
            time.sleep(0.05)
    raise AssertionError("a connection is still there")
