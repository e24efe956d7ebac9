"""The world round the fences, a step at a time: writers, loaders, a replica, and what can happen to L2.

Keys A and B share one slot. Transaction ids are assigned, then committed; the replica replays the log one record at a time. It is the
world of the protocol's model, with the code of this library in the place of the model's L2. A step mutates the world and its program's
own notes; BLOCK means that it cannot run yet, AGAIN that it comes once more, END that its program is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tierstore.backends import Fill, Lease, Seen
from tierstore.backends.fences import Fences

BLOCK, AGAIN, END = "block", "again", "end"
FIRST_ID = 10
SLOT = "slot"
TTL_MS = LEASE_MS = 600_000


class Tier(Protocol):
    """L2, as the world uses it. Values are the version in text."""

    def lease(self, key: str, token: bytes, *, trusted: bool = True, seen: Seen | None = None) -> Lease: ...
    def fill(self, fill: Fill) -> bool: ...
    def invalidate(self, key: str, floor: int) -> None: ...
    def lose_lease(self, key: str) -> None: ...
    def lose_floor(self) -> None: ...
    def wipe(self) -> None: ...
    def value(self, key: str) -> int | None: ...


class FencesTier:
    """The state machine itself."""

    def __init__(self, fences: Fences) -> None:
        self.fences = fences

    def lease(self, key: str, token: bytes, *, trusted: bool = True, seen: Seen | None = None) -> Lease:
        return self.fences.lease(key, SLOT, token, trusted=trusted, seen=seen)

    def fill(self, fill: Fill) -> bool:
        return self.fences.fill(fill, SLOT)

    def invalidate(self, key: str, floor: int) -> None:
        self.fences.invalidate(key)
        self.fences.rise(SLOT, floor)

    def lose_lease(self, key: str) -> None:
        self.fences.leases.pop(key, None)

    def lose_floor(self) -> None:
        self.fences.floors.clear()

    def wipe(self) -> None:
        for held in self._all():
            held.clear()

    def _all(self) -> tuple[dict[str, Any], ...]:
        return self.fences.values, self.fences.leases, self.fences.floors, self.fences.hand_overs

    def value(self, key: str) -> int | None:
        value = self.fences.values.get(key)
        return None if value is None else value.version

    def copy(self) -> FencesTier:
        return FencesTier(type(self.fences)(*map(dict, self._all())))

    def state(self) -> tuple[Any, ...]:
        return tuple(tuple(sorted(held.items())) for held in self._all())


@dataclass
class World:
    """The database, its replica, and L2."""

    tier: Any
    next_id: int = FIRST_ID
    active: tuple[int, ...] = ()
    log: tuple[tuple[str, int, str, int], ...] = ()
    replayed: int = 0
    rows: dict[str, int] = field(default_factory=lambda: {"A": 1, "B": 1})

    def copy(self) -> World:
        return World(self.tier.copy(), self.next_id, self.active, self.log, self.replayed, dict(self.rows))

    def state(self) -> tuple[Any, ...]:
        return (self.tier.state(), self.next_id, self.active, self.log, self.replayed, tuple(self.rows.items()))

    def fresh(self) -> bool:
        """Whether L2 has nothing, or the newest, of each key: asked when all has come to rest."""
        return all(self.tier.value(key) in (None, version) for key, version in self.rows.items())

    def filled(self) -> bool:
        """Whether L2 has a value."""
        return self.tier.value("A") is not None

    def primary(self, key: str) -> tuple[int, int, int]:
        """Version, xmin and xmax of a snapshot taken now."""
        return self.rows[key], min(self.active, default=self.next_id), self.next_id

    def replica(self, key: str) -> tuple[int, int, int]:
        version, observed, completed = 1, FIRST_ID - 1, set(range(FIRST_ID))
        for kind, number, changed, written in self.log[: self.replayed]:
            observed = max(observed, number)
            if kind == "commit":
                completed.add(number)
                version = written if changed == key else version
        xmax = max(completed) + 1
        running = [number for number in range(FIRST_ID, observed + 1) if number not in completed]
        return version, min(running, default=xmax), xmax


Notes = dict[str, Any]
Step = Callable[[World, Notes], str | None]
Program = list[Step]


def writer(key: str) -> Program:
    """A write of a key: its transaction, and the invalidation of L2 after the commit."""

    def assign(world: World, notes: Notes) -> str | None:
        ended = {number for kind, number, *_ in world.log if kind == "commit"}
        if any(kind == "write" and changed == key and number not in ended for kind, number, changed, _ in world.log):
            return BLOCK  # the row is locked
        notes["id"] = world.next_id
        world.next_id += 1
        world.active += (notes["id"],)
        world.log += (("write", notes["id"], key, 0),)
        return None

    def commit(world: World, notes: Notes) -> None:
        world.rows[key] += 1
        world.active = tuple(number for number in world.active if number != notes["id"])
        world.log += (("commit", notes["id"], key, world.rows[key]),)

    def invalidate(world: World, notes: Notes) -> None:
        world.tier.invalidate(key, notes["id"])

    return [assign, commit, invalidate]


def loader(
    key: str = "A", *, number: int = 1, replica: bool = False, as_of_xmax: bool = False, seed_from_replica: bool = False
) -> Program:
    """A miss, the load, the fill. The last two arguments are wrong forms."""
    token = b"token%d" % number

    def miss(world: World, notes: Notes) -> str | None:
        lease = world.tier.lease(key, token)
        notes["seeding"] = lease.seeding
        return None if lease.held else END

    def read(world: World, notes: Notes) -> None:
        from_replica = replica and (seed_from_replica or not notes["seeding"])
        notes["seen"] = world.replica(key) if from_replica else world.primary(key)

    def fill(world: World, notes: Notes) -> None:
        version, xmin, xmax = notes["seen"]
        as_of = xmax if as_of_xmax else xmin
        world.tier.fill(Fill(key, token, b"%d" % version, version, 1, as_of, xmax, notes["seeding"], TTL_MS))

    return [miss, read, fill]


def replay(world: World, notes: Notes) -> str | None:
    if world.replayed >= len(world.log):
        return BLOCK
    world.replayed += 1
    return None


def lease_runs_out(world: World, notes: Notes) -> None:
    world.tier.lose_lease("A")


def floor_evicted(world: World, notes: Notes) -> None:
    world.tier.lose_floor()


def wipe(world: World, notes: Notes) -> None:
    world.tier.wipe()


def start_with_floor(tier: Tier) -> None:
    """A slot whose floor a load has seeded, as a quiet database leaves it."""
    token = b"before"
    lease = tier.lease("A", token)
    tier.fill(Fill("A", token, b"1", 1, 1, FIRST_ID, FIRST_ID, lease.seeding, TTL_MS))
    tier.invalidate("A", FIRST_ID - 1)


REPLAY3, REPLAY4 = [replay] * 3, [replay] * 4
RIGHT: dict[str, list[Program]] = {
    "primary, 2 loaders, writers A B": [loader(number=1), loader(number=2), writer("A"), writer("B")],
    "replica, 2 loaders, writer A": [*(loader(number=number, replica=True) for number in (1, 2)), writer("A"), REPLAY3],
    "replica, writers A A": [loader(replica=True), writer("A"), writer("A"), REPLAY4],
    "replica, writers A B": [loader(replica=True), writer("A"), writer("B"), REPLAY3],
    "replica, lease runs out": [
        *(loader(number=number, replica=True) for number in (1, 2)),
        writer("A"),
        REPLAY3,
        [lease_runs_out],
    ],
    "replica, wipe": [*(loader(number=number, replica=True) for number in (1, 2)), writer("A"), REPLAY3, [wipe]],
    "replica, floor evicted": [
        *(loader(number=number, replica=True) for number in (1, 2)),
        writer("A"),
        REPLAY3,
        [floor_evicted],
    ],
    "mixed, wipe, lease runs out": [
        loader(number=1, replica=True),
        loader(number=2),
        writer("A"),
        REPLAY3,
        [wipe],
        [lease_runs_out],
    ],
    "replica, writers A B, wipe": [loader(replica=True), writer("A"), writer("B"), REPLAY3, [wipe]],
    "replica, writers A A, floor evicted": [loader(replica=True), writer("A"), writer("A"), REPLAY3, [floor_evicted]],
    "loaders of both keys, writers A B, floor evicted": [
        loader("A", number=1, replica=True),
        loader("B", number=2),
        writer("A"),
        writer("B"),
        [floor_evicted],
    ],
    "one token for both keys of a slot, writers A B": [
        loader("A", number=1, replica=True),
        loader("B", number=1, replica=True),
        writer("A"),
        writer("B"),
        REPLAY3,
    ],
    "loaders of both keys, wipe, lease runs out": [
        loader("A", number=1),
        loader("B", number=2, replica=True),
        writer("B"),
        REPLAY3,
        [wipe],
        [lease_runs_out],
    ],
}
WITHOUT_FLOOR: dict[str, list[Program]] = {
    "2 loaders, writers A A, wipe": [
        loader(number=1, replica=True),
        loader(number=2),
        writer("A"),
        writer("A"),
        REPLAY3[:2],
        [wipe],
    ],
    "loaders of both keys, writers A B": [
        loader("A", number=1, replica=True),
        loader("B", number=2, replica=True),
        writer("A"),
        writer("B"),
        REPLAY3,
    ],
    "one token for both keys, writers A B, floor evicted": [
        loader("A", number=1),
        loader("B", number=1),
        writer("A"),
        writer("B"),
        [floor_evicted],
    ],
}
