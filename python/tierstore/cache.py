"""The in-process cache alone: `Cache`, and the parts of it that are written in Python.

The class lives in the native module. Here are the loads (one at a time for a key, over threads, tasks and event loops), the
decorator, the mapping views, and the one thread that removes what has expired.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Hashable, ItemsView, Iterator, MutableMapping, ValuesView
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, TypeVar

from tierstore._native import Cache, CacheStats, FillTicket
from tierstore.runtime.awaited import waits_for, waits_for_a_thread
from tierstore.runtime.forks import generation

__all__ = ["Cache", "CacheStats", "FillTicket"]

F = TypeVar("F", bound=Callable[..., Any])
SWEEP_INTERVAL_S = 1.0
LOOK_INTERVAL_S = 0.1
LOOKS = 3
"""So often in a row a load's event loop is found not running before others take the load over: a loop may pause between two runs."""


# ---- one load at a time ---------------------------------------------------------------------------------------------


class _Flight:
    """One load under way: who leads it, who waits, and how it ended."""

    __slots__ = (
        "_done",
        "_ended",
        "_guard",
        "_loops",
        "_task",
        "_trace",
        "error",
        "forks",
        "loop",
        "thread",
        "value",
        "waits",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.loop = loop
        """The event loop that the loader runs on; None for a loader that blocks its thread."""
        self.thread = threading.get_ident()
        """The thread that it blocks, or that of its loop."""
        self._task = None if loop is None else asyncio.current_task()
        self.forks = generation()
        self.waits: list[_Flight] = []
        """The loads that its loader waits for just now."""
        self.value: tuple[Any] | None = None
        self.error: Exception | None = None
        self._trace: TracebackType | None = None
        self._ended = False
        self._done = threading.Event()
        self._guard = threading.Lock()
        self._loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def end(self) -> None:
        """Wake all who wait. Neither value nor error: the leader was cancelled, and one of them takes over."""
        with self._guard:
            self._ended, self._task = True, None
            loops, self._loops = self._loops, []
        self._done.set()
        for loop, future in loops:
            try:
                loop.call_soon_threadsafe(_wake, future)
            except RuntimeError:
                continue  # that loop was closed, and who waited on it is gone

    def is_left(self) -> bool:
        """Whether its event loop was closed or stopped under it."""
        return self.loop is not None and not self.loop.is_running()

    def waits_for_us(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether its loader waits for the code that asks, which runs in `task` or in no task. What a loader started and does not wait
        for has a copy of its context, and is no part of it."""
        own = self._task
        if self._ended:
            return False
        if self.loop is None or own is None:
            return self.thread == threading.get_ident()
        if task is not None and task.get_loop() is self.loop:
            return waits_for(own, task)
        return self.thread != threading.get_ident() and waits_for_a_thread(own, self.loop)

    def wait(self, look: Callable[[], None]) -> bool:
        """Until it ended: True; or was left: False. `look` is called now and then."""
        left = 0
        while not self._done.wait(LOOK_INTERVAL_S):
            look()
            left = left + 1 if self.is_left() else 0
            if left == LOOKS:
                return False
        return True

    async def await_end(self, look: Callable[[], None]) -> bool:
        """As `wait`."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._guard:
            if self._ended:
                return True
            self._loops.append((loop, future))
        left = 0
        while not (await asyncio.wait((future,), timeout=LOOK_INTERVAL_S))[0]:
            look()
            left = left + 1 if self.is_left() else 0
            if left == LOOKS:
                return False
        return True

    def fail(self, error: Exception) -> None:
        self.error, self._trace = error, error.__traceback__

    def outcome(self) -> tuple[Any] | None:
        """The value as a one-tuple, None where the leader was cancelled; or the loader's error, with the trace of the loader."""
        if self.error is not None:
            raise self.error.with_traceback(self._trace)
        return self.value

    def awaits(self, loads: list[_Flight]) -> bool:
        """Whether it is one of these, or its loader waits for one, be it by way of others."""
        seen, ahead = set[int](), [self]
        while ahead:
            flight = ahead.pop()
            if flight in loads:
                return True
            if id(flight) not in seen:
                seen.add(id(flight))
                ahead += flight.waits
        return False


class _Wait:
    """A caller waits for a load, and so do the loads whose loader waits for the caller. RuntimeError if it would be for ever."""

    __slots__ = ("_about", "_flight", "_key", "_within")

    def __init__(self, key: Hashable, flight: _Flight) -> None:
        self._key, self._flight = key, flight
        self._about, self._within = _loads_about(), list[_Flight]()

    def __enter__(self) -> Self:
        try:
            self.look()
        except BaseException:
            self.__exit__()
            raise
        return self

    def look(self) -> None:
        """A loader may begin to wait for what it started later. Of two who close a circle at once, the later to look sees it."""
        if not self._about:
            return
        task = _current_task()
        for load in self._about:
            if load not in self._within and load.waits_for_us(task):
                self._within.append(load)
                load.waits.append(self._flight)
        if self._flight.awaits(self._within):
            raise RuntimeError(
                f"the loader of {self._key!r} waits for itself: it asked for the same key, or for a load that waits for it"
            )

    def __exit__(self, *_: object) -> None:
        for load in self._within:
            load.waits.remove(self._flight)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return None


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Within:
    """That code runs within a load. What the loader starts has a copy of its context, and keeps this when the load has long ended."""

    __slots__ = ("flight", "outer")

    def __init__(self, flight: _Flight, outer: _Within | None) -> None:
        self.flight: _Flight | None = flight
        self.outer = outer
        """The load from within which this one was begun."""

    def end(self) -> None:
        self.flight = self.outer = None


_current: ContextVar[_Within | None] = ContextVar("tierstore_load", default=None)


def _join(
    cache: Cache[Any, Any], key: Hashable, loop: asyncio.AbstractEventLoop | None
) -> tuple[FillTicket, _Flight, bool]:
    """The flight for this key, and whether the caller leads it."""
    ticket, mine = cache.begin(key), _Flight(loop)
    while True:
        flight: _Flight = cache._join(ticket, mine)
        if flight.forks == generation():
            break
        cache._leave(ticket, flight)  # its leader stayed in the process from which this one was forked
    return ticket, flight, flight is mine


def _loads_about() -> list[_Flight]:
    """The loads from within which the caller asks, the innermost first."""
    found, within = [], _current.get()
    while within is not None:
        if within.flight is not None:
            found.append(within.flight)
        within = within.outer
    return found


def _take_over(cache: Cache[Any, Any], ticket: FillTicket, flight: _Flight) -> None:
    """End a load that was left: one of those who wait leads the next."""
    cache._leave(ticket, flight)
    flight.end()


class _Lead:
    """What a leader does before its load, and after it, however that ends."""

    __slots__ = ("_cache", "_flight", "_outer", "_ticket", "_within")

    def __init__(self, cache: Cache[Any, Any], ticket: FillTicket, flight: _Flight) -> None:
        self._cache, self._ticket, self._flight = cache, ticket, flight
        self._outer = _current.get()
        self._within = _Within(flight, self._outer)

    def __enter__(self) -> Self:
        _current.set(self._within)
        return self

    def known(self) -> tuple[Any] | None:
        """What was filled between the miss and the flight, if anything was."""
        self._flight.value = self._cache._peek(self._ticket.key)
        return self._flight.value

    def land(self, result: Any, life: dict[str, Any]) -> Any:
        self._cache.fill(self._ticket, result, **life)
        self._cache._count_load(failed=False)
        self._flight.value = (result,)
        return result

    def __exit__(self, exc_type: object, error: BaseException | None, trace: object) -> None:
        _current.set(self._outer)
        self._within.end()
        try:
            if isinstance(error, Exception) and self._flight.value is None:
                self._cache._count_load(failed=True)
                self._flight.fail(error)
            self._cache._leave(self._ticket, self._flight)
        finally:
            self._flight.end()


def load(cache: Cache[Any, Any], key: Hashable, loader: Callable[..., Any], **life: Any) -> Any:
    """`Cache.get_or_load` after a miss."""
    while True:
        ticket, flight, leads = _join(cache, key, None)
        if leads:
            with _Lead(cache, ticket, flight) as lead:
                if (known := lead.known()) is not None:
                    return known[0]
                return lead.land(_load_now(loader, ticket.key), life)
        with _Wait(key, flight) as waiting:
            if flight.loop is not None and flight.thread == threading.get_ident() and not flight.is_left():
                return _load_now(
                    loader, key
                )  # that load runs on this thread's own loop: waiting would block it for ever
            if not flight.wait(waiting.look):
                _take_over(cache, ticket, flight)
        if (value := flight.outcome()) is not None:
            return value[0]


async def aload(cache: Cache[Any, Any], key: Hashable, loader: Callable[..., Any], **life: Any) -> Any:
    """`Cache.aget_or_load`."""
    if (found := cache.get(key, _MISSING)) is not _MISSING:
        return found
    while True:
        ticket, flight, leads = _join(cache, key, asyncio.get_running_loop())
        if leads:
            with _Lead(cache, ticket, flight) as lead:
                if (known := lead.known()) is not None:
                    return known[0]
                result = _call(loader, ticket.key)
                return lead.land(await result if isinstance(result, Awaitable) else result, life)
        with _Wait(key, flight) as waiting:
            if not await flight.await_end(waiting.look):
                _take_over(cache, ticket, flight)
        if (value := flight.outcome()) is not None:
            return value[0]


def _load_now(loader: Callable[..., Any], key: Hashable) -> Any:
    result = _call(loader, key)
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("the loader is a coroutine function; use aget_or_load")
    return result


_MISSING = object()


def _call(loader: Callable[..., Any], key: Hashable) -> Any:
    """Call the loader: with the key if it requires an argument, else without."""
    return loader(key) if _wants_key(loader) else loader()


def _wants_key(loader: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(loader).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(each.kind in positional and each.default is inspect.Parameter.empty for each in parameters)


# ---- the decorator --------------------------------------------------------------------------------------------------

_KEYWORDS = object()


def memoize(cache: Cache[Any, Any], *, key: Callable[..., Hashable] | None = None, **life: Any) -> Callable[[F], F]:
    """`Cache.memoize`: serve a function's calls from the cache.

    `key(*args, **kwargs)` makes the key; without it the function and its arguments do, so several functions may share a cache.
    The decorated function has `.invalidate(*args, **kwargs)`, `.cache` and `.__wrapped__`. TypeError for a generator function.
    """

    def decorate(function: F) -> F:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("memoize does not support generator functions; return a list instead")

        def key_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
            if key is not None:
                return key(*args, **kwargs)
            if kwargs:
                return (function, args, _KEYWORDS, *sorted(kwargs.items()))
            return (function, args)

        if _is_asynchronous(function):

            @functools.wraps(function)
            async def answer(*args: Any, **kwargs: Any) -> Any:
                return await aload(cache, key_of(args, kwargs), lambda: function(*args, **kwargs), **life)

        else:

            @functools.wraps(function)
            def answer(*args: Any, **kwargs: Any) -> Any:
                return cache.get_or_load(key_of(args, kwargs), lambda: function(*args, **kwargs), **life)

        def invalidate(*args: Any, **kwargs: Any) -> bool:
            return cache.invalidate(key_of(args, kwargs))

        answer.cache = cache  # type: ignore[attr-defined]
        answer.invalidate = invalidate  # type: ignore[attr-defined]
        return answer  # type: ignore[return-value]

    return decorate


def _is_asynchronous(function: Callable[..., Any]) -> bool:
    """A coroutine function, a partial of one, or an object that is called as one."""
    return any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))


# ---- a MutableMapping -----------------------------------------------------------------------------------------------


class _Values(ValuesView[Any]):
    """The values, without counting look-ups."""

    def __iter__(self) -> Iterator[Any]:
        return self._mapping._values()  # type: ignore[attr-defined, no-any-return]


class _Items(ItemsView[Any, Any]):
    """The pairs, without counting look-ups."""

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._mapping._pairs()  # type: ignore[attr-defined, no-any-return]


def values(cache: Cache[Any, Any]) -> ValuesView[Any]:
    """The values, as a view; reading it counts no look-ups."""
    return _Values(cache)


def items(cache: Cache[Any, Any]) -> ItemsView[Any, Any]:
    """The pairs of key and value, as a view; reading it counts no look-ups."""
    return _Items(cache)


for _name in ("__eq__", "__hash__", "keys", "popitem", "setdefault", "update"):
    setattr(Cache, _name, getattr(MutableMapping, _name))
for _name, _function in (("values", values), ("items", items)):
    setattr(Cache, _name, _function)
MutableMapping.register(Cache)


# ---- the sweeper ----------------------------------------------------------------------------------------------------


class _Sweeper:
    """One daemon thread a process, started by the first entry that expires; it ends when no such cache is left."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._caches: list[weakref.ref[Cache[Any, Any]]] = []
        self._thread: threading.Thread | None = None

    def watch(self, cache: Cache[Any, Any]) -> None:
        reference = weakref.ref(cache)
        with self._guard:
            self._caches.append(reference)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tierstore cache sweeper", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(SWEEP_INTERVAL_S):
            with self._guard:
                caches = self._caches[:]
            if not self._drop([reference for reference in caches if not _sweep(reference)]):
                return

    def _drop(self, gone: list[weakref.ref[Cache[Any, Any]]]) -> bool:
        """Forget caches that were collected; False if none is left."""
        with self._guard:
            lost = {id(reference) for reference in gone}
            self._caches = [reference for reference in self._caches if id(reference) not in lost]
            if not self._caches:
                self._thread = None
            return bool(self._caches)

    def after_fork(self) -> None:
        """The thread stayed in the parent: each cache asks for it anew."""
        caches = self._caches
        self.__init__()  # type: ignore[misc]
        for reference in caches:
            if (cache := reference()) is not None:
                cache._unwatch()


def _sweep(reference: weakref.ref[Cache[Any, Any]]) -> bool:
    cache = reference()
    if cache is None:
        return False
    cache.sweep()
    return True


_sweeper = _Sweeper()
watch = _sweeper.watch


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sweeper.after_fork)
