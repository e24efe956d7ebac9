"""T.4, T.5 and T.7: writes, each its own acknowledged commit with synchronous_commit on."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import orjson
import psycopg_pool

import tierstore
from benches._paired import ROUNDS, Call, Row, alternate, at_least, calling, faster
from benches.targets import body, seed
from tierstore import Config
from tierstore.backends import Unit
from tierstore.backends.postgres.records import PostgresRecords
from tierstore.runtime import AsyncioRuntime
from tierstore.store import parts_of
from tierstore.stores.schemas.edit import Edit, change_of_state, edit_each
from tierstore.stores.schemas.kinds import Kinds
from tierstore.stores.schemas.registration import prepare
from tierstore.tiers.delivery import ChangeSet
from tierstore.tiers.engine import Engine, Tiers
from tierstore.tiers.group_commit import GroupCommit

CALLERS, SEEDED, DOOMED = 100, 6_000, 10_000
BODIES = 1_000
"""Made before anything is measured: making one costs as much as registering it."""
SUBJECT = "INSERT INTO subjects (subject, row_version) VALUES (%(subject)s, nextval('row_version'))"
SCHEMA = """
INSERT INTO schemas (
    id, subject, version_major, version_minor, version_patch, prerelease, build, prerelease_key, schema_type, state, content,
    metadata, search_text, body, content_digest, content_size, placement, row_version
) VALUES (
    %(id)s, %(subject)s, %(major)s, %(minor)s, %(patch)s, %(prerelease)s, %(build)s, %(prerelease_key)s, %(schema_type)s, %(state)s,
    %(content)s, %(metadata)s, %(search_text)s, %(body)s, %(digest)s, %(size)s, %(tier)s, nextval('row_version')
)
"""


async def writes(config: Config) -> list[Row]:
    """Register beside single inserts; state change and delete; and what coherence costs of a state change: beside the same statement in
    transactions of its own, and in transactions that are shared just as ours are. Neither has an outbox or tells anybody."""
    assert config.postgres is not None
    async with (
        tierstore.open(config) as store,
        psycopg_pool.AsyncConnectionPool(config.postgres.url, min_size=10, max_size=50) as pool,
    ):
        bodies = [body(number) for number in range(BODIES)]
        inserted = await alternate(
            {
                "ours": calling(_register(store, bodies), CALLERS),
                "inserts": calling(_insert(store, pool, bodies), CALLERS),
            }
        )
        ids = await seed(store, SEEDED)
        third = SEEDED // 3
        bare = PostgresRecords(AsyncioRuntime(), config.postgres.url)
        deadline = AsyncioRuntime().deadline(60)
        await bare.open(deadline)
        changed = await alternate(
            {
                "ours": calling(_set_state(store, ids[:third]), CALLERS),
                "alone": calling(_set_state_alone(bare, ids[third : 2 * third]), CALLERS),
                "shared": calling(_set_state_shared(bare, ids[2 * third :]), CALLERS),
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
        faster("T.7", "state change, coherent", changed["ours"], ("in shared transactions", changed["shared"]), 0.8),
        faster("T.7", "state change, coherent", changed["ours"], ("in one each", changed["alone"]), 0.8),
    ]


def _register(store: tierstore.Store, bodies: list[bytes]) -> Call:
    async def register(number: int) -> object:
        content = bodies[number % BODIES]
        return await store.schemas.register(f"new.{uuid.uuid4()}", "1.0.0", content, schema_type="jsonschema")

    return register


def _insert(store: tierstore.Store, pool: Any, bodies: list[bytes]) -> Call:
    """One transaction a schema, with the same columns and the same work on the content before it."""
    router = parts_of(store).blobs.router

    async def insert(number: int) -> None:
        content = bodies[number % BODIES]
        prepared = prepare(
            router, subject=f"new.{uuid.uuid4()}", version="1.0.0", content=content, schema_type="jsonschema"
        )
        async with pool.connection() as connection:
            await connection.execute(SUBJECT, prepared.params)
            await connection.execute(SCHEMA, prepared.params)

    return insert


def _flips(ids: list[str]) -> Iterator[Edit]:
    """For ever."""
    for state in itertools.cycle(("deprecated", "active")):
        for identifier in ids:
            yield change_of_state(identifier, state, None, None)


def _set_state(store: tierstore.Store, ids: list[str]) -> Call:
    flips = _flips(ids)

    async def change(_: int) -> None:
        edit = next(flips)
        await store.schemas.set_state(edit.id, str(edit.state))

    return change


def _set_state_alone(records: PostgresRecords, ids: list[str]) -> Call:
    flips, runtime = _flips(ids), AsyncioRuntime()

    async def change(_: int) -> None:
        params = {"edits": orjson.dumps([next(flips)._asdict()]).decode(), "patience": "0"}
        async with records.unit(deadline=runtime.deadline(10)) as unit:
            await unit.fetch("schemas_write.edit", params)

    return change


class _Unheard(Engine):
    """Writes no outbox row. Without L2 and a channel it tells nobody either."""

    async def append(self, unit: Unit, change_set: ChangeSet) -> None:
        return None


def _set_state_shared(records: PostgresRecords, ids: list[str]) -> Call:
    flips, runtime = _flips(ids), AsyncioRuntime()
    engine = _Unheard(runtime, Tiers(records))
    kinds = Kinds(engine)
    together: GroupCommit[Edit, Any] = GroupCommit(engine, lambda write, edits: edit_each(write, kinds, edits))

    async def change(_: int) -> None:
        await together.write(next(flips), runtime.deadline(10))

    return change


def _delete(store: tierstore.Store, doomed: Iterator[str]) -> Call:
    async def delete(_: int) -> object:
        return await store.schemas.delete(next(doomed))

    return delete
