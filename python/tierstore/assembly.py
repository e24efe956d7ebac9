"""Builds the tiers that a configuration names, and takes them down again. Drivers are imported here when they are needed."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tierstore._native import SizeRouter
from tierstore.backends import Blobs, Channel, KeyValue, Records
from tierstore.backends.pairs import Pairs
from tierstore.backends.private import open_to_others
from tierstore.backends.read_only import ReadOnlyBlobs, ReadOnlyPairs, ReadOnlyRecords
from tierstore.calls.store import Ground
from tierstore.calls.store import Parts as StoreParts
from tierstore.config import INLINE_MAX, MIB, MIN_CONNECTIONS, Config, PairsPlace, RedisConfig, pairs_of
from tierstore.errors import ConnectionError, StorageError
from tierstore.plan.keys import Namespace, namespace
from tierstore.runtime import Deadline, Runtime, Supervisor
from tierstore.runtime.outages import Component
from tierstore.stores import build
from tierstore.telemetry import Gauged, Series, Telemetry, Total
from tierstore.tiers.blobs import BlobTier
from tierstore.tiers.engine import Engine, Limits, Tiers
from tierstore.tiers.migrate import Migrator
from tierstore.tiers.moving import Mover
from tierstore.tiers.observed import CountedBlobs, TimedRecords
from tierstore.tiers.sweep import Sweeper

log = logging.getLogger("tierstore")
DATABASE_FILE, OBJECTS_FOLDER = "tierstore.db", "objects"
OPTIONAL_S: dict[Component, float] = {"Redis": 2.0, "channel": 2.0, "object store": 10.0}
"""How long opening a store waits for a tier that it can do without."""
SERVERS: dict[str, Component] = {"database": "database", "l2": "Redis", "objects": "object store"}
"""What is reported of a tier that does not answer."""
Ping = Callable[[Deadline], Awaitable[str]]


@dataclass
class Backends:
    """The drivers of one store, opened. `carriers`: the first, and the one that stands by. `pairs`: by the store whose pairs they hold."""

    name: str
    records: Records
    blobs: CountedBlobs | None = None
    key_value: KeyValue | None = None
    carriers: tuple[Channel | None, Channel | None] = (None, None)
    pairs: dict[str, Pairs] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    absent: dict[Component, str] = field(default_factory=dict)
    """What did not answer at open, and what it said."""

    def opened(self) -> dict[str, Any]:
        """By the name that health gives them, in the order in which they are closed."""
        named: dict[str, Any] = {
            **self.pairs,
            "channel": self.carriers[0],
            "standby channel": self.carriers[1],
            "l2": self.key_value,
            "objects": self.blobs,
            "database": self.records,
        }
        return {name: driver for name, driver in named.items() if driver is not None}

    async def close(self, deadline: Deadline) -> None:
        """Close all, whatever one of them raises."""
        for name, driver in self.opened().items():
            try:
                await driver.close(deadline)
            except StorageError as error:
                log.warning("Closing the %s failed: %s", name, error)


class Parts:
    """What a `Store` is made of."""

    def __init__(
        self,
        runtime: Runtime,
        backends: Backends,
        engine: Engine,
        blobs: BlobTier,
        stores: Mapping[str, StoreParts],
    ) -> None:
        self.runtime = runtime
        self.engine = engine
        self.blobs = blobs
        self.stores = stores
        self.records = backends.records
        self.name = backends.name
        self._backends = backends
        self._supervisor: Supervisor = runtime.supervisor()

    async def start(self, deadline: Deadline) -> None:
        """Start the background jobs."""
        await self.engine.open(self._supervisor)
        for store in self.stores.values():
            await store.open(deadline)
        if self.engine.read_only:
            return
        for name, store in self.stores.items():
            for job, step in store.jobs().items():
                self._supervisor.start(f"{name}: {job}", step)
        self._supervisor.start("blob uploads", self.blobs.settle)
        if self._backends.key_value is not None and not self._backends.absent:
            await self.engine.until_l2_is_known()

    async def close(self, deadline: Deadline) -> None:
        """Stop the jobs, flush, close the drivers: those whatever became of the steps before."""
        try:
            await self.engine.close(deadline)
            await self._flush(deadline)
        finally:
            try:
                await self._backends.close(deadline)
            finally:
                await self.runtime.close()

    async def _flush(self, deadline: Deadline) -> None:
        if self.engine.read_only:
            return
        for name, store in self.stores.items():
            try:
                await store.flush(deadline)
            except StorageError as error:
                log.warning("On closing, %s could not write its last counts: %s", name, error)

    def pings(self) -> dict[str, Ping]:
        """How each tier is asked for its health."""
        return {name: driver.ping for name, driver in self._backends.opened().items()}

    async def warnings(self, deadline: Deadline) -> tuple[str, ...]:
        """What may become wrong, in words."""
        found = list(self._backends.warnings)
        found += [text for name, text in self._backends.absent.items() if name in self.runtime.outages]
        if not self.engine.freshness.is_fresh():
            found.append(
                "no invalidation channel answers, so the caches are not trusted and every read asks the database"
            )
        pool, room = self.records.pool(), await self._server_limit(deadline)
        if pool.in_use >= pool.limit and pool.waiting:
            found.append(
                f"all {pool.limit} connections to the database are in use, and {pool.waiting} callers wait for one: raise "
                "max_connections, or shorten transactions"
            )
        if room is not None and not pool.pooled and pool.limit + pool.reserved > room:
            found.append(
                f"the pool may grow to {pool.limit} connections and {pool.reserved} reserved ones, but the server has room for {room}; "
                "lower max_connections"
            )
        found += await self._l2_warnings(deadline)
        found += self.blobs.damage.warnings()
        for store in self.stores.values():
            found += await store.warnings(deadline)
        return tuple(found)

    async def _l2_warnings(self, deadline: Deadline) -> list[str]:
        """An L2 that does not answer is a tier that is not ok: no warning."""
        key_value = self._backends.key_value
        try:
            self.runtime.check_owner()
            return [] if key_value is None else await key_value.warnings(deadline)
        except StorageError:
            return []

    async def referenced(self, digests: Sequence[str], deadline: Deadline) -> set[str]:
        """Those of the digests that some store still needs. Every store is asked: what none names may be removed."""
        needed: set[str] = set()
        for store in self.stores.values():
            needed |= await store.referenced(digests, deadline)
        return needed

    def sweeper(self) -> Sweeper:
        """What removes content that no store needs."""
        blobs: Any = self._backends.blobs
        return Sweeper(self.runtime, self.records, blobs, self.blobs, self.referenced)

    def mover(self) -> Mover:
        """What moves content between rows and the object store."""
        blobs: Any = self._backends.blobs
        return Mover(self.records, blobs, self.blobs)

    async def _server_limit(self, deadline: Deadline) -> int | None:
        try:
            self.runtime.check_owner()
            return int((await self.records.observe("protocol.connection_limit", deadline=deadline))[0][0])
        except (StorageError, KeyError):
            return None

    def tier_statistics(self) -> dict[str, Any]:
        """Counters of the tiers."""
        uploads, downloads = self._object_counts()
        damage = self.blobs.damage
        counted = {"object_uploads": uploads, "object_downloads": downloads}
        return self.engine.statistics() | counted | {"content_damaged": damage.found, "content_healed": damage.healed}

    def totals(self) -> dict[Total, int]:
        """What telemetry collects."""
        uploads, downloads = self._object_counts()
        totals: dict[Total, int] = {
            "schema_registry.s3.uploads": uploads,
            "schema_registry.s3.downloads": downloads,
        }
        for store in self.stores.values():
            totals |= store.totals()
        return totals

    def counts(self) -> dict[Series, int]:
        """What telemetry collects of each store."""
        counts = self.engine.counts()
        for store in self.stores.values():
            for series, count in store.counts().items():
                counts[series] = counts.get(series, 0) + count
        return counts

    def levels(self) -> dict[Gauged, int]:
        """What goes up and down: whether each server answers, and what the stores say."""
        outages, opened = self.runtime.outages, self._backends.opened()
        levels = {
            Gauged("tierstore.up", tier): int(component not in outages)
            for tier, component in SERVERS.items()
            if tier in opened
        }
        for store in self.stores.values():
            levels |= store.levels()
        return levels

    def _object_counts(self) -> tuple[int, int]:
        blobs = self._backends.blobs
        return (0, 0) if blobs is None else (blobs.uploads, blobs.downloads)


async def assemble(config: Config, runtime: Runtime, telemetry: Telemetry) -> Parts:
    """Open every configured tier and start the jobs. What was opened is closed again when a later step fails."""
    deadline = runtime.deadline(config.deadlines.open)
    try:
        records, warnings = await open_records(
            config, runtime, migrates=config.migrate == "auto" and not config.read_only
        )
    except BaseException:
        await runtime.close()
        raise
    if telemetry.on:
        timed: Any = TimedRecords(records, telemetry, runtime.monotonic)
        records = timed
    backends = Backends(_name(config), records, warnings=warnings)
    try:
        migrator = Migrator(records, budget=lambda: runtime.deadline(config.deadlines.bulk))
        await migrator.ensure("check" if config.read_only and config.migrate == "auto" else config.migrate)
        await _open_others(config, runtime, telemetry, backends, deadline)
        parts = await _tiers(config, runtime, telemetry, backends, deadline)
        await parts.start(deadline)
    except BaseException:
        await backends.close(runtime.deadline(config.deadlines.close))
        await runtime.close()
        raise
    return parts


def _name(config: Config) -> str:
    tiers = [f"embedded in {config.path}" if config.postgres is None else "postgres"]
    tiers += ["redis"] if config.redis is not None and config.gates.redis is not False else []
    tiers += ["s3"] if config.objects is not None and config.gates.objects is not False else []
    return " + ".join(tiers)


async def open_records(config: Config, runtime: Runtime, *, migrates: bool) -> tuple[Records, tuple[str, ...]]:
    """The database, opened, and what health should warn of. ConnectionError, unless `on_unavailable` allows memory only.

    `migrates`: migrations may follow, so a schema that is absent is not refused.
    """
    records = _records(config, runtime, migrates=migrates)
    try:
        await records.open(runtime.deadline(config.deadlines.open))
    except BaseException as error:
        await records.close(runtime.deadline(config.deadlines.close))
        if config.on_unavailable != "memory" or not isinstance(error, ConnectionError):
            raise
        log.warning("The database cannot be reached, so the store keeps data only until it closes: %s", error)
        records = _sqlite(runtime, Path(tempfile.mkdtemp(prefix="tierstore-memory-")))
        await records.open(runtime.deadline(config.deadlines.open))
        return records, (f"the database cannot be reached, so data is kept only until the store closes: {error}",)
    return records, _readable(config)


def _readable(config: Config) -> tuple[str, ...]:
    """Who else may read an embedded store."""
    warning = None if config.postgres is not None or config.path is None else open_to_others(Path(config.path))
    if warning is not None:
        log.warning("%s", warning)
    return () if warning is None else (warning,)


def _records(config: Config, runtime: Runtime, *, migrates: bool) -> Records:
    if config.postgres is None:
        assert config.path is not None  # noqa: S101  (Config holds one of the two)
        return _sqlite(runtime, Path(config.path), read_only=config.read_only)
    from tierstore.backends.postgres.records import PostgresRecords

    policy = config.postgres
    records: Any = PostgresRecords(
        runtime,
        policy.url,
        replicas=() if config.gates.replicas is False else policy.replicas,
        migrate_url=policy.migrate_url,
        pooled=policy.pooled,
        schema=policy.schema,
        create_schema=migrates,
        max_connections=policy.max_connections,
        min_connections=MIN_CONNECTIONS if policy.min_connections is None else policy.min_connections,
        acquire_timeout=policy.acquire_timeout,
        idle_timeout=policy.idle_timeout,
        max_lifetime=policy.max_lifetime,
        statement_timeout=policy.statement_timeout,
    )
    return ReadOnlyRecords(records) if config.read_only else records


def _sqlite(runtime: Runtime, folder: Path, *, read_only: bool = False) -> Records:
    if read_only:
        from tierstore.backends.sqlite.read_only import ReadOnlySqlite

        return ReadOnlySqlite(runtime, folder / DATABASE_FILE)
    from tierstore.backends.sqlite.records import SqliteRecords

    return SqliteRecords(runtime, folder / DATABASE_FILE)


async def _open_others(
    config: Config, runtime: Runtime, telemetry: Telemetry, backends: Backends, deadline: Deadline
) -> None:
    """L2, the object store and the carriers; each is noted in `backends` before it is opened, so that it is closed too."""
    backends.blobs = _blobs(config, runtime, telemetry)
    if backends.blobs is not None:
        required = config.objects is None or config.objects.required
        await _open(backends, "object store", backends.blobs, runtime, deadline, required=required)
    for name, place in pairs_of(config).items():
        pairs: Any = _pairs(runtime, place)
        backends.pairs[name] = ReadOnlyPairs(pairs) if config.read_only else pairs
        await backends.pairs[name].open(deadline)
    channel = _sql_channel(runtime, backends.records)
    backends.carriers = (channel, None)
    await channel.open(deadline)
    if config.redis is None or config.gates.redis is False:
        return
    identity = await backends.records.identity(deadline)
    key_value, redis_channel = _redis(config.redis, runtime, namespace(config.redis.prefix, identity))
    backends.key_value, backends.carriers = key_value, (redis_channel, channel)
    required = config.redis.required
    if await _open(backends, "Redis", key_value, runtime, deadline, required=required):
        await _open(backends, "channel", redis_channel, runtime, deadline, required=required)


async def _open(
    backends: Backends, name: Component, driver: Any, runtime: Runtime, deadline: Deadline, *, required: bool
) -> bool:
    """Open a tier. One that a store can do without, and that does not answer soon, is a warning: it connects later by itself."""
    try:
        await driver.open(deadline if required else runtime.deadline(min(deadline.remaining(), OPTIONAL_S[name])))
    except ConnectionError as error:
        if required:
            raise
        runtime.outages.began(name, error)
        named = name if name == "Redis" else f"the {name}"
        backends.absent[name] = f"{named} did not answer when the store was opened: {error}"
        return False
    return True


def _blobs(config: Config, runtime: Runtime, telemetry: Telemetry) -> CountedBlobs | None:
    driver: Any = _blob_driver(config, runtime)
    return None if driver is None else CountedBlobs(ReadOnlyBlobs(driver) if config.read_only else driver, telemetry)


def _blob_driver(config: Config, runtime: Runtime) -> Blobs | None:
    if config.objects is not None and config.gates.objects is not False:
        from tierstore.backends.s3.blobs import S3

        return S3(
            runtime,
            replace(config.objects, versioning=False, expire_noncurrent_days=None)
            if config.read_only
            else config.objects,
        )
    if config.path is None:
        return None
    from tierstore.backends.folder.blobs import Folder

    create = config.migrate == "auto" and not config.read_only
    return Folder(runtime, Path(config.path) / OBJECTS_FOLDER, create=create)


def _sql_channel(runtime: Runtime, records: Any) -> Channel:
    if records.dialect == "sqlite":
        from tierstore.backends.sqlite.channel import SqliteChannel

        return SqliteChannel(runtime, records)
    from tierstore.backends.postgres.channel import OutboxChannel

    return OutboxChannel(runtime, records)


def _pairs(runtime: Runtime, place: PairsPlace) -> Pairs:
    if place.redis is None:
        from tierstore.backends.memory.pairs import MemoryPairs

        return MemoryPairs(runtime, max_entries=place.max_entries)
    from tierstore.backends.redis.key_value import route
    from tierstore.backends.redis.node import STATE
    from tierstore.backends.redis.pairs import RedisPairs

    policy = place.redis
    where = route(runtime, url=policy.url, sentinel=policy.sentinel, cluster=policy.cluster, duty=STATE)
    shared, most = place.cache_prefix, place.max_watched
    return RedisPairs(runtime, where, prefix=place.prefix, cache_prefix=shared, max_watched=most)


def _redis(policy: RedisConfig, runtime: Runtime, named: Namespace) -> tuple[KeyValue, Channel]:
    from tierstore.backends.redis.channel import RedisChannel
    from tierstore.backends.redis.key_value import RedisKeyValue, route

    where = route(runtime, url=policy.url, sentinel=policy.sentinel, cluster=policy.cluster)
    soft, hard = policy.soft_timeout, policy.hard_timeout
    key_value = RedisKeyValue(runtime, where, prefix=policy.prefix, soft_timeout_s=soft, hard_timeout_s=hard)
    return key_value, RedisChannel(runtime, where, named, hard_timeout_s=hard)


async def _tiers(
    config: Config, runtime: Runtime, telemetry: Telemetry, backends: Backends, deadline: Deadline
) -> Parts:
    """The engine over the drivers, and the stores over the engine."""
    records, cache = backends.records, config.cache
    identity = await records.identity(deadline)
    prefix = config.redis.prefix if config.redis else ""
    engine = Engine(
        runtime,
        Tiers(
            records, backends.key_value, *backends.carriers, replicas=_has_replicas(config), read_only=config.read_only
        ),
        namespace=namespace(prefix, identity),
        limits=Limits(
            max_entries=cache.max_entries,
            max_bytes=cache.max_bytes,
            ttl_s=cache.ttl,
            ttl_by_kind=cache.ttl_by_kind,
            search_bytes=cache.search_bytes,
            l2_ttl_s=config.redis.ttl if config.redis else cache.ttl,
            l2_ttl_by_kind=config.redis.ttl_by_kind if config.redis else {},
        ),
    )
    threshold = config.objects.threshold if config.objects else MIB
    driver: Blobs | None = backends.blobs
    blobs = BlobTier(runtime, records, driver, SizeRouter(INLINE_MAX, threshold))
    stores = build(Ground(engine, blobs, runtime, telemetry, config, backends.pairs))
    return Parts(runtime, backends, engine, blobs, stores)


def _has_replicas(config: Config) -> bool:
    return config.postgres is not None and bool(config.postgres.replicas) and config.gates.replicas is not False
