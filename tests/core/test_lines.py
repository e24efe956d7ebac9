"""Exports as files: what is there already, who else writes, what a full disk and a caller that left leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tierstore._native import digest
from tierstore.calls.lines import LinesFile, header, read_batches, to_line
from tierstore.errors import NotFoundError, ValidationError

CONTENT = b"[]"
LINE = to_line({"id": "a"}, CONTENT, digest(CONTENT))


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def resumed(path: Path, store: str = "schemas") -> LinesFile:
    return LinesFile(path, store, resume=True)


def interrupted(path: Path) -> Path:
    """An export of one line that did not end; answers the file that it left."""
    file = resumed(path)
    file.open()
    file.write([LINE])
    file.abandon()
    return path.with_name(f".{path.name}.partial")


def test_an_export_goes_on_after_the_last_whole_line(tmp_path: Path):
    left = interrupted(tmp_path / "all")
    with left.open("ab") as file:
        file.write(LINE[:-3])
    again = resumed(tmp_path / "all")
    last = again.open()
    assert last is not None
    assert (last["id"], again.count) == ("a", 1)
    again.finish()
    assert (names(tmp_path), (tmp_path / "all").read_bytes()) == (["all"], header("schemas") + LINE)


@pytest.mark.parametrize("left", [b"", header("schemas")[:9]], ids=["nothing", "half a header"])
def test_an_export_begins_anew_where_a_crash_left_no_whole_header(tmp_path: Path, left: bytes):
    (tmp_path / ".all.partial").write_bytes(left)
    file = resumed(tmp_path / "all")
    assert file.open() is None
    file.finish()
    assert (tmp_path / "all").read_bytes() == header("schemas")


@pytest.mark.parametrize(
    "left",
    [
        header("events") + LINE,
        header("schemas").replace(b"1}", b"2}") + LINE,
        b"somebody's download",
        header("schemas") + b"nonsense\n",
        header("schemas") + LINE.replace(b"W10=", b"W1s="),
        header("schemas") + b"\0" * 100 + b"\n",
    ],
    ids=["another store", "another format", "no export", "no record", "damaged", "zeros"],
)
def test_what_is_no_export_of_this_store_is_refused_and_left_alone(tmp_path: Path, left: bytes):
    partial = tmp_path / ".all.partial"
    partial.write_bytes(left)
    file = resumed(tmp_path / "all")
    with pytest.raises(ValidationError) as caught:
        file.open()
    file.abandon()
    assert caught.value.place == "path"
    assert str(partial) in str(caught.value)
    assert partial.read_bytes() == left


def test_two_exports_do_not_write_one_file(tmp_path: Path):
    first, second = resumed(tmp_path / "all"), resumed(tmp_path / "all")
    first.open()
    first.write([LINE])
    with pytest.raises(ValidationError) as caught:
        second.open()
    second.abandon()
    assert str(tmp_path / "all") in str(caught.value)
    assert caught.value.place == "path"
    first.finish()
    assert (names(tmp_path), (tmp_path / "all").read_bytes()) == (["all"], header("schemas") + LINE)


def test_a_planted_link_is_not_followed(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    (tmp_path / ".all.partial").symlink_to(victim)
    file = resumed(tmp_path / "all")
    with pytest.raises(ValidationError) as caught:
        file.open()
    file.abandon()
    assert str(tmp_path / "all") in str(caught.value)
    assert victim.read_bytes() == b""


@pytest.mark.parametrize("resume", [False, True])
def test_a_caller_that_left_before_a_thread_came_to_it_leaves_nothing(tmp_path: Path, resume: bool):
    file = LinesFile(tmp_path / "all", "schemas", resume=resume)
    file.abandon()
    assert file.open() is None
    file.write([LINE])
    file.finish()
    assert names(tmp_path) == []


def test_a_caller_that_leaves_in_the_middle_of_a_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = LinesFile(tmp_path / "all", "schemas", resume=False)
    file.open()
    monkeypatch.setattr(os, "fsync", lambda _: file.abandon() or _broken())
    with pytest.raises(ValidationError):
        file.finish()
    assert names(tmp_path) == []


def _broken() -> None:
    raise OSError(5, "Input/output error")


FULL = """
import resource, sys
from pathlib import Path
from tests.core.test_lines import LINE, resumed
from tierstore.errors import ValidationError
path = Path(sys.argv[1])
file = resumed(path)
try:
    file.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    file.write([LINE] * 1000)
    file.finish()
except ValidationError as error:
    assert str(path) in str(error), error
    file.abandon()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    again = resumed(path)
    assert again.open()["id"] == "a"
    assert 0 < again.count <= 1000 // len(LINE), again.count
    again.finish()
"""


def test_an_export_onto_a_full_disk_goes_on_when_there_is_room(tmp_path: Path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path / "all")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole = [item for batch in read_batches(tmp_path / "all", "schemas", 10, 100) for item in batch]
    assert {item["id"] for item in whole} == {"a"}


def test_a_file_that_fails_on_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "all"
    path.write_bytes(header("schemas") + LINE)
    monkeypatch.setattr("tierstore.calls.lines.from_line", lambda *_: _broken())
    with pytest.raises(NotFoundError) as caught:
        list(read_batches(path, "schemas", 10, 100))
    assert (caught.value.key, "Input/output error" in str(caught.value)) == (str(path), True)
