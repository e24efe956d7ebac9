"""`tierstore.open` and the store it gives: the stores of the roster over one set of tiers."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from tierstore.answers import Answer, exposed
from tierstore.assembly import Parts, assemble, open_records
from tierstore.calls.blobs import BlobStore
from tierstore.calls.operation import Operations, seconds_of
from tierstore.calls.scope import Inside, OpenTransaction, Outside
from tierstore.calls.store import Parts as StoreParts
from tierstore.config import Config, PostgresConfig, postgres_address
from tierstore.errors import ConfigError, StorageError
from tierstore.runtime import AsyncioRuntime, Deadline, Runtime
from tierstore.stores import Stores, attach, roster
from tierstore.telemetry import OFF, Telemetry
from tierstore.tiers.migrate import Migrator

log = logging.getLogger("tierstore")
LEAST_S = 1e-9
"""A timeout that has passed already."""


@dataclass(frozen=True, slots=True)
class TierHealth(Answer):
    """One tier: whether it answered (`ok`), after how many seconds (`latency`), and what it said (`detail`)."""

    ok: bool
    latency: float
    detail: str


@dataclass(frozen=True, slots=True)
class Health(Answer):
    """`tiers` by name: "database", "l2", "objects", "channel" (those that are configured). `warnings` are for people."""

    tiers: Mapping[str, TierHealth]
    warnings: tuple[str, ...]

    @property
    @exposed
    def ok(self) -> bool:
        """Whether every tier answered."""
        return all(tier.ok for tier in self.tiers.values())


@dataclass(frozen=True, slots=True)
class Statistics(Answer):
    """Counts of each store by its name, which is an attribute too; counters of each tier; use of the pool."""

    stores: Mapping[str, Any]
    tiers: Mapping[str, Any]
    pool: Mapping[str, int]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name not in self.__slots__ and name in self.stores:
            return self.stores[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class Transaction(OpenTransaction, Stores):
    """All stores in one database transaction. Reads see the database; nothing is cached and nothing invalidated until the commit."""

    def __init__(self, parts: Mapping[str, StoreParts], scope: Inside, operations: Operations) -> None:
        self._scope = scope
        self._operations = operations
        attach(parts, scope, self)


class Store(Stores):
    """An open store. It belongs to the event loop that opened it; `close` it, or use it as a context manager."""

    def __init__(self, config: Config, parts: Parts, telemetry: Telemetry) -> None:
        self._config = config
        self._parts = parts
        self._telemetry = telemetry
        self._closed = False
        given = "store", parts.runtime, telemetry, config.deadlines
        self._operations, self._operations_inside = Operations(*given), Operations(*given, prefix="transaction.")
        attach(parts.stores, Outside(parts.engine, spans=telemetry.spans), self)
        operations = Operations("blobs", parts.runtime, telemetry, config.deadlines)
        self.blobs: BlobStore = BlobStore(operations, parts.sweeper(), parts.mover(), parts.blobs.router.object_min)
        self._unwatch = telemetry.watch(parts.totals, parts.counts, parts.levels)

    @classmethod
    async def opened(cls, config: Config, runtime: Runtime, telemetry: Telemetry) -> Store:
        """Connect every configured tier, apply migrations as `config.migrate` says, start the background jobs, warm the caches."""
        config = config.resolved()
        parts = await assemble(config, runtime, telemetry)
        store = cls(config, parts, telemetry)
        try:
            if config.cache.warm_on_start and config.cache.warm_size:
                await store.warm(limit=config.cache.warm_size)
        except StorageError as error:
            log.warning("Warming the caches failed: %s", error)
        except BaseException:
            await store.close()
            raise
        return store

    def __repr__(self) -> str:
        return f"<tierstore.Store {self._parts.name}{' closed' if self._closed else ''}>"

    @property
    def settings(self) -> tuple[Config, Telemetry]:
        """What it was opened with."""
        return self._config, self._telemetry

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Flush, stop the jobs, close every connection, within `deadlines.close`. Closing twice is no error."""
        if self._closed:
            return
        self._parts.runtime.check_owner()
        self._closed = True
        self._unwatch()
        await self._parts.close(self._parts.runtime.deadline(self._config.deadlines.close))

    async def health(self, *, timeout: float | None = None) -> Health:
        """Ask every tier, and return what each said. A tier that fails has the error in its `detail`; only a wrong `timeout` raises."""
        deadline = self._health_deadline(timeout)
        tiers = {}
        for name, ping in self._parts.pings().items():
            started = self._parts.runtime.monotonic()
            try:
                self._parts.runtime.check_owner()
                ok, detail = True, await ping(deadline.within(self._config.deadlines.read))
            except StorageError as error:
                ok, detail = False, str(error)
            tiers[name] = TierHealth(ok, self._parts.runtime.monotonic() - started, detail)
        return Health(tiers, await self._parts.warnings(deadline))

    def _health_deadline(self, timeout: float | None) -> Deadline:
        try:
            return self._parts.runtime.deadline(seconds_of(timeout, self._config.deadlines.read))
        except StorageError as error:
            self._operations.name(error, "health", None)
            raise

    async def statistics(self, *, timeout: float | None = None) -> Statistics:
        """Return counts of each store, hit ratios of each tier, and connections in use."""
        with self._operations.begin("statistics", None, timeout, "search") as operation:
            left = _share_of(timeout, operation.deadline)
            counts = {name: await getattr(self, name).statistics(timeout=left()) for name in roster()}
        return Statistics(counts, self._parts.tier_statistics(), self._parts.records.pool()._asdict())

    def transaction(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction, calls of all stores in one commit. It commits when the block ends, and rolls back if the block raises.

        async with store.transaction() as tx:
            await tx.schemas.register(...)
        """
        return self._transaction(timeout)

    @asynccontextmanager
    async def _transaction(self, timeout: float | None) -> AsyncIterator[Transaction]:
        with self._operations.begin("transaction", None, timeout, "write") as operation:
            async with self._parts.engine.transaction(deadline=operation.deadline) as transaction:
                yield Transaction(self._parts.stores, Inside(transaction), self._operations_inside)

    def session(self) -> AbstractAsyncContextManager[Store]:
        """Open a scope of read-your-writes: reads in it see at least what was written in it. Without one, each task is its own scope."""
        return self._session()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Store]:
        async with self._parts.engine.session():
            yield self

    def token(self) -> str | None:
        """Return the position of this session's last write: another process reads from it with `not_before=`."""
        return self._parts.engine.token()

    async def migrate(self, *, timeout: float | None = None) -> list[str]:
        """Apply the migrations that are missing, and return their names."""
        with self._operations.begin("migrate", None, timeout, "bulk") as operation:
            return await Migrator(self._parts.records, budget=lambda: operation.deadline).up()

    async def warm(self, *, limit: int = 100, timeout: float | None = None) -> int:
        """Load what is most used into the caches, at most `limit` records of each store, and return how many."""
        with self._operations.begin("warm", None, timeout, "bulk") as operation:
            left = _share_of(timeout, operation.deadline)
            return sum([await getattr(self, name).warm(limit, timeout=left()) for name in roster()])


def _share_of(timeout: float | None, deadline: Deadline) -> Callable[[], float | None]:
    """The timeout of each store in turn: what is left of the one that the caller gave, or None, each store's own."""
    return lambda: None if timeout is None else max(deadline.remaining(), LEAST_S)


def parts_of(store: Store) -> Parts:
    """The tiers below an open store: for tests and benches, which look at what callers need not know."""
    return store._parts


class Opening:
    """What `open` returns: await it for a store to close yourself, or enter it with `async with`."""

    def __init__(self, config: Config, telemetry: Telemetry) -> None:
        self._config = config
        self._telemetry = telemetry
        self._store: Store | None = None

    def __await__(self) -> Generator[Any, None, Store]:
        return self._open().__await__()

    async def _open(self) -> Store:
        return await Store.opened(self._config, AsyncioRuntime(), self._telemetry)

    async def __aenter__(self) -> Store:
        self._store = await self._open()
        return self._store

    async def __aexit__(self, *exc: object) -> None:
        if self._store is not None:
            await self._store.close()


def open(
    config: Config | str | os.PathLike[str] | None = None, *, read_only: bool | None = None, telemetry: Telemetry = OFF
) -> Opening:
    """Open a store: a folder's path (embedded), the address of a PostgreSQL database or a Config; without any, by the environment.

    async with tierstore.open("data/") as store: ...
    store = await tierstore.open(Config(...))

    `read_only`: as in Config, and before it: a store that only reads.

    Raises ConfigError for a wrong setting, ConnectionError where a server cannot be reached.
    """
    return Opening(as_config(config, read_only), telemetry)


def as_config(config: Config | str | os.PathLike[str] | None, read_only: bool | None = None) -> Config:
    """The Config that `open`'s arguments mean."""
    named = _named(config)
    return named if read_only is None else replace(named, read_only=read_only)


def _named(config: Config | str | os.PathLike[str] | None) -> Config:
    if config is None:
        return Config.from_env()
    if isinstance(config, Config):
        return config
    if isinstance(config, str) and (address := postgres_address(config)) is not None:
        return Config(postgres=PostgresConfig(address))
    if isinstance(config, (str, os.PathLike)):
        return Config(config)
    raise ConfigError(f"open() expected a folder's path, postgresql://… or a Config, got {type(config).__name__}")


@asynccontextmanager
async def migrator(config: Config) -> AsyncIterator[Migrator]:
    """The migrations of a database, without opening a store over it."""
    config = config.resolved()
    runtime = AsyncioRuntime()
    try:
        records, _ = await open_records(config, runtime, migrates=True)
        try:
            yield Migrator(records, budget=lambda: runtime.deadline(config.deadlines.bulk))
        finally:
            await records.close(runtime.deadline(config.deadlines.close))
    finally:
        await runtime.close()
