"""The reads of dependencies, in whatever scope they run: from the database, for no cache holds them."""

from __future__ import annotations

from typing import Literal, overload

from tierstore._native import DependencyGraph
from tierstore.calls.scope import Fetch
from tierstore.calls.store import BaseStore
from tierstore.plan.arguments import check_flag
from tierstore.plan.modules import check_module_name, check_version
from tierstore.plan.route import Read
from tierstore.stores.modules import dependencies
from tierstore.stores.modules.dependencies import Dependency, GraphDirection, Impact, ModuleRef, Reached
from tierstore.stores.modules.held import no_module, no_version
from tierstore.stores.modules.parts import ModuleParts


class DependencyReader(BaseStore[ModuleParts]):
    """Who depends on whom."""

    @overload
    async def dependencies(
        self,
        name: str,
        version: str,
        *,
        transitive: Literal[False] = False,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> list[Dependency]: ...
    @overload
    async def dependencies(
        self,
        name: str,
        version: str,
        *,
        transitive: Literal[True],
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> list[ModuleRef]: ...
    async def dependencies(
        self,
        name: str,
        version: str,
        *,
        transitive: bool = False,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> list[Dependency] | list[ModuleRef]:
        """Return the imports of a version's files, in their order, with the module versions that they are bound to.

        With `transitive`, the other module versions that it needs, directly or not, with their depth.
        """
        with self._operation("dependencies", name, timeout, "read") as operation:
            fetch = self._scope.fetch(operation.deadline, read, not_before)
            if check_flag(transitive, "transitive"):
                return (await self._reached(fetch, name, version, "dependencies")).refs()
            key = check_module_name(name), check_version(version)[0]
            imports = await dependencies.imports_of(fetch, *key)
            if not imports:
                await self._reached(fetch, *key, "dependencies")
            return imports

    async def dependents(
        self,
        name: str,
        version: str | None = None,
        *,
        transitive: bool = False,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> list[ModuleRef]:
        """Return who depends on a version, or on any version of a module, by depth and name; with `transitive` over all steps."""
        with self._operation("dependents", name, timeout, "read") as operation:
            fetch = self._scope.fetch(operation.deadline, read, not_before)
            found = await self._reached(fetch, name, version, "dependents")
            return found.refs(None if check_flag(transitive, "transitive") else 1)

    async def impact(
        self,
        name: str,
        version: str,
        *,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> Impact:
        """Return who would feel it if a version went: who depends on it, directly or not, and who of them is in use."""
        with self._operation("impact", name, timeout, "read") as operation:
            fetch = self._scope.fetch(operation.deadline, read, not_before)
            return dependencies.impact_of(await self._reached(fetch, name, check_version(version)[0], "dependents"))

    async def cycles(
        self, *, timeout: float | None = None, read: Read = "session", not_before: str | None = None
    ) -> list[list[str]]:
        """Return the groups of versions that depend on each other in circles, as "name@version"."""
        with self._operation("cycles", None, timeout, "search") as operation:
            return (await dependencies.whole(self._scope.fetch(operation.deadline, read, not_before))).graph.cycles()

    async def graph(
        self,
        name: str | None = None,
        version: str | None = None,
        *,
        direction: GraphDirection = "dependencies",
        depth: int | None = None,
        timeout: float | None = None,
        read: Read = "session",
        not_before: str | None = None,
    ) -> DependencyGraph:
        """Return what depends on what, with nodes "name@version": of all versions, of a module's, or of one.

        `direction`: towards what it depends on, or towards what depends on it; `depth`: over how many steps, all without it. Deprecated
        versions are marked.
        """
        with self._operation("graph", name, timeout, "search") as operation:
            way, steps = dependencies.check_direction(direction), dependencies.check_depth(depth)
            fetch = self._scope.fetch(operation.deadline, read, not_before)
            if name is None:
                dependencies.check_whole(version, steps)
                return (await dependencies.whole(fetch)).graph
            found = await self._reached(fetch, name, version, way)
            return found.graph if steps is None else found.within(steps)

    async def _reached(self, fetch: Fetch, name: str, version: str | None, direction: GraphDirection) -> Reached:
        """NotFoundError names what is missing; a module may have no version yet."""
        key, identity = check_module_name(name), None if version is None else check_version(version)[0]
        found = await dependencies.reached(fetch, key, identity, direction)
        if not found.states:
            is_there = await dependencies.has_module(fetch, key)
            if identity is not None or not is_there:
                raise no_version(key, identity) if is_there and identity else no_module(key)
        return found
