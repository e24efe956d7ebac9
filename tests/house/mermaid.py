"""Asks Mermaid's own parser about what `DependencyGraph.to("mermaid")` writes: `python -m tests.house.mermaid`. It needs node and npm.

By hand, since Mermaid runs in a browser and its packages take 150 MB: `tests/core/test_graph_export.py` holds the form of each line.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from tests.core.test_graph_export import HOSTILE, module_graph
from tests.house.corpus import npm
from tierstore import DependencyGraph

PACKAGES = ("mermaid@11", "jsdom@26")
SCRIPT = """
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";
const { window } = new JSDOM("");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");
for (const { text, nodes, edges } of JSON.parse(readFileSync("texts.json", "utf8"))) {
  await mermaid.parse(text);
  const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
  const found = [db.getVertices().size, db.getEdges().length];
  if (found[0] !== nodes || found[1] !== edges) throw new Error(`read ${found}, not ${[nodes, edges]}: ${text}`);
}
"""


def texts() -> list[dict[str, object]]:
    graphs = [DependencyGraph.from_edges([(name, "b"), ("b", name)]) for name in HOSTILE if name != "b"]
    graphs += [module_graph(nodes, 1) for nodes in (5, 50, 200)]
    return [{"text": graph.to("mermaid"), "nodes": len(graph), "edges": graph.edge_count} for graph in graphs]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*npm(), "install", "--silent", "--no-audit", *PACKAGES], cwd=folder, check=True)
        (Path(folder) / "texts.json").write_text(json.dumps(texts()))
        (Path(folder) / "parse.mjs").write_text(SCRIPT)
        subprocess.run(["node", "parse.mjs"], cwd=folder, check=True)
    print(f"Mermaid reads all {len(texts())} texts")


if __name__ == "__main__":
    main()
