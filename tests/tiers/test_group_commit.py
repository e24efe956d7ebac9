"""Writes that share a transaction: each caller gets its own answer, and nobody is hurt by another's conflict, departure or deadline."""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

import tierstore
from tierstore import ConflictError, NotFoundError, OutcomeUnknownError, QueryError
from tierstore.store import parts_of


def run_story(story, folder):
    """Run `story(store)` on an embedded store."""

    async def run():
        async with tierstore.open(folder) as store:
            await story(store)

    asyncio.run(run())


def registering(store, number, content=b"{}"):
    return store.schemas.register(f"s{number}", "1.0.0", content)


async def registered(store, count):
    return [schema.id for schema in await asyncio.gather(*(registering(store, number) for number in range(count)))]


async def all_of(*calls):
    """Answers and errors."""
    return await asyncio.gather(*calls, return_exceptions=True)


def test_registrations_at_the_same_time_share_few_transactions(tmp_path):
    async def story(store):
        before = parts_of(store).engine.counters.writes
        schemas = await asyncio.gather(*(registering(store, number) for number in range(100)))
        assert parts_of(store).engine.counters.writes - before < 10
        assert [schema.subject for schema in schemas] == [f"s{number}" for number in range(100)]
        found = await asyncio.gather(*(store.schemas.get_version(f"s{number}", "1.0.0") for number in range(100)))
        assert [schema.id for schema in found] == [schema.id for schema in schemas]

    run_story(story, tmp_path)


def test_a_conflict_is_its_callers_alone(tmp_path):
    async def story(store):
        await registering(store, 7)
        answers = await asyncio.gather(
            *(registering(store, number, b"[]") for number in range(20)), return_exceptions=True
        )
        assert [number for number, answer in enumerate(answers) if isinstance(answer, ConflictError)] == [7]
        assert not any(isinstance(answer, Exception) for number, answer in enumerate(answers) if number != 7)
        assert (await store.schemas.get_version("s7", "1.0.0")).content == b"{}"

    run_story(story, tmp_path)


def test_the_same_registration_at_the_same_time_is_one_schema(tmp_path):
    async def story(store):
        schemas = await asyncio.gather(*(registering(store, 1) for _ in range(20)))
        assert len({schema.id for schema in schemas}) == 1

    run_story(story, tmp_path)


@pytest.mark.parametrize("leaving", range(5))
def test_a_caller_that_is_cancelled_leaves_the_others_their_writes(tmp_path, leaving):
    async def story(store):
        tasks = [asyncio.create_task(registering(store, number)) for number in range(20)]
        for _ in range(leaving):
            await asyncio.sleep(0)
        tasks[0].cancel()
        answers = await asyncio.gather(*tasks[1:])
        assert len({schema.id for schema in answers}) == 19

    run_story(story, tmp_path)


def test_each_caller_may_read_its_write_by_its_token(tmp_path):
    async def story(store):
        async def one(number):
            await registering(store, number)
            return store.token()

        tokens = await asyncio.gather(*(asyncio.create_task(one(number)) for number in range(10)))
        assert all(tokens)
        assert await store.schemas.get_version("s3", "1.0.0", not_before=tokens[3]) is not None

    run_story(story, tmp_path)


def test_threads_share_transactions_too(tmp_path):
    with tierstore.blocking.open(tmp_path) as store, ThreadPoolExecutor(16) as threads:
        schemas = list(threads.map(lambda number: store.schemas.register(f"s{number}", "1.0.0", b"{}"), range(200)))
        assert len({schema.id for schema in schemas}) == 200
        assert all(store.schemas.get(schema.id) == schema for schema in schemas)


def test_changes_share_few_transactions_and_each_gets_its_own_answer(tmp_path):
    async def story(store):
        ids, schemas, before = await registered(store, 60), store.schemas, parts_of(store).engine.counters.writes
        await schemas.delete(ids[59])
        answers = await all_of(
            *(schemas.delete(id) for id in ids[:20]),
            *(schemas.set_state(id, "deprecated", reason="old") for id in ids[20:40]),
            *(schemas.set_state(id, "draft") for id in ids[40:50]),
            *(schemas.delete(id, expected_version=1) for id in ids[50:58]),
            schemas.delete(uuid.uuid4()),
            schemas.set_state(ids[59], "deprecated"),
            schemas.restore(ids[59]),
            schemas.restore(ids[58]),
        )
        assert parts_of(store).engine.counters.writes - before < 12
        assert answers[:20] == [True] * 20
        assert [(answer.state, answer.metadata) for answer in answers[20:40]] == [
            ("deprecated", {"state_reason": "old"})
        ] * 20
        assert all(isinstance(answer, ConflictError) for answer in answers[40:58])
        assert answers[58] is False
        assert isinstance(answers[59], NotFoundError)
        assert [answer.id for answer in answers[60:]] == [ids[59], ids[58]]
        assert await schemas.get_many(ids[:20]) == [None] * 20
        assert await schemas.get_many(ids[20:40]) == answers[20:40]
        assert {schema.state for schema in await schemas.get_many(ids[40:])} == {"active"}

    run_story(story, tmp_path)


def test_changes_of_one_schema_follow_each_other(tmp_path):
    """Each sees what the one before it left, also within a transaction, and has a row_version of its own."""

    async def story(store):
        (id,) = await registered(store, 1)
        schemas = store.schemas
        states = ["deprecated", "active"] * 10
        moved = await asyncio.gather(*(schemas.set_state(id, state) for state in states))
        versions = [schema.row_version for schema in moved]
        assert [schema.state for schema in moved] == states
        assert versions == sorted(set(versions))
        assert await schemas.get(id) == moved[-1]
        again = await all_of(*(schemas.set_state(id, "disabled", expected_version=versions[-1]) for _ in range(5)))
        assert [isinstance(answer, ConflictError) for answer in again] == [False] + [True] * 4
        answers = await all_of(
            schemas.delete(id),
            schemas.delete(id),
            schemas.set_state(id, "active"),
            schemas.restore(id),
            schemas.delete(id),
        )
        assert answers[:2] == [True, False]
        assert isinstance(answers[2], NotFoundError)
        assert (answers[3].id, answers[3].state, answers[4]) == (id, "disabled", True)
        assert await schemas.get(id) is None

    run_story(story, tmp_path)


@pytest.mark.parametrize("leaving", range(0, 24, 3))
def test_no_caller_gets_the_answer_that_another_deleted_what_it_deleted_itself(tmp_path, leaving):
    """The caller whose turn it is leaves somewhere; the others' deletions go on, and are done once."""

    async def story(store):
        ids = await registered(store, 20)
        tasks = [asyncio.create_task(store.schemas.delete(id)) for id in ids]
        for _ in range(leaving):
            await asyncio.sleep(0.0002)
        for task in tasks[:2]:
            task.cancel()
        assert await asyncio.gather(*tasks[2:]) == [True] * 18
        assert await store.schemas.get_many(ids[2:]) == [None] * 18

    run_story(story, tmp_path)


@pytest.mark.parametrize("leaving", range(0, 12, 3))
def test_when_all_callers_leave_the_store_goes_on(tmp_path, leaving):
    async def story(store):
        ids = await registered(store, 8)
        tasks = [asyncio.create_task(store.schemas.delete(id)) for id in ids]
        for _ in range(leaving):
            await asyncio.sleep(0.0002)
        for task in tasks:
            task.cancel()
        await all_of(*tasks)
        await store.schemas.delete(ids[0])
        assert await store.schemas.get(ids[0]) is None
        truth = await store.schemas.get_many(ids, read="latest")
        assert await store.schemas.get_many(ids) == truth

    run_story(story, tmp_path)


class Between:
    """In the place of what callers do together: holds up a transaction of more than `most`, or fails for several."""

    def __init__(self, together, refuses=False):
        self._apply, together.apply = together.apply, self
        self._refuses = refuses
        self.holds, self.most = None, 1
        self.counts = []

    async def __call__(self, write, items):
        self.counts.append(len(items))
        if self.holds is not None and len(items) > self.most:
            await asyncio.wait_for(self.holds.wait(), write.deadline.remaining() + 0.01)
        if self._refuses and len(items) > 1:
            raise QueryError("one of them is too much for the database")
        return await self._apply(write, items)


def test_a_caller_out_of_time_gets_outcome_unknown_and_the_others_are_done(tmp_path):
    async def story(store):
        ids = await registered(store, 12)
        between = Between(store.schemas._parts.edits)
        between.holds = asyncio.Event()
        tasks = [
            asyncio.create_task(store.schemas.delete(id, timeout=1.5 if number == 5 else None))
            for number, id in enumerate(ids)
        ]
        answers = await all_of(tasks[5])
        between.holds.set()
        assert isinstance(answers[0], OutcomeUnknownError)
        del tasks[5], ids[5]
        assert await asyncio.gather(*tasks) == [True] * 11
        assert await store.schemas.get_many(ids) == [None] * 11

    run_story(story, tmp_path)


def test_a_caller_alone_that_is_out_of_time_has_changed_nothing(tmp_path):
    async def story(store):
        (id,) = await registered(store, 1)
        between = Between(store.schemas._parts.edits)
        between.holds, between.most = asyncio.Event(), 0
        with pytest.raises(TimeoutError):
            await store.schemas.delete(id, timeout=0.1)
        assert (await store.schemas.get(id, read="latest")).id == id

    run_story(story, tmp_path)


def test_where_the_database_refuses_several_each_goes_alone(tmp_path):
    async def story(store):
        ids = await registered(store, 12)
        between = Between(store.schemas._parts.edits, refuses=True)
        assert await asyncio.gather(*(store.schemas.delete(id) for id in ids)) == [True] * 12
        assert max(between.counts) > 1
        assert between.counts.count(1) == 12

    run_story(story, tmp_path)


def test_a_defect_reaches_each_caller(tmp_path):
    async def story(store):
        ids = await registered(store, 5)

        async def broken(write, items):
            raise ZeroDivisionError

        store.schemas._parts.edits.apply = broken
        answers = await all_of(*(store.schemas.delete(id) for id in ids))
        assert all(isinstance(answer, ZeroDivisionError) for answer in answers)

    run_story(story, tmp_path)


def test_threads_share_changes_too(tmp_path):
    with tierstore.blocking.open(tmp_path) as store, ThreadPoolExecutor(16) as threads:
        ids = [store.schemas.register(f"s{number}", "1.0.0", b"{}").id for number in range(100)]
        moved = list(threads.map(lambda each: store.schemas.set_state(each, "deprecated"), ids))
        assert {schema.state for schema in moved} == {"deprecated"}
        deleted = list(threads.map(store.schemas.delete, [*ids, *ids]))
        assert all(first is not second for first, second in zip(deleted[:100], deleted[100:], strict=True))
        assert store.schemas.get_many(ids) == [None] * 100
