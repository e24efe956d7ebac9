"""What the two runtimes have in common, as protocols."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from typing import Any, Literal, Protocol, TypeVar

from tierstore._native import OwnerLoop
from tierstore.runtime.deadline import Deadline
from tierstore.runtime.detached import DetachedTask
from tierstore.runtime.outages import Outages
from tierstore.runtime.replies import Reply

T = TypeVar("T")
LATE = "the deadline passed while waiting for another caller; give the call a longer timeout="
Job = Callable[[], Awaitable[float]]
"""One step of background work; returns the seconds until the next step."""


class Waiter(Protocol[T]):
    """A result that several callers wait for. A caller that is cancelled or runs out of time leaves the others as they are."""

    def resolve(self, value: T) -> None: ...
    async def wait(self, deadline: Deadline) -> T:
        """The value, or TimeoutError at the deadline."""
        ...


class Supervisor(Protocol):
    """The owner of a store's background jobs: a job that raises is started again with back-off."""

    def start(self, name: str, job: Job, *, urgent: bool = False) -> None:
        """`urgent`: what keeps the caches fresh. No other job may hold it up."""
        ...

    def wake(self, name: str) -> None:
        """Run the job's next step now; safe from any thread."""
        ...

    async def close(self, deadline: Deadline) -> None:
        """Stop all jobs; a step under way may finish until the deadline."""
        ...


class Runtime(Protocol):
    owner_loop: OwnerLoop | None
    """Where the store may be used: on the event loop that opened it; None in the blocking face. Cheap enough for every hit."""
    face: Literal["async", "blocking"]
    outages: Outages
    """Where what a store stands on reports that it does not answer."""

    def monotonic(self) -> float:
        """Seconds since some moment, those included in which the machine was suspended. Not the clock of a `Deadline`."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch by this machine's clock, for what is stored with its end."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """From the operating system, so that a forked child draws others."""
        ...

    def deadline(self, seconds: float) -> Deadline: ...
    async def sleep(self, seconds: float) -> None: ...
    def waiter(self) -> Waiter[Any]: ...
    def reply(self, deadline: Deadline) -> Reply:
        """A value that one caller awaits until `deadline`: cheaper than a waiter."""
        ...

    def detach(self, coroutine: Coroutine[Any, Any, None]) -> DetachedTask:
        """Work that no caller's end interrupts; to be waited for. In the blocking face its caller does it, while waiting."""
        ...

    async def gather(self, coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """All results in order. The first error is raised after all have ended."""
        ...

    async def call(self, function: Callable[..., T], *arguments: Any, deadline: Deadline) -> T:
        """Run a blocking function: on the runtime's own threads (async), or here (blocking)."""
        ...

    def caller(self) -> Hashable:
        """Which task or thread is running."""
        ...

    def check_owner(self) -> None:
        """ClosedError where a store must not be used: on another event loop than its own, or in a forked child."""
        ...

    def supervisor(self) -> Supervisor: ...
    async def close(self) -> None: ...
