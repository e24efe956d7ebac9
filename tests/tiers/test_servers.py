"""The tiers of two stores over real servers: what one changes the other sees, and no cache tier's failure is anybody's error."""

from __future__ import annotations

import contextlib

import pytest

from tierstore.config import CacheConfig, Config, PostgresConfig, RedisConfig
from tierstore.store import Store, parts_of
from tierstore.telemetry import OFF

CONTENT = b'{"type": "object"}'


class Two:
    """Two stores of one configuration, as two processes have them."""

    def __init__(self, face, config) -> None:
        self.face = face
        self.config = config
        self.runtimes = [face.runtime(), face.runtime()]

    async def __aenter__(self):
        self.stack = contextlib.AsyncExitStack()
        self.stores = [
            await self.stack.enter_async_context(await Store.opened(self.config, runtime, OFF))
            for runtime in self.runtimes
        ]
        return self

    async def __aexit__(self, *error):
        await self.stack.aclose()

    def engine(self, at=0):
        return parts_of(self.stores[at]).engine

    async def until(self, holds, seconds=20.0):
        """Wait until it holds; how long that took."""
        runtime = self.runtimes[0]
        started = runtime.monotonic()
        while not holds():
            assert runtime.monotonic() - started < seconds, "it never came to hold"
            await runtime.sleep(0.01)
        return runtime.monotonic() - started

    async def fresh(self):
        await self.until(lambda: all(self.engine(at).freshness.is_fresh() for at in (0, 1)))


def config_of(request, kind, tmp_path):
    cache = CacheConfig(warm_on_start=False)
    if kind == "sqlite":
        return Config(tmp_path / "store", cache=cache)
    postgres = PostgresConfig(request.getfixturevalue("database"), max_connections=8, min_connections=1)
    redis = None
    if kind == "postgres and redis":
        redis = RedisConfig(request.getfixturevalue("redis_server").url, prefix=tmp_path.name)
    return Config(postgres=postgres, redis=redis, cache=cache)


@pytest.fixture(params=["sqlite", "postgres", "postgres and redis"])
def two(request, face, tmp_path) -> Two:
    return Two(face, config_of(request, request.param, tmp_path))


@pytest.fixture
def redis_two(request, face, tmp_path) -> Two:
    return Two(face, config_of(request, "postgres and redis", tmp_path))


def test_a_second_process_sees_a_change_within_a_second(face, two):
    async def story():
        async with two:
            here, there = two.stores
            await two.fresh()
            schema = await here.schemas.register("orders", "1.0.0", CONTENT)
            assert (await there.schemas.get(schema.id)).state == "active"
            assert (await there.schemas.get_latest("orders")).id == schema.id
            while there.schemas.hit_get(schema.id) is None:  # the news of the registration may refuse a fill
                assert await there.schemas.get(schema.id) == schema
                await two.runtimes[0].sleep(0.01)
            await here.schemas.set_state(schema.id, "deprecated")

            def seen():
                known = there.schemas.hit_get(schema.id)
                return known is None or known.state == "deprecated"

            assert await two.until(seen, 1.5) < 1.0
            assert (await there.schemas.get(schema.id)).state == "deprecated"
            newer = await here.schemas.register("orders", "1.1.0", CONTENT)
            runtime = two.runtimes[0]
            started = runtime.monotonic()
            while (await there.schemas.get_latest("orders")).id != newer.id:
                assert runtime.monotonic() - started < 1.0
                await runtime.sleep(0.01)

    face.run(story)


def test_redis_stops_and_starts_empty(face, redis_two, redis_server):
    async def story():
        async with redis_two as two:
            here, there = two.stores
            await two.fresh()
            schema = await here.schemas.register("orders", "1.0.0", CONTENT)
            await there.schemas.get(schema.id)
            redis_server.stop()
            runtime = two.runtimes[0]
            ends = runtime.monotonic() + 4.0
            states = ["deprecated", "active"]
            writes = 0
            while runtime.monotonic() < ends:
                await here.schemas.set_state(schema.id, states[writes % 2])
                assert (await here.schemas.get(schema.id)).state == states[writes % 2]
                assert await there.schemas.get(schema.id) is not None
                writes += 1
                await runtime.sleep(0.1)
            assert two.engine(1).carriers.carrying == "outbox"
            assert two.engine(1).freshness.is_fresh(), "L1 goes on over the outbox"
            redis_server.start()
            await two.until(lambda: two.engine(1).carriers.carrying == "redis", 15)
            await two.until(lambda: two.engine(0).carriers.carrying == "redis", 15)
            await two.until(two.engine(1).l2_fresh, 5)
            state = (await here.schemas.get(schema.id)).state
            assert (await there.schemas.get(schema.id)).state == state == states[(writes - 1) % 2]
            assert two.engine(0).statistics()["unconfirmed"] == 0

    face.run(story)


def test_redis_is_paused(face, redis_two, redis_server):
    async def story():
        async with redis_two as two:
            here = two.stores[0]
            await two.fresh()
            schemas = [await here.schemas.register("orders", f"1.{minor}.0", CONTENT) for minor in range(20)]
            redis_server.pause()
            runtime = two.runtimes[0]
            times = []
            for schema in schemas:
                started = runtime.monotonic()
                assert (await here.schemas.get(schema.id)).version == schema.version
                times.append(runtime.monotonic() - started)
            assert max(times) < 0.5
            assert sorted(times)[10] < 0.05, "most do not wait for it at all"
            redis_server.resume()
            await two.until(lambda: two.engine(0).carriers.carrying == "redis", 15)
            assert (await here.schemas.get(schemas[0].id)).version == "1.0.0"

    face.run(story)


@pytest.mark.parametrize("kind", ["postgres", "postgres and redis"])
def test_postgres_stops_and_what_is_cached_is_marked(request, face, tmp_path, postgres, kind):
    async def story():
        config = config_of(request, kind, tmp_path)
        async with Two(face, config) as two:
            here = two.stores[0]
            await two.fresh()
            schema = await here.schemas.register("orders", "1.0.0", CONTENT)
            await here.schemas.get(schema.id)
            assert not (await here.schemas.get(schema.id)).meta.stale
            postgres.stop()
            engine = two.engine(0)
            await two.until(lambda: not engine.freshness.is_fresh() and not (config.redis and engine.l2_fresh()))
            answer = await here.schemas.get(schema.id)
            assert answer.content == CONTENT
            assert answer.meta.stale
            with pytest.raises(ConnectionError):
                await here.schemas.get("01a1fc6e-5986-7068-ba77-4ac86f76970e", timeout=1)
            postgres.start()
            await two.until(lambda: two.engine(0).freshness.is_fresh(), 20)
            assert not (await here.schemas.get(schema.id)).meta.stale

    face.run(story)
