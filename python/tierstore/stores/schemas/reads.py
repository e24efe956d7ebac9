"""The reads, over whatever fetches: the tiers' loader, a transaction, or the database asked directly."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from tierstore._native import Version
from tierstore.backends import Row
from tierstore.calls.scope import Fetch
from tierstore.plan.paging import Page, check_limit, is_count, is_hex, is_name, page_of, read_cursor
from tierstore.plan.search import FIRST
from tierstore.plan.values import LAST_CHARACTER, check_name, check_prefix
from tierstore.stores.schemas.model import Schema, SchemaInfo, SchemaStatistics
from tierstore.stores.schemas.rows import AT, ID, OWNER_VERSION, ROW_VERSION, info_of, is_deleted, schema_of
from tierstore.stores.schemas.validation import check_type
from tierstore.tiers.kind import Found

NUMBER = AT["number"]
POSITION = itemgetter(AT["version_major"], AT["version_minor"], AT["version_patch"], AT["prerelease_key"])
"""Where a version stands in a list."""


async def by_ids(fetch: Fetch, ids: Sequence[str]) -> list[Found[Schema]]:
    """In argument order. A deleted one is absent, at the version of its deletion."""
    rows = {row[ID]: row for row in await fetch("schemas.get_many", {"ids": list(dict.fromkeys(ids))})}
    return [_found(rows.get(identifier)) for identifier in ids]


def _found(row: Row | None) -> Found[Schema]:
    if row is None:
        return Found(None, 0)
    return Found(None if is_deleted(row) else schema_of(row), row[ROW_VERSION])


async def by_versions(fetch: Fetch, keys: Sequence[tuple[str, Version]]) -> list[Found[Schema]]:
    """In argument order, each with the row_version of its subject."""
    params = {
        "subjects": [subject for subject, _ in keys],
        "majors": [version.major for _, version in keys],
        "minors": [version.minor for _, version in keys],
        "patches": [version.patch for _, version in keys],
        "prereleases": [version.prerelease for _, version in keys],
    }
    return _numbered(await fetch("schemas.get_versions", params), len(keys))


async def latest(
    fetch: Fetch, subjects: Sequence[str], *, prerelease: bool, states: Sequence[str]
) -> list[Found[Schema]]:
    """In argument order, each with the row_version of its subject."""
    params = {"subjects": list(subjects), "prerelease": prerelease, "states": list(states)}
    return _numbered(await fetch("schemas.get_latest", params), len(subjects))


def _numbered(rows: Sequence[Row], count: int) -> list[Found[Schema]]:
    found: list[Found[Schema]] = [Found(None, 0)] * count
    for row in rows:
        found[row[NUMBER] - 1] = Found(None if row[ID] is None else schema_of(row), row[OWNER_VERSION] or 0)
    return found


async def infos(fetch: Fetch, ids: Sequence[str]) -> dict[str, SchemaInfo]:
    """Those that are there, by id."""
    if not ids:
        return {}
    return {row[ID]: info_of(row) for row in await fetch("schemas.infos", {"ids": list(ids)})}


async def list_versions(
    fetch: Fetch,
    subject: str,
    *,
    states: tuple[str, ...] | None,
    schema_type: str | None,
    deleted: bool,
    limit: int,
    after: str | None,
) -> Page[SchemaInfo]:
    """The versions of a subject, the highest first."""
    check_name(subject, "subject")
    check_limit(limit)
    checked_type = None if schema_type is None else check_type(schema_type)
    query = ["list", subject, states, checked_type, deleted]
    at = read_cursor(query, after, (is_count, is_count, is_count, is_hex))
    major, minor, patch, key = FIRST[1:] if at is None else (at[0], at[1], at[2], bytes.fromhex(at[3]))
    rows = await fetch(
        "schemas.list_deleted" if deleted else "schemas.list",
        {
            "subject": subject,
            "states": None if states is None else list(states),
            "schema_type": checked_type,
            "major": major,
            "minor": minor,
            "patch": patch,
            "prerelease_key": key,
            "limit": limit + 1,
        },
    )
    return page_of(rows, limit, query, _position, info_of)


def _position(row: Row) -> list[Any]:
    *parts, key = POSITION(row)
    return [*parts, bytes(key).hex()]


async def list_subjects(fetch: Fetch, prefix: str, *, limit: int, after: str | None) -> Page[str]:
    """Subjects that have a schema that is not deleted, by their bytes."""
    check_limit(limit)
    query = ["subjects", check_prefix(prefix)]
    at = read_cursor(query, after, (is_name,))
    params = {"prefix": prefix, "end": prefix + LAST_CHARACTER, "after": at[0] if at else "", "limit": limit + 1}
    rows = await fetch("schemas.subjects", params)
    return page_of(rows, limit, query, lambda row: [row[0]], lambda row: str(row[0]))


async def statistics(fetch: Fetch, hit_rates: Mapping[str, float]) -> SchemaStatistics:
    """Counts of what is not deleted. `hit_rates` by tier, each of the reads that the tier before it did not answer."""
    rows = await fetch("schemas.counts", {})
    subjects = (await fetch("schemas.count_subjects", {}))[0][0]
    by_state: Counter[str] = Counter()
    by_type: Counter[str] = Counter()
    bytes_by_placement: Counter[str] = Counter()
    for state, schema_type, tier, count, size in rows:
        by_state[state] += count
        by_type[schema_type] += count
        bytes_by_placement[tier] += int(size)
    return SchemaStatistics(
        total_schemas=by_state.total(),
        active_schemas=by_state["active"],
        subjects=subjects,
        by_state=dict(by_state),
        by_type=dict(by_type),
        content_bytes=bytes_by_placement.total(),
        bytes_by_placement=dict(bytes_by_placement),
        hit_rates={**hit_rates, "total": 1.0 - math.prod(1.0 - rate for rate in hit_rates.values())},
    )
