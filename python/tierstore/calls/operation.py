"""What surrounds every public call: its deadline, its span, and the names that its errors carry."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, Self, get_args
from uuid import UUID

from tierstore.config import Deadlines
from tierstore.errors import StorageError, ValidationError
from tierstore.plan.arguments import shown
from tierstore.runtime import Deadline, Runtime
from tierstore.telemetry import Telemetry

MAX_TIMEOUT_S = 86_400.0
Budget = Literal["read", "write", "search", "bulk"]
"""Which of `Deadlines` a call gets when its caller gives no `timeout=`."""


class Operation:
    """`with operations.begin(...) as operation: … operation.deadline`. One per call; made after an L1 hit was not found."""

    __slots__ = ("_key", "_name", "_of", "_span", "_started", "deadline")

    def __init__(self, of: Operations, name: str, key: object, deadline: Deadline) -> None:
        self._of = of
        self._name = name
        self._key = key
        self._span: AbstractContextManager[object] | None = None
        self.deadline = deadline

    def __enter__(self) -> Self:
        if self._of.telemetry.on:
            self._started = self.deadline.now()
            self._span = self._of.telemetry.span(f"{self._of.store}.{self._of.prefix}{self._name}")
            self._span.__enter__()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and isinstance(error, StorageError):
            self._of.name(error, self._name, self._key)
        if self._span is not None:
            of, seconds = self._of, self.deadline.now() - self._started
            self._span.__exit__(exc_type, error, trace)
            of.telemetry.call(of.store, f"{of.prefix}{self._name}", seconds, exc_type)


class Operations:
    """Begins the operations of one store, under its name. `prefix`: before the names of its calls."""

    def __init__(
        self, store: str, runtime: Runtime, telemetry: Telemetry, deadlines: Deadlines, *, prefix: str = ""
    ) -> None:
        self.store = store
        self.prefix = prefix
        self.telemetry = telemetry
        self._check_owner, self._clock = runtime.check_owner, runtime.monotonic
        self._is_here = None if runtime.owner_loop is None else runtime.owner_loop.is_here
        self._seconds: dict[Budget, float] = {budget: getattr(deadlines, budget) for budget in get_args(Budget)}

    def begin(self, name: str, key: object, timeout: float | None, budget: Budget) -> Operation:
        """One call's operation. ValidationError for a wrong `timeout` (seconds); ClosedError on another loop, or after a fork."""
        if timeout is None and self._is_here is not None and self._is_here():  # as nearly always
            clock = self._clock
            return Operation(self, name, key, Deadline(clock, clock() + self._seconds[budget], own=budget == "bulk"))
        try:
            self._check_owner()
            deadline = self.deadline(budget, timeout)
        except StorageError as error:
            self.name(error, name, key)
            raise
        return Operation(self, name, key, deadline)

    def deadline(self, budget: Budget, timeout: float | None = None) -> Deadline:
        """That of a call, or of work that nobody called for."""
        seconds = seconds_of(timeout, self._seconds[budget])
        return Deadline(self._clock, self._clock() + seconds, own=timeout is not None or budget == "bulk")

    def name(self, error: StorageError, operation: str, key: object) -> None:
        """Say in the error which call failed, and what it was called with."""
        text = str(key) if isinstance(key, (str, UUID, os.PathLike)) else shown(key)
        error.about(store=self.store, operation=f"{self.prefix}{operation}", key=None if key is None else text)


def seconds_of(timeout: object, default: float) -> float:
    """`timeout` in seconds, or the policy's default. ValidationError unless it is a positive number."""
    if timeout is None:
        return default
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0 < timeout <= MAX_TIMEOUT_S:
        text = f"timeout must be a positive number of seconds up to {MAX_TIMEOUT_S:.0f}, got {shown(timeout)}"
        raise ValidationError(text, place="timeout")
    return float(timeout)
