"""Contenders that alternate within a run: rates, latencies, and the rows of a table of goals."""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

ROUNDS = 5
SECONDS = 1.0
OUTSTANDING = 1000
Call = Callable[[int], Awaitable[object]]
Rate = Callable[[], Awaitable[float]]
"""Measures one contender for one round: calls a second."""


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` None: the goal is a figure of ours alone."""

    goal: str
    what: str
    ours: str
    rival: str
    ratio: float | None
    wanted: str
    met: bool | None

    def cells(self) -> tuple[str, ...]:
        met = {True: "yes", False: "no", None: ""}[self.met]
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return (self.goal, self.what, self.ours, self.rival, ratio, self.wanted, met)


HEADINGS = ("goal", "what", "ours", "rival", "ratio", "wanted", "met")


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def faster(goal: str, what: str, ours: float, rival: tuple[str, float], times: float) -> Row:
    """Ours is to be at least `times` the rate of the rival."""
    name, rate = rival
    ratio = ours / rate
    return Row(goal, what, f"{ours:,.0f}/s", f"{name} {rate:,.0f}/s", ratio, f"≥ {times:g} ×", ratio >= times)


def at_least(goal: str, what: str, ours: float, least: float) -> Row:
    """An absolute rate: it is judged on a quiet machine only."""
    return Row(goal, what, f"{ours:,.0f}/s", "", None, f"≥ {least:,.0f}/s", ours >= least)


def at_most(goal: str, what: str, ours_ms: float, most_ms: float) -> Row:
    """An absolute time in milliseconds."""
    return Row(goal, what, f"{ours_ms:.3f} ms", "", None, f"≤ {most_ms:g} ms", ours_ms <= most_ms)


async def alternate(contenders: dict[str, Rate], rounds: int = ROUNDS) -> dict[str, float]:
    """The median rate of each over rounds in which all take their turn, each round in another order."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    for _ in range(rounds):
        order = order[1:] + order[:1]
        for name in order:
            found[name].append(await contenders[name]())
    return {name: statistics.median(rates) for name, rates in found.items()}


def looping(get: Callable[[str], Awaitable[object]], keys: Sequence[str], seconds: float = SECONDS) -> Rate:
    """One caller that awaits one call after the other, with nothing between them."""

    async def rate() -> float:
        clock, count = time.perf_counter, 0
        started = clock()
        while clock() < started + seconds:
            for key in keys:
                await get(key)
            count += len(keys)
            await asyncio.sleep(0)  # a hit does not suspend: the loop's other work has its turn here
        return count / (clock() - started)

    return rate


def calling(call: Call, callers: int, seconds: float = SECONDS, limit: int = sys.maxsize) -> Rate:
    """`callers` in lockstep with the server: each calls again as soon as it is answered. Each call gets its own number."""

    async def rate() -> float:
        clock, numbers, count = time.perf_counter, itertools.count(), 0
        started = clock()

        async def caller() -> None:
            nonlocal count
            while clock() < started + seconds and (number := next(numbers)) < limit:
                await call(number)
                count += 1

        await asyncio.gather(*(caller() for _ in range(callers)))
        return count / (clock() - started)

    return rate


def arriving(call: Call, offered: float, latencies: list[float], seconds: float = SECONDS) -> Rate:
    """Calls that arrive by chance, `offered` a second, whether or not the earlier ones were answered; seconds of each are kept.

    What would be more than OUTSTANDING at once has to wait outside, as before any server's limit.
    """

    async def rate() -> float:
        clock, chance, tasks = time.perf_counter, random.Random(1), set[asyncio.Task[None]]()
        latencies.clear()
        started = due = clock()

        async def one(number: int, arrived: float) -> None:
            await call(number)
            latencies.append(clock() - arrived)

        number = 0
        while due < started + seconds:
            while due <= clock() and len(tasks) < OUTSTANDING:
                task = asyncio.create_task(one(number, due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                number += 1
                due += chance.expovariate(offered)
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return number / (clock() - started)

    return rate


def share(values: Sequence[float], part: float) -> float:
    """The value below which `part` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
