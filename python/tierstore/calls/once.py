"""Idempotency keys: a write that carries one is applied once, however often it is asked for.

The engine forgets keys after some days (`tiers/engine.py`); until then a second write with the key returns what the first one did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from tierstore.errors import ConflictError, ValidationError
from tierstore.plan.arguments import shown
from tierstore.tiers.transaction import Transaction

MAX_KEY_CHARACTERS = 255


def check_key(key: object) -> str | None:
    """The key, if there is one."""
    if key is None or (isinstance(key, str) and 1 <= len(key) <= MAX_KEY_CHARACTERS and key.isprintable()):
        return key
    text = f"idempotency_key must be printable str of 1 to {MAX_KEY_CHARACTERS} characters, got {shown(key)}"
    raise ValidationError(text, place="idempotency_key")


async def once(
    write: Transaction, store: str, call: str, key: str, request: object, do: Callable[[], Awaitable[Sequence[str]]]
) -> tuple[list[str], bool]:
    """`do`, unless a write with this key has done it: the ids that it returned, now or then, and whether it was now.

    `request`: what is asked for, as JSON values. ConflictError if the key was used for another call, or for something else.
    """
    digest = hashlib.sha256(orjson.dumps([store, call, request])).hexdigest()
    if await write.unit.execute("protocol.claim_key", {"key": key, "request": digest}):
        ids = list(await do())
        await write.unit.execute("protocol.keep_answer", {"key": key, "result": orjson.dumps(ids).decode()})
        return ids, True
    kept, answer = (await write.unit.fetch("protocol.recall", {"key": key}))[0]
    if kept != digest:
        text = "the idempotency key was used for another write; use a new key for a new write"
        raise ConflictError(text, key=key)
    recalled: Any = orjson.loads(answer)
    return list(recalled), False
