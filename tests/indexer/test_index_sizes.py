from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.ann.building import build_index
from indexer.ann.choosing import candidates
from indexer.config import IndexConfig
from indexer.index_sizes import LISTS, auto_kind, index_bytes
from tests.indexer.stored_items import clustered_vectors

ROWS, DIM = 4000, 60


@pytest.mark.parametrize(
    ("kind", "factory"),
    [
        ("flat", "Flat"),
        ("ivf-pq4fs+refine", "IVF45,PQ32x4fsr,RFlat"),
        ("hnsw16", "HNSW16,Flat"),
        ("float16", "SQfp16"),
    ],
)
def test_an_index_is_as_large_as_was_worked_out(kind: str, factory: str, tmp_path: Path) -> None:
    vectors = clustered_vectors(ROWS, DIM).astype(np.float16)
    config = IndexConfig(factory=factory, target_recall=0.01)
    build_index(vectors, "words", config).write(tmp_path / "index")
    size = (tmp_path / "index").stat().st_size
    # The worked-out size leaves out how full each list is.
    assert index_bytes(ROWS, DIM)[kind] == pytest.approx(size, rel=0.05)


def test_auto_is_the_kind_that_it_builds() -> None:
    for num_rows in (100, 1_000_000):
        fitting, _ = candidates(num_rows, 384, IndexConfig().target_recall, None)
        first = fitting[0].factory
        assert first == {"flat": "Flat", LISTS: "IVF707,PQ96x4fsr,RFlat"}[auto_kind(num_rows)]


def test_nothing_takes_no_room_for_vectors() -> None:
    assert index_bytes(0, 384)["flat"] == 0
