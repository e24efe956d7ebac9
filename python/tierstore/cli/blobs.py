"""`tierstore blobs`: sweep and verify the content that does not lie in rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from tierstore.calls.blobs import BlobStore
from tierstore.cli.confirm import Confirmation
from tierstore.cli.output import Output
from tierstore.store import Store
from tierstore.tiers.moving import BlobTarget
from tierstore.tiers.sweep import SweepReport, VerifyReport

LEAST_TOTAL = 1


class Bar:
    """Progress of a call that reports (done, total), as a bar that wants steps and was made before the total was known."""

    def __init__(self, advance: Callable[[int], object]) -> None:
        self._advance = advance
        self._done = 0

    def __call__(self, done: int, total: int) -> None:
        if done > self._done:
            self._advance(done - self._done)
        self._done = done


async def sweep(
    store: Store, out: Output, confirmed: Confirmation, *, dry_run: bool, grace: float, max_share: float, timeout: float
) -> None:
    """Show what a sweep would do; unless that was all, ask and do it."""
    blobs: BlobStore = store.blobs
    report = await blobs.sweep(grace=grace, timeout=timeout)
    if not dry_run:
        if report.unused:
            confirmed.ask("A sweep marks or removes content that nothing refers to", _lines(report))
        with out.progress("sweeping", max(report.contents, LEAST_TOTAL)) as advance:
            report = await blobs.sweep(
                dry_run=False, grace=grace, max_share=max_share, progress=Bar(advance), timeout=timeout
            )
    out.facts("sweep", {field.name: getattr(report, field.name) for field in fields(report)}, title="sweep")


async def migrate(
    store: Store,
    out: Output,
    confirmed: Confirmation,
    *,
    to: BlobTarget,
    min_size: int | None,
    dry_run: bool,
    timeout: float,
) -> int:
    """Show what would move; unless that was all, ask and move it. How many contents stayed."""
    report = await store.blobs.migrate(to, dry_run=True, min_size=min_size, timeout=timeout)
    if not dry_run:
        if report.contents:
            moving = f"{report.contents:,} contents, {report.bytes:,} bytes"
            confirmed.ask(
                "This moves content to " + ("the object store" if to == "object" else "the database"), [moving]
            )
        with out.progress("moving", max(report.contents, LEAST_TOTAL)) as advance:
            report = await store.blobs.migrate(to, min_size=min_size, progress=Bar(advance), timeout=timeout)
    out.facts("migrate", {field.name: getattr(report, field.name) for field in fields(report)}, title="migrate")
    return report.failed


def _lines(report: SweepReport) -> list[str]:
    return [
        f"{report.unused:,} of {report.contents:,} contents, {report.unused_bytes:,} bytes",
        f"of these, {report.orphans:,} are objects that the database does not know",
    ]


async def verify(store: Store, out: Output, *, timeout: float) -> bool:
    """Read all content, in turns of `timeout` seconds; whether none is damaged or missing."""
    total = (await store.blobs.sweep(timeout=timeout)).contents
    reports: list[VerifyReport] = []
    with out.progress("reading", max(total, LEAST_TOTAL)) as advance:
        after: str | None = None
        while not reports or after is not None:
            reports.append(await store.blobs.verify(after=after, progress=Bar(advance), timeout=timeout))
            after = reports[-1].next
    damaged = [digest for report in reports for digest in report.damaged]
    missing = [digest for report in reports for digest in report.missing]
    checked, healed = (sum(getattr(report, name) for report in reports) for name in ("checked", "healed"))
    counts = {"checked": checked, "healed": healed, "damaged": len(damaged), "missing": len(missing)}
    out.facts("verify", counts, title="verify")
    lost = [("damaged", digest) for digest in damaged] + [("missing", digest) for digest in missing]
    out.table("lost", [{"content": digest, "is": state} for state, digest in lost], title="cannot be read")
    return not lost
