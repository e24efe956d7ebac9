"""One statement under limits of its own, in one message, for a server end that keeps neither settings nor prepared statements.

Two statements and a Sync go out together (libpq's pipeline mode). Up to the Sync they are one implicit transaction, so what the first
sets for its transaction holds for the second and for nobody after it; the server starts the clock of statement_timeout anew with each.
A BEGIN and a COMMIT around the statement would cost two more round trips.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, send
from psycopg.pq import ExecStatus, Format
from psycopg.rows import tuple_row

from tierstore.backends import Params, Row

_PART = re.compile(r"%%|%\((\w+)\)s")


class Positional(NamedTuple):
    """A query as the protocol has it: `$1` for the first of `names`."""

    sql: bytes
    names: tuple[str, ...]


@functools.lru_cache(maxsize=1024)
def positional(sql: str) -> Positional:
    """`%(name)s` by number, the same name by the same; `%%` as `%`."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return Positional(_PART.sub(number, sql).encode(), tuple(names))


def limited(connection: Any, limits: tuple[str, Params], sql: str, params: Params) -> PQGen[tuple[list[Row], int, str]]:
    """The rows of `sql`, how many it changed, and its tag; raises psycopg's error of whichever failed. psycopg waits on it.

    The first answer is asked for at once (a Flush), so that `connection.is_linked` says whether a pooler has a link to the server.
    """
    connection.is_linked = False
    pgconn = connection.pgconn
    transformer = Transformer(connection)
    pgconn.enter_pipeline_mode()
    for text, given in (limits, (sql, params)):
        query, names = positional(text)
        values = transformer.dump_sequence([given[name] for name in names], [PyFormat.AUTO] * len(names))
        pgconn.send_query_params(query, values, transformer.types, transformer.formats, Format.BINARY)
        pgconn.send_flush_request()
    pgconn.pipeline_sync()
    yield from send(pgconn)
    results = []
    while (result := (yield from fetch_many(pgconn))[-1]).status != ExecStatus.PIPELINE_SYNC:
        connection.is_linked = True
        results.append(result)
    pgconn.exit_pipeline_mode()
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result, encoding=transformer.encoding)
    answer = results[-1]
    transformer.set_pgresult(answer)
    rows = transformer.load_rows(0, answer.ntuples, tuple_row(None)) if answer.nfields else []  # type: ignore[arg-type]
    return rows, answer.command_tuples or 0, (answer.command_status or b"").decode()
