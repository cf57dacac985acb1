"""Time and memory of a reindex: from a catalog full of vectors to a published snapshot.

    python -m benchmarks.reindex [--rows 1000000] [--dim 384] [--data-dir FOLDER]

Fills a catalog with made-up items of ten segments each, then reindexes it in a process of its own
and reports what each stage took and the most memory it had (``VmHWM``: pages of memory-mapped files
that were in memory are counted too). Searching the new snapshot once runs in a further process,
whose peak stands apart. With ``--data-dir`` the catalog is kept and used again by the next run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import environment, table, write_json
from benchmarks.timing import StageClock
from benchmarks.vector_sets import ClipLikeWorld
from encoders.encoder import EncoderIdentity
from encoders.media.content import Segment
from encoders.space import Vectors
from indexer import reindex as reindexing
from indexer import snapshot
from indexer.ann import building
from indexer.ann.faiss_index import FaissIndex
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ChannelVectors, ItemRecord, ItemWrite
from indexer.config import CollectionConfig, parse_collection
from indexer.data_dir import DataDir
from indexer.lock import writer_lock
from indexer.publish import live_snapshot_path

CHANNEL = "passages"
COLLECTION = """
name: bench
channels:
  passages:
    media: [text]
    segments: {kind: passages, max_words: 40}
    encoder: {family: sentence_transformers}
"""
SEGMENTS_PER_ITEM = 10
ITEMS_PER_WRITE = 1_000

ALLOWED_OVER_INDEX = 1.5
ALLOWED_BASE_BYTES = 1 << 30

STAGES = (
    (snapshot, "stage_items", "items out of the catalog"),
    (snapshot, "stage_channel", "vectors out of the catalog"),
    (building, "recall_sample", "exact answers to tune by"),
    (FaissIndex, "train", "train"),
    (FaissIndex, "add", "add"),
    (building, "tune", "tune"),
    (building, "_measured", "measure"),
    (FaissIndex, "write", "write the index"),
    (snapshot, "durable_entries", "fsync and sha256"),
    (reindexing, "smoke_search", "search once in a child"),
    (reindexing, "publish", "publish"),
)
"""What is timed: where the function is looked up, and what it is to people."""


def identities(dim: int) -> dict[str, EncoderIdentity]:
    """Return an encoder that nobody has to load."""
    return {CHANNEL: EncoderIdentity("made-up", "made-up", dim, "text")}


def fill(catalog: Catalog, config: CollectionConfig, num_rows: int, dim: int) -> None:
    """Write items of `SEGMENTS_PER_ITEM` segments each, so that there are ``num_rows`` segments.

    Args:
        catalog: an empty one.
        config: the collection.
        num_rows: rounded down to whole items.
        dim: length of the vectors.
    """
    catalog.register_collection(config)
    world = ClipLikeWorld(dim, seed=0)
    num_items = num_rows // SEGMENTS_PER_ITEM
    for start in range(0, num_items, ITEMS_PER_WRITE):
        count = min(ITEMS_PER_WRITE, num_items - start)
        random = np.random.default_rng([0, start])
        vectors = world.rows(random, count * SEGMENTS_PER_ITEM)
        catalog.write(config.name, list(_writes(start, vectors)))


def _writes(first: int, vectors: Vectors) -> Iterator[ItemWrite]:
    for number in range(len(vectors) // SEGMENTS_PER_ITEM):
        name = f"item-{first + number:08}"
        digest = hashlib.sha256(name.encode()).hexdigest()
        start = number * SEGMENTS_PER_ITEM
        segments = tuple(Segment(text=f"passage {n} of {name}") for n in range(SEGMENTS_PER_ITEM))
        record = ItemRecord(
            item_id=name,
            medium="text",
            format="plain",
            source="made-up",
            relative_path=f"{name}.txt",
            location=f"made-up/{name}.txt",
            content_sha256=digest,
            size_bytes=1_000,
            mtime_ns=1,
        )
        made = ChannelVectors(
            channel=CHANNEL,
            encoder_id="made-up",
            space_id="made-up",
            segmentation_id="made-up",
            source_sha256=digest,
            segments=segments,
            vectors=vectors[start : start + SEGMENTS_PER_ITEM],
        )
        yield ItemWrite(record, (made,))


def reindex_here(data_dir: DataDir, config: CollectionConfig, dim: int) -> dict[str, Any]:
    """Reindex in this process and return its stages and peak memory."""
    clock = StageClock()
    with ExitStack() as stack:
        catalog = stack.enter_context(Catalog.open(data_dir))
        stack.enter_context(writer_lock(data_dir, config.name, "benchmarks.reindex"))
        for owner, attribute, name in STAGES:
            stack.enter_context(clock.watch(owner, attribute, name))
        with clock.stage("everything else"):
            report = reindexing.reindex(catalog, data_dir, config, identities(dim))
    if report.manifest is None:
        raise RuntimeError(f"{data_dir.root}: the catalog holds nothing")
    channel = report.manifest.channels[CHANNEL]
    return {
        "num_rows": channel.num_segments,
        "dim": channel.dim,
        "factory": channel.index.factory,
        "recall_at_10": channel.recall_at_10,
        "peak_bytes": peak_bytes(Path("/proc/self/status").read_text(encoding="ascii")),
        "smoke_search_peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
        "stages": {
            name: {"cpu_seconds": round(spent.cpu, 2), "wall_seconds": round(spent.wall, 2)}
            for name, spent in clock.stages.items()
        },
    }


def peak_bytes(status: str) -> int:
    """Return the most memory a process ever had resident, from its ``/proc/PID/status``."""
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    kib, unit = line.removeprefix("VmHWM:").split()
    if unit != "kB":
        raise ValueError(f"VmHWM: expected kB, got {unit!r}")
    return 1024 * int(kib)


def allowed_peak_bytes(index_bytes: int) -> int:
    """Return how much a reindex may take for an index of so many bytes."""
    return round(ALLOWED_OVER_INDEX * index_bytes) + ALLOWED_BASE_BYTES


def measure(data_dir: DataDir, num_rows: int, dim: int) -> dict[str, Any]:
    """Fill a catalog unless it is filled, reindex it in a child, and compare with what is allowed.

    Raises:
        RuntimeError: the child failed, or the catalog holds another number of rows.
    """
    config = parse_collection(COLLECTION)
    data_dir.root.mkdir(parents=True, exist_ok=True)
    with Catalog.open(data_dir) as catalog:
        if not any(row.name == config.name for row in catalog.collections()):
            fill(catalog, config, num_rows, dim)
        held = catalog.counts(config.name).segments
    if held != num_rows // SEGMENTS_PER_ITEM * SEGMENTS_PER_ITEM:
        raise RuntimeError(f"{data_dir.root}: expected {num_rows} segments, the catalog has {held}")
    command = [sys.executable, "-m", "benchmarks.reindex", "--here", str(data_dir.root)]
    done = subprocess.run(
        [*command, "--dim", str(dim)], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the reindex ended with {done.returncode}")
    figures: dict[str, Any] = json.loads(done.stdout)
    live = live_snapshot_path(data_dir, config.name)
    assert live is not None
    index_bytes = sum(path.stat().st_size for path in (live / "channels" / CHANNEL).glob("index.*"))
    allowed = allowed_peak_bytes(index_bytes)
    return figures | {
        "index_bytes": index_bytes,
        "allowed_peak_bytes": allowed,
        "met": figures["peak_bytes"] <= allowed,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write JSON."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.reindex",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--data-dir", type=Path, help="keep the catalog here")
    parser.add_argument(
        "--here", type=Path, metavar="FOLDER", help="reindex this data folder in this very process"
    )
    parser.add_argument("--json", type=Path, default=Path("benchmark-results/reindex.json"))
    options = parser.parse_args(arguments)
    if options.here:
        figures = reindex_here(DataDir(options.here), parse_collection(COLLECTION), options.dim)
        print(json.dumps(figures))
        return 0
    with tempfile.TemporaryDirectory(prefix="reindex-") as scratch:
        data_dir = DataDir((options.data_dir or Path(scratch)).absolute())
        figures = measure(data_dir, options.rows, options.dim)
    stages = figures["stages"].items()
    print(table([{"stage": name} | {k: str(v) for k, v in took.items()} for name, took in stages]))
    print(
        f"\n{figures['num_rows']:,} x {figures['dim']}, {figures['factory']}, recall@10 "
        f"{figures['recall_at_10']}: peak {figures['peak_bytes'] / 2**20:,.0f} MiB, allowed "
        f"{figures['allowed_peak_bytes'] / 2**20:,.0f} MiB "
        f"(index {figures['index_bytes'] / 2**20:,.0f} MiB)"
    )
    write_json(options.json, {**environment(), "reindex": figures})
    print(f"written to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
