from __future__ import annotations

import numpy as np
import pytest

from encoders.errors import ConfigError
from indexer.ann.building import build_index, chosen_factory, width
from indexer.config import IndexConfig
from tests.indexer.stored_items import clustered_vectors, random_vectors


@pytest.mark.parametrize(
    ("factory", "num_rows", "dim", "chosen", "wide"),
    [
        ("auto", 0, 384, "Flat", 384),
        ("auto", 19_999, 100, "Flat", 100),
        ("auto", 20_000, 384, "IVF566,PQ96x4fsr,RFlat", 384),
        ("auto", 1_000_000, 100, "IVF4000,PQ26x4fsr,RFlat", 104),
        ("HNSW16", 1_000_000, 100, "HNSW16", 100),
        ("SQ8", 10, 100, "SQ8", 104),
        ("IVF64,Flat", 0, 100, "Flat", 100),
    ],
)
def test_auto_follows_the_size_and_quantisers_get_multiples_of_eight(
    factory: str, num_rows: int, dim: int, chosen: str, wide: int
) -> None:
    assert chosen_factory(factory, num_rows, dim) == chosen
    assert width(chosen, dim) == wide


def test_inverted_lists_reach_their_target_recall() -> None:
    vectors = clustered_vectors(25_000, 64).astype(np.float16)
    added: list[int] = []
    built = build_index(vectors, "words", IndexConfig(target_recall=0.95), progress=added.append)
    entry = built.entry
    assert entry.factory == "IVF632,PQ16x4fsr,RFlat"
    assert not entry.exact
    assert not entry.vectors_file
    assert entry.search == entry.recall_curve[-1].search
    assert entry.recall_curve[-1].recall_at_10 >= 0.95
    assert built.recall_at_10 is not None
    assert built.recall_at_10 >= 0.94  # judged on other rows than it was tuned with
    assert added[-1] == 25_000


def test_auto_compares_with_every_row_where_nothing_faster_reaches_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.ann.building.FLAT_BELOW_ROWS", 2_000)
    noise = random_vectors(3_000, 128).astype(np.float16)
    built = build_index(noise, "words", IndexConfig(target_recall=1.0))
    assert built.entry.factory == "Flat"
    assert built.entry.exact
    assert built.recall_at_10 == 1.0
    assert built.entry.recall_curve[-1].recall_at_10 < 1.0


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
