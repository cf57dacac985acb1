"""From a backup back to a data folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from indexer.backup import clear_folder, require_empty
from indexer.backup_manifest import (
    BackupManifest,
    BackupUnreadable,
    read_backup_manifest,
    verify_backup,
)
from indexer.catalog.database import HEAD_REVISION
from indexer.data_dir import DataDir
from indexer.durable_files import naming, sync_file, sync_folder
from indexer.manifest import read_manifest


def restore(source: Path, data_dir: DataDir) -> BackupManifest:
    """Fill an empty data folder from a backup, after checking all of it.

    Files are copied, never linked, so that the backup stays what it is. The catalog comes last and
    in one step: a restore that was killed leaves a data folder without one.

    Args:
        source: the folder of a backup.
        data_dir: empty, or not there yet; left so when the restore fails.

    Returns:
        What was restored.

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
        _copy(source, manifest, data_dir)
    except BaseException:
        clear_folder(root)
        if is_new:
            root.rmdir()
        raise
    return manifest


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


def _copy(source: Path, manifest: BackupManifest, data_dir: DataDir) -> None:
    root, catalog = data_dir.root, data_dir.catalog_path
    arriving = catalog.with_name(f".{catalog.name}")
    for name in manifest.files:
        place = arriving if root / name == catalog else root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with naming(place):
            shutil.copyfile(source / name, place)
        sync_file(place)
    for folder in sorted(path for path in root.rglob("*") if path.is_dir()):
        sync_folder(folder)
    arriving.rename(catalog)
    sync_folder(root)
    sync_folder(root.absolute().parent)
