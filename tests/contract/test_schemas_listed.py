"""What a list, a page or a search has answered, later reads by key in this process do not contradict (I1), however late the news are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tierstore import CacheConfig, Config, PostgresConfig
from tierstore.store import Store
from tierstore.telemetry import OFF

CONTENT = b'{"a": 1}'
READ_KEYS = {
    "get": lambda schemas, schema: schemas.get(schema.id),
    "get_many": lambda schemas, schema: schemas.get_many([schema.id]),
    "get_version": lambda schemas, schema: schemas.get_version("orders", "1.0.0"),
    "get_latest": lambda schemas, schema: schemas.get_latest("orders"),
    "get_latest_any": lambda schemas, schema: schemas.get_latest("orders", prerelease=True),
}


async def the_second_page(schemas):
    first = await schemas.list("orders", limit=1)
    return (await schemas.list("orders", limit=1, after=first.next)).items


async def listed(schemas, **how):
    return (await schemas.list("orders", **how)).items


async def searched(schemas, *words, **how):
    return [hit.schema for hit in (await schemas.search(*words, **how)).items]


ANSWERS = {
    "list": lambda schemas: listed(schemas),
    "list of a state": lambda schemas: listed(schemas, states=("deprecated",)),
    "list with what is deleted": lambda schemas: listed(schemas, deleted=True),
    "list of the latest": lambda schemas: listed(schemas, read="latest"),
    "page": the_second_page,
    "search by words": lambda schemas: searched(schemas, "orders"),
    "search by tags": lambda schemas: searched(schemas, tags=("kept",)),
    "search of a subject": lambda schemas: searched(schemas, "orders", subject="orders"),
    "the latest of other states": lambda schemas: other_latest(schemas),
}


async def other_latest(schemas):
    return [await schemas.get_latest("orders", states=("deprecated", "disabled"))]


async def state_by(schemas, key, schema):
    found = await READ_KEYS[key](schemas, schema)
    found = found[0] if isinstance(found, list) else found
    return None if found is None else found.state


async def cache(schemas, schema):
    """L1 is trusted from the first poll of the outbox on."""
    for _ in range(200):
        for key in READ_KEYS:
            await state_by(schemas, key, schema)


def seeded(other, *, pages):
    """The schema, and with `pages` another before it in every list."""

    async def register(schemas):
        if pages:
            await schemas.register("orders", "1.1.0", b"{}", state="draft", tags=("kept",))
        return await schemas.register("orders", "1.0.0", CONTENT, tags=("kept",))

    return other.run(register)


@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
@pytest.mark.parametrize("name", ANSWERS)
def test_reads_by_key_do_not_contradict_what_was_listed(two, name, inside):
    deaf, other = two
    schema = seeded(other, pages=name == "page")
    deaf.run(cache, schema)
    other.run(lambda schemas: schemas.set_state(schema.id, "deprecated"))

    async def story(schemas):
        if inside:
            async with schemas.transaction() as tx:
                shown = await ANSWERS[name](tx)
        else:
            shown = await ANSWERS[name](schemas)
        assert [one.state for one in shown if one.id == schema.id] == ["deprecated"]
        assert {key: await state_by(schemas, key, schema) for key in READ_KEYS} == dict.fromkeys(
            READ_KEYS, "deprecated"
        )

    deaf.run(story)


def test_a_deletion_that_was_listed_is_one_for_reads_by_key(two):
    deaf, other = two
    schema = seeded(other, pages=False)
    deaf.run(cache, schema)
    other.run(lambda schemas: schemas.delete(schema.id))

    async def story(schemas):
        assert [one.deleted_at is not None for one in await listed(schemas, deleted=True)] == [True]
        assert {key: await state_by(schemas, key, schema) for key in READ_KEYS} == dict.fromkeys(READ_KEYS)

    deaf.run(story)


BY_OTHER_KEYS = {
    "get_version": lambda schemas, **how: schemas.get_version("orders", "1.0.0", **how),
    "get_latest": lambda schemas, **how: schemas.get_latest("orders", **how),
    "get_latest of pre-releases": lambda schemas, **how: schemas.get_latest("orders", prerelease=True, **how),
}


@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
@pytest.mark.parametrize("name", BY_OTHER_KEYS)
def test_what_was_read_by_version_or_as_the_latest_is_not_older_by_its_id(two, name, inside):
    deaf, other = two
    schema = seeded(other, pages=False)

    async def cache_by_id(schemas):
        for _ in range(200):
            await schemas.get(schema.id)

    deaf.run(cache_by_id)
    other.run(lambda schemas: schemas.set_state(schema.id, "deprecated"))

    async def story(schemas):
        if inside:
            async with schemas.transaction() as tx:
                shown = await BY_OTHER_KEYS[name](tx)
        else:
            shown = await BY_OTHER_KEYS[name](schemas)
        assert shown.state == "deprecated"
        assert (await schemas.get(schema.id)).state == "deprecated"

    deaf.run(story)


def test_what_a_list_shows_for_the_second_time_stays_cached(two):
    deaf, other = two
    schema = seeded(other, pages=False)

    async def story(schemas):
        await cache(schemas, schema)
        await listed(schemas)
        assert {(await READ_KEYS[key](schemas, schema)).meta.tier for key in READ_KEYS if key != "get_many"} == {"l1"}

    deaf.run(story)


def test_rows_that_are_not_committed_are_not_counted_as_shown(two):
    deaf, _ = two

    async def story(schemas):
        schema = await schemas.register("orders", "1.0.0", CONTENT)
        await cache(schemas, schema)
        async with schemas.transaction() as tx:
            await tx.set_state(schema.id, "deprecated")
            assert [one.state for one in await listed(tx)] == ["deprecated"]
            await tx.rollback()
        assert {key: await state_by(schemas, key, schema) for key in READ_KEYS} == dict.fromkeys(READ_KEYS, "active")

    deaf.run(story)


ROWS = ("list", "list with what is deleted", "page", "search by words", "search by tags", "search of a subject")


@contextmanager
def replay_paused(url: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as replica:
        replica.execute("SELECT pg_wal_replay_pause()")
        yield
        replica.execute("SELECT pg_wal_replay_resume()")


@pytest.mark.parametrize("name", ROWS)
def test_a_replica_that_lags_does_not_contradict_what_was_read(name, face, postgres, database):
    """The primary is asked where the replica's answer is older than what this process has shown."""
    replica = postgres.replica_of(database)
    pool = PostgresConfig(database, replicas=(replica,), min_connections=0)
    config = Config(postgres=pool, cache=CacheConfig(warm_on_start=False))

    async def story():
        async with (
            await Store.opened(config, face.runtime(), OFF) as writer,
            await Store.opened(config, face.runtime(), OFF) as reader,
        ):
            if name == "page":
                await writer.schemas.register("orders", "1.1.0", b"{}", state="draft", tags=("kept",))
            schema = await writer.schemas.register("orders", "1.0.0", CONTENT, tags=("kept",))
            postgres.replica_of(database)  # it has replayed all of this
            with replay_paused(replica):
                await writer.schemas.set_state(schema.id, "deprecated")
                assert (await reader.schemas.get(schema.id, read="latest")).state == "deprecated"
                shown = await ANSWERS[name](reader.schemas)
            assert [one.state for one in shown if one.id == schema.id] == ["deprecated"]

    face.run(story)
