import numpy as np
import pytest

from benchmarks.retrieval import LabelledVectors, both_ways, measure
from encoders.encoder import EncoderIdentity
from encoders.space import Vectors, unit_rows


class WordEncoder:
    """Gives each of a few words an axis of its own."""

    WORDS = ("cat", "dog", "owl")
    identity = EncoderIdentity("words", "words", 3, "text")

    def encode(self, batch: list[str]) -> Vectors:
        return np.array([[text == word for word in self.WORDS] for text in batch], np.float32)


def test_a_sound_scores_as_its_best_window() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    heard = LabelledVectors(["cat", "dog"], vectors, np.array([0, 0, 1]))
    scores = heard.scores(np.eye(2, dtype=np.float32))
    assert scores == pytest.approx(np.array([[1, 0.6], [1, 0.8]]))


def test_any_item_with_the_same_caption_is_right_and_the_own_one_stands_beside() -> None:
    captions = ["cat", "cat", "dog"]
    # Each "cat" question finds the other cat first.
    scores = np.array([[0.1, 0.9, 0.5], [0.9, 0.1, 0.5], [0.1, 0.2, 0.9]], dtype=np.float32)
    figures = measure("text -> image", scores, captions, captions, seed=0)
    assert figures.recall[1].mean == 1.0
    assert figures.own_recall[1] == pytest.approx(1 / 3)
    assert figures.own_recall[5] == 1.0
    assert figures.mean_reciprocal_rank.mean == 1.0


def test_chance_counts_the_items_that_share_a_caption() -> None:
    captions = ["cat", "cat", "dog", "owl"]
    figures = measure("x", np.eye(4, dtype=np.float32), captions, captions, seed=0)
    assert figures.chance[1] == pytest.approx((2 / 4 + 2 / 4 + 1 / 4 + 1 / 4) / 4)


def test_both_directions_are_measured_over_distinct_captions() -> None:
    seen = unit_rows(np.array([[1, 0.1, 0], [1, 0, 0.1], [0.1, 1, 0], [0, 1, 0.2]]))
    items = LabelledVectors(["cat", "cat", "dog", "owl"], seen, np.arange(4))
    to_items, to_text = both_ways("image", items, WordEncoder(), seed=0)
    assert (to_items.name, to_items.num_questions, to_items.num_items) == ("text -> image", 4, 4)
    assert to_items.recall[1].mean == 1.0
    assert (to_text.name, to_text.num_questions, to_text.num_items) == ("image -> text", 4, 3)
    # The owl's picture looks more like a dog.
    assert to_text.recall[1].mean == pytest.approx(3 / 4)
