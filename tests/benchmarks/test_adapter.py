from pathlib import Path

import numpy as np

from benchmarks.adapter import Measurement, mean_rows, measure
from benchmarks.corpora import CaptionedFile
from encoders.adapters.encoded_pairs import EncodedPairs
from encoders.adapters.recall import RecallGain
from encoders.retrieval_measures import Interval
from encoders.space import unit_rows


def test_halves_are_made_by_caption_and_by_caption_and_folder() -> None:
    files = [
        CaptionedFile(Path(f"{number}.png"), f"thing {number // 2}", f"folder {number // 10}")
        for number in range(60)
    ]
    generator = np.random.default_rng(0)
    titles = np.arange(60) // 2
    targets = unit_rows(generator.normal(size=(30, 8)))[titles]
    base = unit_rows(generator.normal(size=(60, 8)))
    items = np.arange(60)
    pairs = EncodedPairs(targets, base, targets, titles, titles, items)
    measured = measure("thing", pairs, files, seeds=[0])
    assert [each.question for each in measured] == ["text -> thing", "thing -> text"] * 2
    by_folder, by_caption = measured[0], measured[2]
    assert (by_folder.num_groups, by_caption.num_groups) == (6, 30)
    # The features are the titles' own vectors, the base is noise.
    assert by_caption.relative_gain > 0.5
    assert measured[3].relative_gain > 0.2
    row = by_caption.as_row()
    assert row["question"] == "text -> thing (60)"
    assert row["halves apart by"] == "caption (30 parts)"


def test_means_are_over_the_splits_of_one_question() -> None:
    def measured(before: float, after: float, seed: int) -> Measurement:
        gain = after - before
        found = RecallGain(*(Interval(each, 0.0, 1.0) for each in (before, after, gain, gain)))
        return Measurement("text -> thing", "caption", 60, 30, seed, found)

    (row,) = mean_rows([measured(0.2, 0.3, 0), measured(0.4, 0.4, 1)])
    assert row == {
        "question": "text -> thing",
        "halves apart by": "caption",
        "splits": "2",
        "R@10 concepts": "0.300",
        "R@10 adapter": "0.350",
        "relative": "+17%",
        "range": "+0% to +50%",
    }
