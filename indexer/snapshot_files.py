"""Names of a snapshot's files, and its tables opened memory-mapped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.manifest import ChannelEntry, Manifest, SnapshotCorrupt

COLLECTION_FILE = "collection.json"
ITEMS_FILE = "items.arrow"
SEGMENTS_FILE = "segments.arrow"
SEGMENT_IDS_FILE = "segment_ids.npy"
CHANNELS_FOLDER = "channels"

_ITEM_COLUMNS = {"item_id": pa.string(), "content_sha256": pa.string()}
_SEGMENT_COLUMNS = {
    "item_row": pa.int64(),
    "start_seconds": pa.float64(),
    "stop_seconds": pa.float64(),
    "text": pa.string(),
}
_MAY_BE_NULL = frozenset({"text"})


def mapped_items(snapshot_folder: Path) -> pa.Table:
    """Return the item table of a snapshot.

    Raises:
        SnapshotCorrupt: the file is not such a table.
    """
    return _mapped(snapshot_folder / ITEMS_FILE, _ITEM_COLUMNS)


def mapped_segments(channel_folder: Path) -> pa.Table:
    """Return the segment table of a snapshot's channel.

    Raises:
        SnapshotCorrupt: the file is not such a table.
    """
    return _mapped(channel_folder / SEGMENTS_FILE, _SEGMENT_COLUMNS)


def require_fitting_tables(
    folder: Path, manifest: Manifest, items: pa.Table, item_rows: Mapping[str, NDArray[np.int64]]
) -> None:
    """Refuse tables that do not fit their manifest or each other.

    Args:
        folder: of the snapshot.
        manifest: what it should hold.
        items: its item table.
        item_rows: the item of each segment, by channel.

    Raises:
        SnapshotCorrupt: naming the file, what was expected and what is there.
    """
    path = folder / ITEMS_FILE
    if items.num_rows != manifest.num_items:
        raise _corrupt(path, f"{items.num_rows} items, expected {manifest.num_items}")
    for name, rows in item_rows.items():
        path = folder / CHANNELS_FOLDER / name / SEGMENTS_FILE
        entry: ChannelEntry = manifest.channels[name]
        if len(rows) != entry.num_segments:
            raise _corrupt(path, f"{len(rows)} segments, expected {entry.num_segments}")
        if len(rows) and not (rows[0] >= 0 and rows[-1] < items.num_rows):
            raise _corrupt(path, "segments of items that are not in the snapshot")
        if (rows[1:] < rows[:-1]).any():
            raise _corrupt(path, "segments that are not in the order of items")


def _mapped(path: Path, columns: Mapping[str, pa.DataType]) -> pa.Table:
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path), "r")).read_all()
        # Offsets that lead out of their column would be followed, and end the process.
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise _corrupt(path, f"not a table: {reason}") from error
    for name, kind in columns.items():
        index = table.schema.get_field_index(name)
        if index < 0 or table.schema.field(index).type != kind:
            raise _corrupt(path, f"no column {name!r} of type {kind}")
        if name not in _MAY_BE_NULL and table.column(index).null_count:
            raise _corrupt(path, f"column {name!r} has gaps")
    return table


def _corrupt(path: Path, problem: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(f"{path}: {problem}", file=str(path))
