"""What surrounds every public call: its deadline, its span, and the names that its errors carry."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, NamedTuple, Self, get_args
from uuid import UUID

from tierstore.config import Deadlines
from tierstore.errors import StorageError, ValidationError
from tierstore.plan import arguments
from tierstore.runtime import Deadline, Runtime
from tierstore.telemetry import Telemetry

log = logging.getLogger("tierstore.calls")
MAX_TIMEOUT_S = 86_400.0
Budget = Literal["read", "write", "search", "bulk"]
"""Which of `Deadlines` a call gets when its caller gives no `timeout=`."""


class Shown(NamedTuple):
    """What is shown of a call's key: in errors, and as attributes of its span and its line of the log."""

    text: str | None
    attributes: Mapping[str, str] = {}


def whole(key: object) -> Shown:
    """All of it in errors."""
    if key is None:
        return Shown(None)
    return Shown(str(key) if isinstance(key, (str, UUID, os.PathLike)) else arguments.shown(key))


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
        of = self._of
        if of.telemetry.on or (of.logged and log.isEnabledFor(logging.DEBUG)):
            self._started = self.deadline.now()
            name, attributes = f"{of.store}.{of.prefix}{self._name}", of.shown(self._key).attributes
            self._span = of.telemetry.span(name, attributes)
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
            if of.logged:
                self._log(seconds, error)

    def _log(self, seconds: float, error: BaseException | None) -> None:
        of = self._of
        attributes = of.shown(self._key).attributes
        told = {"store": of.store, "operation": f"{of.prefix}{self._name}", "seconds": seconds, **attributes}
        said = "" if error is None else f": {type(error).__name__}: {error}"
        shown = " ".join(attributes.values())
        log.debug(
            "%s.%s %s took %.6f s%s", of.store, told["operation"], shown, seconds, said, extra={"tierstore": told}
        )


class Operations:
    """Begins the operations of one store, under its name. `prefix`: before the names of its calls.

    `shown`: what is shown of a call's key. `logged`: whether each call is a line of the log, at DEBUG.
    """

    def __init__(
        self,
        store: str,
        runtime: Runtime,
        telemetry: Telemetry,
        deadlines: Deadlines,
        *,
        prefix: str = "",
        shown: Callable[[object], Shown] = whole,
        logged: bool = False,
    ) -> None:
        self.store = store
        self.shown = shown
        self.logged = logged
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
        error.about(store=self.store, operation=f"{self.prefix}{operation}", key=self.shown(key).text)


def seconds_of(timeout: object, default: float) -> float:
    """`timeout` in seconds, or the policy's default. ValidationError unless it is a positive number."""
    if timeout is None:
        return default
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0 < timeout <= MAX_TIMEOUT_S:
        text = f"timeout must be a positive number of seconds up to {MAX_TIMEOUT_S:.0f}, got {arguments.shown(timeout)}"
        raise ValidationError(text, place="timeout")
    return float(timeout)
