"""What an installed wheel must do with no server and nothing beside it: run as a script by that Python."""

import asyncio
import sys
import tempfile

import tierstore

CONTENT = b'{"type": "object"}'
DRIVERS = {"psycopg", "redis", "boto3", "click", "rich"}


async def in_async_face(folder: str) -> None:
    async with tierstore.open(folder) as store:
        registered = await store.schemas.register("orders", "1.0.0", CONTENT, schema_type="jsonschema")
        assert (await store.schemas.get(registered.id)).content == CONTENT


def in_blocking_face(folder: str) -> None:
    with tierstore.blocking.open(folder) as store:
        assert store.schemas.get_latest("orders").content == CONTENT


def main() -> None:
    assert not DRIVERS & set(sys.modules), "importing tierstore loaded a driver"
    assert not tierstore._native.DEBUG_BUILD
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(in_async_face(folder))
        in_blocking_face(folder)
    print(f"tierstore {tierstore.__version__} works on Python {sys.version.split()[0]}")


main()
