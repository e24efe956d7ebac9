"""The async face: everything belongs to the event loop that is running when the runtime is made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Literal, TypeVar

from tierstore._native import LoopReplies, OwnerLoop
from tierstore.errors import ClosedError, TimeoutError
from tierstore.runtime.common import Clocked, values_of
from tierstore.runtime.deadline import Deadline
from tierstore.runtime.detached import DetachedTask, LoopDetachedTask
from tierstore.runtime.jobs import TaskSupervisor
from tierstore.runtime.protocol import LATE, Supervisor, Waiter
from tierstore.runtime.replies import Reply, late

T = TypeVar("T")


class AsyncioRuntime(Clocked):
    """The async face: everything belongs to the loop that is running when it is made."""

    face: Literal["async", "blocking"] = "async"
    THREADS = 8

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        own = OwnerLoop(self.loop)
        self.owner_loop: OwnerLoop | None = own
        self._here = own.is_here
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False
        self._replies = LoopReplies(self.loop, late)
        self.reply: Callable[[Deadline], Reply] = self._replies.reply
        self._detached: set[asyncio.Task[None]] = set()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def waiter(self) -> Waiter[Any]:
        return _FutureWaiter(self.loop)

    def detach(self, coroutine: Coroutine[Any, Any, None]) -> DetachedTask:
        return LoopDetachedTask(self._replies, self.loop.create_task(coroutine), self._detached)

    async def gather(self, coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        tasks = [self.loop.create_task(coroutine) for coroutine in coroutines]
        try:
            results = await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        return values_of(results)

    async def call(self, function: Callable[..., T], *arguments: Any, deadline: Deadline) -> T:
        deadline.check("calling a blocking function")
        if self._closed:
            raise ClosedError("the store was closed; open it again")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.THREADS, "tierstore")
        future = self.loop.run_in_executor(self._threads, function, *arguments)
        done, _ = await asyncio.wait({future}, timeout=deadline.remaining())
        if not done:
            future.cancel()
            future.add_done_callback(_retrieve)
            deadline.check("waiting for a worker thread")
            raise TimeoutError("the deadline passed while waiting for a worker thread; give the call a longer timeout=")
        return future.result()

    def caller(self) -> Hashable:
        return asyncio.current_task()

    def check_owner(self) -> None:
        if not self._here():
            self._check_process()
            raise ClosedError("this store belongs to the event loop that opened it; open another one in this loop")

    def supervisor(self) -> Supervisor:
        return TaskSupervisor(self.loop)

    async def close(self) -> None:
        self._closed = True
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Mark the outcome as seen: its caller left at the deadline."""
    if not future.cancelled():
        future.exception()


class _FutureWaiter(Generic[T]):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future: asyncio.Future[T] = loop.create_future()
        self._future.add_done_callback(_retrieve)

    def resolve(self, value: T) -> None:
        if not self._future.done():
            self._future.set_result(value)

    async def wait(self, deadline: Deadline) -> T:
        if not self._future.done():
            await asyncio.wait({self._future}, timeout=deadline.remaining())
            if not self._future.done():
                raise TimeoutError(LATE)
        return self._future.result()
