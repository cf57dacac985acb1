"""Recall against speed: what each search setting of each engine finds and takes, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.ann_engines import Engine, Setting
from benchmarks.timing import Spent, spent_on
from encoders.space import Vectors
from indexer.ann.exact_index import ExactIndex
from indexer.ann.vector_index import Rows, Selection
from indexer.recall import TIE

K = 10
NUM_SINGLE = 300
"""Questions asked one at a time in each round."""

ENOUGH_RECALL = 0.995
"""A sweep ends here: more is asked of exact search."""

MIN_GAIN = 0.002
"""What one more step in a row of settings must add to recall for the next to be tried."""


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """Queries and how near their true nearest rows are."""

    queries: Vectors
    """``(num_queries, dim)`` float32"""

    kth_scores: NDArray[np.float32]
    """``(num_queries,)`` score of the k-th nearest row"""

    k: int
    """`K`, or all rows that may be found where there are fewer."""


def questions(
    vectors: Vectors, queries: Vectors, among: Selection | None = None, k: int = K
) -> Questions:
    """Answer queries exactly.

    Args:
        vectors: ``(num_rows, dim)`` float32
        queries: ``(num_queries, dim)`` float32
        among: the rows that may be found, at least one; all when ``None``.
        k: how many neighbours.
    """
    k = min(k, len(vectors) if among is None else among.num_selected)
    truth = ExactIndex("", vectors.shape[1], vectors).search(queries, k, among=among)
    return Questions(queries, truth.scores[:, -1], k)


def recall(
    asked: Questions,
    found: Rows,
    vectors: Vectors,
    among: Selection | None = None,
) -> float:
    """Return the share of the true nearest rows that were found, equally near ones counted as true.

    A row that was found twice counts once; one that may not be found counts as a miss.

    Args:
        asked: the queries.
        found: ``(num_queries, at least k)`` row numbers, -1 where there is none.
        vectors: ``(num_rows, dim)`` float32
        among: the rows that may be found.
    """
    found = found[:, : asked.k]
    rows = np.maximum(found, 0)
    scores = np.einsum("qd,qkd->qk", asked.queries, vectors[rows])
    right = (found >= 0) & (scores >= asked.kth_scores[:, None] - TIE)
    if among is not None:
        right &= among.mask[rows]
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, 1)
    again = np.zeros_like(right)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], 1)
    return float((right & ~again).sum() / (asked.k * len(found)))


@dataclass(slots=True)
class Point:
    """One setting of one engine."""

    engine: Engine
    setting: Setting
    recall: float

    batch: list[Spent] = field(default_factory=list)
    """What all questions at once took, by round."""

    single: list[Spent] = field(default_factory=list)
    """What `NUM_SINGLE` questions one at a time took, by round."""

    def queries_per_cpu_second(self, num_queries: int) -> float:
        """Return the median over rounds, of batches."""
        return num_queries / statistics.median(spent.cpu for spent in self.batch)


def swept(engine: Engine, asked: Questions, vectors: Vectors) -> Iterator[Point]:
    """Yield an engine's settings with their recall, as far as more effort finds more."""
    for row in engine.ladder():
        before = -1.0
        best = 0.0
        for setting in row:
            found = engine.search(asked.queries, asked.k, setting)
            point = Point(engine, setting, recall(asked, found, vectors))
            yield point
            best = max(best, point.recall)
            if best >= ENOUGH_RECALL or (len(setting) > 1 and point.recall < before + MIN_GAIN):
                break
            before = point.recall
        if best >= ENOUGH_RECALL:
            return


def take_turns(
    points: Sequence[Point],
    queries: Vectors,
    rounds: int,
    *,
    num_single: int = 0,
    k: int = K,
    spent: Callable[[Callable[[], object]], Spent] = spent_on,
) -> None:
    """Time points, every one in every round, so that other load of the machine meets them alike.

    Args:
        points: what to time; the figures are added to them.
        queries: the batch.
        rounds: how often.
        num_single: how many of them are asked one at a time as well.
        k: how many neighbours.
        spent: what measures an action.
    """
    for number in range(rounds):
        # Forwards and backwards: who comes after whom shall not always be the same.
        for point in points if number % 2 == 0 else reversed(points):
            engine, setting = point.engine, point.setting

            def ask_all(engine: Engine = engine, setting: Setting = setting) -> None:
                engine.search(queries, k, setting)

            def ask_singly(engine: Engine = engine, setting: Setting = setting) -> None:
                for row in range(num_single):
                    engine.search(queries[row : row + 1], k, setting)

            point.batch.append(spent(ask_all))
            if num_single:
                point.single.append(spent(ask_singly))


def front(points: Sequence[Point], num_queries: int) -> list[Point]:
    """Return the points that none beats in recall and speed both, by recall."""
    best: list[Point] = []
    fastest = 0.0
    for point in sorted(points, key=lambda point: -point.recall):
        speed = point.queries_per_cpu_second(num_queries)
        if speed > fastest:
            best.append(point)
            fastest = speed
    return best[::-1]


def fastest_at(points: Sequence[Point], recall_at_least: float, num_queries: int) -> Point | None:
    """Return the fastest point that finds enough, ``None`` where no point does."""
    enough = [point for point in points if point.recall >= recall_at_least]
    return max(enough, key=lambda point: point.queries_per_cpu_second(num_queries), default=None)


def ratio(ours: Sequence[Spent], theirs: Sequence[Spent]) -> float:
    """Return how many times as fast we are in processor time: the median over rounds."""
    return statistics.median(b.cpu / a.cpu for a, b in zip(ours, theirs, strict=True))
