"""The protocol of state: values under keys, with an end and an etag. Drivers: `memory`, `sql` (over `Records`), `redis`.

A value is opaque bytes here; `stores/state/values.py` makes and reads them. Every method is a coroutine and takes a `Deadline`; in the
blocking face it never suspends. Keys are as the caller gave them; a driver puts its own prefix before them and takes it off again. What is
expired is never answered. Concurrent calls of one process travel together; a lone call loses nothing by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

from tierstore.backends import Gap
from tierstore.runtime import Deadline, Job

KEEP_MS: Final = -1
"""As `ttl_ms`: the end that the pair has now; none if it is absent."""
ABSENT_TAG: Final = ""
"""As `expected`: the key must be absent."""


class Pair(NamedTuple):
    """A value with its etag. `expires_ms`: when it ends, in ms since the epoch by the server's clock; None: never, or not asked for."""

    value: bytes
    etag: str
    expires_ms: int | None = None


class Put(NamedTuple):
    """A value to be stored, with a new etag. `expected`: None for whatever is there, `ABSENT_TAG`, or the etag that must be there."""

    key: str
    value: bytes
    ttl_ms: int | None
    expected: str | None = None


class Changed(NamedTuple):
    """A change that was committed. `position` is opaque: where the feed stood."""

    key: str
    kind: Literal["set", "delete", "expire"]
    etag: str | None
    expires_ms: int | None
    position: str


class PairCounts(NamedTuple):
    """What is there: keys (None: the server cannot tell cheaply), bytes of memory or table (None likewise), ended since open."""

    keys: int | None
    bytes: int | None
    expired: int


class Feed(Protocol):
    """Changes of keys under one prefix, from the moment on at which `watch` returned. Each is told at least once, in order per key."""

    async def receive(self, *, wait_s: float) -> list[Changed | Gap]:
        """What came within `wait_s`; empty if nothing did. A Gap: changes were missed. ClosedError after `close`."""
        ...

    async def close(self) -> None: ...


class Pairs(Protocol):
    @property
    def name(self) -> Literal["memory", "sql", "redis"]: ...
    async def open(self, deadline: Deadline) -> None: ...

    async def get_many(self, keys: Sequence[str], *, deadline: Deadline) -> list[Pair | None]:
        """In the order of the keys, without `expires_ms`. One round trip a server."""
        ...

    async def look(self, key: str, *, deadline: Deadline) -> Pair | None:
        """With `expires_ms`."""
        ...

    async def left_ms(self, key: str, *, deadline: Deadline) -> int | None:
        """Milliseconds left by the server's clock; `KEEP_MS` without an end; None if absent."""
        ...

    async def put(self, put: Put, *, deadline: Deadline) -> str | None:
        """The new etag; None, and nothing changed, where `expected` does not fit."""
        ...

    async def put_many(self, puts: Sequence[Put], *, deadline: Deadline) -> list[str]:
        """The new etags. `expected` is None in all. All or nothing; on Redis all or nothing per slot."""
        ...

    async def delete(self, key: str, *, expected: str | None = None, deadline: Deadline) -> bool | None:
        """Whether it was there; None, and nothing changed, where `expected` (an etag) does not fit what is there."""
        ...

    async def delete_many(self, keys: Sequence[str], *, deadline: Deadline) -> int:
        """How many were there."""
        ...

    async def pop(self, key: str, *, deadline: Deadline) -> bytes | None:
        """Read and deleted in one step."""
        ...

    async def expire(self, key: str, ttl_ms: int | None, *, deadline: Deadline) -> bool:
        """A new end, the same etag. Whether it was there."""
        ...

    async def increment(self, key: str, by: int, ttl_ms: int | None, *, deadline: Deadline) -> int | None:
        """Add to the decimal integer that is stored; absent counts as 0 and takes `ttl_ms`, present keeps its end.

        None, and nothing changed, where the value is no JSON integer or the sum is beyond int64.
        """
        ...

    async def page(
        self, prefix: str, *, limit: int, after: str | None, deadline: Deadline
    ) -> tuple[list[str], str | None]:
        """Keys under `prefix` (its characters mean themselves), and the cursor of the next page; None at the end.

        No order is promised, and on Redis a page may repeat keys of earlier ones. All that were there throughout come.
        """
        ...

    async def delete_prefix(
        self, prefix: str, *, limit: int, after: str | None, deadline: Deadline
    ) -> tuple[int, str | None]:
        """One batch: how many went, and the cursor of the next; None at the end."""
        ...

    async def watch(self, prefix: str, *, deadline: Deadline) -> Feed: ...

    def jobs(self) -> Mapping[str, Job]:
        """Background work: the sweep, what travels together."""
        ...

    async def warnings(self, deadline: Deadline) -> Sequence[str]:
        """What endangers state here, in words, for health (a Redis that evicts keys). It MUST NOT raise."""
        ...

    async def counts(self, deadline: Deadline) -> PairCounts: ...
    async def ping(self, deadline: Deadline) -> str: ...
    async def close(self, deadline: Deadline) -> None: ...
