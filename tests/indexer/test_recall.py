from __future__ import annotations

import numpy as np

from indexer.ann.vector_index import Neighbors
from indexer.recall import held_out_rows, others, recall, recall_sample

# Five rows in the plane, at 0, 10, 20, 90 and 180 degrees.
PLANE = np.array(
    [[np.cos(angle), np.sin(angle)] for angle in np.radians([0, 10, 20, 90, 180])],
    dtype=np.float16,
)


def answer(rows: list[list[int]]) -> Neighbors:
    return Neighbors(np.array(rows), np.zeros((len(rows), len(rows[0])), np.float32))


def test_recall_is_the_share_of_true_neighbours_found() -> None:
    sample = recall_sample(PLANE, np.array([0]), k=2)
    assert sample is not None
    # The two nearest of row 0 are rows 1 and 2; the row itself does not count.
    assert recall(sample, answer([[0, 1, 2]]), PLANE) == 1.0
    assert recall(sample, answer([[0, 2, 1]]), PLANE) == 1.0
    assert recall(sample, answer([[0, 1, 3]]), PLANE) == 0.5
    assert recall(sample, answer([[0, 4, 3]]), PLANE) == 0.0
    assert recall(sample, answer([[1, 2, 3]]), PLANE) == 1.0
    assert recall(sample, answer([[0, 1, -1]]), PLANE) == 0.5


def test_a_row_as_near_as_the_last_true_one_counts() -> None:
    doubled = np.concatenate([PLANE, PLANE[2:3]])
    sample = recall_sample(doubled, np.array([0]), k=2)
    assert sample is not None
    assert recall(sample, answer([[0, 1, 5]]), doubled) == 1.0


def test_fewer_rows_than_ten_lower_k() -> None:
    sample = recall_sample(PLANE, np.array([0, 4]))
    assert sample is not None
    assert sample.k == 4
    assert recall_sample(PLANE[:1], np.array([0])) is None
    assert recall_sample(PLANE, np.array([], dtype=np.int64)) is None


def test_the_own_row_is_left_out_wherever_it_stands() -> None:
    kept = others(answer([[3, 0, 1], [0, 1, 2]]), np.array([0, 9]), 2)
    assert kept.rows.tolist() == [[3, 1], [0, 1]]


def test_held_out_rows_are_the_same_each_time() -> None:
    rows = held_out_rows(1000, 50)
    assert np.array_equal(rows, held_out_rows(1000, 50))
    assert len(set(rows.tolist())) == 50
    assert held_out_rows(3, 50).tolist() == [0, 1, 2]
