"""What holds for the calls of any store inside a transaction, and for the transaction's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.contract.schema_stores import Opened
from tests.stores.test_conformance import error_of
from tierstore.calls.scope import Inside
from tierstore.errors import ClosedError, ConflictError, StorageError
from tierstore.store import parts_of
from tierstore.tiers.group_commit import GroupCommit
from tierstore.tiers.transaction import Transaction

CONTENT = b"[]"


async def _save(on: Any) -> None:
    async with on.savepoint():
        pass


@pytest.mark.parametrize(("of", "store"), [("store", "store"), ("schemas", "schemas")])
def test_the_transactions_own_calls_say_which_failed(shared: Opened, of: str, store: str):
    async def scenario() -> list[StorageError | None]:
        begin = shared.store.transaction if of == "store" else shared.store.schemas.transaction
        async with begin() as tx:
            await tx.commit()
            await tx.rollback()  # nothing is left to drop
            return [await error_of(tx.commit()), await error_of(_save(tx))]

    for call, error in zip(("commit", "savepoint"), shared.face.run(scenario), strict=True):
        assert isinstance(error, ClosedError), call
        assert (error.store, error.operation) == (store, f"transaction.{call}")


def test_a_write_that_answers_an_error_leaves_nothing_behind(shared: Opened):
    """A write that may share its commit is undone inside a transaction as it is when it is alone."""

    async def scenario() -> None:
        parts = parts_of(shared.store)

        async def apply(write: Transaction, items: Sequence[str]) -> list[str | StorageError]:
            for item in items:
                await write.unit.execute("protocol.claim_key", {"key": item, "request": "x"})
            return [ConflictError(item) for item in items]

        commit: GroupCommit[str, str] = GroupCommit(parts.engine, apply)
        async with parts.engine.transaction(deadline=parts.runtime.deadline(10)) as transaction:
            deadline = transaction.deadline
            assert isinstance(await error_of(Inside(transaction).together(commit, "half", deadline)), ConflictError)
            assert await transaction.unit.fetch("protocol.recall", {"key": "half"}) == []
            await transaction.rollback()

    shared.face.run(scenario)


def test_a_key_whose_write_failed_is_free(shared: Opened):
    async def scenario(schemas: Any) -> None:
        await schemas.register("failed", "1.0.0", CONTENT)
        async with shared.store.transaction() as tx:
            wrong = tx.schemas.register("failed", "1.0.0", b"{}", idempotency_key="failed")
            assert isinstance(await error_of(wrong), ConflictError)
            made = await tx.schemas.register("failed", "2.0.0", CONTENT, idempotency_key="failed")
        assert await schemas.register("failed", "2.0.0", CONTENT, idempotency_key="failed") == made

    shared.run(scenario)


def test_a_key_belongs_to_its_call_and_to_what_was_asked(shared: Opened):
    async def scenario(schemas: Any) -> None:
        ids = [f"0190a0a0-0000-7000-8000-00000000000{number}" for number in range(2)]
        named = {"idempotency_key": "belongs"}
        made = await schemas.register("belongs", "1.0.0", CONTENT, id=ids[0], **named)
        assert await schemas.register("belongs", "1.0.0", CONTENT, id=ids[0].upper(), **named) == made
        item = {"subject": "belongs", "version": "1.0.0", "content": CONTENT}
        for other in (
            schemas.register("belongs", "1.0.0", CONTENT, id=ids[1], **named),
            schemas.register("belongs", "1.0.0", CONTENT, **named),
            schemas.register_many([item | {"id": ids[0]}], **named),
        ):
            error = await error_of(other)
            assert isinstance(error, ConflictError)
            assert (error.key, error.store) == ("belongs", "schemas")

    shared.run(scenario)


@pytest.mark.parametrize("removal", ["delete", "purge"])
def test_a_key_whose_schema_is_gone_says_so(shared: Opened, removal: str):
    async def scenario(schemas: Any) -> None:
        items = [{"subject": f"gone.{removal}", "version": f"{number}.0.0", "content": CONTENT} for number in range(2)]
        one, many = f"one.{removal}", f"many.{removal}"
        single = {"subject": f"single.{removal}", "version": "1.0.0", "content": CONTENT}
        made = await schemas.register(**single, idempotency_key=one)
        _, second = await schemas.register_many(items, idempotency_key=many)
        for each in (made, second):
            await getattr(schemas, removal)(each.id)
        for again, key, identifier in (
            (schemas.register(**single, idempotency_key=one), one, made.id),
            (schemas.register_many(items, idempotency_key=many), many, second.id),
        ):
            error = await error_of(again)
            assert isinstance(error, ConflictError)
            assert (error.key, identifier in str(error)) == (key, True)
        if removal == "delete":
            await schemas.restore(made.id)
            assert (await schemas.register(**single, idempotency_key=one)).id == made.id

    shared.run(scenario)
