from __future__ import annotations

import numpy as np
import pytest

from encoders.admission import properties
from encoders.space import Vectors, unit_rows


def rows(*values: list[float]) -> Vectors:
    return np.array(values, dtype=np.float32)


def random_rows(num_rows: int, dim: int = 64, seed: int = 0) -> Vectors:
    return unit_rows(np.random.default_rng(seed).normal(size=(num_rows, dim)))


def test_dimension_names_the_batch_that_came_back_wrong() -> None:
    good = (2, np.zeros((2, 3), np.float32))
    assert properties.dimension([good], 3).outcome == "passed"
    squeezed = properties.dimension([good, (1, np.zeros(3, np.float32))], 3)
    assert squeezed.outcome == "failed"
    assert squeezed.sentence == "a batch of 1 gave (3,) float32, expected (1, 3) float32."
    wide = properties.dimension([(2, np.zeros((2, 4), np.float32))], 3)
    assert (wide.outcome, wide.measured, wide.bound) == ("failed", 4, 3)
    assert "float64" in properties.dimension([(2, np.zeros((2, 3)))], 3).sentence  # type: ignore[list-item]


def test_rows_that_are_no_numbers_are_counted() -> None:
    finding = properties.finite(rows([1, 0], [np.nan, 0], [0, -np.inf]))
    assert (finding.outcome, finding.measured, finding.bound) == ("failed", 2, 0)
    assert properties.finite(rows([1, 0])).outcome == "passed"


def test_distinct_is_the_mean_cosine_to_the_nearest_other() -> None:
    # The first two are at cosine 0.6 to each other, the third at a right angle to both.
    finding = properties.distinct("texts_distinct", rows([1, 0, 0], [0.6, 0.8, 0], [0, 0, 1]))
    assert finding.measured == pytest.approx((0.6 + 0.6 + 0) / 3)
    assert finding.outcome == "passed"


@pytest.mark.parametrize("collapsed", [rows([1, 1], [1, 1], [1, 1.01]), np.zeros((3, 2))])
def test_one_vector_for_all_is_not_distinct(collapsed: Vectors) -> None:
    finding = properties.distinct("texts_distinct", collapsed)
    assert finding.outcome == "failed"
    assert finding.measured == pytest.approx(1, abs=1e-4)


def test_only_blank_contents_may_have_no_length() -> None:
    vectors = rows([1, 0], [0.6, 0.8], [0, 0])
    assert properties.unit_norm(vectors, num_blank=1).outcome == "passed"
    assert properties.unit_norm(vectors, num_blank=0).measured == pytest.approx(1)
    assert properties.unit_norm(rows([1, 0], [3, 4]), num_blank=1).measured == pytest.approx(4)


def test_rank_counts_ties_against_the_pair() -> None:
    # Each content scores 1 with its own name and with one other: rank 2. Names the same.
    finding = properties.pairs_ranked(rows([1, 0], [1, 0]), rows([1, 0], [1, 0]))
    assert "mean reciprocal rank of 0.50" in finding.sentence
    assert (finding.outcome, finding.measured) == ("failed", 1)


def test_right_names_are_better_than_chance() -> None:
    vectors = random_rows(12)
    finding = properties.pairs_ranked(vectors, vectors)
    assert (finding.outcome, finding.measured) == ("passed", pytest.approx(1e-4))
    assert "mean reciprocal rank of 1.00" in finding.sentence


def test_names_may_be_dim_and_crowded_as_in_models_with_two_towers() -> None:
    vectors = random_rows(12)
    common = 10 * random_rows(1, seed=1)
    finding = properties.pairs_ranked(vectors, unit_rows(vectors + common))
    assert finding.outcome == "passed"


@pytest.mark.parametrize("seed", range(5))
def test_unrelated_names_are_chance(seed: int) -> None:
    finding = properties.pairs_ranked(random_rows(12, seed=seed), random_rows(12, seed=seed + 50))
    assert finding.outcome == "failed"


def test_what_is_not_a_number_fails_and_has_no_measure() -> None:
    bad = np.full((2, 2), np.nan, np.float32)
    for finding in (
        properties.repeatable(rows([1, 0], [0, 1]), bad),
        properties.shift_stable(rows([1, 0], [0, 1]), bad, "4 px"),
        properties.cpu_matches_gpu(rows([1, 0], [0, 1]), bad),
    ):
        assert (finding.outcome, finding.measured) == ("failed", None)
    assert properties.pairs_ranked(rows([1, 0], [0, 1]), bad).outcome == "failed"


def test_a_finding_says_both_sides() -> None:
    finding = properties.shift_stable(rows([1, 0], [0, 1]), rows([1, 0], [0.6, 0.8]), "4 px")
    assert finding.measured == pytest.approx(0.9)
    assert finding.sentence == (
        "a shift of 4 px keeps a mean cosine of 0.9000 (at least 0.98); "
        "vectors depend on where a cut falls more than on what is there."
    )
