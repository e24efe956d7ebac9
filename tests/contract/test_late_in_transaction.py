"""`timeout=` of a call holds inside a transaction too. A statement that is left there takes the transaction with it, and says so."""

from __future__ import annotations

import threading

import pytest

import tierstore
from tests.contract.engines import Engine
from tests.contract.test_records import add, soon, subjects
from tierstore import Config, PostgresConfig, errors
from tierstore.backends.sql_unit import call_until
from tierstore.telemetry import OFF

LATE_S = 0.2


def test_a_late_statement_ends_its_transaction_and_no_other(engine: Engine) -> None:
    records = engine.migrated()

    async def late(*, caught: bool) -> None:
        async with records.unit(deadline=soon(engine, 60)) as unit:
            await unit.execute("suite.add_subject", {"subject": "lost", "version": 1})
            with call_until(unit, soon(engine, LATE_S)):
                if not caught:
                    await unit.fetch("suite.slow")
                with pytest.raises(errors.TimeoutError):
                    await unit.fetch("suite.slow")
            with pytest.raises(errors.TimeoutError, match="nothing of the transaction was kept"):
                await unit.execute("suite.add_subject", {"subject": "alone", "version": 1})

    async def run() -> None:
        for caught in (False, True):
            with pytest.raises(errors.TimeoutError) as raised:
                await late(caught=caught)
            assert ("nothing of the transaction" in str(raised.value)) == caught
        await add(records, "after", soon(engine))
        assert await subjects(records, soon(engine)) == ["after"]

    engine.face.run(run)


def test_a_call_in_time_leaves_the_deadline_of_the_transaction(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        async with records.unit(deadline=soon(engine, 60)) as unit:
            for name in ("a", "b"):
                with call_until(unit, soon(engine, 30)):
                    async with unit.savepoint():
                        await unit.execute("suite.add_subject", {"subject": name, "version": 1})
            assert unit._deadline.remaining() > 30
            call_until(unit, soon(engine, 0)).__enter__()  # as a Ctrl-C may leave it
        await add(records, "c", soon(engine))
        assert await subjects(records, soon(engine)) == ["a", "b", "c"]

    engine.face.run(run)


def test_a_call_that_waits_for_anothers_lock_leaves_at_its_own_deadline(database, face) -> None:
    config = Config(postgres=PostgresConfig(database, max_connections=6, min_connections=1))
    with tierstore.blocking.open(config) as other:
        schema = other.schemas.register("orders", "1.0.0", b"{}")
        locked, done = threading.Event(), threading.Event()

        def hold() -> None:
            with other.transaction(timeout=60) as tx:
                tx.schemas.set_state(schema.id, "deprecated")
                locked.set()
                done.wait(60)

        async def run() -> None:
            store = await tierstore.store.Store.opened(config, face.runtime(), OFF)
            try:
                with pytest.raises(errors.TimeoutError):
                    async with store.transaction(timeout=60) as tx:
                        assert await tx.schemas.get(schema.id, timeout=20) is not None
                        await tx.schemas.set_state(schema.id, "disabled", timeout=LATE_S)
                assert not done.is_set()
                assert (await store.schemas.get(schema.id)).state == "active"
            finally:
                done.set()
                await store.close()

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            assert locked.wait(30)
            face.run(run)
        finally:
            done.set()
            holder.join()
