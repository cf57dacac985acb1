"""From a backup back to a data folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from indexer.backup import clear_folder, require_empty
from indexer.backup_manifest import (
    BackupManifest,
    BackupUnreadable,
    read_backup_manifest,
    verify_backup,
)
from indexer.catalog.catalog import Catalog
from indexer.catalog.database import HEAD_REVISION, open_engine, sqlite_url
from indexer.catalog.takedown_merging import MergedTakedowns
from indexer.data_dir import DataDir
from indexer.durable_files import naming, sync_file, sync_folder
from indexer.manifest import read_manifest
from indexer.takedown_list import TakedownList, bring_back


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    manifest: BackupManifest

    takedowns: MergedTakedowns | None
    """What later takedowns did to it; ``None``: nobody said whether there were any."""

    takedowns_known_through: str
    """UTC, ISO 8601: of what was taken down later, nothing is known here."""


def restore(source: Path, data_dir: DataDir, takedowns: TakedownList | None = None) -> Restored:
    """Fill an empty data folder from a backup, after checking all of it.

    Files are copied, never linked, so that the backup stays what it is. The catalog comes last and
    in one step: a restore that was killed leaves a data folder without one.

    Args:
        source: the folder of a backup.
        data_dir: empty, or not there yet; left so when the restore fails.
        takedowns: those that somebody knows who knows later ones than the backup. They are carried
            out before the catalog is there: no state of it lets anything come back.

    Raises:
        TargetNotEmpty: something lies in ``data_dir``.
        BackupUnreadable: ``source`` is no finished backup, or a later version of this program made
            it or the catalog in it.
        BackupCorrupt: a file is missing or was changed.
        SnapshotUnreadable: a snapshot in it is of a format that this version does not know.
    """
    root = data_dir.root
    require_empty(root, "a restore")
    manifest = read_backup_manifest(source)
    _require_known_formats(source, manifest)
    verify_backup(source, manifest)
    is_new = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    try:
        merged = _copy(source, manifest, data_dir, takedowns)
    except BaseException:
        clear_folder(root)
        if is_new:
            root.rmdir()
        raise
    known_through = max(manifest.created, takedowns.known_through if takedowns else "")
    return Restored(manifest, merged, known_through)


def _require_known_formats(source: Path, manifest: BackupManifest) -> None:
    # Alembic costs 0.1 s to import: only those who restore pay.
    from indexer.catalog.migrations import known_revisions

    if manifest.catalog_revision not in known_revisions():
        raise BackupUnreadable(
            f"{source}: the catalog in it is at schema revision {manifest.catalog_revision}, this "
            f"version knows up to {HEAD_REVISION}; upgrade kindred",
            expected=HEAD_REVISION,
            got=manifest.catalog_revision,
        )
    for name, collection in manifest.collections.items():
        if collection.snapshot is not None:
            read_manifest(DataDir(source).snapshots(name) / collection.snapshot)


def _copy(
    source: Path, manifest: BackupManifest, data_dir: DataDir, takedowns: TakedownList | None
) -> MergedTakedowns | None:
    root, catalog = data_dir.root, data_dir.catalog_path
    arriving = catalog.with_name(f".{catalog.name}")
    for name in manifest.files:
        place = arriving if root / name == catalog else root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with naming(place):
            shutil.copyfile(source / name, place)
            shutil.copystat(source / name, place)
        sync_file(place)
    merged = None if takedowns is None else _carried_out(takedowns, arriving, data_dir)
    for folder in sorted(path for path in root.rglob("*") if path.is_dir()):
        sync_folder(folder)
    arriving.rename(catalog)
    sync_folder(root)
    sync_folder(root.absolute().parent)
    return merged


def _carried_out(takedowns: TakedownList, arriving: Path, data_dir: DataDir) -> MergedTakedowns:
    """Carry takedowns out in a copied catalog, and leave no rest of what they remove in it."""
    engine = open_engine(sqlite_url(arriving), data_dir.catalog_lock)
    with Catalog(engine, data_dir.root.absolute()) as catalog:
        merged = bring_back(catalog, data_dir, takedowns.takedowns)
        catalog.rewrite()
    sync_file(arriving)
    return merged
