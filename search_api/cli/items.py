"""``kindred status``, ``kindred failures`` and ``kindred delete``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from search_api.cli import output
from search_api.cli.workspace import (
    Workspace,
    collection_option,
    decode_workers,
    json_option,
    open_workspace,
)


@click.command()
@collection_option
@json_option
def status(collection: str, as_json: bool) -> int:
    """Say what the collection holds and what the live index covers."""
    with open_workspace(collection) as work:
        state = collection_status(work)
    if as_json:
        output.print_json(state)
        return 0
    snapshot = state["snapshot"]
    click.echo(
        f"{state['collection']}: {state['items']} items, {state['segments']} segments, "
        f"{state['failed']} failed, {state['delta']} not yet in an index "
        f"({state['delta_segments']} segments)"
    )
    if snapshot is None:
        click.echo("no snapshot yet; `kindred ingest PATH…` makes one")
        return 0
    click.echo(
        f"snapshot {snapshot['id']} of {snapshot['created']}: {snapshot['segments']} segments, "
        f"through change {snapshot['through_seq']}"
    )
    for channel, recall in snapshot["recall"].items():
        click.echo(f"  {channel}: recall@10 {recall:.3f}")
    return 0


def collection_status(work: Workspace) -> dict[str, Any]:
    """Return the state of a collection in the shape that ``status --json`` prints."""
    from indexer.publish import live_snapshot_path
    from indexer.snapshot import read_manifest

    counts = work.catalog.counts(work.config.name)
    path = live_snapshot_path(work.data_dir, work.config.name)
    snapshot = None
    through_seq = 0
    if path is not None:
        manifest = read_manifest(path)
        through_seq = manifest.through_seq
        snapshot = {
            "id": manifest.snapshot_id,
            "created": manifest.created,
            "segments": manifest.num_segments,
            "through_seq": manifest.through_seq,
            "recall": manifest.recall,
        }
    return {
        "collection": work.config.name,
        "items": counts.items,
        "segments": counts.segments,
        "failed": counts.failed,
        "delta": work.catalog.num_changed_since(work.config.name, through_seq),
        "delta_segments": work.catalog.num_segments_since(work.config.name, through_seq),
        "snapshot": snapshot,
    }


@click.command()
@collection_option
@click.option("--retry", is_flag=True, help="Try the failed files again now.")
@json_option
def failures(collection: str, retry: bool, as_json: bool) -> int:
    """List files that could not be taken in, with the reason."""
    from indexer.lock import writer_lock

    with open_workspace(collection) as work:
        if retry:
            with writer_lock(work.data_dir, work.config.name, "kindred failures --retry"):
                _retry(work, quiet=as_json)
        listed = work.catalog.failures(work.config.name)
    if as_json:
        output.print_json({"failures": [asdict(entry) for entry in listed]})
        return 0
    if not listed:
        click.echo("no failures")
        return 0
    shown = output.table("file", "reason", "detail", "tries", "last seen")
    for entry in listed:
        shown.add_row(
            entry.location,
            entry.reason,
            entry.detail or "",
            str(entry.attempts),
            entry.last_seen,
        )
    output.console().print(shown)
    return 0


def _retry(work: Workspace, *, quiet: bool) -> None:
    from indexer.pipeline import IngestOptions, ingest
    from indexer.walk import is_gone

    locations = [Path(entry.location) for entry in work.catalog.failures(work.config.name)]
    # What is neither there nor gone (a link to nothing, a name that is not UTF-8) stays listed.
    there = [path for path in locations if path.exists()]
    gone = [str(path) for path in locations if is_gone(str(path))]
    if gone:
        work.catalog.forget_failures(work.config.name, gone)
    if there:
        options = IngestOptions(num_decode_workers=decode_workers())
        with output.ingest_progress(quiet=quiet) as on_progress:
            ingest(there, work.catalog, work.config, work.loader, options, on_progress)


@click.command()
@click.argument("item_ids", nargs=-1, required=True, metavar="ID…")
@collection_option
@json_option
def delete(item_ids: tuple[str, ...], collection: str, as_json: bool) -> int:
    """Remove items from search at once; their files stay, and a later ingest brings them back."""
    from indexer.catalog.idempotency import StoredAnswer
    from indexer.catalog.live_writes import LiveWrites
    from indexer.catalog.records import ItemDeletion

    wanted = list(dict.fromkeys(item_ids))
    with open_workspace(collection) as work:
        changed, _ = LiveWrites(work.catalog.engine).change(
            work.config.name,
            [ItemDeletion(item_id) for item_id in wanted],
            lambda _: StoredAnswer(0, ""),
        )
    became = dict(zip(wanted, changed.applied, strict=True))
    deleted = [item_id for item_id in wanted if became[item_id] == "deleted"]
    unknown = [item_id for item_id in item_ids if became[item_id] == "absent"]
    if as_json:
        output.print_json({"deleted": deleted, "unknown": unknown})
    else:
        click.echo(f"{len(deleted)} deleted")
        for item_id in unknown:
            click.echo(f"  no item {item_id!r}", err=True)
    return int(bool(unknown))
