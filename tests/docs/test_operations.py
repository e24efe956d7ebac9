"""The advice of docs/operations.md, tried: each piece with the servers in the state that it is for."""

import asyncio
import subprocess

import psycopg
import pytest

import tierstore
from tests.servers.programs import postgres_folder
from tierstore import CacheConfig, Config, PostgresConfig, RedisConfig

LARGE = b'"' + b"x" * 1_100_000 + b'"'


def tool(name, *arguments):
    subprocess.run([postgres_folder() / name, *arguments], check=True, capture_output=True, timeout=60)


def config_of(database, redis_server, **options):
    return Config(postgres=PostgresConfig(database, min_connections=0), redis=RedisConfig(redis_server.url), **options)


@pytest.mark.requirement("S1-72", "S1-74")
def test_backup_restore_and_the_epoch_after_it(postgres, database, redis_server, tmp_path):
    """What was cached between the backup and the restore can never be read over the restored database."""
    redis_server.flush()
    fresh = postgres.create_database()
    dump = str(tmp_path / "backup.dump")

    async def before():
        async with tierstore.open(config_of(database, redis_server)) as store:
            kept = await store.schemas.register("kept", "1.0.0", b'"kept"')
            tool("pg_dump", "-Fc", "-f", dump, database)
            await store.schemas.set_state(kept.id, "deprecated")
            lost = await store.schemas.register("lost", "1.0.0", b'"lost"')
        cold = config_of(database, redis_server, cache=CacheConfig(max_entries=1, warm_on_start=False))
        async with tierstore.open(cold) as store:
            for _ in range(2):  # the second is answered by L2
                assert (await store.schemas.get(kept.id)).state == "deprecated"
                assert await store.schemas.get(lost.id) is not None
        return kept, lost

    async def after(kept, lost):
        async with tierstore.open(config_of(fresh, redis_server)) as store:
            assert await store.schemas.get(kept.id) == kept
            assert (await store.schemas.get_latest("kept")).state == "active"
            assert await store.schemas.get(lost.id) is None
            again = await store.schemas.register("lost", "1.0.0", b'"another"')
            assert (await store.schemas.get(again.id)).content == b'"another"'

    kept, lost = asyncio.run(before())
    tool("pg_restore", "--no-owner", "-d", fresh, dump)
    asyncio.run(after(kept, lost))


@pytest.mark.requirement("S1-72")
def test_an_embedded_store_is_backed_up_while_it_runs(tmp_path):
    import sqlite3

    async def scenario():
        async with tierstore.open(tmp_path / "live") as store:
            kept = await store.schemas.register("kept", "1.0.0", LARGE)
            (tmp_path / "copy").mkdir()
            with (
                sqlite3.connect(tmp_path / "live" / "tierstore.db") as live,
                sqlite3.connect(tmp_path / "copy" / "tierstore.db") as copy,
            ):
                live.backup(copy)
            live.close()
            copy.close()
            (tmp_path / "live" / "objects").rename(tmp_path / "copy" / "objects")
        async with tierstore.open(tmp_path / "copy") as store:
            assert (await store.schemas.get(kept.id)).content == LARGE

    asyncio.run(scenario())


@pytest.mark.requirement("S1-71")
def test_a_pool_that_is_too_large_is_a_warning(postgres, database):
    with psycopg.connect(postgres.url) as connection:
        room = int(connection.execute("SHOW max_connections").fetchone()[0])

    async def scenario():
        for size, warned in ((room + 1, True), (10, False)):
            pool = PostgresConfig(database, max_connections=size, min_connections=0)
            async with tierstore.open(Config(postgres=pool)) as store:
                warnings = (await store.health()).warnings
                assert any("lower max_connections" in text for text in warnings) is warned

    asyncio.run(scenario())


@pytest.mark.requirement("S1-71")
def test_a_low_hit_ratio_shows_its_cause(database):
    """Too small a cache shows as evictions, and more room mends it."""

    async def ratio(entries):
        cache = CacheConfig(max_entries=entries, warm_on_start=False)
        async with tierstore.open(Config(postgres=PostgresConfig(database, min_connections=0), cache=cache)) as store:
            items = [{"subject": f"s.{number}", "version": "1.0.0", "content": b"{}"} for number in range(50)]
            ids = [schema.id for schema in await store.schemas.register_many(items)]
            for _ in range(5):
                for id in ids:
                    await store.schemas.get(id)
            statistics = await store.statistics()
            return statistics.schemas.hit_rates["l1"], statistics.tiers["l1_evictions"]

    small, evictions = asyncio.run(ratio(10))
    large, none = asyncio.run(ratio(1000))
    assert evictions > 0 == none
    assert large > 0.75 > small


@pytest.mark.requirement("S1-71")
def test_refused_uploads_are_named_by_health_and_lose_nothing(database, s3_server, bucket):
    """Wrong keys: refused at the start. A bucket that goes away later: rows take over, health names it."""
    objects = s3_server.config(bucket)
    wrong = s3_server.config(bucket, access_key="wrong", secret_key="wrong")
    pool = PostgresConfig(database, min_connections=0)

    async def scenario():
        with pytest.raises(tierstore.StorageError, match="failed to create s3 client"):
            await tierstore.open(Config(postgres=pool, objects=wrong))
        async with tierstore.open(Config(postgres=pool, objects=objects)) as store:
            s3_server.client().delete_bucket(Bucket=bucket)
            stored = await store.schemas.register("large", "1.0.0", LARGE, timeout=20)
            assert stored.placement == "row"
            objects_health = (await store.health()).tiers["objects"]
            assert not objects_health.ok
            assert objects_health.detail

    asyncio.run(scenario())


@pytest.mark.requirement("S1-73", "S1-74", "S0-08")
def test_application_servers_hold_no_state(database, redis_server, postgres):
    """Two stores over the same servers, one with a replica: what one writes, the other reads, with the token at once."""
    redis_server.flush()
    replica = postgres.replica_of(database)
    with_replica = Config(postgres=PostgresConfig(database, replicas=(replica,), min_connections=0))

    async def scenario():
        async with tierstore.open(config_of(database, redis_server)) as one, tierstore.open(with_replica) as two:
            for number in range(10):
                written = await one.schemas.register(f"subject.{number}", "1.0.0", b"{}")
                found = await two.schemas.get(written.id, not_before=one.token())
                assert found == written

    asyncio.run(scenario())


@pytest.mark.parametrize("pooled", ["", "true"])
def test_a_pooler_needs_nothing_but_its_address(pgbouncer, database, pooled):
    """Migrations go past it where that is said; health names it."""
    variables = {
        "DATABASE_URL": pgbouncer.through(database),
        "DATABASE_POOLED": pooled,
        "DATABASE_MIGRATE_URL": database,
    }
    with tierstore.blocking.open(Config.from_env(variables)) as store:
        store.schemas.register("a", "1.0.0", b"{}")
        assert store.schemas.get_latest("a").version == "1.0.0"
        assert "through a pooler" in store.health().tiers["database"].detail
