"""The engine under test: a database of its own on SQLite and on PostgreSQL, in each face."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Face
from tests.contract.engines import Engine, PostgresEngine, SqliteEngine


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, face: Face, tmp_path: Path) -> Iterator[Engine]:
    """`.records()`, `.migrated()`, `.migrator(records)`, `.runtime`, `.face`, `.name`."""
    makers: dict[str, Callable[[], Engine]] = {
        "sqlite": lambda: SqliteEngine(face, tmp_path),
        "postgres": lambda: PostgresEngine(face, request.getfixturevalue("database")),
    }
    made = makers[request.param]()
    yield made
    made.close()


@pytest.fixture
def pg(face: Face, database: str) -> Iterator[PostgresEngine]:
    """As `engine`, on PostgreSQL only."""
    made = PostgresEngine(face, database)
    yield made
    made.close()


@pytest.fixture
def lite(face: Face, tmp_path: Path) -> Iterator[SqliteEngine]:
    """As `engine`, on SQLite only."""
    made = SqliteEngine(face, tmp_path)
    yield made
    made.close()
