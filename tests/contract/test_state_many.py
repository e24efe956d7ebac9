"""`store.state`, many keys at once: sets, pages, scans, prefixes, changes, and what is told of all of it."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from tests.contract.state_stores import IN_DATABASE, OpenState
from tests.contract.test_state import SHORT_S, until_gone
from tierstore import ConflictError, Page, StateChange, UnsupportedError, ValidationError
from tierstore.plan.paging import write_cursor
from tierstore.stores.state import StateStore

IDLE_S = 20.0
"""A watch that hears nothing for so long ends, and its test fails."""


async def keys_of(state: StateStore, prefix: str, limit: int = 1_000) -> list[str]:
    """By pages, as they come."""
    found: list[str] = []
    after: str | None = None
    while True:
        page: Page[str] = await state.keys(prefix, limit=limit, after=after)
        assert len(page.items) <= limit
        found += page.items
        if (after := page.next) is None:
            return found


@pytest.mark.requirement("S3-35")
def test_many_are_set_read_and_deleted(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        values: dict[str, Any] = {kept.key(number): {"n": number} for number in range(300)}
        values[kept.key("bytes")] = b"\x00"
        assert await state.set_many(values, ttl=100) is None
        names = [*values, kept.key("absent"), kept.key(0)]
        assert await state.get_many(names) == [*values.values(), None, {"n": 0}]
        left = await state.ttl(kept.key(299))
        assert left is not None
        assert 90 < left <= 100
        assert await state.delete_many([*names, *names]) == len(values)
        assert await state.get_many(names) == [None] * len(names)
        await state.set_many({})
        assert await state.get_many([]) == []
        assert await state.delete_many(()) == 0

    kept.run(scenario)


def test_many_are_read_as_a_type_or_not_at_all(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        await state.set_many({kept.key(0): 1, kept.key(1): "x"})
        assert await state.get_many([kept.key(0)], type=int) == [1]
        with pytest.raises(ValidationError):
            await state.get_many([kept.key(0), kept.key(1)], type=int)

    kept.run(scenario)


@pytest.mark.parametrize("wrong", ["abc", b"abc", 5, None, {"a": 1}], ids=repr)
def test_a_text_is_no_list_of_keys(kept: OpenState, wrong: Any):
    async def scenario(state: StateStore) -> None:
        for call in (state.get_many(wrong), state.delete_many(wrong)):
            with pytest.raises(ValidationError) as raised:
                await call
            assert raised.value.place == "keys"
        if not isinstance(wrong, dict):
            with pytest.raises(ValidationError) as raised:
                await state.set_many(wrong)
            assert raised.value.place == "mapping"

    kept.run(scenario)


@pytest.mark.parametrize("limit", [1, 7, 1_000])
def test_pages_give_every_key_that_is_there_throughout(kept: OpenState, limit: int):
    async def scenario(state: StateStore) -> None:
        there = {kept.key(f"there:{number}"): number for number in range(23)}
        await state.set_many(there)
        await state.set(kept.key("elsewhere"), 1)
        assert set(await keys_of(state, kept.key("there:"), limit)) == set(there)
        assert await keys_of(state, kept.key("nothing"), limit) == []

    kept.run(scenario)


@pytest.mark.parametrize("character", ["k", "ü", "\U0001f642", '"', "\\"], ids=ascii)
@pytest.mark.parametrize("limit", [7, 100])
def test_pages_give_every_key_however_long(kept: OpenState, character: str, limit: int):
    """On Redis what a page has no room for travels in its cursor."""

    async def scenario(state: StateStore) -> None:
        size = (1_024 - len(kept.key("long:0000"))) // len(character.encode())
        there = {kept.key(f"long:{number:04}{character * size}"): number for number in range(300)}
        await state.set_many(there)
        assert set(await keys_of(state, kept.key("long:"), limit)) == set(there)

    kept.run(scenario)


def test_a_scan_gives_each_key_once_while_others_come_and_go(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        there = {kept.key(f"s:{number:05}"): number for number in range(2_500)}
        await state.set_many(there)
        found = []
        async for key in state.scan(kept.key("s:")):
            found.append(key)
            if len(found) % 500 == 0:
                await state.set(kept.key(f"s:new{len(found)}"), 1)
                await state.delete(kept.key(f"s:new{len(found) - 500}"))
        assert len(found) == len(set(found))
        assert set(there) <= set(found)

    kept.run(scenario)


PREFIXES = ("%", "_", "*", "?", "[a-z]", "[", "\\", "^a", "a{b}c", "ü", "\U0010ffff", "\ud7ff", "~", "{")


@pytest.mark.parametrize("part", PREFIXES, ids=repr)
def test_the_characters_of_a_prefix_mean_themselves(kept: OpenState, part: str):
    """Behaviour of Dapr's suite: keys with wildcards."""

    async def scenario(state: StateStore) -> None:
        under = [kept.key(f"{part}{name}") for name in ("", "1", "z", "\U0010ffff", "\ue000", "é")]
        others = [kept.key(name) for name in ("a", "b1", "xa", "{", "ab", "a%", "zz")]
        await state.set_many(dict.fromkeys([*under, *others], 1))
        expected = {key for key in {*under, *others} if key.startswith(kept.key(part))}
        assert set(await keys_of(state, kept.key(part))) == expected
        assert {key async for key in state.scan(kept.key(part))} == expected
        assert await state.delete_prefix(kept.key(part)) == len(expected)
        assert set(await keys_of(state, kept.prefix)) == {*under, *others} - expected

    kept.run(scenario)


def test_a_prefix_is_deleted_with_all_its_keys_and_no_other(kept: OpenState):
    """Behaviour of Dapr's suite: deletion by prefix. More keys than one batch."""

    async def scenario(state: StateStore) -> None:
        await state.set_many({kept.key(f"p:{number}"): 1 for number in range(2_100)})
        await state.set(kept.key("q"), 1)
        assert await state.delete_prefix(kept.key("p:")) == 2_100
        assert await state.delete_prefix(kept.key("p:")) == 0
        assert await keys_of(state, kept.prefix) == [kept.key("q")]
        for wrong in ("", None, "a\n", 5):
            with pytest.raises(ValidationError) as raised:
                await state.delete_prefix(wrong)  # type: ignore[arg-type]
            assert raised.value.place == "prefix"
        assert await state.exists(kept.key("q")) is True

    kept.run(scenario)


@pytest.mark.parametrize("after", ["x", "W10", 5, b"x"], ids=repr)
def test_a_wrong_cursor_is_refused(kept: OpenState, after: Any):
    async def scenario(state: StateStore) -> None:
        with pytest.raises(ValidationError) as raised:
            await state.keys(kept.prefix, after=after)
        assert raised.value.place == "after"

    kept.run(scenario)


def test_a_forged_cursor_is_refused_or_changes_nothing(kept: OpenState):
    """Anybody can make one: what stands in it reaches the server of state."""

    async def scenario(state: StateStore) -> None:
        query = ["state.keys", state._pairs.name, kept.prefix]
        for position in (["\0"], ["a\0"], [5], [None], [], ["a", "b"]):
            with pytest.raises(ValidationError) as raised:
                await state.keys(kept.prefix, after=write_cursor(query, position))
            assert raised.value.place == "after"

    kept.run(scenario)


def test_a_cursor_belongs_to_its_prefix(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        await state.set_many({kept.key(number): number for number in range(100)})
        page = await state.keys(kept.prefix, limit=1)
        assert page.next is not None
        with pytest.raises(ValidationError):
            await state.keys(kept.key("1"), after=page.next)
        for limit in (0, -1, 1_001, True, "1"):
            with pytest.raises(ValidationError):
                await state.keys(kept.prefix, limit=limit)  # type: ignore[arg-type]

    kept.run(scenario)


# Changes


async def told(state: StateStore, changes: Any, count: int) -> list[StateChange]:
    """The next changes; a gap fails the test."""
    found: list[StateChange] = []
    async for change in changes:
        assert change.kind != "gap"
        found.append(change)
        if len(found) == count:
            return found
    raise AssertionError(f"of {count} changes came {found}")


def test_changes_are_told_in_order(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        key, many = kept.key("w:a"), {kept.key(f"w:m{number}"): number for number in range(3)}
        await state.set(key, "before")
        async with state.watch(kept.key("w:"), idle=IDLE_S) as changes:
            first = await state.set(key, 1, ttl=60)
            await state.set(kept.key("elsewhere"), 1)
            await state.increment(key)
            await state.touch(key, 30)
            await state.persist(key)
            await state.delete(key)
            await state.delete(key)
            assert await state.add(key, 5)
            assert not await state.add(key, 5)
            assert await state.compare_and_set(key, 5, 6)
            assert await state.update(key, lambda value: value + 1) == 7
            assert await state.pop(key) == 7
            found = await told(state, changes, 7)
            assert [(one.key, one.kind) for one in found] == [
                (key, kind) for kind in ("set", "set", "delete", "set", "set", "set", "delete")
            ]
            assert (found[0].etag, found[0].expires_at is not None) == (first, True)
            assert (found[2].etag, found[2].expires_at) == (None, None)
            assert all(one.position for one in found)
            assert key not in repr(found)
            await state.set_many(many)
            assert {one.key for one in await told(state, changes, 3)} == set(many)
            await state.delete_many(list(many)[:1])
            await state.delete_prefix(kept.key("w:m"))
            assert {(one.key, one.kind) for one in await told(state, changes, 3)} == {(key, "delete") for key in many}

    kept.run(scenario)


def test_an_end_is_told_as_a_change(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        async with state.watch(kept.prefix, idle=IDLE_S) as changes:
            await state.set(kept.key(), 1, ttl=SHORT_S)
            found = await told(state, changes, 2)
            assert [(one.key, one.kind, one.etag is None) for one in found] == [
                (kept.key(), "set", False),
                (kept.key(), "expire", True),
            ]
            assert await state.get(kept.key()) is None

    kept.run(scenario)


def test_two_watches_hear_what_is_theirs_and_end_by_themselves(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        async with state.watch(kept.key("a"), idle=IDLE_S) as one, state.watch(kept.prefix, idle=IDLE_S) as all_of_it:
            await state.set(kept.key("b"), 1)
            await state.set(kept.key("a"), 1)
            assert [change.key for change in await told(state, one, 1)] == [kept.key("a")]
            assert {change.key for change in await told(state, all_of_it, 2)} == {kept.key("b"), kept.key("a")}
        async with state.watch(kept.key("quiet"), idle=0.05) as changes:
            assert [change async for change in changes] == []

    kept.run(scenario)


def test_wrong_arguments_of_a_watch_are_refused_at_once(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        for wrong in (
            {"prefix": 5},
            {"prefix": "a\n"},
            {"idle": -1},
            {"idle": "x"},
            {"idle": math.nan},
            {"idle": 10**400},
            {"timeout": 0},
        ):
            with pytest.raises(ValidationError) as raised:
                state.watch(**wrong)  # type: ignore[arg-type]
            assert raised.value.place == next(iter(wrong))
        with pytest.raises(ValidationError):
            state.scan(5)  # type: ignore[arg-type]

    kept.run(scenario)


def test_a_watch_under_many_writers_misses_nothing(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        if kept.face.name == "blocking":
            return
        async with state.watch(kept.prefix, idle=IDLE_S) as changes:

            async def write(writer: int) -> None:
                for number in range(50):
                    await state.set(kept.key(f"{writer % 5}"), [writer, number])

            await asyncio.gather(*map(write, range(10)))
            last = {key: (await state.get_entry(key)) for key in [kept.key(number) for number in range(5)]}
            heard: dict[str, str | None] = {}
            async for change in changes:
                assert change.kind == "set"
                heard[change.key] = change.etag
                if all(entry is not None and heard.get(key) == entry.etag for key, entry in last.items()):
                    return
            raise AssertionError("the last change of some key was not told")

    kept.run(scenario)


# What there is to know


@pytest.mark.requirement("S3-24")
def test_statistics_count_hits_misses_and_ends(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        before = await state.statistics()
        await state.set(kept.key(), {"a": 1})
        await state.set(kept.key("short"), 1, ttl=SHORT_S)
        assert await state.get(kept.key()) == {"a": 1}
        await state.get_many([kept.key(), kept.key("absent")])
        await state.get(kept.key("absent"))
        await until_gone(state, kept.key("short"))
        after = await state.statistics()
        assert (after.hits - before.hits, after.misses - before.misses) == (2, 2)
        assert after.backend == {"memory": "memory"}.get(kept.place, "sql" if kept.place in IN_DATABASE else "redis")
        assert after.keys is None or after.keys >= 1
        assert after.stored_bytes is None or after.stored_bytes > 0
        assert 0 < after.hit_ratio < 1
        assert await state.ping() < 5
        assert (await kept.store.statistics()).state.backend == after.backend

    kept.run(scenario)


def test_a_transaction_has_state_where_it_lies_in_the_database(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        await state.set(kept.key(), 1)
        async with kept.store.transaction() as tx:
            if kept.place not in IN_DATABASE:
                for call in (tx.state.get(kept.key()), tx.state.set(kept.key(), 2)):
                    with pytest.raises(UnsupportedError, match=r"StateConfig\(backend='sql'\)"):
                        await call
                return
            assert await tx.state.get(kept.key()) == 1
            await tx.state.set(kept.key(), 2)
            assert await tx.state.increment(kept.key()) == 3
            assert await tx.state.add(kept.key("new"), 1)
            assert set((await tx.state.keys(kept.prefix)).items) == {kept.key(), kept.key("new")}
            assert await state.get(kept.key()) == 1
            async with tx.savepoint():
                assert await tx.state.delete(kept.key())
                await tx.schemas.register(kept.key("schema").replace(":", "."), "1.0.0", b"{}")
        assert await state.get_many([kept.key(), kept.key("new")]) == [None, 1]
        async with kept.store.transaction() as tx:
            await tx.state.set_many({kept.key(): 9, kept.key("new"): 9})
            await tx.rollback()
        assert await state.get_many([kept.key(), kept.key("new")]) == [None, 1]

    kept.run(scenario)


def test_calls_of_a_transaction_that_run_at_once_take_turns(kept: OpenState):
    """One of them is refused in the middle: what the others were told is written stays."""

    async def scenario(state: StateStore) -> None:
        if kept.place not in IN_DATABASE or kept.face.name != "async":
            return
        async with kept.store.transaction() as tx:
            await tx.state.set(kept.key("text"), "x")
            calls: list[Any] = [tx.state.increment(kept.key("n")) for _ in range(20)]
            calls.insert(5, tx.state.increment(kept.key("text")))
            calls += [tx.state.set_many({kept.key(f"many{number}"): number}) for number in range(5)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(answers.pop(5), ConflictError)
        assert answers == [*range(1, 21), *[None] * 5]
        assert await state.get(kept.key("n")) == 20
        assert await state.get_many([kept.key(f"many{number}") for number in range(5)]) == list(range(5))

    kept.run(scenario)


def test_a_commit_is_told_to_who_watches_and_a_rollback_is_not(kept: OpenState):
    async def scenario(state: StateStore) -> None:
        if kept.place not in IN_DATABASE:
            return
        async with state.watch(kept.prefix, idle=IDLE_S) as changes:
            async with kept.store.transaction() as tx:
                await tx.state.set(kept.key("no"), 1)
                await tx.rollback()
            async with kept.store.transaction() as tx:
                await tx.state.set(kept.key("yes"), 1)
            assert [change.key for change in await told(state, changes, 1)] == [kept.key("yes")]

    kept.run(scenario)
