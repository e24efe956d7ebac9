"""What one caller waits for while another does the work: a value, handed over at most once, until a deadline.

A `Waiter` of the runtime may be waited for by many and costs about 15 µs in the async face (`asyncio.wait` with a timer of its own).
The tiers answer a hundred thousand replies a second, so a reply has one caller, no task, and shares its timer with all others of its
loop; those that are resolved in one go are woken by one callback of the loop (`_native.LoopReply`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any, Protocol

from tierstore.errors import TimeoutError

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


def late() -> TimeoutError:
    """What a caller gets whose deadline has passed."""
    return TimeoutError(LATE)


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
                    raise late()
        except KeyboardInterrupt:
            self._leave()
            raise
        return self._value

    def _leave(self) -> bool:
        """Stop waiting. False if the value was handed over already: it can be had at once."""
        with self._state:
            left, self._settled = not self._settled, True
            return left
