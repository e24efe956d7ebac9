"""The writes, inside a transaction that someone else opened: the store's own, or the caller's.

Each changes the owner row first (coherence.md 1): on PostgreSQL within the same statement, on SQLite, which has one writer, by a statement
before it. Each names every cached key that it changed, with the owner's row_version where the key is derived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tierstore.backends import Row
from tierstore.errors import ConflictError, NotFoundError, StorageError
from tierstore.plan import lifecycle
from tierstore.stores.schemas.kinds import Kinds
from tierstore.stores.schemas.model import Schema
from tierstore.stores.schemas.registration import Registration, at_index, columns
from tierstore.stores.schemas.rows import INFO_COLUMNS, is_deleted, schema_of, time_of, version_text
from tierstore.tiers.transaction import Transaction

OWNER = INFO_COLUMNS + 1
"""Behind the body: the owner's row_version."""
LARGEST_STATEMENT = 500
"""Rows that one statement registers: its parameters stay at a few megabytes."""


async def register_many(write: Transaction, kinds: Kinds, registrations: Sequence[Registration]) -> list[Schema]:
    """Register all, in order. ConflictError names the item whose version holds other content."""
    answers = await register_each(write, kinds, registrations)
    for answer in answers:
        if isinstance(answer, StorageError):
            raise answer
    return [answer for answer in answers if isinstance(answer, Schema)]


async def register_each(
    write: Transaction, kinds: Kinds, registrations: Sequence[Registration]
) -> list[Schema | StorageError]:
    """As `register_many`; the ConflictError of an item is its answer, and the others are registered."""
    inserted: dict[str, Row] = {}
    for start in range(0, len(registrations), LARGEST_STATEMENT):
        inserted |= await _insert(write, kinds, registrations[start : start + LARGEST_STATEMENT])
    answers: dict[int, Schema | StorageError] = {}
    for number, registration in enumerate(registrations):
        row = inserted.pop(registration.id, None)  # an id that the batch names twice belongs to the first
        if row is not None:
            answers[number] = _registered(registration, row)
            kinds.changed(write, registration.id, *registration.identity, row=row[1], owner=row[3])
    standing = [number for number in range(len(registrations)) if number not in answers]
    if standing:
        found = await _standing(write, [registrations[number] for number in standing])
        for number in standing:
            try:
                answers[number] = await _again(write, kinds, registrations[number], found)
            except ConflictError as error:
                if error.transient:
                    raise  # the database undid the whole transaction
                answers[number] = error
    return [answers[number] for number in range(len(registrations))]


async def _insert(write: Transaction, kinds: Kinds, registrations: Sequence[Registration]) -> dict[str, Row]:
    """By id: id, row_version, created_at, the owner's row_version. What is there already is missing."""
    owners = sorted({registration.subject for registration in registrations})
    if kinds.dialect == "sqlite":
        await write.unit.execute("schemas_write.touch_subjects", {"owners": owners})
    elif len(registrations) > 1:
        many = columns(registrations) | {"owners": owners}
        return {row[0]: row for row in await write.unit.fetch("schemas_write.register_many", many)}
    rows: list[Row] = []
    for registration in registrations:
        rows += await write.unit.fetch("schemas_write.register", registration.params)
    return {row[0]: row for row in rows}


def _registered(registration: Registration, row: Row) -> Schema:
    params, created_at = registration.params, time_of(row[2])
    return Schema(
        id=registration.id,
        subject=registration.subject,
        version=str(registration.version),
        schema_type=registration.schema_type,
        state=params["state"],
        metadata_json=params["metadata"],
        content_digest=params["digest"],
        content_size=params["size"],
        content_tier=params["tier"],
        row_version=row[1],
        created_at=created_at,
        updated_at=created_at,
        content=registration.content,
    )


async def _standing(write: Transaction, registrations: Sequence[Registration]) -> dict[tuple[str, str], Row]:
    """What holds those versions already, deleted ones too."""
    asked = columns(registrations)
    names = ("subjects", "majors", "minors", "patches", "prereleases")
    rows = await write.unit.fetch("schemas_write.find_versions", {name: asked[name] for name in names})
    return {(row[1], version_text(row[2], row[3], row[4], row[5])): row for row in rows}


async def _again(
    write: Transaction, kinds: Kinds, registration: Registration, found: Mapping[tuple[str, str], Row]
) -> Schema:
    """The version is taken: the record that holds it, restored if it was deleted, as long as the content is the same."""
    row = found.get(registration.identity)
    if row is None:
        raise _conflict(
            registration, f"the id {registration.id} is taken by another schema; leave it out to get a new one"
        )
    if (row[10], row[7]) != (registration.placement.digest, registration.schema_type):
        taken = "is registered with other content or another type"
        raise _conflict(registration, f"{registration.subject} {registration.version} {taken}; register a new version")
    if not is_deleted(row):
        return schema_of(row).replace(content=registration.content)
    restored = await change(write, kinds, "restore", row[0], {"expected": None})
    if restored is None:
        raise _conflict(registration, f"{registration.subject} {registration.version} changed meanwhile; try again")
    return restored.replace(content=registration.content)


def _conflict(registration: Registration, text: str) -> StorageError:
    return at_index(ConflictError(text, key=registration.subject), registration.index)


async def change(
    write: Transaction,
    kinds: Kinds,
    query: str,
    identifier: str,
    params: Mapping[str, Any],
    *,
    named: Row | None = None,
) -> Schema | None:
    """Run one of the changing queries; None if its conditions do not hold (any more).

    `named`: the row as it was, where the change takes its version away.
    """
    if kinds.dialect == "sqlite":
        await write.unit.execute("schemas_write.touch_owner", {"id": identifier})
    rows = await write.unit.fetch(f"schemas_write.{query}", {"id": identifier, **params})
    if not rows:
        return None
    row = rows[0]
    source = named or row
    identity = version_text(source[2], source[3], source[4], source[5])
    kinds.changed(write, row[0], row[1], identity, row=row[13], owner=row[OWNER])
    return schema_of(row)


async def set_state(
    write: Transaction, kinds: Kinds, identifier: str, state: str, reason: str | None, expected: int | None
) -> Schema:
    """Move to `state`. The reason, if there is one, is kept in the metadata as `state_reason`."""
    origins = [origin for origin, targets in lifecycle.SCHEMA_MOVES.items() if state in targets]
    params = {"state": state, "origins": origins, "expected": expected, "reason": reason}
    query = "set_state" if reason is None else "set_state_with_reason"
    changed = await change(write, kinds, query, identifier, params)
    if changed is not None:
        return changed
    row = await _found(write, identifier, expected)
    lifecycle.check_move(row[8], state, key=identifier)
    raise ConflictError(f"{identifier} changed meanwhile; read it and try again", key=identifier)


async def delete(write: Transaction, kinds: Kinds, identifier: str, expected: int | None) -> bool:
    """False if there is no such schema, or it is deleted already."""
    if await change(write, kinds, "delete", identifier, {"expected": expected}) is not None:
        return True
    if expected is not None:
        row = await _find(write, identifier)
        if row is not None and not is_deleted(row):
            _check_expected(row, identifier, expected)
    return False


async def restore(write: Transaction, kinds: Kinds, identifier: str) -> Schema | None:
    """The schema as it is now; None if it was not deleted. NotFoundError if it is unknown or was purged."""
    restored = await change(write, kinds, "restore", identifier, {"expected": None})
    if restored is None:
        row = await _find(write, identifier)
        if row is None or row[INFO_COLUMNS]:
            raise nothing_to_restore(identifier)
        if is_deleted(row):  # since the statement before
            raise ConflictError(f"{identifier} changed meanwhile; read it and try again", key=identifier)
    return restored


def nothing_to_restore(identifier: str) -> NotFoundError:
    return NotFoundError(f"there is no schema {identifier} to restore", key=identifier)


async def purge(write: Transaction, kinds: Kinds, identifier: str) -> bool:
    """False if there is no such schema, or it was purged already."""
    row = await _find(write, identifier)
    if row is None or row[INFO_COLUMNS]:
        return False
    return await change(write, kinds, "purge", identifier, {"expected": None}, named=row) is not None


async def _find(write: Transaction, identifier: str) -> Row | None:
    """The info columns, and whether it is a tombstone."""
    rows = await write.unit.fetch("schemas_write.find", {"id": identifier})
    return rows[0] if rows else None


async def _found(write: Transaction, identifier: str, expected: int | None) -> Row:
    row = await _find(write, identifier)
    if row is None or is_deleted(row):
        raise NotFoundError(f"there is no schema {identifier}", key=identifier)
    _check_expected(row, identifier, expected)
    return row


def _check_expected(row: Row, identifier: str, expected: int | None) -> None:
    if expected is not None and row[13] != expected:
        text = f"{identifier} has row_version {row[13]}, not {expected}: it changed; read it again"
        raise ConflictError(text, key=identifier)
