"""Full disks and I/O errors, in short; `make disk-faults` runs the full series."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.disk_faults import DiskFaultSuite


@pytest.mark.timeout(300)
def test_commands_that_cannot_write_say_why_and_the_next_ones_complete(tmp_path: Path) -> None:
    suite = DiskFaultSuite(tmp_path, seed=1)
    suite.run(max_points=2, size_steps=1, commands=["reindex", "rollback", "backup"])
    report = suite.report
    print(report.num_faults, sorted(report.points), sorted(report.native_reasons))
    assert report.problems == []
    assert report.num_faults == 9
    assert report.num_failed > 4
    assert len(report.points) == 6
