import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ann, ann_filters, vector_sets
from benchmarks.ann import judged, main
from benchmarks.ann_engines import installed
from benchmarks.ann_filters import masks
from benchmarks.vector_sets import clip_like


def test_targets_are_judged_where_something_was_measured() -> None:
    figures = {
        "search": {"own_recall": 0.981, "batch_over_best_peer": 1.2, "single_over_best_peer": None},
        "filters": [{"recall": 1.0}, {"recall": 0.9}],
        "build": {"build_over_bare": 1.05, "build_cpu_seconds": 3.0},
    }
    assert {name: row["met"] for name, row in judged(figures).items()} == {
        "own_recall": True,
        "batch_over_best_peer": True,
        "lowest_filtered_recall": False,
        "build_over_bare": True,
    }
    assert judged({"build": {"build_over_bare": 1.2}})["build_over_bare"]["met"] is False


@pytest.mark.parametrize("selectivity", [0.0001, 0.1, 1.0])
def test_masks_let_the_same_share_through_at_random_and_by_content(selectivity: float) -> None:
    vectors = clip_like(2_000, 1, dim=16).stored.astype(np.float32)
    made = dict(masks(vectors, selectivity))
    assert {mask.sum() for mask in made.values()} == {max(1, round(selectivity * 2_000))}
    if selectivity == 0.1:
        kept = {name: vectors[mask] for name, mask in made.items()}
        spread = {name: float(1 - (rows @ rows.T).mean()) for name, rows in kept.items()}
        assert spread["near one row"] < spread["some topics"] < spread["random"]


def test_missing_libraries_are_named() -> None:
    versions, missing = installed(["numpy", "no-such-library"])
    assert (list(versions), missing) == (["numpy"], ["no-such-library"])


def test_without_peers_kindred_is_measured_alone_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ann, "installed", lambda names: ({}, list(names)))
    monkeypatch.setitem(vector_sets.SETS, "clip-like-64", lambda n: clip_like(n, 300, dim=64))
    monkeypatch.setattr(ann_filters, "SELECTIVITIES", (0.01, 1.0))
    folder = tmp_path / "results"
    assert main(["--quick", "--rows", "2000", "--rounds", "1", "--results", str(folder)]) == 0
    printed = capsys.readouterr()
    assert "hnswlib is not installed" in printed.err
    assert "kindred-search[ann-peers]" in printed.err
    report = json.loads((folder / "ann.json").read_text())
    (figures,) = report["sets"]
    assert figures["search"]["own_recall"] == 1.0
    assert figures["search"]["batch_over_best_peer"] is None
    assert {row["recall"] for row in figures["filters"]} == {1.0}
    assert {"exact", "build", "kindred"} < set(figures)
    assert "single_over_best_peer" not in figures["targets"]
