"""What every engine promises: the true nearest rows, however they are asked for."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from encoders.space import Vectors
from indexer.ann.exact_index import ExactIndex
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.faiss_library import load_faiss
from indexer.ann.filter_plan import FilterPlan
from indexer.ann.index_entry import IndexEntry, SearchSettings
from indexer.ann.opening import EXACT_FILE, FAISS_FILE, VECTORS_FILE, open_index
from indexer.ann.qdrant_generation import Generation
from indexer.ann.qdrant_server import QdrantServer
from indexer.ann.size_estimate import width
from indexer.ann.vector_index import BadQuery, Selection, VectorIndex
from tests.indexer.ann.edge_indexes import EdgeIndex, edge_index
from tests.indexer.ann.fake_qdrant import FakeQdrant
from tests.indexer.ann.server_indexes import (
    PATIENCE,
    named_server,
    needs_named_server,
    played_server,
    server_index,
)
from tests.indexer.stored_items import clustered_vectors, random_vectors

# What Qdrant's client says when it plays the server itself.
pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes")

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


def faiss_of(factory: str, settings: SearchSettings) -> Callable[..., VectorIndex]:
    def build(vectors: Vectors) -> VectorIndex:
        faiss = load_faiss()
        raw = faiss.index_factory(width(factory, DIM), factory, faiss.METRIC_INNER_PRODUCT)
        index = FaissIndex("words", DIM, raw, settings, stored=vectors.astype(np.float16))
        index.train(vectors)
        index.add(np.arange(len(vectors)), vectors)
        return index

    return build


def edge_of(kind: str) -> Callable[..., VectorIndex]:
    def build(vectors: Vectors) -> VectorIndex:
        settings = SearchSettings(ef_search=NUM_ROWS, k_factor=2) if kind == "graph" else None
        return edge_index(vectors, graph=kind == "graph", settings=settings)

    return build


def server_in_local_mode(vectors: Vectors) -> VectorIndex:
    return server_index(played_server(), vectors)


def fake_server(vectors: Vectors) -> VectorIndex:
    fake = FakeQdrant()
    generation = Generation(fake.url, "words__text__1", "words__text", grpc=False)
    index = server_index(QdrantServer(generation, PATIENCE), vectors)
    weakref.finalize(index, fake.stop)
    return index


def real_server(vectors: Vectors) -> VectorIndex:
    index = server_index(named_server(), vectors, graph=True)
    index._settings = SearchSettings(ef_search=NUM_ROWS, k_factor=2)
    return index


# At full effort the approximate kinds have to find everything as well.
EVERYTHING = SearchSettings(nprobe=8, k_factor=70)
ENGINES = {
    "exact float32": exact_float32,
    "exact float16": exact_float16,
    "flat": faiss_of("Flat", SearchSettings()),
    "inverted lists": faiss_of("IVF8,Flat", EVERYTHING),
    "refined fast scan": faiss_of("IVF8,PQ6x4fsr,RFlat", EVERYTHING),
    "fast scan without lists": faiss_of("PQ6x4fs,RFlat", EVERYTHING),
    "rotated": faiss_of("OPQ4,IVF8,PQ4x4fs,RFlat", EVERYTHING),
    "graph": faiss_of("HNSW16", SearchSettings(ef_search=NUM_ROWS)),
    # The vectors are float16 values, so this quantiser loses nothing.
    "half precision": faiss_of("SQfp16", SearchSettings()),
    # Lists store what is left after their centre, and rounding that is another 2e-5 off: without
    # refinement such an index is approximate even at full effort, so it is not promised here.
    "half precision in lists, refined": faiss_of("IVF8,SQfp16,RFlat", EVERYTHING),
    "qdrant edge, full scan": edge_of("full"),
    "qdrant edge, graph": edge_of("graph"),
    "qdrant server, played by its client": server_in_local_mode,
    "qdrant server, a fake over HTTP": fake_server,
    "qdrant server": real_server,
    "eight bits, refined": faiss_of("SQ8,RFlat", EVERYTHING),
    "graph of eight bits, refined": faiss_of(
        "HNSW16_SQ8,RFlat", SearchSettings(k_factor=70, ef_search=NUM_ROWS)
    ),
}


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    # float16 values, so that engines that store float16 have the very same rows.
    return random_vectors(NUM_ROWS, DIM).astype(np.float16).astype(np.float32)


ENGINE_NAMES = [
    pytest.param(
        name,
        marks=needs_named_server if name == "qdrant server" else (),
    )
    for name in ENGINES
]


@pytest.fixture(scope="module", params=ENGINE_NAMES)
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


@pytest.mark.parametrize("share", [0.0, 0.005, 0.3, 0.5, 1.0])
def test_every_engine_finds_the_exact_top_k_of_a_selection(
    index: VectorIndex, vectors: Vectors, share: float
) -> None:
    mask = np.random.default_rng(2).random(NUM_ROWS) < share
    assert_true_top_k(index, vectors, random_vectors(3, DIM, seed=1), 10, mask)


def test_fewer_rows_than_asked_for_are_padded(index: VectorIndex, vectors: Vectors) -> None:
    assert_true_top_k(index, vectors, random_vectors(2, DIM, seed=1), NUM_ROWS + 3, None)


def reopened(index: VectorIndex, vectors: Vectors, folder: Path) -> VectorIndex:
    stored = vectors.astype(np.float16)
    if isinstance(index, EdgeIndex):
        shutil.copytree(index.folder, folder, dirs_exist_ok=True)
        return open_index(folder, index.entry, "words")
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


@pytest.mark.parametrize("factory", ["exact", "Flat", "HNSW16", "SQfp16", "SQ8"])
def test_an_empty_index_answers_that_it_found_nothing(factory: str) -> None:
    index: VectorIndex = ExactIndex("words", DIM)
    if factory != "exact":
        faiss = load_faiss()
        raw = faiss.index_factory(width(factory, DIM), factory, faiss.METRIC_INNER_PRODUCT)
        index = FaissIndex("words", DIM, raw, stored=np.empty((0, DIM), np.float16))
    for among in (None, Selection(np.empty(0, dtype=np.bool_))):
        found = index.search(random_vectors(2, DIM), 3, among=among)
        assert found.rows.tolist() == [[-1] * 3] * 2
        assert np.isneginf(found.scores).all()
    assert index.vectors(np.empty(0, np.int64)).shape == (0, DIM)


@pytest.mark.parametrize("factory", ["exact", "Flat", "HNSW16", "SQfp16", "SQ8"])
def test_an_index_of_one_row_finds_it(factory: str) -> None:
    vectors = random_vectors(1, DIM).astype(np.float16).astype(np.float32)
    build = exact_float32 if factory == "exact" else faiss_of(factory, SearchSettings())
    index = build(vectors)
    queries = random_vectors(2, DIM, seed=1)
    found = index.search(queries, 2)
    assert found.rows.tolist() == [[0, -1]] * 2
    np.testing.assert_allclose(found.scores[:, 0], queries @ vectors[0], atol=ATOL)
    assert index.search(queries, 2, among=Selection(np.array([False]))).rows.max() == -1


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_every_engine_equals_exact_search_at_full_effort(engine: str, vectors: Vectors) -> None:
    index = ENGINES[engine](vectors)
    if isinstance(index, FaissIndex):
        index.settings = index.full_effort
    queries = random_vectors(40, DIM, seed=9)
    assert_true_top_k(index, vectors, queries, 10, None)
    assert_true_top_k(index, vectors, queries, 10, np.arange(NUM_ROWS) % 2 == 0)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
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


@pytest.fixture
def index_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the index whatever it costs, so that its own filtering is what is tested."""
    monkeypatch.setattr(FilterPlan, "prefers_exact", lambda *_: False)


@pytest.mark.usefixtures("index_only")
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_every_engine_finds_the_exact_top_k_of_a_selection_by_its_index_alone(
    index: VectorIndex, vectors: Vectors, share: float
) -> None:
    mask = np.random.default_rng(3).random(NUM_ROWS) < share
    assert_true_top_k(index, vectors, random_vectors(3, DIM, seed=1), 10, mask)


def test_every_engine_says_how_it_found_an_answer(index: VectorIndex) -> None:
    mask = np.zeros(NUM_ROWS, dtype=np.bool_)
    mask[17] = True
    queries = random_vectors(2, DIM, seed=1)
    found = index.search(queries, 3, among=Selection(mask))
    assert found.rows.tolist() == [[17, -1, -1]] * 2
    assert found.mode == ("exact" if index.exact else "exact_filtered")
    assert index.search(queries, 3).mode == ("exact" if index.exact else "approximate")


def test_lists_are_read_further_until_k_rows_are_found() -> None:
    vectors = clustered_vectors(2000, DIM)
    index = faiss_of("IVF64,Flat", SearchSettings(nprobe=1))(vectors)
    found = index.search(vectors[:3], 1500)
    assert (found.rows >= 0).all()
