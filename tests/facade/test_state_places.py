"""Where state lies: by code, by a file, by the document's variables; that a change of place is told; secrets stay hidden."""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import replace
from pathlib import Path

import pytest

import tierstore
from tierstore import Config, ConfigError, Gates, RedisConfig, StateConfig, StateEncryption
from tierstore.config import PairsPlace, pairs_of

KEY = bytes(range(32))
POLLY = (
    "POLLY_STORAGE_TYPE",
    "POLLY_VALKEY_ADDRESS",
    "POLLY_VALKEY_USERNAME",
    "POLLY_VALKEY_PASSWORD",
    "POLLY_VALKEY_DB",
)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in POLLY:
        monkeypatch.delenv(name, raising=False)


def place(config: Config) -> PairsPlace | None:
    return pairs_of(config).get("state")


def named(config: Config) -> str:
    found = place(config)
    return "sql" if found is None else found.named


def from_env(**variables: str) -> Config:
    return Config.from_env({"TIERSTORE_PATH": "data", **variables})


@pytest.mark.requirement("S3-09", "S3-10", "S3-19")
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "sql"),
        ({"POLLY_STORAGE_TYPE": "memory"}, "memory"),
        ({"POLLY_STORAGE_TYPE": "sql"}, "sql"),
        ({"POLLY_STORAGE_TYPE": "valkey"}, "redis localhost:6379"),
        ({"POLLY_STORAGE_TYPE": "valkey", "POLLY_VALKEY_ADDRESS": "cache"}, "redis cache:6379"),
        ({"POLLY_STORAGE_TYPE": "valkey", "POLLY_VALKEY_ADDRESS": "cache:7000"}, "redis cache:7000"),
        ({"POLLY_STORAGE_TYPE": "redis", "POLLY_VALKEY_ADDRESS": "redis://cache:7000/3"}, "redis cache:7000/3"),
        ({"POLLY_VALKEY_ADDRESS": "[::1]:7000"}, "redis [::1]:7000"),
        ({"POLLY_VALKEY_ADDRESS": "cache:7000", "POLLY_STORAGE_TYPE": "memory"}, "memory"),
        ({"POLLY_VALKEY_ADDRESS": "cache:7000", "POLLY_STORAGE_TYPE": "sql"}, "sql"),
        ({"REDIS_URL": "redis://l2:6379"}, "sql"),
        ({"REDIS_URL": "redis://l2:6379", "POLLY_STORAGE_TYPE": "redis"}, "redis l2:6379"),
        ({"REDIS_URL": "redis://l2:6379", "POLLY_STORAGE_TYPE": "valkey"}, "redis localhost:6379"),
        ({"REDIS_URL": "redis://l2:6379", "POLLY_VALKEY_ADDRESS": "cache:7000"}, "redis cache:7000"),
        ({"POLLY_STORAGE_TYPE": "memory", "REDIS_URL": "redis://l2:6379"}, "memory"),
    ],
    ids=str,
)
def test_the_place_by_the_variables_of_the_document(variables: dict[str, str], expected: str):
    assert named(from_env(**variables)) == expected


@pytest.mark.requirement("S3-09", "S3-10")
def test_auto_looks_at_the_environment_when_a_store_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert named(Config(tmp_path).resolved()) == "sql"
    monkeypatch.setenv("POLLY_STORAGE_TYPE", "memory")
    assert named(Config(tmp_path).resolved()) == "memory"
    assert named(Config(tmp_path, state=StateConfig("sql")).resolved()) == "sql"
    monkeypatch.setenv("POLLY_STORAGE_TYPE", "valkey")
    assert named(Config(tmp_path).resolved()) == "redis localhost:6379"
    monkeypatch.setenv("POLLY_VALKEY_ADDRESS", "cache:7000")
    assert named(Config(tmp_path).resolved()) == "redis cache:7000"
    monkeypatch.delenv("POLLY_STORAGE_TYPE")
    assert named(Config(tmp_path).resolved()) == "redis cache:7000"
    assert named(Config(tmp_path, state=StateConfig("redis", "other:1")).resolved()) == "redis other:1"


@pytest.mark.requirement("S3-11", "S3-12")
def test_the_account_goes_into_the_address_and_is_shown_nowhere():
    config = from_env(
        POLLY_STORAGE_TYPE="valkey",
        POLLY_VALKEY_ADDRESS="cache:7000",
        POLLY_VALKEY_USERNAME="us:er",
        POLLY_VALKEY_PASSWORD="p@ss/w:rd",
        POLLY_VALKEY_DB="4",
    )
    found = place(config)
    assert found is not None
    assert found.redis is not None
    assert found.redis.url == "redis://us%3Aer:p%40ss%2Fw%3Ard@cache:7000/4"
    assert found.named == "redis cache:7000/4"
    for shown in (repr(config), repr(config.state), repr(found), found.named):
        assert "p@ss" not in shown
        assert "p%40ss" not in shown
    alone = from_env(POLLY_VALKEY_ADDRESS="cache:7000", POLLY_VALKEY_PASSWORD="secret")
    assert place(alone).redis.url == "redis://:secret@cache:7000"  # type: ignore[union-attr]
    own = from_env(
        POLLY_VALKEY_ADDRESS="rediss://a:b@cache:7000/2", POLLY_VALKEY_PASSWORD="secret", POLLY_VALKEY_DB="4"
    )
    assert place(own).redis.url == "rediss://a:b@cache:7000/2"  # type: ignore[union-attr]


def test_by_code():
    redis = RedisConfig("redis://l2:6379", prefix="app:")
    assert named(Config("data", redis=redis)) == "sql"
    shared = place(Config("data", redis=redis, state=StateConfig("redis", prefix="state:")))
    assert shared is not None
    assert (shared.named, shared.prefix, shared.cache_prefix) == ("redis l2:6379 app:state:", "app:state:", "app:")
    own = place(Config("data", redis=redis, state=StateConfig("valkey", "valkey://cache:7000", prefix="state:")))
    assert own is not None
    assert (own.named, own.prefix, own.cache_prefix) == ("redis cache:7000 state:", "state:", None)
    assert named(Config("data", state=StateConfig("memory"))) == "memory"
    assert named(Config("data", state=StateConfig(url="cache:1"))) == "redis cache:1"
    for config in (
        Config("data", state=StateConfig("redis")),
        Config("data", redis=redis, gates=Gates(redis=False), state=StateConfig("redis")),
    ):
        with pytest.raises(ConfigError, match=r"state\.backend.*REDIS_URL"):
            pairs_of(config)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"backend": "postgres"}, "state.backend"),
        ({"url": "http://cache"}, "state.url"),
        ({"url": "cache:port"}, "state.url"),
        ({"url": "user:secret@cache:1"}, "state.url"),
        ({"ttl": 0}, "state.ttl"),
        ({"ttl": -1}, "state.ttl"),
        ({"ttl": 1e12}, "state.ttl"),
        ({"prefix": "a{b}"}, "state.prefix"),
        ({"prefix": "a b"}, "state.prefix"),
        ({"max_entries": 0}, "state.max_entries"),
        ({"max_value_bytes": 0}, "state.max_value_bytes"),
        ({"compress_min": 0}, "state.compress_min"),
        ({"encryption": "key"}, "state.encryption"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused_by_name(wrong: dict[str, object], said: str):
    with pytest.raises(ConfigError) as raised:
        StateConfig(**wrong)  # type: ignore[arg-type]
    assert said in str(raised.value)
    assert raised.value.key == said
    assert "secret" not in str(raised.value)


@pytest.mark.requirement("S3-30")
def test_keys_of_encryption_by_variables_and_by_a_file(tmp_path: Path):
    text = base64.b64encode(KEY).decode()
    by_env = from_env(STATE_ENCRYPTION_KEYS=f"2026-11={text},old={text}", STATE_ENCRYPTION_ACTIVE="2026-11")
    expected = StateEncryption({"2026-11": KEY, "old": KEY}, "2026-11")
    assert by_env.state.encryption == expected
    file = tmp_path / "tierstore.toml"
    file.write_text(
        f"""
[storage]
path = "data"
[storage.state]
backend = "memory"
ttl_seconds = 60
prefix = "polly:"
[storage.state.encryption]
active = "2026-11"
keys = {{ "2026-11" = "{text}", old = "{text}" }}
"""
    )
    state = Config.from_toml(file).state
    assert (state.encryption, state.backend, state.ttl, state.prefix) == (expected, "memory", 60, "polly:")
    assert text not in repr(by_env)
    assert repr(KEY) not in repr(by_env)


@pytest.mark.parametrize(
    ("keys", "active"),
    [({}, "a"), ({"a": b"short"}, "a"), ({"a": KEY}, "b"), ({"": KEY}, ""), ({"a": "x" * 32}, "a"), ({5: KEY}, 5)],
    ids=str,
)
def test_wrong_keys_of_encryption_are_refused_and_not_shown(keys: dict[str, bytes], active: str):
    with pytest.raises(ConfigError) as raised:
        StateEncryption(keys, active)
    assert "short" not in str(raised.value)
    assert "xxx" not in str(raised.value)
    for variables in (
        {"STATE_ENCRYPTION_ACTIVE": "a"},
        {"STATE_ENCRYPTION_KEYS": "a=!!!", "STATE_ENCRYPTION_ACTIVE": "a"},
    ):
        with pytest.raises(ConfigError, match=r"state\.encryption\.keys"):
            from_env(**variables)


@pytest.mark.requirement("S3-27", "S3-09")
def test_a_change_of_place_is_told_by_log_and_health(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A restart with another variable is all that it takes; what was at the other place stays there."""

    async def opened(state: StateConfig) -> tuple[object, list[str]]:
        caplog.clear()
        async with tierstore.open(Config(tmp_path, state=state)) as store:
            found = await store.state.get("a")
            await store.state.set("a", state.backend, ttl=None)
            warnings = [text for text in (await store.health()).warnings if "another place" in text]
            logged = [one.getMessage() for one in caplog.records if "another place" in one.getMessage()]
            assert logged == warnings
            return found, warnings

    async def scenario() -> None:
        assert await opened(StateConfig("sql")) == (None, [])
        found, warnings = await opened(StateConfig("memory"))
        assert found is None
        assert "now memory, last sql" in warnings[0]
        assert await opened(StateConfig("memory")) == (None, [])
        found, warnings = await opened(StateConfig("sql"))
        assert found == "sql"
        assert "now sql, last memory" in warnings[0]
        assert await opened(StateConfig()) == ("sql", [])

    with caplog.at_level(logging.WARNING, logger="tierstore"):
        asyncio.run(scenario())


@pytest.mark.requirement("S3-27")
def test_from_memory_to_valkey_by_a_restart_alone(
    redis_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    address = redis_server.url.split("://")[1].split("/")[0]
    monkeypatch.setenv("TIERSTORE_PATH", str(tmp_path))

    def restart() -> list[object]:
        with tierstore.blocking.open() as store:
            found = store.state.get("polly:pr_number:moved")
            store.state.set("polly:pr_number:moved", 7)
            return [found, store.state.get("polly:pr_number:moved"), store.state.statistics().backend]

    monkeypatch.setenv("POLLY_STORAGE_TYPE", "memory")
    assert restart() == [None, 7, "memory"]
    monkeypatch.setenv("POLLY_STORAGE_TYPE", "valkey")
    monkeypatch.setenv("POLLY_VALKEY_ADDRESS", address)
    assert restart() == [None, 7, "redis"]
    assert restart() == [7, 7, "redis"]
    assert f"now redis {address}, last memory" in caplog.text


def test_a_server_of_state_that_does_not_answer_is_an_error_at_open(tmp_path: Path):
    config = Config(tmp_path, state=StateConfig("redis", "localhost:1"))
    config = replace(config, deadlines=replace(config.deadlines, open=2))

    async def scenario() -> None:
        async with tierstore.open(config):
            pass

    with pytest.raises(tierstore.ConnectionError):
        asyncio.run(scenario())
