"""Notes by id: a small store with all that a store can have. `test_toy.py` plants it and adds its line to the roster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tierstore.calls.once import check_key, once
from tierstore.calls.scope import Loading, Scope, no_hit
from tierstore.calls.store import BaseStore, Ground, Parts
from tierstore.calls.usage import Usage
from tierstore.plan.paging import Page, check_limit, is_name, page_of, read_cursor
from tierstore.plan.route import Read
from tierstore.plan.values import check_name, check_text
from tierstore.records import Record
from tierstore.runtime import Deadline, Job
from tierstore.tiers.kind import ABSENT, Found, Kind, Loaded, Source


class Note(Record, kind=0xF0FF):
    """A text under an id."""

    id: str
    text: str
    row_version: int


async def _load(keys: list[str], source: Source) -> Loaded:
    loading = Loading(source)
    rows = await loading.fetch("notes.get_many", {"ids": keys})
    return loading.loaded({row[0]: Found(Note(*row), row[2]) for row in rows})


class NoteParts(Parts):
    def __init__(self, ground: Ground, name: str) -> None:
        super().__init__(ground, name)
        self.by_id = ground.engine.kind(Kind("note", Note, _load, store=name))
        self.usage = Usage(name, ground.engine, lambda: self.operations.deadline("bulk"))

    def jobs(self) -> Mapping[str, Job]:
        return {"use counts": self.usage.flush}

    async def flush(self, deadline: Deadline) -> None:
        await self.usage.flush(deadline)

    async def warnings(self, deadline: Deadline) -> Sequence[str]:
        return ("notes: this store is a toy",)

    async def referenced(self, digests: Sequence[str], deadline: Deadline) -> set[str]:
        return set()


class NoteStore(BaseStore[NoteParts]):
    """Notes by id (`store.notes`)."""

    _parts_class = NoteParts

    def __init__(self, parts: NoteParts, scope: Scope) -> None:
        super().__init__(parts, scope)
        self._hit = scope.hit(parts.by_id)
        self._seen = no_hit if scope.is_inside else parts.usage.seen

    async def put(
        self, id: str, text: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> Note:
        """Store the text under the id, in place of what was there."""
        with self._operation("put", id, timeout, "write") as operation:
            params = {"id": check_name(id, "id"), "text": check_text(text, "text", 1_000)}
            async with self._scope.write(operation.deadline, check_key(idempotency_key)) as write:

                async def do() -> list[str]:
                    ((version,),) = await write.unit.fetch("notes.put", params)
                    write.changed(self._parts.by_id, id, version)
                    return [id]

                if idempotency_key is None:
                    await do()
                else:
                    await once(write, self._parts.name, "put", idempotency_key, params, do)
                (note,) = await self._parts.by_id.get_in(write, [id], deadline=operation.deadline)
            assert note is not None
            return note

    def hit_get(self, id: str) -> Note | None:
        """The note if L1 has it."""
        note = self._hit(id) if type(id) is str else None
        return None if note is None or note is ABSENT else note

    async def get(
        self, id: str, *, timeout: float | None = None, read: Read = "session", not_before: str | None = None
    ) -> Note | None:
        """The note, or None."""
        with self._operation("get", id, timeout, "read") as operation:
            self._seen(check_name(id, "id"))
            deadline = operation.deadline
            return await self._scope.get(self._parts.by_id, id, deadline=deadline, read=read, not_before=not_before)

    async def list(
        self, prefix: str = "", *, limit: int = 100, after: str | None = None, timeout: float | None = None
    ) -> Page[Note]:
        """The notes whose ids begin with `prefix`, by id."""
        with self._operation("list", prefix, timeout, "read") as operation:
            query, at = ["notes", prefix], read_cursor(["notes", prefix], after, (is_name,))
            params = {"prefix": f"{prefix}%", "after": at[0] if at else "", "limit": check_limit(limit) + 1}
            rows = await self._scope.fetch(operation.deadline)("notes.list", params)
            return page_of(rows, limit, query, lambda row: [row[0]], lambda row: Note(*row))

    async def warm(self, limit: int = 100, *, timeout: float | None = None) -> int:
        """Load the most read notes; answers how many."""
        with self._operation("warm", None, timeout, "bulk", inside=False) as operation:
            rows = await self._scope.fetch(operation.deadline)("notes.most_read", {"limit": check_limit(limit)})
            ids = [row[0] for row in rows]
            return len(await self._scope.get_many(self._parts.by_id, ids, deadline=operation.deadline))

    async def statistics(self, *, timeout: float | None = None) -> dict[str, int]:
        """How many there are."""
        with self._operation("statistics", None, timeout, "read") as operation:
            rows = await self._scope.fetch(operation.deadline)(
                "notes.list", {"prefix": "%", "after": "", "limit": 1000}
            )
            return {"notes": len(rows)}
