"""`Pairs` in the tables of the store's database: one statement a call.

Outside transactions, what is asked for at the same time goes together: writes by group commit, and reads where the database is a server.
In a transaction every call sees what it has written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from tierstore.backends import Params, Row
from tierstore.backends.pairs import ABSENT_TAG, KEEP_MS, Feed, Pair, PairCounts, Put
from tierstore.calls.scope import Outside, Scope
from tierstore.plan.state import bounds
from tierstore.runtime import Deadline, Job
from tierstore.runtime.coalesce import Coalescer, settle
from tierstore.runtime.flight import Flight
from tierstore.stores.state.housekeeping import Housekeeping
from tierstore.stores.state.table_feed import TableFeeds
from tierstore.tiers.engine import Engine
from tierstore.tiers.group_commit import GroupStatement, patience

ETAG_BYTES: Final = 8
NO_END: Final = 0
"""A lifetime as the queries have it: milliseconds, or this, or KEEP_MS."""


class _Write(NamedTuple):
    put: Put
    etag: str


class _Asked(Flight):
    """Keys that a caller waits for."""

    __slots__ = ("keys",)

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__()
        self.keys = keys


class Tables:
    """What there is once, whatever the scope: what travels together, who watches, what ends."""

    def __init__(self, engine: Engine, prefix: str) -> None:
        self.engine = engine
        self.prefix = prefix
        self.runtime = engine.runtime
        self.puts: GroupStatement[_Write] = GroupStatement(engine, "state.put_many", self.columns)
        self.gets: Coalescer[_Asked] = Coalescer(engine.runtime, self._get_all)
        self.feeds = TableFeeds(engine, prefix)
        self.housekeeping = Housekeeping(engine, self.feeds.wake)
        self.outside = TablePairs(self, Outside(engine))

    def now_ms(self) -> int:
        """By this machine's clock, which SQLite's queries go by; a server's go by its own."""
        return int(self.runtime.wall() * 1000)

    def columns(self, writes: Sequence[_Write], waiting: str) -> Params:
        """Sorted; of several writes of one key the last, which replaces the others at once."""
        last = sorted({write.put.key: write for write in writes}.items())
        return {
            "keys": [self.prefix + key for key, _ in last],
            "bodies": [write.put.value for _, write in last],
            "etags": [write.etag for _, write in last],
            "ttls": [lifetime(write.put.ttl_ms) for _, write in last],
            "nows": [self.now_ms()] * len(last),
            "patience": waiting,
        }

    async def _get_all(self, batch: list[_Asked], deadline: Deadline) -> None:
        keys = list(dict.fromkeys(key for asked in batch for key in asked.keys))
        found = await self.outside.find(keys, deadline.shared() if len(batch) > 1 else deadline)
        for asked in batch:
            asked.land([found.get(key) for key in asked.keys])


class TablePairs:
    """In one scope. What it answers is as of the primary database."""

    name: Literal["memory", "sql", "redis"] = "sql"

    def __init__(self, tables: Tables, scope: Scope) -> None:
        self._tables = tables
        self._scope = scope
        self._rows = scope.rows
        self._prefix = tables.prefix
        self._together = not scope.is_inside and tables.engine.records.remote

    async def open(self, deadline: Deadline) -> None:
        """The database is open already."""

    def peek(self, key: str) -> bytes | None:
        """The value if it can be had without a coroutine."""
        row = self._tables.engine.records.peek("state.get", self._at(key))
        return None if row is None else row[0]

    # Reading

    async def get_many(self, keys: Sequence[str], *, deadline: Deadline) -> list[Pair | None]:
        if not self._together:
            found = await self.find(keys, deadline)
            return [found.get(key) for key in keys]
        asked, gets = _Asked(keys), self._tables.gets
        try:
            await gets.take([asked], deadline)
            await settle(self._tables.runtime, asked, (gets,), deadline)
        except BaseException:
            asked.done = True
            raise
        pairs: list[Pair | None] = asked.result()
        return pairs

    async def find(self, keys: Sequence[str], deadline: Deadline) -> Mapping[str, Pair]:
        """Those that are there."""
        if len(keys) == 1:
            rows = await self._rows("state.get", self._at(keys[0]), deadline)
            return {keys[0]: Pair(*rows[0])} if rows else {}
        rows = await self._rows("state.get_many", self._at_all(keys), deadline)
        return {self._own(key): Pair(value, etag) for key, value, etag in rows}

    async def look(self, key: str, *, deadline: Deadline) -> Pair | None:
        rows = await self._rows("state.look", self._at(key), deadline)
        return Pair(*rows[0]) if rows else None

    async def left_ms(self, key: str, *, deadline: Deadline) -> int | None:
        rows = await self._rows("state.left", self._at(key), deadline)
        if not rows:
            return None
        left: int | None = rows[0][0]
        return KEEP_MS if left is None else max(0, left)

    # Writing

    async def put(self, put: Put, *, deadline: Deadline) -> str | None:
        write = self._write(put)
        if put.expected is None and put.ttl_ms != KEEP_MS:
            await self._scope.together(self._tables.puts, write, deadline)
            self._tables.feeds.wake()
            return write.etag
        query = {None: "state.put_keep", ABSENT_TAG: "state.put_absent"}.get(put.expected, "state.put_if")
        asked = {"body": put.value, "etag": write.etag, "ttl_ms": lifetime(put.ttl_ms), "expected": put.expected}
        return write.etag if await self._change(query, self._at(put.key) | asked, deadline) else None

    async def put_many(self, puts: Sequence[Put], *, deadline: Deadline) -> list[str]:
        writes = [self._write(put) for put in puts]
        await self._change("state.put_many", self._tables.columns(writes, patience(None)), deadline)
        return [write.etag for write in writes]

    async def delete(self, key: str, *, expected: str | None = None, deadline: Deadline) -> bool | None:
        rows = await self._change("state.delete", self._at(key) | {"expected": expected}, deadline)
        if rows:
            return rows[0][0] is not None
        is_another = expected is not None and await self.look(key, deadline=deadline) is not None
        return None if is_another else False

    async def delete_many(self, keys: Sequence[str], *, deadline: Deadline) -> int:
        rows = await self._change("state.delete_many", self._at_all(keys), deadline)
        return sum(bool(was_there) for (was_there,) in rows)

    async def pop(self, key: str, *, deadline: Deadline) -> bytes | None:
        rows = await self._change("state.delete", self._at(key) | {"expected": None}, deadline)
        return rows[0][0] if rows else None

    async def expire(self, key: str, ttl_ms: int | None, *, deadline: Deadline) -> bool:
        asked = self._at(key) | {"ttl_ms": lifetime(ttl_ms)}
        return bool(await self._scope.change("state.expire", asked, deadline))

    async def increment(self, key: str, by: int, ttl_ms: int | None, *, deadline: Deadline) -> int | None:
        asked = self._at(key) | {"by": by, "ttl_ms": lifetime(ttl_ms), "etag": self._etag()}
        rows = await self._change("state.increment", asked, deadline)
        return rows[0][0] if rows else None

    # Many keys

    async def page(
        self, prefix: str, *, limit: int, after: str | None, deadline: Deadline
    ) -> tuple[list[str], str | None]:
        rows = await self._rows("state.page", self._under(prefix, after, limit + 1), deadline)
        keys = [self._own(key) for (key,) in rows[:limit]]
        return keys, keys[-1] if len(rows) > limit else None

    async def delete_prefix(
        self, prefix: str, *, limit: int, after: str | None, deadline: Deadline
    ) -> tuple[int, str | None]:
        rows = await self._change("state.delete_page", self._under(prefix, after, limit), deadline)
        count = sum(bool(was_there) for _, was_there in rows)
        return count, self._own(max(key for key, _ in rows)) if len(rows) == limit else None

    def _under(self, prefix: str, after: str | None, limit: int) -> Params:
        low, high = bounds(self._prefix + prefix)
        behind = "" if after is None else self._prefix + after
        return {"low": low, "high": high, "after": behind, "limit": limit, "now": self._tables.now_ms()}

    async def watch(self, prefix: str, *, deadline: Deadline) -> Feed:
        return await self._tables.feeds.open(prefix, deadline)

    # What the statements need

    def _etag(self) -> str:
        return self._tables.runtime.random_bytes(ETAG_BYTES).hex()

    def _write(self, put: Put) -> _Write:
        return _Write(put, self._etag())

    def _at(self, key: str) -> dict[str, object]:
        return {"key": self._prefix + key, "now": self._tables.now_ms()}

    def _at_all(self, keys: Sequence[str]) -> Params:
        return {"keys": [self._prefix + key for key in keys], "now": self._tables.now_ms()}

    def _own(self, key: str) -> str:
        """Without the prefix."""
        return key[len(self._prefix) :]

    async def _change(self, query: str, params: Params, deadline: Deadline) -> list[Row]:
        """A write whose changes are told: who watches in this process is woken."""
        rows = await self._scope.change(query, params, deadline)
        self._tables.feeds.wake()
        return rows

    # What it is and how it fares

    def jobs(self) -> Mapping[str, Job]:
        return self._tables.housekeeping.jobs()

    @property
    def expired(self) -> int:
        """Values that this process removed because they had ended."""
        return self._tables.housekeeping.expired

    async def warnings(self, deadline: Deadline) -> Sequence[str]:
        return ()

    async def counts(self, deadline: Deadline) -> PairCounts:
        count = self._scope.observe(deadline)
        keys, size = (await count("state.count", {"now": self._tables.now_ms()}))[0]
        return PairCounts(keys, size, self.expired)

    async def ping(self, deadline: Deadline) -> str:
        await self._scope.observe(deadline)("protocol.server", {})
        return self.name

    async def close(self, deadline: Deadline) -> None:
        """The database is closed by its owner."""


def lifetime(ttl_ms: int | None) -> int:
    """As the queries have it: no nulls, so that a list of them has one type."""
    return NO_END if ttl_ms is None else ttl_ms
