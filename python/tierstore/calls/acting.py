"""Who acts: the name and the request that a store's audit keeps beside each change.

    with tierstore.acting_as("ana", request_id="7f"):
        await store.modules.publish("acme/common", "1.0.0")

It holds for what runs in that context: the task, what it awaits, the tasks that it begins, `asyncio.to_thread`; or the thread, in the
blocking face. Others have their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from tierstore.errors import ValidationError
from tierstore.plan.values import MAX_NAME_CHARACTERS, check_text


class Actor(NamedTuple):
    """None: nobody said."""

    name: str | None = None
    request_id: str | None = None


NOBODY = Actor()
_acting: ContextVar[Actor] = ContextVar("tierstore_acting", default=NOBODY)


@contextmanager
def acting_as(actor: str, *, request_id: str | None = None) -> Iterator[None]:
    """`with tierstore.acting_as("ana", request_id="7f"):` names who changes things within the block, for audits.

    Both have 1 to 255 characters; ValidationError otherwise. A block within a block wins, and the outer one holds again behind it.
    """
    named = Actor(_named(actor, "actor"), None if request_id is None else _named(request_id, "request_id"))
    before = _acting.set(named)
    try:
        yield
    finally:
        _acting.reset(before)


def actor() -> Actor:
    """Who acts in this context."""
    return _acting.get()


def _named(value: object, place: str) -> str:
    text = check_text(value, place, MAX_NAME_CHARACTERS)
    if not text:
        raise ValidationError(f"{place} must have 1 to {MAX_NAME_CHARACTERS} characters, got none", place=place)
    return text
