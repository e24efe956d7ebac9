"""Read-your-writes scopes: which task or thread context wrote what last, and which transaction it holds.

`engine` is the number of an engine: numbers are not used again, unlike addresses.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tierstore.plan.route import later_of

if TYPE_CHECKING:
    from tierstore.tiers.transaction import Transaction


class Session:
    """`position`: where the database stood after the session's last write; None before the first."""

    __slots__ = ("position",)

    def __init__(self) -> None:
        self.position: str | None = None

    def wrote(self, position: str) -> None:
        """A write of this session is committed. Of writes that overlap, the one that answers last may be the earlier one."""
        self.position = later_of(self.position, position)


_sessions: ContextVar[dict[int, Session] | None] = ContextVar("tierstore_sessions", default=None)
_transactions: ContextVar[tuple[weakref.ref[Transaction], ...]] = ContextVar("tierstore_transactions", default=())
"""Weakly: one whose caller was interrupted and is gone is undone when nobody else has it."""


def session_of(engine: int) -> Session:
    """The session of the running context over this engine, made on first use. A child task goes on in its parent's."""
    sessions = _sessions.get()
    if sessions is None:
        sessions = {}
        _sessions.set(sessions)
    session = sessions.get(engine)
    if session is None:
        session = sessions[engine] = Session()
    return session


def known_session(engine: int) -> Session | None:
    """The session if the context has one already."""
    sessions = _sessions.get()
    return None if sessions is None else sessions.get(engine)


def enter_session(engine: int, session: Session | None) -> Session | None:
    """Make `session` the context's; returns the one before. None ends the scope."""
    sessions = dict(_sessions.get() or {})
    before = sessions.pop(engine, None)
    if session is not None:
        sessions[engine] = session
    _sessions.set(sessions)
    return before


def open_transactions() -> list[Transaction]:
    return [one for known in _transactions.get() if (one := known()) is not None]


def hold(transaction: Transaction) -> None:
    _transactions.set((*_transactions.get(), weakref.ref(transaction)))


def let_go(transaction: Transaction) -> None:
    open_still = [one for one in open_transactions() if one is not transaction and one.is_open]
    _transactions.set(tuple(weakref.ref(one) for one in open_still))
