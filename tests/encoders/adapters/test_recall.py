import pytest

from encoders.adapters.recall import held_out_recall
from encoders.space import unit_rows
from tests.encoders.adapters.planted_pairs import (
    DIM,
    FEATURE_DIM,
    draw,
    pairs_of,
    pairs_with_noise_for_features,
    planted_pairs,
)


def test_recall_is_no_worse_than_before_where_features_say_nothing() -> None:
    recall = held_out_recall(pairs_with_noise_for_features(), num_folds=3).titles_to_media
    assert recall.before is not None
    assert recall.after.mean >= recall.before.mean - 0.02


def test_gain_is_measured_on_pairs_that_were_not_learnt_from() -> None:
    recall = held_out_recall(planted_pairs(), num_folds=2)
    assert recall.num_questions == 120
    assert recall.num_items_per_fold == (60, 60)
    for found in (recall.titles_to_media, recall.media_to_titles):
        assert found.before is not None
        assert found.gain is not None
        assert found.gain.low > 0
        assert found.gain.mean == pytest.approx(found.after.mean - found.before.mean)


def test_titles_without_a_rule_are_not_learnt_by_heart() -> None:
    """Every title is a draw of its own: what fits the learnt pairs finds no other."""
    features, targets = unit_rows(draw(1, 120, FEATURE_DIM)), unit_rows(draw(2, 120, DIM))
    recall = held_out_recall(pairs_of(features, None, targets), num_folds=2).titles_to_media
    assert recall.before is None
    assert recall.gain is None
    assert recall.after.low <= 10 / 60 <= recall.after.high + 0.05
