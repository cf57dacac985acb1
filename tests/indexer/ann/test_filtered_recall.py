"""Recall under filters of every width, whether they go with the vectors or not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.building import build_index
from indexer.ann.filter_plan import FilterPlan
from indexer.ann.vector_index import Selection, VectorIndex
from indexer.config import IndexConfig
from tests.indexer.stored_items import clustered_vectors

NUM_ROWS, DIM, K = 24_000, 32, 10
SHARES = (0.0001, 0.001, 0.01, 0.03, 0.1, 0.3, 0.6, 0.95, 1.0)
MIN_RECALL = 0.95


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    return clustered_vectors(NUM_ROWS, DIM).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module", params=["IVF110,PQ16x4fsr,RFlat", "IVF620,Flat", "HNSW16"])
def index(request: pytest.FixtureRequest, vectors: Vectors) -> VectorIndex:
    config = IndexConfig(factory=request.param, target_recall=0.98)
    return build_index(vectors.astype(np.float16), "words", config).index


def kept(kind: str, share: float, vectors: Vectors, query: Vectors) -> NDArray[np.bool_]:
    """Return a mask of ``share`` of the rows: any, a range away from the query, or sets of rows."""
    rng = np.random.default_rng(7)
    num_kept = max(1, round(share * NUM_ROWS))
    if kind == "any":
        order = rng.permutation(NUM_ROWS)
    elif kind == "range along a direction":
        order = np.argsort(vectors @ vectors[3])
    elif kind == "furthest from the query":
        order = np.argsort(vectors @ query)
    else:
        nearest_of = np.argmax(vectors @ vectors[:200].T, axis=1)
        order = np.argsort(rng.permutation(200)[nearest_of], kind="stable")
    mask = np.zeros(NUM_ROWS, dtype=np.bool_)
    mask[order[:num_kept]] = True
    return mask


KINDS = ("any", "range along a direction", "furthest from the query", "sets of neighbours")


def measured_recall(index: VectorIndex, vectors: Vectors, kind: str, share: float) -> float:
    right, wanted = 0, 0
    for row in range(50, NUM_ROWS, NUM_ROWS // 40):
        query = vectors[row]
        mask = kept(kind, share, vectors, query)
        found = index.search(query[None], K, among=Selection(mask)).rows[0]
        scores = np.where(mask, vectors @ query, -np.inf)
        available = min(K, int(mask.sum()))
        kth_score = np.sort(scores)[-available]
        assert mask[found[found >= 0]].all()
        right += int((scores[found[found >= 0]] >= kth_score - 1e-5).sum())
        wanted += available
    return right / wanted


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_band_of_a_filter_keeps_its_recall(
    index: VectorIndex, vectors: Vectors, kind: str, share: float
) -> None:
    assert measured_recall(index, vectors, kind, share) >= MIN_RECALL


@pytest.mark.parametrize("share", [0.03, 0.1, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_the_index_alone_keeps_its_recall_in_the_middle_bands(
    index: VectorIndex,
    vectors: Vectors,
    kind: str,
    share: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FilterPlan, "prefers_exact", lambda *_: False)
    assert measured_recall(index, vectors, kind, share) >= MIN_RECALL
