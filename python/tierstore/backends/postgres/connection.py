"""psycopg's connections with two changes: they keep a deadline, and they give values as `Records` says.

A deadline: `wait` stops at `limit` and leaves the statement's generator in `abandoned`. psycopg itself would cancel and drain there
for up to ten seconds; here the caller goes at once, and the pool's reaper finishes it (postgres_reaper).
Values: results and lists are binary; uuid and json come as text, xid8 as int.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import sys
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import Buffer, PQGen
from psycopg.adapt import AdaptersMap, Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus, Format
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int8BinaryLoader

from tierstore._native import uptime
from tierstore.backends.postgres.errors import LeftStatementError
from tierstore.errors import ConfigError, raise_alone
from tierstore.runtime import Deadline

RV = TypeVar("RV")
CONNECT_S = 5
PREPARED_MAX = 1000
ENDLESS = Deadline(uptime, math.inf)
"""The limit of a statement that takes what time it wants, and is left at once if it is cancelled."""
_INTERVAL_S = 0.1


class _Limited:
    """What both forms of connection carry.

    `abandoned`: the statement that its caller left; `committing`: it was a COMMIT.
    `is_linked`: a pooler had a link to the server for the last read. `used_at`: when it was last given back, `pooled_at`:
    when psycopg_pool last had it. `statement_ms`: the session's statement_timeout, None where it is not known; unused behind a pooler.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.limit: Deadline | None = None
        self.abandoned: Generator[Any, Any, Any] | None = None
        self.committing = False
        self.is_linked = True
        self.statement_ms: int | None = None
        self.used_at = self.pooled_at = uptime()


def _is_left(statement: PQGen[RV]) -> bool:
    """Whether the waiting ended before the statement. Otherwise what was raised is the server's answer."""
    return inspect.getgeneratorstate(statement) != inspect.GEN_CLOSED


class AsyncLimited(_Limited, psycopg.AsyncConnection[tuple[Any, ...]]):
    async def wait(self, gen: PQGen[RV], interval: float = _INTERVAL_S, timeout: float | None = None) -> RV:
        if self.limit is None:
            return await super().wait(gen, interval, timeout)
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval, self.limit.remaining())
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            self.abandoned = gen
            raise
        except psycopg.OperationalError as error:
            if not _is_left(gen):
                raise
            self.abandoned = gen
            raise_alone(LeftStatementError(str(error)))


class BlockingLimited(_Limited, psycopg.Connection[tuple[Any, ...]]):
    """`lost_to`: called when a caller has it and it is garbage: an interrupt came where it was not written down yet, or not any more."""

    lost_to: Callable[[BlockingLimited], None] | None = None

    def __del__(self, *_: Any) -> None:
        if self.lost_to is None or sys.is_finalizing():
            super().__del__()
        else:
            self.lost_to(self)

    def wait(self, gen: PQGen[RV], interval: float = _INTERVAL_S, timeout: float | None = None) -> RV:
        if self.limit is None:
            return super().wait(gen, interval, timeout)
        try:
            return waiting.wait(gen, self.pgconn.socket, interval, self.limit.remaining())
        except (KeyboardInterrupt, SystemExit):
            self.abandoned = gen
            raise
        except psycopg.OperationalError as error:
            if not _is_left(gen):
                raise
            self.abandoned = gen
            raise_alone(LeftStatementError(str(error)))


Limited = AsyncLimited | BlockingLimited


def is_cut(connection: Limited) -> bool:
    """Whether the server has hung up on an idle connection, as far as this side knows. Never waits.

    What it said last, such as why it ends the connection, is read first; only the next look finds the end.
    """
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.Error:
        return True
    return connection.pgconn.status != ConnStatus.OK


class _TextLoader(Loader):
    """json and jsonb as the text they are; jsonb's binary form has one byte of version before it."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


class _JsonbLoader(_TextLoader):
    def load(self, data: Buffer) -> str:
        return bytes(data)[1:].decode()


class _UuidLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        text = bytes(data).hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Adaptation:
    """How values are read and written: a context for `connect`.

    Lists go binary: as text each of their elements would be quoted by a regular expression, half of the work of a large write.
    """

    connection = None

    def __init__(self) -> None:
        self.adapters = AdaptersMap(psycopg.adapters)
        self.adapters.register_loader("json", _TextLoader)
        self.adapters.register_loader("jsonb", _JsonbLoader)
        self.adapters.register_loader("uuid", _UuidLoader)
        self.adapters.register_loader("xid8", Int8BinaryLoader)
        self.adapters.register_dumper(list, ListBinaryDumper)


def address_of(arguments: dict[str, Any]) -> str:
    """Host and port, for a log line."""
    return f"{arguments.get('host', 'localhost')}:{arguments.get('port', 5432)}"


def arguments(url: str, *, writes: bool) -> dict[str, Any]:
    """The keywords of a connection to `url`. Of several hosts, the one that takes writes is wanted where `writes`.

    ConfigError if it is no address; its text is not shown, for it may hold a password.
    """
    try:
        parts: dict[str, Any] = dict(conninfo_to_dict(url))
    except psycopg.ProgrammingError:
        raise_alone(
            ConfigError("the PostgreSQL address cannot be parsed: expected postgresql://user@host:5432/database")
        )
    if writes and "," in str(parts.get("host", "")):
        parts.setdefault("target_session_attrs", "read-write")
    parts.setdefault("connect_timeout", CONNECT_S)
    parts.setdefault("application_name", "tierstore")
    parts.setdefault("keepalives_idle", 30)
    return parts
