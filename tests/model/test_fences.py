"""The fences of rule 3.

The state machine ends stale in no interleaving, wrong forms of it do, and the Lua scripts answer as it does.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest
import redis

from tests.model.fence_world import (
    LEASE_MS,
    REPLAY3,
    REPLAY4,
    RIGHT,
    WITHOUT_FLOOR,
    FencesTier,
    Program,
    Tier,
    World,
    floor_evicted,
    loader,
    start_with_floor,
    wipe,
    writer,
)
from tests.model.search import run_at_random, search
from tierstore.backends import Change, Fill, Lease
from tierstore.backends.fences import Fences, Mark
from tierstore.backends.redis import key_value as redis_backend
from tierstore.backends.redis.commands import Script
from tierstore.backends.redis.key_value import RedisKeyValue, route
from tierstore.plan.keys import floor_key, lease_key
from tierstore.runtime import ThreadsRuntime, drive

RANDOM_RUNS = 60


def world_of(fences: Fences, *, floor: bool = True) -> World:
    tier = FencesTier(fences)
    if floor:
        start_with_floor(tier)
    return World(tier)


@pytest.mark.parametrize("name", RIGHT)
def test_never_stale_in_any_interleaving(name):
    found = search(RIGHT[name], world_of(Fences()))
    assert (found.stale, found.example) == (0, "")
    assert found.filled > 0


@pytest.mark.parametrize("name", WITHOUT_FLOOR)
def test_never_stale_when_it_starts_without_floors(name):
    found = search(WITHOUT_FLOOR[name], world_of(Fences(), floor=False))
    assert (found.stale, found.example) == (0, "")
    assert found.filled > 0


class NoLease(Fences):
    def lease(self, key: str, slot: str, token: bytes) -> Lease:
        return Lease(None, held=True, seeding=self.mark(slot, token))

    def give_back(self, key: str, token: bytes) -> bool:
        return True


class NoFloor(Fences):
    def mark(self, slot: str, token: bytes) -> bool:
        return False

    def seed(self, fill: Fill, slot: str) -> int | None:
        return -1


class NeitherLeaseNorFloor(NoLease, NoFloor):
    pass


class WritersCreateFloors(Fences):
    def rise(self, slot: str, floor: int) -> None:
        super().rise(slot, floor)
        self.floors.setdefault(slot, floor)


class WritersRaiseNothing(Fences):
    def rise(self, slot: str, floor: int) -> None:
        return None


class SeedsInOneStep(Fences):
    def mark(self, slot: str, token: bytes) -> bool:
        return slot not in self.floors

    def seed(self, fill: Fill, slot: str) -> int | None:
        if fill.seeding:
            self.floors.setdefault(slot, fill.ceiling - 1)
        floor = self.floors.get(slot)
        return floor if isinstance(floor, int) else None


class SeedsForgetWhatWasRaised(Fences):
    """And seed too low besides: alone the first is covered by the ceiling."""

    def seed(self, fill: Fill, slot: str) -> int | None:
        floor = self.floors.get(slot)
        if isinstance(floor, Mark):
            self.floors[slot] = 0
        return super().seed(fill, slot)


R1, R2 = loader(number=1, replica=True), loader(number=2, replica=True)
P1, P2 = loader(number=1), loader(number=2)
WRONG: dict[str, tuple[type[Fences], list[Program]]] = {
    "neither lease nor floor": (NeitherLeaseNorFloor, [P1, writer("A")]),
    "lease alone, behind a replica": (NoFloor, [R1, writer("A"), REPLAY3]),
    "as_of is xmax": (Fences, [loader(replica=True, as_of_xmax=True), writer("A"), writer("B"), REPLAY4]),
    "writers create floors": (WritersCreateFloors, [R1, writer("A"), writer("B"), REPLAY4, [wipe]]),
    "floors are not raised": (WritersRaiseNothing, [R1, writer("A"), REPLAY3]),
    "seeding in one step": (SeedsInOneStep, [R1, R2, writer("A"), REPLAY3, [wipe]]),
    "seeding too low": (SeedsForgetWhatWasRaised, [R1, R2, writer("A"), REPLAY3, [wipe]]),
    "seeding from a replica": (
        Fences,
        [loader(replica=True, seed_from_replica=True), writer("A"), REPLAY3, [floor_evicted]],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_forms_are_caught(name):
    wrong, programs = WRONG[name]
    assert search(programs, world_of(wrong())).stale > 0


class Differs(AssertionError):
    """The scripts answered otherwise than the state machine."""


class BothTiers:
    """Every step goes to the state machine and to the scripts, and both must answer the same."""

    def __init__(self, key_value: RedisKeyValue, server: redis.Redis, runtime: ThreadsRuntime, run: str) -> None:
        self._key_value, self._server, self._runtime = key_value, server, runtime
        self._tag = f"ts1:{{{run}:1}}:model:"
        self.ours: Tier = FencesTier(Fences())

    def _same(self, ours, theirs):
        if ours != theirs:
            raise Differs(f"state machine {ours!r}, scripts {theirs!r}")
        return ours

    def _deadline(self):
        return self._runtime.deadline(5)

    def lease(self, key: str, token: bytes) -> Lease:
        ask = self._key_value.lease_many([self._tag + key], token=token, lease_ms=LEASE_MS, deadline=self._deadline())
        return self._same(self.ours.lease(key, token), drive(ask)[0])

    def fill(self, fill: Fill) -> bool:
        ask = self._key_value.fill_many([fill._replace(key=self._tag + fill.key)], deadline=self._deadline())
        return self._same(self.ours.fill(fill), drive(ask)[0])

    def invalidate(self, key: str, floor: int) -> None:
        drive(self._key_value.invalidate([Change(self._tag + key, 0)], floor=floor, deadline=self._deadline()))
        self.ours.invalidate(key, floor)

    def lose_lease(self, key: str) -> None:
        self._server.delete(lease_key(self._tag + key))
        self.ours.lose_lease(key)

    def lose_floor(self) -> None:
        self._server.delete(floor_key(self._tag))
        self.ours.lose_floor()

    def wipe(self) -> None:
        self._server.delete(floor_key(self._tag), *(self._tag + key for key in "AB"))
        self._server.delete(*(lease_key(self._tag + key) for key in "AB"))
        self.ours.wipe()

    def value(self, key: str) -> int | None:
        (found,) = drive(self._key_value.get_many([self._tag + key], deadline=self._deadline()))
        return self._same(self.ours.value(key), None if found is None else int(found))


@pytest.fixture
def both(redis_server) -> Iterator[object]:
    runtime = ThreadsRuntime()
    key_value = RedisKeyValue(runtime, route(runtime, url=redis_server.url), soft_timeout_s=5, hard_timeout_s=5)
    run, numbers = os.urandom(6).hex(), itertools.count()
    with redis.Redis.from_url(redis_server.url) as server:
        yield lambda: BothTiers(key_value, server, runtime, f"model{run}.{next(numbers)}")
    drive(key_value.close(runtime.deadline(1)))


def runs_of(name: str, programs: list[Program], make, *, floor: bool, count: int) -> None:
    for seed in range(count):
        tier = make()
        if floor:
            start_with_floor(tier)
        world = World(tier)
        trace = run_at_random(programs, world, seed)
        assert world.fresh(), f"{name}, {trace}"


@pytest.mark.parametrize("name", [*RIGHT, *WITHOUT_FLOOR])
def test_scripts_answer_as_the_state_machine_and_never_end_stale(name, both):
    floor = name in RIGHT
    runs_of(name, (RIGHT if floor else WITHOUT_FLOOR)[name], both, floor=floor, count=RANDOM_RUNS)


def run_all(make) -> None:
    for title, programs in (RIGHT | WITHOUT_FLOOR).items():
        runs_of(title, programs, make, floor=title in RIGHT, count=RANDOM_RUNS)


BROKEN_SCRIPTS = {
    "a fill without its lease": ("FILL", "get(KEYS[2]) ~= epoch .. ARGV[2]", "false"),
    "a fill at the floor": ("FILL", "ARGV[4] <= fence", "ARGV[4] < fence"),
    "a fill that keeps its lease": ("FILL", "redis.call('DEL', KEYS[2])", ""),
    "a seed of another's mark": ("FILL", "string.sub(floor, 30) == ARGV[2]", "true"),
    "a miss that never marks": (
        "LEASE",
        "redis.call('SET', KEYS[3], epoch .. 's' .. raised .. ARGV[2], 'EX', 86400)",
        "",
    ),
    "a lease for everyone": ("LEASE", "holder ~= mine", "false"),
    "a writer that raises nothing": ("INVALIDATE", "raised < ARGV[2]", "false"),
    "a writer that keeps the value": ("INVALIDATE", "#KEYS, 1000 do", "0 do"),
}


@pytest.mark.parametrize("name", BROKEN_SCRIPTS)
def test_broken_scripts_are_caught(name, both, monkeypatch):
    which, right, wrong = BROKEN_SCRIPTS[name]
    script = getattr(redis_backend, which)
    assert right in script.text
    monkeypatch.setattr(redis_backend, which, Script.of(script.text.replace(right, wrong)))
    with pytest.raises(AssertionError):
        run_all(both)
