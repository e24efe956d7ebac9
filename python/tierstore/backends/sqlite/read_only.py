"""An SQLite file that is only read: no writer, no `staging.db`, and nothing is created, so that it may lie where nobody can write.

| beside the file | how it is opened |
|---|---|
| `-wal` and `-shm`: another process has it open | `mode=ro`, as that one's readers |
| `-wal` with content alone: a writer was killed | `mode=ro`; SQLite makes `-shm` anew, or refuses where it may not |
| neither: it was closed | `immutable=1`: without locks, which would need `-shm` |

An immutable file may still be changed by a process that comes later. So before each statement the names are looked at (some 3 µs), and what
has changed since is opened anew.
"""

from __future__ import annotations

from urllib.parse import quote

from tierstore.backends import Params, PoolStats, Row, forks
from tierstore.backends.held import Held
from tierstore.backends.read_only import ReadOnlyRecords
from tierstore.backends.sqlite.connection import Connection
from tierstore.backends.sqlite.readers import IDLE_MAX, Readers
from tierstore.backends.sqlite.records import SqliteRecords
from tierstore.runtime import Deadline, generation
from tierstore.sql import Query

OPENED_ANEW = 1 << 40
"""Above what SQLite's own data_version reaches."""
_Seen = tuple[bool, bool, int, int]


class ReadOnlySqlite(SqliteRecords):
    """As `SqliteRecords`, whose writing calls are refused."""

    unit = aside = housekeeping = exclusive = ReadOnlyRecords.unit
    write = script = execute = ReadOnlyRecords.write

    def _start(self) -> None:
        self._generation = generation()
        self._held = Held((), tier="database")
        self._changes = 0
        self._seen = self._look()
        self._watching: Connection | None = None
        self._readers = self._made()
        self._opened = False

    def _made(self) -> Readers:
        return Readers(self._path, self._check_held, self._open_reader)

    def _look(self) -> _Seen:
        """Whether there is a log with content, whether it is shared, and when the file was changed. OSError where there is no file."""
        try:
            status = self._path.stat()
        except OSError:
            return False, False, 0, 0
        log, shared = self._path.with_name(f"{self._path.name}-wal"), self._path.with_name(f"{self._path.name}-shm")
        try:
            has_log = log.stat().st_size > 0
        except OSError:
            has_log = False
        return has_log, shared.exists(), status.st_mtime_ns, status.st_size

    def _open_reader(self) -> Connection:
        has_log, shared, *_ = self._seen
        mode = "mode=ro" if has_log or shared else "mode=ro&immutable=1"
        return Connection(f"file:{quote(str(self._path))}?{mode}", busy_s=0.0)

    def _connect(self) -> None:
        self._held = Held((self._path,), tier="database")
        self._seen = self._look()
        self._readers.give(self._readers.take())

    def _leak(self) -> None:
        forks.leak((self._readers, self._watching))

    def _renew(self) -> None:
        """Open anew what has changed under an immutable file, or is shared now."""
        seen = self._look()
        was_shared, is_shared = any(self._seen[:2]), any(seen[:2])
        if seen == self._seen or (was_shared and is_shared):
            return
        before, self._seen, self._changes = self._readers, seen, self._changes + 1
        self._readers, self._watching = self._made(), None
        before.close()

    async def _fetch(self, name: str, query: Query, params: Params, deadline: Deadline) -> list[Row]:
        if self._opened:
            self._renew()
        return await super()._fetch(name, query, params, deadline)

    async def data_version(self, deadline: Deadline) -> int:
        await self._ready(deadline)
        self._check_held()
        self._renew()
        if self._watching is None:
            self._watching = self._readers.take()
        return self._changes * OPENED_ANEW + self._watching.data_version()

    def _check_held(self) -> None:
        self._held.check()

    def pool(self) -> PoolStats:
        return PoolStats(self._readers.in_use, self._readers.idle, IDLE_MAX, 0)

    async def close(self, deadline: Deadline) -> None:
        if not self._closed:
            self._closed = True
            if self._opened and self._generation == generation():
                self._readers.close()
                if self._watching is not None:
                    self._watching.close()
