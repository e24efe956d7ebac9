"""A database whose every answer is late: the caches stay fresh, it is asked no more than one that is fast, and a load serves the fleet."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.contract.engines import PostgresEngine
from tests.faults.waiting import until
from tests.model.bus import Bus, FakeChannel
from tests.model.world import item_kind
from tests.servers.late_line import LateLine, late_line
from tests.servers.pgbouncer import PgBouncer
from tierstore import CacheConfig, Config, PostgresConfig, RedisConfig
from tierstore.backends.memory.key_value import MemoryKeyValue
from tierstore.backends.postgres.channel import OutboxChannel
from tierstore.plan.keys import Namespace
from tierstore.runtime import drive
from tierstore.store import Store, parts_of
from tierstore.telemetry import OFF
from tierstore.tiers import engine as engines
from tierstore.tiers.freshness import HORIZON_S

CONTENT = b'{"type": "object"}'
PROCESSES = 4
SLOW_S = 0.3
MANY = 20


@pytest.fixture
def line(postgres) -> Iterator[LateLine]:
    with late_line(urlsplit(postgres.url).port) as made:
        yield made


@pytest.fixture(params=["direct", "pooled"])
def database_engine(request, face, database, postgres) -> Iterator[tuple[PostgresEngine, LateLine]]:
    """PostgreSQL by a late line, with or without a pooler at its end."""
    with contextlib.ExitStack() as stack:
        if request.param == "direct":
            port = urlsplit(postgres.url).port
        else:
            pgbouncer: PgBouncer = request.getfixturevalue("pgbouncer")
            port = urlsplit(pgbouncer.through(database)).port
        between = stack.enter_context(late_line(port))
        migrating = PostgresEngine(face, database)
        migrating.migrated()
        migrating.close()
        made = PostgresEngine(face, between.through(database))
        stack.callback(made.close)
        yield made, between


def of_a_dead_writer(database: str, *keys: str) -> None:
    """An outbox row that its writer committed and did not live to deliver."""
    with psycopg.connect(database, autocommit=True) as admin:
        row = (list(keys), [1] * len(keys))
        admin.execute("INSERT INTO outbox (keys, versions) VALUES (%s::text[], %s::bigint[])", row)


def test_a_turn_of_the_relay_costs_one_round_trip(database_engine, database):
    made, line = database_engine
    records, runtime = made.records(), made.runtime

    async def turns() -> None:
        tiers = engines.Tiers(records, MemoryKeyValue(runtime), FakeChannel(Bus(), runtime))
        engine = engines.Engine(runtime, tiers, namespace=Namespace("", "test"))
        key = engine.kind(item_kind()).name("a", 1).key
        relay, delivery = engine._relay, engine._delivery

        async def least(step: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> int:
            """Where nothing is shared, a connection prepares each statement the first time; and a pool may open another connection."""
            costs = [MANY]
            while costs[-1] > 1 and len(costs) <= MANY:
                before()
                asked = line.round_trips
                await step()
                costs.append(line.round_trips - asked)
            return min(costs)

        def dies() -> None:
            of_a_dead_writer(database, key)
            left.append(key)

        left: list[str] = []
        assert await least(relay.step) == 1
        assert await least(relay.step, dies) == 1
        assert await least(relay.step) == 1
        assert engine.counters.redelivered == len(left), "none is delivered again while its mark is on its way"
        assert await least(delivery.mark, lambda: delivery.mark_later([0], 0)) == 1
        assert await least(relay.trim) == 1
        assert not (await records.undelivered(after=-1, limit=1, deadline=runtime.deadline(5))).rows

    made.face.run(turns)


def test_a_poll_of_the_outbox_costs_one_round_trip(database_engine, database):
    made, line = database_engine
    records, runtime = made.records(), made.runtime

    async def polls() -> None:
        channel = OutboxChannel(runtime, records)
        await channel.open(runtime.deadline(5))

        async def cost() -> int:
            before = line.round_trips
            while not await channel.receive(wait_s=1.0):
                pass
            return line.round_trips - before

        await cost()
        for number in range(3):
            of_a_dead_writer(database, f"k{number}")
            assert await cost() == 1

    made.face.run(polls)


class Fleet:
    """Stores of one configuration, as several processes have them; the database behind a line."""

    def __init__(self, face: Any, line: LateLine, config: Config) -> None:
        self.face = face
        self.line = line
        self.config = config
        self.runtimes = [face.runtime() for _ in range(PROCESSES)]

    async def __aenter__(self) -> Self:
        self._stack = contextlib.AsyncExitStack()
        self.stores = [
            await self._stack.enter_async_context(await Store.opened(self.config, runtime, OFF))
            for runtime in self.runtimes
        ]
        self.engines = [parts_of(store).engine for store in self.stores]
        return self

    async def __aexit__(self, *error: object) -> None:
        self.line.late_s = 0.0
        await self._stack.aclose()

    def is_trusted(self) -> bool:
        """Whether every process believes every cache that it has."""
        checks = [engine.freshness.is_fresh for engine in self.engines]
        checks += [engine.l2_fresh for engine in self.engines] if self.config.redis else []
        return all(check() for check in checks)

    async def trusted(self) -> None:
        await until(self.runtimes[0], self.is_trusted)

    async def read_at_once(self, id: str) -> list[Any]:
        """The same schema, in every process at the same time."""
        if self.face.name == "async":
            return await self.runtimes[0].gather([store.schemas.get(id) for store in self.stores])
        found: list[Any] = [None] * PROCESSES
        barrier = threading.Barrier(PROCESSES)

        def read(number: int) -> None:
            barrier.wait()
            found[number] = drive(self.stores[number].schemas.get(id))

        threads = [threading.Thread(target=read, args=(number,)) for number in range(PROCESSES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def loads(self) -> int:
        return sum(engine.statistics("schemas")["loads"] for engine in self.engines)


def config_of(line: LateLine, database: str, redis_url: str | None, prefix: str) -> Config:
    postgres = PostgresConfig(line.through(database), max_connections=4, min_connections=1)
    patient = {"soft_timeout": 2.0, "hard_timeout": 2.0}  # that this machine is busy is no matter here
    redis = None if redis_url is None else RedisConfig(redis_url, prefix=prefix, **patient)
    return Config(postgres=postgres, redis=redis, cache=CacheConfig(warm_on_start=False))


@pytest.fixture
def fleet_of_all(face, line, database, redis_server, tmp_path) -> Fleet:
    return Fleet(face, line, config_of(line, database, redis_server.url, tmp_path.name))


@pytest.mark.parametrize("kind", ["postgres", "postgres and redis"])
def test_the_caches_stay_fresh(request, face, line, database, tmp_path, kind):
    redis_url = request.getfixturevalue("redis_server").url if kind == "postgres and redis" else None

    async def story() -> None:
        async with Fleet(face, line, config_of(line, database, redis_url, tmp_path.name)) as fleet:
            runtime = fleet.runtimes[0]
            await fleet.trusted()
            line.late_s = SLOW_S
            ends = runtime.monotonic() + 1.5 * HORIZON_S
            while runtime.monotonic() < ends:
                assert fleet.is_trusted()
                await runtime.sleep(0.05)

    face.run(story)


def test_one_load_serves_the_fleet(face, fleet_of_all):
    async def story() -> None:
        async with fleet_of_all as fleet:
            await fleet.trusted()
            schema = await fleet.stores[0].schemas.register("orders", "1.0.0", CONTENT)
            fleet.line.late_s = SLOW_S
            before = fleet.loads()
            assert await fleet.read_at_once(schema.id) == [schema] * PROCESSES
            assert fleet.loads() - before == 1

    face.run(story)


def test_two_loads_serve_a_fleet_that_does_not_trust_what_l2_has(face, fleet_of_all):
    async def story() -> None:
        async with fleet_of_all as fleet:
            schema = await fleet.stores[0].schemas.register("orders", "1.0.0", CONTENT)
            for engine in fleet.engines:
                engine.l2_fresh = lambda: False
            fleet.line.late_s = SLOW_S
            before = fleet.loads()
            assert await fleet.read_at_once(schema.id) == [schema] * PROCESSES
            assert fleet.loads() - before == 2
            assert sum(engine.statistics("schemas")["l2_handed_over"] for engine in fleet.engines) == PROCESSES - 2

    face.run(story)


def test_a_long_writing_transaction_costs_a_fleet_one_more_load(face, fleet_of_all, database):
    """The fences refuse the fill while it runs: what was loaded is handed over to those who wait."""

    async def story() -> None:
        async with fleet_of_all as fleet:
            await fleet.trusted()
            schema = await fleet.stores[0].schemas.register("orders", "1.0.0", CONTENT)
            with psycopg.connect(database) as other:
                other.execute("SELECT pg_current_xact_id()")
                await fleet.stores[0].schemas.set_state(schema.id, "deprecated")
                fleet.line.late_s = SLOW_S
                before = fleet.loads()
                found = await fleet.read_at_once(schema.id)
                assert [one.state for one in found] == ["deprecated"] * PROCESSES
                assert fleet.loads() - before == 2

    face.run(story)


def test_a_store_reads_l2_from_its_first_read(face, fleet_of_all):
    async def story() -> None:
        async with fleet_of_all as fleet:
            await fleet.trusted()
            schema = await fleet.stores[0].schemas.register("orders", "1.0.0", CONTENT)
            await fleet.stores[0].schemas.get(schema.id)
            async with await Store.opened(fleet.config, face.runtime(), OFF) as store:
                assert await store.schemas.get(schema.id) == schema
                counted = parts_of(store).engine.statistics("schemas")
                assert (counted["l2_hits"], counted["loads"]) == (1, 0)

    face.run(story)
