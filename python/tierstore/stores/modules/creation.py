"""Creating a version: its content is put into the blob tier before the transaction, which then names all of it at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from tierstore._native import Version
from tierstore.errors import ConflictError
from tierstore.plan.imports import ImportLine, Required
from tierstore.plan.modules import File, ModuleState, files_digest, with_digests
from tierstore.runtime import Deadline
from tierstore.stores.modules import binding
from tierstore.stores.modules.held import Held, hold, no_module
from tierstore.stores.modules.model import FileInfo, ModuleVersion
from tierstore.stores.modules.parts import ModuleParts
from tierstore.stores.modules.rows import version_with
from tierstore.tiers.blobs import Staged
from tierstore.tiers.transaction import Transaction

HASHED_ASIDE_BYTES = 1024 * 1024
"""From here on hashing (1 ms a MiB) does not happen on the event loop."""


class Creation(NamedTuple):
    """A version on its way in, checked. `identity`: its version without build metadata."""

    name: str
    identity: str
    version: Version
    state: ModuleState
    metadata: str
    files: list[File]
    imports: list[ImportLine]
    requires: list[Required]
    allow_unresolved: bool


class Contents(NamedTuple):
    """The list of a version's files, and those of their contents that a transaction has to name."""

    infos: Mapping[str, FileInfo]
    staged: list[Staged]

    @property
    def digest(self) -> str:
        return files_digest((path, info.digest) for path, info in self.infos.items())


async def hashed(parts: ModuleParts, files: Mapping[str, bytes], deadline: Deadline) -> list[File]:
    """Each file with its digest."""
    if sum(map(len, files.values())) < HASHED_ASIDE_BYTES:
        return with_digests(files)
    return await parts.runtime.call(with_digests, files, deadline=deadline)


async def stage(parts: ModuleParts, files: list[File], deadline: Deadline) -> Contents:
    """Put the contents where they belong by their size, each once; what belongs into rows is written by the transaction."""
    unique = {file.digest: file.content for file in files}
    numbered = dict(enumerate(unique.values()))
    staged = await parts.blobs.stage_many(numbered, deadline=deadline)
    return Contents({file.path: FileInfo(len(file.content), file.digest) for file in files}, list(staged.values()))


async def create_version(
    write: Transaction, parts: ModuleParts, creation: Creation, contents: Contents
) -> ModuleVersion:
    """What is there already is returned if it has the same files."""
    held = await hold(write, parts.kinds, creation.name)
    if (found := await held.version(creation.identity)) is not None:
        if found.digest != contents.digest:
            text = f"module {creation.name} has a version {creation.identity} with other files; create another version"
            raise ConflictError(text, key=creation.name)
        return found
    if await held.module() is None:
        raise no_module(creation.name)
    (row,) = await write.unit.fetch("modules_write.create_version", _params(held, creation, contents))
    await parts.blobs.make_live_many(write.unit, contents.staged)
    if contents.infos:
        await add_files(held, creation.identity, contents.infos)
    parts.kinds.version_changed(write, creation.name, creation.identity, held.owner)
    created = version_with(row, contents.infos)
    subject = binding.Subject(held, creation.identity, contents.infos)
    bound = await _bind(subject, creation)
    detail = {"state": created.state, "digest": created.digest, "files": created.file_count}
    await held.note("create_version", creation.identity, **detail, **({"bound": bound} if bound else {}))
    return created


async def _bind(subject: binding.Subject, creation: Creation) -> int:
    """Its imports, and those of others that waited for it: how many of these there are."""
    await binding.add(subject, creation.imports, creation.requires)
    if creation.state != "published" or not subject.files:
        return 0
    if creation.imports and not creation.allow_unresolved:
        await binding.check_resolved(subject)
    await binding.lock(subject.held.write)
    return await binding.bind_those_waiting_for(subject)


async def add_files(held: Held, version: str, infos: Mapping[str, FileInfo]) -> None:
    """Name the files in the version's list; one of the same path is replaced."""
    listed = [[path, info.size, info.digest] for path, info in infos.items()]
    params = {"name": held.name, "version": version, "files": orjson.dumps(listed).decode()}
    await held.write.unit.execute("modules_write.add_files", params)


def _params(held: Held, creation: Creation, contents: Contents) -> dict[str, Any]:
    version = creation.version
    return {
        "name": creation.name,
        "version": creation.identity,
        "major": version.major,
        "minor": version.minor,
        "patch": version.patch,
        "prerelease_key": version.key,
        "build": version.build,
        "state": creation.state,
        "metadata": creation.metadata,
        "digest": contents.digest,
        "file_count": len(contents.infos),
        "content_size": sum(info.size for info in contents.infos.values()),
        "owner": held.owner,
    }
