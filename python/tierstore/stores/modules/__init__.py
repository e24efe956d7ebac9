"""Modules of protobuf files, in versions: `store.modules`.

model, kinds: what is returned and what is cached · reader, store: the calls · edit: a module · creation, changes, files: a version, its
state, its files · held: what a write locks and notes · reads, rows: queries and their rows · parts: what the store has once

`hit_get` and `hit_get_version` read L1 without a coroutine, for the blocking face.
"""

from __future__ import annotations

from tierstore.stores.modules.model import (
    AuditEntry,
    Deprecation,
    FileInfo,
    Module,
    ModuleStatistics,
    ModuleVersion,
    ModuleVersionInfo,
)
from tierstore.stores.modules.store import ModuleStore

__all__ = [
    "AuditEntry",
    "Deprecation",
    "FileInfo",
    "Module",
    "ModuleStatistics",
    "ModuleStore",
    "ModuleVersion",
    "ModuleVersionInfo",
]
