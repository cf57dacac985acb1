"""Two indexers of one collection, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.publish import finished_snapshots, read_pointer
from tests.indexer.stored_items import COLLECTION, tiny_config, write_of

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


def write(data_dir: DataDir, item_id: str) -> None:
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(tiny_config())
        catalog.write(COLLECTION, [write_of(item_id)])


@contextmanager
def indexer(data_dir: DataDir, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start an indexer; it is gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.indexer.indexing_process", str(data_dir.root), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def outcome(process: subprocess.Popen[str]) -> dict[str, Any]:
    printed, _ = process.communicate(timeout=60)
    told: dict[str, Any] = json.loads(printed)
    return told


def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline, "the process did not stop itself within 60 s"
        time.sleep(0.01)


def test_of_two_started_at_once_exactly_one_publishes(data_dir: DataDir, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        write(data_dir, f"item-{number}")
        go = tmp_path / f"go-{number}"
        with (
            indexer(data_dir, "--wait-for", str(go)) as one,
            indexer(data_dir, "--wait-for", str(go)) as other,
        ):
            time.sleep(1.0)
            go.touch()
            told = [outcome(one), outcome(other)]
        published = [each for each in told if each.get("built")]
        assert len(published) == 1, told
        (idle,) = [each for each in told if not each.get("built")]
        # Refused while the other had the lock, or nothing was left to do after it.
        assert idle.get("error") == "lock_held" or idle["snapshot"] == published[0]["snapshot"]
        pointer = read_pointer(data_dir, COLLECTION)
        assert pointer is not None
        assert pointer.snapshot_id == published[0]["snapshot"]
        assert len(finished_snapshots(data_dir, COLLECTION)) == number + 1


@pytest.mark.parametrize("step", ["build", "publish"])
def test_a_stopped_indexer_that_lost_its_lock_publishes_nothing(
    data_dir: DataDir, step: str
) -> None:
    write(data_dir, "early")
    with indexer(data_dir, "--stop-in", step) as stopped:
        wait_until_stopped(stopped)
        with indexer(data_dir) as second:
            assert outcome(second)["error"] == "lock_held"
        # What someone does who believes that the first hangs, and a network file system by itself.
        data_dir.writer_lock(COLLECTION).unlink()
        write(data_dir, "late")
        with indexer(data_dir) as second:
            published = outcome(second)
        assert published["built"]
        os.kill(stopped.pid, signal.SIGCONT)
        told = outcome(stopped)
    assert told["error"] == "writer_lease_lost"
    assert "token is 1, the newest is 2, given to `indexing process`" in told["message"]
    pointer = read_pointer(data_dir, COLLECTION)
    assert pointer is not None
    assert (pointer.snapshot_id, pointer.fencing_token) == (published["snapshot"], 2)
    kept = [path.name for path in finished_snapshots(data_dir, COLLECTION)]
    assert kept == [published["snapshot"]]
