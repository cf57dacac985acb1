"""A large delta becomes a snapshot by itself, once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psutil
import pytest

from indexer.blob_store import BlobStore
from indexer.blob_sweep import sweep_blobs
from indexer.catalog.idempotency import StoredAnswer
from indexer.catalog.job_records import JobEntry
from indexer.catalog.write_jobs import WriteJobs
from indexer.item_operations import PutBlob
from indexer.lock import writer_lock
from search_api import folding
from search_api.folding import Folding, fold_is_due
from search_api.settings import Settings
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_random_writes import Writer

REINDEX = """
import sys
from pathlib import Path
from indexer.catalog.catalog import Catalog
from indexer.config import load_collection
from indexer.data_dir import DataDir
from indexer.catalog.idempotency import StoredAnswer
from indexer.catalog.job_records import JobEntry
from indexer.catalog.write_jobs import WriteJobs
from indexer.item_operations import PutBlob
from indexer.lock import writer_lock
from indexer.reindex import reindex
from tests.fake_encoders import FakeLoader
data_dir, config = DataDir.from_environment(), load_collection(sys.argv[1])
identities = {name: FakeLoader().identify(one.encoder) for name, one in config.channels.items()}
with Catalog.open(data_dir) as catalog, writer_lock(data_dir, config.name, "a fold"):
    reindex(catalog, data_dir, config, identities, if_changed=True)
with Path(sys.argv[2]).open("a") as log:
    log.write("folded\\n")
"""


def view_of(num_delta: int, num_snapshot: int | None) -> Any:
    manifest = SimpleNamespace(num_segments=num_snapshot)
    snapshot = None if num_snapshot is None else SimpleNamespace(manifest=manifest)
    return SimpleNamespace(num_delta_segments=num_delta, snapshot=snapshot)


@pytest.mark.parametrize(
    ("num_delta", "num_snapshot", "is_due"),
    [
        (1000, None, False),
        (1001, None, True),
        (1000, 100, False),
        (19_999, 100_000, False),
        (20_001, 100_000, True),
        (50_000, 10_000_000, False),
        (50_001, 10_000_000, True),
    ],
)
def test_a_fold_is_due_by_number_or_by_share(
    num_delta: int, num_snapshot: int | None, is_due: bool
) -> None:
    assert fold_is_due(view_of(num_delta, num_snapshot), 50_000, 0.2) is is_due


def folding_of(small: SmallCollection, command: list[str]) -> Folding:
    settings = Settings(
        data_dir=str(small.data_dir.root), models_dir=str(small.folder), max_delta_segments=3
    )
    return Folding(settings, "small", small.live.view, small.live.refresh, command)


async def run_until(foldings: list[Folding], condition: Any, seconds: float = 60.0) -> None:
    tasks = [asyncio.create_task(each.run()) for each in foldings]
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.asyncio
async def test_of_several_workers_one_folds_and_each_serves_what_it_made(
    small: SmallCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "POLL_SECONDS", 0.02)
    log = small.folder / "log"
    command = [sys.executable, "-c", REINDEX, str(small.config_path), str(log)]
    workers = [folding_of(small, command) for _ in range(3)]

    def folds() -> int:
        small.live.refresh()
        return len(log.read_text().splitlines()) if log.exists() else 0

    await run_until(workers, lambda: folds() > 0)
    assert folds() == 1
    view = small.live.view()
    assert view.snapshot_id is not None
    assert view.num_delta_segments == 0
    for number in range(4):
        small.picture(f"new-{number}", "red")
    await run_until(workers, lambda: folds() > 1)
    assert folds() == 2
    assert small.live.view().snapshot_id != view.snapshot_id


@pytest.mark.asyncio
async def test_a_fold_that_is_refused_is_not_tried_again_at_once(
    small: SmallCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "POLL_SECONDS", 0.02)
    log = small.folder / "log"
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).open('a').write('x'); sys.exit(3)"
    with writer_lock(small.data_dir, "small", "an ingest"):
        worker = folding_of(small, [sys.executable, "-c", script, str(log)])
        await run_until([worker], log.exists)
    assert log.read_text() == "x"


@pytest.mark.asyncio
async def test_a_fold_ends_with_its_worker(
    small: SmallCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "POLL_SECONDS", 0.02)
    log = small.folder / "log"
    script = (
        "import os, sys, time, pathlib\n"
        "pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\ntime.sleep(600)"
    )
    worker = folding_of(small, [sys.executable, "-c", script, str(log)])
    await run_until([worker], lambda: log.exists() and log.read_text())
    assert not psutil.pid_exists(int(log.read_text()))


def test_a_sweep_keeps_what_items_have(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    small = writer.small
    for item_id in ("kept", "deleted", "replaced"):
        writer.put(item_id, f"the words of {item_id}")
    writer.delete("deleted")
    writer.put("replaced", "other words")
    waiting = BlobStore(small.data_dir.blobs).add_text("a job waits for it")
    operation = PutBlob(
        item_id="soon", sha256=waiting.sha256, size_bytes=1, mtime_ns=1, medium="text",
        format="plain", name="soon",
    )  # fmt: skip
    entries = [JobEntry("soon", msgspec.json.encode(operation).decode())]
    WriteJobs(small.catalog.engine).create(
        "small", entries, lambda job_id: StoredAnswer(202, job_id), max_open=1
    )
    blobs = BlobStore(small.data_dir.blobs)

    def texts() -> set[str]:
        return {path.read_text() for path in blobs.root.glob("??/*")}

    assert len(texts()) == 5
    assert sweep_blobs(small.catalog, small.data_dir) == 0, "they are young"
    assert sweep_blobs(small.catalog, small.data_dir, grace_seconds=-1) == 2
    assert texts() == {"the words of kept", "other words", "a job waits for it"}
    writer.close()
