"""Where a store's calls read and write: through the caches, each write in a commit of its own; or inside one open transaction.

A store is written once, over a `Scope`. `Outside` hands each call on to the tiers. `Inside` asks no cache and fills none (rule 12 of the
protocol), and leaves the commit to whoever opened the transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

from tierstore.backends import Params, Row
from tierstore.backends.sql_unit import call_until
from tierstore.calls.operation import Operations
from tierstore.errors import StorageError
from tierstore.plan.route import route
from tierstore.runtime import Deadline
from tierstore.tiers.blobs import BlobTier, C
from tierstore.tiers.cached import CachedKind
from tierstore.tiers.engine import Engine
from tierstore.tiers.group_commit import GroupCommit
from tierstore.tiers.kind import Absence, Found, K, Loaded, R, Source
from tierstore.tiers.transaction import Transaction

I = TypeVar("I")  # noqa: E741
A = TypeVar("A")
Fetch = Callable[[str, Params], Awaitable[list[Row]]]
"""The rows of a query of `sql/`, by name and parameters."""
Shows = Callable[[list[Row]], bool]
"""Notes what rows show; whether nothing later was known."""


class Scope(Protocol):
    """What the calls of a store need of the place where they run."""

    is_inside: bool

    def hit(self, kind: CachedKind[K, R]) -> Callable[[K], R | Absence | None]:
        """Return a function that reads L1 without a coroutine, or None. It MUST return None where the caches may not be asked."""
        ...

    def get(
        self, kind: CachedKind[K, R], key: K, *, deadline: Deadline, read: str = ..., not_before: str | None = ...
    ) -> Coroutine[Any, Any, R | None]:
        """One record. ValidationError for a wrong `read` or `not_before`, in every scope."""
        ...

    def get_many(
        self,
        kind: CachedKind[K, R],
        keys: Sequence[K],
        *,
        deadline: Deadline,
        read: str = ...,
        not_before: str | None = ...,
    ) -> Coroutine[Any, Any, list[R | None]]:
        """In argument order, None for the absent."""
        ...

    def fetch(
        self, deadline: Deadline, read: str = ..., not_before: str | None = ..., shows: Shows | None = ...
    ) -> Fetch:
        """Reads of what is not cached. `shows` is called with rows that the call answers. ValidationError as for `get`."""
        ...

    def shown(self, kind: CachedKind[K, R], versions: Mapping[K, int]) -> bool:
        """For `shows`: a call answers these keys at these versions, and no later read contradicts it. Whether none was known later."""
        ...

    def rows(self, query: str, params: Params, deadline: Deadline) -> Coroutine[Any, Any, list[Row]]:
        """The rows of a query of `sql/` as the primary database holds them now, for what no cache holds."""
        ...

    def change(self, query: str, params: Params, deadline: Deadline) -> Coroutine[Any, Any, list[Row]]:
        """The rows of one query that changes what no cache holds."""
        ...

    def contents(
        self, blobs: BlobTier, sizes: Mapping[str, int], deadline: Deadline
    ) -> Coroutine[Any, Any, dict[str, bytes]]:
        """The contents of those digests, whose sizes are given, also where this transaction has just written them."""
        ...

    def filled(self, blobs: BlobTier, record: C, deadline: Deadline) -> Coroutine[Any, Any, C]:
        """The record with its content, which may lie outside the row, as for `contents`."""
        ...

    def observe(self, deadline: Deadline) -> Fetch:
        """Reads for who looks after the store: they answer while callers hold every connection, and may come from a replica."""
        ...

    def write(self, deadline: Deadline, idempotency_key: str | None = None) -> AbstractAsyncContextManager[Transaction]:
        """A block whose changes take effect together, or not at all when it raises."""
        ...

    def together(self, commit: GroupCommit[I, A], item: I, deadline: Deadline) -> Coroutine[Any, Any, A]:
        """One write that may share its commit with others. Its error is raised."""
        ...


class Outside:
    """Through the caches. `spans`: every call has a span, so that no hit may answer without one. A hit that does is counted by its kind."""

    is_inside = False

    def __init__(self, engine: Engine, *, spans: bool = False) -> None:
        self._engine = engine
        self._spans = spans

    def hit(self, kind: CachedKind[K, R]) -> Callable[[K], R | Absence | None]:
        return no_hit if self._spans else kind.shortcut()

    # These hand on the tiers' own coroutines: one more level would cost every miss 60 ns.

    def get(
        self,
        kind: CachedKind[K, R],
        key: K,
        *,
        deadline: Deadline,
        read: str = "session",
        not_before: str | None = None,
    ) -> Coroutine[Any, Any, R | None]:
        return kind.get(key, deadline=deadline, read=read, not_before=not_before)

    def get_many(
        self,
        kind: CachedKind[K, R],
        keys: Sequence[K],
        *,
        deadline: Deadline,
        read: str = "session",
        not_before: str | None = None,
    ) -> Coroutine[Any, Any, list[R | None]]:
        return kind.get_many(keys, deadline=deadline, read=read, not_before=not_before)

    def fetch(
        self,
        deadline: Deadline,
        read: str = "session",
        not_before: str | None = None,
        shows: Shows | None = None,
    ) -> Fetch:
        return self._engine.reading(deadline, read=read, not_before=not_before, shows=shows)

    def shown(self, kind: CachedKind[K, R], versions: Mapping[K, int]) -> bool:
        return kind.saw(versions)

    def rows(self, query: str, params: Params, deadline: Deadline) -> Coroutine[Any, Any, list[Row]]:
        return self._engine.records.fetch(query, params, deadline=deadline, primary=True)

    def change(self, query: str, params: Params, deadline: Deadline) -> Coroutine[Any, Any, list[Row]]:
        self._engine.check_writable()
        return self._engine.statement(query, params, deadline)

    def contents(
        self, blobs: BlobTier, sizes: Mapping[str, int], deadline: Deadline
    ) -> Coroutine[Any, Any, dict[str, bytes]]:
        return blobs.read_many(sizes, deadline=deadline)

    def filled(self, blobs: BlobTier, record: C, deadline: Deadline) -> Coroutine[Any, Any, C]:
        return blobs.filled(record, deadline=deadline)

    def observe(self, deadline: Deadline) -> Fetch:
        return self._engine.observing(deadline)

    def write(self, deadline: Deadline, idempotency_key: str | None = None) -> AbstractAsyncContextManager[Transaction]:
        return self._engine.write(deadline=deadline, idempotency_key=idempotency_key)

    def together(self, commit: GroupCommit[I, A], item: I, deadline: Deadline) -> Coroutine[Any, Any, A]:
        return commit.write(item, deadline)


class Inside:
    """In the open transaction `transaction`: reads see what it has written."""

    is_inside = True

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction

    def hit(self, kind: CachedKind[K, R]) -> Callable[[K], R | Absence | None]:
        return no_hit

    async def get(
        self,
        kind: CachedKind[K, R],
        key: K,
        *,
        deadline: Deadline,
        read: str = "session",
        not_before: str | None = None,
    ) -> R | None:
        return (await self.get_many(kind, [key], deadline=deadline, read=read, not_before=not_before))[0]

    async def get_many(
        self,
        kind: CachedKind[K, R],
        keys: Sequence[K],
        *,
        deadline: Deadline,
        read: str = "session",
        not_before: str | None = None,
    ) -> list[R | None]:
        route(read, not_before)
        with call_until(self.transaction.unit, deadline):
            return await kind.get_in(self.transaction, keys, deadline=deadline)

    def fetch(
        self,
        deadline: Deadline,
        read: str = "session",
        not_before: str | None = None,
        shows: Shows | None = None,
    ) -> Fetch:
        route(read, not_before)
        if shows is None:
            return partial(self.rows, deadline=deadline)

        async def fetch(query: str, params: Params) -> list[Row]:
            rows = await self.rows(query, params, deadline)
            shows(rows)
            return rows

        return fetch

    def shown(self, kind: CachedKind[K, R], versions: Mapping[K, int]) -> bool:
        return self.transaction.seen_many(kind, versions)

    async def rows(self, query: str, params: Params, deadline: Deadline) -> list[Row]:
        with call_until(self.transaction.unit, deadline):
            return await self.transaction.unit.fetch(query, params)

    async def change(self, query: str, params: Params, deadline: Deadline) -> list[Row]:
        async with self.write(deadline):
            return await self.transaction.unit.fetch(query, params)

    async def contents(self, blobs: BlobTier, sizes: Mapping[str, int], deadline: Deadline) -> dict[str, bytes]:
        with call_until(self.transaction.unit, deadline):
            return await blobs.read_many(sizes, deadline=deadline, unit=self.transaction.unit)

    async def filled(self, blobs: BlobTier, record: C, deadline: Deadline) -> C:
        with call_until(self.transaction.unit, deadline):
            return await blobs.filled(record, deadline=deadline, unit=self.transaction.unit)

    def observe(self, deadline: Deadline) -> Fetch:
        return self.transaction.unit.fetch

    @asynccontextmanager
    async def write(self, deadline: Deadline, idempotency_key: str | None = None) -> AsyncIterator[Transaction]:
        async with self.transaction.turn(deadline):
            with call_until(self.transaction.unit, deadline):
                async with self.transaction.savepoint():
                    yield self.transaction

    async def together(self, commit: GroupCommit[I, A], item: I, deadline: Deadline) -> A:
        async with self.write(deadline):
            (answer,) = await commit.apply(self.transaction, [item])
            if isinstance(answer, StorageError):
                raise answer
        return answer


class Loading:
    """Fetches for the loader of a cached kind, and remembers what the reading saw."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._as_of = self._ceiling = 0

    async def fetch(self, query: str, params: Params) -> list[Row]:
        """The rows, without the columns that say what was seen."""
        rows, self._as_of, self._ceiling = await self._source.fetch(query, params)
        return rows

    def loaded(self, values: Mapping[Any, Found[Any]]) -> Loaded:
        """Return what the loader returns."""
        return Loaded(values, self._as_of, self._ceiling)


def no_hit(_key: object) -> None:
    """Where no cache may answer."""
    return


class OpenTransaction:
    """What a caller does with the transaction itself: commit, rollback, savepoint. Committed when its block ends, unless that raises."""

    _scope: Scope
    _operations: Operations

    @property
    def _open(self) -> Transaction:
        assert isinstance(self._scope, Inside)  # noqa: S101  (it is made so)
        return self._scope.transaction

    async def commit(self) -> None:
        """Commit now; the block may end afterwards, but nothing more can be written in it."""
        with self._operations.begin("commit", None, None, "write"):
            await self._open.commit()

    async def rollback(self) -> None:
        """Drop everything since the transaction began."""
        with self._operations.begin("rollback", None, None, "write"):
            await self._open.rollback()

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Undo only the block's own changes when it raises."""
        return self._savepoint()

    @asynccontextmanager
    async def _savepoint(self) -> AsyncIterator[None]:
        with self._operations.begin("savepoint", None, None, "write"):
            async with self._open.savepoint():
                yield
