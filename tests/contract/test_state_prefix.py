"""`StateConfig.prefix` and `encryption`, at every place: what stands before keys is no part of them; sealed values work with every call."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.contract.schema_stores import Opened, opened
from tests.contract.state_stores import state_config
from tierstore import ABSENT, Config, ConflictError, CorruptError, StateEncryption
from tierstore.stores.state import StateStore

SHARED = ("sqlite", "postgres", "redis", "cluster")
KEYS = {"old": b"o" * 32, "new": b"n" * 32}


@pytest.fixture(params=SHARED)
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """A configuration of a place that two stores may share."""
    return state_config(request, request.param, tmp_path)


def prefixed(config: Config, prefix: str) -> Config:
    return replace(config, state=replace(config.state, prefix=f"{config.state.prefix}{prefix}"))


@pytest.fixture
def stores(shared: Config) -> Iterator[tuple[Opened, Opened]]:
    """Two stores at one place whose prefixes begin alike."""
    own = uuid.uuid4().hex[:8]
    with (
        opened("", "blocking", prefixed(shared, f"{own}a%")) as one,
        opened("", "blocking", prefixed(shared, f"{own}a%b")) as other,
    ):
        yield one, other


def test_keys_are_without_the_prefix_and_apart_from_those_of_another(stores: tuple[Opened, Opened]):
    one, other = stores

    async def scenario() -> None:
        await one.store.state.set_many({"k:1": 1, "k:2": 2})
        await other.store.state.set("k:1", "other")
        for state, expected in ((one.store.state, {"k:1": 1, "k:2": 2}), (other.store.state, {"k:1": "other"})):
            keys = [key async for key in state.scan("k:")]
            assert sorted(keys) == sorted(expected)
            assert await state.get_many(list(expected)) == list(expected.values())
        async with other.store.state.watch("k:", idle=10) as changes:
            await one.store.state.set("k:3", 1)
            await other.store.state.increment("k:n")
            change = await anext(changes)
            assert (change.key, change.kind) == ("k:n", "set")
        assert await one.store.state.delete_many(["k:1"]) == 1
        assert await other.store.state.get("k:1") == "other"
        assert await other.store.state.delete_prefix("k:") == 2
        assert await one.store.state.get("k:2") == 2

    one.face.run(scenario)


@pytest.fixture(params=["memory", *SHARED])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    return state_config(request, request.param, tmp_path)


def sealing(config: Config, active: str, *names: str) -> Config:
    keys = {name: KEYS[name] for name in (active, *names)}
    return replace(config, state=replace(config.state, encryption=StateEncryption(keys, active)))


@pytest.mark.requirement("S3-30")
@pytest.mark.parametrize("face", ["async", "blocking"])
def test_every_call_works_with_sealed_values(place: Config, face: str):
    own = uuid.uuid4().hex

    async def scenario(state: StateStore) -> None:
        await state.set(own, 1)
        assert await state.increment(own, 2, ttl=5) == 3
        assert await state.increment(f"{own}:new", 2, ttl=5) == 2
        left: Any = await state.ttl(own)
        assert left > 5
        assert await state.compare_and_set(own, 3, {"a": [1]})
        assert not await state.compare_and_set(own, 3, 4)
        assert await state.update(own, lambda value: [value]) == [{"a": [1]}]
        with pytest.raises(ConflictError):
            await state.increment(own)
        assert await state.get(own, type=list[dict[str, list[int]]]) == [{"a": [1]}]
        assert await state.pop(own) == [{"a": [1]}]
        assert await state.compare_and_set(own, ABSENT, "x" * 10_000)
        (pair,) = await state._pairs.get_many([own], deadline=state._parts.runtime.deadline(5))
        assert pair is not None
        assert pair.value[:1] == b"\x03"
        assert len(pair.value) < 1_000, "compressed before it is sealed"
        await state.set_many({own: "kept", f"{own}:raw": b"\x00"})
        assert await state.get_many([own, f"{own}:raw"]) == ["kept", b"\x00"]

    with opened("", face, sealing(place, "old")) as store:
        store.face.run(scenario, store.store.state)


@pytest.mark.requirement("S3-30")
def test_a_value_of_another_key_opens_while_that_key_is_known(shared: Config):
    own = uuid.uuid4().hex

    async def write(state: StateStore) -> None:
        await state.set(own, "secret text")

    async def read(state: StateStore) -> None:
        assert await state.get(own) == "secret text"

    async def refused(state: StateStore) -> None:
        with pytest.raises(CorruptError) as raised:
            await state.get(own)
        assert raised.value.key == own
        assert own not in str(raised.value)

    for config, then in (
        (sealing(shared, "old"), write),
        (sealing(shared, "new", "old"), read),
        (sealing(shared, "new"), refused),
        (shared, refused),
    ):
        with opened("", "blocking", config) as store:
            store.face.run(then, store.store.state)
