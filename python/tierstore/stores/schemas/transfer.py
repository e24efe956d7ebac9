"""All schemas as one file of JSON lines, and back: what a line says of a schema. The file itself is `calls/lines.py`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tierstore.calls.lines import LinesFile, read_batches, to_line
from tierstore.calls.scope import Fetch
from tierstore.errors import StorageError
from tierstore.plan.values import check_id
from tierstore.runtime import Deadline
from tierstore.stores.schemas.model import Schema
from tierstore.stores.schemas.parts import SchemaParts
from tierstore.stores.schemas.rows import ID, schema_of
from tierstore.stores.schemas.validation import MAX_CONTENT_BYTES

STORE = "schemas"
BATCH_ITEMS = 100
FIRST_ID = "00000000-0000-0000-0000-000000000000"
FIELDS = ("id", "subject", "version", "schema_type", "state", "metadata")


async def export(
    parts: SchemaParts, fetch: Fetch, path: str | os.PathLike[str], deadline: Deadline, resume: bool
) -> int:
    """By id, a page of the database at a time; returns how many lines the file has."""
    call, file = parts.runtime.call, LinesFile(path, STORE, resume=resume)
    try:
        last = await call(file.open, deadline=deadline)
        after = FIRST_ID if last is None else check_id(last.get("id"))
        while True:
            rows = await fetch("schemas.export", {"after": after, "limit": BATCH_ITEMS})
            schemas = [await parts.blobs.filled(schema_of(row), deadline=deadline) for row in rows]
            await call(file.write, [line_of(schema) for schema in schemas], deadline=deadline)
            if len(rows) < BATCH_ITEMS:
                break
            after = rows[-1][ID]
        await call(file.finish, deadline=deadline)
    except BaseException:
        file.abandon()
        raise
    return file.count


async def import_(
    parts: SchemaParts,
    take: Callable[[Sequence[Mapping[str, Any]]], Awaitable[None]],
    path: str | os.PathLike[str],
    deadline: Deadline,
) -> int:
    """Give `take` a batch of items at a time; returns how many there were."""
    count, batches = 0, read_batches(path, STORE, MAX_CONTENT_BYTES, BATCH_ITEMS)
    while (batch := await parts.runtime.call(next, batches, None, deadline=deadline)) is not None:
        try:
            await take(batch)
        except StorageError as error:
            error.message = f"{path}, from line {count + 2} on: {error.message}"
            raise
        count += len(batch)
    return count


def line_of(schema: Schema) -> bytes:
    """One schema, its content with digest and size."""
    return to_line({name: getattr(schema, name) for name in FIELDS}, schema.content, schema.content_digest)
