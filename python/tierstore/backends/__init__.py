"""The four narrow protocols that drivers fulfil. One driver a file; a driver is imported in its own file only, and lazily.

| protocol | what it is | drivers |
|---|---|---|
| `Records` | rows and transactions: the truth | `sqlite/records.py`, `postgres/records.py` |
| `KeyValue` | the shared cache tier with its fences | `memory/key_value.py`, `redis/key_value.py` |
| `Blobs` | bytes under their digest | `folder/blobs.py`, `s3/blobs.py` |
| `Pairs` | values under keys, with an end and an etag (`pairs.py`) | `memory/pairs.py`, `redis/pairs.py`, and the tables of a store |
| `Channel` | what others changed, and how fresh that knowledge is | `redis/channel.py`, `postgres/channel.py`, `sqlite/channel.py` |

Every method is a coroutine and takes a `Deadline`. In the blocking face the driver blocks and never suspends, so that
`runtime.drive` finishes it. A driver translates its library's exceptions into `tierstore.errors`, here and nowhere else.

Values that cross `Records`: ids are canonical text, times are integer microseconds since the epoch (UTC), JSON is text, content is
bytes; a list parameter is an array on PostgreSQL and JSON text on SQLite (read there with `json_each`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from tierstore.plan.invalidate import Change as Change
from tierstore.plan.keys import Namespace
from tierstore.runtime import Deadline

Row = tuple[Any, ...]
Params = Mapping[str, Any]


class Fenced(NamedTuple):
    """What a fenced read saw.

    `as_of`: every transaction below it had ended (PostgreSQL: the snapshot's xmin; SQLite: the last row_version + 1).
    `ceiling`: no transaction from it on was seen (PostgreSQL: the snapshot's xmax; SQLite: the same as `as_of`).
    """

    rows: list[Row]
    as_of: int
    ceiling: int


class Undelivered(NamedTuple):
    """Committed rows of the outbox that are not marked (id, keys, versions, fence), and `Records.identity` of the same moment."""

    identity: str
    rows: list[Row]


class PoolStats(NamedTuple):
    """Connections in use, idle, allowed at most, and callers waiting for one.

    `reserved`: so many more may be open for background jobs and uploads. `pooled`: they end at a pooler, which shares the server's.
    """

    in_use: int
    idle: int
    limit: int
    waiting: int
    reserved: int = 0
    pooled: bool = False


class Unit(Protocol):
    """One open write transaction. Queries are named as for `Records`.

    `position`: once it is committed, where the log stood then: a read `after` it sees what was written. None on SQLite, where the fence
    is the position.
    """

    position: str | None

    async def fetch(self, query: str, params: Params = ...) -> list[Row]: ...
    async def fetch_fenced(self, query: str, params: Params = ...) -> Fenced: ...
    async def execute(self, query: str, params: Params = ...) -> int:
        """Rows changed."""
        ...

    async def execute_many(self, query: str, many: Sequence[Params]) -> None: ...
    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Rolled back when its block raises."""
        ...

    async def fence(self) -> int:
        """The number a writer raises floors to: pg_current_xact_id(), or SQLite's latest row_version in this transaction."""
        ...


class Records(Protocol):
    """A SQL database. Queries are named `file.query`, from `sql/<dialect>/queries/<file>.sql`."""

    dialect: Literal["sqlite", "postgres"]
    remote: bool
    """Whether a call is a round trip to a server, so that reads asked for at the same time gain by going together."""

    async def open(self, deadline: Deadline) -> None:
        """Connect. ConnectionError if it cannot, with the reason and without secrets."""
        ...

    async def fetch(
        self, query: str, params: Params = ..., *, deadline: Deadline, primary: bool = False, after: str | None = None
    ) -> list[Row]:
        """A read of its own. It may go to a replica unless `primary`, or the replica has not replayed `after` (a position).

        Of a fenced query the columns of the fence are cut off, as `fetch_fenced` does. ValueError for one that needs a transaction.
        """
        ...

    async def fetch_fenced(
        self, query: str, params: Params = ..., *, deadline: Deadline, primary: bool = False, after: str | None = None
    ) -> Fenced:
        """As `fetch`, for a query whose head says `-- fenced`: its first two columns are `as_of` and `ceiling`.

        They are cut off each row, and a row whose remaining columns are all NULL (the left join's answer for nothing) is dropped.
        """
        ...

    def peek(self, query: str, params: Params) -> Row | None:
        """The row of a point read if it can be had without waiting, and without a coroutine. None says nothing: `fetch` then."""
        ...

    def unit(self, *, deadline: Deadline, idempotency_key: str | None = None) -> AbstractAsyncContextManager[Unit]:
        """A write transaction: commits when the block ends, rolls back when it raises.

        A commit whose answer was lost raises OutcomeUnknownError.
        """
        ...

    async def write(self, query: str, params: Params = ..., *, deadline: Deadline, job: bool = False) -> list[Row]:
        """The rows of one query in a transaction of its own, which is committed when they are returned. One round trip.

        It takes no fence: for what no cache holds. OutcomeUnknownError where the answer was lost. `job`: for a background job, on the
        connections of `housekeeping`.
        """
        ...

    def aside(self, *, deadline: Deadline) -> AbstractAsyncContextManager[Unit]:
        """A short transaction apart from the caller's, on reserved connections (`staging.db` on SQLite): the pending rows of blobs."""
        ...

    def housekeeping(self, *, deadline: Deadline) -> AbstractAsyncContextManager[Unit]:
        """A transaction of a background job, on reserved connections that no caller can hold up (SQLite: in turn with the others)."""
        ...

    async def execute(self, query: str, params: Params = ..., *, deadline: Deadline) -> None:
        """A background job's write that is one statement: one round trip, on the connections of `housekeeping`.

        It may run twice, where the connection breaks before the answer.
        """
        ...

    async def undelivered(self, *, after: int, limit: int, deadline: Deadline) -> Undelivered:
        """What the relay takes in one turn: rows above the id `after`. One round trip, on a connection that nobody else keeps busy."""
        ...

    async def observe(self, query: str, params: Params = ..., *, deadline: Deadline) -> list[Row]:
        """As `fetch`, for who looks after the store (health, statistics): callers that hold all connections cannot hold it up."""
        ...

    async def position(self, deadline: Deadline) -> str:
        """Where the primary's log stands now; a later read with `after=` sees at least this."""
        ...

    async def identity(self, deadline: Deadline) -> str:
        """Which database this is, its timeline included: changes after a restore or a promotion."""
        ...

    async def script(
        self, text: str, *, transaction: bool, deadline: Deadline, then: tuple[str, Params] | None = None
    ) -> None:
        """Run the statements of a migration, and after them the named query `then` in the same transaction.

        Without `transaction` each statement stands alone, as CREATE INDEX CONCURRENTLY must.
        """
        ...

    def exclusive(self, *, deadline: Deadline) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """Held by one process at a time over this database: migrations. Who waits says in the log for whom.

        Gives a call that raises ConnectionError where the lock was lost meanwhile.
        """
        ...

    async def ping(self, deadline: Deadline) -> str:
        """The server's version, for health."""
        ...

    def pool(self) -> PoolStats: ...
    async def close(self, deadline: Deadline) -> None: ...


class Seen(NamedTuple):
    """Which load's lease and which load's hand-over a miss found: what either brings may be older than the miss. b"": there was none."""

    lease: bytes
    hand_over: bytes


class Lease(NamedTuple):
    """The answer to a miss: a value, if there is one to take; else whether this caller holds the key's lease, and must seed the floor.

    `handed_over`: the value is what a load handed over to those who waited for it. `seen`: for who must wait, to be shown at the next look.
    """

    value: bytes | None
    held: bool
    seeding: bool
    handed_over: bool = False
    seen: Seen | None = None


class Fill(NamedTuple):
    """One value on its way into L2. `version` and `revision` never go down; `as_of` and `ceiling` are the read's.

    `hand_over_ms`: so long it is there for those who wait for it, also where the fences keep it out of L2; 0: it is not. Only for a load
    that read the primary after it had taken its lease.
    """

    key: str
    token: bytes
    value: bytes
    version: int
    revision: int
    as_of: int
    ceiling: int
    seeding: bool
    ttl_ms: int
    hand_over_ms: int = 0


class KeyValue(Protocol):
    """The shared cache tier with the fences of rule 3: leases, floors, versions. Keys come from `plan.keys`."""

    @property
    def reign(self) -> int:
        """Rises when another server takes over from one that was asked. What a server was told counts while it reigns."""
        ...

    async def still_reigns(self, reign: int, *, deadline: Deadline) -> bool:
        """Whether nobody has taken over since that reign began, as those know who decide it. StorageError if they do not answer."""
        ...

    def watch_reigns(self, began: Callable[[], None]) -> None:
        """Call `began` before another server's first answer is given out, in whatever thread finds it."""
        ...

    async def open(self, deadline: Deadline) -> None: ...
    async def get_many(self, keys: Sequence[str], *, deadline: Deadline) -> list[bytes | None]:
        """Plain MGET, grouped by slot."""
        ...

    async def lease_many(
        self,
        keys: Sequence[str],
        *,
        token: bytes,
        lease_ms: int,
        deadline: Deadline,
        trusted: bool = True,
        seen: Sequence[Seen | None] | None = None,
    ) -> list[Lease]:
        """Misses. Only where `trusted` may a value be one that L2 held before. `seen`: of each key what its first miss answered.

        What was seen at another server, or before its fail-over, counts as not seen: the miss is then the first one.
        """
        ...

    async def fill_many(self, fills: Sequence[Fill], *, deadline: Deadline) -> list[bool]:
        """Whether each was accepted: lease still held, `as_of` above the slot's floor, version not lower than the value there."""
        ...

    async def release_many(self, keys: Sequence[str], *, token: bytes, deadline: Deadline) -> None:
        """Give up leases whose load failed."""
        ...

    async def invalidate(self, changes: Sequence[Change], *, floor: int, deadline: Deadline) -> None:
        """Raise the floors of the keys' slots to `floor`, drop leases and values. Returns when every slot has answered."""
        ...

    async def identity(self, deadline: Deadline) -> str:
        """Which server this is (its run id): a change is a new epoch."""
        ...

    async def warnings(self, deadline: Deadline) -> list[str]:
        """What is not wrong yet, in words for people. StorageError if the server does not answer."""
        ...

    async def probe(self) -> float:
        """A background job: find out whether a server that was left alone is back; the seconds until the next trial."""
        ...

    async def ping(self, deadline: Deadline) -> str: ...
    async def close(self, deadline: Deadline) -> None: ...


class BlobInfo(NamedTuple):
    digest: str
    size: int
    modified_us: int


class Blobs(Protocol):
    """Bytes under their hex SHA-256. Reads are checked by the caller (`tiers.blobs`), who knows the digest."""

    async def open(self, deadline: Deadline) -> None: ...
    async def put(self, digest: str, content: bytes, *, deadline: Deadline) -> None:
        """Durable when it returns. Putting a digest that is there already is no error."""
        ...

    async def get(self, digest: str, *, deadline: Deadline) -> bytes:
        """NotFoundError if absent."""
        ...

    async def exists(self, digest: str, *, deadline: Deadline) -> bool: ...
    async def delete(self, digest: str, *, deadline: Deadline) -> None: ...
    def list(self, *, deadline: Deadline) -> AsyncIterator[BlobInfo]: ...
    async def presign(self, digest: str, *, verb: Literal["get", "put"], expires_s: int) -> str:
        """A URL that needs no credentials. UnsupportedError names the file's path where blobs are files."""
        ...

    def locate(self, digest: str) -> str:
        """Return where a person finds it: the object's key or the file's path."""
        ...

    async def ping(self, deadline: Deadline) -> str: ...
    async def close(self, deadline: Deadline) -> None: ...


class Invalidated(NamedTuple):
    """Keys that another process changed."""

    changes: tuple[Change, ...]


class Echo(NamedTuple):
    """All that was committed before the ping of `sent_at` (this process's monotonic seconds) has been delivered."""

    sent_at: float


class Gap(NamedTuple):
    """Something was missed, or the epoch changed: flush L1. The reason goes to the log."""

    reason: str


Event = Invalidated | Echo | Gap


class Channel(Protocol):
    """A carrier of rule 6: reports what others changed, and proves how fresh that is."""

    name: str

    async def open(self, deadline: Deadline) -> None: ...
    async def publish(self, changes: Sequence[Change], *, deadline: Deadline) -> None:
        """Tell the others, after L2 was invalidated. Does nothing where the carrier reads the outbox itself."""
        ...

    async def receive(self, *, wait_s: float) -> list[Event]:
        """Events that came within `wait_s`, in order; sends the pings that the carrier needs."""
        ...

    async def ping(self, deadline: Deadline) -> str: ...
    async def close(self, deadline: Deadline) -> None: ...


@runtime_checkable
class Answering(Protocol):
    """The relay's side of a channel on which processes ping (Redis's): an echo proves that all before the ping was delivered."""

    async def take_pings(self, *, deadline: Deadline) -> list[bytes] | None:
        """The pings that wait; each is handed out once. None: another process relays, and takes them."""
        ...

    async def echo(self, pings: Sequence[bytes], *, deadline: Deadline) -> None:
        """Answer them."""
        ...

    async def retire(self, *, deadline: Deadline) -> None:
        """Relay no more: another process may begin at once."""
        ...

    def move(self, namespace: Namespace) -> None:
        """The database is another one now (rule 7): go over to the channel of its namespace."""
        ...
