"""Many callers at once: one version is registered once, versions rise, nothing is lost."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import psycopg
import pytest

from tests.contract.schema_stores import FACES, Opened, opened, server_config
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


def test_changes_of_one_schema_by_many_follow_each_other(schemas):
    """Whoever shares a transaction: each state is reached from the one before, at a row_version of its own."""
    made = schemas.run(lambda store: store.register(schemas.subject(), "1.0.0", b"{}"))
    states = ("deprecated", "active")
    answers = at_once(schemas, lambda store, number: store.set_state(made.id, states[number % 2]))
    won = sorted(
        (each for each in answers if not isinstance(each, errors.StorageError)), key=lambda each: each.row_version
    )
    assert all(isinstance(answer, errors.ConflictError) for answer in answers if answer not in won)
    assert len({each.row_version for each in won}) == len(won)
    assert [each.state for each in won] == [states[number % 2] for number in range(len(won))]
    assert schemas.run(lambda store: store.get(made.id)) == won[-1]


def test_one_of_many_deletions_deletes(schemas):
    made = schemas.run(lambda store: store.register(schemas.subject(), "1.0.0", b"{}"))
    answers = at_once(schemas, lambda store, _: store.delete(made.id))
    assert sorted(answers) == [False] * (CALLERS - 1) + [True]
    assert schemas.run(lambda store: store.get(made.id)) is None


def test_many_changes_of_many_schemas_at_once(schemas):
    """Errors are their callers' alone, on both engines."""
    subject = schemas.subject()
    ids = [
        schemas.run(lambda store, number=number: store.register(f"{subject}.{number}", "1.0.0", b"{}")).id
        for number in range(CALLERS)
    ]

    async def call(store, number):
        if number % 3 == 0:
            return await store.delete(ids[number])
        if number % 3 == 1:
            return await store.set_state(ids[number], "deprecated", reason=f'"{number}"')
        return await store.set_state(ids[number], "draft")

    answers = at_once(schemas, call)
    for number, answer in enumerate(answers):
        now = schemas.run(lambda store, number=number: store.get(ids[number]))
        if number % 3 == 0:
            assert answer is True
            assert now is None
        elif number % 3 == 1:
            assert answer == now
            assert now.metadata == {"state_reason": f'"{number}"'}
        else:
            assert isinstance(answer, errors.ConflictError)
            assert now.state == "active"


@pytest.mark.parametrize("face_name", FACES)
def test_a_lock_of_another_holds_up_only_those_who_need_it(request, face_name):
    servers = server_config(request)
    config = replace(servers, postgres=replace(servers.postgres, statement_timeout=60))
    with opened("postgres", face_name, config) as schemas:
        ids = [
            schemas.run(lambda store, number=number: store.register(f"s{number}", "1.0.0", b"{}")).id
            for number in range(CALLERS)
        ]
        with psycopg.connect(config.postgres.url) as other:
            other.execute("SELECT subject FROM subjects WHERE subject = 's5' FOR UPDATE")
            answers = at_once(
                schemas, lambda store, number: store.delete(ids[number], timeout=2 if number == 5 else 20)
            )
        assert isinstance(answers.pop(5), errors.TimeoutError)
        assert answers == [True] * (CALLERS - 1)


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
