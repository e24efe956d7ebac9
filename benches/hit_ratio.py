"""Hit ratios over traces, beside every rival and Belady's optimum: L1.5 of the goals.

`make bench BENCH=hit_ratio` prints the tables; `ARGS=--write` commits them to `benches/results`, with plots.
The traces are those of `_made_traces.py` and, where TRACES names a folder, the recorded ones there: `NAME.npy.gz`, an array of uint32, key
ids in order of first appearance, of which the first 300,000 requests count. The results name each by the SHA-256 of its keys.
Sizes are shares of a trace's distinct keys. A look-up that misses puts its key. One policy, nothing is set by trace.
"""

from __future__ import annotations

import gzip
import heapq
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cachebox
import cachetools
import moka_py
import numpy as np
import theine

import tierstore
from benches import _machine, _plots
from benches._made_traces import MADE, digest, made

REQUESTS = 300_000
SIZES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
APPLICATIONS = ("cache2k_orm_busy", "cache2k_web07", "scarab_recs")
PLOTTED = ("shop", "scanned", "loops", "drifting")
"""Of the made traces; those that are recorded all have a plot."""
Count = Callable[[int, Sequence[int]], int]


@dataclass(frozen=True)
class Trace:
    title: str
    origin: str
    """`made` or `real`."""
    keys: Sequence[int]


def traces() -> Iterator[Trace]:
    for title in MADE:
        yield Trace(title, "made", made(title))
    if folder := os.environ.get("TRACES"):
        paths = sorted(Path(folder).glob("*.npy.gz"))
        if not paths:
            raise SystemExit(f"TRACES names {folder!r}, which holds no file NAME.npy.gz")
        for path in paths:
            with gzip.open(path) as opened:
                yield Trace(path.name.removesuffix(".npy.gz"), "real", np.load(opened)[:REQUESTS].tolist())


def optimum(size: int, keys: Sequence[int]) -> int:
    """Hits of the policy that evicts what is needed again last (Belady, 1966)."""
    never = len(keys)
    following, seen = [never] * never, {}
    for index in range(never - 1, -1, -1):
        following[index] = seen.get(keys[index], never)
        seen[keys[index]] = index
    next_use: dict[int, int] = {}
    queue: list[tuple[int, int]] = []
    hits = 0
    for index, key in enumerate(keys):
        if key in next_use:
            hits += 1
        elif len(next_use) >= size:
            while next_use.get(queue[0][1]) != -queue[0][0]:
                heapq.heappop(queue)  # an older time of an entry that was used since
            del next_use[heapq.heappop(queue)[1]]
        next_use[key] = following[index]
        heapq.heappush(queue, (-following[index], key))
    return hits


def mapping(make: Callable[[int], Any]) -> Count:
    def count(size: int, keys: Sequence[int]) -> int:
        cache = make(size)
        get, hits = cache.get, 0
        for key in keys:
            if get(key) is None:
                cache[key] = 1
            else:
                hits += 1
        return hits

    return count


def setting(make: Callable[[int], Any], found: Callable[[Any], bool]) -> Count:
    def count(size: int, keys: Sequence[int]) -> int:
        cache: Any = make(size)
        hits = 0
        for key in keys:
            if found(cache.get(key)):
                hits += 1
            else:
                cache.set(key, 1)
        return hits

    return count


CONTESTANTS: dict[str, Count] = {
    "tierstore": mapping(tierstore.Cache),
    "tierstore lru": mapping(lambda size: tierstore.Cache(size, policy="lru")),
    "cachebox lru": mapping(cachebox.LRUCache),
    "cachebox lfu": mapping(cachebox.LFUCache),
    "cachebox fifo": mapping(cachebox.FIFOCache),
    "cachetools lfu": mapping(cachetools.LFUCache),
    "moka-py": setting(moka_py.Moka, lambda value: value is not None),
    "theine": setting(theine.Cache, lambda value: value[1]),
}
QUICK = ("tierstore", "tierstore lru", "moka-py", "theine")
"""Those of the table by trace."""


def measure(keys: Sequence[int]) -> dict[str, list[float]]:
    """The hit ratio of each contestant, and of the optimum, at each size."""
    distinct = len(set(keys))
    sizes = [max(1, int(distinct * share)) for share in SIZES]
    contestants = {"optimum": optimum, **CONTESTANTS}
    return {name: [count(size, keys) / len(keys) for size in sizes] for name, count in contestants.items()}


def of_optimum(ratios: dict[str, list[float]], name: str) -> float:
    """Mean over the sizes of ratio / optimum."""
    pairs = zip(ratios[name], ratios["optimum"], strict=True)
    return float(np.mean([ratio / best if best else 1.0 for ratio, best in pairs]))


def table(title: str, ratios: dict[str, list[float]]) -> list[str]:
    head = f"{title:<22}" + "".join(f"{share:>9.0%}" for share in SIZES) + "   of optimum"
    rows = [
        f"  {name:<20}" + "".join(f"{ratio:>9.4f}" for ratio in row) + f"{of_optimum(ratios, name):>13.4f}"
        for name, row in ratios.items()
    ]
    return [head, *rows, ""]


def under_lru(ratios: dict[str, list[float]], name: str) -> float:
    """The most points below our LRU at any size."""
    return 100 * max(lru - ratio for ratio, lru in zip(ratios[name], ratios["tierstore lru"], strict=True))


def named(trace: Trace) -> str:
    shown = f"{trace.title:<20}{trace.origin:<6}{len(trace.keys):>9,} requests {len(set(trace.keys)):>8,} keys"
    return f"  {shown}  {digest(trace.keys)}"


Measured = Sequence[tuple[Trace, dict[str, list[float]]]]


def groups(measured: Measured) -> dict[str, Measured]:
    real = [one for one in measured if one[0].origin == "real"]
    found = {
        "made": [one for one in measured if one[0].origin == "made"],
        "real": real,
        "applications": [one for one in real if one[0].title in APPLICATIONS],
    }
    return {name: group for name, group in found.items() if group}


def summary(measured: Measured) -> list[str]:
    """Mean of hit / optimum over made traces, real ones, and the applications among these; the most points below our LRU."""
    shown = groups(measured)
    lines = [f"{'mean of hit / optimum':<22}" + "".join(f"{name:>14}{'under LRU':>12}" for name in shown)]
    for name in CONTESTANTS:
        cells = ""
        for group in shown.values():
            mean = float(np.mean([of_optimum(ratios, name) for _, ratios in group]))
            cells += f"{mean:>14.4f}{max(under_lru(ratios, name) for _, ratios in group):>8.2f} pts"
        lines.append(f"  {name:<20}{cells}")
    return lines


def by_trace(measured: Measured) -> list[str]:
    """Mean of hit / optimum over the sizes of each trace, and in brackets the most points below our LRU."""
    lines = [f"{'trace':<22}" + "".join(f"{name:>18}" for name in QUICK)]
    for trace, ratios in measured:
        cells = (f"{of_optimum(ratios, name):>10.4f} ({under_lru(ratios, name):>5.2f})" for name in QUICK)
        lines.append(f"  {trace.title:<20}" + "".join(cells))
    return lines


def main() -> None:
    write = "--write" in sys.argv
    measured = []
    for trace in traces():
        ratios = measure(trace.keys)
        measured.append((trace, ratios))
        print("\n".join(table(trace.title, ratios)), flush=True)
        if write and (trace.origin == "real" or trace.title in PLOTTED):
            name = f"hit_ratio_{trace.title}.svg"
            _plots.curves(name, trace.title, "size, as a share of distinct keys", SIZES, ratios)
    digests = ["traces, by the SHA-256 of their keys", *(named(trace) for trace, _ in measured), ""]
    ends = [*summary(measured), "", *by_trace(measured)]
    print("\n".join([*digests, *ends]))
    if write:
        tables = [line for trace, ratios in measured for line in table(trace.title, ratios)]
        _machine.write("hit_ratio.txt", "\n".join([_machine.header(), "", *digests, *ends, "", *tables]))
