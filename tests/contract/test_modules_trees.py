"""Folders that become versions, and versions that become files."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.contract.module_stores import FILES, OpenModules, everything, raised
from tierstore import errors
from tierstore.stores.modules import folders, reading, zipped

HEAD = b'syntax = "proto3";\n'
TREE = {"acme/order.proto": HEAD + b'import "acme/money.proto";\n', "acme/money.proto": HEAD, "top.proto": b""}
EXPORTED = "8c2ca189744a2d216fce5924773829eb153d3692cc7840fb7912e0b393b82fb6"
"""Of the zip file of a version with FILES."""


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """The folder, with those files."""
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def forbid_writes(modules: OpenModules, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no content is uploaded, and no transaction begun."""

    def refuse(*args: Any, **named: Any) -> Any:
        raise AssertionError("something was written")

    monkeypatch.setattr(modules.store.modules._parts.blobs, "stage_many", refuse)
    monkeypatch.setattr(modules.store.modules._scope, "write", refuse)


# One folder


def test_a_folder_becomes_a_version_of_a_module_that_was_not_there(modules: OpenModules, tmp_path: Path):
    folder, steps = write(tmp_path, TREE | {"README.md": b"no", "acme/bad.proto": HEAD + b"import 5;\n"}), []

    async def scenario(store):
        name = modules.name()
        report = await store.import_tree(
            folder, name=name, version="1.0.0+b", on_progress=lambda *step: steps.append(step)
        )
        return report, await store.get_version(name, "1.0.0", read="latest"), await store.get_files(name, "1.0.0")

    report, version, files = modules.run(scenario)
    assert files == TREE | {"acme/bad.proto": HEAD + b"import 5;\n"}
    assert (report.module, report.version, report.outcome, report.state) == (
        modules.name(),
        "1.0.0",
        "created",
        "published",
    )
    assert (report.digest, report.file_count, report.content_size) == (version.digest, 4, version.content_size)
    assert report.skipped == ()
    assert [(each.path, each.line, each.column) for each in report.unparsed] == [("acme/bad.proto", 2, 8)]
    assert "line" not in report.unparsed[0].message
    assert steps[-1] == (4, 4)


def test_the_same_folder_again_uploads_and_writes_nothing(
    modules: OpenModules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(tmp_path, TREE)

    async def scenario(store):
        name = modules.name()
        await store.create(name, description="mine")
        first = await store.import_tree(str(tmp_path), name=name, version="1.0.0", state="draft")
        before = await everything(store, name)
        with monkeypatch.context() as patched:
            forbid_writes(modules, patched)
            again = await store.import_tree(tmp_path, name=name, version="1.0.0")
            (tmp_path / "top.proto").write_bytes(b"// other\n")
            other = await raised(store.import_tree(tmp_path, name=name, version="1.0.0"))
        return first, again, other, before == await everything(store, name)

    first, again, other, same = modules.run(scenario)
    assert (first.outcome, again.outcome, again.state) == ("created", "unchanged", "draft")
    assert first.digest == again.digest
    assert isinstance(other, errors.ConflictError)
    assert "other files" in str(other)
    assert same


def test_links_are_followed_within_the_folder_only(modules: OpenModules, tmp_path: Path):
    outside = write(tmp_path / "outside", {"secret.proto": b"// secret\n"})
    folder = write(tmp_path / "tree", TREE | {"acme/text": b"// linked\n"})
    for link, target in {
        "within.proto": "acme/money.proto",
        "named.proto": "acme/text",
        "out.proto": outside / "secret.proto",
        "up.proto": "../outside/secret.proto",
        "out": outside,
        "self": ".",
        "nowhere.proto": "absent",
        "circle.proto": "circle.proto",
        "ignored": "absent",
    }.items():
        (folder / link).symlink_to(target)
    os.mkfifo(folder / "pipe.proto")

    async def scenario(store):
        report = await store.import_tree(folder, name=modules.name(), version="1.0.0")
        return report, await store.get_files(modules.name(), "1.0.0")

    report, files = modules.run(scenario)
    assert files == TREE | {"within.proto": HEAD, "named.proto": b"// linked\n"}
    assert {each.path: each.reason for each in report.skipped} == {
        "out.proto": folders.LEADS_OUT,
        "up.proto": folders.LEADS_OUT,
        "out": folders.LEADS_OUT,
        "self": "a symbolic link to a folder",
        "nowhere.proto": "a symbolic link to no regular file",
        "circle.proto": "a symbolic link to no regular file",
        "pipe.proto": "not a regular file",
    }


WRONG_NAMES = [b"a\nb.proto", b"a\\b.proto", b"a\xff.proto", b"\xff\xfe/c.proto", "a\u2028.proto".encode()]


@pytest.mark.parametrize("name", WRONG_NAMES, ids=ascii)
def test_a_name_that_no_import_can_write_leaves_no_version(modules: OpenModules, tmp_path: Path, name: bytes):
    write(tmp_path, TREE)
    write(tmp_path, {os.fsdecode(name): b""})
    error = modules.run(lambda store: raised(store.import_tree(tmp_path, name=modules.name(), version="1.0.0")))
    assert isinstance(error, errors.ValidationError)
    assert error.operation == "import_tree"
    assert error.place.isprintable()
    assert error.place.endswith(".proto")
    str(error).encode()
    assert modules.run(lambda store: store.get(modules.name(), read="latest")) is None


def test_a_folder_that_is_too_large_or_not_there(modules: OpenModules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "tree", TREE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")

    def refused(folder: Any) -> errors.StorageError | None:
        return modules.run(lambda store: raised(store.import_tree(folder, name=modules.name(), version="1.0.0")))

    for folder in (tmp_path / "absent", tmp_path / "empty", tmp_path / "file", "", "a\0b", 5, b"x"):
        error = refused(folder)
        assert isinstance(error, errors.ValidationError), folder
        assert error.place == "folder"
    for limit, value, place in (
        ("MAX_FILES", 2, "folder"),
        ("MAX_FILES_BYTES", 50, "folder"),
        ("MAX_FILE_BYTES", 40, "acme/order.proto"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(folders, limit, value)
            error = refused(tmp_path / "tree")
            assert isinstance(error, errors.ValidationError), limit
            assert error.place == place
    with (tmp_path / "tree" / "huge.proto").open("wb") as huge:
        huge.truncate(65 * 1024 * 1024)
    error = refused(tmp_path / "tree")
    assert isinstance(error, errors.ValidationError)
    assert error.place == "huge.proto"
    assert modules.run(lambda store: store.get(modules.name(), read="latest")) is None


def vanish(place: Path, outside: Path) -> None:
    place.unlink()


def become_link(place: Path, outside: Path) -> None:
    place.unlink()
    place.symlink_to(outside)


def become_pipe(place: Path, outside: Path) -> None:
    place.unlink()
    os.mkfifo(place)


def become_folder(place: Path, outside: Path) -> None:
    place.unlink()
    place.mkdir()


@pytest.mark.parametrize("happens", [vanish, become_link, become_pipe, become_folder])
def test_a_file_that_vanishes_or_becomes_something_else_leaves_no_version(
    modules: OpenModules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happens
):
    """Between the look at the folder and the reading of its files."""
    (tmp_path / "outside").write_bytes(b"// secret\n")
    tree, read = write(tmp_path / "tree", TREE), folders.read

    def read_late(found):
        if (tree / "top.proto").is_file() and not (tree / "top.proto").is_symlink():
            happens(tree / "top.proto", tmp_path / "outside")
        return read(found)

    monkeypatch.setattr(folders, "read", read_late)
    error = modules.run(lambda store: raised(store.import_tree(tree, name=modules.name(), version="1.0.0")))
    assert isinstance(error, errors.ValidationError)
    assert error.place == "top.proto"
    assert modules.run(lambda store: store.get(modules.name(), read="latest")) is None


def test_a_folder_that_imports_what_nobody_has(modules: OpenModules, tmp_path: Path):
    forest_folder = write(tmp_path, {"m/a.proto": HEAD + f'import "{modules.prefix}/none.proto";\n'.encode()})
    folder = forest_folder / "m"

    async def scenario(store):
        name = modules.name()
        refused = await raised(store.import_tree(folder, name=name, version="1.0.0", allow_unresolved=False))
        assert await store.get(name, read="latest") is None
        forest = await store.import_forest(forest_folder, version="1.0.0", prefix=f"{name}/", allow_unresolved=False)
        draft = await store.import_tree(folder, name=name, version="1.0.0", state="draft", allow_unresolved=False)
        allowed = await store.import_tree(folder, name=name, version="1.1.0")
        return refused, forest, draft, allowed

    refused, forest, draft, allowed = modules.run(scenario)
    assert isinstance(refused, errors.ConflictError)
    assert "a.proto" in str(refused)
    assert [each.module for each in forest.refused] == [f"{modules.name()}/m"]
    assert "none.proto" in forest.refused[0].reason
    assert (draft.outcome, allowed.outcome, allowed.state) == ("created", "created", "published")


# Many folders


def test_each_folder_becomes_a_module(modules: OpenModules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = {"common/money.proto": HEAD, "orders/v1/order.proto": HEAD, "orders/v1/line.proto": b"", "stray.proto": b""}
    forest, steps = write(tmp_path / "forest", files | {"docs/README.md": b"", "bad name/a.proto": b""}), []
    write(forest, {"broken/ok.proto": b"", "broken/a\\b.proto": b""})
    (forest / "linked").symlink_to(forest / "common")
    (forest / "orders" / "shared.proto").symlink_to(forest / "common" / "money.proto")
    prefix = f"{modules.prefix}/"

    async def scenario(store):
        note = lambda *step: steps.append(step)  # noqa: E731
        first = await store.import_forest(forest, version="1.0.0", prefix=prefix, on_progress=note)
        with monkeypatch.context() as patched:
            forbid_writes(modules, patched)
            again = await store.import_forest(forest, version="1.0.0", prefix=prefix)
        rooted = await store.import_forest(forest, version="1.1.0", prefix=prefix, relative_to="root")
        names = [module.name for module in (await store.list(prefix=prefix)).items]
        return first, again, rooted, names, await store.get_files(f"{prefix}orders", "1.1.0")

    first, again, rooted, names, files = modules.run(scenario)
    assert names == [f"{prefix}common", f"{prefix}orders"]
    assert [(each.module, each.outcome, each.file_count) for each in first.modules] == [
        (f"{prefix}common", "created", 1),
        (f"{prefix}orders", "created", 3),
    ]
    assert [each.module for each in first.refused] == [f"{prefix}bad name", f"{prefix}broken"]
    assert "backslash" in first.refused[1].reason
    assert {each.path for each in first.skipped} == {"linked", "stray.proto"}
    assert steps[-1] == (4, 4)
    assert {each.outcome for each in again.modules} == {"unchanged"}
    assert {each.outcome for each in rooted.modules} == {"created"}
    assert files == {
        "orders/v1/order.proto": HEAD,
        "orders/v1/line.proto": b"",
        "orders/shared.proto": HEAD,
    }


def test_a_forest_that_was_interrupted_goes_on(modules: OpenModules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One module conflicts, and the last one is interrupted; run again, only what is missing is written."""
    forest = write(tmp_path, {f"{name}/a.proto": f"// {name}".encode() for name in "abcd"})
    prefix, read = f"{modules.prefix}/", folders.read

    def interrupted(found):
        if any("/d/" in each.place for each in found):
            raise KeyboardInterrupt
        return read(found)

    async def scenario(store):
        await store.create(f"{prefix}b")
        await store.create_version(f"{prefix}b", "1.0.0", FILES)
        with monkeypatch.context() as patched:
            patched.setattr(folders, "read", interrupted)
            with pytest.raises(KeyboardInterrupt):
                await store.import_forest(forest, version="1.0.0", prefix=prefix)
        assert await store.get(f"{prefix}d", read="latest") is None
        return await store.import_forest(forest, version="1.0.0", prefix=prefix)

    report = modules.run(scenario)
    outcomes = {each.module.removeprefix(prefix): each.outcome for each in report.modules}
    assert outcomes == {"a": "unchanged", "c": "unchanged", "d": "created"}
    assert [each.module for each in report.refused] == [f"{prefix}b"]
    assert "other files" in report.refused[0].reason


def test_wrong_arguments_of_imports(modules: OpenModules, tmp_path: Path):
    write(tmp_path, TREE)

    async def scenario(store):
        wrong = [
            (store.import_tree(tmp_path, name="a..b", version="1.0.0"), "name"),
            (store.import_tree(tmp_path, name="a", version="one"), "column 1"),
            (store.import_tree(tmp_path, name="a", version="1.0.0", state="archived"), "state"),
            (store.import_forest(tmp_path, version="1.0.0", relative_to="here"), "relative_to"),
            (store.import_forest(tmp_path, version="1.0.0", prefix="é"), "prefix"),
            (store.import_forest(tmp_path / "absent", version="1.0.0"), "folder"),
        ]
        return [(await raised(call), place) for call, place in wrong]

    for error, place in modules.run(scenario):
        assert isinstance(error, errors.ValidationError)
        assert error.place == place


# Export


def test_an_export_has_every_file_and_the_same_bytes_each_time(
    modules: OpenModules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = TREE | {"b/ü.proto": b"x" * 70_000, "a.proto": b""}

    async def scenario(store):
        for name, given in (("one", files), ("two", dict(reversed(files.items())))):
            await store.create(modules.name(name))
            await store.create_version(modules.name(name), "1.0.0", given)
        counts = [await store.export(modules.name("one"), "1.0.0", tmp_path / "one.zip")]
        monkeypatch.setattr(reading, "BATCH_FILES", 2)
        return [*counts, await store.export(modules.name("two"), "1.0.0+x", str(tmp_path / "two.zip"))]

    assert modules.run(scenario) == [5, 5]
    one = (tmp_path / "one.zip").read_bytes()
    assert one == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(one)) as found:
        assert found.testzip() is None
        assert found.namelist() == sorted(files)
        assert {name: found.read(name) for name in found.namelist()} == files
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.zip", "two.zip"]
    assert (tmp_path / "one.zip").stat().st_mode & 0o777 == 0o600


def test_the_bytes_of_an_export_stay_from_release_to_release(modules: OpenModules, tmp_path: Path):
    async def scenario(store):
        name = await modules.made("1.0.0")
        await store.export(name, "1.0.0", tmp_path / "x.zip")

    modules.run(scenario)
    assert hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest() == EXPORTED


def test_an_export_that_fails_leaves_nothing(modules: OpenModules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "kept.zip").write_bytes(b"before")

    async def scenario(store):
        name = await modules.made("1.0.0")
        found = [
            await raised(store.export(name, "2.0.0", tmp_path / "kept.zip")),
            await raised(store.export(name, "1.0.0", tmp_path / "folder")),
            await raised(store.export(name, "1.0.0", tmp_path / "absent" / "x.zip")),
            await raised(store.export(name, "1.0.0", "")),
        ]

        def full(self, entries):
            with self._step():
                self._file.write(b"half")
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(zipped.ZipAside, "write", full)
        return [*found, await raised(store.export(name, "1.0.0", tmp_path / "kept.zip"))]

    missing, *wrong = modules.run(scenario)
    assert isinstance(missing, errors.NotFoundError)
    for error in wrong:
        assert isinstance(error, errors.ValidationError)
        assert (error.place, error.operation) == ("path", "export")
    assert "No space left" in str(wrong[-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "kept.zip"]
    assert (tmp_path / "kept.zip").read_bytes() == b"before"


def test_what_was_exported_imports_as_the_same_version(modules: OpenModules, tmp_path: Path):
    async def scenario(store):
        name = await modules.made("1.0.0")
        await store.export(name, "1.0.0", tmp_path / "x.zip")
        with zipfile.ZipFile(tmp_path / "x.zip") as found:
            found.extractall(tmp_path / "tree")
        return await store.import_tree(tmp_path / "tree", name=name, version="1.0.0")

    assert modules.run(scenario).outcome == "unchanged"
