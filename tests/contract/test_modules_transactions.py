"""Modules in a transaction: each change is seen by the next, and by nobody else before the commit."""

from __future__ import annotations

import pytest

from tests.contract.module_stores import OpenModules
from tests.contract.test_content_in_transaction import SIZES


@pytest.mark.parametrize("size", SIZES)
def test_a_transaction_reads_the_files_that_it_put(modules: OpenModules, size: int):
    content = modules.prefix.encode() * (size // 12 + 1)

    async def scenario(store):
        name = modules.name()
        async with modules.store.transaction() as tx:
            await tx.modules.create(name)
            await tx.modules.create_version(name, "1.0.0", {"a": content, "b": content[1:]})
            assert await tx.modules.get_file(name, "1.0.0", "a") == content
            assert await tx.modules.get_files(name, "1.0.0") == {"a": content, "b": content[1:]}
            assert await store.get_version(name, "1.0.0", read="latest") is None
        assert await store.get_files(name, "1.0.0") == {"a": content, "b": content[1:]}

    modules.run(scenario)


def test_a_module_in_a_transaction(modules: OpenModules):
    """Each of several changes of one row is seen by the next; a savepoint and a rollback undo them."""

    async def scenario(store):
        name = modules.name()
        async with modules.store.transaction() as tx:
            await tx.modules.create(name)
            made = await tx.modules.create_version(name, "1.0.0", {"a": b"1"})
            changed = await tx.modules.put_file(name, "1.0.0", "b", b"2", expected_version=made.row_version)
            described = await tx.modules.update_version(name, "1.0.0", tags=["x"], expected_version=changed.row_version)
            assert made.row_version < changed.row_version < described.row_version
            published = await tx.modules.publish(name, "1.0.0")
            assert await tx.modules.get_latest(name) == published
            with pytest.raises(ZeroDivisionError):
                async with tx.savepoint():
                    await tx.modules.deprecate(name, "1.0.0", "old")
                    raise ZeroDivisionError
            assert await tx.modules.get_version(name, "1.0.0") == published
            assert await store.get(name, read="latest") is None
        assert await store.get_version(name, "1.0.0") == await store.get_latest(name) == published
        async with modules.store.transaction() as tx:
            await tx.modules.deprecate(name, "1.0.0", "old")
            await tx.rollback()
        assert await store.get_version(name, "1.0.0", read="latest") == published
        assert "deprecate" not in [entry.action for entry in (await store.audit(name)).items]

    modules.run(scenario)
