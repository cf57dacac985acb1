import pytest

from benchmarks.ingest import growth_over_second_half


def test_growth_counts_the_second_half_alone() -> None:
    rising_then_flat = [(float(second), min(second, 50) * 100) for second in range(101)]
    assert growth_over_second_half(rising_then_flat) == pytest.approx(0.0, abs=1e-9)


def test_growth_is_a_share_of_what_is_held_on_average() -> None:
    rising = [(float(second), 1000 + second) for second in range(101)]
    assert growth_over_second_half(rising) == pytest.approx(50 / 1075)
