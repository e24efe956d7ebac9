"""The owners of a store's background jobs: one task a job in the async face, two threads for all in the blocking one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time

from tierstore.errors import ConnectionError, PoolTimeoutError, TimeoutError
from tierstore.runtime.deadline import Deadline
from tierstore.runtime.driving import drive
from tierstore.runtime.protocol import Job

log = logging.getLogger("tierstore")
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.1, 5.0


class Backoff:
    """Doubles from FIRST_BACKOFF_S to LAST_BACKOFF_S while a job keeps failing."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = FIRST_BACKOFF_S
        self._reported = False

    def failed(self, error: Exception) -> float:
        """The seconds until the next try. Logged once while it goes on failing; a server that does not answer is reported elsewhere."""
        delay, self._next = self._next, min(LAST_BACKOFF_S, self._next * 2)
        known = self._reported or _is_outage(error)
        log.log(
            logging.DEBUG if known else logging.WARNING,
            "The job %r failed (%s: %s). It is tried again in %.1f s, and at least every %.0f s.",
            self._name,
            type(error).__name__,
            error,
            delay,
            LAST_BACKOFF_S,
        )
        self._reported = self._reported or not known
        return delay

    def succeeded(self) -> None:
        self._next = FIRST_BACKOFF_S
        if self._reported:
            self._reported = False
            log.warning("The job %r works again.", self._name)


def _is_outage(error: Exception) -> bool:
    return isinstance(error, (ConnectionError, TimeoutError)) and not isinstance(error, PoolTimeoutError)


class TaskSupervisor:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}

    def start(self, name: str, job: Job, *, urgent: bool = False) -> None:
        """Each has a task of its own, so that all are alike."""
        self._wakes[name] = asyncio.Event()
        self._tasks[name] = self._loop.create_task(self._run(name, job), name=f"tierstore {name}")

    async def _run(self, name: str, job: Job) -> None:
        """Ends when it is cancelled, also where a step has swallowed that."""
        backoff, wake, task = Backoff(name), self._wakes[name], asyncio.current_task()
        while True:
            try:
                delay = await job()
                backoff.succeeded()
            except Exception as error:
                delay = backoff.failed(error)
            if task is None or task.cancelling():
                return
            with contextlib.suppress(asyncio.TimeoutError):
                async with asyncio.timeout(delay):
                    await wake.wait()
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


class ThreadSupervisor:
    """Two threads: the urgent jobs share one, all others the other."""

    def __init__(self) -> None:
        self._urgent, self._others = _Worker("tierstore freshness"), _Worker("tierstore housekeeping")

    def start(self, name: str, job: Job, *, urgent: bool = False) -> None:
        (self._urgent if urgent else self._others).start(name, job)

    def wake(self, name: str) -> None:
        self._urgent.wake(name)
        self._others.wake(name)

    async def close(self, deadline: Deadline) -> None:
        for worker in (self._urgent, self._others):
            worker.stop()
        for worker in (self._urgent, self._others):
            worker.join(deadline)


class _Worker:
    """One daemon thread, started with the first job, runs the steps that are due in turn.

    The lock is entered by itself: the condition's own `with` is not safe from an interrupt in the middle.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)
        self._jobs: dict[str, Job] = {}
        self._due: dict[str, float] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self, name: str, job: Job) -> None:
        with self._lock:
            self._jobs[name], self._due[name], self._backoffs[name] = job, 0.0, Backoff(name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
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
                delay = self._backoffs[name].failed(error)
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

    def stop(self) -> None:
        """After the step that is under way."""
        with self._lock:
            self._closed = True
            self._condition.notify()

    def join(self, deadline: Deadline) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(deadline.remaining())


async def _awaiting(job: Job) -> float:
    return await job()
