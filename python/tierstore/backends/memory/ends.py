"""When pairs end: by the second, so that a new end costs the same however many there are."""

from __future__ import annotations

import heapq

MS = 1000
SLACK = 64


class Ends:
    """Each key that ends is in the bucket of its second. The heap has the seconds of all buckets, and some whose bucket is gone."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[str, int]] = {}
        self._seconds: list[int] = []

    def move(self, key: str, before_ms: int | None, end_ms: int | None) -> None:
        """The key ends at `end_ms`, and no more at `before_ms`; None: never."""
        if before_ms is not None:
            self._forget(key, before_ms // MS)
        if end_ms is None:
            return
        bucket = self._buckets.get(end_ms // MS)
        if bucket is None:
            bucket = self._buckets[end_ms // MS] = {}
            heapq.heappush(self._seconds, end_ms // MS)
        bucket[key] = end_ms

    def _forget(self, key: str, second: int) -> None:
        bucket = self._buckets.get(second)
        if bucket is None or bucket.pop(key, None) is None or bucket:
            return
        del self._buckets[second]
        if len(self._seconds) > 2 * len(self._buckets) + SLACK:
            self._seconds = list(self._buckets)
            heapq.heapify(self._seconds)

    def take_due(self, now_ms: int, limit: int, *, exact: bool = False) -> list[str]:
        """At most `limit` keys whose second is over; with `exact` also those that ended within the running second. They are forgotten."""
        taken: list[str] = []
        while self._seconds and self._seconds[0] < now_ms // MS and len(taken) < limit:
            bucket = self._buckets.get(self._seconds[0], {})
            while bucket and len(taken) < limit:
                taken.append(bucket.popitem()[0])
            if not bucket:
                self._buckets.pop(heapq.heappop(self._seconds), None)
        if exact:
            running = self._buckets.get(now_ms // MS, {})
            ended = [key for key, end_ms in running.items() if end_ms <= now_ms][: limit - len(taken)]
            for key in ended:
                del running[key]
            taken += ended
        return taken
