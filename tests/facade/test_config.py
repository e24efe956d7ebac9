"""Configuration: by the environment, by a file, in code; wrong values are refused by name and secrets stay hidden."""

import asyncio
import dataclasses
import json
import threading
import time
from operator import attrgetter

import pytest

import tierstore
from tests.house import configuration_page
from tierstore import Config, ConfigError, Gates, ObjectConfig, PostgresConfig, RedisConfig, SentinelConfig
from tierstore.backends.postgres.records import PostgresRecords
from tierstore.backends.redis.link import Account
from tierstore.backends.s3.client import make_client
from tierstore.config import redacted, setting
from tierstore.runtime import ThreadsRuntime
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
    assert objects.region is None
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
    assert config.objects == ObjectConfig("schema-registry-content", region="us-east-1", prefix="schemas/")
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
        (
            {"TIERSTORE_PATH": "x", "CACHE_WARM_SIZE": "many"},
            "must be a whole number, 0 or more, got 'many' (given by CACHE_WARM_SIZE)",
        ),
        ({"TIERSTORE_PATH": "x", "CACHE_WARM_ON_STARTUP": "maybe"}, "must be true or false"),
        ({"TIERSTORE_PATH": "x", "CACHE_L1_MAX_ENTRIES": "0"}, "cache.max_entries must be"),
        ({"TIERSTORE_PATH": "x", "CACHE_L1_TTL_SECONDS": "nan"}, "CACHE_L1_TTL_SECONDS"),
        ({"DATABASE_URL": "mysql://u:hidden@h/db"}, "postgresql://"),
        ({"DATABASE_URL": URL, "DATABASE_MIN_CONNECTIONS": "60"}, "at most max_connections"),
        ({"DATABASE_URL": URL, "TIERSTORE_PATH": "x"}, "exactly one of path"),
        ({"DATABASE_URL": URL, "REDIS_URL": "http://x"}, "redis://"),
        ({"DATABASE_URL": URL, "S3_BUCKET": "A B"}, "objects.bucket"),
        ({"DATABASE_URL": URL, "S3_BUCKET": "abc", "S3_ACCESS_KEY": "hidden"}, "or neither"),
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
        ("[storage]\nbackend = { url = 5 }", "postgres.url must be .*, got 5"),
        ("[storage]\npaht = 'x'", "unknown setting storage.paht"),
        ("[storage.cache]\ntype = 'memcached'", "one of redis"),
        ("[storage", "not TOML"),
        ("[storage]\npath = 'x'\n[storage.l1]\nmax_entries = 'many'", "cache.max_entries must be .*, got 'many'"),
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
            await tierstore.open(blocked / "store")
        with pytest.raises(tierstore.ConnectionError):
            async with migrator(Config(blocked / "store")):
                pass
        return len(asyncio.all_tasks())

    assert asyncio.run(opening()) == 1
    with pytest.raises(tierstore.ConnectionError):
        tierstore.blocking.open(blocked / "store")
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


def policies(policy, place=""):
    """Every field that is no policy of its own, with the place of its policy."""
    for item in dataclasses.fields(policy):
        inner = setting.nested(setting.field_types(policy)[item.name])
        if inner is None:
            yield f"{place}{item.name}", item
        else:
            yield from policies(inner, f"{place}{item.name}.")


def unreachable(policy):
    """The fields that lack a variable or a key in a file."""
    found = [(name, item.metadata.get(setting.KEY)) for name, item in policies(policy)]
    return [name for name, named in found if named is None or not (named.env and named.toml)]


def test_every_field_has_a_variable_and_a_key_of_its_own():
    assert unreachable(Config) == []
    known = [known.setting for known in setting.settings(Config)]
    for names in (
        [name for one in known for name in (*one.env, *one.fallbacks)],
        [name for one in known for name in one.toml],
    ):
        assert len(set(names)) == len(names)


def test_a_field_without_names_is_noticed():
    bare = [("width", int, 1), ("height", int, dataclasses.field(default=1, metadata=setting.named("HEIGHT")))]
    policy = dataclasses.make_dataclass("Bare", bare, bases=(setting.Policy,), frozen=True, slots=True)
    assert unreachable(policy) == ["width", "height"]


EVERYTHING = {
    "postgres.url": ("DATABASE_URL", URL, URL),
    "postgres.schema": ("DATABASE_SCHEMA", "team_a", "team_a"),
    "postgres.migrate_url": ("DATABASE_MIGRATE_URL", "postgresql://owner@h/d", "postgresql://owner@h/d"),
    "postgres.pooled": ("DATABASE_POOLED", "true", True),
    "postgres.acquire_timeout": ("DATABASE_ACQUIRE_TIMEOUT_SECONDS", "1.5", 1.5),
    "postgres.idle_timeout": ("DATABASE_IDLE_TIMEOUT_SECONDS", "60", 60),
    "postgres.max_lifetime": ("DATABASE_MAX_LIFETIME_SECONDS", "90", 90),
    "postgres.statement_timeout": ("DATABASE_STATEMENT_TIMEOUT_SECONDS", "2", 2),
    "redis.sentinel.hosts": (
        "REDIS_SENTINEL_HOSTS",
        "sentinel-a:26379, [2001:db8::7]:26380",
        (("sentinel-a", 26379), ("2001:db8::7", 26380)),
    ),
    "redis.sentinel.service": ("REDIS_SENTINEL_SERVICE", "primary", "primary"),
    "redis.sentinel.username": ("REDIS_SENTINEL_USERNAME", "app", "app"),
    "redis.sentinel.password": ("REDIS_SENTINEL_PASSWORD", "secret", "secret"),
    "redis.sentinel.db": ("REDIS_SENTINEL_DB", "3", 3),
    "redis.sentinel.sentinel_username": ("REDIS_SENTINEL_SENTINEL_USERNAME", "watcher", "watcher"),
    "redis.sentinel.sentinel_password": ("REDIS_SENTINEL_SENTINEL_PASSWORD", "secret too", "secret too"),
    "redis.sentinel.tls": ("REDIS_SENTINEL_TLS", "true", True),
    "redis.sentinel.sentinel_tls": ("REDIS_SENTINEL_SENTINEL_TLS", "true", True),
    "redis.sentinel.tls_ca_file": ("REDIS_SENTINEL_TLS_CA_FILE", "/ca.pem", "/ca.pem"),
    "redis.sentinel.tls_cert_file": ("REDIS_SENTINEL_TLS_CERT_FILE", "/own.pem", "/own.pem"),
    "redis.sentinel.tls_key_file": ("REDIS_SENTINEL_TLS_KEY_FILE", "/own.key", "/own.key"),
    "redis.sentinel.tls_check_hostname": ("REDIS_SENTINEL_TLS_CHECK_HOSTNAME", "no", False),
    "redis.prefix": ("REDIS_PREFIX", "app:", "app:"),
    "redis.ttl_by_kind": ("REDIS_TTL_BY_KIND", "module=60", {"module": 60}),
    "redis.soft_timeout": ("REDIS_SOFT_TIMEOUT_SECONDS", "0.1", 0.1),
    "redis.hard_timeout": ("REDIS_HARD_TIMEOUT_SECONDS", "0.5", 0.5),
    "objects.bucket": ("S3_BUCKET", "abc", "abc"),
    "objects.versioning": ("S3_VERSIONING", "true", True),
    "objects.expire_noncurrent_days": ("S3_EXPIRE_NONCURRENT_DAYS", "30", 30),
    "objects.connect_timeout": ("S3_CONNECT_TIMEOUT_SECONDS", "2", 2),
    "objects.read_timeout": ("S3_READ_TIMEOUT_SECONDS", "7", 7),
    "objects.threads": ("S3_THREADS", "4", 4),
    "cache.max_bytes": ("CACHE_L1_MAX_BYTES", "1000000", 1_000_000),
    "cache.ttl_by_kind": ("CACHE_L1_TTL_BY_KIND", "schema=60, module=1.5", {"schema": 60, "module": 1.5}),
    "cache.search_bytes": ("CACHE_SEARCH_BYTES", "0", 0),
    "deadlines.search": ("TIERSTORE_SEARCH_TIMEOUT_SECONDS", "4", 4),
    "gates.replicas": ("TIERSTORE_USE_REPLICAS", "no", False),
    "migrate": ("TIERSTORE_MIGRATE", "check", "check"),
    "on_unavailable": ("TIERSTORE_ON_UNAVAILABLE", "memory", "memory"),
}
"""Setting: its variable, a text in it, the value that this stands for."""


def test_variables_and_file_reach_what_code_can_say(tmp_path):
    by_env = Config.from_env({variable: text for variable, text, _ in EVERYTHING.values()})
    keys = {known.name: known.setting.toml[0] for known in setting.settings(Config)}
    lines = []
    for name, (_, text, value) in EVERYTHING.items():
        if isinstance(value, dict):
            lines += [f"{keys[name]}.{kind} = {seconds}" for kind, seconds in value.items()]
        else:
            lines.append(f"{keys[name]} = {json.dumps(text if isinstance(value, tuple) else value)}")
    file = tmp_path / "tierstore.toml"
    file.write_text("\n".join(lines))
    by_file = Config.from_toml(file)
    for name, (_, _, value) in EVERYTHING.items():
        assert attrgetter(name)(by_env) == attrgetter(name)(by_file) == value
    assert by_env == by_file
    assert "secret" not in repr(by_env)


def test_a_file_lists_sentinels_and_nodes(tmp_path):
    file = tmp_path / "tierstore.toml"
    sentinel = 'sentinel = {hosts = ["a:1", "[::1]:2"], service = "primary"}'
    file.write_text(f'[storage]\npath = "data"\ncache.{sentinel}\n')
    assert Config.from_toml(file).redis == RedisConfig(sentinel=SentinelConfig((("a", 1), ("::1", 2)), "primary"))
    nodes = ("redis://a:1", "redis://b:2")
    by_env = Config.from_env({"TIERSTORE_PATH": "data", "REDIS_CLUSTER_URLS": ",".join(nodes)})
    file.write_text(f"[storage]\npath = 'data'\ncache.cluster = {json.dumps(nodes)}\n")
    assert by_env.redis == Config.from_toml(file).redis == RedisConfig(cluster=nodes)


def test_the_region_of_other_programs_is_asked_last():
    base = {"DATABASE_URL": URL, "S3_BUCKET": "abc"}
    names = ("S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
    for count in range(1, 4):
        given = {name: name.lower() for name in names[-count:]}
        assert Config.from_env(base | given).objects.region == names[-count].lower()


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        ({"REDIS_SENTINEL_HOSTS": "a"}, ("redis.sentinel", "REDIS_SENTINEL_SERVICE", "missing")),
        (
            {"REDIS_SENTINEL_HOSTS": "::1:26379", "REDIS_SENTINEL_SERVICE": "x"},
            ("redis.sentinel.hosts", "got '::1:26379'", "in brackets", "REDIS_SENTINEL_HOSTS"),
        ),
        (
            {"REDIS_SENTINEL_HOSTS": "a:99999", "REDIS_SENTINEL_SERVICE": "x"},
            ("redis.sentinel.hosts", "99999", "host:port"),
        ),
        ({"REDIS_URL": "redis://a", "REDIS_CLUSTER_URLS": "redis://b"}, ("exactly one of", "url", "cluster")),
        ({"REDIS_URL": "redis://a", "REDIS_PREFIX": "{app}"}, ("redis.prefix", "got '{app}'", "REDIS_PREFIX")),
        ({"REDIS_URL": "redis//u:hidden@a"}, ("redis.url", "REDIS_URL", "rediss://")),
        ({"S3_BUCKET": "abc", "S3_THREADS": "0"}, ("objects.threads", "got 0", "1 or more", "S3_THREADS")),
        ({"S3_BUCKET": "abc", "S3_VERSIONING": "perhaps"}, ("objects.versioning", "true or false", "S3_VERSIONING")),
        ({"CACHE_L1_TTL_BY_KIND": "schema"}, ("cache.ttl_by_kind", "number of seconds", "CACHE_L1_TTL_BY_KIND")),
        ({"TIERSTORE_MIGRATE": "later"}, ("migrate", "got 'later'", "auto, check, never", "TIERSTORE_MIGRATE")),
        ({"TIERSTORE_OPEN_TIMEOUT_SECONDS": "-1"}, ("deadlines.open", "got '-1'", "0.001 or more")),
    ],
)
def test_an_error_names_setting_value_expectation_and_origin(variables, parts):
    with pytest.raises(ConfigError) as refused:
        Config.from_env({"TIERSTORE_PATH": "data"} | variables)
    assert all(part in str(refused.value) for part in parts), refused.value
    assert "hidden" not in str(refused.value)


def test_a_wrong_value_of_a_file_names_key_and_file(tmp_path):
    file = tmp_path / "tierstore.toml"
    file.write_text("[storage]\npath = 'data'\ncache = {url = 'redis://a', soft_timeout_seconds = 'long'}\n")
    with pytest.raises(ConfigError) as refused:
        Config.from_toml(file)
    parts = ("redis.soft_timeout", "got 'long'", "number of seconds", "storage.cache.soft_timeout_seconds", str(file))
    assert all(part in str(refused.value) for part in parts), refused.value
    assert refused.value.key == "redis.soft_timeout"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: ObjectConfig("abc", versioning="yes"), "objects.versioning"),
        (lambda: ObjectConfig("abc", connect_timeout=-1), "objects.connect_timeout"),
        (lambda: ObjectConfig("abc", expire_noncurrent_days=0), "objects.expire_noncurrent_days"),
        (lambda: PostgresConfig(URL, replicas=URL), "postgres.replicas"),
        (lambda: PostgresConfig(None), "postgres.url"),
        (lambda: RedisConfig("redis://a", prefix=None), "redis.prefix"),
        (lambda: RedisConfig(sentinel=SentinelConfig((("a", "1"),), "x")), "redis.sentinel.hosts"),
        (lambda: Config("data", redis="redis://a"), "redis"),
        (lambda: Config("data", gates=Gates(redis="no")), "gates.redis"),
    ],
)
def test_code_is_checked_like_files(make, name):
    with pytest.raises(ConfigError) as refused:
        make()
    assert str(refused.value).startswith(f"{name} must be ")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "https://app:secret@store.internal",
        "https://app:se cret@store.internal",
        "https://app:se/cret?secret@store.internal",
        "https://store.internal?password=secret&x=1",
    ],
)
def test_an_address_is_shown_without_its_password(address):
    shown = repr(ObjectConfig("abc", endpoint_url=address))
    assert "store.internal" in shown
    assert "cret" not in shown


def test_what_drivers_hold_shows_no_password():
    held = [Account("app", "secret"), PostgresRecords(ThreadsRuntime(), URL)._policy]
    assert "secret" not in repr(held)


def test_the_page_of_settings_is_what_the_fields_give():
    assert configuration_page.TARGET.read_text() == configuration_page.page()
    for known in setting.settings(Config):
        assert f"| `{known.name}` | `{known.setting.env[0]}`" in configuration_page.page()


def test_every_field_says_what_it_does():
    for policy in (
        Config,
        *filter(None, (setting.nested(kind) for kind in setting.field_types(Config).values())),
        SentinelConfig,
    ):
        named = {item.name for item in dataclasses.fields(policy) if setting.KEY in item.metadata}
        assert named <= configuration_page.documented(policy).keys()


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "us-east-1"), ({"region": "ap-south-1"}, "ap-south-1")],
)
@pytest.mark.parametrize("profile", [None, "eu-central-1"])
def test_the_region_is_that_of_the_profile_where_none_is_given(monkeypatch, tmp_path, profile, given, expected):
    file = tmp_path / "profile"
    file.write_text("" if profile is None else f"[default]\nregion = {profile}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    client = make_client(ObjectConfig("bucket", access_key="a", secret_key="b", **given))
    assert client.meta.region_name == (profile if profile and not given else expected)
