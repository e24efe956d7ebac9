"""A user of `store.state` and of a service over it. mypy and pyright agree on every line."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_type

import tierstore
from tierstore import Page, StateChange, StateField, StateService


@dataclass
class Order:
    number: int


class Builds(StateService):
    build = StateField(int)
    order = StateField(Order, ttl=60)
    store_build, get_build, find_build, delete_build = build.calls()


async def use(store: tierstore.Store) -> None:
    state = store.state
    assert_type(await state.get("a", type=int), int | None)
    assert_type(await state.get("a", type=Order), Order | None)
    assert_type(await state.get("a", type=list[int]), list[int] | None)
    assert_type(await state.get("a", type=int, default=0), int)
    assert_type(await state.get("a", type=int, default="none"), int | str)
    assert_type(await state.get("a"), Any)
    assert_type(await state.get_many(["a"], type=int), list[int | None])
    assert_type(await state.get_many(["a"]), list[Any])
    assert_type(await state.pop("a", type=Order), Order | None)
    assert_type(await state.pop("a", type=int, default=0), int)
    assert_type(await state.set("a", Order(1), ttl=None), str)
    assert_type(await state.add("a", 1, ttl=tierstore.DEFAULT), bool)
    assert_type(await state.ttl("a"), float | None)
    assert_type(await state.increment("a", 2), int)
    assert_type(await state.keys("a"), Page[str])
    assert_type(await state.compare_and_set("a", tierstore.ABSENT, 1, ttl=tierstore.KEEP), bool)
    if (entry := await state.get_entry("a", type=int)) is not None:
        assert_type(entry.etag, str)
        assert_type(entry.expires_at, datetime | None)
    async with state.watch("a") as changes:
        assert_type(changes, AsyncIterator[StateChange])
    await state.set("a", 1, ttl="1h")  # error: arg-type
    await state.get(5)  # error: call-overload


async def use_a_service(store: tierstore.Store) -> None:
    service = StateService(store.state, prefix="polly", ttl=None)
    assert_type(await service.get_pr_number("sha"), int)
    assert_type(await service.find_workflow_run_id("sha"), int | None)
    assert_type(await service.delete_vuln_check_run_id("sha"), bool)
    assert_type(await service.store_license_check_run_id("sha", 5), str)
    assert_type(await service.all_state("sha"), dict[str, Any])
    assert_type(await service.delete_all_state("sha"), int)
    await service.store_pr_number("sha", "5")  # error: arg-type
    builds = Builds(store.state)
    assert_type(await builds.get_build("sha"), int)
    assert_type(await builds.build.find("sha"), int | None)
    assert_type(await builds.order.get("sha"), Order)
    assert_type(await builds.order.find("sha", timeout=1), Order | None)
    await builds.order.store("sha", 5)  # error: arg-type
    await builds.store_build("sha", "5")  # error: arg-type


def use_blocking(store: tierstore.blocking.Store) -> None:
    assert_type(store.state.get("a", type=int), int | None)
    assert_type(store.state.get("a", type=Order, default=Order(1)), Order)
    assert_type(store.state.get("a"), Any)
    assert_type(store.state.get_many(["a"], type=int), list[int | None])
    assert_type(store.state.set("a", 1), str)


def use_a_blocking_service(store: tierstore.blocking.Store) -> None:
    service = tierstore.blocking.StateService(store.state)
    assert_type(service.get_pr_number("sha") + 1, int)
    assert_type(service.find_pr_number("sha"), int | None)
    assert_type(service.pr_number.store("sha", 5), str)
    assert_type(service.all_state("sha"), dict[str, Any])
    service.store_pr_number("sha", "5")  # error: arg-type
