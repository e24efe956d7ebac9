"""The schema store inside a database transaction: reads see the database and fill nothing, writes are invalidated after the commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from tierstore.errors import StorageError
from tierstore.plan import lifecycle
from tierstore.plan.arguments import check_flag, check_many
from tierstore.plan.lifecycle import SchemaStates
from tierstore.plan.route import Read
from tierstore.plan.schemas import check_id, check_subject
from tierstore.runtime import Deadline
from tierstore.stores.schemas import once, reads
from tierstore.stores.schemas.calls import Id, SchemaCalls
from tierstore.stores.schemas.edits import Edit
from tierstore.stores.schemas.model import Schema
from tierstore.stores.schemas.operation import Budget, Operation, Operations
from tierstore.stores.schemas.registrar import Registrar, inside
from tierstore.stores.schemas.registration import as_version
from tierstore.tiers.transaction import Transaction


class SchemaTransaction(SchemaCalls):
    """The calls of the store, in one commit. Committed when its block ends, rolled back when the block raises."""

    def __init__(self, registrar: Registrar, operations: Operations, write: Transaction) -> None:
        self._registrar = registrar
        self._kinds = registrar.kinds
        self._operations = operations
        self._engine_write = write

    async def commit(self) -> None:
        """Commit now; the block may end afterwards, but nothing more can be written in it."""
        await self._engine_write.commit()

    async def rollback(self) -> None:
        """Drop everything since the transaction began."""
        await self._engine_write.rollback()

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Undo only the block's own changes when it raises."""
        return self._engine_write.savepoint()

    async def get(self, id: Id, *, timeout: float | None = None) -> Schema | None:
        """The schema as this transaction sees it; None if there is none."""
        return (await self.get_many([id], timeout=timeout))[0]

    async def get_many(self, ids: Sequence[Id], *, timeout: float | None = None) -> list[Schema | None]:
        """In argument order, None for the absent."""
        with self._operation("get_many", None, timeout, "read") as operation:
            identifiers = check_many(ids, "ids", check_id)
            return await self._all(await reads.by_ids(self._rows(), identifiers), operation.deadline)

    async def get_version(self, subject: str, version: str, *, timeout: float | None = None) -> Schema | None:
        """That version of the subject; None if there is none."""
        with self._operation("get_version", subject, timeout, "read") as operation:
            keys = [(check_subject(subject), as_version(version))]
            return (await self._all(await reads.by_versions(self._rows(), keys), operation.deadline))[0]

    async def get_latest(
        self,
        subject: str,
        *,
        prerelease: bool = False,
        states: SchemaStates | None = lifecycle.LATEST_STATES,
        timeout: float | None = None,
    ) -> Schema | None:
        """The highest version in one of `states`; a pre-release only if asked for, or if there is no release."""
        with self._operation("get_latest", subject, timeout, "read") as operation:
            wanted = lifecycle.wanted_states(states)
            check_flag(prerelease, "prerelease")
            found = await reads.latest(self._rows(), [check_subject(subject)], prerelease=prerelease, states=wanted)
            return (await self._all(found, operation.deadline))[0]

    async def get_latest_many(self, subjects: Sequence[str], *, timeout: float | None = None) -> list[Schema | None]:
        """`get_latest` for each, in argument order."""
        with self._operation("get_latest_many", None, timeout, "read") as operation:
            checked = check_many(subjects, "subjects", check_subject)
            found = await reads.latest(self._rows(), checked, prerelease=False, states=lifecycle.LATEST_STATES)
            return await self._all(found, operation.deadline)

    # What the calls ask for

    def _rows(self) -> reads.Fetch:
        return inside(self._engine_write)

    async def _all(self, found: Sequence[reads.Found], deadline: Deadline) -> list[Schema | None]:
        return [None if each.schema is None else await self._registrar.filled(each.schema, deadline) for each in found]

    def _operation(self, name: str, key: object, timeout: float | None, budget: Budget) -> Operation:
        return self._operations.begin(f"transaction.{name}", key, timeout, budget)

    def _fetch(self, deadline: Deadline, read: Read, not_before: str | None) -> reads.Fetch:
        return self._rows()

    @asynccontextmanager
    async def _write(self, deadline: Deadline, idempotency_key: str | None = None) -> AsyncIterator[Transaction]:
        yield self._engine_write

    async def _edit(self, edit: Edit, deadline: Deadline) -> Any:
        (answer,) = await self._registrar.edit_each(self._engine_write, [edit])
        if isinstance(answer, StorageError):
            raise answer
        return answer

    async def _register(
        self, items: Sequence[Mapping[str, Any]], deadline: Deadline, key: str | None, *, batch: bool
    ) -> list[Schema]:
        once.check_key(key)
        prepared = await self._registrar.prepare(items, deadline, batch=batch)
        async with self.savepoint():
            schemas = await self._registrar.apply(self._engine_write, prepared, key)
        self._registrar.registered += len(schemas)
        return await self._registrar.all_filled(schemas, deadline)
