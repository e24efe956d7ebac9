"""The engine of one store: cached kinds, writes, and the jobs that keep what is cached true (coherence.md).

It knows drivers by their protocols only. Clock, scheduling and randomness come from the runtime, so that a simulation can own them.
docs/design/flow.md shows how a read and a write go through it.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tierstore.backends import Change, Channel, KeyValue, Params, Records, Row, Unit
from tierstore.backends.read_only import refuse
from tierstore.errors import ConflictError, TimeoutError
from tierstore.plan import keys
from tierstore.plan.invalidate import Changes
from tierstore.plan.keys import Namespace
from tierstore.plan.route import Route, later_of, route
from tierstore.runtime import Deadline, Job, Runtime, Supervisor
from tierstore.telemetry import Series
from tierstore.tiers import session
from tierstore.tiers.cached import CachedKind
from tierstore.tiers.carriers import Carriers
from tierstore.tiers.delivery import ChangeSet, Delivery
from tierstore.tiers.fail_safe import NO_ANSWER, Silence
from tierstore.tiers.floors import Settled
from tierstore.tiers.forgetting import Forgetting
from tierstore.tiers.freshness import HORIZON_S
from tierstore.tiers.invalidation import Invalidation
from tierstore.tiers.kind import K, Kind, Loaded, R
from tierstore.tiers.l1 import L1
from tierstore.tiers.miss import Lease, Miss
from tierstore.tiers.relay import Relay, answering_of
from tierstore.tiers.replicas import Replicas
from tierstore.tiers.shared import Shared
from tierstore.tiers.source import Database
from tierstore.tiers.stats import Counters, KindCounters
from tierstore.tiers.transaction import Transaction

REFRESH_BUDGET_S = HORIZON_S / 2
"""In the blocking face it shares a thread with the jobs that keep the caches fresh."""
EPOCH_BUDGET_S = LOAD_BUDGET_S = 5.0
OPENING_S = 0.25
RELEASE_BUDGET_S = 0.25
IDLE_S = 60.0
NOWHERE = Namespace("", "")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is cached, and for how long: of each kind in L1, of all in L2. Seconds and bytes.

    `ttl_by_kind` and `l2_ttl_by_kind` win over a kind's own ttl. `search_bytes`: of a search index in memory.
    """

    max_entries: int = 10_000
    max_bytes: int = 256 * 1024 * 1024
    ttl_s: float = 3600.0
    ttl_by_kind: Mapping[str, float] = field(default_factory=dict)
    l2_ttl_s: float = 3600.0
    l2_ttl_by_kind: Mapping[str, float] = field(default_factory=dict)
    search_bytes: int = 256 * 1024 * 1024
    horizon_s: float = HORIZON_S


@dataclass(frozen=True, slots=True)
class Tiers:
    """The drivers of one engine, opened.

    `key_value`: L2, or None. `channel`: the first carrier (rule 6), `standby`: the one that takes over from Redis's; without a channel
    nobody else changes the database. `replicas`: loads may ask them. `read_only`: nothing is written, and nothing written is delivered.
    """

    records: Records
    key_value: KeyValue | None = None
    channel: Channel | None = None
    standby: Channel | None = None
    replicas: bool = False
    read_only: bool = False


class Engine:
    """Reads and writes over the tiers that are there.

    `namespace`: of the names in L2; when another database takes over, the next one has the same prefix.
    """

    def __init__(
        self,
        runtime: Runtime,
        tiers: Tiers,
        *,
        namespace: Namespace = NOWHERE,
        limits: Limits | None = None,
    ) -> None:
        records, key_value, channel = tiers.records, tiers.key_value, tiers.channel
        self.number = next(_numbers)
        self.runtime = runtime
        self.records = records
        self.dialect = records.dialect
        self.limits = limits or Limits()
        self.counters = Counters()
        self.kinds: dict[str, CachedKind[Any, Any]] = {}
        self.read_only = tiers.read_only
        self._key_value = key_value
        self._delivery = Delivery(runtime, records, key_value, channel, self.counters, self._wake_marks)
        self._probe: Job | None = None if key_value is None else key_value.probe
        self.settled = Settled(self._settle, l2=key_value is not None, replicas=tiers.replicas)
        self._replicas = Replicas(runtime, records, self.settled.replicas, on=tiers.replicas)
        self.silence, self._forgetting = Silence(runtime.monotonic), Forgetting(runtime, records)
        self._ripe: dict[str, set[Any]] = {}
        self._abandoned: deque[tuple[Shared, str, Lease]] = deque()
        self._supervisor: Supervisor | None = None
        self.invalidation = Invalidation(
            runtime,
            records,
            self.kinds,
            self._replicas,
            self._delivery.unconfirmed,
            self.settled,
            self.counters,
            answering_of(channel),
            namespace=namespace,
            carried=channel is not None,
            has_l2=key_value is not None,
            horizon_s=self.limits.horizon_s,
        )
        if key_value is not None:
            key_value.watch_reigns(self.invalidation.on_new_reign)
        self.freshness = self.invalidation.freshness
        self.l2_fresh = self.invalidation.l2_freshness.is_fresh
        self.unconfirmed = self.invalidation.unconfirmed
        self.flush = self.invalidation.flush
        self.carriers = (
            None
            if channel is None
            else Carriers(runtime, self.invalidation, self.freshness, self.counters, channel, tiers.standby)
        )
        self._relay = Relay(
            runtime,
            records,
            self._delivery,
            self.counters,
            answering_of(channel),
            self.invalidation,
            has_l2=key_value is not None,
        )

    @property
    def namespace(self) -> Namespace:
        """Whose names in L2 are asked for. Another database has another one."""
        return self.invalidation.namespace

    # Opening

    async def open(self, supervisor: Supervisor | None = None) -> None:
        """Start the jobs, under `supervisor` or an own one. The drivers are open already."""
        await self.invalidation.check_epoch(self.runtime.deadline(EPOCH_BUDGET_S))
        self.invalidation.on_open()
        self._supervisor = start = supervisor or self.runtime.supervisor()
        if self._relay.active and not self.read_only:
            start.start("relay", self._relay.step, urgent=True)
        if self.carriers is not None:
            self.carriers.start(start)
        if self._replicas.on:
            start.start("replica baseline", self._replicas.step, urgent=True)
        if self._probe is not None:
            start.start("l2 probe", self._probe)  # while L2 is away, no reader has to try whether it is back
        start.start("eager refresh", self._refresh)
        if self._key_value is not None:
            start.start("abandoned leases", self._give_back)
        if not self.read_only:
            start.start("outbox marks", self._mark)
            start.start("outbox trim", self._relay.trim)
            start.start("idempotency keys", self._forgetting.step)

    async def until_l2_is_known(self) -> None:
        """Wait for the first echo, OPENING_S at most: from then on L2 is read. Before, its leases serve, and its old values do not."""
        with contextlib.suppress(TimeoutError):
            await self.invalidation.l2_known.wait(self.runtime.deadline(OPENING_S))

    async def close(self, deadline: Deadline) -> None:
        """Stop the jobs; mark what was delivered. The drivers are closed by whoever opened them."""
        supervisor, self._supervisor = self._supervisor, None
        self.freshness.end()  # no hit after the close
        if supervisor is not None:
            await supervisor.close(deadline)
            self.freshness.end()  # a job may have heard an echo until now
            await self._relay.close(deadline)
            while await self._delivery.mark():
                pass

    # Kinds

    def kind(self, kind: Kind[K, R]) -> CachedKind[K, R]:
        """A cached kind; its name is its own in this engine."""
        if ":" in kind.name:
            raise ValueError(f"the name of a kind must not contain a colon, got {kind.name!r}")
        if kind.name in self.kinds:
            raise ValueError(f"the kind {kind.name!r} is registered already: give each kind a name of its own")
        l1 = L1(
            self.freshness,
            self.runtime.monotonic,
            ttl_s=self.limits.ttl_by_kind.get(kind.name, kind.ttl_s or self.limits.ttl_s),
            max_entries=kind.max_entries or self.limits.max_entries,
            max_bytes=None if kind.weigh is None else self.limits.max_bytes,
            immutable=kind.immutable,
            owner_loop=self.runtime.owner_loop,
        )
        cached = self.kinds[kind.name] = CachedKind(self, kind, l1, self._key_value)
        return cached

    def noted_tiers(self, *, shared: bool) -> tuple[str, ...]:
        """The tiers whose answers may be later than what is read next. (Of L2 only what lagging replicas may fill is.)"""
        if self._replicas.on:
            return ("database", "l2")
        return ("database",) if shared else ()

    def _settle(self, moment: float) -> None:
        for cached in self.kinds.values():
            cached.floors.settle(moment)

    # Reading past the caches

    async def load(
        self,
        cached: CachedKind[Any, Any],
        keys: list[Any],
        deadline: Deadline,
        *,
        primary: bool,
        after: str | None = None,
    ) -> Loaded:
        """What the primary holds of the keys, or a replica that has replayed what this process knows of, and `after`."""
        return await self.silence.broken_by(self._load(cached, keys, deadline, primary, after))

    async def _load(
        self, cached: CachedKind[Any, Any], keys: list[Any], deadline: Deadline, primary: bool, after: str | None
    ) -> Loaded:
        if not primary:
            is_fresh = self.freshness.is_fresh()
            primary, behind = await self._replicas.where(cached.kind.name, keys, deadline, is_fresh=is_fresh)
            after = later_of(after, behind)
        primary = primary or cached.floors.any_of(keys)
        source = Database(self.records, deadline.within(LOAD_BUDGET_S).shared(), primary=primary, after=after)
        return await cached.kind.load(keys, source)

    def reading(
        self,
        deadline: Deadline,
        *,
        read: str = "session",
        not_before: str | None = None,
        shows: Callable[[list[Row]], bool] | None = None,
    ) -> Callable[[str, Params], Awaitable[list[Row]]]:
        """Fetch for what is not cached (lists, searches): sees at least what this session wrote. ValidationError for a wrong `read`.

        `shows`: notes what the rows show, and says whether nothing later was known; what a replica answers otherwise, the primary does.
        """
        way = route(read, not_before)
        known = session.known_session(self.number) if way.plain else None
        after = way.after if known is None else known.position

        async def fetch(query: str, params: Params) -> list[Row]:
            primary, behind = await self._may_be_behind(way, deadline)
            least = later_of(after, behind)
            rows = await self.records.fetch(query, params, deadline=deadline, primary=primary, after=least)
            if shows is None or shows(rows) or primary or not self._replicas.on:
                return rows
            rows = await self.records.fetch(query, params, deadline=deadline, primary=True)
            shows(rows)
            return rows

        return fetch

    async def _may_be_behind(self, way: Route, deadline: Deadline) -> tuple[bool, str | None]:
        """Whether the primary must answer a list, and the position by which a replica is within the horizon."""
        if way.primary or not self._replicas.on or way.bound_s == math.inf:
            return way.primary, None
        recent = await self._replicas.recent(deadline)
        return recent is None, recent

    def observing(self, deadline: Deadline) -> Callable[[str, Params], Awaitable[list[Row]]]:
        """Fetch for who looks after the store (`Records.observe`)."""

        async def fetch(query: str, params: Params) -> list[Row]:
            return await self.records.observe(query, params, deadline=deadline)

        return fetch

    # Writing

    def write(
        self,
        *,
        deadline: Deadline,
        idempotency_key: str | None = None,
        reader: session.Session | None = None,
        patience_s: float | None = None,
    ) -> Transaction:
        """`async with engine.write(...) as write`: write.unit, write.changed(kind, key, version). The block's end commits.

        `reader`: whose next reads must see it (None: the running context's). `patience_s`: how long it waits for the locks of others.
        """
        return Transaction(self, deadline, idempotency_key, reader=reader, patience_s=patience_s)

    def transaction(self, *, deadline: Deadline, idempotency_key: str | None = None) -> Transaction:
        """The same for a transaction that its user holds open: commit(), rollback(), savepoint()."""
        return Transaction(self, deadline, idempotency_key)

    def housekeeping(self, *, deadline: Deadline) -> AbstractAsyncContextManager[Unit]:
        """A transaction of a background job: it changes nothing that is cached, and no caller can hold it up."""
        self.check_writable()
        return self.records.housekeeping(deadline=deadline)

    async def statement(self, query: str, params: Params, deadline: Deadline, *, job: bool = False) -> list[Row]:
        """A write of one query, in a commit of its own, that changes nothing that is cached. What another one undid is done again.
        `job`: of a background job; no caller can hold it up."""
        while True:
            try:
                return await self.records.write(query, params, deadline=deadline, job=job)
            except ConflictError as error:
                if not error.transient:
                    raise
            deadline.check("another transaction was in the way")

    def check_writable(self) -> None:
        """ConflictError in a task or thread that holds an open transaction on this store: it would wait for itself. UnsupportedError
        where the store only reads."""
        if self.read_only:
            refuse()
        caller = self.runtime.caller()
        if any(held.held_by(self, caller) for held in session.open_transactions()):
            raise ConflictError("this task holds an open transaction on the store: write through it, or end it first")

    def change_set(self, changes: Changes) -> ChangeSet:
        local, identity = changes.items(), self.invalidation.identity  # before the names: these may be later ones
        return ChangeSet(local, self._named(local, self.namespace), identity)

    def _named(self, local: list[tuple[str, Hashable, int]], namespace: Namespace) -> list[Change]:
        return [self.kinds[kind].name(key, version, namespace) for kind, key, version in local]

    async def append(self, unit: Unit, change_set: ChangeSet) -> None:
        """The outbox row. A database that took over may be met here first: what others keep of it goes by other names.

        The row with the old ones is delivered by the relay, to nobody.
        """
        identity = await self._delivery.append(unit, change_set)
        if identity is None or change_set.identity in (None, identity):
            return
        self.invalidation.is_moved_by(identity)
        change_set.identity = identity
        change_set.changes = self._named(change_set.local, keys.namespace(self.namespace.prefix, identity))
        await self._delivery.append(unit, change_set)

    def committing(self, change_set: ChangeSet) -> None:
        self._delivery.committing(change_set)

    def in_doubt(self, change_set: ChangeSet) -> None:
        """The commit's answer was lost. What it may have changed is forgotten here; the relay delivers it to the others."""
        self.invalidation.in_doubt(change_set)
        self._delivery.in_doubt(change_set)

    async def committed(self, change_set: ChangeSet, by: session.Session | None, deadline: Deadline) -> None:
        """Invalidate everywhere; L1 first, so that no read that begins when the write has returned sees the old value (I2)."""
        self.invalidation.committed(change_set)
        self.counters.writes += 1
        self.counters.keys_changed += len(change_set.local)
        written = session.session_of(self.number) if by is None else by
        written.wrote(change_set.position)
        await self._delivery.deliver(change_set, deadline)

    # Sessions

    def token(self) -> str | None:
        """Where the database stood after this session's last write; None before the first."""
        known = session.known_session(self.number)
        return None if known is None else known.position

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """A read-your-writes scope of its own."""
        before = session.enter_session(self.number, session.Session())
        try:
            yield
        finally:
            session.enter_session(self.number, before)

    # Jobs

    def refresh(self, cached: CachedKind[Any, Any], key: Hashable) -> None:
        """Load a key anew, with nobody waiting for it: one near the end of its lifetime, or to hear whether the database answers again."""
        self._ripe.setdefault(cached.kind.name, set()).add(key)
        if self._supervisor is not None:
            self._supervisor.wake("eager refresh")

    async def _refresh(self) -> float:
        ripe, self._ripe = self._ripe, {}
        for name, wanted in ripe.items():
            with contextlib.suppress(*NO_ANSWER):  # reported elsewhere, and tried again when the keys are read
                await self.kinds[name].refresh(list(wanted), self.runtime.deadline(REFRESH_BUDGET_S))
        return IDLE_S

    def abandon(self, shared: Shared | None, flight: Miss) -> None:
        """Give up the lease of a load whose callers have all left, if it has one, so that nobody waits for it."""
        if shared is None or flight.lease is None:
            return
        self._abandoned.append((shared, flight.l2_key, flight.lease))
        if self._supervisor is not None:
            self._supervisor.wake("abandoned leases")

    async def _give_back(self) -> float:
        while self._abandoned:
            shared, key, lease = self._abandoned.popleft()
            await shared.release([(key, lease)], self.runtime.deadline(RELEASE_BUDGET_S))
        return IDLE_S

    def _wake_marks(self) -> None:
        if self._supervisor is not None:
            self._supervisor.wake("outbox marks")

    async def _mark(self) -> float:
        return await self._delivery.mark_soon()

    # What there is to know

    def hit_rates(self, store: str) -> dict[str, float]:
        """The share of that store's reads that "l1" answered, and the share of the rest that "l2" did."""
        kinds = self._kinds_of(store)
        rates = {"l1": _share(sum(kind.hit_count() for kind in kinds), sum(kind.misses for kind in kinds))}
        if self._key_value is not None:
            below = KindCounters.total(kind.counters for kind in kinds)
            rates["l2"] = _share(below.l2_hits, below.l2_misses)
        return rates

    def statistics(self, store: str | None = None) -> dict[str, Any]:
        """Counters by tier of one store's reads; without `store` those of all, and what is no store's own."""
        kinds = self._kinds_of(store)
        caches = [kind.l1.cache.stats() for kind in kinds]
        counted = {
            **KindCounters.total(kind.counters for kind in kinds).asdict(),
            "l1_hits": sum(kind.hit_count() for kind in kinds),
            "l1_misses": sum(kind.misses for kind in kinds),
            "l1_fills_refused": sum(kind.l1.refused for kind in kinds),
            "l1_entries": sum(stats.entries for stats in caches),
            "l1_evictions": sum(stats.evictions for stats in caches),
        }
        return counted if store is not None else counted | self._own_statistics()

    def counts(self) -> dict[Series, int]:
        """What telemetry collects of each store's reads."""
        counted: dict[Series, int] = {}
        for store in {kind.kind.store for kind in self.kinds.values()}:
            total = self.statistics(store)
            counted |= {
                Series("tierstore.cache.hits", store, tier="l1"): total["l1_hits"],
                Series("tierstore.cache.misses", store, tier="l1"): total["l1_misses"],
                Series("tierstore.cache.hits", store, tier="l2"): total["l2_hits"],
                Series("tierstore.cache.misses", store, tier="l2"): total["l2_misses"],
                Series("tierstore.loads", store): total["loads"],
                Series("tierstore.load_failures", store): total["load_failures"],
                Series("tierstore.stale_served", store): total["stale_served"],
            }
        for kind in self.kinds.values():
            if kind.kind.operation:
                counted[Series("tierstore.calls", kind.kind.store, kind.kind.operation)] = kind.hits_at_once()
        return counted

    def _own_statistics(self) -> dict[str, Any]:
        return {
            **self.counters.asdict(),
            "carrier": None if self.carriers is None else self.carriers.carrying,
            "fresh": self.freshness.is_fresh(),
            "unconfirmed": len(self.unconfirmed),
        }

    def _kinds_of(self, store: str | None) -> list[CachedKind[Any, Any]]:
        return [cached for cached in self.kinds.values() if store is None or cached.kind.store == store]


def _share(hits: int, misses: int) -> float:
    return hits / (hits + misses) if hits + misses else 0.0
