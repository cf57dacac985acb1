"""Searching one channel: from query vectors to items in order of their best segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.query_encoding import ChannelQuery
from encoders.space import require_same_space
from indexer.ann.vector_index import ItemCondition, Rows, SearchMode
from indexer.live_view import LiveView
from search_api.fusion import RankedItem
from search_api.grouping import ItemGroup, best_per_row, group_by_item
from search_api.schemas import MAX_LIMIT

FUSION_DEPTH = MAX_LIMIT
"""Items that each channel gives to fusion, whatever the request's limit, so that a longer answer
begins with the shorter one.
"""

FIRST_SEGMENTS = 256
"""Segments asked for at first."""

WIDENING = 4
"""Factor by which the number of segments grows while too few items are found."""

MAX_SEGMENTS_FOR_DEPTH = 1024
"""Beyond this many segments a channel widens only as far as the request's limit needs."""

NEAREST_KEPT = 10
"""Segments per query vector that an answer keeps for measuring recall."""


@dataclass(frozen=True, slots=True)
class ChannelAnswer:
    """What one channel found."""

    items: Sequence[RankedItem]
    """Best first, at most `FUSION_DEPTH`."""

    groups: dict[int, ItemGroup]
    """By item row, the segments that matched."""

    nearest_rows: Rows
    """``(num_queries, up to NEAREST_KEPT)`` the nearest segments, nearest first; -1 for none."""

    mode: SearchMode
    """How its segments were found."""


def search_channel(
    view: LiveView,
    channel: str,
    query: ChannelQuery,
    *,
    limit: int,
    among: NDArray[np.bool_] | None,
    condition: ItemCondition | None = None,
    excluded_row: int | None = None,
) -> ChannelAnswer:
    """Return the items of ``channel`` nearest to ``query``.

    An item's score is that of its best segment with the best vector of the query. As long items
    may fill the first answers with their own segments, the search widens until enough distinct
    items are certain.

    Args:
        view: what is searched.
        channel: a channel of the view.
        query: in the channel's space.
        limit: how many items the request wants.
        among: ``(num_items,)`` mask of items that may answer; ``None``: all.
        condition: what all of them satisfy, for engines that filter by themselves.
        excluded_row: an item that may not answer.

    Raises:
        SpaceMismatch: the channel's vectors are in another space, for instance because the
            model changed and nothing was encoded anew.
    """
    info = view.channels[channel]
    if not info.num_rows:
        return ChannelAnswer([], {}, np.empty((len(query.vectors), 0), np.int64), "exact")
    require_same_space(
        "the query",
        query.space_id,
        query.vectors.shape[1],
        f"channel {channel!r}",
        info.space_id,
        info.dim,
    )
    num_segments = min(FIRST_SEGMENTS, info.num_rows)
    while True:
        neighbors = view.search(channel, query.vectors, num_segments, among, condition)
        rows, scores = best_per_row(neighbors.rows, neighbors.scores)
        groups = [
            group
            for group in group_by_item(rows, scores, view.segments(channel, rows).item_rows)
            if group.item_row != excluded_row
        ]
        floor = _certain_above(neighbors.rows, neighbors.scores, num_segments, info.num_rows)
        groups = [group for group in groups if group.score >= floor]
        wanted = FUSION_DEPTH if num_segments < MAX_SEGMENTS_FOR_DEPTH else limit
        if len(groups) >= wanted or floor == -np.inf:
            break
        num_segments = min(WIDENING * num_segments, info.num_rows)
    # A copy: the answer would else keep all rows that were found in memory.
    nearest_rows = neighbors.rows[:, :NEAREST_KEPT].copy()
    return _answer(view, groups, nearest_rows, neighbors.mode)


def _certain_above(
    rows: NDArray[np.int64], scores: NDArray[np.float32], num_segments: int, num_rows: int
) -> float:
    """Return the score from which on every item is known with its best segment.

    A query vector whose answers were cut off at ``num_segments`` says nothing about scores below
    its last one; ``-inf`` when no vector was cut off.
    """
    if num_segments >= num_rows:
        return -np.inf
    cut_off = rows[:, -1] >= 0
    return float(scores[cut_off, -1].max()) if cut_off.any() else -np.inf


def _answer(
    view: LiveView, groups: list[ItemGroup], nearest_rows: Rows, mode: SearchMode
) -> ChannelAnswer:
    """Order the groups by score, equal scores by item id."""
    import pyarrow as pa

    ids = view.items.column("item_id").take(pa.array([group.item_row for group in groups], "int64"))
    named = sorted(
        zip(groups, ids.to_pylist(), strict=True), key=lambda entry: (-entry[0].score, entry[1])
    )[:FUSION_DEPTH]
    return ChannelAnswer(
        items=[RankedItem(group.item_row, item_id, group.score) for group, item_id in named],
        groups={group.item_row: group for group, _ in named},
        nearest_rows=nearest_rows,
        mode=mode,
    )
