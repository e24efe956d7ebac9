"""Writes that share a transaction: each caller gets its own answer, and nobody is hurt by another's conflict, departure or deadline."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

import tierstore
from tierstore import ConflictError
from tierstore.store import parts_of


def told(story, folder):
    """Run `story(store)` on an embedded store."""

    async def run():
        async with tierstore.open(folder) as store:
            await story(store)

    asyncio.run(run())


def registering(store, number, content=b"{}"):
    return store.schemas.register(f"s{number}", "1.0.0", content)


def test_registrations_at_the_same_time_share_few_transactions(tmp_path):
    async def story(store):
        before = parts_of(store).engine.counters.writes
        schemas = await asyncio.gather(*(registering(store, number) for number in range(100)))
        assert parts_of(store).engine.counters.writes - before < 10
        assert [schema.subject for schema in schemas] == [f"s{number}" for number in range(100)]
        found = await asyncio.gather(*(store.schemas.get_version(f"s{number}", "1.0.0") for number in range(100)))
        assert [schema.id for schema in found] == [schema.id for schema in schemas]

    told(story, tmp_path)


def test_a_conflict_is_its_callers_alone(tmp_path):
    async def story(store):
        await registering(store, 7)
        answers = await asyncio.gather(
            *(registering(store, number, b"[]") for number in range(20)), return_exceptions=True
        )
        assert [number for number, answer in enumerate(answers) if isinstance(answer, ConflictError)] == [7]
        assert not any(isinstance(answer, Exception) for number, answer in enumerate(answers) if number != 7)
        assert (await store.schemas.get_version("s7", "1.0.0")).content == b"{}"

    told(story, tmp_path)


def test_the_same_registration_at_the_same_time_is_one_schema(tmp_path):
    async def story(store):
        schemas = await asyncio.gather(*(registering(store, 1) for _ in range(20)))
        assert len({schema.id for schema in schemas}) == 1

    told(story, tmp_path)


@pytest.mark.parametrize("leaving", range(5))
def test_a_caller_that_is_cancelled_leaves_the_others_their_writes(tmp_path, leaving):
    async def story(store):
        tasks = [asyncio.create_task(registering(store, number)) for number in range(20)]
        for _ in range(leaving):
            await asyncio.sleep(0)
        tasks[0].cancel()
        answers = await asyncio.gather(*tasks[1:])
        assert len({schema.id for schema in answers}) == 19

    told(story, tmp_path)


def test_each_caller_may_read_its_write_by_its_token(tmp_path):
    async def story(store):
        async def one(number):
            await registering(store, number)
            return store.token()

        tokens = await asyncio.gather(*(asyncio.create_task(one(number)) for number in range(10)))
        assert all(tokens)
        assert await store.schemas.get_version("s3", "1.0.0", not_before=tokens[3]) is not None

    told(story, tmp_path)


def test_threads_share_transactions_too(tmp_path):
    with tierstore.blocking.open(tmp_path) as store, ThreadPoolExecutor(16) as threads:
        schemas = list(threads.map(lambda number: store.schemas.register(f"s{number}", "1.0.0", b"{}"), range(200)))
        assert len({schema.id for schema in schemas}) == 200
        assert all(store.schemas.get(schema.id) == schema for schema in schemas)
