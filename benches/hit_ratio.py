"""Hit ratios over real traces, beside every rival and Belady's optimum: L1.5 of the goals.

`make bench BENCH=hit_ratio` prints the tables; `ARGS=--write` commits them to `benches/results`, with a plot a trace.
The traces are read from `../shared/data/traces`, or from the folder that `TRACES` names; the first 300,000 requests count.
Sizes are shares of a trace's distinct keys. A look-up that misses puts its key. One policy, nothing is set by trace. Made traces, on
which nothing was tuned, follow in a table of their own.
"""

from __future__ import annotations

import gzip
import heapq
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cachebox
import cachetools
import moka_py
import numpy as np
import theine

import tierstore
from benches import _machine, _plots
from benches._made_traces import MADE, made

REQUESTS = 300_000
SIZES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
APPLICATIONS = ("cache2k_orm_busy", "cache2k_web07", "scarab_recs")
FOLDER = Path(os.environ.get("TRACES", Path(__file__).parents[2] / "shared" / "data" / "traces"))
Count = Callable[[int, Sequence[int]], int]


def trace(path: Path) -> list[int]:
    with gzip.open(path) as opened:
        found: list[int] = np.load(opened)[:REQUESTS].tolist()
    return found


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
"""Those that are tried on made traces too."""


def measure(keys: Sequence[int], names: Sequence[str] = tuple(CONTESTANTS)) -> dict[str, list[float]]:
    """The hit ratio of each contestant, and of the optimum, at each size."""
    distinct = len(set(keys))
    sizes = [max(1, int(distinct * share)) for share in SIZES]
    contestants = {"optimum": optimum, **{name: CONTESTANTS[name] for name in names}}
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


def summary(all_ratios: dict[str, dict[str, list[float]]]) -> list[str]:
    """Mean of hit / optimum over the application traces and over all, and the most points below our LRU anywhere."""
    lines = [f"{'mean of hit / optimum':<22}{'applications':>14}{'all':>9}{'most under LRU':>17}"]
    for name in CONTESTANTS:
        means = {title: of_optimum(ratios, name) for title, ratios in all_ratios.items()}
        applications = [mean for title, mean in means.items() if title in APPLICATIONS]
        under = max(under_lru(ratios, name) for ratios in all_ratios.values())
        shown = float(np.mean(applications)) if applications else float("nan")
        lines.append(f"  {name:<20}{shown:>14.4f}{np.mean(list(means.values())):>9.4f}{under:>13.2f} pts")
    return lines


def summary_of_made() -> list[str]:
    """Mean of hit / optimum over the sizes of each made trace, and in brackets the most points below our LRU."""
    lines = [f"{'made traces':<22}" + "".join(f"{name:>18}" for name in QUICK)]
    means: dict[str, list[float]] = {name: [] for name in QUICK}
    for title in MADE:
        ratios, cells = measure(made(title), QUICK), ""
        for name in QUICK:
            means[name].append(of_optimum(ratios, name))
            cells += f"{means[name][-1]:>10.4f} ({under_lru(ratios, name):>5.2f})"
        lines.append(f"  {title:<20}{cells}")
    return [*lines, f"  {'mean':<20}" + "".join(f"{np.mean(found):>10.4f}        " for found in means.values())]


def main() -> None:
    write = "--write" in sys.argv
    paths = sorted(FOLDER.glob("*.npy.gz"))
    if not paths:
        raise SystemExit(f"no traces in {FOLDER}: set TRACES to the folder that holds them")
    lines = [_machine.header(), ""]
    all_ratios: dict[str, dict[str, list[float]]] = {}
    for path in paths:
        title = path.name.removesuffix(".npy.gz")
        all_ratios[title] = measure(trace(path))
        lines += table(title, all_ratios[title])
        if write:
            _plots.curves(
                f"hit_ratio_{title}.svg", title, "size, as a share of distinct keys", SIZES, all_ratios[title]
            )
    lines += [*summary(all_ratios), "", *summary_of_made()]
    print("\n".join(lines))
    if write:
        _machine.write("hit_ratio.txt", "\n".join(lines) + "\n")
