"""Modules of protobuf files, in versions: `store.modules`.

model, kinds: what is returned and what is cached · reader, store: the calls · edit: a module · creation, changes, files, publication: a
version, its state, its files · binding: what its imports mean · dependencies, dependency_reader: who depends on whom · reading: files read
and parsed in batches · changelog, compatibility: two versions compared · folders, trees: folders as versions · zipped: one as a file ·
legacy: the names of calls before these · reports: what these return · held: what a write
locks and notes · reads, rows: queries and their rows · parts: what the store has once

`hit_get` and `hit_get_version` read L1 without a coroutine, for the blocking face.
"""

from __future__ import annotations

from tierstore.stores.modules.dependencies import Dependency, GraphDirection, Impact, ModuleRef
from tierstore.stores.modules.legacy import LegacyModules
from tierstore.stores.modules.model import (
    AuditEntry,
    Deprecation,
    FileInfo,
    Module,
    ModuleStatistics,
    ModuleVersion,
    ModuleVersionInfo,
)
from tierstore.stores.modules.reports import (
    ChangeKind,
    Compatibility,
    CompatibilityRule,
    Finding,
    ForestReport,
    ImportOutcome,
    ImportReport,
    RefusedModule,
    SkippedFile,
    UnparsedFile,
    VersionChange,
)
from tierstore.stores.modules.store import ModuleStore
from tierstore.stores.modules.trees import RelativeTo

ON_BOTH_FACES = (LegacyModules,)
"""What the blocking face offers as it is here."""

__all__ = [
    "AuditEntry",
    "ChangeKind",
    "Compatibility",
    "CompatibilityRule",
    "Dependency",
    "Deprecation",
    "FileInfo",
    "Finding",
    "ForestReport",
    "GraphDirection",
    "Impact",
    "ImportOutcome",
    "ImportReport",
    "LegacyModules",
    "Module",
    "ModuleRef",
    "ModuleStatistics",
    "ModuleStore",
    "ModuleVersion",
    "ModuleVersionInfo",
    "RefusedModule",
    "RelativeTo",
    "SkippedFile",
    "UnparsedFile",
    "VersionChange",
]
