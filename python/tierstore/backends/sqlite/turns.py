"""A lock that is waited for until a deadline, in both faces, and that another thread than the holder's may give back.

    turn = turns.turn()
    try:
        await turn.take(deadline)
        ...
    finally:
        turn.give()

In the blocking face Ctrl-C comes between any two steps. So a turn is made before it is taken; it is taken and noted as taken in one step,
and given back in one step, which does nothing where it was not taken: the end of the `try` is right whatever was interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from itertools import compress
from operator import methodcaller
from typing import Any, Protocol

from tierstore.errors import TimeoutError
from tierstore.runtime import Deadline, Runtime

_release = methodcaller("release")


class Turn(Protocol):
    """One caller's turn. Used once."""

    @property
    def held(self) -> object:
        """True in a condition once it was taken."""
        ...

    async def take(self, deadline: Deadline) -> None:
        """Wait for the turn. TimeoutError at the deadline; a caller that is cancelled leaves the queue."""
        ...

    def give(self) -> object:
        """Hand it to the next, from any thread, if it is held."""
        ...


def _late() -> TimeoutError:
    return TimeoutError("the deadline passed while another write was running; give the call a longer timeout=")


class LoopTurns:
    """First come, first served."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._queue: deque[asyncio.Future[None]] = deque()
        self.busy = False

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def turn(self) -> LoopTurn:
        return LoopTurn(self)

    async def take(self, deadline: Deadline) -> None:
        if not self.busy:
            self.busy = True
            return
        turn = self.loop.create_future()
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
            self.loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        if self._queue:
            self._queue.popleft().set_result(None)
        else:
            self.busy = False


class LoopTurn:
    def __init__(self, turns: LoopTurns) -> None:
        self._turns = turns
        self.held = False

    async def take(self, deadline: Deadline) -> None:
        await self._turns.take(deadline)
        self.held = True

    def give(self) -> None:
        if self.held:
            self.held = False
            self._turns.give()

    def give_after(self, work: Future[Any]) -> None:
        """It is the work's from here on."""
        self.held = False
        work.add_done_callback(lambda _: self._turns.give())


class ThreadTurns:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiters: set[ThreadTurn] = set()

    @property
    def waiting(self) -> int:
        return len(self.waiters)

    @property
    def busy(self) -> bool:
        return self.lock.locked()

    def turn(self) -> ThreadTurn:
        return ThreadTurn(self)


class ThreadTurn:
    def __init__(self, turns: ThreadTurns) -> None:
        self._turns = turns
        self.held: list[threading.Lock] = []
        self.give: Callable[[], object] = partial(next, map(_release, iter(self.held)), None)

    async def take(self, deadline: Deadline) -> None:
        if not self.acquire(0.0):
            waiters = self._turns.waiters
            try:
                waiters.add(self)
                if not self.acquire(deadline.remaining()):
                    raise _late()
            finally:
                waiters.discard(self)

    def acquire(self, seconds: float) -> bool:
        """The lock comes into `held` if it could be taken: all within one call, so that nothing comes between."""
        lock = self._turns.lock
        self.held.extend(compress((lock,), map(lock.acquire, (True,), (seconds,))))
        return bool(self.held)


Turns = LoopTurns | ThreadTurns


def turns(runtime: Runtime) -> Turns:
    return LoopTurns() if runtime.face == "async" else ThreadTurns()
