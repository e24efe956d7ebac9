"""The same calls without `await`, for threads and scripts.

    with tierstore.blocking.open("data/") as store:
        store.schemas.register("orders", "1.0.0", b'{"type": "object"}')

Threads may share a store. In a forked child (gunicorn's preload) the first call opens connections of its own, and leaves alone what the
parent holds open.
"""

# Each public class of the async face has a twin here; blocking.pyi is generated from the async classes and checked by a test. A twin's
# method makes one coroutine and finishes it with one `send` (`runtime.drive`), over drivers that block. Where the async class offers
# `hit_<method>`, the twin asks it first, so that an L1 hit makes no coroutine at all.

from __future__ import annotations

import functools
import inspect
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType
from typing import Any, Self

from tierstore import store as _async
from tierstore.calls import blobs as _blobs
from tierstore.calls.scope import OpenTransaction
from tierstore.calls.store import BaseStore
from tierstore.config import Config
from tierstore.runtime import ThreadsRuntime, drive
from tierstore.stores import on_both_faces, roster
from tierstore.telemetry import OFF, Telemetry


class Twin:
    """Stands before one object of the async face."""

    _inner: Any

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _blocking(getattr(self._inner, name))

    def __repr__(self) -> str:
        return f"<blocking {self._inner!r}>"


def in_blocking_words(text: str) -> str:
    """A docstring of the async face as this face has it: its examples without `async` and `await`."""
    return text.replace("async with ", "with ").replace("await ", "")


def _twin(cls: type, name: str, base: type[Twin] = Twin) -> type[Twin]:
    """The twin class of `cls`: every public method of it, driven. Attributes are passed on."""
    members: dict[str, Any] = {"__doc__": in_blocking_words(cls.__doc__ or ""), "__module__": __name__}
    for attribute, member in inspect.getmembers(cls):
        if attribute.startswith(("_", "hit_")):
            continue
        if inspect.isfunction(member):
            members[attribute] = method = _method(attribute, member, getattr(cls, f"hit_{attribute}", None))
            method.__doc__ = in_blocking_words(member.__doc__ or "")
        elif isinstance(member, property):
            members[attribute] = _passed_on(attribute, member)
    return type(name, (base,), members)


def _passed_on(name: str, getter: property) -> property:
    return property(lambda self: _blocking(getattr(self._inner, name)), doc=in_blocking_words(getter.__doc__ or ""))


def _method(name: str, function: Callable[..., Any], hit: Callable[..., Any] | None) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        def passed_on(self: Twin, *args: Any, **kwargs: Any) -> Any:
            return _blocking(getattr(self._inner, name)(*args, **kwargs))

        return passed_on

    if hit is not None:
        return _hit_or_driven(name, function, hit)

    @functools.wraps(function)
    def driven(self: Twin, *args: Any, **kwargs: Any) -> Any:
        return drive(getattr(self._inner, name)(*args, **kwargs))

    return driven


_NOT_GIVEN: Any = object()


def _hit_or_driven(name: str, function: Callable[..., Any], hit: Callable[..., Any]) -> Callable[..., Any]:
    """Ask `hit`, which takes one key or two, before a coroutine is made.

    Keys have names of their own, since gathering them in a tuple would cost as much as the hit itself.
    """
    if len(inspect.signature(hit).parameters) == 2:

        @functools.wraps(function)
        def by_one(self: Twin, key: Any = _NOT_GIVEN, /, *more: Any, **named: Any) -> Any:
            if not more and not named and (record := hit(self._inner, key)) is not None:
                return record
            given = () if key is _NOT_GIVEN else (key, *more)
            return drive(getattr(self._inner, name)(*given, **named))

        return by_one

    @functools.wraps(function)
    def by_two(self: Twin, first: Any = _NOT_GIVEN, second: Any = _NOT_GIVEN, /, *more: Any, **named: Any) -> Any:
        if not more and not named and (record := hit(self._inner, first, second)) is not None:
            return record
        given = [value for value in (first, second, *more) if value is not _NOT_GIVEN]
        return drive(getattr(self._inner, name)(*given, **named))

    return by_two


class _Context:
    """An asynchronous context manager, entered with `with`."""

    def __init__(self, inner: AbstractAsyncContextManager[Any]) -> None:
        self._inner = inner

    def __enter__(self) -> Any:
        return drive(_enter(self._inner))

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return drive(_exit(self._inner, exc_type, error, trace))


async def _enter(context: AbstractAsyncContextManager[Any]) -> Any:
    entered = await context.__aenter__()
    try:
        return _blocking(entered)
    except BaseException as error:  # interrupted between here and the block, which will not be entered
        await context.__aexit__(type(error), error, error.__traceback__)
        raise


async def _exit(context: AbstractAsyncContextManager[Any], *exc: Any) -> bool | None:
    return await context.__aexit__(*exc)


async def _next(iterator: AsyncIterator[Any]) -> Any:
    return await anext(iterator)


def _iterate(iterator: AsyncIterator[Any]) -> Iterator[Any]:
    while True:
        try:
            yield drive(_next(iterator))
        except StopAsyncIteration:
            return


def _blocking(value: Any) -> Any:
    """The blocking form of what an async method answered."""
    if isinstance(value, (BaseStore, _blobs.BlobStore, OpenTransaction, _async.Store)):
        return _TWINS[type(value)](value)
    if hasattr(value, "__aenter__"):
        return _Context(value)
    if hasattr(value, "__anext__"):
        return _iterate(value)
    return value


Transaction = _twin(_async.Transaction, "Transaction")

_LEFT_ALONE: list[_async.Store] = []
"""What a parent process had open: SQLite and sockets must not even be closed in the child."""

_PARTS = (*roster(), "blobs")
"""The attributes of a store that have calls of their own."""

_OPEN: weakref.WeakSet[Store] = weakref.WeakSet()


class Store(_twin(_async.Store, "Store")):  # type: ignore[misc]  # the base is made above, from the async class
    """An open store of the blocking face. Threads may share it; `close` it, or use it as a context manager."""

    def __init__(self, inner: _async.Store) -> None:
        super().__init__(inner)
        self._reopening = threading.Lock()
        for name in _PARTS:
            setattr(self, name, _blocking(getattr(inner, name)))
        _OPEN.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def session(self) -> Iterator[Self]:
        """A scope of read-your-writes: reads in it see at least what was written in it. Without one, each thread is its own."""
        with super().session():
            yield self

    def close(self) -> None:
        with self._reopening:
            if isinstance(self._inner, _Reopened):  # nothing was opened in this process
                self._stand_before(self._inner.inherited)
                _OPEN.discard(self)
        if self in _OPEN:
            super().close()
            _OPEN.discard(self)

    close.__doc__ = in_blocking_words(_async.Store.close.__doc__ or "")

    def _forked(self) -> None:
        """In the child: whatever is called next opens the store anew."""
        self._reopening = threading.Lock()
        if isinstance(self._inner, _Reopened):  # a child's child
            return
        _LEFT_ALONE.append(self._inner)
        self._inner = _Reopened(self, self._inner)
        for name in _PARTS:
            getattr(self, name)._inner = _ReopenedPart(self, name)

    def _reopen(self, inherited: _async.Store) -> _async.Store:
        with self._reopening:
            if isinstance(self._inner, _Reopened):
                config, telemetry = inherited.settings
                self._stand_before(drive(_async.Store.opened(config, ThreadsRuntime(), telemetry)))
            inner: _async.Store = self._inner
            return inner

    def _stand_before(self, inner: _async.Store) -> None:
        self._inner = inner
        for name in _PARTS:
            getattr(self, name)._inner = getattr(inner, name)


class _Reopened:
    """The inner store of a forked child until it is used. `inherited`: the parent's."""

    def __init__(self, owner: Store, inherited: _async.Store) -> None:
        self.owner, self.inherited = owner, inherited

    def __repr__(self) -> str:
        return repr(self.inherited)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.owner._reopen(self.inherited), name)


class _ReopenedPart:
    """One of its stores until it is used."""

    def __init__(self, owner: Store, part: str) -> None:
        self._owner, self._part = owner, part

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._owner._inner, self._part), name)


def _in_child() -> None:
    for store in list(_OPEN):
        store._forked()


os.register_at_fork(after_in_child=_in_child)

BlobStore = _twin(_blobs.BlobStore, "BlobStore")
_TWINS: dict[type, type[Twin]] = {
    _async.Store: Store,
    _async.Transaction: Transaction,
    _blobs.BlobStore: BlobStore,
}
for _store in roster().values():
    for _class in (_store, *_store.__subclasses__()):  # beside the store, the form of it that is a transaction too
        _base = Twin if _class is _store else _TWINS[_store]
        globals()[_class.__name__] = _TWINS[_class] = _twin(_class, _class.__name__, _base)

for _class in on_both_faces():  # the stub has their types without coroutines
    globals()[_class.__name__] = _class


def open(
    config: Config | str | os.PathLike[str] | None = None, *, read_only: bool | None = None, telemetry: Telemetry = OFF
) -> Store:
    """Open a store: a folder's path (embedded), the address of a PostgreSQL database or a Config; without any, by the environment.

    `read_only`: as in Config, and before it. Close it, or use it as a context manager. Threads may share it.
    """
    return Store(drive(_async.Store.opened(_async.as_config(config, read_only), ThreadsRuntime(), telemetry)))
