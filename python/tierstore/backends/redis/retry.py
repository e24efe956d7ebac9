"""When a lost subscription is made anew: soon, then later and later."""

from __future__ import annotations

FIRST_RETRY_S, LAST_RETRY_S = 0.05, 1.0


class Retry:
    """When to try again: twice as late after each failure."""

    def __init__(self) -> None:
        self._pause_s = FIRST_RETRY_S
        self._at = 0.0

    def failed(self, now: float) -> None:
        self._at, self._pause_s = now + self._pause_s, min(LAST_RETRY_S, self._pause_s * 2)

    def succeeded(self) -> None:
        self._pause_s, self._at = FIRST_RETRY_S, 0.0

    def wait_s(self, now: float) -> float:
        return max(0.0, self._at - now)
