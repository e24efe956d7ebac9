"""A process that opens a store and forks: `python -m tests.stores.forking NAME FACE FOLDER`. Prints a line a process whose calls held."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import tierstore
from tests.stores.samples import PREPARE
from tests.stores.test_conformance import error_of, make
from tierstore.errors import ClosedError, StorageError
from tierstore.runtime import drive


class AsAsync:
    """The blocking face behind the async names, so that the same samples drive both."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._inner, name)
        return _awaitable(member) if callable(member) else AsAsync(member)


def _awaitable(function: Any) -> Any:
    async def call(*args: Any, **named: Any) -> Any:
        return function(*args, **named)

    return call


async def _all(store: Any, name: str, folder: Path, *, prepared: Any = None) -> list[StorageError | None]:
    samples = prepared or await PREPARE[name](store, folder)
    return [await error_of(make(getattr(store, name), call, sample)) for call, sample in samples.items()]


def _child(work: Any) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            work()
            print("child: every call", flush=True)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def blocking(name: str, folder: Path) -> None:
    with tierstore.blocking.open(folder / "store") as store:
        facade = AsAsync(store)
        assert drive(_all(facade, name, folder)) is not None

        def works() -> None:
            errors = [error for error in drive(_all(facade, name, folder)) if isinstance(error, ClosedError)]
            assert not errors, errors

        _child(works)
        works()
    print("parent: every call")


def asynchronous(name: str, folder: Path) -> None:
    async def scenario() -> None:
        async with tierstore.open(folder / "store") as store:
            samples = await PREPARE[name](store, folder)

            def refused() -> None:
                coroutine = _all(store, name, folder, prepared=samples)
                for error in drive(coroutine):
                    assert isinstance(error, ClosedError), error
                    assert "fork" in str(error)

            _child(refused)
            assert not [error for error in await _all(store, name, folder) if isinstance(error, ClosedError)]
        print("parent: every call")

    asyncio.run(scenario())


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    (blocking if sys.argv[2] == "blocking" else asynchronous)(sys.argv[1], Path(sys.argv[3]))
