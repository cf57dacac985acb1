"""Writing a channel's rows into Qdrant Edge, and tuning its search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from indexer.ann.building import BuiltIndex
from indexer.ann.edge_files import pack_shard
from indexer.ann.edge_host import EdgePoints, build_shard
from indexer.ann.edge_messages import AddPoints, CreateShard, EdgeRequest, FinishShard
from indexer.ann.index_entry import CurvePoint, IndexEntry, SearchSettings
from indexer.ann.opening import EDGE_FOLDER
from indexer.ann.payload import PayloadTable
from indexer.ann.qdrant_index import Points, QdrantIndex
from indexer.config import IndexConfig
from indexer.recall import RecallSample, held_out_rows, recall, recall_sample

EXACT_BELOW_ROWS = 5_000
"""Below this every row is compared: a graph would cost more to build than it ever saves."""

GRAPH_LINKS = 16
BUILD_WIDTH = 128
OVERSAMPLING = 2
EF_SEARCH = (32, 64, 128, 256, 512, 1024)

ROWS_PER_REQUEST = 1_000
NUM_QUESTIONS = 512

WORTHWHILE_GAIN = 0.002
"""A wider search that finds less than this more is not worth its cost."""


def build_edge_index(
    vectors: NDArray[np.float16],
    space_id: str,
    config: IndexConfig,
    payload: PayloadTable,
    folder: Path,
    *,
    num_threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> BuiltIndex:
    """Build one channel's index with Qdrant Edge and measure it.

    Args:
        vectors: ``(num_rows, dim)`` float16 unit rows, for instance memory-mapped.
        space_id: where they belong.
        config: quantisation and the recall to reach.
        payload: what is stored beside them.
        folder: of the channel; the shard's files are written into ``qdrant`` below it.
        num_threads: threads to build the graph with.
        progress: called with the number of rows added so far.

    Raises:
        EdgeFailed: Edge refused, or its process died.
        DependencyMissing: Edge is not installed.
    """
    entry = unmeasured_entry(vectors, config, payload)
    if entry.exact:
        # So few rows are compared one by one where a filter leaves some: no index would be read.
        entry = msgspec.structs.replace(entry, payload={})
    points: Points | None = None
    if entry.num_rows:
        shard = folder / EDGE_FOLDER
        shard.mkdir()
        build_shard(_steps(vectors, entry, config, payload, shard, num_threads, progress))
        pack_shard(shard)
        points = EdgePoints(shard, entry.dim, entry.num_rows)
    return measured(vectors, space_id, config, entry, points)


def _steps(
    vectors: NDArray[np.float16],
    entry: IndexEntry,
    config: IndexConfig,
    payload: PayloadTable,
    shard: Path,
    num_threads: int,
    progress: Callable[[int], None] | None,
) -> Iterator[EdgeRequest]:
    yield CreateShard(
        folder=str(shard),
        dim=entry.dim,
        columns=entry.payload,
        quantization=config.quantization,
        graph_links=GRAPH_LINKS,
        build_width=BUILD_WIDTH,
        # Edge builds no graph for less than this; an index that is searched exactly needs none.
        full_scan_kilobytes=4 * entry.num_rows * entry.dim // 1_000 if entry.exact else 1,
        num_threads=num_threads,
    )
    for start in range(0, entry.num_rows, ROWS_PER_REQUEST):
        block = vectors[start : start + ROWS_PER_REQUEST].astype(np.float32)
        stop = start + len(block)
        yield AddPoints(0, start, block.tobytes(), payload.rows(start, stop))
        if progress is not None:
            progress(stop)
    yield FinishShard(0)


def unmeasured_entry(
    vectors: NDArray[np.float16], config: IndexConfig, payload: PayloadTable
) -> IndexEntry:
    """Return what the manifest will say about an index, before its search is tuned."""
    num_rows, dim = vectors.shape
    exact = num_rows < EXACT_BELOW_ROWS
    kind = "full scan" if exact else f"HNSW{GRAPH_LINKS}"
    return IndexEntry(
        engine="qdrant",
        factory=kind if config.quantization == "none" else f"{kind},{config.quantization}",
        dim=dim,
        padded_dim=dim,
        num_rows=num_rows,
        exact=exact,
        vectors_file=True,
        search=SearchSettings() if exact else SearchSettings(ef_search=EF_SEARCH[0]),
        payload=dict(payload.columns),
    )


def measured(
    vectors: NDArray[np.float16],
    space_id: str,
    config: IndexConfig,
    entry: IndexEntry,
    points: Points | None,
) -> BuiltIndex:
    """Return an index that was written, with the least effort that reaches the target recall."""
    held_out = held_out_rows(entry.num_rows, NUM_QUESTIONS)
    # Every other held-out row chooses the settings, the rest says what they are worth.
    tuning = recall_sample(vectors, held_out[::2])
    judging = recall_sample(vectors, held_out[1::2] if entry.num_rows > 2 else held_out)
    index = QdrantIndex(space_id, entry, points, vectors)
    if not entry.exact and tuning is not None:
        curve = tuple(_tuned(index, tuning, vectors, config))
        best = max(curve, key=lambda point: point.recall_at_10)
        chosen = curve[-1] if curve[-1].recall_at_10 >= config.target_recall else best
        entry = msgspec.structs.replace(entry, search=chosen.search, recall_curve=curve)
        index = QdrantIndex(space_id, entry, points, vectors)
    found = None
    if judging is not None:
        found = round(recall(judging, index.search(judging.queries, judging.k + 1), vectors), 6)
    return BuiltIndex(index, entry, found)


def _tuned(
    index: QdrantIndex, sample: RecallSample, vectors: NDArray[np.float16], config: IndexConfig
) -> Iterator[CurvePoint]:
    """Try settings from cheap to dear and yield each, until one is good or no better follows."""
    oversampling = OVERSAMPLING if config.quantization == "int8" else None
    before = -1.0
    for ef_search in EF_SEARCH:
        settings = SearchSettings(ef_search=ef_search, k_factor=oversampling)
        found = index.search(sample.queries, sample.k + 1, settings=settings)
        point = CurvePoint(settings, round(recall(sample, found, vectors), 6))
        yield point
        if point.recall_at_10 >= config.target_recall:
            return
        if point.recall_at_10 < before + WORTHWHILE_GAIN:
            return
        before = point.recall_at_10
