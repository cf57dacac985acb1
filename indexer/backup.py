"""Backup of a data folder while it serves and is written to.

What is copied when decides whether the copy holds together::

    live snapshots   first: a snapshot never holds a change that the catalog read later lacks
    catalog          then, as of one moment
    everything else  last: what the catalog names was on the disk before the catalog named it
    backup.json      when all of it is on the disk

Caches, locks and snapshots that are not served stay behind. So does a snapshot that is partly on a
Qdrant server: whoever restores it would share its collections with the original, which removes them
in time. The catalog holds all that it is built from.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from indexer.ann.qdrant_generation import channel_urls
from indexer.backup_manifest import (
    BACKUP_FILE,
    BACKUP_FORMAT_VERSION,
    BackedUpCollection,
    BackupManifest,
    encode_backup_manifest,
)
from indexer.catalog.copying import CopiedCatalog, CopiedCollection, copy_catalog
from indexer.catalog.database import CatalogError
from indexer.data_dir import DataDir
from indexer.durable_files import naming, sync_file, sync_folder, write_file
from indexer.errors import Refused
from indexer.manifest import Manifest, durable_entries, read_manifest, verify_files
from indexer.publish import POINTER_FILE, live_snapshot_path, pointer_path, publish_lock

NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP})
"""Another disk, or a file system that has no links or no more for this file."""


class TargetNotEmpty(Refused):
    """A backup or restore would mix its files with what lies there."""

    code = "target_not_empty"


def back_up(data_dir: DataDir, target: Path) -> BackupManifest:
    """Copy the state of a data folder; searches, writes and reindexing go on meanwhile.

    Files of snapshots never change, so on the same disk they are linked instead of copied.

    Args:
        data_dir: what to back up.
        target: a folder that is empty or not there yet, outside ``data_dir``. It is left empty
            when the backup fails.

    Returns:
        What the backup holds.

    Raises:
        TargetNotEmpty: something lies at ``target``, or it lies inside ``data_dir``.
        CatalogError: there is no SQLite catalog, or it is damaged.
        SnapshotCorrupt: the live snapshot of a collection is damaged.
        SnapshotUnreadable: it is of a format that this version does not know.
    """
    _require_place(data_dir, target)
    is_new = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    try:
        return _back_up(data_dir, target)
    except BaseException:
        clear_folder(target)
        if is_new:
            target.rmdir()
        raise


def require_empty(folder: Path, what: str) -> None:
    """Refuse a folder that holds anything.

    Raises:
        TargetNotEmpty: naming ``what`` was to go there.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise TargetNotEmpty(
            f"{folder} is not an empty folder; {what} needs one, or a path where nothing is",
            folder=str(folder),
        )


def clear_folder(folder: Path) -> None:
    """Remove everything in a folder."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _require_place(data_dir: DataDir, target: Path) -> None:
    require_empty(target, "a backup")
    if target.resolve().is_relative_to(data_dir.root.resolve()):
        raise TargetNotEmpty(
            f"{target} lies inside the data folder {data_dir.root}; a backup belongs elsewhere",
            folder=str(target),
        )


def _back_up(data_dir: DataDir, target: Path) -> BackupManifest:
    snapshots = {
        name: _copy_snapshot(data_dir, name, target) for name in _published_collections(data_dir)
    }
    catalog = copy_catalog(data_dir.catalog_path, target / data_dir.catalog_path.name)
    _copy_rest(data_dir, target)
    manifest = BackupManifest(
        format_version=BACKUP_FORMAT_VERSION,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        catalog_revision=catalog.revision,
        collections=_collections(catalog, snapshots),
        files=durable_entries(target),
    )
    path = target / BACKUP_FILE
    write_file(path, encode_backup_manifest(manifest))
    sync_file(path)
    sync_folder(target)
    sync_folder(target.absolute().parent)
    return manifest


class _Copied(NamedTuple):
    """What became of a collection's live snapshot."""

    manifest: Manifest | None
    """``None``: it was left out."""

    on_servers: Mapping[str, str]
    """The url of each channel because of which it was."""


def _published_collections(data_dir: DataDir) -> list[str]:
    pointers = data_dir.all_snapshots.glob(f"*/{POINTER_FILE}")
    return sorted(pointer.parent.name for pointer in pointers)


def _copy_snapshot(data_dir: DataDir, collection: str, target: Path) -> _Copied:
    """Copy a collection's pointer and the snapshot it names, and check the copy.

    What is on a server is left out and named.

    The lock, which keeps the snapshot from being removed, is held while its files are linked, or
    opened where they have to be copied: an open file can be read after it was removed.
    """
    copied = DataDir(target)
    with ExitStack() as opened:
        with publish_lock(data_dir, collection):
            pointer = pointer_path(data_dir, collection).read_bytes()
            source = live_snapshot_path(data_dir, collection)
            assert source is not None, "its pointer was read, and none is ever removed"
            if on_servers := channel_urls(source):
                return _Copied(None, on_servers)
            folder = copied.snapshots(collection) / source.name
            folder.mkdir(parents=True)
            to_copy = [
                (opened.enter_context(path.open("rb")), place)
                for path, place in _files_and_places(source, folder)
                if not _linked(path, place)
            ]
        for file, place in to_copy:
            with naming(place), place.open("wb") as copy:
                shutil.copyfileobj(file, copy)
    write_file(pointer_path(copied, collection), pointer)
    manifest = read_manifest(folder)
    verify_files(folder, manifest)
    return _Copied(manifest, {})


def _files_and_places(source: Path, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the files below ``source`` and where they go below ``folder``, which gets folders."""
    for path in sorted(source.rglob("*")):
        place = folder / path.relative_to(source)
        if path.is_dir():
            place.mkdir()
        else:
            yield path, place


def _linked(path: Path, place: Path) -> bool:
    """Give a file a second name; tell whether that is possible here."""
    try:
        place.hardlink_to(path)
    except OSError as error:
        if error.errno in NO_LINKS:
            return False
        raise
    return True


def _copy_rest(data_dir: DataDir, target: Path) -> None:
    """Copy everything that is neither catalog nor snapshot nor of passing use.

    What is state is not listed: a kind of state that nobody thought of here is copied too. Names
    that begin with a dot are files that are being written. API keys stay behind: with an older
    backup those would come back that were revoked since.
    """
    catalog = data_dir.catalog_path.name
    left_out = {data_dir.all_snapshots, data_dir.keys, *data_dir.passing}
    for folder, folders, files in os.walk(data_dir.root, followlinks=True):
        here = Path(folder)
        folders[:] = [name for name in folders if here / name not in left_out and name[0] != "."]
        for name in files:
            path = here / name
            of_catalog = here == data_dir.root and name.startswith(catalog)
            if of_catalog or path in left_out or name[0] == "." or not path.is_file():
                continue
            place = target / path.relative_to(data_dir.root)
            place.parent.mkdir(parents=True, exist_ok=True)
            # Deleted since the catalog was copied: as if it had been a moment earlier.
            with suppress(FileNotFoundError), naming(place):
                shutil.copyfile(path, place)
                # An upload whose time changed would count as another file.
                shutil.copystat(path, place)


def _collections(
    catalog: CopiedCatalog, snapshots: Mapping[str, _Copied]
) -> dict[str, BackedUpCollection]:
    """Put together what was copied, and hold that no snapshot is ahead of the catalog."""
    found = {}
    unknown = {name: CopiedCollection(change_seq=0, num_items=0) for name in snapshots}
    for name, copied in {**unknown, **catalog.collections}.items():
        manifest, on_servers = snapshots.get(name, _Copied(None, {}))
        through_seq = manifest.through_seq if manifest else 0
        if through_seq > copied.change_seq:
            raise CatalogError(
                f"snapshot {manifest and manifest.snapshot_id} of collection {name!r} holds changes"
                f" up to {through_seq}, the catalog ends at {copied.change_seq}: reindex first",
                snapshot=through_seq,
                catalog=copied.change_seq,
            )
        found[name] = BackedUpCollection(
            items=copied.num_items,
            change_seq=copied.change_seq,
            snapshot=manifest.snapshot_id if manifest else None,
            through_seq=through_seq,
            on_servers=dict(on_servers),
        )
    return found
