"""The schema store: read-through on every tier, written once in one transaction, the same in both scopes and both faces."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from tierstore.calls.once import check_key
from tierstore.calls.scope import OpenTransaction
from tierstore.errors import NotFoundError, ValidationError
from tierstore.plan.arguments import check_expected, check_flag, shown
from tierstore.plan.paging import MAX_WARMED, check_limit
from tierstore.plan.schemas import LIFECYCLE, SchemaState
from tierstore.plan.values import MAX_DESCRIPTION_CHARACTERS, Id, check_id, check_text
from tierstore.runtime import Deadline
from tierstore.stores.schemas import edit, reads, register, transfer
from tierstore.stores.schemas.model import Popular, Schema, SchemaItem, SchemaStatistics, SchemaType
from tierstore.stores.schemas.parts import SchemaParts
from tierstore.stores.schemas.reader import SchemaReader
from tierstore.stores.schemas.registration import check_items

MAX_EXPIRES_S = 7 * 86_400
"""The longest that a signature of S3 is valid."""


class SchemaStore(SchemaReader):
    """Schemas by subject and semantic version (`store.schemas`). docs/schemas.md explains it by example.

    Inside a transaction it has the same calls, except `transaction`, `warm` and `presign`.
    """

    _parts_class = SchemaParts

    # Writing

    async def register(
        self,
        subject: str,
        version: str,
        content: bytes,
        *,
        schema_type: SchemaType = "json",
        metadata: Mapping[str, Any] | None = None,
        description: str = "",
        tags: Sequence[str] = (),
        state: SchemaState = "active",
        id: Id | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Schema:
        """Store one version of a subject, and return it as stored.

        The same content again returns the record that is there, restored if it was deleted. ConflictError if the version holds other
        content. ValidationError (with its place) for content that is not valid for its type, InvalidKeyError for a wrong subject or id.
        """
        item = {
            "subject": subject,
            "version": version,
            "content": content,
            "schema_type": schema_type,
            "metadata": metadata,
            "description": description,
            "tags": tags,
            "state": state,
            "id": id,
        }
        with self._operation("register", subject, timeout, "write") as operation:
            registered = await self._register([item], operation.deadline, idempotency_key, batch=False)
            return registered[0]

    async def register_many(
        self,
        items: Sequence[SchemaItem],
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> list[Schema]:
        """Store all of them in one commit, or none. Each item has the arguments of `register` by name.

        An error names the first failing item: "items[3]: …".
        """
        with self._operation("register_many", None, timeout, "bulk") as operation:
            checked = check_items(items)
            if not checked:
                return []
            return await self._register(checked, operation.deadline, idempotency_key, batch=True)

    async def set_state(
        self,
        id: Id,
        state: SchemaState,
        *,
        reason: str | None = None,
        expected_version: int | None = None,
        timeout: float | None = None,
    ) -> Schema:
        """Move a schema to another state; the reason is kept in its metadata as `state_reason`.

        ConflictError for a move that the lifecycle does not allow, or if its row_version is not the expected one; NotFoundError if there
        is no such schema.
        """
        with self._operation("set_state", id, timeout, "write") as operation:
            identifier, wanted = check_id(id), LIFECYCLE.check_state(state)
            why = None if reason is None else check_text(reason, "reason", MAX_DESCRIPTION_CHARACTERS)
            expected = check_expected(expected_version)
            changed = await self._edit(edit.change_of_state(identifier, wanted, why, expected), operation.deadline)
            return await self._filled(changed, operation.deadline)

    async def delete(self, id: Id, *, expected_version: int | None = None, timeout: float | None = None) -> bool:
        """Delete a schema softly: no read finds it any more, and `restore` undoes it. Return False if there is no such schema.

        ConflictError if its row_version is not the expected one.
        """
        with self._operation("delete", id, timeout, "write") as operation:
            deletion = edit.deletion(check_id(id), check_expected(expected_version))
            deleted: bool = await self._edit(deletion, operation.deadline)
            self._parts.deleted += deleted
            return deleted

    async def restore(self, id: Id, *, timeout: float | None = None) -> Schema:
        """Undo a deletion, and return the schema, also if it was not deleted. NotFoundError if it is unknown or was purged."""
        with self._operation("restore", id, timeout, "write") as operation:
            restored = await self._edit(edit.restoration(check_id(id)), operation.deadline)
            return await self._filled(restored, operation.deadline)

    async def purge(self, id: Id, *, timeout: float | None = None) -> bool:
        """Remove the content for good and free the version; the id cannot be used again. Return False if there is no such schema."""
        with self._operation("purge", id, timeout, "write") as operation:
            identifier = check_id(id)
            async with self._scope.write(operation.deadline) as write:
                return await edit.purge(write, self._kinds, identifier)

    # Transactions

    def transaction(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[SchemaTransaction]:
        """Begin a transaction, several calls in one commit: `async with store.schemas.transaction() as tx: await tx.register(...)`."""
        return self._begin(SchemaTransaction, timeout)

    # What there is, and what is used

    async def statistics(self, *, timeout: float | None = None) -> SchemaStatistics:
        """Return counts of what is not deleted, and the share of reads that each cache tier served."""
        with self._operation("statistics", None, timeout, "search") as operation:
            fetch = self._scope.observe(operation.deadline)
            return await reads.statistics(fetch, self._parts.engine.hit_rates(self._parts.name))

    async def popular(self, limit: int = 100, *, timeout: float | None = None) -> list[Popular]:
        """Return the ids that were read most in the last 30 days, as far as the use counts are written to the database."""
        with self._operation("popular", None, timeout, "read") as operation:
            return await self._most_read(check_limit(limit), operation.deadline)

    async def _most_read(self, limit: int, deadline: Deadline) -> list[Popular]:
        fetch = self._fetch(deadline, "any", None)
        return [Popular(*row) for row in await fetch("schemas.popular", {"limit": limit})]

    async def warm(self, limit: int = 100, *, timeout: float | None = None) -> int:
        """Load the schemas that are read most into the caches, and return how many."""
        with self._operation("warm", None, timeout, "bulk", inside=False) as operation:
            most = check_limit(limit, most=MAX_WARMED)
            ids = [each.id for each in await self._most_read(most, operation.deadline)]
            found = await self._scope.get_many(self._kinds.by_id, ids, deadline=operation.deadline)
            return sum(schema is not None for schema in found)

    async def presign(self, id: Id, *, expires: int = 3600, timeout: float | None = None) -> str:
        """Return a URL that serves the content to whoever has it, for `expires` seconds.

        Content that lies in the database is copied to the object store first. UnsupportedError if there is no object store.
        """
        with self._operation("presign", id, timeout, "write", inside=False) as operation:
            _check_expires(expires)
            deadline, identifier = operation.deadline, check_id(id)
            schema = await self._answer(await self._scope.get(self._by_id, identifier, deadline=deadline), deadline)
            if schema is None:
                raise NotFoundError(f"there is no schema {identifier}", key=identifier)
            return await self._parts.blobs.presign(
                schema.content_digest, schema.content, expires_s=expires, deadline=deadline
            )

    # Export and import

    async def export(self, path: str | os.PathLike[str], *, resume: bool = False, timeout: float | None = None) -> int:
        """Write every schema that is not deleted to one file of JSON lines, and return how many the file holds.

        The file appears under its name when it is whole. With `resume`, an export that fails keeps what it has written beside it, and
        the next one goes on from there. ValidationError if the path cannot be written.
        """
        with self._operation("export", path, timeout, "bulk") as operation:
            check_flag(resume, "resume")
            return await transfer.export(self._parts, self._fetch(operation.deadline), path, operation.deadline, resume)

    async def import_(self, path: str | os.PathLike[str], *, timeout: float | None = None) -> int:
        """Register every schema of a file that `export` wrote, with its id and state, and return how many.

        What is there already is skipped, so that an import that was interrupted can be run again. ConflictError if a version holds
        other content; what was imported before it stays.
        """
        with self._operation("import_", path, timeout, "bulk") as operation:
            deadline = operation.deadline

            async def take(items: Sequence[Mapping[str, Any]]) -> None:
                await self._register(check_items(items), deadline, None, batch=True)

            return await transfer.import_(self._parts, take, path, deadline)

    # What the calls need

    async def _register(
        self, items: Sequence[Mapping[str, Any]], deadline: Deadline, key: str | None, *, batch: bool
    ) -> list[Schema]:
        check_key(key)
        parts, scope = self._parts, self._scope
        prepared = await register.prepare(parts, items, deadline, batch=batch)
        if not batch and key is None and not prepared.staged and items[0]["id"] is None:
            schemas = [await scope.together(parts.registrations, prepared.registrations[0], deadline)]
        else:
            async with scope.write(deadline, key) as write:
                schemas = await register.apply(write, parts, prepared, key, "register_many" if batch else "register")
        parts.registered += len(schemas)
        return [await self._filled(schema, deadline) for schema in schemas]

    async def _edit(self, wanted: edit.Edit, deadline: Deadline) -> Any:
        return await self._scope.together(self._parts.edits, wanted, deadline)


class SchemaTransaction(OpenTransaction, SchemaStore):
    """The calls of the store in one commit, and the transaction's own (`store.schemas.transaction`)."""


def _check_expires(expires: object) -> None:
    if not isinstance(expires, int) or isinstance(expires, bool) or not 1 <= expires <= MAX_EXPIRES_S:
        text = f"expires must be a whole number of seconds from 1 to {MAX_EXPIRES_S}, got {shown(expires)}"
        raise ValidationError(text, place="expires")
