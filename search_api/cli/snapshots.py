"""``kindred rollback`` and ``kindred snapshots``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from search_api.cli import output
from search_api.cli.workspace import collection_option, json_option, open_workspace

if TYPE_CHECKING:
    from indexer.publish import KeptSnapshot


@click.command()
@collection_option
@json_option
def snapshots(collection: str, as_json: bool) -> int:
    """List the snapshots that are kept, and say which one is served."""
    from indexer.publish import kept_snapshots

    with open_workspace(collection) as work:
        kept = kept_snapshots(work.data_dir, work.config.name)
    if as_json:
        output.print_json({"snapshots": [each.as_json() for each in kept]})
        return 0
    if not kept:
        click.echo("no snapshot yet; `kindred ingest PATH…` makes one")
        return 0
    shown = output.table("snapshot", "created", "items", "segments", "through", "gate", "")
    for each in kept:
        shown.add_row(
            each.manifest.snapshot_id,
            each.manifest.created,
            str(each.manifest.num_items),
            str(each.manifest.num_segments),
            str(each.manifest.through_seq),
            _gate_figures(each),
            "; ".join(("live" if each.is_live else "", *each.overruled)).strip("; "),
        )
    output.console().print(shown)
    return 0


def _gate_figures(kept: KeptSnapshot) -> str:
    """Return what the gate measured: of several channels the worst."""
    figures = []
    if kept.manifest.recall:
        figures.append(f"recall@10 {min(kept.manifest.recall.values()):.3f}")
    if kept.gate is not None:
        measured = kept.gate.measured
        channels = measured.channels.values()
        for title, values in (
            ("own item", [each.known_item_share for each in channels]),
            ("overlap@10", [each.overlap_at_10 for each in channels]),
        ):
            known = [value for value in values if value is not None]
            if known:
                figures.append(f"{title} {min(known):.3f}")
        figures.append(f"failed files {measured.num_failed} ({measured.failed_share:.1%})")
    return " · ".join(figures)


@click.command()
@click.argument("snapshot_id", required=False, metavar="[SNAPSHOT]")
@collection_option
@json_option
def rollback(snapshot_id: str | None, collection: str, as_json: bool) -> int:
    """Serve the snapshot before the live one again, or the one named.

    What was written since it was built stays visible. The next ingest or reindex publishes a new
    snapshot.
    """
    from indexer.pipeline import channel_identities
    from indexer.publish import roll_back

    with open_workspace(collection) as work:
        identities = channel_identities(work.config, work.loader)
        manifest = roll_back(
            work.data_dir,
            work.config.name,
            identities,
            snapshot_id=snapshot_id,
            identities_of=lambda config: channel_identities(config, work.loader),
            while_swapping=work.catalog.writes_held,
        )
        delta = work.catalog.num_changed_since(work.config.name, manifest.through_seq)
    if as_json:
        output.print_json({"snapshot": manifest.snapshot_id, "delta": delta})
    else:
        click.echo(
            f"snapshot {manifest.snapshot_id} of {manifest.created} is live again; what was "
            f"written since is searched beside it (items: {delta}). The next ingest or reindex "
            "publishes a new one"
        )
    return 0
