"""What this process does when it learns of changes: its own, those of other processes, and that some may have been missed.

Who reads from now on must not get what was there before. A cached kind drops the key and leaves its loads under way behind; after a
gap, or over another database, all of L1 goes and `epoch` rises, so that no load that is under way fills it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Mapping
from typing import Any

from tierstore.backends import Answering, Change, Records
from tierstore.plan import keys
from tierstore.plan.invalidate import RecentWrites, parse
from tierstore.runtime import Deadline, Runtime, restart_when_interrupted
from tierstore.tiers.cached import CachedKind
from tierstore.tiers.delivery import ChangeSet, Unconfirmed
from tierstore.tiers.floors import Settled
from tierstore.tiers.freshness import Freshness
from tierstore.tiers.replicas import Replicas
from tierstore.tiers.stats import Counters

log = logging.getLogger("tierstore")


class Invalidation:
    """The carriers' `Listener`, and the writers' own. `namespace`: whose names in L2 are asked for."""

    def __init__(
        self,
        runtime: Runtime,
        records: Records,
        kinds: Mapping[str, CachedKind[Any, Any]],
        replicas: Replicas,
        unconfirmed: Unconfirmed,
        settled: Settled,
        counters: Counters,
        answering: Answering | None,
        *,
        namespace: keys.Namespace,
        carried: bool,
        has_l2: bool,
        horizon_s: float,
    ) -> None:
        self._runtime = runtime
        self._records = records
        self._kinds = kinds
        self._replicas = replicas
        self._settled = settled
        self._counters = counters
        self._answering = answering
        self._has_l2 = has_l2
        self._reign_began_at = -math.inf
        self.identity: str | None = None
        """Of the database whose values are cached. Set after `namespace`: who reads it first gets names that are no older."""
        self._own_writes = RecentWrites()
        self.namespace = namespace
        self.epoch = 0
        self.unconfirmed = unconfirmed
        self.freshness = Freshness(runtime.monotonic, carried=carried, horizon_s=horizon_s)
        self.l2_freshness = Freshness(runtime.monotonic, carried=carried, horizon_s=horizon_s)
        self.l2_known = runtime.waiter()
        """Resolved by the first echo."""
        if runtime.face == "blocking":
            restart_when_interrupted(self)

    def within(self, bound_s: float) -> bool:
        """Whether both caches are at most `bound_s` seconds behind the database."""
        return self.freshness.within(bound_s) and (not self._has_l2 or self.l2_freshness.within(bound_s))

    # What this process wrote

    def committed(self, change_set: ChangeSet) -> None:
        self.apply(change_set.local)
        self._own_writes.add(change_set.changes)

    def in_doubt(self, change_set: ChangeSet) -> None:
        """It may be committed. No position is known by which a replica had it, so the next reads ask for one."""
        self.apply(change_set.local)
        self._replicas.reset()

    def apply(self, local: list[tuple[str, Hashable, int]]) -> None:
        for kind, key, version in local:
            self._replicas.changed(kind, key)
            self._kinds[kind].changed(key, version)

    # What the carriers report

    def on_invalidated(self, changes: tuple[Change, ...], *, ahead_of_l2: bool) -> None:
        if ahead_of_l2 and self._has_l2:
            self.unconfirmed.add(list(changes), self._runtime.monotonic())
        for change in changes:
            if self._own_writes.is_known(change):
                continue
            named = parse(change.key)
            cached = None if named is None else self._kinds.get(named.kind)
            if named is not None and cached is not None:
                key = cached.kind.parse(named.text)
                self._replicas.changed(named.kind, key)
                cached.changed(key, change.version)

    def on_open(self) -> None:
        """L1 is empty, so it lacks nothing that was committed by now; the carriers report what is committed from now on."""
        self.freshness.echo(self._runtime.monotonic())

    def on_echo(self, sent_at: float, *, l2: bool) -> None:
        self.freshness.echo(sent_at)
        if l2:
            self.on_l2_echo(sent_at)

    def on_l2_echo(self, sent_at: float) -> None:
        """L2 knows all that was committed before `sent_at`. Of another server than today's that means nothing."""
        began_at = self._reign_began_at
        if sent_at <= began_at:
            return
        self.l2_freshness.echo(sent_at)
        if self._reign_began_at != began_at:  # another one began meanwhile, in another thread
            self.l2_freshness.end()
            return
        self.l2_known.resolve(None)
        self._settled.l2(sent_at)
        if self.unconfirmed:
            self.unconfirmed.echo(sent_at)

    def on_new_reign(self) -> None:
        """Another server carries L2, and may hold what it was never told to drop: it is not read before an echo of a later ping."""
        self._reign_began_at = self._runtime.monotonic()
        self.l2_freshness.end()

    def on_gap(self, reason: str) -> None:
        self.flush()

    # What makes everything old

    async def check_epoch(self, deadline: Deadline) -> None:
        """Ask the database which one it is (rule 7)."""
        self.is_moved_by(await self._records.identity(deadline))

    def is_moved_by(self, identity: str) -> bool:
        """Whether it is another database, or this one after a promotion: what L2 holds under the old namespace is never read again."""
        if self.identity is None or identity == self.identity:
            self.identity = identity
            return False
        log.warning(
            "The database changed: it is %s now and was %s before. The store drops everything that it has cached.",
            identity,
            self.identity,
        )
        self.l2_freshness.end()  # what was heard was said of other names
        self.namespace = keys.namespace(self.namespace.prefix, identity)
        self.identity = identity
        if self._answering is not None:
            self._answering.move(self.namespace)
        self.unconfirmed.clear()
        self.flush()
        for cached in self._kinds.values():
            cached.floors.clear()
        self.on_new_reign()  # once more: what other threads were shown until now is forgotten, and L2 may not have heard of it
        return True

    def flush(self) -> None:
        """Forget all of L1 (a gap, another epoch), but not which versions it has shown. Loads under way fill nothing."""
        self.epoch += 1
        self._own_writes.clear()
        self._counters.l1_flushes += 1
        self._replicas.reset()
        for cached in self._kinds.values():
            cached.flush()

    def restart(self) -> None:
        """A writer may have been interrupted between its commit and its delivery."""
        self.epoch += 1
        self._replicas.reset()
        for cached in list(self._kinds.values()):
            cached.restart()
