"""Whether a task of asyncio waits for another one.

asyncio has a public list of that from Python 3.14 on only. Whatever waits for a task adds a callback to it, so the way leads from the
callbacks of a task to the future or the task that they wake, and on from there.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from typing import Any

TO_THREAD = asyncio.to_thread.__code__


def waits_for(waiter: asyncio.Task[Any], task: asyncio.Task[Any]) -> bool:
    """Whether `waiter` is `task`, or goes on when it ends: by await, gather, wait, wait_for, shield, or a TaskGroup's end."""
    seen: set[int] = set()
    ahead: list[asyncio.Future[Any]] = [task]
    while ahead:
        one = ahead.pop()
        if one is waiter:
            return True
        if id(one) not in seen:
            seen.add(id(one))
            for callback, _ in getattr(one, "_callbacks", None) or ():
                ahead += _woken_by(callback)
    return False


def waits_for_a_thread(waiter: asyncio.Task[Any], loop: asyncio.AbstractEventLoop) -> bool:
    """Whether it waits for what `asyncio.to_thread` runs. May be asked from such a thread."""
    return any(waits_for(waiter, task) for task in asyncio.all_tasks(loop) if _is_in_thread(task))


def _is_in_thread(task: asyncio.Task[Any]) -> bool:
    inner: Any = task.get_coro()
    while inner is not None:
        if getattr(inner, "cr_code", None) is TO_THREAD:
            return True
        inner = getattr(inner, "cr_await", None)
    return False


def _woken_by(callback: Callable[..., object]) -> Iterator[asyncio.Future[Any]]:
    """The task that the callback continues, or what those of asyncio's own hold: the future that they set."""
    held: list[object] = [getattr(callback, "__self__", None)]
    if isinstance(callback, functools.partial):
        held += callback.args
        callback = callback.func
    if str(getattr(callback, "__module__", "")).startswith("asyncio."):
        held += [cell.cell_contents for cell in getattr(callback, "__closure__", None) or ()]
        held += vars(held[0]).values() if isinstance(held[0], asyncio.TaskGroup) else ()
    return (one for one in held if isinstance(one, asyncio.Future))
