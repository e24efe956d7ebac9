"""A user of the async face."""

from typing import assert_type

import tierstore
from tierstore.stores.schemas import Page, Schema, SchemaInfo, SearchHit


async def use() -> None:
    async with tierstore.open("data/") as store:
        assert_type(store, tierstore.Store)
        schema = await store.schemas.register("orders", "1.0.0", b"{}", tags=("a",))
        assert_type(schema, Schema)
        assert_type(schema.id, str)
        assert_type(schema.content, bytes)
        assert_type(await store.schemas.get(schema.id), Schema | None)
        assert_type(await store.schemas.get_many([schema.id]), list[Schema | None])
        assert_type(await store.schemas.list("orders"), Page[SchemaInfo])
        assert_type(await store.schemas.search("ordr"), Page[SearchHit])
        assert_type(await store.schemas.delete(schema.id), bool)
        print((await store.schemas.get(schema.id)).content)  # error: union-attr
        await store.schemas.register("orders", "1.0.0", "text")  # error: arg-type
        await store.schemas.get(schema.id, timeout="1")  # error: arg-type
    opened = await tierstore.open(tierstore.Config("data/"))
    assert_type(opened, tierstore.Store)
    await opened.close()
