"""What psycopg's errors mean, by their class and SQLSTATE. Never by their text, and no text with a secret goes on."""

from __future__ import annotations

import psycopg
import psycopg_pool

from tierstore import errors

UNDONE = ("40001", "40P01")
"""serialization_failure, deadlock_detected: the same transaction may succeed when it is run again."""
READ_ONLY = "25006"
_LATE = ("57014", "55P03")  # query_canceled (statement_timeout, too), lock_not_available
_GONE = ("08", "57P", "25P03", "53300", "28")  # connection, shutdown, idle in transaction, too many clients, login
OTHER_SERVER = ("26000", "42P05")
"""invalid_sql_statement_name, duplicate_prepared_statement: what was prepared lies on another server process than the one met now."""
_ENDED = ("57P01", "57P02", "57P03", "08006", "08003")
"""The connection ended under the statement: admin_shutdown, crash_shutdown, cannot_connect_now, connection_failure, …_does_not_exist."""
_TAKEN = ("23505", "23P01")
_VALUES = "22"
"""data_exception: a value is not of its type, too long, or out of range."""
_REFUSALS = ("23", "25", "40")  # integrity constraint, transaction state, transaction rollback


class LeftStatementError(psycopg.OperationalError):
    """The deadline passed while the server still worked at the statement. (What psycopg raises there is private to it.)"""


def translate(error: BaseException, query: str) -> BaseException:
    """psycopg's error as one of `tierstore.errors`; any other is returned as it is."""
    if isinstance(error, psycopg_pool.PoolTimeout | psycopg_pool.TooManyRequests):
        return errors.PoolTimeoutError(
            f"{query}: no connection became free in time; raise max_connections or shorten transactions",
            tier="database",
        )
    if isinstance(error, psycopg_pool.PoolClosed):
        return errors.ClosedError(f"{query}: the store was closed; open it again", tier="database")
    if not isinstance(error, psycopg.Error):
        return error
    if isinstance(error, LeftStatementError):
        return errors.TimeoutError(f"{query}: the deadline passed; give the call a longer timeout=", tier="database")
    return _by_state(error, query)


def _by_state(error: psycopg.Error, query: str) -> errors.StorageError:
    state = error.sqlstate or ""
    text = f"{query}: {_text(error)}"
    if state in _LATE:
        return errors.TimeoutError(text, tier="database")
    if state in _TAKEN:
        return errors.ConflictError(text, tier="database")
    if state in OTHER_SERVER:
        text += "; there is a pooler between: set PostgresConfig(pooled=True)"
    if state in (*UNDONE, *OTHER_SERVER):
        conflict = errors.ConflictError(text, tier="database")
        conflict.transient = True
        return conflict
    if is_gone(error):
        return errors.ConnectionError(text, tier="database")
    return errors.QueryError(text, tier="database")


def is_gone(error: BaseException) -> bool:
    """Whether the connection is of no use any more: it broke, or it leads to a server that takes no writes."""
    if not isinstance(error, psycopg.Error) or isinstance(error, LeftStatementError):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(_GONE) or error.sqlstate == READ_ONLY


def is_in_doubt(error: BaseException) -> bool:
    """Whether a statement that commits itself was sent, and nobody said what became of it."""
    return isinstance(error, LeftStatementError) or (is_gone(error) and error.sqlstate in (None, *_ENDED))  # type: ignore[attr-defined]


def no_link(error: BaseException) -> bool:
    """Whether nothing came back from a pooler that was asked for a link to the server: it was late, or it gave up itself."""
    return isinstance(error, LeftStatementError) or is_gone(error)


def is_refusal(error: psycopg.Error) -> bool:
    """Whether a COMMIT did not happen: a constraint, or another transaction, was in its way. Any other error leaves it in doubt, for
    it may be about what was asked after it."""
    return error.sqlstate is not None and error.sqlstate.startswith(_REFUSALS)


def _text(error: psycopg.Error) -> str:
    """The server's first line. Its detail names values, and so does that line itself where a value is refused."""
    if error.sqlstate is None:
        return str(error).strip() or type(error).__name__
    primary = None if error.sqlstate.startswith(_VALUES) else error.diag.message_primary
    return f"{primary or type(error).__name__} [{error.sqlstate}]"
