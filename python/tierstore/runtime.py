"""The few things that differ between the two faces, in an asyncio and a threads form.

Stores and tiers are written once, as coroutines. In the async face they are awaited. In the blocking face `drive` sends None into
them once: their drivers block instead of suspending, so that one send finishes them. All that would make them suspend (sleeping,
locks, waiting for another caller, running several at once, background jobs) is asked of the `Runtime`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
import traceback
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Literal, Protocol, TypeVar

from tierstore._native import Home, LoopReplies
from tierstore.errands import Errand, HereErrand, TaskErrand
from tierstore.errors import ClosedError, TimeoutError
from tierstore.replies import Reply, ThreadReply, late

T = TypeVar("T")
LATE = "the deadline passed while waiting for another caller; give the call a longer timeout="
Job = Callable[[], Awaitable[float]]
"""One step of background work; answers the seconds until the next step."""


class Deadline:
    """The moment, on the runtime's monotonic clock, by which a call must have answered.

    `own`: the caller named it, or the call is a bulk one: a single statement may take all of it. Without it the limit that the database
    sets to any statement holds too.
    """

    __slots__ = ("_clock", "at", "own")

    def __init__(self, clock: Callable[[], float], at: float, *, own: bool = False) -> None:
        self._clock = clock
        self.at = at
        self.own = own

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - self._clock())

    def within(self, seconds: float) -> Deadline:
        """The sooner of this deadline and `seconds` from now: the budget of one step."""
        return Deadline(self._clock, min(self.at, self._clock() + seconds), own=self.own)

    def shared(self) -> Deadline:
        """The same moment, for work that is not one caller's alone."""
        return Deadline(self._clock, self.at)

    def check(self, doing: str) -> None:
        """Raise TimeoutError if the moment has passed."""
        if self._clock() >= self.at:
            raise TimeoutError(f"the deadline passed while {doing}; give the call a longer timeout=")


class Waiter(Protocol[T]):
    """A result that several callers wait for. A caller that is cancelled or runs out of time leaves the others as they are."""

    def resolve(self, value: T) -> None: ...
    async def wait(self, deadline: Deadline) -> T:
        """The value, or TimeoutError at the deadline."""
        ...


class Supervisor(Protocol):
    """The owner of a store's background jobs: a job that raises is started again with back-off."""

    def start(self, name: str, job: Job) -> None: ...
    def wake(self, name: str) -> None:
        """Run the job's next step now; safe from any thread."""
        ...

    async def close(self, deadline: Deadline) -> None:
        """Stop all jobs; a step under way may finish until the deadline."""
        ...


class Runtime(Protocol):
    home: Home | None
    """Where the store may be used: on the event loop that opened it; None in the blocking face. Cheap enough for every hit."""
    face: Literal["async", "blocking"]

    def monotonic(self) -> float: ...
    def random_bytes(self, count: int) -> bytes:
        """From the operating system, so that a forked child draws others."""
        ...

    def deadline(self, seconds: float) -> Deadline: ...
    async def sleep(self, seconds: float) -> None: ...
    def waiter(self) -> Waiter[Any]: ...
    def reply(self, deadline: Deadline) -> Reply:
        """A value that one caller awaits until `deadline`: cheaper than a waiter."""
        ...

    def errand(self, coroutine: Coroutine[Any, Any, None]) -> Errand:
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

    def check_home(self) -> None:
        """ClosedError where a store must not be used: on another event loop than its own, or in a forked child."""
        ...

    def supervisor(self) -> Supervisor: ...
    async def close(self) -> None: ...


class Restarted(Protocol):
    def restart(self) -> None:
        """Forget who is at work: one of them was interrupted anywhere, and will not say that it has left."""
        ...


_restarted: weakref.WeakSet[Restarted] = weakref.WeakSet()


def restart_when_interrupted(what: Restarted) -> None:
    """In the blocking face Ctrl-C may end a caller between any two steps, also where it has taken something and not written it down."""
    _restarted.add(what)


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Finish a coroutine that never suspends.

    One that does suspend is a defect of a driver: RuntimeError names the awaitable.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except (KeyboardInterrupt, SystemExit) as error:
        _clean_up(error)
        raise
    coroutine.close()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    raise RuntimeError(f"{name} suspended on {awaited!r}: a blocking driver must not await")


def _clean_up(interrupt: BaseException) -> None:
    """After Ctrl-C, or what else a signal's handler raised: drop what the caller held, though somebody may keep the exception, and free
    what it may have taken."""
    error: BaseException | None = interrupt
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
    for what in list(_restarted):
        what.restart()


_forks = 0
"""How many forks lie between this process and the one that imported tierstore. Read with every call: getpid() would be a system call."""


def _forked() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class _Clocked:
    """What both runtimes share."""

    def __init__(self) -> None:
        self._process = _forks

    def _check_process(self) -> None:
        if _forks != self._process:
            raise ClosedError("this store was opened before the process forked: open it again in the child")

    monotonic = staticmethod(time.monotonic)

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(time.monotonic, time.monotonic() + seconds)


FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.1, 5.0


class _Backoff:
    """Doubles from FIRST_BACKOFF_S to LAST_BACKOFF_S while a job keeps failing."""

    def __init__(self) -> None:
        self._next = FIRST_BACKOFF_S

    def failed(self) -> float:
        delay, self._next = self._next, min(LAST_BACKOFF_S, self._next * 2)
        return delay

    def succeeded(self) -> None:
        self._next = FIRST_BACKOFF_S


class AsyncioRuntime(_Clocked):
    """The async face: everything belongs to the loop that is running when it is made."""

    face: Literal["async", "blocking"] = "async"
    THREADS = 8

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        home = Home(self.loop)
        self.home: Home | None = home
        self._here = home.is_here
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False
        self._replies = LoopReplies(self.loop, late)
        self.reply: Callable[[Deadline], Reply] = self._replies.reply
        self._errands: set[asyncio.Task[None]] = set()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def waiter(self) -> Waiter[Any]:
        return _FutureWaiter(self.loop)

    def errand(self, coroutine: Coroutine[Any, Any, None]) -> Errand:
        return TaskErrand(self._replies, self.loop.create_task(coroutine), self._errands)

    async def gather(self, coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        tasks = [self.loop.create_task(coroutine) for coroutine in coroutines]
        try:
            results = await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        return _values(results)

    async def call(self, function: Callable[..., T], *arguments: Any, deadline: Deadline) -> T:
        deadline.check("calling a blocking function")
        if self._closed:
            raise ClosedError("the store was closed: open another")
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

    def check_home(self) -> None:
        if not self._here():
            self._check_process()
            raise ClosedError("this store belongs to the event loop that opened it: open one in this loop")

    def supervisor(self) -> Supervisor:
        return _TaskSupervisor(self.loop)

    async def close(self) -> None:
        self._closed = True
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Mark the outcome as seen: its caller left at the deadline."""
    if not future.cancelled():
        future.exception()


def _values(results: Sequence[Any]) -> list[Any]:
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)


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


class _TaskSupervisor:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}

    def start(self, name: str, job: Job) -> None:
        self._wakes[name] = asyncio.Event()
        self._tasks[name] = self._loop.create_task(self._run(name, job), name=f"tierstore {name}")

    async def _run(self, name: str, job: Job) -> None:
        backoff, wake = _Backoff(), self._wakes[name]
        while True:
            try:
                delay = await job()
                backoff.succeeded()
            except Exception as error:
                delay = backoff.failed()
                _log_failure(name, error, delay)
            with contextlib.suppress(_builtin_timeout):
                await asyncio.wait_for(wake.wait(), delay)
            wake.clear()

    def wake(self, name: str) -> None:
        if (event := self._wakes.get(name)) is not None:
            self._loop.call_soon_threadsafe(event.set)

    async def close(self, deadline: Deadline) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=deadline.remaining())


_builtin_timeout = asyncio.TimeoutError


def _log_failure(name: str, error: Exception, delay: float) -> None:
    import logging

    logging.getLogger("tierstore").warning("job %s failed, next try in %.1f s: %s", name, delay, error)


class ThreadsRuntime(_Clocked):
    """The blocking face: callers are threads, and one housekeeping thread runs the jobs."""

    face: Literal["async", "blocking"] = "blocking"
    home: Home | None = None

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  (the blocking face blocks)

    def waiter(self) -> Waiter[Any]:
        return _LockWaiter()

    def reply(self, deadline: Deadline) -> Reply:
        return ThreadReply(time.monotonic, deadline.at)

    def errand(self, coroutine: Coroutine[Any, Any, None]) -> Errand:
        return HereErrand(coroutine)

    async def gather(self, coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        results: list[Any] = []
        for coroutine in coroutines:
            try:
                results.append(await coroutine)
            except Exception as error:
                results.append(error)
        return _values(results)

    async def call(self, function: Callable[..., T], *arguments: Any, deadline: Deadline) -> T:
        deadline.check("calling a blocking function")
        return function(*arguments)

    def caller(self) -> Hashable:
        return threading.get_ident()

    def check_home(self) -> None:
        self._check_process()

    def supervisor(self) -> Supervisor:
        return _ThreadSupervisor()

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


class _ThreadSupervisor:
    """One daemon thread, started with the first job, runs the steps that are due in turn.

    The lock is entered by itself: the condition's own `with` is not safe from an interrupt in the middle.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)
        self._jobs: dict[str, Job] = {}
        self._due: dict[str, float] = {}
        self._backoffs: dict[str, _Backoff] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self, name: str, job: Job) -> None:
        with self._lock:
            self._jobs[name], self._due[name], self._backoffs[name] = job, 0.0, _Backoff()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tierstore housekeeping", daemon=True)
                self._thread.start()
            self._condition.notify()

    def wake(self, name: str) -> None:
        with self._lock:
            if name in self._due:
                self._due[name] = 0.0
                self._condition.notify()

    def _run(self) -> None:
        while (name := self._next_due()) is not None:
            try:
                delay = drive(_awaiting(self._jobs[name]))
                self._backoffs[name].succeeded()
            except Exception as error:
                delay = self._backoffs[name].failed()
                _log_failure(name, error, delay)
            with self._lock:
                if self._due[name]:  # not woken meanwhile
                    self._due[name] = time.monotonic() + delay

    def _next_due(self) -> str | None:
        """Wait for the job that is due first; None once closed. Marks it as not woken."""
        with self._lock:
            while not self._closed:
                name = min(self._due, key=self._due.__getitem__)
                wait = self._due[name] - time.monotonic()
                if wait <= 0:
                    self._due[name] = time.monotonic()
                    return name
                self._condition.wait(wait)
            return None

    async def close(self, deadline: Deadline) -> None:
        with self._lock:
            self._closed = True
            self._condition.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(deadline.remaining())


async def _awaiting(job: Job) -> float:
    return await job()
