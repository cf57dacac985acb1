"""Exact search with numpy: the reference for every other engine, and the index of fresh writes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.vector_index import (
    NO_ROW,
    Neighbors,
    Rows,
    Selection,
    check_new_rows,
    check_queries,
    nearest,
    no_neighbors,
)

BYTES_PER_BLOCK = 32 << 20
"""Room for one block of vectors, or of scores, as float32."""


class ExactIndex:
    """Compares a query with every row.

    Args:
        space_id: which vectors it holds.
        dim: their length.
        vectors: rows to start with, ``(num_rows, dim)`` float32 or float16; kept, not copied, so
            a memory-mapped array stays on disk.
    """

    exact = True

    def __init__(
        self,
        space_id: str,
        dim: int,
        vectors: NDArray[np.float32] | NDArray[np.float16] | None = None,
    ) -> None:
        self.space_id = space_id
        self.dim = dim
        self._vectors = np.empty((0, dim), np.float32) if vectors is None else vectors
        if self._vectors.ndim != 2 or self._vectors.shape[1] != dim:
            raise ValueError(f"vectors must be (num_rows, {dim}), got {self._vectors.shape}")

    @property
    def num_rows(self) -> int:
        """How many rows it holds."""
        return len(self._vectors)

    def add(self, rows: Rows, vectors: Vectors) -> None:
        """Append vectors; copies all rows, so call it with many at a time."""
        check_new_rows(rows, vectors, self.num_rows, self.dim)
        self._vectors = np.concatenate([self._vectors, vectors.astype(np.float32, copy=False)])

    def search(self, queries: Vectors, k: int, *, among: Selection | None = None) -> Neighbors:
        """Return the ``k`` nearest rows of each query, equal scores by row number."""
        queries = check_queries(queries, self.dim, k)
        if among is not None and among.num_selected == self.num_rows:
            among = None
        if among is not None and 4 * among.num_selected < self.num_rows:
            return self._search_rows(queries, k, among.rows)
        best = no_neighbors(len(queries), k)
        step = self._rows_per_block(len(queries))
        for start in range(0, self.num_rows, step):
            block = self._vectors[start : start + step].astype(np.float32, copy=False)
            scores = queries @ block.T
            if among is not None:
                scores[:, ~among.mask[start : start + step]] = -np.inf
            best = _better(best, np.arange(start, start + len(block)), scores)
        return best

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of ``rows``: ``(len(rows), dim)`` float32."""
        return self._vectors[rows].astype(np.float32, copy=False)

    def _search_rows(self, queries: Vectors, k: int, rows: Rows) -> Neighbors:
        best = no_neighbors(len(queries), k)
        step = self._rows_per_block(len(queries))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            best = _better(best, some, queries @ self.vectors(some).T)
        return best

    def _rows_per_block(self, num_queries: int) -> int:
        return max(1, BYTES_PER_BLOCK // (4 * max(self.dim, num_queries)))


def _better(best: Neighbors, rows: Rows, scores: NDArray[np.float32]) -> Neighbors:
    """Return the best of what was found before and of one more block."""
    if scores.shape[1] > best.k:
        chosen = np.argpartition(-scores, best.k - 1, axis=1)[:, : best.k]
        rows, scores = rows[chosen], np.take_along_axis(scores, chosen, 1)
    else:
        rows = np.broadcast_to(rows, scores.shape)
    return nearest(
        np.concatenate([best.rows, np.where(np.isneginf(scores), NO_ROW, rows)], axis=1),
        np.concatenate([best.scores, scores], axis=1),
        best.k,
    )
