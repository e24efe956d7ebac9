"""Many callers at once: one version is registered once, versions rise, nothing is lost."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.contract.schema_stores import Opened
from tierstore import errors
from tierstore.runtime import drive

CALLERS = 12


def at_once(schemas: Opened, call):
    """`call(store, number)` by CALLERS tasks, or threads; answers or errors, in order."""

    async def guarded(store, number):
        try:
            return await call(store, number)
        except errors.StorageError as error:
            return error

    if schemas.face.name == "async":

        async def scenario(store):
            return await asyncio.gather(*(guarded(store, number) for number in range(CALLERS)))

        return schemas.run(scenario)
    answers = [None] * CALLERS

    def caller(number):
        answers[number] = drive(guarded(schemas.store.schemas, number))

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_the_same_registration_by_many_is_one_record(schemas):
    subject = schemas.subject()
    answers = at_once(schemas, lambda store, _: store.register(subject, "1.0.0", b"{}"))
    assert len({answer.id for answer in answers}) == 1
    assert len(schemas.run(lambda store: store.list(subject)).items) == 1


@pytest.mark.requirement("S1-11")
def test_one_of_many_contents_wins_and_the_others_are_conflicts(schemas):
    subject = schemas.subject()
    answers = at_once(schemas, lambda store, number: store.register(subject, "1.0.0", b"[%d]" % number))
    won = [answer for answer in answers if not isinstance(answer, errors.StorageError)]
    assert len(won) == 1
    assert all(isinstance(answer, errors.ConflictError) for answer in answers if answer is not won[0])
    assert schemas.run(lambda store: store.get_version(subject, "1.0.0")) == won[0]


def test_batches_over_the_same_subjects_do_not_lock_each_other(schemas):
    names = [schemas.subject(str(number)) for number in range(6)]

    def batch(store, number):
        order = names[number % 6 :] + names[: number % 6]
        return store.register_many([{"subject": name, "version": f"1.{number}.0", "content": b"{}"} for name in order])

    answers = at_once(schemas, batch)
    assert all(isinstance(answer, list) for answer in answers), answers
    for name in names:
        assert schemas.run(lambda store, name=name: store.get_latest(name)).version == f"1.{CALLERS - 1}.0"
        assert len(schemas.run(lambda store, name=name: store.list(name)).items) == CALLERS


def test_one_of_many_state_changes_wins(schemas):
    made = schemas.run(lambda store: store.register(schemas.subject(), "1.0.0", b"{}"))
    expected = made.row_version
    answers = at_once(schemas, lambda store, _: store.set_state(made.id, "deprecated", expected_version=expected))
    won = [answer for answer in answers if not isinstance(answer, errors.StorageError)]
    assert len(won) == 1
    assert schemas.run(lambda store: store.get(made.id)) == won[0]


def test_restoring_by_many_gives_one_record(schemas):
    subject = schemas.subject()
    made = schemas.run(lambda store: store.register(subject, "1.0.0", b"{}"))
    assert schemas.run(lambda store: store.delete(made.id))
    answers = at_once(schemas, lambda store, _: store.register(subject, "1.0.0", b"{}"))
    assert {getattr(answer, "id", answer) for answer in answers} == {made.id}


def test_an_idempotency_key_used_by_many_at_once(schemas):
    key = schemas.subject("key")
    answers = at_once(schemas, lambda store, _: store.register(schemas.subject(), "1.0.0", b"{}", idempotency_key=key))
    assert len({getattr(answer, "id", answer) for answer in answers}) == 1
