"""One SQLite connection: its settings, its deadline, and what its errors mean.

Every call here blocks. A statement is stopped at its deadline by SQLite's progress handler, which looks at the clock every
PROGRESS_STEPS steps of the virtual machine (under a millisecond), in whichever thread the statement runs.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tierstore import errors
from tierstore.backends import Params, Row

PROGRESS_STEPS = 20_000
CACHED_STATEMENTS = 512
CACHE_KIB = 16_384
JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024
NEVER = float("inf")
WAITS_ENOUGH = 0.8
"""The share of its time that a write waits for another process at least."""
ASK_AGAIN_S = 0.005
"""How soon a change of the journal mode that was refused is tried again."""

_CODES: dict[int, tuple[type[errors.StorageError], str]] = {
    sqlite3.SQLITE_BUSY: (errors.TimeoutError, "another process holds the database's write lock"),
    sqlite3.SQLITE_LOCKED: (errors.TimeoutError, "another statement has locked the table"),
    sqlite3.SQLITE_INTERRUPT: (errors.TimeoutError, "the deadline passed during the statement; give a longer timeout="),
    sqlite3.SQLITE_CORRUPT: (errors.CorruptError, "the database file is damaged: restore it from a backup"),
    sqlite3.SQLITE_NOTADB: (errors.CorruptError, "the file is not an SQLite database"),
    sqlite3.SQLITE_CANTOPEN: (errors.ConnectionError, "the database file cannot be opened"),
    sqlite3.SQLITE_PERM: (errors.ConnectionError, "the database file may not be used by this user"),
}
_TAKEN = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}


class _Limit:
    """When the statement under way must stop. Apart from the connection, which would hold itself alive through its progress handler."""

    def __init__(self) -> None:
        self.at = NEVER

    def is_past(self) -> int:
        return time.monotonic() > self.at


class Connection:
    """A `sqlite3.Connection` in autocommit mode. One thread at a time may be inside it; `data_version` waits for its turn.

    SQLite's own lock would not do: an error is kept by connection, and sqlite3 asks for it after that lock is released. A statement of
    another thread in between clears it, and one that failed looks as if it had ended: with fewer rows, and no exception.
    """

    def __init__(self, path: Path | str, *, busy_s: float) -> None:
        self._limit = _Limit()
        self.busy_s = busy_s
        self._inside = threading.Lock()
        self.raw = sqlite3.connect(
            path,
            timeout=busy_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
            uri=isinstance(path, str),
        )
        self.raw.set_progress_handler(self._limit.is_past, PROGRESS_STEPS)

    def prepare(self, *, writes: bool, script: str = "") -> None:
        """Settings of this connection, and `script`. The journal mode is the file's and stays. What cannot be prepared is closed."""
        try:
            self._prepare(writes=writes)
            if script:
                self.raw.executescript(script)
        except BaseException:
            self.raw.close()
            raise

    def _prepare(self, *, writes: bool) -> None:
        if writes:
            self._write_ahead()
            self.raw.execute("PRAGMA synchronous = FULL")
            self.raw.execute("PRAGMA foreign_keys = ON")
            self.raw.execute(f"PRAGMA journal_size_limit = {JOURNAL_LIMIT_BYTES}")
            self.raw.execute("PRAGMA schema_version").fetchone()  # opens the write-ahead log, which `Held` looks at
        else:
            self.raw.execute("PRAGMA query_only = ON")
        self.raw.execute("PRAGMA temp_store = MEMORY")
        self.raw.execute(f"PRAGMA cache_size = -{CACHE_KIB}")

    def _write_ahead(self) -> None:
        """The file's journal mode. While another connection changes it SQLite refuses at once, however long it may wait for locks."""
        until = time.monotonic() + self.busy_s
        while True:
            try:
                self.raw.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if _code(error) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            else:
                return
            time.sleep(ASK_AGAIN_S)

    def _raise_ctrl_c(self, error: sqlite3.OperationalError) -> None:
        """Ctrl-C is raised inside the progress handler, where sqlite3 drops it and stops the statement before its time."""
        if _code(error) == sqlite3.SQLITE_INTERRUPT and time.monotonic() < self._limit.at:
            raise KeyboardInterrupt from None

    def interrupt(self) -> None:
        """Stop the statement that is under way, from any thread."""
        self._limit.at = 0.0

    def wait_for_others(self, seconds: float) -> None:
        """How long the next statements may wait for another process's lock."""
        self.busy_s = seconds
        with self._inside:
            self.raw.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def wait_until(self, ends_at: float) -> None:
        """The same until a moment of the monotonic clock, or a little less: a setting that nearly fits is left as it is."""
        left = max(0.0, ends_at - time.monotonic())
        if not WAITS_ENOUGH * left <= self.busy_s <= left:
            self.wait_for_others(left * (1 + WAITS_ENOUGH) / 2)

    def peek(self, sql: str, params: Params) -> Row | None:
        """The first row of a point read, which is too short for a deadline. For a reader, which one thread has at a time."""
        row: Row | None = self.raw.execute(sql, params).fetchone()
        return row

    def fetch(self, sql: str, params: Params, ends_at: float) -> list[Row]:
        return self.run(sql, params, ends_at)[0]

    def run(self, sql: str, params: Params, ends_at: float) -> tuple[list[Row], int]:
        """The rows, and how many rows were changed."""
        with self._inside:
            self._limit.at = ends_at
            try:
                cursor = self.raw.execute(sql, _plain(params))
                return cursor.fetchall(), cursor.rowcount
            except sqlite3.OperationalError as error:
                self._raise_ctrl_c(error)
                raise
            finally:
                self._limit.at = NEVER

    def run_many(self, sql: str, many: Sequence[Params], ends_at: float) -> None:
        with self._inside:
            self._limit.at = ends_at
            try:
                self.raw.executemany(sql, [_plain(params) for params in many])
            except sqlite3.OperationalError as error:
                self._raise_ctrl_c(error)
                raise
            finally:
                self._limit.at = NEVER

    def run_script(self, text: str, ends_at: float) -> None:
        with self._inside:
            self._limit.at = ends_at
            try:
                self.raw.executescript(text)
            except sqlite3.OperationalError as error:
                self._raise_ctrl_c(error)
                raise
            finally:
                self._limit.at = NEVER

    def command(self, sql: str) -> None:
        """A statement that must not be stopped half way: it begins or ends a transaction."""
        with self._inside:
            self._limit.at = NEVER
            self.raw.execute(sql)

    def data_version(self) -> int:
        """May be asked while another thread is inside a statement: it waits for its end, and leaves its deadline alone."""
        with self._inside:
            return int(self.raw.execute("PRAGMA data_version").fetchone()[0])

    def roll_back(self) -> None:
        """Leave the transaction, if an error has not ended it already."""
        if self.raw.in_transaction:
            self.command("ROLLBACK")

    def close(self) -> None:
        self.raw.close()


def _plain(params: Params) -> Mapping[str, Any]:
    """Lists become JSON text, which the queries read with json_each."""
    for value in params.values():
        if isinstance(value, (list, tuple)):
            break
    else:
        return params
    return {
        name: orjson.dumps(value).decode() if isinstance(value, (list, tuple)) else value
        for name, value in params.items()
    }


REFUSALS = (sqlite3.Error, OverflowError, UnicodeEncodeError)
"""What `Connection` raises for a statement: SQLite's own errors, and values that it cannot hold."""


def is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) and _code(error) & 0xFF == sqlite3.SQLITE_BUSY


def is_late(error: BaseException) -> bool:
    """Whether the statement was stopped at its deadline. One that writes takes its whole transaction with it."""
    return isinstance(error, sqlite3.Error) and _code(error) & 0xFF == sqlite3.SQLITE_INTERRUPT


def is_io(error: BaseException) -> bool:
    """Whether writing itself failed, so that it is not known what reached the disk."""
    return isinstance(error, sqlite3.Error) and _code(error) & 0xFF == sqlite3.SQLITE_IOERR


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0)


def translate(error: BaseException, query: str) -> BaseException:
    """SQLite's error as one of `tierstore.errors`, chosen by its code; any other is returned as it is."""
    if not isinstance(error, REFUSALS):
        return error
    code = _code(error) if isinstance(error, sqlite3.Error) else 0
    if code in _TAKEN:
        return errors.ConflictError(f"{query}: the database has such a row already ({error})", tier="database")
    error_class, meaning = _CODES.get(code & 0xFF, (errors.QueryError, "SQLite refused the statement"))
    return error_class(f"{query}: {meaning} ({error})", tier="database")
