"""Building a channel's index on a Qdrant server, and what becomes of it later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from indexer.ann.building import BuiltIndex
from indexer.ann.payload import PayloadTable
from indexer.ann.qdrant_build import BUILD_WIDTH, GRAPH_LINKS, measured, unmeasured_entry
from indexer.ann.qdrant_generation import Generation, recorded_generations, write_generation
from indexer.ann.qdrant_points import ServerPoints
from indexer.ann.qdrant_server import Patience, QdrantServer
from indexer.ann.qdrant_writer import GenerationWriter, point_at
from indexer.config import IndexConfig

NUM_PARALLEL = 4

BUILD_PATIENCE = Patience(request_seconds=60, retry_seconds=60.0)
CHANGE_PATIENCE = Patience(request_seconds=20, retry_seconds=10.0)
"""For removing generations and pointing aliases."""

MAX_GRAPH_SECONDS = 6 * 3600.0
"""For building a channel's graph, once all rows are written."""


def build_server_index(
    vectors: NDArray[np.float16],
    space_id: str,
    config: IndexConfig,
    payload: PayloadTable,
    folder: Path,
    server: QdrantServer,
    *,
    max_graph_seconds: float = MAX_GRAPH_SECONDS,
    num_parallel: int = NUM_PARALLEL,
    progress: Callable[[int], None] | None = None,
) -> BuiltIndex:
    """Build one channel's index on a server and measure it.

    Where it lies is recorded in ``folder`` first; whoever removes the folder of a build that failed
    calls `drop_generations` before.

    Args:
        vectors: ``(num_rows, dim)`` float16 unit rows, for instance memory-mapped.
        space_id: where they belong.
        config: quantisation and the recall to reach.
        payload: what is stored beside them.
        folder: of the channel.
        server: where to write it.
        max_graph_seconds: how long building the graph may take, once all rows are written.
        num_parallel: how many requests are under way at a time.
        progress: called with the number of rows written so far.

    Raises:
        QdrantServerFailed: the server says no, did not finish in time, or is too old.
    """
    entry = unmeasured_entry(vectors, config, payload)
    if entry.exact:
        # So few rows are compared one by one where a filter leaves some: no index would be read.
        entry = msgspec.structs.replace(entry, payload={})
    if not entry.num_rows:
        return measured(vectors, space_id, config, entry, None)
    server.check_version()
    write_generation(folder, server.generation)
    writer = GenerationWriter(server)
    writer.create(entry, config.quantization, m=GRAPH_LINKS, ef_construct=BUILD_WIDTH)
    writer.upload(vectors, payload, num_parallel=num_parallel, progress=progress)
    writer.finish(entry.num_rows, graph=not entry.exact, max_seconds=max_graph_seconds)
    return measured(vectors, space_id, config, entry, ServerPoints(server, entry.num_rows))


def drop_generations(folder: Path) -> None:
    """Remove from their servers the generations that are recorded in a snapshot's folder.

    Nothing else is touched: the server is never asked what it holds.

    Raises:
        GenerationUnreadable: a record is damaged.
        QdrantServerFailed: one could not be removed; its record stays.
    """
    for generation in recorded_generations(folder):
        GenerationWriter(QdrantServer(generation, CHANGE_PATIENCE)).drop()


def point_aliases(folder: Path) -> None:
    """Let other programs find the generations of a snapshot, which is live now, by their aliases.

    All aliases on one server move in one step.

    Raises:
        GenerationUnreadable: a record is damaged.
        QdrantServerFailed: the server says no, or a collection has an alias's name.
    """
    by_server: dict[tuple[str, str | None, bool], list[Generation]] = {}
    for generation in recorded_generations(folder):
        at = (generation.url, generation.api_key_variable, generation.grpc)
        by_server.setdefault(at, []).append(generation)
    for together in by_server.values():
        point_at(QdrantServer(together[0], CHANGE_PATIENCE), together)
