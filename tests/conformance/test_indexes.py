"""What every engine promises: the true nearest rows, however they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from encoders.space import Vectors
from indexer.ann.exact_index import ExactIndex
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.faiss_library import load_faiss
from indexer.ann.index_entry import IndexEntry, SearchSettings
from indexer.ann.opening import EXACT_FILE, FAISS_FILE, VECTORS_FILE, open_index
from indexer.ann.vector_index import BadQuery, Selection, VectorIndex
from tests.indexer.stored_items import clustered_vectors, random_vectors

DIM = 20
NUM_ROWS = 700
ATOL = 1e-5  # float32 sums in another order


def exact_float32(vectors: Vectors) -> VectorIndex:
    index = ExactIndex("words", DIM)
    half = len(vectors) // 2
    index.add(np.arange(half), vectors[:half])
    index.add(np.arange(half, len(vectors)), vectors[half:])
    return index


def exact_float16(vectors: Vectors) -> VectorIndex:
    return ExactIndex("words", DIM, vectors.astype(np.float16))


def faiss_of(
    factory: str, settings: SearchSettings, width: int = DIM
) -> Callable[..., VectorIndex]:
    def build(vectors: Vectors) -> VectorIndex:
        faiss = load_faiss()
        raw = faiss.index_factory(width, factory, faiss.METRIC_INNER_PRODUCT)
        index = FaissIndex("words", DIM, raw, settings, stored=vectors.astype(np.float16))
        index.train(vectors)
        index.add(np.arange(len(vectors)), vectors)
        return index

    return build


# At full effort the approximate kinds have to find everything as well.
EVERYTHING = SearchSettings(nprobe=8, k_factor=70)
ENGINES = {
    "exact float32": exact_float32,
    "exact float16": exact_float16,
    "flat": faiss_of("Flat", SearchSettings()),
    "inverted lists": faiss_of("IVF8,Flat", EVERYTHING),
    "refined fast scan": faiss_of("IVF8,PQ6x4fsr,RFlat", EVERYTHING, 24),
    "fast scan without lists": faiss_of("PQ6x4fs,RFlat", EVERYTHING, 24),
    "rotated": faiss_of("OPQ4,IVF8,PQ4x4fs,RFlat", EVERYTHING, 24),
    "graph": faiss_of("HNSW16", SearchSettings(ef_search=NUM_ROWS)),
    # The vectors are float16 values, so this quantiser loses nothing.
    "half precision": faiss_of("SQfp16", SearchSettings(), 24),
    # Lists store what is left after their centre, which is rounded: hence the refinement.
    "half precision in lists, refined": faiss_of("IVF8,SQfp16,RFlat", EVERYTHING, 24),
    "eight bits, refined": faiss_of("SQ8,RFlat", EVERYTHING, 24),
    "graph of eight bits, refined": faiss_of(
        "HNSW16_SQ8,RFlat", SearchSettings(k_factor=70, ef_search=NUM_ROWS), 24
    ),
}


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    # float16 values, so that engines that store float16 have the very same rows.
    return random_vectors(NUM_ROWS, DIM).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module", params=list(ENGINES))
def index(request: pytest.FixtureRequest, vectors: Vectors) -> VectorIndex:
    return ENGINES[request.param](vectors)


def assert_true_top_k(
    index: VectorIndex, vectors: Vectors, queries: Vectors, k: int, mask: np.ndarray | None
) -> None:
    among = None if mask is None else Selection(mask)
    found = index.search(queries, k, among=among)
    assert found.rows.shape == found.scores.shape == (len(queries), k)
    truth = queries @ vectors.T
    if mask is not None:
        truth[:, ~mask] = -np.inf
    available = len(vectors) if mask is None else int(mask.sum())
    best = -np.sort(-truth, axis=1)[:, :k]
    for row, (rows, scores) in enumerate(zip(found.rows, found.scores, strict=True)):
        there = rows[rows >= 0]
        assert len(there) == len(set(there)) == min(k, available)
        # Compared by score, because rows that tie may come in any order.
        np.testing.assert_allclose(scores[: len(there)], best[row, : len(there)], atol=ATOL)
        np.testing.assert_allclose(truth[row, there], scores[: len(there)], atol=ATOL)
        assert np.isneginf(scores[len(there) :]).all()


def test_every_engine_finds_the_exact_top_k(index: VectorIndex, vectors: Vectors) -> None:
    assert index.num_rows == NUM_ROWS
    assert_true_top_k(index, vectors, random_vectors(5, DIM, seed=1), 10, None)


@pytest.mark.parametrize("share", [0.0, 0.005, 0.3, 1.0])
def test_every_engine_finds_the_exact_top_k_of_a_selection(
    index: VectorIndex, vectors: Vectors, share: float
) -> None:
    mask = np.random.default_rng(2).random(NUM_ROWS) < share
    assert_true_top_k(index, vectors, random_vectors(3, DIM, seed=1), 10, mask)


def test_fewer_rows_than_asked_for_are_padded(index: VectorIndex, vectors: Vectors) -> None:
    assert_true_top_k(index, vectors, random_vectors(2, DIM, seed=1), NUM_ROWS + 3, None)


def reopened(index: VectorIndex, vectors: Vectors, folder: Path) -> VectorIndex:
    stored = vectors.astype(np.float16)
    if not isinstance(index, FaissIndex):
        np.save(folder / EXACT_FILE, stored)
        entry = IndexEntry("exact", "numpy", DIM, DIM, NUM_ROWS, exact=True, vectors_file=False)
        return open_index(folder, entry, "words")
    index.write(folder / FAISS_FILE)
    np.save(folder / VECTORS_FILE, stored)
    entry = IndexEntry(
        engine="faiss",
        factory="made by hand",
        dim=DIM,
        padded_dim=index.index.d,
        num_rows=NUM_ROWS,
        exact=index.exact,
        vectors_file=not index.keeps_vectors,
        search=index.settings,
    )
    return open_index(folder, entry, "words")


def test_every_engine_answers_the_same_after_it_was_written_and_opened(
    index: VectorIndex, vectors: Vectors, tmp_path: Path
) -> None:
    opened = reopened(index, vectors, tmp_path)
    queries = random_vectors(4, DIM, seed=5)
    assert (opened.space_id, opened.dim, opened.num_rows) == ("words", DIM, NUM_ROWS)
    assert opened.exact == index.exact
    assert_true_top_k(opened, vectors, queries, 10, None)
    assert_true_top_k(opened, vectors, queries, 10, np.arange(NUM_ROWS) % 3 == 0)
    np.testing.assert_array_equal(opened.vectors(np.arange(5)), vectors[:5])
    if isinstance(opened, FaissIndex):
        # FAISS itself would end the process here.
        with pytest.raises(ValueError, match="opened from a file"):
            opened.add(np.array([NUM_ROWS]), random_vectors(1, DIM))
        assert opened.num_rows == NUM_ROWS


@pytest.mark.parametrize("engine", ["exact", "faiss"])
def test_an_empty_index_answers_that_it_found_nothing(engine: str) -> None:
    index: VectorIndex = ExactIndex("words", DIM)
    if engine == "faiss":
        raw = load_faiss().IndexFlatIP(DIM)
        index = FaissIndex("words", DIM, raw)
    found = index.search(random_vectors(2, DIM), 3)
    assert found.rows.tolist() == [[-1] * 3] * 2
    assert np.isneginf(found.scores).all()


@pytest.mark.parametrize("engine", list(ENGINES))
def test_every_engine_finds_all_of_many_equal_vectors(engine: str) -> None:
    twelve_times = np.tile(random_vectors(60, DIM).astype(np.float16).astype(np.float32), (12, 1))
    index = ENGINES[engine](twelve_times)
    assert_true_top_k(index, twelve_times, twelve_times[:3], 12, None)


def test_every_engine_gives_its_vectors_back(index: VectorIndex, vectors: Vectors) -> None:
    rows = np.array([699, 0, 17, 17])
    np.testing.assert_array_equal(index.vectors(rows), vectors[rows])
    assert index.vectors(np.empty(0, np.int64)).shape == (0, DIM)


def test_every_engine_refuses_bad_queries(index: VectorIndex) -> None:
    with pytest.raises(BadQuery, match="NaN"):
        index.search(np.full((1, DIM), np.nan, np.float32), 3)
    with pytest.raises(BadQuery, match="num_queries"):
        index.search(np.zeros((1, DIM + 1), np.float32), 3)
    assert index.search(np.empty((0, DIM), np.float32), 3).rows.shape == (0, 3)


def test_rows_have_to_continue_the_index(index: VectorIndex) -> None:
    with pytest.raises(ValueError, match="rows must be 700"):
        index.add(np.array([5]), random_vectors(1, DIM))
    with pytest.raises(ValueError, match="vectors must be"):
        index.add(np.array([700]), random_vectors(1, DIM + 1))


def test_rows_with_equal_vectors_come_in_the_order_of_their_numbers() -> None:
    same = np.repeat(random_vectors(1, DIM), 12, axis=0)
    for build in (exact_float32, ENGINES["flat"]):
        found = build(same).search(same[:1], 12)
        assert found.rows.tolist() == [list(range(12))]


def test_large_selections_use_the_lists_and_small_ones_are_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.ann.faiss_index.EXACT_SURVIVORS", 50)
    vectors = clustered_vectors(3000, DIM)
    index = faiss_of("IVF16,PQ6x4fsr,RFlat", SearchSettings(nprobe=16, k_factor=64), 24)(vectors)
    for share in (0.01, 0.5):
        mask = np.random.default_rng(3).random(len(vectors)) < share
        assert_true_top_k(index, vectors, vectors[:4], 10, mask)


def test_lists_are_read_further_until_k_rows_are_found() -> None:
    vectors = clustered_vectors(2000, DIM)
    index = faiss_of("IVF64,Flat", SearchSettings(nprobe=1))(vectors)
    found = index.search(vectors[:3], 1500)
    assert (found.rows >= 0).all()
