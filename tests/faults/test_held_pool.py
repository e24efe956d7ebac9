"""All of the pool's connections are held by slow callers: what keeps the caches fresh has its own."""

from contextlib import AsyncExitStack
from dataclasses import replace

import psycopg
import pytest

import tierstore
from tests.faults.waiting import until
from tierstore.store import Store, parts_of
from tierstore.stores.state.housekeeping import Housekeeping
from tierstore.telemetry import OFF
from tierstore.tiers.freshness import HORIZON_S

POOL = 4


@pytest.fixture(params=["postgres", "postgres and redis"])
def config(request, database):
    pool = tierstore.PostgresConfig(database, max_connections=POOL, min_connections=0, acquire_timeout=10)
    redis = None
    if request.param == "postgres and redis":
        server = request.getfixturevalue("redis_server")
        server.flush()
        redis = tierstore.RedisConfig(server.url)
    return tierstore.Config(postgres=pool, redis=redis)


async def hold_all(records, runtime, held):
    """From here on a caller waits `acquire_timeout` in vain: a short one, which would be too short for the connections to be made."""
    for _ in range(POOL):
        await held.enter_async_context(records.unit(deadline=runtime.deadline(60)))
    pool = records._primary
    pool._policy = pool._policy._replace(acquire_s=0.2)


def of_a_dead_writer(database, change):
    """An outbox row that its writer committed and did not live to deliver."""
    with psycopg.connect(database, autocommit=True) as admin:
        row = ([change.key], [change.version])
        admin.execute("INSERT INTO outbox (keys, versions) VALUES (%s::text[], %s::bigint[])", row)


def undelivered(database):
    with psycopg.connect(database, autocommit=True) as admin:
        return admin.execute("SELECT count(*) FROM outbox WHERE delivered_at IS NULL").fetchone()[0]


@pytest.mark.requirement("S1-44")
def test_relay_and_carrier_deliver(face, config, database):
    async def story():
        runtime = face.runtime()
        async with await Store.opened(config, runtime, OFF) as store, AsyncExitStack() as held:
            parts = parts_of(store)
            engine = parts.engine
            schema = await store.schemas.register("orders", "1.0.0", b"{}")
            await until(runtime, engine.freshness.is_fresh)
            await store.schemas.get(schema.id)
            await until(runtime, lambda: store.schemas.hit_get(schema.id) is not None)
            await hold_all(parts.records, runtime, held)
            with pytest.raises(tierstore.PoolTimeoutError):
                await store.schemas.register("waits", "1.0.0", b"{}")
            since = runtime.monotonic() + HORIZON_S
            while runtime.monotonic() < since:
                await runtime.sleep(0.05)
            await until(runtime, engine.freshness.is_fresh)  # never, if nobody carries while the pool is held
            await until(runtime, lambda: config.redis is None or engine.l2_fresh())  # never, if nobody relays
            of_a_dead_writer(database, engine.kinds["schema"].name(schema.id, schema.row_version + 1))
            await until(runtime, lambda: store.schemas.hit_get(schema.id) is None)
            if config.redis is not None:
                await until(runtime, lambda: undelivered(database) == 0)
            assert store.schemas.hit_get(schema.id) is None

    face.run(story)


@pytest.mark.parametrize("pooler", ["none", "pgbouncer"])
def test_health_and_statistics_answer(request, face, config, database, pooler):
    """They are asked when calls fail for want of a connection."""
    if pooler == "pgbouncer":
        through = request.getfixturevalue("pgbouncer").through(database)
        config = replace(config, postgres=replace(config.postgres, url=through))

    async def story():
        runtime = face.runtime()
        async with await Store.opened(config, runtime, OFF) as store, AsyncExitStack() as held:
            await store.schemas.register("orders", "1.0.0", b"{}")
            records = parts_of(store).records
            await hold_all(records, runtime, held)
            with pytest.raises(tierstore.PoolTimeoutError):
                await store.schemas.register("waits", "1.0.0", b"{}")
            found = await store.statistics()
            assert (found.pool["in_use"], found.pool["idle"], found.pool["limit"]) == (POOL, 0, POOL)
            assert found.schemas.total_schemas == 1
            health = await store.health()
            assert all(tier.ok for tier in health.tiers.values())
            assert not any("connections to the database are in use" in warning for warning in health.warnings)
            crowded = records.pool()._replace(waiting=2)
            records.pool = lambda: crowded
            (warning,) = [one for one in (await store.health()).warnings if "2 callers wait" in one]
            assert f"all {POOL} connections" in warning
            assert "max_connections" in warning

    face.run(story)


def test_state_in_the_database_is_tidied(face, config, database):
    async def story():
        runtime = face.runtime()
        async with await Store.opened(config, runtime, OFF) as store, AsyncExitStack() as held:
            records, engine = parts_of(store).records, parts_of(store).engine
            with psycopg.connect(database, autocommit=True) as admin:
                admin.execute("INSERT INTO state (key, value, etag, expires_at) VALUES ('a', 'x', 'e', now())")
            await hold_all(records, runtime, held)
            tidying = Housekeeping(engine, lambda: None)
            await tidying.sweep()
            await tidying.trim()
            with psycopg.connect(database, autocommit=True) as admin:
                assert admin.execute("SELECT count(*) FROM state").fetchone() == (0,)

    face.run(story)


def test_jobs_find_their_connections_again_after_a_restart(face, config, database, postgres):
    async def story():
        runtime = face.runtime()
        async with await Store.opened(config, runtime, OFF) as store:
            engine = parts_of(store).engine
            await until(runtime, engine.freshness.is_fresh)
            postgres.kill()
            await until(runtime, lambda: not engine.freshness.is_fresh())
            postgres.start()
            async with AsyncExitStack() as held:
                await hold_all(parts_of(store).records, runtime, held)
                await until(runtime, engine.freshness.is_fresh, 30)

    face.run(story)


def test_no_connection_is_left_after_the_close(face, config, database):
    async def story():
        runtime = face.runtime()
        async with await Store.opened(config, runtime, OFF) as store:
            await until(runtime, parts_of(store).engine.freshness.is_fresh)
            assert parts_of(store).records.pool().reserved > 0

    face.run(story)
    with psycopg.connect(database, autocommit=True) as admin:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        for _ in range(100):
            if admin.execute(others).fetchone() == (0,):
                return
            admin.execute("SELECT pg_sleep(0.05)")
    raise AssertionError("connections are left")
