import json
from pathlib import Path

import pytest

from benchmarks.reindex import STAGES, allowed_peak_bytes, main, peak_bytes


def test_peak_is_read_from_the_kernels_words() -> None:
    assert peak_bytes("Name:\tpython\nVmPeak:\t  9000 kB\nVmHWM:\t    1234 kB\n") == 1234 * 1024
    with pytest.raises(ValueError, match="expected kB"):
        peak_bytes("VmHWM:\t12 MB\n")


def test_allowed_is_half_as_much_again_as_the_index_and_a_gibibyte() -> None:
    assert allowed_peak_bytes(2 << 30) == 4 << 30


def test_a_small_reindex_is_timed_stage_by_stage(tmp_path: Path) -> None:
    path = tmp_path / "reindex.json"
    main(["--rows", "3005", "--dim", "16", "--json", str(path), "--data-dir", str(tmp_path / "d")])
    figures = json.loads(path.read_text())["reindex"]
    assert figures["num_rows"] == 3_000
    assert figures["met"] is True
    # A flat index, as so small a one is, has nothing to train and nothing to tune.
    expected = {name for _, function, name in STAGES if function not in ("train", "tune")}
    assert set(figures["stages"]) == expected | {"everything else"}
    with pytest.raises(RuntimeError, match="expected 5000 segments, the catalog has 3000"):
        main(["--rows", "5000", "--dim", "16", "--data-dir", str(tmp_path / "d")])
