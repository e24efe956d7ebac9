"""Schemas on their way in, and content on its way out: what the store and its transactions do alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tierstore._native import SizeRouter
from tierstore.errors import StorageError
from tierstore.records import attach
from tierstore.runtime import Deadline, Runtime
from tierstore.stores.schemas import edits, once, reads, writes
from tierstore.stores.schemas.kinds import Kinds
from tierstore.stores.schemas.model import Schema
from tierstore.stores.schemas.registration import Registration, at_index, bytes_in, prepare_many
from tierstore.stores.schemas.validation import PARALLEL_BYTES
from tierstore.tiers.blobs import BlobTier, Staged
from tierstore.tiers.transaction import Transaction

INLINE = "inline"


class Prepared(NamedTuple):
    """What is to be registered, checked, and the content of it that does not go into the row, safe already."""

    registrations: list[Registration]
    staged: list[Staged]


class Registrar:
    """`registered` and `deleted` count for telemetry."""

    def __init__(self, kinds: Kinds, blobs: BlobTier, runtime: Runtime) -> None:
        self.kinds = kinds
        self._blobs = blobs
        self._runtime = runtime
        self.registered = self.deleted = 0

    async def prepare(self, items: Sequence[Mapping[str, Any]], deadline: Deadline, *, batch: bool) -> Prepared:
        """Check the items and store what does not go into the row; both before the transaction begins."""
        router = self._blobs.router
        if bytes_in(items) < PARALLEL_BYTES:
            registrations = prepare_many(items, router, batch=batch)
        else:
            registrations = await self._runtime.call(_prepare, items, router, batch, deadline=deadline)
        staged = []
        for registration in registrations:
            if registration.placement.tier != INLINE:
                try:
                    stage = await self._blobs.stage(registration.content, deadline=deadline)
                except StorageError as error:
                    raise at_index(error, registration.index) from None
                registration.params["tier"] = stage.placement.tier
                staged.append(stage)
        return Prepared(registrations, staged)

    async def apply(self, write: Transaction, prepared: Prepared, key: str | None) -> list[Schema]:
        """Register, unless a write with this key has done so: then what it registered is answered, as it is now."""
        ids = None if key is None else await once.claim(write, key, once.request_of(prepared.registrations))
        if ids is not None:
            return [each.schema for each in await reads.by_ids(inside(write), ids) if each.schema is not None]
        for stage in prepared.staged:
            await self._blobs.make_live(write.unit, stage)
        schemas = await writes.register_many(write, self.kinds, prepared.registrations)
        if key is not None:
            await once.keep(write, key, [schema.id for schema in schemas])
        return schemas

    async def apply_each(
        self, write: Transaction, registrations: Sequence[Registration]
    ) -> list[Schema | StorageError]:
        """Register what several callers want registered; each gets its own answer."""
        return await writes.register_each(write, self.kinds, registrations)

    async def edit_each(self, write: Transaction, wanted: Sequence[edits.Edit]) -> list[edits.Answer]:
        """The same for changes of what is registered."""
        return await edits.edit_each(write, self.kinds, wanted)

    async def filled(self, schema: Schema, deadline: Deadline) -> Schema:
        """With its content, which the record of a large one does not carry."""
        if schema.placement == INLINE or len(schema.content) == schema.content_size:
            return schema
        content = await self._blobs.read(
            schema.content_digest, schema.placement, schema.content_size, deadline=deadline
        )
        filled = schema.replace(content=content)
        attach(filled, schema.meta)
        return filled

    async def all_filled(self, schemas: Sequence[Schema], deadline: Deadline) -> list[Schema]:
        """`filled` for each, in order."""
        return [await self.filled(schema, deadline) for schema in schemas]


def inside(write: Transaction) -> reads.Fetch:
    """Reads inside a transaction."""
    return write.unit.fetch


def _prepare(items: Sequence[Mapping[str, Any]], router: SizeRouter, batch: bool) -> list[Registration]:
    return prepare_many(items, router, batch=batch)
