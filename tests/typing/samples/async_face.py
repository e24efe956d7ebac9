"""A user of the async face."""

from typing import Any, assert_type

import tierstore
from tierstore import Page, Schema, SchemaInfo, SearchHit


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


async def use_plain_data(store: tierstore.Store) -> None:
    page = await store.schemas.list("orders")
    assert_type(page.to_json(), str)
    assert_type(page.items[0].asdict(), dict[str, Any])
    assert_type(page.items[0].metadata, dict[str, Any])
    assert_type(page.items[0].tags, tuple[str, ...])
    assert_type((await store.health()).to_json(), str)
    assert_type(tierstore.to_json([page, None]), str)


async def use_words(store: tierstore.Store, id: str) -> None:
    """States, schema types and `read` are closed lists; a bound that is not usual is made by `bounded`."""
    schema = await store.schemas.get(id, read="bounded:2s")
    await store.schemas.get_latest("orders", read=tierstore.bounded(0.3), states=("active",))
    await store.schemas.set_state(id, "archived")
    await store.schemas.register("orders", "1.0.0", b"{}", schema_type="avro", state="draft")
    state: tierstore.SchemaState = schema.state if schema else "active"
    fresh: tierstore.Read = "latest"
    await store.schemas.search("orders", states=[state], read=fresh)
    await store.schemas.search("orders", states={"active", "draft"})
    await store.schemas.get(id, read="sesion")  # error: arg-type
    await store.schemas.get(id, read="bounded:soon")  # error: arg-type
    await store.schemas.set_state(id, "activ")  # error: arg-type
    await store.schemas.register("orders", "1.0.0", b"{}", schema_type="xml")  # error: arg-type
    await store.schemas.list("orders", states=("actve",))  # error: arg-type
    async with store.transaction() as tx:
        await tx.schemas.get_latest("orders", states=("actve",))  # error: arg-type
