"""Recall against queries per processor second, drawn so that light and dark pages can show it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

INK = "#808080"
"""Readable on white and on black."""

COLOURS = ("#d1495b", "#3a86c8", "#2a9d6f", "#c77d0a", "#8e6bbf", "#5b8a8a")
MARKERS = "osD^vP"


def write_plot(
    path: Path,
    title: str,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    marked: Mapping[str, tuple[float, float]],
    target_recall: float,
) -> None:
    """Write a transparent SVG.

    Args:
        path: where.
        title: what was searched.
        curves: (recall, queries per processor second) by engine, by recall.
        marked: one point of an engine that is to stand out: what users get.
        target_recall: drawn as a line.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    pyplot = importlib.import_module("matplotlib.pyplot")
    style = {
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "svg.fonttype": "none",
        "svg.hashsalt": title,
    }
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(7.5, 4.8))
        for number, (name, points) in enumerate(curves.items()):
            colour = COLOURS[number % len(COLOURS)]
            marker = MARKERS[number % len(MARKERS)]
            recalls, speeds = zip(*points, strict=True)
            axes.plot(recalls, speeds, color=colour, marker=marker, markersize=4, label=name)
            if name in marked:
                axes.plot(*marked[name], color=colour, marker="*", markersize=16, linestyle="none")
        axes.axvline(target_recall, color=INK, linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        axes.set_xlim(0.85, 1.002)
        axes.set_xlabel("recall@10")
        axes.set_ylabel("queries per processor second, batches, one thread")
        axes.set_title(title)
        axes.grid(color=INK, alpha=0.25, linewidth=0.6, which="both")
        axes.legend(frameon=False, loc="lower left")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None})
        pyplot.close(figure)
