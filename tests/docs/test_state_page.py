"""What docs/state.md tells people to do when something is wrong, done: with state as the advice describes it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

import tierstore
from tierstore import Config, StateConfig
from tierstore.cli.app import cli

PAGE = (Path(__file__).parents[2] / "docs" / "state.md").read_text()
TROUBLE = PAGE.split("## Troubleshooting")[1].split("\n## ")[0]
COMMANDS = [shlex.split(line, comments=True)[1:] for line in re.findall(r"^tierstore .*$", TROUBLE, re.MULTILINE)]


def run(*arguments, **environment):
    return CliRunner().invoke(cli, arguments, env=environment)


@pytest.mark.requirement("S3-28")
def test_every_debug_command_of_ours_works(tmp_path):
    with tierstore.blocking.open(tmp_path) as store:
        store.state.set("polly:pr_number:0a1b2c", 17)
    assert [command[:2] for command in COMMANDS] == [
        ["health"],
        ["stats"],
        ["state", "keys"],
        ["state", "get"],
        ["state", "watch"],
    ]
    shown = {}
    for command in COMMANDS:
        ending = ["--for", "0.1s"] if command[1:2] == ["watch"] else []
        done = run("--path", str(tmp_path), *command, *ending)
        assert done.exit_code == 0, done.output
        shown[" ".join(command[:2])] = done.stdout
    assert "polly:pr_number:0a1b2c" in shown["state keys"]
    assert '"value": 17' in shown["state get"]
    assert "expired" in shown["stats"]


def test_health_tells_of_memory_of_another_place_and_of_a_server_that_evicts(tmp_path, redis_server):
    def warnings(**state):
        with tierstore.blocking.open(Config(tmp_path, state=StateConfig(**state))) as store:
            return " ".join(store.health().warnings)

    assert warnings() == ""
    assert "gone when this process ends" in warnings(backend="memory")
    assert "another place than before" in warnings()
    client = redis.Redis.from_url(redis_server.url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert "maxmemory-policy" in warnings(backend="redis", url=redis_server.url)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.close()


def test_what_another_program_wrote_is_told_from_what_does_not_fit(tmp_path, redis_server):
    redis_server.flush()
    client = redis.Redis.from_url(redis_server.url)
    client.set("app:theirs", "no json")
    client.set("app:number", b'{"n": 18446744073709551616} ')
    client.close()
    config = Config(tmp_path, state=StateConfig(backend="redis", url=redis_server.url, prefix="app:"))
    with tierstore.blocking.open(config) as store:
        with pytest.raises(tierstore.CorruptError):
            store.state.get("theirs")
        assert store.state.get("number") == {"n": 2**64}
        with pytest.raises(tierstore.ValidationError) as caught:
            store.state.get("number", type=dict[str, str])
        assert caught.value.place is not None
        assert "18446744073709551616" not in str(caught.value)


@pytest.mark.requirement("S3-34")
def test_the_database_is_a_place_of_state_and_dynamodb_is_none(tmp_path, database):
    assert "DynamoDB is not built" in PAGE
    for config in (Config(tmp_path), Config(postgres=tierstore.PostgresConfig(database, min_connections=1))):
        with tierstore.blocking.open(config) as store:
            store.state.set("k", 1)
            statistics = store.state.statistics()
            assert (statistics.backend, store.state.get("k")) == ("sql", 1)
    with pytest.raises(tierstore.ConfigError, match="dynamodb"):
        StateConfig(backend="dynamodb")
