"""Reading connections of an SQLite file: lent to one thread at a time, made when none is idle, closed beyond IDLE_MAX."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from tierstore.backends.sqlite.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")
IDLE_MAX = 8


class Readers:
    """`check` raises where the path leads to another file than the writer's. `connect` opens it."""

    def __init__(
        self, path: Path, check: Callable[[], object], connect: Callable[[], Connection] | None = None
    ) -> None:
        self._connect = connect or (lambda: Connection(path, busy_s=0.0))
        self._check = check
        self._made: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._idle: deque[Connection] = deque()
        self._closed = False

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def in_use(self) -> int:
        """One that an interrupted caller lost is not counted any more."""
        return max(0, len(self._made) - len(self._idle))

    def take_idle(self) -> Connection | None:
        """One that waits, without making one."""
        try:
            return self._idle.pop()
        except IndexError:  # none, or another thread was quicker
            return None

    def take(self) -> Connection:
        if (idle := self.take_idle()) is not None:
            return idle
        self._check()  # SQLite would make a file that is not there
        connection = self._connect()
        connection.prepare(writes=False)
        try:
            self._check()
        except BaseException:
            connection.close()
            raise
        self._made.add(connection)
        return connection

    def give(self, connection: Connection) -> None:
        if len(self._idle) < IDLE_MAX:
            self._idle.append(connection)
            if self._closed:  # since just now
                self._close_idle()
        else:
            self.drop(connection)

    def drop(self, connection: Connection) -> None:
        """Close one that may be in the middle of a statement: it would go on to show the database as of then."""
        self._made.discard(connection)
        connection.close()

    def close(self) -> None:
        """Close the idle ones; the others close when they come back."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            try:
                self.drop(self._idle.pop())
            except IndexError:
                return


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
