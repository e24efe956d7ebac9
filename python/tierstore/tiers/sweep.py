"""Removes content that nothing refers to, and checks that what is kept can be read.

Two phases. What no store names, and no upload under way, is marked as doomed; what has been doomed for a grace period, and is still
named by nobody, is removed. The row is locked first, then everybody is asked, then object and row go; whoever registers the content
meanwhile waits for that lock. An upload shows itself before it looks for the mark, and the sweep looks for uploads after it has made the
mark: one of them sees the other, and content that is doomed goes into rows (`BlobTier.stage`) instead of being trusted to stay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tierstore.answers import Answer
from tierstore.backends import BlobInfo, Blobs, Records, Unit
from tierstore.errors import ConflictError
from tierstore.runtime import Deadline, Runtime
from tierstore.tiers.blobs import BlobTier

PAGE = 500
REMOVED_AT_ONCE = 20
READ_AT_ONCE = 4
LISTED = 1000
"""How many digests of a kind a report lists."""
LEAST_LEFT_S = 1.0
"""`verify` stops where less time than this is left, and says where to go on."""

Progress = Callable[[int, int], object]
"""Called with how many things were looked at, and how many there are."""
Referenced = Callable[[Sequence[str], Deadline], Awaitable[set[str]]]


def quiet(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class SweepReport(Answer):
    """What a sweep found and did. After a dry run `marked`, `removed`, `removed_bytes`, `spared` and `uploads` are 0.

    `contents`: known to the database or found in the object store; `unused`: named by no store and no upload (`unused_bytes`), orphans
    among them; `orphans`: objects that the database does not know. `marked` now, to be removed by a sweep after the grace period;
    `removed` now; `spared`: they had been marked and are used again; `uploads`: abandoned ones that were forgotten.
    """

    dry_run: bool
    contents: int
    unused: int
    unused_bytes: int
    orphans: int
    marked: int
    removed: int
    removed_bytes: int
    spared: int
    uploads: int


@dataclass(frozen=True, slots=True)
class VerifyReport(Answer):
    """What `verify` read. `damaged` and `missing`: digests of content that cannot be read anywhere, at most 1000 of each.

    `healed`: copies that were damaged and were replaced by a good one. `next`: where to go on (`after=`) when the time ran out before
    the end; else None.
    """

    checked: int
    healed: int
    damaged: tuple[str, ...]
    missing: tuple[str, ...]
    next: str | None


class _Removed(NamedTuple):
    contents: int
    size: int
    spared: int


class Sweeper:
    """`referenced`: those of the digests that some store still needs, every store asked."""

    def __init__(
        self, runtime: Runtime, records: Records, blobs: Blobs | None, tier: BlobTier, referenced: Referenced
    ) -> None:
        self._runtime = runtime
        self._records = records
        self._blobs = blobs
        self._tier = tier
        self._referenced = referenced

    async def sweep(
        self, *, dry_run: bool, grace_us: int, max_share: float, progress: Progress, deadline: Deadline
    ) -> SweepReport:
        """ConflictError, and nothing is changed, if more than `max_share` of all contents would go."""
        survey = _Survey(self, grace_us, progress, deadline)
        await survey.run(mark=False)
        if not dry_run:
            _refuse_too_many(survey.unused, survey.contents, max_share)
        found = survey.unused, survey.unused_bytes, survey.orphans
        if dry_run:
            return SweepReport(dry_run, survey.contents, *found, 0, 0, 0, 0, 0)
        removed = await self._remove_expired(grace_us, deadline)
        marking = _Survey(self, grace_us, progress, deadline)
        await marking.run(mark=True)
        async with self._records.aside(deadline=deadline) as unit:
            uploads = await unit.execute("blobs.trim_uploads", {"grace_us": grace_us})
        return SweepReport(dry_run, survey.contents, *found, marking.marked, *removed, uploads)

    async def unused(self, digests: Sequence[str], grace_us: int, deadline: Deadline) -> set[str]:
        """Those that no store names and no upload is about to name."""
        asked = set(digests) - await self._referenced(digests, deadline)
        return asked - await self._uploading(sorted(asked), grace_us, deadline) if asked else asked

    async def _uploading(self, digests: Sequence[str], grace_us: int, deadline: Deadline) -> set[str]:
        async with self._records.aside(deadline=deadline) as unit:
            rows = await unit.fetch("blobs.uploading", {"digests": list(digests), "grace_us": grace_us})
        return {row[0] for row in rows}

    async def _remove_expired(self, grace_us: int, deadline: Deadline) -> _Removed:
        total, after = _Removed(0, 0, 0), ""
        while True:
            asked = {"after": after, "grace_us": grace_us, "limit": REMOVED_AT_ONCE}
            rows = await self._records.fetch("blobs.expired", asked, deadline=deadline, primary=True)
            if not rows:
                return total
            after = rows[-1][0]
            async with self._records.housekeeping(deadline=deadline) as unit:
                batch = await self._remove(unit, [row[0] for row in rows], grace_us, deadline)
            total = _Removed(*(have + new for have, new in zip(total, batch, strict=True)))

    async def _remove(self, unit: Unit, digests: list[str], grace_us: int, deadline: Deadline) -> _Removed:
        """In a transaction: lock, ask, remove objects, remove rows. What was registered in the meantime is not doomed any more."""
        locked = await unit.fetch("blobs.lock_expired", {"digests": digests, "grace_us": grace_us})
        sizes = {digest: size for digest, size, tier in locked if self._blobs is not None or tier == "row"}
        held = [row[0] for row in locked]
        needed = await self._referenced(held, deadline)
        going = sorted(sizes.keys() - needed - await self._uploading(held, grace_us, deadline))
        if self._blobs is not None:
            blobs = self._blobs
            await self._runtime.gather([blobs.delete(digest, deadline=deadline) for digest in going])
        if needed:
            await unit.execute("blobs.spare", {"digests": sorted(needed)})
        if going:
            await unit.execute("blobs.remove", {"digests": going})
        return _Removed(len(going), sum(sizes[digest] for digest in going), len(needed))

    async def verify(self, *, after: str, progress: Progress, deadline: Deadline) -> VerifyReport:
        """Read every content from `after` on, in each place where it lies, and replace bad copies by good ones."""
        total = await self.count(deadline)
        found: dict[str, list[str]] = {"whole": [], "healed": [], "damaged": [], "missing": []}
        checked = healed = 0
        while deadline.remaining() > LEAST_LEFT_S:
            rows = await self._records.fetch(
                "blobs.page", {"after": after, "limit": READ_AT_ONCE}, deadline=deadline, primary=True
            )
            if not rows:
                return VerifyReport(checked, healed, tuple(found["damaged"]), tuple(found["missing"]), None)
            digests = [digest for digest, _, state in rows if state == "live"]
            states = await self._runtime.gather([self._tier.heal(digest, deadline=deadline) for digest in digests])
            lost = [digest for digest, state in zip(digests, states, strict=True) if state in ("damaged", "missing")]
            needed = await self._referenced(lost, deadline) if lost else set()
            for digest, state in zip(digests, states, strict=True):
                healed += state == "healed"
                if digest in needed and len(found[state]) < LISTED:
                    found[state].append(digest)
            checked, after = checked + len(digests), rows[-1][0]
            progress(checked, total)
        return VerifyReport(checked, healed, tuple(found["damaged"]), tuple(found["missing"]), after)

    async def count(self, deadline: Deadline) -> int:
        return int((await self._records.fetch("blobs.count", deadline=deadline, primary=True))[0][0])

    async def pages(self, deadline: Deadline, look: Callable[[list[tuple[str, int, str]]], Awaitable[None]]) -> None:
        """Every row of the table: digest, size, state."""
        after = ""
        while rows := await self._records.fetch(
            "blobs.page", {"after": after, "limit": PAGE}, deadline=deadline, primary=True
        ):
            await look([(digest, size, state) for digest, size, state in rows])
            after = rows[-1][0]

    async def objects(self, deadline: Deadline, look: Callable[[list[BlobInfo]], Awaitable[None]]) -> None:
        """Every object that the database does not know."""
        if self._blobs is None:
            return
        batch: list[BlobInfo] = []
        async for info in self._blobs.list(deadline=deadline):
            batch.append(info)
            if len(batch) == PAGE:
                await look(await self._unknown(batch, deadline))
                batch = []
        if batch:
            await look(await self._unknown(batch, deadline))

    async def _unknown(self, batch: list[BlobInfo], deadline: Deadline) -> list[BlobInfo]:
        asked = {"digests": [info.digest for info in batch]}
        known = {row[0] for row in await self._records.fetch("blobs.known", asked, deadline=deadline, primary=True)}
        return [info for info in batch if info.digest not in known]

    async def mark(self, digests: Sequence[str], deadline: Deadline) -> int:
        async with self._records.housekeeping(deadline=deadline) as unit:
            return await unit.execute("blobs.doom", {"digests": list(digests)})

    async def mark_orphans(self, orphans: Sequence[BlobInfo], deadline: Deadline) -> int:
        many = [{"digest": info.digest, "size": info.size} for info in orphans]
        async with self._records.housekeeping(deadline=deadline) as unit:
            await unit.execute_many("blobs.doom_orphan", many)
        return len(many)


class _Survey:
    """One walk over all rows and all objects; marks what is unused if it is asked to."""

    def __init__(self, sweeper: Sweeper, grace_us: int, progress: Progress, deadline: Deadline) -> None:
        self._sweeper, self._grace_us, self._progress, self._deadline = sweeper, grace_us, progress, deadline
        self._mark = False
        self._total = 0
        self.contents = self.unused = self.unused_bytes = self.orphans = self.marked = 0

    async def run(self, *, mark: bool) -> None:
        self._mark = mark
        self._total = await self._sweeper.count(self._deadline)
        await self._sweeper.pages(self._deadline, self._rows)
        await self._sweeper.objects(self._deadline, self._objects)

    async def _rows(self, rows: list[tuple[str, int, str]]) -> None:
        unused = await self._sweeper.unused([digest for digest, _, _ in rows], self._grace_us, self._deadline)
        self.contents += len(rows)
        self.unused += len(unused)
        self.unused_bytes += sum(size for digest, size, _ in rows if digest in unused)
        live = [digest for digest, _, state in rows if state == "live" and digest in unused]
        if self._mark and live:
            self.marked += await self._sweeper.mark(live, self._deadline)
        self._progress(self.contents, max(self._total, self.contents))

    async def _objects(self, infos: list[BlobInfo]) -> None:
        if not infos:
            return
        unused = await self._sweeper.unused([info.digest for info in infos], self._grace_us, self._deadline)
        orphans = [info for info in infos if info.digest in unused]
        self.contents += len(infos)
        self.orphans += len(orphans)
        self.unused += len(orphans)
        self.unused_bytes += sum(info.size for info in orphans)
        if self._mark and orphans:
            self.marked += await self._sweeper.mark_orphans(orphans, self._deadline)


def _refuse_too_many(going: int, contents: int, max_share: float) -> None:
    if going > max_share * contents:
        raise ConflictError(
            f"no store refers to {going} of {contents} contents ({going / contents:.0%}), and a sweep removes at most {max_share:.0%}; "
            f"check that this is the right database, and if it is, give max_share={going / contents:.2f} or more"
        )
