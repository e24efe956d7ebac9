"""The schema store over L2: what lies in Redis, for how long, and how the reads divide over the tiers."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import redis

from tests.contract.schema_stores import FACES, opened, server_config
from tierstore import CacheConfig, RedisConfig, codec
from tierstore.backends.redis.key_value import HEADER_BYTES
from tierstore.store import parts_of
from tierstore.stores.schemas import Schema

pytestmark = pytest.mark.usefixtures("redis_server")
SCHEMAS = 400
ENVELOPE_BYTES = 32
TTL_S = 120


@pytest.fixture(params=FACES)
def face_name(request):
    return request.param


@pytest.fixture
def config(request, redis_server):
    """All servers, and an L1 of one entry so that reads reach L2."""
    redis_server.flush()
    return replace(server_config(request), cache=CacheConfig(max_entries=1, warm_on_start=False))


async def register_many(schemas, count):
    items = [
        {"subject": f"subject.{number}", "version": "1.0.0", "content": b'{"n": %d}' % number}
        for number in range(count)
    ]
    return [schema.id for schema in await schemas.register_many(items)]


def until_l2_hits(store, ids):
    """L2 is read from the first echo on: read until it answers."""

    async def read(schemas):
        parts_of(store.store).engine.flush()
        await schemas.get_many(ids)
        return (await schemas.statistics()).hit_rates["l2"]

    while not store.run(read):
        pass


@pytest.mark.requirement("S1-24", "S1-25", "S1-20")
def test_values_in_redis_are_checked_binary_records_with_a_ttl(config, face_name, redis_server):
    config = replace(config, redis=RedisConfig(redis_server.url, ttl=TTL_S))
    client = redis.Redis.from_url(redis_server.url)
    with opened("redis", face_name, config) as store:
        (id,) = store.run(register_many, 1)
        until_l2_hits(store, [id])
        (key,) = [key for key in client.keys("ts1:*") if key.endswith(id.encode())]
        value = client.get(key)
        found = codec.decode(value[HEADER_BYTES:], key=key)
        assert isinstance(found, Schema)
        assert found == store.run(lambda schemas: schemas.get(id))
        body = value[HEADER_BYTES + ENVELOPE_BYTES :]
        assert body.startswith(b"\x24" + id.encode()), "bincode: a length and the bytes of the first field"
        assert 0 < client.pttl(key) <= TTL_S * 1000
        assert "redis" in store.face.run(store.store.health).tiers["l2"].detail


def test_rubbish_in_redis_is_a_counted_miss_that_is_replaced(config, face_name, redis_server):
    client = redis.Redis.from_url(redis_server.url)
    with opened("redis", face_name, config) as store:
        ids = store.run(register_many, 3)
        until_l2_hits(store, ids)
        keys = [key for key in client.keys("ts1:*") if key.endswith(ids[0].encode())]
        value = client.get(keys[0])
        bent = value[:-1] + bytes([value[-1] ^ 1])
        for rubbish in (b"", b"x", value[:HEADER_BYTES], value[:-1], bent, value[:HEADER_BYTES] + b"\x80\x04pickle"):
            client.set(keys[0], rubbish)
            parts_of(store.store).engine.flush()
            found = store.run(lambda schemas: schemas.get_many(ids))
            assert [schema.content for schema in found] == [b'{"n": 0}', b'{"n": 1}', b'{"n": 2}']
        assert client.get(keys[0])[HEADER_BYTES:] == value[HEADER_BYTES:]
        assert parts_of(store.store).tier_statistics()["l2_corrupt"] >= 3


@pytest.mark.requirement("S1-23")
def test_l2_answers_more_than_95_percent(config, face_name):
    with opened("redis", face_name, config) as store:
        ids = store.run(register_many, 50)
        until_l2_hits(store, ids)

        async def read(schemas):
            for _ in range(60):
                assert None not in await schemas.get_many(ids)
            return (await schemas.statistics()).hit_rates["l2"]

        assert store.run(read) > 0.95


@pytest.mark.requirement("S1-39")
def test_the_reads_divide_over_the_tiers(config, face_name):
    """A Pareto pattern over a cache of a twentieth of the keys: most reads end in L1, nearly all others in L2."""
    config = replace(config, cache=CacheConfig(max_entries=SCHEMAS // 20, warm_on_start=False))
    chance = random.Random(39)
    chosen = [min(int(chance.paretovariate(1.16) * 4) - 4, SCHEMAS - 1) for _ in range(6_000)]
    with opened("redis", face_name, config) as store:
        ids = store.run(register_many, SCHEMAS)
        until_l2_hits(store, ids)
        before = parts_of(store.store).tier_statistics()

        async def read(schemas):
            for number in chosen:
                assert await schemas.get(ids[number]) is not None

        store.run(read)
        after = parts_of(store.store).tier_statistics()
        l1, l2, database = (after[name] - before[name] for name in ("l1_hits", "l2_hits", "loads"))
        assert (l1 + l2) / len(chosen) > 0.95
        assert l1 / len(chosen) > 0.55
        assert l2 / len(chosen) > 0.1
        assert database / len(chosen) < 0.05


@pytest.mark.requirement("S1-29")
def test_l1_holds_a_hundred_schemas_in_about_a_megabyte(request, face_name):
    """Schemas of 8 KB: the bound by bytes that L1 keeps counts content and record."""
    config = replace(server_config(request), cache=CacheConfig(warm_on_start=False))
    content = b'"' + b"x" * 8_190 + b'"'

    async def fill(schemas):
        items = [{"subject": f"memory.{number}", "version": "1.0.0", "content": content} for number in range(100)]
        return [schema.id for schema in await schemas.register_many(items)]

    def entries(store):
        return parts_of(store.store).engine.statistics()["l1_entries"]

    with opened("redis", face_name, config) as store:
        ids = store.run(fill)
        while entries(store) < len(ids):  # the first words of a carrier may flush L1
            store.run(lambda schemas: schemas.get_many(ids))
        kinds = parts_of(store.store).engine.kinds.values()
        weight = sum(kind.l1.cache.stats().weight for kind in kinds)
        assert 100 * len(content) < weight < 1_100_000
