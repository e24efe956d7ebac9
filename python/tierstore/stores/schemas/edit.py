"""Changes of what is registered, inside a transaction that someone else opened: state, deletion, restoration, purge.

Many at once go in one statement. Two that name the same schema take effect in their order, each on what the one before it left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import orjson

from tierstore.backends import Row
from tierstore.errors import ConflictError, NotFoundError, StorageError
from tierstore.plan.schemas import LIFECYCLE, SchemaState
from tierstore.stores.schemas.kinds import Kinds
from tierstore.stores.schemas.model import Schema
from tierstore.stores.schemas.rows import (
    AT,
    ID,
    OWNER_VERSION,
    ROW_VERSION,
    STATE,
    SUBJECT,
    identity_of,
    is_deleted,
    schema_of,
)
from tierstore.tiers.group_commit import patience
from tierstore.tiers.transaction import Transaction

IS_PURGED = AT["is_purged"]
Answer = Schema | bool | StorageError
"""What the caller gets: the schema as it is now, for a deletion whether there was one, or an error to be raised."""


class Edit(NamedTuple):
    """One change of one schema. `origins`: the states that it may come from; `expected`: the row_version that it must have, if any."""

    id: str
    action: Literal["state", "delete", "restore"]
    state: SchemaState | None = None
    origins: tuple[str, ...] | None = None
    reason: str | None = None
    expected: int | None = None


def change_of_state(identifier: str, state: SchemaState, reason: str | None, expected: int | None) -> Edit:
    """To `state`. The reason, if there is one, is kept in the metadata as `state_reason`."""
    return Edit(identifier, "state", state, LIFECYCLE.origins[state], reason, expected)


def deletion(identifier: str, expected: int | None) -> Edit:
    return Edit(identifier, "delete", expected=expected)


def restoration(identifier: str) -> Edit:
    return Edit(identifier, "restore")


async def edit_each(write: Transaction, kinds: Kinds, edits: Sequence[Edit]) -> list[Answer]:
    """Return the result of each, in order."""
    answers: dict[int, Answer] = {}
    waiting = list(enumerate(edits))
    while waiting:
        if answers:  # what changes again needs a later version than it has got in this transaction
            await write.unit.execute("protocol.next_version")
        now: dict[str, tuple[int, Edit]] = {}
        later = []
        for number, edit in waiting:
            if now.setdefault(edit.id, (number, edit))[0] != number:
                later.append((number, edit))
        answers |= await _edit(write, kinds, now.values())
        waiting = later
    return [answers[number] for number in range(len(edits))]


async def _edit(write: Transaction, kinds: Kinds, numbered: Collection[tuple[int, Edit]]) -> dict[int, Answer]:
    """Each of another schema."""
    done = await apply(write, kinds, [edit for _, edit in numbered])
    undone = [edit.id for _, edit in numbered if edit.id not in done]
    found = await _find(write, undone) if undone else {}
    for row in found.values():
        seen(write, kinds, row)
    return {
        number: _done(edit, done[edit.id]) if edit.id in done else _undone(edit, found.get(edit.id))
        for number, edit in numbered
    }


async def apply(write: Transaction, kinds: Kinds, edits: Sequence[Edit]) -> dict[str, Row]:
    """The rows as they are now, by id; without those whose conditions did not hold. Each edit is of another schema."""
    asked = orjson.dumps([edit._asdict() for edit in edits]).decode()
    rows = await write.unit.fetch("schemas_write.edit", {"edits": asked, "patience": patience(write.patience_s)})
    for row in rows:
        _changed(write, kinds, row, row)
    return {row[ID]: row for row in rows}


def _changed(write: Transaction, kinds: Kinds, row: Row, named: Row) -> None:
    """`named`: the row as it was, where the change took its version away."""
    kinds.changed(write, row[ID], row[SUBJECT], identity_of(named), row=row[ROW_VERSION], owner=row[OWNER_VERSION])


def seen(write: Transaction, kinds: Kinds, row: Row) -> None:
    """The row as it stands, which a call returns or names."""
    kinds.seen(write, row[ID], row[SUBJECT], identity_of(row), row=row[ROW_VERSION], owner=row[OWNER_VERSION])


def _done(edit: Edit, row: Row) -> Answer:
    return True if edit.action == "delete" else schema_of(row)


def _undone(edit: Edit, row: Row | None) -> Answer:
    """`row`: the schema that the edit passed over, if there is one."""
    gone = row is None or is_deleted(row)
    if edit.action == "restore":
        return _unrestored(edit, row)
    if row is not None and not gone and edit.expected not in (None, row[ROW_VERSION]):
        text = f"{edit.id} has row_version {row[ROW_VERSION]}, not {edit.expected}: it changed; read it again"
        return ConflictError(text, key=edit.id)
    if edit.action == "delete":
        return False
    return _unmoved(edit, None if gone else row)


def _unmoved(edit: Edit, row: Row | None) -> StorageError:
    if row is None:
        return NotFoundError(f"there is no schema {edit.id}", key=edit.id)
    try:
        LIFECYCLE.check_move(row[STATE], LIFECYCLE.check_state(edit.state), key=edit.id)
    except ConflictError as error:
        return error
    return _meanwhile(edit)


def _unrestored(edit: Edit, row: Row | None) -> Answer:
    if row is None or row[IS_PURGED]:
        return NotFoundError(f"there is no schema {edit.id} to restore", key=edit.id)
    return _meanwhile(edit) if is_deleted(row) else schema_of(row)


def _meanwhile(edit: Edit) -> ConflictError:
    return ConflictError(
        f"{edit.id} was changed by another writer at the same time; read it and try again", key=edit.id
    )


async def purge(write: Transaction, kinds: Kinds, identifier: str) -> bool:
    """False if there is no such schema, or it was purged already."""
    before = (await _find(write, [identifier])).get(identifier)
    if before is None or before[IS_PURGED]:
        if before is not None:
            seen(write, kinds, before)
        return False
    rows = await write.unit.fetch("schemas_write.purge", {"id": identifier})
    for row in rows:
        _changed(write, kinds, row, before)
    return bool(rows)


async def _find(write: Transaction, ids: Sequence[str]) -> Mapping[str, Row]:
    return {row[ID]: row for row in await write.unit.fetch("schemas_write.find", {"ids": ids})}
