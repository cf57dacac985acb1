"""What a collection holds, for the start page and the filter form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import pyarrow as pa
import pyarrow.compute as pc

from encoders.media.content import MEDIA, Medium
from indexer.config import AttributeType
from indexer.item_table import ATTRIBUTE_PREFIX
from indexer.live_view import LiveView

MAX_SUGGESTIONS = 100
MAX_SUGGESTION_CHARS = 60


@dataclass(frozen=True, slots=True)
class Overview:
    """What can be found now."""

    num_items: int
    counts: Mapping[Medium, int]
    """Items of each medium that there is any of."""

    suggestions: Mapping[str, Sequence[str]]
    """The most frequent values of each keyword attribute, by name."""


# A view never changes, so what was counted in it holds as long as it is looked at.
_known: WeakKeyDictionary[LiveView, Overview] = WeakKeyDictionary()


def overview_of(view: LiveView, attributes: Mapping[str, AttributeType]) -> Overview:
    """Return what ``view`` holds; counted once per view."""
    known = _known.get(view)
    if known is None:
        known = _known[view] = _counted(view, attributes)
    return known


def _counted(view: LiveView, attributes: Mapping[str, AttributeType]) -> Overview:
    live = view.items.filter(pa.array(view.live))
    counted = _value_counts(live.column("medium"))
    return Overview(
        num_items=live.num_rows,
        counts={medium: counted[medium] for medium in MEDIA if medium in counted},
        suggestions={
            name: _most_frequent(pc.list_flatten(live.column(ATTRIBUTE_PREFIX + name)))
            for name, kind in attributes.items()
            if kind == "keyword"
        },
    )


def _most_frequent(values: pa.ChunkedArray) -> list[str]:
    counted = _value_counts(values)
    short = [value for value in counted if len(value) <= MAX_SUGGESTION_CHARS]
    return sorted(short, key=lambda value: (-counted[value], value))[:MAX_SUGGESTIONS]


def _value_counts(values: pa.ChunkedArray) -> dict[str, int]:
    entries = pc.value_counts(values).to_pylist()
    return {entry["values"]: entry["counts"] for entry in entries if entry["values"] is not None}
