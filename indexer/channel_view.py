"""One channel of a live view: the snapshot's rows first, then the delta's, as one numbering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.encoder import EncoderIdentity
from encoders.space import Vectors
from indexer.ann.exact_index import ExactIndex
from indexer.ann.vector_index import (
    NO_ROW,
    ItemCondition,
    Neighbors,
    Rows,
    Selection,
    merged,
)
from indexer.delta import DeltaChannel
from indexer.opened_snapshot import OpenedChannel

EXACT_ROWS_PER_BLOCK = 16_384
"""Vectors read at once by an exact search; 32 MB at 512 dimensions."""


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """One channel of a live view."""

    encoder_id: str
    space_id: str
    dim: int

    num_rows: int
    """Segment rows, those of hidden items included."""

    exact: bool
    """Whether a search compares the query with every row."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentColumns:
    """Some segments, rows in step."""

    item_rows: NDArray[np.int64]
    """Rows of the view's item table."""

    start_seconds: NDArray[np.float64]
    """NaN for still images and text."""

    stop_seconds: NDArray[np.float64]
    texts: list[str | None]


class ChannelView:
    """The segments of one channel.

    Args:
        name: the channel.
        identity: its encoder.
        opened: its part of the snapshot, ``None`` where that has none.
        delta: its part of the delta.
        first_delta_item: the row of the delta's first item in the view.
    """

    def __init__(
        self,
        name: str,
        identity: EncoderIdentity,
        opened: OpenedChannel | None,
        delta: DeltaChannel,
        first_delta_item: int,
    ) -> None:
        self._name = name
        self._identity = identity
        self._opened = opened
        self._delta = delta
        self._first_delta_item = first_delta_item
        self._offset = opened.index.num_rows if opened else 0
        self._live_selection: Selection | None = None
        self._live_selection_known = False

    @property
    def info(self) -> ChannelInfo:
        """What it holds."""
        return ChannelInfo(
            encoder_id=self._identity.encoder_id,
            space_id=self._identity.space_id,
            dim=self._identity.dim,
            num_rows=self._offset + self._delta.num_rows,
            exact=self._opened is None or self._opened.index.exact,
        )

    def search(
        self,
        queries: Vectors,
        k: int,
        live: NDArray[np.bool_],
        among: NDArray[np.bool_] | None,
        condition: ItemCondition | None = None,
    ) -> Neighbors:
        """Return the nearest segments of items that are live and, if given, in ``among``.

        Args:
            queries: ``(num_queries, dim)`` float32.
            k: how many segments.
            live: mask over the view's items, always the same one.
            among: mask over the view's items.
            condition: what all of ``among`` satisfy, for engines that filter by themselves.
        """
        allowed = live if among is None else live & among
        if self._opened is None:
            return self._search_delta(queries, k, allowed)
        if among is None:
            selection = self._selection_of_live(live, self._opened)
        else:
            selection = _selection(self._opened, allowed, among, condition)
        found = self._opened.index.search(queries, k, among=selection)
        if self._delta.num_rows == 0:
            return found
        fresh = self._search_delta(queries, k, allowed)
        rows = np.where(fresh.rows == NO_ROW, NO_ROW, fresh.rows + self._offset)
        return merged(found, Neighbors(rows, fresh.scores, fresh.mode))

    def search_exactly(
        self,
        queries: Vectors,
        k: int,
        live: NDArray[np.bool_],
        among: NDArray[np.bool_] | None,
    ) -> Neighbors:
        """Return what `search` would if it compared each query with every row; slow.

        Args:
            queries: ``(num_queries, dim)`` float32.
            k: how many segments.
            live: mask over the view's items.
            among: mask over the view's items.
        """
        allowed = live if among is None else live & among
        fresh = self._search_delta(queries, k, allowed)
        best = Neighbors(
            np.where(fresh.rows == NO_ROW, NO_ROW, fresh.rows + self._offset), fresh.scores
        )
        if self._opened is None:
            return best
        rows = np.flatnonzero(allowed[self._opened.item_rows])
        for start in range(0, len(rows), EXACT_ROWS_PER_BLOCK):
            some = rows[start : start + EXACT_ROWS_PER_BLOCK]
            vectors = self._opened.index.vectors(some)
            found = ExactIndex(self._identity.space_id, self._identity.dim, vectors).search(
                queries, k
            )
            known = np.where(found.rows == NO_ROW, NO_ROW, some[found.rows])
            best = merged(best, Neighbors(known, found.scores))
        return best

    def num_selected(self, live: NDArray[np.bool_], among: NDArray[np.bool_] | None) -> int:
        """Count the segments of items that are live and, if given, in ``among``."""
        allowed = live if among is None else live & among
        num_fresh = int(np.count_nonzero(allowed[self._delta.item_rows]))
        if self._opened is None:
            return num_fresh
        return num_fresh + int(np.count_nonzero(allowed[self._opened.item_rows]))

    def _search_delta(self, queries: Vectors, k: int, allowed: NDArray[np.bool_]) -> Neighbors:
        index = ExactIndex(self._identity.space_id, self._identity.dim, self._delta.vectors)
        return index.search(queries, k, among=Selection(allowed[self._delta.item_rows]))

    def item_rows(self, rows: Rows) -> Rows:
        """Return the item row of each segment row, -1 for -1; any shape."""
        if self._opened is None:
            return np.where(rows == NO_ROW, NO_ROW, self._delta.item_rows[rows])
        if self._delta.num_rows == 0:
            return np.where(rows == NO_ROW, NO_ROW, self._opened.item_rows[rows])
        early = self._opened.item_rows[np.minimum(rows, self._offset - 1)]
        late = self._delta.item_rows[np.maximum(rows - self._offset, 0)]
        found = np.where(rows < self._offset, early, late)
        return np.where(rows == NO_ROW, NO_ROW, found)

    def segments(self, rows: Rows) -> SegmentColumns:
        """Return item, times and words of segment rows, in the order given."""
        early, late = self._split(rows)
        item_rows = np.empty(len(rows), np.int64)
        starts, stops = np.empty(len(rows)), np.empty(len(rows))
        texts: list[str | None] = [None] * len(rows)
        if self._opened is not None:
            chosen = rows[early]
            item_rows[early] = self._opened.item_rows[chosen]
            starts[early] = self._opened.start_seconds[chosen]
            stops[early] = self._opened.stop_seconds[chosen]
            for at, text in zip(early.tolist(), self._opened.texts(chosen), strict=True):
                texts[at] = text
        chosen = rows[late] - self._offset
        item_rows[late] = self._delta.item_rows[chosen]
        starts[late] = self._delta.start_seconds[chosen]
        stops[late] = self._delta.stop_seconds[chosen]
        for at, row in zip(late.tolist(), chosen.tolist(), strict=True):
            texts[at] = self._delta.texts[row]
        return SegmentColumns(item_rows, starts, stops, texts)

    def rows_of_item(self, item_row: int) -> Rows:
        """Return the rows of an item's segments, in order."""
        if item_row >= self._first_delta_item:
            item_rows, offset = self._delta.item_rows, self._offset
        elif self._opened is not None:
            item_rows, offset = self._opened.item_rows, 0
        else:
            return np.empty(0, np.int64)
        start, stop = np.searchsorted(item_rows, [item_row, item_row + 1])
        return np.arange(start, stop, dtype=np.int64) + offset

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of segment rows: ``(len(rows), dim)`` float32."""
        early, late = self._split(rows)
        vectors = np.empty((len(rows), self._identity.dim), dtype=np.float32)
        if self._opened is not None:
            vectors[early] = self._opened.index.vectors(rows[early])
        vectors[late] = self._delta.vectors[rows[late] - self._offset]
        return vectors

    def _split(self, rows: Rows) -> tuple[Rows, Rows]:
        """Return where in ``rows`` the snapshot's rows stand, and where the delta's."""
        num_rows = self._offset + self._delta.num_rows
        if len(rows) and not (rows.min() >= 0 and rows.max() < num_rows):
            raise ValueError(
                f"channel {self._name!r}: rows must be in [0, {num_rows}), got "
                f"{rows.min()}..{rows.max()}"
            )
        return np.flatnonzero(rows < self._offset), np.flatnonzero(rows >= self._offset)

    def _selection_of_live(
        self, live: NDArray[np.bool_], opened: OpenedChannel
    ) -> Selection | None:
        """Return which snapshot rows are live, ``None`` for all of them; worked out once."""
        if not self._live_selection_known:
            mask = live[opened.item_rows]
            self._live_selection = None if mask.all() else Selection(mask)
            self._live_selection_known = True
        return self._live_selection


def _selection(
    opened: OpenedChannel,
    allowed: NDArray[np.bool_],
    among: NDArray[np.bool_],
    condition: ItemCondition | None,
) -> Selection:
    """Return which rows of a snapshot may be returned, with what its engine can filter by itself.

    Args:
        opened: a channel of the snapshot.
        allowed: mask over the view's items.
        among: the same without those that are deleted.
        condition: what all of ``among`` satisfy.
    """
    mask = allowed[opened.item_rows]
    if condition is None or not opened.filters_itself:
        return Selection(mask)
    num_meeting = None
    if condition.mask is not among:
        num_meeting = int(np.count_nonzero(condition.mask[opened.item_rows]))
    return Selection(mask, condition.condition, num_meeting)
