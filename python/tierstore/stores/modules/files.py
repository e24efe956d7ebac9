"""Files of a draft: put and removed. Those of any other version never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tierstore.errors import ConflictError, NotFoundError, ValidationError
from tierstore.plan.imports import ImportLine
from tierstore.plan.modules import MAX_FILES, MAX_FILES_BYTES, files_digest
from tierstore.stores.modules import binding
from tierstore.stores.modules.changes import change
from tierstore.stores.modules.creation import Contents, add_files
from tierstore.stores.modules.held import Held, check_unchanged, hold
from tierstore.stores.modules.model import FileInfo, ModuleVersion
from tierstore.stores.modules.parts import ModuleParts
from tierstore.tiers.transaction import Transaction


async def put_file(
    write: Transaction,
    parts: ModuleParts,
    name: str,
    version: str,
    contents: Contents,
    imports: Sequence[ImportLine],
    expected: int | None,
) -> ModuleVersion:
    """One file, in place of the one at its path. The same content again changes nothing."""
    held, found = await _draft(write, parts, name, version, expected)
    ((path, info),) = contents.infos.items()
    before = found.files.get(path)
    if before == info:
        return found
    files = dict(sorted({**found.files, path: info}.items()))
    _check_bounds(files)
    await parts.blobs.make_live_many(write.unit, contents.staged)
    await add_files(held, version, {path: info})
    await binding.replace(binding.Subject(held, version, files), path, imports)
    changed = await _listed(held, version, found, files)
    was = None if before is None else before.digest
    await held.note("put_file", version, path=path, size=info.size, before=was, after=info.digest)
    return changed


async def remove_file(
    write: Transaction, parts: ModuleParts, name: str, version: str, path: str, expected: int | None
) -> ModuleVersion:
    held, found = await _draft(write, parts, name, version, expected)
    files = dict(found.files)
    if (before := files.pop(path, None)) is None:
        raise no_file(name, version, path)
    await write.unit.execute("modules_write.remove_file", {"name": name, "version": version, "path": path})
    await binding.replace(binding.Subject(held, version, files), path, ())
    changed = await _listed(held, version, found, files)
    await held.note("remove_file", version, path=path, before=before.digest, after=None)
    return changed


def no_file(name: str, version: str, path: str) -> NotFoundError:
    return NotFoundError(f"module {name} {version} has no file {path}", key=name)


async def _draft(
    write: Transaction, parts: ModuleParts, name: str, version: str, expected: int | None
) -> tuple[Held, ModuleVersion]:
    held = await hold(write, parts.kinds, name)
    found = await held.the_version(version)
    check_unchanged(f"{name} {version}", found, expected, name)
    if found.state != "draft":
        text = f"{name} {version} is {found.state}: only the files of a draft can change; create another version"
        raise ConflictError(text, key=name)
    return held, found


async def _listed(held: Held, version: str, found: ModuleVersion, files: Mapping[str, FileInfo]) -> ModuleVersion:
    digest = files_digest((path, info.digest) for path, info in files.items())
    return await change(held, version, found, digest=digest, files=files)


def _check_bounds(files: Mapping[str, FileInfo]) -> None:
    total = sum(info.size for info in files.values())
    if len(files) > MAX_FILES or total > MAX_FILES_BYTES:
        text = f"a version must have at most {MAX_FILES:,} files and {MAX_FILES_BYTES:,} bytes of them together"
        raise ValidationError(text, place="content")
