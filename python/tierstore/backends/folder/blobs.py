"""Blobs as files of one folder: written aside, synced, renamed. Several processes may share it.

A file under its digest is complete: rename is atomic, and content and directory are synced before `put` returns. A crash leaves at
most a file in `incoming/`, which a later open removes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Literal

from tierstore._native import digest as hash_of
from tierstore.backends import BlobInfo
from tierstore.backends.digests import ALGORITHM, blob_name, digest_of
from tierstore.backends.held import Held
from tierstore.backends.private import make_folder, open_private
from tierstore.errors import NotFoundError, StorageError, UnsupportedError, raise_alone
from tierstore.runtime import Deadline, Runtime

INCOMING = "incoming"
ABANDONED_S = 3600
"""A file in `incoming/` of this age belongs to no put under way: its writer died."""


class Folder:
    """The `Blobs` of the embedded store. StorageError, with the system's reason, where the disk refuses.

    `create`: opening makes the folder; else the first write does.
    """

    def __init__(self, runtime: Runtime, path: Path, *, create: bool = True) -> None:
        self._runtime = runtime
        self._root = path
        self._create = create
        self._held: Held | None = None

    async def open(self, deadline: Deadline) -> None:
        await self._runtime.call(self._open, deadline=deadline)

    def _open(self) -> None:
        with _translated(f"open {self._root}"):
            if self._create:
                self._make_folders()
                self._remove_abandoned()
            if self._root.is_dir():
                self._hold()

    def _make_folders(self) -> None:
        make_folder(self._root)
        for part in (INCOMING, ALGORITHM):
            make_folder(self._root / part)

    def _hold(self) -> None:
        self._held = Held((self._root,), tier="objects")

    def _check_held(self) -> None:
        """ConnectionError where the folder was removed or replaced since it was opened."""
        if self._held is not None:
            self._held.check()

    def _remove_abandoned(self) -> None:
        oldest = time.time() - ABANDONED_S
        for entry in os.scandir(self._root / INCOMING):
            with contextlib.suppress(FileNotFoundError):
                if entry.stat().st_mtime < oldest:
                    Path(entry).unlink()

    async def put(self, digest: str, content: bytes, *, deadline: Deadline) -> None:
        await self._runtime.call(self._put, digest, content, deadline=deadline)

    def _put(self, digest: str, content: bytes) -> None:
        path = self._path(digest)
        self._check_held()
        with _translated(f"write {path}"):
            if not _holds(path, digest, len(content)):
                self._write(path, content)
            _sync_folder(path.parent)
        self._check_held()

    def _write(self, path: Path, content: bytes) -> None:
        if not path.parent.is_dir():
            if not (self._root / ALGORITHM).exists():
                self._make_folders()
                self._hold()
            make_folder(path.parent)
            _sync_folder(path.parent.parent)
        aside = self._root / INCOMING / secrets.token_hex(16)
        try:
            with open(aside, "xb", opener=open_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

    async def get(self, digest: str, *, deadline: Deadline) -> bytes:
        return await self._runtime.call(self._get, self._path(digest), deadline=deadline)

    def _get(self, path: Path) -> bytes:
        with _translated(f"read {path}"):
            return path.read_bytes()

    async def exists(self, digest: str, *, deadline: Deadline) -> bool:
        return await self._runtime.call(self._exists, self._path(digest), deadline=deadline)

    def _exists(self, path: Path) -> bool:
        with _translated(f"look for {path}"):
            try:
                path.stat()
            except FileNotFoundError:
                return False
            return True

    async def delete(self, digest: str, *, deadline: Deadline) -> None:
        await self._runtime.call(self._delete, self._path(digest), deadline=deadline)

    def _delete(self, path: Path) -> None:
        with _translated(f"delete {path}"), contextlib.suppress(FileNotFoundError):
            path.unlink()
            _sync_folder(path.parent)

    async def list(self, *, deadline: Deadline) -> AsyncIterator[BlobInfo]:
        for shard in await self._runtime.call(self._shards, deadline=deadline):
            for info in await self._runtime.call(self._list, shard, deadline=deadline):
                yield info

    def _shards(self) -> Sequence[Path]:
        with _translated(f"list {self._root}"), contextlib.suppress(FileNotFoundError):
            return sorted((self._root / ALGORITHM).iterdir())
        return ()

    def _list(self, shard: Path) -> Sequence[BlobInfo]:
        found = []
        with _translated(f"list {shard}"):
            for entry in os.scandir(shard):
                digest = digest_of(f"{ALGORITHM}/{shard.name}/{entry.name}")
                with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                    if digest is not None:
                        state = entry.stat()
                        found.append(BlobInfo(digest, state.st_size, state.st_mtime_ns // 1000))
        return sorted(found)

    async def presign(self, digest: str, *, verb: Literal["get", "put"], expires_s: int) -> str:
        raise UnsupportedError(
            f"blobs in a folder have no URL; read the file {self.locate(digest)}, or configure an object store (Config(objects=…))",
            tier="objects",
        )

    def locate(self, digest: str) -> str:
        return str(self._path(digest))

    async def ping(self, deadline: Deadline) -> str:
        return await self._runtime.call(self._ping, deadline=deadline)

    def _ping(self) -> str:
        self._check_held()
        with _translated(f"look at {self._root}"):
            there = next(path for path in (self._root, *self._root.parents) if path.exists())
            return f"folder, {shutil.disk_usage(there).free // 2**20} MiB free"

    async def close(self, deadline: Deadline) -> None:
        return None

    def _path(self, digest: str) -> Path:
        return self._root / blob_name(digest)


def _holds(path: Path, digest: str, size: int) -> bool:
    """Whether the blob is there already, whole: a disk may have lied about its syncs, and bits may have turned since."""
    try:
        return path.stat().st_size == size and hash_of(path.read_bytes()) == digest
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False  # it cannot be read any more, and is replaced


def _sync_folder(path: Path) -> None:
    """Make the names in a folder as durable as the files are."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise_alone(NotFoundError(f"cannot {doing}: the file does not exist", tier="objects"))
    except OSError as error:
        advice = "; free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise_alone(StorageError(f"cannot {doing}: {error.strerror}{advice}", tier="objects"))
