"""``kindred backup`` and ``kindred restore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search_api.cli import output
from search_api.cli.workspace import json_option

if TYPE_CHECKING:
    from indexer.backup_manifest import BackupManifest


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@json_option
def backup(target: Path, as_json: bool) -> int:
    """Copy the data folder to TARGET while it serves and is written to.

    TARGET is an empty folder, or a path where nothing is. It gets the catalog of every collection
    as of one moment, the snapshot that is served, and uploaded files; caches and older snapshots
    stay behind. On the same disk snapshots are linked, which takes no room: a backup that is to
    outlive the disk belongs on another. Original files that were ingested from folders are not
    copied, nor is an index with channels on a Qdrant server, which a reindex builds again.

    Only a SQLite catalog is copied. For one in PostgreSQL copy the folder `snapshots` first, then
    the database with pg_dump, so that no snapshot is ahead of it; together they are the backup.
    """
    from indexer.backup import back_up
    from indexer.data_dir import DataDir

    manifest = back_up(DataDir.from_environment(), target)
    _print(manifest, str(target), "backed up to", as_json)
    return 0


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@json_option
def restore(source: Path, as_json: bool) -> int:
    """Fill the empty data folder KINDRED_DATA_DIR from the backup SOURCE.

    Every file is compared with its checksum first. A catalog of an older version is brought up to
    date by the next command.
    """
    from indexer.data_dir import DataDir
    from indexer.restore import restore as run_restore

    data_dir = DataDir.from_environment()
    manifest = run_restore(source, data_dir)
    _print(manifest, str(data_dir.root), "restored to", as_json)
    return 0


def _print(manifest: BackupManifest, folder: str, done: str, as_json: bool) -> None:
    collections: dict[str, dict[str, Any]] = {
        name: {
            "items": each.items,
            "snapshot": each.snapshot,
            "through_seq": each.through_seq,
            "change_seq": each.change_seq,
            "on_servers": each.on_servers,
        }
        for name, each in manifest.collections.items()
    }
    if as_json:
        output.print_json(
            {
                "folder": folder,
                "created": manifest.created,
                "catalog_revision": manifest.catalog_revision,
                "files": len(manifest.files),
                "bytes": manifest.num_bytes,
                "collections": collections,
            }
        )
        return
    click.echo(f"{done} {folder}: {len(manifest.files)} files, {manifest.num_bytes:,} bytes")
    for name, each in collections.items():
        click.echo(
            f"  {name}: {each['items']} items, snapshot {each['snapshot'] or 'none'} through change"
            f" {each['through_seq']} of {each['change_seq']}"
        )
        if each["on_servers"]:
            there = ", ".join(f"{channel} at {url}" for channel, url in each["on_servers"].items())
            click.echo(
                f"    the index is left out, as it is on a Qdrant server ({there}); after a "
                "restore `kindred reindex` builds it from the catalog"
            )
