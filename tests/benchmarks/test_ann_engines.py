from pathlib import Path

import numpy as np
import pytest

from benchmarks.ann_curves import questions, recall
from benchmarks.ann_engines import PEERS, KindredIndex, installed
from benchmarks.vector_sets import clip_like
from indexer.config import IndexConfig

SET = clip_like(3_000, 40, dim=32)
VECTORS = SET.stored.astype(np.float32)
ASKED = questions(VECTORS, SET.queries)


@pytest.mark.parametrize("factory", ["auto", "IVF32,PQ8x4fsr,RFlat", "HNSW16", "SQ8"])
def test_kindred_is_asked_through_its_file_with_its_own_settings_or_others(
    tmp_path: Path, factory: str
) -> None:
    index = KindredIndex(SET.stored, tmp_path / "index", IndexConfig(factory=factory))
    assert recall(ASKED, index.search(SET.queries, 10, {}), VECTORS) > 0.9
    # Eight bits a number (SQ8) cannot tell the nearest apart better than this, however hard asked.
    dearest = index.ladder()[-1][-1]
    assert recall(ASKED, index.search(SET.queries, 10, dearest), VECTORS) > 0.96
    with pytest.raises(ValueError, match="opened from a file"):
        index.index.add(np.arange(3_000, 3_001), VECTORS[:1])


@pytest.mark.parametrize("name", list(installed(list(PEERS))[0]))
def test_a_peer_finds_nearly_everything_with_effort_and_again_when_opened(
    tmp_path: Path, name: str
) -> None:
    built = PEERS[name](VECTORS, tmp_path)
    wide = built.ladder()[0][-1]
    found = built.search(SET.queries, 10, wide)
    assert recall(ASKED, found, VECTORS) > 0.98
    assert np.array_equal(built.search(SET.queries[:1], 10, wide), found[:1])
    del built
    assert np.array_equal(PEERS[name](VECTORS, tmp_path).search(SET.queries, 10, wide), found)
