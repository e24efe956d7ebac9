"""What only blobs in a folder promise."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Face
from tierstore.backends.folder.blobs import ABANDONED_S, Folder
from tierstore.errors import StorageError, UnsupportedError
from tierstore.runtime import Runtime

DIGEST = hashlib.sha256(b"content").hexdigest()


@pytest.fixture
def runtime(face: Face) -> Iterator[Runtime]:
    made = face.runtime()
    yield made
    face.run(made.close)


@pytest.fixture
def folder(face: Face, runtime: Runtime, tmp_path: Path) -> Folder:
    made = Folder(runtime, tmp_path / "blobs")
    face.run(made.open, runtime.deadline(5))
    return made


@pytest.fixture
def put(face: Face, folder: Folder, runtime: Runtime):
    return lambda content: face.run(
        lambda: folder.put(hashlib.sha256(content).hexdigest(), content, deadline=runtime.deadline(5))
    )


def test_presign_names_the_file_instead(face: Face, folder: Folder, put):
    put(b"content")
    with pytest.raises(UnsupportedError) as refused:
        face.run(lambda: folder.presign(DIGEST, verb="get", expires_s=60))
    assert folder.locate(DIGEST) in str(refused.value)
    assert Path(folder.locate(DIGEST)).read_bytes() == b"content"


def test_a_blob_that_the_disk_cut_short_is_written_again(folder: Folder, put):
    put(b"content")
    Path(folder.locate(DIGEST)).write_bytes(b"cont")
    put(b"content")
    assert Path(folder.locate(DIGEST)).read_bytes() == b"content"


def test_content_and_folders_are_synced_before_put_returns(folder: Folder, put, monkeypatch: pytest.MonkeyPatch):
    synced: list[str] = []
    real = os.fsync

    def record(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        real(handle)

    monkeypatch.setattr(os, "fsync", record)
    put(b"content")
    assert len(synced[1]) == 32
    assert [synced[0], synced[2]] == ["sha256", DIGEST[:2]]


def test_opening_removes_what_a_dead_writer_left_and_spares_a_living_one(
    face: Face, folder: Folder, runtime: Runtime, tmp_path: Path
):
    dead, living = (tmp_path / "blobs" / "incoming" / name for name in ("dead", "living"))
    for path in (dead, living):
        path.write_bytes(b"half")
    os.utime(dead, (time.time() - ABANDONED_S - 60,) * 2)
    face.run(folder.open, runtime.deadline(5))
    assert (dead.exists(), living.exists()) == (False, True)


def test_a_disk_that_refuses_is_a_storage_error_with_its_reason(folder: Folder, put, tmp_path: Path):
    incoming = tmp_path / "blobs" / "incoming"
    incoming.rmdir()
    incoming.write_bytes(b"a file where a folder should be")
    with pytest.raises(StorageError, match="Not a directory"):
        put(b"content")


def test_strangers_in_the_folder_are_not_listed(face: Face, folder: Folder, runtime: Runtime, put, tmp_path: Path):
    put(b"content")
    (tmp_path / "blobs" / "sha256" / DIGEST[:2] / "notes.txt").write_text("mine")

    async def names() -> list[str]:
        return [info.digest async for info in folder.list(deadline=runtime.deadline(5))]

    assert face.run(names) == [DIGEST]


WRITER = """
import hashlib, os, sys
from pathlib import Path
from tierstore.backends.folder.blobs import Folder
from tierstore.runtime import ThreadsRuntime, drive
runtime = ThreadsRuntime()
folder = Folder(runtime, Path(sys.argv[1]))
drive(folder.open(runtime.deadline(5)))
for number in range(1_000_000):
    content = str(number).encode() * 2000
    digest = hashlib.sha256(content).hexdigest()
    drive(folder.put(digest, content, deadline=runtime.deadline(5)))
    print(digest, flush=True)
"""


@pytest.mark.requirement("S5-04")
def test_nothing_acknowledged_is_lost_or_torn_when_the_writer_is_killed(tmp_path: Path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(50)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [line for line in writer.communicate(timeout=10)[0].splitlines(keepends=False) if len(line) == 64]
    files = {path.name: path for path in (tmp_path / "sha256").rglob("*") if path.is_file()}
    assert set(acknowledged) <= set(files)
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == name for name, path in files.items())


def test_two_processes_may_put_the_same_content(tmp_path: Path):
    code = WRITER.replace("1_000_000", "30")
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.DEVNULL) for _ in range(3)
    ]
    assert [writer.wait(30) for writer in writers] == [0, 0, 0]
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_folder_that_opening_does_not_make_is_made_by_the_first_write(face: Face, runtime: Runtime, tmp_path: Path):
    folder = Folder(runtime, tmp_path / "store" / "objects", create=False)
    deadline = runtime.deadline(5)

    async def story() -> None:
        await folder.open(deadline)
        assert "MiB free" in await folder.ping(deadline)
        assert not await folder.exists(DIGEST, deadline=deadline)
        assert [info async for info in folder.list(deadline=deadline)] == []
        assert not (tmp_path / "store").exists()
        await folder.put(DIGEST, b"content", deadline=deadline)
        assert await folder.get(DIGEST, deadline=deadline) == b"content"

    face.run(story)
