"""A database that takes questions and never answers: what L1 has is served, marked stale, and whoever needs the truth is told in time."""

from __future__ import annotations

import pytest

from tests.clock import BUSY_S
from tests.faults.waiting import until
from tierstore import CacheConfig, Config, PostgresConfig, RedisConfig, TimeoutError
from tierstore.store import Store, parts_of
from tierstore.telemetry import OFF
from tierstore.tiers import fail_safe

CONTENT = b'{"type": "object"}'
NOBODY = "01a1fc6e-5986-7068-ba77-4ac86f76970e"
CALL_S = 1.0


@pytest.fixture(params=["postgres", "postgres and redis"])
def config(request, database, tmp_path) -> Config:
    postgres = PostgresConfig(database, max_connections=4, min_connections=1)
    redis = None
    if request.param == "postgres and redis":
        redis = RedisConfig(request.getfixturevalue("redis_server").url, prefix=tmp_path.name)
    return Config(postgres=postgres, redis=redis, cache=CacheConfig(warm_on_start=False))


def reads_of(schemas, id, **more):
    """Every read by key, of one schema."""
    return {
        "get": lambda: schemas.get(id, **more),
        "get_version": lambda: schemas.get_version("orders", "1.0.0", **more),
        "get_latest": lambda: schemas.get_latest("orders", **more),
        "get_many": lambda: schemas.get_many([id], **more),
        "get_latest_many": lambda: schemas.get_latest_many(["orders"], **more),
    }


async def answer_of(read):
    found = await read()
    return found[0] if isinstance(found, list) else found


def test_what_is_cached_is_served_and_the_truth_is_refused_in_time(face, config, postgres, monkeypatch):
    monkeypatch.setattr(fail_safe, "SILENT_S", CALL_S)

    async def story():
        async with await Store.opened(config, face.runtime(), OFF) as store:
            schemas, engine = store.schemas, parts_of(store).engine
            clock = engine.runtime.monotonic
            schema = await schemas.register("orders", "1.0.0", CONTENT)
            for read in reads_of(schemas, schema.id).values():
                while (await answer_of(read)).meta.tier != "l1":
                    pass  # news of the registration may refuse a fill
            tries, engine.silence.is_to_be_tried = engine.silence.is_to_be_tried, lambda: False
            postgres.pause()
            await until(engine.runtime, lambda: not (engine.freshness.is_fresh() or engine.l2_fresh()))

            async def is_late(id, **more):
                began = clock()
                with pytest.raises(TimeoutError):
                    await schemas.get(id, timeout=CALL_S / 4, **more)
                assert clock() - began < CALL_S / 4 + BUSY_S

            for way in ("session", "any"):
                for name, read in reads_of(schemas, schema.id, timeout=CALL_S, read=way).items():
                    began = clock()
                    found = await answer_of(read)
                    assert clock() - began < CALL_S + BUSY_S
                    assert found.content == CONTENT
                    assert found.meta.stale or way == "any", name
            assert (await schemas.get(schema.id, read="bounded:1h")).content == CONTENT
            await is_late(schema.id, read="latest")
            await is_late(schema.id, read="bounded:500ms")
            await is_late(NOBODY)

            assert engine.silence.lasts()
            loads = engine.statistics()["loads"]
            for read in reads_of(schemas, schema.id).values():
                assert (await answer_of(read)).meta.stale
            assert engine.statistics()["loads"] == loads, "nobody waits for it any more"
            engine.silence.is_to_be_tried = tries

            postgres.resume()
            await until(engine.runtime, engine.freshness.is_fresh)
            assert not (await schemas.get(schema.id)).meta.stale
            assert not (await schemas.get(schema.id, read="latest")).meta.stale

    face.run(story)
