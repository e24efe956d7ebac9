"""`DependencyGraph` as Python sees it: equal to networkx on random graphs, sound on long chains and hostile names, safe in threads."""

from __future__ import annotations

import array
import copy
import itertools
import pickle
import random
import sys
import threading

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tierstore
from tierstore import ConflictError, CycleError, DependencyGraph, NotFoundError, ValidationError

LONG = 1_000_000
NAMES = st.sampled_from("abcdefghij")
PAIRS = st.lists(st.tuples(NAMES, NAMES), max_size=30)
HOSTILE = [
    "",
    " ",
    '"',
    "'",
    "\\",
    "\n",
    "\0",
    "<b>&amp;",
    "a\tb",
    "é",
    "e\u0301",
    "\u202e",
    "\U0001f600",
    "x" * 10_000,
]


def other(graph: DependencyGraph) -> nx.DiGraph:
    made = nx.DiGraph(graph.edges())
    made.add_nodes_from(graph)
    return made


def order_of(graph: DependencyGraph) -> dict[str, int]:
    return {node: place for place, node in enumerate(graph)}


@settings(deadline=None)
@given(PAIRS)
def test_what_is_reached_and_how_far_is_networkx_answer(pairs: list[tuple[str, str]]) -> None:
    graph = DependencyGraph.from_edges(pairs)
    theirs, joined = other(graph), order_of(graph)
    for node in graph:
        for direction, view in (("dependencies", theirs), ("dependents", theirs.reverse())):
            far = nx.single_source_shortest_path_length(view, node)
            del far[node]
            ours = graph.distances(node, direction=direction)  # type: ignore[arg-type]
            assert ours == far
            assert list(ours) == sorted(far, key=lambda name: (far[name], joined[name]))
            ask = getattr(graph, direction)
            assert ask(node, transitive=True) == list(ours)
            assert ask(node) == [name for name, steps in ours.items() if steps == 1]
            for depth in (1, 2, 3, 10**30):
                assert ask(node, depth=depth) == [name for name, steps in ours.items() if steps <= depth]
                assert list(graph.distances(node, direction=direction, depth=depth)) == ask(node, depth=depth)  # type: ignore[arg-type]


@settings(deadline=None)
@given(PAIRS)
def test_paths_are_shortest(pairs: list[tuple[str, str]]) -> None:
    graph = DependencyGraph.from_edges(pairs)
    theirs = other(graph)
    for start in graph:
        for end in graph:
            path = graph.path(start, end)
            if path is None:
                assert not nx.has_path(theirs, start, end)
            else:
                assert (path[0], path[-1]) == (start, end)
                assert len(path) == nx.shortest_path_length(theirs, start, end) + 1
                assert all(theirs.has_edge(*step) for step in itertools.pairwise(path))


@settings(deadline=None)
@given(PAIRS)
def test_cycles_are_the_components(pairs: list[tuple[str, str]]) -> None:
    graph = DependencyGraph.from_edges(pairs)
    theirs, joined = other(graph), order_of(graph)
    components = map(set, nx.strongly_connected_components(theirs))
    expected = [part for part in components if len(part) > 1 or theirs.has_edge(*(2 * list(part))[:2])]
    cycles = graph.cycles()
    assert sorted(map(sorted, cycles)) == sorted(map(sorted, expected))
    assert cycles == [sorted(cycle, key=joined.__getitem__) for cycle in sorted(cycles, key=lambda c: joined[c[0]])]


@settings(deadline=None)
@given(PAIRS)
def test_an_order_puts_dependencies_first_or_names_a_cycle(pairs: list[tuple[str, str]]) -> None:
    graph = DependencyGraph.from_edges(pairs)
    theirs, joined = other(graph), order_of(graph)
    if nx.is_directed_acyclic_graph(theirs):
        first = nx.lexicographical_topological_sort(theirs.reverse(), key=joined.__getitem__)
        assert graph.topological_order() == list(first)
        return
    with pytest.raises(CycleError) as raised:
        graph.topological_order()
    cycle = raised.value.cycle
    assert isinstance(raised.value, ConflictError)
    assert all(theirs.has_edge(*step) for step in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    assert pickle.loads(pickle.dumps(raised.value)).cycle == cycle


@settings(deadline=None)
@given(PAIRS)
def test_a_reduction_of_a_graph_without_cycles_is_networkx_reduction(pairs: list[tuple[str, str]]) -> None:
    graph = DependencyGraph.from_edges([(max(pair), min(pair)) for pair in pairs if pair[0] != pair[1]])
    assert sorted(graph.reduced().edges()) == sorted(nx.transitive_reduction(other(graph)).edges())
    assert list(graph.reduced()) == list(graph)


@settings(deadline=None)
@given(PAIRS)
def test_a_reduction_reaches_the_same(pairs: list[tuple[str, str]]) -> None:
    graph = DependencyGraph.from_edges(pairs)
    reduced = graph.reduced()
    assert set(reduced.edges()) <= set(graph.edges())
    for node in graph:
        assert set(reduced.dependencies(node, transitive=True)) == set(graph.dependencies(node, transitive=True))
    assert reduced.reduced() == reduced


@settings(deadline=None)
@given(PAIRS, PAIRS, st.sets(NAMES), st.sets(NAMES))
def test_changes_are_differences_of_sets(
    old: list[tuple[str, str]], new: list[tuple[str, str]], marked: set[str], marked_later: set[str]
) -> None:
    before, after = DependencyGraph.from_edges(old), DependencyGraph.from_edges(new)
    for graph, marks in ((before, marked), (after, marked_later)):
        for node in marks & set(graph):
            graph.add(node, deprecated=True)
    changes = after.changes_since(before)
    assert set(changes.added_nodes) == set(after) - set(before)
    assert set(changes.removed_nodes) == set(before) - set(after)
    assert set(changes.added_edges) == set(after.edges()) - set(before.edges())
    assert set(changes.removed_edges) == set(before.edges()) - set(after.edges())
    assert set(changes.deprecated) == set(after.deprecated) - set(before.deprecated)
    assert set(changes.undeprecated) == (set(before.deprecated) - set(after.deprecated)) & set(after)
    assert bool(changes) == (before != after)
    assert changes == after.changes_since(before)
    assert hash(changes) == hash(after.changes_since(before))


@settings(deadline=None)
@given(PAIRS, st.sets(NAMES), st.randoms())
def test_an_impact_is_the_union_of_dependents(
    pairs: list[tuple[str, str]], some: set[str], dice: random.Random
) -> None:
    graph = DependencyGraph.from_edges(pairs, list("abcdefghij"))
    changed = sorted(some)
    dice.shuffle(changed)
    concerned = {name for node in changed for name in graph.dependents(node, transitive=True)}
    assert set(graph.impact(changed)) == concerned - some
    assert graph.impact("a") == graph.dependents("a", transitive=True)


@settings(deadline=None)
@given(PAIRS, st.randoms())
def test_a_graph_is_equal_however_it_came_about(pairs: list[tuple[str, str]], dice: random.Random) -> None:
    built = DependencyGraph.from_edges(pairs, deprecated=[pair[0] for pair in pairs[:3]])
    grown = DependencyGraph()
    shuffled = dice.sample(pairs, len(pairs))
    for node, dependency in shuffled:
        grown.add(node, [dependency])
    assert (grown == built) == (not pairs)
    for node in built.deprecated:
        grown.add(node, deprecated=True)
    assert grown == built
    assert grown.edge_count == built.edge_count == len(set(pairs))
    names = list(built)
    places = {name: place for place, name in enumerate(names)}
    ids = [(places[node], places[to]) for node, to in pairs]
    words = array.array("I", [place for pair in ids for place in pair])
    for edges in (ids, words, words.tobytes(), memoryview(words)):
        assert DependencyGraph.from_ids(names, edges, deprecated=built.deprecated) == built
    for twin in (pickle.loads(pickle.dumps(built)), copy.copy(built), copy.deepcopy(built), built.copy()):
        assert twin == built
        assert list(twin) == list(built)
        twin.add("z", ["a"])
        assert twin != built


@settings(deadline=None)
@given(PAIRS, st.sets(NAMES))
def test_a_subgraph_has_the_edges_among_its_nodes(pairs: list[tuple[str, str]], kept: set[str]) -> None:
    graph = DependencyGraph.from_edges(pairs)
    kept &= set(graph)
    part = graph.subgraph(kept)
    assert list(part) == [node for node in graph if node in kept]
    assert set(part.edges()) == {edge for edge in graph.edges() if set(edge) <= kept}


def test_orders_are_those_in_which_nodes_joined() -> None:
    graph = DependencyGraph.from_edges([("c", "b"), ("c", "a"), ("d", "c")], nodes=["x", "a"])
    assert list(graph) == ["x", "a", "c", "b", "d"]
    assert graph.dependencies("c") == ["a", "b"]
    assert graph.dependents("a", transitive=True) == ["c", "d"]
    assert graph.topological_order() == ["x", "a", "b", "c", "d"]
    assert graph.edges() == [("c", "a"), ("c", "b"), ("d", "c")]
    assert (len(graph), graph.edge_count, "x" in graph, "y" in graph, 1 in graph, "\ud800" in graph) == (
        *(5, 3),
        *(True, False, False, False),
    )
    assert repr(graph) == "<DependencyGraph of 5 nodes and 3 edges>"


def test_a_node_that_depends_on_itself_is_a_cycle_and_not_its_own_dependency() -> None:
    graph = DependencyGraph.from_edges([("a", "a"), ("a", "b")])
    assert graph.cycles() == [["a"]]
    assert graph.dependencies("a") == graph.dependencies("a", transitive=True) == ["b"]
    assert graph.path("a", "a") == ["a"]
    with pytest.raises(CycleError, match="the nodes depend on one another: 'a' → 'a'"):
        graph.topological_order()


def test_an_empty_graph_answers() -> None:
    graph = DependencyGraph()
    assert (len(graph), list(graph), graph.edges(), graph.cycles(), graph.topological_order()) == (0, [], [], [], [])
    assert graph == DependencyGraph.from_edges([]) == graph.reduced()
    assert not graph.changes_since(DependencyGraph())
    with pytest.raises(TypeError):
        hash(graph)
    assert graph != 1


CALLS = [
    lambda graph: graph.dependencies("gone"),
    lambda graph: graph.dependents("gone", transitive=True),
    lambda graph: graph.distances("gone"),
    lambda graph: graph.path("a", "gone"),
    lambda graph: graph.path("gone", "a"),
    lambda graph: graph.impact("gone"),
    lambda graph: graph.impact(["a", "gone"]),
    lambda graph: graph.subgraph(["gone"]),
    lambda graph: DependencyGraph.from_edges([], deprecated=["gone"]),
]


@pytest.mark.parametrize("call", CALLS)
def test_an_unknown_node_is_named(call: object) -> None:
    with pytest.raises(NotFoundError, match='the graph has no node "gone"') as raised:
        call(DependencyGraph.from_edges([("a", "b")]))  # type: ignore[operator]
    assert raised.value.key == "gone"


def test_a_long_unknown_name_is_shortened_in_the_text_only() -> None:
    with pytest.raises(NotFoundError) as raised:
        DependencyGraph().dependents("x" * 10_000)
    assert len(str(raised.value)) < 300
    assert raised.value.key == "x" * 10_000


WRONG = [
    (lambda: DependencyGraph.from_edges(["ab"]), TypeError, "edge 0 must be a pair of str .* not str"),
    (lambda: DependencyGraph.from_edges([("a", 1)]), TypeError, "a dependency must be str, not int"),
    (lambda: DependencyGraph.from_edges([("a", "b"), ("a",)]), ValidationError, r"got 1 items \(edge 1\)"),
    (lambda: DependencyGraph.from_edges([("a", "\ud800")]), ValidationError, "lone surrogate"),
    (lambda: DependencyGraph.from_edges([], "ab"), TypeError, "an iterable of names"),
    (lambda: DependencyGraph.from_edges(1), TypeError, "not iterable"),
    (lambda: DependencyGraph.from_ids(["a", "b", "a"], []), ValidationError, r"comes twice \(name 2\)"),
    (lambda: DependencyGraph.from_ids(["a"], [(0, 1)]), ValidationError, r"places of the 1 names, from 0 \(edge 0\)"),
    (lambda: DependencyGraph.from_ids(["a"], [(0, -1)]), ValidationError, "edge 0"),
    (lambda: DependencyGraph.from_ids(["a"], [(0, 2**70)]), ValidationError, "edge 0"),
    (lambda: DependencyGraph.from_ids(["a"], [(0, 0.0)]), TypeError, "a pair of int, got float"),
    (lambda: DependencyGraph.from_ids(["a"], b"1234"), ValidationError, "a multiple of 8 bytes"),
    (lambda: DependencyGraph.from_ids(["a"], b"\xff" * 8), ValidationError, "edge 0"),
    (lambda: DependencyGraph().add("a", "bc"), TypeError, "an iterable of names"),
    (lambda: DependencyGraph().add(1), TypeError, "a node must be str, not int"),
    (lambda: some().dependencies("a", depth=0), ValidationError, r"depth must be 1 or more, got 0 \(depth\)"),
    (lambda: some().dependencies("a", depth=-(10**30)), ValidationError, "depth"),
    (lambda: some().dependencies("a", depth="1"), TypeError, "depth must be int or None, not str"),
    (
        lambda: some().distances("a", direction="up"),
        ValidationError,
        'must be "dependencies" or "dependents", got "up"',
    ),
]


def some() -> DependencyGraph:
    return DependencyGraph.from_edges([("a", "b")])


@pytest.mark.parametrize(("call", "error", "text"), WRONG)
def test_what_is_wrong_is_said(call: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()  # type: ignore[operator]


def test_a_call_that_fails_leaves_the_graph_as_it_was() -> None:
    graph = some()

    def failing() -> object:
        yield "c"
        raise KeyError

    with pytest.raises(KeyError):
        graph.add("x", failing())  # type: ignore[arg-type]
    assert graph == some()


def test_names_are_exact_text() -> None:
    graph = DependencyGraph.from_edges(list(itertools.pairwise(HOSTILE)))
    assert list(graph) == HOSTILE
    assert graph.path(HOSTILE[0], HOSTILE[-1]) == HOSTILE
    assert pickle.loads(pickle.dumps(graph)).edges() == graph.edges()


def test_a_text_names_a_long_cycle_shortly() -> None:
    names = [f"{number}" * 300 for number in range(500)]
    graph = DependencyGraph.from_edges(list(zip(names, [*names[1:], names[0]], strict=True)))
    with pytest.raises(CycleError, match=r"\(492 more\)") as raised:
        graph.topological_order()
    assert len(str(raised.value)) < 3_000
    assert list(raised.value.cycle) == names


def test_a_chain_of_a_million_nodes() -> None:
    words = array.array("I", [place for node in range(LONG - 1) for place in (node, node + 1)])
    names = [str(number) for number in range(LONG)]
    graph = DependencyGraph.from_ids(names, words)
    assert len(graph.dependencies("0", transitive=True)) == LONG - 1
    assert graph.dependents(names[-1], depth=3) == names[-2:-5:-1]
    assert graph.path("0", names[-1]) == names
    assert graph.topological_order() == names[::-1]
    assert graph.cycles() == []
    assert graph.reduced() == graph
    graph.add(names[-1], ["0"])
    assert [len(cycle) for cycle in graph.cycles()] == [LONG]
    with pytest.raises(CycleError) as raised:
        graph.topological_order()
    assert len(raised.value.cycle) == LONG
    assert sys.getsizeof(graph) < 130 * LONG
    del graph


def test_memory_is_some_bytes_an_edge() -> None:
    dice = random.Random(1)
    pairs = [(dice.randrange(20_000), dice.randrange(20_000)) for _ in range(100_000)]
    names = [f"module_{number:05}" for number in range(20_000)]
    graph = DependencyGraph.from_ids(names, pairs)
    assert sys.getsizeof(graph) < 10 * 100_000 + 100 * 20_000
    grown = DependencyGraph()
    for node, to in pairs:
        grown.add(names[node], [names[to]])
    assert sys.getsizeof(grown) < 4 * sys.getsizeof(graph)


def test_threads_share_a_graph() -> None:
    """Each reader sees whole additions only: a hub has as many dependencies of one kind as of the other."""
    graph, wrong, ready = DependencyGraph.from_edges([("hub", "x0"), ("hub", "y0")]), [], threading.Barrier(5)

    def write(part: int) -> None:
        ready.wait()
        for number in range(300):
            graph.add("hub", [f"x{part}-{number}", f"y{part}-{number}"])
            graph.add(f"v{part}-{number}", ["hub"])

    def read() -> None:
        ready.wait()
        for _ in range(150):
            seen = [name[0] for name in graph.dependencies("hub", transitive=True)]
            before = graph.copy()
            if seen.count("x") != seen.count("y") or graph.cycles() or before != before.copy():
                wrong.append(seen)
            if graph.changes_since(before).removed_nodes:
                wrong.append(seen)

    workers = [threading.Thread(target=write, args=(part,)) for part in range(2)]
    workers += [threading.Thread(target=read) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert len(graph.dependencies("hub")) == 2 * 601
    assert len(graph.dependents("hub")) == 600


def test_a_graph_may_be_asked_while_its_own_additions_are_made() -> None:
    """Python code that a call runs may call the graph: no lock is held meanwhile."""
    graph = some()

    def asking() -> object:
        for number in range(3):
            graph.add("n", [str(number)])
            yield str(len(graph))

    graph.add("m", asking())  # type: ignore[arg-type]
    assert graph.dependencies("m") == ["4", "5", "6"]
    for node in graph:
        graph.add(f"after {node}", [node])
    assert len(graph) == 20


def test_the_package_exports_it() -> None:
    assert tierstore.DependencyGraph is tierstore.graph.DependencyGraph
    assert {"CycleError", "DependencyGraph", "GraphChanges"} <= set(tierstore.__all__)
