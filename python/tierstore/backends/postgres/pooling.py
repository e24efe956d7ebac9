"""Whether the server end of a connection is its own, or shared with other clients by a pooler in transaction mode.

libpq got a process id when it connected; the server gives its own when it is asked. Two different ones show a pooler at once, also
one that is idle, which two connections compared with each other would not. A statement that the server does not know any more shows one
that hides better. What a shared end must not be given: prepared statements, settings of the session, locks of the session.
"""

from __future__ import annotations

from typing import Any, Literal

import psycopg

from tierstore.backends import Params, Row
from tierstore.backends.postgres.errors import OTHER_SERVER

Pooled = Literal["auto"] | bool
ANY_BACKEND = 0


class Pooling:
    """What is known of one address. `pooled`: what the configuration says."""

    def __init__(self, pooled: Pooled) -> None:
        self._says = pooled
        self.shared = pooled is True

    def question(self, connection: Any, timeout_ms: int) -> Params:
        """Parameters of `protocol.configure`, which sets nothing where the server's process is not the one that libpq knows."""
        backend = ANY_BACKEND if self._says is False else connection.info.backend_pid
        return {"backend": backend, "timeout": str(timeout_ms)}

    def answered(self, rows: list[Row]) -> None:
        """What `protocol.configure` answered on a new connection: nothing, behind a pooler."""
        if not rows:
            self.shared = True

    def is_shared(self, connection: Any) -> bool:
        """Whether this connection's server end is shared; from then on nothing is prepared on it."""
        if self.shared and connection.prepare_threshold is not None:
            connection.prepare_threshold = None
        return self.shared

    def discovers(self, error: BaseException) -> bool:
        """Whether the error shows a pooler that nobody knew of. It is known from now on; the statement never ran, and may be sent again."""
        found = (
            not self.shared
            and self._says == "auto"
            and isinstance(error, psycopg.Error)
            and error.sqlstate in OTHER_SERVER
        )
        self.shared = self.shared or found
        return found
