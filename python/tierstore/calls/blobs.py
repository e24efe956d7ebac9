"""`store.blobs`: removes unused content and checks what is kept, for all stores at once."""

from __future__ import annotations

from tierstore.calls.operation import Operations
from tierstore.errors import ValidationError
from tierstore.plan.arguments import check_callable, check_flag, shown
from tierstore.tiers.moving import TARGETS, BlobTarget, MigrateReport, Mover
from tierstore.tiers.sweep import Progress, Sweeper, SweepReport, VerifyReport, quiet

DAY_S = 86_400.0
MAX_GRACE_S = 3650 * DAY_S
MAX_SHARE = 0.5


class BlobStore:
    """Content outside the rows of the stores, under its SHA-256 (`store.blobs`). docs/operations.md says when to use it."""

    def __init__(self, operations: Operations, sweeper: Sweeper, mover: Mover, threshold: int) -> None:
        self._operations = operations
        self._sweeper = sweeper
        self._mover = mover
        self._threshold = threshold

    async def migrate(
        self,
        to: BlobTarget,
        *,
        dry_run: bool = False,
        min_size: int | None = None,
        after: str | None = None,
        progress: Progress = quiet,
        timeout: float | None = None,
    ) -> MigrateReport:
        """Move content to the object store (`to="object"`) or into rows of the database (`to="row"`); `dry_run`: only say what would go.

        `min_size`: in bytes, smaller content stays; by default what belongs into the object store by its size moves there, and all of it
        into rows. Reads, registrations and a sweep may go on meanwhile. `progress(done, total)` is called now and then. When the time runs
        out, `report.next` says where to go on: give it as `after`; after a kill, begin anew: what was moved is passed over.
        UnsupportedError without an object store.
        """
        with self._operations.begin("migrate", to, timeout, "bulk") as operation:
            if to not in TARGETS:
                raise ValidationError(f"unknown place {shown(to)}; expected one of {', '.join(TARGETS)}", place="to")
            if after is not None and not isinstance(after, str):
                raise ValidationError(f"after must be str, got {shown(after)}", place="after")
            least = (self._threshold if to == "object" else 0) if min_size is None else min_size
            return await self._mover.migrate(
                to,
                dry_run=check_flag(dry_run, "dry_run"),
                min_size=int(_number(least, "min_size", 2**40, "a number of bytes")),
                after=after or "",
                progress=check_callable(progress, "progress"),
                deadline=operation.deadline,
            )

    async def sweep(
        self,
        *,
        dry_run: bool = True,
        grace: float = DAY_S,
        max_share: float = MAX_SHARE,
        progress: Progress = quiet,
        timeout: float | None = None,
    ) -> SweepReport:
        """Remove content that no store needs: purged content, and what crashes left behind. By default only report what would be removed.

        In two phases: `dry_run=False` marks what is unused, and a later call removes what was marked `grace` seconds ago and is still
        unused. `grace`, in seconds, must be longer than the longest write; by default it is a day. `progress(done, total)` is called
        now and then. The next sweep continues one that ended early. ConflictError, and nothing is changed, if more than `max_share`
        (0 to 1) of all contents would go: it may be the wrong database.
        """
        with self._operations.begin("sweep", None, timeout, "bulk") as operation:
            return await self._sweeper.sweep(
                dry_run=check_flag(dry_run, "dry_run"),
                grace_us=int(_number(grace, "grace", MAX_GRACE_S, "seconds") * 1_000_000),
                max_share=_number(max_share, "max_share", 1.0, "a share"),
                progress=check_callable(progress, "progress"),
                deadline=operation.deadline,
            )

    async def verify(
        self, *, after: str | None = None, progress: Progress = quiet, timeout: float | None = None
    ) -> VerifyReport:
        """Read every content in each place where it lies, and replace damaged copies with good ones.

        `progress(done, total)` is called now and then. When the time runs out, `report.next` says where to go on: give it as `after`.
        """
        with self._operations.begin("verify", after, timeout, "bulk") as operation:
            if after is not None and not isinstance(after, str):
                raise ValidationError(f"after must be str, got {shown(after)}", place="after")
            return await self._sweeper.verify(
                after=after or "", progress=check_callable(progress, "progress"), deadline=operation.deadline
            )


def _number(value: object, name: str, most: float, unit: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValidationError(f"{name} must be {unit}, 0 to {most:g}, got {shown(value)}", place=name)
    return float(value)
