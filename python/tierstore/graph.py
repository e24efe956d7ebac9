"""What depends on what, in memory: closures, cycles, orders, paths, differences and drawings.

    graph = DependencyGraph.from_edges([("app", "http"), ("http", "socket"), ("app", "log")])
    graph.dependents("socket", transitive=True)     # ['http', 'app']

The graph lives in the native module; a hundred thousand nodes are walked in milliseconds (docs/graph.md).
"""

from tierstore._native import DependencyGraph, GraphChanges
from tierstore.errors import CycleError

__all__ = ["CycleError", "DependencyGraph", "GraphChanges"]
