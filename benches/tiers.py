"""T.1 to T.10: the tiers beside cashews, aiocache, dogpile.cache, and a dict, redis-py and psycopg used by hand.

`make bench BENCH=tiers` prints the table; `ARGS="--only=T.1,T.4"` some of its goals, `ARGS=--write` also commits it to
`benches/results`. Servers run on the same machine. Rivals alternate within a run, the median of the rounds counts; a ratio holds on a
busy machine too, an absolute figure only on a quiet one.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys
from collections.abc import Awaitable, Callable

from benches import _machine, _tiers_fleet, _tiers_reads, _tiers_writes
from benches._paired import Row, table
from tests.servers.fleet import Fleet
from tierstore import Config, PostgresConfig, RedisConfig

PACKAGES = ("aiocache", "cashews", "dogpile.cache", "redis", "hiredis", "psycopg", "psycopg-pool")
Part = Callable[[Config], Awaitable[list[Row]]]


def chosen(arguments: list[str]) -> set[str]:
    """The goals of `--only`; empty for all."""
    return {goal for argument in arguments if argument.startswith("--only=") for goal in argument[7:].split(",")}


def measure(only: set[str]) -> list[Row]:
    """Each part on a database of its own."""
    fleet = Fleet()

    async def paused(config: Config) -> list[Row]:
        return await _tiers_fleet.redis_paused(config, fleet.redis)

    parts: list[tuple[set[str], Part]] = [
        ({"T.1"}, _tiers_reads.l1),
        ({"T.2"}, _tiers_reads.l2),
        ({"T.3"}, _tiers_reads.database),
        ({"T.4", "T.5", "T.7"}, _tiers_writes.writes),
        ({"T.6"}, _tiers_reads.search),
        ({"T.8"}, _tiers_fleet.invalidation),
        ({"T.9"}, paused),
        ({"T.10"}, _tiers_fleet.cold_key),
    ]
    rows: list[Row] = []
    try:
        for goals, part in parts:
            if only and not only & goals:
                continue
            address = PostgresConfig(fleet.postgres.create_database())
            found = asyncio.run(part(Config(postgres=address, redis=RedisConfig(fleet.redis.url))))
            print(table(found), file=sys.stderr)  # a run takes minutes: each part is shown when it is done
            rows += found
    finally:
        fleet.close()
    return rows


def main() -> None:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    text = f"{_machine.header()}\n# {versions}\n\n{table(measure(chosen(sys.argv)))}\n"
    print(text)
    if "--write" in sys.argv:
        _machine.write("tiers.md", text)


if __name__ == "__main__":
    main()
