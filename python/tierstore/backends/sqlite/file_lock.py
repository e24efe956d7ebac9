"""A lock between processes, on a file of its own. The operating system frees it when its holder dies."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tierstore.backends.private import FILE_MODE
from tierstore.runtime import Deadline, Runtime
from tierstore.runtime.file_locks import try_lock

log = logging.getLogger("tierstore")
ASK_AGAIN_S = 0.02


async def _held() -> None:
    return


@asynccontextmanager
async def file_lock(runtime: Runtime, path: Path, deadline: Deadline) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Hold the lock of `path` (made when missing, left there). TimeoutError if it is not free by the deadline.

    Gives `Records.exclusive`'s question whether it is still held: a live process does not lose it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), FILE_MODE)
    try:
        waiting = f"waiting for {path}, which another process holds"
        said = False
        while not try_lock(handle):
            if not said:
                log.warning("%s", waiting)
            said = True
            deadline.check(waiting)
            await runtime.sleep(ASK_AGAIN_S)
        yield _held
    finally:
        os.close(handle)
