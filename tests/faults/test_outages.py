"""Servers that go away and come back, under a store in use: reads and writes keep their promises."""

import asyncio
import contextlib
import itertools
import logging
import uuid
from dataclasses import replace

import pytest

import tierstore
from tierstore.store import Store, parts_of
from tierstore.telemetry import OFF

LARGE = b'"' + b"x" * 1_100_000 + b'"'


async def seeded(store, count=20):
    items = [{"subject": f"subject.{number}", "version": "1.0.0", "content": b"{}"} for number in range(count)]
    return [schema.id for schema in await store.schemas.register_many(items)]


async def until(check, seconds=5.0):
    """Wait until `check` answers without a StorageError."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await check()
        except tierstore.StorageError:
            if asyncio.get_running_loop().time() > end:
                raise
            await asyncio.sleep(0.05)


async def moments(seconds):
    """Several times within `seconds`: background jobs use a connection now and then."""
    for _ in range(20):
        yield
        await asyncio.sleep(seconds / 20)


@pytest.mark.requirement("S1-22", "S0-69")
def test_redis_killed_and_back_empty(everything, redis_server):
    async def scenario():
        async with tierstore.open(everything.config()) as store:
            ids = await seeded(store)
            redis_server.kill()
            for _ in range(3):
                assert None not in await store.schemas.get_many(ids)
            changed = await store.schemas.set_state(ids[0], "deprecated")
            assert (await store.schemas.get(ids[0])).state == "deprecated"
            redis_server.start()
            for _ in range(50):
                found = await store.schemas.get(ids[0])
                assert (found.state, found.row_version) == ("deprecated", changed.row_version)
                await asyncio.sleep(0.02)
            assert (await store.health()).tiers["l2"].ok

    asyncio.run(scenario())


def test_redis_paused_keeps_the_budget(everything, redis_server):
    async def scenario():
        async with tierstore.open(everything.config()) as store:
            ids = await seeded(store, 200)
            redis_server.pause()
            loop = asyncio.get_running_loop()
            for id in ids:
                started = loop.time()
                assert await store.schemas.get(id, timeout=2) is not None
                assert loop.time() - started < 1
            redis_server.resume()
            assert (await store.schemas.get(ids[0])) is not None

    asyncio.run(scenario())


def test_postgres_restarted(everything, postgres):
    async def scenario():
        async with tierstore.open(everything.config()) as store:
            ids = await seeded(store)
            assert None not in await store.schemas.get_many(ids)
            postgres.kill()
            with pytest.raises(tierstore.StorageError):
                await store.schemas.set_state(ids[0], "deprecated", timeout=2)
            cached = await store.schemas.get(ids[1], timeout=2)
            assert cached is not None
            postgres.start()
            await until(lambda: store.schemas.register("after", "1.0.0", b"{}"), 15)
            assert None not in await store.schemas.get_many(ids)
            moved = await until(lambda: store.schemas.set_state(ids[2], "deprecated"))
            assert (await store.schemas.get(ids[2])).row_version == moved.row_version

    asyncio.run(scenario())


@pytest.mark.requirement("S0-68", "S0-75")
def test_objects_stopped(everything, s3_server):
    """Content goes into rows meanwhile; what was in the object store comes back with it."""

    async def scenario():
        cold = replace(everything.config(), cache=tierstore.CacheConfig(warm_on_start=False))
        async with tierstore.open(everything.config()) as store, tierstore.open(cold) as reader:
            before = await store.schemas.register("before", "1.0.0", LARGE)
            assert before.placement == "object"
            s3_server.stop()
            during = await store.schemas.register("during", "1.0.0", LARGE + b" ", timeout=20)
            assert during.placement == "row"
            assert (await reader.schemas.get(during.id)).content == LARGE + b" "
            assert not (await reader.health()).tiers["objects"].ok
            with pytest.raises(tierstore.StorageError):
                await reader.schemas.get(before.id, timeout=3)
            s3_server.start()
            found = await until(lambda: reader.schemas.get(before.id), 15)
            assert found.content == LARGE

    asyncio.run(scenario())


@pytest.mark.parametrize("missing", ["postgres", "redis", "objects"])
def test_a_tier_that_is_missing_at_the_start(everything, missing):
    """Refused with its name, if the store needs it."""
    config = everything.config()
    nobody = {
        "postgres": tierstore.PostgresConfig("postgresql://127.0.0.1:9/none", min_connections=0),
        "redis": tierstore.RedisConfig("redis://127.0.0.1:9", required=True),
        "objects": replace(config.objects, endpoint_url="http://127.0.0.1:9", required=True),
    }
    broken = replace(config, **{missing: nobody[missing]})
    named = {"postgres": "127.0.0.1", "redis": "failed to create redis client", "objects": "failed to create s3 client"}

    async def scenario():
        with pytest.raises(tierstore.ConnectionError, match=named[missing]):
            await tierstore.open(broken)
        optional = {name: replace(getattr(broken, name), required=False) for name in ("redis", "objects")}
        async with tierstore.open(replace(broken, on_unavailable="memory", **optional)) as store:
            schema = await store.schemas.register("kept", "1.0.0", b"{}")
            assert await store.schemas.get(schema.id) == schema
            assert (await store.health()).warnings

    asyncio.run(scenario())


def test_pool_exhausted(database):
    """Callers wait for a connection, and the error names the setting to raise when none becomes free."""
    pool = tierstore.PostgresConfig(database, max_connections=4, min_connections=0, acquire_timeout=0.3)

    async def scenario():
        async with tierstore.open(tierstore.Config(postgres=pool)) as store:
            entered = asyncio.Event()
            release = asyncio.Event()

            async def hold(number):
                async with store.transaction() as tx:
                    await tx.schemas.register(f"held.{number}", "1.0.0", b"{}")
                    entered.set()
                    await release.wait()

            holders = [asyncio.create_task(hold(number)) for number in range(4)]
            await asyncio.sleep(0.2)
            assert entered.is_set()
            with pytest.raises(tierstore.PoolTimeoutError, match="max_connections"):
                await store.schemas.register("waits", "1.0.0", b"{}")
            release.set()
            await asyncio.gather(*holders)
            await store.schemas.register("waits", "1.0.0", b"{}")

    asyncio.run(scenario())


def test_cancelled_callers_leave_nothing_behind(deployment):
    async def scenario():
        async with tierstore.open(deployment.config()) as store:
            ids = await seeded(store)
            for turn in range(20):
                calls = [store.schemas.get(id, read="latest") for id in ids]
                writes = [store.schemas.register(f"turn.{turn}.{number}", "1.0.0", b"{}") for number in range(5)]
                tasks = [asyncio.create_task(call) for call in (*calls, *writes)]
                await asyncio.sleep(0.001)
                for task in tasks[::2]:
                    task.cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(not isinstance(outcome, Exception) for outcome in outcomes)
            used = [(await store.statistics()).pool async for _ in moments(2)]
            assert any(pool["in_use"] == pool["waiting"] == 0 for pool in used), used[-1]
            assert None not in await store.schemas.get_many(ids)

    asyncio.run(scenario())


class Lines:
    """What was logged at WARNING or above, by any library."""

    def __init__(self, caplog, store, face) -> None:
        self._caplog = caplog
        self._store = store
        self._runtime = parts_of(store).runtime
        caplog.clear()

    def written(self):
        return [record.getMessage() for record in self._caplog.records if record.levelno >= logging.WARNING]

    async def reach(self, count, use, seconds=30.0):
        """Use the store until that many lines are logged."""
        ends = self._runtime.monotonic() + seconds
        while len(self.written()) < count:
            assert self._runtime.monotonic() < ends, self.written()
            await self.use(use, 0.1)

    async def use(self, use, seconds):
        ends = self._runtime.monotonic() + seconds
        while self._runtime.monotonic() < ends:
            with contextlib.suppress(tierstore.StorageError):
                await use()
            await self._runtime.sleep(0.02)

    async def of_one_outage(self, use, stop, start, *, until_found=None):
        """Stop a server, use the store for a while, start it again: what was logged. That it is back needs no call to be found."""
        stop()
        await self.reach(1, use)
        await self.use(use, 3.0)
        start()
        await self.reach(2, until_found or no_call, 60.0)
        await self.use(use, 3.0)
        return self.written()


async def no_call():
    return None


def check_lines(lines, component, *still_works):
    began, ended = lines
    for part in (component, "does not answer", "tries again", *still_works):
        assert part in began
    assert component in ended
    assert "answers again" in ended


@pytest.mark.parametrize("how", ["stopped", "paused"])
def test_an_outage_of_redis_is_one_line_each(everything, redis_server, face, caplog, how):
    async def story():
        async with await Store.opened(everything.config(), face.runtime(), OFF) as store:
            schema = await store.schemas.register("kept", "1.0.0", b"{}")
            numbers = itertools.count()

            async def use():
                assert await store.schemas.get(schema.id, read="latest") is not None
                await store.schemas.register(f"subject.{next(numbers)}", "1.0.0", b"{}")

            stop, start = (
                (redis_server.kill, redis_server.start)
                if how == "stopped"
                else (redis_server.pause, redis_server.resume)
            )
            lines = await Lines(caplog, store, face).of_one_outage(use, stop, start)
            check_lines(lines, "Redis", "reads go to the database", "writes go on")

    face.run(story)


def test_an_outage_of_the_database_is_one_line_each(everything, postgres, face, caplog):
    async def story():
        async with await Store.opened(everything.config(), face.runtime(), OFF) as store:
            schema = await store.schemas.register("kept", "1.0.0", b"{}")
            numbers = itertools.count()

            async def use():
                await store.schemas.get(schema.id, timeout=1)
                await store.schemas.register(f"subject.{next(numbers)}", "1.0.0", b"{}", timeout=1)

            lines = await Lines(caplog, store, face).of_one_outage(use, postgres.kill, postgres.start)
            check_lines(lines, "database", "from the caches", "writes fail")

    face.run(story)


def test_an_outage_of_a_replica_is_one_line_each(database, postgres, face, caplog):
    servers = tierstore.PostgresConfig(database, replicas=(postgres.replica_of(database),), min_connections=1)
    config = tierstore.Config(postgres=servers, cache=tierstore.CacheConfig(max_entries=1, warm_on_start=False))

    async def story():
        async with await Store.opened(config, face.runtime(), OFF) as store:
            await seeded(store, 3)

            async def use():
                """Ids that nobody has seen: what this process was shown lately is the primary's."""
                assert await store.schemas.get_many([uuid.uuid4() for _ in range(3)], read="any") == [None] * 3

            replica = postgres.replica
            lines = await Lines(caplog, store, face).of_one_outage(use, replica.kill, replica.start, until_found=use)
            check_lines(lines, "replica", "reads go to the primary")

    face.run(story)


def test_an_outage_of_the_object_store_is_one_line_each(everything, s3_server, face, caplog):
    async def story():
        async with await Store.opened(everything.config(), face.runtime(), OFF) as store:
            numbers = itertools.count()

            async def use():
                number = next(numbers)
                await store.schemas.register(f"large.{number}", "1.0.0", LARGE + b" " * number, timeout=10)

            lines = await Lines(caplog, store, face).of_one_outage(use, s3_server.stop, s3_server.start)
            check_lines(lines, "object store", "new content goes into the database")

    face.run(story)
