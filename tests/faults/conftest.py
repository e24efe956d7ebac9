"""Stores to break: embedded, PostgreSQL alone, and all servers; and processes that use the same store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.redis_tools import Client
from tests.servers.redis import Redis
from tests.servers.redis_impostor import BadLink
from tierstore import Config

ROOT = Path(__file__).parents[2]


@dataclass
class Deployment:
    """How a store is reached: `config()` here, `process(mode)` in another process."""

    name: str
    path: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def config(self) -> Config:
        return Config(self.path) if self.path else Config.from_env(self.environment)

    def process(self, mode: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.faults.worker", mode]
        return subprocess.Popen(
            [*command, str(self.path)] if self.path else command,
            cwd=ROOT,
            env=os.environ | self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def embedded(request: pytest.FixtureRequest) -> Deployment:
    return Deployment("embedded", path=request.getfixturevalue("tmp_path") / "store")


def postgres_alone(request: pytest.FixtureRequest) -> Deployment:
    return Deployment("postgres", environment={"DATABASE_URL": request.getfixturevalue("database")})


def servers(request: pytest.FixtureRequest) -> Deployment:
    redis, s3 = request.getfixturevalue("redis_server"), request.getfixturevalue("s3_server")
    redis.flush()
    environment = postgres_alone(request).environment | {"REDIS_URL": redis.url}
    return Deployment("servers", environment=environment | s3.environment_of(request.getfixturevalue("bucket")))


@pytest.fixture(params=[embedded, postgres_alone, servers])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    return request.param(request)


@pytest.fixture
def everything(request: pytest.FixtureRequest) -> Deployment:
    """PostgreSQL, Redis and S3."""
    return servers(request)


@pytest.fixture
def processes() -> Iterator[Callable[[subprocess.Popen[str]], subprocess.Popen[str]]]:
    """Kills what it was given when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def keep(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        started.append(process)
        return process

    yield keep
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def client(face) -> Iterator[Callable[..., Client]]:
    """Makes clients, and closes them."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        made.append(Client(face, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def own_server() -> Iterator[Redis]:
    """A server whose settings a test may change."""
    server = Redis()
    server.start()
    yield server
    server.close()


@pytest.fixture
def link(redis_server) -> Iterator[BadLink]:
    between = BadLink(redis_server.port)
    yield between
    between.close()
