"""Which snapshot is served: one small pointer file per collection, swapped in one step."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from indexer.data_dir import DataDir
from indexer.durable_files import replace_durably
from indexer.manifest import MANIFEST_FILE, SnapshotCorrupt
from indexer.snapshot import Snapshot, remove_snapshot

POINTER_FILE = "live"
KEPT_SNAPSHOTS = 3


class Pointer(msgspec.Struct, frozen=True):
    """The content of the pointer file."""

    snapshot_id: str

    published: str
    """UTC, ISO 8601."""


def pointer_path(data_dir: DataDir, collection: str) -> Path:
    """Return where a collection's pointer lies; it need not exist."""
    return data_dir.snapshots(collection) / POINTER_FILE


def live_snapshot_path(data_dir: DataDir, collection: str) -> Path | None:
    """Return the folder of the snapshot that is served, ``None`` before the first.

    Raises:
        SnapshotCorrupt: the pointer is damaged.
    """
    path = pointer_path(data_dir, collection)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        pointer = msgspec.json.decode(content, type=Pointer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotCorrupt(f"{path}: not a pointer: {error}", file=str(path)) from error
    if Path(pointer.snapshot_id).name != pointer.snapshot_id:
        raise SnapshotCorrupt(
            f"{path}: {pointer.snapshot_id!r} is not the name of a snapshot", file=str(path)
        )
    return path.parent / pointer.snapshot_id


def finished_snapshots(data_dir: DataDir, collection: str) -> list[Path]:
    """Return the folders of finished snapshots, oldest first."""
    manifests = data_dir.snapshots(collection).glob(f"[0-9]*/{MANIFEST_FILE}")
    return sorted(manifest.parent for manifest in manifests)


def publish(snapshot: Snapshot, data_dir: DataDir, *, keep: int = KEPT_SNAPSHOTS) -> None:
    """Let servers answer from ``snapshot`` from now on; also how one goes back to an older one.

    Args:
        snapshot: a finished snapshot in this data folder.
        data_dir: where its collection's pointer lies.
        keep: how many of the newest snapshots stay for rollback; older ones are removed.
    """
    collection = snapshot.manifest.collection
    pointer = Pointer(snapshot.manifest.snapshot_id, datetime.now(UTC).isoformat())
    replace_durably(pointer_path(data_dir, collection), msgspec.json.encode(pointer))
    finished = finished_snapshots(data_dir, collection)
    for path in finished[: max(0, len(finished) - keep)]:
        if path != snapshot.path:
            remove_snapshot(path)
