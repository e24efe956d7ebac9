"""Moving content between rows and the object store, while others read and register it.

The copy is made and checked first; then one transaction says where the content lies, and only after its commit the old copy goes. Reads
look in both places, so none of them sees a gap. A kill leaves both copies, and the next run finishes. Whoever registers the content
meanwhile meets its row, which stays: the copy that it refers to is the one that was committed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from tierstore.answers import Answer
from tierstore.backends import Blobs, Records
from tierstore.errors import ConflictError, CorruptError, NotFoundError, UnsupportedError
from tierstore.runtime import Deadline
from tierstore.tiers.blobs import BlobTier
from tierstore.tiers.sweep import LEAST_LEFT_S, PAGE, Progress

BlobTarget = Literal["object", "row"]
TARGETS: tuple[BlobTarget, ...] = get_args(BlobTarget)


@dataclass(frozen=True, slots=True)
class MigrateReport(Answer):
    """What a migration of content found and did. After a dry run `moved`, `moved_bytes` and `failed` are 0.

    `contents`: those that lie in the other place (`bytes` together); `moved` now (`moved_bytes`); `failed`: the place did not take them, or
    they cannot be read: they stay where they are. `next`: where to go on (`after=`) when the time ran out before the end; else None.
    """

    dry_run: bool
    to: BlobTarget
    contents: int
    bytes: int
    moved: int
    moved_bytes: int
    failed: int
    next: str | None


class _Content(NamedTuple):
    digest: str
    size: int


class Mover:
    """`blobs` None: there is nowhere to move to."""

    def __init__(self, records: Records, blobs: Blobs | None, tier: BlobTier) -> None:
        self._records = records
        self._blobs = blobs
        self._tier = tier

    async def migrate(
        self, to: BlobTarget, *, dry_run: bool, min_size: int, after: str, progress: Progress, deadline: Deadline
    ) -> MigrateReport:
        """UnsupportedError without an object store."""
        if self._blobs is None:
            raise UnsupportedError(
                "content can be moved only where there is an object store: configure one (ObjectConfig)"
            )
        total = int((await self._records.fetch("blobs.count", deadline=deadline, primary=True))[0][0])
        found = moved = (0, 0)
        failed = 0
        async for content in self._in(to, min_size, after, deadline):
            if deadline.remaining() < LEAST_LEFT_S:
                return MigrateReport(dry_run, to, *found, *moved, failed, after)
            found = found[0] + 1, found[1] + content.size
            if not dry_run:
                if await self._move(to, content.digest, deadline):
                    moved = moved[0] + 1, moved[1] + content.size
                else:
                    failed += 1
            after = content.digest
            progress(found[0], max(total, found[0]))
        return MigrateReport(dry_run, to, *found, *moved, failed, None)

    async def _in(self, to: BlobTarget, min_size: int, after: str, deadline: Deadline) -> AsyncIterator[_Content]:
        """What lies in the other place."""
        while True:
            asked = {"after": after, "min_size": min_size, "limit": PAGE}
            rows = await self._records.fetch(f"blobs.not_in_{to}", asked, deadline=deadline, primary=True)
            for digest, size in rows:
                yield _Content(digest, size)
            if not rows:
                return
            after = rows[-1][0]

    async def _move(self, to: BlobTarget, digest: str, deadline: Deadline) -> bool:
        try:
            move = self._tier.move_to_object if to == "object" else self._tier.move_to_row
            return await move(digest, deadline=deadline)
        except (
            ConflictError,
            CorruptError,
            NotFoundError,
        ):  # `verify` says which are damaged, and heals what can be healed
            return False
