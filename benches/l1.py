"""The in-process cache beside its rivals: L1.1 to L1.4 of the goals, each a ratio within one run.

`make bench BENCH=l1` prints the table; `ARGS=--write` also commits it to `benches/results` with a bar chart.

10,000 keys of 36 characters in shuffled order, small object values, one thread. A figure is net: the loop over the keys without
the call is measured beside it and taken off. Rivals alternate within a round; the median of the rounds counts.
"""

from __future__ import annotations

import functools
import gc
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import cachebox
import cachetools
import lru
import moka_py
import theine

import tierstore
from benches import _machine, _plots

KEYS, ROUNDS, PASSES, BATCH, KEPT = 10_000, 15, 5, 100, 200_000
Loop = Callable[[Sequence[Any]], None]


class Value:
    """A small object, as a service would keep one."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


# ---- what is measured -----------------------------------------------------------------------------------------------


def calls(function: Callable[[Any], Any]) -> Loop:
    def loop(keys: Sequence[Any]) -> None:
        call = function
        for key in keys:
            call(key)

    return loop


def puts(function: Callable[[Any, Any], Any]) -> Loop:
    def loop(keys: Sequence[Any]) -> None:
        call, value = function, Value(0)
        for key in keys:
            call(key, value)

    return loop


def assigns(target: Any) -> Loop:
    def loop(keys: Sequence[Any]) -> None:
        mapping, value = target, Value(0)
        for key in keys:
            mapping[key] = value

    return loop


def batches(function: Callable[[Any], Any]) -> Loop:
    def loop(keys: Sequence[Any]) -> None:
        for start in range(0, len(keys), BATCH):
            function(keys[start : start + BATCH])

    return loop


def nothing(keys: Sequence[Any]) -> None:
    for _ in keys:
        pass


def timed(loop: Loop, keys: Sequence[Any], passes: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(passes):
        loop(keys)
    return (time.perf_counter_ns() - start) / len(keys) / passes


def compare(loops: dict[str, Loop], keys: Callable[[], Sequence[Any]], passes: int = PASSES) -> dict[str, float]:
    """Net nanoseconds a key, the median of ROUNDS, all of them alternating. `keys` gives the keys of one loop.

    Several passes make a time, so that it is not that of fetching what another contestant has pushed out of the processor's caches.
    """
    found: dict[str, list[float]] = {name: [] for name in loops}
    empty: list[float] = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            empty.append(timed(nothing, keys(), passes))
            for name, loop in loops.items():
                found[name].append(timed(loop, keys(), passes))
    finally:
        gc.enable()
    base = statistics.median(empty)
    return {name: statistics.median(times) - base for name, times in found.items()}


# ---- the contestants ------------------------------------------------------------------------------------------------


def filled(cache: Any, keys: Sequence[Hashable]) -> Any:
    for key in keys:
        cache[key] = Value(0)
    return cache


def hits(keys: Sequence[Hashable]) -> dict[str, Loop]:
    """A hit in each of them, all holding `keys`."""
    remembered = functools.lru_cache(KEYS * 2)(lambda key: Value(0))
    moka: Any = moka_py.Moka(KEYS * 2)
    theine_cache: Any = theine.Cache(KEYS * 2)
    for key in keys:
        remembered(key)
        moka.set(key, Value(0))
        theine_cache.set(key, Value(0))
    return {
        "dict": calls(filled({}, keys).get),
        "tierstore": calls(filled(tierstore.Cache(KEYS * 2), keys).get),
        "tierstore ttl": calls(filled(tierstore.Cache(KEYS * 2, ttl=3600), keys).get),
        "tierstore lru": calls(filled(tierstore.Cache(KEYS * 2, policy="lru"), keys).get),
        "lru_cache": calls(remembered),
        "cachebox lru": calls(filled(cachebox.LRUCache(KEYS * 2), keys).get),
        "cachebox ttl": calls(filled(cachebox.TTLCache(KEYS * 2, 3600), keys).get),
        "lru-dict": calls(filled(lru.LRU(KEYS * 2), keys).get),
        "cachetools": calls(filled(cachetools.LRUCache(KEYS * 2), keys).get),
        "moka-py": calls(moka.get),
        "theine": calls(lambda key: theine_cache.get(key)[0]),
    }


def updates(keys: Sequence[Hashable]) -> dict[str, Loop]:
    return {
        "dict": assigns(filled({}, keys)),
        "tierstore": assigns(filled(tierstore.Cache(KEYS * 2), keys)),
        "tierstore put": puts(filled(tierstore.Cache(KEYS * 2), keys).put),
        "tierstore ttl": assigns(filled(tierstore.Cache(KEYS * 2, ttl=3600), keys)),
        "cachebox lru": assigns(filled(cachebox.LRUCache(KEYS * 2), keys)),
        "cachebox ttl": assigns(filled(cachebox.TTLCache(KEYS * 2, 3600), keys)),
        "lru-dict": assigns(filled(lru.LRU(KEYS * 2), keys)),
        "cachetools": assigns(filled(cachetools.LRUCache(KEYS * 2), keys)),
    }


def evictions(keys: Sequence[Hashable]) -> dict[str, Loop]:
    """A new key in a full cache of a tenth of them."""
    size = KEYS // 10
    return {
        "tierstore": assigns(filled(tierstore.Cache(size), keys)),
        "tierstore lru": assigns(filled(tierstore.Cache(size, policy="lru"), keys)),
        "tierstore ttl": assigns(filled(tierstore.Cache(size, ttl=3600), keys)),
        "cachebox lru": assigns(filled(cachebox.LRUCache(size), keys)),
        "cachebox ttl": assigns(filled(cachebox.TTLCache(size, 3600), keys)),
        "lru-dict": assigns(filled(lru.LRU(size), keys)),
        "cachetools": assigns(filled(cachetools.LRUCache(size), keys)),
    }


# ---- memory ---------------------------------------------------------------------------------------------------------

MEASURE_MEMORY = """
import os, sys, tierstore, cachebox
def resident():
    with open("/proc/self/statm") as found: return int(found.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
keys = [f"{{number:036d}}" for number in range({count})]
values = [object() for _ in keys]
cache = {make}
before = resident()
for key, value in zip(keys, values): cache[key] = value
{more}
print((resident() - before) / {count})
"""


def memory(make: str, more: str = "") -> float:
    """Bytes of resident memory an entry, in a process of its own, where keys and values are held by lists already."""
    script = MEASURE_MEMORY.format(make=make, more=more, count=KEPT)
    return float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)


def memories() -> dict[str, float]:
    fresh = f'for number in range({KEPT}, {KEPT * 2}): cache[f"{{number:036d}}"] = None'
    return {
        "dict": memory("{}"),
        "tierstore": memory(f"tierstore.Cache({KEPT})"),
        "tierstore, after as many evictions": memory(f"tierstore.Cache({KEPT})", fresh),
        "tierstore lru": memory(f"tierstore.Cache({KEPT}, policy='lru')"),
        "cachebox lru": memory(f"cachebox.LRUCache({KEPT})"),
    }


# ---- the table ------------------------------------------------------------------------------------------------------


def text_keys() -> list[str]:
    return [str(uuid.UUID(int=random.getrandbits(128))) for _ in range(KEYS)]


def shuffled(keys: Sequence[Any]) -> list[Any]:
    found = list(keys)
    random.shuffle(found)
    return found


def equal(keys: Sequence[str]) -> list[str]:
    """Other objects of the same text, their hash known."""
    found = fresh(keys)
    for key in found:
        hash(key)
    return found


def fresh(keys: Sequence[str]) -> list[str]:
    """Other objects of the same text, as they come from a socket: their hash is not known."""
    return [key.encode().decode() for key in shuffled(keys)]


def sections() -> dict[str, dict[str, float]]:
    keys = text_keys()
    order = shuffled(keys)
    others = equal(keys)
    numbers = [random.getrandbits(60) for _ in range(KEYS)]
    pairs = [(key[:18], key[18:]) for key in keys]
    number_order, pair_order = shuffled(numbers), [(one, other) for one, other in shuffled(pairs)]
    cache = filled(tierstore.Cache(KEYS * 2), keys)
    many = {"a loop of get": calls(cache.get), "get_many(100)": batches(cache.get_many)}
    return {
        "hit, the same key object": compare(hits(keys), lambda: order),
        "hit, an equal key, hash known": compare(hits(keys), lambda: others),
        "hit, an equal key fresh from a socket": compare(hits(keys), lambda: fresh(keys), passes=1),
        "hit, int keys": compare(hits(numbers), lambda: number_order),
        "hit, (str, str) keys": compare(hits(pairs), lambda: pair_order),
        "update": compare(updates(keys), lambda: order),
        "insert that evicts": compare(evictions(keys), lambda: order),
        "many": compare(many, lambda: order),
    }


def goals(found: dict[str, dict[str, float]], kept: dict[str, float]) -> list[tuple[str, float, float]]:
    """(goal, reached, bound): each to be at most its bound."""
    hit, update, evict, many = (
        found[name] for name in ("hit, the same key object", "update", "insert that evicts", "many")
    )
    return [
        ("L1.1 hit / dict.get", hit["tierstore"] / hit["dict"], 1.2),
        ("L1.1 hit / cachebox.LRUCache", hit["tierstore"] / hit["cachebox lru"], 0.7),
        ("L1.1 hit with ttl / cachebox.TTLCache", hit["tierstore ttl"] / hit["cachebox ttl"], 0.7),
        ("L1.2 update / dict", update["tierstore"] / update["dict"], 1.2),
        ("L1.2 evicting insert / cachebox.LRUCache", evict["tierstore"] / evict["cachebox lru"], 1.0),
        ("L1.3 get_many(100) / a loop of get", many["get_many(100)"] / many["a loop of get"], 0.8),
        ("L1.4 bytes an entry at 200,000", kept["tierstore, after as many evictions"], 72.0),
    ]


def report() -> tuple[str, dict[str, dict[str, float]]]:
    found, kept = sections(), memories()
    lines = [_machine.header(), ""]
    for title, times in found.items():
        lines += [f"{title} (net ns)", *(f"  {name:<36}{each:9.1f}" for name, each in times.items()), ""]
    lines += [
        f"memory at {KEPT:,} entries (bytes an entry)",
        *(f"  {name:<36}{each:9.1f}" for name, each in kept.items()),
        "",
    ]
    for goal, reached, bound in goals(found, kept):
        lines.append(f"{goal:<44}{reached:8.2f}  goal ≤ {bound:<6g}{'reached' if reached <= bound else 'missed'}")
    return "\n".join(lines), found


def main() -> None:
    random.seed(1)
    text, found = report()
    print(text)
    if "--write" in sys.argv:
        _machine.write("l1.txt", text + "\n")
        _plots.bars("l1.svg", "Net nanoseconds a hit (same key object)", found["hit, the same key object"])
