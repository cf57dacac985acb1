from __future__ import annotations

import numpy as np
import pytest

from encoders.errors import ConfigError
from indexer.ann import tuning
from indexer.ann.building import build_index
from indexer.ann.choosing import candidates
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.index_entry import SearchSettings
from indexer.ann.size_estimate import width
from indexer.config import IndexConfig
from tests.indexer.stored_items import clustered_vectors, random_vectors


@pytest.mark.parametrize(
    ("num_rows", "dim", "target_recall", "budget", "factories", "wide"),
    [
        (0, 384, 0.98, None, ["Flat"], 384),
        (19_999, 100, 0.98, None, ["Flat"], 100),
        (20_000, 384, 0.98, None, ["IVF50,PQ96x4fsr,RFlat", "HNSW16", "Flat"], 384),
        (1_000_000, 100, 0.98, None, ["IVF354,PQ52x4fsr,RFlat", "HNSW16", "Flat"], 104),
        (1_000_000, 100, 1.0, None, ["Flat"], 100),
        (
            20_000,
            384,
            0.98,
            20 << 20,
            ["IVF50,PQ96x4fsr,Refine(SQfp16)", "HNSW16_SQfp16", "SQfp16"],
            384,
        ),
        (20_000, 384, 0.98, 8 << 20, ["SQ8"], 384),
    ],
)
def test_auto_follows_size_target_and_budget_and_quantisers_get_multiples_of_eight(
    num_rows: int,
    dim: int,
    target_recall: float,
    budget: int | None,
    factories: list[str],
    wide: int,
) -> None:
    fitting, too_large = candidates(num_rows, dim, target_recall, budget)
    assert [candidate.factory for candidate in fitting] == factories
    assert width(factories[0], dim) == wide
    for candidate in fitting:
        assert budget is None or candidate.estimated_bytes <= budget
    for tried in too_large:
        assert budget is not None
        assert tried.estimated_bytes > budget
        assert str(budget) in tried.why


def test_a_budget_that_nothing_fits_is_refused_with_what_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"need at least 10404096 bytes \(SQ8\), got 1000"):
        candidates(100_000, 100, 0.98, 1000)


def effort(search: SearchSettings) -> tuple[int, int]:
    return search.nprobe or 0, search.k_factor or 0


def test_what_a_busy_machine_measures_does_not_make_more_work_the_cheaper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measured(index: FaissIndex, _queries: object, _k: int) -> float:
        nprobe, k_factor = effort(index.settings)
        return 1000.0 - 10 * nprobe + k_factor

    monkeypatch.setattr(tuning, "cpu_microseconds", measured)
    vectors = clustered_vectors(5_000, 64).astype(np.float16)
    config = IndexConfig(factory="IVF32,PQ32x4fsr,RFlat", target_recall=0.9)
    entry = build_index(vectors, "words", config).entry
    reaching = [point for point in entry.recall_curve if point.recall_at_10 >= 0.93]
    assert len(reaching) > 1
    for point in reaching:
        more = zip(effort(point.search), effort(entry.search), strict=True)
        assert point.search == entry.search or any(mine > its for mine, its in more)


def test_inverted_lists_reach_their_target_recall_at_the_least_cost() -> None:
    vectors = clustered_vectors(25_000, 64).astype(np.float16)
    added: list[int] = []
    built = build_index(vectors, "words", IndexConfig(target_recall=0.95), progress=added.append)
    entry = built.entry
    assert entry.factory == "IVF56,PQ32x4fsr,RFlat"
    assert not entry.exact
    assert not entry.vectors_file
    reaching = [point for point in entry.recall_curve if point.recall_at_10 >= 0.96]
    assert reaching
    assert entry.cpu_microseconds is not None
    no_less = [
        point.cpu_microseconds or 0
        for point in entry.recall_curve
        if all(
            its >= least
            for its, least in zip(effort(point.search), effort(entry.search), strict=True)
        )
    ]
    assert all(min(no_less) <= (point.cpu_microseconds or 0) for point in reaching)
    for point in reaching:
        more = zip(effort(point.search), effort(entry.search), strict=True)
        assert point.search == entry.search or any(its > least for its, least in more)
    assert entry.choice is not None
    assert "0.95" in entry.choice.why
    assert built.recall_at_10 is not None
    assert built.recall_at_10 >= 0.94  # judged on other rows than it was tuned with
    assert added[-1] == 25_000


def test_auto_compares_with_every_row_where_nothing_faster_reaches_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.ann.choosing.FLAT_BELOW_ROWS", 2_000)
    # As if comparing took no time, so that no other kind's measured cost decides.
    monkeypatch.setattr("indexer.ann.choosing.FLAT_BYTES_PER_MICROSECOND", 1e9)
    noise = random_vectors(3_000, 128).astype(np.float16)
    built = build_index(noise, "words", IndexConfig(target_recall=0.999))
    assert built.entry.factory == "Flat"
    assert built.entry.exact
    assert built.recall_at_10 == 1.0
    assert built.entry.recall_curve == ()
    assert built.entry.choice is not None
    assert [tried.factory for tried in built.entry.choice.tried] == [
        "IVF19,PQ64x4fsr,RFlat",
        "HNSW16",
    ]
    assert all("wanted 0.999" in tried.why for tried in built.entry.choice.tried)


def test_where_no_kind_reaches_the_target_the_nearest_one_is_taken() -> None:
    noise = random_vectors(3_000, 64).astype(np.float16)
    config = IndexConfig(target_recall=0.9999, memory_budget="0.2MiB")
    built = build_index(noise, "words", config)
    assert built.entry.factory == "SQ8"
    assert built.entry.choice is not None
    assert "comes nearest" in built.entry.choice.why
    assert built.entry.choice.memory_budget_bytes == 209_715
    assert [tried.factory for tried in built.entry.choice.tried] == ["Flat", "SQfp16", "SQ8"]


@pytest.mark.parametrize("num_rows", [0, 1, 2, 3, 50])
@pytest.mark.parametrize("engine", ["faiss", "exact"])
def test_small_channels_are_exact(num_rows: int, engine: str) -> None:
    vectors = random_vectors(num_rows, 12).astype(np.float16)
    built = build_index(vectors, "words", IndexConfig(engine=engine))  # type: ignore[arg-type]
    assert built.index.exact
    assert built.index.num_rows == built.entry.num_rows == num_rows
    assert built.recall_at_10 == (None if num_rows < 2 else 1.0)


@pytest.mark.parametrize("num_rows", [100, 600])
def test_a_named_factory_is_trained_with_few_rows_too(num_rows: int) -> None:
    vectors = random_vectors(num_rows, 32).astype(np.float16)
    built = build_index(vectors, "words", IndexConfig(factory="IVF4,Flat"))
    assert (built.entry.factory, built.recall_at_10) == ("IVF4,Flat", 1.0)


@pytest.mark.parametrize(
    ("factory", "message"),
    [("IVF256,Flat", "100 segments are too few to train 'IVF256,Flat'"), ("nonsense", "nonsense")],
)
def test_a_factory_that_cannot_be_made_is_named(factory: str, message: str) -> None:
    vectors = random_vectors(100, 32).astype(np.float16)
    with pytest.raises(ConfigError, match=message):
        build_index(vectors, "words", IndexConfig(factory=factory))


def test_graphs_are_tuned_by_their_width() -> None:
    vectors = clustered_vectors(1_500, 32).astype(np.float16)
    built = build_index(vectors, "words", IndexConfig(factory="HNSW16", target_recall=0.95))
    assert built.entry.search.ef_search is not None
    assert built.entry.vectors_file
    assert built.recall_at_10 is not None
    assert built.recall_at_10 >= 0.94
