"""How much of what exact search finds an index finds too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.exact_index import ExactIndex
from indexer.ann.half_precision import as_float32
from indexer.ann.vector_index import Neighbors, Rows

# Rows this close to the k-th best count as equally near: float32 sums in another order.
TIE = np.float32(1e-6)


@dataclass(frozen=True, slots=True, eq=False)
class RecallSample:
    """Stored rows used as questions, and how near their k nearest other rows are."""

    rows: Rows
    """``(num_queries,)``"""

    queries: Vectors
    """``(num_queries, dim)`` float32"""

    kth_scores: NDArray[np.float32]
    """``(num_queries,)`` score of the k-th best row other than the question itself."""

    k: int
    """10, or all other rows where there are fewer."""

    def part(self, chosen: slice) -> RecallSample:
        """Return some of the questions."""
        return RecallSample(
            self.rows[chosen], self.queries[chosen], self.kth_scores[chosen], self.k
        )


def held_out_rows(num_rows: int, num_queries: int, seed: int = 0) -> Rows:
    """Return up to ``num_queries`` different rows, ascending: the same for the same numbers."""
    chosen = np.random.default_rng(seed).permutation(num_rows)[:num_queries]
    return np.sort(chosen).astype(np.int64)


def recall_sample(vectors: NDArray[np.float16], rows: Rows, k: int = 10) -> RecallSample | None:
    """Ask exact search for the nearest neighbours of some rows.

    Args:
        vectors: ``(num_rows, dim)`` everything the index holds, read block by block.
        rows: which of them to ask with.
        k: how many neighbours, the row itself not counted.

    Returns:
        ``None`` where there is no question, or nothing to find: fewer than two rows.
    """
    k = min(k, len(vectors) - 1)
    if k < 1 or len(rows) == 0:
        return None
    queries = as_float32(vectors[rows])
    everything = ExactIndex("", vectors.shape[1], vectors)
    found = others(everything.search(queries, k + 1), rows, k)
    return RecallSample(rows, queries, found.scores[:, -1], k)


def others(found: Neighbors, rows: Rows, k: int) -> Neighbors:
    """Return the first ``k`` neighbours of each query that are not the query's own row."""
    # A stable sort of "is it me" moves the own row to the end and leaves the rest in order.
    order = np.argsort(found.rows == rows[:, None], axis=1, kind="stable")[:, :k]
    return Neighbors(
        np.take_along_axis(found.rows, order, 1), np.take_along_axis(found.scores, order, 1)
    )


def recall(sample: RecallSample, found: Neighbors, vectors: NDArray[np.float16]) -> float:
    """Return the share of the true nearest neighbours that were found, ties counted as true.

    Args:
        sample: the questions and how near the true neighbours are.
        found: an index's answer to ``sample.queries`` with ``sample.k + 1`` neighbours.
        vectors: ``(num_rows, dim)`` everything the index holds; scores of approximate indexes are
            estimates, so they are computed again.
    """
    return float(recalls(sample, found, vectors).mean())


def recalls(
    sample: RecallSample, found: Neighbors, vectors: NDArray[np.float16]
) -> NDArray[np.float64]:
    """Return the `recall` of each question: ``(num_queries,)`` in [0, 1]."""
    kept = others(found, sample.rows, sample.k)
    candidates = vectors[np.maximum(kept.rows, 0)].astype(np.float32)
    right = is_right(sample.queries, sample.kth_scores, kept.rows, candidates)
    return np.asarray(right.mean(axis=1))


def is_right(
    queries: Vectors,
    kth_scores: NDArray[np.float32],
    rows: Rows,
    candidates: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Tell which answers are among the true nearest neighbours; ties count as true.

    Args:
        queries: ``(num_queries, dim)`` float32.
        kth_scores: ``(num_queries,)`` score of the last true neighbour.
        rows: ``(num_queries, k)`` answers, -1 where there is none.
        candidates: ``(num_queries, k, dim)`` vectors of ``rows``; scores of approximate indexes are
            estimates, so they are computed again.

    Returns:
        ``(num_queries, k)``.
    """
    scores: NDArray[np.float32] = np.einsum("qd,qkd->qk", queries, candidates)
    return (rows >= 0) & (scores >= kth_scores[:, None] - TIE)
