"""Selections in Qdrant: which way they are searched, and that every way finds the same."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.ann import qdrant_index
from indexer.ann.exact_index import ExactIndex
from indexer.ann.index_entry import SearchSettings
from indexer.ann.qdrant_index import candidate_limits
from indexer.ann.vector_index import PayloadCondition, Selection
from tests.indexer.ann.edge_indexes import edge_index, payload_table
from tests.indexer.stored_items import clustered_vectors

DIM = 16
NUM_ROWS = 1500


def test_few_survivors_are_compared_one_by_one() -> None:
    limits = candidate_limits(10**6, 5_000, 10, num_meeting=5_000, always_ask=False)
    assert limits == ()


def test_many_survivors_are_taken_out_of_more_candidates() -> None:
    limits = candidate_limits(10**6, 500_000, 10, num_meeting=None, always_ask=False)
    assert limits == (41, 328)


def test_a_condition_needs_no_more_candidates() -> None:
    limits = candidate_limits(10**6, 50_000, 10, num_meeting=50_000, always_ask=False)
    assert limits == (29, 232)


def test_a_condition_that_says_only_a_part_needs_as_many_more() -> None:
    limits = candidate_limits(10**6, 250_000, 10, num_meeting=500_000, always_ask=False)
    assert limits == (41, 328)


def test_everything_is_asked_of_qdrant_unless_nearly_all_of_it_is_wanted() -> None:
    assert candidate_limits(300, 300, 10, num_meeting=None, always_ask=True) == (29, 232)
    assert candidate_limits(10**6, 10**6, 9_000, num_meeting=None, always_ask=True) == ()


@pytest.mark.parametrize("with_condition", [False, True])
def test_every_share_of_survivors_is_found(
    monkeypatch: pytest.MonkeyPatch, with_condition: bool
) -> None:
    monkeypatch.setattr(qdrant_index, "EXACT_SURVIVORS", 0)
    monkeypatch.setattr(qdrant_index, "COMPARED_PER_CANDIDATE", 0)
    vectors = clustered_vectors(NUM_ROWS, DIM).astype(np.float16).astype(np.float32)
    draws = np.random.default_rng(4).random(NUM_ROWS)
    payload = payload_table(NUM_ROWS, {"draw": "float"}, {"attributes.draw": draws})
    settings = SearchSettings(ef_search=200, k_factor=2)
    index = edge_index(vectors, graph=True, payload=payload, settings=settings)
    truth = ExactIndex("words", DIM, vectors)
    hidden = np.random.default_rng(5).random(NUM_ROWS) < 0.1
    for share in (0.001, 0.01, 0.1, 0.5, 0.9):
        wanted = {"must": [{"key": "attributes.draw", "range": {"lt": share}}]}
        condition = PayloadCondition(wanted, {"attributes.draw": "float"})
        mask = (draws < share) & ~hidden
        among = Selection(mask, condition if with_condition else None)
        expected = truth.search(vectors[:20], 10, among=among)
        found = index.search(vectors[:20], 10, among=among)
        there = found.rows >= 0
        assert there.sum() == 20 * min(10, mask.sum())
        assert mask[found.rows[there]].all()
        # Compared by score, because rows that tie may come in any order.
        best = expected.scores[expected.rows >= 0]
        if len(best):
            assert np.isclose(found.scores[there], best, atol=1e-5).mean() >= 0.95


def test_a_condition_on_a_column_of_another_type_is_left_to_the_mask() -> None:
    vectors = clustered_vectors(NUM_ROWS, DIM)
    index = edge_index(vectors, graph=True)
    nothing = PayloadCondition({"must": [{"is_empty": {"key": "item_id"}}]}, {"item_id": "int"})
    mask = np.arange(NUM_ROWS) % 3 == 0
    assert index._usable(Selection(mask, nothing)) is None


def test_a_condition_that_keeps_most_rows_is_left_to_the_mask() -> None:
    vectors = clustered_vectors(NUM_ROWS, DIM)
    numbers = list(range(NUM_ROWS))
    payload = payload_table(NUM_ROWS, {"n": "int"}, {"attributes.n": numbers})
    index = edge_index(vectors, graph=True, payload=payload)
    for share in (0.4, 0.6):
        last = int(share * NUM_ROWS)
        wanted = {"must": [{"key": "attributes.n", "range": {"lt": last}}]}
        condition = PayloadCondition(wanted, {"attributes.n": "int"})
        mask = np.arange(NUM_ROWS) < last
        found = index._usable(Selection(mask, condition))
        assert found == (condition if share < 0.5 else None)
        few = mask & (np.arange(NUM_ROWS) % 7 == 0)
        assert index._usable(Selection(few, condition, num_meeting=last)) == found
