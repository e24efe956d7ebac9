"""A lock between processes, on a file of its own. The operating system frees it when its holder dies."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tierstore.runtime import Deadline, Runtime

ASK_AGAIN_S = 0.02

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


@asynccontextmanager
async def file_lock(runtime: Runtime, path: Path, deadline: Deadline) -> AsyncIterator[None]:
    """Hold the lock of `path` (made when missing, left there). TimeoutError if it is not free by the deadline."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    try:
        while not _try_lock(handle):
            deadline.check(f"waiting for {path.name}, which another process holds")
            await runtime.sleep(ASK_AGAIN_S)
        yield
    finally:
        os.close(handle)
