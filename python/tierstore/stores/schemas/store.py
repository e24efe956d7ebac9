"""The schema store: read-through on every tier, written once in one transaction, the same in both faces."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from tierstore.config import Deadlines
from tierstore.errors import NotFoundError, StorageError, ValidationError
from tierstore.plan import lifecycle
from tierstore.plan.arguments import check_flag, check_many, shown
from tierstore.plan.lifecycle import SchemaStates
from tierstore.plan.paging import check_limit
from tierstore.plan.route import Read
from tierstore.plan.schemas import check_id, check_subject
from tierstore.runtime import Deadline, Runtime
from tierstore.stores.schemas import once, reads
from tierstore.stores.schemas.access import FLUSH_S, KEPT_DAYS, Access
from tierstore.stores.schemas.calls import Id, SchemaCalls
from tierstore.stores.schemas.candidates import Query
from tierstore.stores.schemas.edits import Edit
from tierstore.stores.schemas.kinds import STORE, Kinds, schema_in
from tierstore.stores.schemas.model import Derived, Popular, Schema, SchemaStatistics
from tierstore.stores.schemas.operation import Budget, Operation, Operations
from tierstore.stores.schemas.registrar import INLINE, Registrar
from tierstore.stores.schemas.registration import Registration, as_version, check_items, version_identity
from tierstore.stores.schemas.rows import ID, schema_of
from tierstore.stores.schemas.text_index import Proposer, TextIndex
from tierstore.stores.schemas.transaction import SchemaTransaction
from tierstore.stores.schemas.transfer import BATCH_ITEMS, Exporting, read_batches
from tierstore.telemetry import Telemetry, Total
from tierstore.tiers.blobs import BlobTier
from tierstore.tiers.engine import Engine
from tierstore.tiers.group_commit import GroupCommit
from tierstore.tiers.kind import ABSENT, Absence
from tierstore.tiers.transaction import Transaction

MAX_EXPIRES_S = 7 * 86_400
"""What S3's signatures allow at most."""
MAX_WARMED = 1_000_000


class SchemaStore(SchemaCalls):
    """Schemas by subject and semantic version (`store.schemas`). docs/schemas.md explains it by example."""

    def __init__(
        self, engine: Engine, blobs: BlobTier, runtime: Runtime, telemetry: Telemetry, deadlines: Deadlines
    ) -> None:
        self._engine = engine
        self._blobs = blobs
        self._runtime = runtime
        self._operations = Operations(runtime, telemetry, deadlines)
        self._kinds = kinds = Kinds(engine)
        self._registrar = Registrar(kinds, blobs, runtime)
        self._registrations: GroupCommit[Registration, Schema] = GroupCommit(engine, self._registrar.apply_each)
        self._edits: GroupCommit[Edit, Schema | bool] = GroupCommit(engine, self._registrar.edit_each)
        self._access = Access()
        self._seen = self._access.seen
        self._texts = TextIndex(engine, runtime)
        self._by_id = kinds.by_id
        self._hit, self._hit_version, self._hit_latest = kinds.by_id.hit, kinds.by_version.hit, kinds.latest.hit
        if telemetry.on:
            self._hit = self._hit_version = self._hit_latest = _no_hit

    # Reading by key. The first lines of each are the whole of an L1 hit.

    async def get(
        self, id: Id, *, timeout: float | None = None, read: Read = "session", not_before: str | None = None
    ) -> Schema | None:
        """The schema with this id; None if there is none or it was deleted. InvalidKeyError if it is no UUID."""
        if read == "session" and not_before is None and type(id) is str:
            schema = self._hit(id)
            if schema is not None:
                if schema is ABSENT:
                    return None
                if schema.placement == INLINE:
                    self._seen(id)
                    return schema
        with self._operations.begin("get", id, timeout, "read") as operation:
            identifier = check_id(id)
            schema = await self._by_id.get(identifier, deadline=operation.deadline, read=read, not_before=not_before)
            if schema is not None and schema.placement == INLINE:
                self._seen(identifier)
                return schema
            return await self._answer(schema, operation.deadline)

    def hit_get(self, id: Id) -> Schema | None:
        """The schema if L1 has it, fresh and with its content; no coroutine is made for it."""
        if type(id) is not str:
            return None
        schema = self._hit(id)
        if schema is None or schema is ABSENT or schema.placement != INLINE:
            return None
        self._seen(id)
        return schema

    async def get_version(
        self,
        subject: str,
        version: str,
        *,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Schema | None:
        """That version of the subject, whatever its state; None if there is none. Build metadata makes no difference."""
        if read == "session" and not_before is None and type(version) is type(subject) is str:
            derived = self._hit_version((subject, version))
            if derived is not None and derived is not ABSENT:
                schema = schema_in(derived)
                if schema.placement == INLINE:
                    self._seen(schema.id)
                    return schema
        with self._operation("get_version", subject, timeout, "read") as operation:
            key = (check_subject(subject), version_identity(as_version(version)))
            deadline = operation.deadline
            derived = await self._kinds.by_version.get(key, deadline=deadline, read=read, not_before=not_before)
            return await self._answer(None if derived is None else schema_in(derived), deadline)

    def hit_get_version(self, subject: str, version: str) -> Schema | None:
        """As `hit_get`."""
        known = type(version) is type(subject) is str
        return self._derived_hit(self._hit_version((subject, version))) if known else None

    async def get_latest(
        self,
        subject: str,
        *,
        prerelease: bool = False,
        states: SchemaStates | None = lifecycle.LATEST_STATES,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Schema | None:
        """The highest version in one of `states`; a pre-release only if asked for, or if there is no release.

        The latest of other states than active and deprecated is not cached.
        """
        cached = states is lifecycle.LATEST_STATES
        if cached and not prerelease and read == "session" and not_before is None and type(subject) is str:
            derived = self._hit_latest(subject)
            if derived is not None and derived is not ABSENT:
                schema = schema_in(derived)
                if schema.placement == INLINE:
                    self._seen(schema.id)
                    return schema
        with self._operation("get_latest", subject, timeout, "read") as operation:
            deadline, wanted = operation.deadline, lifecycle.wanted_states(states)
            check_flag(prerelease, "prerelease")
            if wanted != lifecycle.LATEST_STATES:
                fetch = self._fetch(deadline, read, not_before)
                found = await reads.latest(fetch, [check_subject(subject)], prerelease=prerelease, states=wanted)
                return await self._answer(found[0].schema, deadline)
            kind = self._kinds.latest_any if prerelease else self._kinds.latest
            derived = await kind.get(check_subject(subject), deadline=deadline, read=read, not_before=not_before)
            return await self._answer(None if derived is None else schema_in(derived), deadline)

    def hit_get_latest(self, subject: str) -> Schema | None:
        """As `hit_get`."""
        return self._derived_hit(self._hit_latest(subject)) if type(subject) is str else None

    def _derived_hit(self, derived: Derived | Absence | None) -> Schema | None:
        if derived is None or derived is ABSENT:
            return None
        schema = schema_in(derived)
        if schema.placement != INLINE:
            return None
        self._seen(schema.id)
        return schema

    async def get_many(
        self,
        ids: Sequence[Id],
        *,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> list[Schema | None]:
        """The schemas in argument order, None for the absent. One round trip to each tier."""
        with self._operation("get_many", None, timeout, "read") as operation:
            keys = check_many(ids, "ids", check_id)
            deadline = operation.deadline
            schemas = await self._kinds.by_id.get_many(keys, deadline=deadline, read=read, not_before=not_before)
            return await self._answers(schemas, deadline)

    async def get_latest_many(
        self,
        subjects: Sequence[str],
        *,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> list[Schema | None]:
        """`get_latest` for each, in argument order, None for the absent. One round trip to each tier."""
        with self._operation("get_latest_many", None, timeout, "read") as operation:
            keys = check_many(subjects, "subjects", check_subject)
            deadline = operation.deadline
            derived = await self._kinds.latest.get_many(keys, deadline=deadline, read=read, not_before=not_before)
            return await self._answers([None if each is None else schema_in(each) for each in derived], deadline)

    # Transactions

    def transaction(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[SchemaTransaction]:
        """Several calls in one commit: `async with store.schemas.transaction() as tx: await tx.register(...)`."""
        return self._transaction(timeout)

    @asynccontextmanager
    async def _transaction(self, timeout: float | None) -> AsyncIterator[SchemaTransaction]:
        with self._operation("transaction", None, timeout, "write") as operation:
            async with self._engine.transaction(deadline=operation.deadline) as write:
                yield SchemaTransaction(self._registrar, self._operations, write)

    # What there is, and what is used

    async def statistics(self, *, timeout: float | None = None) -> SchemaStatistics:
        """Counts of what is not deleted, and the share of reads that each cache tier answered."""
        with self._operation("statistics", None, timeout, "search") as operation:
            fetch = self._fetch(operation.deadline, "session", None)
            return await reads.statistics(fetch, self._engine.hit_rates(STORE))

    async def popular(self, limit: int = 100, *, timeout: float | None = None) -> list[Popular]:
        """The ids that were read most in the last KEPT_DAYS days, as far as the reads have been written down."""
        with self._operation("popular", None, timeout, "read") as operation:
            return await self._most_read(check_limit(limit), operation.deadline)

    async def _most_read(self, limit: int, deadline: Deadline) -> list[Popular]:
        fetch = self._fetch(deadline, "any", None)
        return [Popular(*row) for row in await fetch("schemas.popular", {"limit": limit})]

    async def warm(self, limit: int = 100, *, timeout: float | None = None) -> int:
        """Load the most read schemas into the caches; answers how many."""
        with self._operation("warm", None, timeout, "bulk") as operation:
            most = check_limit(limit, most=MAX_WARMED)
            ids = [each.id for each in await self._most_read(most, operation.deadline)]
            found = await self._kinds.by_id.get_many(ids, deadline=operation.deadline)
            return sum(schema is not None for schema in found)

    async def presign(self, id: Id, *, expires: int = 3600, timeout: float | None = None) -> str:
        """An address that gives the content to whoever has it, for `expires` seconds.

        Content that lies in the database is copied to the object store first. UnsupportedError without one: it names the file.
        """
        with self._operation("presign", id, timeout, "write") as operation:
            _check_expires(expires)
            deadline, identifier = operation.deadline, check_id(id)
            schema = await self._answer(await self._kinds.by_id.get(identifier, deadline=deadline), deadline)
            if schema is None:
                raise NotFoundError(f"there is no schema {identifier}", key=identifier)
            return await self._blobs.presign(
                schema.content_digest, schema.content, expires_s=expires, deadline=deadline
            )

    # Export and import

    async def export(self, path: str | os.PathLike[str], *, timeout: float | None = None) -> int:
        """Write every schema that is not deleted to one file of JSON lines; answers how many."""
        with self._operation("export", path, timeout, "bulk") as operation:
            deadline = operation.deadline
            exporting = Exporting(path)
            try:
                count = await self._export(exporting, deadline)
                await self._runtime.call(exporting.finish, deadline=deadline)
            except BaseException as error:
                exporting.abandon()
                if isinstance(error, OSError) and not isinstance(error, StorageError):
                    raise ValidationError(f"{path} cannot be written: {error.strerror}", place="path") from error
                raise
            return count

    async def _export(self, exporting: Exporting, deadline: Deadline) -> int:
        fetch = self._fetch(deadline, "session", None)
        after, count = "00000000-0000-0000-0000-000000000000", 0
        while True:
            rows = await fetch("schemas.export", {"after": after, "limit": BATCH_ITEMS})
            schemas = await self._registrar.all_filled([schema_of(row) for row in rows], deadline)
            await self._runtime.call(exporting.write, schemas, deadline=deadline)
            count += len(rows)
            if len(rows) < BATCH_ITEMS:
                return count
            after = rows[-1][ID]

    async def import_(self, path: str | os.PathLike[str], *, timeout: float | None = None) -> int:
        """Register every schema of a file that `export` wrote, with its id and state; answers how many.

        What is there already is passed over. ConflictError if a version holds other content; what was imported before it stays.
        """
        with self._operation("import_", path, timeout, "bulk") as operation:
            deadline, count = operation.deadline, 0
            batches = read_batches(path)
            while (batch := await self._runtime.call(next, batches, None, deadline=deadline)) is not None:
                try:
                    await self._register(check_items(batch), deadline, None, batch=True)
                except StorageError as error:
                    error.message = f"{path}, from line {count + 2} on: {error.message}"
                    raise
                count += len(batch)
            return count

    # Background work: started, and flushed at the end, by whoever owns the store

    async def flush_access(self) -> float:
        """Write the access counts down and refresh `popular_schemas`; answers the seconds until the next time."""
        counts = self._access.drain()
        if not counts:
            return FLUSH_S
        deadline = self._operations.deadline("bulk")
        ids = sorted(counts)
        try:
            async with self._engine.housekeeping(deadline=deadline) as unit:
                params = {"ids": ids, "counts": [counts[identifier] for identifier in ids]}
                await unit.execute("schemas_write.log_access", params)
                await unit.execute("schemas_write.trim_access_log", {"days": KEPT_DAYS})
                await unit.execute("schemas_write.refresh_popular")
        except StorageError:
            self._access.give_back(counts)
            raise
        return FLUSH_S

    def totals(self) -> dict[Total, int]:
        """What this store counts for telemetry."""
        fetched = sum(kind.hit_count() + kind.misses for kind in self._kinds.all)
        return {
            "schema_registry.schemas.registered": self._registrar.registered,
            "schema_registry.schemas.fetched": fetched,
            "schema_registry.schemas.deleted": self._registrar.deleted,
        }

    # What the calls ask for

    def _operation(self, name: str, key: object, timeout: float | None, budget: Budget) -> Operation:
        return self._operations.begin(name, key, timeout, budget)

    def _fetch(self, deadline: Deadline, read: Read, not_before: str | None) -> reads.Fetch:
        return self._engine.reading(deadline, read=read, not_before=not_before)

    async def _proposer(self, query: Query, fetch: reads.Fetch, deadline: Deadline) -> Proposer | None:
        if query.words is None or query.params["subject"] is not None:
            return None
        return await self._texts.ready(query.words.text, fetch, deadline)

    def _write(self, deadline: Deadline, idempotency_key: str | None = None) -> Transaction:
        return self._engine.write(deadline=deadline, idempotency_key=idempotency_key)

    async def _edit(self, edit: Edit, deadline: Deadline) -> Any:
        return await self._edits.write(edit, deadline)

    async def _register(
        self, items: Sequence[Mapping[str, Any]], deadline: Deadline, key: str | None, *, batch: bool
    ) -> list[Schema]:
        once.check_key(key)
        prepared = await self._registrar.prepare(items, deadline, batch=batch)
        if not batch and key is None and not prepared.staged and items[0]["id"] is None:
            schemas = [await self._registrations.write(prepared.registrations[0], deadline)]
        else:
            async with self._write(deadline, key) as write:
                schemas = await self._registrar.apply(write, prepared, key)
        self._registrar.registered += len(schemas)
        return await self._registrar.all_filled(schemas, deadline)

    async def _answers(self, schemas: Sequence[Schema | None], deadline: Deadline) -> list[Schema | None]:
        return [await self._answer(schema, deadline) for schema in schemas]

    async def _answer(self, schema: Schema | None, deadline: Deadline) -> Schema | None:
        if schema is None:
            return None
        self._seen(schema.id)
        return schema if schema.placement == INLINE else await self._registrar.filled(schema, deadline)


def _no_hit(_key: object) -> None:
    """Where telemetry is on, a hit goes the long way, through its span."""
    return


def _check_expires(expires: object) -> None:
    if not isinstance(expires, int) or isinstance(expires, bool) or not 1 <= expires <= MAX_EXPIRES_S:
        raise ValidationError(f"expires is {shown(expires)}; it is 1 to {MAX_EXPIRES_S} seconds", place="expires")
