"""What versions depend on, and who depends on them: read from the rows of the imports, walked in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from tierstore._native import DependencyGraph
from tierstore.answers import Answer
from tierstore.backends import Row
from tierstore.calls.scope import Fetch
from tierstore.errors import ValidationError
from tierstore.plan.arguments import shown
from tierstore.plan.imports import ImportKind, ImportStatus
from tierstore.plan.lockfile import node
from tierstore.plan.modules import ModuleState
from tierstore.plan.paging import MAX_COUNT

GraphDirection = Literal["dependencies", "dependents"]
"""Which way a graph is walked: to what a version depends on, or to what depends on it."""
QUERIES: Final[Mapping[str, str]] = {"dependencies": "graph_down", "dependents": "graph_up"}
ABOVE: Final = "@"
"""No version's node: it has no name."""
IN_USE: Final = ("published", "deprecated")


@dataclass(frozen=True, slots=True)
class Dependency(Answer):
    """An import as it stands in a file of a version, and the module version that it was bound to.

    `line` and `column` count from 1. `error`: why it is unresolved. A file that does not parse is a Dependency of the kind "unparsed",
    without a path, at the place of the fault.
    """

    file: str
    path: str
    kind: ImportKind
    line: int
    column: int
    module: str | None
    version: str | None
    status: ImportStatus
    error: str | None


@dataclass(frozen=True, slots=True)
class ModuleRef(Answer):
    """A version of a module that others lead to; `depth`: over how many steps, 1 for a direct one."""

    name: str
    version: str
    depth: int


@dataclass(frozen=True, slots=True)
class Impact(Answer):
    """Who would feel it if a version went. `transitive`: all of them, the direct ones too, by depth; `published`: those of them that are
    published or deprecated; `by_depth[0]`: how many are direct, and so on."""

    direct: tuple[ModuleRef, ...]
    transitive: tuple[ModuleRef, ...]
    published: tuple[ModuleRef, ...]
    by_depth: tuple[int, ...]


class Reached(NamedTuple):
    """What is reached from some versions, and the state of each version in it."""

    graph: DependencyGraph
    states: Mapping[tuple[str, str], ModuleState]
    roots: Sequence[tuple[str, str]]
    direction: GraphDirection

    def refs(self, depth: int | None = None) -> list[ModuleRef]:
        """The others, by depth and name; those within `depth` steps."""
        roots = {node(*each) for each in self.roots}
        names = {node(*each): each for each in self.states}
        refs = [ModuleRef(*names[name], steps) for name, steps in self._depths(depth).items() if name not in roots]
        return sorted(refs, key=lambda ref: (ref.depth, ref.name, ref.version))

    def within(self, depth: int) -> DependencyGraph:
        """The part of the graph within `depth` steps."""
        return self.graph.subgraph(sorted(self._depths(depth)))

    def _depths(self, depth: int | None) -> dict[str, int]:
        """How far each node is from the nearest root: they are walked from one node above them all."""
        graph, roots = self.graph.copy(), [node(*each) for each in self.roots]
        if self.direction == "dependencies":
            graph.add(ABOVE, roots)
        else:
            for root in roots:
                graph.add(root, [ABOVE])
        distances = graph.distances(ABOVE, direction=self.direction, depth=None if depth is None else depth + 1)
        return {name: steps - 1 for name, steps in distances.items() if name != ABOVE}


async def imports_of(fetch: Fetch, name: str, version: str) -> list[Dependency]:
    """By file and place."""
    rows = await fetch("modules_imports.imports_of", {"name": name, "version": version})
    return [
        Dependency(file, path, kind, line, column, module, bound, status, error)
        for _, file, path, kind, line, column, status, error, module, bound in rows
    ]


async def reached(fetch: Fetch, name: str, version: str | None, direction: GraphDirection) -> Reached:
    """What is reached from a version, or from all versions of a module."""
    params = {"name": name, "version": version or ""}
    found = _graph_of(await fetch(f"modules_imports.{QUERIES[direction]}", params))
    roots = [each for each in found.states if each[0] == name and version in (None, each[1])]
    return found._replace(roots=roots, direction=direction)


async def whole(fetch: Fetch) -> Reached:
    """Every version that there is."""
    return _graph_of(await fetch("modules_imports.whole_graph", {}))


async def has_module(fetch: Fetch, name: str) -> bool:
    return bool(await fetch("modules_write.find", {"name": name}))


def _graph_of(rows: Iterable[Row]) -> Reached:
    states: dict[tuple[str, str], ModuleState] = {}
    edges = []
    for name, version, state, dependency, bound in rows:
        states[name, version] = state
        if dependency is not None:
            edges.append(((name, version), (dependency, bound)))
    pairs = sorted((node(*one), node(*other)) for one, other in edges if other in states)
    deprecated = [node(*each) for each, state in states.items() if state == "deprecated"]
    nodes = sorted(node(*each) for each in states)
    graph = DependencyGraph.from_edges(pairs, nodes, deprecated=deprecated)
    return Reached(graph, states, (), "dependencies")


def impact_of(found: Reached) -> Impact:
    everyone = tuple(found.refs())
    counts = Counter(ref.depth for ref in everyone)
    return Impact(
        tuple(ref for ref in everyone if ref.depth == 1),
        everyone,
        tuple(ref for ref in everyone if found.states[ref.name, ref.version] in IN_USE),
        tuple(counts[depth] for depth in range(1, len(counts) + 1)),
    )


def check_direction(direction: object) -> GraphDirection:
    for each in ("dependencies", "dependents"):
        if direction == each:
            return each
    raise ValidationError(
        f"direction must be 'dependencies' or 'dependents', got {shown(direction)}", place="direction"
    )


def check_depth(depth: object) -> int | None:
    """How many steps a graph is walked; None: all."""
    if depth is None or (isinstance(depth, int) and not isinstance(depth, bool) and 0 <= depth <= MAX_COUNT):
        return depth
    raise ValidationError(f"depth must be None or an int from 0 on, got {shown(depth)}", place="depth")


def check_whole(version: object, depth: object) -> None:
    """The graph of all modules starts nowhere."""
    for place, given in (("version", version), ("depth", depth)):
        if given is not None:
            raise ValidationError(f"{place} is for the graph of one module; give its name too", place=place)
