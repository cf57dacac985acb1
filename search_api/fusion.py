"""One order out of the orders of several channels.

Channels of one space share a scale: there an item counts with its best cosine. Cosines of different
spaces do not, so the orders of several spaces are joined by reciprocal rank fusion (Cormack, Clarke
and Büttcher, *Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods*,
SIGIR 2009). Ranks of channels would not do: the first of five videos would stand beside the first
of a million pictures, however little it matches.

A reciprocal rank is averaged over the spaces in which an item of its medium can be found at all,
not summed: a video that holds the very picture that asks would else stand behind pictures that are
a little like it in two spaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

RANK_CONSTANT = 60
"""The paper's k: how slowly a rank's worth falls."""


@dataclass(frozen=True, slots=True)
class RankedItem:
    """An item in the order of a channel or of a space."""

    item_row: int
    """Row of the item in the live view."""

    item_id: str

    score: float
    """Cosine of the item's best segment there."""


@dataclass(frozen=True, slots=True)
class FusedItem:
    """An item in the common order."""

    item_row: int
    item_id: str
    score: float
    """Mean over the spaces of its medium of ``1 / (RANK_CONSTANT + rank)``, ranks counted from 1; 0
    for those in which it was not found.
    """

    ranks: Mapping[str, int]
    """Its rank in each space in which it was found."""


def merge_channels(channels: Iterable[Sequence[RankedItem]]) -> list[RankedItem]:
    """Return the items of channels of one space, each with its best cosine, best first.

    Args:
        channels: the items of each channel, each item at most once in a channel.
    """
    best: dict[int, RankedItem] = {}
    for items in channels:
        for item in items:
            if item.item_row not in best or item.score > best[item.item_row].score:
                best[item.item_row] = item
    return sorted(best.values(), key=lambda item: (-item.score, item.item_id))


def fuse_ranks(
    spaces: Mapping[str, Sequence[RankedItem]], num_spaces_of: Mapping[int, int]
) -> list[FusedItem]:
    """Return every item of ``spaces``, best first.

    Equal scores are ordered by the best cosine in any space, then by ``item_id``, so that the same
    data always gives the same order.

    Args:
        spaces: for each space its items, best first, each item at most once.
        num_spaces_of: by item row, in how many of ``spaces`` an item of its medium can be found.
    """
    ranks: dict[int, dict[str, int]] = {}
    best: dict[int, RankedItem] = {}
    for space, items in spaces.items():
        for rank, item in enumerate(items, start=1):
            ranks.setdefault(item.item_row, {})[space] = rank
            known = best.get(item.item_row)
            if known is None or item.score > known.score:
                best[item.item_row] = item
    fused = [
        FusedItem(
            item_row=row,
            item_id=best[row].item_id,
            score=sum(1 / (RANK_CONSTANT + rank) for rank in sorted(found.values()))
            / num_spaces_of[row],
            ranks=found,
        )
        for row, found in ranks.items()
    ]
    fused.sort(key=lambda item: (-item.score, -best[item.item_row].score, item.item_id))
    return fused
