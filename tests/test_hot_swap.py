"""Snapshots swapped under load on a real server, in short; `make hot-swap` runs the full series."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hot_swap import HotSwap, SwapPlan
from encoders.models.folder import ModelFolder

NUM_SWAPS = 4


@pytest.mark.weights
@pytest.mark.timeout(600)
def test_swaps_fail_no_request_and_mix_no_answer(
    tmp_path: Path, models: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINDRED_MODELS_DIR", str(models.root))
    plan = SwapPlan(
        num_workers=2,
        num_swaps=NUM_SWAPS,
        num_warm_up_swaps=0,
        num_fixed=400,
        num_changing=100,
        calm_seconds=1.0,
        rate=20.0,
    )
    report = HotSwap(tmp_path, plan).run()
    # Speed is for the full series: here the machine may be busy with anything.
    wrong = [one for one in report["problems"] if not one.startswith("slow: ")]
    assert wrong == []
    assert (report["swaps"], report["failed"], report["mixed"]) == (NUM_SWAPS, 0, 0)
    assert report["answers"] > 0
    assert report["writes"] > 0
    assert report["mappings_of_removed_files"] == [0, 0]
