//! A graph as text: data (JSON, Cytoscape), other tools' languages (DOT, Mermaid), and a drawing (SVG).
//!
//! Nodes are in the order of their names, so that equal graphs give equal texts however they came about. Names are anybody's: each
//! format quotes them by its own rules (`text`).

mod data;
mod markup;
mod svg;
#[cfg(test)]
mod tests;
mod text;
mod view;

pub use view::Selection;

use super::Graph;
use view::View;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    Json,
    Dot,
    Mermaid,
    Cytoscape,
    Svg,
}

impl Format {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "json" => Self::Json,
            "dot" => Self::Dot,
            "mermaid" => Self::Mermaid,
            "cytoscape" => Self::Cytoscape,
            "svg" => Self::Svg,
            _ => return None,
        })
    }

    /// How many nodes are drawn if nobody says.
    pub fn usual_nodes(self) -> Option<usize> {
        (self == Self::Svg).then_some(500)
    }

    /// How many nodes may be drawn: the layout of more would take too much memory where all depend on all.
    pub fn most_nodes(self) -> Option<usize> {
        (self == Self::Svg).then_some(1_000)
    }
}

impl Graph {
    pub fn to(&self, format: Format, selection: &Selection) -> String {
        let view = View::new(self, selection);
        match format {
            Format::Json => data::json(&view),
            Format::Cytoscape => data::cytoscape(&view),
            Format::Dot => markup::dot(&view),
            Format::Mermaid => markup::mermaid(&view),
            Format::Svg => svg::svg(&view),
        }
    }
}
