"""No password leaves: whatever it is, wherever it is given, and however somebody looks at what comes of it."""

from __future__ import annotations

import asyncio
import logging
import urllib.parse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tierstore
from tests.said import said
from tierstore import Config, Deadlines, ObjectConfig, PostgresConfig, RedisConfig
from tierstore.backends.postgres.connection import arguments
from tierstore.backends.postgres.pool import PoolPolicy
from tierstore.backends.postgres.pooling import Pooling
from tierstore.backends.redis.link import Account
from tierstore.cli.invocation import fail
from tierstore.config import redacted
from tierstore.config.secrets import redacted_address
from tierstore.errors import StorageError

MARK = "tops3cret"
SIGNS = "/#?@ \t,:;&=%'\"\\[]{}<>$+!*()|^~`.é\u00a0"
PASSWORDS = st.tuples(st.text(SIGNS + "aZ0", max_size=6), st.text(SIGNS + "aZ0", max_size=6)).map(
    lambda around: f"{around[0]}{MARK}{around[1]}"
)
ADDRESSES = [
    "postgresql://app:{}@127.0.0.1:1/db",
    "postgres://app:{}@127.0.0.1:1,[::1]:1/db?sslmode=disable",
    "postgresql://127.0.0.1:1/db?user=app&password={}",
    "postgresql://:{}@127.0.0.1:1/",
    "redis://:{}@127.0.0.1:1/0",
    "rediss://app:{}@127.0.0.1:1",
    "valkey://app:{}@127.0.0.1:1",
    "redis://127.0.0.1:1?password={}",
    "unix://app:{}@/nowhere/redis.sock",
    "https://app:{}@127.0.0.1:1",
]
WORDS = ["host=127.0.0.1 user=app password={} dbname=d", "host=h password='{}' dbname=d", "app:{}@127.0.0.1:1"]
VARIABLES = [
    "DATABASE_URL",
    "DATABASE_REPLICA_URLS",
    "DATABASE_MIGRATE_URL",
    "REDIS_URL",
    "REDIS_CLUSTER_URLS",
    "REDIS_SENTINEL_HOSTS",
    "REDIS_SENTINEL_PASSWORD",
    "S3_BUCKET",
    "S3_ENDPOINT_URL",
    "S3_SECRET_KEY",
    "TIERSTORE_PATH",
    "TIERSTORE_MIGRATE",
    "CACHE_L1_MAX_ENTRIES",
    "DATABASE_MAX_CONNECTIONS",
]
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def looks(make) -> str:
    """What can be seen of what `make` gives, or of its error."""
    try:
        made = make()
    except StorageError as error:
        return said(error) + redacted(str(error))
    return f"{made!r} {made} {[made]} {redacted(repr(made))}"


@pytest.mark.parametrize(
    "password", [f"'{MARK}", f"' {MARK}", f"' Z={MARK}", f" Z={MARK}", f"a' Z='{MARK}", f"\\' '{MARK}' '"]
)
@pytest.mark.parametrize("form", WORDS[:2])
def test_a_password_with_quotes_and_blanks_is_hidden_whole(password, form):
    text = form.format(password)
    prose = f'"{text}" (given by storage.backend.url)'
    assert MARK not in redacted_address(text) + redacted(text) + redacted(prose)
    assert redacted_address("host=h password='a b' dbname=d") == "host=h password=*** dbname=d"


@QUICK
@given(PASSWORDS, st.sampled_from([*ADDRESSES, *WORDS]), st.sampled_from(VARIABLES), st.booleans())
def test_settings_show_no_password(password, form, variable, encoded):
    text = form.format(urllib.parse.quote(password, safe="") if encoded else password)
    environment = {"DATABASE_URL": "postgresql://h/d", "S3_BUCKET": "bucket", "REDIS_SENTINEL_SERVICE": "s"}
    shown = [
        looks(lambda: Config.from_env(environment | {variable: text})),
        looks(lambda: tierstore.store.as_config(text)),
        looks(lambda: tierstore.store.as_config([text])),
        looks(lambda: PostgresConfig(text, replicas=(text,), migrate_url=text)),
        looks(lambda: PostgresConfig("postgresql://h/d", replicas=(text,))),
        looks(lambda: RedisConfig(text)),
        looks(lambda: RedisConfig(cluster=(text,))),
        looks(lambda: ObjectConfig("bucket", endpoint_url=text)),
        looks(lambda: ObjectConfig(text)),
        looks(lambda: Config(text)),
    ]
    assert MARK not in "\n".join(shown)


@QUICK
@given(PASSWORDS, st.sampled_from([*ADDRESSES, *WORDS]), st.sampled_from(["url", "path", "s3.bucket", "s3.secret_key"]))
def test_a_file_of_settings_shows_no_password(tmp_path, password, form, key):
    file = tmp_path / "store.toml"
    table, _, name = f"backend.{key}".replace("backend.s3", "s3").rpartition(".")
    quoted = form.format(password).replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    for line in (
        f'{name} = "{quoted}"',
        f"{name} = {form.format(password)}",
        f'{name} = "{quoted}" x',
        f'"{quoted}" = 1',
    ):
        file.write_text(
            f'[storage.{table}]\n{line}\n[storage.s3]\nbucket = "bucket"\n'
            if table != "s3"
            else f"[storage.s3]\n{line}\n"
        )
        assert MARK not in looks(lambda: Config.from_toml(file))


@QUICK
@given(PASSWORDS, st.sampled_from([*ADDRESSES, *WORDS]))
def test_the_command_line_prints_no_password(capsys, password, form):
    text = form.format(password.lstrip())
    for message in (text, f"cannot use {text}", f"postgres.url = {text!r}: expected something else"):
        with pytest.raises(SystemExit):
            fail(message)
    printed = capsys.readouterr()
    assert MARK not in printed.err + printed.out


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(PASSWORDS, st.sampled_from(ADDRESSES), st.booleans())
def test_a_store_that_cannot_be_opened_says_no_password(caplog, tmp_path_factory, password, form, encoded):
    """Neither in its error, nor in what is behind that, nor in a log line, nor in the health of one that opens without a tier."""
    caplog.set_level(logging.DEBUG)
    address = form.format(urllib.parse.quote(password, safe="") if encoded else password)

    def config() -> Config:
        quick = Deadlines(open=1, close=1)
        folder = tmp_path_factory.mktemp("store")
        if address.startswith("https"):
            return Config(
                folder,
                objects=ObjectConfig("bucket", endpoint_url=address, access_key="k", secret_key=MARK),
                deadlines=quick,
            )
        if address.startswith("postgres"):
            return Config(postgres=PostgresConfig(address, min_connections=0, acquire_timeout=0.2), deadlines=quick)
        return Config(folder, redis=RedisConfig(address), deadlines=quick)

    async def scenario() -> str:
        try:
            store = await tierstore.open(config())
        except StorageError as error:
            return said(error)
        try:
            return repr(await store.health()) + repr(store)
        finally:
            await store.close()

    assert MARK not in asyncio.run(scenario())
    assert MARK not in caplog.text


def test_what_holds_credentials_shows_none():
    held = [
        Account("app", MARK),
        PoolPolicy(arguments(f"postgresql://u:{MARK}@h/d", writes=True), Pooling("auto"), "", "", 1, 1, 1, 1, 1, 1),
        ObjectConfig("bucket", endpoint_url=f"https://app:{MARK}@minio.internal", access_key="k", secret_key=MARK),
        tierstore.SentinelConfig((("h", 1),), "s", MARK),
    ]
    assert MARK not in repr(held) + str(held) + "".join(map(str, held))
