"""Folders as versions: one folder as one version, or each top folder as a version of a module of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from tierstore.calls.scope import Scope
from tierstore.errors import ConflictError, ProtoSyntaxError, ValidationError
from tierstore.plan.arguments import shown
from tierstore.plan.imports import PROTO, words_of
from tierstore.plan.modules import File, ModuleState, check_files, check_module_name, files_digest
from tierstore.plan.values import describe
from tierstore.proto import parse_many
from tierstore.runtime import Deadline
from tierstore.stores.modules import creation, edit, folders
from tierstore.stores.modules.binding import imports_in
from tierstore.stores.modules.folders import FoundFile, Tree
from tierstore.stores.modules.held import claim
from tierstore.stores.modules.kinds import identity_of
from tierstore.stores.modules.model import ModuleVersion
from tierstore.stores.modules.parts import ModuleParts
from tierstore.stores.modules.reading import in_parts
from tierstore.stores.modules.reports import (
    ForestReport,
    ImportOutcome,
    ImportReport,
    RefusedModule,
    SkippedFile,
    UnparsedFile,
)
from tierstore.tiers.sweep import Progress
from tierstore.tiers.transaction import Transaction

RelativeTo = Literal["module", "root"]
"""What the paths of a forest's files begin at: the folder of their module, or the folder that was given."""
UNDESCRIBED = describe(None, "", ()).metadata


class Wanted(NamedTuple):
    """What an import makes of each folder, checked."""

    identity: str
    version: Any
    state: ModuleState
    allow_unresolved: bool


class TreeImport:
    """One import, of one folder or of many. `progress` counts files."""

    def __init__(
        self, parts: ModuleParts, scope: Scope, deadline: Deadline, wanted: Wanted, progress: Progress
    ) -> None:
        self._parts, self._scope, self._deadline, self._wanted = parts, scope, deadline, wanted
        self._progress = progress
        self._done = self._total = 0

    async def tree(self, name: str, folder: object) -> ImportReport:
        """ValidationError, with nothing written, if a file of the folder cannot be part of the version, or there is none."""
        tree = await self._call(_find_tree, folder)
        if not tree.files:
            raise ValidationError(f"there is no .proto file in {shown(folder)}", place="folder")
        self._total = len(tree.files)
        return await self._import(name, tree)

    async def forest(self, folder: object, prefix: str, relative_to: RelativeTo) -> ForestReport:
        """A module that cannot be imported is named, and the others go on. Each is one commit."""
        forest: Forest = await self._call(_find_forest, folder, prefix, relative_to)
        self._total = sum(len(tree.files) for tree in forest.trees.values())
        reports: list[ImportReport] = []
        refused = list(forest.refused)
        for name, tree in forest.trees.items():
            before = self._done
            try:
                reports.append(await self._import(name, tree))
            except (ValidationError, ConflictError) as error:
                refused.append(RefusedModule(name, error.message))
                self._advance(before + len(tree.files) - self._done)
        refused.sort(key=lambda each: each.module)
        return ForestReport(tuple(reports), tuple(refused), tuple(forest.skipped))

    async def _import(self, name: str, tree: Tree) -> ImportReport:
        files, unparsed = await self._read(tree.files)
        digest = files_digest((file.path, file.digest) for file in files)
        found = await self._found(name)
        if found is None:
            return _report(await self._create(name, files), tree, unparsed, "created")
        if found.digest != digest:
            text = f"module {name} has a version {self._wanted.identity} with other files; import as another version"
            raise ConflictError(text, key=name)
        return _report(found, tree, unparsed, "unchanged")

    async def _found(self, name: str) -> ModuleVersion | None:
        """Asked before anything is uploaded."""
        key, kind = (name, self._wanted.identity), self._parts.kinds.by_version
        return await self._scope.get(kind, key, deadline=self._deadline, read="latest")

    async def _read(self, found: Sequence[FoundFile]) -> tuple[list[File], list[UnparsedFile]]:
        contents: dict[str, bytes] = {}
        unparsed: list[UnparsedFile] = []
        for batch in in_parts((each, each.size) for each in found):
            read: dict[str, bytes] = await self._call(folders.read, batch)
            unparsed += await self._call(_unparsed, read)
            contents |= read
            self._advance(len(batch))
        return await creation.hashed(self._parts, check_files(contents), self._deadline), unparsed

    async def _create(self, name: str, files: list[File]) -> ModuleVersion:
        identity, version, state, allowed = self._wanted
        lines = await imports_in(self._parts, files, self._deadline)
        wanted = creation.Creation(name, identity, version, state, UNDESCRIBED, files, lines, [], allowed)
        contents = await creation.stage(self._parts, files, self._deadline)
        async with self._scope.write(self._deadline) as write:
            await _ensure_module(write, self._parts, name)
            return await creation.create_version(write, self._parts, wanted, contents)

    def _advance(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._total)

    async def _call(self, function: Any, *arguments: Any) -> Any:
        return await self._parts.runtime.call(function, *arguments, deadline=self._deadline)


async def _ensure_module(write: Transaction, parts: ModuleParts, name: str) -> None:
    """Make the module in the transaction that makes its version, so that there is never one without the other."""
    if await write.unit.fetch("modules_write.find", {"name": name}):
        return
    held = await claim(write, parts.kinds, name)
    if await held.module() is None:
        await edit.create(write, parts.kinds, name, UNDESCRIBED)


def _unparsed(contents: Mapping[str, bytes]) -> list[UnparsedFile]:
    parsed = zip(contents, parse_many(list(contents.values())), strict=True)
    return [
        UnparsedFile(path, each.line, each.column, words_of(each))
        for path, each in parsed
        if isinstance(each, ProtoSyntaxError)
    ]


def _report(version: ModuleVersion, tree: Tree, unparsed: list[UnparsedFile], outcome: ImportOutcome) -> ImportReport:
    return ImportReport(
        version.module,
        identity_of(version),
        outcome,
        version.state,
        version.digest,
        version.file_count,
        version.content_size,
        tree.skipped,
        tuple(unparsed),
    )


# Finding what to import


class Forest(NamedTuple):
    """What a folder has for many modules."""

    trees: dict[str, Tree]
    refused: list[RefusedModule]
    skipped: list[SkippedFile]


def _find_tree(folder: object) -> Tree:
    root = folders.check_folder(folder)
    return folders.find(root, root, relative_to=root)


def _find_forest(folder: object, prefix: str, relative_to: RelativeTo) -> Forest:
    root = folders.check_folder(folder)
    forest = Forest({}, [], [])
    for entry in folders.listed(root):
        shown_name = folders.readable(entry.name)
        if entry.is_symlink():
            forest.skipped.append(SkippedFile(shown_name, "a symbolic link"))
        elif entry.is_dir(follow_symlinks=False):
            _find_module(forest, root, entry, prefix, relative_to)
        elif entry.name.endswith(PROTO):
            forest.skipped.append(SkippedFile(shown_name, "not in the folder of a module"))
    return forest


def _find_module(forest: Forest, root: str, entry: os.DirEntry[str], prefix: str, relative_to: RelativeTo) -> None:
    name = prefix + folders.readable(entry.name)
    try:
        tree = folders.find(entry.path, root, relative_to=root if relative_to == "root" else entry.path)
        if tree.files:
            forest.trees[check_module_name(name)] = tree
        else:
            forest.skipped.extend(tree.skipped)
    except ValidationError as error:
        forest.refused.append(RefusedModule(name, error.message))


def check_relative_to(relative_to: object) -> RelativeTo:
    """ValidationError for anything else than the two."""
    if relative_to not in (known := get_args(RelativeTo)):
        text = f"relative_to must be {' or '.join(map(repr, known))}, got {shown(relative_to)}"
        raise ValidationError(text, place="relative_to")
    found: RelativeTo = relative_to  # type: ignore[assignment]
    return found
