"""From fused items to what the answer says about each: attributes and the places that matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from indexer.item_table import ATTRIBUTE_PREFIX, EXTRA
from indexer.live_view import LiveView
from search_api.channel_search import ChannelAnswer
from search_api.fusion import FusedItem
from search_api.grouping import SegmentScore, moments_of
from search_api.schemas import Hit, Moment


def make_hits(
    view: LiveView, fused: Sequence[FusedItem], answers: Mapping[str, ChannelAnswer]
) -> list[Hit]:
    """Return one hit per fused item, in their order.

    Args:
        view: what was searched.
        fused: the items of the answer.
        answers: what each channel found.
    """
    records = view.items.take(pa.array([item.item_row for item in fused], "int64")).to_pylist()
    moments: list[list[Moment]] = [[] for _ in fused]
    for channel in sorted(answers):
        for position, found in _moments_in(view, channel, fused, answers[channel]):
            moments[position].extend(found)
    return [
        Hit(
            item_id=item.item_id,
            modality=record["medium"],
            score=item.score,
            confidence=None,
            location=record["location"],
            attributes=attributes_of(record),
            # The space in which the item stands highest speaks first.
            moments=sorted(
                _matching(places),
                key=lambda moment: (
                    item.ranks[view.channels[moment.channel].space_id],
                    -moment.score,
                ),
            ),
        )
        for item, record, places in zip(fused, records, moments, strict=True)
    ]


def _moments_in(
    view: LiveView, channel: str, fused: Sequence[FusedItem], answer: ChannelAnswer
) -> list[tuple[int, list[Moment]]]:
    """Return, for each position in ``fused`` that ``channel`` found, the places in the item."""
    found = [
        (position, answer.groups[item.item_row])
        for position, item in enumerate(fused)
        if item.item_row in answer.groups
    ]
    if not found:
        return []
    columns = view.segments(channel, np.concatenate([group.rows for _, group in found]))
    moments: list[tuple[int, list[Moment]]] = []
    first = 0
    for position, group in found:
        segments = [
            SegmentScore(
                row=int(group.rows[index]),
                score=float(group.scores[index]),
                start_seconds=_seconds(columns.start_seconds[first + index]),
                stop_seconds=_seconds(columns.stop_seconds[first + index]),
                text=columns.texts[first + index],
            )
            for index in range(len(group.rows))
        ]
        first += len(group.rows)
        moments.append((position, [_moment(channel, place) for place in moments_of(segments)]))
    return moments


def _matching(places: list[Moment]) -> list[Moment]:
    """Return the places that match at all, or the best one of those that do not."""
    return [each for each in places if each.score > 0] or [max(places, key=lambda m: m.score)]


def _moment(channel: str, place: SegmentScore) -> Moment:
    return Moment(
        channel=channel,
        start_seconds=place.start_seconds,
        stop_seconds=place.stop_seconds,
        score=place.score,
        text=msgspec.UNSET if place.text is None else place.text,
    )


def _seconds(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def attributes_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes in a row of `LiveView.items`, those without a value left out."""
    attributes = {
        name.removeprefix(ATTRIBUTE_PREFIX): _json_ready(value)
        for name, value in record.items()
        if name.startswith(ATTRIBUTE_PREFIX) and value is not None and value != []
    }
    if record[EXTRA] is not None:
        attributes.update(msgspec.json.decode(record[EXTRA]))
    return attributes


def _json_ready(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
