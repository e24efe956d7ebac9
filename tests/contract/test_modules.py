"""Modules and their versions: what is kept, what the same again means, how versions are ordered, what is not there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.module_stores import FILES, OpenModules, everything, raised
from tierstore import errors
from tierstore._native import digest as digest_of
from tierstore.plan.modules import files_digest

MIXED = [
    "1.9.0",
    "1.10.0",
    "1.10.0-rc.2",
    "1.10.0-rc.10",
    "1.10.0-alpha",
    "0.9.9",
    "1.2.10",
    "1.2.9",
    "10.0.0-1",
    "2.0.0",
]
ORDERED = [
    "10.0.0-1",
    "2.0.0",
    "1.10.0",
    "1.10.0-rc.10",
    "1.10.0-rc.2",
    "1.10.0-alpha",
    "1.9.0",
    "1.2.10",
    "1.2.9",
    "0.9.9",
]


@pytest.mark.requirement("S0-07")
def test_a_module_is_kept_as_given(modules: OpenModules):
    async def scenario(store):
        made = await store.create(modules.name(), description="Shared types", tags=["b", "a"], metadata={"team": [1]})
        return made, await store.get(modules.name()), await store.get(modules.name(), read="latest")

    made, found, latest = modules.run(scenario)
    assert made == found == latest
    assert (made.name, made.description, made.tags) == (modules.name(), "Shared types", ("b", "a"))
    assert made.metadata == {"description": "Shared types", "tags": ["b", "a"], "team": [1]}
    assert made.created_at == made.updated_at
    assert abs(datetime.now(UTC) - made.created_at) < timedelta(minutes=5)
    assert made.row_version > 0


def test_a_module_that_is_created_again(modules: OpenModules):
    async def scenario(store):
        given = {"description": "d", "tags": ["a"], "metadata": {"n": 1}}
        made = await store.create(modules.name(), **given)
        assert await store.create(modules.name(), **given) == made
        for name, other in (("description", "e"), ("tags", []), ("metadata", {"n": 2})):
            error = await raised(store.create(modules.name(), **(given | {name: other})))
            assert isinstance(error, errors.ConflictError), name
            assert (error.store, error.operation, error.key) == ("modules", "create", modules.name())
        assert await store.get(modules.name(), read="latest") == made

    modules.run(scenario)


def test_an_update_changes_what_is_given_and_keeps_the_rest(modules: OpenModules):
    async def scenario(store):
        made = await store.create(modules.name(), description="d", tags=["a"], metadata={"n": 1})
        assert await store.update(modules.name()) == made
        described = await store.update(modules.name(), description="e")
        assert (described.description, described.tags, described.metadata["n"]) == ("e", ("a",), 1)
        assert described.row_version > made.row_version
        assert described.updated_at >= made.updated_at == described.created_at
        replaced = await store.update(modules.name(), metadata={"m": 2}, tags=[])
        assert replaced.metadata == {"m": 2, "description": "e"}
        emptied = await store.update(modules.name(), description="", metadata={"tags": ["x"]})
        assert emptied.metadata == {"tags": ["x"]}
        stale = await raised(store.update(modules.name(), tags=["y"], expected_version=made.row_version))
        assert isinstance(stale, errors.ConflictError)
        assert "read it again" in str(stale)
        fresh = await store.update(modules.name(), tags=["y"], expected_version=emptied.row_version)
        assert await store.get(modules.name()) == await store.get(modules.name(), read="latest") == fresh

    modules.run(scenario)


def test_modules_in_pages_by_the_bytes_of_their_names(modules: OpenModules):
    names = [modules.name(name) for name in ("a", "a-b", "a.b", "a/b", "B", "b", "a_", "a/b/c", "aa")]

    async def scenario(store):
        for name in names:
            await store.create(name)
        found, after = [], None
        while True:
            page = await store.list(prefix=f"{modules.prefix}/", limit=2, after=after)
            found += page.items
            if (after := page.next) is None:
                break
        within = await store.list(prefix=f"{modules.prefix}/a/")
        return [module.name for module in found], [module.name for module in within.items]

    found, within = modules.run(scenario)
    assert found == sorted(names)
    assert within == [modules.name("a/b"), modules.name("a/b/c")]


def test_a_module_that_is_deleted(modules: OpenModules):
    async def scenario(store):
        name = await modules.made("1.0.0-a", state="draft")
        await store.create_version(name, "1.0.0", FILES, state="published")
        refused = await raised(store.delete(name))
        assert isinstance(refused, errors.ConflictError)
        await store.delete_version(name, "1.0.0")
        assert await store.get_version(name, "1.0.0-a") is not None
        await store.delete(name)
        assert await store.get(name) is None
        assert await store.get_version(name, "1.0.0-a") is None
        assert isinstance(await raised(store.delete(name)), errors.NotFoundError)
        assert (await store.audit(name)).items[0].action == "delete"
        again = await store.create(name)
        assert await store.get(name) == again
        assert await store.get_version(name, "1.0.0-a") is None
        assert await store.get_latest(name) is None

    modules.run(scenario)


# Versions


@pytest.mark.requirement("S0-07")
def test_a_version_is_kept_as_given(modules: OpenModules):
    async def scenario(store):
        name = await modules.made()
        made = await store.create_version(
            name, "1.2.3-rc.1+build.5", FILES, description="First", tags=["x"], metadata={"n": 1}
        )
        return (
            name,
            made,
            await store.get_version(name, "1.2.3-rc.1"),
            await store.get_version(name, "1.2.3-rc.1+other"),
        )

    name, made, found, by_build = modules.run(scenario)
    assert made == found == by_build
    assert (made.module, made.version, made.state) == (name, "1.2.3-rc.1+build.5", "draft")
    assert made.metadata == {"description": "First", "tags": ["x"], "n": 1}
    assert list(made.files) == sorted(FILES)
    assert {path: (info.size, info.digest) for path, info in made.files.items()} == {
        path: (len(content), digest_of(content)) for path, content in FILES.items()
    }
    assert made.digest == files_digest((path, digest_of(content)) for path, content in FILES.items())
    assert (made.file_count, made.content_size) == (2, sum(map(len, FILES.values())))
    assert (made.deprecation, made.published_at, made.deprecated_at, made.archived_at) == (None,) * 4
    assert made.created_at == made.updated_at


@pytest.mark.requirement("S0-07")
def test_a_version_that_is_created_again(modules: OpenModules):
    """The digest of the files says whether it is the same."""

    async def scenario(store):
        name = await modules.made()
        made = await store.create_version(name, "1.0.0", FILES)
        before = await everything(store, name)
        assert await store.create_version(name, "1.0.0", dict(reversed(FILES.items())), state="published") == made
        others = (FILES | {"new.proto": b""}, FILES | {"acme/money.proto": b" "}, {"acme/money.proto": b""}, {})
        for other in others:
            error = await raised(store.create_version(name, "1.0.0+build", other))
            assert isinstance(error, errors.ConflictError)
            assert (error.operation, error.key) == ("create_version", name)
        assert await everything(store, name) == before
        await store.publish(name, "1.0.0")
        assert (await store.create_version(name, "1.0.0", FILES)).state == "published"

    modules.run(scenario)


@pytest.mark.requirement("S0-07")
def test_versions_are_listed_as_semver_orders_them(modules: OpenModules):
    async def scenario(store):
        name = await modules.made(*MIXED)
        found, after = [], None
        while True:
            page = await store.list_versions(name, limit=3, after=after)
            found += page.items
            if (after := page.next) is None:
                return name, found, [await store.get_version(name, version) for version in ORDERED]

    name, found, whole = modules.run(scenario)
    assert [each.version for each in found] == ORDERED
    for info, version in zip(found, whole, strict=True):
        plain = version.asdict()
        del plain["files"]
        assert info.asdict() == plain
        assert info.module == name


def test_the_latest_is_the_highest_release_that_may_be_used(modules: OpenModules):
    async def scenario(store):
        name = await modules.made()
        assert await store.get_latest(name) is None

        async def latest():
            one, two = await store.get_latest(name), await store.get_latest(name, read="latest")
            assert one == two
            return None if one is None else one.version

        steps = [
            ("1.0.0-rc.1", None),
            ("1.0.0-rc.2", "1.0.0-rc.1"),
            ("0.9.0", "1.0.0-rc.2"),
            ("0.10.0", "0.9.0"),
            ("2.0.0-rc.1", "0.10.0"),
        ]
        for version, before in steps:
            assert await latest() == before
            await store.create_version(name, version, FILES)
            assert await latest() == before
            await store.publish(name, version)
        assert await latest() == "0.10.0"
        await store.deprecate(name, "0.10.0", "old")
        assert await latest() == "0.10.0"
        await store.archive(name, "0.10.0")
        assert await latest() == "0.9.0"
        await store.delete_version(name, "0.9.0")
        assert await latest() == "2.0.0-rc.1"

    modules.run(scenario)


@pytest.mark.requirement("S0-27")
def test_what_is_said_of_a_version_is_updated_without_creating_it_anew(modules: OpenModules):
    async def scenario(store):
        name = await modules.made("1.0.0")
        made = await store.get_version(name, "1.0.0")
        assert await store.update_version(name, "1.0.0") == made
        updated = await store.update_version(name, "1.0.0", description="d", tags=["a"], metadata={"n": 1})
        assert (updated.description, updated.tags, updated.metadata["n"]) == ("d", ("a",), 1)
        assert (updated.files, updated.digest, updated.state) == (made.files, made.digest, "published")
        assert (updated.created_at, updated.published_at) == (made.created_at, made.published_at)
        assert updated.row_version > made.row_version
        again = await store.update_version(name, "1.0.0", tags=["b"], expected_version=updated.row_version)
        assert (again.description, again.tags) == ("d", ("b",))
        stale = await raised(store.update_version(name, "1.0.0", tags=[], expected_version=updated.row_version))
        assert isinstance(stale, errors.ConflictError)
        assert await store.get_version(name, "1.0.0") == await store.get_version(name, "1.0.0", read="latest") == again
        assert await store.get_latest(name) == again

    modules.run(scenario)


def test_a_version_that_is_deleted(modules: OpenModules):
    async def scenario(store):
        name = await modules.made("1.0.0", "1.1.0")
        await store.create_version(name, "2.0.0", FILES)
        for version in ("2.0.0", "1.1.0"):
            assert await store.delete_version(name, version) is None
            assert await store.get_version(name, version) is None
            assert await store.get_version(name, version, read="latest") is None
            gone = await raised(store.get_file(name, version, "acme/order.proto"))
            assert isinstance(gone, errors.NotFoundError)
        assert [each.version for each in (await store.list_versions(name)).items] == ["1.0.0"]
        assert await store.get_file(name, "1.0.0", "acme/order.proto") == FILES["acme/order.proto"]
        other = await store.create_version(name, "1.1.0", {"other.proto": b"// other"}, state="published")
        assert await store.get_version(name, "1.1.0") == await store.get_latest(name) == other

    modules.run(scenario)


def test_what_is_not_there(modules: OpenModules):
    """`get`, `get_version` and `get_latest` return None; every other call names what is missing."""

    async def scenario(store):
        name, none = await modules.made("1.0.0"), modules.name("none")
        assert await store.get(none) is None
        assert await store.get_version(none, "1.0.0") is None
        assert await store.get_version(name, "2.0.0") is None
        assert await store.get_latest(none) is None
        assert (await store.audit(none)).items == ()

        def calls(module, version):
            yield store.update_version(module, version, tags=["a"])
            yield store.delete_version(module, version)
            yield store.put_file(module, version, "a.proto", b"")
            yield store.remove_file(module, version, "acme/order.proto")
            yield store.publish(module, version)
            yield store.deprecate(module, version, "old")
            yield store.undeprecate(module, version)
            yield store.archive(module, version)
            yield store.get_file(module, version, "acme/order.proto")
            yield store.get_files(module, version)

        of_none = [store.update(none, tags=["a"]), store.delete(none), store.list_versions(none)]
        of_none += [store.create_version(none, "1.0.0", FILES), *calls(none, "1.0.0")]
        for call in of_none:
            error = await raised(call)
            assert isinstance(error, errors.NotFoundError)
            assert f"there is no module {none}" in str(error)
            assert error.key == none
        for call in calls(name, "2.0.0"):
            error = await raised(call)
            assert isinstance(error, errors.NotFoundError)
            assert f"module {name} has no version 2.0.0" in str(error)
        assert (await store.list(prefix=none)).items == ()
        empty = modules.name("empty")
        await store.create(empty)
        assert (await store.list_versions(empty)).items == ()

    modules.run(scenario)


def test_statistics_count_what_there_is(modules: OpenModules):
    async def scenario(store):
        before = await store.statistics()
        name = await modules.made("1.0.0", "1.1.0")
        await store.create_version(name, "2.0.0", {"a.proto": b"12345"})
        after = await store.statistics()
        assert after.modules == before.modules + 1
        assert after.versions == before.versions + 3
        assert after.by_state["published"] == before.by_state.get("published", 0) + 2
        assert after.files == before.files + 5
        assert after.content_bytes == before.content_bytes + 2 * sum(map(len, FILES.values())) + 5
        assert 0.0 <= after.hit_rates["l1"] <= 1.0
        assert await store.warm(limit=1) == 1

    modules.run(scenario)
