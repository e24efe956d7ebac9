"""Cached reads of one kind: L1, then L2, then the database, filling on the way back (rules 3, 4, 5, 10).

A `Miss` is one key's load and all who wait for it. It goes through two coalescers, one MGET and one load a batch; whoever finds a lane
free runs the batch for all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

from tierstore._native import decode_twins, twin
from tierstore.backends import Change, KeyValue
from tierstore.errors import StorageError, TimeoutError
from tierstore.plan.keys import Namespace, l2_key, l2_keys
from tierstore.plan.route import SESSION, Route, route
from tierstore.records import attach
from tierstore.runtime import Deadline
from tierstore.runtime.coalesce import MOST_KEYS, OVER_S, After, Coalescer, settle
from tierstore.runtime.flight import abandon_all
from tierstore.tiers.fail_safe import NO_ANSWER, FailSafe
from tierstore.tiers.floors import MOST_FLOORS, Floors
from tierstore.tiers.kind import ABSENT, ABSENT_BYTES, ENTRY_BYTES, NOWHERE, Absence, Found, K, Kind, Meta, R
from tierstore.tiers.l1 import L1, Entry
from tierstore.tiers.miss import Landing, Lease, Miss, Readings
from tierstore.tiers.shared import Shared
from tierstore.tiers.source import InTransaction
from tierstore.tiers.stats import KindCounters

if TYPE_CHECKING:
    from tierstore.tiers.engine import Engine
    from tierstore.tiers.transaction import Transaction

L2_LANES = 1
"""A second MGET under way makes both half as large; none takes longer than the soft budget."""


class CachedKind(Generic[K, R]):
    """`hit` returns the value from L1 or None, and makes no coroutine; `get` does the rest. Made by `Engine.kind`."""

    def __init__(self, engine: Engine, kind: Kind[K, R], l1: L1, key_value: KeyValue | None) -> None:
        self._engine = engine
        self._invalidation = engine.invalidation
        self._runtime = engine.runtime
        self._clock = engine.runtime.monotonic
        self.counters = KindCounters()
        self.kind = kind
        self.l1 = l1
        self._shared = (
            None
            if key_value is None or not kind.shared
            else Shared(
                engine.runtime, key_value, self.counters, ttl_s=engine.limits.l2_ttl_s, is_fresh=engine.l2_fresh
            )
        )
        self._l2_ttl_s = engine.limits.l2_ttl_by_kind.get(kind.name, kind.l2_ttl_s)
        self._flights: dict[Hashable, Miss] = {}
        self.floors = Floors(self._clock)
        self._fail_safe = FailSafe(self, engine.silence, partial(engine.refresh, self))
        self._noted_tiers = engine.noted_tiers(shared=self._shared is not None)
        self.misses = 0
        self.past_shortcut = 0
        """Hits of L1 that were no answer at once."""
        self._asked_before = 0
        self._database = Coalescer(self._runtime, self._load)
        self._l2 = Coalescer(self._runtime, self._ask_l2, lanes=L2_LANES)
        self._stages = (self._database,) if self._shared is None else (self._l2, self._database)
        self._first = self._stages[0]
        self.hit: Callable[[K], R | Absence | None] = l1.hit

    def restart(self) -> None:
        """A caller was interrupted anywhere: before it delivered its write, or while others waited for its load."""
        abandon_all(self._flights)
        self.flush()

    # Reading

    async def get(
        self, key: K, *, deadline: Deadline, read: str = "session", not_before: str | None = None
    ) -> R | None:
        """The record of `key`, None if there is none. Raises what the database raises, if no cached value may stand in."""
        if read == "session" and not_before is None:
            way, value = SESSION, self._known(key)
            if value is not None:
                self._count_past_shortcut(value)
        else:
            way = route(read, not_before)
            value = await self._cached_or_past(key, deadline, way)
        if value is None:
            self.misses += 1
            first, may_stand_in = self._first, way.stale and key in self.l1.cache
            ends = self._fail_safe.patience([key], deadline) if may_stand_in else deadline
            while value is None:  # one level with the rest: each costs every miss 60 ns
                if ends is None:
                    value, ends = self._fail_safe.stand_in(key), deadline
                    continue
                flight, mine = self._flight(key)
                try:
                    if mine and first.line_up(flight):
                        await first.serve([flight], ends)
                    if not flight.done:
                        await settle(self._runtime, flight, self._stages, ends)
                except BaseException as error:
                    self._leave(flight)
                    if ends is deadline or not isinstance(error, TimeoutError):
                        raise
                    ends = None
                else:
                    value = flight.result()
            if not way.stale and flight.stale:
                value = (await self._read_through([key], deadline, way))[key]
        return None if value is ABSENT else value

    async def get_many(
        self, keys: Sequence[K], *, deadline: Deadline, read: str = "session", not_before: str | None = None
    ) -> list[R | None]:
        """One record or None for each key, in order; one round trip a tier."""
        way = SESSION if read == "session" and not_before is None else route(read, not_before)
        found = self.l1.peek_many(list(keys)) if way is SESSION else [self._cached(key, way) for key in keys]
        missing = list(dict.fromkeys(key for key, value in zip(keys, found, strict=True) if value is None))
        if way is SESSION:
            self.past_shortcut += sum(value is not None for value in found) if missing else len(found)
        if missing:
            loaded = await self._miss_many(missing, deadline, way)
            found = [loaded[key] if value is None else value for key, value in zip(keys, found, strict=True)]
        return [None if value is ABSENT else value for value in found]

    async def get_in(self, transaction: Transaction, keys: Sequence[K], *, deadline: Deadline) -> list[R | None]:
        """As `get_many`, as the open transaction sees it: no cache is asked and none is filled (rule 12)."""
        values: dict[Any, Found[R]] = {}
        source, unique = InTransaction(transaction.unit, deadline), list(dict.fromkeys(keys))
        for start in range(0, len(unique), MOST_KEYS):
            values |= (await self.kind.load(unique[start : start + MOST_KEYS], source)).values
        transaction.seen_many(self, {key: found.version for key, found in values.items()})
        if (part := self.kind.part) is not None:
            transaction.seen_many(self._engine.kinds[part.kind], part.versions(one.record for one in values.values()))
        return [values.get(key, NOWHERE).record for key in keys]

    def _cached(self, key: K, way: Route) -> Any:
        if way is SESSION:
            return self.l1.hit(key)
        if self._past_caches(way) or way.bound_s is None or not self._invalidation.freshness.within(way.bound_s):
            return None
        entry = self.l1.look(key)
        return entry.value if entry is not None and self._clock() < entry.ends else None

    def _past_caches(self, way: Route) -> bool:
        """Whether only the database can answer, so far behind may the caches be."""
        return way.bound_s is not None and not way.stale and not self._invalidation.within(way.bound_s)

    def _known(self, key: K) -> Any:
        """What L1 has, one that is to be loaded anew included."""
        entry = self.l1.look(key)
        if entry is None:
            return None
        value = self.l1.hit(key)
        if value is None:
            self.l1.looks += self._asked_before  # they found the entry too, and could not believe it
            if (entry := self.l1.ripe(key)) is not None:
                self._engine.refresh(self, key)
                value = entry.value
        return value

    def shortcut(self) -> Callable[[K], R | Absence | None]:
        """`hit`, for a store whose calls ask it first, and `get` only if that is no answer: by this the tiers count those that are."""
        self._asked_before = (
            2 if self._runtime.face == "blocking" else 1
        )  # there the blocking form asks, and then the coroutine
        return self.hit

    def _count_past_shortcut(self, value: Any) -> None:
        self.past_shortcut += 1
        if self._asked_before and self.kind.is_partial is not None and self.kind.is_partial(value):
            self.l1.looks += self._asked_before  # one read, not several

    def hits_at_once(self) -> int:
        """Calls that L1 answered at once."""
        return max(0, self.hit_count() - self.past_shortcut) if self._asked_before else 0

    async def _cached_or_past(self, key: K, deadline: Deadline, way: Route) -> Any:
        if (value := self._cached(key, way)) is None:
            if self._past_caches(way):
                return (await self._read_through([key], deadline, way))[key]
            value = self._known(key)
        return value

    async def _miss_many(self, keys: list[K], deadline: Deadline, way: Route) -> dict[K, Any]:
        if self._past_caches(way):
            return await self._read_through(keys, deadline, way)
        self.misses += len(keys)
        values: dict[K, Any] = {}
        stale, missing = False, keys
        ends = self._fail_safe.patience(keys, deadline) if way.stale else deadline
        while missing:
            if ends is None:
                found, ends = {key: self._fail_safe.stand_in(key) for key in missing}, deadline
            else:
                try:
                    flights = await self._fly_many(missing, ends)
                except TimeoutError:
                    if ends is deadline:
                        raise
                    ends = None
                    continue
                found = {key: flight.result() for key, flight in flights.items()}
                stale |= any(flight.stale for flight in flights.values())
            values |= {key: value for key, value in found.items() if value is not None}
            missing = [key for key in missing if key not in values]
        return values if way.stale or not stale else await self._read_through(keys, deadline, way)

    async def _read_through(self, keys: list[K], deadline: Deadline, way: Route) -> dict[K, Any]:
        """What the database says now, past every cache; nothing is kept."""
        self.counters.loads += 1
        loaded = await self._engine.load(self, keys, deadline, primary=way.primary, after=way.after)
        found = {key: loaded.values.get(key, NOWHERE) for key in keys}
        self.saw({key: version for key, (_, version) in found.items()})
        if (part := self.kind.part) is not None:
            self._engine.kinds[part.kind].saw(part.versions(record for record, _ in found.values()))
        values: dict[K, Any] = {}
        for key, (record, _) in found.items():
            if record is not None:
                attach(record, Meta("database", self._clock(), self._clock))
            values[key] = ABSENT if record is None else record
        return values

    def saw(self, shown: Mapping[K, int]) -> bool:
        """A caller saw these versions past the caches: none that reads from now on gets an older one (I1).

        Whether this process knew nothing later of any of the keys.
        """
        behind, is_current = self.l1.behind(shown)
        if behind and self._engine.settled.anything_lags:
            is_current &= self.floors.note_many({key: shown[key] for key in behind})
        for key in behind:
            self._flights.pop(key, None)
        self.l1.drop_many(behind)
        return is_current

    # Flights

    def _flight(self, key: Hashable) -> tuple[Miss, bool]:
        """The flight of the key, and whether it was made here. Its fences are taken before anybody can join it."""
        flight = self._flights.get(key)
        if flight is None:
            made = Miss(key, self.l1.begin(key), self._invalidation.epoch)
            flight = self._flights.setdefault(key, made)
            if flight is made:
                return flight, True
        flight.join()
        return flight, False

    async def _fly_many(self, keys: list[K], deadline: Deadline) -> dict[K, Miss]:
        flights: dict[K, Miss] = {}
        mine: list[Miss] = []
        try:
            for key in keys:
                flights[key], made = self._flight(key)
                if made:
                    mine.append(flights[key])
            while mine:
                chunk, mine = mine[: self._first.most], mine[self._first.most :]
                await self._first.take(chunk, deadline)
            for flight in flights.values():
                await settle(self._runtime, flight, self._stages, deadline)
        except BaseException:
            self._first.put_back(mine)  # others may have joined those that did not set off
            for flight in flights.values():
                self._leave(flight)
            raise
        return flights

    def _leave(self, flight: Miss) -> None:
        if flight.leave():
            self._forget(flight)
            self._engine.abandon(self._shared, flight)

    # The L2 stage

    async def _ask_l2(self, flights: list[Miss], deadline: Deadline) -> After | None:
        assert self._shared is not None  # noqa: S101  (the first stage is this one only with an L2)
        self._name(flights)
        trusted, doubted = self._by_trust(flights)
        onward = await self._read_l2(self._shared, trusted, deadline) if trusted else []
        onward += await self._lease(self._shared, doubted, deadline, trusted=False) if doubted else []
        return partial(self._database.take, onward) if onward else None

    def _by_trust(self, flights: list[Miss]) -> tuple[list[Miss], list[Miss]]:
        """Those for which what L2 has is believed, and those for which only a load that begins from now on is."""
        engine = self._engine
        if not engine.l2_fresh() or self.floors.blind:
            return [], flights
        if not (unconfirmed := engine.unconfirmed):
            return flights, []
        doubted = [flight for flight in flights if flight.l2_key in unconfirmed]
        return [flight for flight in flights if flight.l2_key not in unconfirmed] if doubted else flights, doubted

    def _name(self, flights: list[Miss]) -> None:
        """Their keys in L2."""
        kind = self.kind
        names = l2_keys(self._invalidation.namespace, kind.name, [kind.l2_key(flight.key) for flight in flights])  # type: ignore[arg-type]
        for flight, name in zip(flights, names, strict=True):
            flight.l2_key = flight.l2_key or name

    async def _read_l2(self, shared: Shared, flights: list[Miss], deadline: Deadline) -> list[Miss]:
        """Land what L2 has; return those that the database is to be asked for. Others wait for another process."""
        keys = [flight.l2_key for flight in flights]
        buffers = await shared.get_many(keys, deadline)
        if buffers is None:
            return flights
        misses, corrupt = [], []
        done = self._land_buffers(shared, flights, buffers)
        for flight, landed, buffer in zip(flights, done, buffers, strict=True):
            if not landed:
                misses.append(flight)
                if buffer is not None and shared.is_damaged(flight.l2_key, buffer, self.kind.record):
                    corrupt.append(flight.l2_key)
        if not misses:
            return misses
        self.counters.l2_misses += sum(not flight.polls for flight in misses)
        if corrupt:
            await shared.discard(corrupt, deadline)
        return await self._lease(shared, misses, deadline, trusted=True)

    def _land_buffers(
        self, shared: Shared, flights: list[Miss], buffers: list[bytes | None], *, loaded: bool = False
    ) -> list[bool]:
        """Which flights have landed with what L2 has of them. `loaded`: some of it has just come from the database."""
        how, keys = (
            Readings.of("l2", self._clock, later=loaded or "l2" in self._noted_tiers),
            [flight.l2_key for flight in flights],
        )
        decoded = decode_twins(buffers, keys, self.kind.record, how.kept, how.given)
        version_of, weighs = self.kind.version, self.kind.weigh is not None
        new, old = self.floors.new, self.floors.old
        landings: list[Landing] = []
        landed = []
        for flight, buffer, twins in zip(flights, buffers, decoded, strict=True):
            kept: Any = ABSENT
            given: Any = ABSENT
            if twins is not None:
                kept, given = twins
                version = version_of(given)
            elif buffer is not None and (absence := shared.absence(flight.l2_key, buffer)) is not None:
                version = absence
            else:
                landed.append(False)
                continue
            key = flight.key  # where its floor is higher, L2 does not know yet what this process knows
            known = version >= new.get(key, 0) and version >= old.get(key, 0)
            landed.append(known)
            if known:
                landings.append((flight, kept, given, version, ENTRY_BYTES + len(buffer or b"") if weighs else 1))
        self.counters.l2_hits += len(landings)
        self._land(landings, how)
        return landed

    async def _lease(self, shared: Shared, misses: list[Miss], deadline: Deadline, *, trusted: bool) -> list[Miss]:
        """Land what came meanwhile, and return those whose load falls to this process. Others wait for another process."""
        answer = await shared.lease_many(misses, deadline, trusted=trusted)
        if answer is None:
            return misses
        token, leases = answer
        self.counters.l2_handed_over += (handed_over := sum(lease.handed_over for lease in leases))
        values = [lease.value for lease in leases]
        onward, landed = [], self._land_buffers(shared, misses, values, loaded=handed_over > 0)
        for flight, lease, done in zip(misses, leases, landed, strict=True):
            if done:
                continue
            if lease.held:
                flight.lease = Lease(token, lease.seeding, hands_over=not trusted or flight.polls > 0)
                onward.append(flight)
            elif lease.value is None and flight.is_patient(deadline):
                flight.seen = lease.seen
                flight.next_step(self._poll)
            else:
                onward.append(flight)
        return onward

    async def _poll(self, flight: Miss, deadline: Deadline) -> None:
        """Another process loads this key: look again soon, together with all who are looking then."""
        try:
            await self._runtime.sleep(min(flight.pause_s(), deadline.remaining()))
        except BaseException:
            flight.next_step(self._poll)  # whoever else waits for the key goes on looking
            raise
        flight.polls += 1
        await self._l2.take([flight], deadline)

    # The database stage

    async def _load(self, flights: list[Miss], deadline: Deadline) -> After | None:
        leases = [(flight.l2_key, flight.lease) for flight in flights if flight.lease is not None]
        primary = any(lease.seeding or lease.hands_over for _, lease in leases)
        self.counters.loads += 1
        try:
            loaded = await self._engine.load(self, [flight.key for flight in flights], deadline, primary=primary)
        except StorageError as error:
            self.counters.load_failures += 1
            if isinstance(error, TimeoutError) and deadline.remaining() <= OVER_S:
                raise  # this caller's own time is over; the next one takes the batch, leases included
            for flight in flights:
                stale = self._fail_safe.stand_in(flight.key) if isinstance(error, NO_ANSWER) else None
                flight.fail(error) if stale is None else flight.land_stale(stale)
                self._forget(flight)
            return partial(self._shared.release, leases) if leases and self._shared else None
        how = Readings.of("database", self._clock, later="database" in self._noted_tiers)
        weigh: Callable[[Any], int] = self.kind.weigh or (lambda _: 1)
        landings: list[Landing] = []
        for flight in flights:
            record, version = loaded.values.get(flight.key, NOWHERE)
            if record is None:
                landings.append((flight, ABSENT, ABSENT, version, ABSENT_BYTES))
            else:
                attach(record, how.kept)
                landings.append((flight, record, twin(record, how.given), version, weigh(record)))
        self._land(landings, how)
        return partial(self._shared.fill_landed, flights, loaded, self._l2_ttl_s) if leases and self._shared else None

    # Landing and changing

    def _land(self, landings: list[Landing], how: Readings) -> None:
        """Keep one record of each in L1, and give the callers its twin. One loop for a batch: a call for each would cost as much again."""
        if (part := self.kind.part) is not None:
            self._engine.kinds[part.kind].saw(part.versions(given for _, _, given, _, _ in landings))
        flights, epoch, l1, now = self._flights, self._invalidation.epoch, self.l1, how.now
        new, old = self.floors.new, self.floors.old
        keep, noted = l1.keep, how.later
        for flight, kept, given, version, weight in landings:
            key = flight.key
            if flights.pop(key, None) is not flight:
                self._overtaken(key, version)
            if flight.epoch == epoch and version >= new.get(key, 0) and version >= old.get(key, 0):
                if noted and version:
                    new[key] = version
                there = keep(flight.ticket, kept, version, now, weight)
            else:
                there = l1.later(key, version)
            if there is not True:
                l1.refused += 1
            flight.land(there.value if isinstance(there, Entry) else given)
        if noted:
            self.floors.bound()

    def _overtaken(self, key: Hashable, version: int) -> None:
        """A change came while this flight was under way, and its fill may be refused: its callers know the version, L1 will not.

        I1: who reads from now on must not get a lower one, from L1 or from a flight that began later and looked earlier.
        """
        if self._engine.settled.anything_lags:
            self.floors.note(key, version)
        self._flights.pop(key, None)
        entry = self.l1.look(key)
        if entry is None or entry.version < version:
            self.l1.drop(key)

    def _forget(self, flight: Miss) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def changed(self, key: Hashable, version: int) -> None:
        """A write changed the key, here or elsewhere: who reads from now on starts a new flight. What knows that version stays."""
        if key not in self._flights:
            entry = self.l1.look(key)
            if entry is not None and entry.version >= version:
                return
        self.invalidate(key)

    def invalidate(self, key: Hashable) -> None:
        """Forget the key in L1, whatever its version."""
        self._flights.pop(key, None)
        self.l1.drop(key)

    def flush(self) -> None:
        """Forget what L1 has, but not what it has shown."""
        if self._engine.settled.anything_lags:
            self.floors.keep(self.l1.versions(MOST_FLOORS))
        self._flights.clear()
        self.l1.clear()

    async def refresh(self, keys: list[Any], deadline: Deadline) -> None:
        """Load keys anew that are still served (eager refresh), fenced like any fill."""
        await self._fly_many(keys, deadline)

    def name(self, key: Any, version: int, namespace: Namespace | None = None) -> Change:
        """The change as L2 and the outbox name it, in that namespace or the one of now."""
        return Change(l2_key(namespace or self._invalidation.namespace, self.kind.name, self.kind.l2_key(key)), version)

    # What there is to know

    def lookups(self) -> int:
        """Reads of this kind since the store was opened."""
        return self.hit_count() + self.misses

    def hit_count(self) -> int:
        """Those that L1 answered."""
        return max(0, self.l1.cache.stats().hits - self.l1.looks)
