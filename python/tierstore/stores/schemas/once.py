"""Idempotency keys: a write that carries one is applied once, however often it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import orjson

from tierstore.errors import ConflictError, CorruptError, ValidationError
from tierstore.stores.schemas.registration import Registration
from tierstore.tiers.transaction import Transaction

MAX_KEY_CHARACTERS = 255


def check_key(key: object) -> str | None:
    """The key, if there is one."""
    if key is None or (isinstance(key, str) and 1 <= len(key) <= MAX_KEY_CHARACTERS and key.isprintable()):
        return key
    text = f"an idempotency key is printable text of 1 to {MAX_KEY_CHARACTERS} characters"
    raise ValidationError(text, place="idempotency_key")


def request_of(registrations: Sequence[Registration]) -> str:
    """A digest of what is asked for. Ids that the store makes are no part of it."""
    parts = [
        [
            each.subject,
            str(each.version),
            each.schema_type,
            each.placement.digest,
            each.params["metadata"],
            each.params["state"],
        ]
        for each in registrations
    ]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


async def claim(write: Transaction, key: str, request: str) -> list[str] | None:
    """Take the key; or the ids that the first write with it answered. ConflictError if that asked for something else."""
    if await write.unit.execute("protocol.claim_key", {"key": key, "request": request}):
        return None
    kept, answer = (await write.unit.fetch("protocol.recall", {"key": key}))[0]
    if kept != request:
        raise ConflictError("the idempotency key was used for another write; take a new key for a new write", key=key)
    ids = orjson.loads(answer)
    if not isinstance(ids, list):
        raise CorruptError("the answer kept for the idempotency key is none of the schema store", key=key)
    return ids


async def keep(write: Transaction, key: str, ids: Sequence[str]) -> None:
    """Keep the answer, in the transaction of the write."""
    result = orjson.dumps(list(ids)).decode()
    await write.unit.execute("protocol.keep_answer", {"key": key, "result": result})
