"""A database that answers late, or not at all: loads, and how long reads take, beside cashews, aiocache and dogpile.cache.

`make bench BENCH=brownout` prints the table, in less than two minutes; `ARGS=--write` keeps it under `benches/results`, draws the plot, and
shows both in docs/performance.md; `ARGS=--short` only tries whether it runs. PROCESSES processes read hot keys, and ten times a second all
of them want the same cold one. The database is reached by a line that holds its answers back; Redis is near. What is counted as a load is
a question to the database, whether or not it was answered.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import re
import sys
import time
from pathlib import Path

import tierstore
from benches import _machine, _plots
from benches._brownout_callers import COLD_EVERY_S, CONTENDERS, Met, Servers, process
from benches._paired import share
from benches.targets import seed
from tests.servers.fleet import Fleet
from tests.servers.late_line import LateLine, late_line
from tierstore import Config, PostgresConfig

PROCESSES, HOT = 4, 20
LATE_MS = (1.0, 50.0, 200.0, 500.0, math.inf)
SECONDS, SHORT_S = 4.0, 0.5
START_S = 0.2
PACKAGES = ("cashews", "aiocache", "dogpile.cache", "redis", "psycopg")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- brownout -->", "<!-- /brownout -->"
SHOWN = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
PLOT = "brownout_{}.svg"
HEADINGS = ("an answer takes", "", "loads/s", "hot p50", "hot p99", "cold p50", "cold p99", "failed")
_processes = multiprocessing.get_context("spawn")
Found = dict[str, dict[float, Met]]


def measure(name: str, servers: Servers, line: LateLine, ids: list[str], seconds: float) -> dict[float, Met]:
    """One contender, by how late the database was."""
    line.late_s = 0.0
    hot, cold = ids[:HOT], iter(ids[HOT:])
    pipes, running = [], []
    for _ in range(PROCESSES):
        here, there = _processes.Pipe()
        running.append(_processes.Process(target=process, args=(name, servers, hot, there), daemon=True))
        running[-1].start()
        there.close()
        pipes.append(here)
    for pipe in pipes:
        pipe.recv()
    found = {}
    for late_ms in LATE_MS:
        line.late_s = late_ms / 1000
        wanted = [next(cold) for _ in range(math.ceil(seconds / COLD_EVERY_S))]
        found[late_ms] = Met()
        for pipe in pipes:
            pipe.send((wanted, time.monotonic() + START_S, seconds))
        for pipe in pipes:
            found[late_ms].add(pipe.recv())
    for pipe in pipes:
        pipe.send(None)
    for one in running:
        one.join()
    return found


def table(found: Found, seconds: float) -> str:
    """Markdown."""
    lines = [HEADINGS, ("---", "---", *["---:"] * (len(HEADINGS) - 2))]
    for late_ms in LATE_MS:
        for name, by_delay in found.items():
            met = by_delay[late_ms]
            times = [_ms(times, part) for times in (met.hot, met.cold) for part in (0.5, 0.99)]
            failed = met.failed / max(1, len(met.hot) + len(met.cold))
            lines.append((_label(late_ms), name, f"{met.loads / seconds:.1f}", *times, f"{failed:.1%}"))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _ms(times: list[float], part: float) -> str:
    return f"{share(times, part) * 1e3:.2f} ms" if times else ""


def _label(late_ms: float) -> str:
    return "for ever" if math.isinf(late_ms) else f"{late_ms:g} ms"


def record(text: str, found: Found, seconds: float) -> None:
    """Keep the run, draw the plots, and show both in the page."""
    _machine.write("brownout.md", text)
    shown, labels = [BEGIN, table(found, seconds)], [_label(late_ms) for late_ms in LATE_MS]
    for kind in ("hot", "cold"):
        title = f"Reads of {kind} keys: 99 % take less"
        lines = {
            name: [share(getattr(met, kind), 0.99) * 1e3 for met in by_delay.values()]
            for name, by_delay in found.items()
        }
        _plots.steps(PLOT.format(kind), title, ("an answer of the database takes", "ms"), labels, lines, PACKAGES)
        shown += ["", f"![{title}](../benches/results/{PLOT.format(kind)})"]
    PAGE.write_text(SHOWN.sub(lambda _: "\n".join([*shown, END]), PAGE.read_text()))


async def seeded(url: str, count: int) -> list[str]:
    async with tierstore.open(Config(postgres=PostgresConfig(url))) as store:
        return await seed(store, count)


def main() -> None:
    seconds = SHORT_S if "--short" in sys.argv else SECONDS
    fleet, found = Fleet(), Found()
    try:
        database = fleet.postgres.create_database()
        ids = asyncio.run(seeded(database, HOT + len(LATE_MS) * math.ceil(seconds / COLD_EVERY_S)))
        for name in CONTENDERS:
            with late_line(fleet.postgres.port) as line:
                found[name] = measure(name, Servers(line.through(database), fleet.redis.url), line, ids, seconds)
    finally:
        fleet.close()
    text = f"```\n{_machine.header(PACKAGES)}\n```\n\n{table(found, seconds)}\n"
    print(text)
    if "--write" in sys.argv:
        record(text, found, seconds)


if __name__ == "__main__":
    main()
