import numpy as np
import pytest

from encoders.adapters import fitting as adapter_fitting
from encoders.adapters.encoded_pairs import EncodedPairs
from encoders.adapters.fitting import BASE_ALONE, RidgePath, adapted, fit_adapter
from encoders.errors import ConfigError
from encoders.space import unit_rows
from tests.encoders.adapters.planted_pairs import (
    DIM,
    FEATURE_DIM,
    draw,
    pairs_of,
    pairs_with_noise_for_features,
    planted_pairs,
)


def test_ridge_by_hand() -> None:
    # Centred features are -1 and 1, their mean square 1; (x'y) / (x'x + 2 * 1) = 6 / 4.
    path = RidgePath(np.array([[1.0], [3.0]], np.float32), np.array([[2.0], [8.0]], np.float32))
    assert path.coefficients(2.0) == pytest.approx(np.array([[1.5]]))
    assert path.feature_mean == pytest.approx([2.0])
    assert path.target_mean == pytest.approx([5.0])


@pytest.mark.parametrize("num_rows", [7, 24, 60])
@pytest.mark.parametrize("strength", [0.1, 30.0])
def test_ridge_is_the_closed_form_for_few_and_for_many_rows(num_rows: int, strength: float) -> None:
    features = draw(1, num_rows, FEATURE_DIM).astype(np.float32)
    targets = draw(2, num_rows, DIM).astype(np.float32)
    x = features - features.mean(axis=0, dtype=np.float64)
    y = targets - targets.mean(axis=0, dtype=np.float64)
    penalty = strength * np.square(x).sum() / num_rows
    expected = np.linalg.solve(x.T @ x + penalty * np.eye(FEATURE_DIM), x.T @ y)
    assert RidgePath(features, targets).coefficients(strength) == pytest.approx(expected)


def test_mapped_rows_have_a_mean_square_length_of_1() -> None:
    features = draw(1, 40, FEATURE_DIM).astype(np.float32)
    coefficients, mean_title = RidgePath(features, draw(2, 40, DIM).astype(np.float32)).map(1.0)
    mapped = (features - features.mean(axis=0)) @ coefficients
    assert np.square(mapped).sum(axis=1).mean() == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(mean_title) == pytest.approx(1)


def test_adapted_vector_by_hand() -> None:
    matrix = np.array([[0, 2]], np.float32)
    bias = np.array([1, 0], np.float32)
    features, base = np.array([[0.5]], np.float32), np.array([[2, 3]], np.float32)
    # base (2, 3) + mapped (0, 1) + bias (1, 0) = (3, 4)
    assert adapted(matrix, bias, 1.0, features, base) == pytest.approx(np.array([[0.6, 0.8]]))
    assert adapted(matrix, bias, 0.0, features, None) == pytest.approx(
        np.array([[2**-0.5, 2**-0.5]])
    )


def test_planted_map_is_recovered() -> None:
    pairs = planted_pairs()
    learnt, unseen = pairs.rows(np.arange(80)), pairs.rows(np.arange(80, 120))
    adapter = fit_adapter(learnt)
    vectors = adapter.apply(unseen.features, unseen.base)
    assert (unseen.ranks(vectors) <= 10).mean() >= 0.9
    assert adapter.mixture.base_weight == 0
    assert np.sum(vectors * unseen.targets, axis=1).mean() > 0.8


def test_planted_map_is_recovered_where_there_is_no_base() -> None:
    pairs = planted_pairs()
    adapter = fit_adapter(pairs_of(pairs.features, None, pairs.targets))
    assert (pairs.ranks(adapter.apply(pairs.features, None)) <= 3).mean() > 0.95


def test_base_is_kept_where_it_and_the_map_know_different_things() -> None:
    planted = planted_pairs()
    targets = unit_rows(planted.targets + unit_rows(draw(7, 120, DIM)))
    base = unit_rows(targets - planted.targets)
    adapter = fit_adapter(pairs_of(planted.features, base, targets))
    assert adapter.mixture.base_weight == 1
    assert adapter.mixture.mapped_weight > 0


def test_features_that_say_nothing_leave_the_base_as_it_is() -> None:
    pairs = pairs_with_noise_for_features()
    adapter = fit_adapter(pairs)
    assert adapter.mixture == BASE_ALONE
    assert adapter.is_base_alone
    assert pairs.base is not None
    assert adapter.apply(pairs.features, pairs.base) == pytest.approx(pairs.base, abs=1e-6)


def test_equal_pairs_give_equal_adapters() -> None:
    first, second = fit_adapter(planted_pairs()), fit_adapter(planted_pairs())
    assert first.matrix.tobytes() == second.matrix.tobytes()
    assert first.bias.tobytes() == second.bias.tobytes()
    assert first.curve == second.curve


def test_chosen_setting_is_the_best_of_the_curve() -> None:
    adapter = fit_adapter(planted_pairs())
    best = max(adapter.curve, key=lambda point: point.mean_reciprocal_rank)
    assert (adapter.strength, adapter.mixture) == (best.strength, best.mixture)


def test_equal_features_give_a_map_of_finite_numbers() -> None:
    targets = unit_rows(draw(2, 40, DIM))
    adapter = fit_adapter(pairs_of(np.ones((40, 3), np.float32), None, targets))
    assert np.isfinite(adapter.matrix).all()


def test_pairs_of_one_title_are_refused() -> None:
    rows = unit_rows(draw(1, 30, DIM))
    same = np.zeros(30, dtype=np.int64)
    with pytest.raises(ConfigError, match="none can be held out"):
        fit_adapter(EncodedPairs(rows, rows, rows, same, same, np.arange(30)))


def test_large_folds_are_measured_on_a_part_of_their_items(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter_fitting, "MAX_MEASURED_ROWS", 8)
    adapter = fit_adapter(planted_pairs())
    assert not adapter.is_base_alone
    # Eight media to find, of which the first is right nearly always.
    assert max(point.mean_reciprocal_rank for point in adapter.curve) > 0.8
