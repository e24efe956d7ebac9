"""The index in memory that searches look into holds what the database holds, whoever committed it and in whatever order."""

from __future__ import annotations

import asyncio
import dataclasses
from types import SimpleNamespace
from uuid import UUID

import psycopg
import pytest

from tests.contract.schema_stores import FACES, Opened, opened, server_config
from tierstore import CacheConfig, Config, PostgresConfig
from tierstore.backends.postgres.records import PostgresRecords
from tierstore.plan.search import FIRST
from tierstore.runtime import AsyncioRuntime
from tierstore.stores.schemas.search import candidates, text_index
from tierstore.tiers.migrate import Migrator

CONTENT = b'{"type": "object"}'


@pytest.fixture
def small_pages(monkeypatch):
    """A page of rows is soon full, so that reading takes several."""
    monkeypatch.setattr(text_index, "PAGE_ROWS", 4)


async def found(store, text):
    return {hit.schema.subject.rsplit(".", 1)[-1] for hit in (await store.search(text)).items}


async def indexed(store, text):
    """What the index holds, read in to its end: found or not, it is asked of what the searches before have read."""
    while not (index := store._parts.texts._copy.index) or not index.can_search(text):
        raise AssertionError("there is no index")
    return len(index.propose(text, 2, FIRST, 1000))


async def read_in(store):
    """Search until nothing is left to read."""
    for _ in range(100):
        before = store._parts.texts._copy.position
        await store.search("anything")
        position = store._parts.texts._copy.position
        if position == before and not position.until:
            return
    raise AssertionError("the index was never whole")


def test_a_search_finds_what_was_just_registered(schemas):
    async def scenario(store):
        mark = schemas.prefix
        for number in range(5):
            await store.register(schemas.subject(f"brandnew{number}"), "1.0.0", CONTENT)
            await read_in(store)
            names = {f"brandnew{each}" for each in range(number + 1)}
            assert await found(store, f"{mark} brandnew") == names
            assert await found(store, f"{mark} brandnw") == names
        assert await indexed(store, f"{mark} brandnew") == 5

    schemas.run(scenario)


def test_what_a_transaction_writes_is_found_when_it_committed(schemas):
    async def scenario(store):
        mark = schemas.prefix
        await read_in(store)
        async with store.transaction() as tx:
            await tx.register(schemas.subject("kept"), "1.0.0", CONTENT)
            with pytest.raises(KeyError):
                async with tx.savepoint():
                    await tx.register(schemas.subject("undone"), "1.0.0", CONTENT)
                    assert await found(tx, f"{mark} undone") == {"undone"}
                    raise KeyError
            assert await found(tx, mark) == {"kept"}
            assert await found(store, mark) == set()
        assert await found(store, mark) == {"kept"}
        with pytest.raises(KeyError):
            async with store.transaction() as tx:
                await tx.register(schemas.subject("dropped"), "1.0.0", CONTENT)
                raise KeyError
        assert await found(store, mark) == {"kept"}
        again = await store.register(schemas.subject("dropped"), "1.0.0", CONTENT)
        assert await found(store, mark) == {"kept", "dropped"}
        await store.delete(again.id)
        assert await found(store, mark) == {"kept"}
        await store.restore(again.id)
        assert await found(store, mark) == {"kept", "dropped"}
        await store.purge(again.id)
        assert await found(store, mark) == {"kept"}

    schemas.run(scenario)


@pytest.fixture(params=FACES)
def served(request) -> Opened:
    with opened("postgres", request.param, server_config(request)) as store:
        store.prefix = "own"
        yield store


def insert(connection, subject, number):
    """As any process registers it."""
    connection.execute("INSERT INTO subjects VALUES (%s, %s)", (subject, number))
    connection.execute(
        "INSERT INTO schemas (id, subject, version_major, version_minor, version_patch, prerelease, prerelease_key, schema_type,"
        " content, metadata, search_text, body, content_digest, content_size, placement, row_version)"
        " VALUES (gen_random_uuid(), %s, 1, 0, 0, '', '\\xff', 'json', '{}', '{}', 'customer_name', '{}', 'd', 2, 'inline', %s)",
        (subject, number),
    )


def test_a_commit_behind_what_was_read_already_is_found(served, small_pages):
    """Numbers of transactions are given in the order of their beginnings: those here commit last, during and after the reading."""

    async def scenario(store, early, late):
        insert(early, "own.early", 1)
        for number in range(11):
            await store.register(f"own.other{number}", "1.0.0", CONTENT)
        assert len(await found(store, "own")) == 11
        await read_in(store)
        insert(late, "own.late", 2)
        for number in range(9):
            await store.register(f"own.third{number}", "1.0.0", CONTENT)
        assert await found(store, "early") == set()
        early.commit()
        assert await found(store, "early") == {"early"}
        late.commit()
        for _ in range(6):
            assert await found(store, "late") == {"late"}
        assert await found(store, "earlyy") == {"early"}
        await read_in(store)
        assert await indexed(store, "own") == 22

    url = served.config.postgres.url
    with psycopg.connect(url) as early, psycopg.connect(url) as late:
        served.run(scenario, early, late)


def test_two_processes_find_each_others_words(served, request):
    with opened("postgres", "async", served.config) as other:

        async def register(store, name):
            await store.register(f"own.{name}", "1.0.0", CONTENT)

        async def search(store, text):
            return await found(store, text)

        for number in range(4):
            served.run(register, f"zweifel{number}")
            other.run(register, f"zweifal{number}")
            for each in (served, other):
                names = {f"zweif{letter}l{past}" for letter in "ea" for past in range(number + 1)}
                assert each.run(search, "zweifl") == names


@pytest.mark.parametrize("face", ["async"], indirect=True)
def test_searches_at_once_wait_for_the_reading(request, small_pages, monkeypatch, face):
    async def by_the_database(*_):
        raise AssertionError("the index was not waited for")

    for way in (candidates.Stored, candidates.Walked):
        monkeypatch.setattr(way, "read", by_the_database)
    with opened("postgres", "async", server_config(request)) as served:

        async def scenario(store):
            items = [{"subject": f"own.part{number}", "version": "1.0.0", "content": CONTENT} for number in range(50)]
            await store.register_many(items)
            for _ in range(8):
                answers = await asyncio.gather(*(found(store, "part") for _ in range(6)))
                assert all(len(answer) == 50 for answer in answers)
            await read_in(store)
            assert await indexed(store, "part") == 50

        served.run(scenario)


def test_searches_that_waited_for_a_reading_go_on_together(small_pages):
    """And where the reader is cancelled, one of them reads on: all at once would fetch each page as many times."""

    async def scenario():
        last, pages, looking, most_looking = 50, 0, 0, 0

        async def fetch(_, params):
            nonlocal pages, looking, most_looking
            rest = last - params["at"]
            looking += rest <= 0
            most_looking = max(most_looking, looking)
            await asyncio.sleep(0.01)
            looking -= rest <= 0
            pages += rest >= text_index.PAGE_ROWS
            return [row(params["at"] + 1 + number) for number in range(min(rest, text_index.PAGE_ROWS))]

        def row(number):
            return (str(UUID(int=number)), "own.part", 1, 0, number, b"\xff", "", "customer_name", number, "900:900:")

        runtime = AsyncioRuntime()
        engine = SimpleNamespace(namespace="one", limits=SimpleNamespace(search_bytes=1 << 20))
        texts = text_index.TextIndex(engine, runtime)
        searches = [asyncio.create_task(texts.ready("custom", fetch, runtime.deadline(20))) for _ in range(6)]
        await asyncio.sleep(0.05)
        searches[0].cancel()
        done = await asyncio.gather(*searches, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError)
        assert all(isinstance(proposer, text_index.Proposer) for proposer in done[1:])
        looks = 6 + 5  # of each at first, and of each again when the reader is gone
        assert last // text_index.PAGE_ROWS <= pages <= last // text_index.PAGE_ROWS + looks
        assert most_looking > 1

    asyncio.run(scenario())


def test_a_position_never_passes_a_row_that_may_still_commit(small_pages):
    def added(identifier, at, seen=""):
        return identifier, "own.part", 1, 0, 0, b"\xff", "", "", at, seen

    start = text_index.Position()
    page = [added(f"id{number}", 7, "10:20:12") for number in range(4)]
    first = start.behind("10:20:12", page)
    assert first == text_index.Position(None, 7, "id3", "10:20:12")
    last = first.behind("15:25:", page[:2])
    assert (last.seen, last.at, last.until) == ("10:20:12", 10, "")
    lite = start.behind("", [added("id", 4)])
    assert (lite.seen, lite.at) == (None, 4)


def test_another_database_is_read_anew(served, monkeypatch):
    async def scenario(store):
        await store.register("own.first", "1.0.0", CONTENT)
        await read_in(store)
        assert await indexed(store, "first") == 1
        before = store._parts.texts._copy
        monkeypatch.setattr(store._parts.engine.invalidation, "namespace", "another")
        assert await found(store, "first") == {"first"}
        assert store._parts.texts._copy is not before

    served.run(scenario)


def test_too_much_text_is_left_to_the_database(served, caplog):
    async def scenario(store):
        store._parts.engine.limits = dataclasses.replace(store._parts.engine.limits, search_bytes=1)
        for number in range(3):
            await store.register(f"own.first{number}", "1.0.0", CONTENT)
            assert len(await found(store, "firstt")) == number + 1
        assert store._parts.texts.bytes == 0

    served.run(scenario)
    assert [record for record in caplog.records if "search_bytes" in record.message]


def test_rows_from_before_the_migration_are_found(postgres):
    url = postgres.create_database()

    async def run(count):
        runtime = AsyncioRuntime()
        records = PostgresRecords(runtime, url, max_connections=2, min_connections=1)
        await records.open(runtime.deadline(20))
        await Migrator(records, budget=lambda: runtime.deadline(60)).up(count)
        await records.close(runtime.deadline(5))

    asyncio.run(run(2))
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(6):
            insert(connection, f"old.{number}", number + 1)
    config = Config(
        postgres=PostgresConfig(url, min_connections=1, max_connections=4), cache=CacheConfig(warm_on_start=False)
    )
    with opened("postgres", "async", config) as store:

        async def scenario(schemas):
            for _ in range(3):
                assert len(await found(schemas, "custome")) == 6
            assert await indexed(schemas, "custome") == 6

        store.run(scenario)


def test_a_replica_answers_what_it_has(postgres):
    """The rows that a reading is missing are asked of whatever server answers it; none passes over what the other one read."""
    url = postgres.create_database()
    servers = PostgresConfig(url, replicas=(postgres.replica_of(url),), min_connections=1, max_connections=4)
    with opened("postgres", "async", Config(postgres=servers, cache=CacheConfig(warm_on_start=False))) as store:

        async def scenario(schemas):
            for number in range(8):
                await schemas.register(f"own.both{number}", "1.0.0", CONTENT)
                assert len(await found(schemas, "bothh")) == number + 1
                any_server = await schemas.search("bothh", read="any")
                assert len(any_server.items) <= number + 1
            while len((await schemas.search("bothh", read="any")).items) < 8:
                await asyncio.sleep(0.01)
            assert await indexed(schemas, "bothh") == 8

        store.run(scenario)
