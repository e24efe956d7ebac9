"""Why a connection could not be made: by the SQLSTATE that the server answered, or by whether it answered at all.

libpq reports a failed login by a text only, in the server's language. Its trace has the fields of each message; so after a failure at
open the connection is tried once more with a trace, which goes into memory and is read for codes only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from psycopg import pq, waiting
from psycopg.abc import PQGenConn
from psycopg.conninfo import make_conninfo

from tierstore.runtime import Deadline, Runtime

WRONG = ("28", "3D", "22", "42", "0A")
"""Classes of SQLSTATE that stay until somebody changes a setting: login, database, options, rights, what the server cannot do."""
LOOK_S, INTERVAL_S = 2.0, 0.1
_TRACE_BYTES = 1 << 20
_STATE = re.compile(rb'\tErrorResponse\t[^\n]*? C "([0-9A-Z]{5})"')
_FROM_SERVER = b"\tB\t"
_NO_SOCKET = "/nonexistent"
_ENCRYPTED = ("require", "verify-ca", "verify-full")


class Seen(NamedTuple):
    """`state`: the last SQLSTATE that the server gave; `answered`: whether anything came from it."""

    state: str | None
    answered: bool


async def wrong_setting(runtime: Runtime, arguments: Mapping[str, Any], deadline: Deadline) -> str | None:
    """What is wrong with an address under which nothing could be opened; None where only the server is away."""
    if _are_options_wrong(arguments):
        return "an option of the address is wrong"
    seen = await _seen(runtime, arguments, deadline)
    if seen.state is not None:
        return "the server refuses it" if seen.state.startswith(WRONG) else None
    plain = _unencrypted(arguments)
    if plain is not None and (await _seen(runtime, plain, deadline)).answered:
        return "the server answers, but not with the TLS that the address asks for"
    return None


async def _seen(runtime: Runtime, arguments: Mapping[str, Any], deadline: Deadline) -> Seen:
    looking = _look(arguments, deadline.within(LOOK_S))
    if runtime.face == "async":
        return await waiting.wait_conn_async(looking, INTERVAL_S)
    return waiting.wait_conn(looking, INTERVAL_S)


def _look(arguments: Mapping[str, Any], deadline: Deadline) -> PQGenConn[Seen]:
    """Connect, for what there is to see on the way."""
    trace = os.memfd_create("connection")
    connection = pq.PGconn.connect_start(make_conninfo("", **arguments).encode())
    try:
        connection.trace(trace)
        while connection.status != pq.ConnStatus.BAD and deadline.remaining() > 0:
            polled = connection.connect_poll()
            if polled not in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
                break
            wait = waiting.Wait.R if polled == pq.PollingStatus.READING else waiting.Wait.W
            while not (yield connection.socket, wait) and deadline.remaining() > 0:
                pass
        connection.untrace()
        lines = os.pread(trace, _TRACE_BYTES, 0)
    finally:
        connection.finish()
        os.close(trace)
    states = _STATE.findall(lines)
    return Seen(states[-1].decode() if states else None, _FROM_SERVER in lines)


def _are_options_wrong(arguments: Mapping[str, Any]) -> bool:
    """Whether libpq refuses the options before it looks for a server."""
    nowhere = {name: value for name, value in arguments.items() if name not in ("host", "hostaddr", "port")}
    conninfo = make_conninfo("", **nowhere, host=_NO_SOCKET).encode()
    return pq.PGconn.ping(conninfo) == pq.Ping.NO_ATTEMPT


def _unencrypted(arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The same without TLS, where the options ask for it."""
    if arguments.get("sslmode") not in _ENCRYPTED:
        return None
    plain = {name: value for name, value in arguments.items() if not name.startswith("ssl")}
    return plain | {"sslmode": "disable"}
