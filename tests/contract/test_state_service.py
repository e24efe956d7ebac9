"""`tierstore.StateService`: the four facts of the contract, a user's own, on every place and face, and over `tierstore.blocking`."""

from __future__ import annotations

import math

import pytest

import tierstore
from tierstore import InvalidKeyError, StateField, StateService, ValidationError

FACTS = ("pr_number", "vuln_check_run_id", "license_check_run_id", "workflow_run_id")
SHA = "0a1b2c3d"


class Builds(StateService):
    stage = StateField(str, ttl=600)
    steps = StateField(list[str], ttl=None)


@pytest.mark.requirement("S3-13", "S3-14", "S3-15", "S3-16", "S3-17", "S3-21", "S3-36", "S3-37")
@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_is_stored_found_and_deleted(kept, fact):
    async def scenario(state):
        service = StateService(state)
        store, get, find, delete = (getattr(service, f"{verb}_{fact}") for verb in ("store", "get", "find", "delete"))
        sha = f"{SHA}{fact}"
        assert (await get(sha), await find(sha), await delete(sha)) == (0, None, False)
        await store(sha, 0)
        assert (await get(sha), await find(sha)) == (0, 0)  # a stored 0 is told from none
        for number in (2**63 - 1, -(2**63), 2**53 + 1):
            await store(sha, number)
            assert await get(sha) == number
        assert await state.get(f"polly:{fact}:{sha}", type=int) == 2**53 + 1
        assert 86_000 < await state.ttl(f"polly:{fact}:{sha}") <= 86_400
        assert await delete(sha)
        assert await find(sha) is None

    kept.run(scenario)


def test_all_facts_of_one_thing_are_read_and_deleted_at_once(kept):
    async def scenario(state):
        service = Builds(state, prefix="builds", ttl=60)
        assert await service.all_state("x") == {}
        await service.store_pr_number("x", 7)
        await service.store_workflow_run_id("x", 2**63 - 1)
        await service.stage.store("x", "test")
        await service.store_steps("x", ["a", "b"])
        await service.store_pr_number("y", 8)
        whole = {"pr_number": 7, "workflow_run_id": 2**63 - 1, "stage": "test", "steps": ["a", "b"]}
        assert await service.all_state("x") == whole
        assert 50 < await state.ttl("builds:pr_number:x") <= 60
        assert 500 < await state.ttl("builds:stage:x") <= 600
        assert await state.ttl("builds:steps:x") == float("inf")
        assert await service.delete_all_state("x") == 4
        assert await service.all_state("x") == {}
        assert await service.all_state("y") == {"pr_number": 8}
        assert (await service.get_stage("x"), await service.get_steps("x")) == ("", [])
        assert (await service.find_stage("x"), await service.stage.find("x")) == (None, None)
        assert Builds.fields == (*FACTS, "stage", "steps")

    kept.run(scenario)


@pytest.mark.requirement("S3-18")
def test_wrong_values_and_ids_are_refused(kept):
    async def scenario(state):
        service = Builds(state, prefix="wrong")
        for value in ("5", True, 1.0, None, 2**63):
            with pytest.raises(ValidationError):
                await service.store_pr_number("x", value)
        with pytest.raises(ValidationError):
            await service.store_steps("x", ["a", 1])
        for identifier in ("", None, 5, b"x"):
            with pytest.raises(InvalidKeyError, match="id must be"):
                await service.get_pr_number(identifier)
            with pytest.raises(InvalidKeyError, match="id must be"):
                await service.all_state(identifier)
        await state.set("wrong:pr_number:x", "no number")
        with pytest.raises(ValidationError):
            await service.get_pr_number("x")
        with pytest.raises(ValidationError):
            await service.all_state("x")

    kept.run(scenario)


def test_a_field_is_declared_with_a_type_that_can_be_read():
    with pytest.raises(ValidationError):
        StateField("int")


def test_wrong_arguments_of_a_service_are_refused_when_it_is_made(tmp_path):
    """Not when the first fact is stored."""
    with tierstore.blocking.open(tmp_path) as store:
        with pytest.raises(InvalidKeyError):
            StateService(store.state, prefix="a\nb")
        for ttl in (0, -1, "x", math.nan, True, tierstore.KEEP):
            for make in (lambda ttl=ttl: StateService(store.state, ttl=ttl), lambda ttl=ttl: StateField(int, ttl=ttl)):
                with pytest.raises(ValidationError) as raised:
                    make()
                assert raised.value.place == "ttl"
        for state in (None, 5, "x", {}, store):
            with pytest.raises(ValidationError) as raised:
                StateService(state)
            assert raised.value.place == "state"


def test_a_subclass_may_have_a_call_of_its_own():
    class Own(StateService):
        build = StateField(int)

        def get_build(self, id: str) -> str:
            return f"mine {id}"

    class Further(Own):
        more = StateField(str)

    assert Further.get_build is Own.get_build
    assert Further.fields == (*FACTS, "build", "more")
    assert not hasattr(StateService, "store_build")


def test_over_the_blocking_face_calls_return_at_once(tmp_path):
    with tierstore.blocking.open(tmp_path) as store:
        service = Builds(store.state)
        assert service.get_pr_number("x") == 0
        assert isinstance(service.store_pr_number("x", 5), str)
        assert service.find_pr_number("x") == 5
        service.stage.store("x", "built")
        assert service.all_state("x") == {"pr_number": 5, "stage": "built"}
        assert service.delete_all_state("x") == 2
        assert service.delete_pr_number("x") is False


def test_inside_a_transaction_facts_come_and_go_with_it(tmp_path):
    with tierstore.blocking.open(tmp_path) as store:
        with pytest.raises(RuntimeError, match="undone"), store.transaction() as tx:
            service = StateService(tx.state)
            service.store_pr_number("x", 5)
            assert service.all_state("x") == {"pr_number": 5}
            raise RuntimeError("undone")
        assert StateService(store.state).find_pr_number("x") is None
