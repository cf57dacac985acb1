from __future__ import annotations

import numpy as np
import pytest

from indexer.ann.vector_index import (
    BadQuery,
    Neighbors,
    Selection,
    check_queries,
    merged,
    nearest,
    no_neighbors,
)


def test_nearest_orders_by_score_then_row_and_pads() -> None:
    rows = np.array([[7, 3, -1, 5]])
    scores = np.array([[0.5, 0.9, 0.95, 0.5]], dtype=np.float32)
    found = nearest(rows, scores, 5)
    assert found.rows.tolist() == [[3, 5, 7, -1, -1]]
    np.testing.assert_array_equal(
        found.scores, np.array([[0.9, 0.5, 0.5, -np.inf, -np.inf]], dtype=np.float32)
    )
    assert nearest(rows, scores, 1).rows.tolist() == [[3]]


def test_rows_that_were_ruled_out_are_none() -> None:
    found = nearest(np.array([[1, 2]]), np.array([[-np.inf, 0.1]], dtype=np.float32), 2)
    assert found.rows.tolist() == [[2, -1]]


def test_merging_takes_the_best_of_both() -> None:
    left = Neighbors(np.array([[1, 2]]), np.array([[0.9, 0.1]], dtype=np.float32))
    right = Neighbors(np.array([[10, -1]]), np.array([[0.5, -np.inf]], dtype=np.float32))
    assert merged(left, right).rows.tolist() == [[1, 10]]
    assert merged(no_neighbors(1, 2), right).rows.tolist() == [[10, -1]]


@pytest.mark.parametrize(
    ("queries", "k", "said"),
    [
        (np.zeros((2, 3), np.float32), 1, r"\(num_queries, 4\), got \(2, 3\)"),
        (np.zeros(4, np.float32), 1, r"got \(4,\)"),
        (np.zeros((1, 4), np.float32), 0, "k must be at least 1"),
        (np.full((1, 4), np.nan, np.float32), 1, "NaN"),
        (np.full((1, 4), np.inf, np.float32), 1, "infinity"),
    ],
)
def test_queries_that_cannot_be_answered_are_refused(
    queries: np.ndarray, k: int, said: str
) -> None:
    with pytest.raises(BadQuery, match=said):
        check_queries(queries, 4, k)


def test_a_selection_packs_its_mask_lowest_bit_first() -> None:
    selection = Selection(np.array([True, False, False, True, False, False, False, False, True]))
    assert selection.bitmap.tolist() == [0b1001, 1]
    assert selection.rows.tolist() == [0, 3, 8]
    assert selection.num_selected == 3


def test_large_numbers_are_no_infinity() -> None:
    queries = np.full((2, 4), 3e30, np.float32)  # their squares are beyond float32
    assert check_queries(queries, 4, 1) is queries


@pytest.mark.parametrize(
    ("rows", "scores", "expected"),
    [
        ([4, 9, 2], [0.9, 0.5, 0.1], [4, 9, 2]),
        ([9, 4, 2], [0.5, 0.5, 0.1], [4, 9, 2]),
        ([9, 4, 2], [0.1, 0.5, 0.9], [2, 4, 9]),
        ([4, -1, -1], [0.9, -np.inf, -np.inf], [4, -1, -1]),
        ([4, 9, 2], [0.9, 0.5, -np.inf], [4, 9, -1]),
    ],
)
def test_one_answer_is_put_in_order_as_several_are(
    rows: list[int], scores: list[float], expected: list[int]
) -> None:
    for copies in (1, 2):
        found = nearest(np.array([rows] * copies), np.array([scores] * copies, np.float32), 3)
        assert found.rows.tolist() == [expected] * copies
