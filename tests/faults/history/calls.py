"""Random calls of one task, each noted with what it answered."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import tierstore
from tests.faults.history.notes import Notes
from tests.faults.history.records import Call, Row, Shown, Wrote, by_id, by_version, latest, latest_any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.history.player import Part

READS = ("session",) * 12 + ("latest", "latest", "bounded:300ms", "bounded:2s", "bounded:2s", "any")
LIMITS_S = (0.5, 1.0, 2.0)
WRITE_LIMIT_S = 4.0
REST_LIMIT_S = 5.0
VERSIONS = (*(f"1.{minor}.0" for minor in range(6)), "2.0.0-rc.1")
STATES = ("active", "deprecated", "active", "deprecated", "disabled")
TAG = "history"
MOST_KNOWN = 40


class Caller:
    """One task or thread of a process."""

    def __init__(
        self,
        part: Part,
        task: int,
        schemas: Any,
        token: Callable[[], str | None],
        notes: Notes,
        *,
        can_cancel: bool,
    ) -> None:
        self.random = Random(f"{part.seed} {part.name} {task}")
        self._task = task
        self._schemas = schemas
        self._token = token
        self._notes = notes
        self._can_cancel = can_cancel
        self._part = part
        self._made: list[str] = []
        self._calls = [call for call, weight in self._weighted() for _ in range(weight)]

    def _weighted(self) -> list[tuple[Callable[[], Awaitable[None]], int]]:
        return [
            (self.get, 26),
            (self.get_many, 5),
            (self.get_version, 10),
            (self.get_latest, 12),
            (self.get_latest_many, 2),
            (self.list, 7),
            (self.search, 4),
            (self.with_a_token, 8),
            (self.register, 6),
            (self.set_state, 10),
            (self.delete, 3),
            (self.restore, 4),
            (self.purge, 1),
            (self.transaction, 4),
            (self.change_mind, 3),
        ]

    async def any(self) -> None:
        await self.random.choice(self._calls)()

    # What to ask for

    def _id(self) -> str:
        return self.random.choice(self._part.ids + self._made)

    def _subject(self) -> str:
        return self.random.choice(self._part.subjects)

    @contextmanager
    def _noted(self, call: Call) -> Iterator[Call]:
        """What comes out of the call is noted; what is no error of the library has a mark."""
        try:
            yield call
        except tierstore.StorageError as error:
            call.error = call.error or f"{type(error).__name__}: {error}"[:200]
        except asyncio.CancelledError:
            call.error = "cancelled"
            raise
        except Exception as error:
            call.error = f"!{type(error).__name__}: {error}"[:300]
        finally:
            self._notes.end(call, time.monotonic())

    def _reading(self, name: str) -> tuple[Call, dict[str, Any]]:
        call = self._notes.begin(self._task, name, self.random.choice(READS), self.random.choice(LIMITS_S))
        return call, {"read": call.read, "timeout": call.limit}

    def _writing(self, name: str) -> Call:
        return self._notes.begin(self._task, name, limit=WRITE_LIMIT_S)

    # Reads

    async def get(self) -> None:
        call, how = self._reading("get")
        with self._noted(call):
            id = self._id()
            _show(call, by_id(id), await self._schemas.get(id, **how))

    async def get_many(self) -> None:
        call, how = self._reading("get_many")
        with self._noted(call):
            ids = [self._id() for _ in range(8)]
            for id, found in zip(ids, await self._schemas.get_many(ids, **how), strict=True):
                _show(call, by_id(id), found)

    async def get_version(self) -> None:
        call, how = self._reading("get_version")
        with self._noted(call):
            subject, version = self._subject(), self.random.choice(VERSIONS)
            _show(call, by_version(subject, version), await self._schemas.get_version(subject, version, **how))

    async def get_latest(self) -> None:
        call, how = self._reading("get_latest")
        with self._noted(call):
            subject = self._subject()
            if self.random.random() < 0.3:
                _show(call, latest_any(subject), await self._schemas.get_latest(subject, prerelease=True, **how))
            else:
                _show(call, latest(subject), await self._schemas.get_latest(subject, **how))

    async def get_latest_many(self) -> None:
        call, how = self._reading("get_latest_many")
        with self._noted(call):
            subjects = [self._subject() for _ in range(4)]
            for subject, found in zip(subjects, await self._schemas.get_latest_many(subjects, **how), strict=True):
                _show(call, latest(subject), found)

    async def list(self) -> None:
        call, how = self._reading("list")
        with self._noted(call):
            subject = self._subject()
            call.rows = _rows((await self._schemas.list(subject, **how)).items)
            call.listed = subject

    async def search(self) -> None:
        call, how = self._reading("search")
        call.limit = how["timeout"] = WRITE_LIMIT_S
        with self._noted(call):
            if self.random.random() < 0.5:
                page = await self._schemas.search(tags=(TAG,), subject=self._subject(), **how)
            else:
                page = await self._schemas.search(self._subject(), **how)
            call.rows = _rows(hit.schema for hit in page.items)

    async def with_a_token(self) -> None:
        """What another process has just written, by whatever read."""
        token = self._notes.token_of_another(self.random)
        if token is None:
            return
        name = self.random.choice(("get", "get_version", "get_latest", "list"))
        call, how = self._reading(name)
        call.token, call.read, row = (token.process, token.number), "session", token.row
        how = {"timeout": call.limit, "not_before": token.token}
        with self._noted(call):
            if name == "get":
                _show(call, by_id(row.id), await self._schemas.get(row.id, **how))
            elif name == "get_version":
                key = by_version(row.subject, row.version)
                _show(call, key, await self._schemas.get_version(row.subject, row.version, **how))
            elif name == "get_latest":
                _show(call, latest(row.subject), await self._schemas.get_latest(row.subject, **how))
            else:
                call.rows = _rows((await self._schemas.list(row.subject, **how)).items)
                call.listed = row.subject

    async def look_at_all(self) -> None:
        """At rest: every key, from the caches and from the database."""
        schemas, subjects = self._schemas, self._part.subjects
        for read in ("session", "latest"):
            how = {"read": read, "timeout": REST_LIMIT_S}
            for subject in subjects:
                pairs = [(latest(subject), schemas.get_latest(subject, **how))]
                pairs += [(by_version(subject, one), schemas.get_version(subject, one, **how)) for one in VERSIONS]
                pairs += [(latest_any(subject), schemas.get_latest(subject, prerelease=True, **how))]
                await self._look(read, "get_version", pairs)
                call = self._resting("list", read)
                with self._noted(call):
                    call.rows = _rows((await schemas.list(subject, **how)).items)
                    call.listed = subject
            await self._look(read, "get", [(by_id(id), schemas.get(id, **how)) for id in self._part.ids + self._made])

    def _resting(self, name: str, read: str) -> Call:
        call = self._notes.begin(self._task, name, read, REST_LIMIT_S)
        call.rest = True
        return call

    async def _look(self, read: str, name: str, pairs: Iterable[tuple[str, Awaitable[Any]]]) -> None:
        for key, asked in pairs:
            call = self._resting(name, read)
            with self._noted(call):
                _show(call, key, await asked)

    # Writes

    async def register(self) -> None:
        call = self._writing("register")
        with self._noted(call):
            subject, version = self._subject(), self.random.choice(VERSIONS)
            made = await self._register(self._schemas, call, subject, version)
            self._remember(made.id)
            self._hand_out(call, made)

    async def _register(self, schemas: Any, call: Call, subject: str, version: str) -> Any:
        content = b'{"title": "%d"}' % self.random.randrange(10**9)
        key = {"idempotency_key": f"{call.process} {call.number}"} if self.random.random() < 0.3 else {}
        again = 2 if key else 1
        for left in reversed(range(again)):
            try:
                made = await schemas.register(subject, version, content, tags=(TAG,), timeout=call.limit, **key)
                break
            except tierstore.OutcomeUnknownError:
                if not left:
                    raise
                call.limit += WRITE_LIMIT_S
        call.wrote.append(Wrote("register", made.id, _row(made)))
        return made

    async def set_state(self) -> None:
        call = self._writing("set_state")
        with self._noted(call):
            self._hand_out(call, await self._set_state(self._schemas, call, self._id()))

    async def _set_state(self, schemas: Any, call: Call, id: str) -> Any:
        reason = f"because of {call.number}" if self.random.random() < 0.3 else None
        changed = await schemas.set_state(id, self.random.choice(STATES), reason=reason, timeout=WRITE_LIMIT_S)
        call.wrote.append(Wrote("set_state", id, _row(changed)))
        return changed

    async def delete(self) -> None:
        call = self._writing("delete")
        with self._noted(call):
            id = self._id()
            if await self._schemas.delete(id, timeout=WRITE_LIMIT_S):
                call.wrote.append(Wrote("delete", id))

    async def restore(self) -> None:
        call = self._writing("restore")
        with self._noted(call):
            id = self._id()
            restored = await self._schemas.restore(id, timeout=WRITE_LIMIT_S)
            call.wrote.append(Wrote("restore", id, _row(restored)))
            self._hand_out(call, restored)

    async def purge(self) -> None:
        """Of what this process registered only, so that the others' ids stay."""
        if not self._made:
            return
        call = self._writing("purge")
        with self._noted(call):
            id = self.random.choice(self._made)
            if await self._schemas.purge(id, timeout=WRITE_LIMIT_S):
                call.wrote.append(Wrote("purge", id))

    async def transaction(self) -> None:
        """Reads and writes of several subjects in one commit, or none of them."""
        call, is_committed = self._writing("transaction"), False
        with self._noted(call):
            try:
                async with self._schemas.transaction(timeout=WRITE_LIMIT_S) as tx:
                    await self._read_inside(call, tx)
                    for subject in sorted({self._subject(), self._subject()}):
                        await self._write_inside(call, tx, subject)
                    if self.random.random() < 0.2:
                        raise _GaveUp
                is_committed = True
            except _GaveUp:
                call.error = "gave up"
            finally:
                if not is_committed:
                    call.wrote = []

    async def _read_inside(self, call: Call, tx: Any) -> None:
        """Before it has written anything: so it sees what is committed."""
        id = self._id()
        _show(call, by_id(id), await tx.get(id, timeout=WRITE_LIMIT_S))
        if self.random.random() < 0.5:
            subject = self._subject()
            call.rows = _rows((await tx.list(subject, timeout=WRITE_LIMIT_S)).items)
            call.listed = subject

    async def _write_inside(self, call: Call, tx: Any, subject: str) -> None:
        listed = (await tx.list(subject, timeout=WRITE_LIMIT_S)).items
        try:
            if listed and self.random.random() < 0.7:
                await self._set_state(tx, call, self.random.choice(listed).id)
            else:
                await self._register(tx, call, subject, self.random.choice(VERSIONS))
        except tierstore.ConflictError:
            pass

    async def change_mind(self) -> None:
        """A caller that leaves while its write is under way: it is done, or it is not."""
        if not self._can_cancel:
            return
        other = copy.copy(self)
        other._task = -1 - self._task  # it may have a session of its own
        changing = asyncio.ensure_future(self.random.choice((other.set_state, other.transaction, other.register))())
        await asyncio.sleep(self.random.random() * 0.01)
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)

    def _remember(self, id: str) -> None:
        if id not in self._part.ids and id not in self._made:
            self._made = [*self._made[-MOST_KNOWN:], id]

    def _hand_out(self, call: Call, schema: Any) -> None:
        token = self._token()
        if token is not None:
            self._notes.hand_out(token, call, _row(schema))


class _GaveUp(Exception):
    pass


def _show(call: Call, key: str, found: Any) -> None:
    if found is None:
        call.shown.append(Shown(key, None))
        return
    if hashlib.sha256(found.content).hexdigest() != found.content_digest:
        raise AssertionError(f"I12: the content of {found.id} is not that of its digest")
    call.shown.append(Shown(key, _row(found), found.meta is not None and found.meta.stale))


def _row(schema: Any) -> Row:
    return Row(schema.id, schema.subject, schema.version, schema.state, schema.row_version)


def _rows(schemas: Iterable[Any]) -> list[Row]:
    return [_row(schema) for schema in schemas]
