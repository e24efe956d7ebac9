"""What changed from one version to the next: files by their digests, imports and packages by parsing, the rest out of the audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tierstore.backends import Row
from tierstore.calls.scope import Fetch
from tierstore.plan.values import MAX_INTEGER
from tierstore.proto import Import, ProtoFile
from tierstore.stores.modules.model import AuditEntry, FileInfo
from tierstore.stores.modules.reading import Parsed, Reading
from tierstore.stores.modules.reports import ChangeKind, VersionChange
from tierstore.stores.modules.rows import entry_of

AUDIT_ROWS = 500
Files = Mapping[str, FileInfo]


class Who(NamedTuple):
    """When something was done, and by whom."""

    at: datetime | None = None
    actor: str | None = None


async def changes_between(
    reading: Reading, before: Files, after: Files, life: Sequence[AuditEntry]
) -> list[VersionChange]:
    """The files, imports and packages of two versions compared; then metadata and states. `life`: the audit of the later one."""
    differing = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    parsed = await reading.parsed(_only(before, differing), _only(after, differing))
    doers = _doers(life)
    files = [
        change
        for path in sorted(differing)
        for change in _of_file(path, before.get(path), after.get(path), parsed, doers.get(path, doers[None]))
    ]
    return [*files, *_told(life)]


def _only(files: Files, paths: set[str]) -> Files:
    return {path: info for path, info in files.items() if path in paths}


def _of_file(
    path: str, before: FileInfo | None, after: FileInfo | None, parsed: Mapping[str, Parsed], who: Who
) -> Iterator[VersionChange]:
    kind: ChangeKind = "file_added" if before is None else "file_removed" if after is None else "file_changed"
    yield VersionChange(kind, path, before and before.digest, after and after.digest, *who)
    (known_before, old), (known_after, new) = _said(before, parsed), _said(after, parsed)
    if not (known_before and known_after):
        return
    imported_before, imported_after = (_imports(side) for side in (old, new))
    for each in imported_after:
        if each not in imported_before:
            yield VersionChange("import_added", path, None, each, *who)
    for each in imported_before:
        if each not in imported_after:
            yield VersionChange("import_removed", path, each, None, *who)
    if old is not None and new is not None and old.package != new.package:
        yield VersionChange("package_changed", path, old.package, new.package, *who)


def _said(info: FileInfo | None, parsed: Mapping[str, Parsed]) -> tuple[bool, ProtoFile | None]:
    """Whether it is known what a file says, and what. A file that is not there says nothing, and that is known."""
    found = None if info is None else parsed.get(info.digest)
    if info is None or isinstance(found, ProtoFile):
        return True, found if isinstance(found, ProtoFile) else None
    return False, None


def _imports(file: ProtoFile | None) -> dict[str, None]:
    return {} if file is None else dict.fromkeys(import_text(each) for each in file.imports)


def import_text(found: Import) -> str:
    """As a source has it: `acme/money.proto`, `public acme/money.proto`."""
    return found.path if found.kind == "plain" else f"{found.kind} {found.path}"


def _doers(life: Sequence[AuditEntry]) -> dict[str | None, Who]:
    """Who put or removed a file last, by path; under None who made the version."""
    doers: dict[str | None, Who] = {None: Who()}
    for entry in life:
        if entry.action == "create_version":
            doers[None] = Who(entry.at, entry.actor)
        elif entry.action in ("put_file", "remove_file"):
            doers[entry.detail["path"]] = Who(entry.at, entry.actor)
    return doers


def _told(life: Sequence[AuditEntry]) -> Iterator[VersionChange]:
    for entry in life:
        who, detail = Who(entry.at, entry.actor), entry.detail
        if entry.action == "create_version":
            yield VersionChange("state", None, None, detail["state"], *who)
        elif "to" in detail:
            yield VersionChange("state", None, detail["from"], detail["to"], *who)
        elif entry.action == "update_version":
            for name, change in detail["changes"].items():
                yield VersionChange("metadata", name, change["before"], change["after"], *who)


async def life_of(fetch: Fetch, name: str, version: str) -> list[AuditEntry]:
    """What was done with a version since it was created last, the oldest first."""
    life: list[AuditEntry] = []
    params: dict[str, Any] = {"name": name, "version": version, "before": MAX_INTEGER, "limit": AUDIT_ROWS}
    while True:
        rows: list[Row] = await fetch("modules.audit_of_version", params)
        for row in rows:
            life.append(entry_of(row))
            if life[-1].action == "create_version":
                return life[::-1]
        if len(rows) < AUDIT_ROWS:
            return life[::-1]
        params["before"] = rows[-1][0]
