"""A world in one thread whose scheduler is a seeded die: the real engine runs on it, every interleaving is a seed, time is virtual.

Between any two steps of a task any other may run. A task waits by yielding a condition; when nobody can run, time moves to the next
deadline. The same seed gives the same run.
"""

from __future__ import annotations

import random
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Generator, Hashable, Sequence
from contextvars import Context, copy_context
from typing import Any, Literal

from tierstore.errors import TimeoutError
from tierstore.runtime import Deadline, Job
from tierstore.runtime.outages import Outages

Ready = Callable[[], bool]
LONGEST_RUN = 200_000


class _Pause:
    """Awaited by a task that waits until `ready`, at the latest until `at`."""

    def __init__(self, ready: Ready, at: float) -> None:
        self.ready = ready
        self.at = at

    def __await__(self) -> Generator[_Pause, None, None]:
        yield self


class Task:
    def __init__(self, name: str, coroutine: Coroutine[Any, Any, Any], *, daemon: bool) -> None:
        self.name = name
        self.coroutine = coroutine
        self.daemon = daemon
        self.pause: _Pause | None = None
        self.context: Context = copy_context()
        self.done = self.cancelled = False
        self.result: Any = None


class Simulation:
    """Runs tasks until all but the daemons have ended."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self.tasks: list[Task] = []
        self.current: Task | None = None

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, Any], *, daemon: bool = False) -> Task:
        task = Task(name, coroutine, daemon=daemon)
        self.tasks.append(task)
        return task

    async def step(self, name: str) -> None:
        """Let others run; sometimes for a while."""
        if self.random.random() < 0.1:
            at = self.now + self.random.expovariate(100)
            await _Pause(lambda: self.now >= at, at)
        else:
            await _Pause(lambda: True, 0.0)

    def run(self) -> None:
        for _ in range(LONGEST_RUN):
            waiting = [task for task in self.tasks if not task.done]
            if not any(not task.daemon for task in waiting):
                break
            ready = [
                task
                for task in waiting
                if task.cancelled or task.pause is None or task.pause.at <= self.now or task.pause.ready()
            ]
            if ready:
                self._advance(self.random.choice(ready))
            else:
                self.now = min(task.pause.at for task in waiting if task.pause is not None)
        else:
            raise AssertionError(f"no end in sight: {[task.name for task in self.tasks if not task.done]}")

    def close(self) -> None:
        for task in self.tasks:
            task.coroutine.close()

    def _advance(self, task: Task) -> None:
        self.current, self.now = task, self.now + 1e-6
        try:
            if task.cancelled:
                task.cancelled = False
                task.pause = task.context.run(task.coroutine.throw, CancelledError())
            else:
                task.pause = task.context.run(task.coroutine.send, None)
        except CancelledError:
            task.done = True
        except StopIteration as stop:
            task.done, task.result = True, stop.value

    def kill(self, tasks: Sequence[Task]) -> None:
        """End them where they stand, as a process's end does: nothing of theirs runs any more, no clean-up either."""
        for task in tasks:
            task.done = True


class SimReply:
    def __init__(self, simulation: Simulation, at: float) -> None:
        self._simulation = simulation
        self._at = at
        self._settled = False
        self.value: Any = None

    def resolve(self, value: Any) -> bool:
        if self._settled:
            return False
        self._settled, self.value = True, value
        return True

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            while not self._settled:
                if self._simulation.now >= self._at:
                    raise TimeoutError("late")
                yield from _Pause(lambda: self._settled, self._at).__await__()
        finally:
            self._settled = True  # its caller has left, by whatever way
        return self.value


class SimWaiter:
    """A value that several tasks wait for."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._resolved = False
        self._value: Any = None

    def resolve(self, value: Any) -> None:
        if not self._resolved:
            self._resolved, self._value = True, value

    async def wait(self, deadline: Deadline) -> Any:
        while not self._resolved:
            if self._simulation.now >= deadline.at:
                raise TimeoutError("late")
            await _Pause(lambda: self._resolved, deadline.at)
        return self._value


class SimDetachedTask:
    """A task of the simulation: whoever waits for it may leave."""

    def __init__(self, runtime: SimRuntime, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._simulation = runtime.simulation
        self._task = runtime.simulation.spawn("detached", coroutine)
        runtime.detached.append(self._task)

    async def wait(self, at: float) -> None:
        while not self._task.done:
            if self._simulation.now >= at:
                raise TimeoutError("late")
            await _Pause(lambda: self._task.done, at)

    def stop(self) -> None:
        self._task.cancelled = not self._task.done


APART = ("idempotency keys", "outbox trim")
"""Jobs that touch nothing that is cached: every step of theirs would only make the interleavings that matter rarer."""


class SimSupervisor:
    def __init__(self, runtime: SimRuntime) -> None:
        self._runtime = runtime
        self._woken: dict[str, bool] = {}
        self.tasks: list[Task] = []

    def start(self, name: str, job: Job, *, urgent: bool = False) -> None:
        if name in APART:
            return
        self._woken[name] = False
        self.tasks.append(self._runtime.simulation.spawn(name, self._run(name, job), daemon=True))

    async def _run(self, name: str, job: Job) -> None:
        while True:
            try:
                delay = await job()
            except Exception:
                delay = 0.1
            at = self._runtime.simulation.now + delay
            await _Pause(lambda: self._woken[name], at)
            self._woken[name] = False

    def wake(self, name: str) -> None:
        self._woken[name] = True

    async def close(self, deadline: Deadline) -> None:
        self._runtime.simulation.kill(self.tasks)


class SimRuntime:
    """`Runtime` on a simulation."""

    face: Literal["async", "blocking"] = "async"
    owner_loop = None

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.detached: list[Task] = []
        self.outages = Outages(self.monotonic)

    def monotonic(self) -> float:
        return self.simulation.now

    def random_bytes(self, count: int) -> bytes:
        return self.simulation.random.randbytes(count)

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(self.monotonic, self.simulation.now + seconds)

    async def sleep(self, seconds: float) -> None:
        at = self.simulation.now + seconds
        await _Pause(lambda: self.simulation.now >= at, at)

    def waiter(self) -> SimWaiter:
        return SimWaiter(self.simulation)

    def reply(self, deadline: Deadline) -> SimReply:
        return SimReply(self.simulation, deadline.at)

    def detach(self, coroutine: Coroutine[Any, Any, None]) -> SimDetachedTask:
        return SimDetachedTask(self, coroutine)

    def caller(self) -> Hashable:
        return self.simulation.current

    def check_owner(self) -> None:
        return None

    def supervisor(self) -> SimSupervisor:
        return SimSupervisor(self)

    async def close(self) -> None:
        return None
