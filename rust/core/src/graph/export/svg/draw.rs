//! Writes the drawing. All of it is in attributes, so that it looks the same wherever it is embedded, and runs nothing.

use std::fmt::Write;

use super::Part;
use super::boxes::{LETTER, LINE, Label, width_of};
use super::pack::Packed;
use super::routes::{Link, Sort};
use crate::graph::export::text::{shown, xml};
use crate::graph::export::view::View;

const MARGIN: f64 = 24.0;
const HEAD: f64 = 78.0;
const RED: &str = "#c62828";
const INK: &str = "#1f2733";
const GREY: &str = "#8b95a5";
const FAINT: &str = "#5b6573";
/// Edges that are turned round meet a node's border that much lower.
const TURNED: f64 = 6.0;
const TIP: f64 = 8.0;

pub fn drawing(view: &View, labels: &[Label], packed: &Packed) -> String {
    let title = shown(&view.title);
    let subtitle = subtitle(view);
    let head =
        (18.0 / 13.0 * LETTER * width_of(&title) as f64).max(LETTER * (width_of(&subtitle) as f64 + 4.0) + 260.0);
    let width = packed.width.max(head.min(1200.0)) + 2.0 * MARGIN + 24.0;
    let height = packed.height + HEAD + 2.0 * MARGIN;
    let mut out = String::new();
    let size = format!("width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\"");
    _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" {size} role=\"img\" font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\">"
    );
    _ = writeln!(out, "<title>{}</title>", xml(&title));
    _ = writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>");
    head_lines(&mut out, view, &title, &subtitle);
    for (x, y, part) in &packed.parts {
        _ = writeln!(out, "<g transform=\"translate({:.1} {:.1})\">", x + MARGIN, y + MARGIN + HEAD);
        Pen { view, labels, part, out: &mut out }.draw();
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn subtitle(view: &View) -> String {
    let mut text = format!(
        "{}, {}",
        counted(view.len(), "node", "nodes"),
        counted(view.edges.len(), "dependency", "dependencies")
    );
    if view.hidden > 0 {
        _ = write!(text, ", and {} more", view.hidden);
    }
    text
}

/// The title, the counts, and what colours and dashes mean where there are any.
fn head_lines(out: &mut String, view: &View, title: &str, subtitle: &str) {
    let y = MARGIN + 18.0;
    _ = writeln!(
        out,
        "<text x=\"{MARGIN}\" y=\"{y}\" font-size=\"18\" font-weight=\"bold\" fill=\"{INK}\">{}</text>",
        xml(title)
    );
    _ = writeln!(out, "<text x=\"{MARGIN}\" y=\"{}\" fill=\"{FAINT}\">{}</text>", y + 24.0, xml(subtitle));
    let mut x = MARGIN + LETTER * (width_of(subtitle) as f64 + 3.0);
    let marks = [
        ((0..view.len()).any(|node| view.in_cycle(node)), "in a cycle", format!("stroke=\"{RED}\" fill=\"#fdecec\"")),
        (
            (0..view.len()).any(|node| view.is_deprecated(node)),
            "deprecated",
            format!("stroke=\"{FAINT}\" fill=\"#f7f8fa\" stroke-dasharray=\"4 3\""),
        ),
    ];
    for (_, text, style) in marks.iter().filter(|mark| mark.0) {
        _ = writeln!(out, "<rect x=\"{x:.1}\" y=\"{}\" width=\"22\" height=\"12\" rx=\"3\" {style}/>", y + 14.0);
        _ = writeln!(out, "<text x=\"{:.1}\" y=\"{}\" fill=\"{FAINT}\">{text}</text>", x + 28.0, y + 24.0);
        x += 28.0 + LETTER * (text.len() as f64 + 2.0);
    }
}

struct Pen<'a> {
    view: &'a View<'a>,
    labels: &'a [Label],
    part: &'a Part,
    out: &'a mut String,
}

impl Pen<'_> {
    fn draw(mut self) {
        // Red edges are drawn last, above the others.
        for in_cycle in [false, true] {
            let colour = if in_cycle { RED } else { GREY };
            _ = writeln!(self.out, "<g fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\">");
            let part = self.part;
            part.routes.links.iter().filter(|link| link.sort.in_cycle == in_cycle).for_each(|link| self.link(link));
            self.tracks(in_cycle);
            if in_cycle {
                part.routes.loops.iter().for_each(|&node| self.own_edge(node));
            }
            self.out.push_str("</g>\n");
        }
        (0..self.part.nodes.len()).for_each(|place| self.node(place));
    }

    /// Where a link meets a stop: the label's border and the column's, and the height.
    fn end(&self, stop: usize, sort: Sort, is_left: bool) -> (f64, f64, f64) {
        let (start, end) = self.part.columns[self.part.routes.columns[stop]];
        let middle = self.part.middles[stop];
        let border = if is_left { end } else { start };
        match self.part.nodes.get(stop) {
            Some(&node) => {
                let own = if is_left { start + self.labels[node].width } else { start };
                (own, border, middle + if sort.is_turned { TURNED } else { 0.0 })
            }
            None => (border, border, middle),
        }
    }

    fn link(&mut self, link: &Link) {
        let (left, from, top) = self.end(link.left, link.sort, true);
        let (right, to, bottom) = self.end(link.right, link.sort, false);
        let is_node = |stop: usize| stop < self.part.routes.nodes;
        let tip_left = link.sort.is_turned && is_node(link.left);
        let tip_right = !link.sort.is_turned && is_node(link.right);
        let (x, end) = (if tip_left { left + TIP } else { left }, if tip_right { right - TIP } else { right });
        let (from, to) = (from.max(x), to.min(end));
        let bend = (from + to) / 2.0;
        let title = link.edge.map(|edge| &self.view.edges[edge]).map(|edge| {
            let ends = [edge.from, edge.to].map(|node| xml(&shown(self.view.name(node))));
            format!("<title>{} → {}</title>", ends[0], ends[1])
        });
        let path =
            format!("M{x:.1} {top:.1}H{from:.1}C{bend:.1} {top:.1} {bend:.1} {bottom:.1} {to:.1} {bottom:.1}H{end:.1}");
        _ = match title {
            Some(title) => writeln!(self.out, "<path d=\"{path}\">{title}</path>"),
            None => writeln!(self.out, "<path d=\"{path}\"/>"),
        };
        if tip_left {
            self.tip(left, top, TIP, link.sort);
        }
        if tip_right {
            self.tip(right, bottom, -TIP, link.sort);
        }
    }

    fn tip(&mut self, x: f64, y: f64, length: f64, sort: Sort) {
        let colour = if sort.in_cycle { RED } else { GREY };
        let (back, low, high) = (x + length, y + 4.0, y - 4.0);
        _ = writeln!(
            self.out,
            "<path d=\"M{x:.1} {y:.1}L{back:.1} {high:.1}V{low:.1}Z\" fill=\"{colour}\" stroke=\"none\"/>"
        );
    }

    /// The straight pieces through columns.
    fn tracks(&mut self, in_cycle: bool) {
        let routes = &self.part.routes;
        for (number, _) in routes.pieces.iter().enumerate().filter(|(_, sort)| sort.in_cycle == in_cycle) {
            let stop = routes.nodes + number;
            let (start, end) = self.part.columns[routes.columns[stop]];
            _ = writeln!(self.out, "<path d=\"M{start:.1} {:.1}H{end:.1}\"/>", self.part.middles[stop]);
        }
    }

    /// An edge from a node to itself, at its right side.
    fn own_edge(&mut self, stop: usize) {
        let node = self.part.nodes[stop];
        let x = self.part.columns[self.part.routes.columns[stop]].0 + self.labels[node].width;
        let y = self.part.middles[stop];
        let (high, low, far) = (y - 8.0, y + 8.0, x + 26.0);
        let name = xml(&shown(self.view.name(node)));
        _ = writeln!(
            self.out,
            "<path d=\"M{x:.1} {high:.1}C{far:.1} {high:.1} {far:.1} {low:.1} {:.1} {low:.1}\"><title>{name} → {name}</title></path>",
            x + TIP
        );
        self.tip(x, low, TIP, Sort { in_cycle: true, is_turned: true });
    }

    fn node(&mut self, place: usize) {
        let node = self.part.nodes[place];
        let Label { lines, more, width, height } = &self.labels[node];
        let x = self.part.columns[self.part.routes.columns[place]].0;
        let y = self.part.middles[place] - height / 2.0;
        let (stroke, fill) = if self.view.in_cycle(node) { (RED, "#fdecec") } else { (FAINT, "#f7f8fa") };
        let dashes = if self.view.is_deprecated(node) { " stroke-dasharray=\"5 4\"" } else { "" };
        _ = writeln!(self.out, "<g><title>{}</title>", xml(&tooltip(self.view, node)));
        _ = writeln!(
            self.out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"5\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"1.3\"{dashes}/>"
        );
        let mut base = y + 6.0 + 12.5;
        for line in lines {
            self.line(x, base, line, INK);
            base += LINE;
        }
        if let Some(more) = more {
            self.line(x, base, more, FAINT);
        }
        self.out.push_str("</g>\n");
    }

    /// A line of a label, fitted to the width that was reckoned, whatever font there is.
    fn line(&mut self, x: f64, base: f64, text: &str, colour: &str) {
        let width = LETTER * width_of(text) as f64;
        let fit = if width > 0.0 {
            format!(" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\"")
        } else {
            String::new()
        };
        _ = writeln!(
            self.out,
            "<text x=\"{:.1}\" y=\"{base:.1}\" fill=\"{colour}\" xml:space=\"preserve\"{fit}>{}</text>",
            x + 11.0,
            xml(text)
        );
    }
}

fn tooltip(view: &View, node: usize) -> String {
    let (dependencies, dependents) = view.degrees(node);
    let dependents = counted(dependents, "node depends on it", "nodes depend on it");
    let mut text =
        format!("{}\ndepends on {}; {dependents}", shown(view.name(node)), counted(dependencies, "node", "nodes"));
    if view.is_deprecated(node) {
        text.push_str("\ndeprecated");
    }
    if view.in_cycle(node) {
        text.push_str("\nin a cycle");
    }
    text
}
