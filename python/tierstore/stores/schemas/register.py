"""Registering: what is checked and stored before the transaction, and what happens in it, whoever opened it.

The queries change the owner rows first (coherence.md 1). Every cached key that changed is named, with the owner's row_version where
the key is derived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from tierstore._native import time_of
from tierstore.backends import Row
from tierstore.calls.once import once
from tierstore.errors import ConflictError, StorageError
from tierstore.plan.arguments import shown
from tierstore.runtime import Deadline
from tierstore.sql import places
from tierstore.stores.schemas import edit, reads
from tierstore.stores.schemas.kinds import Kinds
from tierstore.stores.schemas.model import Schema
from tierstore.stores.schemas.registration import Registration, at_index, bytes_in, columns, prepare_many
from tierstore.stores.schemas.rows import AT, ID, SUBJECT, identity_of, is_deleted, schema_of
from tierstore.stores.schemas.validation import PARALLEL_BYTES
from tierstore.tiers.blobs import Staged
from tierstore.tiers.group_commit import patience
from tierstore.tiers.transaction import Transaction

if TYPE_CHECKING:
    from tierstore.stores.schemas.parts import SchemaParts

INLINE = "inline"
CONTENT = itemgetter(AT["content_digest"], AT["schema_type"])
REGISTERED = places("registered")
LARGEST_STATEMENT = 500
"""Rows that one statement registers: its parameters stay at a few megabytes."""


class Prepared(NamedTuple):
    """What is to be registered, checked, and the content of it that does not go into the row, safe already."""

    registrations: list[Registration]
    staged: list[Staged]


async def prepare(
    parts: SchemaParts, items: Sequence[Mapping[str, Any]], deadline: Deadline, *, batch: bool
) -> Prepared:
    """Check the items and store what does not go into the row; both before the transaction begins."""
    router = parts.blobs.router
    if bytes_in(items) < PARALLEL_BYTES:
        registrations = prepare_many(items, router, batch)
    else:
        registrations = await parts.runtime.call(prepare_many, items, router, batch, deadline=deadline)
    large = {number: each.content for number, each in enumerate(registrations) if each.placement.tier != INLINE}
    staged = await parts.blobs.stage_many(large, deadline=deadline, place="items" if batch else None)
    for number, stage in staged.items():
        registrations[number].params["tier"] = stage.placement.tier
    return Prepared(registrations, list(staged.values()))


async def apply(write: Transaction, parts: SchemaParts, prepared: Prepared, key: str | None, call: str) -> list[Schema]:
    """Register, unless a `call` with this key has done so: then return what it registered, as it is now.

    ConflictError if that was deleted since.
    """
    if key is None:
        return await _register(write, parts, prepared)
    schemas: list[Schema] = []

    async def do() -> list[str]:
        schemas.extend(await _register(write, parts, prepared))
        return [schema.id for schema in schemas]

    request = [registration.request() for registration in prepared.registrations]
    ids, is_new = await once(write, parts.name, call, key, request, do)
    if is_new:
        return schemas
    standing = await reads.by_ids(write.unit.fetch, ids)
    for identifier, each in zip(ids, standing, strict=True):
        write.seen(parts.kinds.by_id, identifier, each.version)
    found = [each.record for each in standing]
    gone = [identifier for identifier, schema in zip(ids, found, strict=True) if schema is None]
    if gone:
        text = f"what was registered with this idempotency key was deleted since ({shown(gone)}): restore it, or use a new key"
        raise ConflictError(text, key=key)
    return [schema for schema in found if schema is not None]


async def _register(write: Transaction, parts: SchemaParts, prepared: Prepared) -> list[Schema]:
    for stage in prepared.staged:
        await parts.blobs.make_live(write.unit, stage)
    return await register_many(write, parts.kinds, prepared.registrations)


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
    """As `register_many`; the ConflictError of an item is its result, and the others are registered."""
    inserted: dict[str, Row] = {}
    for start in range(0, len(registrations), LARGEST_STATEMENT):
        inserted |= await _insert(write, registrations[start : start + LARGEST_STATEMENT])
    answers: dict[int, Schema | StorageError] = {}
    for number, registration in enumerate(registrations):
        row = inserted.pop(registration.id, None)  # an id that the batch names twice belongs to the first
        if row is not None:
            answers[number] = _registered(registration, row)
            kinds.changed(
                write,
                registration.id,
                *registration.identity,
                row=row[REGISTERED["row_version"]],
                owner=row[REGISTERED["owner_version"]],
            )
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


async def _insert(write: Transaction, registrations: Sequence[Registration]) -> dict[str, Row]:
    """By id: id, row_version, created_at, the owner's row_version. What is there already is missing."""
    if len(registrations) == 1:
        rows = await write.unit.fetch("schemas_write.register", registrations[0].params)
    else:
        owners = sorted({registration.subject for registration in registrations})
        many = columns(registrations) | {"owners": owners, "patience": patience(write.patience_s)}
        rows = await write.unit.fetch("schemas_write.register_many", many)
    return {row[REGISTERED["id"]]: row for row in rows}


def _registered(registration: Registration, row: Row) -> Schema:
    params, created_at = registration.params, time_of(row[REGISTERED["created_at"]])
    return Schema(
        id=registration.id,
        subject=registration.subject,
        version=str(registration.version),
        schema_type=registration.schema_type,
        state=params["state"],
        metadata_json=params["metadata"],
        content_digest=params["digest"],
        content_size=params["size"],
        placement=params["tier"],
        row_version=row[REGISTERED["row_version"]],
        created_at=created_at,
        updated_at=created_at,
        content=registration.content,
    )


async def _standing(write: Transaction, registrations: Sequence[Registration]) -> dict[tuple[str, str], Row]:
    """What holds those versions already, deleted ones too."""
    asked = columns(registrations)
    names = ("subjects", "majors", "minors", "patches", "prereleases")
    rows = await write.unit.fetch("schemas_write.find_versions", {name: asked[name] for name in names})
    return {(row[SUBJECT], identity_of(row)): row for row in rows}


async def _again(
    write: Transaction, kinds: Kinds, registration: Registration, found: Mapping[tuple[str, str], Row]
) -> Schema:
    """The version is taken: the record that holds it, restored if it was deleted, as long as the content is the same."""
    row = found.get(registration.identity)
    if row is None:
        raise _conflict(
            registration, f"the id {registration.id} belongs to another schema; leave id out to get a new one"
        )
    edit.seen(write, kinds, row)
    if CONTENT(row) != (registration.placement.digest, registration.schema_type):
        taken = "is registered with other content or another type"
        raise _conflict(registration, f"{registration.subject} {registration.version} {taken}; register a new version")
    if not is_deleted(row):
        return schema_of(row).replace(content=registration.content)
    restored = (await edit.apply(write, kinds, [edit.restoration(row[ID])])).get(row[ID])
    if restored is None:
        raise _conflict(
            registration,
            f"{registration.subject} {registration.version} was changed by another writer at the same time; try again",
        )
    return schema_of(restored).replace(content=registration.content)


def _conflict(registration: Registration, text: str) -> StorageError:
    return at_index(ConflictError(text, key=registration.subject), registration.index)
