"""``kindred backfill``: a new model's vectors, made while the old one serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from search_api.cli import output
from search_api.cli.ingest import require_models
from search_api.cli.reindex import publish_changes
from search_api.cli.workspace import (
    collection_option,
    decode_workers,
    ingest_run_budget,
    json_option,
    open_workspace,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from encoders.encoder import EncoderIdentity
    from indexer.backfill import BackfillPlan, BackfillReport
    from indexer.catalog.catalog import Catalog
    from indexer.data_dir import DataDir
    from indexer.encoder_leftovers import Leftover
    from indexer.reindex_report import ReindexReport
    from search_api.cli.workspace import Workspace

MAX_LISTED = 20
"""Items shown in the terminal; ``--json`` lists all of them."""


@click.command()
@collection_option
@click.option("--check", is_flag=True, help="Only say what is missing, and whose originals are.")
@click.option(
    "--abandon",
    is_flag=True,
    help="Drop vectors of models that neither the collection names nor an index was made by.",
)
@click.option("--no-publish", is_flag=True, help="Leave the live index as it is.")
@click.option("--force", is_flag=True, help="Switch although items or the gate speak against it.")
@json_option
def backfill(
    collection: str, check: bool, abandon: bool, no_publish: bool, force: bool, as_json: bool
) -> int:
    """Encode every item with the models that the collection names now, then switch to them.

    The live index, and servers, go on with the old models until the new index is published. Items
    whose originals are gone are listed before; with any of those, nothing is switched unasked.

    To give up: let the collection name the old models again, and --abandon drops what was made.
    """
    if abandon and (check or no_publish or force):
        raise click.UsageError("--abandon goes alone")
    from indexer.backfill import backfill as run_backfill
    from indexer.backfill import catch_up, plan_backfill, require_originals
    from indexer.encoder_leftovers import drop_leftovers, find_leftovers
    from indexer.lock import writer_lock
    from indexer.pipeline import IngestOptions

    with open_workspace(collection, run_budget=ingest_run_budget()) as work:
        if check:
            plan = plan_backfill(work.catalog, work.config, work.loader)
            _print_plan(plan, find_leftovers(*_stored(work)), as_json)
            return 0
        with writer_lock(work.data_dir, work.config.name, "kindred backfill") as lease:
            if abandon:
                _print_dropped(drop_leftovers(*_stored(work)), as_json)
                return 0
            require_models(work.config, work.loader)
            options = IngestOptions(num_decode_workers=decode_workers())
            with output.ingest_progress(quiet=as_json) as on_progress:
                report = run_backfill(work.catalog, work.config, work.loader, options, on_progress)
            published, num_late = None, 0
            if not no_publish:
                if not force:
                    require_originals(report.plan)
                published = publish_changes(work, lease, if_changed=True, force=force)
                num_late = catch_up(work.catalog, work.config, work.loader, options)
    _print_report(report, published, num_late, as_json)
    return 0


def _stored(work: Workspace) -> tuple[Catalog, DataDir, str, Mapping[str, EncoderIdentity]]:
    """Return what leftovers are looked for in, and the encoders that are needed."""
    from indexer.pipeline import channel_identities

    identities = channel_identities(work.config, work.loader)
    return work.catalog, work.data_dir, work.config.name, identities


def _print_dropped(found: Sequence[Leftover], as_json: bool) -> None:
    if as_json:
        output.print_json({"dropped": [each.as_json() for each in found]})
        return
    for each in found:
        click.echo(
            f"  {each.channel}: dropped vectors of {each.items - each.only} items by "
            f"{each.encoder_id}"
        )
        if each.only:
            click.echo(
                f"    kept {each.only} of which nothing else is encoded: run `kindred backfill`"
            )
    if not found:
        click.echo("nothing is left over: all vectors are of models that are named or served")


def _print_plan(plan: BackfillPlan, left_over: Sequence[Leftover], as_json: bool) -> None:
    if as_json:
        output.print_json({**plan.as_json(), "left_over": [each.as_json() for each in left_over]})
        return
    _print_coverage(plan)
    click.echo(
        f"to encode: {len(plan.rewordings)} from stored words, {len(plan.originals)} from originals"
    )
    _print_gone(plan)
    for each in left_over:
        click.echo(
            f"left over in {each.channel}: vectors of {each.items} items by {each.encoder_id}, "
            f"{each.bytes:,} bytes, which no index and no collection names; --abandon drops them"
        )


def _print_report(
    report: BackfillReport, published: ReindexReport | None, num_late: int, as_json: bool
) -> None:
    if as_json:
        shown = published.as_json() if published else None
        output.print_json({**report.as_json(), "published": shown, "late": num_late})
        return
    counts = report.ingested.counts
    click.echo(
        f"{report.num_from_words} encoded from stored words, {counts['encoded']} from originals, "
        f"{counts['failed']} failed"
    )
    for failed in report.ingested.failures[:MAX_LISTED]:
        click.echo(f"  failed: {failed.location}: {failed.reason}: {failed.detail}")
    _print_coverage(report.plan)
    _print_gone(report.plan)
    if published:
        click.echo(published.sentence())
    if num_late:
        click.echo(f"{num_late} items that were written meanwhile were encoded, too")


def _print_coverage(plan: BackfillPlan) -> None:
    for name, found in plan.coverage.items():
        num_items = found.current_items + found.other_items
        click.echo(f"  {name}: {found.current_items} of {num_items} items are encoded")


def _print_gone(plan: BackfillPlan) -> None:
    if not plan.gone:
        return
    click.echo(f"{len(plan.gone)} items cannot be encoded again, their originals are gone:")
    for gone in plan.gone[:MAX_LISTED]:
        click.echo(f"  {gone.item_id}: {gone.location} ({', '.join(gone.channels)})")
    if len(plan.gone) > MAX_LISTED:
        click.echo(f"  … and {len(plan.gone) - MAX_LISTED} more; --json lists all")
