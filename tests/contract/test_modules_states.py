"""The states of a version, and the audit of who changed what."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest

import tierstore
from tests.contract.module_stores import FILES, OpenModules, everything, raised
from tierstore import errors
from tierstore._native import digest as digest_of

MOVES = {
    "publish": ("draft", "published"),
    "deprecate": ("published", "deprecated"),
    "undeprecate": ("deprecated", "published"),
    "archive": ("draft published deprecated", "archived"),
}
STATES = ("draft", "published", "deprecated", "archived")


async def bring(store, name: str, version: str, state: str) -> None:
    """A new version, in that state."""
    await store.create_version(name, version, FILES)
    for call in {"draft": "", "published": "publish", "deprecated": "publish deprecate", "archived": "archive"}[
        state
    ].split():
        await move(store, call, name, version)


async def move(store, call: str, name: str, version: str):
    reason = ("old",) if call == "deprecate" else ()
    return await getattr(store, call)(name, version, *reason)


@pytest.mark.requirement("S0-28", "S0-29", "S0-31")
def test_every_move_is_done_or_refused(modules: OpenModules):
    async def scenario(store):
        name = await modules.made()
        number = 0
        for call, (origins, target) in MOVES.items():
            for state in STATES:
                number += 1
                version = f"1.{number}.0"
                await bring(store, name, version, state)
                before, made = await everything(store, name), await store.get_version(name, version)
                if state in origins.split():
                    moved = await move(store, call, name, version)
                    assert moved.state == target, (call, state)
                    assert await store.get_version(name, version) == moved
                    assert await store.get_version(name, version, read="latest") == moved
                    assert moved.row_version > made.row_version
                else:
                    error = await raised(move(store, call, name, version))
                    assert isinstance(error, errors.ConflictError), (call, state)
                    assert (error.store, error.operation, error.key) == ("modules", call, name)
                    assert await everything(store, name) == before, (call, state)

    modules.run(scenario)


@pytest.mark.requirement("S0-28")
def test_a_deprecation_says_why_and_what_to_use(modules: OpenModules):
    async def scenario(store):
        name = await modules.made("1.0.0", "1.1.0")
        published = await store.get_version(name, "1.0.0")
        assert published.published_at == published.created_at
        old = await store.deprecate(name, "1.0.0", "It has a bug.", replaced_by="1.1.0")
        assert (old.deprecation.reason, old.deprecation.replaced_by) == ("It has a bug.", "1.1.0")
        assert old.deprecated_at == old.updated_at >= published.updated_at
        assert await store.get_file(name, "1.0.0", "acme/order.proto") == FILES["acme/order.proto"]
        described = await store.update_version(name, "1.0.0", tags=["a"])
        assert described.deprecation == old.deprecation
        taken_back = await store.undeprecate(name, "1.0.0")
        assert (taken_back.state, taken_back.deprecation, taken_back.deprecated_at) == ("published", None, None)
        assert taken_back.published_at == published.published_at
        again = await store.deprecate(name, "1.0.0", "Really.")
        assert again.deprecation.replaced_by is None
        archived = await store.archive(name, "1.0.0")
        assert archived.deprecation == again.deprecation
        assert archived.archived_at == archived.updated_at

    modules.run(scenario)


def test_of_two_publishers_one_publishes(modules: OpenModules):
    async def scenario(store):
        name = await modules.made("1.0.0", state="draft")
        calls = [raised(store.publish(name, "1.0.0")) for _ in range(2)]
        if modules.face.name == "async":
            found = await asyncio.gather(*calls)
        else:
            found = [await call for call in calls]
        assert sorted(type(each).__name__ for each in found) == ["ConflictError", "NoneType"]
        actions = [entry.action for entry in (await store.audit(name)).items]
        assert actions.count("publish") == 1

    modules.run(scenario)


@pytest.mark.requirement("S0-32")
def test_every_change_is_in_the_audit_with_who_made_it(modules: OpenModules):
    async def scenario(store):
        name = modules.name()
        with tierstore.acting_as("ana", request_id="r1"):
            await store.create(name, description="d")
            await store.create(name, description="d")
            await store.update(name, tags=["a"])
            await store.create_version(name, "1.0.0", FILES)
        await store.put_file(name, "1.0.0", "a.proto", b"a")
        await store.remove_file(name, "1.0.0", "a.proto")
        with tierstore.acting_as("bob"):
            await store.publish(name, "1.0.0")
            with tierstore.acting_as("eve", request_id="r2"):
                await store.deprecate(name, "1.0.0", "old", replaced_by="2.0.0")
            await store.undeprecate(name, "1.0.0")
        await store.update_version(name, "1.0.0", description="x")
        await raised(store.publish(name, "1.0.0"))
        await store.archive(name, "1.0.0")
        await store.delete_version(name, "1.0.0")
        await store.delete(name)
        entries, after = [], None
        while True:
            page = await store.audit(name, limit=3, after=after)
            entries += page.items
            if (after := page.next) is None:
                break
        entries.reverse()
        everyone = (await store.audit(limit=1)).items[0]
        assert everyone == entries[-1]
        since = entries[4].at
        later = (await store.audit(name, since=since)).items
        assert list(reversed(later)) == [entry for entry in entries if entry.at >= since]
        assert (await store.audit(name, since=entries[-1].at + timedelta(microseconds=1))).items == ()
        return name, entries

    name, entries = modules.run(scenario)
    assert [(entry.action, entry.actor, entry.request_id, entry.version) for entry in entries] == [
        ("create", "ana", "r1", None),
        ("update", "ana", "r1", None),
        ("create_version", "ana", "r1", "1.0.0"),
        ("put_file", None, None, "1.0.0"),
        ("remove_file", None, None, "1.0.0"),
        ("publish", "bob", None, "1.0.0"),
        ("deprecate", "eve", "r2", "1.0.0"),
        ("undeprecate", "bob", None, "1.0.0"),
        ("update_version", None, None, "1.0.0"),
        ("archive", None, None, "1.0.0"),
        ("delete_version", None, None, "1.0.0"),
        ("delete", None, None, None),
    ]
    assert {entry.module for entry in entries} == {name}
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    details = {entry.action: entry.detail for entry in entries}
    assert details["update"] == {"changes": {"tags": {"before": None, "after": ["a"]}}}
    put, removed = details["put_file"], details["remove_file"]
    assert put["path"] == removed["path"] == "a.proto"
    assert (put["before"], put["after"]) == (removed["after"], removed["before"]) == (None, digest_of(b"a"))
    assert details["deprecate"] == {"from": "published", "to": "deprecated", "reason": "old", "replaced_by": "2.0.0"}


def test_each_task_and_each_thread_acts_for_itself(modules: OpenModules):
    """An actor holds for what its context awaits and begins, and for nobody else."""

    async def act(store, name, who):
        with tierstore.acting_as(who, request_id=f"of {who}"):
            await store.update(name, tags=[who])

    async def scenario(store):
        names = {who: await modules.made() for who in ("ana", "bob", "eve")}
        if modules.face.name == "async":
            await asyncio.gather(*(act(store, name, who) for who, name in names.items()))
        else:
            for who, name in names.items():
                await act(store, name, who)
        await store.update(names["eve"], tags=["nobody"])
        found = {who: (await store.audit(name)).items for who, name in names.items()}
        for who, entries in found.items():
            assert (who, f"of {who}") in [(entry.actor, entry.request_id) for entry in entries]
        assert found["eve"][0].actor is None

    modules.run(scenario)


def test_a_thread_has_an_actor_of_its_own(modules: OpenModules):
    if modules.face.name == "async":
        return
    barrier, names = threading.Barrier(3), {}

    def work(who: str) -> None:
        async def scenario(store):
            names[who] = await modules.made()
            with tierstore.acting_as(who):
                barrier.wait(10)
                await store.update(names[who], tags=[who])

        modules.run(scenario)

    threads = [threading.Thread(target=work, args=(who,)) for who in ("ana", "bob", "eve")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    async def actors(store):
        return {who: (await store.audit(name)).items[0].actor for who, name in names.items()}

    assert modules.run(actors) == {who: who for who in ("ana", "bob", "eve")}
