"""Stores for the suites of `store.state`: every place in both faces, opened once a module."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.contract.schema_stores import Opened, opened
from tierstore import CacheConfig, Config, PostgresConfig, RedisConfig, SentinelConfig, StateConfig
from tierstore.stores.state import StateStore

T = TypeVar("T")
PLACES = ("memory", "sqlite", "postgres", "pgbouncer", "redis", "sentinel", "cluster")
FACES = ("async", "blocking")
IN_DATABASE = ("sqlite", "postgres", "pgbouncer")
MOST_ENTRIES = 100_000
COLD = CacheConfig(warm_on_start=False)


class OpenState:
    """An open store, the face that drives it, and keys of the test's own."""

    def __init__(self, opened: Opened) -> None:
        self.place, self.face, self.store, self.config = opened.backend, opened.face, opened.store, opened.config
        self.prefix = f"{uuid.uuid4().hex[:12]}:"

    @property
    def state(self) -> StateStore:
        return self.store.state

    def key(self, name: object = "key") -> str:
        return f"{self.prefix}{name}"

    def run(self, scenario: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """The scenario is given `store.state` and what follows."""
        return self.face.run(scenario, self.store.state, *arguments)


@contextmanager
def state_of(config: Config, place: str, face: str) -> Iterator[OpenState]:
    """State over a configuration, in a face; closed at the end."""
    with opened(place, face, config) as store:
        yield OpenState(store)


def state_config(request: pytest.FixtureRequest, place: str, folder: Path, **state: Any) -> Config:
    """State at a place by name, over nothing."""
    if place in ("postgres", "pgbouncer"):
        url = request.getfixturevalue("postgres").create_database()
        if place == "pgbouncer":
            url = request.getfixturevalue("pgbouncer").through(url)
        postgres = PostgresConfig(url, min_connections=1, max_connections=8)
        return Config(postgres=postgres, cache=COLD, state=StateConfig("sql", **state))
    config = Config(folder, cache=COLD, state=StateConfig("sql", **state))
    if place == "sqlite":
        return config
    if place == "memory":
        state.setdefault("max_entries", MOST_ENTRIES)
        return replace(config, state=StateConfig("memory", **state))
    if place == "redis":
        url = request.getfixturevalue("redis_server").url
        return replace(config, state=StateConfig("redis", url, prefix=state.pop("prefix", _own()), **state))
    redis = _cluster(request) if place == "cluster" else _sentinel(request)
    return replace(config, redis=replace(redis, prefix=_own()), state=StateConfig("redis", **state))


def _own() -> str:
    return f"{uuid.uuid4().hex[:8]}:"


def _cluster(request: pytest.FixtureRequest) -> RedisConfig:
    return RedisConfig(cluster=tuple(request.getfixturevalue("redis_cluster").urls))


def _sentinel(request: pytest.FixtureRequest) -> RedisConfig:
    servers = request.getfixturevalue("state_sentinel")
    return RedisConfig(sentinel=SentinelConfig(hosts=tuple(servers.hosts), service=servers.service))
