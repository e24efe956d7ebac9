"""Behind PgBouncer in transaction mode: it is noticed, nothing leaks to others, and links that are too few end in an error."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

import tierstore
from tests.contract.engines import PooledEngine, PostgresEngine
from tests.contract.test_records import add, subjects
from tests.contract.test_records_postgres import soon
from tests.servers.pgbouncer import PgBouncer
from tierstore import Config, Deadlines, PostgresConfig, errors
from tierstore.backends.postgres import pooling
from tierstore.backends.postgres.pooling import Pooling
from tierstore.sql import Query

LARGE = b'{"text": "' + b"x" * 2_000_000 + b'"}'
OPENERS = 8
LOCKS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture
def pooled(face, database, pgbouncer) -> Iterator[PooledEngine]:
    made = PooledEngine(face, database, pgbouncer)
    yield made
    made.close()


@pytest.fixture(scope="module")
def narrow(postgres) -> Iterator[PgBouncer]:
    """Four connections to the server for all clients of a database."""
    server = PgBouncer(postgres.url, links=4)
    server.start()
    yield server
    server.close()


def config(url: str, **options) -> Config:
    options = {"max_connections": 8, "min_connections": 1, **options}
    return Config(postgres=PostgresConfig(url, **options), deadlines=Deadlines(open=30))


def asked(url: str, query: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as admin:
        return admin.execute(query.encode()).fetchall()


# It is noticed


def test_a_pooler_is_noticed_at_open_and_named_in_health(pooled, database) -> None:
    records = pooled.migrated()
    direct = PostgresEngine(pooled.face, database).records()

    async def run() -> None:
        assert records.pool().pooled
        assert "pooler" in await records.ping(soon(pooled))
        await direct.ping(soon(pooled))
        assert not direct.pool().pooled
        await direct.close(soon(pooled))

    pooled.face.run(run)


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooler that tells the process id of the server, as if there was none."""
    monkeypatch.setattr(Pooling, "question", lambda *_: {"backend": pooling.ANY_BACKEND, "timeout": "3000"})


def through_others(engine) -> list[psycopg.Connection]:
    """Hold links of the pooler, so that the next statement meets another one than those before."""
    url = engine.through(engine.url)
    held = [psycopg.connect(url, prepare_threshold=None) for _ in range(4)]
    for connection in held:
        connection.execute("SELECT 1")
    return held


@pytest.mark.parametrize("by", ["a read", "a transaction"])
def test_a_hidden_pooler_is_noticed_by_a_statement_that_the_server_does_not_know(pooled, hidden, by: str) -> None:
    pooled.migrated(pooled=True)
    records = pooled.records(max_connections=2)

    async def use() -> None:
        if by == "a read":
            await records.fetch("suite.find", {"subject": "a"}, deadline=soon(pooled))
            return
        async with records.unit(deadline=soon(pooled)) as unit:
            await unit.fetch("suite.find", {"subject": "a"})

    async def run() -> None:
        assert not records.pool().pooled
        for _ in range(8):
            await use()
            others = through_others(pooled)
            await use()
            for connection in others:
                connection.close()
        assert records.pool().pooled, "no statement met a server that did not know it"

    pooled.face.run(run)


def test_only_auto_goes_over_and_a_transaction_with_work_in_it_is_not_repeated(pooled) -> None:
    unknown = psycopg.errors.InvalidSqlStatementName("gone")
    assert [Pooling(says).discovers(unknown) for says in ("auto", True, False)] == [True, False, False]
    pooled.migrated()
    records = PostgresEngine(pooled.face, pooled.url).records(pooled=False)
    records._queries["suite.unknown"] = Query("EXECUTE a_statement_of_another_server")

    async def run() -> None:
        with pytest.raises(errors.ConflictError, match="pooled=True") as refused:
            async with records.unit(deadline=soon(pooled)) as unit:
                await unit.execute("suite.add_subject", {"subject": "a", "version": 1})
                await unit.fetch("suite.unknown")
        assert refused.value.transient
        assert await subjects(records, soon(pooled)) == []
        await records.close(soon(pooled))

    pooled.face.run(run)


# Nothing leaks


def test_a_read_has_its_limit_and_leaves_none_behind(pooled) -> None:
    records = pooled.migrated(statement_timeout=0.3, max_connections=1)
    records._queries["suite.limit"] = Query("SELECT current_setting('statement_timeout'), current_setting('jit')")
    records._queries["suite.nap"] = Query("SELECT pg_sleep(2)::text")
    through = pooled.through(pooled.url)

    async def run() -> None:
        own = soon(pooled, 4)
        own.own = True
        assert await records.fetch("suite.limit", deadline=soon(pooled)) == [("300ms", "off")]
        assert await records.fetch("suite.limit", deadline=own) == [("4800ms", "off")]
        async with records.unit(deadline=own) as unit:
            assert await unit.fetch("suite.limit") == [("4800ms", "off")]
        with pytest.raises(errors.TimeoutError):
            await records.fetch("suite.nap", deadline=soon(pooled))
        with pytest.raises(errors.TimeoutError):
            await records.fetch("suite.nap", deadline=soon(pooled, 0.1))
        assert await records.fetch("suite.limit", deadline=soon(pooled)) == [("300ms", "off")]

    pooled.face.run(run)
    for _ in range(20):
        left = asked(through, "SELECT current_setting('statement_timeout'), current_setting('search_path')")
        assert left == [("0", '"$user", public')]
        assert asked(through, "SELECT count(*) FROM pg_prepared_statements") == [(0,)]


def test_eight_openers_at_once_on_an_empty_database(database, narrow) -> None:
    url = narrow.through(database)

    def use(number: int) -> str:
        with tierstore.blocking.open(config(url)) as store:
            store.schemas.register(f"s{number}", "1.0.0", b"{}")
            return store.schemas.get_version(f"s{number}", "1.0.0").subject

    with ThreadPoolExecutor(OPENERS) as threads:
        assert list(threads.map(use, range(OPENERS))) == [f"s{number}" for number in range(OPENERS)]
    assert asked(database, LOCKS) == [(0,)], "a lock outlived its holder"


def test_two_stores_in_two_schemas_over_four_links_never_meet(database, narrow) -> None:
    url = narrow.through(database)

    def use(schema: str) -> None:
        with tierstore.blocking.open(config(url, schema=schema)) as store:

            def work(number: int) -> None:
                store.schemas.register(f"{schema}.{number}", "1.0.0", b"{}")
                found = list(store.schemas.subjects().items)
                assert found, "its own registration is missing"
                assert all(subject.startswith(schema) for subject in found), found

            with ThreadPoolExecutor(4) as threads:
                list(threads.map(work, range(24)))
            assert len(store.schemas.subjects().items) == 24

    with ThreadPoolExecutor(2) as both:
        list(both.map(use, ("red", "blue")))
    for schema in ("red", "blue"):
        assert asked(database, f"SELECT count(*) FROM {schema}.schemas WHERE subject NOT LIKE '{schema}%'") == [(0,)]
    assert asked(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_links_that_are_too_few_for_large_content_are_an_error_that_names_the_setting(
    database, narrow, s3_server
) -> None:
    """Each open transaction has one of the four links, and the pending row of large content asks for a fifth."""
    pool = config(narrow.through(database), max_connections=4, acquire_timeout=0.5)
    with tierstore.blocking.open(replace(pool, objects=s3_server.config(s3_server.create_bucket()))) as store:
        all_open = threading.Barrier(4)
        failed: list[Exception] = []

        def hold(number: int) -> None:
            try:
                with store.transaction(timeout=20) as write:
                    write.schemas.register(f"small.{number}", "1.0.0", b"{}")
                    all_open.wait(20)
                    started = time.monotonic()
                    with pytest.raises(errors.PoolTimeoutError) as refused:
                        write.schemas.register(f"large.{number}", "1.0.0", LARGE)
                    assert time.monotonic() - started < 8, "it waited for the transaction's own deadline"
                    assert "pool size" in str(refused.value)
                    assert "max_connections" in str(refused.value)
                    all_open.wait(20)
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=hold, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        store.schemas.register("after", "1.0.0", b"{}")


def test_a_read_for_which_no_link_is_free_is_a_pool_timeout_and_a_slow_one_is_not(face, database, narrow) -> None:
    engine = PooledEngine(face, database, narrow)
    records = engine.migrated(url=engine.url)

    async def find(seconds: float) -> None:
        await records.fetch("suite.find", {"subject": "a"}, deadline=soon(engine, seconds))

    async def run() -> None:
        await find(10)
        with contextlib.ExitStack() as held:
            for _ in range(4):
                link = held.enter_context(psycopg.connect(narrow.through(database), prepare_threshold=None))
                link.execute("SELECT 1")
            with pytest.raises(errors.PoolTimeoutError, match="pool size"):
                await find(0.3)
        with pytest.raises(errors.TimeoutError) as slow:
            await records.fetch("suite.slow", deadline=soon(engine, 0.5))
        assert not isinstance(slow.value, errors.PoolTimeoutError)
        await find(10)

    try:
        face.run(run)
    finally:
        engine.close()


# Migrations


def test_who_waits_for_migrations_says_for_whom_and_since_when(pooled, caplog: pytest.LogCaptureFixture) -> None:
    first, second = pooled.migrated(), pooled.records()
    caplog.set_level(logging.WARNING, "tierstore")

    async def run() -> None:
        async with first.exclusive(deadline=soon(pooled)) as still_held:
            await still_held()
            with pytest.raises(
                errors.TimeoutError, match=r"server process \d+, tierstore at 127\.0\.0\.1, since 20\d\d-"
            ):
                async with second.exclusive(deadline=soon(pooled, 0.3)):
                    pytest.fail("both hold it")

    pooled.face.run(run)
    waits = [line for line in caplog.messages if "finish its migrations" in line]
    assert len(waits) == 1
    assert "since 20" in waits[0]
    assert asked(pooled.url, LOCKS) == [(0,)]


def test_a_lock_that_was_lost_is_noticed_before_the_next_step(pooled) -> None:
    records = pooled.migrated()

    async def run() -> None:
        with pytest.raises(errors.ConnectionError):
            async with records.exclusive(deadline=soon(pooled)) as still_held:
                asked(pooled.url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
                await still_held()

    pooled.face.run(run)


def test_migrations_go_to_their_own_address(pooled, database) -> None:
    records = pooled.records(migrate_url=database.replace("?", "") + "?application_name=migrating")
    records._queries["suite.who"] = Query("SELECT 1")

    async def run() -> None:
        async with records.exclusive(deadline=soon(pooled)):
            seen = asked(
                database, "SELECT application_name FROM pg_stat_activity WHERE pid IN (SELECT pid FROM pg_locks)"
            )
            assert ("migrating",) in seen
        await pooled.migrator(records).up()
        await add(records, "a", soon(pooled))
        assert records.pool().pooled

    pooled.face.run(run)


# What it costs


@pytest.mark.parametrize("by", ["direct", "pooler"])
def test_a_read_is_one_round_trip_and_a_write_three(pooled, by: str) -> None:
    """Counted by libpq's own trace: every message that asks the server for an answer."""
    records = pooled.migrated(**({"url": pooled.url} if by == "pooler" else {}), max_connections=1)
    if by == "direct":
        records = PostgresEngine.make(pooled, pooled.runtime, max_connections=1)
        pooled._made.append(records)

    async def trips(use) -> int:
        connection = await records._primary.take(soon(pooled))
        with tempfile.TemporaryFile() as trace:
            connection.pgconn.trace(trace.fileno())
            records._primary.leave(connection)
            await use()
            connection.pgconn.untrace()
            trace.seek(0)
            lines = trace.read().decode().splitlines()
        assert lines, "another connection was used"
        return sum(line.split("\t")[1:2] == ["F"] and line.split("\t")[3] in ("Sync", "Query") for line in lines)

    async def read() -> None:
        await records.fetch("suite.find", {"subject": "a"}, deadline=soon(pooled))

    async def write() -> None:
        async with records.unit(deadline=soon(pooled)) as unit:
            await unit.execute("suite.touch_subject", {"subject": "a"})

    async def run() -> None:
        await read()
        await write()
        assert records.pool().pooled == (by == "pooler")
        assert await trips(read) == 1
        assert await trips(write) == 3

    pooled.face.run(run)
