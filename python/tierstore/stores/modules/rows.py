"""Rows of the database as records, read by the names of their columns."""

from __future__ import annotations

from operator import itemgetter
from types import MappingProxyType
from typing import Any

import orjson

from tierstore._native import time_of
from tierstore.backends import Row
from tierstore.plan.values import canonical_json
from tierstore.sql import places
from tierstore.stores.modules.model import AuditEntry, Deprecation, FileInfo, Module, ModuleVersion, ModuleVersionInfo

MODULE, VERSION = places("module_row"), places("module_version_row")
_MODULE = itemgetter(*[MODULE[name] for name in ("name", "metadata", "row_version", "created_at", "updated_at")])
_HEAD = itemgetter(*[VERSION[name] for name in ("module_name", "version", "build", "state", "metadata")])
_TAIL = ("digest", "file_count", "content_size", "deprecation_reason", "replaced_by", "row_version")
_REST = itemgetter(*[VERSION[name] for name in _TAIL])
_MOMENTS = ("created_at", "updated_at", "published_at", "deprecated_at", "archived_at")
_TIMES = itemgetter(*[VERSION[name] for name in _MOMENTS])


def module_of(row: Row) -> Module:
    """A row of the list `module_row`."""
    name, metadata, row_version, created_us, updated_us = _MODULE(row)
    return Module(name, canonical(metadata), row_version, time_of(created_us), time_of(updated_us))


def version_of(row: Row, files: str | None) -> ModuleVersion:
    """A row of the list `module_version_row`, and its files as JSON."""
    listed = sorted(orjson.loads(files)) if files else []
    infos = MappingProxyType({path: FileInfo(size, digest) for path, size, digest in listed})
    return ModuleVersion(files=infos, **_shared(row))


def version_with(row: Row, files: Any) -> ModuleVersion:
    """The same, where the files are known already."""
    return ModuleVersion(files=files, **_shared(row))


def info_of(row: Row) -> ModuleVersionInfo:
    """The same without the files."""
    return ModuleVersionInfo(**_shared(row))


def entry_of(row: Row) -> AuditEntry:
    """A row of the audit."""
    _, at_us, actor, action, module, version, request_id, detail = row
    return AuditEntry(time_of(at_us), actor, action, module, version, request_id, orjson.loads(detail))


def canonical(metadata: str) -> str:
    """PostgreSQL returns JSONB in a spelling of its own."""
    return "{}" if metadata == "{}" else canonical_json(orjson.loads(metadata)).decode()


def _shared(row: Row) -> dict[str, Any]:
    """What a version and its ModuleVersionInfo have in common."""
    module, version, build, state, metadata = _HEAD(row)
    digest, count, size, reason, replaced_by, row_version = _REST(row)
    moments = zip(_MOMENTS, _TIMES(row), strict=True)
    return {
        "module": module,
        "version": f"{version}+{build}" if build else version,
        "state": state,
        "metadata_json": canonical(metadata),
        "digest": digest,
        "file_count": count,
        "content_size": size,
        "deprecation": None if reason is None else Deprecation(reason, replaced_by),
        "row_version": row_version,
        **{name: None if us is None else time_of(us) for name, us in moments},
    }
