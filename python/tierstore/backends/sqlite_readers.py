"""Reading connections of an SQLite file: lent to one thread at a time, made when none is idle, closed beyond IDLE_MAX."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from tierstore.backends.sqlite_connection import Connection

P = ParamSpec("P")
T = TypeVar("T")
IDLE_MAX = 8


class Readers:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False
        self.in_use = 0

    @property
    def idle(self) -> int:
        return len(self._idle)

    def take(self) -> Connection:
        with self._lock:
            self.in_use += 1
            if self._idle:
                return self._idle.pop()
        connection = Connection(self._path, busy_s=0.0)
        connection.prepare(writes=False)
        return connection

    def give(self, connection: Connection) -> None:
        with self._lock:
            self.in_use -= 1
            if not self._closed and len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the idle ones; the others close when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


class Loan:
    """One connection's use on another thread, which the caller may leave at any time."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def run(self, function: Callable[Concatenate[Connection, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        connection = self._readers.take()
        self._connection = connection
        try:
            return function(connection, *arguments, **named)
        finally:
            with self._lock:  # from here on the connection is another's
                self._connection = None
            self._readers.give(connection)

    def leave(self) -> None:
        """Stop the statement if it is still under way."""
        with self._lock:
            if self._connection is not None:
                self._connection.interrupt()
