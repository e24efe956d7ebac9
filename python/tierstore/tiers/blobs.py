"""Content outside rows, under its digest: an object store where there is one, else chunks in the database.

A write that a crash may stop at any step: hash, a pending row (committed apart), put, check; then, in the transaction that refers to the
content, `make_live`. What is left behind is an orphan that the pending row names, never a reference to nothing. An object store that
does not take the content makes it chunks in that same transaction. A read looks in both places, and no byte is returned whose digest
was not checked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar, cast

from tierstore._native import SizeRouter, uuid7
from tierstore._native import digest as digest_of
from tierstore.backends import Blobs, Records, Unit
from tierstore.cache import Cache
from tierstore.errors import (
    ConflictError,
    ConnectionError,
    CorruptError,
    NotFoundError,
    StorageError,
    TimeoutError,
    UnsupportedError,
    raise_alone,
)
from tierstore.plan.arguments import in_list
from tierstore.plan.batches import batches
from tierstore.records import Record, attach
from tierstore.runtime import Deadline, Runtime, restart_when_interrupted
from tierstore.runtime.coalesce import Coalescer, settle
from tierstore.runtime.flight import Flight, abandon_all
from tierstore.tiers.damage import Damage, Place

CHUNK_BYTES = 256 * 1024
CACHED_BYTES = 64 * 1024 * 1024
CACHED_SHARE = 8
"""A content larger than this part of the cache is not kept in it."""
READS_AT_ONCE = 8
READ_TOGETHER, READ_TOGETHER_BYTES = 500, 8 * 1024 * 1024
"""How many contents, and how many bytes of them, one query reads."""
HASHED_ASIDE_BYTES = 1024 * 1024
"""From here on hashing (1 ms a MiB) does not happen on the event loop."""
PUT_SHARE = 0.5
"""Of a write's time left: what the object store gets before the content goes into rows."""
SETTLE_EVERY_S = 5.0
SETTLE_BUDGET_S = 5.0
SETTLED_AT_ONCE = 500
HEAL_BUDGET_S, HEAL_PAUSE_S = 10.0, 0.05
SLOW_S = 1.0
"""A call that was given less time than this and ran out of it says nothing of the object store."""
PING_BUDGET_S = 0.5
"""In the blocking face all jobs share one thread."""


Health = Literal["whole", "healed", "damaged", "missing"]
"""What is known of a content: "damaged" and "missing" cannot be read anywhere."""


class WithContent(Protocol):
    """A record that says where its content lies: "inline" in it, or elsewhere; then `content` is empty until it is filled."""

    @property
    def content(self) -> bytes: ...
    @property
    def content_digest(self) -> str: ...
    @property
    def content_size(self) -> int: ...
    @property
    def placement(self) -> str: ...
    @property
    def meta(self) -> Any: ...
    def replace(self, /, **changes: Any) -> Self: ...


C = TypeVar("C", bound=WithContent)


class BlobPlacement(NamedTuple):
    """Where content is put: `tier` "row" (chunks) or "object"."""

    tier: Place
    size: int
    digest: str


class Staged(NamedTuple):
    """Content that is safe where `placement` says, or, for "row", will be by `make_live`."""

    placement: BlobPlacement
    content: bytes
    upload_id: str | None


class _Reading(Flight):
    """One content that is read for all who ask for it meanwhile, first where `tier` says."""

    __slots__ = ("digest", "tier")

    def __init__(self, digest: str, tier: str) -> None:
        super().__init__()
        self.digest = digest
        self.tier = tier


class BlobTier:
    """`blobs` None: there is no object store, and all goes into rows. `router` decides by size."""

    def __init__(
        self,
        runtime: Runtime,
        records: Records,
        blobs: Blobs | None,
        router: SizeRouter | None = None,
        *,
        cached_bytes: int = CACHED_BYTES,
    ) -> None:
        self._runtime = runtime
        self._records = records
        self._blobs = blobs
        self.router = router or SizeRouter()
        self._kept_up_to = cached_bytes // CACHED_SHARE
        self._cache: Cache[str, bytes] = Cache(
            max(1, cached_bytes // 1024), max_weight=cached_bytes, weigher=lambda _digest, content: len(content)
        )
        self._flights: dict[str, _Reading] = {}
        if runtime.face == "blocking":
            restart_when_interrupted(self)
        self._reading = Coalescer(runtime, self._read, lanes=READS_AT_ONCE, most=1)
        self._settled: deque[tuple[str, str]] = deque()
        self._outage = runtime.outages.of("object store")
        self.rows_instead_of_objects = 0
        self.damage = Damage()

    def restart(self) -> None:
        abandon_all(self._flights)

    # Writing

    async def stage(self, content: bytes, *, deadline: Deadline) -> Staged:
        """Put content where it belongs by its size. An object store that fails makes it rows; only the database's errors are raised."""
        digest = await self._digest(content, deadline)
        wanted = self.router.tier(len(content))
        if wanted == "object" and self._blobs is not None:
            upload_id = await self._put(self._blobs, digest, content, deadline)
            if upload_id is not None:
                return Staged(BlobPlacement("object", len(content), digest), content, upload_id)
        return Staged(BlobPlacement("row", len(content), digest), content, None)

    async def stage_many(
        self, contents: Mapping[int, bytes], *, deadline: Deadline, place: str | None = None
    ) -> dict[int, Staged]:
        """`stage` for each, under its number. An error names the failing one in the list `place`."""
        staged = {}
        for number, content in contents.items():
            try:
                staged[number] = await self.stage(content, deadline=deadline)
            except StorageError as error:
                raise_alone(error if place is None else in_list(error, place, number))
        return staged

    async def _put(self, blobs: Blobs, digest: str, content: bytes, deadline: Deadline) -> str | None:
        """The id of the upload, or None where the object store did not take it."""
        upload_id = uuid7()
        async with self._records.aside(deadline=deadline) as unit:
            row = {"upload_id": upload_id, "digest": digest, "size": len(content)}
            await unit.execute("blobs.begin_upload", row)
        if await self._is_doomed(digest, deadline):
            return None  # the sweep may be about to remove the object
        budget = deadline.within(deadline.remaining() * PUT_SHARE)
        try:
            with self._reported():
                await blobs.put(digest, content, deadline=budget)
                if await blobs.exists(digest, deadline=budget):
                    self.damage.forget(digest)
                    return upload_id
        except StorageError:
            pass  # whatever it was: the content is as safe in rows
        deadline.check("putting content into the object store")
        self.rows_instead_of_objects += 1
        return None

    async def _is_doomed(self, digest: str, deadline: Deadline) -> bool:
        """Asked after the pending row is committed. On servers by a reserved connection: the caller may hold the last one of the pool."""
        if self._records.dialect == "sqlite":
            return bool(await self._records.fetch("blobs.doomed", {"digest": digest}, deadline=deadline, primary=True))
        async with self._records.aside(deadline=deadline) as unit:
            return bool(await unit.fetch("blobs.doomed", {"digest": digest}))

    async def make_live(self, unit: Unit, staged: Staged) -> None:
        """In the transaction that refers to the content: it lives from its commit on."""
        tier, size, digest = staged.placement
        await unit.execute("blobs.make_live", {"digest": digest, "size": size, "tier": tier})
        if tier == "row":
            await unit.execute_many("blobs.add_chunk", _chunks_of(digest, staged.content))
            self.damage.forget(digest)
        if staged.upload_id is not None:
            self._settled.append((staged.upload_id, digest))

    async def make_live_many(self, unit: Unit, staged: Sequence[Staged]) -> None:
        """`make_live` for each, in as many round trips as for one. Equal content is named once."""
        ordered = sorted(staged, key=lambda stage: stage.placement.digest)  # so that two transactions wait in one order
        lived = [stage.placement._asdict() for stage in ordered]
        chunks = [
            chunk
            for stage in ordered
            if stage.placement.tier == "row"
            for chunk in _chunks_of(stage.placement.digest, stage.content)
        ]
        if lived:
            await unit.execute_many("blobs.make_live", lived)
        if chunks:
            await unit.execute_many("blobs.add_chunk", chunks)
        for stage in ordered:
            if stage.placement.tier == "row":
                self.damage.forget(stage.placement.digest)
            if stage.upload_id is not None:
                self._settled.append((stage.upload_id, stage.placement.digest))

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Round a call of the object store: whether it answered."""
        started = self._runtime.monotonic()
        try:
            yield
        except (ConnectionError, TimeoutError) as error:
            if isinstance(error, ConnectionError) or self._runtime.monotonic() - started >= SLOW_S:
                self._outage.began(error)
            raise
        except StorageError:
            self._outage.ended()
            raise
        self._outage.ended()

    async def settle(self) -> float:
        """The job: remove the pending rows of uploads that live now. Those of rolled back transactions wait for the sweep."""
        if self._blobs is not None and "object store" in self._runtime.outages:
            with suppress(StorageError), self._reported():
                await self._blobs.ping(self._runtime.deadline(PING_BUDGET_S))
        waiting = [self._settled.popleft() for _ in range(min(len(self._settled), SETTLED_AT_ONCE))]
        if waiting:
            deadline = self._runtime.deadline(SETTLE_BUDGET_S)
            digests = sorted({digest for _, digest in waiting})
            try:
                rows = await self._records.fetch("blobs.live", {"digests": digests}, deadline=deadline, primary=True)
                live = {row[0] for row in rows}
                ended = [upload_id for upload_id, digest in waiting if digest in live]
                async with self._records.aside(deadline=deadline) as unit:
                    await unit.execute("blobs.end_uploads", {"upload_ids": ended})
            except StorageError:
                self._settled.extendleft(waiting)
                raise
        if self.damage.waiting:
            digest = next(iter(self.damage.waiting))
            del self.damage.waiting[digest]
            await self.heal(digest, deadline=self._runtime.deadline(HEAL_BUDGET_S))
            return HEAL_PAUSE_S
        return SETTLE_EVERY_S

    # Reading

    async def read(self, digest: str, tier: str, size: int, *, deadline: Deadline) -> bytes:
        """The content of that digest, looked for where `tier` says and then in the other place.

        CorruptError if what is there has another digest; else the error of the first place. One reading at a time for a digest.
        """
        content: bytes | None = self._cache.get(digest)
        while content is None:
            made = _Reading(digest, tier)
            flight = self._flights.setdefault(digest, made)
            if flight is not made:
                flight.join()
            try:
                if flight is made:
                    await self._reading.take([flight], deadline)
                await settle(self._runtime, flight, (self._reading,), deadline)
            finally:
                flight.leave()
                if flight.done and self._flights.get(digest) is flight:
                    del self._flights[digest]
            if not flight.abandoned:
                content = flight.result()
        return content

    async def read_many(
        self, sizes: Mapping[str, int], *, deadline: Deadline, unit: Unit | None = None
    ) -> dict[str, bytes]:
        """The contents of those digests, whose sizes are given: what lies in rows by few queries. Errors as `read`.

        `unit`: the open transaction that may have written some of them.
        """
        found = {digest: content for digest in sizes if (content := self._cache.get(digest)) is not None}
        places = {digest: "object" if self.router.tier(size) == "object" else "row" for digest, size in sizes.items()}
        missing = {digest: size for digest, size in sizes.items() if digest not in found}
        if unit is not None or len(missing) > 1:  # one alone is shared with others who ask for it
            in_rows = ((d, size) for d, size in missing.items() if unit is not None or places[d] == "row")
            for batch in batches(in_rows, READ_TOGETHER, READ_TOGETHER_BYTES):
                found |= await self._rows_of(batch, deadline, unit)
        left = [digest for digest in missing if digest not in found]
        reads = [self.read(digest, places[digest], missing[digest], deadline=deadline) for digest in left]
        return found | dict(zip(left, await self._runtime.gather(reads), strict=True))

    async def _rows_of(self, digests: list[str], deadline: Deadline, unit: Unit | None) -> dict[str, bytes]:
        """What lies in rows, whole and undamaged; `read` says what is wrong with the rest."""
        params = {"digests": digests}
        rows = (
            await self._records.fetch("blobs.chunks_of", params, deadline=deadline)
            if unit is None
            else await unit.fetch("blobs.chunks_of", params)
        )
        chunks: dict[str, list[bytes]] = {}
        for digest, chunk in rows:
            chunks.setdefault(digest, []).append(chunk)
        found = {}
        for digest, parts in chunks.items():
            content = b"".join(parts)
            if await self._digest(content, deadline) == digest:
                found[digest] = content
                if len(content) <= self._kept_up_to:
                    self._cache.put(digest, content)
        return found

    async def filled(self, record: C, *, deadline: Deadline, unit: Unit | None = None) -> C:
        """The record with its content, which that of a large one does not carry. `unit`: as for `read_many`."""
        if record.placement == "inline" or len(record.content) == record.content_size:
            return record
        digest, size = record.content_digest, record.content_size
        if unit is None:
            content = await self.read(digest, record.placement, size, deadline=deadline)
        else:
            content = (await self.read_many({digest: size}, deadline=deadline, unit=unit))[digest]
        filled = record.replace(content=content)
        attach(cast(Record, filled), record.meta)
        return filled

    async def _read(self, flights: list[_Reading], deadline: Deadline) -> None:
        flight = flights[0]
        digest = flight.digest
        content = await self._read_anywhere(digest, flight.tier, deadline)
        if len(content) <= self._kept_up_to:
            self._cache.put(digest, content)
        flight.land(content)
        self._flights.pop(digest, None)

    async def _read_anywhere(self, digest: str, tier: str, deadline: Deadline) -> bytes:
        places: tuple[Place, Place] = ("row", "object") if tier == "row" else ("object", "row")
        first: StorageError | None = None
        for place in places:
            budget = deadline if first is not None else deadline.within(deadline.remaining() * PUT_SHARE)
            try:
                return await self._read_checked(digest, place, budget)
            except StorageError as error:
                if isinstance(error, CorruptError) or first is None:
                    first = error
        assert first is not None  # noqa: S101  (two places were tried)
        raise first

    async def _read_checked(self, digest: str, place: Place, deadline: Deadline) -> bytes:
        if place == "row":
            content = await self._chunks(digest, deadline)
        elif self._blobs is None:
            raise NotFoundError(
                f"content {digest} lies in an object store, and none is configured (ObjectConfig)",
                key=digest,
                tier="objects",
            )
        else:
            with self._reported():
                content = await self._blobs.get(digest, deadline=deadline)
        if await self._digest(content, deadline) != digest:
            self.damage.add(digest, place)
            tier = "objects" if place == "object" else "database"
            raise CorruptError(f"content {digest} is damaged: its bytes do not match its digest", key=digest, tier=tier)
        return content

    async def _chunks(self, digest: str, deadline: Deadline) -> bytes:
        rows = await self._records.fetch("blobs.chunks", {"digest": digest}, deadline=deadline)
        if not rows:  # a replica may not have them yet
            rows = await self._records.fetch("blobs.chunks", {"digest": digest}, deadline=deadline, primary=True)
        if not rows:
            raise NotFoundError(f"the database has no content {digest}", key=digest, tier="database")
        return b"".join(row[0] for row in rows)

    async def _digest(self, content: bytes, deadline: Deadline) -> str:
        if len(content) < HASHED_ASIDE_BYTES:
            return digest_of(content)
        return await self._runtime.call(digest_of, content, deadline=deadline)

    async def heal(self, digest: str, *, deadline: Deadline) -> Health:
        """Read every copy, and replace the bad ones by a good one. Raises what neither says that it is good nor that it is bad."""
        content: bytes | None = None
        bad: list[Place] = []
        places: tuple[Place, ...] = ("row",) if self._blobs is None else ("row", "object")
        for place in places:
            try:
                content = await self._read_checked(digest, place, deadline)
            except CorruptError:
                bad.append(place)
            except NotFoundError:
                pass
        if content is None:
            return "damaged" if bad else "missing"
        for place in bad:
            await self._replace(digest, content, place, deadline)
            self.damage.replaced(digest, place)
        if not bad:
            self.damage.forget(digest)
        return "healed" if bad else "whole"

    async def _replace(self, digest: str, content: bytes, place: Place, deadline: Deadline) -> None:
        if place == "object":
            assert self._blobs is not None  # noqa: S101  (its copy was read)
            with self._reported():
                await self._blobs.put(digest, content, deadline=deadline)
            return
        async with self._records.housekeeping(deadline=deadline) as unit:
            if await unit.execute("blobs.touch", {"digest": digest}):
                await unit.execute_many("blobs.add_chunk", _chunks_of(digest, content))

    # Moving

    async def move_to_object(self, digest: str, *, deadline: Deadline) -> bool:
        """Copy what lies in rows to the object store, then drop the rows. False where it does not take it, or it is not needed any more."""
        assert self._blobs is not None  # noqa: S101  (whoever moves has one)
        content = await self._read_checked(digest, "row", deadline)
        upload_id = await self._put(self._blobs, digest, content, deadline)
        if upload_id is None:
            return False
        self._settled.append((upload_id, digest))
        async with self._records.housekeeping(deadline=deadline) as unit:
            if not await unit.execute("blobs.move", {"digest": digest, "tier": "object"}):
                return False
            if not await self._blobs.exists(digest, deadline=deadline):  # moved back meanwhile
                raise ConflictError(
                    f"the object of content {digest} was removed while it was moved; try again", key=digest
                )
            await unit.execute("blobs.drop_chunks", {"digest": digest})
        return True

    async def move_to_row(self, digest: str, *, deadline: Deadline) -> bool:
        """Copy what lies in the object store into rows, then remove the object. False where it is not needed any more."""
        assert self._blobs is not None  # noqa: S101  (whoever moves has one)
        content = await self._read_checked(digest, "object", deadline)
        async with self._records.housekeeping(deadline=deadline) as unit:
            if not await unit.execute("blobs.move", {"digest": digest, "tier": "row"}):
                return False
            await unit.execute_many("blobs.add_chunk", _chunks_of(digest, content))
        async with self._records.housekeeping(deadline=deadline) as unit:
            if await unit.execute(
                "blobs.hold_row", {"digest": digest}
            ):  # nobody moves it back until the object is gone
                await self._blobs.delete(digest, deadline=deadline)
        return True

    # Addresses

    async def presign(self, digest: str, content: bytes, *, expires_s: int, deadline: Deadline) -> str:
        """An address of the content in the object store, where it is copied first if it lies in rows. UnsupportedError without one."""
        if self._blobs is None:
            raise UnsupportedError("presign needs an object store: configure one (ObjectConfig)")
        with self._reported():
            there = await self._blobs.exists(digest, deadline=deadline)
        if not there:
            upload_id = await self._put(self._blobs, digest, content, deadline)
            if upload_id is None:
                raise UnsupportedError(
                    "the object store does not accept the content now: try again later", tier="objects"
                )
            staged = Staged(BlobPlacement("object", len(content), digest), content, upload_id)
            async with self._records.unit(deadline=deadline) as unit:
                await self.make_live(unit, staged)
                await unit.execute("blobs.set_tier", {"digest": digest, "tier": "object"})
        return await self._blobs.presign(digest, verb="get", expires_s=expires_s)


def _chunks_of(digest: str, content: bytes) -> list[dict[str, Any]]:
    starts = range(0, max(len(content), 1), CHUNK_BYTES)
    return [
        {"digest": digest, "seq": seq, "bytes": content[start : start + CHUNK_BYTES]}
        for seq, start in enumerate(starts)
    ]
