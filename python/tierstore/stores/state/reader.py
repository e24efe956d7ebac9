"""The calls of state that change nothing."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar, overload

from tierstore.backends.pairs import Feed
from tierstore.calls.operation import Budget, Operation
from tierstore.calls.scope import Scope
from tierstore.calls.store import BaseStore
from tierstore.errors import UnsupportedError
from tierstore.plan.paging import Page, check_limit, read_cursor, write_cursor
from tierstore.plan.state import check_key, check_prefix
from tierstore.stores.state import arguments, values
from tierstore.stores.state.model import Entry, StateChange, StateStatistics, moment
from tierstore.stores.state.parts import StateParts
from tierstore.stores.state.watch import PAGE_KEYS, Keys, watching

MAX_WARMED = 1_000_000
_T = TypeVar("_T")
_D = TypeVar("_D")


class StateReader(BaseStore[StateParts]):
    """Reading, and what there is to know."""

    _parts_class = StateParts

    def __init__(self, parts: StateParts, scope: Scope) -> None:
        super().__init__(parts, scope)
        self._pairs = parts.within(scope)
        self._peek = parts.peek_in(scope)

    def _operation(
        self, name: str, key: object, timeout: float | None, budget: Budget, *, inside: bool = True
    ) -> Operation:
        operation = super()._operation(name, key, timeout, budget, inside=inside)
        if self._scope.is_inside and not self._parts.is_in_database:
            with operation:
                raise UnsupportedError(
                    f"state is no part of a transaction where it lies in {self._parts.pairs.name}: call it on the store, or keep it in the "
                    "database with StateConfig(backend='sql')"
                )
        return operation

    def hit_get(self, key: str) -> Any:
        """The value if it can be had without waiting; None also for a stored None."""
        data = self._peek(key) if key.__class__ is str else None
        return None if data is None else self._parts.peeked(data)

    @overload
    async def get(self, key: str, *, timeout: float | None = None) -> Any: ...
    @overload
    async def get(self, key: str, *, default: Any, timeout: float | None = None) -> Any: ...
    @overload
    async def get(self, key: str, *, type: type[_T], timeout: float | None = None) -> _T | None: ...
    @overload
    async def get(self, key: str, *, type: type[_T], default: _D, timeout: float | None = None) -> _T | _D: ...
    @overload
    async def get(self, key: str, *, type: Any, default: Any = None, timeout: float | None = None) -> Any: ...
    async def get(self, key: str, *, type: Any = None, default: Any = None, timeout: float | None = None) -> Any:
        """Return the value, or `default` if there is none.

        `type`: any annotation; the value is checked and converted to it, without coercion. ValidationError, which names the place in the
        value, if it does not fit. A stored None is told from absence by `get_entry`.
        """
        if type is None and timeout is None and (found := self.hit_get(key)) is not None:
            return found
        with self._operation("get", key, timeout, "read") as operation:
            check_key(key)
            check_type(type)
            (pair,) = await self._pairs.get_many((key,), deadline=operation.deadline)
            if pair is None:
                self._parts.misses += 1
                return default
            return self._parts.read(key, pair.value, type)

    async def get_entry(self, key: str, *, type: Any = None, timeout: float | None = None) -> Entry | None:
        """Return the value with its etag and its end, or None if there is none. `type`: as for `get`."""
        with self._operation("get_entry", key, timeout, "read") as operation:
            check_key(key)
            check_type(type)
            pair = await self._pairs.look(key, deadline=operation.deadline)
            self._parts.count(0 if pair is None else 1, 1)
            if pair is None:
                return None
            value = self._parts.opened(key, pair.value, type)
            return Entry(key, value, pair.etag, moment(pair.expires_ms))

    @overload
    async def get_many(self, keys: Iterable[str], *, timeout: float | None = None) -> list[Any]: ...
    @overload
    async def get_many(
        self, keys: Iterable[str], *, type: type[_T], timeout: float | None = None
    ) -> list[_T | None]: ...
    @overload
    async def get_many(self, keys: Iterable[str], *, type: Any, timeout: float | None = None) -> list[Any]: ...
    async def get_many(self, keys: Iterable[str], *, type: Any = None, timeout: float | None = None) -> list[Any]:
        """Return the values in the order of the keys, None for what is absent. One round trip a server. `type`: as for `get`."""
        with self._operation("get_many", None, timeout, "read") as operation:
            checked = arguments.check_keys(keys)
            check_type(type)
            if not checked:
                return []
            pairs = await self._pairs.get_many(checked, deadline=operation.deadline)
            self._parts.count(sum(pair is not None for pair in pairs), len(pairs))
            opened = self._parts.opened
            return [
                None if pair is None else opened(key, pair.value, type)
                for key, pair in zip(checked, pairs, strict=True)
            ]

    async def exists(self, key: str, *, timeout: float | None = None) -> bool:
        """Return whether there is a value."""
        with self._operation("exists", key, timeout, "read") as operation:
            return await self._pairs.left_ms(check_key(key), deadline=operation.deadline) is not None

    async def ttl(self, key: str, *, timeout: float | None = None) -> float | None:
        """Return the seconds that the value has left, by the server's clock: `math.inf` without an end, None if there is none."""
        with self._operation("ttl", key, timeout, "read") as operation:
            left_ms = await self._pairs.left_ms(check_key(key), deadline=operation.deadline)
            if left_ms is None:
                return None
            return math.inf if left_ms < 0 else left_ms / 1000

    # Many keys

    async def keys(
        self, prefix: str = "", *, limit: int = 100, after: str | None = None, timeout: float | None = None
    ) -> Page[str]:
        """Return keys that begin with `prefix`, whose characters mean themselves, a page at a time and in no particular order.

        Keys that are there throughout all come; on Redis a page may repeat keys of earlier ones.
        """
        with self._operation("keys", prefix, timeout, "search") as operation:
            query = ["state.keys", self._pairs.name, check_prefix(prefix)]
            most, at = check_limit(limit), read_cursor(query, after, (arguments.is_cursor,))
            keys, following = await self._page(prefix, most, at[0] if at else None, operation)
            return Page(tuple(keys), None if following is None else write_cursor(query, [following]))

    def scan(self, prefix: str = "", *, timeout: float | None = None) -> AsyncIterator[str]:
        """Give every key that begins with `prefix` once: `async for key in store.state.scan("polly:")`. `timeout`: of each round trip."""
        with self._operation("scan", prefix, timeout, "search"):
            check_prefix(prefix)

        async def next_page(after: str | None) -> tuple[list[str], str | None]:
            with self._operation("scan", prefix, timeout, "search") as operation:
                return await self._page(prefix, PAGE_KEYS, after, operation)

        return Keys(next_page, repeats=self._pairs.name == "redis")

    async def _page(
        self, prefix: str, limit: int, after: str | None, operation: Operation
    ) -> tuple[list[str], str | None]:
        return await self._pairs.page(prefix, limit=limit, after=after, deadline=operation.deadline)

    # Changes

    def watch(
        self, prefix: str = "", *, idle: float | None = None, timeout: float | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[StateChange]]:
        """Tell the changes of all keys that begin with `prefix`.

        async with store.state.watch("polly:") as changes:
            async for change in changes: ...

        Every change that is committed after the block began comes at least once, in order per key; an end within 15 seconds. Where changes
        were missed, a change of the kind "gap" says so. New ends (`touch`, `persist`) are no changes. The loop ends when nothing came for
        `idle` seconds; without it, never. `timeout`: of the beginning.
        """
        with self._operation("watch", prefix, timeout, "read", inside=False):
            check_prefix(prefix)
            idle_s = arguments.check_idle(idle)

        async def begin() -> Feed:
            with self._operation("watch", prefix, timeout, "read", inside=False) as operation:
                return await self._pairs.watch(prefix, deadline=operation.deadline)

        return watching(self._parts.runtime, begin, idle_s)

    # What there is to know

    async def warm(self, limit: int = 100, *, timeout: float | None = None) -> int:
        """State is never cached: ask its server, and return 0."""
        with self._operation("warm", None, timeout, "bulk", inside=False) as operation:
            check_limit(limit, most=MAX_WARMED)
            await self._pairs.ping(operation.deadline)
            return 0

    async def ping(self, *, timeout: float | None = None) -> float:
        """Ask the server of state, and return the seconds until it answered."""
        with self._operation("ping", None, timeout, "read") as operation:
            started = operation.deadline.now()
            await self._pairs.ping(operation.deadline)
            return operation.deadline.now() - started

    async def statistics(self, *, timeout: float | None = None) -> StateStatistics | None:
        """Return how much there is, and how many reads found something. Where the server does not tell, None stands for it."""
        with self._operation("statistics", None, timeout, "search") as operation:
            counts = await self._pairs.counts(operation.deadline)
            parts = self._parts
            hits, misses = parts.hits + parts.peeks, parts.misses
            return StateStatistics(self._pairs.name, counts.keys, counts.bytes, hits, misses, counts.expired)


def check_type(type: Any) -> None:
    """Before anything is read."""
    if type is not None:
        values.check_type(type)
