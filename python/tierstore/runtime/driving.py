"""The blocking face: a coroutine is finished by one `send`, and an interrupt leaves nothing taken."""

from __future__ import annotations

import traceback
import weakref
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Restarted(Protocol):
    def restart(self) -> None:
        """Forget who is at work: one of them was interrupted anywhere, and will not say that it has left."""
        ...


_restarted: weakref.WeakSet[Restarted] = weakref.WeakSet()


def restart_when_interrupted(what: Restarted) -> None:
    """In the blocking face Ctrl-C may end a caller between any two steps, also where it has taken something and not written it down."""
    _restarted.add(what)


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Finish a coroutine that never suspends.

    One that does suspend is a defect of a driver: RuntimeError names the awaitable.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except (KeyboardInterrupt, SystemExit) as error:
        _clean_up(error)
        raise
    coroutine.close()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    raise RuntimeError(f"{name} suspended on {awaited!r}: a blocking driver must not await")


def _clean_up(interrupt: BaseException) -> None:
    """After Ctrl-C, or what else a signal's handler raised: drop what the caller held, though somebody may keep the exception, and free
    what it may have taken."""
    error: BaseException | None = interrupt
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
    for what in list(_restarted):
        what.restart()
