"""Files of versions: what is kept of them and where, drafts that change, and versions of five hundred files."""

from __future__ import annotations

import pytest

from tests.contract.module_stores import FILES, OpenModules, everything, raised
from tierstore import errors
from tierstore._native import digest as digest_of
from tierstore.plan.modules import files_digest
from tierstore.store import parts_of

MANY = {f"acme/v1/part_{number // 50}/file_{number}.proto": b"// %d\n" % number * 20 for number in range(500)}
SIZES = {"empty": 0, "small": 1, "inline": 65_536, "row": 65_537, "two chunks": 300_000, "large": 1_048_576}


@pytest.mark.requirement("S0-07")
def test_files_of_every_size_come_back(modules: OpenModules):
    files = {f"{name}.proto": (name.encode() * 400_000)[:size] for name, size in SIZES.items()}

    async def scenario(store):
        name = await modules.made()
        await store.create_version(name, "1.0.0", files)
        for path, content in files.items():
            assert await store.get_file(name, "1.0.0", path) == content, path
        assert await store.get_files(name, "1.0.0") == files
        some = ["large.proto", "empty.proto", "large.proto"]
        assert list((await store.get_files(name, "1.0.0", some)).items()) == [(path, files[path]) for path in some[:2]]
        assert await store.get_files(name, "1.0.0", []) == {}
        for call in (store.get_file(name, "1.0.0", "none.proto"), store.get_files(name, "1.0.0", ["none.proto"])):
            error = await raised(call)
            assert isinstance(error, errors.NotFoundError)
            assert "none.proto" in str(error)

    modules.run(scenario)


def test_equal_files_are_stored_once(modules: OpenModules):
    """Within a version, in another version, in another module, on every tier; and a sweep is told of all."""
    small, large = (f"{modules.prefix}{size}".encode() * size for size in (10, 100_000))
    digests = [digest_of(small), digest_of(large)]

    async def scenario(store):
        parts = parts_of(modules.store)
        one, two = await modules.made(), await modules.made()
        await store.create_version(one, "1.0.0", {"a": small, "b": small, "c": large})
        await store.create_version(one, "1.1.0", {"a": small, "d": large})
        await store.create_version(two, "1.0.0", {"e": small, "f": large})
        deadline = parts.runtime.deadline(10)
        rows = await parts.engine.records.fetch("blobs.known", {"digests": digests}, deadline=deadline, primary=True)
        assert sorted(row[0] for row in rows) == sorted(digests)
        assert await parts.referenced([*digests, "0" * 64], deadline) == set(digests)
        for name, version in ((one, "1.0.0"), (one, "1.1.0")):
            await store.delete_version(name, version)
        assert await parts.referenced(digests, deadline) == set(digests)
        assert await store.get_files(two, "1.0.0") == {"e": small, "f": large}
        await store.delete_version(two, "1.0.0")
        assert await parts.referenced(digests, deadline) == set()

    modules.run(scenario)


def test_a_version_of_five_hundred_files_is_one_transaction(modules: OpenModules):
    """One unit, one batch of contents, one set of keys in the outbox: counted, not timed."""

    async def scenario(store):
        name = await modules.made()
        engine = parts_of(modules.store).engine
        records = engine.records
        begun, appended = [], []
        unit_of, append = records.unit, engine.append

        def unit(**options):
            made = unit_of(**options)
            begun.append(made)
            return made

        async def noting(unit, changes):
            appended.append(len(changes.changes))
            return await append(unit, changes)

        records.unit, engine.append = unit, noting
        try:
            made = await store.create_version(name, "1.0.0", MANY, state="published")
        finally:
            del records.unit
            engine.append = append
        return made, len(begun), appended, await store.get_files(name, "1.0.0")

    made, begun, appended, found = modules.run(scenario)
    assert (begun, appended) == (1, [2])
    assert found == MANY
    assert (made.file_count, made.content_size) == (500, sum(map(len, MANY.values())))
    assert made.digest == files_digest((path, digest_of(content)) for path, content in MANY.items())


def test_the_files_of_a_draft_change(modules: OpenModules):
    async def scenario(store):
        name = await modules.made("1.0.0", state="draft")
        made = await store.get_version(name, "1.0.0")
        added = await store.put_file(name, "1.0.0", "acme/new.proto", b"new")
        assert list(added.files) == sorted([*FILES, "acme/new.proto"])
        assert added.row_version > made.row_version
        assert added.digest != made.digest
        assert (added.file_count, added.content_size) == (3, made.content_size + 3)
        assert await store.get_version(name, "1.0.0") == await store.get_version(name, "1.0.0", read="latest") == added
        assert await store.put_file(name, "1.0.0", "acme/new.proto", bytearray(b"new")) == added
        replaced = await store.put_file(name, "1.0.0", "acme/new.proto", b"x" * 100_000)
        assert replaced.content_size == made.content_size + 100_000
        assert await store.get_file(name, "1.0.0", "acme/new.proto") == b"x" * 100_000
        removed = await store.remove_file(name, "1.0.0", "acme/new.proto")
        assert (removed.files, removed.digest) == (made.files, made.digest)
        gone = await raised(store.remove_file(name, "1.0.0", "acme/new.proto"))
        assert isinstance(gone, errors.NotFoundError)
        stale = store.put_file(name, "1.0.0", "a.proto", b"", expected_version=made.row_version)
        assert isinstance(await raised(stale), errors.ConflictError)
        stale = store.remove_file(name, "1.0.0", "acme/money.proto", expected_version=made.row_version)
        assert isinstance(await raised(stale), errors.ConflictError)
        emptied = removed
        for path in FILES:
            emptied = await store.remove_file(name, "1.0.0", path, expected_version=emptied.row_version)
        assert (dict(emptied.files), emptied.digest) == ({}, files_digest([]))
        assert await store.get_version(name, "1.0.0", read="latest") == emptied

    modules.run(scenario)


@pytest.mark.parametrize("state", ["published", "deprecated", "archived"])
def test_the_files_of_no_other_version_change(modules: OpenModules, state: str):
    async def scenario(store):
        name = await modules.made("1.0.0")
        if state == "deprecated":
            await store.deprecate(name, "1.0.0", "old")
        if state == "archived":
            await store.archive(name, "1.0.0")
        before = await everything(store, name)
        for call in (
            store.put_file(name, "1.0.0", "acme/new.proto", b"new"),
            store.put_file(name, "1.0.0", "acme/money.proto", b"other"),
            store.remove_file(name, "1.0.0", "acme/money.proto"),
        ):
            error = await raised(call)
            assert isinstance(error, errors.ConflictError)
            assert f"is {state}" in str(error)
        assert await everything(store, name) == before

    modules.run(scenario)
