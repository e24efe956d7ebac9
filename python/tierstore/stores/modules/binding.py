"""The imports of a version: bound when it is created, when a draft changes, when it is published, and when somebody else publishes what
they wait for.

Who binds, publishes or deletes takes one lock for all modules until the commit, before it looks. So a provider that appears and an import
that waits for it cannot miss each other, and nothing is bound to a version that is being deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from tierstore.backends import Row
from tierstore.errors import ConflictError
from tierstore.plan.batches import batched
from tierstore.plan.constraints import Constraint
from tierstore.plan.imports import Binding, Holder, ImportLine, Required, choose, own, read_imports
from tierstore.plan.modules import File
from tierstore.runtime import Deadline
from tierstore.stores.modules.held import Held
from tierstore.stores.modules.parts import ModuleParts
from tierstore.tiers.transaction import Transaction

T = TypeVar("T")
READ_ASIDE_BYTES: Final = 256 * 1024
"""From here on reading the imports does not happen on the event loop."""
PATHS_AT_A_TIME: Final = 500
WAITING_AT_A_TIME: Final = 1_000
NAMED: Final = 10
"""So many problems, or dependants, are named in an error."""


class ImportRow(NamedTuple):
    """A row of the table."""

    id: int
    file: str
    path: str
    kind: str
    line: int
    column: int
    status: str
    error: str | None
    module: str | None
    version: str | None

    @property
    def is_open(self) -> bool:
        """Whether it may still be bound."""
        return self.status == "unresolved" and self.kind != "unparsed"


class Subject(NamedTuple):
    """The version whose imports are bound, and the files that it has itself."""

    held: Held
    version: str
    files: Collection[str]

    @property
    def params(self) -> dict[str, Any]:
        return {"name": self.held.name, "version": self.version}


async def imports_in(parts: ModuleParts, files: Sequence[File], deadline: Deadline) -> list[ImportLine]:
    """What the files import."""
    if sum(len(file.content) for file in files) < READ_ASIDE_BYTES:
        return read_imports(files)
    return await parts.runtime.call(read_imports, files, deadline=deadline)


async def lock(write: Transaction) -> None:
    await write.unit.fetch("modules_imports.lock", {})


async def add(subject: Subject, lines: Sequence[ImportLine], required: Sequence[Required]) -> None:
    """The imports of a new version, bound as far as they can be."""
    if required:
        listed = [list(each) for each in required]
        await _execute(subject, "add_requires", requires=listed)
    if lines:
        await lock(subject.held.write)
        await _add(subject, lines, {})


async def replace(subject: Subject, path: str, lines: Sequence[ImportLine]) -> None:
    """One file of a draft is new, or gone: its imports too, and what else was bound to it or waits is bound again."""
    await lock(subject.held.write)
    before = await rows_of(subject)
    kept = {row.path: _binding(row) for row in before if row.status != "unresolved" and not _is_lost(subject, row)}
    await subject.held.write.unit.execute("modules_imports.remove_imports", {**subject.params, "file": path})
    await _add(subject, lines, kept)
    await _again(subject, [row for row in before if row.file != path and (row.is_open or _is_lost(subject, row))])
    await subject.held.write.unit.execute("modules_imports.drop_dependencies", subject.params)


async def bind_waiting_of(subject: Subject) -> None:
    """Before a publication: the last attempt at what is unresolved."""
    await lock(subject.held.write)
    await _again(subject, [row for row in await rows_of(subject) if row.is_open])


async def check_resolved(subject: Subject) -> None:
    """ConflictError names what is unresolved or does not parse, by file and line."""
    problems = [row for row in await rows_of(subject) if row.status == "unresolved"]
    if not problems:
        return
    said = "; ".join(map(_problem, problems[:NAMED]))
    more = f"; and {len(problems) - NAMED:,} more" if len(problems) > NAMED else ""
    name = subject.held.name
    text = (
        f"{name} {subject.version} cannot be published: {said}{more}. allow_unresolved=True publishes it nevertheless"
    )
    raise ConflictError(text, key=name)


def _problem(row: ImportRow) -> str:
    place = f"{row.file}:{row.line}:{row.column}"
    return (
        f"{place} does not parse: {(row.error or '').rstrip('.')}"
        if row.kind == "unparsed"
        else f"{place} imports {row.path}: {row.error}"
    )


async def bind_those_waiting_for(subject: Subject) -> int:
    """Once the version is published: imports of other modules that wait for one of its files. How many were bound."""
    unit, count = subject.held.write.unit, 0
    for paths in batched(sorted(subject.files), PATHS_AT_A_TIME):
        holders, after = await _holders(subject.held.write, paths), 0
        while rows := await unit.fetch(
            "modules_imports.waiting", {"paths": paths, "after": after, "limit": WAITING_AT_A_TIME}
        ):
            after = rows[-1][0]
            count += await _bind_waiting(subject.held.write, rows, holders)
    return count


async def _bind_waiting(write: Transaction, rows: Sequence[Row], holders: Mapping[str, list[Holder]]) -> int:
    versions = sorted({(row[1], row[2]) for row in rows})
    requires = await requires_of(write, versions)
    changed, bound = [], set()
    for number, name, version, path, error in rows:
        others = [holder for holder in holders[path] if holder.module != name]
        found = choose(path, requires.get((name, version), {}), others)
        if found.status != "unresolved":
            bound.add((name, version))
        if found.status != "unresolved" or found.error != error:
            changed.append((number, found))
    await _bind(write, changed)
    await _project(write, sorted(bound))
    return sum(found.status == "resolved" for _, found in changed)


async def dependants(held: Held, version: str) -> list[str]:
    """Those that the error names, one more at the most, as name@version."""
    params = {"name": held.name, "version": version, "limit": NAMED + 1}
    return [f"{name}@{each}" for name, each in await held.write.unit.fetch("modules_imports.dependants", params)]


async def check_unused(held: Held, version: str) -> None:
    """ConflictError lists who depends on the version."""
    await lock(held.write)
    if found := await dependants(held, version):
        more = " and others" if len(found) > NAMED else ""
        text = f"{held.name} {version} cannot be deleted while others depend on it: {', '.join(found[:NAMED])}{more}"
        raise ConflictError(text, key=held.name)


async def rows_of(subject: Subject) -> list[ImportRow]:
    return [
        ImportRow(*row) for row in await subject.held.write.unit.fetch("modules_imports.imports_of", subject.params)
    ]


async def requires_of(
    write: Transaction, versions: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, Constraint]]:
    """The constraint on each module that the versions require."""
    found: dict[tuple[str, str], dict[str, Constraint]] = {}
    params = {"versions": orjson.dumps(versions).decode()}
    for name, version, *required in await write.unit.fetch("modules_imports.requires_of", params):
        each = Required(*required)
        found.setdefault((name, version), {})[each.module] = each.effective
    return found


async def _add(subject: Subject, lines: Sequence[ImportLine], kept: Mapping[str, Binding]) -> None:
    if not lines:
        return
    found = await _found(subject, [line.path for line in lines if line.error is None], kept)
    listed = []
    for file, path, kind, line, column, error in lines:
        bound = found[path] if error is None else Binding("unresolved", error=error)
        listed.append([file, path, kind, line, column, bound.status, bound.error, bound.module, bound.version])
    await _execute(subject, "add_imports", imports=listed)
    await _project(subject.held.write, [(subject.held.name, subject.version)])


async def _again(subject: Subject, rows: Sequence[ImportRow]) -> None:
    if rows:
        found = await _found(subject, [row.path for row in rows], {})
        await _bind(subject.held.write, [(row.id, found[row.path]) for row in rows if found[row.path] != _binding(row)])
        await _project(subject.held.write, [(subject.held.name, subject.version)])


async def _found(subject: Subject, paths: Iterable[str], kept: Mapping[str, Binding]) -> dict[str, Binding]:
    """What each path means to the version. What was bound before keeps its binding."""
    name, version, found = subject.held.name, subject.version, dict(kept)
    for path in set(paths) - kept.keys():
        if (mine := own(path, subject.files, name, version)) is not None:
            found[path] = mine
    if rest := sorted(set(paths) - found.keys()):
        requires = (await requires_of(subject.held.write, [(name, version)])).get((name, version), {})
        for batch in batched(rest, PATHS_AT_A_TIME):
            holders = await _holders(subject.held.write, batch)
            for path in batch:
                found[path] = choose(path, requires, [each for each in holders[path] if each.module != name])
    return found


async def _holders(write: Transaction, paths: list[str]) -> dict[str, list[Holder]]:
    found: dict[str, list[Holder]] = {path: [] for path in paths}
    for path, module, version, state in await write.unit.fetch("modules_imports.holders", {"paths": paths}):
        found[path].append(Holder(module, version, state == "published"))
    return found


async def _bind(write: Transaction, changed: Sequence[tuple[int, Binding]]) -> None:
    if changed:
        listed = [[number, each.status, each.error, each.module, each.version] for number, each in changed]
        await write.unit.execute("modules_imports.bind", {"bound": orjson.dumps(listed).decode()})


async def _project(write: Transaction, versions: Sequence[tuple[str, str]]) -> None:
    if versions:
        await write.unit.execute("modules_imports.project", {"versions": orjson.dumps(versions).decode()})


async def _execute(subject: Subject, query: str, **lists: Any) -> None:
    listed = {name: orjson.dumps(value).decode() for name, value in lists.items()}
    await subject.held.write.unit.execute(f"modules_imports.{query}", {**subject.params, **listed})


def _is_lost(subject: Subject, row: ImportRow) -> bool:
    """Whether it is bound to a file of the version that is not there any more."""
    return row.module == subject.held.name and row.path not in subject.files


def _binding(row: ImportRow) -> Binding:
    return Binding(row.status, row.module, row.version, row.error)  # type: ignore[arg-type]
