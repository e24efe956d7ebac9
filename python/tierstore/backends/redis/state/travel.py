"""What callers of one process ask for at the same time travels together: reads as one MGET, values to be stored as one script.

The first caller sets off at once, so that a lone one waits for nobody; who comes meanwhile goes with the next exchange. A write that was
sent is never sent again: where its answer is lost, every caller in the exchange hears so. An exchange of several callers' writes belongs
to none of them: one that is cancelled or late leaves the others in it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

from tierstore.backends.pairs import Put
from tierstore.backends.redis.commands import Command, Plain
from tierstore.backends.redis.errors import is_moving, typed, was_sent
from tierstore.backends.redis.link import Link
from tierstore.backends.redis.node import Node
from tierstore.backends.redis.route import Route
from tierstore.backends.redis.state.scripts import Names
from tierstore.backends.redis.state.trailer import expectation
from tierstore.backends.redis.wire import ReplyError
from tierstore.errors import ConnectionError, OutcomeUnknownError, StorageError, TimeoutError, raise_alone
from tierstore.runtime import Deadline, Runtime
from tierstore.runtime.coalesce import Coalescer, Run, settle
from tierstore.runtime.flight import Flight

LANES = 1
MOST_CALLERS = 256
MOVING_PAUSE_S = 0.02
UNKNOWN = "the answer of Redis was lost: the change may or may not have been made; read it before you call again"
Answers = list[Any]
"""What the server said to each command: a reply, or the StorageError that stands for it."""


class Stored:
    """A value on its way. `again`: whatever is there may be replaced, as often as one likes."""

    __slots__ = ("_expected", "_ttl", "_value", "again", "key")

    def __init__(self, key: str, put: Put, trailer: bytes) -> None:
        self.key = key
        self.again = put.expected is None
        self._value = put.value + trailer
        self._ttl = "" if put.ttl_ms is None else "keep" if put.ttl_ms < 0 else str(put.ttl_ms)
        self._expected = put.expected

    def arguments(self) -> tuple[str | bytes, ...]:
        """For the script `put`."""
        return self._value, self._ttl, expectation(self._expected)

    def words(self) -> tuple[str | bytes, ...]:
        """As a plain SET."""
        ttl = self._ttl
        if not ttl:
            return "SET", self.key, self._value
        return ("SET", self.key, self._value, "KEEPTTL") if ttl == "keep" else ("SET", self.key, self._value, "PX", ttl)


F = TypeVar("F", bound=Flight)


class Lanes(Generic[F]):
    """A coalescer for each server: one that does not answer holds up nobody who asks another."""

    def __init__(self, runtime: Runtime, route: Route, run: Run[F]) -> None:
        self._runtime = runtime
        self._route = route
        self._run = run
        self._of: dict[Hashable, Coalescer[F]] = {}
        self._only = self._lane(None) if route.single else None

    def of(self, keys: Sequence[str]) -> Coalescer[F]:
        """With whom a call for these keys travels."""
        if self._only is not None:
            return self._only
        place = self._route.place(keys[0])
        if len(keys) > 1 and any(self._route.place(key) != place for key in keys):
            place = None
        return self._lane(place)

    def _lane(self, place: Hashable) -> Coalescer[F]:
        if (found := self._of.get(place)) is None:
            made = Coalescer(self._runtime, self._run, lanes=LANES, most=MOST_CALLERS)
            found = self._of.setdefault(place, made)  # another thread may have been first
        return found


class Reads:
    """Values by key."""

    def __init__(self, runtime: Runtime, route: Route, names: Names) -> None:
        self._runtime = runtime
        self._route = route
        self._names = names
        self._lanes: Lanes[_Read] = Lanes(runtime, route, self._run)

    async def get(self, keys: Sequence[str], deadline: Deadline) -> list[bytes | None]:
        """What is stored under each. It may be asked for twice, where a connection broke."""
        flight = _Read(keys)
        try:
            together = self._lanes.of(keys)  # one level with the rest: each costs every call 60 ns
            if together.line_up(flight):
                await together.serve([flight], deadline)
            if not flight.done:
                await settle(self._runtime, flight, (together,), deadline)
        except BaseException:
            flight.done = True
            raise
        found: list[bytes | None] = flight.result()
        return found

    async def _run(self, flights: list[_Read], deadline: Deadline) -> None:
        found = await self._ask_again([key for flight in flights for key in flight.keys], deadline)
        at = 0
        for flight in flights:
            end = at + len(flight.keys)
            own, at = found[at:end], end
            error = next((value for value in own if isinstance(value, StorageError)), None)
            if error is None:
                flight.land(own)
            else:
                flight.fail(error)

    async def _ask_again(self, keys: list[str], deadline: Deadline) -> Answers:
        """Once more, where a connection broke that may have been idle for long."""
        try:
            found = await self._ask(keys, self._names.group(keys), deadline)
            again = [at for at, value in enumerate(found) if isinstance(value, ConnectionError)]
            broke = any(was_sent(found[at]) or is_moving(found[at]) for at in again)
        except ConnectionError as error:
            found, again, broke = [error] * len(keys), list(range(len(keys))), was_sent(error)
        if not broke:
            return found
        singly = [[at] for at in range(len(again))] if not self._names.single else [list(range(len(again)))]
        for at, value in zip(again, await self._ask([keys[at] for at in again], singly, deadline), strict=True):
            found[at] = value
        return found

    async def _ask(self, keys: Sequence[str], groups: Sequence[list[int]], deadline: Deadline) -> Answers:
        """A value, None or a StorageError for each key; `groups`: the places of those that go in one command."""
        commands = [Plain(keys[ats[0]], ("MGET", *(keys[at] for at in ats))) for ats in groups]
        found: Answers = [None] * len(keys)
        for ats, values in zip(groups, await ask(self._route, commands, deadline), strict=True):
            for at, value in zip(ats, singly(values, len(ats)), strict=True):
                found[at] = value
        return found


class _Read(Flight):
    __slots__ = ("keys",)

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__()
        self.keys = keys


class Together:
    """Changes that are asked for at the same time; a subclass has the exchange."""

    def __init__(self, runtime: Runtime, route: Route, names: Names) -> None:
        self._runtime = runtime
        self._route = route
        self._names = names
        self._lanes: Lanes[Write] = Lanes(runtime, route, self._run)

    async def travel(self, write: Write, *, again: bool) -> list[Any]:
        """The answers. `again`: the change may be made again whatever became of it; else a lost answer is an OutcomeUnknownError."""
        try:
            together = self._lanes.of(write.keys)
            if together.line_up(write):
                await together.serve([write], write.deadline)
            if not write.done:
                await settle(self._runtime, write, (together,), write.deadline)
        except BaseException as error:
            landed, write.done = write.done, True
            if not landed and write.begun and not again and isinstance(error, TimeoutError):
                raise_alone(OutcomeUnknownError(UNKNOWN, tier="state"))
            if not landed or not isinstance(error, TimeoutError):
                raise
        try:
            answers: Answers = write.result()
            for answer in answers:
                if isinstance(answer, StorageError):
                    raise answer
        except StorageError as error:
            if not again and was_sent(error):
                raise_alone(OutcomeUnknownError(UNKNOWN, tier="state"))
            raise
        return answers

    async def _run(self, batch: list[Write], own: Deadline) -> None:
        for write in batch:
            write.begun = True
        writes = [write for write in batch if not write.done]  # then: a caller that leaves looks at `begun` last
        if not writes:
            return
        if len(writes) == 1 and writes[0].deadline is own:
            await self._carry(writes, own)
            return
        deadline = own
        if self._runtime.face == "async":  # in the blocking face this caller does it, and ends when it must
            deadline = max((write.deadline for write in writes), key=lambda deadline: deadline.at)
        exchange = self._runtime.detach(self._carry(writes, deadline))
        try:
            await exchange.wait(own.at)
        except BaseException:
            batch.clear()  # they stay in their exchange: nobody else may take them
            raise

    async def _carry(self, writes: list[Write], deadline: Deadline) -> None:
        """One exchange. Ends when each has its answers: what was sent is not left to anybody who would send it again."""
        try:
            answers = await self.exchange(writes, deadline)
        except Exception as error:
            for write in writes:
                write.fail(error)
        except BaseException:
            for write in writes:
                write.fail(OutcomeUnknownError(UNKNOWN, tier="state"))
            raise
        else:
            for write, own in zip(writes, answers, strict=True):
                self._take(write, own)

    def _take(self, write: Write, answers: Answers) -> None:
        if not self._names.single and any(map(is_moving, answers)) and write.deadline.remaining() > 0:
            write.answers = answers
            write.next_step(self._later)
        else:
            write.land(answers)

    async def _later(self, write: Write, deadline: Deadline) -> None:
        """A slot is on its way to another node: its caller asks again for what was not executed, and holds up nobody else by it."""
        await self._runtime.sleep(min(MOVING_PAUSE_S, deadline.remaining()))
        (again,) = await self.exchange([write.unexecuted()], deadline)
        fresh = iter(again)
        self._take(write, [next(fresh) if is_moving(answer) else answer for answer in write.answers])

    async def exchange(self, writes: Sequence[Write], deadline: Deadline) -> list[Answers]:
        """What the server said to each."""
        raise NotImplementedError


class Write(Flight):
    """Values to be stored, or calls of scripts. `begun`: it may have been sent."""

    __slots__ = ("answers", "begun", "commands", "deadline", "stored")

    def __init__(self, stored: Stored | None, commands: Sequence[Command], deadline: Deadline) -> None:
        super().__init__()
        self.stored = stored
        self.commands = commands
        self.deadline = deadline
        self.begun = False
        self.answers: Answers = []

    @property
    def keys(self) -> list[str]:
        """Those that decide which servers are asked."""
        return [command.key for command in self.commands] if self.stored is None else [self.stored.key]

    def unexecuted(self) -> Write:
        """What is left of it, where slots are moving."""
        left = [command for command, answer in zip(self.commands, self.answers, strict=False) if is_moving(answer)]
        part = Write(self.stored, left, self.deadline)
        part.answers = [answer for answer in self.answers if is_moving(answer)]
        return part


def singly(reply: Any, count: int) -> list[Any]:
    """The answer of a command for each of its keys; an error is that of all."""
    return reply if isinstance(reply, list) else [reply] * count


async def ask(route: Route, commands: Sequence[Command], deadline: Deadline) -> Answers:
    """The answers of the servers that have the keys. Raises where the only server cannot be asked."""
    try:
        return [of_state(reply) for _, reply in await route.ask(commands, deadline)]
    except StorageError as error:
        raise_alone(of_state(error))


async def ask_node(
    node: Node, commands: Sequence[Command], deadline: Deadline, *, probe: bool = False
) -> tuple[Link, list[Any]]:
    """The link that answered, and its replies. Raises the error that one of them is."""
    try:
        link, replies = await node.ask(commands, deadline, probe=probe)
    except StorageError as error:
        raise_alone(of_state(error))
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise of_state(typed(reply))
    return link, replies


async def all_nodes(route: Route, deadline: Deadline) -> list[Node]:
    try:
        return await route.nodes(deadline)
    except StorageError as error:
        raise_alone(of_state(error))


def of_state(reply: Any) -> Any:
    """The answer; an error names the tier."""
    if isinstance(reply, StorageError):
        reply.tier = "state"
    return reply
