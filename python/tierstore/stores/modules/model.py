"""What the module store returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tierstore.answers import Answer
from tierstore.layout import u64
from tierstore.plan.described import Described
from tierstore.plan.modules import ModuleState
from tierstore.records import Record, field


class FileInfo(Record):
    """A file of a version: its size in bytes, and its digest (hex SHA-256), under which equal files are stored once."""

    size: u64
    digest: str


class Deprecation(Record):
    """Why a version should not be used any more, and what takes its place, if anything does."""

    reason: str
    replaced_by: str | None


class Module(Described, Record, kind=0xF010, revision=1):
    """A module: a name under which versions of protobuf files are kept.

    `row_version` rises with every change of the module itself, not with its versions; pass it as `expected_version`. Times are aware, in
    UTC, by the database's clock.
    """

    name: str
    metadata_json: str = field(exposed=False)
    row_version: u64
    created_at: datetime
    updated_at: datetime


class ModuleVersion(Described, Record, kind=0xF011, revision=1):
    """One version of a module, with the list of its files. `get_file` reads what is in them.

    `digest` is that of all its files: two versions with the same files have the same one. `row_version` rises with every change; pass it
    as `expected_version`. `deprecation` stays when a deprecated version is archived.
    """

    module: str
    version: str
    state: ModuleState
    metadata_json: str = field(exposed=False)
    files: Mapping[str, FileInfo]
    digest: str
    file_count: u64
    content_size: u64
    deprecation: Deprecation | None
    row_version: u64
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    deprecated_at: datetime | None
    archived_at: datetime | None


class ModuleVersionInfo(Described, Record, kind=0xF012, revision=1):
    """A ModuleVersion without the list of its files."""

    module: str
    version: str
    state: ModuleState
    metadata_json: str = field(exposed=False)
    digest: str
    file_count: u64
    content_size: u64
    deprecation: Deprecation | None
    row_version: u64
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    deprecated_at: datetime | None
    archived_at: datetime | None


class Latest(Record, kind=0xF013, revision=1):
    """The latest version of a module as it is cached, ordered by the owner's row_version: the one before it has a lower one of its own."""

    owner_version: u64
    found: ModuleVersion


@dataclass(frozen=True, slots=True)
class AuditEntry(Answer):
    """One change: when, by whom (`tierstore.acting_as`), and by which call. `detail` depends on the call."""

    at: datetime
    actor: str | None
    action: str
    module: str
    version: str | None
    request_id: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModuleStatistics(Answer):
    """What there is. `files` and `content_bytes` count each version's own. `hit_rates` by tier ("l1", "l2"), since the store was opened."""

    modules: int
    versions: int
    by_state: Mapping[str, int]
    files: int
    content_bytes: int
    hit_rates: Mapping[str, float]
