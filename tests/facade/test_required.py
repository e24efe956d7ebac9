"""What opening a store does about a tier that does not answer, and about one that is set up wrongly. In both faces."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from dataclasses import replace

import psycopg
import pytest
import redis

from tests.servers.postgres import with_database
from tests.servers.redis import Redis
from tests.servers.redis_impostor import Refuser
from tierstore import (
    CacheConfig,
    Config,
    ConfigError,
    ConnectionError,
    Gates,
    ObjectConfig,
    PostgresConfig,
    RedisConfig,
    SentinelConfig,
)
from tierstore.store import Store
from tierstore.telemetry import OFF

NOBODY = "127.0.0.1:9"
SOON_S = 5.0
"""The budget of an optional tier, and what a busy machine adds."""
PASSWORD = "only-for-tests"


def silent(stack):
    """Where a server accepts connections and says nothing."""
    listener = stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0))))
    return f"127.0.0.1:{listener.getsockname()[1]}"


def by_url(place):
    return RedisConfig(f"redis://{place}")


def by_sentinel(place):
    host, port = place.split(":")
    return RedisConfig(sentinel=SentinelConfig(((host, int(port)),), "tiers"))


def by_cluster(place):
    return RedisConfig(cluster=(f"redis://{place}",))


def objects_at(place):
    return ObjectConfig("bucket", endpoint_url=f"http://{place}", access_key="key", secret_key="key")


def opened(face, config):
    return face.run(Store.opened, config, face.runtime(), OFF)


def embedded(tmp_path, **tiers):
    return Config(tmp_path / "store", cache=CacheConfig(warm_on_start=False), **tiers)


@pytest.mark.requirement("S0-68", "S0-69")
@pytest.mark.parametrize("place", ["refused", "silent"])
@pytest.mark.parametrize(
    ("tier", "make", "named"),
    [
        ("redis", by_url, "Redis"),
        ("redis", by_sentinel, "Redis"),
        ("redis", by_cluster, "Redis"),
        ("objects", objects_at, "the object store"),
    ],
)
def test_a_tier_that_does_not_answer_is_a_warning(face, tmp_path, caplog, place, tier, make, named):
    with contextlib.ExitStack() as stack:
        policy = make(NOBODY if place == "refused" else silent(stack))
        if tier == "objects":
            policy = replace(policy, read_timeout=0.5)
        began = time.monotonic()
        with caplog.at_level(logging.WARNING, "tierstore"):
            store = opened(face, embedded(tmp_path, **{tier: policy}))
        assert time.monotonic() - began < SOON_S
        try:
            schema = face.run(store.schemas.register, "orders", "1.0.0", b"{}")
            assert face.run(store.schemas.get, schema.id) == schema
            health = face.run(store.health)
            assert any(named in warning for warning in health.warnings)
            assert not health.ok
        finally:
            face.run(store.close)
    assert any(named in record.getMessage() for record in caplog.records)


def opens_and_says_so(face, config):
    """The store works, and says what did not answer."""
    store = opened(face, config)
    try:
        schema = face.run(store.schemas.register, "orders", "1.0.0", b"{}")
        assert face.run(store.schemas.get, schema.id) == schema
        health = face.run(store.health)
        assert any("did not answer when the store was opened" in warning for warning in health.warnings)
        assert not health.ok
    finally:
        face.run(store.close)


@pytest.mark.parametrize(
    "error",
    [
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script",
        "ERR max number of clients reached",
        "MISCONF Redis is configured to save RDB snapshots",
        "NOREPLICAS Not enough good replicas to write",
        "EXECABORT something that nobody knows",
    ],
)
def test_a_redis_that_refuses_everything_is_a_warning(face, tmp_path, error):
    with contextlib.closing(Refuser(error)) as server:
        opens_and_says_so(face, embedded(tmp_path, redis=by_url(f"127.0.0.1:{server.port}")))


def test_a_redis_that_is_paused_is_a_warning(face, database, redis_server):
    redis_server.pause()
    postgres = PostgresConfig(database, min_connections=1)
    config = Config(postgres=postgres, redis=RedisConfig(redis_server.url), cache=CacheConfig(warm_on_start=False))
    opens_and_says_so(face, config)


@pytest.mark.requirement("S0-10", "S0-13")
@pytest.mark.parametrize(
    ("tier", "make", "said"),
    [
        ("redis", by_url, "failed to create redis client"),
        ("redis", by_sentinel, "failed to create redis client"),
        ("redis", by_cluster, "failed to create redis client"),
        ("objects", objects_at, "failed to create s3 client"),
    ],
)
def test_a_required_tier_that_does_not_answer_is_an_error(face, tmp_path, tier, make, said):
    with pytest.raises(ConnectionError, match=said):
        opened(face, embedded(tmp_path, **{tier: replace(make(NOBODY), required=True)}))


def test_a_tier_that_comes_later_is_used_and_warned_of_no_more(face, tmp_path):
    server = Redis()
    store = opened(face, embedded(tmp_path, redis=by_url(f"127.0.0.1:{server.port}")))
    try:
        assert face.run(store.health).warnings
        server.start()
        ends = time.monotonic() + 10
        while not (health := face.run(store.health)).ok:
            assert time.monotonic() < ends, health
            time.sleep(0.1)
        assert not any("Redis" in warning for warning in health.warnings)
    finally:
        face.run(store.close)
        server.close()


def test_a_bucket_that_comes_later_is_prepared_by_the_first_call(face, tmp_path, s3_server, bucket):
    objects = ObjectConfig(
        bucket,
        region=s3_server.region,
        endpoint_url=s3_server.endpoint_url,
        access_key=s3_server.access_key,
        secret_key=s3_server.secret_key,
        versioning=True,
    )
    s3_server.stop()
    store = opened(face, embedded(tmp_path, objects=objects))
    try:
        s3_server.start()
        made = face.run(store.schemas.register, "large", "1.0.0", b'"' + b"x" * 1_100_000 + b'"')
        assert face.run(store.schemas.get, made.id).placement == "object"
        assert s3_server.client().get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    finally:
        face.run(store.close)


@pytest.fixture(scope="module")
def guarded(redis_server):
    """A Redis whose account `app` may do nothing but log in."""
    with redis.Redis(port=redis_server.port) as client:
        client.execute_command("ACL", "SETUSER", "nobody", "reset", "on", f">{PASSWORD}", "+@connection")
        yield redis_server
        client.execute_command("ACL", "DELUSER", "nobody")


def wrong_password(request):
    return {"redis": RedisConfig(f"redis://nobody:wrong@127.0.0.1:{request.getfixturevalue('guarded').port}")}


def no_rights(request):
    return {"redis": RedisConfig(f"redis://nobody:{PASSWORD}@127.0.0.1:{request.getfixturevalue('guarded').port}")}


def tls_to_a_server_without(request):
    return {"redis": RedisConfig(request.getfixturevalue("s3_server").endpoint_url.replace("http:", "rediss:"))}


def no_cluster(request):
    return {"redis": RedisConfig(cluster=(request.getfixturevalue("redis_server").url,))}


def wrong_password_of_the_cluster(request):
    urls = request.getfixturevalue("redis_cluster").urls
    return {"redis": RedisConfig(cluster=tuple(url.replace("//", "//nobody:wrong@") for url in urls))}


def unknown_service(request):
    servers = request.getfixturevalue("redis_sentinel")
    return {"redis": RedisConfig(sentinel=SentinelConfig(servers.hosts, "unknown"))}


def wrong_password_behind_sentinel(request):
    servers = request.getfixturevalue("redis_sentinel")
    account = {"username": "nobody", "password": "wrong"}
    return {"redis": RedisConfig(sentinel=SentinelConfig(servers.hosts, servers.service, **account))}


def objects(request, **settings):
    server = request.getfixturevalue("s3_server")
    given = {"region": server.region, "endpoint_url": server.endpoint_url}
    given |= {"access_key": server.access_key, "secret_key": server.secret_key}
    return {"objects": ObjectConfig(**({"bucket": "bucket"} | given | settings))}


def absent_bucket(request):
    return objects(request, bucket="no-such-bucket")


def wrong_key(request):
    return objects(request, bucket=request.getfixturevalue("bucket"), secret_key="wrong")


def https_to_a_plain_port(request):
    address = request.getfixturevalue("s3_server").endpoint_url.replace("http:", "https:")
    return objects(request, endpoint_url=address)


@pytest.mark.parametrize(
    "make",
    [
        wrong_password,
        no_rights,
        tls_to_a_server_without,
        no_cluster,
        wrong_password_of_the_cluster,
        unknown_service,
        wrong_password_behind_sentinel,
        absent_bucket,
        wrong_key,
        https_to_a_plain_port,
    ],
)
def test_a_wrong_setting_is_never_an_outage(face, tmp_path, request, make):
    config = embedded(tmp_path, on_unavailable="memory", **make(request))
    with pytest.raises(ConfigError) as refused:
        opened(face, config)
    assert "failed to create" in str(refused.value)


def databases(url):
    return {
        "a wrong password": url.replace(f":{PASSWORD}@", ":wrong@"),
        "an absent database": with_database(url, "absent"),
        "TLS that the server lacks": url + "?sslmode=require",
        "an unknown TLS mode": url + "?sslmode=bogus",
        "an unknown setting": url + "?options=-cnonsense%3D1",
    }


@pytest.mark.parametrize("what", databases(""))
@pytest.mark.parametrize("on_unavailable", ["raise", "memory"])
def test_a_database_that_refuses_is_never_an_outage(face, database, what, on_unavailable):
    policy = PostgresConfig(databases(database)[what], min_connections=0)
    with pytest.raises(ConfigError) as refused:
        opened(face, Config(postgres=policy, on_unavailable=on_unavailable))
    assert "PostgreSQL" in str(refused.value)
    assert "wrong@" not in str(refused.value)


def test_a_database_that_is_away_may_be_replaced_by_memory(face, database):
    """Nobody listens there; or it has too many clients just now."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE crowded LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0")
    crowded = database.replace("//tierstore:", "//crowded:")
    try:
        for address in (f"postgresql://{NOBODY}/x", "postgresql://nowhere.invalid/x", crowded):
            config = Config(postgres=PostgresConfig(address, min_connections=0))
            with pytest.raises(ConnectionError):
                opened(face, config)
            store = opened(face, replace(config, on_unavailable="memory"))
            assert any("only until the store closes" in warning for warning in face.run(store.health).warnings)
            face.run(store.close)
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("DROP ROLE crowded")


def test_a_closed_gate_asks_for_nothing(face, tmp_path):
    tiers = {"redis": replace(by_url(NOBODY), required=True), "objects": replace(objects_at(NOBODY), required=True)}
    store = opened(face, embedded(tmp_path, gates=Gates(redis=False, objects=False), **tiers))
    assert face.run(store.health).ok
    face.run(store.close)
