"""The blocking face: callers are threads, and two threads of its own run the jobs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any, Generic, Literal, TypeVar

from tierstore._native import OwnerLoop
from tierstore.errors import TimeoutError
from tierstore.runtime.common import Clocked, values_of
from tierstore.runtime.deadline import Deadline
from tierstore.runtime.detached import DetachedTask, InlineTask
from tierstore.runtime.jobs import ThreadSupervisor
from tierstore.runtime.protocol import LATE, Supervisor, Waiter
from tierstore.runtime.replies import Reply, ThreadReply

T = TypeVar("T")


class ThreadsRuntime(Clocked):
    """The blocking face: callers are threads, and two threads of its own run the jobs."""

    face: Literal["async", "blocking"] = "blocking"
    owner_loop: OwnerLoop | None = None

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  (the blocking face blocks)

    def waiter(self) -> Waiter[Any]:
        return _LockWaiter()

    def reply(self, deadline: Deadline) -> Reply:
        return ThreadReply(time.monotonic, deadline.at)

    def detach(self, coroutine: Coroutine[Any, Any, None]) -> DetachedTask:
        return InlineTask(coroutine)

    async def gather(self, coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        results: list[Any] = []
        for coroutine in coroutines:
            try:
                results.append(await coroutine)
            except Exception as error:
                results.append(error)
        return values_of(results)

    async def call(self, function: Callable[..., T], *arguments: Any, deadline: Deadline) -> T:
        deadline.check("calling a blocking function")
        return function(*arguments)

    def caller(self) -> Hashable:
        return threading.get_ident()

    def check_owner(self) -> None:
        self._check_process()

    def supervisor(self) -> Supervisor:
        return ThreadSupervisor()

    async def close(self) -> None:
        return None


class _LockWaiter(Generic[T]):
    """A lock that is held until there is a value. (An Event interrupted in its `set` would keep its waiters for ever.)"""

    def __init__(self) -> None:
        self._pending = threading.Lock()
        self._pending.acquire()
        self._value: T | None = None

    def resolve(self, value: T) -> None:
        self._value = value
        with contextlib.suppress(RuntimeError):  # it has one already
            self._pending.release()

    async def wait(self, deadline: Deadline) -> T:
        if not self._pending.acquire(timeout=deadline.remaining()):
            raise TimeoutError(LATE)
        self._pending.release()  # for the others who wait
        return self._value  # type: ignore[return-value]  # T may itself be optional
