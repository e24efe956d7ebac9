"""Where state may lie, for suites over `store.state`: memory, SQLite, PostgreSQL and Redis, in both faces."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.contract.schema_stores import Opened, opened
from tierstore import CacheConfig, Config, PostgresConfig, StateConfig

PLACES = ("memory", "sqlite", "postgres", "redis")


def place_config(request: pytest.FixtureRequest, place: str, folder: Path, **state: Any) -> Config:
    """A configuration whose state lies there, under a prefix of its own on Redis."""
    quiet = CacheConfig(warm_on_start=False)
    if place == "postgres":
        url = request.getfixturevalue("postgres").create_database()
        database = PostgresConfig(url=url, min_connections=1, max_connections=8)
        return Config(postgres=database, cache=quiet, state=StateConfig(backend="sql", **state))
    config = Config(folder, cache=quiet, state=StateConfig(backend="memory" if place == "memory" else "sql", **state))
    if place == "redis":
        url, prefix = request.getfixturevalue("redis_server").url, f"{uuid.uuid4().hex[:8]}:"
        return replace(config, state=StateConfig(backend="redis", url=url, **{"prefix": prefix} | state))
    return config


@contextmanager
def state_of(config: Config, place: str, face: str) -> Iterator[Opened]:
    """An open store. `.run(scenario)` gives the scenario `store.state`."""
    with opened(place, face, config) as made:
        made.run = lambda scenario, *given: made.face.run(scenario, made.store.state, *given)  # type: ignore[method-assign]
        yield made


@contextmanager
def state_at(request: pytest.FixtureRequest, place: str, face: str, folder: Path, **state: Any) -> Iterator[Opened]:
    """An open store whose state lies there."""
    with state_of(place_config(request, place, folder, **state), place, face) as made:
        yield made
