"""Modules of protobuf files, in versions: `store.modules`.

model, kinds: what is returned and what is cached · reader, store: the calls · edit: a module · creation, changes, files: a version, its
state, its files · reading: files read and parsed in batches · changelog, compatibility: two versions compared · folders, trees: folders
as versions · zipped: a version as a file · legacy: the names of calls before these · reports: what these return · held: what a write
locks and notes · reads, rows: queries and their rows · parts: what the store has once

`hit_get` and `hit_get_version` read L1 without a coroutine, for the blocking face.
"""

from __future__ import annotations

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
    "Deprecation",
    "FileInfo",
    "Finding",
    "ForestReport",
    "ImportOutcome",
    "ImportReport",
    "LegacyModules",
    "Module",
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
