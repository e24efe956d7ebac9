"""`tierstore.integrations.keyvalue`: what py-key-value documents of every store, on memory, SQLite and Redis."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from key_value.aio.errors import InvalidTTLError, SerializationError
from key_value.aio.protocols.key_value import AsyncDestroyCollectionProtocol, AsyncKeyValue
from key_value.aio.wrappers.prefix_keys import PrefixKeysWrapper
from pydantic import AnyHttpUrl

import tierstore
from tests.contract.state_stores import state_config
from tierstore.integrations.keyvalue import StateKeyValue

VALUES = [
    {"string": "é\0", "int": 10**18, "float": 1.5, "null": None, "bool": True, "list": [1, {"a": []}], "empty": {}},
    {"time": datetime(2026, 1, 1, tzinfo=UTC).isoformat(), "id": str(uuid.UUID(int=1))},
    {"large": "a" * 10_000, "list": list(range(1_000))},
    {},
]
NO_JSON = [AnyHttpUrl("https://test.com"), datetime.now(UTC), uuid.uuid4(), {1, 2}, b"x", float("nan"), object(), 2**64]
NAMES = [
    "test" * 500,
    "!@#$%^&*()",
    "a:b",
    "a%3Ab",
    "~",
    "",
    "\n\0",
    "é" * 900,
    "\U0001f600",
    "x" * 59 + "~" + "y" * 900,
]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def run(request, tmp_path):
    """Runs a scenario with a store of py-key-value."""
    config = state_config(request, request.param, tmp_path)

    def with_store(scenario):
        async def opened():
            async with tierstore.open(config) as store:
                await scenario(StateKeyValue(store.state))

        asyncio.run(opened())

    return with_store


def test_it_is_what_py_key_value_calls_a_store(run):
    async def scenario(kv):
        assert isinstance(kv, AsyncKeyValue)
        assert isinstance(kv, AsyncDestroyCollectionProtocol)
        wrapped = PrefixKeysWrapper(kv, prefix="p")
        await wrapped.put("k", {"a": 1})
        assert await wrapped.get("k") == {"a": 1}

    run(scenario)


def test_put_get_delete(run):
    async def scenario(kv):
        assert await kv.get("k", collection="c") is None
        assert await kv.ttl("k", collection="c") == (None, None)
        assert await kv.delete("k", collection="c") is False
        for value in VALUES:
            await kv.put("k", value, collection="c")
            assert await kv.get("k", collection="c") == value
        assert await kv.get("k") is None  # of the default collection
        assert await kv.delete("k", collection="c") is True
        assert await kv.get("k", collection="c") is None

    run(scenario)


def test_many(run):
    async def scenario(kv):
        await kv.put_many(["a", "b"], ({"n": 1}, {"n": 2}), collection="c")
        assert await kv.get_many(["b", "none", "a"], collection="c") == [{"n": 2}, None, {"n": 1}]
        assert await kv.ttl_many(["a", "none"], collection="c") == [({"n": 1}, None), (None, None)]
        assert await kv.delete_many(["a", "b", "none"], collection="c") == 2
        assert await kv.delete_many(["a", "b"], collection="c") == 0
        with pytest.raises(ValueError, match="as many values as keys"):
            await kv.put_many(["a"], [])
        await kv.put_many(["a", "b"], [{}, {}], collection="c")
        await kv.put("a", {"n": 9}, collection="cc")
        assert await kv.destroy_collection("c") is True
        assert await kv.destroy_collection("c") is False
        assert await kv.get("a", collection="cc") == {"n": 9}

    run(scenario)


def test_lifetimes(run):
    async def scenario(kv):
        await kv.put("k", {"n": 1}, ttl=100)
        value, left = await kv.ttl("k")
        assert value == {"n": 1}
        assert 90 < left <= 101
        ((_, left),) = await kv.ttl_many(["k"])
        assert 90 < left <= 101
        await kv.put("k", {"n": 1})
        assert await kv.ttl("k") == ({"n": 1}, None)
        for wrong in (-100, 0, True, "x", float("nan"), timedelta(seconds=5), 10**12, 10**400):
            with pytest.raises(InvalidTTLError):
                await kv.put("k", {"n": 2}, ttl=wrong)
        assert await kv.get("k") == {"n": 1}
        await kv.put("short", {"n": 1}, ttl=0.02)
        while await kv.get("short") is not None:
            await asyncio.sleep(0.01)

    run(scenario)


def test_what_is_no_json_is_refused(run):
    async def scenario(kv):
        for value in NO_JSON:
            with pytest.raises(SerializationError):
                await kv.put("k", {"value": value})
        for value in (None, [1], "x", {1: 2}):
            with pytest.raises(TypeError):
                await kv.put("k", value)
        assert await kv.get("k") is None

    run(scenario)


def test_any_text_is_a_name_and_no_two_are_the_same(run):
    async def scenario(kv):
        pairs = [(collection, key) for collection in NAMES for key in NAMES]
        for number, (collection, key) in enumerate(pairs):
            await kv.put(key, {"n": number}, collection=collection)
        expected = {pair: number for number, pair in enumerate(pairs) if pair[0]}
        for (collection, key), number in expected.items():
            assert await kv.get(key, collection=collection) == {"n": number}
        with pytest.raises(TypeError):
            await kv.get(5)

    run(scenario)


def test_concurrent_callers(run):
    async def scenario(kv):
        async def worker(name):
            for number in range(10):
                key = f"{name}_{number}"
                assert await kv.get(key) is None
                await kv.put(key, {"n": number})
                await kv.put(key, {"n": -number})
                assert await kv.get(key) == {"n": -number}
                assert await kv.delete(key)
                assert await kv.get(key) is None

        await asyncio.gather(*(worker(name) for name in range(5)))

    run(scenario)


def test_the_blocking_face_is_refused(tmp_path):
    with tierstore.blocking.open(tmp_path) as store, pytest.raises(tierstore.ValidationError):
        StateKeyValue(store.state)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("prefix", wrong) for wrong in ("", 5, None, "a\nb", "x" * 256)] + [("default_collection", 5)],
    ids=repr,
)
def test_wrong_names_are_refused_when_it_is_made(tmp_path, name, wrong):
    async def scenario():
        async with tierstore.open(tmp_path) as store:
            with pytest.raises(tierstore.ValidationError) as raised:
                StateKeyValue(store.state, **{name: wrong})
            assert raised.value.place == name

    asyncio.run(scenario())


def test_without_the_package_it_says_what_to_install():
    script = "import sys; sys.modules['key_value'] = None; import tierstore.integrations.keyvalue"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install 'tierstore[keyvalue]'" in done.stderr
