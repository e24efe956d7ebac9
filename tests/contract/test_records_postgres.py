"""PostgreSQL alone: replicas, conflicts, the pool, secrets, users, forks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time

import psycopg
import pytest

from tests.contract.engines import PostgresEngine
from tests.contract.test_records import add, subjects
from tests.said import said
from tierstore import errors
from tierstore._native import uptime
from tierstore.backends import Records
from tierstore.backends.postgres.pool import Pool
from tierstore.backends.postgres.records import PostgresRecords
from tierstore.runtime import Deadline, drive
from tierstore.sql import Query


def soon(engine: PostgresEngine, seconds: float = 10.0) -> Deadline:
    return engine.runtime.deadline(seconds)


def address(url: str) -> str:
    """host:port"""
    return url.split("@")[1].split("/")[0]


async def until_replayed(records: Records, subject: str, deadline: Deadline) -> None:
    while not await records.fetch("suite.find", {"subject": subject}, deadline=deadline):
        deadline.check("waiting for the replica")


def child_status(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# Replicas


@pytest.mark.requirement("S0-08", "S0-46", "S1-73", "S1-74")
def test_reads_go_to_the_replica_and_writes_to_the_primary(pg: PostgresEngine, postgres) -> None:
    records = pg.migrated(replicas=(postgres.replica_of(pg.url),))

    async def run() -> None:
        await add(records, "a", soon(pg))
        await until_replayed(records, "a", soon(pg))
        assert await records.fetch("suite.recovering", deadline=soon(pg)) == [(True,)]
        assert await records.fetch("suite.recovering", deadline=soon(pg), primary=True) == [(False,)]
        fence = await records.fetch_fenced("suite.fenced", {"subjects": ["a"]}, deadline=soon(pg))
        assert fence.rows == [("a", 1)]

    pg.face.run(run)


@pytest.mark.requirement("S1-67")
def test_health_names_a_replica_that_does_not_answer(pg: PostgresEngine, postgres) -> None:
    records = pg.migrated(replicas=(postgres.replica_of(pg.url), "postgresql://nobody@127.0.0.1:9/none"))

    async def run() -> None:
        assert (await records.ping(soon(pg))).endswith("; replica 1 does not answer")

    pg.face.run(run)


def test_a_read_after_a_position_sees_it_whatever_the_replica_lacks(pg: PostgresEngine, postgres) -> None:
    """I3: the position is asked in an earlier statement; a replica that is behind is passed over."""
    records = pg.migrated(replicas=(postgres.replica_of(pg.url),))

    async def run() -> None:
        with psycopg.connect(postgres.replica_of(pg.url), autocommit=True) as admin:
            admin.execute("SELECT pg_wal_replay_pause()")
            try:
                await add(records, "a", soon(pg))
                position = await records.position(soon(pg))
                assert not await records.fetch("suite.find", {"subject": "a"}, deadline=soon(pg))
                assert await records.fetch("suite.find", {"subject": "a"}, deadline=soon(pg), after=position)
                assert await records.fetch("suite.recovering", deadline=soon(pg), after=position) == [(False,)]
            finally:
                admin.execute("SELECT pg_wal_replay_resume()")
        postgres.replica_of(pg.url)  # waits until it has replayed all
        assert await records.fetch("suite.recovering", deadline=soon(pg), after=position) == [(True,)]

    pg.face.run(run)


def test_without_its_replica_the_primary_answers(pg: PostgresEngine, postgres) -> None:
    records = pg.migrated(replicas=(postgres.replica_of(pg.url),))

    async def run() -> None:
        await add(records, "a", soon(pg))
        await until_replayed(records, "a", soon(pg))
        postgres.replica.kill()
        for _ in range(20):
            assert await records.fetch("suite.find", {"subject": "a"}, deadline=soon(pg, 2)) == [("a", 1)]

    pg.face.run(run)


@pytest.mark.requirement("S1-74")
def test_an_address_of_several_hosts_finds_the_one_that_takes_writes(pg: PostgresEngine, postgres) -> None:
    primary, replica = address(pg.url), address(postgres.replica_of(pg.url))
    records = pg.migrated(url=pg.url.replace(primary, f"{replica},{primary}"))

    async def run() -> None:
        await add(records, "a", soon(pg))
        assert await records.fetch("suite.recovering", deadline=soon(pg)) == [(False,)]

    pg.face.run(run)


# Conflicts


def test_a_deadlock_is_a_conflict_worth_another_try(pg: PostgresEngine) -> None:
    records = pg.migrated()
    met = threading.Barrier(2)
    outcomes: list[str] = []

    async def both(first: str, second: str, meet) -> None:
        try:
            async with records.unit(deadline=soon(pg)) as unit:
                await unit.execute("suite.touch_subject", {"subject": first})
                await meet()
                await unit.execute("suite.touch_subject", {"subject": second})
            outcomes.append("committed")
        except errors.ConflictError as error:
            outcomes.append("deadlock" if error.transient else "conflict")

    async def threads_meet() -> None:
        met.wait(5)

    async def tasks() -> None:
        together = asyncio.Barrier(2)
        await asyncio.gather(both("a", "b", together.wait), both("b", "a", together.wait))

    pg.face.run(add, records, "a", soon(pg))
    pg.face.run(add, records, "b", soon(pg))
    if pg.face.name == "async":
        pg.face.run(tasks)
    else:
        pairs = (("a", "b"), ("b", "a"))
        threads = [threading.Thread(target=lambda p=pair: drive(both(*p, threads_meet))) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes) == ["committed", "deadlock"]


def test_a_serialization_failure_is_one_too(pg: PostgresEngine) -> None:
    records = pg.migrated()

    async def run() -> None:
        await add(records, "a", soon(pg))
        with pytest.raises(errors.ConflictError) as conflict:
            async with records.unit(deadline=soon(pg)) as first, records.unit(deadline=soon(pg)) as second:
                for unit, name in ((first, "x"), (second, "y")):
                    await unit.execute("suite.isolate")
                    await unit.fetch("suite.count")
                    await unit.execute("suite.add_subject", {"subject": name, "version": 1})
        assert conflict.value.transient

    pg.face.run(run)


def test_a_unit_whose_failed_statement_was_swallowed_does_not_pretend_to_commit(pg: PostgresEngine) -> None:
    records = pg.migrated()

    async def run() -> None:
        with pytest.raises(errors.QueryError, match="rolled back"):
            async with records.unit(deadline=soon(pg)) as unit:
                with contextlib.suppress(errors.QueryError):
                    await unit.fetch("suite.wrong")

    pg.face.run(run)


def test_a_row_never_gets_an_older_version(pg: PostgresEngine) -> None:
    records = pg.migrated()

    async def run() -> None:
        await add(records, "a", soon(pg))
        with pytest.raises(errors.QueryError, match="row_version must rise"):
            await records.script("UPDATE subjects SET row_version = 0", transaction=True, deadline=soon(pg))

    pg.face.run(run)


# The pool


@pytest.mark.requirement("S1-14", "S1-44", "S0-47")
def test_the_pool_has_the_figures_of_the_document(face, database: str) -> None:
    runtime = face.runtime()

    async def run() -> None:
        records = PostgresRecords(runtime, database)
        await records.open(runtime.deadline(10))
        await records.ping(runtime.deadline(5))
        raw = records._primary.raw
        assert (raw.max_size, raw.min_size, raw.max_idle, raw.max_lifetime) == (50, 10, 600, 1800)
        until = time.monotonic() + 5
        while records.pool().idle < 10 and time.monotonic() < until:
            await runtime.sleep(0.02)
        assert records.pool().idle >= 10
        assert records.pool().limit == 50
        await records.close(runtime.deadline(5))

    face.run(run)


@pytest.mark.requirement("S1-44")
def test_connections_are_recycled_after_their_lifetime(pg: PostgresEngine) -> None:
    records = pg.migrated(max_lifetime=0.2, max_connections=1)

    async def run() -> None:
        seen = set()
        until = time.monotonic() + 4
        while len(seen) < 3 and time.monotonic() < until:
            seen.add((await records.fetch("suite.backend", deadline=soon(pg)))[0][0])
        assert len(seen) == 3

    pg.face.run(run)


@pytest.mark.requirement("S1-44")
@pytest.mark.parametrize("suspended", [False, True])
def test_a_connection_that_was_idle_long_is_checked(
    pg: PostgresEngine, monkeypatch: pytest.MonkeyPatch, suspended: bool
) -> None:
    """Also if the machine was suspended meanwhile, when the monotonic clock stands still."""
    if not suspended:
        monkeypatch.setattr("tierstore.backends.postgres.pool.CHECK_AFTER_IDLE_S", 0.0)
    records = pg.migrated(max_connections=2)
    alive = Pool._alive
    found: list[bool] = []

    async def checked(pool: Pool, connection: object, deadline: Deadline) -> bool:
        found.append(await alive(pool, connection, deadline))
        return found[-1]

    monkeypatch.setattr(Pool, "_alive", checked)

    async def run() -> None:
        await add(records, "a", soon(pg))
        with psycopg.connect(pg.url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        if suspended:
            monkeypatch.setattr("tierstore.backends.postgres.pool.uptime", lambda: uptime() + 3600)
        await add(records, "b", soon(pg))

    pg.face.run(run)
    assert False in found, "no connection was asked, or none was found dead"
    with psycopg.connect(pg.url) as admin:
        assert admin.execute("SELECT subject FROM subjects ORDER BY subject").fetchall() == [("a",), ("b",)]


@pytest.mark.requirement("S1-16")
def test_statements_are_prepared_once_a_connection(pg: PostgresEngine) -> None:
    records = pg.migrated(max_connections=1)
    queries = records._queries  # type: ignore[attr-defined]
    queries["suite.prepared"] = Query(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT subject FROM%%'"
    )

    async def run() -> None:
        for _ in range(5):
            await subjects(records, soon(pg))
        assert await records.fetch("suite.prepared", deadline=soon(pg)) == [(1,)]

    pg.face.run(run)


def test_a_schema_of_its_own_is_apart(pg: PostgresEngine) -> None:
    with psycopg.connect(pg.url, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA other")
    first, other = pg.migrated(), pg.migrated(schema="other")

    async def run() -> None:
        await add(first, "a", soon(pg))
        await add(other, "b", soon(pg))
        assert await subjects(first, soon(pg)) == ["a"]
        assert await subjects(other, soon(pg)) == ["b"]
        assert await first.identity(soon(pg)) != await other.identity(soon(pg))

    pg.face.run(run)


# Secrets, users, processes


def test_no_error_and_no_log_line_shows_the_password(
    pg: PostgresEngine, postgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = pg.url.replace("only-for-tests", "s3cr3t-w0rd")
    with pytest.raises(errors.ConfigError) as refused:
        pg.records(url=wrong)
    with pytest.raises(errors.ConfigError) as malformed:
        pg.records(url=wrong.replace("/", ":x/ d b?nonsense", 3))
    for error in (refused.value, malformed.value):
        assert "s3cr3t-w0rd" not in said(error)
    assert "s3cr3t-w0rd" not in caplog.text


def test_an_ordinary_user_is_enough(pg: PostgresEngine) -> None:
    """One that owns its database: pg_trgm is a trusted extension, and the identity needs no rights."""
    name = f"plain{os.getpid()}{pg.face.name}"
    database = pg.url.rsplit("/", 1)[1]
    with psycopg.connect(pg.url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'".encode())
        admin.execute(f"ALTER DATABASE {database} OWNER TO {name}".encode())
        admin.execute(f"ALTER SCHEMA public OWNER TO {name}".encode())
    try:
        records = pg.migrated(url=f"postgresql://{name}:plain@{address(pg.url)}/{database}")
        assert pg.face.run(records.identity, soon(pg))
        pg.face.run(add, records, "a", soon(pg))
    finally:
        pg.close_records()
        with psycopg.connect(pg.url, autocommit=True) as admin:
            admin.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER".encode())
            admin.execute(f"DROP OWNED BY {name}".encode())
            admin.execute(f"DROP ROLE {name}".encode())


@pytest.mark.parametrize("face", ["blocking"], indirect=True)
def test_a_forked_child_connects_anew_and_the_parent_goes_on(pg: PostgresEngine) -> None:
    """I15: the child says no goodbye on the parent's sockets, even when it shuts down in an orderly way."""
    records = pg.migrated(min_connections=3)
    pg.face.run(add, records, "parent", soon(pg))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            pg.face.run(add, records, "child", soon(pg))
            pg.face.run(records.close, soon(pg))
            code = 0
        finally:
            os._exit(code)
    assert child_status(child) == 0
    for _ in range(10):
        assert pg.face.run(subjects, records, soon(pg)) == ["child", "parent"]


@pytest.mark.parametrize("face", ["blocking"], indirect=True)
def test_a_unit_that_was_open_at_the_fork_raises_in_the_child(pg: PostgresEngine) -> None:
    records = pg.migrated()

    async def run() -> int:
        async with records.unit(deadline=soon(pg)) as unit:
            await unit.execute("suite.add_subject", {"subject": "parent", "version": 1})
            child = os.fork()
            if child == 0:
                try:
                    await unit.fetch("suite.subjects")
                except errors.ClosedError:
                    os._exit(0)
                os._exit(1)
            return child_status(child)

    assert pg.face.run(run) == 0
    assert pg.face.run(subjects, records, soon(pg)) == ["parent"]
