"""``kindred backup`` and ``kindred restore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search_api.cli import output
from search_api.cli.workspace import json_option

if TYPE_CHECKING:
    from indexer.backup_manifest import BackupManifest
    from indexer.restore import Restored


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
    if as_json:
        output.print_json(_json(manifest, str(target)))
    else:
        _print(manifest, str(target), "backed up to")
    return 0


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--takedowns",
    "takedowns_from",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where later takedowns are known: a list that `kindred takedown --export` wrote, the data "
    "folder that was lost, or a newer backup.",
)
@json_option
def restore(source: Path, takedowns_from: Path | None, as_json: bool) -> int:
    """Fill the empty data folder KINDRED_DATA_DIR from the backup SOURCE.

    Every file is compared with its checksum first. A catalog of an older version is brought up to
    date by the next command.

    A backup knows nothing of what was taken down after it: that would come back. With --takedowns
    it is carried out before anything can be found.
    """
    from indexer.data_dir import DataDir
    from indexer.restore import restore as run_restore
    from indexer.takedown_list import read_takedowns_of

    data_dir = DataDir.from_environment()
    takedowns = None if takedowns_from is None else read_takedowns_of(takedowns_from)
    restored = run_restore(source, data_dir, takedowns)
    if as_json:
        shown = {"takedowns": _takedowns_json(restored)}
        output.print_json({**_json(restored.manifest, str(data_dir.root)), **shown})
    else:
        _print(restored.manifest, str(data_dir.root), "restored to")
        _print_takedowns(restored)
    return 0


def _takedowns_json(restored: Restored) -> dict[str, Any]:
    merged = restored.takedowns
    return {
        "known_through": restored.takedowns_known_through,
        "asked": merged is not None,
        "brought": [each.takedown_id for each in merged.brought] if merged else [],
        "lifted": list(merged.lifted) if merged else [],
        "hidden_items": list(merged.hidden_items) if merged else [],
    }


def _print_takedowns(restored: Restored) -> None:
    merged = restored.takedowns
    if merged is not None:
        click.echo(
            f"takedowns that the backup did not know: {len(merged.brought)}, which hid "
            f"{len(merged.hidden_items)} of its items"
        )
        for takedown in merged.brought:
            lifted = ", lifted since" if takedown.lifted_at else ""
            click.echo(f"  {takedown.takedown_id}: {', '.join(takedown.item_ids)}{lifted}")
    click.secho(
        f"NOT KNOWN HERE: what was taken down after {restored.takedowns_known_through}. If there "
        "was anything, it is back. Before this folder serves, run `kindred takedown --import PATH` "
        "with a later list, the lost data folder or a newer backup.",
        fg="red",
        err=True,
    )


def _print(manifest: BackupManifest, folder: str, done: str) -> None:
    click.echo(f"{done} {folder}: {len(manifest.files)} files, {manifest.num_bytes:,} bytes")
    for name, each in manifest.collections.items():
        click.echo(
            f"  {name}: {each.items} items, snapshot {each.snapshot or 'none'} through change"
            f" {each.through_seq} of {each.change_seq}"
        )
        if each.on_servers:
            there = ", ".join(f"{channel} at {url}" for channel, url in each.on_servers.items())
            click.echo(
                f"    the index is left out, as it is on a Qdrant server ({there}); after a "
                "restore `kindred reindex` builds it from the catalog"
            )


def _json(manifest: BackupManifest, folder: str) -> dict[str, Any]:
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
    return {
        "folder": folder,
        "created": manifest.created,
        "catalog_revision": manifest.catalog_revision,
        "files": len(manifest.files),
        "bytes": manifest.num_bytes,
        "collections": collections,
    }
