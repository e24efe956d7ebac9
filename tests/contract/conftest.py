"""The engine under test: a database of its own on SQLite and on PostgreSQL, in each face."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Face
from tests.contract.engines import Engine, PooledEngine, PostgresEngine, SqliteEngine
from tests.contract.module_stores import OpenModules
from tests.contract.schema_stores import BACKENDS, FACES, Opened, backend_config, opened
from tests.contract.state_stores import PLACES, OpenState, state_config
from tests.servers.redis_sentinel import RedisSentinel
from tierstore import CacheConfig, Config
from tierstore.store import Store, parts_of
from tierstore.telemetry import OFF


@pytest.fixture(params=["sqlite", "postgres", "pgbouncer"])
def engine(request: pytest.FixtureRequest, face: Face, tmp_path: Path) -> Iterator[Engine]:
    """`.records()`, `.migrated()`, `.migrator(records)`, `.runtime`, `.face`, `.name`."""
    makers: dict[str, Callable[[], Engine]] = {
        "sqlite": lambda: SqliteEngine(face, tmp_path),
        "postgres": lambda: PostgresEngine(face, request.getfixturevalue("database")),
        "pgbouncer": lambda: PooledEngine(
            face, request.getfixturevalue("database"), request.getfixturevalue("pgbouncer")
        ),
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


@pytest.fixture(scope="module", params=BACKENDS)
def store_backend(request: pytest.FixtureRequest) -> str:
    """ "sqlite": embedded; "postgres": with Redis and the object store."""
    return str(request.param)


@pytest.fixture(scope="module", params=FACES)
def store_face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def _schema_store(
    request: pytest.FixtureRequest, store_backend: str, store_face: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    config = backend_config(request, store_backend, tmp_path_factory.mktemp("store"))
    with opened(store_backend, store_face, config) as store:
        yield store


@pytest.fixture
def schemas(_schema_store: Opened) -> Opened:
    """An open store, shared by the tests of a module; each has subjects of its own."""
    _schema_store.prefix = uuid.uuid4().hex[:12]
    return _schema_store


@pytest.fixture
def modules(_schema_store: Opened) -> OpenModules:
    """An open store, shared by the tests of a module; each has names of its own."""
    return OpenModules(_schema_store)


@pytest.fixture(scope="session")
def state_sentinel() -> Iterator[RedisSentinel]:
    """Servers behind Sentinel that no test fails over."""
    servers = RedisSentinel()
    servers.start()
    yield servers
    servers.close()


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    """Where state lies."""
    return str(request.param)


@pytest.fixture(scope="module")
def _state_store(
    request: pytest.FixtureRequest, place: str, store_face: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    config = state_config(request, place, tmp_path_factory.mktemp("state"))
    with opened(place, store_face, config) as store:
        yield store


@pytest.fixture
def kept(_state_store: Opened) -> OpenState:
    """State at a place, in a face; shared by the tests of a module, each with keys of its own."""
    return OpenState(_state_store)


@pytest.fixture
def two(face: Face, tmp_path: Path) -> Iterator[list[Opened]]:
    """Two stores of one folder, the first of which hears nothing of what the second writes."""
    config = Config(tmp_path, cache=CacheConfig(warm_on_start=False))

    async def open_both() -> list[Store]:
        return [await Store.opened(config, runtime, OFF) for runtime in (face.runtime(), face.runtime())]

    stores = face.run(open_both)
    invalidation = parts_of(stores[0]).engine.invalidation
    invalidation.on_invalidated = lambda changes, *, ahead_of_l2: None
    invalidation.on_gap = lambda reason: None
    yield [Opened("sqlite", face, store, config) for store in stores]
    for store in stores:
        face.run(store.close)
