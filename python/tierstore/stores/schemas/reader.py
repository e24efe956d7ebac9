"""The reads of the schema store, in whatever scope they run. The first lines of each read by key are the whole of an L1 hit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tierstore.calls.scope import Fetch, Scope, no_hit
from tierstore.calls.store import BaseStore
from tierstore.plan.arguments import check_flag, check_many
from tierstore.plan.paging import Page
from tierstore.plan.route import Read
from tierstore.plan.schemas import LATEST_STATES, LIFECYCLE, SchemaStates
from tierstore.plan.values import Id, check_id, check_name
from tierstore.plan.versions import as_version, version_identity
from tierstore.runtime import Deadline
from tierstore.stores.schemas import reads
from tierstore.stores.schemas.kinds import schema_in
from tierstore.stores.schemas.model import Derived, Schema, SchemaInfo, SchemaType, SearchHit
from tierstore.stores.schemas.parts import SchemaParts
from tierstore.stores.schemas.register import INLINE
from tierstore.stores.schemas.search import query_of, search
from tierstore.tiers.kind import ABSENT, Absence


class SchemaReader(BaseStore[SchemaParts]):
    """Reading by key, listing and searching."""

    def __init__(self, parts: SchemaParts, scope: Scope) -> None:
        super().__init__(parts, scope)
        self._kinds = kinds = parts.kinds
        self._by_id = kinds.by_id
        self._hit, self._hit_version = scope.hit(kinds.by_id), scope.hit(kinds.by_version)
        self._hit_latest = scope.hit(kinds.latest)
        self._seen: Callable[[str], None] = no_hit if scope.is_inside else parts.usage.seen

    # Reading by key

    async def get(
        self, id: Id, *, timeout: float | None = None, read: Read = "session", not_before: str | None = None
    ) -> Schema | None:
        """Return the schema with this id; None if there is none or it was deleted. InvalidKeyError if the id is not a UUID."""
        if read == "session" and not_before is None and type(id) is str:
            schema = self._hit(id)
            if schema is not None:
                if schema is ABSENT:
                    return None
                if schema.placement == INLINE:
                    self._seen(id)
                    return schema
        with self._operation("get", id, timeout, "read") as operation:
            identifier = check_id(id)
            schema = await self._scope.get(
                self._by_id, identifier, deadline=operation.deadline, read=read, not_before=not_before
            )
            if schema is not None and schema.placement == INLINE:
                self._seen(identifier)
                return schema
            return await self._answer(schema, operation.deadline)

    def hit_get(self, id: Id) -> Schema | None:
        """Return the schema if L1 has it, fresh and with its content; no coroutine is made for it."""
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
        """Return that version of the subject, whatever its state; None if there is none. Build metadata is ignored."""
        if read == "session" and not_before is None and type(version) is type(subject) is str:
            derived = self._hit_version((subject, version))
            if derived is not None and derived is not ABSENT:
                schema = schema_in(derived)
                if schema.placement == INLINE:
                    self._seen(schema.id)
                    return schema
        with self._operation("get_version", subject, timeout, "read") as operation:
            key = (check_name(subject, "subject"), version_identity(as_version(version)))
            deadline = operation.deadline
            derived = await self._scope.get(
                self._kinds.by_version, key, deadline=deadline, read=read, not_before=not_before
            )
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
        states: SchemaStates | None = LATEST_STATES,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Schema | None:
        """Return the highest version in one of `states`; a pre-release only if asked for, or if there is no release.

        The latest of other states than active and deprecated is not cached.
        """
        cached = states is LATEST_STATES
        if cached and not prerelease and read == "session" and not_before is None and type(subject) is str:
            derived = self._hit_latest(subject)
            if derived is not None and derived is not ABSENT:
                schema = schema_in(derived)
                if schema.placement == INLINE:
                    self._seen(schema.id)
                    return schema
        with self._operation("get_latest", subject, timeout, "read") as operation:
            deadline, wanted = operation.deadline, LIFECYCLE.wanted_states(states)
            check_flag(prerelease, "prerelease")
            if wanted != LATEST_STATES:
                fetch = self._showing(deadline, read, not_before)
                found = await reads.latest(
                    fetch, [check_name(subject, "subject")], prerelease=prerelease, states=wanted
                )
                return await self._answer(found[0].record, deadline)
            kind = self._kinds.latest_any if prerelease else self._kinds.latest
            derived = await self._scope.get(
                kind, check_name(subject, "subject"), deadline=deadline, read=read, not_before=not_before
            )
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
        """Return the schemas in argument order, None for the absent. One round trip to each tier."""
        with self._operation("get_many", None, timeout, "read") as operation:
            keys = check_many(ids, "ids", check_id)
            deadline = operation.deadline
            schemas = await self._scope.get_many(
                self._kinds.by_id, keys, deadline=deadline, read=read, not_before=not_before
            )
            return await self._answers(schemas, deadline)

    async def get_latest_many(
        self,
        subjects: Sequence[str],
        *,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> list[Schema | None]:
        """Return `get_latest` of each subject, in argument order, None for the absent. One round trip to each tier."""
        with self._operation("get_latest_many", None, timeout, "read") as operation:
            keys = check_many(subjects, "subjects", _check_subject)
            deadline = operation.deadline
            derived = await self._scope.get_many(
                self._kinds.latest, keys, deadline=deadline, read=read, not_before=not_before
            )
            return await self._answers([None if each is None else schema_in(each) for each in derived], deadline)

    # What the calls need

    def _fetch(self, deadline: Deadline, read: Read = "session", not_before: str | None = None) -> Fetch:
        return self._scope.fetch(deadline, read, not_before)

    def _showing(self, deadline: Deadline, read: Read, not_before: str | None) -> Fetch:
        """For rows that the call answers as they are."""
        return self._scope.fetch(deadline, read, not_before, functools.partial(self._kinds.shown, self._scope))

    async def _answers(self, schemas: Sequence[Schema | None], deadline: Deadline) -> list[Schema | None]:
        return [await self._answer(schema, deadline) for schema in schemas]

    async def _answer(self, schema: Schema | None, deadline: Deadline) -> Schema | None:
        """Return the schema with its content, and count it as read."""
        if schema is None:
            return None
        self._seen(schema.id)
        return schema if schema.placement == INLINE else await self._filled(schema, deadline)

    async def _filled(self, schema: Schema, deadline: Deadline) -> Schema:
        return await self._scope.filled(self._parts.blobs, schema, deadline)

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
        """Return the versions of a subject, the highest first. `deleted=True` lists deleted ones too, with `deleted_at` set."""
        with self._operation("list", subject, timeout, "read") as operation:
            return await reads.list_versions(
                self._showing(operation.deadline, read, not_before),
                subject,
                states=LIFECYCLE.check_states(states),
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
        """Return the subjects that begin with `prefix` and have a schema that is not deleted, in the order of their bytes."""
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
        """Return the schemas in which every word of the text is found: in subject, description or identifiers, exactly or with typos.

        A word of one or two letters matches the beginning of the subject. A hit has all of `tags`, and its metadata contains
        `metadata`. The best score comes first, ties by subject, then the newest version; without a text every score is 0.
        docs/schemas.md says what a search with very many hits does.
        """
        with self._operation("search", text, timeout, "search") as operation:
            query = query_of(
                self._parts.engine,
                text,
                subject=subject,
                tags=tags,
                states=states,
                schema_type=schema_type,
                metadata=metadata,
            )
            fetch = self._fetch(operation.deadline, read, not_before)
            index = None
            if query.words is not None and subject is None and not self._scope.is_inside:
                index = await self._parts.texts.ready(query.words.text, fetch, operation.deadline)
            showing = self._showing(operation.deadline, read, not_before)
            return await search(fetch, query, limit=limit, after=after, index=index, showing=showing)


def _check_subject(subject: object) -> str:
    return check_name(subject, "subject")
