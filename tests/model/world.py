"""A database, an L2 and a bus that exist in memory only, small enough to be believed: what the engine's tests and simulations run on.

Every operation goes through `step(name)`, where a simulation lets others run, and where a test may delay or fail it. The database is
MVCC as PostgreSQL's: a write gets its transaction id when it first writes, a read sees what was committed at one moment and answers
the snapshot's xmin and xmax. A key's row lock is held to the end of the transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tierstore.backends import Change, Echo, Event, Fenced, Gap, Invalidated, Lease, Row, Seen, Undelivered
from tierstore.backends.memory.key_value import MemoryKeyValue
from tierstore.errors import ClosedError, ConnectionError
from tierstore.layout import u64
from tierstore.plan.keys import Namespace
from tierstore.records import Record
from tierstore.runtime import Deadline, Runtime
from tierstore.tiers.kind import Found, Kind, Loaded, Source

Step = Callable[[str], Awaitable[None]]
RELAYS_S = 1.0
"""As the channel over Redis: a process that relays goes on to do so, and is replaced when it was not heard of for so long."""


class Item(Record, kind=901, revision=1):
    key: str
    row_version: u64


async def no_step(name: str) -> None:
    return None


def at_once() -> float:
    return 0.0


@dataclass
class OutboxRow:
    id: int
    keys: list[str]
    versions: list[int]
    xid: int
    delivered: bool = False


@dataclass
class World:
    """What all processes share: committed rows (None: deleted), running transactions, the outbox.

    `done`: the versions of all writes of committed transactions, also of those that a later one of the same transaction replaced.
    `log`: what a snapshot saw after each commit; the replica has `replayed` so many of them.
    """

    rows: dict[str, tuple[bool, int]] = field(default_factory=dict)
    active: set[int] = field(default_factory=set)
    locks: dict[str, int] = field(default_factory=dict)
    outbox: list[OutboxRow] = field(default_factory=list)
    next_xid: int = 10
    next_version: int = 0
    loads: list[list[str]] = field(default_factory=list)
    identity: str = "first"
    commits: dict[str, list[int]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    log: list[tuple[dict[str, tuple[bool, int]], int, int]] = field(default_factory=list)
    replayed: int = 0

    def version(self, key: str) -> int:
        return self.rows.get(key, (False, 0))[1]

    def snapshot(self, keys: Sequence[str]) -> Fenced:
        return self._seen(keys, self.rows, min(self.active, default=self.next_xid), self.next_xid)

    def replica_snapshot(self, keys: Sequence[str]) -> Fenced:
        return self._seen(keys, *(self.log[self.replayed - 1] if self.replayed else ({}, 0, 0)))

    def _seen(self, keys: Sequence[str], rows: Mapping[str, tuple[bool, int]], xmin: int, xmax: int) -> Fenced:
        return Fenced([(key, rows[key][1]) for key in keys if rows.get(key, (False, 0))[0]], xmin, xmax)

    def commit(self, rows: Mapping[str, tuple[bool, int]]) -> None:
        self.rows |= rows
        self.log.append((dict(self.rows), min(self.active, default=self.next_xid), self.next_xid))


class FakeRecords:
    """`Records` over a world. `broken`: raised by every operation while it is set. `commit_s`: how long a COMMIT takes.

    `replica`: reads go to it, unless they ask for the primary or for more than it has replayed.
    """

    def __init__(
        self, world: World, runtime: Runtime, step: Step = no_step, dialect: str = "postgres", *, replica: bool = False
    ) -> None:
        self.world = world
        self.runtime = runtime
        self.step = step
        self.dialect = dialect
        self.replica = replica
        self.broken: Exception | None = None
        self.commit_s: Callable[[], float] = at_once
        self.units: list[FakeUnit] = []

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken

    def end_units(self) -> None:
        """What the server does when the process is gone: its open transactions roll back."""
        for unit in self.units:
            unit.end()

    async def fetch_fenced(
        self,
        query: str,
        params: Mapping[str, Any],
        *,
        deadline: Deadline,
        primary: bool = False,
        after: str | None = None,
        **_: Any,
    ) -> Fenced:
        self._check()
        await self.step("read")
        self._check()
        deadline.check(query)
        self.world.loads.append(list(params["keys"]))
        behind = self.replica and not primary and int(after or 0) <= self.world.replayed
        seen = (self.world.replica_snapshot if behind else self.world.snapshot)(params["keys"])
        await self.step("answer")
        return seen

    async def undelivered(self, *, after: int, limit: int, deadline: Deadline) -> Undelivered:
        self._check()
        await self.step("outbox")
        self._check()
        rows = sorted((row.id, row.keys, row.versions, row.xid) for row in self.world.outbox if not row.delivered)
        answer = Undelivered(self.world.identity, [row for row in rows if row[0] > after][:limit])
        await self.step("outbox answered")
        return answer

    async def execute(self, query: str, params: Mapping[str, Any] | None = None, *, deadline: Deadline) -> None:
        self._check()
        await self.step(query)
        self._check()
        if query == "outbox.mark_delivered":
            for row in self.world.outbox:
                row.delivered = row.delivered or row.id in (params or {})["ids"]
        else:
            assert query in ("outbox.mark_all", "outbox.trim")

    @asynccontextmanager
    async def unit(self, *, deadline: Deadline, idempotency_key: str | None = None) -> AsyncIterator[FakeUnit]:
        self._check()
        unit = FakeUnit(self)
        self.units.append(unit)
        try:
            yield unit
            await self.step("commit")
            if (seconds := self.commit_s()) > 0:
                await self.runtime.sleep(seconds)
            self._check()
        except BaseException:
            unit.end()
            raise
        finally:
            self.units.remove(unit)
        unit.commit()
        await self.step("committed")

    housekeeping = unit

    async def identity(self, deadline: Deadline) -> str:
        self._check()
        return self.world.identity

    async def position(self, deadline: Deadline) -> str:
        self._check()
        await self.step("position asked")
        position = len(self.world.log)
        await self.step("position")
        return str(position)


class FakeUnit:
    def __init__(self, records: FakeRecords) -> None:
        self._records = records
        self._world = records.world
        self._xid = 0
        self._rows: dict[str, tuple[bool, int]] = {}
        self._outbox: list[OutboxRow] = []
        self._done: set[int] = set()
        self._ended = False
        self.position: str | None = None

    async def fetch(self, query: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        self._check()
        params = params or {}
        if query == "outbox.append":
            row = OutboxRow(self._id(), params["keys"], params["versions"], self._assign())
            self._outbox.append(row)
            return [(self._world.identity, row.id, row.xid)]
        raise AssertionError(query)

    async def fetch_fenced(self, query: str, params: Mapping[str, Any]) -> Fenced:
        self._check()
        assert query == "items.get_many"
        seen = self._world.snapshot(params["keys"])
        rows = {key: (True, version) for key, version in seen.rows} | self._rows
        found = [(key, rows[key][1]) for key in params["keys"] if rows.get(key, (False,))[0]]
        return seen._replace(rows=found)

    async def execute(self, query: str, params: Mapping[str, Any] | None = None) -> int:
        self._check()
        assert query == "protocol.forget"
        return 0

    async def put(self, key: str, *, present: bool = True) -> int:
        """Write one row; waits for its lock."""
        self._check()
        xid = self._assign()
        while self._world.locks.get(key, xid) != xid:
            await self._records.step("lock")
        self._world.locks[key] = xid
        await self._records.step("write")
        self._world.next_version += 1
        self._rows[key] = (present, self._world.next_version)
        self._done.add(self._world.next_version)
        return self._world.next_version

    async def lock(self, key: str) -> int:
        """The version of one row, that no other transaction changes meanwhile."""
        xid = self._assign()
        while self._world.locks.get(key, xid) != xid:
            await self._records.step("lock")
        self._world.locks[key] = xid
        await self._records.step("read")
        return self._world.version(key)

    async def fence(self) -> int:
        return self._assign()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        rows = dict(self._rows)
        try:
            yield
        except BaseException:
            self._rows = rows
            raise

    def _id(self) -> int:
        return len(self._world.outbox) + 1_000 * self._assign()

    def _assign(self) -> int:
        if not self._xid:
            self._xid = self._world.next_xid
            self._world.next_xid += 1
            self._world.active.add(self._xid)
        return self._xid

    def _check(self) -> None:
        if self._ended:
            raise ClosedError("the transaction has ended")

    def commit(self) -> None:
        world = self._world
        world.active.discard(self._xid)
        world.commit(self._rows)
        self.position = str(len(world.log))
        world.done |= self._done
        for key, (_, version) in self._rows.items():
            world.commits.setdefault(key, []).append(version)
        world.outbox += self._outbox
        self.end()

    def end(self) -> None:
        self._ended = True
        self._world.active.discard(self._xid)
        for key in [key for key, xid in self._world.locks.items() if xid == self._xid]:
            del self._world.locks[key]


class SteppedKeyValue(MemoryKeyValue):
    """L2 with a step before and after each operation: others run between a decision and its arrival. `broken` is raised while set."""

    def __init__(self, runtime: Runtime, step: Step = no_step) -> None:
        super().__init__(runtime)
        self.step = step
        self.broken: Exception | None = None

    async def _around(self, name: str, operation: Awaitable[Any]) -> Any:
        try:
            if self.broken is not None:
                raise self.broken
            await self.step(name)
        except BaseException:
            operation.close()  # type: ignore[attr-defined]
            raise
        answer = await operation
        await self.step(f"{name} answered")
        return answer

    async def get_many(self, keys: Sequence[str], *, deadline: Deadline) -> Any:
        return await self._around("l2 get", super().get_many(keys, deadline=deadline))

    async def lease_many(self, keys: Sequence[str], **more: Any) -> Any:
        return await self._around("l2 lease", super().lease_many(keys, **more))

    async def fill_many(self, fills: Any, **more: Any) -> Any:
        return await self._around("l2 fill", super().fill_many(fills, **more))

    async def release_many(self, keys: Sequence[str], **more: Any) -> Any:
        return await self._around("l2 release", super().release_many(keys, **more))

    async def invalidate(self, changes: Sequence[Change], **more: Any) -> Any:
        return await self._around("l2 invalidate", super().invalidate(changes, **more))


class Road:
    """One process's way to an L2 that others use too. Invalidations take `slow_s`, and fail while it is `cut`; reads go on.

    `servers`: the last one carries; those before were replaced one after another, and go on answering whoever still asks them. The
    process asks that of its `reign`, until it looks, or until its links break (`follow`).
    """

    def __init__(self, servers: list[SteppedKeyValue], runtime: Runtime, step: Step) -> None:
        self._servers = servers
        self._runtime = runtime
        self._step = step
        self._began: Callable[[], None] = lambda: None
        self.reign = len(servers) - 1
        self.slow_s: Callable[[], float] = at_once
        self.cut = False
        self.probe = servers[0].probe

    def watch_reigns(self, began: Callable[[], None]) -> None:
        self._began = began

    def follow(self) -> None:
        if self.reign != len(self._servers) - 1:
            self._began()
            self.reign = len(self._servers) - 1

    async def still_reigns(self, reign: int, *, deadline: Deadline) -> bool:
        await self._step("who reigns")
        self.follow()
        return reign == self.reign

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def ask(*arguments: Any, **named: Any) -> Any:
            reign = self.reign
            answer = await getattr(self._servers[reign], name)(*arguments, **named)
            if reign != self.reign:
                raise ConnectionError("the server was replaced meanwhile")
            return answer

        return ask

    async def lease_many(self, keys: Sequence[str], *, seen: Sequence[Seen | None], **more: Any) -> list[Lease]:
        """What was seen at one server is nothing to another: as with Redis, it begins with its server's epoch."""
        epoch = b"%d " % self.reign
        known = [
            Seen(*(part.removeprefix(epoch) for part in one)) if one and one.lease.startswith(epoch) else None
            for one in seen
        ]
        leases: list[Lease] = await self.__getattr__("lease_many")(keys, seen=known, **more)
        return [lease._replace(seen=lease.seen and Seen(*(epoch + part for part in lease.seen))) for lease in leases]

    async def invalidate(self, changes: Sequence[Change], *, floor: int, deadline: Deadline) -> None:
        if (seconds := self.slow_s()) > 0:
            await self._runtime.sleep(min(seconds, deadline.remaining()))
            deadline.check("invalidating")
        if self.cut:
            raise ConnectionError("the way to L2 is cut")
        await self.__getattr__("invalidate")(changes, floor=floor, deadline=deadline)


class Bus:
    """Every message reaches every subscriber, in order; a lost one shows as a gap before the next, as by its missing number.

    A message reaches those who listen to the server that it was sent to, and pings wait there, for the one process that `relays`.
    """

    def __init__(self) -> None:
        self.channels: list[FakeChannel] = []
        self.pings: dict[int, list[bytes]] = {}
        self.relays: dict[int, tuple[int, float]] = {}
        """By server: the number of the channel whose process relays, and until when if it does not come again."""

    def send(self, event: Event, server: int, sender: FakeChannel | None = None) -> None:
        for channel in self.channels:
            if channel.server == server and (sender is None or channel is sender):
                channel.deliver(event)


class FakeChannel:
    """A relayed carrier, as Redis's: pings wait for the relay. `silent`: nothing gets through. `road`: whose links it shares."""

    name = "fake"

    def __init__(
        self, bus: Bus, runtime: Runtime, step: Step = no_step, *, ping_every_s: float = 0.5, road: Road | None = None
    ) -> None:
        self._bus = bus
        self._road = road
        self.server = self._linked
        self._runtime = runtime
        self._step = step
        self._every_s = ping_every_s
        self._next_ping = 0.0
        self.inbox: list[Event] = []
        self.silent = False
        self.lose = 0
        self._lost = False
        self.moved_to: list[str] = []
        self.number = len(bus.channels)
        bus.channels.append(self)

    async def open(self, deadline: Deadline) -> None:
        return None

    def deliver(self, event: Event) -> None:
        if self.lose > 0:
            self.lose -= 1
            self._lost = True
            return
        if self._lost:
            self._lost = False
            self.inbox.append(Gap("a message is missing"))
        self.inbox.append(event)

    @property
    def _linked(self) -> int:
        """The server that its links lead to; the one that it listens to, `server`, may still be another one."""
        return 0 if self._road is None else self._road.reign

    async def publish(self, changes: Sequence[Change], *, deadline: Deadline) -> None:
        linked = self._linked
        await self._step("publish")
        self._bus.send(Invalidated(tuple(changes)), linked)

    async def receive(self, *, wait_s: float) -> list[Event]:
        now = self._runtime.monotonic()
        if now >= self._next_ping and not self.silent:
            self._next_ping = now + self._every_s
            self._bus.pings.setdefault(self._linked, []).append(f"{self.number} {now!r}".encode())
        if not self.inbox or self.silent:
            await self._runtime.sleep(min(wait_s, 0.01))
        await self._step("receive")
        if self.silent:
            return []
        if self.server != self._linked:
            self.server, self.inbox = self._linked, []
            return [Gap("another server carries the channel now")]
        events, self.inbox = self.inbox, []
        return events

    async def take_pings(self, *, deadline: Deadline) -> list[bytes] | None:
        linked, now = self._linked, self._runtime.monotonic()
        number, until = self._bus.relays.get(linked, (self.number, now))
        if number != self.number and now < until:
            return None
        self._bus.relays[linked] = self.number, now + RELAYS_S
        return self._bus.pings.pop(linked, [])

    async def retire(self, *, deadline: Deadline) -> None:
        if self._bus.relays.get(self._linked, (None, 0.0))[0] == self.number:
            del self._bus.relays[self._linked]

    async def echo(self, pings: Sequence[bytes], *, deadline: Deadline) -> None:
        linked = self._linked
        await self._step("echo")
        for ping in pings:
            number, _, sent_at = ping.decode().partition(" ")
            self._bus.send(Echo(float(sent_at)), linked, self._bus.channels[int(number)])

    def move(self, namespace: Namespace) -> None:
        self.moved_to.append(namespace)

    async def ping(self, deadline: Deadline) -> str:
        return "fake"

    async def close(self, deadline: Deadline) -> None:
        return None


async def load_items(keys: list[str], source: Source) -> Loaded:
    rows, as_of, ceiling = await source.fetch("items.get_many", {"keys": keys})
    found = {key: Found(Item(key=key, row_version=version), version) for key, version in rows}
    return Loaded(found, as_of, ceiling)


def item_kind(**more: Any) -> Kind[str, Item]:
    return Kind("item", Item, more.pop("load", load_items), store="items", **more)
