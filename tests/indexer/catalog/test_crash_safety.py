"""Every write that was acknowledged is there once, whatever happened to the process."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from tests.indexer.stored_items import COLLECTION, identities, tiny_config

ROOT = Path(__file__).parents[3]
DIM = 16

WRITER = """
import sys
from pathlib import Path
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import Outcome
from indexer.data_dir import DataDir
from tests.indexer.stored_items import COLLECTION, write_of
root, name, num_writes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with Catalog.open(DataDir(root)) as catalog:
    for number in range(num_writes):
        write = write_of(f"{name}-{number:05d}", 3, channels=("pictures", "passages"))
        outcome = Outcome(write.item.location, write.item.item_id, "encoded")
        change_seq = catalog.write(COLLECTION, [write], [outcome])
        print(write.item.item_id, change_seq, flush=True)
"""

CHECKER = """
import sys
from pathlib import Path
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from tests.indexer.stored_items import COLLECTION
with Catalog.open(DataDir(Path(sys.argv[1]))) as catalog:
    catalog.check_integrity()
    for known in catalog.known_items(COLLECTION):
        print(known.item.item_id, sum(one.num_segments for (one,) in known.channels.values()))
"""


def start_writer(root: Path, name: str, num_writes: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), name, str(num_writes)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def items_in_fresh_process(root: Path) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", CHECKER, str(root)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split() for line in done.stdout.splitlines()]


def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    with Catalog.open(DataDir(tmp_path)) as catalog:
        catalog.register_collection(tiny_config())
    rng = random.Random(0)
    acknowledged: list[str] = []
    for attempt in range(3):
        writer = start_writer(tmp_path, f"run{attempt}", 100_000)
        assert writer.stdout is not None
        acknowledged.append(writer.stdout.readline().split()[0])
        time.sleep(rng.uniform(0.05, 0.4))
        writer.kill()
        rest, _ = writer.communicate()
        # The last line may have been cut by the kill; an acknowledgement is a whole line.
        acknowledged += [line.split()[0] for line in rest.splitlines(True) if line.endswith("\n")]
    found = items_in_fresh_process(tmp_path)
    names = [name for name, _ in found]
    assert len(names) == len(set(names))
    assert set(acknowledged) <= set(names)
    # At most one write per kill was on the disk before it could be acknowledged.
    assert len(names) - len(acknowledged) <= 3
    assert {num_segments for _, num_segments in found} == {"6"}


def test_two_processes_write_side_by_side(tmp_path: Path) -> None:
    with Catalog.open(DataDir(tmp_path)) as catalog:
        catalog.register_collection(tiny_config())
        writers = [start_writer(tmp_path, name, 60) for name in ("left", "right")]
        lines = [line.split() for one in writers for line in one.communicate()[0].splitlines()]
        assert [one.returncode for one in writers] == [0, 0]
        # No number was given twice and none was left out.
        assert sorted(int(change_seq) for _, change_seq in lines) == list(range(1, 121))
        assert catalog.change_seq(COLLECTION) == 120
        with catalog.state() as state:
            blocks = state.embeddings.blocks(
                COLLECTION, "passages", identities()["passages"].encoder_id, dim=DIM
            )
            assert sum(len(block.segment_ids) for block in blocks) == 360
