"""What a vector index is: rows go in, the nearest rows come out, whatever the engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.errors import KindredError
from encoders.space import Vectors

Rows: TypeAlias = NDArray[np.int64]
"""``(num_rows,)`` row numbers, dense from 0, valid inside one index only."""

NO_ROW = -1


class BadQuery(KindredError):
    """Query vectors that no index can answer: wrong shape, wrong length, NaN."""

    code = "bad_query"


@dataclass(frozen=True, slots=True, eq=False)
class Neighbors:
    """The nearest rows of each query, nearest first."""

    rows: Rows
    """``(num_queries, k)``; -1 where fewer than ``k`` rows could be found."""

    scores: NDArray[np.float32]
    """``(num_queries, k)`` inner products, higher is nearer; -inf where ``rows`` is -1."""

    def __post_init__(self) -> None:
        if self.rows.shape != self.scores.shape or self.rows.ndim != 2:
            raise ValueError(f"rows {self.rows.shape} and scores {self.scores.shape} must match")

    @property
    def k(self) -> int:
        """How many neighbours each query has room for."""
        return int(self.rows.shape[1])


class Selection:
    """The rows a search may return."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        self.mask = mask
        """``(num_rows,)``: True where a row may be returned."""

    @cached_property
    def rows(self) -> Rows:
        """The row numbers that may be returned, ascending."""
        return np.flatnonzero(self.mask).astype(np.int64, copy=False)

    @cached_property
    def num_selected(self) -> int:
        """How many rows may be returned."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def bitmap(self) -> NDArray[np.uint8]:
        """The mask as bits, lowest bit first, as FAISS takes it."""
        return np.packbits(self.mask, bitorder="little")


class VectorIndex(Protocol):
    """Finds the rows whose vectors have the highest inner product with a query."""

    @property
    def space_id(self) -> str:
        """Which vectors it may be asked with."""
        ...

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    @property
    def num_rows(self) -> int:
        """How many rows it holds."""
        ...

    @property
    def exact(self) -> bool:
        """Whether it always finds the true nearest rows."""
        ...

    def add(self, rows: Rows, vectors: Vectors) -> None:
        """Append vectors.

        Args:
            rows: the numbers they shall have: the next ones after `num_rows`, in order.
            vectors: ``(len(rows), dim)`` float32.
        """
        ...

    def search(self, queries: Vectors, k: int, *, among: Selection | None = None) -> Neighbors:
        """Return the ``k`` nearest rows of each query.

        Args:
            queries: ``(num_queries, dim)`` float32.
            k: at least 1.
            among: the rows that may be returned; all when ``None``.

        Raises:
            BadQuery: the queries have the wrong shape or hold NaN, or ``k`` is below 1.
        """
        ...

    def vectors(self, rows: Rows) -> Vectors:
        """Return what was added as ``rows``: ``(len(rows), dim)`` float32."""
        ...


def check_queries(queries: Vectors, dim: int, k: int) -> Vectors:
    """Return ``queries`` as C-contiguous float32, or say why they cannot be answered.

    Raises:
        BadQuery: not ``(num_queries, dim)``, NaN or infinity inside, or ``k`` below 1.
    """
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise BadQuery(
            f"queries must be (num_queries, {dim}), got {queries.shape}",
            expected=[None, dim],
            got=list(queries.shape),
        )
    if k < 1:
        raise BadQuery(f"k must be at least 1, got {k}", k=k)
    # Infinity is refused with NaN: infinity times zero is NaN in the score.
    if not np.isfinite(queries).all():
        raise BadQuery("queries hold NaN or infinity")
    return np.ascontiguousarray(queries, dtype=np.float32)


def check_new_rows(rows: Rows, vectors: Vectors, num_rows: int, dim: int) -> None:
    """Refuse rows that do not continue an index.

    Raises:
        ValueError: naming what was expected.
    """
    if vectors.shape != (len(rows), dim):
        raise ValueError(f"vectors must be ({len(rows)}, {dim}), got {vectors.shape}")
    if len(rows) and not np.array_equal(rows, np.arange(num_rows, num_rows + len(rows))):
        raise ValueError(f"rows must be {num_rows}, {num_rows + 1}, …: got {rows[:3]} …")


def no_neighbors(num_queries: int, k: int) -> Neighbors:
    """Return the answer of an index that holds nothing."""
    return Neighbors(
        np.full((num_queries, k), NO_ROW, dtype=np.int64),
        np.full((num_queries, k), -np.inf, dtype=np.float32),
    )


def nearest(rows: Rows, scores: NDArray[np.float32], k: int) -> Neighbors:
    """Return the ``k`` best of some candidates, equal scores by row number.

    Args:
        rows: ``(num_queries, num_candidates)``, -1 where there is none.
        scores: the same shape.
        k: how many to keep; padded with -1 where there are fewer candidates.
    """
    scores = np.where(rows == NO_ROW, np.float32(-np.inf), scores)
    if rows.shape[1] > k:
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        rows, scores = np.take_along_axis(rows, best, 1), np.take_along_axis(scores, best, 1)
    order = np.lexsort((rows, -scores), axis=1)
    rows, scores = np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
    # A row ruled out scores -inf: whatever its number was, it is none.
    rows = np.where(np.isneginf(scores), NO_ROW, rows)
    missing = k - rows.shape[1]
    if missing > 0:
        rows = np.pad(rows, ((0, 0), (0, missing)), constant_values=NO_ROW)
        scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
    return Neighbors(rows.astype(np.int64, copy=False), scores.astype(np.float32, copy=False))


def merged(left: Neighbors, right: Neighbors) -> Neighbors:
    """Return the best of two answers to the same queries, as many as ``left`` has room for."""
    return nearest(
        np.concatenate([left.rows, right.rows], axis=1),
        np.concatenate([left.scores, right.scores], axis=1),
        left.k,
    )
