"""Fail-safe (rule 11): what L1 still has stands in, marked stale, for a database that fails or keeps its callers waiting.

A read for which L1 can stand in waits for the database for a part of its time only. Once nothing was heard of the database for SILENT_S of
waiting, such reads do not wait at all; a job asks on for one of their keys, and the first answer of any load ends that.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tierstore.errors import ConnectionError, TimeoutError
from tierstore.runtime import Deadline
from tierstore.tiers.freshness import HORIZON_S
from tierstore.tiers.miss import PATIENCE

if TYPE_CHECKING:
    from tierstore.tiers.cached import CachedKind

SILENT_S = HORIZON_S
ASK_AGAIN_S = 1.0
NO_ANSWER = (ConnectionError, TimeoutError)
"""What says that the database cannot be reached, or not in time. Any other error is an answer of it."""
T = TypeVar("T")


class Silence:
    """How long callers have waited for the database since it last answered one. In seconds of waiting: an idle hour says nothing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._under_way: dict[int, float] = {}
        self._waited_s = 0.0
        self._heard_at = self._asked_at = -math.inf

    async def broken_by(self, load: Awaitable[T]) -> T:
        """What the load brings. An error of the database ends the silence too; a caller that left without an answer does not."""
        number = next(self._numbers)
        self._under_way[number] = began = self._clock()
        answered = True
        try:
            return await load
        except BaseException as error:
            answered = isinstance(error, Exception) and not isinstance(error, NO_ANSWER)
            raise
        finally:
            self._under_way.pop(number, None)
            now = self._clock()
            if answered:
                self._waited_s, self._heard_at = 0.0, now
            else:
                self._waited_s += now - max(began, self._heard_at)

    def lasts(self) -> bool:
        """Whether it is so long that nobody should wait who need not."""
        began = min(list(self._under_way.values()), default=math.inf)
        under_way_s = max(0.0, self._clock() - max(began, self._heard_at))
        return self._waited_s + under_way_s >= SILENT_S

    def is_to_be_tried(self) -> bool:
        """Whether a load should try whether it has ended. Yes once every ASK_AGAIN_S."""
        now = self._clock()
        if now - self._asked_at < ASK_AGAIN_S:
            return False
        self._asked_at = now
        return True


class FailSafe:
    """Of one cached kind."""

    def __init__(self, cached: CachedKind[Any, Any], silence: Silence, try_again: Callable[[Hashable], None]) -> None:
        """`try_again`: load a key, with nobody waiting for it."""
        self._l1 = cached.l1
        self._max_stale_s = cached.kind.max_stale_s
        self._counters = cached.counters
        self._silence = silence
        self._try_again = try_again

    def patience(self, keys: Sequence[Any], deadline: Deadline) -> Deadline | None:
        """Until when a read of the keys, which may be served stale, waits for the database. None: not at all, L1 stands in."""
        if not all(self._l1.can_stand_in(key, self._max_stale_s) for key in keys):
            return deadline
        if not self._silence.lasts():
            return deadline.within(min(deadline.remaining() * PATIENCE, SILENT_S))
        if self._silence.is_to_be_tried():
            self._try_again(keys[0])
        return None

    def stand_in(self, key: Hashable) -> Any:
        """What L1 still has, marked stale; None if that is nothing, or too old."""
        answer = self._l1.stale(key, self._max_stale_s)
        self._counters.stale_served += answer is not None
        return answer
