"""A user of the blocking face."""

from typing import assert_type

import tierstore
from tierstore import Page, Schema, SearchHit


def use() -> None:
    with tierstore.blocking.open("data/") as store:
        schema = store.schemas.register("orders", "1.0.0", b"{}")
        assert_type(schema, Schema)
        assert_type(store.schemas.get(schema.id), Schema | None)
        assert_type(store.schemas.search("ordr"), Page[SearchHit])
        with store.transaction() as tx:
            assert_type(tx.schemas.register("orders", "1.1.0", b"{}"), Schema)


def use_words(store: tierstore.blocking.Store, id: str) -> None:
    store.schemas.get(id, read="bounded:2s")
    store.schemas.get(id, read=tierstore.bounded(0.3))
    store.schemas.set_state(id, "archived")
    store.schemas.get(id, read="sesion")  # error: arg-type
    store.schemas.set_state(id, "activ")  # error: arg-type
    store.schemas.list("orders", schema_type="xml")  # error: arg-type
