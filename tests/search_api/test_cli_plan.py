"""``kindred plan`` with the starter's real weights: what it says, and that it leaves no trace."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders.models.folder import ModelFolder
from indexer.ann.size_estimate import FIXED_BYTES
from search_api.cli.main import run

pytestmark = pytest.mark.weights


@pytest.fixture
def media(tmp_path: Path, models: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("KINDRED_MODELS_DIR", str(models.root))
    folder = tmp_path / "media"
    folder.mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"Story {number} about bread and the sea.")
    (folder / "empty.png").write_bytes(b"")
    return folder


def test_a_plan_adds_up_and_writes_nothing(
    media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", str(media), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["files"] == {
        "found": 10, "to_encode": 9, "copies": 0, "skipped": 0, "unreadable": 1,
    }  # fmt: skip
    assert plan["unreadable"] == {"empty": 1}
    assert (plan["sample"]["files"], plan["sample"]["failed"]) == (9, 0)
    cpu = plan["cpu_seconds"]
    assert 0 < cpu["low"] < cpu["value"] < cpu["high"]
    assert sum(cpu["stages"].values()) == pytest.approx(cpu["value"], abs=0.1)
    assert plan["channels"]["pictures"]["segments"] == 6
    assert plan["index_bytes"]["flat"] == 4 * (6 * (384 + 1280) + 3 * 384) + 3 * FIXED_BYTES
    assert plan["peak_memory_bytes"] > 0
    assert not (tmp_path / "data").exists()


def test_people_get_tables(media: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", str(media)]) == 0
    printed = capsys.readouterr().out
    assert "10 files: 9 to encode, 0 copies, 0 skipped, 1 unreadable (empty 1)" in printed
    for expected in ("processor time", "peak memory", "ivf-pq4fs+refine", "pictures"):
        assert expected in printed


def test_a_path_that_is_not_there_fails(
    media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", str(tmp_path / "nowhere"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "source_missing"
