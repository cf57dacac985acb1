"""How long building an index takes a row, tried on vectors made for it."""

from __future__ import annotations

import numpy as np

from encoders.space import unit_rows
from indexer.ann.building import build_index
from indexer.ann.choosing import FLAT_BELOW_ROWS
from indexer.config import IndexConfig
from indexer.sample_ingest import usage

TRIED_ROWS = FLAT_BELOW_ROWS + FLAT_BELOW_ROWS // 4
"""Enough for the kind of index that large channels get."""

NUM_CENTRES = 256


def index_seconds_per_row(num_rows: int, dim: int) -> float:
    """Return the processor seconds that a row takes in an index of about so many.

    Training grows more slowly than the number of rows, so it is too much rather than too little
    where there are many times `TRIED_ROWS`.

    Args:
        num_rows: of the index that is asked about.
        dim: length of its vectors.
    """
    tried = min(num_rows, TRIED_ROWS)
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((NUM_CENTRES, dim))
    vectors = centres[generator.integers(0, NUM_CENTRES, tried)]
    vectors += 0.5 * generator.standard_normal((tried, dim))
    stored = unit_rows(vectors).astype(np.float16)
    before = usage()
    build_index(stored, "tried", IndexConfig())
    return usage().since(before).cpu_seconds / tried
