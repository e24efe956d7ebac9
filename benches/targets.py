"""S1-45..51, and S0-51's load: the source document's own table with our figure beside each row.

`make bench BENCH=targets` prints it, `ARGS=--write` keeps it too.

One process, PostgreSQL, Redis and the S3 server on the same machine with `synchronous_commit` on. Each row runs ROUNDS times, and the
round with the median rate is shown. p95 is over single calls, waiting included, at the number of callers in the row.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import tierstore
from benches import _machine
from tests.servers.fleet import Fleet
from tierstore import CacheConfig, Config, PostgresConfig, RedisConfig
from tierstore.cli.demo import real_sources

SCHEMAS = 10_000
CALLERS = 100
SECONDS = 2.0
ROUNDS = 5
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- targets -->", "<!-- /targets -->"
SHOWN = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
BODY = b'{"type": "object", "title": "%s", "properties": {%s}}'
WORD = re.compile(r"[a-z]{4,}")


@dataclass(frozen=True)
class Target:
    row: str
    operation: str
    p95_ms: float
    rate: int


TARGETS = {
    "l1": Target("S1-45", "Get schema (cached)", 1, 100_000),
    "l2": Target("S1-46", "Get schema (Redis)", 5, 50_000),
    "database": Target("S1-47", "Get schema (DB)", 10, 10_000),
    "register": Target("S1-48", "Register schema", 100, 1_000),
    "search": Target("S1-49", "Search schemas", 200, 500),
    "state": Target("S1-50", "Update state", 50, 2_000),
    "delete": Target("S1-51", "Delete schema", 50, 2_000),
}

Call = Callable[[int], Awaitable[object]]


@functools.cache
def vocabulary() -> list[str]:
    """The words of real .proto files, the most frequent first."""
    files = [source.path.read_text() for source in real_sources() if source.schema_type == "protobuf"]
    return [word for word, _ in Counter(WORD.findall(" ".join(files))).most_common()]


def body(number: int) -> bytes:
    """About 1.2 KB of JSON Schema, its words drawn by number, frequent ones more often."""
    chance, words = random.Random(number), vocabulary()

    def word() -> str:
        return words[min(int(chance.paretovariate(0.3)) * 4 + chance.randrange(4), len(words) - 1)]

    names = [f'"{word()}_{word()}": {{"type": "string"}}' for _ in range(24)]
    return BODY % (word().encode(), ", ".join(names).encode())


def query(number: int) -> str:
    """One word or two, drawn from all that occur."""
    words = vocabulary()
    first, second = words[number * 7919 % len(words)], words[number * 104729 % len(words)]
    return first if number % 2 else f"{first} {second}"


async def measure(call: Call, callers: int, seconds: float, limit: int | None = None) -> tuple[float, float]:
    """(calls a second, p95 in milliseconds) of `callers` that call in a loop; at most `limit` calls."""
    numbers = itertools.count()
    latencies: list[float] = []
    clock = time.perf_counter
    end = clock() + seconds

    async def caller() -> None:
        while (started := clock()) < end and (number := next(numbers)) < (limit or sys.maxsize):
            await call(number)
            latencies.append(clock() - started)

    started = clock()
    await asyncio.gather(*(caller() for _ in range(callers)))
    elapsed = clock() - started
    return len(latencies) / elapsed, statistics.quantiles(latencies, n=20)[18] * 1e3


async def median(call: Call, callers: int = CALLERS, limit: int | None = None) -> tuple[float, float]:
    rounds = [await measure(call, callers, SECONDS, limit) for _ in range(ROUNDS)]
    return sorted(rounds)[ROUNDS // 2]


async def seed(store: tierstore.Store, count: int, name: str = "bench") -> list[str]:
    """`count` schemas; their ids."""
    ids: list[str] = []
    for start in range(0, count, 500):
        items = [
            {
                "subject": f"{name}.{vocabulary()[number % 1000]}.{number}",
                "version": "1.0.0",
                "content": body(number),
                "schema_type": "jsonschema",
            }
            for number in range(start, min(count, start + 500))
        ]
        ids += [schema.id for schema in await store.schemas.register_many(items)]
    return ids


async def run(config: Config) -> dict[str, tuple[float, float]]:
    """The figures by target."""
    found = {}
    async with tierstore.open(config) as store:
        ids = await seed(store, SCHEMAS)
        schemas = store.schemas
        hot = ids[:1000]
        await schemas.get_many(hot)
        found["l1"] = await median(lambda number: schemas.get(hot[number % 1000]), callers=1)
        found["search"] = await median(lambda number: schemas.search(query(number), limit=20), callers=10)
        fresh, bodies = itertools.count(), [body(number) for number in range(1000)]
        found["register"] = await median(
            lambda number: schemas.register(
                f"new.{next(fresh)}", "1.0.0", bodies[number % len(bodies)], schema_type="jsonschema"
            )
        )
        moves = itertools.cycle((id, state) for state in ("deprecated", "active") for id in ids)
        found["state"] = await median(lambda _: schemas.set_state(*next(moves)))
        doomed = iter(await seed_for_deletion(store))
        found["delete"] = await median(lambda _: schemas.delete(next(doomed)), limit=SCHEMAS // ROUNDS)
    cold = CacheConfig(max_entries=1, warm_on_start=False)
    async with tierstore.open(Config(postgres=config.postgres, redis=config.redis, cache=cold)) as store:
        await store.schemas.get_many(hot)
        found["l2"] = await median(lambda number: store.schemas.get(hot[number % 1000]))
    async with tierstore.open(Config(postgres=config.postgres, cache=cold)) as store:
        found["database"] = await median(lambda number: store.schemas.get(hot[number % 1000]))
    return found


async def seed_for_deletion(store: tierstore.Store) -> list[str]:
    ids: list[str] = []
    for start in range(0, SCHEMAS, 500):
        items = [{"subject": f"doomed.{start + index}", "version": "1.0.0", "content": b"{}"} for index in range(500)]
        ids += [schema.id for schema in await store.schemas.register_many(items)]
    return ids


def table(found: dict[str, tuple[float, float]]) -> str:
    """Markdown, a row a target."""
    lines = ["| row | operation | target p95 | ours | target rate | ours |", "|---|---|---:|---:|---:|---:|"]
    for name, target in TARGETS.items():
        rate, p95 = found[name]
        limit = f"< {target.p95_ms:g} ms"
        lines.append(
            f"| {target.row} | {target.operation} | {limit} | {p95:.3f} ms | {target.rate:,}/s | {rate:,.0f}/s |"
        )
    mean_us = 1e6 / found["l1"][0]
    lines.append(f"| S1-28 | Get schema (cached), mean | < 0.1 ms | {mean_us / 1e3:.4f} ms | | |")
    return "\n".join(lines)


def record(found: dict[str, tuple[float, float]]) -> None:
    """Keep the run under `results/`, and show its table in docs/performance.md."""
    _machine.write("targets.md", f"```\n{_machine.header()}\n```\n\n{table(found)}\n")
    PAGE.write_text(SHOWN.sub(lambda _: f"{BEGIN}\n{table(found)}\n{END}", PAGE.read_text()))


def main() -> None:
    fleet = Fleet()
    try:
        config = Config(postgres=PostgresConfig(fleet.postgres.create_database()), redis=RedisConfig(fleet.redis.url))
        found = asyncio.run(run(config))
    finally:
        fleet.close()
    print(table(found))
    if "--write" in sys.argv:
        record(found)


if __name__ == "__main__":
    main()
