"""An ingest that is ended in the middle: what the next one has to do again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.publish import live_snapshot_path
from indexer.runners.local import BATCH_SIZE
from tests.indexer.small_media import write_picture

ROOT = Path(__file__).resolve().parents[2]
NUM_PICTURES = 100
NUM_ENCODERS = 2
CALLS_EACH = -(-NUM_PICTURES // BATCH_SIZE)
NEVER = 0


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    for number in range(NUM_PICTURES):
        write_picture(folder / f"picture-{number:03d}.png", number)
    return folder


def ingest(tmp_path: Path, calls: str, signal_name: str, call: int) -> tuple[int, Any]:
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.search_api.ingesting_process",
            str(tmp_path / calls),
            signal_name,
            str(call),
            str(tmp_path / "media"),
        ],
        cwd=ROOT,
        env={**os.environ, "KINDRED_DATA_DIR": str(tmp_path / "data")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    return process.returncode, json.loads(process.stdout or "null")


def num_calls(path: Path) -> Counter[str]:
    return Counter(path.read_text().splitlines())


@pytest.mark.parametrize(
    ("signal_name", "call"), [("SIGKILL", 5), ("SIGKILL", 8), ("SIGTERM", 4), ("SIGTERM", 7)]
)
def test_at_most_the_batch_under_way_is_encoded_again(
    tmp_path: Path, media: Path, signal_name: str, call: int
) -> None:
    code, told = ingest(tmp_path, "first", signal_name, call)
    assert code == (-9 if signal_name == "SIGKILL" else 1)
    if signal_name == "SIGTERM":
        assert told["error"]["code"] == "interrupted"
    assert live_snapshot_path(DataDir(tmp_path / "data"), "starter") is None
    with Catalog.open(DataDir(tmp_path / "data")) as catalog:
        num_stored = catalog.counts("starter").items
    assert num_stored == (call - 1) // NUM_ENCODERS * BATCH_SIZE
    code, told = ingest(tmp_path, "second", "SIGKILL", NEVER)
    assert code == 0
    assert (told["encoded"], told["unchanged"]) == (NUM_PICTURES - num_stored, num_stored)
    assert told["published"]["built"]
    both = num_calls(tmp_path / "first") + num_calls(tmp_path / "second")
    assert len(both) == NUM_ENCODERS
    assert all(count <= CALLS_EACH + 1 for count in both.values()), both
