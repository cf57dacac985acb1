"""What a vector index is: rows go in, the nearest rows come out, whatever the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite
from operator import gt
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.errors import KindredError
from encoders.space import Vectors

Rows: TypeAlias = NDArray[np.int64]
"""``(num_rows,)`` row numbers, dense from 0, valid inside one index only."""

NO_ROW = -1

SearchMode: TypeAlias = Literal["exact", "exact_filtered", "approximate"]
"""How an answer was found: by comparing with every row (``exact``), by comparing with every row
that the filter keeps where the index itself is approximate (``exact_filtered``), or by an
approximate index. The first two have no recall to speak of: they miss nothing.
"""


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

    mode: SearchMode = "approximate"
    """An engine that says nothing promises nothing."""

    def __post_init__(self) -> None:
        if self.rows.shape != self.scores.shape or self.rows.ndim != 2:
            raise ValueError(f"rows {self.rows.shape} and scores {self.scores.shape} must match")

    @property
    def k(self) -> int:
        """How many neighbours each query has room for."""
        return int(self.rows.shape[1])


@dataclass(frozen=True, slots=True)
class PayloadCondition:
    """A filter as engines take it that store what is filtered on beside the vectors."""

    filter: Mapping[str, Any]
    """As Qdrant's HTTP API takes it: ``must``, ``should``, ``must_not``."""

    columns: Mapping[str, str]
    """The columns it reads, with the type each was taken for."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemCondition:
    """What an engine can filter on by itself, of what says which items a search may return."""

    condition: PayloadCondition
    mask: NDArray[np.bool_]
    """``(num_items,)``: True where an item satisfies it; all that may be returned do."""


class Selection:
    """The rows a search may return."""

    def __init__(
        self,
        mask: NDArray[np.bool_],
        condition: PayloadCondition | None = None,
        num_meeting: int | None = None,
    ) -> None:
        self.mask = mask
        """``(num_rows,)``: True where a row may be returned."""

        self._counted: tuple[NDArray[np.int32], NDArray[np.int64]] | None = None

        self.condition = condition
        """What all selected rows satisfy, and perhaps some others: the mask decides."""

        self._num_meeting = num_meeting

    @cached_property
    def rows(self) -> Rows:
        """The row numbers that may be returned, ascending."""
        return np.flatnonzero(self.mask).astype(np.int64, copy=False)

    @cached_property
    def num_selected(self) -> int:
        """How many rows may be returned."""
        return int(np.count_nonzero(self.mask))

    @property
    def num_meeting(self) -> int:
        """How many rows satisfy the condition, as far as that is known: at least those selected."""
        return self.num_selected if self._num_meeting is None else self._num_meeting

    @cached_property
    def bitmap(self) -> NDArray[np.uint8]:
        """The mask as bits, lowest bit first, as FAISS takes it."""
        return np.packbits(self.mask, bitorder="little")

    def counts(self, groups: NDArray[np.int32], num_groups: int) -> NDArray[np.int64]:
        """Return how many rows of each group may be returned: ``(num_groups,)``.

        Kept for the next search, as a selection is often searched more than once.

        Args:
            groups: ``(num_rows,)`` the group of each row, in [0, num_groups).
            num_groups: how many there are.
        """
        if self._counted is None or self._counted[0] is not groups:
            counts = np.bincount(groups[self.rows], minlength=num_groups)
            self._counted = groups, counts
        return self._counted[1]


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
    # Infinity is refused with NaN: infinity times zero is NaN in the score. A sum of squares takes
    # less time than a look at every number, which is needed only where the sum is not finite.
    if not isfinite(np.vdot(queries, queries)) and not np.isfinite(queries).all():
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
        mode="exact",
    )


def nearest(
    rows: Rows, scores: NDArray[np.float32], k: int, *, mode: SearchMode = "approximate"
) -> Neighbors:
    """Return the ``k`` best of some candidates, equal scores by row number.

    Args:
        rows: ``(num_queries, num_candidates)``, -1 where there is none.
        scores: the same shape.
        k: how many to keep; padded with -1 where there are fewer candidates.
        mode: how they were found.
    """
    if rows.shape[1] == k and _in_order(rows, scores):
        return Neighbors(rows, scores, mode)
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
    return Neighbors(rows.astype(np.int64, copy=False), scores.astype(np.float32, copy=False), mode)


def _in_order(rows: Rows, scores: NDArray[np.float32]) -> bool:
    """Tell whether an engine's answer is complete and free of ties, which most are."""
    if len(rows) == 1:
        # Numpy takes longer over ten numbers than Python does.
        values = scores[0].tolist()
        falling = all(map(gt, values, values[1:]))
        return falling and min(rows[0].tolist()) >= 0 and values[-1] > -inf
    return bool((scores[:, 1:] < scores[:, :-1]).all() and rows.min(initial=0) >= 0) and bool(
        scores.min(initial=0) > -np.inf
    )


def merged(left: Neighbors, right: Neighbors) -> Neighbors:
    """Return the best of two answers to the same queries, as many as ``left`` has room for."""
    return nearest(
        np.concatenate([left.rows, right.rows], axis=1),
        np.concatenate([left.scores, right.scores], axis=1),
        left.k,
        mode=weakest_mode([left.mode, right.mode]),
    )


def weakest_mode(modes: Iterable[SearchMode]) -> SearchMode:
    """Return what can be said of an answer made from several: the least of its parts."""
    return max(modes, key=_WEAKNESS.__getitem__, default="exact")


_WEAKNESS: Mapping[SearchMode, int] = {"exact": 0, "exact_filtered": 1, "approximate": 2}
