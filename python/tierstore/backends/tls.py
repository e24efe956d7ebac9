"""Whether a connection failed because TLS is set up wrongly: a certificate that is not trusted, or a server that speaks no TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

_BROKEN = (ssl.SSLEOFError, ssl.SSLSyscallError, ssl.SSLZeroReturnError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""The connection ended, or is not done: that is an outage."""


def is_tls_wrong(error: BaseException) -> bool:
    """Looks behind what libraries wrap around an error of ssl."""
    return any(isinstance(one, ssl.SSLError) and not isinstance(one, _BROKEN) for one in _chain(error, set()))


def _chain(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    if id(error) in seen:
        return
    seen.add(id(error))
    yield error
    inner = [error.__cause__, error.__context__, *error.args, *getattr(error, "kwargs", {}).values()]
    for one in (*inner, getattr(error, "reason", None)):
        if isinstance(one, BaseException):
            yield from _chain(one, seen)
