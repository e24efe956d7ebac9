"""From a committed write to everybody who must know: L1 here, L2, the channel, the mark in the outbox (rule 2).

A write is acknowledged once it is committed. Whatever fails afterwards is remembered (`Unconfirmed`) and made good by the relay. A
delivery counts, and is marked, only if the server of L2 that took it still reigns then: one that was replaced may take it too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from tierstore.backends import Answering, Change, Channel, KeyValue, Records, Unit
from tierstore.errors import StorageError
from tierstore.runtime import Deadline, Runtime
from tierstore.runtime.counts import Counts
from tierstore.tiers.stats import Counters

DELIVERY_BUDGET_S = 0.25
MARK_EVERY_S = 0.05
IDLE_S = 60.0
MARK_BUDGET_S = 5.0
MOST_MARKS = 1000


class ChangeSet:
    """What one transaction changed: as L1 knows it, and as L2 and the outbox name it. `position`: once it is committed.

    `identity`: of the database for which it is named; None where nobody has asked.
    """

    __slots__ = ("changes", "fence", "identity", "local", "outbox_id", "position")

    def __init__(
        self, local: list[tuple[str, Hashable, int]], changes: list[Change], identity: str | None = None
    ) -> None:
        self.local = local
        self.changes = changes
        self.identity = identity
        self.outbox_id = 0
        self.fence = 0
        self.position = ""


class Unconfirmed:
    """Keys that L2 may still hold in an old version: a process reads past L2 until their invalidation is confirmed.

    Each write counts by itself: writes that overlap on a key are confirmed when all are. By this process's own delivery, or by an echo
    of a ping that was sent after the change was known here: the relay has then delivered every row that was committed.
    """

    def __init__(self) -> None:
        self.writing = Counts()
        self._known_at: dict[str, float] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.writing or name in self._known_at

    def __len__(self) -> int:
        return len(self.writing.names | self._known_at.keys())

    def __bool__(self) -> bool:
        return bool(self.writing or self._known_at)

    def begin(self, changes: Iterable[Change]) -> None:
        """A write of these keys may be committed from now on: no echo sent by now can cover it. `confirm` or `doubt` ends it."""
        self.writing.take(change.key for change in changes)

    def confirm(self, changes: Iterable[Change]) -> None:
        """L2 was invalidated for one write that began."""
        self.writing.give_back(change.key for change in changes)

    def doubt(self, changes: Sequence[Change], known_at: float) -> None:
        """Nobody knows whether L2 was invalidated for one write that began."""
        self.add(changes, known_at)
        self.confirm(changes)

    def add(self, changes: Iterable[Change], known_at: float) -> None:
        """Keys that changed, as was known at `known_at`: L2 may not have been invalidated."""
        for change in changes:
            self._known_at[change.key] = known_at

    def echo(self, sent_at: float) -> None:
        for name, known_at in list(self._known_at.items()):
            if known_at <= sent_at:
                self._known_at.pop(name, None)

    def clear(self) -> None:
        """What was in doubt is so no more. Writes that are under way go on."""
        self._known_at.clear()


class Delivery:
    """The writer's side of rule 2."""

    def __init__(
        self,
        runtime: Runtime,
        records: Records,
        key_value: KeyValue | None,
        channel: Channel | None,
        counters: Counters,
        wake: Callable[[], None],
    ) -> None:
        self._runtime = runtime
        self._records = records
        self._key_value = key_value
        self._channel = channel
        self._is_published = isinstance(channel, Answering)  # else the carrier reads the outbox itself
        self._counters = counters
        self._wake = wake
        self._marks: deque[tuple[int, int]] = deque()
        """Outbox rows that were delivered, and in which reign."""
        self._marking: list[tuple[int, int]] = []
        self.unconfirmed = Unconfirmed()

    async def append(self, unit: Unit, change_set: ChangeSet) -> str | None:
        """The outbox row, in the write's own transaction. Returns the identity of the database that it lies in, if that can change."""
        keys, versions = zip(*change_set.changes, strict=True)
        rows: list[Any] = await unit.fetch("outbox.append", {"keys": list(keys), "versions": list(versions)})
        identity, change_set.outbox_id, change_set.fence = rows[0]
        return None if identity is None else str(identity)

    def committing(self, change_set: ChangeSet) -> None:
        """From here on the write may be committed at any moment: L2 is not to be believed about these keys."""
        if self._key_value is not None:
            self.unconfirmed.begin(change_set.changes)

    def in_doubt(self, change_set: ChangeSet) -> None:
        """Committed or not: nobody knows. The relay delivers the row if it is there."""
        if self._key_value is not None:
            self.unconfirmed.doubt(change_set.changes, self._runtime.monotonic())

    async def deliver(self, change_set: ChangeSet, deadline: Deadline) -> None:
        """L2, then the channel, then the mark. Raises nothing but the end of this caller itself."""
        if self._key_value is None and not self._is_published:
            return  # the outbox row is the message; housekeeping marks it
        deadline, reign = deadline.within(DELIVERY_BUDGET_S), self.reign()
        try:
            await self._invalidate_l2(change_set.changes, change_set.fence, deadline)
        except StorageError:
            self._counters.deliveries_failed += 1
            self.in_doubt(change_set)
            return
        except BaseException:
            self.in_doubt(change_set)
            raise
        if self._key_value is not None:
            self.unconfirmed.confirm(change_set.changes)
        try:
            await self._publish(change_set.changes, deadline)
        except StorageError:
            self._counters.deliveries_failed += 1
            return
        self.mark_later([change_set.outbox_id], reign)

    async def invalidate(self, changes: list[Change], fence: int, deadline: Deadline) -> None:
        """L2, then the channel. All slots of L2 answer before anything is published: who hears of it must not find the old value."""
        await self._invalidate_l2(changes, fence, deadline)
        await self._publish(changes, deadline)

    def reign(self) -> int:
        """That in which L2 is told of what is delivered from now on."""
        return 0 if self._key_value is None else self._key_value.reign

    async def still_reigns(self, reign: int, deadline: Deadline) -> bool:
        """Whether what was delivered in that reign counts. StorageError if nobody can tell."""
        return self._key_value is None or await self._key_value.still_reigns(reign, deadline=deadline)

    async def _invalidate_l2(self, changes: list[Change], fence: int, deadline: Deadline) -> None:
        if self._key_value is not None:
            await self._key_value.invalidate(changes, floor=fence, deadline=deadline)

    async def _publish(self, changes: list[Change], deadline: Deadline) -> None:
        if self._channel is not None:
            await self._channel.publish(changes, deadline=deadline)

    def marking(self, reign: int) -> set[int]:
        """Rows that were delivered in that reign, and that the database does not know as such yet: they need no other delivery."""
        return {outbox_id for outbox_id, since in (*self._marking, *self._marks.copy()) if since == reign}

    def mark_later(self, ids: Iterable[int], reign: int) -> None:
        """What was delivered in that reign is marked soon, together with what comes meanwhile."""
        self._marks.extend((outbox_id, reign) for outbox_id in ids)
        self._wake()

    async def mark_soon(self) -> float:
        """The job: wait for more to come, then mark. Returns the seconds until the next turn."""
        if not self._marks:
            return IDLE_S
        await self._runtime.sleep(MARK_EVERY_S)
        await self.mark()
        return 0.0 if self._marks else IDLE_S

    async def mark(self) -> int:
        """Mark what was delivered, many rows in one statement; returns how many were looked at."""
        marks: list[tuple[int, int]] = []
        while self._marks and len(marks) < MOST_MARKS:
            marks.append(self._marks.popleft())
        if marks:
            last = marks[-1][1]
            ids = [outbox_id for outbox_id, reign in marks if reign == last]
            self._marking = marks
            try:
                with suppress(StorageError):  # the relay delivers them once more
                    await self._mark(ids, last, self._runtime.deadline(MARK_BUDGET_S))
            finally:
                self._marking = []
        return len(marks)

    async def _mark(self, ids: list[int], reign: int, deadline: Deadline) -> None:
        if await self.still_reigns(reign, deadline):
            await self._records.execute("outbox.mark_delivered", {"ids": ids}, deadline=deadline)
