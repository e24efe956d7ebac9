"""What the suites of `store.modules` are given: a store of every backend in both faces, and names of the test's own."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tests.contract.schema_stores import Opened
from tierstore import errors
from tierstore.stores.modules import ModuleStore

T = TypeVar("T")
FILES = {"acme/order.proto": b'syntax = "proto3";\nimport "acme/money.proto";\n', "acme/money.proto": b""}


class OpenModules:
    """An open store and the face that drives it."""

    def __init__(self, opened: Opened) -> None:
        self.backend, self.face, self.store, self.config = opened.backend, opened.face, opened.store, opened.config
        self.prefix = uuid.uuid4().hex[:12]

    def name(self, name: str = "common") -> str:
        return f"{self.prefix}/{name}"

    def run(self, scenario: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """The scenario is given `store.modules` and what follows."""
        return self.face.run(scenario, self.store.modules, *arguments)

    async def made(self, *versions: str, state: str = "published") -> str:
        """A module with versions of the same files; its name."""
        name = self.name(uuid.uuid4().hex[:8])
        await self.store.modules.create(name)
        for version in versions:
            await self.store.modules.create_version(name, version, FILES, state=state)
        return name


async def raised(call: Awaitable[Any]) -> errors.StorageError | None:
    """The error of a call, if it raised one of ours."""
    try:
        await call
    except errors.StorageError as error:
        return error
    return None


async def everything(modules: ModuleStore, name: str) -> list[Any]:
    """What can be seen of a module, from the database."""
    versions = (await modules.list_versions(name, read="latest")).items
    found = [await modules.get_version(name, each.version, read="latest") for each in versions]
    return [await modules.get(name, read="latest"), found, (await modules.audit(name, read="latest")).items]
