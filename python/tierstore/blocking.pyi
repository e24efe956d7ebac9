# Generated from the async face by `python -m tests.house.blocking_stub`; a test holds it.
from __future__ import annotations

import os
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar, overload

from tierstore._native import DependencyGraph
from tierstore.config import Config
from tierstore.plan.lockfile import Lockfile
from tierstore.plan.modules import (
    ModuleState,
)
from tierstore.plan.paging import Page
from tierstore.plan.route import Read
from tierstore.plan.schemas import SchemaState, SchemaStates
from tierstore.plan.values import Id
from tierstore.store import Health, Statistics
from tierstore.stores.modules.dependencies import Dependency, GraphDirection, Impact, ModuleRef
from tierstore.stores.modules.model import (
    AuditEntry,
    Module,
    ModuleStatistics,
    ModuleVersion,
    ModuleVersionInfo,
)
from tierstore.stores.modules.reports import Compatibility, ForestReport, ImportReport, VersionChange
from tierstore.stores.modules.trees import RelativeTo
from tierstore.stores.schemas.model import (
    Popular,
    Schema,
    SchemaInfo,
    SchemaItem,
    SchemaStatistics,
    SchemaType,
    SearchHit,
)
from tierstore.stores.state.model import (
    Default,
    Entry,
    Keep,
    StateChange,
    StateExport,
    StateImport,
    StateRekey,
    StateStatistics,
)
from tierstore.telemetry import Telemetry
from tierstore.tiers.moving import BlobTarget, MigrateReport
from tierstore.tiers.sweep import Progress, SweepReport, VerifyReport

_T = TypeVar("_T")
_D = TypeVar("_D")

class BlobStore:
    """Content outside the rows of the stores, under its SHA-256 (`store.blobs`). docs/operations.md says when to use it."""

    def migrate(
        self,
        to: BlobTarget,
        *,
        dry_run: bool = ...,
        min_size: int | None = ...,
        after: str | None = ...,
        progress: Progress = ...,
        timeout: float | None = ...,
    ) -> MigrateReport:
        """Move content to the object store (`to="object"`) or into rows of the database (`to="row"`); `dry_run`: only say what would go.

        `min_size`: in bytes, smaller content stays; by default what belongs into the object store by its size moves there, and all of it
        into rows. Reads, registrations and a sweep may go on meanwhile. `progress(done, total)` is called now and then. When the time runs
        out, `report.next` says where to go on: give it as `after`; after a kill, begin anew: what was moved is passed over.
        UnsupportedError without an object store."""

    def sweep(
        self,
        *,
        dry_run: bool = ...,
        grace: float = ...,
        max_share: float = ...,
        progress: Progress = ...,
        timeout: float | None = ...,
    ) -> SweepReport:
        """Remove content that no store needs: purged content, and what crashes left behind. By default only report what would be removed.

        In two phases: `dry_run=False` marks what is unused, and a later call removes what was marked `grace` seconds ago and is still
        unused. `grace`, in seconds, must be longer than the longest write; by default it is a day. `progress(done, total)` is called
        now and then. The next sweep continues one that ended early. ConflictError, and nothing is changed, if more than `max_share`
        (0 to 1) of all contents would go: it may be the wrong database."""

    def verify(self, *, after: str | None = ..., progress: Progress = ..., timeout: float | None = ...) -> VerifyReport:
        """Read every content in each place where it lies, and replace damaged copies with good ones.

        `progress(done, total)` is called now and then. When the time runs out, `report.next` says where to go on: give it as `after`."""

class SchemaStore:
    """Schemas by subject and semantic version (`store.schemas`). docs/schemas.md explains it by example.

    Inside a transaction it has the same calls, except `transaction`, `warm` and `presign`."""

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
        self, items: Sequence[SchemaItem], *, idempotency_key: str | None = ..., timeout: float | None = ...
    ) -> list[Schema]:
        """Store all of them in one commit, or none. Each item has the arguments of `register` by name.

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
        """Return the ids that were read most in the last 30 days, as far as the use counts are written to the database."""

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

class StateStore:
    """Values under keys, each with an end (`store.state`).

    A key is 1 to 1,024 bytes of UTF-8 without control characters. A value is any JSON value (int64 exact), bytes, or whatever `type=`
    reads back. `ttl=`: seconds or a timedelta, None for no end, DEFAULT for `StateConfig.ttl`, which is a day. What has ended is never
    returned."""

    def warm(self, limit: int = ..., *, timeout: float | None = ...) -> int:
        """State is never cached: ask its server, and return 0."""

    def statistics(self, *, timeout: float | None = ...) -> StateStatistics | None:
        """Return how much there is, and how many reads found something. Where the server does not tell, None stands for it."""

    @overload
    def get(self, key: str, *, timeout: float | None = ...) -> Any:
        """Return the value, or `default` if there is none.

        `type`: any annotation; the value is checked and converted to it, without coercion. ValidationError, which names the place in the
        value, if it does not fit. A stored None is told from absence by `get_entry`."""

    @overload
    def get(self, key: str, *, default: Any, timeout: float | None = ...) -> Any:
        """Return the value, or `default` if there is none.

        `type`: any annotation; the value is checked and converted to it, without coercion. ValidationError, which names the place in the
        value, if it does not fit. A stored None is told from absence by `get_entry`."""

    @overload
    def get(self, key: str, *, type: type[_T], timeout: float | None = ...) -> _T | None:
        """Return the value, or `default` if there is none.

        `type`: any annotation; the value is checked and converted to it, without coercion. ValidationError, which names the place in the
        value, if it does not fit. A stored None is told from absence by `get_entry`."""

    @overload
    def get(self, key: str, *, type: type[_T], default: _D, timeout: float | None = ...) -> _T | _D:
        """Return the value, or `default` if there is none.

        `type`: any annotation; the value is checked and converted to it, without coercion. ValidationError, which names the place in the
        value, if it does not fit. A stored None is told from absence by `get_entry`."""

    @overload
    def get(self, key: str, *, type: Any, default: Any = ..., timeout: float | None = ...) -> Any:
        """Return the value, or `default` if there is none.

        `type`: any annotation; the value is checked and converted to it, without coercion. ValidationError, which names the place in the
        value, if it does not fit. A stored None is told from absence by `get_entry`."""

    def get_entry(self, key: str, *, type: Any = ..., timeout: float | None = ...) -> Entry | None:
        """Return the value with its etag and its end, or None if there is none. `type`: as for `get`."""

    @overload
    def get_many(self, keys: Iterable[str], *, timeout: float | None = ...) -> list[Any]:
        """Return the values in the order of the keys, None for what is absent. One round trip a server. `type`: as for `get`."""

    @overload
    def get_many(self, keys: Iterable[str], *, type: type[_T], timeout: float | None = ...) -> list[_T | None]:
        """Return the values in the order of the keys, None for what is absent. One round trip a server. `type`: as for `get`."""

    @overload
    def get_many(self, keys: Iterable[str], *, type: Any, timeout: float | None = ...) -> list[Any]:
        """Return the values in the order of the keys, None for what is absent. One round trip a server. `type`: as for `get`."""

    def exists(self, key: str, *, timeout: float | None = ...) -> bool:
        """Return whether there is a value."""

    def ttl(self, key: str, *, timeout: float | None = ...) -> float | None:
        """Return the seconds that the value has left, by the server's clock: `math.inf` without an end, None if there is none."""

    def keys(
        self, prefix: str = ..., *, limit: int = ..., after: str | None = ..., timeout: float | None = ...
    ) -> Page[str]:
        """Return keys that begin with `prefix`, whose characters mean themselves, a page at a time and in no particular order.

        Keys that are there throughout all come; on Redis a page may repeat keys of earlier ones."""

    def scan(self, prefix: str = ..., *, timeout: float | None = ...) -> Iterator[str]:
        """Give every key that begins with `prefix` once: `async for key in store.state.scan("polly:")`. `timeout`: of each round trip."""

    def watch(
        self, prefix: str = ..., *, idle: float | None = ..., timeout: float | None = ...
    ) -> AbstractContextManager[Iterator[StateChange]]:
        """Tell the changes of all keys that begin with `prefix`.

        with store.state.watch("polly:") as changes:
            async for change in changes: ...

        Every change that is committed after the block began comes at least once, in order per key; an end within 15 seconds. Where changes
        were missed, a change of the kind "gap" says so. New ends (`touch`, `persist`) are no changes. The loop ends when nothing came for
        `idle` seconds; without it, never. `timeout`: of the beginning."""

    def ping(self, *, timeout: float | None = ...) -> float:
        """Ask the server of state, and return the seconds until it answered."""

    def add(
        self, key: str, value: Any, *, ttl: float | timedelta | Default | None = ..., timeout: float | None = ...
    ) -> bool:
        """Store the value if there is none, and return whether it was stored: of several callers one gets True."""

    def delete(self, key: str, *, expected_etag: str | None = ..., timeout: float | None = ...) -> bool:
        """Delete the value, and return whether there was one. ConflictError, and nothing is changed, if its etag is not `expected_etag`."""

    def touch(self, key: str, ttl: float | timedelta | Default | None = ..., *, timeout: float | None = ...) -> bool:
        """Give the value a new end, and return whether there is one. Its etag stays."""

    def persist(self, key: str, *, timeout: float | None = ...) -> bool:
        """Take the value's end away, and return whether there is a value. Its etag stays."""

    @overload
    def pop(self, key: str, *, default: Any = ..., timeout: float | None = ...) -> Any:
        """Delete the value and return it, or `default` if there is none: of several callers one gets it.

        `type`: as for `get`; a value that does not fit is not deleted."""

    @overload
    def pop(self, key: str, *, type: type[_T], timeout: float | None = ...) -> _T | None:
        """Delete the value and return it, or `default` if there is none: of several callers one gets it.

        `type`: as for `get`; a value that does not fit is not deleted."""

    @overload
    def pop(self, key: str, *, type: type[_T], default: _D, timeout: float | None = ...) -> _T | _D:
        """Delete the value and return it, or `default` if there is none: of several callers one gets it.

        `type`: as for `get`; a value that does not fit is not deleted."""

    @overload
    def pop(self, key: str, *, type: Any, default: Any = ..., timeout: float | None = ...) -> Any:
        """Delete the value and return it, or `default` if there is none: of several callers one gets it.

        `type`: as for `get`; a value that does not fit is not deleted."""

    def increment(
        self, key: str, by: int = ..., *, ttl: float | timedelta | Default | None = ..., timeout: float | None = ...
    ) -> int:
        """Add to the number, and return the sum. An absent one counts as 0 and gets `ttl`; one that is there keeps its end.

        ConflictError, and nothing is changed, if the value is not an int or the sum has more than 64 bits."""

    def compare_and_set(
        self,
        key: str,
        expected: Any,
        value: Any,
        *,
        ttl: float | timedelta | Default | Keep | None = ...,
        timeout: float | None = ...,
    ) -> bool:
        """Store the value if the one that is there equals `expected`, and return whether it was stored.

        Equal as JSON: the order of names does not count, and 1, 1.0 and True differ. `expected=ABSENT`: there must be none."""

    def update(
        self,
        key: str,
        function: Callable[[Any], Any],
        *,
        type: Any = ...,
        default: Any = ...,
        ttl: float | timedelta | Default | Keep | None = ...,
        timeout: float | None = ...,
    ) -> Any:
        """Store `function(value)` in place of the value, and return it. The function gets `default` if there is no value.

        It is called again with the new value when others changed it meanwhile, until the deadline: it must have no other effect. What it
        raises is raised, and nothing is changed. `type`: as for `get`."""

    def set_many(
        self, mapping: Mapping[str, Any], *, ttl: float | timedelta | Default | None = ..., timeout: float | None = ...
    ) -> None:
        """Store every value under its key, in one round trip a server: all or nothing (on Redis Cluster all or nothing per slot)."""

    def delete_many(self, keys: Iterable[str], *, timeout: float | None = ...) -> int:
        """Delete the values, and return how many there were."""

    def delete_prefix(self, prefix: str, *, everything: bool = ..., timeout: float | None = ...) -> int:
        """Delete every key that begins with `prefix`, and return how many there were. The empty prefix needs `everything=True`.

        In batches: after a TimeoutError some are deleted, and another call goes on."""

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        prefix: str = ...,
        resume: bool = ...,
        progress: Progress = ...,
        timeout: float | None = ...,
    ) -> StateExport:
        """Write every value under `prefix` to one file of JSON lines, with the time at which it ends; sealed values are opened.

        The file is readable by its owner alone. It is no snapshot: what is written meanwhile may be in it or not. With `resume` an export
        that was interrupted leaves what it has written beside `path`, and the next one goes on with that. `progress(done, total)` is
        called now and then. ValidationError for a path that cannot be written."""

    def import_(
        self,
        path: str | os.PathLike[str],
        *,
        existing: Literal["replace", "skip"] = ...,
        progress: Progress = ...,
        timeout: float | None = ...,
    ) -> StateImport:
        """Store the values of a file that `export` wrote, each with the end that it had; those whose time has come are left out.

        `existing`: what happens to a key that is there, "replace" or "skip". An import that was interrupted can be run again.
        ValidationError and CorruptError name the line."""

    def rekey(self, prefix: str = ..., *, progress: Progress = ..., timeout: float | None = ...) -> StateRekey:
        """Seal every value under `prefix` with the active key of `StateEncryption`, or open it where there is no encryption any more.

        Ends stay; etags change. What is sealed so already is left alone: run it again at any time, and to go on after a TimeoutError."""

    def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: float | timedelta | Default | Keep | None = ...,
        if_absent: bool = ...,
        expected_etag: str | None = ...,
        timeout: float | None = ...,
    ) -> str:
        """Store the value, with a new end, in place of what is there. Return its etag.

        ConflictError, and nothing is changed, with `if_absent` if there is a value, with `expected_etag` if there is none or its etag is
        another one."""

class ModuleStore:
    """Modules of protobuf files, in semantic versions (`store.modules`). docs/modules.md explains it by example.

    A module's name is 1 to 255 of A to Z, a to z, 0 to 9 and . _ / -, without `..` and without an empty part. A path is what an import
    writes: parts between slashes, relative. Inside a transaction it has the same calls, except `warm`."""

    def warm(self, limit: int = ..., *, timeout: float | None = ...) -> int:
        """Load the latest versions of the modules that were changed last into the caches, and return how many there are."""

    def statistics(self, *, timeout: float | None = ...) -> ModuleStatistics:
        """Return counts of modules, versions and files, and the share of reads that each cache tier served."""

    @overload
    def dependencies(
        self,
        name: str,
        version: str,
        *,
        transitive: Literal[False] = ...,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> list[Dependency]:
        """Return the imports of a version's files, in their order, with the module versions that they are bound to.

        With `transitive`, the other module versions that it needs, directly or not, with their depth."""

    @overload
    def dependencies(
        self,
        name: str,
        version: str,
        *,
        transitive: Literal[True],
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> list[ModuleRef]:
        """Return the imports of a version's files, in their order, with the module versions that they are bound to.

        With `transitive`, the other module versions that it needs, directly or not, with their depth."""

    def dependents(
        self,
        name: str,
        version: str | None = ...,
        *,
        transitive: bool = ...,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> list[ModuleRef]:
        """Return who depends on a version, or on any version of a module, by depth and name; with `transitive` over all steps."""

    def impact(
        self, name: str, version: str, *, timeout: float | None = ..., read: Read = ..., not_before: str | None = ...
    ) -> Impact:
        """Return who would feel it if a version went: who depends on it, directly or not, and who of them is in use."""

    def cycles(self, *, timeout: float | None = ..., read: Read = ..., not_before: str | None = ...) -> list[list[str]]:
        """Return the groups of versions that depend on each other in circles, as "name@version"."""

    def graph(
        self,
        name: str | None = ...,
        version: str | None = ...,
        *,
        direction: GraphDirection = ...,
        depth: int | None = ...,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> DependencyGraph:
        """Return what depends on what, with nodes "name@version": of all versions, of a module's, or of one.

        `direction`: towards what it depends on, or towards what depends on it; `depth`: over how many steps, all without it. Deprecated
        versions are marked."""

    def get(
        self, name: str, *, timeout: float | None = ..., read: Read = ..., not_before: str | None = ...
    ) -> Module | None:
        """Return the module; None if there is none of that name. InvalidKeyError if no module can have it."""

    def get_version(
        self, name: str, version: str, *, timeout: float | None = ..., read: Read = ..., not_before: str | None = ...
    ) -> ModuleVersion | None:
        """Return that version of the module, whatever its state; None if there is none. Build metadata is ignored."""

    def get_latest(
        self, name: str, *, timeout: float | None = ..., read: Read = ..., not_before: str | None = ...
    ) -> ModuleVersion | None:
        """Return the highest version that is published or deprecated; a pre-release only if there is no release.

        None if there is no such version, or no such module."""

    def list_versions(
        self,
        name: str,
        *,
        limit: int = ...,
        after: str | None = ...,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> Page[ModuleVersionInfo]:
        """Return the versions of a module in every state, the highest first, as semver orders them. NotFoundError if there is no module."""

    def get_file(
        self,
        name: str,
        version: str,
        path: str,
        *,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> bytes:
        """Return what is in a file of a version. NotFoundError if there is no such file, version or module."""

    def get_files(
        self,
        name: str,
        version: str,
        paths: Sequence[str] | None = ...,
        *,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> dict[str, bytes]:
        """Return what is in some files of a version, by path; in all of them without `paths`. Few round trips for all.

        NotFoundError names a file that is not there."""

    def changelog(
        self, name: str, version: str, *, timeout: float | None = ..., read: Read = ..., not_before: str | None = ...
    ) -> Sequence[VersionChange]:
        """Return what changed in a version against the one before it: files, their imports and packages; then its metadata and states.

        The one before it is the next lower version, as semver orders them, that is no draft; without one, all files are new.
        NotFoundError if there is no such version. Reads and parses the files that differ: O(their bytes)."""

    def check_compatibility(
        self,
        name: str,
        old: str,
        new: str,
        *,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> Compatibility:
        """Return what of version `new` may break those who use `old`.

        That is files that are gone or do not parse, other packages, and lost public imports; messages, fields and services are not
        compared. NotFoundError if there is no such version."""

    def export(self, name: str, version: str, path: str | os.PathLike[str], *, timeout: float | None = ...) -> int:
        """Write the files of a version to one zip file, and return how many there are. The same files give the same bytes.

        The file appears under its name when it is whole. NotFoundError if there is no such version; ValidationError if the path cannot be
        written."""

    def audit(
        self,
        name: str | None = ...,
        *,
        since: datetime | None = ...,
        limit: int = ...,
        after: str | None = ...,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> Page[AuditEntry]:
        """Return what was changed, the newest first: of one module, also of one that was deleted, or of all; from `since` on.

        `tierstore.acting_as` says who acts."""

    def create(
        self,
        name: str,
        *,
        description: str = ...,
        tags: Sequence[str] = ...,
        metadata: Mapping[str, Any] | None = ...,
        timeout: float | None = ...,
    ) -> Module:
        """Create a module. The same again returns the one that is there; ConflictError if it was described otherwise.

        InvalidKeyError for a wrong name."""

    def update(
        self,
        name: str,
        *,
        description: str | None = ...,
        tags: Sequence[str] | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        expected_version: int | None = ...,
        timeout: float | None = ...,
    ) -> Module:
        """Change what is said of a module; what is not given stays. `metadata` replaces the whole mapping.

        ConflictError if its row_version is not the expected one; NotFoundError if there is no such module."""

    def delete(self, name: str, *, timeout: float | None = ...) -> None:
        """Delete a module and its drafts. ConflictError if it has any other version; NotFoundError if there is no such module."""

    def create_version(
        self,
        name: str,
        version: str,
        files: Mapping[str, bytes],
        *,
        state: ModuleState = ...,
        description: str = ...,
        tags: Sequence[str] = ...,
        metadata: Mapping[str, Any] | None = ...,
        requires: Mapping[str, str] | None = ...,
        lockfile: Lockfile | None = ...,
        allow_unresolved: bool = ...,
        timeout: float | None = ...,
    ) -> ModuleVersion:
        """Create a version with its files, by path, in one commit. `state`: "draft", or "published" at once.

        `requires`: a constraint on each module that its files import from, {"acme/common": "^1.2"}; `lockfile`: the versions to take. Both
        are asked before other modules. A published version must import nothing that is unknown and have no file that does not parse:
        ConflictError names the places, unless `allow_unresolved`.

        The same files again return the version that is there, as it is now; ConflictError if it has other files. NotFoundError if there is
        no such module. ValidationError, with its place, for a wrong version, path or content: a version has at most 10,000 files, a file
        64 MiB, all of them 256 MiB."""

    def update_version(
        self,
        name: str,
        version: str,
        *,
        description: str | None = ...,
        tags: Sequence[str] | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        expected_version: int | None = ...,
        timeout: float | None = ...,
    ) -> ModuleVersion:
        """Change what is said of a version, in any state; what is not given stays. `metadata` replaces the whole mapping.

        ConflictError if its row_version is not the expected one; NotFoundError if there is no such version."""

    def delete_version(self, name: str, version: str, *, timeout: float | None = ...) -> None:
        """Delete a version and the list of its files. ConflictError lists who depends on it; NotFoundError if there is none."""

    def import_tree(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str,
        version: str,
        state: ModuleState = ...,
        allow_unresolved: bool = ...,
        on_progress: Progress | None = ...,
        timeout: float | None = ...,
    ) -> ImportReport:
        """Make the .proto files of a folder a version of a module, which is created if there is none, in one commit.

        Paths begin at the folder. If the version is there with the same files, nothing is uploaded or written; ConflictError if it has
        other files. ValidationError, with the file as its place, if one cannot be part of a version: nothing is written then. The
        report names the symbolic links that were left out, and the files that protoc would refuse. `on_progress(done, total)`
        counts files. Without `allow_unresolved` a version that is published must import nothing that is unknown and have no file that
        does not parse: ConflictError names the places."""

    def import_forest(
        self,
        folder: str | os.PathLike[str],
        *,
        version: str,
        prefix: str = ...,
        relative_to: RelativeTo = ...,
        state: ModuleState = ...,
        allow_unresolved: bool = ...,
        on_progress: Progress | None = ...,
        timeout: float | None = ...,
    ) -> ForestReport:
        """Make each folder in `folder` that has .proto files a version of a module: `prefix` and its name. As `import_tree` does.

        Paths begin at the folder of the module; with `relative_to="root"` at `folder`. A module that cannot be imported is named in
        the report, and the others go on. Each is one commit, so that an import that was interrupted can be run again."""

    def put_file(
        self,
        name: str,
        version: str,
        path: str,
        content: bytes,
        *,
        expected_version: int | None = ...,
        timeout: float | None = ...,
    ) -> ModuleVersion:
        """Put a file into a draft, in place of the one at that path. ConflictError if the version is no draft, or has changed."""

    def remove_file(
        self, name: str, version: str, path: str, *, expected_version: int | None = ..., timeout: float | None = ...
    ) -> ModuleVersion:
        """Take a file out of a draft. NotFoundError if it is not there; ConflictError as for `put_file`."""

    def publish(
        self, name: str, version: str, *, allow_unresolved: bool = ..., timeout: float | None = ...
    ) -> ModuleVersion:
        """Publish a draft: from then on its files never change. ConflictError if it is no draft; NotFoundError if there is none.

        ConflictError, too, if an import of it is unresolved or a file does not parse, with the places, unless `allow_unresolved`. Imports
        of other versions that wait for a file of it are bound to it."""

    def deprecate(
        self, name: str, version: str, reason: str, *, replaced_by: str | None = ..., timeout: float | None = ...
    ) -> ModuleVersion:
        """Say that a published version should not be used any more, why, and what takes its place. It can still be read.

        ConflictError if it is not published; NotFoundError if there is none."""

    def undeprecate(self, name: str, version: str, *, timeout: float | None = ...) -> ModuleVersion:
        """Take a deprecation back. ConflictError if the version is not deprecated; NotFoundError if there is none."""

    def archive(self, name: str, version: str, *, timeout: float | None = ...) -> ModuleVersion:
        """Archive a version for good: it is found by its name and version, and is never the latest.

        ConflictError if it is archived already; NotFoundError if there is none."""

    def list(
        self,
        *,
        prefix: str = ...,
        limit: int = ...,
        after: str | None = ...,
        timeout: float | None = ...,
        read: Read = ...,
        not_before: str | None = ...,
    ) -> Page[Module]:
        """Return the modules whose names begin with `prefix`, in the order of their bytes."""

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
    state: StateStore
    modules: ModuleStore

    def commit(self) -> None:
        """Commit now; the block may end afterwards, but nothing more can be written in it."""

    def rollback(self) -> None:
        """Drop everything since the transaction began."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo only the block's own changes when it raises."""

class Store:
    """An open store of the blocking face. Threads may share it; `close` it, or use it as a context manager."""

    schemas: SchemaStore
    state: StateStore
    modules: ModuleStore
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
        """Begin a transaction, calls of all stores in one commit. It commits when the block ends, and rolls back if the block raises.

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

_V = TypeVar("_V", contravariant=True)

_A = TypeVar("_A", covariant=True)

class Storing(Protocol[_V]):
    """As `Fact.store`."""

    def __call__(self, id: str, value: _V, /, *, timeout: float | None = ...) -> str: ...

class Asking(Protocol[_A]):
    """As `Fact.get`, `Fact.find` and `Fact.delete`."""

    def __call__(self, id: str, /, *, timeout: float | None = ...) -> _A: ...

class Call(Generic[_A]):
    """One call of a field as a method of its service: `get_pr_number` for one."""

    def __init__(self, field: StateField[Any], verb: str) -> None: ...
    def __get__(self, instance: StateService | None, owner: type[StateService]) -> _A: ...

class StateField(Generic[_T]):
    """A fact of a `StateService`, declared in its class: `build_id = StateField(int)`.

    `type`: an annotation that `store.state` reads. `ttl`: seconds or a timedelta, None for no end, DEFAULT for the service's. On an
    instance it is the fact itself, with the calls of `Fact`; the service has `store_<name>`, `get_<name>`, `find_<name>` and
    `delete_<name>` too."""

    def __init__(self, type: type[_T], *, ttl: float | timedelta | Default | None = ...) -> None: ...
    @overload
    def __get__(self, instance: None, owner: type[StateService]) -> Self: ...
    @overload
    def __get__(self, instance: StateService, owner: type[StateService]) -> Fact[_T]: ...
    def calls(self) -> tuple[Call[Storing[_T]], Call[Asking[_T]], Call[Asking[_T | None]], Call[Asking[bool]]]:
        """The methods `store_<name>`, `get_<name>`, `find_<name>`, `delete_<name>`, to be named in the class for type checkers."""

    def zero(self) -> Any:
        """What stands for a fact that is not there: 0, "", [], …; None for a type that has no such value."""

class Fact(Generic[_T]):
    """One field of one service. Each call takes the id of the thing that the fact is about, and `timeout` in seconds."""

    def __init__(self, service: StateService, field: StateField[_T]) -> None: ...
    def key(self, id: str) -> str:
        """The key in `store.state`. InvalidKeyError unless `id` is a text that is not empty."""

    def store(self, id: str, value: _T, *, timeout: float | None = ...) -> str:
        """Replace the fact and its end; returns its etag. ValidationError for a value that is not of the field's type."""

    def get(self, id: str, *, timeout: float | None = ...) -> _T:
        """The fact; 0, "" or the like if it is not there (`StateField.zero`)."""

    def find(self, id: str, *, timeout: float | None = ...) -> _T | None:
        """The fact; None if it is not there, so that a stored 0 is told from none."""

    def delete(self, id: str, *, timeout: float | None = ...) -> bool:
        """Whether it was there."""

class StateService:
    """Facts under ids, in `store.state` of either face. `prefix`: before every key; `ttl`: seconds or a timedelta, None for no end."""

    pr_number: StateField[int]
    vuln_check_run_id: StateField[int]
    license_check_run_id: StateField[int]
    workflow_run_id: StateField[int]
    store_pr_number: Call[Storing[int]]
    get_pr_number: Call[Asking[int]]
    find_pr_number: Call[Asking[int | None]]
    delete_pr_number: Call[Asking[bool]]
    store_vuln_check_run_id: Call[Storing[int]]
    get_vuln_check_run_id: Call[Asking[int]]
    find_vuln_check_run_id: Call[Asking[int | None]]
    delete_vuln_check_run_id: Call[Asking[bool]]
    store_license_check_run_id: Call[Storing[int]]
    get_license_check_run_id: Call[Asking[int]]
    find_license_check_run_id: Call[Asking[int | None]]
    delete_license_check_run_id: Call[Asking[bool]]
    store_workflow_run_id: Call[Storing[int]]
    get_workflow_run_id: Call[Asking[int]]
    find_workflow_run_id: Call[Asking[int | None]]
    delete_workflow_run_id: Call[Asking[bool]]
    fields: ClassVar[tuple[str, ...]]

    def __init__(self, state: Any, *, prefix: str = ..., ttl: float | timedelta | None = ...) -> None: ...
    def all_state(self, id: str, *, timeout: float | None = ...) -> dict[str, Any]:
        """Every fact about `id` that is there, by the name of its field, in one round trip."""

    def delete_all_state(self, id: str, *, timeout: float | None = ...) -> int:
        """Forget every fact about `id`, in one round trip; returns how many were there."""

class LegacyModules:
    """The earlier names of calls of `store.modules`, which it stands before. Each warns, once for each line that makes it."""

    def __init__(self, modules: Any) -> None: ...
    def create_module(self, name: str, description: str = ...) -> Module:
        """As `store.modules.create`."""

    def get_module(self, name: str) -> Module | None:
        """As `store.modules.get`."""

    def list_modules(self, *, limit: int = ..., after: str | None = ...) -> Page[Module]:
        """As `store.modules.list`."""

    def create_version(self, name: str, version: str, files: Mapping[str, bytes]) -> ModuleVersion:
        """As `store.modules.create_version(..., state="published", allow_unresolved=True)`: there were no drafts."""

    def get_version(self, name: str, version: str) -> ModuleVersion | None:
        """As `store.modules.get_version`."""

    def list_versions(self, name: str, *, limit: int = ..., after: str | None = ...) -> Page[ModuleVersionInfo]:
        """As `store.modules.list_versions`."""

    def update_version(self, name: str, version: str, updates: Mapping[str, Any]) -> ModuleVersion:
        """As `store.modules.update_version`. `updates`: any of description, tags and metadata."""

    def get_file(self, name: str, version: str, path: str) -> bytes:
        """As `store.modules.get_file`."""

def open(config: Config | str | os.PathLike[str] | None = None, *, telemetry: Telemetry = ...) -> Store:
    """Open a store: a folder's path (embedded), the address of a PostgreSQL database or a Config; without any, by the environment.

    `read_only`: as in Config, and before it. Close it, or use it as a context manager. Threads may share it.
    """
