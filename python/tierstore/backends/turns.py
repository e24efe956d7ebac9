"""A lock that is waited for until a deadline, in both faces, and that another thread than the holder's may give back."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Protocol

from tierstore.backends import forks
from tierstore.errors import TimeoutError
from tierstore.runtime import Deadline, Runtime


class Turns(Protocol):
    """Held by one caller at a time."""

    @property
    def waiting(self) -> int: ...

    async def take(self, deadline: Deadline) -> None:
        """Wait for the turn. TimeoutError at the deadline; a caller that is cancelled leaves the queue."""
        ...

    def give(self) -> None:
        """Hand the turn to the next, from any thread."""
        ...


def turns(runtime: Runtime) -> Turns:
    if runtime.face == "async":
        return LoopTurns()
    made = ThreadTurns()
    forks.pause_while_forking(made)
    return made


def _late() -> TimeoutError:
    return TimeoutError("the deadline passed while another write was under way; give the call a longer timeout=")


class LoopTurns:
    """First come, first served."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: deque[asyncio.Future[None]] = deque()
        self._held = False

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def take(self, deadline: Deadline) -> None:
        if not self._held:
            self._held = True
            return
        turn = self._loop.create_future()
        self._queue.append(turn)
        try:
            await asyncio.wait({turn}, timeout=deadline.remaining())
        except asyncio.CancelledError:
            self._leave(turn)
            raise
        if not turn.done():
            self._leave(turn)
            raise _late()

    def _leave(self, turn: asyncio.Future[None]) -> None:
        if turn.done():  # it came in the moment of the cancellation
            self._pass_on()
        else:
            self._queue.remove(turn)

    def give(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        if self._queue:
            self._queue.popleft().set_result(None)
        else:
            self._held = False


class ThreadTurns:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waiting = 0

    async def take(self, deadline: Deadline) -> None:
        if self._lock.acquire(blocking=False):
            return
        self.waiting += 1
        try:
            if not self._lock.acquire(timeout=deadline.remaining()):
                raise _late()
        finally:
            self.waiting -= 1

    def give(self) -> None:
        self._lock.release()

    def pause(self, seconds: float) -> bool:
        return self._lock.acquire(timeout=seconds)

    def resume(self) -> None:
        self._lock.release()
