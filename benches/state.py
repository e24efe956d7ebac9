"""State beside redis-py, aiocache, psycopg, diskcache, and sqlite3 by hand: rates by place, callers and verb, and gets beside a sweep.

`make bench BENCH=state` prints the table, in some two minutes; `ARGS=--write` keeps it under `benches/results`, draws the plot of rates
against callers, and shows both in docs/performance.md. All contenders encode and decode the same value as JSON; durable ones flush
each set to the disk. Servers run on the same machine. Rivals alternate within a run, and the median of the rounds counts.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
import sys
import tempfile
from pathlib import Path

from benches import _machine, _plots, _state_embedded, _state_servers
from benches._paired import Row, table
from tests.servers.fleet import Fleet

PACKAGES = ("redis", "hiredis", "aiocache", "diskcache", "psycopg")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- state -->", "<!-- /state -->"
SHOWN = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
PLOT = "state_{}_by_callers.svg"


async def measure(fleet: Fleet, folder: Path) -> list[Row]:
    parts = [
        _state_servers.redis_rows(fleet.redis.url, str(folder / "redis")),
        _state_servers.postgres_rows(fleet.postgres.create_database()),
        _state_embedded.embedded_rows(folder),
        _state_embedded.memory_rows(folder),
        _state_embedded.sweep_rows(folder),
    ]
    rows: list[Row] = []
    for part in parts:
        found = await part
        print(table(found), file=sys.stderr)
        rows += found
    return rows


def record(text: str, rows: list[Row], lines: dict[str, dict[str, list[float]]]) -> None:
    """Keep the run, draw the plots, and show both in the page."""
    _machine.write("state.md", text)
    shown = [BEGIN, table(rows)]
    for verb, rates in lines.items():
        title = f"State on Redis: {verb}s a second against callers of one process"
        _plots.rates(PLOT.format(verb), title, _state_servers.CROWDS, rates, PACKAGES)
        shown += ["", f"![{title}](../benches/results/{PLOT.format(verb)})"]
    PAGE.write_text(SHOWN.sub(lambda _: "\n".join([*shown, END]), PAGE.read_text()))


def main() -> None:
    fleet = Fleet()
    lines: dict[str, dict[str, list[float]]] = {}
    try:
        with tempfile.TemporaryDirectory() as name:
            rows = asyncio.run(measure(fleet, Path(name)))
            if "--write" in sys.argv:
                lines = asyncio.run(_state_servers.by_callers(fleet.redis.url, str(Path(name) / "plot")))
    finally:
        fleet.close()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    text = f"```\n{_machine.header()}\n# {versions}\n```\n\n{table(rows)}\n"
    print(text)
    if lines:
        record(text, rows, lines)


if __name__ == "__main__":
    main()
