import numpy as np
import pytest

from encoders.adapters.encoded_pairs import EncodedPairs, grouped_folds, linked_groups
from encoders.errors import ConfigError


def pairs_of(
    targets: list[list[float]], titles: list[int], items: list[int] | None = None
) -> EncodedPairs:
    rows = np.array(targets, dtype=np.float32)
    numbers = np.array(titles)
    owners = np.arange(len(titles)) if items is None else np.array(items)
    return EncodedPairs(rows, rows, rows, numbers, numbers, owners)


def test_pairs_are_linked_by_title() -> None:
    assert linked_groups(["cat", "dog", "cat"]).tolist() == [0, 1, 0]


def test_links_are_passed_on() -> None:
    # "cat" is in two folders, so these and all they hold hang together.
    titles = ["cat", "dog", "cat", "sun"]
    assert linked_groups(titles, ["pets", "pets", "toys", "sky"]).tolist() == [0, 0, 0, 1]


def test_folder_that_is_called_like_a_title_links_nothing() -> None:
    assert linked_groups(["cat", "dog"], ["dog", "pets"]).tolist() == [0, 1]


def test_every_row_is_held_out_once_and_no_group_is_on_both_sides() -> None:
    groups = np.array([5, 5, 5, 2, 2, 7, 8, 9])
    held_out: list[int] = []
    for learnt, test in grouped_folds(groups, 2, seed=0):
        assert not set(groups[learnt]) & set(groups[test])
        assert sorted([*learnt, *test]) == list(range(8))
        assert len(test) == 4
        held_out += test.tolist()
    assert sorted(held_out) == list(range(8))


def test_there_are_no_more_folds_than_groups() -> None:
    assert len(list(grouped_folds(np.array([0, 1, 1, 2]), 5, seed=0))) == 3


def test_pairs_that_all_hang_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="all 3 pairs hang together"):
        list(grouped_folds(np.zeros(3, dtype=np.int64), 5, seed=0))


def test_ranks_by_hand() -> None:
    pairs = pairs_of([[1, 0], [0, 1], [0, 1]], [0, 1, 1])
    vectors = np.array([[0.6, 0.8], [0, 1], [0.8, 0.6]], dtype=np.float32)
    # The first title prefers the third medium; the second title, asked twice, finds one of its own.
    assert pairs.ranks(vectors).tolist() == [2, 1, 1]


def test_title_ranks_by_hand() -> None:
    pairs = pairs_of([[1, 0], [0, 1], [0, 1]], [0, 1, 1])
    vectors = np.array([[0.6, 0.8], [0, 1], [0.8, 0.6]], dtype=np.float32)
    # The first and the third medium are nearer to the other's title; a title counts once.
    assert pairs.title_ranks(vectors).tolist() == [2, 1, 2]


def test_medium_finds_its_title_by_its_best_segment() -> None:
    pairs = pairs_of([[1, 0], [1, 0], [0, 1]], [0, 0, 1], items=[0, 0, 1])
    vectors = np.array([[0, 0.9], [1, 0], [0.6, 0.8]], dtype=np.float32)
    assert pairs.title_ranks(vectors).tolist() == [1, 1]


def test_medium_scores_as_its_best_segment() -> None:
    pairs = pairs_of([[1, 0], [1, 0], [0, 1]], [0, 0, 1], items=[0, 0, 1])
    vectors = np.array([[0, 1], [1, 0], [0.6, 0.8]], dtype=np.float32)
    assert pairs.num_items == 2
    assert pairs.ranks(vectors).tolist() == [1, 2]


def test_rows_that_do_not_fit_together_are_refused() -> None:
    rows = np.ones((3, 2), dtype=np.float32)
    numbers = np.arange(3)
    with pytest.raises(ValueError, match="numbers of rows differ"):
        EncodedPairs(rows, None, rows, numbers, numbers[:2], numbers)
    with pytest.raises(ValueError, match="base is"):
        EncodedPairs(rows, rows[:, :1], rows, numbers, numbers, numbers)
    with pytest.raises(ValueError, match="not finite"):
        EncodedPairs(rows * np.nan, None, rows, numbers, numbers, numbers)
