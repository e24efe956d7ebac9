"""T.4, T.5 and T.7: writes, each its own acknowledged commit with synchronous_commit on."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg_pool

import tierstore
from benches._paired import ROUNDS, Call, Row, alternate, at_least, calling, faster
from benches.targets import body, seed
from tierstore import Config
from tierstore.backends.postgres import PostgresRecords
from tierstore.runtime import AsyncioRuntime
from tierstore.store import parts_of
from tierstore.stores.schemas.registration import prepare

CALLERS, SEEDED, DOOMED = 100, 4_000, 10_000
SUBJECT = "INSERT INTO subjects (subject, row_version) VALUES (%(subject)s, nextval('row_version'))"
SCHEMA = """
INSERT INTO schemas (
    id, subject, version_major, version_minor, version_patch, prerelease, build, prerelease_key, schema_type, state, content,
    metadata, search_text, body, content_digest, content_size, content_tier, row_version
) VALUES (
    %(id)s, %(subject)s, %(major)s, %(minor)s, %(patch)s, %(prerelease)s, %(build)s, %(prerelease_key)s, %(schema_type)s, %(state)s,
    %(content)s, %(metadata)s, %(search_text)s, %(body)s, %(digest)s, %(size)s, %(tier)s, nextval('row_version')
)
"""


async def writes(config: Config) -> list[Row]:
    """Register beside single inserts; state change and delete; and what coherence costs of a state change."""
    assert config.postgres is not None
    async with (
        tierstore.open(config) as store,
        psycopg_pool.AsyncConnectionPool(config.postgres.url, min_size=10, max_size=50) as pool,
    ):
        inserted = await alternate(
            {
                "ours": calling(_register(store), CALLERS),
                "inserts": calling(_insert(store, pool), CALLERS),
            }
        )
        ids = await seed(store, SEEDED)
        bare = PostgresRecords(AsyncioRuntime(), config.postgres.url)
        deadline = AsyncioRuntime().deadline(60)
        await bare.open(deadline)
        changed = await alternate(
            {
                "ours": calling(_set_state(store, ids[: SEEDED // 2]), CALLERS),
                "bare": calling(_set_state_bare(bare, ids[SEEDED // 2 :]), CALLERS),
            }
        )
        await bare.close(deadline)
        doomed = iter(await seed(store, DOOMED, "doomed"))
        deleted = await alternate({"ours": calling(_delete(store, doomed), CALLERS, limit=DOOMED // ROUNDS)})
    return [
        faster("T.4", "register, 100 callers", inserted["ours"], ("single inserts", inserted["inserts"]), 2.5),
        at_least("T.4", "register, 100 callers", inserted["ours"], 4_000),
        at_least("T.5", "state change, 100 callers", changed["ours"], 6_000),
        at_least("T.5", "delete, 100 callers", deleted["ours"], 6_000),
        faster("T.7", "state change, coherent", changed["ours"], ("the statement alone", changed["bare"]), 0.8),
    ]


def _register(store: tierstore.Store) -> Call:
    async def register(number: int) -> object:
        return await store.schemas.register(f"new.{uuid.uuid4()}", "1.0.0", body(number), schema_type="jsonschema")

    return register


def _insert(store: tierstore.Store, pool: Any) -> Call:
    """One transaction a schema, with the same columns and the same work on the content before it."""
    router = parts_of(store).blobs.router

    async def insert(number: int) -> None:
        prepared = prepare(
            router, subject=f"new.{uuid.uuid4()}", version="1.0.0", content=body(number), schema_type="jsonschema"
        )
        async with pool.connection() as connection:
            await connection.execute(SUBJECT, prepared.params)
            await connection.execute(SCHEMA, prepared.params)

    return insert


def _flips(ids: list[str]) -> Iterator[tuple[str, str, str]]:
    """id, state to go to, state before; for ever."""
    moves = itertools.cycle((("deprecated", "active"), ("active", "deprecated")))
    for state, before in moves:
        for identifier in ids:
            yield identifier, state, before


def _set_state(store: tierstore.Store, ids: list[str]) -> Call:
    flips = _flips(ids)

    async def change(_: int) -> None:
        identifier, state, _ = next(flips)
        await store.schemas.set_state(identifier, state)

    return change


def _set_state_bare(records: PostgresRecords, ids: list[str]) -> Call:
    """The same statement in a transaction of the same driver, with no outbox, no cache and nobody told."""
    flips, runtime = _flips(ids), AsyncioRuntime()

    async def change(_: int) -> None:
        identifier, state, before = next(flips)
        params = {"id": identifier, "state": state, "origins": [before], "expected": None}
        async with records.unit(deadline=runtime.deadline(10)) as unit:
            await unit.fetch("schemas_write.set_state", params)

    return change


def _delete(store: tierstore.Store, doomed: Iterator[str]) -> Call:
    async def delete(_: int) -> object:
        return await store.schemas.delete(next(doomed))

    return delete
