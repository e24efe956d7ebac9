"""Concurrent misses become batches: one or two in flight, and whoever came meanwhile goes with the next.

There is no task and no thread behind it: a caller that finds a free lane runs the batch itself, in both faces. An idle coalescer has
no queue to go through, so that a lone caller pays nothing. When a batch has ended, one of the callers that wait is woken to run the
next. A runner that is cancelled, or whose own deadline comes first, hands what is left to the next one.

After a batch of several its callers come back together, one by one: the first of them lets the others run before it sets off, or it
would go alone and have all others wait for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from tierstore.errors import TimeoutError
from tierstore.runtime import Deadline, Runtime, restart_when_interrupted
from tierstore.runtime.flight import Flight
from tierstore.runtime.replies import Reply

LANES = 2
MOST_KEYS = 512
FEW = 16
"""So many at least go together if they can: two batches of fewer cost more than one."""
OVER_S = 0.01
"""A timeout with less than this left is the runner's own; timers may ring a little early."""
After = Callable[[Deadline], Awaitable[None]]
F = TypeVar("F", bound=Flight)
Run = Callable[[list[F], Deadline], Awaitable[After | None]]


class Coalescer(Generic[F]):
    """`run` lands the flights of a batch, 1 to MOST_KEYS of them, or gives them something to do next.

    What it returns is called when the lane is free again: work that nobody should queue behind.
    """

    def __init__(self, runtime: Runtime, run: Run[F], *, lanes: int = LANES, most: int = MOST_KEYS) -> None:
        self._runtime = runtime
        self._run = run
        self._crowded = False
        self.most = most
        """Keys of a batch at most."""
        self._queue: deque[F] = deque()
        self._count = lanes
        self._lanes: deque[None] = deque([None] * lanes, maxlen=lanes)
        self._in_flight: dict[int, int] = {}
        self._crowd = 0
        self.batches = 0
        self.keys = 0
        if runtime.face == "blocking":
            restart_when_interrupted(self)

    def restart(self) -> None:
        """All lanes are free. Who is in one goes on; when it leaves there is no room for its lane any more."""
        self._in_flight = {}
        self._lanes.extend([None] * self._count)

    async def take(self, flights: list[F], deadline: Deadline) -> None:
        """Run the flights now if a lane is free, with what is queued; else queue them."""
        if self._lanes and self._enter():
            await self.serve(flights, deadline)
        else:
            self._queue.extend(flights)

    def line_up(self, flight: F) -> bool:
        """Queue the flight, unless a lane is free: then that is the caller's, who must `serve` with the flight. For a new flight."""
        if self._lanes and self._enter():
            return True
        self._queue.append(flight)
        return False

    def _enter(self) -> bool:
        """Take a free lane, where one was seen. (pop is one step, in threads too.)"""
        try:
            self._lanes.pop()
        except IndexError:
            return False
        return True

    def poke(self) -> bool:
        """Take a free lane if anything is queued. Whoever has a lane must `serve` or `leave`."""
        return bool(self._queue and self._lanes) and self._enter()

    async def serve(self, flights: list[F], deadline: Deadline) -> None:
        """Run one batch, `flights` and what is queued, in the lane that the caller has; then give the lane to the next.

        An error of the batch goes to its flights. Only what ends this caller itself is raised.
        """
        batch, after = flights, None
        try:
            if self._crowded:
                await self._runtime.sleep(0)
            batch = self._board(flights)
            self._crowded = len(batch) > 1
            if batch:
                self.batches += 1
                self.keys += len(batch)
                self._in_flight[id(batch)] = len(batch)
                after = await self._run(batch, deadline)
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.remaining() <= OVER_S:
                self._hand_over(batch)
                raise
            for flight in batch:
                if not flight.done:
                    flight.fail(error)
        except BaseException:
            self._hand_over(batch)
            raise
        finally:
            self._in_flight.pop(id(batch), None)
            self.leave()
        if after is not None:
            await after(deadline)

    def _board(self, flights: list[F]) -> list[F]:
        queue, batch = self._queue, list(flights)
        everybody = len(batch) + len(queue) + sum(list(self._in_flight.values()))
        room = self._room(max(everybody, self._crowd))
        while len(batch) < room and queue:
            try:
                flight = queue.popleft()
            except IndexError:  # another thread was faster
                break
            if not flight.done:
                batch.append(flight)
        self._crowd = max(everybody, self._crowd) if queue else everybody
        return batch

    def _room(self, crowd: int) -> int:
        """How many go with the next batch: a lane's share of all that wait or fly. Else one lane has nearly all of them in every batch,
        and the next lane one at a time."""
        return min(self.most, max(FEW, -(-crowd // self._count)))

    def put_back(self, flights: list[F]) -> None:
        """Queue flights whose caller leaves, and see that somebody runs them."""
        if flights:
            self._queue.extend(flights)
            if self.poke():
                self.leave()

    def _hand_over(self, batch: list[F]) -> None:
        self._queue.extendleft(flight for flight in reversed(batch) if not flight.done)

    def leave(self) -> None:
        """Give the lane back, and wake a caller to run what is queued.

        The lane is free before the queue is looked at, and a caller queues before it looks for a lane: one of the two sees the other.
        """
        self._lanes.append(None)
        if self.poke() and not self._wake():
            self._lanes.append(None)  # nobody waits yet, or any more: the next who does will poke

    def _wake(self) -> bool:
        for at in range(len(self._queue)):
            try:
                flight = self._queue[at]
            except IndexError:
                break
            if flight.wake_one(self):
                return True
        return False


async def settle(runtime: Runtime, flight: Flight, stages: Sequence[Coalescer[Any]], deadline: Deadline) -> None:
    """Wait until the flight has landed or was abandoned, and do what falls to this caller meanwhile. (One level: each costs 60 ns.)"""
    while not flight.done:
        if flight.todo:
            await _take_step(flight, deadline)
            continue
        reply = runtime.reply(deadline)
        flight.replies.append(reply)
        if flight.settled_meanwhile():
            lane = _withdraw(reply)
        elif (lane := _free_lane(stages, reply)) is None:
            try:
                lane = await reply
            except BaseException:
                if reply.value is not None:  # it came together with the cancellation
                    reply.value.leave()
                raise
        if lane is not None:
            await _use(lane, flight, deadline)


async def _use(lane: Coalescer[Any], flight: Flight, deadline: Deadline) -> None:
    if flight.done:
        lane.leave()
    else:
        await lane.serve([], deadline)


async def _take_step(flight: Flight, deadline: Deadline) -> None:
    try:
        step = flight.todo.pop()
    except IndexError:  # another thread took it
        return
    await step(flight, deadline)


def _free_lane(stages: Sequence[Coalescer[Any]], reply: Reply) -> Coalescer[Any] | None:
    """A lane to run what is queued, if one is free; then the reply is not waited for."""
    for stage in stages:
        if stage.poke():
            if (other := _withdraw(reply)) is not None:
                other.leave()
            return stage
    return None


def _withdraw(reply: Reply) -> Coalescer[Any] | None:
    """Stop waiting. A lane that was handed over just then is the caller's."""
    return None if reply.resolve(None) else reply.value
