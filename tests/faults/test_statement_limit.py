"""The server's own limit for a statement: as configured, and longer where a call has a longer deadline of its own."""

from contextlib import contextmanager
from threading import Timer

import psycopg
import pytest

import tierstore
from tests.contract.engines import PostgresEngine
from tierstore.backends.postgres.pool import Pool
from tierstore.runtime import Deadline
from tierstore.sql import Query
from tierstore.store import Store
from tierstore.telemetry import OFF

CONFIGURED_S = 0.3
NAP_S = 0.8


@pytest.fixture
def pg(face, database):
    made = PostgresEngine(face, database)
    yield made
    made.close()


@pytest.fixture
def records(pg):
    made = pg.migrated(statement_timeout=CONFIGURED_S, max_connections=1)
    made._queries["suite.limit"] = Query("SELECT current_setting('statement_timeout')")
    made._queries["suite.nap"] = Query(f"SELECT pg_sleep({NAP_S})::text")
    return made


def own(pg, seconds):
    deadline = pg.runtime.deadline(seconds)
    deadline.own = True
    return deadline


@pytest.mark.requirement("S1-15")
def test_a_call_with_its_own_deadline_is_not_ended_sooner(pg, records):
    async def run():
        for _ in range(2):
            assert await records.fetch("suite.nap", deadline=own(pg, 10)) == [("",)]
            async with records.unit(deadline=own(pg, 10)) as unit:
                assert await unit.fetch("suite.nap") == [("",)]
            with pytest.raises(tierstore.TimeoutError):
                await records.fetch("suite.nap", deadline=pg.runtime.deadline(10))
            with pytest.raises(tierstore.TimeoutError):
                async with records.unit(deadline=pg.runtime.deadline(10)) as unit:
                    await unit.fetch("suite.nap")

    pg.face.run(run)


def test_the_limit_is_the_calls_on_one_connection(pg, records):
    async def run():
        async def of_a_unit(deadline):
            async with records.unit(deadline=deadline) as unit:
                return (await unit.fetch("suite.limit"))[0][0]

        async def of_a_read(deadline):
            return (await records.fetch("suite.limit", deadline=deadline))[0][0]

        for limit in (of_a_read, of_a_unit, of_a_read):
            assert await limit(pg.runtime.deadline(5)) == "300ms"
            assert await limit(own(pg, 4)) == "4800ms"
            assert await limit(own(pg, 4).within(2)) == "2400ms"
            assert await limit(own(pg, 0.2)) == "300ms", "the caller leaves sooner than the server would"
            assert await limit(own(pg, 4).shared()) == "300ms"

    pg.face.run(run)


def test_only_a_change_of_the_limit_costs_a_round_trip(pg, records, monkeypatch):
    sent = []
    run_one = Pool.run

    async def counted(pool, connection, sql, params):
        sent.append(sql)
        return await run_one(pool, connection, sql, params)

    monkeypatch.setattr(Pool, "run", counted)

    async def trips(deadline: Deadline):
        sent.clear()
        await records.fetch("suite.limit", deadline=deadline)
        return len(sent)

    async def run():
        assert [await trips(pg.runtime.deadline(5)) for _ in range(3)] == [1, 1, 1]
        assert [await trips(own(pg, 4)) for _ in range(3)] == [2, 1, 1]
        assert [await trips(pg.runtime.deadline(5)) for _ in range(2)] == [2, 1]
        sent.clear()
        async with records.unit(deadline=own(pg, 4)) as unit:
            await unit.fetch("suite.limit")
        assert sent[0].startswith("BEGIN; SET LOCAL statement_timeout"), "it rides on the BEGIN"
        assert not any(sql.startswith("SET") for sql in sent)

    pg.face.run(run)


def test_a_change_that_was_not_answered_is_made_again(pg, records, postgres):
    async def run():
        assert await records.fetch("suite.limit", deadline=pg.runtime.deadline(5)) == [("300ms",)]
        postgres.pause()
        with pytest.raises(tierstore.TimeoutError):
            await records.fetch("suite.limit", deadline=own(pg, 0.5))
        postgres.resume()
        assert await records.fetch("suite.limit", deadline=pg.runtime.deadline(10)) == [("300ms",)]

    pg.face.run(run)


@contextmanager
def locked(database, seconds):
    """Nobody gets at the schemas for a while."""
    admin = psycopg.connect(database)
    admin.execute("LOCK TABLE schemas IN ACCESS EXCLUSIVE MODE")
    timer = Timer(seconds, admin.rollback)
    timer.start()
    try:
        yield
    finally:
        timer.join()
        admin.close()


def test_calls_of_the_store(face, database):
    """A bulk call, and one whose caller gives it time, wait as long as they may; others as long as is configured."""
    pool = tierstore.PostgresConfig(database, statement_timeout=CONFIGURED_S, min_connections=1)
    items = [{"subject": "bulk", "version": f"1.{number}.0", "content": b"{}"} for number in range(3)]

    async def story():
        async with await Store.opened(tierstore.Config(postgres=pool), face.runtime(), OFF) as store:
            with locked(database, NAP_S):
                assert len(await store.schemas.register_many(items)) == 3
            with locked(database, NAP_S):
                assert len((await store.schemas.list("bulk", timeout=20)).items) == 3
            with locked(database, NAP_S), pytest.raises(tierstore.TimeoutError):
                await store.schemas.list("bulk")

    face.run(story)
