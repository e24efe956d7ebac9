"""`store.state`, one value at a time: what each call answers and means, at every place and in both faces."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.state_stores import OpenState
from tierstore import ABSENT, DEFAULT, KEEP, ConflictError, ValidationError
from tierstore.stores.state import StateStore

SHORT_S = 0.25
INT64 = (2**63 - 1, -(2**63), 0, 9_007_199_254_740_993)


async def until_gone(state: StateStore, key: str) -> None:
    """A lifetime of SHORT_S has passed."""
    runtime = state._parts.runtime
    for _ in range(200):
        if not await state.exists(key):
            return
        await runtime.sleep(0.02)
    raise AssertionError("the value did not end")


# Set and get


@pytest.mark.requirement("S3-01", "S3-02", "S3-06")
@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, "", "ü\u2028", [], [1, [2]], {"a": {"b": None}}, b"", b"\x00\xff"]
)
def test_a_value_comes_back_as_it_was(kept: OpenState, value: Any):
    async def scenario(state: StateStore) -> None:
        etag = await state.set(kept.key(), value)
        assert isinstance(etag, str)
        found = await state.get(kept.key())
        assert (found, type(found)) == (value, type(value))
        assert await state.get_many([kept.key()]) == [value]

    kept.run(scenario)


@pytest.mark.requirement("S3-37")
@pytest.mark.parametrize("value", INT64)
def test_64_bit_integers_are_exact(kept: OpenState, value: int):
    async def scenario(state: StateStore) -> None:
        await state.set(kept.key(), {"id": value})
        assert await state.get(kept.key()) == {"id": value}
        await state.set(kept.key(), value)
        assert await state.get(kept.key(), type=int) == value

    kept.run(scenario)


@pytest.mark.requirement("S3-02", "S3-36")
def test_absence_a_default_and_a_stored_none_are_told_apart(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        assert await state.get(kept.key("absent")) is None
        assert await state.get(kept.key("absent"), default=7) == 7
        assert await state.get_entry(kept.key("absent")) is None
        await state.set(kept.key("none"), None)
        assert await state.get(kept.key("none"), default=7) is None
        entry = await state.get_entry(kept.key("none"))
        assert entry is not None
        assert entry.value is None
        await state.set(kept.key("zero"), 0)
        assert await state.get(kept.key("zero"), type=int, default=7) == 0

    kept.run(scenario)


@pytest.mark.requirement("S3-02")
def test_a_type_is_checked_and_never_coerced(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        for wrong in ("5", True, 5.5, None, {"a": 1}):
            await state.set(kept.key(), wrong)
            with pytest.raises(ValidationError) as raised:
                await state.get(kept.key(), type=int)
            assert (raised.value.store, raised.value.operation) == ("state", "get")
        await state.set(kept.key(), {"days": [1, "2"]})
        for call in (
            state.get(kept.key(), type=dict[str, list[int]]),
            state.get_many([kept.key("absent"), kept.key()], type=dict[str, list[int]]),
            state.get_entry(kept.key(), type=dict[str, list[int]]),
            state.pop(kept.key(), type=dict[str, list[int]]),
        ):
            with pytest.raises(ValidationError, match="/1") as raised:
                await call
            assert raised.value.key == kept.key()
            assert kept.key() not in str(raised.value)
        assert await state.get(kept.key(), type=dict[str, list[int | str]]) == {"days": [1, "2"]}
        moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        await state.set(kept.key(), {"at": moment})
        assert await state.get(kept.key(), type=dict[str, datetime]) == {"at": moment}

    kept.run(scenario)


def test_set_replaces_value_and_end(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        await state.set(kept.key(), 1, ttl=None)
        assert await state.ttl(kept.key()) == math.inf
        await state.set(kept.key(), 2, ttl=60)
        assert await state.get(kept.key()) == 2
        left = await state.ttl(kept.key())
        assert left is not None
        assert 50 < left <= 60
        await state.set(kept.key(), 3, ttl=timedelta(hours=2))
        left = await state.ttl(kept.key())
        assert left is not None
        assert 7_100 < left <= 7_200
        await state.set(kept.key(), 4, ttl=KEEP)
        left = await state.ttl(kept.key())
        assert left is not None
        assert 7_100 < left <= 7_200
        await state.set(kept.key("new"), 4, ttl=KEEP)
        assert await state.ttl(kept.key("new")) == math.inf

    kept.run(scenario)


@pytest.mark.requirement("S3-20")
def test_a_value_lives_a_day_unless_it_is_told_otherwise(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        await state.set(kept.key(), 1)
        await state.add(kept.key("added"), 1, ttl=DEFAULT)
        await state.increment(kept.key("counted"))
        await state.set_many({kept.key("many"): 1})
        for name in ("key", "added", "counted", "many"):
            left = await state.ttl(kept.key(name))
            assert left is not None
            assert 86_300 < left <= 86_400, name

    kept.run(scenario)


# Etags


def test_an_etag_changes_with_the_value_and_not_with_its_end(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        first = await state.set(kept.key(), 1)
        second = await state.set(kept.key(), 1)
        assert first != second
        await state.touch(kept.key(), 30)
        await state.persist(kept.key())
        entry = await state.get_entry(kept.key())
        assert entry is not None
        assert (entry.key, entry.value, entry.etag, entry.expires_at) == (kept.key(), 1, second, None)
        await state.increment(kept.key())
        third = await state.get_entry(kept.key())
        assert third is not None
        assert third.etag != second

    kept.run(scenario)


def test_an_entry_says_when_it_ends(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        before = datetime.now(UTC)
        await state.set(kept.key(), 1, ttl=100)
        entry = await state.get_entry(kept.key(), type=int)
        assert entry is not None
        assert entry.expires_at is not None
        assert abs((entry.expires_at - before).total_seconds() - 100) < 20
        assert kept.key() not in repr(entry)

    kept.run(scenario)


def test_first_write_wins_with_an_etag(kept: OpenState):
    """Behaviour of Dapr's suite: a write by an etag that has passed is refused, and so is one by an etag of nothing."""

    async def scenario(state: StateStore) -> None:
        first = await state.set(kept.key(), 1)
        second = await state.set(kept.key(), 2, expected_etag=first)
        for etag in (first, "0" * 16, "nonsense"):
            with pytest.raises(ConflictError):
                await state.set(kept.key(), 3, expected_etag=etag)
            with pytest.raises(ConflictError):
                await state.delete(kept.key(), expected_etag=etag)
        with pytest.raises(ConflictError):
            await state.set(kept.key("absent"), 3, expected_etag=second)
        assert await state.get(kept.key()) == 2
        assert await state.exists(kept.key("absent")) is False
        assert await state.delete(kept.key("absent"), expected_etag=second) is False
        assert await state.delete(kept.key(), expected_etag=second) is True

    kept.run(scenario)


def test_last_write_wins_without_one(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        for number in range(5):
            await state.set(kept.key(), number)
        assert await state.get(kept.key()) == 4

    kept.run(scenario)


def test_if_absent_and_add_store_once(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        assert await state.add(kept.key(), 1) is True
        assert await state.add(kept.key(), 2) is False
        with pytest.raises(ConflictError):
            await state.set(kept.key(), 2, if_absent=True)
        assert await state.get(kept.key()) == 1
        await state.set(kept.key("new"), 3, if_absent=True)
        assert await state.get(kept.key("new")) == 3

    kept.run(scenario)


# Deleting, and ends


@pytest.mark.requirement("S3-03", "S3-04")
def test_what_is_absent_is_no_error(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        key = kept.key("absent")
        assert await state.delete(key) is False
        assert await state.exists(key) is False
        assert await state.touch(key) is False
        assert await state.persist(key) is False
        assert await state.ttl(key) is None
        assert await state.pop(key) is None
        assert await state.pop(key, default=3) == 3
        await state.set(key, 1)
        assert await state.exists(key) is True
        assert await state.delete(key) is True
        assert await state.delete(key) is False
        assert await state.exists(key) is False

    kept.run(scenario)


@pytest.mark.requirement("S3-06")
def test_what_has_ended_is_never_answered(kept: OpenState):
    """By no call, and every call that writes finds nothing there."""

    async def scenario(state: StateStore) -> None:
        names = ("get", "add", "increment", "touch", "persist", "pop", "delete", "cas", "update", "etag", "keep")
        keys = {name: kept.key(f"ends:{name}") for name in names}
        etags = {}
        for key in keys.values():
            etags[key] = await state.set(key, 1, ttl=SHORT_S)
        assert await state.get(keys["get"]) == 1
        for key in keys.values():
            await until_gone(state, key)
        assert await state.get(keys["get"]) is None
        assert await state.get_entry(keys["get"]) is None
        assert await state.get_many([keys["get"]]) == [None]
        assert await state.ttl(keys["get"]) is None
        assert (await state.keys(kept.key("ends:"))).items == ()
        assert await state.add(keys["add"], 2) is True
        assert await state.increment(keys["increment"], 5) == 5
        assert await state.touch(keys["touch"]) is False
        assert await state.persist(keys["persist"]) is False
        assert await state.pop(keys["pop"]) is None
        assert await state.delete(keys["delete"]) is False
        assert await state.compare_and_set(keys["cas"], 1, 2) is False
        assert await state.compare_and_set(keys["cas"], ABSENT, 2) is True
        assert await state.update(keys["update"], lambda value: [value], default="none") == ["none"]
        with pytest.raises(ConflictError):
            await state.set(keys["etag"], 2, expected_etag=etags[keys["etag"]])
        await state.set(keys["keep"], 2, ttl=KEEP)
        assert await state.ttl(keys["keep"]) == math.inf
        assert await state.delete_many([keys["get"], keys["keep"]]) == 1

    kept.run(scenario)


def test_touch_and_persist_move_the_end(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        await state.set(kept.key(), 1, ttl=SHORT_S)
        assert await state.touch(kept.key(), 60) is True
        await state._parts.runtime.sleep(2 * SHORT_S)
        assert await state.get(kept.key()) == 1
        assert await state.persist(kept.key()) is True
        assert await state.ttl(kept.key()) == math.inf
        assert await state.touch(kept.key(), SHORT_S) is True
        await until_gone(state, kept.key())

    kept.run(scenario)


def test_pop_reads_and_deletes(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        await state.set(kept.key(), {"a": 1})
        assert await state.pop(kept.key()) == {"a": 1}
        assert await state.pop(kept.key()) is None
        await state.set(kept.key(), 5)
        assert await state.pop(kept.key(), type=int) == 5
        assert await state.exists(kept.key()) is False

    kept.run(scenario)


def test_a_value_of_another_type_is_not_popped(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        await state.set(kept.key(), "text")
        with pytest.raises(ValidationError):
            await state.pop(kept.key(), type=int)
        assert await state.pop(kept.key(), type=str) == "text"

    kept.run(scenario)


# What depends on the value


@pytest.mark.parametrize(
    ("there", "by", "total"),
    [(None, 1, 1), (None, -5, -5), (0, 0, 0), (9, 1, 10), (-1, 1, 0), (2**53, 1, 2**53 + 1), (2**63 - 2, 1, 2**63 - 1)],
)
def test_increment(kept: OpenState, there: int | None, by: int, total: int):
    async def scenario(state: StateStore) -> None:
        if there is not None:
            await state.set(kept.key(), there, ttl=None)
        assert await state.increment(kept.key(), by, ttl=60) == total
        assert await state.get(kept.key(), type=int) == total
        left = await state.ttl(kept.key())
        assert left is not None
        assert left == math.inf if there is not None else left <= 60

    kept.run(scenario)


@pytest.mark.parametrize("there", ["5", 5.0, 1.5, True, None, [1], {}, b"5", "", 2**63 - 1, "x" * 5_000])
def test_what_is_no_number_is_not_incremented(kept: OpenState, there: Any):
    async def scenario(state: StateStore) -> None:
        etag = await state.set(kept.key(), there)
        with pytest.raises(ConflictError) as raised:
            await state.increment(kept.key())
        assert raised.value.operation == "increment"
        entry = await state.get_entry(kept.key())
        assert entry is not None
        assert (entry.value, entry.etag) == (there, etag)

    kept.run(scenario)


def test_an_increment_below_int64_is_refused(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        await state.set(kept.key(), -(2**63))
        with pytest.raises(ConflictError):
            await state.increment(kept.key(), -1)
        assert await state.increment(kept.key(), 2**63 - 1) == -1

    kept.run(scenario)


@pytest.mark.parametrize(
    ("there", "expected", "same"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1.0, 1, False),
        (1, True, False),
        (None, None, True),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, True),
        ([1, 2], [2, 1], False),
        ("1", 1, False),
        (b"x", b"x", True),
        (b"x", "x", False),
    ],
)
def test_compare_and_set_compares_json_values(kept: OpenState, there: Any, expected: Any, same: bool):
    async def scenario(state: StateStore) -> None:
        await state.set(kept.key(), there, ttl=60)
        assert await state.compare_and_set(kept.key(), expected, "new") is same
        assert await state.get(kept.key()) == ("new" if same else there)
        left = await state.ttl(kept.key())
        assert left is not None
        assert left <= 60
        assert await state.compare_and_set(kept.key(), ABSENT, "newer") is False
        assert await state.compare_and_set(kept.key("absent"), None, 1) is False
        assert await state.compare_and_set(kept.key("absent"), ABSENT, 1, ttl=5) is True

    kept.run(scenario)


def test_update(kept: OpenState):
    class OwnError(Exception):
        pass

    def fails(_value: object) -> None:
        raise OwnError

    async def scenario(state: StateStore) -> None:
        assert await state.update(kept.key(), lambda value: value + 1, default=1, ttl=60) == 2
        assert await state.update(kept.key(), lambda value: value + 1, type=int) == 3
        left = await state.ttl(kept.key())
        assert left is not None
        assert left <= 60
        with pytest.raises(OwnError):
            await state.update(kept.key(), fails)
        with pytest.raises(ValidationError):
            await state.update(kept.key(), lambda _: object())
        with pytest.raises(ValidationError):
            await state.update(kept.key(), lambda value: value, type=str)
        assert await state.get(kept.key()) == 3

    kept.run(scenario)


def test_a_value_may_have_a_mebibyte(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        for value in ("x" * 2**20, bytes(range(256)) * 4_096):
            await state.set(kept.key(), value)
            assert await state.get(kept.key()) == value

    kept.run(scenario)


def test_many_callers_at_once_each_get_their_own(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        if kept.face.name == "blocking":
            return

        async def one(number: int) -> None:
            await state.set(kept.key(number), number)
            assert await state.get(kept.key(number)) == number
            assert await state.increment(kept.key("sum")) > 0

        await asyncio.gather(*map(one, range(200)))
        assert await state.get(kept.key("sum")) == 200

    kept.run(scenario)
