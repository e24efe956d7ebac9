"""Content outside rows that an open transaction has written: it reads it back, and nobody else sees it before the commit."""

from __future__ import annotations

import pytest

from tests.contract.schema_stores import Opened

SIZES = (1, 65_537, 300_000, 1_048_576)


@pytest.mark.parametrize("size", SIZES)
def test_a_transaction_reads_the_schema_that_it_registered(schemas: Opened, size: int):
    content = b'"' + schemas.prefix.encode() * (size // 12) + b'"'

    async def scenario(store):
        async with schemas.store.transaction() as tx:
            made = await tx.schemas.register(schemas.subject(), "1.0.0", content)
            assert (await tx.schemas.get(made.id)).content == content
            assert (await tx.schemas.get_latest(schemas.subject())).content == content
            assert (await tx.schemas.get_many([made.id]))[0].content == content
            assert await store.get(made.id, read="latest") is None
        assert (await store.get(made.id, read="latest")).content == content

    schemas.run(scenario)
