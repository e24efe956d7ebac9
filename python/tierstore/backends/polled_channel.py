"""What the carriers without Redis share: the database is asked at most once every POLL_S, and an answer is the echo."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from tierstore.backends import Change, Echo, Event
from tierstore.runtime import Deadline, Runtime

POLL_S = 0.2
POLL_BUDGET_S = 1.0


class Pinged(Protocol):
    """What every polled carrier asks of its database."""

    async def ping(self, deadline: Deadline) -> str: ...


class PolledChannel(ABC):
    """The engine's half is `open` and `_poll`."""

    def __init__(self, runtime: Runtime, database: Pinged) -> None:
        self._runtime = runtime
        self._database = database
        self._next_poll = 0.0

    @abstractmethod
    async def _poll(self, deadline: Deadline) -> list[Event]:
        """What was committed since the last poll that succeeded."""

    async def publish(self, changes: Sequence[Change], *, deadline: Deadline) -> None:
        """Nothing to do: the write's own transaction put its row there."""
        return

    async def receive(self, *, wait_s: float) -> list[Event]:
        """At most one poll, POLL_S after the one before. ConnectionError or TimeoutError where it failed; the next one catches up."""
        due = self._next_poll - self._runtime.monotonic()
        if due > wait_s:
            await self._runtime.sleep(wait_s)
            return []
        if due > 0:
            await self._runtime.sleep(due)
        sent_at = self._runtime.monotonic()
        self._next_poll = sent_at + POLL_S
        events = await self._poll(self._runtime.deadline(POLL_BUDGET_S))
        return [*events, Echo(sent_at)]

    async def ping(self, deadline: Deadline) -> str:
        return await self._database.ping(deadline)

    async def close(self, deadline: Deadline) -> None:
        """The connection is the driver's, which closes it."""
        return
