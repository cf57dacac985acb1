"""From the catalog to the files of a snapshot, block by block: rows in the order of item ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from encoders.encoder import EncoderIdentity
from indexer.ann.opening import VECTORS_FILE
from indexer.catalog.database import CatalogError
from indexer.catalog.state import CatalogState
from indexer.config import CollectionConfig
from indexer.durable_files import naming, write_array
from indexer.embedding_store import SegmentBlock
from indexer.item_table import item_batch, items_schema
from indexer.snapshot_files import ITEMS_FILE, SEGMENT_IDS_FILE, SEGMENTS_FILE

ITEMS_PER_BATCH = 8_192

SEGMENTS_SCHEMA = pa.schema(
    [
        pa.field("item_row", pa.int64(), nullable=False),
        # NaN where there is no time, so that the columns can be read as numpy without a copy.
        pa.field("start_seconds", pa.float64(), nullable=False),
        pa.field("stop_seconds", pa.float64(), nullable=False),
        pa.field("text", pa.string()),
    ]
)

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the rows done and the rows there are."""


@dataclass(frozen=True, slots=True)
class StagedChannel:
    """One channel as it was taken from the catalog, waiting for its index."""

    name: str
    folder: Path
    identity: EncoderIdentity
    num_segments: int
    num_items: int
    num_uncovered_items: int

    @property
    def vectors_path(self) -> Path:
        """``(num_segments, dim)`` float16."""
        return self.folder / VECTORS_FILE


def stage_items(
    state: CatalogState, config: CollectionConfig, folder: Path
) -> tuple[NDArray[np.int64], int]:
    """Write ``items.arrow`` and return which row each item of the catalog got.

    Returns:
        ``item_rows`` indexed by ``item_key``, -1 where there is no live item, and how many items
        there are.
    """
    item_rows = np.full(state.max_item_key(config.name) + 1, -1, dtype=np.int64)
    num_items = 0
    live = (
        (change.item_key, change.item)
        for change in state.changes(config.name)
        if change.item is not None
    )
    schema = items_schema(config.attributes)
    path = folder / ITEMS_FILE
    with (
        naming(path),
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_file(file, schema) as writer,
    ):
        while batch := list(islice(live, ITEMS_PER_BATCH)):
            keys = [item_key for item_key, _ in batch]
            item_rows[keys] = np.arange(num_items, num_items + len(batch))
            writer.write_batch(item_batch((item for _, item in batch), config.attributes))
            num_items += len(batch)
    return item_rows, num_items


def stage_channel(
    state: CatalogState,
    config: CollectionConfig,
    name: str,
    identity: EncoderIdentity,
    item_rows: NDArray[np.int64],
    folder: Path,
    progress: Progress | None = None,
) -> StagedChannel:
    """Write a channel's vectors, segment numbers and segment table.

    Args:
        state: what to read from.
        config: the collection.
        name: the channel.
        identity: only vectors that its current encoder made are taken.
        item_rows: snapshot row by ``item_key``.
        folder: an existing folder for the files.
        progress: called after each block.
    """
    coverage = state.coverage(config.name, name, identity.encoder_id)
    num_segments = coverage.current_segments
    segment_ids = np.empty(num_segments, dtype=np.int64)
    done = 0
    vectors_path, table_path = folder / VECTORS_FILE, folder / SEGMENTS_FILE
    with (
        naming(vectors_path),
        vectors_path.open("wb") as vectors,
        naming(table_path),
        pa.OSFile(str(table_path), "wb") as table,
        pa.ipc.new_file(table, SEGMENTS_SCHEMA) as writer,
    ):
        np.lib.format.write_array_header_1_0(
            vectors, {"descr": "<f2", "fortran_order": False, "shape": (num_segments, identity.dim)}
        )
        for block in state.embeddings.blocks(
            config.name, name, identity.encoder_id, dim=identity.dim
        ):
            with naming(vectors_path):
                vectors.write(block.vectors.tobytes())
            writer.write_batch(_segment_batch(block, item_rows))
            stop = done + len(block.segment_ids)
            segment_ids[done:stop] = block.segment_ids[: num_segments - done]
            done = stop
            if progress is not None:
                progress(f"{name}: read", done, num_segments)
    if done != num_segments:
        raise CatalogError(
            f"channel {name!r}: the catalog counts {num_segments} segments and holds {done}",
            channel=name,
            expected=num_segments,
            got=done,
        )
    write_array(folder / SEGMENT_IDS_FILE, segment_ids)
    return StagedChannel(
        name, folder, identity, num_segments, coverage.current_items, coverage.other_items
    )


def _segment_batch(block: SegmentBlock, item_rows: NDArray[np.int64]) -> pa.RecordBatch:
    columns = [
        pa.array(item_rows[block.item_keys]),
        pa.array(block.start_seconds, from_pandas=False),
        pa.array(block.stop_seconds, from_pandas=False),
        pa.array(block.texts, type=pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SEGMENTS_SCHEMA)
