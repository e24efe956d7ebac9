"""Work that goes on when the caller that began it is cancelled or late: others wait for it, or it must not end half done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from tierstore._native import LoopReplies


class DetachedTask(Protocol):
    async def wait(self, at: float) -> None:
        """Until it has ended; TimeoutError at the moment `at`. Leaving changes nothing for it, nor does how it ends for the caller."""
        ...

    def stop(self) -> None:
        """Cancel it: nobody wants it any more."""
        ...


class LoopDetachedTask:
    """A task of the loop's own."""

    __slots__ = ("_replies", "_task")

    def __init__(self, replies: LoopReplies, task: asyncio.Task[None], running: set[asyncio.Task[None]]) -> None:
        self._replies = replies
        self._task = task
        running.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(running.discard)

    async def wait(self, at: float) -> None:
        reply = self._replies.reply_until(at)
        self._task.add_done_callback(reply.resolve)
        await reply

    def stop(self) -> None:
        self._task.cancel()


class InlineTask:
    """In the blocking face it is done where it is waited for, within its own deadline."""

    __slots__ = ("_coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine

    async def wait(self, at: float) -> None:
        await self._coroutine

    def stop(self) -> None:
        """It has ended: its caller comes here only after it."""
