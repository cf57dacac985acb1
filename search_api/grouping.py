"""From segments to items and moments: an item's score in a channel, and where it matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_MOMENTS = 3
"""Most moments kept per item and channel."""

WORTH_SHOWING = 0.6
"""A place that scores less than this share of an item's best in the same channel is not shown:
every recording has some second that is a little like anything.
"""

NEAR_PEAK = 0.95
"""A window joins the moment beside it when it scores at least this share of the moment's peak;
without a bound, an item whose windows all match a little would become one moment of full length.
"""


MAX_GAP_SECONDS = 1.0
"""Between two sentences that are one moment people take a breath; windows and shots adjoin."""


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
    place again, and so are places that match much less than the best one::

        windows   [--0.60--]                       [-0.41-]     [-0.20-]
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
        if moments and peak.score < WORTH_SHOWING * moments[0].score:
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
    near = sorted(
        (segment.start_seconds, segment.stop_seconds, segment.row, segment.text)
        for segment in segments
        if segment.start_seconds is not None
        and segment.stop_seconds is not None
        and (segment is peak or segment.score >= NEAR_PEAK * peak.score)
        and not any(_overlaps(segment, moment) for moment in taken)
    )
    start, stop, row, text = near[0]
    holds_peak = row == peak.row
    for next_start, next_stop, row, next_text in near[1:]:
        gap = SegmentScore(peak.row, peak.score, stop, next_start)
        if next_start <= stop + MAX_GAP_SECONDS and not any(_overlaps(gap, each) for each in taken):
            stop = max(stop, next_stop)
            text = f"{text} {next_text}" if text and next_text else text
            holds_peak = holds_peak or row == peak.row
        elif holds_peak:
            break
        else:
            start, stop, text = next_start, next_stop, next_text
            holds_peak = row == peak.row
    return SegmentScore(peak.row, peak.score, start, stop, text)


def _overlaps(segment: SegmentScore, moment: SegmentScore) -> bool:
    if (
        segment.start_seconds is None
        or segment.stop_seconds is None
        or moment.start_seconds is None
        or moment.stop_seconds is None
    ):
        return segment.row == moment.row
    if segment.start_seconds == segment.stop_seconds:  # a caption of no length
        return moment.start_seconds <= segment.start_seconds <= moment.stop_seconds
    return (
        segment.start_seconds < moment.stop_seconds and segment.stop_seconds > moment.start_seconds
    )
