"""From segments to items and moments: an item's score in a channel, and where it matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_MOMENTS = 3
"""Most moments kept per item and channel."""

NEAR_PEAK = 0.95
"""A window joins the moment beside it when it scores at least this share of the moment's peak;
without a bound, an item whose windows all match a little would become one moment of full length.
"""


@dataclass(frozen=True, slots=True)
class SegmentScore:
    """A segment that matched."""

    row: int
    """Segment row of the channel in the live view."""

    score: float
    start_seconds: float | None = None
    stop_seconds: float | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ItemGroup:
    """The segments of one item that one channel found."""

    item_row: int
    score: float
    """The best segment's score."""

    rows: NDArray[np.int64]
    """Segment rows, best first."""

    scores: NDArray[np.float32]
    """Their scores."""


def best_per_row(
    rows: NDArray[np.int64], scores: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Merge the answers of several query vectors: each segment once, with its best score.

    Args:
        rows: ``(num_queries, k)`` segment rows, -1 where there is no answer.
        scores: ``(num_queries, k)``.

    Returns:
        Distinct rows and their best scores, best first, ties by row.
    """
    found = rows >= 0
    flat_rows, flat_scores = rows[found], scores[found]
    order = np.lexsort((-flat_scores, flat_rows))
    flat_rows, flat_scores = flat_rows[order], flat_scores[order]
    first = np.ones(len(flat_rows), dtype=bool)
    first[1:] = flat_rows[1:] != flat_rows[:-1]
    flat_rows, flat_scores = flat_rows[first], flat_scores[first]
    best = np.lexsort((flat_rows, -flat_scores))
    return flat_rows[best], flat_scores[best]


def group_by_item(
    rows: NDArray[np.int64], scores: NDArray[np.float32], item_rows: NDArray[np.int64]
) -> list[ItemGroup]:
    """Return one group per item, in order of the items' best segments.

    Args:
        rows: ``(n,)`` distinct segment rows, best first.
        scores: ``(n,)`` their scores.
        item_rows: ``(n,)`` the item that each belongs to.
    """
    positions_of: dict[int, list[int]] = {}
    for position, item_row in enumerate(item_rows.tolist()):
        positions_of.setdefault(item_row, []).append(position)
    # Items entered in order of their best segment, since segments come best first.
    return [
        ItemGroup(item_row, float(scores[positions[0]]), rows[positions], scores[positions])
        for item_row, positions in positions_of.items()
    ]


def moments_of(segments: Sequence[SegmentScore]) -> list[SegmentScore]:
    """Return the best places of one item in one channel, best first, at most `MAX_MOMENTS`.

    Windows that touch or overlap a peak and score nearly as well become one stretch with it;
    weaker windows that overlap a stretch already taken are left out, since they show the same
    place again::

        windows   [--0.60--]                       [-0.41-]
                       [--0.61--]
                            [--0.40--]
        moments   [----- 0.61 ---]                 [-0.41-]

    Args:
        segments: what was found of the item, best first.
    """
    moments: list[SegmentScore] = []
    for peak in segments:
        if len(moments) == MAX_MOMENTS:
            break
        if any(_overlaps(peak, moment) for moment in moments):
            continue
        moments.append(_grown(peak, segments, moments))
    return moments


def _grown(
    peak: SegmentScore, segments: Sequence[SegmentScore], taken: Sequence[SegmentScore]
) -> SegmentScore:
    """Widen ``peak`` over the windows beside it that match nearly as well."""
    if peak.start_seconds is None or peak.stop_seconds is None:
        return peak
    spans = sorted(
        (segment.start_seconds, segment.stop_seconds)
        for segment in segments
        if segment.start_seconds is not None
        and segment.stop_seconds is not None
        and (segment is peak or segment.score >= NEAR_PEAK * peak.score)
        and not any(_overlaps(segment, moment) for moment in taken)
    )
    start, stop = spans[0]
    for next_start, next_stop in spans[1:]:
        if next_start <= stop:
            stop = max(stop, next_stop)
        elif start <= peak.start_seconds < stop:
            break
        else:
            start, stop = next_start, next_stop
    return SegmentScore(peak.row, peak.score, start, stop, peak.text)


def _overlaps(segment: SegmentScore, moment: SegmentScore) -> bool:
    if (
        segment.start_seconds is None
        or segment.stop_seconds is None
        or moment.start_seconds is None
        or moment.stop_seconds is None
    ):
        return segment.row == moment.row
    return (
        segment.start_seconds < moment.stop_seconds and segment.stop_seconds > moment.start_seconds
    )
