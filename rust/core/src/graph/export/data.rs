//! JSON for programs, and the form that Cytoscape reads.

use std::fmt::Write;

use super::text::push_json;
use super::view::View;

pub fn json(view: &View) -> String {
    let mut out = String::from("{\"title\":");
    push_json(&mut out, &view.title);
    out.push_str(",\"nodes\":[");
    for node in 0..view.len() {
        out.push_str(if node == 0 { "{\"id\":" } else { ",{\"id\":" });
        push_json(&mut out, view.name(node));
        push_marks(&mut out, view, node);
        out.push('}');
    }
    out.push_str("],\"edges\":[");
    for (number, edge) in view.edges.iter().enumerate() {
        out.push_str(if number == 0 { "{\"source\":" } else { ",{\"source\":" });
        push_json(&mut out, view.name(edge.from));
        out.push_str(",\"target\":");
        push_json(&mut out, view.name(edge.to));
        _ = write!(out, ",\"in_cycle\":{}}}", edge.in_cycle);
    }
    _ = write!(out, "],\"hidden\":{}}}", view.hidden);
    out
}

/// Nodes and edges share their ids there, so that names are labels.
pub fn cytoscape(view: &View) -> String {
    let mut out = String::from("{\"data\":{\"title\":");
    push_json(&mut out, &view.title);
    _ = write!(out, ",\"hidden\":{}}},\"elements\":{{\"nodes\":[", view.hidden);
    for node in 0..view.len() {
        let comma = if node == 0 { "" } else { "," };
        _ = write!(out, "{comma}{{\"data\":{{\"id\":\"n{node}\",\"label\":");
        push_json(&mut out, view.name(node));
        push_marks(&mut out, view, node);
        _ = write!(out, "}},\"classes\":\"{}\"}}", classes(view.is_deprecated(node), view.in_cycle(node)));
    }
    out.push_str("],\"edges\":[");
    for (number, edge) in view.edges.iter().enumerate() {
        let (comma, cycle) = (if number == 0 { "" } else { "," }, edge.in_cycle);
        let ends = format!("\"source\":\"n{}\",\"target\":\"n{}\"", edge.from, edge.to);
        _ = write!(out, "{comma}{{\"data\":{{\"id\":\"e{number}\",{ends},\"in_cycle\":{cycle}}},");
        _ = write!(out, "\"classes\":\"{}\"}}", classes(false, cycle));
    }
    out.push_str("]}}");
    out
}

fn push_marks(out: &mut String, view: &View, node: usize) {
    let (deprecated, cycle, more) = (view.is_deprecated(node), view.in_cycle(node), view.more(node));
    _ = write!(out, ",\"deprecated\":{deprecated},\"in_cycle\":{cycle},\"more\":{more}");
}

fn classes(deprecated: bool, cycle: bool) -> &'static str {
    match (deprecated, cycle) {
        (false, false) => "",
        (true, false) => "deprecated",
        (false, true) => "cycle",
        (true, true) => "deprecated cycle",
    }
}
