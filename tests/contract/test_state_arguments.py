"""What calls of `store.state` refuse, before anything is touched, and that they name the argument and show neither key nor value."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contract.state_stores import OpenState
from tierstore import ABSENT, DEFAULT, KEEP, InvalidKeyError, ValidationError
from tierstore.stores.state import StateStore

WRONG_KEYS = (None, 5, b"x", "", "a\nb", "a\x00", "a\x7f", "\ud800", "x" * 1_025, "ü" * 513, ["a"])
RIGHT_KEYS = (
    "x",
    "x" * 1_024,
    "ü" * 512,
    "with space",
    "a:b/c.d*?[x]%_\\",
    "{a}b",
    "🙂",
    "\u2028",
    "ts1:x",
    "ée\u0301",
)


@pytest.mark.parametrize("key", WRONG_KEYS, ids=repr)
def test_a_wrong_key_is_refused_by_every_call(kept: OpenState, key: Any):
    calls = {
        "set": (1,), "add": (1,), "get": (), "get_entry": (), "delete": (), "exists": (), "touch": (), "persist": (), "ttl": (),
        "pop": (), "increment": (), "compare_and_set": (1, 2), "update": (lambda value: value,),
    }  # fmt: skip

    async def scenario(state: StateStore) -> None:
        for call, more in calls.items():
            with pytest.raises(InvalidKeyError) as raised:
                await getattr(state, call)(key, *more)
            error = raised.value
            assert (error.place, error.store, error.operation) == ("key", "state", call)
            if isinstance(key, str) and key:
                assert key not in str(error)
        for call in ("get_many", "delete_many"):
            with pytest.raises(ValidationError) as listed:
                await getattr(state, call)([kept.key(), key])
            assert "keys" in str(listed.value.place)
        with pytest.raises(ValidationError) as mapped:
            await state.set_many({kept.key(): 1, key if not isinstance(key, list) else 5: 1})
        assert mapped.value.place == "mapping"
        assert await state.exists(kept.key()) is False

    kept.run(scenario)


@pytest.mark.parametrize("name", RIGHT_KEYS, ids=repr)
def test_any_other_key_is_taken_as_it_is(kept: OpenState, name: str):
    async def scenario(state: StateStore) -> None:
        await state.delete(name)
        try:
            await state.set(name, 1)
            assert await state.get(name) == 1
            assert await state.get_many([name, kept.key("absent")]) == [1, None]
            assert name in [key async for key in state.scan(name[:1])]
        finally:
            assert await state.delete(name) is True

    kept.run(scenario)


@pytest.mark.parametrize(
    "ttl", [0, -1, math.nan, math.inf, 10 * 367 * 86_400, "60", True, timedelta(0), [], b"1"], ids=repr
)
def test_a_wrong_lifetime_is_refused(kept: OpenState, ttl: Any):
    calls: dict[str, tuple[Any, ...]] = {
        "set": (1,), "add": (1,), "increment": (), "compare_and_set": (1, 2), "update": (lambda value: value,), "touch": (),
    }  # fmt: skip

    async def scenario(state: StateStore) -> None:
        for call, more in calls.items():
            with pytest.raises(ValidationError) as raised:
                await getattr(state, call)(kept.key(), *more, ttl=ttl)
            assert raised.value.place == "ttl", call
        with pytest.raises(ValidationError):
            await state.set_many({kept.key(): 1}, ttl=ttl)
        assert await state.exists(kept.key()) is False

    kept.run(scenario)


def test_the_end_is_kept_only_where_there_is_one(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        for call in (
            state.add(kept.key(), 1, ttl=KEEP),
            state.touch(kept.key(), KEEP),
            state.increment(kept.key(), ttl=KEEP),
        ):  # type: ignore[arg-type]
            with pytest.raises(ValidationError, match="KEEP"):
                await call

    kept.run(scenario)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 2**63, -(2**63) - 1, "\ud800", print, {1.5: 2}, {"a": {"b": [math.nan]}}], ids=repr
)
def test_a_value_that_cannot_be_read_back_is_refused(kept: OpenState, value: Any):
    async def scenario(state: StateStore) -> None:
        for call in (
            state.set(kept.key(), value),
            state.add(kept.key(), value),
            state.compare_and_set(kept.key(), ABSENT, value),
            state.set_many({kept.key("other"): 1, kept.key(): value}),
        ):
            with pytest.raises(ValidationError):
                await call
        assert await state.get_many([kept.key(), kept.key("other")]) == [None, None]

    kept.run(scenario)


@pytest.mark.parametrize(
    ("call", "arguments", "named"),
    [
        ("set", {"value": 1, "if_absent": 1}, "if_absent"),
        ("set", {"value": 1, "if_absent": True, "expected_etag": "x"}, "expected_etag"),
        ("set", {"value": 1, "expected_etag": ""}, "expected_etag"),
        ("set", {"value": 1, "expected_etag": 5}, "expected_etag"),
        ("delete", {"expected_etag": ""}, "expected_etag"),
        ("set", {"value": 1, "expected_etag": "a\0"}, "expected_etag"),
        ("delete", {"expected_etag": "\0"}, "expected_etag"),
        ("increment", {"by": 1.0}, "by"),
        ("increment", {"by": True}, "by"),
        ("increment", {"by": 2**63}, "by"),
        ("update", {"function": 5}, "function"),
        ("update", {"function": asyncio.sleep}, "function"),
        ("get", {"timeout": 0}, "timeout"),
    ],
)
def test_other_wrong_arguments_are_named(kept: OpenState, call: str, arguments: dict[str, Any], named: str):
    async def scenario(state: StateStore) -> None:
        with pytest.raises(ValidationError) as raised:
            await getattr(state, call)(kept.key(), **arguments)
        assert (raised.value.place, raised.value.operation) == (named, call)
        assert await state.exists(kept.key()) is False

    kept.run(scenario)


def test_a_progress_that_cannot_be_called_is_refused_before_anything_is_done(kept: OpenState, tmp_path: Path):
    async def scenario(state: StateStore) -> None:
        path = tmp_path / "state.jsonl"
        await state.set(kept.key(), 1)
        await state.export(path, prefix=kept.prefix)
        await state.delete(kept.key())
        wrong: Any = "progress"
        for call in (
            state.export(tmp_path / "other", progress=wrong),
            state.import_(path, progress=wrong),
            state.rekey(kept.prefix, progress=wrong),
        ):
            with pytest.raises(ValidationError) as raised:
                await call
            assert raised.value.place == "progress"
        assert await state.exists(kept.key()) is False

    kept.run(scenario)
    assert [one.name for one in tmp_path.iterdir()] == ["state.jsonl"]


@pytest.mark.parametrize("sign", [ABSENT, KEEP, DEFAULT], ids=repr)
def test_what_stands_for_a_value_or_an_end_is_no_value(kept: OpenState, sign: Any):
    """`compare_and_set(key, 1, ABSENT)` deletes nothing: it must not store the name of the sign either."""

    async def scenario(state: StateStore) -> None:
        await state.set(kept.key(), 1)
        for call in (
            state.set(kept.key(), sign),
            state.set(kept.key(), {"a": [sign]}),
            state.compare_and_set(kept.key(), 1, sign),
            state.update(kept.key(), lambda value: sign),
        ):
            with pytest.raises(ValidationError):
                await call
        assert await state.get(kept.key()) == 1

    kept.run(scenario)
