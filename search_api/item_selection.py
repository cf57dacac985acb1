"""Which items may answer a search: by medium and filter, as a mask and as engines take it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from indexer.ann.vector_index import ItemCondition
from indexer.live_view import LiveView
from search_api.filter_condition import payload_condition, pushable_part
from search_api.filter_mask import filter_mask
from search_api.filters import Filter


def select_items(
    view: LiveView, modalities: Sequence[str] | None, wanted: Filter | None
) -> tuple[NDArray[np.bool_] | None, ItemCondition | None]:
    """Return which items of a view may answer.

    Args:
        view: what is searched.
        modalities: media they may be of; any when ``None``.
        wanted: what else must hold.

    Returns:
        ``(num_items,)`` mask, ``None`` when all may; and of the filter what engines below the view
        can decide by themselves, if there is any and they can.
    """
    masks: list[NDArray[np.bool_]] = []
    if modalities is not None:
        media = view.items.column("medium")
        for medium in set(modalities):
            chosen = np.asarray(pc.equal(media, medium).to_numpy(), dtype=bool)
            masks = [masks[0] | chosen if masks else chosen]
    if wanted is None:
        return (masks[0] if masks else None), None
    kept = filter_mask(wanted, view.items)
    among = masks[0] & kept if masks else kept
    part = pushable_part(wanted) if view.filters_itself else None
    if part is None:
        return among, None
    mask = kept if part == wanted else filter_mask(part, view.items)
    return among, ItemCondition(payload_condition(part), mask)
