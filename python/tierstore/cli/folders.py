"""`tierstore import --as module`: a folder as a version of a module, or each folder in it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from tierstore.cli.blobs import Bar
from tierstore.cli.invocation import FAILED, Invocation
from tierstore.cli.output import Output
from tierstore.store import Store
from tierstore.stores.modules import ForestReport, ImportReport

SHOWN = 20


class Folder(NamedTuple):
    """What to import, and as what. Without `name`, each folder in it is a module, with `prefix` before its name."""

    place: Path
    name: str | None
    version: str
    prefix: str
    relative_to: Any
    state: Any
    timeout: float
    allow_unresolved: bool


ONLY_WITH = {
    "tags": ("schemas",),
    "name": ("module",),
    "version": ("module", "modules"),
    "state": ("module", "modules"),
    "relative_to": ("modules",),
    "resolved": ("module", "modules"),
    "prefix": ("schemas", "modules"),
}
"""Options that mean something for some kinds of import alone."""
NEEDED = {"module": ("name", "version"), "modules": ("version",)}


def check_options(kind: str, **given: Any) -> None:
    """UsageError for an option that is missing, or has no meaning here."""
    for option in NEEDED.get(kind, ()):
        if given[option] is None:
            raise click.UsageError(f"--as {kind} needs --{option}")
    for option, kinds in ONLY_WITH.items():
        if given[option] and kind not in kinds:
            spelt = "tag" if option == "tags" else option.replace("_", "-")
            raise click.UsageError(f"--{spelt} is only for --as {' and '.join(kinds)}")


def import_modules(invocation: Invocation, folder: Folder) -> None:
    """Exit code 1 if a module was refused."""
    refused = [False]

    async def action(store: Store) -> None:
        out = invocation.out
        with out.progress("importing", None) as bar:
            report = await _imported(store, folder, Bar(bar))
        if isinstance(report, ImportReport):
            report = ForestReport((report,), (), ())
        _show(out, report)
        refused[0] = bool(report.refused)

    invocation.run(action, makes=True)
    if refused[0]:
        sys.exit(FAILED)


async def _imported(store: Store, folder: Folder, bar: Bar) -> ImportReport | ForestReport:
    how: Any = {"version": folder.version, "state": folder.state, "on_progress": bar, "timeout": folder.timeout}
    how["allow_unresolved"] = folder.allow_unresolved
    if folder.name is not None:
        return await store.modules.import_tree(folder.place, name=folder.name, **how)
    how |= {"prefix": folder.prefix, "relative_to": folder.relative_to}
    return await store.modules.import_forest(folder.place, **how)


def _show(out: Output, report: ForestReport) -> None:
    rows = [
        {
            "module": each.module,
            "version": each.version,
            "outcome": each.outcome,
            "state": each.state,
            "files": each.file_count,
            "bytes": each.content_size,
        }
        for each in report.modules
    ]
    _some(out, "modules", rows, "imported")
    beside = [{"left out": each.path, "why": each.reason} for each in report.skipped]
    within = [
        {"left out": f"{each.module}: {skipped.path}", "why": skipped.reason}
        for each in report.modules
        for skipped in each.skipped
    ]
    _some(out, "skipped", beside + within, "left out")
    unparsed = [
        {"module": each.module, "file": wrong.path, "line": wrong.line, "column": wrong.column, "why": wrong.message}
        for each in report.modules
        for wrong in each.unparsed
    ]
    _some(out, "unparsed", unparsed, "imported, but protoc would refuse them")
    _some(out, "refused", [{"module": each.module, "why": each.reason} for each in report.refused], "refused")
    if not report.modules and not report.refused:
        out.say("no folder with .proto files")


def _some(out: Output, name: str, rows: Sequence[dict[str, Any]], title: str) -> None:
    out.table(name, rows if out.as_json else rows[:SHOWN], title=title)
    if len(rows) > SHOWN:
        out.say(f"… and {len(rows) - SHOWN} more; --json prints all")
