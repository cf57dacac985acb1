import pytest

from benchmarks.ingest_cost import Spent, figures


def test_what_starting_takes_is_taken_off_and_medians_are_reported() -> None:
    one_round = {
        "decode": Spent(cpu=1.0, wall=1.0),
        "encode": Spent(cpu=4.0, wall=4.0),
        "start": Spent(cpu=0.6, wall=0.5),
        "ingest": Spent(cpu=5.5, wall=4.4),
    }
    slow = {name: Spent(10 * spent.cpu, 100 * spent.wall) for name, spent in one_round.items()}
    rounds = [one_round, slow, one_round]
    found = figures({name: [each[name] for each in rounds] for name in one_round}, num_files=100)
    assert found["decode_cpu_ms"] == 10.0
    assert found["encode_cpu_ms"] == 40.0
    assert found["ingest_cpu_ms"] == 50.0
    assert found["cpu_over_bare"] == pytest.approx(1.0)
    assert found["wall_over_slower"] == pytest.approx((4.4 - 0.5) / 0.98 / 4.0, abs=1e-3)
    assert found["start_cpu_seconds"] == 0.6
