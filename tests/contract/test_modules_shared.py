"""Modules in the caches: for how long, what answers a second read, and that other processes hear of every write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.contract.module_stores import FILES, OpenModules
from tests.contract.schema_stores import FACES, Opened, backend_config, opened
from tierstore import CacheConfig, RedisConfig
from tierstore.store import Store, parts_of
from tierstore.telemetry import OFF

MODULE_TTL_S, VERSION_TTL_S = 300, 3_600
HEARD_S = 20.0


async def nap(face: str) -> None:
    if face == "async":
        await asyncio.sleep(0.01)
    else:
        time.sleep(0.01)  # noqa: ASYNC251  (the blocking face blocks)


@pytest.fixture(scope="module")
def pair(
    request: pytest.FixtureRequest, store_backend: str, store_face: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Opened, Opened]]:
    """Two stores of one database, each with caches of its own, on one event loop where there is one."""
    config = backend_config(request, store_backend, tmp_path_factory.mktemp("pair"))
    with opened(store_backend, store_face, config) as one:

        async def open_it() -> Store:
            return await Store.opened(one.config, one.face.runtime(), OFF)

        two = one.face.run(open_it)
        yield one, Opened(one.backend, one.face, two, one.config)
        one.face.run(two.close)


async def until_cached(opened: Opened, read: Callable[[], Awaitable[Any]]) -> Any:
    """What L1 answers, once it is trusted."""
    ends = time.monotonic() + HEARD_S
    while (found := await read()).meta.tier != "l1":
        assert time.monotonic() < ends, "L1 never answered"
        await nap(opened.face.name)
    return found


@pytest.mark.requirement("S0-15", "S0-16", "S0-74")
def test_each_kind_has_its_time(modules: OpenModules):
    """In L1 as its entries say, in L2 as Redis says."""

    async def scenario(store):
        name = await modules.made("1.0.0")
        await store.get(name)
        await store.get_version(name, "1.0.0")
        await store.get_latest(name)
        engine = parts_of(modules.store).engine
        now = engine.runtime.monotonic()
        keys = {"module": name, "module_version": (name, "1.0.0"), "module_latest": name}
        return {kind: engine.kinds[kind].l1.look(key).ends - now for kind, key in keys.items()}

    ends = modules.run(scenario)
    for kind, ttl in (("module", MODULE_TTL_S), ("module_version", VERSION_TTL_S), ("module_latest", VERSION_TTL_S)):
        assert 0.8 * ttl < ends[kind] <= ttl, kind
    if modules.config.redis is not None:
        client = redis.Redis.from_url(modules.config.redis.url)
        for key in client.keys("ts1:*"):
            kind = key.decode().partition("}:")[2].partition(":")[0]
            if kind in ends:
                assert client.pttl(key) <= (MODULE_TTL_S if kind == "module" else VERSION_TTL_S) * 1000


@pytest.mark.requirement("S0-74")
def test_a_setting_gives_a_kind_another_time(
    request: pytest.FixtureRequest, store_backend: str, store_face: str, tmp_path: Path
):
    config = backend_config(request, store_backend, tmp_path)
    cache = CacheConfig(warm_on_start=False, ttl_by_kind={"module": 7.0, "module_version": 9.0})
    with opened(store_backend, store_face, replace(config, cache=cache)) as own:
        engine = parts_of(own.store).engine

        async def scenario(store):
            await store.create("a")
            await store.create_version("a", "1.0.0", FILES)
            await store.get("a")
            await store.get_version("a", "1.0.0")
            now = engine.runtime.monotonic()
            keys = {"module": "a", "module_version": ("a", "1.0.0")}
            return [engine.kinds[kind].l1.look(key).ends - now for kind, key in keys.items()]

        module, version = own.face.run(scenario, own.store.modules)
        assert 0 < module <= 7.0
        assert 7.0 < version <= 9.0


@pytest.mark.requirement("S0-74")
@pytest.mark.parametrize("face_name", FACES)
def test_a_setting_gives_a_kind_another_time_in_redis(
    request: pytest.FixtureRequest, face_name: str, redis_server, tmp_path: Path
):
    config = backend_config(request, "postgres", tmp_path)
    shared = RedisConfig(
        redis_server.url, prefix=f"{tmp_path.name}:", ttl_by_kind={"module": 20.0, "module_version": 30.0}
    )
    own = CacheConfig(warm_on_start=False, max_entries=1)
    client = redis.Redis.from_url(redis_server.url)

    async def scenario(store) -> dict[str, int]:
        for number in range(4):
            await store.create(f"m.{number}")
            await store.create_version(f"m.{number}", "1.0.0", FILES)
        found: dict[str, int] = {}
        ends = time.monotonic() + HEARD_S
        while len(found) < 2 and time.monotonic() < ends:  # L2 is filled from the first echo on
            for number in range(4):
                await store.get(f"m.{number}")
                await store.get_version(f"m.{number}", "1.0.0")
            for key in client.keys(f"{tmp_path.name}:ts1:*"):
                kind = key.decode().partition("}:")[2].partition(":")[0]
                if (left := client.pttl(key)) > 0:
                    found[kind] = left
        return found

    with opened("postgres", face_name, replace(config, redis=shared, cache=own)) as store:
        found = store.face.run(scenario, store.store.modules)
    assert 0 < found["module"] <= 20_000 < found["module_version"] <= 30_000


@pytest.mark.requirement("S0-17")
def test_a_second_read_asks_no_database(modules: OpenModules):
    """Read-through: the first read fills the caches, the next ones load nothing. Counted, not timed."""
    opened_store = Opened(modules.backend, modules.face, modules.store, modules.config)

    async def scenario(store):
        name = await modules.made("1.0.0", "1.1.0")
        reads = [
            lambda: store.get(name),
            lambda: store.get_version(name, "1.0.0"),
            lambda: store.get_latest(name),
        ]
        first = [await until_cached(opened_store, read) for read in reads]
        file = await store.get_file(name, "1.0.0", "acme/order.proto")
        engine = parts_of(modules.store).engine
        before = engine.statistics("modules")
        for _ in range(5):
            found = [await read() for read in reads]
            assert found == first
            if all(each.meta.tier == "l1" for each in found):
                break
            before = engine.statistics("modules")
        after = engine.statistics("modules")
        assert (after["loads"], after["l2_hits"]) == (before["loads"], before["l2_hits"])
        assert await store.get_file(name, "1.0.0", "acme/order.proto") == file == FILES["acme/order.proto"]

    modules.run(scenario)


@pytest.mark.requirement("S0-18")
def test_others_hear_of_every_write(pair: tuple[Opened, Opened]):
    """What the second store has in its L1 gives way to what the first one writes, call by call."""
    one, two = pair

    async def scenario() -> None:
        writer, reader = one.store.modules, two.store.modules
        name = OpenModules(one).name()
        await writer.create(name)
        await writer.create_version(name, "1.0.0", FILES)
        await writer.create_version(name, "1.1.0", FILES, state="published")
        writes: list[tuple[str, Callable[[], Awaitable[Any]]]] = [
            ("update", lambda: writer.update(name, description="d")),
            ("put_file", lambda: writer.put_file(name, "1.0.0", "a.proto", b"a")),
            ("remove_file", lambda: writer.remove_file(name, "1.0.0", "a.proto")),
            ("update_version", lambda: writer.update_version(name, "1.0.0", tags=["a"])),
            ("publish", lambda: writer.publish(name, "1.0.0")),
            ("deprecate", lambda: writer.deprecate(name, "1.1.0", "old")),
            ("undeprecate", lambda: writer.undeprecate(name, "1.1.0")),
            ("archive", lambda: writer.archive(name, "1.1.0")),
            ("create_version", lambda: writer.create_version(name, "2.0.0", FILES, state="published")),
            ("delete_version", lambda: writer.delete_version(name, "2.0.0")),
            ("delete_version", lambda: writer.delete_version(name, "1.0.0")),
        ]

        async def seen(store, **how: Any) -> list[Any]:
            versions = [await store.get_version(name, version, **how) for version in ("1.0.0", "1.1.0", "2.0.0")]
            return [await store.get(name, **how), await store.get_latest(name, **how), *versions]

        for call, write in writes:
            before = await seen(reader)
            await write()
            truth = await seen(writer, read="latest")
            assert truth != before, call
            assert await seen(writer) == truth, call
            ends = time.monotonic() + HEARD_S
            while await seen(reader) != truth:
                assert time.monotonic() < ends, f"{call} was never heard of"
                await nap(one.face.name)

    one.face.run(scenario)
