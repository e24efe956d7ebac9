"""Configuration: by the environment, by a file, in code; wrong values are refused by name and secrets stay hidden."""

import asyncio
import threading
import time

import pytest

import tierstore
from tierstore import Config, ConfigError, ObjectConfig, PostgresConfig, RedisConfig
from tierstore.config import redacted
from tierstore.store import migrator

URL = "postgresql://user:secret@db:5432/schema_registry"


@pytest.mark.requirement("S1-58", "S0-46")
def test_database_by_environment():
    config = Config.from_env(
        {
            "DATABASE_URL": URL,
            "DATABASE_MAX_CONNECTIONS": "20",
            "DATABASE_MIN_CONNECTIONS": "4",
            "DATABASE_REPLICA_URLS": "postgresql://r1/db, postgresql://r2/db",
        }
    )
    assert config.postgres == PostgresConfig(
        URL, replicas=("postgresql://r1/db", "postgresql://r2/db"), max_connections=20, min_connections=4
    )


@pytest.mark.requirement("S1-14", "S1-44")
def test_pool_defaults_are_the_documents():
    pool = PostgresConfig(URL)
    assert (pool.max_connections, pool.min_connections) == (50, 10)
    assert (pool.acquire_timeout, pool.idle_timeout, pool.max_lifetime, pool.statement_timeout) == (3, 600, 1800, 3)


@pytest.mark.requirement("S1-59", "S1-20")
def test_redis_by_environment():
    assert Config.from_env({"DATABASE_URL": URL, "REDIS_URL": "redis://localhost:6379"}).redis.ttl == 3600
    config = Config.from_env({"DATABASE_URL": URL, "REDIS_URL": "redis://localhost:6379", "REDIS_TTL_SECONDS": "60"})
    assert config.redis == RedisConfig("redis://localhost:6379", ttl=60)


@pytest.mark.requirement("S1-60", "S0-11")
def test_objects_by_environment():
    config = Config.from_env(
        {
            "DATABASE_URL": URL,
            "S3_BUCKET": "schema-registry-content",
            "S3_REGION": "eu-west-1",
            "S3_PREFIX": "schemas/",
            "S3_MIN_SIZE_BYTES": "2097152",
        }
    )
    assert config.objects == ObjectConfig(
        "schema-registry-content", region="eu-west-1", prefix="schemas/", threshold=2_097_152
    )
    assert ObjectConfig("abc").threshold == 1_048_576
    keys = {"S3_ENDPOINT_URL": "http://localhost:4566", "S3_ACCESS_KEY": "key", "S3_SECRET_KEY": "secret"}
    objects = Config.from_env({"DATABASE_URL": URL, "S3_BUCKET": "abc"} | keys).objects
    assert (objects.endpoint_url, objects.access_key, objects.secret_key) == tuple(keys.values())
    assert objects.region == "us-east-1"
    assert Config.from_env({"DATABASE_URL": URL} | keys).objects is None


@pytest.mark.requirement("S1-61", "S1-27")
def test_cache_by_environment():
    default = Config("data").cache
    assert (default.max_entries, default.ttl, default.warm_on_start, default.warm_size) == (10_000, 3600, True, 100)
    cache = Config.from_env(
        {
            "TIERSTORE_PATH": "data",
            "CACHE_L1_MAX_ENTRIES": "500",
            "CACHE_L1_TTL_SECONDS": "60",
            "CACHE_WARM_ON_STARTUP": "false",
            "CACHE_WARM_SIZE": "7",
        }
    ).cache
    assert (cache.max_entries, cache.ttl, cache.warm_on_start, cache.warm_size) == (500, 60, False, 7)


DOCUMENTS_FILE = """
[storage]
backend = { type = "postgres", url = "postgresql://db/registry" }

[storage.cache]
type = "redis"
url = "redis://localhost:6379"
ttl_seconds = 3600

[storage.s3]
bucket = "schema-registry-content"
region = "us-east-1"
prefix = "schemas/"
min_size_bytes = 1048576

[storage.pool]
max_connections = 50
min_connections = 10
acquire_timeout_secs = 3
idle_timeout_secs = 600
max_lifetime_secs = 1800
"""


@pytest.mark.requirement("S1-62")
def test_file_of_the_source_document(tmp_path):
    file = tmp_path / "tierstore.toml"
    file.write_text(DOCUMENTS_FILE)
    config = Config.from_toml(file)
    assert config.postgres == PostgresConfig("postgresql://db/registry")
    assert config.redis == RedisConfig("redis://localhost:6379")
    assert config.objects == ObjectConfig("schema-registry-content", prefix="schemas/")
    by_env = Config.from_env({"TIERSTORE_CONFIG": str(file), "REDIS_TTL_SECONDS": "9"})
    assert (by_env.redis.ttl, by_env.objects) == (9, config.objects)


def test_endpoint_falls_back_to_the_names_of_aws():
    base = {"DATABASE_URL": URL, "S3_BUCKET": "abc"}
    names = ("S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    for count in range(1, 4):
        given = {name: f"http://{name.lower()}" for name in names[-count:]}
        assert Config.from_env(base | given).objects.endpoint_url == f"http://{names[-count].lower()}"


def test_a_tier_is_off_without_its_address():
    config = Config.from_env({"TIERSTORE_PATH": "data", "REDIS_TTL_SECONDS": "5", "S3_REGION": "x"})
    assert (config.redis, config.objects, config.postgres) == (None, None, None)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "path"),
        ({"TIERSTORE_PATH": "x", "CACHE_WARM_SIZE": "many"}, "CACHE_WARM_SIZE = 'many': expected a whole number"),
        ({"TIERSTORE_PATH": "x", "CACHE_WARM_ON_STARTUP": "maybe"}, "expected true or false"),
        ({"TIERSTORE_PATH": "x", "CACHE_L1_MAX_ENTRIES": "0"}, "cache.max_entries = 0"),
        ({"TIERSTORE_PATH": "x", "CACHE_L1_TTL_SECONDS": "nan"}, "CACHE_L1_TTL_SECONDS"),
        ({"DATABASE_URL": "mysql://u:hidden@h/db"}, "postgresql://"),
        ({"DATABASE_URL": URL, "DATABASE_MIN_CONNECTIONS": "60"}, "at most max_connections"),
        ({"DATABASE_URL": URL, "TIERSTORE_PATH": "x"}, "not both"),
        ({"DATABASE_URL": URL, "REDIS_URL": "http://x"}, "redis://"),
        ({"DATABASE_URL": URL, "S3_BUCKET": "A B"}, "objects.bucket"),
        ({"DATABASE_URL": URL, "S3_BUCKET": "abc", "S3_ACCESS_KEY": "hidden"}, "both keys or neither"),
    ],
)
def test_a_wrong_value_is_refused_by_name(environment, expected):
    with pytest.raises(ConfigError) as caught:
        Config.from_env(environment)
    assert expected in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[storage]\nbackend = { url = 5 }", "postgres.url = 5"),
        ("[storage]\npaht = 'x'", "unknown setting storage.paht"),
        ("[storage.cache]\ntype = 'memcached'", "one of redis"),
        ("[storage", "not TOML"),
        ("[storage]\npath = 'x'\n[storage.l1]\nmax_entries = 'many'", "cache.max_entries = 'many'"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, expected):
    file = tmp_path / "tierstore.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=expected):
        Config.from_toml(file)


@pytest.mark.parametrize("path", ["a\0b", "", b"a", 5, "half \ud800", []])
def test_a_path_that_names_no_folder_is_refused(path):
    with pytest.raises(ConfigError, match="path"):
        Config(path)
    with pytest.raises(ConfigError, match="path"):
        tierstore.blocking.open(path)


def test_a_file_whose_name_is_no_name_is_refused():
    with pytest.raises(ConfigError, match="configuration file"):
        Config.from_toml("a\0b")


@pytest.mark.parametrize("url", [URL + "\0", URL + "\ud800"])
def test_an_address_that_no_library_takes_is_refused(url):
    with pytest.raises(ConfigError) as caught:
        PostgresConfig(url)
    assert "secret" not in str(caught.value)


def test_a_small_pool_needs_no_second_setting():
    assert PostgresConfig(URL, max_connections=5).min_connections == 5
    assert Config.from_env({"DATABASE_URL": URL, "DATABASE_MAX_CONNECTIONS": "4"}).postgres.min_connections == 4
    assert PostgresConfig(URL, max_connections=20).min_connections == 10


def test_nothing_runs_on_after_an_open_that_failed(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    before = threading.active_count()

    async def opening():
        with pytest.raises(tierstore.ConnectionError):
            await tierstore.open(blocked)
        with pytest.raises(tierstore.ConnectionError):
            async with migrator(Config(blocked)):
                pass
        return len(asyncio.all_tasks())

    assert asyncio.run(opening()) == 1
    with pytest.raises(tierstore.ConnectionError):
        tierstore.blocking.open(blocked)
    for _ in range(500):
        if threading.active_count() <= before:
            break
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        Config.from_toml(tmp_path / "absent.toml")


def test_secrets_are_not_shown():
    config = Config(
        postgres=PostgresConfig(URL, replicas=(URL,)),
        redis=RedisConfig("rediss://:secret@h"),
        objects=ObjectConfig("abc", access_key="secret", secret_key="secret"),
    )
    assert "secret" not in repr(config)
    assert redacted(URL) == "postgresql://user:***@db:5432/schema_registry"
    assert redacted("postgresql://user:sec@ret@db/x") == "postgresql://user:***@db/x"
    assert redacted("rediss://:secret@h") == "rediss://:***@h"
    assert redacted("host=h password=secret user=u") == "host=h password=*** user=u"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ('backend = {url = "user:secret@host/db"}', "postgres.url"),
        (
            'backend = {url = "postgresql://h/db"}\ns3 = {bucket = "abc", access_key = "k", secret_key = 5397}',
            "secret_key",
        ),
    ],
)
def test_a_refused_secret_is_not_shown(tmp_path, settings, named):
    file = tmp_path / "tierstore.toml"
    file.write_text(f"[storage]\n{settings}\n")
    with pytest.raises(ConfigError, match=named) as refused:
        Config.from_toml(file)
    assert "secret@" not in str(refused.value)
    assert "5397" not in str(refused.value)
