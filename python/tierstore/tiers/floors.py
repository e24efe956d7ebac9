"""What this process has shown of one kind lately: no later read may fall below it (I1, I2), whatever L1 still holds.

What lies below may lag: L2 behind a writer whose delivery failed, a replica behind its primary. So a version that was read past them is
remembered through a flush and through its eviction from L1, until they are known to have it: once the relay has echoed a ping, or a
baseline was taken, that is later than the reading. Of a remembered key only the primary answers a load, and L2 only with that version.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping

MOST_FLOORS = 32_768
"""Keys remembered between two echoes. When there are more, keys are not distinguished: L2 and the replicas are not asked."""


class Floors:
    """Two generations: `old` goes when all that it holds is known below. Read with every landing, as two plain mappings."""

    __slots__ = ("_blind_since", "_clock", "_turned_at", "new", "old")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._turned_at = self._blind_since = -math.inf
        self.new: dict[Hashable, int] = {}
        self.old: dict[Hashable, int] = {}

    @property
    def blind(self) -> bool:
        """Whether more was shown than is remembered: only the primary is to be believed."""
        return self._blind_since > -math.inf

    def of(self, key: Hashable) -> int:
        """The version that a reading of the key must have, 0 for any."""
        return max(self.new.get(key, 0), self.old.get(key, 0))

    def any_of(self, keys: Iterable[Hashable]) -> bool:
        """Whether only the primary may answer one of the keys."""
        return self.blind or any(key in self.new or key in self.old for key in keys)

    def note(self, key: Hashable, version: int) -> None:
        if version > self.of(key):
            self.new[key] = version
            self.bound()

    def note_many(self, shown: Mapping[Hashable, int]) -> bool:
        """`note` for each. Whether none was known at a later version."""
        new, old, is_current = self.new, self.old, True
        for key, version in shown.items():
            known = max(new.get(key, 0), old.get(key, 0))
            if known < version:
                new[key] = version
            elif known > version:
                is_current = False
        self.bound()
        return is_current

    def bound(self) -> None:
        """After something was put into `new`."""
        if len(self.new) > MOST_FLOORS:
            self._be_blind()

    def keep(self, shown: Mapping[Hashable, int] | None) -> None:
        """L1 is emptied now, of all these; None where they are too many to be remembered."""
        if shown is None or len(shown) + len(self.new) + len(self.old) > MOST_FLOORS:
            self._be_blind()
            return
        kept = dict(shown)
        for known in (self.old, self.new):
            kept |= {key: max(version, kept.get(key, 0)) for key, version in known.items()}
        self.old, self.new, self._turned_at = kept, {}, self._clock()

    def _be_blind(self) -> None:
        self._blind_since = self._clock()
        self.old, self.new = {}, {}

    def settle(self, moment: float) -> None:
        """L2 and the replicas have, or will be asked for, all that was committed before `moment`."""
        if moment >= self._blind_since:
            self._blind_since = -math.inf
        if moment >= self._turned_at:
            self.old, self.new, self._turned_at = self.new, {}, self._clock()

    def clear(self) -> None:
        """It is another database now, whose versions may be lower."""
        self.old, self.new, self._blind_since = {}, {}, -math.inf


class Settled:
    """Up to which moment L2 and the replicas are known to have everything. Without one of them nothing is waited for there."""

    def __init__(self, settle: Callable[[float], None], *, l2: bool, replicas: bool) -> None:
        self._settle = settle
        self._l2 = -math.inf if l2 else math.inf
        self._replicas = -math.inf if replicas else math.inf
        self.anything_lags = l2 or replicas

    def l2(self, moment: float) -> None:
        self._l2 = max(self._l2, moment)
        self._tell()

    def replicas(self, moment: float) -> None:
        self._replicas = max(self._replicas, moment)
        self._tell()

    def _tell(self) -> None:
        self._settle(min(self._l2, self._replicas))
