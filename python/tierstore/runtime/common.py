"""What both runtimes share: clock, randomness, the process they belong to."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from tierstore._native import uptime
from tierstore.errors import ClosedError
from tierstore.runtime.deadline import Deadline
from tierstore.runtime.forks import generation
from tierstore.runtime.outages import Outages


class Clocked:
    """What both runtimes share."""

    def __init__(self) -> None:
        self._process = generation()
        self.outages = Outages(self.monotonic)

    def _check_process(self) -> None:
        if generation() != self._process:
            raise ClosedError("this store was opened before the process forked: open it again in the child")

    monotonic = staticmethod(uptime)
    """It goes on while the machine is suspended, unlike `time.monotonic`, by which deadlines and timers end: what is cached gets older."""
    wall = staticmethod(time.time)

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(time.monotonic, time.monotonic() + seconds)


def values_of(results: Sequence[Any]) -> list[Any]:
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)
