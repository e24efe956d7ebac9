"""Where the time of an L2 hit goes: CPU per read in this process at 100 callers, part by part, beside redis-py's GET of the same bytes.

`make bench BENCH=misses` prints the table. CPU and not wall time: on a machine that others use too, or whose cores the servers share, it is
what can be compared. Each part contains those above it. The parts alternate in ROUNDS rounds, the median counts.
"""

from __future__ import annotations

import asyncio
import statistics
import time

import redis.asyncio

import tierstore
from benches import _machine
from benches._paired import Call
from benches._tiers_reads import CALLERS, COLD, HOT
from benches.targets import seed
from tests.servers.fleet import Fleet
from tierstore import Config, PostgresConfig, RedisConfig
from tierstore.runtime import AsyncioRuntime, Deadline
from tierstore.runtime.coalesce import Coalescer, settle
from tierstore.runtime.flight import Flight
from tierstore.store import parts_of

ROUNDS, READS = 7, 20_000
LONG_S = 3600.0
RIVAL = "redis-py's GET"


class Waiting:
    """Callers that wait for something which one callback of the loop gives to all of them: the least that a batch costs."""

    def __init__(self, runtime: AsyncioRuntime) -> None:
        self._loop = runtime.loop
        self._runtime = runtime
        self._deadline = runtime.deadline(LONG_S)
        self._futures: list[asyncio.Future[None]] = []
        self._flights = Coalescer(runtime, self._land, lanes=1)

    async def future(self, _: int) -> None:
        if not self._futures:
            self._loop.call_soon(self._resolve)
        future = self._loop.create_future()
        self._futures.append(future)
        await future

    def _resolve(self) -> None:
        futures, self._futures = self._futures, []
        for future in futures:
            future.set_result(None)

    async def flight(self, number: int) -> None:
        flight = Flight()
        if self._flights.line_up(flight):
            await self._flights.serve([flight], self._deadline)
        if not flight.done:
            await settle(self._runtime, flight, (self._flights,), self._deadline)

    async def _land(self, flights: list[Flight], deadline: Deadline) -> None:
        await asyncio.sleep(0)
        for flight in flights:
            flight.land(flight)


async def cpu_us(call: Call) -> float:
    """Microseconds of CPU a call, of CALLERS that call in a loop."""
    numbers = iter(range(READS))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    started = time.process_time()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return (time.process_time() - started) / READS * 1e6


async def run(config: Config) -> dict[str, float]:
    assert config.redis is not None
    pool = redis.asyncio.BlockingConnectionPool.from_url(config.redis.url, max_connections=CALLERS, timeout=None)
    plain = redis.asyncio.Redis(connection_pool=pool)
    async with tierstore.open(Config(postgres=config.postgres, redis=config.redis, cache=COLD)) as store:
        hot = await seed(store, HOT)
        for key, schema in zip(hot, await store.schemas.get_many(hot), strict=True):
            await plain.set(key, bytes(schema))
        runtime = AsyncioRuntime()
        waiting, kind = Waiting(runtime), parts_of(store).engine.kinds["schema"]
        parts: dict[str, Call] = {
            "a future of asyncio": waiting.future,
            "a flight in a coalescer": waiting.flight,
            "the cached kind": lambda number: kind.get(hot[number % HOT], deadline=runtime.deadline(5.0)),
            "`schemas.get`": lambda number: store.schemas.get(hot[number % HOT]),
            RIVAL: lambda number: plain.get(hot[number % HOT]),
        }
        found: dict[str, list[float]] = {name: [] for name in parts}
        for _ in range(ROUNDS):
            for name, call in parts.items():
                found[name].append(await cpu_us(call))
        assert parts_of(store).tier_statistics()["loads"] < HOT, "the reads did not stay in L2"
    await plain.aclose()
    await pool.disconnect()
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    fleet = Fleet()
    try:
        config = Config(postgres=PostgresConfig(fleet.postgres.create_database()), redis=RedisConfig(fleet.redis.url))
        found = asyncio.run(run(config))
    finally:
        fleet.close()
    rival = found[RIVAL]
    rows = [f"| {name} | {us:.2f} µs | {rival / us:.1f} |" for name, us in found.items()]
    print(
        "\n".join(
            [
                _machine.header(),
                "",
                "| part | CPU a read | redis-py is so many times as much |",
                "|---|---:|---:|",
                *rows,
            ]
        )
    )


if __name__ == "__main__":
    main()
