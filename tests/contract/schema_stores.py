"""Stores for the suites of `store.schemas`: every backend in both faces, opened once a module."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from tests.conftest import AsyncFace, BlockingFace, Face
from tierstore import CacheConfig, Config, PostgresConfig, RedisConfig
from tierstore.telemetry import OFF

if TYPE_CHECKING:
    from tierstore.store import Store

T = TypeVar("T")
BACKENDS = ("sqlite", "postgres", "pgbouncer")
FACES = ("async", "blocking")


class Opened:
    """An open store and the face that drives it. `subject(name)` is a subject of the test's own."""

    def __init__(self, backend: str, face: Face, store: Store, config: Config) -> None:
        self.backend = backend
        self.face = face
        self.store = store
        self.config = config
        self.prefix = ""

    def subject(self, name: str = "subject") -> str:
        return f"{self.prefix}.{name}"

    async def until_l1(self, identifier: str) -> Any:
        """The schema by `get`, once L1 answers: it is trusted only while a carrier is heard, which a busy machine may delay."""
        for _ in range(200):
            schema = await self.store.schemas.get(identifier)
            if schema is not None and schema.meta.tier == "l1":
                return schema
            await (asyncio.sleep(0.05) if self.face.name == "async" else _block(0.05))
        raise AssertionError(f"L1 never answered for {identifier}")

    def run(self, scenario: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """The scenario is given `store.schemas` and what follows."""
        return self.face.run(scenario, self.store.schemas, *arguments)


async def _block(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251  (the blocking face blocks)


@contextmanager
def opened(backend: str, face_name: str, config: Config) -> Iterator[Opened]:
    """A store of that face over the configuration; closed at the end."""
    from tierstore.store import Store

    face: Face = AsyncFace() if face_name == "async" else BlockingFace()
    runtime = face.runtime()

    async def open_it() -> Store:
        return await Store.opened(config, runtime, OFF)

    store = face.run(open_it)
    try:
        yield Opened(backend, face, store, config)
    finally:
        face.run(store.close)
        face.close()


def server_config(request: pytest.FixtureRequest, **options: Any) -> Config:
    """A configuration with all three servers, its database and bucket new."""
    postgres = request.getfixturevalue("postgres")
    redis = request.getfixturevalue("redis_server")
    s3 = request.getfixturevalue("s3_server")
    return Config(
        postgres=PostgresConfig(url=postgres.create_database(), min_connections=1, max_connections=8),
        redis=RedisConfig(url=redis.url),
        objects=s3.config(s3.create_bucket()),
        cache=CacheConfig(warm_on_start=False),
        **options,
    )


def backend_config(request: pytest.FixtureRequest, backend: str, folder: Path) -> Config:
    """The configuration of a backend by name, over nothing."""
    if backend == "postgres":
        return server_config(request)
    if backend == "pgbouncer":
        config = server_config(request)
        through = request.getfixturevalue("pgbouncer").through(config.postgres.url)
        return replace(config, postgres=replace(config.postgres, url=through))
    return Config(folder, cache=CacheConfig(warm_on_start=False))
