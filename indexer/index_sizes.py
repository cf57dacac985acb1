"""How large an index gets, worked out from the number of rows and dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

from indexer.ann.building import chosen_factory, padded_dim


def index_bytes(num_rows: int, dim: int) -> dict[str, int]:
    """Return the size of one channel's index by kind.

    Args:
        num_rows: vectors.
        dim: their length.
    """
    return {name: round(size(num_rows, dim)) for name, size in _SIZES.items()}


def auto_kind(num_rows: int, dim: int) -> str:
    """Return which of the kinds `index_bytes` names ``auto`` takes."""
    return "flat" if chosen_factory("auto", num_rows, dim) == "Flat" else "ivf-pq4fs+refine"


def _flat(num_rows: int, dim: int) -> float:
    return 4.0 * num_rows * dim


def _float16(num_rows: int, dim: int) -> float:
    return 2.0 * num_rows * padded_dim(dim)


def _hnsw16(num_rows: int, dim: int) -> float:
    # Twice 16 links at the bottom; one row in 16 is on the next level with 16 more, and so on.
    links = 32 + 16 / 15
    level_and_offset = 4 + 8
    return num_rows * (4.0 * dim + 4 * links + level_and_offset)


def _ivf_pq4fs_refine(num_rows: int, dim: int) -> float:
    width = padded_dim(dim)
    num_lists = 4 * sqrt(num_rows)
    # Half a byte for every 4 dimensions, a row number of 8 bytes, and the vector to refine with.
    per_row = width / 8 + 8 + 4 * width
    # Lists are filled up to blocks of 32 rows.
    filling = num_lists * 16 * width / 8
    centres, codebook = 4 * num_lists * width, 4 * 16 * width
    return num_rows * per_row + filling + centres + codebook


_SIZES: Mapping[str, Callable[[int, int], float]] = {
    "flat": _flat,
    "ivf-pq4fs+refine": _ivf_pq4fs_refine,
    "hnsw16": _hnsw16,
    "float16": _float16,
}
