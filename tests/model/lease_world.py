"""The world round a lease while old values of L2 are not trusted: loaders, who waits for them, dying writers, a fail-over of L2.

It is the world of the fences (`fence_world`), with the tier behind it as it stands. What must hold: nobody who waited answers a version
that is older than what was committed when its call began. A loader and a waiter are the same code in the library: who finds the lease
free loads, who does not waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.fence_world import (
    AGAIN,
    BLOCK,
    END,
    LEASE_MS,
    TTL_MS,
    FencesTier,
    Notes,
    Program,
    World,
    lease_runs_out,
    replay,
    wipe,
    writer,
)
from tierstore.backends import Fill


@dataclass
class LeaseWorld(World):
    """`node`: which server carries L2; `spare`: what the other one would have. `late`: answers that were too old; `taken`: hand-overs."""

    node: int = 0
    spare: FencesTier | None = None
    late: int = 0
    taken: int = 0

    def copy(self) -> LeaseWorld:
        spare = None if self.spare is None else self.spare.copy()
        return LeaseWorld(
            self.tier.copy(), self.next_id, self.active, self.log, self.replayed, dict(self.rows), self.node, spare,
            self.late, self.taken,
        )  # fmt: skip

    def state(self) -> tuple[object, ...]:
        spare = None if self.spare is None else self.spare.state()
        return (super().state(), self.node, spare, self.late, self.taken)

    def fresh(self) -> bool:
        return not self.late

    def filled(self) -> bool:
        return self.taken > 0


def reader(
    number: int, *, waits: bool = True, replica: bool = False, reads_first: bool = False, any_node: bool = False
) -> Program:
    """A read that does not believe what L2 had before; one that never `waits` loads when the lease is free, and keeps the search short.

    The others are wrong forms: a load from a replica, or before it has its lease; what was seen at one server held against another.
    """
    token = b"reader%010d" % number

    def look(world: LeaseWorld, notes: Notes) -> str | None:
        notes.setdefault("need", world.rows["A"])
        known = notes.get("seen") if waits and (any_node or notes.get("node") == world.node) else None
        lease = world.tier.lease("A", token, trusted=False, seen=known)
        if lease.handed_over:
            world.taken += 1
            world.late += int(lease.value) < notes["need"]
            return END
        if lease.held:
            notes["seeding"] = lease.seeding
            return None
        if not waits or (lease.seen, world.node) == (notes.get("seen"), notes.get("node")):
            return BLOCK
        notes["seen"], notes["node"] = lease.seen, world.node
        return AGAIN

    def read(world: LeaseWorld, notes: Notes) -> None:
        notes["read"] = world.replica("A") if replica else world.primary("A")

    def fill(world: LeaseWorld, notes: Notes) -> None:
        version, xmin, xmax = notes["read"]
        seen = version, 1, xmin, xmax, notes["seeding"]
        world.tier.fill(Fill("A", token, b"%d" % version, *seen, TTL_MS, LEASE_MS))

    return [read, look, fill] if reads_first else [look, read, fill]


def copied(world: LeaseWorld, notes: Notes) -> None:
    """The other server has all that this one has now."""
    world.spare = world.tier.copy()


def fails_over(world: LeaseWorld, notes: Notes) -> None:
    """The other server carries from now on, with what it had."""
    assert world.spare is not None
    world.tier, world.node = world.spare.copy(), world.node + 1


COPY_AND_FAIL_OVER: Program = [copied, fails_over]
ASK1, ASK2, ASK3 = (reader(number) for number in (1, 2, 3))
LOAD2, LOAD3 = (reader(number, waits=False) for number in (2, 3))
DYING = writer("A")[:2]
"""A writer that is killed between its commit and its invalidation."""

READERS: dict[str, list[Program]] = {
    "3 readers, dying writer": [ASK1, ASK2, ASK3, DYING],
    "2 loaders, writer": [ASK1, LOAD2, LOAD3, writer("A")],
    "2 loaders, writer, dying writer": [ASK1, LOAD2, LOAD3, writer("A"), DYING],
    "2 loaders, writer, lease runs out": [ASK1, LOAD2, LOAD3, writer("A"), [lease_runs_out]],
    "2 loaders, dying writer, lease runs out twice": [ASK1, LOAD2, LOAD3, DYING, [lease_runs_out], [lease_runs_out]],
    "2 loaders, dying writer, wipe": [ASK1, LOAD2, LOAD3, DYING, [wipe]],
}
FAILING_OVER: dict[str, list[Program]] = {
    "2 loaders, dying writer, fail-over": [ASK1, LOAD2, LOAD3, DYING, COPY_AND_FAIL_OVER],
}
WRONG_READERS: dict[str, list[Program]] = {
    "loads from a replica": [ASK1, *(reader(number, waits=False, replica=True) for number in (2, 3)), DYING, [replay]],
    "reads before it has its lease": [
        ASK1,
        *(reader(number, waits=False, reads_first=True) for number in (2, 3)),
        DYING,
    ],
    "what was seen at one server holds at another": [
        reader(1, any_node=True),
        LOAD2,
        LOAD3,
        DYING,
        COPY_AND_FAIL_OVER,
        [lease_runs_out],
    ],
}
