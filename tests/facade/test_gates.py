"""A tier's client is made only where its address is given and its gate does not say no."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import tierstore
from tierstore import Config, Gates, ObjectConfig, PostgresConfig, RedisConfig

NOBODY = "127.0.0.1:9"
"""Where nothing listens: a client that is made fails."""
DRIVERS = """
import asyncio, sys
import tierstore
from tierstore import Config, Gates, ObjectConfig, RedisConfig

async def main(*gates):
    config = Config(
        sys.argv[1],
        redis=RedisConfig("redis://127.0.0.1:9"),
        objects=ObjectConfig("bucket", endpoint_url="http://127.0.0.1:9"),
        gates=Gates(redis=False, objects=False),
    )
    async with tierstore.open(config) as store:
        await store.schemas.register("a", "1.0.0", b"{}")
        assert (await store.health()).ok

asyncio.run(main())
print(*{name.partition(".")[0] for name in sys.modules} & {"redis", "hiredis", "boto3", "botocore", "psycopg"})
"""


def config(database, **gates):
    return Config(
        postgres=PostgresConfig(database, replicas=(f"postgresql://nobody@{NOBODY}/x",), min_connections=0),
        redis=RedisConfig(f"redis://{NOBODY}", required=True),
        objects=ObjectConfig(
            "bucket", endpoint_url=f"http://{NOBODY}", access_key="key", secret_key="key", required=True
        ),
        gates=Gates(**gates),
    )


@pytest.mark.requirement("S0-10", "S0-13")
def test_no_client_is_made_behind_a_closed_gate(database):
    async def scenario():
        async with tierstore.open(config(database, redis=False, objects=False, replicas=False)) as store:
            made = await store.schemas.register("a", "1.0.0", b'"' + b"x" * 1_100_000 + b'"')
            assert made.placement == "row"
            assert await store.schemas.get(made.id, read="any") == made
            health = await store.health()
            assert health.ok
            assert set(health.tiers) == {"database", "channel"}

    asyncio.run(scenario())


@pytest.mark.requirement("S0-10", "S0-13")
@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ({"objects": False}, "failed to create redis client"),
        ({"objects": False, "redis": True}, "failed to create redis client"),
        ({"redis": False}, "failed to create s3 client"),
    ],
)
def test_a_gate_that_says_nothing_is_open(database, gates, said):
    async def scenario():
        with pytest.raises(tierstore.ConnectionError, match=said):
            await tierstore.open(config(database, replicas=False, **gates))

    asyncio.run(scenario())


def test_no_driver_is_loaded_behind_a_closed_gate(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", DRIVERS, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize("gate", ["redis", "objects", "replicas"])
def test_a_file_closes_a_gate(tmp_path, gate):
    file = tmp_path / "tierstore.toml"
    file.write_text(f"[storage]\npath = 'data'\n[storage.gates]\n{gate} = false\n")
    assert getattr(Config.from_toml(file).gates, gate) is False
    file.write_text("[storage]\npath = 'data'\n")
    assert getattr(Config.from_toml(file).gates, gate) is None
