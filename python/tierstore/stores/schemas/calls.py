"""The calls that the schema store and an open transaction share: they differ in where they read, and in who commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

from tierstore.errors import ValidationError
from tierstore.plan import lifecycle
from tierstore.plan.arguments import check_flag
from tierstore.plan.lifecycle import SchemaState, SchemaStates
from tierstore.plan.paging import Page
from tierstore.plan.route import Read
from tierstore.plan.schemas import MAX_DESCRIPTION_CHARACTERS, check_id, check_text
from tierstore.runtime import Deadline
from tierstore.stores.schemas import edits, reads
from tierstore.stores.schemas.candidates import Query
from tierstore.stores.schemas.kinds import Kinds
from tierstore.stores.schemas.model import Schema, SchemaInfo, SchemaType, SearchHit
from tierstore.stores.schemas.operation import Budget, Operation
from tierstore.stores.schemas.registrar import Registrar
from tierstore.stores.schemas.registration import check_items
from tierstore.stores.schemas.search import query_of, search
from tierstore.stores.schemas.text_index import Proposer
from tierstore.tiers.transaction import Transaction

Id = str | UUID
"""The id of a schema: a `uuid.UUID`, or any spelling of one."""


class SchemaCalls:
    """Registering, changing, listing, searching."""

    _kinds: Kinds
    _registrar: Registrar

    # What the two do in their own way

    def _operation(self, name: str, key: object, timeout: float | None, budget: Budget) -> Operation:
        raise NotImplementedError

    def _fetch(self, deadline: Deadline, read: Read, not_before: str | None) -> reads.Fetch:
        raise NotImplementedError

    async def _proposer(self, query: Query, fetch: reads.Fetch, deadline: Deadline) -> Proposer | None:
        """An index of what `fetch` sees, if there is one for the query."""
        return None

    def _write(
        self, deadline: Deadline, idempotency_key: str | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        raise NotImplementedError

    async def _register(
        self, items: Sequence[Mapping[str, Any]], deadline: Deadline, key: str | None, *, batch: bool
    ) -> list[Schema]:
        raise NotImplementedError

    async def _edit(self, edit: edits.Edit, deadline: Deadline) -> Any:
        """What the edit answers; its error is raised."""
        raise NotImplementedError

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
        """Store one version of a subject, and answer it as stored.

        The same content again answers the record that is there, restored if it was deleted. ConflictError if the version holds other
        content. ValidationError (with its place) for content that is not what its type says, InvalidKeyError for a bad subject or id.
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
        items: Sequence[Mapping[str, Any]],
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> list[Schema]:
        """Store all of them in one commit, or none. Each item is a mapping with the arguments of `register`.

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

        ConflictError for a move that the lifecycle does not have, or if its row_version is not the expected one; NotFoundError if there
        is no such schema.
        """
        with self._operation("set_state", id, timeout, "write") as operation:
            identifier, wanted = check_id(id), lifecycle.check_state(state)
            why = None if reason is None else check_text(reason, "reason", MAX_DESCRIPTION_CHARACTERS)
            expected = _expected(expected_version)
            changed = await self._edit(edits.change_of_state(identifier, wanted, why, expected), operation.deadline)
            return await self._registrar.filled(changed, operation.deadline)

    async def delete(self, id: Id, *, expected_version: int | None = None, timeout: float | None = None) -> bool:
        """Delete softly: no read finds it any more, `restore` brings it back. False if there is no such schema.

        ConflictError if its row_version is not the expected one.
        """
        with self._operation("delete", id, timeout, "write") as operation:
            edit = edits.deletion(check_id(id), _expected(expected_version))
            deleted: bool = await self._edit(edit, operation.deadline)
            self._registrar.deleted += deleted
            return deleted

    async def restore(self, id: Id, *, timeout: float | None = None) -> Schema:
        """Undo a deletion; a schema that is not deleted is answered as it is. NotFoundError if it is unknown or was purged."""
        with self._operation("restore", id, timeout, "write") as operation:
            restored = await self._edit(edits.restoration(check_id(id)), operation.deadline)
            return await self._registrar.filled(restored, operation.deadline)

    async def purge(self, id: Id, *, timeout: float | None = None) -> bool:
        """Remove the content for good and free the version; the id stays taken. False if there is no such schema."""
        with self._operation("purge", id, timeout, "write") as operation:
            identifier = check_id(id)
            async with self._write(operation.deadline) as write:
                return await edits.purge(write, self._kinds, identifier)

    # Listing and searching

    async def list(
        self,
        subject: str,
        *,
        states: SchemaStates | None = None,
        schema_type: SchemaType | None = None,
        deleted: bool = False,
        limit: int = 100,
        after: str | None = None,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Page[SchemaInfo]:
        """The versions of a subject, the highest first. `deleted=True` lists the softly deleted ones too (`deleted_at` tells)."""
        with self._operation("list", subject, timeout, "read") as operation:
            return await reads.list_versions(
                self._fetch(operation.deadline, read, not_before),
                subject,
                states=lifecycle.check_states(states),
                schema_type=schema_type,
                deleted=check_flag(deleted, "deleted"),
                limit=limit,
                after=after,
            )

    async def subjects(
        self,
        prefix: str = "",
        *,
        limit: int = 100,
        after: str | None = None,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Page[str]:
        """Subjects that begin with `prefix` and have a schema that is not deleted, in the order of their bytes."""
        with self._operation("subjects", prefix, timeout, "read") as operation:
            fetch = self._fetch(operation.deadline, read, not_before)
            return await reads.list_subjects(fetch, prefix, limit=limit, after=after)

    async def search(
        self,
        text: str | None = None,
        *,
        subject: str | None = None,
        tags: Sequence[str] = (),
        states: SchemaStates | None = None,
        schema_type: SchemaType | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int = 50,
        after: str | None = None,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Page[SearchHit]:
        """Schemas in which every word of the text is found: as a part of, or similar to, subject, description or identifiers.

        Words under three letters match how the subject begins. `tags`: all of them; `metadata`: contained in the schema's. The best
        score comes first, ties by subject, then the newest version; without a text all score 0. docs/schemas.md says what a search
        with very many hits does.
        """
        with self._operation("search", text, timeout, "search") as operation:
            query = query_of(
                self._kinds.engine,
                text,
                subject=subject,
                tags=tags,
                states=states,
                schema_type=schema_type,
                metadata=metadata,
            )
            fetch = self._fetch(operation.deadline, read, not_before)
            index = await self._proposer(query, fetch, operation.deadline)
            return await search(fetch, query, limit=limit, after=after, index=index)


def _expected(expected_version: object) -> int | None:
    if expected_version is None:
        return None
    if isinstance(expected_version, int) and not isinstance(expected_version, bool) and abs(expected_version) < 2**63:
        return expected_version
    raise ValidationError("expected_version is a row_version, a whole number", place="expected_version")
