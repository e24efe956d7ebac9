"""The calls of the interface before this one: the same answers, no deadline, and a warning for each line that makes one."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import pytest

import tierstore
from tests.contract.module_stores import FILES, OpenModules
from tierstore import LegacyModules, errors


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.mark.requirement("S0-05", "S0-06", "S0-71")
def test_every_earlier_call_answers_as_the_one_that_took_its_place(modules: OpenModules):
    async def scenario(store):
        legacy, name = LegacyModules(store), modules.name()
        made = await legacy.create_module(name, "d")
        assert made == await store.get(name) == await legacy.get_module(name)
        assert made.description == "d"
        version = await legacy.create_version(name, "1.0.0", FILES)
        assert version == await store.get_version(name, "1.0.0") == await legacy.get_version(name, "1.0.0")
        assert version.state == "published"
        assert await legacy.list_versions(name) == await store.list_versions(name)
        assert await legacy.list_modules(limit=1) == await store.list(limit=1)
        updated = await legacy.update_version(name, "1.0.0", {"description": "e", "tags": ["a"]})
        assert (updated.description, updated.tags) == ("e", ("a",))
        assert updated == await store.get_version(name, "1.0.0")
        assert await legacy.get_file(name, "1.0.0", "acme/money.proto") == FILES["acme/money.proto"]
        assert await legacy.get_module(modules.name("none")) is None
        with pytest.raises(errors.NotFoundError):
            await legacy.get_file(name, "2.0.0", "acme/money.proto")
        with pytest.raises(errors.ValidationError, match="state"):
            legacy.update_version(name, "1.0.0", {"state": "draft"})
        with pytest.raises(errors.ValidationError, match=r"store\.modules"):
            LegacyModules(None)

    modules.run(scenario)


def test_the_blocking_face_answers_at_once(tmp_path: Path):
    with tierstore.blocking.open(tmp_path) as store:
        legacy = tierstore.blocking.LegacyModules(store.modules)
        assert legacy.create_module("a") == legacy.get_module("a") == store.modules.get("a")
        assert legacy.create_version("a", "1.0.0", FILES) == legacy.get_version("a", "1.0.0")
        assert legacy.list_modules().items == (store.modules.get("a"),)


def test_no_earlier_call_takes_a_deadline():
    calls = {name: each for name, each in vars(LegacyModules).items() if not name.startswith("_")}
    assert len(calls) == 8
    for name, call in calls.items():
        assert "timeout" not in inspect.signature(call).parameters, name


@pytest.mark.requirement("S0-37")
def test_each_line_that_makes_a_call_is_warned_once(modules: OpenModules):
    async def scenario(store):
        legacy = LegacyModules(store)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("default")
            for _ in range(3):
                await legacy.get_module(modules.name())
                await legacy.get_module(modules.name())
                coroutine = legacy.get_version(modules.name(), "1.0.0")
                await coroutine
        return seen

    seen = modules.run(scenario)
    assert [each.category for each in seen] == [DeprecationWarning] * 3
    assert {each.filename for each in seen} == {__file__}
    assert len({each.lineno for each in seen}) == 3
    assert "use store.modules.get, which takes timeout=" in str(seen[0].message)
