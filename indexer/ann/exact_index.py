"""Exact search with numpy: the reference for every other engine, and the index of fresh writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.half_precision import Stored, as_float32
from indexer.ann.vector_index import (
    Neighbors,
    Rows,
    Selection,
    check_new_rows,
    check_queries,
    nearest,
    no_neighbors,
)

BYTES_PER_BLOCK = 4 << 20
"""Room for one block of vectors, or of scores, as float32: few enough to stay in the cache between
two passes over them.
"""

FIRST_BLOCK_ROWS = 1024
"""All scores of the first block are sorted; later ones are first held against its k-th best."""


class ExactIndex:
    """Compares a query with every row.

    Args:
        space_id: which vectors it holds.
        dim: their length.
        vectors: rows to start with, ``(num_rows, dim)`` float32 or float16; kept, not copied, so
            a memory-mapped array stays on disk.
    """

    exact = True

    def __init__(self, space_id: str, dim: int, vectors: Stored | None = None) -> None:
        self.space_id = space_id
        self.dim = dim
        self._vectors: Stored = np.empty((0, dim), np.float32) if vectors is None else vectors
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
            return search_rows(queries, k, among.rows, self.vectors)
        best = no_neighbors(len(queries), k)
        for block in blocks(self.num_rows, self.dim, len(queries)):
            scores = queries @ as_float32(self._vectors[block]).T
            if among is not None:
                scores[:, ~among.mask[block]] = -np.inf
            best = _better(best, np.arange(block.start, block.stop), scores)
        return best

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of ``rows``: ``(len(rows), dim)`` float32."""
        return as_float32(self._vectors[rows])


def search_rows(
    queries: Vectors, k: int, rows: Rows, vectors: Callable[[Rows], Vectors]
) -> Neighbors:
    """Return the ``k`` nearest of some rows, equal scores by row number.

    Args:
        queries: ``(num_queries, dim)`` float32.
        k: how many.
        rows: which rows there are to choose from, ascending.
        vectors: gives the float32 vectors of rows.
    """
    best = no_neighbors(len(queries), k)
    for block in blocks(len(rows), queries.shape[1], len(queries)):
        some = rows[block]
        best = _better(best, some, queries @ vectors(some).T)
    return best


def blocks(num_rows: int, dim: int, num_queries: int) -> Iterator[slice]:
    """Yield the parts of ``num_rows`` rows to compare at a time."""
    step = max(1, BYTES_PER_BLOCK // (4 * max(dim, num_queries, 1)))
    start = 0
    while start < num_rows:
        stop = min(num_rows, start + (step if start else min(step, FIRST_BLOCK_ROWS)))
        yield slice(start, stop)
        start = stop


def _better(best: Neighbors, rows: Rows, scores: NDArray[np.float32]) -> Neighbors:
    """Return the best of what was found before and of one more block.

    Args:
        best: found before.
        rows: ``(num_rows,)`` the block's, each higher than all before, so that equal scores need
            not be looked at.
        scores: ``(num_queries, num_rows)``
    """
    hits = np.flatnonzero(scores > best.scores[:, -1:])
    if not len(hits):
        return best
    query, column = np.divmod(hits, scores.shape[1])
    num_hits = np.bincount(query, minlength=len(scores))
    place = np.arange(len(hits)) - np.repeat(np.cumsum(num_hits) - num_hits, num_hits)
    candidates = no_neighbors(len(scores), int(num_hits.max()))
    candidates.rows[query, place] = rows[column]
    candidates.scores[query, place] = scores.ravel()[hits]
    return nearest(
        np.concatenate([best.rows, candidates.rows], axis=1),
        np.concatenate([best.scores, candidates.scores], axis=1),
        best.k,
        mode="exact",
    )
