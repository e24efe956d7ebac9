"""Plots of results, as SVG whose bytes depend on the data alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from benches._machine import RESULTS, RIVALS, header

mpl.rcParams["svg.hashsalt"] = "tierstore"
OURS = "#c2410c"


def _save(figure: Figure, name: str, contestants: Sequence[str] = RIVALS) -> None:
    RESULTS.mkdir(exist_ok=True)
    figure.supxlabel(header(contestants).replace("# ", ""), fontsize=5, color="#666666")
    figure.savefig(RESULTS / name, metadata={"Date": None})


def bars(name: str, title: str, values: Mapping[str, float]) -> None:
    """One bar a contestant, on a logarithmic axis; ours stand out."""
    figure = Figure(figsize=(7, 0.35 * len(values) + 1.2), layout="constrained")
    axes = figure.subplots()
    labels = list(values)[::-1]
    drawn = axes.barh(labels, [values[label] for label in labels])
    for bar, label in zip(drawn, labels, strict=True):
        bar.set_color(OURS if label.startswith("tierstore") else "#94a3b8")
    axes.bar_label(drawn, fmt="%.0f", padding=3, fontsize=8)
    axes.set(title=title, xscale="log")
    _save(figure, name)


def curves(name: str, title: str, x_label: str, sizes: Sequence[float], lines: Mapping[str, Sequence[float]]) -> None:
    """One line a contestant over the sizes."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    for label, values in lines.items():
        ours = label == "tierstore"
        axes.plot(
            sizes,
            values,
            label=label,
            marker="o",
            markersize=3,
            linewidth=2.4 if ours else 1.2,
            color=OURS if ours else ("black" if label == "optimum" else None),
            linestyle="--" if label == "optimum" else "-",
        )
    axes.set(title=title, xlabel=x_label, ylabel="hit ratio", xscale="log", ylim=(0, 1))
    axes.legend(fontsize=7)
    _save(figure, name)


def times(
    name: str, title: str, sizes: Sequence[int], lines: Mapping[str, Sequence[float]], contestants: Sequence[str]
) -> None:
    """Nanoseconds against bytes, both axes logarithmic."""
    _logarithmic(name, title, ("bytes of content", "ns"), sizes, lines, contestants)


def rates(
    name: str, title: str, callers: Sequence[int], lines: Mapping[str, Sequence[float]], contestants: Sequence[str]
) -> None:
    """Calls a second against callers, both axes logarithmic."""
    _logarithmic(name, title, ("callers", "calls a second"), callers, lines, contestants)


def steps(
    name: str,
    title: str,
    labels: tuple[str, str],
    marks: Sequence[str],
    lines: Mapping[str, Sequence[float]],
    contestants: Sequence[str],
) -> None:
    """One line a contestant over what the marks name, evenly spaced; the other axis is logarithmic."""
    _logarithmic(name, title, labels, range(len(marks)), lines, contestants, marks)


def _logarithmic(
    name: str,
    title: str,
    labels: tuple[str, str],
    xs: Sequence[int],
    lines: Mapping[str, Sequence[float]],
    contestants: Sequence[str],
    marks: Sequence[str] | None = None,
) -> None:
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    for label, values in lines.items():
        ours = label == "tierstore"
        axes.plot(
            xs,
            values,
            label=label,
            marker="o",
            markersize=3,
            linewidth=2.4 if ours else 1.2,
            color=OURS if ours else None,
        )
    axes.set(title=title, xlabel=labels[0], ylabel=labels[1], yscale="log")
    if marks is None:
        axes.set_xscale("log")
    else:
        axes.set_xticks(xs, marks)
    axes.legend(fontsize=7)
    _save(figure, name, contestants)
