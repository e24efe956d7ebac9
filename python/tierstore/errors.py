"""Every error that tierstore raises, one tree.

    StorageError
    ├── ConnectionError        also the builtin of that name
    ├── TimeoutError           also the builtin of that name
    │   └── PoolTimeoutError   no connection became free in time
    ├── QueryError             the database refused a statement
    ├── NotFoundError          a write named something that is not there, or a call a node that a graph has not
    ├── ConflictError          another value, state or version stands in the way
    │   ├── CycleError         nodes of a graph depend on one another; `cycle` names them
    │   └── ResolutionError    no choice of versions suits all requirements; `chains` says whose
    ├── ValidationError        the caller's value is wrong; `place` says where
    │   ├── InvalidKeyError    an id, a subject, a part of a path
    │   └── ProtoSyntaxError   protobuf source; `line` and `column` as protoc prints them
    ├── CorruptError           bytes are not what they claim to be
    ├── ConfigError            a setting is wrong or missing
    ├── ClosedError            the store, pool or cache was closed
    ├── OutcomeUnknownError    a commit whose answer was lost; `idempotency_key` asks again safely
    └── UnsupportedError       this backend cannot do that

Each carries `store`, `operation`, `key` and `tier` (None where it does not apply), and its text says what to do.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tierstore.plan.lockfile import Requirement

_NAMES_SHOWN = 8
_LONGEST_NAME = 200


def shortened(name: str) -> str:
    """A name as a text for people shows it: quoted, without its middle if it is very long."""
    half = _LONGEST_NAME // 2
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}")


class StorageError(Exception):
    """The root of the tree.

    `store`: "schemas", …; `operation`: the public call; `key`: what it was called with; `tier`: "l1", "l2", "database", "objects".
    """

    def __init__(
        self,
        message: str,
        *,
        store: str | None = None,
        operation: str | None = None,
        key: str | None = None,
        tier: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.store = store
        self.operation = operation
        self.key = key
        self.tier = tier

    def __str__(self) -> str:
        return self.message

    def about(self, **attributes: str | None) -> StorageError:
        """Fill the attributes that are still None; an inner frame that knew better is kept."""
        for name, value in attributes.items():
            if getattr(self, name) is None:
                setattr(self, name, value)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.__dict__)


def _restore(cls: type[StorageError], state: dict[str, Any]) -> StorageError:
    """Unpickle without calling the constructor: subclasses take other arguments."""
    error = cls.__new__(cls)
    Exception.__init__(error, state["message"])
    error.__dict__.update(state)
    return error


class ConnectionError(StorageError, builtins.ConnectionError):
    """A server cannot be reached, or the connection to it broke before it answered."""


class TimeoutError(StorageError, builtins.TimeoutError):
    """The call's deadline passed."""


class PoolTimeoutError(TimeoutError):
    """No connection became free within `acquire_timeout`."""


class QueryError(StorageError):
    """The database refused a statement for a reason that no other class names."""


class NotFoundError(StorageError):
    """A call that changes something named what is not there, or a call of a graph named a node that it has not.

    Reads of a store return None instead.
    """


class ConflictError(StorageError):
    """The change does not fit what is stored: another content, an illegal state move, an `expected_version` that has passed.

    `transient`: the database undid the transaction because of another one (serialization failure, deadlock): the same call may
    succeed when it is made again.
    """

    transient = False


class CycleError(ConflictError):
    """Nodes of a graph depend on one another, so that no order puts each behind what it depends on.

    `cycle`: their names, each of which depends on the next, and the last one on the first.
    """

    def __init__(self, cycle: Sequence[str], **context: str | None) -> None:
        shown = [shortened(name) for name in cycle[:_NAMES_SHOWN]]
        if len(cycle) > _NAMES_SHOWN:
            shown.append(f"… ({len(cycle) - _NAMES_SHOWN:,} more)")
        super().__init__(f"the nodes depend on one another: {' → '.join([*shown, shown[0]])}", **context)
        self.cycle = tuple(cycle)


class ResolutionError(ConflictError):
    """No choice of versions suits all that a module and its dependencies require.

    `module`: the one that they do not agree on. `chains`: for each requirement on it that takes part in the conflict, how it comes about,
    from the root to the requirement. Where the conflict has to do with several modules at once, `module` is None and each chain is one
    requirement. `gave_up`: whether the search ended at its limit, so that there may be a solution; then there are no chains.
    """

    def __init__(
        self,
        message: str,
        *,
        module: str | None = None,
        chains: tuple[tuple[Requirement, ...], ...] = (),
        gave_up: bool = False,
        **context: str | None,
    ) -> None:
        super().__init__(message, **context)
        self.module = module
        self.chains = chains
        self.gave_up = gave_up


class ValidationError(StorageError):
    """The caller's value is wrong; nothing was changed.

    `place` says where: "line 3, column 7", a JSON pointer, or the name of an argument.
    """

    def __init__(self, message: str, *, place: str | None = None, **context: str | None) -> None:
        super().__init__(message if place is None else f"{message} ({place})", **context)
        self.place = place


class InvalidKeyError(ValidationError):
    """An id, a subject, a cursor or a part of a path is malformed."""


class ProtoSyntaxError(ValidationError):
    """Protobuf source that protoc's parser refuses too, at the position that protoc names (both from 1)."""

    def __init__(self, message: str, line: int, column: int, **context: str | None) -> None:
        super().__init__(message, place=f"line {line}, column {column}", **context)
        self.line = line
        self.column = column


class CorruptError(StorageError):
    """Bytes fail their checksum, their digest or their format."""


class ConfigError(StorageError):
    """A setting is wrong or missing; the text names it, its value and what was expected. Secrets are never shown."""


class ClosedError(StorageError):
    """The store was closed, or is used from another event loop or from a forked child with work in flight."""


class OutcomeUnknownError(StorageError):
    """The connection was lost while a commit was under way: it may or may not have happened.

    Call again with the same `idempotency_key`: the write is applied once.
    """

    def __init__(self, message: str, *, idempotency_key: str | None = None, **context: str | None) -> None:
        super().__init__(message, **context)
        self.idempotency_key = idempotency_key


class UnsupportedError(StorageError):
    """This backend cannot do that; the text says which one can."""


def raise_alone(error: BaseException) -> NoReturn:
    """Raise `error` without the exception that is being handled as its cause or context.

    A driver's or parser's exception holds values, statements, documents and addresses, in its text or in an attribute.
    """
    try:
        raise error
    finally:
        error.__cause__ = error.__context__ = None
