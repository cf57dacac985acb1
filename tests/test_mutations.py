"""Damaged snapshots, in short; `make mutations` runs the full series."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.mutations import MutationSuite


@pytest.mark.timeout(300)
def test_damaged_snapshots_are_refused_by_file_and_reason(tmp_path: Path) -> None:
    suite = MutationSuite(tmp_path, seed=2)
    suite.run(num_files=100, num_forged_files=50, num_manifests=50)
    report = suite.report
    print(report.counts)
    assert report.problems == []
    assert report.counts["files"] == {"refused": 100}
    assert report.counts["manifests"] == {"refused": 50}
    assert sum(report.counts["forged files"].values()) == 50
    # What changes no answer, such as another date or another key that nobody knows, is let through.
    assert report.counts["forged manifests"]["refused"] > 25
