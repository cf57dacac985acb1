from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.errors import ConfigError
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.faiss_library import load_faiss
from indexer.ann.size_estimate import estimated_bytes, width
from tests.indexer.stored_items import clustered_vectors

NUM_ROWS = 6_000


@pytest.mark.parametrize("dim", [36, 64])
@pytest.mark.parametrize(
    "factory",
    [
        "Flat",
        "SQfp16",
        "SQ8",
        "HNSW16",
        "HNSW32_SQ8",
        "HNSW16,RFlat",
        "IVF64,Flat",
        "IVF64,SQ8",
        "IVF64,PQ8",
        "IVF64,PQ8x4fsr,RFlat",
        "IVF64,PQ8x4fsr,Refine(SQfp16)",
        "IVF64,PQ8x4fsr,Refine(SQ8)",
        "OPQ8,IVF64,PQ8x4fs,RFlat",
        "PQ8x4fs,RFlat",
    ],
)
def test_the_estimate_is_close_to_what_is_written(factory: str, dim: int, tmp_path: Path) -> None:
    vectors = clustered_vectors(NUM_ROWS, dim)
    faiss = load_faiss()
    raw = faiss.index_factory(width(factory, dim), factory, faiss.METRIC_INNER_PRODUCT)
    index = FaissIndex("words", dim, raw, stored=vectors.astype(np.float16))
    index.train(vectors)
    index.add(np.arange(NUM_ROWS), vectors)
    index.write(tmp_path / "index.faiss")
    written = (tmp_path / "index.faiss").stat().st_size
    assert estimated_bytes(factory, NUM_ROWS, dim) == pytest.approx(written, rel=0.05)


def test_an_empty_index_is_small() -> None:
    assert estimated_bytes("Flat", 0, 512) < 10_000


def test_a_part_of_unknown_size_is_named() -> None:
    with pytest.raises(ConfigError, match="'LSH'"):
        estimated_bytes("LSH", 1_000, 64)
