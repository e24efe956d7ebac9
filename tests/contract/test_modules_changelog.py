"""What changed from one version to the next, and whether it may break those who use it."""

from __future__ import annotations

import pytest

import tierstore
from tests.contract.module_stores import OpenModules, raised
from tierstore import errors
from tierstore._native import digest as digest_of

HEAD = b'syntax = "proto3";\n'
OLD = {
    "a.proto": HEAD + b'package acme;\nimport "x.proto";\nimport public "b.proto";\nimport "x.proto";\n',
    "b.proto": HEAD + b"package acme;\n",
    "broken.proto": b"syntax = ",
    "same.proto": HEAD,
    "notes.txt": b"import nothing",
}
NEW = {
    "a.proto": HEAD + b'package acme.v2;\nimport "b.proto";\nimport weak "y.proto";\n',
    "broken.proto": b'syntax = "proto3";\nimport "z.proto";\n',
    "c.proto": HEAD + b'import "a.proto";\n',
    "same.proto": HEAD,
    "notes.txt": b"import more",
}


def short(changes) -> list[tuple]:
    return [(change.kind, change.path, change.before, change.after) for change in changes]


@pytest.mark.requirement("S0-30")
def test_files_imports_and_packages_against_the_version_before(modules: OpenModules):
    async def scenario(store):
        name = await modules.made()
        for version, files in (("1.9.0", OLD), ("1.10.0", NEW)):
            await store.create_version(name, version, files, state="published", allow_unresolved=True)
        return await store.changelog(name, "1.10.0"), await store.changelog(name, "1.10.0", read="latest")

    changes, latest = modules.run(scenario)
    assert changes == latest
    digests = {path: (OLD.get(path), NEW.get(path)) for path in {*OLD, *NEW}}
    of = {path: [side if side is None else digest_of(side) for side in sides] for path, sides in digests.items()}
    assert short(changes) == [
        ("file_changed", "a.proto", *of["a.proto"]),
        ("import_added", "a.proto", None, "b.proto"),
        ("import_added", "a.proto", None, "weak y.proto"),
        ("import_removed", "a.proto", "x.proto", None),
        ("import_removed", "a.proto", "public b.proto", None),
        ("package_changed", "a.proto", "acme", "acme.v2"),
        ("file_removed", "b.proto", *of["b.proto"]),
        ("file_changed", "broken.proto", *of["broken.proto"]),
        ("file_added", "c.proto", *of["c.proto"]),
        ("import_added", "c.proto", None, "a.proto"),
        ("file_changed", "notes.txt", *of["notes.txt"]),
        ("state", None, None, "published"),
    ]


@pytest.mark.requirement("S0-30")
def test_the_version_before_is_semvers_and_no_draft(modules: OpenModules):
    async def scenario(store):
        name = await modules.made()
        made = [("1.9.0", "published"), ("1.10.0-rc.1", "published"), ("1.10.0", "draft"), ("2.0.0", "published")]
        for version, state in made:
            await store.create_version(name, version, {f"{version}.proto": b""}, state=state)
        for number in range(60):  # more than are looked at in one turn
            await store.create_version(name, f"1.10.{number + 1}", {}, state="draft")
        await store.archive(name, "1.9.0")
        first, second = await store.changelog(name, "1.10.0-rc.1"), await store.changelog(name, "2.0.0")
        lowest = await store.changelog(name, "1.9.0")
        return short(first)[:2], short(second)[:2], short(lowest)

    first, second, lowest = modules.run(scenario)
    none = digest_of(b"")
    assert first == [("file_added", "1.10.0-rc.1.proto", None, none), ("file_removed", "1.9.0.proto", none, None)]
    assert second == [("file_removed", "1.10.0-rc.1.proto", none, None), ("file_added", "2.0.0.proto", None, none)]
    assert lowest == [
        ("file_added", "1.9.0.proto", None, none),
        ("state", None, None, "published"),
        ("state", None, "published", "archived"),
    ]


@pytest.mark.requirement("S0-30", "S0-36")
def test_who_did_what_and_when(modules: OpenModules):
    async def scenario(store):
        name = await modules.made()
        with tierstore.acting_as("old"):
            await store.create_version(name, "1.0.0", {"gone.proto": b""})
            await store.delete_version(name, "1.0.0")
        with tierstore.acting_as("ana"):
            await store.create_version(name, "1.0.0", {"a.proto": b"", "b.proto": b""})
        with tierstore.acting_as("bo"):
            await store.put_file(name, "1.0.0", "b.proto", HEAD)
            await store.publish(name, "1.0.0")
        await store.update_version(name, "1.0.0", tags=["x"], metadata={"team": 1})
        await store.update_version(name, "1.0.0", metadata={"tags": ["x"]})
        with tierstore.acting_as("cy"):
            await store.deprecate(name, "1.0.0", "old", replaced_by="2.0.0")
        return await store.changelog(name, "1.0.0"), (await store.audit(name)).items

    changes, audit = modules.run(scenario)
    assert [(*each, change.actor) for each, change in zip(short(changes), changes, strict=True)] == [
        ("file_added", "a.proto", None, digest_of(b""), "ana"),
        ("file_added", "b.proto", None, digest_of(HEAD), "bo"),
        ("state", None, None, "draft", "ana"),
        ("state", None, "draft", "published", "bo"),
        ("metadata", "tags", None, ["x"], None),
        ("metadata", "team", None, 1, None),
        ("metadata", "team", 1, None, None),
        ("state", None, "published", "deprecated", "cy"),
    ]
    by_action = {entry.action: entry for entry in reversed(audit)}
    assert changes[1].at == by_action["put_file"].at
    assert changes[3].at == by_action["publish"].at
    assert changes[-1].at == by_action["deprecate"].at


def test_a_changelog_of_what_is_not_there(modules: OpenModules):
    async def scenario(store):
        name = await modules.made("1.0.0")
        for call in (
            store.changelog(name, "2.0.0"),
            store.changelog(modules.name("none"), "1.0.0"),
            store.check_compatibility(name, "1.0.0", "2.0.0"),
            store.check_compatibility(name, "0.1.0", "1.0.0"),
        ):
            assert isinstance(await raised(call), errors.NotFoundError)
        assert isinstance(await raised(store.changelog(name, "one")), errors.ValidationError)

    modules.run(scenario)


# Compatibility


async def checked(modules: OpenModules, store, old: dict, new: dict):
    name = await modules.made()
    await store.create_version(name, "1.0.0", old)
    await store.create_version(name, "1.1.0", new)
    return await store.check_compatibility(name, "1.0.0", "1.1.0")


def test_what_breaks_those_who_use_a_version(modules: OpenModules):
    old = {
        "gone.proto": HEAD,
        "moved.proto": HEAD + b"package acme;\n",
        "now_broken.proto": HEAD,
        "public.proto": HEAD + b'import public "moved.proto";\n\n  import public "far.proto";\n',
        "notes.txt": b"",
    }
    new = {
        "moved.proto": HEAD + b"package acme.v2;\n",
        "now_broken.proto": HEAD + b"import\n",
        "public.proto": HEAD + b'import "moved.proto";\nimport "far.proto";\n',
    }
    found = modules.run(lambda store: checked(modules, store, old, new))
    assert not found.ok
    assert [(each.rule, each.path, each.line, each.column, each.symbol) for each in found.findings] == [
        ("FILE_NO_DELETE", "gone.proto", None, None, None),
        ("FILE_SAME_PACKAGE", "moved.proto", None, None, "acme"),
        ("FILE_PARSES", "now_broken.proto", 3, 1, None),
        ("PUBLIC_IMPORT_NO_DELETE", "public.proto", 2, 1, "moved.proto"),
        ("PUBLIC_IMPORT_NO_DELETE", "public.proto", 4, 3, "far.proto"),
    ]
    assert "acme.v2" in found.findings[1].message
    assert "line" not in found.findings[2].message
    assert '"ok":false' in found.to_json()


def test_what_breaks_nobody(modules: OpenModules):
    """Files and imports that came, plain imports that went, a public way that became longer or a circle, what was broken already."""
    old = {
        "a.proto": HEAD + b'import public "c.proto";\nimport "x.proto";\n',
        "b.proto": HEAD,
        "c.proto": HEAD,
        "broken.proto": b"?",
    }
    new = {
        "a.proto": HEAD + b'import public "b.proto";\n',
        "b.proto": HEAD + b'import public "c.proto";\n',
        "c.proto": HEAD + b'import public "a.proto";\nimport "new.proto";\n',
        "broken.proto": b"!",
        "new.proto": HEAD + b"package new;\n",
    }
    found = modules.run(lambda store: checked(modules, store, old, new))
    assert (found.ok, found.findings) == (True, ())
    assert (found.old, found.new) == ("1.0.0", "1.1.0")


def test_more_files_than_one_batch_holds(modules: OpenModules):
    old = {f"{number}.proto": HEAD + f"package p{number};\n".encode() for number in range(1_100)}
    new = {path: content.replace(b"package p", b"package q") for path, content in old.items()}

    async def scenario(store):
        found = await checked(modules, store, old, new)
        return found, await store.changelog(found.module, "1.1.0")

    found, changes = modules.run(scenario)
    assert {each.rule for each in found.findings} == {"FILE_SAME_PACKAGE"}
    assert len(found.findings) == 1_100
    assert sum(change.kind == "file_added" for change in changes) == 1_100
