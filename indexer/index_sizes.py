"""How large a channel's index gets by kind, for whoever plans an ingest."""

from __future__ import annotations

from indexer.ann.choosing import FLAT_BELOW_ROWS, lists_factory
from indexer.ann.size_estimate import estimated_bytes

LISTS = "ivf-pq4fs+refine"


def index_bytes(num_rows: int, dim: int) -> dict[str, int]:
    """Return the size of one channel's index by kind.

    Args:
        num_rows: vectors.
        dim: their length.
    """
    factories = {
        "flat": "Flat",
        LISTS: f"{lists_factory(num_rows, dim)},RFlat",
        "hnsw16": "HNSW16",
        "float16": "SQfp16",
    }
    return {
        kind: estimated_bytes(factory, num_rows, dim) if num_rows else 0
        for kind, factory in factories.items()
    }


def auto_kind(num_rows: int) -> str:
    """Return which of the kinds `index_bytes` names ``auto`` tries first."""
    return "flat" if num_rows < FLAT_BELOW_ROWS else LISTS
