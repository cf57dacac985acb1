"""How many bytes an index will take, from its factory string, before it is built."""

from __future__ import annotations

import re
from math import ceil

from encoders.errors import ConfigError

ROW_NUMBER_BYTES = 8
LINK_BYTES = 4
FLOAT_BYTES = 4

FAST_SCAN_BLOCK_ROWS = 32
"""Fast scan stores whole blocks of so many rows: each list is padded to the next one."""

FIXED_BYTES = 4096
"""Headers and small tables; no kind writes more."""

CODE_BYTES_PER_DIM = {
    "Flat": 4.0,
    "SQfp16": 2.0,
    "SQbf16": 2.0,
    "SQ8": 1.0,
    "SQ6": 0.75,
    "SQ4": 0.5,
}

_PRODUCT = re.compile(r"PQ(\d+)(?:x(\d+))?(fs)?r?")
_LISTS = re.compile(r"IVF(\d+)")
_GRAPH = re.compile(r"HNSW(\d+)?(?:_(\w+))?")
_REFINEMENT = re.compile(r"RFlat|Refine\((\w+)\)")
_ROTATION = re.compile(r"OPQ(\d+)(?:_(\d+))?")


def padded_dim(dim: int) -> int:
    """Return ``dim`` rounded up to a multiple of 8."""
    return -(-dim // 8) * 8


def width(factory: str, dim: int) -> int:
    """Return how many dimensions an index needs: quantisers work on groups of 8."""
    quantised = any(part in factory for part in ("PQ", "SQ", "RaBitQ"))
    return padded_dim(dim) if quantised else dim


def estimated_bytes(factory: str, num_rows: int, dim: int) -> int:
    """Return about how large the file of a FAISS index will be.

    Args:
        factory: made of ``Flat``, ``SQ…``, ``PQ…``, ``PQ…fs``, ``IVF…``, ``HNSW…``, ``OPQ…``,
            ``RFlat`` and ``Refine(…)``.
        num_rows: how many vectors it will hold.
        dim: their length, before padding.

    Raises:
        ConfigError: the factory has a part whose size is not known.
    """
    wide = width(factory, dim)
    total = float(FIXED_BYTES)
    num_lists = 0
    for part in _parts(factory):
        if rotation := _ROTATION.fullmatch(part):
            reduced = int(rotation[2] or wide)
            total += FLOAT_BYTES * wide * reduced
            wide = reduced
        elif lists := _LISTS.fullmatch(part):
            num_lists = int(lists[1])
            total += num_lists * (FLOAT_BYTES * wide + ROW_NUMBER_BYTES)
            total += num_rows * ROW_NUMBER_BYTES
        elif refinement := _REFINEMENT.fullmatch(part):
            total += num_rows * width(factory, dim) * _code_bytes(refinement[1] or "Flat", factory)
        elif graph := _GRAPH.fullmatch(part):
            total += num_rows * _graph_bytes(int(graph[1] or 32))
            total += num_rows * wide * _code_bytes(graph[2] or "Flat", factory)
        elif product := _PRODUCT.fullmatch(part):
            num_codes, bits = int(product[1]), int(product[2] or 8)
            rows = num_rows
            if product[3]:
                # On average half a block of every list is empty.
                rows += FAST_SCAN_BLOCK_ROWS // 2 * max(1, min(num_lists, num_rows))
            total += rows * ceil(num_codes * bits / 8) + FLOAT_BYTES * wide * 2**bits
        else:
            total += num_rows * wide * _code_bytes(part, factory)
    return ceil(total)


def _parts(factory: str) -> list[str]:
    return [part for part in factory.split(",") if part]


def _code_bytes(name: str, factory: str) -> float:
    if name not in CODE_BYTES_PER_DIM:
        raise ConfigError(
            f"the size of {name!r} in the factory {factory!r} is not known; known are "
            f"{', '.join(CODE_BYTES_PER_DIM)}, PQ, IVF, HNSW, OPQ, RFlat and Refine(…)",
            factory=factory,
        )
    return CODE_BYTES_PER_DIM[name]


def _graph_bytes(links: int) -> float:
    """Return what an HNSW node takes: twice ``links`` at the bottom, ``links`` on each level above.

    One node in ``links`` stands on the next level, so levels above the bottom add
    ``1 / (links - 1)`` of a node; offset and level number are kept beside the links.
    """
    per_node = LINK_BYTES * 2 * links + 8 + 4
    return per_node + LINK_BYTES * links / (links - 1)
