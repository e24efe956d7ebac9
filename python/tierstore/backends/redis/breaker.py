"""A circuit breaker: after some failures in a row nobody waits for a server that does not answer.

Closed: all calls pass. Open: none does. After a while one call may try; its success closes the breaker, its failure opens it again
for twice as long, with jitter, so that a fleet does not come back in one stroke.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from tierstore.errors import ConnectionError, StorageError
from tierstore.runtime.outages import Report

FAILURES = 3
OPEN_S, LONGEST_OPEN_S = 1.0, 2.0
JITTER = 0.2
PROBED_S = 2.0
"""After a probe by housekeeping, calls that a user waits for are not used as trials for so long."""


class Breaker:
    """Counts failures in a row. Safe for threads. `outage`: gets the failures while it is open, and the next success."""

    def __init__(self, what: str, clock: Callable[[], float], outage: Report) -> None:
        self._what = what
        self._outage = outage
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._retry_at: float | None = None
        self._open_s = OPEN_S
        self._trying = False
        self._probed_at = float("-inf")
        self._cause: StorageError | None = None

    @property
    def is_open(self) -> bool:
        return self._retry_at is not None

    @property
    def failing(self) -> bool:
        """Whether the last call failed."""
        return self._failures > 0

    def enter(self, *, probe: bool = False) -> None:
        """Pass, or ConnectionError at once. `probe`: a call that no user waits for; it is preferred as the trial."""
        if not self.is_open:
            return
        with self._lock:
            now = self._clock()
            if probe:
                self._probed_at = now
            if self._retry_at is None:
                return
            if now >= self._retry_at and (probe or now - self._probed_at >= PROBED_S):
                self._retry_at, self._trying = now + self._open_s, True  # one trial at a time
                return
        raise ConnectionError(
            f"{self._what} failed {FAILURES} times in a row and is not called for a while; the last cause: {self._cause}",
            tier="l2",
        )

    def succeeded(self) -> None:
        if self._failures:
            with self._lock:
                self._failures, self._retry_at, self._open_s, self._trying = 0, None, OPEN_S, False
            self._outage.ended()

    def failed(self, cause: StorageError) -> None:
        with self._lock:
            self._failures += 1
            self._cause = cause
            if self._failures == FAILURES:
                self._retry_at = self._clock() + OPEN_S
            elif self._trying:  # calls that began before it opened do not prolong it
                self._trying = False
                self._open_s = min(LONGEST_OPEN_S, self._open_s * 2)
                self._retry_at = self._clock() + self._open_s * (1 + JITTER * random.uniform(-1, 1))
            is_open = self.is_open
        if is_open:
            self._outage.began(cause)
