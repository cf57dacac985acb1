from __future__ import annotations

from typing import Any

import pytest

from benchmarks.swap_figures import SwapEvent, SwapRun, figures
from benchmarks.swap_load import LoadReport, Row

WORKERS = (1, 2)


def row(at: float, worker: int, snapshot: str, generation: int = 0, ms: float = 10.0) -> Row:
    return Row(at, at, at + ms / 1000, worker, "exact", True, snapshot, generation)


def load_of(rows: list[Row], **seen: Any) -> LoadReport:
    nothing: dict[str, Any] = {
        "writes": [],
        "found_by_all": [],
        "failures": {},
        "mixed": {},
        "lost_writes": {},
        "cpu_seconds": 0.0,
    }
    return LoadReport(rows=rows, **nothing | seen)


@pytest.fixture
def run() -> SwapRun:
    """A calm second, then a swap from A to B at 2.0."""
    return SwapRun(
        events=[SwapEvent("rollback", 1.5, 2.1, round=1)],
        calm=[(0.0, 1.0)],
        commits=[],
        moves=[(2.0, "B")],
    )


def test_a_swap_is_over_when_the_last_worker_answers_from_it(run: SwapRun) -> None:
    rows = [row(0.2, 1, "A"), row(0.4, 2, "A"), row(1.6, 1, "A", ms=40.0)]
    rows += [row(2.1, 1, "B"), row(2.2, 2, "A"), row(2.5, 2, "B", ms=20.0), row(2.8, 1, "B")]
    found = figures(run, load_of(rows), WORKERS)
    assert found["problems"] == []
    assert found["seconds_from_pointer_to_all_workers"]["max"] == 0.52
    assert found["seconds_from_command_to_all_workers"]["rollback"]["max"] == 1.02
    assert found["seconds_from_command_to_all_workers"]["publish"] is None
    assert found["latency"]["answers"] == {"calm": 2, "swap": 4, "work": 1}
    assert found["latency"]["p99_over_calm_by_round"]["swap"]["median"] == pytest.approx(1.97)
    assert found["latency"]["p99_over_calm_by_round"]["work"]["median"] == 4.0


def test_a_worker_that_stays_behind_is_told(run: SwapRun) -> None:
    rows = [row(0.2, 1, "A"), row(2.1, 1, "B"), row(9.0, 2, "A")]
    assert figures(run, load_of(rows), WORKERS)["problems"] == [
        "a worker never followed the rollback"
    ]


def test_a_command_that_moves_nothing_is_told(run: SwapRun) -> None:
    run.moves.clear()
    found = figures(run, load_of([row(0.2, 1, "A")]), WORKERS)
    assert found["problems"] == ["1 commands moved the pointer 0 times"]


def test_answers_from_before_a_write_may_come_for_a_second(run: SwapRun) -> None:
    run.commits.append((3.0, 1))
    rows = [row(0.2, 1, "A"), row(2.1, 1, "B"), row(2.2, 2, "B"), row(3.9, 1, "B", 0)]
    assert figures(run, load_of(rows), WORKERS)["problems"] == []
    rows.append(row(4.5, 2, "B", 0))
    assert figures(run, load_of(rows), WORKERS)["problems"] == [
        "slow: generation 1 was not shown 1.50 s after it was written, by 1 answers"
    ]


def test_what_the_generator_saw_is_told(run: SwapRun) -> None:
    rows = [row(0.2, 1, "A"), row(2.1, 1, "B"), row(2.2, 2, "B")]
    seen = load_of(
        rows,
        failures={"exact: 503": 2},
        mixed={"two generations": 1},
        lost_writes={"gone": 3},
        writes=[(0.5, 0.6)],
        found_by_all=[(0.6, 1.5)],
    )
    found = figures(run, seen, WORKERS)
    assert (found["failed"], found["mixed"], found["writes"], found["writes_lost"]) == (2, 1, 1, 3)
    assert found["problems"] == [
        "failed, 2 times: exact: 503",
        "mixed, 1 times: two generations",
        "writes, 3 times: gone",
        "slow: 1 writes took up to 1.50 s to all workers",
    ]
