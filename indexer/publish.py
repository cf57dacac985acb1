"""Which snapshot is served: one small pointer file per collection, swapped in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from filelock import FileLock

from encoders.encoder import EncoderIdentity
from encoders.errors import KindredError
from indexer.ann.qdrant_server_build import point_aliases
from indexer.data_dir import DataDir
from indexer.durable_files import read_file, remove_half_written, replace_durably
from indexer.errors import Refused
from indexer.gate import GateReport
from indexer.lock import Lease, require_newest
from indexer.manifest import (
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    Manifest,
    SnapshotCorrupt,
    read_manifest,
)
from indexer.served_collection import IdentitiesOf, own_collection
from indexer.smoke_search import smoke_search
from indexer.snapshot import Snapshot, remove_snapshot, remove_unfinished

POINTER_FILE = "live"
KEPT_SNAPSHOTS = 3


PointerStamp: TypeAlias = tuple[int, int, int]


class NoSuchSnapshot(Refused):
    """There is no snapshot to go back to, or none of that name."""

    code = "no_such_snapshot"


class PruneFailed(KindredError):
    """A snapshot is live, but an older one that is not kept any more could not be removed."""

    code = "prune_failed"


class AliasesBehind(KindredError):
    """A snapshot is live, but other programs still find an older one on its Qdrant server."""

    code = "aliases_behind"


class Pointer(msgspec.Struct, frozen=True):
    """The content of the pointer file."""

    snapshot_id: str

    published: str
    """UTC, ISO 8601."""

    overruled: tuple[str, ...] = ()
    """What the gate found wrong with it, if it was published by force."""

    fencing_token: int = 0
    """Of the writer that published it; 0 where it was gone back to by hand."""

    gates: dict[str, GateReport] = {}
    """What the gate found, by snapshot, of those that were ever served and are kept."""


@dataclass(frozen=True, slots=True)
class KeptSnapshot:
    """A finished snapshot, and whether it is the one that is served."""

    manifest: Manifest
    is_live: bool

    overruled: tuple[str, ...]
    """What the gate found wrong with it, if it was published by force."""

    gate: GateReport | None
    """What the gate found; ``None`` where that was not kept yet or it was never published."""

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line and the API print it."""
        return {
            "id": self.manifest.snapshot_id,
            "created": self.manifest.created,
            "live": self.is_live,
            "items": self.manifest.num_items,
            "segments": self.manifest.num_segments,
            "through_seq": self.manifest.through_seq,
            "recall": self.manifest.recall,
            "overruled": list(self.overruled),
            "gate": self.gate.as_json() if self.gate else None,
        }


def pointer_path(data_dir: DataDir, collection: str) -> Path:
    """Return where a collection's pointer lies; it need not exist."""
    return data_dir.snapshots(collection) / POINTER_FILE


def pointer_stamp(data_dir: DataDir, collection: str) -> PointerStamp | None:
    """Return what changes whenever the pointer moves, ``None`` before the first time."""
    try:
        stat = pointer_path(data_dir, collection).stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def read_pointer(data_dir: DataDir, collection: str) -> Pointer | None:
    """Return which snapshot is served since when, ``None`` before the first.

    Raises:
        SnapshotCorrupt: the pointer is damaged.
    """
    path = pointer_path(data_dir, collection)
    try:
        content = read_file(path, MAX_MANIFEST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotCorrupt(f"{path}: not a pointer: {error.strerror}", file=str(path)) from error
    try:
        pointer = msgspec.json.decode(content, type=Pointer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotCorrupt(f"{path}: not a pointer: {error}", file=str(path)) from error
    if Path(pointer.snapshot_id).name != pointer.snapshot_id:
        raise SnapshotCorrupt(
            f"{path}: {pointer.snapshot_id!r} is not the name of a snapshot", file=str(path)
        )
    return pointer


def live_snapshot_path(data_dir: DataDir, collection: str) -> Path | None:
    """Return the folder of the snapshot that is served, ``None`` before the first.

    Raises:
        SnapshotCorrupt: the pointer is damaged.
    """
    pointer = read_pointer(data_dir, collection)
    return data_dir.snapshots(collection) / pointer.snapshot_id if pointer else None


def finished_snapshots(data_dir: DataDir, collection: str) -> list[Path]:
    """Return the folders of finished snapshots, oldest first."""
    manifests = data_dir.snapshots(collection).glob(f"[0-9]*/{MANIFEST_FILE}")
    return sorted(manifest.parent for manifest in manifests)


def kept_snapshots(data_dir: DataDir, collection: str) -> list[KeptSnapshot]:
    """Return the snapshots that can be served, newest first.

    Raises:
        SnapshotCorrupt: the pointer or a manifest is damaged.
        SnapshotUnreadable: one is of a format this version does not know.
    """
    pointer = read_pointer(data_dir, collection)
    kept = []
    for path in reversed(finished_snapshots(data_dir, collection)):
        is_live = pointer is not None and path.name == pointer.snapshot_id
        gate = pointer.gates.get(path.name) if pointer else None
        overruled = pointer.overruled if pointer and is_live else ()
        if gate is not None:
            overruled = gate.reasons
        kept.append(KeptSnapshot(read_manifest(path), is_live, overruled, gate))
    return kept


def publish(
    snapshot: Snapshot,
    data_dir: DataDir,
    *,
    keep: int = KEPT_SNAPSHOTS,
    report: GateReport | None = None,
    lease: Lease | None = None,
    discard_unpublished: bool = False,
    while_swapping: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Let servers answer from ``snapshot`` from now on; also how one goes back to an older one.

    Args:
        snapshot: a finished snapshot in this data folder.
        data_dir: where its collection's pointer lies.
        keep: how many of the newest snapshots stay for rollback; older ones are removed.
        report: what the gate found, to be remembered.
        lease: of the writer that built it; ``None`` where whoever calls keeps writers apart.
        discard_unpublished: remove ``snapshot`` if the pointer could not be moved.
        while_swapping: what is held while the pointer moves.

    Raises:
        WriterLeaseLost: another writer has begun since; the live snapshot stays.
        AliasesBehind: ``snapshot`` is live, but its Qdrant server could not be told.
        PruneFailed: ``snapshot`` is live, but an older one could not be removed.
    """
    collection = snapshot.manifest.collection
    with publish_lock(data_dir, collection):
        try:
            if lease is not None:
                require_newest(data_dir, lease)
            with while_swapping():
                _swap(snapshot, data_dir, report, lease)
        except BaseException:
            # The pointer may have moved before the disk refused to make that durable.
            if discard_unpublished and not _points_to(snapshot, data_dir):
                with suppress(KindredError):  # the next build removes what is left
                    remove_snapshot(snapshot.path)
            raise
        # First of all: an older generation that an alias still names must not be removed.
        _point_aliases(snapshot)
        _prune(snapshot.path, finished_snapshots(data_dir, collection), keep)


def clear_up(data_dir: DataDir, collection: str, keep: int = KEPT_SNAPSHOTS) -> None:
    """Remove what runs that died or failed left: half a snapshot, or more of them than are kept.

    The caller holds the collection's writer lock.

    Raises:
        PruneFailed: a snapshot that is not kept any more could not be removed.
    """
    remove_unfinished(data_dir, collection)
    with publish_lock(data_dir, collection):
        try:
            live = live_snapshot_path(data_dir, collection)
        except SnapshotCorrupt:
            return  # whichever it was must not be removed; the next snapshot replaces it
        if live is not None:
            _prune(live, finished_snapshots(data_dir, collection), keep)


def remove_snapshots(data_dir: DataDir, collection: str, snapshot_ids: Sequence[str]) -> list[str]:
    """Remove some finished snapshots, but never the live one, and return which were removed.

    Raises:
        SnapshotCorrupt: the pointer is damaged, so that nobody knows which one is live.
    """
    removed = []
    with publish_lock(data_dir, collection):
        pointer = read_pointer(data_dir, collection)
        live = pointer.snapshot_id if pointer else None
        for path in finished_snapshots(data_dir, collection):
            if path.name in snapshot_ids and path.name != live:
                remove_snapshot(path)
                removed.append(path.name)
    return removed


def roll_back(
    data_dir: DataDir,
    collection: str,
    identities: Mapping[str, EncoderIdentity],
    *,
    snapshot_id: str | None = None,
    identities_of: IdentitiesOf | None = None,
    while_swapping: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Manifest:
    """Serve an older snapshot again; what was written since it was built stays visible.

    It is read whole, compared with its checksums and searched before anything is swapped. No
    writer lock is needed: an ingest may go on meanwhile. The next reindex publishes a new snapshot.

    Args:
        data_dir: where snapshots lie.
        collection: which one.
        identities: the collection's encoders by channel.
        snapshot_id: which one to go back to, or forward again; the one before the live one when
            ``None``.
        identities_of: gives the encoders of an older snapshot's own collection: with it one can go
            back over a change of model, as long as the older models are there.
        while_swapping: what is held while the pointer moves.

    Returns:
        The manifest of the snapshot that is live now.

    Raises:
        NoSuchSnapshot: naming those that there are.
        SnapshotCorrupt: its files are damaged; the live one stays, as for the others.
        SpaceMismatch: it was made by encoders that the collection does not use any more.
        SmokeSearchFailed: it cannot be searched.
        AliasesBehind: it is live, but its Qdrant server could not be told.
    """
    with publish_lock(data_dir, collection):
        path = _earlier_snapshot(data_dir, collection, snapshot_id)
        if identities_of is not None:
            own = own_collection(path, identities_of)
            identities = identities if own is None else identities_of(own)
        snapshot = Snapshot.open(path, identities=identities)
        smoke_search(path)
        with while_swapping():
            _swap(snapshot, data_dir)
        _point_aliases(snapshot)
    return snapshot.manifest


def _earlier_snapshot(data_dir: DataDir, collection: str, snapshot_id: str | None) -> Path:
    finished = finished_snapshots(data_dir, collection)
    names = [path.name for path in finished]
    if snapshot_id is not None:
        if snapshot_id not in names:
            raise NoSuchSnapshot(
                f"collection {collection!r} has no snapshot {snapshot_id!r}; there are: "
                f"{', '.join(names) or 'none'}",
                snapshot=snapshot_id,
                available=names,
            )
        return finished[names.index(snapshot_id)]
    pointer = read_pointer(data_dir, collection)
    earlier = [path for path in finished if pointer is None or path.name < pointer.snapshot_id]
    if not earlier:
        raise NoSuchSnapshot(
            f"collection {collection!r} has no snapshot before "
            f"{pointer.snapshot_id if pointer else 'the first'}; there are: "
            f"{', '.join(names) or 'none'}",
            available=names,
        )
    return earlier[-1]


def _points_to(snapshot: Snapshot, data_dir: DataDir) -> bool:
    try:
        pointer = read_pointer(data_dir, snapshot.manifest.collection)
    except SnapshotCorrupt:
        return False
    return pointer is not None and pointer.snapshot_id == snapshot.manifest.snapshot_id


def _prune(live: Path, finished: Sequence[Path], keep: int) -> None:
    for path in finished[: max(0, len(finished) - keep)]:
        if path == live:
            continue
        try:
            remove_snapshot(path)
        except (OSError, KindredError) as error:
            reason = error.message if isinstance(error, KindredError) else error.strerror or error
            raise PruneFailed(
                f"snapshot {live.name} is live, but the old {path} could not be removed: "
                f"{reason}; the next reindex tries again",
                live=live.name,
                path=str(path),
            ) from error


def _point_aliases(live: Snapshot) -> None:
    try:
        point_aliases(live.path)
    except KindredError as error:
        name = live.path.name
        raise AliasesBehind(
            f"snapshot {name} is live, but its aliases for other programs do not lead to it yet: "
            f"{error.message}; then `kindred rollback {name}` sets them",
            live=name,
            **error.detail,
        ) from error


def _swap(
    snapshot: Snapshot,
    data_dir: DataDir,
    report: GateReport | None = None,
    lease: Lease | None = None,
) -> None:
    collection, snapshot_id = snapshot.manifest.collection, snapshot.path.name
    gates = {
        name: gate
        for name, gate in _known_gates(data_dir, collection).items()
        if (data_dir.snapshots(collection) / name).is_dir()
    }
    if report is not None:
        gates[snapshot_id] = report
    pointer = Pointer(
        snapshot_id,
        datetime.now(UTC).isoformat(),
        gates[snapshot_id].reasons if snapshot_id in gates else (),
        lease.token if lease else 0,
        gates,
    )
    path = pointer_path(data_dir, collection)
    remove_half_written(path)  # whoever holds the publish lock is alone
    replace_durably(path, msgspec.json.encode(pointer))


def _known_gates(data_dir: DataDir, collection: str) -> dict[str, GateReport]:
    try:
        pointer = read_pointer(data_dir, collection)
    except SnapshotCorrupt:  # it is about to be replaced
        return {}
    return pointer.gates if pointer else {}


def publish_lock(data_dir: DataDir, collection: str) -> FileLock:
    """Return the lock under which the pointer moves, so that its target is not removed."""
    path = data_dir.publish_lock(collection)
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
