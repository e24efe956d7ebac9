"""Writes (rule 2): one transaction changes rows and names the changed keys in the outbox; nothing is invalidated before its commit.

async with engine.write(deadline=deadline) as write:
    await write.unit.execute("schemas_write.register", {...})
    write.changed("schema", id, version)
# committed; L1 here, L2 and the other processes are invalidated, or will be by the relay
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tierstore.backends import Unit
from tierstore.errors import ClosedError, TimeoutError, raise_alone
from tierstore.plan.invalidate import Changes
from tierstore.runtime import Deadline
from tierstore.runtime.replies import Reply
from tierstore.tiers import session
from tierstore.tiers.kind import K

if TYPE_CHECKING:
    from tierstore.tiers.cached import CachedKind
    from tierstore.tiers.engine import Engine


class _RollBack(Exception):
    """Leaves the unit's block so that it rolls back."""


class Transaction:
    """One database transaction. Entered once; the end of its block commits, unless it raised or was ended before.

    `reader`: whose next reads must see what it wrote; None: the running context's. `patience_s`: how long its statements may wait for
    the locks of other transactions; None: until the deadline.
    """

    def __init__(
        self,
        engine: Engine,
        deadline: Deadline,
        idempotency_key: str | None = None,
        *,
        reader: session.Session | None = None,
        patience_s: float | None = None,
    ) -> None:
        self._engine = engine
        self._block: AbstractAsyncContextManager[Unit] = engine.records.unit(
            deadline=deadline, idempotency_key=idempotency_key
        )
        self._changes = Changes()
        self._unit: Unit | None = None
        self._owner: Hashable = None
        self._turn = [True]  # taken by a pop, which is one step in threads too
        self._waiting: deque[Reply] = deque()
        self._reader = reader
        self.deadline = deadline
        self.patience_s = patience_s
        self.dialect = engine.dialect

    async def __aenter__(self) -> Self:
        self._engine.check_writable()
        unit = await self._block.__aenter__()
        try:
            self._unit = unit
            self._owner = self._engine.runtime.caller()
            session.hold(self)
        except BaseException as error:  # interrupted before the block, whose end will not come
            await self._end(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._unit is None:
                return
            if error is None:
                await self.commit()
            else:
                await self._end(error)
        finally:
            session.let_go(self)

    @property
    def unit(self) -> Unit:
        """The open database transaction. ClosedError once it has ended."""
        if self._unit is None:
            raise ClosedError("the transaction has ended: begin another one")
        return self._unit

    @property
    def is_open(self) -> bool:
        return self._unit is not None

    @property
    def has_changes(self) -> bool:
        """Whether it changed anything that is cached."""
        return bool(self._changes)

    def held_by(self, engine: object, caller: Hashable) -> bool:
        """Whether `caller` would wait for itself if it wrote outside this transaction."""
        return self.is_open and self._engine is engine and self._owner == caller

    def changed(self, kind: CachedKind[K, Any] | str, key: K, version: int) -> None:
        """The key of that kind has a new value, of that version. Told to the caches after the commit."""
        name = kind if isinstance(kind, str) else kind.kind.name
        self._engine.kinds[name]  # a KeyError here is a misspelt kind
        self._changes.add(name, key, version)

    def seen(self, kind: CachedKind[K, Any], key: K, version: int) -> None:
        """What a call answers of this key it has read here, at that version, and did not write: no later read contradicts it."""
        self.seen_many(kind, {key: version})

    def seen_many(self, kind: CachedKind[K, Any], shown: Mapping[K, int]) -> bool:
        """`seen` for each key at its version. Whether this process knew nothing later of any."""
        name, changes = kind.kind.name, self._changes
        return kind.saw({key: version for key, version in shown.items() if (name, key) not in changes})

    @asynccontextmanager
    async def turn(self, deadline: Deadline) -> AsyncIterator[None]:
        """One writing call after another: of two savepoints that overlap, undoing the first undoes what the second was told is written.

        TimeoutError where another call has not ended by the deadline.
        """
        while not self._takes_turn():
            await self._other_ends(deadline)
        try:
            yield
        finally:
            self._turn.append(True)
            self._wake_one()

    def _takes_turn(self) -> bool:
        try:
            return self._turn.pop()
        except IndexError:
            return False

    async def _other_ends(self, deadline: Deadline) -> None:
        reply = self._engine.runtime.reply(deadline)
        self._waiting.append(reply)
        if self._turn:  # given back before it was waited for: nobody may know of this caller
            self._wake_one()
        try:
            await reply
        except TimeoutError:
            raise_alone(TimeoutError("the deadline passed while another call of the same transaction was writing"))
        except BaseException:
            self._wake_one()  # it may have been this caller's turn
            raise

    def _wake_one(self) -> None:
        with suppress(IndexError):
            while not self._waiting.popleft().resolve(None):
                continue

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo only the block's own changes, and drop what it would have invalidated, when it raises."""
        mark = self._changes.mark()
        try:
            async with self.unit.savepoint():
                yield
        except BaseException:
            self._changes.rewind(mark)
            raise

    async def commit(self) -> None:
        """Commit now, then invalidate the caches. OutcomeUnknownError where the commit's answer was lost."""
        unit = self.unit
        if not self._changes:
            await self._end(None)
            return
        engine = self._engine
        change_set = engine.change_set(self._changes)
        try:
            await engine.append(unit, change_set)
        except BaseException as error:
            await self._end(error)
            raise
        engine.committing(change_set)
        try:
            await self._end(None)
        except BaseException:
            engine.in_doubt(change_set)
            raise
        change_set.position = unit.position or str(change_set.fence)
        await engine.committed(change_set, self._reader, self.deadline)

    async def rollback(self) -> None:
        """Drop everything since the transaction began."""
        if self._unit is not None:
            await self._end(_RollBack())

    async def _end(self, error: BaseException | None) -> None:
        self._unit = None
        try:
            await self._block.__aexit__(None if error is None else type(error), error, None)
        except _RollBack:
            pass
        except BaseException as raised:
            if raised is not error:
                raise
