"""The end of a store: what it answers after `close`, on another loop, and at the end of the interpreter."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import tierstore
from tierstore import CacheConfig, ClosedError, Config, ValidationError

NEVER_CLOSED = """
import asyncio, sys
import tierstore

config = tierstore.Config.from_env()

async def asynchronous():
    store = await tierstore.open(config)
    block = store.transaction()
    tx = await block.__aenter__()
    await tx.schemas.register("left", "1.0.0", b"{}")
    await store.schemas.get_latest("left")

def blocking():
    global store, block
    store = tierstore.blocking.open(config)
    block = store.transaction()
    tx = block.__enter__()
    tx.schemas.register("left", "1.0.0", b"{}")
    store.schemas.get_latest("left")

asyncio.run(asynchronous()) if sys.argv[1] == "async" else blocking()
"""


def calls(store, id):
    """Every kind of call, those that L1 could answer first."""
    schemas = store.schemas
    return [
        lambda: schemas.get(id),
        lambda: schemas.get_many([id]),
        lambda: schemas.get_latest("a"),
        lambda: schemas.get_version("a", "1.0.0"),
        lambda: schemas.list("a"),
        lambda: schemas.search("a"),
        lambda: schemas.register("b", "1.0.0", b"{}"),
        lambda: schemas.register("b", "1.0.0", b'"' + b"x" * 2_000_000 + b'"'),
        lambda: store.statistics(),
        lambda: store.migrate(),
    ]


def test_a_closed_store_says_so(tmp_path):
    async def scenario():
        store = await tierstore.open(tmp_path)
        id = (await store.schemas.register("a", "1.0.0", b"{}")).id
        for call in calls(store, id)[:4]:
            await call()  # now in L1
        await store.close()
        await store.close()
        for call in calls(store, id):
            with pytest.raises(ClosedError):
                await call()
        assert not (await store.health()).ok

    asyncio.run(scenario())


def test_a_closed_store_says_so_to_threads(tmp_path):
    store = tierstore.blocking.open(tmp_path)
    id = store.schemas.register("a", "1.0.0", b"{}").id
    for call in calls(store, id)[:4]:
        call()
    store.close()
    for call in calls(store, id):
        with pytest.raises(ClosedError):
            call()


def test_another_loop_can_neither_close_nor_break_it(tmp_path):
    with asyncio.Runner() as own:

        async def opened():
            return await tierstore.open(tmp_path)

        store = own.run(opened())
        with pytest.raises(ClosedError, match="event loop"):
            asyncio.run(store.close())
        assert not asyncio.run(store.health()).ok
        assert own.run(store.schemas.register("here", "1.0.0", b"{}")).subject == "here"
        own.run(store.close())


@pytest.mark.parametrize("face", ["async", "blocking"])
def test_an_interpreter_ends_with_a_transaction_open(database, face):
    done = subprocess.run(
        [sys.executable, "-c", NEVER_CLOSED, face], env={"DATABASE_URL": database}, capture_output=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    with tierstore.blocking.open(Config.from_env({"DATABASE_URL": database})) as store:
        assert store.schemas.get_latest("left") is None


def test_the_block_of_a_session_has_the_store(tmp_path):
    async def scenario():
        async with tierstore.open(tmp_path) as store, store.session() as session:
            made = await session.schemas.register("a", "1.0.0", b"{}")
            token = session.token()
            assert (await session.schemas.get(made.id, not_before=token)).id == made.id
            with pytest.raises(ValidationError):
                await session.schemas.get(made.id, not_before="soon")

    asyncio.run(scenario())
    with tierstore.blocking.open(tmp_path) as store, store.session() as session:
        assert session is store


def test_warming_more_than_a_page(tmp_path):
    with tierstore.blocking.open(Config(tmp_path, cache=CacheConfig(warm_size=5_000))) as store:
        made = store.schemas.register("a", "1.0.0", b"{}")
        store.schemas.get(made.id)
    with tierstore.blocking.open(Config(tmp_path, cache=CacheConfig(warm_size=5_000))) as store:
        assert store.statistics().tiers["l1_entries"] == 1
