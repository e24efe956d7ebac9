"""The reads of the module store, in whatever scope they run. The first lines of `get` and `get_version` are the whole of an L1 hit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from tierstore.backends import Row
from tierstore.calls.scope import Fetch, Scope, Shows
from tierstore.plan.arguments import check_many
from tierstore.plan.modules import check_file_path, check_module_name, check_version
from tierstore.plan.paging import Page
from tierstore.plan.route import Read
from tierstore.runtime import Deadline
from tierstore.stores.modules import changelog, compatibility, reads, zipped
from tierstore.stores.modules.dependency_reader import DependencyReader
from tierstore.stores.modules.files import no_file
from tierstore.stores.modules.held import no_module, no_version
from tierstore.stores.modules.kinds import identity_of, latest_in
from tierstore.stores.modules.model import AuditEntry, FileInfo, Module, ModuleVersion, ModuleVersionInfo
from tierstore.stores.modules.parts import ModuleParts
from tierstore.stores.modules.reading import Reading
from tierstore.stores.modules.reports import Compatibility, VersionChange
from tierstore.stores.modules.rows import MODULE, VERSION
from tierstore.tiers.kind import ABSENT


class ModuleReader(DependencyReader):
    """Reading by name and version, files, lists, the audit."""

    def __init__(self, parts: ModuleParts, scope: Scope) -> None:
        super().__init__(parts, scope)
        self._kinds = kinds = parts.kinds
        self._hit, self._hit_version = scope.hit(kinds.by_name), scope.hit(kinds.by_version)

    # Modules and versions

    async def get(
        self, name: str, *, timeout: float | None = None, read: Read = "session", not_before: str | None = None
    ) -> Module | None:
        """Return the module; None if there is none of that name. InvalidKeyError if no module can have it."""
        if read == "session" and not_before is None and type(name) is str:
            found = self._hit(name)
            if found is not None:
                return None if found is ABSENT else found
        with self._operation("get", name, timeout, "read") as operation:
            key, deadline = check_module_name(name), operation.deadline
            return await self._scope.get(self._kinds.by_name, key, deadline=deadline, read=read, not_before=not_before)

    def hit_get(self, name: str) -> Module | None:
        """Return the module if L1 has it; no coroutine is made for it."""
        found = self._hit(name) if type(name) is str else None
        return None if found is None or found is ABSENT else found

    async def get_version(
        self,
        name: str,
        version: str,
        *,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> ModuleVersion | None:
        """Return that version of the module, whatever its state; None if there is none. Build metadata is ignored."""
        if read == "session" and not_before is None and type(version) is type(name) is str:
            found = self._hit_version((name, version))
            if found is not None:
                return None if found is ABSENT else found
        with self._operation("get_version", name, timeout, "read") as operation:
            key = check_module_name(name), check_version(version)[0]
            return await self._scope.get(
                self._kinds.by_version, key, deadline=operation.deadline, read=read, not_before=not_before
            )

    def hit_get_version(self, name: str, version: str) -> ModuleVersion | None:
        """As `hit_get`."""
        known = type(version) is type(name) is str
        found = self._hit_version((name, version)) if known else None
        return None if found is None or found is ABSENT else found

    async def get_latest(
        self, name: str, *, timeout: float | None = None, read: Read = "session", not_before: str | None = None
    ) -> ModuleVersion | None:
        """Return the highest version that is published or deprecated; a pre-release only if there is no release.

        None if there is no such version, or no such module.
        """
        with self._operation("get_latest", name, timeout, "read") as operation:
            key, deadline = check_module_name(name), operation.deadline
            latest = await self._scope.get(self._kinds.latest, key, deadline=deadline, read=read, not_before=not_before)
            return None if latest is None else latest_in(latest)

    async def list(
        self,
        *,
        prefix: str = "",
        limit: int = 100,
        after: str | None = None,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Page[Module]:
        """Return the modules whose names begin with `prefix`, in the order of their bytes."""
        with self._operation("list", prefix, timeout, "read") as operation:
            fetch = self._showing(operation.deadline, read, not_before, self._show_modules)
            return await reads.list_modules(fetch, prefix, limit=limit, after=after)

    async def list_versions(
        self,
        name: str,
        *,
        limit: int = 100,
        after: str | None = None,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Page[ModuleVersionInfo]:
        """Return the versions of a module in every state, the highest first, as semver orders them. NotFoundError if there is no module."""
        with self._operation("list_versions", name, timeout, "read") as operation:
            deadline = operation.deadline
            fetch = self._showing(deadline, read, not_before, self._show_versions)
            page = await reads.list_versions(fetch, name, limit=limit, after=after)
            if not page.items:
                module = self._scope.get(self._kinds.by_name, name, deadline=deadline, read=read, not_before=not_before)
                if await module is None:
                    raise no_module(name)
            return page

    # Files

    async def get_file(
        self,
        name: str,
        version: str,
        path: str,
        *,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> bytes:
        """Return what is in a file of a version. NotFoundError if there is no such file, version or module."""
        with self._operation("get_file", name, timeout, "read") as operation:
            deadline, wanted = operation.deadline, check_file_path(path)
            found = await self._the_version(name, version, deadline, read, not_before)
            if (info := found.files.get(wanted)) is None:
                raise no_file(name, found.version, wanted)
            return (await self._contents([info], deadline))[info.digest]

    async def get_files(
        self,
        name: str,
        version: str,
        paths: Sequence[str] | None = None,
        *,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> dict[str, bytes]:
        """Return what is in some files of a version, by path; in all of them without `paths`. Few round trips for all.

        NotFoundError names a file that is not there.
        """
        with self._operation("get_files", name, timeout, "bulk") as operation:
            deadline = operation.deadline
            wanted = None if paths is None else check_many(paths, "paths", check_file_path)
            found = await self._the_version(name, version, deadline, read, not_before)
            infos = dict(found.files)
            if wanted is not None:
                for path in wanted:
                    if path not in infos:
                        raise no_file(name, found.version, path)
                infos = {path: infos[path] for path in wanted}
            contents = await self._contents(list(infos.values()), deadline)
            return {path: contents[info.digest] for path, info in infos.items()}

    async def _contents(self, infos: Sequence[FileInfo], deadline: Deadline) -> dict[str, bytes]:
        return await self._scope.contents(self._parts.blobs, {info.digest: info.size for info in infos}, deadline)

    async def _the_version(
        self, name: str, version: str, deadline: Deadline, read: Read, not_before: str | None
    ) -> ModuleVersion:
        key = check_module_name(name), check_version(version)[0]
        found = await self._scope.get(self._kinds.by_version, key, deadline=deadline, read=read, not_before=not_before)
        if found is not None:
            return found
        module = await self._scope.get(self._kinds.by_name, key[0], deadline=deadline, read=read, not_before=not_before)
        raise no_module(name) if module is None else no_version(*key)

    # Versions compared

    async def changelog(
        self,
        name: str,
        version: str,
        *,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Sequence[VersionChange]:
        """Return what changed in a version against the one before it: files, their imports and packages; then its metadata and states.

        The one before it is the next lower version, as semver orders them, that is no draft; without one, all files are new.
        NotFoundError if there is no such version. Reads and parses the files that differ: O(their bytes).
        """
        with self._operation("changelog", name, timeout, "bulk") as operation:
            deadline = operation.deadline
            found = await self._the_version(name, version, deadline, read, not_before)
            fetch = self._scope.fetch(deadline, read, not_before)
            lower = await reads.version_below(fetch, found)
            before = None if lower is None else await self._the_version(name, lower, deadline, read, not_before)
            life = await changelog.life_of(fetch, name, identity_of(found))
            reading = Reading(self._scope, self._parts, deadline)
            return await changelog.changes_between(reading, before.files if before else {}, found.files, life)

    async def check_compatibility(
        self,
        name: str,
        old: str,
        new: str,
        *,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Compatibility:
        """Return what of version `new` may break those who use `old`.

        That is files that are gone or do not parse, other packages, and lost public imports; messages, fields and services are not
        compared. NotFoundError if there is no such version.
        """
        with self._operation("check_compatibility", name, timeout, "bulk") as operation:
            deadline = operation.deadline
            before = await self._the_version(name, old, deadline, read, not_before)
            after = await self._the_version(name, new, deadline, read, not_before)
            found = await compatibility.findings(Reading(self._scope, self._parts, deadline), before.files, after.files)
            return Compatibility(name, identity_of(before), identity_of(after), tuple(found))

    async def export(
        self, name: str, version: str, path: str | os.PathLike[str], *, timeout: float | None = None
    ) -> int:
        """Write the files of a version to one zip file, and return how many there are. The same files give the same bytes.

        The file appears under its name when it is whole. NotFoundError if there is no such version; ValidationError if the path cannot be
        written.
        """
        with self._operation("export", name, timeout, "bulk") as operation:
            found = await self._the_version(name, version, operation.deadline, "session", None)
            return await zipped.export(Reading(self._scope, self._parts, operation.deadline), found.files, path)

    # The audit

    async def audit(
        self,
        name: str | None = None,
        *,
        since: datetime | None = None,
        limit: int = 100,
        after: str | None = None,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Page[AuditEntry]:
        """Return what was changed, the newest first: of one module, also of one that was deleted, or of all; from `since` on.

        `tierstore.acting_as` says who acts.
        """
        with self._operation("audit", name, timeout, "read") as operation:
            fetch = self._scope.fetch(operation.deadline, read, not_before)
            return await reads.audit(fetch, name, since, limit=limit, after=after)

    # What the calls need

    def _showing(self, deadline: Deadline, read: Read, not_before: str | None, shows: Shows) -> Fetch:
        """For rows that the call answers as they are."""
        return self._scope.fetch(deadline, read, not_before, shows)

    def _show_modules(self, rows: Sequence[Row]) -> bool:
        versions = {row[MODULE["name"]]: row[MODULE["row_version"]] for row in rows}
        return self._scope.shown(self._kinds.by_name, versions)

    def _show_versions(self, rows: Sequence[Row]) -> bool:
        name, version, row_version = (VERSION[column] for column in ("module_name", "version", "row_version"))
        versions = {(row[name], row[version]): row[row_version] for row in rows}
        return self._scope.shown(self._kinds.by_version, versions)
