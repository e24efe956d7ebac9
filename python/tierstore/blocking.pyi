# Generated from the async face by `python -m tests.house.blocking_stub`; a test holds it.
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from tierstore.config import Config
from tierstore.plan.paging import Page
from tierstore.plan.route import Read
from tierstore.plan.schemas import SchemaState, SchemaStates
from tierstore.plan.values import Id
from tierstore.store import Health, Statistics
from tierstore.stores.schemas.model import Popular, Schema, SchemaInfo, SchemaStatistics, SchemaType, SearchHit
from tierstore.telemetry import Telemetry
from tierstore.tiers.sweep import Progress, SweepReport, VerifyReport

class BlobStore:
    """Content outside the rows of the stores, under its SHA-256 (`store.blobs`). docs/operations.md says when to use it."""

    def sweep(
        self,
        *,
        dry_run: bool = ...,
        grace: float = ...,
        max_share: float = ...,
        progress: Progress = ...,
        timeout: float | None = ...,
    ) -> SweepReport:
        """Remove content that no store needs: purged content, and what crashes left behind. By default only say what would go.

        In two phases: `dry_run=False` marks what is unused, and a later call removes what was marked `grace` seconds ago and is still
        unused. `grace` must be longer than the longest write; it is a day. `progress(done, total)` is called now and then. Whatever
        ended a sweep early, the next one goes on from there. ConflictError, and nothing is changed, if more than `max_share` (0 to 1)
        of all contents would go: it may be the wrong database."""

    def verify(self, *, after: str | None = ..., progress: Progress = ..., timeout: float | None = ...) -> VerifyReport:
        """Read every content in each place where it lies, and replace damaged copies by good ones.

        `progress(done, total)` is called now and then. When the time runs out, `report.next` says where to go on: give it as `after`."""

class SchemaStore:
    """Schemas by subject and semantic version (`store.schemas`). docs/schemas.md explains it by example.

    Inside a transaction it has the same calls, but for `transaction`, `warm` and `presign`."""

    def warm(self, limit: int = ..., *, timeout: float | None = ...) -> int:
        """Load the schemas that are read most into the caches, and return how many."""

    def statistics(self, *, timeout: float | None = ...) -> SchemaStatistics:
        """Return counts of what is not deleted, and the share of reads that each cache tier served."""

    def get(
        self, id: Id, *, timeout: float | None = ..., read: Read = ..., not_before: str | None = ...
    ) -> Schema | None:
        """Return the schema with this id; None if there is none or it was deleted. InvalidKeyError if the id is not a UUID."""

    def get_version(
        self, subject: str, version: str, *, timeout: float | None = ..., read: Read = ..., not_before: str | None = ...
    ) -> Schema | None:
        """Return that version of the subject, whatever its state; None if there is none. Build metadata is ignored."""

    def get_latest(
        self,
        subject: str,
        *,
        prerelease: bool = ...,
        states: SchemaStates | None = ...,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> Schema | None:
        """Return the highest version in one of `states`; a pre-release only if asked for, or if there is no release.

        The latest of other states than active and deprecated is not cached."""

    def get_many(
        self, ids: Sequence[Id], *, timeout: float | None = ..., read: Read = ..., not_before: str | None = ...
    ) -> list[Schema | None]:
        """Return the schemas in argument order, None for the absent. One round trip to each tier."""

    def get_latest_many(
        self, subjects: Sequence[str], *, timeout: float | None = ..., read: Read = ..., not_before: str | None = ...
    ) -> list[Schema | None]:
        """Return `get_latest` of each subject, in argument order, None for the absent. One round trip to each tier."""

    def subjects(
        self,
        prefix: str = ...,
        *,
        limit: int = ...,
        after: str | None = ...,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> Page[str]:
        """Return the subjects that begin with `prefix` and have a schema that is not deleted, in the order of their bytes."""

    def search(
        self,
        text: str | None = ...,
        *,
        subject: str | None = ...,
        tags: Sequence[str] = ...,
        states: SchemaStates | None = ...,
        schema_type: SchemaType | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        limit: int = ...,
        after: str | None = ...,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> Page[SearchHit]:
        """Return the schemas in which every word of the text is found: in subject, description or identifiers, exactly or with typos.

        A word of one or two letters matches the beginning of the subject. A hit has all of `tags`, and its metadata contains
        `metadata`. The best score comes first, ties by subject, then the newest version; without a text every score is 0.
        docs/schemas.md says what a search with very many hits does."""

    def register(
        self,
        subject: str,
        version: str,
        content: bytes,
        *,
        schema_type: SchemaType = ...,
        metadata: Mapping[str, Any] | None = ...,
        description: str = ...,
        tags: Sequence[str] = ...,
        state: SchemaState = ...,
        id: Id | None = ...,
        idempotency_key: str | None = ...,
        timeout: float | None = ...,
    ) -> Schema:
        """Store one version of a subject, and return it as stored.

        The same content again returns the record that is there, restored if it was deleted. ConflictError if the version holds other
        content. ValidationError (with its place) for content that is not valid for its type, InvalidKeyError for a wrong subject or id."""

    def register_many(
        self, items: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = ..., timeout: float | None = ...
    ) -> list[Schema]:
        """Store all of them in one commit, or none. Each item is a mapping with the arguments of `register`.

        An error names the first failing item: "items[3]: …"."""

    def set_state(
        self,
        id: Id,
        state: SchemaState,
        *,
        reason: str | None = ...,
        expected_version: int | None = ...,
        timeout: float | None = ...,
    ) -> Schema:
        """Move a schema to another state; the reason is kept in its metadata as `state_reason`.

        ConflictError for a move that the lifecycle does not allow, or if its row_version is not the expected one; NotFoundError if there
        is no such schema."""

    def delete(self, id: Id, *, expected_version: int | None = ..., timeout: float | None = ...) -> bool:
        """Delete a schema softly: no read finds it any more, and `restore` undoes it. Return False if there is no such schema.

        ConflictError if its row_version is not the expected one."""

    def restore(self, id: Id, *, timeout: float | None = ...) -> Schema:
        """Undo a deletion, and return the schema, also if it was not deleted. NotFoundError if it is unknown or was purged."""

    def purge(self, id: Id, *, timeout: float | None = ...) -> bool:
        """Remove the content for good and free the version; the id cannot be used again. Return False if there is no such schema."""

    def transaction(self, *, timeout: float | None = ...) -> AbstractContextManager[SchemaTransaction]:
        """Begin a transaction, several calls in one commit: `with store.schemas.transaction() as tx: tx.register(...)`."""

    def popular(self, limit: int = ..., *, timeout: float | None = ...) -> list[Popular]:
        """Return the ids that were read most in the last KEPT_DAYS days, by the use counts that are flushed already."""

    def presign(self, id: Id, *, expires: int = ..., timeout: float | None = ...) -> str:
        """Return a URL that serves the content to whoever has it, for `expires` seconds.

        Content that lies in the database is copied to the object store first. UnsupportedError if there is no object store."""

    def export(self, path: str | os.PathLike[str], *, resume: bool = ..., timeout: float | None = ...) -> int:
        """Write every schema that is not deleted to one file of JSON lines, and return how many the file holds.

        The file appears under its name when it is whole. With `resume`, an export that fails keeps what it has written beside it, and
        the next one goes on from there. ValidationError if the path cannot be written."""

    def import_(self, path: str | os.PathLike[str], *, timeout: float | None = ...) -> int:
        """Register every schema of a file that `export` wrote, with its id and state, and return how many.

        What is there already is skipped, so that an import that was interrupted can be run again. ConflictError if a version holds
        other content; what was imported before it stays."""

    def list(
        self,
        subject: str,
        *,
        states: SchemaStates | None = ...,
        schema_type: SchemaType | None = ...,
        deleted: bool = ...,
        limit: int = ...,
        after: str | None = ...,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> Page[SchemaInfo]:
        """Return the versions of a subject, the highest first. `deleted=True` lists deleted ones too, with `deleted_at` set."""

class SchemaTransaction(SchemaStore):
    """The calls of the store in one commit, and the transaction's own (`store.schemas.transaction`)."""

    def commit(self) -> None:
        """Commit now; the block may end afterwards, but nothing more can be written in it."""

    def rollback(self) -> None:
        """Drop everything since the transaction began."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo only the block's own changes when it raises."""

class Transaction:
    """All stores in one database transaction. Reads see the database; nothing is cached and nothing invalidated until the commit."""

    schemas: SchemaStore

    def commit(self) -> None:
        """Commit now; the block may end afterwards, but nothing more can be written in it."""

    def rollback(self) -> None:
        """Drop everything since the transaction began."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo only the block's own changes when it raises."""

class Store:
    """An open store of the blocking face. Threads may share it; `close` it, or use it as a context manager."""

    schemas: SchemaStore
    blobs: BlobStore

    @property
    def settings(self) -> tuple[Config, Telemetry]:
        """What it was opened with."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def close(self) -> None:
        """Flush, stop the jobs, close every connection, within `deadlines.close`. Closing twice is no error."""

    def health(self, *, timeout: float | None = ...) -> Health:
        """Ask every tier, and return what each said. A tier that fails has the error in its `detail`; only a wrong `timeout` raises."""

    def statistics(self, *, timeout: float | None = ...) -> Statistics:
        """Return counts of each store, hit ratios of each tier, and connections in use."""

    def transaction(self, *, timeout: float | None = ...) -> AbstractContextManager[Transaction]:
        """Begin a transaction, calls of all stores in one commit. It commits when the block ends, unless the block raised.

        with store.transaction() as tx:
            tx.schemas.register(...)"""

    def session(self) -> AbstractContextManager[Store]:
        """A scope of read-your-writes: reads in it see at least what was written in it. Without one, each thread is its own."""

    def token(self) -> str | None:
        """Return the position of this session's last write: another process reads from it with `not_before=`."""

    def migrate(self, *, timeout: float | None = ...) -> list[str]:
        """Apply the migrations that are missing, and return their names."""

    def warm(self, *, limit: int = ..., timeout: float | None = ...) -> int:
        """Load what is most used into the caches, at most `limit` records of each store, and return how many."""

def open(config: Config | str | os.PathLike[str] | None = None, *, telemetry: Telemetry = ...) -> Store:
    """Open a store: a folder's path (embedded), the address of a PostgreSQL database or a Config; without any, by the environment.

    Close it, or use it as a context manager. Threads may share it.
    """
