from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from encoders.run_size import (
    CONTENTS_BEFORE_WARM_UP,
    MAX_RUN_SIZE,
    RunBudget,
    RunSize,
    best_run_size,
)


class FakeNetwork:
    """A network whose runs take as long and need as much memory as a test says."""

    def __init__(
        self,
        seconds: Callable[[int], float],
        bytes_per_content: int = 0,
        most_contents: int = MAX_RUN_SIZE,
    ) -> None:
        self.now = 100.0
        self.sizes: list[int] = []
        self._seconds = seconds
        self._bytes_per_content = bytes_per_content
        self._most_contents = most_contents

    def run(self, size: int) -> None:
        self.sizes.append(size)
        if size > self._most_contents:
            raise torch.OutOfMemoryError("no room")
        self.now += self._seconds(size)

    def memory_bytes(self, run: Callable[[], object]) -> int:
        run()
        return self.sizes[-1] * self._bytes_per_content

    def best(self, default: int, budget: RunBudget | None = None) -> int:
        return best_run_size(
            self.run,
            default,
            budget or RunBudget(memory_bytes=1000, seconds=2.0),
            memory_bytes=self.memory_bytes,
            clock=lambda: self.now,
        )


def mostly_overhead(size: int) -> float:
    return 0.01 + 0.0001 * size


def by_the_content(size: int) -> float:
    return 0.01 * size


def test_runs_grow_while_that_is_faster_and_never_beyond_the_maximum() -> None:
    network = FakeNetwork(mostly_overhead)
    assert network.best(4) == MAX_RUN_SIZE
    assert max(network.sizes) == MAX_RUN_SIZE


def test_runs_stay_where_larger_ones_gain_nothing() -> None:
    network = FakeNetwork(by_the_content)
    assert network.best(8) == 8
    assert network.sizes == [8, 16]


def test_runs_stop_growing_where_the_gain_ends() -> None:
    network = FakeNetwork(lambda size: max(0.016, 0.001 * size))
    assert network.best(2) == 16


def test_runs_stop_growing_at_the_memory_budget() -> None:
    assert FakeNetwork(mostly_overhead, bytes_per_content=50).best(4) == 16


def test_default_that_needs_too_much_memory_is_halved() -> None:
    assert FakeNetwork(mostly_overhead, bytes_per_content=200).best(16) == 4


def test_out_of_memory_goes_back_to_the_last_good_size() -> None:
    assert FakeNetwork(mostly_overhead, most_contents=20).best(4) == 16


def test_default_that_runs_out_of_memory_is_halved() -> None:
    assert FakeNetwork(mostly_overhead, most_contents=5).best(32) == 4


def test_single_contents_are_run_even_beyond_the_budget() -> None:
    assert FakeNetwork(mostly_overhead, bytes_per_content=5000).best(8) == 1


def test_no_run_begins_that_would_end_after_the_time_limit() -> None:
    network = FakeNetwork(lambda size: 0.9 + 0.001 * size)
    assert network.best(8) == 8
    assert network.sizes == [8]


def test_without_a_budget_nothing_is_tried() -> None:
    sizes: list[int] = []
    run_size = RunSize("fake", 8, sizes.append, device="cpu", budget=None)
    assert [run_size.of(32) for _ in range(20)] == [8] * 20
    assert sizes == []


def test_warm_up_waits_for_many_contents_and_happens_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sizes: list[int] = []
    run_size = RunSize("fake", 8, sizes.append, device="cpu", budget=RunBudget())
    caplog.set_level("INFO", "kindred.encoders")
    assert run_size.of(CONTENTS_BEFORE_WARM_UP - 1) == 8
    assert run_size.of(1) == 8
    assert sizes == []
    chosen = run_size.of(1)
    assert sizes[0] == 8
    num_runs = len(sizes)
    assert run_size.of(1000) == chosen
    assert len(sizes) == num_runs
    (record,) = caplog.records
    assert f"run size of fake on cpu: {chosen}, before 8" in record.getMessage()
