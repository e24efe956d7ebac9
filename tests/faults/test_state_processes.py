"""State between processes: races that one caller wins, writers that are killed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tierstore
from tests.faults.conftest import ROOT
from tests.faults.state_racer import CALLERS, ROUNDS
from tests.servers.redis_sentinel import RedisSentinel
from tierstore import Config

ACKNOWLEDGED = 200
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def sentinel() -> Iterator[RedisSentinel]:
    servers = RedisSentinel()
    servers.start()
    yield servers
    servers.close()


@pytest.fixture(params=["sqlite", "postgres", "redis", "sentinel", "cluster"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables of a store whose state lies at a place."""
    variables = {"TIERSTORE_PATH": str(request.getfixturevalue("tmp_path")), "STATE_PREFIX": f"{uuid.uuid4().hex[:8]}:"}
    by_name = {"POLLY_STORAGE_TYPE": "redis"}
    if request.param == "postgres":
        return {"DATABASE_URL": request.getfixturevalue("database")}
    if request.param == "redis":
        address = request.getfixturevalue("redis_server").url.split("://")[1].split("/")[0]
        return variables | {"POLLY_STORAGE_TYPE": "valkey", "POLLY_VALKEY_ADDRESS": address}
    if request.param == "cluster":
        return variables | by_name | {"REDIS_CLUSTER_URLS": ",".join(request.getfixturevalue("redis_cluster").urls)}
    if request.param == "sentinel":
        servers = request.getfixturevalue("sentinel")
        hosts = ",".join(f"{host}:{port}" for host, port in servers.hosts)
        return variables | by_name | {"REDIS_SENTINEL_HOSTS": hosts, "REDIS_SENTINEL_SERVICE": servers.service}
    return variables | {"POLLY_STORAGE_TYPE": "sql"}


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """A process over that store; what still runs is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def begin(*mode: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.faults.state_racer", *mode]
        variables = os.environ | environment
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=ROOT, env=variables, **pipes))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_of_many_callers_in_two_processes_one_gets_it(environment: dict[str, str], start: Start):
    """Each key is popped once, added once and won once; sums are exact; no update is lost."""
    config = Config.from_env(environment)

    async def prepare() -> None:
        async with tierstore.open(config) as store:
            await store.state.set_many({f"pop:{number}": f"value {number}" for number in range(ROUNDS)})

    async def after() -> list[Any]:
        async with tierstore.open(config) as store:
            return await store.state.get_many(["sum", "list"])

    asyncio.run(prepare())
    processes = [start("race", "async"), start("race", "blocking")]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    found = {name: [each for result in results for each in result[name]] for name in results[0]}
    calls = 2 * CALLERS * ROUNDS
    assert sorted(found["popped"]) == [[number, f"value {number}"] for number in range(ROUNDS)]
    assert sorted(found["added"]) == sorted(found["won"]) == list(range(ROUNDS))
    assert sorted(found["sums"]) == [3 * number for number in range(1, calls + 1)]
    total, names = asyncio.run(after())
    assert total == 3 * calls
    expected = Counter(
        f"{face}{caller}:{number}" for face in "ab" for caller in range(CALLERS) for number in range(ROUNDS)
    )
    assert Counter(names) == expected


def test_kill_9_of_a_writer_loses_nothing_acknowledged(environment: dict[str, str], start: Start):
    worker = start("write", "async")
    assert worker.stdout is not None
    acknowledged = [worker.stdout.readline().split() for _ in range(ACKNOWLEDGED)]
    worker.kill()
    acknowledged += [line.split() for line in worker.stdout.read().splitlines() if line.count(" ") == 1]
    last = {key: int(number) for key, number in acknowledged}

    async def check() -> None:
        async with tierstore.open(Config.from_env(environment)) as store:
            found = await store.state.get_many(list(last))
            for (key, number), value in zip(last.items(), found, strict=True):
                assert value >= number, f"{number} was acknowledged under {key}, and there is {value}"
            await store.state.set("after", 1)

    asyncio.run(check())
