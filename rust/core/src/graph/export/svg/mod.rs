//! The drawing: layers from left to right, what depends on others left of them.
//!
//! Sugiyama's steps, for each connected part by itself: `layers` turns edges of cycles round and gives each node its column; `routes`
//! leads long edges through the columns between, all those to the same node on one track, so that there are at most as many tracks as
//! nodes; `order` sorts the columns by sweeps of barycenters; `place` moves nodes and tracks up and down to where their neighbours are,
//! as near as those above and below allow. `draw` writes it. Edges bend between columns only, and a track has room of its own in each column, so no edge runs through a node.

mod boxes;
mod draw;
mod layers;
mod order;
mod pack;
mod place;
mod routes;

use super::view::View;
use boxes::Label;
use routes::Routes;

pub fn svg(view: &View) -> String {
    let labels: Vec<Label> = (0..view.len()).map(|node| Label::new(view, node)).collect();
    let parts = pack::parts(view).into_iter().map(|nodes| Part::new(view, &labels, nodes)).collect();
    draw::drawing(view, &labels, &pack::packed(parts))
}

/// A connected part of the drawing, with its own corner at 0, 0.
pub struct Part {
    /// Of the view.
    pub nodes: Vec<usize>,
    pub routes: Routes,
    /// Where each column begins, and where the widest label of it ends.
    pub columns: Vec<(f64, f64)>,
    /// The middle of each node and each piece of a track.
    pub middles: Vec<f64>,
    pub width: f64,
    pub height: f64,
}

impl Part {
    fn new(view: &View, labels: &[Label], nodes: Vec<usize>) -> Self {
        let routes = Routes::new(view, &nodes);
        let columns = order::ordered(&routes);
        let (middles, height) = place::middles(&routes, &columns, &nodes, labels);
        let columns = place::columns(&routes, &nodes, labels);
        let width = columns.last().map_or(0.0, |column| column.1);
        Self { nodes, routes, columns, middles, width, height }
    }
}
