"""One set of vectors, every engine: swept, then the best of each timed again, all in turns."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ann_curves import (
    NUM_SINGLE,
    Point,
    fastest_at,
    front,
    questions,
    ratio,
    recall,
    swept,
    take_turns,
)
from benchmarks.ann_engines import PEERS, Engine, KindredIndex
from benchmarks.ann_plots import write_plot
from benchmarks.timing import spent_on
from benchmarks.vector_sets import VectorSet
from encoders.space import Vectors

TARGET_RECALL = 0.98
CURVE_ROUNDS = 2
CURVE_FROM = 0.85
"""Settings that find less are neither timed nor drawn: nobody wants them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """With whom, how often, and where results go."""

    peers: tuple[str, ...]
    """Names of `PEERS`."""

    rounds: int
    """Of the last, exact timing."""

    peer_folder: Path
    """Where the peers' indexes lie; those that are there are opened, not built."""

    plot_path: Path | None
    """Where the curves are drawn, ``None`` where they are not."""


def search_figures(
    vector_set: VectorSet, vectors: Vectors, ours: KindredIndex, how: Comparison
) -> dict[str, Any]:
    """Return each engine's curve, its figures at the target recall, and how we compare.

    Args:
        vector_set: what is searched.
        vectors: its rows as float32.
        ours: what ``auto`` built of it.
        how: with whom it is compared.
    """
    asked = questions(vectors, vector_set.queries)
    num_queries = len(asked.queries)
    peers, build_cpu_seconds = _built_peers(vector_set, vectors, how)
    own = Point(ours, {}, recall(asked, ours.search(asked.queries, asked.k, {}), vectors))
    curves = {
        engine.name: [p for p in swept(engine, asked, vectors) if p.recall >= CURVE_FROM]
        for engine in (ours, *peers)
    }
    every = [own, *(point for points in curves.values() for point in points)]
    take_turns(every, asked.queries, CURVE_ROUNDS)
    say(f"{vector_set.label}: {len(every)} settings are swept")
    if how.plot_path is not None:
        _draw(vector_set, ours.name, curves, own, how.plot_path)
    finalists = _finalists(own, curves, num_queries)
    take_turns(list(finalists.values()), asked.queries, how.rounds, num_single=NUM_SINGLE)
    return {
        "own_recall": round(own.recall, 4),
        "peer_build_cpu_seconds": build_cpu_seconds,
        "at_target": [_final_row(name, finalists, num_queries) for name in finalists],
        **against_best_peer(finalists),
        "curves": {
            name: [_curve_row(point, num_queries) for point in points]
            for name, points in curves.items()
        },
    }


def _built_peers(
    vector_set: VectorSet, vectors: Vectors, how: Comparison
) -> tuple[list[Engine], dict[str, float]]:
    peers: list[Engine] = []
    cpu_seconds: dict[str, float] = {}
    for name in how.peers:
        folder = how.peer_folder / f"{name}-{vector_set.name}-{len(vectors)}"
        folder.mkdir(parents=True, exist_ok=True)
        is_new = not any(folder.iterdir())
        make = PEERS[name]
        spent = spent_on(lambda make=make, folder=folder: peers.append(make(vectors, folder)))  # type: ignore[misc]
        if is_new:
            cpu_seconds[name] = round(spent.cpu, 2)
        say(f"{vector_set.label}: {name} {'built' if is_new else 'opened'}, {spent.cpu:.1f} CPU-s")
    return peers, cpu_seconds


def _finalists(own: Point, curves: Mapping[str, list[Point]], num_queries: int) -> dict[str, Point]:
    """Return a point of each engine to be timed again, first ours as users get it."""
    finalists = {f"{own.engine.name}, as users get it": Point(own.engine, {}, own.recall)}
    for name, points in curves.items():
        best = fastest_at(points, TARGET_RECALL, num_queries)
        if best is not None and best.setting:
            label = f"{name}, best of the sweep" if best.engine is own.engine else name
            finalists[label] = Point(best.engine, best.setting, best.recall)
    return finalists


def against_best_peer(finalists: Mapping[str, Point]) -> dict[str, float | None]:
    """Return how many times as fast as the fastest peer we are, in batches and singly.

    Args:
        finalists: by name, timed; the first is ours as users get it.
    """
    own = next(iter(finalists.values()))
    peers = [point for point in finalists.values() if point.engine is not own.engine]
    batches = (round(ratio(own.batch, peer.batch), 3) for peer in peers)
    singles = (round(ratio(own.single, peer.single), 3) for peer in peers)
    return {
        "batch_over_best_peer": min(batches, default=None),
        "single_over_best_peer": min(singles, default=None),
    }


def _final_row(name: str, finalists: Mapping[str, Point], num_queries: int) -> dict[str, Any]:
    own, point = next(iter(finalists.values())), finalists[name]
    cpu = statistics.median(spent.cpu for spent in point.single)
    wall = statistics.median(spent.wall for spent in point.single)
    return {
        "engine": name,
        "setting": point.setting,
        "recall": round(point.recall, 4),
        "batch_per_cpu_second": round(point.queries_per_cpu_second(num_queries)),
        "batch_per_wall_second": round(
            num_queries / statistics.median(spent.wall for spent in point.batch)
        ),
        "single_cpu_us": round(1e6 * cpu / NUM_SINGLE, 1),
        "single_wall_us": round(1e6 * wall / NUM_SINGLE, 1),
        "ours_over_it_batch": round(ratio(own.batch, point.batch), 3),
        "ours_over_it_single": round(ratio(own.single, point.single), 3),
    }


def _curve_row(point: Point, num_queries: int) -> dict[str, Any]:
    return {
        "setting": point.setting,
        "recall": round(point.recall, 4),
        "batch_per_cpu_second": round(point.queries_per_cpu_second(num_queries)),
    }


def _draw(
    vector_set: VectorSet,
    our_name: str,
    curves: Mapping[str, list[Point]],
    own: Point,
    path: Path,
) -> None:
    num_queries = len(vector_set.queries)

    def position(point: Point) -> tuple[float, float]:
        return point.recall, point.queries_per_cpu_second(num_queries)

    write_plot(
        path,
        vector_set.label,
        {
            name: [position(p) for p in front(points, num_queries)]
            for name, points in curves.items()
        },
        {our_name: position(own)},
        TARGET_RECALL,
    )


def say(sentence: str) -> None:
    """Tell people how far it is."""
    print(sentence, file=sys.stderr, flush=True)
