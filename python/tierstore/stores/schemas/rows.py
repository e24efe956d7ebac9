"""Rows of the database as records. The order is that of the column lists in `sql/*/queries/schemas*.sql`."""

from __future__ import annotations

from datetime import datetime

import orjson

from tierstore._native import time_of
from tierstore.backends import Row
from tierstore.plan.lifecycle import SchemaState
from tierstore.plan.schemas import metadata_text
from tierstore.stores.schemas.model import Schema, SchemaInfo, SchemaPlacement, SchemaType

INFO_COLUMNS = 17

_Common = tuple[str, str, str, SchemaType, SchemaState, str, str, int, SchemaPlacement, int, datetime, datetime]
"""The fields that Schema and SchemaInfo begin with."""


def info_of(row: Row) -> SchemaInfo:
    """The first INFO_COLUMNS columns."""
    deleted_us = row[16]
    return SchemaInfo(*_common(row), None if deleted_us is None else time_of(deleted_us))


def schema_of(row: Row) -> Schema:
    """As `info_of`, and the body behind them; empty where the bytes are not in the row."""
    body = row[INFO_COLUMNS]
    return Schema(*_common(row), b"" if body is None else bytes(body))


def is_deleted(row: Row) -> bool:
    return row[16] is not None


def version_text(major: int, minor: int, patch: int, prerelease: str, build: str = "") -> str:
    """The parts as semver writes them."""
    return f"{major}.{minor}.{patch}{'-' + prerelease if prerelease else ''}{'+' + build if build else ''}"


def _common(row: Row) -> _Common:
    return (
        row[0],
        row[1],
        version_text(row[2], row[3], row[4], row[5] or "", row[6]),
        row[7],
        row[8],
        "{}"
        if row[9] == "{}"
        else metadata_text(orjson.loads(row[9])),  # PostgreSQL answers JSONB in a spelling of its own
        row[10],
        row[11],
        row[12],
        row[13],
        time_of(row[14]),
        time_of(row[15]),
    )
