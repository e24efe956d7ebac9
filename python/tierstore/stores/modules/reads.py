"""The reads of what is not cached: lists, the audit, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tierstore._native import Version
from tierstore.backends import Row
from tierstore.calls.scope import Fetch
from tierstore.errors import ValidationError
from tierstore.plan.arguments import shown
from tierstore.plan.modules import check_module_name, check_module_prefix
from tierstore.plan.paging import Page, check_limit, is_count, is_hex, is_name, page_of, read_cursor
from tierstore.plan.values import LAST_CHARACTER, MAX_INTEGER
from tierstore.stores.modules.model import AuditEntry, Module, ModuleStatistics, ModuleVersion, ModuleVersionInfo
from tierstore.stores.modules.rows import MODULE, VERSION, entry_of, info_of, module_of

EPOCH: Final = datetime.fromtimestamp(0, UTC)
HIGHEST: Final = (2**31 - 1, 2**31 - 1, 2**31 - 1, b"\xff\xff")
"""Stands above every version."""
LOWER_AT_ONCE = 50


async def list_modules(fetch: Fetch, prefix: str, *, limit: int, after: str | None) -> Page[Module]:
    """By the bytes of their names."""
    check_limit(limit)
    query = ["modules", check_module_prefix(prefix)]
    at = read_cursor(query, after, (is_name,))
    params = {"prefix": prefix, "end": prefix + LAST_CHARACTER, "after": at[0] if at else "", "limit": limit + 1}
    rows = await fetch("modules.list", params)
    return page_of(rows, limit, query, lambda row: [row[MODULE["name"]]], module_of)


async def list_versions(fetch: Fetch, name: str, *, limit: int, after: str | None) -> Page[ModuleVersionInfo]:
    """The highest first."""
    check_limit(limit)
    query = ["module versions", check_module_name(name)]
    at = read_cursor(query, after, (is_count, is_count, is_count, is_hex))
    major, minor, patch, key = HIGHEST if at is None else (at[0], at[1], at[2], bytes.fromhex(at[3]))
    params = {"name": name, "major": major, "minor": minor, "patch": patch, "prerelease_key": key, "limit": limit + 1}
    rows = await fetch("modules.list_versions", params)
    return page_of(rows, limit, query, _position, info_of)


async def version_below(fetch: Fetch, version: ModuleVersion) -> str | None:
    """The next lower version that is no draft."""
    at: Any = Version(version.version)
    while True:
        place = {"major": at.major, "minor": at.minor, "patch": at.patch, "prerelease_key": at.key}
        rows = await fetch("modules.list_versions", {"name": version.module, **place, "limit": LOWER_AT_ONCE})
        for row in rows:
            if row[VERSION["state"]] != "draft":
                return str(row[VERSION["version"]])
        if len(rows) < LOWER_AT_ONCE:
            return None
        at = Version(rows[-1][VERSION["version"]])


def _position(row: Row) -> list[Any]:
    version = Version(row[VERSION["version"]])
    return [version.major, version.minor, version.patch, version.key.hex()]


async def audit(
    fetch: Fetch, name: str | None, since: datetime | None, *, limit: int, after: str | None
) -> Page[AuditEntry]:
    """The newest first."""
    check_limit(limit)
    since_us = _microseconds(since)
    query = ["module audit", None if name is None else check_module_name(name), since_us]
    at = read_cursor(query, after, (_is_id,))
    params: dict[str, Any] = {"since": since_us, "before": at[0] if at else MAX_INTEGER, "limit": limit + 1}
    if name is not None:
        params["name"] = name
    rows = await fetch("modules.audit" if name is None else "modules.audit_of", params)
    return page_of(rows, limit, query, lambda row: [row[0]], entry_of)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INTEGER


def _microseconds(since: object) -> int:
    """Of an aware time, since the epoch; none is before all."""
    if since is None:
        return 0
    if not isinstance(since, datetime) or since.tzinfo is None:
        raise ValidationError(f"since must be an aware datetime, got {shown(since)}", place="since")
    span = since - EPOCH
    return max(0, (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds)


async def recent(fetch: Fetch, limit: int) -> list[str]:
    """The names of the modules that were changed last."""
    return [str(name) for (name,) in await fetch("modules.recent", {"limit": limit})]


async def statistics(fetch: Fetch, hit_rates: Mapping[str, float]) -> ModuleStatistics:
    """Counts of what there is."""
    by_state: Counter[str] = Counter()
    files = size = 0
    for state, count, file_count, content_size in await fetch("modules.counts", {}):
        by_state[state] = count
        files += file_count
        size += content_size
    ((modules,),) = await fetch("modules.count_modules", {})
    return ModuleStatistics(modules, by_state.total(), dict(by_state), files, size, dict(hit_rates))
