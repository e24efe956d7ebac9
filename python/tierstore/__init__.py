"""tierstore: the storage layer of a Python service.

    async with tierstore.open("data/") as store:            # embedded: SQLite and files in that folder
        await store.schemas.register("orders", "1.0.0", b'{"type": "object"}')

    async with tierstore.open(tierstore.Config.from_env()) as store: ...   # PostgreSQL, Redis, S3 by the environment

Names are loaded when they are first used, so that importing tierstore loads no driver.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tierstore._native import DEBUG_BUILD

if TYPE_CHECKING:
    from tierstore import blocking, codec, errors, proto, telemetry
    from tierstore._native import Placement, SizeRouter, VectorClock
    from tierstore.answers import Answer, exposed, to_json, to_plain
    from tierstore.cache import Cache, CacheStats, FillTicket
    from tierstore.calls.acting import acting_as
    from tierstore.calls.blobs import BlobStore
    from tierstore.config import (
        CacheConfig,
        Config,
        Deadlines,
        Gates,
        ObjectConfig,
        PostgresConfig,
        RedisConfig,
        SentinelConfig,
        StateConfig,
        StateEncryption,
    )
    from tierstore.errors import (
        ClosedError,
        ConfigError,
        ConflictError,
        ConnectionError,
        CorruptError,
        CycleError,
        InvalidKeyError,
        NotFoundError,
        OutcomeUnknownError,
        PoolTimeoutError,
        ProtoSyntaxError,
        QueryError,
        ResolutionError,
        StorageError,
        TimeoutError,
        UnsupportedError,
        ValidationError,
    )
    from tierstore.graph import DependencyGraph, GraphChanges
    from tierstore.plan.imports import ImportKind, ImportStatus
    from tierstore.plan.lockfile import Locked, Lockfile, Requirement
    from tierstore.plan.modules import ModuleState
    from tierstore.plan.paging import Page
    from tierstore.plan.route import Bounded, Read, bounded
    from tierstore.plan.schemas import SchemaState, SchemaStates
    from tierstore.records import Record, field, removed
    from tierstore.store import Health, Opening, Statistics, Store, TierHealth, Transaction, open
    from tierstore.stores.modules import (
        AuditEntry,
        ChangeKind,
        Compatibility,
        CompatibilityRule,
        Dependency,
        Deprecation,
        FileInfo,
        Finding,
        ForestReport,
        GraphDirection,
        Impact,
        ImportOutcome,
        ImportReport,
        LegacyModules,
        Module,
        ModuleRef,
        ModuleStatistics,
        ModuleStore,
        ModuleVersion,
        ModuleVersionInfo,
        RefusedModule,
        RelativeTo,
        SkippedFile,
        UnparsedFile,
        VersionChange,
    )
    from tierstore.stores.schemas import (
        Id,
        Popular,
        Schema,
        SchemaInfo,
        SchemaItem,
        SchemaPlacement,
        SchemaStatistics,
        SchemaStore,
        SchemaTransaction,
        SchemaType,
        SearchHit,
    )
    from tierstore.stores.state import (
        ABSENT,
        DEFAULT,
        KEEP,
        Absent,
        Default,
        Entry,
        Fact,
        Keep,
        StateChange,
        StateExport,
        StateField,
        StateImport,
        StateRekey,
        StateService,
        StateStatistics,
        StateStore,
    )
    from tierstore.telemetry import Gauged, Series, Telemetry, Total
    from tierstore.tiers.kind import Meta
    from tierstore.tiers.moving import BlobTarget, MigrateReport
    from tierstore.tiers.sweep import Progress, SweepReport, VerifyReport

__version__ = "0.1.0"

_HOME = {
    "tierstore.config": "CacheConfig Config Deadlines Gates ObjectConfig PostgresConfig RedisConfig SentinelConfig "
    "StateConfig StateEncryption",
    "tierstore.errors": "ClosedError ConfigError ConflictError ConnectionError CorruptError CycleError InvalidKeyError "
    "NotFoundError OutcomeUnknownError PoolTimeoutError ProtoSyntaxError QueryError ResolutionError StorageError TimeoutError "
    "UnsupportedError ValidationError",
    "tierstore.graph": "DependencyGraph GraphChanges",
    "tierstore._native": "Placement SizeRouter VectorClock",
    "tierstore.answers": "Answer exposed to_json to_plain",
    "tierstore.calls.acting": "acting_as",
    "tierstore.calls.blobs": "BlobStore",
    "tierstore.cache": "Cache CacheStats FillTicket",
    "tierstore.plan.schemas": "SchemaState SchemaStates",
    "tierstore.plan.modules": "ModuleState",
    "tierstore.plan.paging": "Page",
    "tierstore.plan.route": "Bounded Read bounded",
    "tierstore.records": "Record field removed",
    "tierstore.store": "Health Opening Statistics Store TierHealth Transaction open",
    "tierstore.stores.modules": "AuditEntry ChangeKind Compatibility CompatibilityRule Dependency Deprecation FileInfo Finding "
    "ForestReport GraphDirection Impact ImportOutcome ImportReport LegacyModules Module ModuleRef ModuleStatistics ModuleStore "
    "ModuleVersion ModuleVersionInfo RefusedModule RelativeTo SkippedFile UnparsedFile VersionChange",
    "tierstore.plan.imports": "ImportKind ImportStatus",
    "tierstore.plan.lockfile": "Locked Lockfile Requirement",
    "tierstore.stores.schemas": "Popular Schema SchemaInfo SchemaItem SchemaStatistics SchemaStore SchemaTransaction SearchHit",
    "tierstore.stores.state": "ABSENT DEFAULT KEEP Absent Default Entry Fact Keep StateChange StateExport StateField "
    "StateImport StateRekey StateService StateStatistics StateStore",
    "tierstore.plan.values": "Id",
    "tierstore.stores.schemas.model": "SchemaPlacement SchemaType",
    "tierstore.telemetry": "Gauged Series Telemetry Total",
    "tierstore.tiers.kind": "Meta",
    "tierstore.tiers.moving": "BlobTarget MigrateReport",
    "tierstore.tiers.sweep": "Progress SweepReport VerifyReport",
}
_MODULES = ("blocking", "codec", "errors", "proto", "telemetry")
_HOME_OF = {name: home for home, names in _HOME.items() for name in names.split()}

__all__ = [
    "ABSENT",
    "DEFAULT",
    "KEEP",
    "Absent",
    "Answer",
    "AuditEntry",
    "BlobStore",
    "BlobTarget",
    "Bounded",
    "Cache",
    "CacheConfig",
    "CacheStats",
    "ChangeKind",
    "ClosedError",
    "Compatibility",
    "CompatibilityRule",
    "Config",
    "ConfigError",
    "ConflictError",
    "ConnectionError",
    "CorruptError",
    "CycleError",
    "Deadlines",
    "Default",
    "Dependency",
    "DependencyGraph",
    "Deprecation",
    "Entry",
    "Fact",
    "FileInfo",
    "FillTicket",
    "Finding",
    "ForestReport",
    "Gates",
    "Gauged",
    "GraphChanges",
    "GraphDirection",
    "Health",
    "Id",
    "Impact",
    "ImportKind",
    "ImportOutcome",
    "ImportReport",
    "ImportStatus",
    "InvalidKeyError",
    "Keep",
    "LegacyModules",
    "Locked",
    "Lockfile",
    "Meta",
    "MigrateReport",
    "Module",
    "ModuleRef",
    "ModuleState",
    "ModuleStatistics",
    "ModuleStore",
    "ModuleVersion",
    "ModuleVersionInfo",
    "NotFoundError",
    "ObjectConfig",
    "Opening",
    "OutcomeUnknownError",
    "Page",
    "Placement",
    "PoolTimeoutError",
    "Popular",
    "PostgresConfig",
    "Progress",
    "ProtoSyntaxError",
    "QueryError",
    "Read",
    "Record",
    "RedisConfig",
    "RefusedModule",
    "RelativeTo",
    "Requirement",
    "ResolutionError",
    "Schema",
    "SchemaInfo",
    "SchemaItem",
    "SchemaPlacement",
    "SchemaState",
    "SchemaStates",
    "SchemaStatistics",
    "SchemaStore",
    "SchemaTransaction",
    "SchemaType",
    "SearchHit",
    "SentinelConfig",
    "Series",
    "SizeRouter",
    "SkippedFile",
    "StateChange",
    "StateConfig",
    "StateEncryption",
    "StateExport",
    "StateField",
    "StateImport",
    "StateRekey",
    "StateService",
    "StateStatistics",
    "StateStore",
    "Statistics",
    "StorageError",
    "Store",
    "SweepReport",
    "Telemetry",
    "TierHealth",
    "TimeoutError",
    "Total",
    "Transaction",
    "UnparsedFile",
    "UnsupportedError",
    "ValidationError",
    "VectorClock",
    "VerifyReport",
    "VersionChange",
    "__version__",
    "acting_as",
    "blocking",
    "bounded",
    "codec",
    "errors",
    "exposed",
    "field",
    "open",
    "proto",
    "removed",
    "telemetry",
    "to_json",
    "to_plain",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tierstore.{name}")
    if (home := _HOME_OF.get(name)) is None:
        raise AttributeError(f"module 'tierstore' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if DEBUG_BUILD:
    import warnings

    warnings.warn("tierstore was built without optimisation: build it with `make build`", RuntimeWarning, stacklevel=2)
