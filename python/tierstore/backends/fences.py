"""The fences of rule 3 as a state machine: no clock, no I/O, no randomness. What the Lua scripts do in Redis, in Python.

`spec/fence_model.py` searched all interleavings of these rules; `tests/model/test_fences.py` searches this very code the same way, and
holds the scripts to the same answers. A rule is one method that the wrong forms of the tests override.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tierstore.backends import Fill, Lease, Seen


class Mark(NamedTuple):
    """A floor that a load is seeding: whose load, and what writers raised meanwhile."""

    token: bytes
    raised: int


class Value(NamedTuple):
    version: int
    revision: int
    content: bytes


class HandOver(NamedTuple):
    """What a load brought for those who wait for it."""

    token: bytes
    content: bytes


@dataclass
class Fences:
    """Values, leases and hand-overs by key, floors by slot. A slot without a floor accepts no fill until a load has seeded it."""

    values: dict[str, Value] = field(default_factory=dict)
    leases: dict[str, bytes] = field(default_factory=dict)
    floors: dict[str, int | Mark] = field(default_factory=dict)
    hand_overs: dict[str, HandOver] = field(default_factory=dict)

    def lease(self, key: str, slot: str, token: bytes, *, trusted: bool = True, seen: Seen | None = None) -> Lease:
        """A miss, or another look of who waits: the value if it came meanwhile, else a lease for the first who asks.

        Values that were there before are to be believed where they are `trusted`. A load that began after the first miss is anyway: its
        token is neither of those that the miss saw.
        """
        if trusted and (value := self.values.get(key)) is not None:
            return Lease(value.content, held=False, seeding=False)
        handed = self.hand_overs.get(key)
        if handed is not None and seen is not None and self.began_later(handed, seen):
            return Lease(handed.content, held=False, seeding=False, handed_over=True)
        if (holder := self.leases.get(key, token)) != token:
            found = seen or Seen(holder, b"" if handed is None else handed.token)
            return Lease(None, held=False, seeding=False, seen=found)
        self.leases[key] = token
        return Lease(None, held=True, seeding=self.mark(slot, token))

    def began_later(self, handed: HandOver, seen: Seen) -> bool:
        """Whether the load took its lease after the miss that saw `seen`."""
        return handed.token not in seen

    def mark(self, slot: str, token: bytes) -> bool:
        """Whether the load must seed the slot's floor. A seeding under way is taken over with all that was raised."""
        floor = self.floors.get(slot)
        if isinstance(floor, int):
            return False
        self.floors[slot] = Mark(token, 0 if floor is None else floor.raised)
        return True

    def fill(self, fill: Fill, slot: str) -> bool:
        """Accept a value with the lease that its miss handed out, and an `as_of` above the floor."""
        fence = self.seed(fill, slot)
        if not self.give_back(fill.key, fill.token):
            return False
        if fill.hand_over_ms:
            self.hand_overs[fill.key] = HandOver(fill.token, fill.value)
        if fence is None or fill.as_of <= fence:
            return False
        there = self.values.get(fill.key)
        if there is not None and (fill.version < there.version or fill.revision < there.revision):
            return False
        self.values[fill.key] = Value(fill.version, fill.revision, fill.value)
        return True

    def seed(self, fill: Fill, slot: str) -> int | None:
        """The floor, after the load that marked it has replaced its own mark; None where there is none yet."""
        floor = self.floors.get(slot)
        if isinstance(floor, Mark):
            if not (fill.seeding and floor.token == fill.token):
                return None
            floor = self.floors[slot] = max(floor.raised, fill.ceiling - 1)
        return floor

    def give_back(self, key: str, token: bytes) -> bool:
        """Drop a lease that is still held; whether it was."""
        held = self.leases.get(key) == token
        if held:
            del self.leases[key]
        return held

    def invalidate(self, key: str) -> None:
        self.values.pop(key, None)
        self.leases.pop(key, None)

    def rise(self, slot: str, floor: int) -> None:
        """A writer raises a floor or a mark, and never creates one."""
        there = self.floors.get(slot)
        if isinstance(there, Mark):
            self.floors[slot] = Mark(there.token, max(there.raised, floor))
        elif there is not None:
            self.floors[slot] = max(there, floor)
