"""Who depends on whom: closures, impact, circles, graphs, and that nothing is deleted that others need."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

import tierstore
from tests.contract.module_stores import OpenModules, raised
from tests.contract.schema_stores import BACKENDS, backend_config
from tests.contract.test_modules_imports import SYNTAX, World, importing
from tierstore import ModuleRef, errors
from tierstore.assembly import DATABASE_FILE

ROUNDS = 12


@pytest.fixture
def world(modules: OpenModules) -> World:
    return World(modules)


async def diamond(world: World) -> list[str]:
    """top needs left and right, both of which need base; left and right are published, top is a draft."""
    base = await world.provider("base", "1.0.0", files=("base",))
    left = await world.dependant("left", "base", state="published")
    right = await world.dependant("right", "base", state="published")
    top = await world.dependant("top", "left", "right")
    return [base, left, right, top]


@pytest.mark.requirement("S0-21", "S0-58")
def test_closures_and_impact(modules: OpenModules, world: World):
    async def scenario(store):
        base, left, right, top = await diamond(world)
        down = await store.dependencies(top, "1.0.0", transitive=True)
        assert down == [ModuleRef(left, "1.0.0", 1), ModuleRef(right, "1.0.0", 1), ModuleRef(base, "1.0.0", 2)]
        direct = [ModuleRef(left, "1.0.0", 1), ModuleRef(right, "1.0.0", 1)]
        assert await store.dependents(base) == await store.dependents(base, "1.0.0") == direct
        everyone = [*direct, ModuleRef(top, "1.0.0", 2)]
        assert await store.dependents(base, transitive=True) == everyone
        impact = await store.impact(base, "1.0.0")
        assert (list(impact.direct), list(impact.transitive)) == (direct, everyone)
        assert (list(impact.published), impact.by_depth) == (direct, (2, 1))
        await store.deprecate(left, "1.0.0", "old")
        await store.archive(right, "1.0.0")
        assert [ref.name for ref in (await store.impact(base, "1.0.0")).published] == [left]
        nothing = await store.impact(top, "1.0.0")
        assert (nothing.direct, nothing.transitive, nothing.by_depth) == ((), (), ())
        assert await store.dependencies(base, "1.0.0", transitive=True) == await store.dependencies(base, "1.0.0") == []

    modules.run(scenario)


@pytest.mark.requirement("S0-25", "S0-26")
def test_what_is_resolved_stands_in_the_table_once(modules: OpenModules, world: World):
    """As the document draws it: neither what is the version's own nor what waits; gone with the version; with both indexes."""

    async def scenario(store):
        common, name = await world.provider("common", "1.0.0"), world.name("app")
        await store.create(name)
        text = importing(world.path("common"), world.path("own"), world.path("none"))
        files = {world.path("one"): text, world.path("two"): text, world.path("own"): SYNTAX}
        await store.create_version(name, "1.0.0", files)
        columns = "module_name, version, dependency_name, dependency_version, import_path"
        query = f"SELECT {columns} FROM module_dependencies WHERE module_name = '{name}' AND created_at IS NOT NULL"
        assert rows_of(modules, query) == [(name, "1.0.0", common, "1.0.0", world.path("common"))]
        await store.delete_version(name, "1.0.0")
        assert rows_of(modules, query) == []

    modules.run(scenario)
    catalogue, column = ("sqlite_master", "name") if modules.config.postgres is None else ("pg_indexes", "indexname")
    found = {row[0] for row in rows_of(modules, f"SELECT {column} FROM {catalogue}")}
    assert {"idx_dependencies_module", "idx_dependencies_dep"} <= found


def rows_of(modules: OpenModules, query: str) -> list[tuple[Any, ...]]:
    """Past the store."""
    if modules.config.postgres is not None:
        schema = modules.config.postgres.schema
        with psycopg.connect(modules.config.postgres.url) as pg:
            pg.execute(f"SET LOCAL search_path TO {schema}")
            return pg.execute(query).fetchall()
    with closing(sqlite3.connect(Path(modules.config.path) / DATABASE_FILE)) as lite:
        return lite.execute(query).fetchall()


@pytest.mark.requirement("S0-23", "S0-58")
def test_graphs(modules: OpenModules, world: World):
    async def scenario(store):
        base, left, right, top = await diamond(world)
        await store.deprecate(base, "1.0.0", "old")
        nodes = {name: f"{name}@1.0.0" for name in (base, left, right, top)}
        graph = await store.graph(top, "1.0.0")
        assert set(graph) == set(nodes.values())
        assert graph.edge_count == 4
        assert graph.deprecated == [nodes[base]]
        assert graph == await store.graph(top) == await store.graph(base, direction="dependents")
        assert nodes[base] in graph.to("svg")
        near = await store.graph(top, depth=1)
        assert set(near) == {nodes[top], nodes[left], nodes[right]}
        assert set(await store.graph(base, direction="dependents", depth=0)) == {nodes[base]}
        whole = await store.graph()
        assert set(graph.edges()) <= set(whole.edges())
        await store.create_version(base, "2.0.0", {})
        assert set(await store.graph(base)) == {nodes[base], f"{base}@2.0.0"}

    modules.run(scenario)


@pytest.mark.requirement("S0-22")
def test_modules_that_depend_on_each_other(modules: OpenModules, world: World):
    async def scenario(store):
        one = await world.dependant("one", "two", state="published", allow_unresolved=True)
        two = await world.dependant("two", "one", state="published")
        circle = {f"{one}@1.0.0", f"{two}@1.0.0"}
        assert circle in [set(each) for each in await store.cycles()]
        assert await store.dependencies(one, "1.0.0", transitive=True) == [ModuleRef(two, "1.0.0", 1)]
        assert await store.dependents(one, transitive=True) == [ModuleRef(two, "1.0.0", 1)]

    modules.run(scenario)


def test_a_version_that_others_depend_on_is_not_deleted(modules: OpenModules, world: World):
    async def scenario(store):
        base, left, right, top = await diamond(world)
        refused = await raised(store.delete_version(base, "1.0.0"))
        assert isinstance(refused, errors.ConflictError)
        assert f"{left}@1.0.0, {right}@1.0.0" in str(refused)
        assert await store.get_version(base, "1.0.0", read="latest") is not None
        for name in (top, left, right, base):
            await store.delete_version(name, "1.0.0")
        await store.delete(base)

    modules.run(scenario)


def test_dependencies_of_what_is_not_there(modules: OpenModules, world: World):
    async def scenario(store):
        name, none = await world.provider("base", "1.0.0"), world.name("none")
        for call in (
            lambda: store.dependencies(name, "2.0.0"),
            lambda: store.dependencies(name, "2.0.0", transitive=True),
            lambda: store.dependents(name, "2.0.0"),
            lambda: store.dependents(none),
            lambda: store.impact(none, "1.0.0"),
            lambda: store.graph(none),
        ):
            assert isinstance(await raised(call()), errors.NotFoundError)
        for call, place in (
            (lambda: store.graph(name, direction="up"), "direction"),
            (lambda: store.graph(name, depth=-1), "depth"),
            (lambda: store.graph(depth=1), "depth"),
            (lambda: store.graph(version="1.0.0"), "version"),
            (lambda: store.dependents(name, transitive=1), "transitive"),
        ):
            error = await raised(call())
            assert isinstance(error, errors.ValidationError)
            assert error.place == place

    modules.run(scenario)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", ["delete", "provide"])
def test_two_at_the_same_moment(request: pytest.FixtureRequest, tmp_path: Path, backend: str, case: str):
    """Two stores, each with connections of its own. Of a deletion and a new dependant one wins; an import and its provider meet."""
    config = backend_config(request, backend, tmp_path)
    with tierstore.blocking.open(config) as one, tierstore.blocking.open(config) as two:
        for number in range(ROUNDS):
            provider, app, path = f"p{number}", f"a{number}", f"p{number}.proto"
            one.modules.create(provider)
            one.modules.create(app)
            files, needed = {path: SYNTAX}, {f"{app}.proto": importing(path)}
            if case == "delete":
                one.modules.create_version(provider, "1.0.0", files, state="published")
                deleted, created = at_once(
                    lambda p=provider: one.modules.delete_version(p, "1.0.0"),
                    lambda a=app, n=needed: two.modules.create_version(a, "1.0.0", n, state="published"),
                )
                assert [deleted, created].count(None) == 1, (deleted, created)
                assert isinstance(deleted or created, errors.ConflictError)
                there = one.modules.get_version(provider, "1.0.0", read="latest") is not None
                assert there == (created is None)
            else:
                outcomes = at_once(
                    lambda p=provider, f=files: one.modules.create_version(p, "1.0.0", f, state="published"),
                    lambda a=app, n=needed: two.modules.create_version(a, "1.0.0", n),
                )
                assert outcomes == [None, None]
                (found,) = two.modules.dependencies(app, "1.0.0", read="latest")
                assert (found.module, found.version) == (provider, "1.0.0")


def at_once(*calls: Callable[[], Any]) -> list[Exception | None]:
    """The error of each, or None; all begin together."""
    outcomes: list[Exception | None] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(index: int) -> None:
        barrier.wait()
        try:
            calls[index]()
        except Exception as error:
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
