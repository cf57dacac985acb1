from types import SimpleNamespace

import pytest

from benchmarks import timing
from benchmarks.timing import Spent, StageClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that is wound by hand."""
    now = SimpleNamespace(cpu=0.0, wall=0.0)
    monkeypatch.setattr(
        timing,
        "time",
        SimpleNamespace(process_time=lambda: now.cpu, perf_counter=lambda: now.wall),
    )
    return now


def test_a_stage_is_charged_with_its_own_time_alone(clock: SimpleNamespace) -> None:
    stages = StageClock()
    work = SimpleNamespace()

    def inner() -> str:
        clock.cpu += 1
        clock.wall += 10
        return "answer"

    work.inner = inner
    with stages.watch(work, "inner", "inside"), stages.stage("whole"):
        clock.cpu += 2
        assert work.inner() == "answer"
        assert work.inner() == "answer"
        clock.wall += 5
    assert stages.stages == {"whole": Spent(2.0, 5.0), "inside": Spent(2.0, 20.0)}
    assert stages.num_calls == {"whole": 1, "inside": 2}


def test_a_watched_function_is_put_back_and_its_error_passes_through() -> None:
    def fails() -> None:
        raise ValueError("no")

    work = SimpleNamespace(fails=fails)
    stages = StageClock()
    with pytest.raises(ValueError, match="no"), stages.watch(work, "fails", "failing"):
        work.fails()
    assert work.fails is fails
    assert stages.num_calls == {"failing": 1}
