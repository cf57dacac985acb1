"""Making one FAISS index from stored vectors: trained on a sample, then filled block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from encoders.errors import ConfigError
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.faiss_library import load_faiss
from indexer.ann.half_precision import as_float32
from indexer.ann.size_estimate import width
from indexer.ann.vector_index import Rows
from indexer.recall import held_out_rows

ROWS_PER_BLOCK = 16_384
TRAINING_ROWS_PER_LIST = 64
MIN_TRAINING_ROWS = 20_000
MAX_TRAINING_ROWS = 1_000_000


def filled_index(
    factory: str,
    vectors: NDArray[np.float16],
    space_id: str,
    *,
    held_out: Rows,
    num_threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> FaissIndex:
    """Return an index that holds ``vectors``.

    Args:
        factory: a FAISS factory string.
        vectors: ``(num_rows, dim)`` float16 unit rows.
        space_id: where they belong.
        held_out: rows not to train with, unless there are too few others.
        num_threads: threads to train and add with.
        progress: called with the number of rows added so far.

    Raises:
        ConfigError: FAISS does not know the factory, or cannot train it with so few rows.
    """
    num_rows, dim = vectors.shape
    faiss = load_faiss()
    try:
        raw = faiss.index_factory(width(factory, dim), factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise ConfigError(
            f"FAISS cannot make {factory!r} for {dim} dimensions: {error}", factory=factory
        ) from error
    index = FaissIndex(space_id, dim, raw, num_threads=num_threads, stored=vectors)
    if not raw.is_trained:
        try:
            rows = _training_rows(num_rows, held_out, index.num_lists or 1)
            index.train(as_float32(vectors[rows]))
        except RuntimeError as error:
            raise ConfigError(
                f"{num_rows} segments are too few to train {factory!r}; take the factory `auto`, "
                f"which is flat while small ({error})",
                factory=factory,
                num_rows=num_rows,
            ) from error
    for start in range(0, num_rows, ROWS_PER_BLOCK):
        block = as_float32(vectors[start : start + ROWS_PER_BLOCK])
        index.add(np.arange(start, start + len(block)), block)
        if progress is not None:
            progress(start + len(block))
    return index


def _training_rows(num_rows: int, held_out: Rows, num_lists: int) -> Rows:
    rows = np.setdiff1d(np.arange(num_rows), held_out)
    # Where the held-out rows are a good part of all there is too little else to learn from.
    if len(rows) < 4 * len(held_out):
        rows = np.arange(num_rows)
    wanted = min(max(MIN_TRAINING_ROWS, TRAINING_ROWS_PER_LIST * num_lists), MAX_TRAINING_ROWS)
    return rows[held_out_rows(len(rows), wanted, seed=1)] if len(rows) > wanted else rows
