"""The module store: read-through on every tier, written once in one transaction, the same in both scopes and both faces."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from tierstore.errors import ValidationError
from tierstore.plan.arguments import check_expected, check_flag
from tierstore.plan.described import Revision
from tierstore.plan.imports import check_requires
from tierstore.plan.lockfile import Lockfile
from tierstore.plan.modules import (
    FIRST_STATES,
    LIFECYCLE,
    MAX_FILE_BYTES,
    ModuleState,
    check_file_path,
    check_files,
    check_module_name,
    check_module_prefix,
    check_reason,
    check_replacement,
    check_version,
)
from tierstore.plan.paging import MAX_WARMED, check_limit
from tierstore.plan.values import as_bytes, describe
from tierstore.runtime import Deadline
from tierstore.stores.modules import changes, creation, edit, files, publication, reads, trees
from tierstore.stores.modules.binding import imports_in
from tierstore.stores.modules.model import Deprecation, Module, ModuleStatistics, ModuleVersion
from tierstore.stores.modules.parts import ModuleParts
from tierstore.stores.modules.reader import ModuleReader
from tierstore.stores.modules.reports import ForestReport, ImportReport
from tierstore.stores.modules.trees import RelativeTo
from tierstore.tiers.sweep import Progress, quiet


class ModuleStore(ModuleReader):
    """Modules of protobuf files, in semantic versions (`store.modules`). docs/modules.md explains it by example.

    A module's name is 1 to 255 of A to Z, a to z, 0 to 9 and . _ / -, without `..` and without an empty part. A path is what an import
    writes: parts between slashes, relative. Inside a transaction it has the same calls, except `warm`.
    """

    _parts_class = ModuleParts

    # Modules

    async def create(
        self,
        name: str,
        *,
        description: str = "",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Module:
        """Create a module. The same again returns the one that is there; ConflictError if it was described otherwise.

        InvalidKeyError for a wrong name.
        """
        with self._operation("create", name, timeout, "write") as operation:
            key, described = check_module_name(name), describe(metadata, description, tags)
            async with self._scope.write(operation.deadline) as write:
                return await edit.create(write, self._kinds, key, described.metadata)

    async def update(
        self,
        name: str,
        *,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
        timeout: float | None = None,
    ) -> Module:
        """Change what is said of a module; what is not given stays. `metadata` replaces the whole mapping.

        ConflictError if its row_version is not the expected one; NotFoundError if there is no such module.
        """
        with self._operation("update", name, timeout, "write") as operation:
            key, revision = check_module_name(name), Revision(description, tags, metadata)
            expected = check_expected(expected_version)
            async with self._scope.write(operation.deadline) as write:
                return await edit.update(write, self._kinds, key, revision, expected)

    async def delete(self, name: str, *, timeout: float | None = None) -> None:
        """Delete a module and its drafts. ConflictError if it has any other version; NotFoundError if there is no such module."""
        with self._operation("delete", name, timeout, "write") as operation:
            key = check_module_name(name)
            async with self._scope.write(operation.deadline) as write:
                await edit.delete(write, self._kinds, key)

    # Versions

    async def create_version(
        self,
        name: str,
        version: str,
        files: Mapping[str, bytes],
        *,
        state: ModuleState = "draft",
        description: str = "",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        requires: Mapping[str, str] | None = None,
        lockfile: Lockfile | None = None,
        allow_unresolved: bool = False,
        timeout: float | None = None,
    ) -> ModuleVersion:
        """Create a version with its files, by path, in one commit. `state`: "draft", or "published" at once.

        `requires`: a constraint on each module that its files import from, {"acme/common": "^1.2"}; `lockfile`: the versions to take. Both
        are asked before other modules. A published version must import nothing that is unknown and have no file that does not parse:
        ConflictError names the places, unless `allow_unresolved`.

        The same files again return the version that is there, as it is now; ConflictError if it has other files. NotFoundError if there is
        no such module. ValidationError, with its place, for a wrong version, path or content: a version has at most 10,000 files, a file
        64 MiB, all of them 256 MiB.
        """
        with self._operation("create_version", name, timeout, "bulk") as operation:
            deadline, key = operation.deadline, check_module_name(name)
            (identity, parsed), first = check_version(version), _first_state(state)
            metadata_json = describe(metadata, description, tags).metadata
            hashed = await creation.hashed(self._parts, check_files(files), deadline)
            required, lines = check_requires(key, requires, lockfile), await imports_in(self._parts, hashed, deadline)
            wanted = creation.Creation(
                key,
                identity,
                parsed,
                first,
                metadata_json,
                hashed,
                lines,
                required,
                check_flag(allow_unresolved, "allow_unresolved"),
            )
            contents = await creation.stage(self._parts, hashed, deadline)
            async with self._scope.write(deadline) as write:
                return await creation.create_version(write, self._parts, wanted, contents)

    async def update_version(
        self,
        name: str,
        version: str,
        *,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
        timeout: float | None = None,
    ) -> ModuleVersion:
        """Change what is said of a version, in any state; what is not given stays. `metadata` replaces the whole mapping.

        ConflictError if its row_version is not the expected one; NotFoundError if there is no such version.
        """
        with self._operation("update_version", name, timeout, "write") as operation:
            key, identity, revision = *self._key(name, version), Revision(description, tags, metadata)
            expected = check_expected(expected_version)
            async with self._scope.write(operation.deadline) as write:
                return await changes.update(write, self._kinds, key, identity, revision, expected)

    async def delete_version(self, name: str, version: str, *, timeout: float | None = None) -> None:
        """Delete a version and the list of its files. ConflictError lists who depends on it; NotFoundError if there is none."""
        with self._operation("delete_version", name, timeout, "write") as operation:
            key, identity = self._key(name, version)
            async with self._scope.write(operation.deadline) as write:
                await changes.delete(write, self._kinds, key, identity)

    # Folders as versions

    async def import_tree(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str,
        version: str,
        state: ModuleState = "published",
        allow_unresolved: bool = True,
        on_progress: Progress | None = None,
        timeout: float | None = None,
    ) -> ImportReport:
        """Make the .proto files of a folder a version of a module, which is created if there is none, in one commit.

        Paths begin at the folder. If the version is there with the same files, nothing is uploaded or written; ConflictError if it has
        other files. ValidationError, with the file as its place, if one cannot be part of a version: nothing is written then. The
        report names the symbolic links that were left out, and the files that protoc would refuse. `on_progress(done, total)`
        counts files. Without `allow_unresolved` a version that is published must import nothing that is unknown and have no file that
        does not parse: ConflictError names the places.
        """
        with self._operation("import_tree", name, timeout, "bulk", inside=False) as operation:
            key, importing = (
                check_module_name(name),
                self._importing(version, state, allow_unresolved, on_progress, operation.deadline),
            )
            return await importing.tree(key, folder)

    async def import_forest(
        self,
        folder: str | os.PathLike[str],
        *,
        version: str,
        prefix: str = "",
        relative_to: RelativeTo = "module",
        state: ModuleState = "published",
        allow_unresolved: bool = True,
        on_progress: Progress | None = None,
        timeout: float | None = None,
    ) -> ForestReport:
        """Make each folder in `folder` that has .proto files a version of a module: `prefix` and its name. As `import_tree` does.

        Paths begin at the folder of the module; with `relative_to="root"` at `folder`. A module that cannot be imported is named in
        the report, and the others go on. Each is one commit, so that an import that was interrupted can be run again.
        """
        with self._operation("import_forest", None, timeout, "bulk", inside=False) as operation:
            before, base = check_module_prefix(prefix), trees.check_relative_to(relative_to)
            importing = self._importing(version, state, allow_unresolved, on_progress, operation.deadline)
            return await importing.forest(folder, before, base)

    # Files of a draft

    async def put_file(
        self,
        name: str,
        version: str,
        path: str,
        content: bytes,
        *,
        expected_version: int | None = None,
        timeout: float | None = None,
    ) -> ModuleVersion:
        """Put a file into a draft, in place of the one at that path. ConflictError if the version is no draft, or has changed."""
        with self._operation("put_file", name, timeout, "write") as operation:
            deadline, expected = operation.deadline, check_expected(expected_version)
            key, identity = self._key(name, version)
            given = {check_file_path(path): as_bytes(content, "content", MAX_FILE_BYTES)}
            hashed = await creation.hashed(self._parts, given, deadline)
            lines = await imports_in(self._parts, hashed, deadline)
            contents = await creation.stage(self._parts, hashed, deadline)
            async with self._scope.write(deadline) as write:
                return await files.put_file(write, self._parts, key, identity, contents, lines, expected)

    async def remove_file(
        self,
        name: str,
        version: str,
        path: str,
        *,
        expected_version: int | None = None,
        timeout: float | None = None,
    ) -> ModuleVersion:
        """Take a file out of a draft. NotFoundError if it is not there; ConflictError as for `put_file`."""
        with self._operation("remove_file", name, timeout, "write") as operation:
            expected, at = check_expected(expected_version), check_file_path(path)
            key, identity = self._key(name, version)
            async with self._scope.write(operation.deadline) as write:
                return await files.remove_file(write, self._parts, key, identity, at, expected)

    # States

    async def publish(
        self, name: str, version: str, *, allow_unresolved: bool = False, timeout: float | None = None
    ) -> ModuleVersion:
        """Publish a draft: from then on its files never change. ConflictError if it is no draft; NotFoundError if there is none.

        ConflictError, too, if an import of it is unresolved or a file does not parse, with the places, unless `allow_unresolved`. Imports
        of other versions that wait for a file of it are bound to it.
        """
        with self._operation("publish", name, timeout, "write") as operation:
            key, identity = self._key(name, version)
            async with self._scope.write(operation.deadline) as write:
                return await publication.publish(
                    write, self._kinds, key, identity, allow_unresolved=check_flag(allow_unresolved, "allow_unresolved")
                )

    async def deprecate(
        self, name: str, version: str, reason: str, *, replaced_by: str | None = None, timeout: float | None = None
    ) -> ModuleVersion:
        """Say that a published version should not be used any more, why, and what takes its place. It can still be read.

        ConflictError if it is not published; NotFoundError if there is none.
        """
        with self._operation("deprecate", name, timeout, "write") as operation:
            deprecation = Deprecation(check_reason(reason), check_replacement(replaced_by))
            wanted = changes.Move("deprecate", "deprecated", "published", deprecation)
            return await self._move(name, version, wanted, operation.deadline)

    async def undeprecate(self, name: str, version: str, *, timeout: float | None = None) -> ModuleVersion:
        """Take a deprecation back. ConflictError if the version is not deprecated; NotFoundError if there is none."""
        with self._operation("undeprecate", name, timeout, "write") as operation:
            wanted = changes.Move("undeprecate", "published", "deprecated")
            return await self._move(name, version, wanted, operation.deadline)

    async def archive(self, name: str, version: str, *, timeout: float | None = None) -> ModuleVersion:
        """Archive a version for good: it is found by its name and version, and is never the latest.

        ConflictError if it is archived already; NotFoundError if there is none.
        """
        with self._operation("archive", name, timeout, "write") as operation:
            return await self._move(name, version, changes.Move("archive", "archived"), operation.deadline)

    # What there is

    async def statistics(self, *, timeout: float | None = None) -> ModuleStatistics:
        """Return counts of modules, versions and files, and the share of reads that each cache tier served."""
        with self._operation("statistics", None, timeout, "search") as operation:
            fetch = self._scope.observe(operation.deadline)
            return await reads.statistics(fetch, self._parts.engine.hit_rates(self._parts.name))

    async def warm(self, limit: int = 100, *, timeout: float | None = None) -> int:
        """Load the latest versions of the modules that were changed last into the caches, and return how many there are."""
        with self._operation("warm", None, timeout, "bulk", inside=False) as operation:
            deadline, most = operation.deadline, check_limit(limit, most=MAX_WARMED)
            names = await reads.recent(self._scope.fetch(deadline, "any"), most)
            modules = await self._scope.get_many(self._kinds.by_name, names, deadline=deadline)
            await self._scope.get_many(self._kinds.latest, names, deadline=deadline)
            return sum(module is not None for module in modules)

    # What the calls need

    def _importing(
        self,
        version: str,
        state: ModuleState,
        allow_unresolved: bool,
        on_progress: Progress | None,
        deadline: Deadline,
    ) -> trees.TreeImport:
        wanted = trees.Wanted(
            *check_version(version), _first_state(state), check_flag(allow_unresolved, "allow_unresolved")
        )
        progress = quiet if on_progress is None else on_progress
        return trees.TreeImport(self._parts, self._scope, deadline, wanted, progress)

    def _key(self, name: object, version: object) -> tuple[str, str]:
        return check_module_name(name), check_version(version)[0]

    async def _move(self, name: str, version: str, wanted: changes.Move, deadline: Deadline) -> ModuleVersion:
        key, identity = self._key(name, version)
        async with self._scope.write(deadline) as write:
            return await changes.move(write, self._kinds, key, identity, wanted)


def _first_state(state: object) -> ModuleState:
    checked = LIFECYCLE.check_state(state)
    if checked not in FIRST_STATES:
        expected = " or ".join(FIRST_STATES)
        raise ValidationError(f"a version is created as {expected}, not as {checked}", place="state")
    return checked
