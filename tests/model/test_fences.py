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
from tests.model.lease_world import ASK1, ASK2, ASK3, DYING, FAILING_OVER, READERS, WRONG_READERS, LeaseWorld
from tests.model.search import run_at_random, search
from tierstore.backends import Change, Fill, Lease, Seen
from tierstore.backends.fences import Fences, HandOver, Mark
from tierstore.backends.redis import key_value as redis_backend
from tierstore.backends.redis.commands import Script
from tierstore.backends.redis.key_value import RedisKeyValue, route
from tierstore.backends.redis.link import EPOCH_BYTES
from tierstore.plan.keys import floor_key, hand_over_key, lease_key
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
    def lease(self, key: str, slot: str, token: bytes, **_: object) -> Lease:
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
    assert search(programs, world_of(wrong()), first=True).stale > 0


@pytest.mark.parametrize("name", READERS | FAILING_OVER)
def test_who_waits_takes_nothing_that_is_older_than_its_call(name):
    found = search((READERS | FAILING_OVER)[name], lease_world_of(Fences()))
    assert (found.stale, found.example) == (0, "")
    assert found.filled > 0, "nobody took what another had loaded"


def lease_world_of(fences: Fences) -> LeaseWorld:
    return LeaseWorld(world_of(fences).tier)


def test_a_long_writing_transaction_refuses_no_hand_over():
    """The floor refuses the fill, and who waits gets the value all the same."""
    world = lease_world_of(Fences())
    world.active, world.next_id = (10,), 11
    found = search([ASK1, ASK2, ASK3], world)
    assert found.stale == 0
    assert found.filled > 0


class TakesAnything(Fences):
    def began_later(self, handed: HandOver, seen: Seen) -> bool:
        return True


class NotWhatItFound(Fences):
    def began_later(self, handed: HandOver, seen: Seen) -> bool:
        return handed.token != seen.hand_over


class NotWhoseLeaseItFound(Fences):
    def began_later(self, handed: HandOver, seen: Seen) -> bool:
        return handed.token != seen.lease


WRONG_RULES = {
    "takes anything": (TakesAnything, [ASK1, ASK2, DYING]),
    "takes all but the hand-over that it found": (NotWhatItFound, [ASK1, ASK2, DYING]),
    "takes all but what the lease brings that it found": (NotWhoseLeaseItFound, [ASK1, ASK2, ASK3, DYING]),
} | {name: (Fences, programs) for name, programs in WRONG_READERS.items()}


@pytest.mark.parametrize("name", WRONG_RULES)
def test_a_weaker_rule_of_who_waits_is_caught(name):
    wrong, programs = WRONG_RULES[name]
    assert search(programs, lease_world_of(wrong()), first=True).stale > 0


class Differs(AssertionError):
    """The scripts answered otherwise than the state machine."""


class BothTiers:
    """Every step goes to the state machine and to the scripts, and both must answer the same."""

    def __init__(self, key_value: RedisKeyValue, server: redis.Redis, runtime: ThreadsRuntime, run: str) -> None:
        self._key_value, self._server, self._runtime = key_value, server, runtime
        self._tag = f"ts1:{{{run}:1}}:model:"
        self._epoch = b""
        self.ours: Tier = FencesTier(Fences())

    def _same(self, ours, theirs):
        if ours != theirs:
            raise Differs(f"state machine {ours!r}, scripts {theirs!r}")
        return ours

    def _deadline(self):
        return self._runtime.deadline(5)

    def lease(self, key: str, token: bytes, *, trusted: bool = True, seen: Seen | None = None) -> Lease:
        """What the scripts saw begins with the epoch of their server."""
        ask = self._key_value.lease_many(
            [self._tag + key], token=token, lease_ms=LEASE_MS, deadline=self._deadline(), trusted=trusted,
            seen=[seen and Seen(*(self._epoch + part if part else b"" for part in seen))],
        )  # fmt: skip
        theirs = drive(ask)[0]
        if theirs.seen is not None:
            self._epoch = theirs.seen.lease[:EPOCH_BYTES]
            theirs = theirs._replace(seen=Seen(*(part[EPOCH_BYTES:] for part in theirs.seen)))
        return self._same(self.ours.lease(key, token, trusted=trusted, seen=seen), theirs)

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
        self._server.delete(*(name(self._tag + key) for key in "AB" for name in (lease_key, hand_over_key)))
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


def runs_of(name: str, make, *, count: int = RANDOM_RUNS) -> None:
    for seed in range(count):
        tier = make()
        if name not in WITHOUT_FLOOR:
            start_with_floor(tier)
        world = (LeaseWorld if name in READERS else World)(tier)
        trace = run_at_random(ALL[name], world, seed)
        assert world.fresh(), f"{name}, {trace}"


ALL = RIGHT | WITHOUT_FLOOR | READERS


@pytest.mark.parametrize("name", ALL)
def test_scripts_answer_as_the_state_machine_and_never_end_stale(name, both):
    runs_of(name, both)


def run_all(make) -> None:
    for name in ALL:
        runs_of(name, make)


BROKEN_SCRIPTS = {
    "a fill without its lease": ("FILL", "get(KEYS[2]) ~= epoch .. ARGV[2]", "false"),
    "a fill at the floor": ("FILL", "ARGV[4] <= fence", "ARGV[4] < fence"),
    "a fill that keeps its lease": ("FILL", "redis.call('DEL', KEYS[2])", ""),
    "a fill that hands nothing over": ("FILL", "ARGV[8] ~= '0'", "false"),
    "a fill that hands over to nobody": ("FILL", "epoch .. ARGV[2] .. string.sub(ARGV[6], 19)", "epoch .. ARGV[6]"),
    "a hand-over of any load": ("LEASE", "by ~= ARGV[5] and by ~= ARGV[6]", "true"),
    "a hand-over of the load that was under way": ("LEASE", "by ~= ARGV[5] and by", "by"),
    "a hand-over that was there": ("LEASE", "and by ~= ARGV[6]", ""),
    "a look that forgets the first": ("LEASE", "seen and { ARGV[5], ARGV[6] } or", ""),
    "a value that is not trusted": ("LEASE", "ARGV[4] == '1'", "true"),
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
