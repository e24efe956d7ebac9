"""What one caller waits for while another does the work: a value, handed over at most once, until a deadline.

A `Waiter` of the runtime may be waited for by many and costs about 15 µs in the async face (`asyncio.wait` with a timer of its own).
The tiers answer a hundred thousand replies a second, so a reply has one caller, no task, and shares its timer with all that end in the
same 10 ms.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Any, Protocol

from tierstore.errors import TimeoutError

TICKS_PER_S = 100
LATE = "the deadline passed while another caller loads the same value; give the call a longer timeout="


class Reply(Protocol):
    """Awaited by one caller: the value, or TimeoutError at the deadline."""

    def resolve(self, value: Any) -> bool:
        """Hand over the value. False if the caller has left or has one already: it will not see this."""
        ...

    @property
    def value(self) -> Any:
        """What was handed over; None before, and for a caller that had left."""
        ...

    def __await__(self) -> Generator[Any, None, Any]: ...


class Alarms:
    """The timers of an event loop's replies: one for all whose deadline lies in the same tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ticks: dict[int, set[LoopReply]] = {}

    def begin(self, tick: int) -> set[LoopReply]:
        """A timer for a tick that has none."""
        self.loop.call_at(tick / TICKS_PER_S, self._ring, tick)
        replies = self.ticks[tick] = set()
        return replies

    def _ring(self, tick: int) -> None:
        for reply in list(self.ticks.pop(tick)):
            reply.expire()


class LoopReply:
    """A future of the loop's own; only its caller awaits it, so that cancelling that caller cancels nothing else."""

    __slots__ = ("_alarm", "_future")

    def __init__(self, alarms: Alarms, at: float) -> None:
        self._future: asyncio.Future[Any] = asyncio.Future(loop=alarms.loop)
        tick = int(at * TICKS_PER_S) + 1
        alarm = alarms.ticks.get(tick)
        self._alarm = alarms.begin(tick) if alarm is None else alarm
        self._alarm.add(self)

    @property
    def value(self) -> Any:
        future = self._future
        handed_over = future.done() and not future.cancelled() and future.exception() is None
        return future.result() if handed_over else None

    def resolve(self, value: Any) -> bool:
        self._alarm.discard(self)
        future = self._future
        if future.done():
            return False
        future.set_result(value)
        return True

    def expire(self) -> None:
        if not self._future.done():
            self._future.set_exception(TimeoutError(LATE))

    def __await__(self) -> Generator[Any, None, Any]:
        return self._future.__await__()


class ThreadReply:
    """A lock that the caller sleeps on. Between the deadline and the value the first one wins."""

    __slots__ = ("_at", "_clock", "_ready", "_settled", "_state", "_value")

    def __init__(self, clock: Callable[[], float], at: float) -> None:
        self._clock = clock
        self._at = at
        self._ready = threading.Lock()
        self._ready.acquire()
        self._state = threading.Lock()
        self._settled = False
        self._value: Any = None

    @property
    def value(self) -> Any:
        return self._value

    def resolve(self, value: Any) -> bool:
        with self._state:
            if self._settled:
                return False
            self._settled = True
            self._value = value
        self._ready.release()
        return True

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()  # a generator that never yields: it blocks
        try:
            while not self._ready.acquire(timeout=min(max(0.0, self._at - self._clock()), threading.TIMEOUT_MAX)):
                if self._leave():
                    raise TimeoutError(LATE)
        except KeyboardInterrupt:
            self._leave()
            raise
        return self._value

    def _leave(self) -> bool:
        """Stop waiting. False if the value was handed over already: it can be had at once."""
        with self._state:
            left, self._settled = not self._settled, True
            return left
