"""Steps of one work on worker threads, whose caller may leave at any moment: a thread that has begun one cannot be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Steps:
    """`tidy` runs once the work was abandoned and no step is under way; it MUST be right a second time. One step at a time."""

    def __init__(self, tidy: Callable[[], None]) -> None:
        self._tidy = tidy
        self._under_way = threading.Lock()
        self._abandoned = False

    @contextmanager
    def step(self) -> Iterator[bool]:
        """Around each step: whether there is still something to do, for the caller may have left before a thread came to it."""
        try:
            with self._under_way:
                yield not self._abandoned
        finally:
            if self._abandoned:
                self._tidy()

    def abandon(self) -> None:
        """Do no further step. Never waits: a step that is under way tidies up at its end."""
        self._abandoned = True
        if self._under_way.acquire(blocking=False):
            try:
                self._tidy()
            finally:
                self._under_way.release()
