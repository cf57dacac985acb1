from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.ann.building import build_index
from indexer.ann.choosing import candidates
from indexer.config import IndexConfig
from indexer.index_sizes import (
    COPY,
    LISTS,
    QDRANT,
    auto_kind,
    bytes_on_server,
    configured_kind,
    index_bytes,
)
from tests.indexer.ann.edge_indexes import edge_index
from tests.indexer.stored_items import clustered_vectors

ROWS, DIM = 4000, 60


@pytest.mark.parametrize(
    ("kind", "factory"),
    [
        ("flat", "Flat"),
        ("ivf-pq4fs+refine", "IVF22,PQ32x4fsr,RFlat"),
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
        assert first == {"flat": "Flat", LISTS: "IVF354,PQ96x4fsr,RFlat"}[auto_kind(num_rows)]


def test_nothing_takes_no_room_for_vectors() -> None:
    assert index_bytes(0, 384)["flat"] == 0


def test_an_index_in_the_embedded_engine_is_as_large_as_was_worked_out() -> None:
    index = edge_index(clustered_vectors(ROWS, DIM), graph=True)
    size = sum(path.stat().st_size for path in index.folder.rglob("*") if path.is_file())
    # Its fixed files count for much among so few rows.
    assert index_bytes(ROWS, DIM)[QDRANT] == pytest.approx(size, rel=0.15)


def test_what_is_on_a_server_is_not_on_the_disk() -> None:
    server = IndexConfig(engine="qdrant", url="http://qdrant:6333")
    sizes = index_bytes(ROWS, DIM)
    assert configured_kind(server, ROWS) == QDRANT
    assert sizes[QDRANT] - bytes_on_server(server, sizes) == sizes[COPY]
    assert bytes_on_server(IndexConfig(engine="qdrant"), sizes) == 0
    assert configured_kind(IndexConfig(engine="exact"), ROWS) == COPY
