"""The changes of state in this process, for one who watches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tierstore.backends import Gap
from tierstore.backends.pairs import Changed
from tierstore.errors import ClosedError, TimeoutError
from tierstore.runtime import Deadline, Runtime
from tierstore.runtime.replies import Reply

MOST_WAITING = 10_000


class MemoryFeed:
    """At most MOST_WAITING changes wait for who watches; one more, and they are a Gap. `leave`: called when it is closed."""

    def __init__(self, runtime: Runtime, prefix: str, leave: Callable[[MemoryFeed], None]) -> None:
        self.prefix = prefix
        self._runtime = runtime
        self._leave = leave
        self._waiting: deque[Changed | Gap] = deque()
        self._reply: Reply | None = None
        self._closed = False

    def tell(self, change: Changed) -> None:
        """One more change. Called by one at a time, in order."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            self._waiting.append(Gap(f"more than {MOST_WAITING} changes waited for who watches"))
        self._waiting.append(change)
        self._wake()

    def _wake(self) -> None:
        reply = self._reply
        if reply is not None:
            reply.resolve(None)

    async def receive(self, *, wait_s: float) -> list[Changed | Gap]:
        if not self._waiting and not self._closed:
            await self._wait(self._runtime.deadline(wait_s))
        if self._closed:
            raise ClosedError("the watch was closed", tier="memory")
        found: list[Changed | Gap] = []
        while self._waiting:
            found.append(self._waiting.popleft())
        return found

    async def _wait(self, deadline: Deadline) -> None:
        """A reply is there before it is looked once more: what comes in between resolves it."""
        reply = self._reply = self._runtime.reply(deadline)
        try:
            if not self._waiting and not self._closed:
                await reply
        except TimeoutError:
            pass
        finally:
            self._reply = None

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._leave(self)
            self._wake()
