"""Search with Qdrant: it names candidates, the stored vectors decide."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Protocol

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.exact_index import ExactIndex
from indexer.ann.index_entry import IndexEntry, SearchSettings
from indexer.ann.vector_index import (
    NO_ROW,
    Neighbors,
    PayloadCondition,
    Rows,
    SearchMode,
    Selection,
    check_new_rows,
    check_queries,
    nearest,
    no_neighbors,
)

EXACT_SURVIVORS = 5_000
"""Up to so many rows left by a filter, comparing with each is faster and finds all of them."""

MAX_CANDIDATES = 10_000
"""More are not asked for: naming them takes longer than comparing with all."""

COMPARED_PER_CANDIDATE = 16
"""Rows that a plain scan compares in the time in which a graph finds one candidate."""

SPARE_CANDIDATES = 16
"""Asked for beyond what is wanted: Qdrant rounds the query to float16, so near ties may swap."""

WIDENING = 8
"""How many times more candidates are asked for when too few of the first were selected."""


FILTERED_SHARE = 0.5
"""Conditions that keep more of the rows are not worth it: 1 / share times as many candidates are
found sooner than each is looked at.
"""

FILTERED_EFFORT = 4
"""How many times as many candidates a walk keeps that passes rows by. With a fifth of 60 000 rows
kept it brings recall@10 from 0.93 to 0.98, for what asking without a condition costs.
"""


class Points(Protocol):
    """Where Qdrant keeps the rows."""

    def check(self) -> None:
        """Raise a `KindredError` if it could not be searched now."""
        ...

    def search(
        self,
        queries: Vectors,
        limit: int,
        *,
        exact: bool,
        settings: SearchSettings,
        condition: PayloadCondition | None,
    ) -> Rows:
        """Return ``(num_queries, limit)`` row numbers, nearest first, -1 where there are none."""
        ...


def candidate_limits(
    num_rows: int, num_selected: int, k: int, *, num_meeting: int | None, always_ask: bool
) -> tuple[int, ...]:
    """Decide how to find ``k`` of ``num_selected`` rows.

    Args:
        num_rows: rows of the index.
        num_selected: rows that may be returned, at least 1.
        k: how many are wanted.
        num_meeting: how many rows satisfy what Qdrant is asked to filter by, the selected ones
            among them; ``None``: it cannot filter.
        always_ask: nothing is ruled out, so few rows are no reason not to ask.

    Returns:
        How many candidates to ask Qdrant for, first and where those were too few; where these are
        too few as well, or nothing is to be asked, every selected row is compared.
    """
    wanted = min(k, num_selected)
    share = num_selected / (num_rows if num_meeting is None else num_meeting)
    first = min(num_rows, ceil(1.25 * wanted / share) + SPARE_CANDIDATES)
    plain = num_selected <= max(EXACT_SURVIVORS, COMPARED_PER_CANDIDATE * first)
    if first > MAX_CANDIDATES or (plain and not always_ask):
        return ()
    wider = min(num_rows, WIDENING * first)
    return (first, wider) if first < wider <= MAX_CANDIDATES else (first,)


class QdrantIndex:
    """The rows of a generation in Qdrant, and the vectors they stand for.

    Qdrant finds candidates; their scores are computed here from the stored vectors, so they are the
    same as those of every other engine, and of the rows that were written since.

    Args:
        space_id: which vectors it holds.
        entry: what the manifest says about it.
        points: where to look; ``None`` where there are no rows.
        stored: ``(num_rows, dim)`` float16, what was uploaded.
    """

    def __init__(
        self,
        space_id: str,
        entry: IndexEntry,
        points: Points | None,
        stored: NDArray[np.float16],
    ) -> None:
        self.space_id = space_id
        self.dim = entry.dim
        self.exact = entry.exact
        self._points = points
        self._settings = entry.search
        self._payload = entry.payload
        self._stored = stored
        self._scan = ExactIndex(space_id, entry.dim, stored)

    @property
    def num_rows(self) -> int:
        """How many rows it holds."""
        return len(self._stored)

    def add(self, rows: Rows, vectors: Vectors) -> None:
        """Refuse: a generation is complete when it can be searched.

        Raises:
            ValueError: always; first of all if the rows would not continue the index.
        """
        check_new_rows(rows, vectors, self.num_rows, self.dim)
        raise ValueError("a finished generation in Qdrant cannot be added to")

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        among: Selection | None = None,
        settings: SearchSettings | None = None,
    ) -> Neighbors:
        """Return the ``k`` nearest rows of each query, equal scores by row number.

        Args:
            queries: ``(num_queries, dim)`` float32.
            k: at least 1.
            among: the rows that may be returned; all when ``None``.
            settings: instead of the index's own, while tuning.

        Raises:
            BadQuery: the queries have the wrong shape or hold NaN, or ``k`` is below 1.
            KindredError: Qdrant cannot be reached or does not answer.
        """
        queries = check_queries(queries, self.dim, k)
        if among is not None and among.num_selected == self.num_rows:
            among = None
        num_selected = self.num_rows if among is None else among.num_selected
        if self._points is None or num_selected == 0 or len(queries) == 0:
            return no_neighbors(len(queries), k)
        settings = settings or self._settings
        condition, num_meeting = self._usable(among), None
        if among is not None and condition is not None:
            num_meeting = among.num_meeting
            if settings.ef_search is not None:
                wider = FILTERED_EFFORT * settings.ef_search
                settings = structs.replace(settings, ef_search=wider)
        limits = candidate_limits(
            self.num_rows,
            num_selected,
            k,
            num_meeting=num_meeting,
            always_ask=among is None,
        )
        best = no_neighbors(len(queries), k)
        missing = np.arange(len(queries))
        for limit in limits:
            rows = self._points.search(
                queries[missing],
                limit,
                exact=self.exact,
                settings=settings,
                condition=condition,
            )
            found = self._scored(queries[missing], rows, k, among)
            best.rows[missing], best.scores[missing] = found.rows, found.scores
            missing = missing[found.rows[:, min(k, num_selected) - 1] == NO_ROW]
            if not len(missing):
                return replace(best, mode="exact" if self.exact else "approximate")
        found = self._scan.search(queries[missing], k, among=among)
        best.rows[missing], best.scores[missing] = found.rows, found.scores
        compared: SearchMode = "exact" if self.exact or among is None else "exact_filtered"
        return replace(best, mode=compared if len(missing) == len(queries) else "approximate")

    def check(self) -> None:
        """Ask whether Qdrant is there.

        Raises:
            KindredError: it is not, or its rows are gone.
        """
        if self._points is not None:
            self._points.check()

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of ``rows``: ``(len(rows), dim)`` float32."""
        return self._scan.vectors(rows)

    def _usable(self, among: Selection | None) -> PayloadCondition | None:
        """Return the selection's condition if Qdrant should filter by it.

        The payload must be stored as the condition takes it to be: a collection's attributes may
        have changed their types since the snapshot was made.
        """
        condition = among.condition if among is not None else None
        if among is None or condition is None or among.num_meeting > FILTERED_SHARE * self.num_rows:
            return None
        return condition if condition.columns.items() <= self._payload.items() else None

    def _scored(self, queries: Vectors, rows: Rows, k: int, among: Selection | None) -> Neighbors:
        """Compare candidates with their queries; those that may not be returned are left out."""
        if among is not None:
            rows = np.where(among.mask[rows] & (rows != NO_ROW), rows, NO_ROW)
        scores = np.empty(rows.shape, np.float32)
        for query, candidates, row_scores in zip(queries, rows, scores, strict=True):
            np.matmul(self._stored[candidates].astype(np.float32), query, out=row_scores)
        return nearest(rows, scores, k)
