"""Rows of the database as records, read by the names of their columns: all begin with the list `schema_info` of the queries."""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter

import orjson

from tierstore._native import time_of
from tierstore.backends import Row
from tierstore.plan.schemas import SchemaState
from tierstore.plan.values import canonical_json
from tierstore.sql import places
from tierstore.stores.schemas.model import Schema, SchemaInfo, SchemaPlacement, SchemaType

AT = places("schema_info")
"""Where each column stands; computed once, so that reading by name costs nothing."""
ID, SUBJECT, STATE, ROW_VERSION, DELETED_AT = (
    AT[name] for name in ("id", "subject", "state", "row_version", "deleted_at")
)
BODY, OWNER_VERSION = AT["body"], AT["owner_version"]
_VERSION = ("version_major", "version_minor", "version_patch", "prerelease")
_STATED = ("build", "schema_type", "state", "metadata", "content_digest", "content_size", "placement", "row_version")
_COMMON = itemgetter(*[AT[name] for name in ("id", "subject", *_VERSION, *_STATED, "created_at", "updated_at")])
_IDENTITY = itemgetter(*[AT[name] for name in _VERSION])

_Common = tuple[str, str, str, SchemaType, SchemaState, str, str, int, SchemaPlacement, int, datetime, datetime]
"""The fields that Schema and SchemaInfo begin with."""


def info_of(row: Row) -> SchemaInfo:
    """Without the body."""
    deleted_us = row[DELETED_AT]
    return SchemaInfo(*_common(row), None if deleted_us is None else time_of(deleted_us))


def schema_of(row: Row) -> Schema:
    """With the body; empty where the bytes are not in the row."""
    body = row[BODY]
    return Schema(*_common(row), b"" if body is None else bytes(body))


def is_deleted(row: Row) -> bool:
    return row[DELETED_AT] is not None


def identity_of(row: Row) -> str:
    """The version without its build metadata."""
    return version_text(*_IDENTITY(row))


def version_text(major: int, minor: int, patch: int, prerelease: str, build: str = "") -> str:
    """The parts as semver writes them."""
    return f"{major}.{minor}.{patch}{'-' + prerelease if prerelease else ''}{'+' + build if build else ''}"


def _common(row: Row) -> _Common:
    (
        identifier,
        subject,
        major,
        minor,
        patch,
        prerelease,
        build,
        schema_type,
        state,
        metadata,
        digest,
        size,
        placement,
        row_version,
        created_us,
        updated_us,
    ) = _COMMON(row)
    return (
        identifier,
        subject,
        version_text(major, minor, patch, prerelease or "", build),
        schema_type,
        state,
        "{}"
        if metadata == "{}"
        else canonical_json(orjson.loads(metadata)).decode(),  # PostgreSQL returns JSONB in a spelling of its own
        digest,
        size,
        placement,
        row_version,
        time_of(created_us),
        time_of(updated_us),
    )
