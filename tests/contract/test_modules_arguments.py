"""Wrong arguments of the module store: an error of the right class names the place, and nothing is changed."""

from __future__ import annotations

from datetime import datetime

import pytest

import tierstore
from tests.contract.module_stores import FILES, OpenModules, everything, raised
from tierstore import errors
from tierstore.plan.modules import MAX_FILE_BYTES, MAX_FILES, MAX_PATH_CHARACTERS

NAMES = [
    "",
    "x" * 256,
    "a b",
    "a:b",
    "ä",
    "a\\b",
    "a\n",
    "a\0b",
    "/a",
    "a/",
    "a//b",
    "..",
    "a/../b",
    "a..b",
    ".",
    "a/./b",
]
NAMES += [None, 5, b"a"]
GOOD_NAMES = ["a", "a-b", "a.b", "a_b", "A/b/C", "a.b/c-d_e", "0", "-", "x" * 255]
VERSIONS = ["", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0-01", f"{2**31}.0.0", "1.0.0-", None, 1.0, f"1.0.0-{'a' * 95}"]
PATHS = ["", "/a", "a/", "a//b", "..", "a/../b", ".", "a/./b", "a\\b", "a\nb", "a\0", "x" * 1_025, None, 5, b"a"]
GOOD_PATHS = ["a", "a.proto", "a..b/c.proto", "ä/ö.proto", "a b.proto", "d/" * 500 + "f", "x" * MAX_PATH_CHARACTERS]
CONTENTS = ["text", None, 5, [b"x"]]
DESCRIBED = [
    {"description": 5},
    {"description": "x" * 4_097},
    {"description": "\0"},
    {"tags": "x"},
    {"tags": [""]},
    {"tags": [5]},
    {"metadata": ["x"]},
    {"metadata": {"n": float("nan")}},
    {"metadata": {"tags": "x"}},
    {"metadata": {"x": "y" * 70_000}},
]


def refused(modules: OpenModules, error: type[errors.StorageError], place: str | None, call) -> None:
    """The call is refused at that place, whatever it is made of."""

    async def scenario(store):
        return await raised(call(store))

    found = modules.run(scenario)
    assert isinstance(found, error), found
    assert found.store == "modules"
    if place is not None:
        assert getattr(found, "place") == place  # noqa: B009


def of_versions(store, name, version):
    """Every call that names a version."""
    return [
        store.create_version(name, version, FILES),
        store.get_version(name, version),
        store.get_file(name, version, "a"),
        store.get_files(name, version),
        store.update_version(name, version),
        store.delete_version(name, version),
        store.put_file(name, version, "a", b""),
        store.remove_file(name, version, "a"),
        store.publish(name, version),
        store.deprecate(name, version, "old"),
        store.undeprecate(name, version),
        store.archive(name, version),
    ]


def test_names(modules: OpenModules):
    async def scenario(store):
        for name in NAMES:
            calls = [store.create(name), store.get(name), store.update(name), store.delete(name)]
            calls += [store.get_latest(name), store.list_versions(name), *of_versions(store, name, "1.0.0")]
            for call in calls:
                error = await raised(call)
                assert isinstance(error, errors.InvalidKeyError), name
                assert error.place == "name"
        for name in NAMES[1:]:
            if name is not None:
                assert isinstance(await raised(store.audit(name)), errors.InvalidKeyError), name
        for prefix in ("x" * 256, "a b", "ä", None, 5):
            error = await raised(store.list(prefix=prefix))
            assert isinstance(error, errors.InvalidKeyError), prefix
            assert error.place == "prefix"
        for name in GOOD_NAMES:
            made = await store.create(name, description=modules.prefix) if await store.get(name) is None else None
            assert made is None or made.name == name

    modules.run(scenario)


def test_versions(modules: OpenModules):
    async def scenario(store):
        name = await modules.made("1.0.0")
        before = await everything(store, name)
        for version in VERSIONS:
            for call in of_versions(store, name, version):
                error = await raised(call)
                assert isinstance(error, errors.ValidationError), version
                assert error.place == "version" or error.place.startswith("column "), version
        assert await everything(store, name) == before
        longest = f"1.0.0-{'a' * 94}"
        assert (await store.create_version(name, longest, FILES)).version == longest

    modules.run(scenario)


def test_paths(modules: OpenModules):
    async def scenario(store):
        name = await modules.made("1.0.0", state="draft")
        before = await everything(store, name)
        for path in PATHS:
            for call, place in (
                (store.put_file(name, "1.0.0", path, b""), "path"),
                (store.remove_file(name, "1.0.0", path), "path"),
                (store.get_file(name, "1.0.0", path), "path"),
                (store.get_files(name, "1.0.0", ["a", path]), "paths[1].path"),
            ):
                error = await raised(call)
                assert isinstance(error, errors.InvalidKeyError), path
                assert error.place == place
            error = await raised(store.create_version(name, "2.0.0", {**FILES, path: b""}))
            assert isinstance(error, errors.InvalidKeyError), path
            assert error.place.startswith("files["), path
        assert await everything(store, name) == before
        files = {path: path.encode() for path in GOOD_PATHS}
        made = await store.create_version(name, "2.0.0", files)
        assert sorted(made.files) == sorted(files)
        assert await store.get_files(name, "2.0.0") == files

    modules.run(scenario)


def test_contents_and_their_bounds(modules: OpenModules):
    """The place names the file. Limits are tried by zeros that share their memory."""
    large = memoryview(bytes(MAX_FILE_BYTES))

    async def scenario(store):
        name = await modules.made("1.0.0", state="draft")
        before = await everything(store, name)
        for content in [*CONTENTS, bytes(MAX_FILE_BYTES + 1)]:
            error = await raised(store.create_version(name, "2.0.0", {"acme/a.proto": b"", "acme/b.proto": content}))
            assert isinstance(error, errors.ValidationError)
            assert error.place == "files[acme/b.proto]"
            error = await raised(store.put_file(name, "1.0.0", "a", content))
            assert isinstance(error, errors.ValidationError)
            assert error.place == "content"
        for files in (
            [],
            None,
            "x",
            {str(number): b"" for number in range(MAX_FILES + 1)},
            {str(number): large[: MAX_FILE_BYTES - 1] for number in range(5)},
        ):
            error = await raised(store.create_version(name, "2.0.0", files))
            assert isinstance(error, errors.ValidationError)
            assert error.place == "files"
        assert await everything(store, name) == before

    modules.run(scenario)


@pytest.mark.parametrize("given", DESCRIBED, ids=str)
def test_what_is_said(modules: OpenModules, given: dict):
    async def scenario(store):
        name = await modules.made("1.0.0")
        before = await everything(store, name)
        for call in (
            store.create(modules.name("new"), **given),
            store.update(name, **given),
            store.create_version(name, "2.0.0", FILES, **given),
            store.update_version(name, "1.0.0", **given),
        ):
            error = await raised(call)
            assert isinstance(error, errors.ValidationError)
            assert error.place.split("/")[0] == next(iter(given))
        assert await everything(store, name) == before
        assert await store.get(modules.name("new")) is None

    modules.run(scenario)


@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("state", lambda store: store.create_version("a", "1.0.0", FILES, state="gone")),
        ("state", lambda store: store.create_version("a", "1.0.0", FILES, state="deprecated")),
        ("state", lambda store: store.create_version("a", "1.0.0", FILES, state=None)),
        ("reason", lambda store: store.deprecate("a", "1.0.0", "")),
        ("reason", lambda store: store.deprecate("a", "1.0.0", " ")),
        ("reason", lambda store: store.deprecate("a", "1.0.0", None)),
        ("reason", lambda store: store.deprecate("a", "1.0.0", "x" * 4_097)),
        ("replaced_by", lambda store: store.deprecate("a", "1.0.0", "old", replaced_by="")),
        ("replaced_by", lambda store: store.deprecate("a", "1.0.0", "old", replaced_by=5)),
        ("expected_version", lambda store: store.update("a", expected_version="1")),
        ("expected_version", lambda store: store.update_version("a", "1.0.0", expected_version=True)),
        ("expected_version", lambda store: store.put_file("a", "1.0.0", "a", b"", expected_version=2**63)),
        ("expected_version", lambda store: store.remove_file("a", "1.0.0", "a", expected_version=1.0)),
        ("paths", lambda store: store.get_files("a", "1.0.0", "a.proto")),
        ("since", lambda store: store.audit(since="yesterday")),
        ("since", lambda store: store.audit(since=datetime(2026, 1, 1))),  # noqa: DTZ001  (a naive one is refused)
        ("limit", lambda store: store.audit(limit=0)),
        ("limit", lambda store: store.list(limit=1_001)),
        ("limit", lambda store: store.list_versions("a", limit=True)),
        ("limit", lambda store: store.warm(limit=-1)),
    ],
)
def test_other_arguments(modules: OpenModules, place: str, call):
    refused(modules, errors.ValidationError, place, call)


@pytest.mark.parametrize("named", [{"actor": ""}, {"actor": 5}, {"actor": "x" * 256}, {"actor": "a", "request_id": ""}])
def test_an_actor_has_a_name(named: dict):
    with pytest.raises(errors.ValidationError) as caught, tierstore.acting_as(**named):
        raise AssertionError
    assert caught.value.place == list(named)[-1]
