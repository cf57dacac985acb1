"""Names of a snapshot's files, and its tables opened memory-mapped."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

COLLECTION_FILE = "collection.json"
ITEMS_FILE = "items.arrow"
SEGMENTS_FILE = "segments.arrow"
SEGMENT_IDS_FILE = "segment_ids.npy"
CHANNELS_FOLDER = "channels"


def mapped_items(snapshot_folder: Path) -> pa.Table:
    """Return the item table of a snapshot."""
    return _mapped(snapshot_folder / ITEMS_FILE)


def mapped_segments(channel_folder: Path) -> pa.Table:
    """Return the segment table of a snapshot's channel."""
    return _mapped(channel_folder / SEGMENTS_FILE)


def _mapped(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path), "r")).read_all()
