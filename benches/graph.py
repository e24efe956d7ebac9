"""P.4: `DependencyGraph` beside rustworkx and networkx, on 100,000 nodes and 500,000 edges. `make bench BENCH=graph`

Contenders alternate for ROUNDS rounds; a figure is the best of a contender's rounds, in the processor's time of this thread, since
other work on the machine costs less of it. "From ids" is what a database gives: places of nodes, in a buffer for ours and in tuples for
rustworkx, which has no quicker way; ours also keeps a name for each node, rustworkx nothing. "From names" is pairs of str: rustworkx
needs a dict for them. `--small` takes a tenth, `--quick` fewer rounds, `--write` keeps the table.
"""

from __future__ import annotations

import array
import gc
import random
import sys
import time
from collections.abc import Callable
from functools import partial

import networkx as nx
import rustworkx as rx

from benches import _machine
from benches._paired import Row, table
from tierstore import DependencyGraph

SMALL = 10 if "--small" in sys.argv else 1
NODES, EDGES = 100_000 // SMALL, 500_000 // SMALL
ROUNDS = 3 if "--quick" in sys.argv else 15
BACKWARD = 1_000
"""One edge of so many leads back, and may close a cycle."""
MIDDLE = NODES // 2
Work = Callable[[], object]


def made() -> list[tuple[int, int]]:
    """Edges from each node to later ones, most of them near, as modules depend on one another."""
    dice, pairs = random.Random(1), []
    for number in range(EDGES):
        node = dice.randrange(NODES - 1)
        to = min(NODES - 1, node + 1 + int(dice.expovariate(20 / NODES)))
        pairs.append((to, node) if number % BACKWARD == 0 else (node, to))
    return pairs


def best(contenders: dict[str, Work]) -> dict[str, float]:
    """Milliseconds."""
    found = dict.fromkeys(contenders, float("inf"))
    for _ in range(ROUNDS):
        for name, work in contenders.items():
            gc.collect()
            gc.disable()
            started = time.thread_time()
            kept = work()
            found[name] = min(found[name], (time.thread_time() - started) * 1e3)
            gc.enable()
            del kept
    return found


def rows(goal: str, what: str, contenders: dict[str, Work], most_ms: float | None, times: float | None) -> list[Row]:
    """Ours against each rival; the time is a goal of ours alone, the ratio one against rustworkx."""
    found = best(contenders)
    ours = found.pop("ours")
    table_ = []
    for name, rival in found.items():
        wanted = times if name == "rustworkx" else None
        met = None if wanted is None else rival / ours >= wanted
        goals = "" if wanted is None else f"≥ {wanted:g} ×"
        table_.append(Row(goal, what, f"{ours:.2f} ms", f"{name} {rival:.2f} ms", rival / ours, goals, met))
    if most_ms is not None:
        table_.append(Row(goal, what, f"{ours:.2f} ms", "", None, f"≤ {most_ms:g} ms", ours <= most_ms))
    return table_


def rustworkx_of(pairs: list[tuple[int, int]]) -> rx.PyDiGraph:
    graph = rx.PyDiGraph()
    graph.extend_from_edge_list(pairs)
    return graph


def rustworkx_named(pairs: list[tuple[str, str]]) -> rx.PyDiGraph:
    places: dict[str, int] = {}
    ids = [(places.setdefault(node, len(places)), places.setdefault(to, len(places))) for node, to in pairs]
    graph = rx.PyDiGraph()
    graph.add_nodes_from(list(places))
    graph.add_edges_from_no_data(ids)
    return graph


def components(pairs: list[tuple[int, int]], names: list[str], words: array.array[int]) -> list[Row]:
    named = [(names[node], names[to]) for node, to in pairs]
    contenders: dict[str, Work] = {
        "ours": lambda: DependencyGraph.from_ids(names, words).cycles(),
        "rustworkx": lambda: rx.strongly_connected_components(rustworkx_of(pairs)),
        "networkx": lambda: list(nx.strongly_connected_components(nx.DiGraph(pairs))),
    }
    found = rows("P.4", "build and components, from ids", contenders, 25, 5)
    contenders = {
        "ours": lambda: DependencyGraph.from_edges(named).cycles(),
        "rustworkx": lambda: rx.strongly_connected_components(rustworkx_named(named)),
        "networkx": lambda: list(nx.strongly_connected_components(nx.DiGraph(named))),
    }
    return found + rows("P.4", "build and components, from names", contenders, None, None)


def queries(pairs: list[tuple[int, int]], names: list[str], words: array.array[int]) -> list[Row]:
    ours, theirs, plain = DependencyGraph.from_ids(names, words), rustworkx_of(pairs), nx.DiGraph(pairs)
    last, first, middle = names[-1], names[0], names[MIDDLE]
    return [
        *rows(
            "P.4",
            "dependents of one node, all steps",
            {
                "ours": lambda: ours.dependents(middle, transitive=True),
                "rustworkx": lambda: rx.ancestors(theirs, MIDDLE),
                "networkx": lambda: nx.ancestors(plain, MIDDLE),
            },
            10,
            None,
        ),
        *rows(
            "",
            "a shortest path",
            {
                "ours": lambda: ours.path(first, last),
                "rustworkx": partial(rx.dijkstra_shortest_paths, theirs, 0, NODES - 1),
                "networkx": lambda: nx.shortest_path(plain, 0, NODES - 1),
            },
            None,
            None,
        ),
    ]


def growth(names: list[str], words: array.array[int]) -> str:
    """One more module among many costs its own edges."""
    graph, dice, count = DependencyGraph.from_ids(names, words), random.Random(2), 20_000
    more = [(f"new {number}", dice.sample(names, 5)) for number in range(count)]
    started = time.thread_time()
    for node, dependencies in more:
        graph.add(node, dependencies)
    micros = (time.thread_time() - started) * 1e6 / count
    reducing = time.thread_time()
    kept = graph.reduced().edge_count
    reduced = (time.thread_time() - reducing) * 1e3
    return (
        f"Adding a node with 5 dependencies: {micros:.1f} µs. Reduction to {kept:,} of {graph.edge_count:,} edges: "
        f"{reduced:,.0f} ms. Memory: {sys.getsizeof(graph) / graph.edge_count:.0f} bytes an edge, names included."
    )


def main() -> None:
    pairs = made()
    names = [f"acme/service_{number}/v1/api.proto" for number in range(NODES)]
    words = array.array("I", [place for pair in pairs for place in pair])
    lines = table([*components(pairs, names, words), *queries(pairs, names, words)])
    text = f"{lines}\n\n{growth(names, words)}\n"
    print(text)
    if "--write" in sys.argv:
        _machine.write("graph.md", f"```\n{_machine.header(('rustworkx', 'networkx'))}\n```\n\n{text}")


if __name__ == "__main__":
    main()
