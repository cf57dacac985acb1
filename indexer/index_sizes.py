"""How large a channel's index gets by kind, for whoever plans an ingest."""

from __future__ import annotations

from indexer.ann.choosing import FLAT_BELOW_ROWS, lists_factory
from indexer.ann.size_estimate import estimated_bytes
from indexer.config import IndexConfig

LISTS = "ivf-pq4fs+refine"
COPY = "float16"
QDRANT = "qdrant"

QDRANT_BYTES_PER_ROW = 60
"""Links of the graph and what is kept about a row, without its attributes."""


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
        COPY: "SQfp16",
    }
    sizes = {
        kind: estimated_bytes(factory, num_rows, dim) if num_rows else 0
        for kind, factory in factories.items()
    }
    # float16 and int8, and the vectors once more, which candidates are compared with.
    sizes[QDRANT] = num_rows * ((2 + 1) * dim + QDRANT_BYTES_PER_ROW) + sizes[COPY]
    return sizes


def auto_kind(num_rows: int) -> str:
    """Return which of the kinds `index_bytes` names ``auto`` tries first."""
    return "flat" if num_rows < FLAT_BELOW_ROWS else LISTS


def configured_kind(config: IndexConfig, num_rows: int) -> str:
    """Return which of the kinds `index_bytes` names a channel comes nearest to."""
    if config.engine == "qdrant":
        return QDRANT
    return COPY if config.engine == "exact" else auto_kind(num_rows)


def bytes_on_server(config: IndexConfig, sizes: dict[str, int]) -> int:
    """Return how much of a channel's index lies on a Qdrant server and not on the disk here.

    Args:
        config: of the index.
        sizes: from `index_bytes`.
    """
    return sizes[QDRANT] - sizes[COPY] if config.url is not None else 0
