from __future__ import annotations

import numpy as np
import pytest

from encoders.space import unit_rows


def test_rows_come_back_with_length_one_and_as_a_copy() -> None:
    vectors = np.array([[3.0, 4.0], [0.0, 0.5]])
    assert unit_rows(vectors) == pytest.approx(np.array([[0.6, 0.8], [0, 1]]))
    assert vectors.tolist() == [[3, 4], [0, 0.5]]


def test_row_without_length_matches_nothing() -> None:
    assert not unit_rows(np.array([[1e-13, 0.0]])).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_not_hidden(bad: float) -> None:
    with np.errstate(invalid="ignore"):
        rows = unit_rows(np.array([[bad, 1.0], [0.0, 2.0]]))
    assert np.isnan(rows[0, 0])
    assert rows[1].tolist() == [0, 1]
