"""Finding the cheapest search settings that reach a recall, by trying them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.index_entry import CurvePoint, SearchSettings
from indexer.recall import RecallSample, recalls

K_FACTORS = (2, 4, 6, 8, 12, 16, 24, 32, 48, 64)
EF_SEARCH = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)

WORTHWHILE_GAIN = 0.002
"""A larger k_factor that gains less than this is not worth its cost: the lists read are the limit.
"""

MAX_TIMED_QUERIES = 128
MAX_TIMED_SECONDS = 0.25
"""Processor time spent on timing one setting, beyond the first few queries."""

MIN_TIMED_QUERIES = 5


@dataclass(frozen=True, slots=True)
class Tuning:
    """What trying settings came to."""

    curve: tuple[CurvePoint, ...]
    """All that was tried, in order."""

    chosen: CurvePoint
    """The cheapest that reaches the target, or the one of highest recall."""

    reached: bool
    """Whether ``chosen`` reaches the target."""


def tune(
    index: FaissIndex,
    sample: RecallSample,
    vectors: NDArray[np.float16],
    target_recall: float,
    *,
    max_microseconds: float = np.inf,
) -> Tuning:
    """Try settings from cheap to dear until dearer ones can only cost more.

    A setting counts as reaching the target when its recall is above it by the standard error of
    the sample, so that other questions do not fall below it.

    Args:
        index: what is tuned; left with the settings it had.
        sample: questions and how near their true neighbours are.
        vectors: ``(num_rows, dim)`` everything the index holds.
        target_recall: recall@10 to reach.
        max_microseconds: what a query may cost; dearer settings are not looked for.
    """
    curve: list[CurvePoint] = []
    reaching: list[CurvePoint] = []
    just_below: list[CurvePoint] = []
    for row in _settings_grid(index):
        before = -1.0
        cheapest_of_row = np.inf
        for settings in row:
            point, margin = _tried(index, sample, vectors, settings)
            curve.append(point)
            cheapest_of_row = min(cheapest_of_row, _cost(point))
            if point.recall_at_10 - margin >= target_recall:
                reaching.append(point)
                break
            if point.recall_at_10 >= target_recall:
                just_below.append(point)
            if point.recall_at_10 < before + WORTHWHILE_GAIN:
                break
            before = point.recall_at_10
        # Whatever reads more lists than this row costs more than its cheapest setting.
        limit = min([max_microseconds, *(_cost(point) for point in reaching)])
        if cheapest_of_row >= limit:
            break
    affordable = [point for point in reaching if _cost(point) <= max_microseconds]
    if affordable:
        chosen = min(
            affordable, key=lambda point: (_true_cost(point, curve), _effort(point.search))
        )
        return Tuning(tuple(curve), chosen, reached=True)
    best = max(curve, key=lambda point: (point.recall_at_10, -_cost(point)))
    reached = best in just_below and _cost(best) <= max_microseconds
    return Tuning(tuple(curve), best, reached=reached)


def cpu_microseconds(index: FaissIndex, queries: Vectors, k: int) -> float:
    """Return the median processor time of a query asked alone, on one thread, in microseconds."""
    threads, index.num_threads = index.num_threads, 1
    try:
        index.search(queries[:1], k)
        spent: list[float] = []
        for query in queries[:MAX_TIMED_QUERIES]:
            started = time.thread_time()
            index.search(query[None], k)
            spent.append(time.thread_time() - started)
            if len(spent) >= MIN_TIMED_QUERIES and sum(spent) > MAX_TIMED_SECONDS:
                break
    finally:
        index.num_threads = threads
    return round(float(np.median(spent)) * 1e6, 1)


def _tried(
    index: FaissIndex,
    sample: RecallSample,
    vectors: NDArray[np.float16],
    settings: SearchSettings,
) -> tuple[CurvePoint, float]:
    """Return what a setting is worth and the standard error of its recall."""
    usual, index.settings = index.settings, settings
    try:
        found = index.search(sample.queries, sample.k + 1)
        microseconds = cpu_microseconds(index, sample.queries, sample.k)
    finally:
        index.settings = usual
    each = recalls(sample, found, vectors)
    error = float(each.std()) / sqrt(len(each))
    return CurvePoint(settings, round(float(each.mean()), 6), microseconds), error


def _cost(point: CurvePoint) -> float:
    assert point.cpu_microseconds is not None
    return point.cpu_microseconds


def _true_cost(point: CurvePoint, curve: list[CurvePoint]) -> float:
    """Return the least that was measured of a setting and of all that do no less than it.

    More work cannot take less time, whatever a busy machine measured.
    """
    effort = _effort(point.search)
    return min(
        _cost(other)
        for other in curve
        if all(least <= its for least, its in zip(effort, _effort(other.search), strict=True))
    )


def _effort(search: SearchSettings) -> tuple[int, int, int]:
    return search.nprobe or 0, search.ef_search or 0, search.k_factor or 0


def _settings_grid(index: FaissIndex) -> Iterator[list[SearchSettings]]:
    """Yield rows of settings: lists or graph width grow from row to row, k_factor inside."""
    factors: tuple[int | None, ...] = K_FACTORS if index.refines else (None,)
    num_lists = index.num_lists
    if num_lists is not None:
        for nprobe in _probes(num_lists):
            yield [SearchSettings(nprobe=nprobe, k_factor=factor) for factor in factors]
    elif index.walks_graph:
        for ef_search in EF_SEARCH:
            yield [SearchSettings(ef_search=ef_search, k_factor=factor) for factor in factors]
    else:
        yield [SearchSettings(k_factor=factor) for factor in factors]


def _probes(num_lists: int) -> list[int]:
    """Return how many lists to try: 1, 2, 3, 4, 6, 8, 12 … and all of them."""
    steps = [1, *(step for power in range(1, 32) for step in (1 << power, 3 << (power - 1)))]
    return [*(step for step in steps if step < num_lists), num_lists]
