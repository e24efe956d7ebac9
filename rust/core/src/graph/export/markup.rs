//! Graphviz's DOT and Mermaid's flowchart. Nodes have numbers there, names are labels.

use std::fmt::Write;

use super::text::{push_dot, push_json, push_mermaid, shown};
use super::view::View;

const RED: &str = "#c62828";

pub fn dot(view: &View) -> String {
    let mut out = String::from("digraph {\n  graph [rankdir=LR, labelloc=t, label=\"");
    push_dot(&mut out, &shown(&view.title));
    if view.hidden > 0 {
        _ = write!(out, "\\nand {} more", view.hidden);
    }
    out.push_str("\"];\n  node [shape=box, style=rounded];\n");
    for node in 0..view.len() {
        _ = write!(out, "  n{node} [label=\"");
        push_dot(&mut out, &shown(view.name(node)));
        if view.more(node) > 0 {
            _ = write!(out, "\\nand {} more", view.more(node));
        }
        out.push('"');
        if view.is_deprecated(node) {
            out.push_str(", style=\"rounded,dashed\"");
        }
        if view.in_cycle(node) {
            _ = write!(out, ", color=\"{RED}\"");
        }
        out.push_str("];\n");
    }
    for edge in &view.edges {
        let color = if edge.in_cycle { format!(" [color=\"{RED}\"]") } else { String::new() };
        _ = writeln!(out, "  n{} -> n{}{color};", edge.from, edge.to);
    }
    out.push_str("}\n");
    out
}

pub fn mermaid(view: &View) -> String {
    let mut out = String::from("---\ntitle: ");
    push_json(&mut out, &shown(&view.title));
    out.push_str("\n---\nflowchart LR\n");
    for node in 0..view.len() {
        _ = write!(out, "  n{node}[\"");
        push_mermaid(&mut out, &shown(view.name(node)));
        if view.more(node) > 0 {
            _ = write!(out, "<br/>and {} more", view.more(node));
        }
        out.push_str("\"]\n");
    }
    for edge in &view.edges {
        _ = writeln!(out, "  n{} --> n{}", edge.from, edge.to);
    }
    if view.hidden > 0 {
        _ = writeln!(out, "  more([\"and {} more\"])", view.hidden);
    }
    let nodes = |is: &dyn Fn(usize) -> bool| joined((0..view.len()).filter(|&node| is(node)), "n");
    let red = format!("stroke:{RED},stroke-width:2px");
    style(&mut out, "cycle", &red, &nodes(&|node| view.in_cycle(node)));
    style(&mut out, "deprecated", "stroke-dasharray:5 4", &nodes(&|node| view.is_deprecated(node)));
    let links = joined((0..view.edges.len()).filter(|&number| view.edges[number].in_cycle), "");
    if !links.is_empty() {
        _ = writeln!(out, "  linkStyle {links} {red}");
    }
    out
}

fn style(out: &mut String, class: &str, style: &str, nodes: &str) {
    if !nodes.is_empty() {
        _ = writeln!(out, "  classDef {class} {style}\n  class {nodes} {class}");
    }
}

fn joined(numbers: impl Iterator<Item = usize>, prefix: &str) -> String {
    numbers.map(|number| format!("{prefix}{number}")).collect::<Vec<_>>().join(",")
}
