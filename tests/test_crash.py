"""kill -9 during a reindex beside writers, in short; `make crash` runs the full series."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.crash import CrashSuite

MIN_ANSWERS = 20


@pytest.mark.timeout(600)
def test_kills_of_a_reindex_lose_no_write_and_stop_no_search(tmp_path: Path) -> None:
    suite = CrashSuite(tmp_path, seed=3)
    suite.run(num_random_kills=8, kills_per_step=1, max_steps=12)
    report = suite.report
    assert report.problems == []
    assert report.unmet_steps == []
    assert report.num_random_kills + report.num_step_kills == 20
    assert report.num_acknowledged > 300
    assert report.num_taken_down > 0
    assert report.num_rollbacks > 0
    assert report.num_answers > MIN_ANSWERS
