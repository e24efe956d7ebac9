"""What `DependencyGraph.to` writes: each format is read by a parser of its own, whatever the names are, and no drawing overlaps."""

from __future__ import annotations

import html
import itertools
import json
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pydot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierstore import DependencyGraph, NotFoundError, ValidationError

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # what pydot calls of pyparsing
SVG = "{http://www.w3.org/2000/svg}"
FORMATS = ("json", "dot", "mermaid", "cytoscape", "svg")
HOSTILE = [
    *("", " ", "  two  ", '"', "'", "\\", 'a\\"', "\\N", "a\\", "\n", "\r\n", "\0", "\x1b[31m", "\x7f", "\x85"),
    *("<script>alert(1)</script>", "</svg>", "]]>", "&amp;", "&#60;", "<b>", "--", "-->", "%%{init: {}}%%", "%% x"),
    *(
        "end",
        "n0",
        "e0",
        "1. list",
        "- list",
        "# head",
        "`code`",
        "**bold**",
        "__init__",
        "a_b",
        "#quot;",
        "style:x#1;",
    ),
    *("classDef a:#b;", '"]', "click n0 call f()", "é", "e\u0301", "名前", "\u202eevil", "\u2028", "\ufeff", "\uffff"),
    *("\U0001f600", "\U0010ffff", "$$x$$", "a;b", "a|b", "{a}", "(a)", "[a]", "x" * 10_000, "y/" * 5_000, "界" * 300),
]
CHAIN = list(itertools.pairwise(HOSTILE))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PAIRS = st.lists(st.tuples(NAMES, NAMES), max_size=12)


def shown(name: str) -> str:
    """As people see it: what cannot be seen is spelt out."""
    unseen = r"[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufdd0-\ufdef]"
    spelt = re.sub(unseen, lambda found: f"\\u{{{ord(found[0]):x}}}", name)
    ends = (letter if ord(letter) & 0xFFFE != 0xFFFE else f"\\u{{{ord(letter):x}}}" for letter in spelt)
    return "".join(ends) or '""'


def check_json(graph: DependencyGraph) -> None:
    text = graph.to("json")
    read = json.loads(text)
    assert [node["id"] for node in read["nodes"]] == sorted(graph)
    assert sorted((edge["source"], edge["target"]) for edge in read["edges"]) == sorted(graph.edges())
    assert not re.search(r"[<>&\x00-\x1f\u2028\u2029]", text)
    assert {node["id"] for node in read["nodes"] if node["deprecated"]} == set(graph.deprecated)
    cyclic = {name for cycle in graph.cycles() for name in cycle}
    assert {node["id"] for node in read["nodes"] if node["in_cycle"]} == cyclic


def check_cytoscape(graph: DependencyGraph) -> None:
    elements = json.loads(graph.to("cytoscape"))["elements"]
    labels = {node["data"]["id"]: node["data"]["label"] for node in elements["nodes"]}
    assert sorted(labels.values()) == sorted(graph)
    edges = [edge["data"] for edge in elements["edges"]]
    assert sorted((labels[edge["source"]], labels[edge["target"]]) for edge in edges) == sorted(graph.edges())
    ids = [*labels, *(edge["id"] for edge in edges)]
    assert len(ids) == len(set(ids))


def check_dot(graph: DependencyGraph) -> None:
    (read,) = pydot.graph_from_dot_data(graph.to("dot"))
    nodes = {node.get_name(): node for node in read.get_nodes() if node.get_name() not in ("graph", "node")}
    labels = {name: unquoted(node.get_label()) for name, node in nodes.items()}
    assert sorted(labels.values()) == sorted(map(shown, graph))
    edges = [(labels[edge.get_source()], labels[edge.get_destination()]) for edge in read.get_edges()]
    assert sorted(edges) == sorted((shown(node), shown(to)) for node, to in graph.edges())


def unquoted(text: str) -> str:
    assert re.fullmatch(r'"([^"\\]|\\.)*"', text, re.DOTALL)
    return html.unescape(re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL))


def check_mermaid(graph: DependencyGraph) -> None:
    """Its own parser is asked by `python -m tests.house.mermaid`; here each line has a form in which nothing can be misread."""
    head, *lines = graph.to("mermaid").removeprefix("---\ntitle: ").replace("\n---\n", "\n", 1).splitlines()
    assert json.loads(head) == "Dependencies"
    assert lines.pop(0) == "flowchart LR"
    labels, edges = {}, []
    for line in lines:
        if node := re.fullmatch(r'  (n\d+)\["((?:[\w ./@-]|[^\x00-\x7f]|#\d+;)+)"\]', line):
            labels[node[1]] = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), node[2])
        elif edge := re.fullmatch(r"  (n\d+) --> (n\d+)", line):
            edges.append((labels[edge[1]], labels[edge[2]]))
        else:
            assert re.match(r"  (classDef|class|linkStyle) ", line)
            assert not line.endswith(";")
    assert sorted(labels.values()) == sorted(map(shown, graph))
    assert sorted(edges) == sorted((shown(node), shown(to)) for node, to in graph.edges())


def check_svg(graph: DependencyGraph) -> None:
    root = ET.fromstring(graph.to("svg"))
    names = ["".join(text.text or "" for text in group.iter(f"{SVG}text")) for group in boxed(root)]
    assert sorted(names) == sorted(map(shown, graph))
    tips = [group.find(f"{SVG}title").text.partition("\ndepends on ")[0] for group in boxed(root)]
    assert sorted(tips) == sorted(map(shown, graph))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {"svg", "title", "rect", "text", "g", "path"}
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]


def boxed(root: ET.Element) -> list[ET.Element]:
    return [group for group in root.iter(f"{SVG}g") if group.find(f"{SVG}rect") is not None]


CHECKS = [check_json, check_cytoscape, check_dot, check_mermaid, check_svg]


@pytest.mark.parametrize("check", CHECKS)
def test_hostile_names(check: object) -> None:
    check(DependencyGraph.from_edges(CHAIN, deprecated=HOSTILE[3:9]))  # type: ignore[operator]
    check(DependencyGraph.from_edges([(HOSTILE[0], HOSTILE[-1]), ("\n", "\n")], HOSTILE))  # type: ignore[operator]


@pytest.mark.parametrize("check", CHECKS)
@settings(deadline=None)
@given(PAIRS)
def test_any_names(check: object, pairs: list[tuple[str, str]]) -> None:
    check(DependencyGraph.from_edges(pairs))  # type: ignore[operator]


@pytest.mark.parametrize("format", FORMATS)
def test_a_title_and_a_root_are_escaped(format: str) -> None:
    for name in HOSTILE:
        graph = DependencyGraph.from_edges([(name, "b")])
        for text in (graph.to(format, title=name), graph.to(format, root=name, direction="dependents")):
            if format in ("json", "cytoscape"):
                json.loads(text)
            elif format == "svg":
                ET.fromstring(text)
            else:
                assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)


# The drawing


def module_graph(nodes: int, seed: int) -> DependencyGraph:
    """Layers of modules with hubs, a few cycles, and some that nobody needs."""
    dice = random.Random(seed)
    names = [f"area_{dice.randrange(9)}/module_{number:03}{'x' * dice.randrange(30)}" for number in range(nodes)]
    pairs = []
    for at in range(nodes * 2):
        one, other = sorted(dice.sample(range(nodes), 2))
        pairs.append((names[one], names[other if at % 3 else nodes - 1 - dice.randrange(3)]))
    pairs += [(names[dice.randrange(nodes)], names[dice.randrange(nodes)]) for _ in range(3)]
    return DependencyGraph.from_edges(pairs, names, deprecated=names[::11])


Box = tuple[float, float, float, float]


def laid_out(text: str) -> Iterator[tuple[list[Box], list[list[tuple[float, float]]], tuple[float, float]]]:
    """For each part of a drawing its boxes, and points along its edges; and where its corner is."""
    root = ET.fromstring(text)
    for part in root.iterfind(f"{SVG}g"):
        rects = [rect.attrib for rect in part.iter(f"{SVG}rect")]
        boxes = [tuple(float(rect[name]) for name in ("x", "y", "width", "height")) for rect in rects]
        paths = [points(path.attrib["d"]) for path in part.iter(f"{SVG}path") if "Z" not in path.attrib["d"]]
        corner = re.fullmatch(r"translate\((\S+) (\S+)\)", part.attrib["transform"])
        assert corner
        yield boxes, paths, (float(corner[1]), float(corner[2]))  # type: ignore[misc]


def points(path: str) -> list[tuple[float, float]]:
    """Points along a path of M, H and C."""
    found: list[tuple[float, float]] = []
    for command, numbers in re.findall(r"([MHC])([^MHC]*)", path):
        values = [float(number) for number in numbers.split()]
        if command == "M":
            found.append((values[0], values[1]))
        elif command == "H":
            start, y = found[-1]
            found += [(start + (values[0] - start) * step / 8, y) for step in range(1, 9)]
        else:
            (x0, y0), (x1, y1, x2, y2, x3, y3) = found[-1], values
            for step in range(1, 17):
                t, u = step / 16, 1 - step / 16
                found.append(
                    (
                        u**3 * x0 + 3 * u * u * t * x1 + 3 * u * t * t * x2 + t**3 * x3,
                        u**3 * y0 + 3 * u * u * t * y1 + 3 * u * t * t * y2 + t**3 * y3,
                    )
                )
    return found


@pytest.mark.parametrize(("nodes", "seed"), [(5, 1), (5, 2), (50, 1), (50, 2), (50, 3), (500, 1), (500, 2)])
def test_nothing_overlaps(nodes: int, seed: int) -> None:
    text = module_graph(nodes, seed).to("svg")
    width, height = (float(ET.fromstring(text).attrib[side]) for side in ("width", "height"))
    placed = []
    for boxes, paths, (left, top) in laid_out(text):
        for at, (x, y, wide, high) in enumerate(boxes):
            assert all(
                x + wide < x2 or x2 + wide2 < x or y + high + 2 <= y2 or y2 + high2 + 2 <= y
                for x2, y2, wide2, high2 in boxes[:at]
            )
            placed.append((left + x, top + y, wide, high))
        for x, y in itertools.chain.from_iterable(paths):
            inside = [box for box in boxes if box[0] + 1 < x < box[0] + box[2] - 1 and box[1] < y < box[1] + box[3]]
            assert not inside, (x, y, inside)
    assert len(placed) == nodes
    for at, (x, y, wide, high) in enumerate(placed):
        assert x >= 0 <= y
        assert x + wide <= width
        assert y + high <= height
        assert all(
            x + wide < x2 or x2 + wide2 < x or y + high < y2 or y2 + high2 < y for x2, y2, wide2, high2 in placed[:at]
        )


def test_what_a_drawing_says() -> None:
    graph = DependencyGraph.from_edges([("a", "b"), ("b", "a"), ("b", "c"), ("c", "c")], ["z"], deprecated=["z"])
    root = ET.fromstring(graph.to("svg", title="Modules <1>"))
    assert root[0].text == "Modules <1>"
    tips = [title.text for title in root.iter(f"{SVG}title")]
    assert {"a → b", "b → a", "b → c", "c → c"} < set(tips)
    assert "c\ndepends on 1 node; 2 nodes depend on it\nin a cycle" in tips
    boxes = {group[0].text.partition("\n")[0]: group.find(f"{SVG}rect").attrib for group in boxed(root)}
    assert {name for name, box in boxes.items() if box["stroke"] == "#c62828"} == {"a", "b", "c"}
    assert {name for name, box in boxes.items() if "stroke-dasharray" in box} == {"z"}
    texts = {text.text for text in root.iter(f"{SVG}text")}
    assert {"4 nodes, 4 dependencies", "in a cycle", "deprecated"} < texts


# What is left out


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_left_out_is_counted(format: str) -> None:
    graph = DependencyGraph.from_edges([("app", f"part{number:03}") for number in range(400)] + [("part000", "deep")])
    text = graph.to(format, root="app", max_nodes=89)
    if format in ("json", "cytoscape"):
        read = json.loads(text)
        nodes = read["nodes"] if format == "json" else [node["data"] for node in read["elements"]["nodes"]]
        assert (read if format == "json" else read["data"])["hidden"] == 313
        assert [node["more"] for node in nodes][:2] == [312, 1]
        assert len(nodes) == 89
    else:
        assert "and 312 more" in text
        assert "and 313 more" in text
    assert graph.to(format, root="app", depth=1) == graph.to(format, depth=1, title="Dependencies of app")
    assert "deep" not in graph.to(format, depth=1)
    assert "part001" not in graph.to(format, root="deep", direction="dependents")


def test_a_drawing_has_500_nodes_unless_it_is_told() -> None:
    graph = DependencyGraph.from_edges([(f"a{number}", f"b{number}") for number in range(600)])
    assert "500 nodes, 250 dependencies, and 700 more" in graph.to("svg")
    assert len(boxed(ET.fromstring(graph.to("svg", max_nodes=1_000)))) == 1_000
    assert len(json.loads(graph.to("json"))["nodes"]) == 1_200


def test_wrong_options() -> None:
    graph = DependencyGraph.from_edges([("a", "b")])
    for call, text in (
        (lambda: graph.to("png"), 'unknown format "png"; expected one of "json", "dot"'),
        (lambda: graph.to("svg", max_nodes=1_001), "max_nodes must be at most 1000"),
        (lambda: graph.to("json", max_nodes=0), "max_nodes must be 1 or more, got 0"),
        (lambda: graph.to("json", depth=0), "depth must be 1 or more"),
        (lambda: graph.to("json", direction="left"), "direction must be"),
        (lambda: graph.to("svg", title="\ud800"), "a title contains a lone surrogate"),
    ):
        with pytest.raises(ValidationError, match=text):
            call()
    with pytest.raises(NotFoundError, match='no node "gone"'):
        graph.to("svg", root="gone")


def test_equal_graphs_give_equal_texts() -> None:
    graph = module_graph(60, 5)
    twin = DependencyGraph.from_edges(graph.edges()[::-1], sorted(graph, reverse=True), deprecated=graph.deprecated)
    assert list(twin) != list(graph)
    for format in FORMATS:
        for options in ({}, {"max_nodes": 20}, {"depth": 1}, {"root": next(iter(graph))}):
            assert twin.to(format, **options) == graph.to(format, **options)  # type: ignore[arg-type]
