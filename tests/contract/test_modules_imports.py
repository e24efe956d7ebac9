"""What the files of a version import, and which module versions these imports are bound to."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from tests.contract.module_stores import OpenModules, raised
from tierstore import Locked, Lockfile, errors, to_json
from tierstore.stores.modules import binding

SYNTAX = b'syntax = "proto3";\n'


def importing(*paths: str) -> bytes:
    return SYNTAX + "".join(f'import "{path}";\n' for path in paths).encode()


class World:
    """Modules whose names and paths are the test's own."""

    def __init__(self, modules: OpenModules) -> None:
        self.store, self.name, self.prefix = modules.store.modules, modules.name, modules.prefix

    def path(self, name: str) -> str:
        return f"{self.prefix}/{name}.proto"

    async def provider(self, module: str, *versions: str, files: Iterable[str] = ("common",)) -> str:
        """A module with published versions, which have these files."""
        name = self.name(module)
        await self.store.create(name)
        contents = {self.path(file): SYNTAX for file in files}
        for version in versions:
            await self.store.create_version(name, version, contents, state="published")
        return name

    async def dependant(self, module: str, *paths: str, version: str = "1.0.0", **given) -> str:
        """A module with one version, whose file imports these."""
        name = self.name(module)
        await self.store.create(name)
        await self.store.create_version(name, version, {self.path(module): importing(*map(self.path, paths))}, **given)
        return name

    async def bound(self, name: str, version: str = "1.0.0") -> list[tuple[str | None, str | None]]:
        """What its imports are bound to."""
        return [(each.module, each.version) for each in await self.store.dependencies(name, version)]


@pytest.fixture
def world(modules: OpenModules) -> World:
    return World(modules)


@pytest.mark.requirement("S0-20", "S0-35")
def test_imports_are_kept_as_they_stand_in_their_files(modules: OpenModules, world: World):
    async def scenario(store):
        common = await world.provider("common", "1.0.0")
        name = world.name("app")
        await store.create(name)
        text = (
            f'syntax = "proto3";\nimport public "{world.path("common")}"; import weak "{world.path("own")}";\n'
            f'  import "google/protobuf/any.proto";\nimport "{world.path("none")}";\n'
        )
        files = {world.path("own"): SYNTAX, world.path("main"): text.encode(), "notes.txt": b'import "a.proto";'}
        await store.create_version(name, "1.0.0", files)
        return common, name, await store.dependencies(name, "1.0.0")

    common, name, found = modules.run(scenario)
    main = world.path("main")
    assert [(each.file, each.path, each.kind, each.line, each.status) for each in found] == [
        (main, world.path("common"), "public", 2, "resolved"),
        (main, world.path("own"), "weak", 2, "resolved"),
        (main, "google/protobuf/any.proto", "plain", 3, "builtin"),
        (main, world.path("none"), "plain", 4, "unresolved"),
    ]
    assert [(each.module, each.version) for each in found] == [
        (common, "1.0.0"),
        (name, "1.0.0"),
        (None, None),
        (None, None),
    ]
    assert found[2].column == 3
    assert [each.error for each in found] == [None, None, None, "no published module has it"]
    assert json.loads(to_json(found))[0]["path"] == world.path("common")


@pytest.mark.requirement("S0-20")
def test_requires_chooses_the_version_and_without_it_the_highest_release_is_taken(modules: OpenModules, world: World):
    async def scenario(_store):
        common = await world.provider("common", "1.2.0", "1.10.0", "2.0.0", "3.0.0-rc.1")
        cases = [
            ("^1.2", "1.10.0"),
            ("1.2.0", "1.2.0"),
            (">=3.0.0-rc.1", "3.0.0-rc.1"),
            ("latest", "2.0.0"),
            (None, "2.0.0"),
        ]
        for number, (constraint, expected) in enumerate(cases):
            given = {} if constraint is None else {"requires": {common: constraint}}
            name = await world.dependant(f"app{number}", "common", **given)
            assert await world.bound(name) == [(common, expected)], constraint
        lockfile = Lockfile("a@1.0.0", (Locked(common, "1.2.0", "0" * 64, {}),))
        locked = await world.dependant("locked", "common", lockfile=lockfile, requires={common: "^1.2"})
        assert await world.bound(locked) == [(common, "1.2.0")]

    modules.run(scenario)


@pytest.mark.requirement("S0-20")
def test_of_two_that_have_a_path_the_required_one_is_meant(modules: OpenModules, world: World):
    async def scenario(store):
        one, two = await world.provider("one", "1.0.0"), await world.provider("two", "1.0.0")
        open_one = await world.dependant("open", "common")
        (found,) = await store.dependencies(open_one, "1.0.0")
        assert found.status == "unresolved"
        assert one in found.error
        assert two in found.error
        assert await world.bound(await world.dependant("chosen", "common", requires={two: "*"})) == [(two, "1.0.0")]
        both = await world.dependant("both", "common", requires={one: "*", two: "*"})
        assert "all are required" in (await store.dependencies(both, "1.0.0"))[0].error
        none = await world.dependant("none", "common", requires={two: "^2"})
        assert f"{two} ^2" in (await store.dependencies(none, "1.0.0"))[0].error

    modules.run(scenario)


def test_a_required_module_goes_before_what_protoc_brings(modules: OpenModules, world: World):
    async def scenario(store):
        name, path = world.name("wkt"), "google/protobuf/any.proto"
        await store.create(name)
        await store.create_version(name, "1.0.0", {path: SYNTAX}, state="published")
        for module, requires, expected in (("plain", None, None), ("requires", {name: "*"}, name)):
            app = world.name(module)
            await store.create(app)
            await store.create_version(app, "1.0.0", {"a.proto": importing(path)}, requires=requires)
            (found,) = await store.dependencies(app, "1.0.0")
            assert (found.module, found.status) == (expected, "resolved" if expected else "builtin")

    modules.run(scenario)


@pytest.mark.requirement("S0-20", "S0-35")
def test_what_waits_is_bound_when_a_provider_appears_and_then_stays(
    modules: OpenModules, world: World, monkeypatch: pytest.MonkeyPatch
):
    """In batches of one row."""
    monkeypatch.setattr(binding, "WAITING_AT_A_TIME", 1)
    monkeypatch.setattr(binding, "PATHS_AT_A_TIME", 1)

    async def scenario(store):
        common = world.name("common")
        picky = await world.dependant("picky", "a", "b", requires={common: "^2"})
        easy = await world.dependant("easy", "a", "b", "c")
        await world.provider("common", "1.0.0", files=("a", "b"))
        assert await world.bound(easy) == [(common, "1.0.0"), (common, "1.0.0"), (None, None)]
        assert await world.bound(picky) == [(None, None), (None, None)]
        await store.create_version(common, "2.0.0", {world.path("a"): SYNTAX, world.path("b"): SYNTAX})
        assert await world.bound(picky) == [(None, None), (None, None)]
        await store.publish(common, "2.0.0")
        assert await world.bound(picky) == [(common, "2.0.0"), (common, "2.0.0")]
        assert await world.bound(easy) == [(common, "1.0.0"), (common, "1.0.0"), (None, None)]
        assert (await store.audit(common)).items[0].detail["bound"] == 2
        await world.provider("other", "1.0.0", files=("c", "a"))
        assert await world.bound(easy) == [(common, "1.0.0")] * 2 + [(world.name("other"), "1.0.0")]

    modules.run(scenario)


def test_a_draft_is_bound_again_as_its_files_change(modules: OpenModules, world: World):
    async def scenario(store):
        common = await world.provider("common", "1.0.0", files=("a", "b"))
        name = await world.dependant("app", "a", "mine")
        file = world.path("app")
        await store.put_file(name, "1.0.0", world.path("mine"), SYNTAX)
        assert await world.bound(name) == [(common, "1.0.0"), (name, "1.0.0")]
        await store.create_version(
            common, "1.1.0", {world.path("a"): SYNTAX, world.path("b"): SYNTAX}, state="published"
        )
        await store.put_file(name, "1.0.0", file, importing(world.path("b"), world.path("a"), world.path("mine")))
        assert await world.bound(name) == [(common, "1.1.0"), (common, "1.0.0"), (name, "1.0.0")]
        await store.remove_file(name, "1.0.0", world.path("mine"))
        assert await world.bound(name) == [(common, "1.1.0"), (common, "1.0.0"), (None, None)]
        assert len(await store.dependents(common)) == 1
        await store.remove_file(name, "1.0.0", file)
        assert await store.dependencies(name, "1.0.0") == await store.dependents(common) == []
        await store.delete_version(common, "1.0.0")

    modules.run(scenario)


@pytest.mark.requirement("S0-20")
def test_a_version_with_an_unknown_import_is_not_published(modules: OpenModules, world: World):
    async def scenario(store):
        name = await world.dependant("app", "none")
        await store.put_file(name, "1.0.0", world.path("bad"), b'syntax = "proto3";\nmessage {\n')
        found = (await store.dependencies(name, "1.0.0"))[1]
        assert (found.file, found.path, found.kind, found.line, found.column) == (
            world.path("bad"),
            "",
            "unparsed",
            2,
            9,
        )
        refused = await raised(store.publish(name, "1.0.0"))
        assert isinstance(refused, errors.ConflictError)
        assert f"{world.path('app')}:2:1 imports {world.path('none')}: no published module has it" in str(refused)
        assert f"{world.path('bad')}:2:9 does not parse: {found.error.rstrip('.')}" in str(refused)
        assert (await store.get_version(name, "1.0.0")).state == "draft"
        assert await store.get_file(name, "1.0.0", world.path("bad")) == b'syntax = "proto3";\nmessage {\n'
        assert (await store.publish(name, "1.0.0", allow_unresolved=True)).state == "published"
        bad = {world.path("app"): importing(world.path("none"))}
        again = await raised(store.create_version(name, "2.0.0", bad, state="published"))
        assert isinstance(again, errors.ConflictError)
        assert await store.get_version(name, "2.0.0") is None
        made = await store.create_version(name, "2.0.0", bad, state="published", allow_unresolved=True)
        assert made.state == "published"
        assert await store.create_version(name, "2.0.0", bad, state="published") == made

    modules.run(scenario)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"requires": ["a"]}, "requires"),
        ({"requires": {"a": "^"}}, "requires['a'], column 1"),
        ({"requires": {"app": "^1"}}, "requires['app']"),
        ({"lockfile": "{}"}, "lockfile"),
        ({"allow_unresolved": "no"}, "allow_unresolved"),
    ],
)
def test_wrong_arguments_of_a_new_version(modules: OpenModules, given: dict[str, object], place: str):
    error = modules.run(lambda store: raised(store.create_version("app", "1.0.0", {}, **given)))
    assert isinstance(error, errors.ValidationError)
    assert error.place == place


def test_much_text_is_read_beside_the_loop(modules: OpenModules, world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(binding, "READ_ASIDE_BYTES", 0)

    async def scenario(_store):
        common = await world.provider("common", "1.0.0")
        assert await world.bound(await world.dependant("app", "common")) == [(common, "1.0.0")]

    modules.run(scenario)


def test_imports_inside_a_transaction(modules: OpenModules, world: World):
    """They are seen there before the commit, and gone with a rollback."""

    async def scenario(store):
        common = await world.provider("common", "1.0.0")
        name = world.name("app")
        async with modules.store.transaction() as tx:
            await tx.modules.create(name)
            await tx.modules.create_version(name, "1.0.0", {world.path("app"): importing(world.path("common"))})
            assert [each.module for each in await tx.modules.dependencies(name, "1.0.0")] == [common]
            assert len(await tx.modules.dependents(common)) == 1
            await tx.rollback()
        assert await store.dependents(common) == []

    modules.run(scenario)
