import numpy as np
import pytest

from benchmarks.metrics import (
    bootstrap_interval,
    chance_recall_at_k,
    first_right_ranks,
    mean_reciprocal_rank,
    recall_at_k,
)

# Question 0 has its only right answer first, question 1 second, question 2 (two right) third.
SCORES = np.array(
    [[0.9, 0.5, 0.4, 0.1], [0.3, 0.8, 0.7, 0.2], [0.6, 0.5, 0.4, 0.3]], dtype=np.float32
)
RIGHT = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]], dtype=bool)
RANKS = np.array([1, 2, 3])


def test_rank_counts_the_wrong_answers_before_the_best_right_one() -> None:
    assert first_right_ranks(SCORES, RIGHT).tolist() == [1, 2, 3]


def test_a_right_answer_that_ties_with_wrong_ones_counts_as_behind_them() -> None:
    scores = np.full((1, 5), 0.5, dtype=np.float32)
    right = np.array([[0, 1, 0, 0, 0]], dtype=bool)
    assert first_right_ranks(scores, right).tolist() == [5]


def test_right_answers_do_not_push_each_other_back() -> None:
    scores = np.array([[0.9, 0.9, 0.1]], dtype=np.float32)
    right = np.array([[1, 1, 0]], dtype=bool)
    assert first_right_ranks(scores, right).tolist() == [1]


def test_a_question_without_right_answer_is_refused_by_number() -> None:
    right = RIGHT.copy()
    right[1] = False
    with pytest.raises(ValueError, match="question 1 has no right answer"):
        first_right_ranks(SCORES, right)


def test_scores_and_answers_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(3, 3\)"):
        first_right_ranks(SCORES, RIGHT[:, :3])


@pytest.mark.parametrize(("k", "expected"), [(1, 1 / 3), (2, 2 / 3), (3, 1.0), (10, 1.0)])
def test_recall_is_the_share_of_questions_answered_within_k(k: int, expected: float) -> None:
    assert recall_at_k(RANKS, k) == pytest.approx(expected)


def test_mean_reciprocal_rank_by_hand() -> None:
    assert mean_reciprocal_rank(RANKS) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_chance_with_one_right_item_is_k_over_n() -> None:
    assert chance_recall_at_k(np.array([1, 1]), 50, 10) == pytest.approx(0.2)


def test_chance_with_two_right_items_by_hand() -> None:
    # Of the 6 pairs out of 4 items, one holds neither of the two right ones.
    assert chance_recall_at_k(np.array([2]), 4, 2) == pytest.approx(5 / 6)


def test_chance_is_one_when_everything_is_looked_at() -> None:
    assert chance_recall_at_k(np.array([1, 3]), 7, 10) == 1.0


def test_interval_holds_the_mean_and_is_the_same_for_the_same_seed() -> None:
    values = np.array([0.0, 1.0] * 50)
    groups = np.arange(100)
    first = bootstrap_interval(values, groups, seed=3)
    assert first == bootstrap_interval(values, groups, seed=3)
    assert first.mean == 0.5
    # The standard error is 0.05, so 95 % lie within about 0.1.
    assert first.low == pytest.approx(0.4, abs=0.02)
    assert first.high == pytest.approx(0.6, abs=0.02)


def test_interval_of_equal_values_has_no_width() -> None:
    interval = bootstrap_interval(np.ones(9), np.arange(9), seed=0)
    assert (interval.low, interval.mean, interval.high) == (1.0, 1.0, 1.0)


def test_questions_of_one_group_are_drawn_together() -> None:
    # Ten questions in two groups: a draw of two groups can only give 0, 1/2 or 1.
    values = np.array([0.0] * 5 + [1.0] * 5)
    groups = np.array([0] * 5 + [1] * 5)
    interval = bootstrap_interval(values, groups, seed=0)
    assert (interval.low, interval.mean, interval.high) == (0.0, 0.5, 1.0)
