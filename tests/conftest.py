"""Fixtures that every suite shares: real servers, fresh databases and buckets, and the two faces."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from tests.servers.fleet import Fleet
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_sentinel import RedisSentinel
from tierstore.runtime import AsyncioRuntime, Runtime, ThreadsRuntime, drive

pytest_plugins = ["tests.plugins.requirements", "tests.plugins.workers", "pytester"]
T = TypeVar("T")

settings.register_profile("same", derandomize=True)
settings.register_profile("search")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    servers = Fleet()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def postgres(fleet: Fleet):
    """`.url`, `.replica_url`, `.replica`, `.create_database()`, `.replica_of(url)`; `.stop()` and the rest of `Server`."""
    return fleet.postgres


@pytest.fixture(scope="session")
def pgbouncer(fleet: Fleet):
    """`.through(url)`: a database by a pooler in transaction mode; `.stop()` and the rest of `Server`."""
    return fleet.pgbouncer


@pytest.fixture(scope="session")
def redis_server(fleet: Fleet):
    """`.url`, `.flush()`; `.stop()` and the rest of `Server`."""
    return fleet.redis


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """`.urls`, `.nodes`, `.move_slot()`: three nodes."""
    cluster = RedisCluster()
    cluster.start()
    yield cluster
    cluster.close()


@pytest.fixture
def redis_sentinel() -> Iterator[RedisSentinel]:
    """`.hosts`, `.service`, `.primary`, `.replica`: of the test's own, since a fail-over cannot be undone."""
    servers = RedisSentinel()
    servers.start()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def s3_server(fleet: Fleet):
    """`.endpoint_url`, `.access_key`, `.secret_key`, `.region`, `.create_bucket()`, `.client()`; `.stop()` and the rest."""
    return fleet.s3


@pytest.fixture(autouse=True)
def _servers_run_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test may stop its servers; the next one finds them running."""
    yield
    if "fleet" in request.fixturenames:
        request.getfixturevalue("fleet").restore()


@pytest.fixture
def database(postgres) -> Iterator[str]:
    """The URL of a PostgreSQL database of the test's own, empty."""
    url = postgres.create_database()
    yield url
    postgres.restore()
    postgres.drop_database(url)


@pytest.fixture
def bucket(s3_server) -> str:
    """The name of a bucket of the test's own, empty."""
    return s3_server.create_bucket()


class AsyncFace:
    """Runs coroutines on one event loop that lasts as long as the test."""

    name = "async"

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        async def call() -> T:
            return await function(*arguments)

        return self._runner.run(call())

    def runtime(self) -> Runtime:
        """A runtime of this face; inside a running coroutine or outside."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self.run(self._make)
        return AsyncioRuntime()

    async def _make(self) -> Runtime:
        return AsyncioRuntime()

    def close(self) -> None:
        self._runner.close()


class BlockingFace:
    """Drives coroutines that never suspend."""

    name = "blocking"

    def run(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        async def call() -> T:
            return await function(*arguments)

        return drive(call())

    def runtime(self) -> Runtime:
        return ThreadsRuntime()

    def close(self) -> None:
        return None


Face = AsyncFace | BlockingFace


@pytest.fixture(params=["async", "blocking"])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """`.run(coroutine_function, *arguments)`, `.runtime()`, `.name`."""
    made: Face = AsyncFace() if request.param == "async" else BlockingFace()
    yield made
    made.close()


@pytest.fixture
def root() -> Path:
    """The top of the tree."""
    return Path(__file__).parent.parent
