"""A database and an L2 that exist in memory only, small enough to be believed: what the engine's tests and simulations run on.

Every operation goes through `step(name)`, where a simulation lets others run, and where a test may delay or fail it. The database is
MVCC as PostgreSQL's: a write gets its transaction id when it first writes, a read sees what was committed at one moment and answers
the snapshot's xmin and xmax. A key's row lock is held to the end of the transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tierstore.backends import Change, Fenced, Lease, Row, Seen, Undelivered
from tierstore.backends.memory.key_value import MemoryKeyValue
from tierstore.errors import ClosedError, ConnectionError
from tierstore.layout import u64
from tierstore.records import Record
from tierstore.runtime import Deadline, Runtime
from tierstore.tiers.kind import Found, Kind, Loaded, Source

Step = Callable[[str], Awaitable[None]]


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
    """`Records` over a world. `broken`: raised by every operation while it is set, `unwatched` by those that keep the caches fresh.

    `commit_s`: how long a COMMIT takes.

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
        self.unwatched: Exception | None = None
        self.commit_s: Callable[[], float] = at_once
        self.units: list[FakeUnit] = []

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken

    def _check_watch(self) -> None:
        self._check()
        if self.unwatched is not None:
            raise self.unwatched

    def end_units(self) -> None:
        """What the server does when the process is gone, or another server takes over: its open transactions roll back."""
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
        self._check_watch()
        await self.step("outbox")
        self._check_watch()
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
            if unit.ended:
                raise ConnectionError("the server is gone")
        except BaseException:
            unit.end()
            raise
        finally:
            self.units.remove(unit)
        unit.commit()
        await self.step("committed")

    housekeeping = unit

    async def identity(self, deadline: Deadline) -> str:
        self._check_watch()
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
        self.ended = False
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
        await self._take(key, xid)
        await self._records.step("write")
        self._world.next_version += 1
        self._rows[key] = (present, self._world.next_version)
        self._done.add(self._world.next_version)
        return self._world.next_version

    async def lock(self, key: str) -> int:
        """The version of one row, that no other transaction changes meanwhile."""
        await self._take(key, self._assign())
        await self._records.step("read")
        return self._world.version(key)

    async def _take(self, key: str, xid: int) -> None:
        while self._world.locks.get(key, xid) != xid:
            await self._records.step("lock")
        self._check()  # one that ended meanwhile holds nothing
        self._world.locks[key] = xid

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
        if self.ended:
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
        self.ended = True
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


async def load_items(keys: list[str], source: Source) -> Loaded:
    rows, as_of, ceiling = await source.fetch("items.get_many", {"keys": keys})
    found = {key: Found(Item(key=key, row_version=version), version) for key, version in rows}
    return Loaded(found, as_of, ceiling)


def item_kind(**more: Any) -> Kind[str, Item]:
    return Kind("item", Item, more.pop("load", load_items), store="items", **more)
