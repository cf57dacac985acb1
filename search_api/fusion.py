"""Reciprocal rank fusion: one order out of the orders of several channels.

Cormack, Clarke and Büttcher, *Reciprocal Rank Fusion outperforms Condorcet and individual Rank
Learning Methods*, SIGIR 2009. Ranks are used instead of scores because cosines of different spaces
do not share a scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RANK_CONSTANT = 60
"""The paper's k: how slowly a rank's worth falls."""


@dataclass(frozen=True, slots=True)
class RankedItem:
    """An item in one channel's order."""

    item_row: int
    """Row of the item in the live view."""

    item_id: str

    score: float
    """Cosine of the item's best segment in this channel."""


@dataclass(frozen=True, slots=True)
class FusedItem:
    """An item in the common order."""

    item_row: int
    item_id: str
    score: float
    """Sum over channels of ``1 / (RANK_CONSTANT + rank)``, ranks counted from 1."""

    ranks: Mapping[str, int]
    """Its rank in each channel that found it."""


def fuse_ranks(channels: Mapping[str, Sequence[RankedItem]]) -> list[FusedItem]:
    """Return every item of ``channels``, best first.

    Equal sums are ordered by the best cosine in any channel, then by ``item_id``, so that the same
    data always gives the same order.

    Args:
        channels: for each channel its items, best first, each item at most once.
    """
    ranks: dict[int, dict[str, int]] = {}
    best: dict[int, RankedItem] = {}
    for channel, items in channels.items():
        for rank, item in enumerate(items, start=1):
            ranks.setdefault(item.item_row, {})[channel] = rank
            known = best.get(item.item_row)
            if known is None or item.score > known.score:
                best[item.item_row] = item
    fused = [
        FusedItem(
            item_row=row,
            item_id=best[row].item_id,
            score=sum(1 / (RANK_CONSTANT + rank) for rank in sorted(found.values())),
            ranks=found,
        )
        for row, found in ranks.items()
    ]
    fused.sort(key=lambda item: (-item.score, -best[item.item_row].score, item.item_id))
    return fused
