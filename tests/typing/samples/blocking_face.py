"""A user of the blocking face."""

from typing import assert_type

import tierstore
from tierstore.stores.schemas import Page, Schema, SearchHit


def use() -> None:
    with tierstore.blocking.open("data/") as store:
        schema = store.schemas.register("orders", "1.0.0", b"{}")
        assert_type(schema, Schema)
        assert_type(store.schemas.get(schema.id), Schema | None)
        assert_type(store.schemas.search("ordr"), Page[SearchHit])
        with store.transaction() as tx:
            assert_type(tx.schemas.register("orders", "1.1.0", b"{}"), Schema)
