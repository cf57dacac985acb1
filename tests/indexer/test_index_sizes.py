from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.ann.building import build_index, chosen_factory
from indexer.config import IndexConfig
from indexer.index_sizes import auto_kind, index_bytes
from tests.indexer.stored_items import clustered_vectors

ROWS, DIM = 4000, 60


@pytest.mark.parametrize(
    ("kind", "factory"),
    [
        ("flat", "Flat"),
        ("ivf-pq4fs+refine", "IVF253,PQ16x4fsr,RFlat"),
        ("hnsw16", "HNSW16,Flat"),
        ("float16", "SQfp16"),
    ],
)
def test_an_index_is_as_large_as_was_worked_out(kind: str, factory: str, tmp_path: Path) -> None:
    vectors = clustered_vectors(ROWS, DIM).astype(np.float16)
    config = IndexConfig(factory=factory, target_recall=0.01)
    build_index(vectors, "words", config).write(tmp_path / "index")
    size = (tmp_path / "index").stat().st_size
    # The worked-out size leaves out headers and how full each list is.
    assert index_bytes(ROWS, DIM)[kind] == pytest.approx(size, rel=0.05)


def test_auto_is_the_kind_that_it_builds() -> None:
    assert auto_kind(100, DIM) == "flat"
    assert auto_kind(1_000_000, 384) == "ivf-pq4fs+refine"
    assert chosen_factory("auto", 1_000_000, 384) == "IVF4000,PQ96x4fsr,RFlat"


def test_nothing_takes_no_room_for_vectors() -> None:
    assert index_bytes(0, 384)["flat"] == 0
