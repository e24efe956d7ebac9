"""One simulated life: two processes with readers and writers over one database, L2 and bus, and what must hold in it.

I1  the versions that a process reads of a key never go down.
I2  a read that begins after a write has returned in that process sees it, or something later.
I4  a read that is not marked stale is at most H and the read's own time behind the database.
I5  a write that was acknowledged is committed, and no write is done twice, whoever it shared a transaction with.
I6  every version read was committed at some time.
I9  a read of a database that answers never fails, whoever is cancelled beside it.
I7  when all is quiet and delivered, L1 and L2 hold nothing but what the database holds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.model.bus import Bus, FakeChannel
from tests.model.simulation import SimRuntime, SimSupervisor, Simulation, Task
from tests.model.world import FakeRecords, Road, SteppedKeyValue, World, at_once, item_kind
from tierstore.backends import Gap
from tierstore.errors import ConnectionError, StorageError
from tierstore.plan.keys import Namespace
from tierstore.tiers.engine import Engine, Limits, Tiers
from tierstore.tiers.group_commit import GroupCommit
from tierstore.tiers.transaction import Transaction

KEYS = ("a", "b")
QUIET_S = 6.0
READ_BUDGET_S = 0.5
CUTS = 3


class Violation(AssertionError):
    """An invariant does not hold. The text begins with its name."""


class Write:
    """One write that may share its transaction: the versions that it was done at, and the one that its caller was answered."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.done: list[int] = []
        self.acknowledged = 0


class Process:
    """An engine, and what its readers and writers saw."""

    def __init__(self, story: Story, name: str) -> None:
        self.story = story
        self.name = name
        simulation = story.simulation
        runtime = SimRuntime(simulation)
        self.runtime: Any = runtime
        self.records = FakeRecords(story.world, self.runtime, simulation.step, replica=story.replica)
        self.road = Road(story.servers, self.runtime, simulation.step) if story.servers else None
        self.channel = channel = (
            FakeChannel(story.bus, self.runtime, simulation.step, road=self.road) if story.channel else None
        )
        road: Any = self.road
        tiers = Tiers(self.records, road, channel, replicas=story.replica)
        self.engine = Engine(self.runtime, tiers, namespace=Namespace("", "sim"), limits=Limits())
        self.items = self.engine.kind(item_kind())
        self.together: GroupCommit[Write, int] = GroupCommit(self.engine, self._write_together)
        self.supervisor = SimSupervisor(runtime)
        self.tasks: list[Task] = []
        self.alive = True
        self.written: dict[str, int] = {}

    def slow_down(self) -> None:
        """Some of its commits take long, and some of what it has to tell L2."""
        draw = self.story.simulation.random

        def now_and_then() -> float:
            return draw.expovariate(20) if draw.random() < 0.6 else 0.0

        self.records.commit_s = now_and_then
        if self.road is not None:
            self.road.slow_s = now_and_then

    async def reader(self, reads: int) -> None:
        simulation = self.story.simulation
        for _ in range(reads):
            key = simulation.random.choice(KEYS)
            await self.read(key)
            await self.runtime.sleep(simulation.random.choice((0.0, 0.001, 0.2)))

    async def read(self, key: str) -> None:
        simulation, world = self.story.simulation, self.story.world
        began, at_least = simulation.now, self.written.get(key, 0)
        settled = self.story.version_at(key, began - self.engine.limits.horizon_s - READ_BUDGET_S)
        how = "latest" if simulation.random.random() < 0.1 else "session"
        try:
            item = await self.items.get(key, deadline=self.runtime.deadline(5.0), read=how)
        except StorageError as error:
            raise Violation(f"I9: {self.name} read {key!r} since {began - 1000:.4f}: {error!r}") from error
        version = 0 if item is None else item.row_version
        stale = item is not None and item.meta is not None and item.meta.stale
        where = f"{self.name} read {version} of {key!r} at {simulation.now - 1000:.4f}"
        if version and version not in world.commits.get(key, ()):
            raise Violation(f"I6: {where}: never committed")
        if version < at_least:
            raise Violation(f"I2: {where}, after {at_least} was written there")
        if not stale and version < settled:
            raise Violation(f"I4: {where}, {settled} was committed long before")
        self.story.check_monotonic(self, key, version, began, where)

    async def restless(self, reads: int) -> None:
        """A reader whose reads are cancelled, somewhere."""
        simulation = self.story.simulation
        for number in range(reads):
            task = simulation.spawn(f"{self.name} cancelled {number}", self.read(simulation.random.choice(KEYS)))
            self.tasks.append(task)
            await self.runtime.sleep(simulation.random.expovariate(300))
            task.cancelled = not task.done
            await self.runtime.sleep(simulation.random.expovariate(30))

    async def writer(self, writes: int) -> None:
        simulation = self.story.simulation
        for _ in range(writes):
            key = simulation.random.choice(KEYS)
            with contextlib.suppress(StorageError):
                await simulation.random.choice((self.write, self.write, self.share, self.share, self.find))(key)
            await self.runtime.sleep(simulation.random.choice((0.0, 0.005, 0.3)))

    async def write(self, key: str) -> None:
        async with self.engine.write(deadline=self.runtime.deadline(5.0)) as write:
            version = await write.unit.put(key)
            write.changed(self.items, key, version)
        self.written[key] = max(version, self.written.get(key, 0))

    async def find(self, key: str) -> None:
        """A write that finds what it would write: it changes nothing, and answers what there is."""
        async with self.engine.write(deadline=self.runtime.deadline(5.0)) as write:
            unit: Any = write.unit
            version = await unit.lock(key)
            write.seen(self.items, key, version)
        self.written[key] = max(version, self.written.get(key, 0))

    async def crowd(self, writes: int) -> None:
        """Callers that write at the same time; some of them are cancelled, somewhere."""
        simulation = self.story.simulation
        for number in range(writes):
            shares = [self.share(simulation.random.choice(KEYS)) for _ in range(5)]
            tasks = [simulation.spawn(f"{self.name} crowd {number}", share) for share in shares]
            self.tasks += tasks
            await self.runtime.sleep(simulation.random.expovariate(100))
            for task in simulation.random.sample(tasks, simulation.random.randrange(4)):
                task.cancelled = not task.done
            await self.runtime.sleep(simulation.random.expovariate(10))

    async def share(self, key: str) -> None:
        """A write that may share its transaction; with little time now and then."""
        write, seconds = Write(key), self.story.simulation.random.choice((0.02, 5.0))
        self.story.writes.append(write)
        with contextlib.suppress(StorageError):
            write.acknowledged = await self.together.write(write, self.runtime.deadline(seconds))
            self.written[key] = max(write.acknowledged, self.written.get(key, 0))

    async def _write_together(self, transaction: Transaction, writes: Sequence[Write]) -> list[int]:
        """In the order of the keys, for they are locked; two of one key in their own order."""
        for write in sorted(writes, key=lambda write: write.key):
            unit: Any = transaction.unit
            version = await unit.put(write.key)
            transaction.changed(self.items, write.key, version)
            write.done.append(version)
        return [write.done[-1] for write in writes]


class Story:
    """`faults`: some of these happen. `slow`: some commits and deliveries take long. `fail_over`: other servers of L2 take over, and each
    process notices some day. `promotion`: the database's replica, which lacks nothing, takes its place; each process notices by itself.

    `undelivered`: the last process writes, and much of that is not delivered at once; the other one reads, and has gaps meanwhile. (One
    that wrote what was not delivered, and reads it, puts it into L2 by that: nothing old would stay there for the other one.)

    `wrong` changes the engine of every process before it starts: a protocol that must be caught.
    """

    def __init__(
        self,
        seed: int,
        *,
        channel: bool = True,
        l2: bool = True,
        processes: int = 2,
        faults: Sequence[Fault] = (),
        replica: bool = False,
        slow: bool = False,
        fail_over: bool = False,
        undelivered: bool = False,
        promotion: bool = False,
        wrong: Callable[[Process], None] | None = None,
    ) -> None:
        self.simulation = Simulation(seed)
        self.channel = channel
        self.faults = faults
        self.replica = replica
        self.slow = slow
        self.fail_over = fail_over
        self.undelivered = undelivered
        self.promotion = promotion
        self.world = World()
        self.bus = Bus()
        runtime: Any = SimRuntime(self.simulation)
        self.servers = [SteppedKeyValue(runtime, self.simulation.step)] if l2 else []
        self.processes = [Process(self, name) for name in "pq"[:processes]]
        self.committed: list[tuple[float, str, int]] = []
        self.writes: list[Write] = []
        self._readings: dict[tuple[str, str], list[tuple[float, int]]] = {}
        if slow:
            for process in self.processes:
                process.slow_down()
        if wrong is not None:
            for process in self.processes:
                wrong(process)

    def version_at(self, key: str, moment: float) -> int:
        return max((version for at, name, version in self.committed if name == key and at <= moment), default=0)

    def check_monotonic(self, process: Process, key: str, version: int, began: float, where: str) -> None:
        """Against the readings that had ended when this one began."""
        readings = self._readings.setdefault((process.name, key), [])
        before = max((seen for ended, seen in readings if ended < began), default=0)
        if version < before:
            raise Violation(f"I1: {where}, after {before}")
        readings.append((self.simulation.now, version))

    def run(self) -> Story:
        reads, writes = (40, 8) if self.undelivered else (40, 2) if self.slow else (12, 4)
        for process in self.processes:
            engine = process.engine
            self.simulation.spawn(f"{process.name} opens", engine.open(process.supervisor))
        self._watch_commits()
        readers, writers = (self.processes[:1], self.processes[1:]) if self.undelivered else (self.processes,) * 2
        for process in readers:
            for number in range(2):
                process.tasks.append(self.simulation.spawn(f"{process.name} reader {number}", process.reader(reads)))
            process.tasks.append(self.simulation.spawn(f"{process.name} restless", process.restless(reads)))
        for process in writers:
            for number in range(2):
                process.tasks.append(self.simulation.spawn(f"{process.name} writer {number}", process.writer(writes)))
            process.tasks.append(self.simulation.spawn(f"{process.name} crowd", process.crowd(writes)))
        if self.replica:
            self.simulation.spawn("replica", self._replay(), daemon=True)
        if self.fail_over:
            self.simulation.spawn("fail-overs", self._fail_over(), daemon=True)
        if self.undelivered:
            self.simulation.spawn("cuts", self._cut_often(), daemon=True)
        if self.promotion:
            self.simulation.spawn("promotions", self._promote(), daemon=True)
        if self.faults:
            self.simulation.spawn("faults", self._cause_faults(), daemon=True)
        self.simulation.run()
        return self

    async def _cause_faults(self) -> None:
        """One after another, each for a while; in the end one process may be killed."""
        draw, sleep = self.simulation.random, self.processes[0].runtime.sleep
        for _ in range(draw.randrange(1, 6)):
            await sleep(draw.expovariate(3))
            fault = draw.choice(self.faults)
            await fault(self, draw.choice(self.processes), draw.expovariate(1))
        if draw.random() < 0.5 and len(self.processes) > 1:
            self.kill(draw.choice(self.processes))

    @property
    def key_value(self) -> SteppedKeyValue | None:
        """The server of L2 that carries."""
        return self.servers[-1] if self.servers else None

    async def _fail_over(self) -> None:
        """Another server takes over, with nothing that counts in it. The one before takes commands until the last link to it breaks."""
        draw, runtime = self.simulation.random, self.processes[0].runtime
        for _ in range(draw.randrange(1, 3)):
            await runtime.sleep(draw.expovariate(2))
            self.servers.append(SteppedKeyValue(runtime, self.simulation.step))
            for process in draw.sample(self.processes, len(self.processes)):
                await runtime.sleep(draw.choice((0.0, draw.expovariate(1), 5.0)))
                if process.road is not None:
                    process.road.follow()

    async def _promote(self) -> None:
        """Another server has the database; what was open on the one before is undone. The links that keep the caches fresh come later."""
        draw, sleep = self.simulation.random, self.processes[0].runtime.sleep
        for number in range(draw.randrange(1, 3)):
            await sleep(draw.expovariate(4))
            self.world.identity = f"promoted {number}"
            for process in self.processes:
                process.records.end_units()
                process.records.unwatched = ConnectionError("the server is gone")
            for process in draw.sample(self.processes, len(self.processes)):
                await sleep(draw.choice((0.0, draw.expovariate(1))))
                process.records.unwatched = None

    async def _break_l2(self, process: Process, seconds: float) -> None:
        if self.key_value is not None:
            broken = self.key_value
            broken.broken = ConnectionError("L2 is gone")
            await process.runtime.sleep(seconds)
            broken.broken = None

    async def _silence(self, process: Process, seconds: float) -> None:
        if process.channel is not None:
            process.channel.silent = True
            await process.runtime.sleep(seconds * 3)
            process.channel.silent = False

    async def _lose(self, process: Process, seconds: float) -> None:
        if process.channel is not None:
            process.channel.lose = 1 + int(seconds)

    async def _gap(self, process: Process, seconds: float) -> None:
        if process.channel is not None:
            process.channel.inbox.append(Gap("subscribed again"))

    async def _cut(self, process: Process, seconds: float) -> None:
        """What this process writes is not delivered; others lose their place in the channel meanwhile."""
        if process.road is not None:
            process.road.cut = True
            until = self.simulation.now + seconds
            while self.simulation.now < until:
                await process.runtime.sleep(self.simulation.random.expovariate(10))
                await self._gap(self.simulation.random.choice(self.processes), 0.0)
            process.road.cut = False

    async def _cut_often(self) -> None:
        draw, sleep = self.simulation.random, self.processes[0].runtime.sleep
        for _ in range(CUTS):
            await sleep(draw.expovariate(5))
            await self._cut(self.processes[-1], draw.expovariate(1))

    async def _slow(self, process: Process, seconds: float) -> None:
        process.slow_down()
        await process.runtime.sleep(seconds * 3)
        process.records.commit_s = at_once
        if process.road is not None:
            process.road.slow_s = at_once

    async def _wipe(self, process: Process, seconds: float) -> None:
        if self.key_value is not None:
            fences = self.key_value.fences
            for lost in self.simulation.random.choice(
                [(fences.values,), (fences.floors,), (fences.values, fences.leases, fences.floors)]
            ):
                lost.clear()

    async def _replay(self) -> None:
        """The replica: a record at a time, some of them much later."""
        draw, world, sleep = self.simulation.random, self.world, self.processes[0].runtime.sleep
        while True:
            await sleep(draw.choice((0.001, 0.02, 0.5)))
            world.replayed = min(world.replayed + 1, len(world.log))

    def kill(self, process: Process) -> None:
        """SIGKILL: nothing of it runs any more; the database rolls its open transactions back."""
        self.simulation.kill([*process.tasks, *process.supervisor.tasks, *process.runtime.detached])
        process.records.end_units()
        process.alive = False

    def _watch_commits(self) -> None:
        """When each version was committed, for I4."""
        simulation, committed = self.simulation, self.committed

        class Rows(dict):
            def __ior__(self, rows):
                committed.extend((simulation.now, key, version) for key, (_, version) in rows.items())
                self.update(rows)
                return self

        self.world.rows = Rows(self.world.rows)

    def check_at_rest(self) -> None:
        """I7: let the jobs finish, then look into every tier."""
        waiting = self.processes[0].runtime.sleep(QUIET_S)
        self.simulation.spawn("quiet", waiting)
        self.simulation.run()
        self._check_writes()
        for process in filter(lambda process: process.alive, self.processes):
            for key in KEYS:
                held = process.items.hit(key)
                if getattr(held, "row_version", 0) not in (0, self.world.version(key)):
                    raise Violation(f"I7: {process.name} holds {held.row_version} of {key!r} in L1 at rest")
        names = {process.engine.namespace.database for process in self.processes if process.alive}
        for name, value in () if self.key_value is None else self.key_value.fences.values.items():
            key, is_read = name.rpartition(":")[2], any(f"{{{database}:" in name for database in names)
            if is_read and value.version not in (0, self.world.version(key)):
                raise Violation(f"I7: L2 holds {value.version} of {key!r} at rest, not {self.world.version(key)}")

    def _check_writes(self) -> None:
        for write in self.writes:
            committed = self.world.done.intersection(write.done)
            if write.acknowledged and write.acknowledged not in committed:
                raise Violation(f"I5: {write.acknowledged} of {write.key!r} was acknowledged and is lost")
            if len(committed) > 1:
                raise Violation(f"I5: one write of {write.key!r} was done at {sorted(committed)}")


Fault = Callable[[Story, Process, float], Awaitable[None]]
FAULTS = (Story._break_l2, Story._silence, Story._lose, Story._wipe, Story._gap, Story._cut, Story._slow)
LOSSES = (Story._lose,)
SILENCES = (Story._silence,)
CUT_OFF = (Story._cut,)


def search(seeds: range, **more: Any) -> tuple[int, Violation] | None:
    """The first seed whose story breaks an invariant."""
    for seed in seeds:
        story = Story(seed, **more)
        try:
            story.run()
            story.check_at_rest()
        except Violation as violation:
            return seed, violation
        finally:
            story.simulation.close()
    return None
