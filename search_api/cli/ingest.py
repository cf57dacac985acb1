"""``kindred ingest``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search_api.cli import output
from search_api.cli.reindex import publish_changes
from search_api.cli.termination import ended_by_sigterm
from search_api.cli.workspace import (
    collection_option,
    decode_workers,
    ingest_run_budget,
    json_option,
    open_workspace,
)

if TYPE_CHECKING:
    from encoders.loading import EncoderLoader
    from indexer.config import CollectionConfig
    from indexer.outcomes import IngestSummary
    from indexer.reindex_report import ReindexReport

MAX_LISTED = 20
"""Failures shown in the terminal; ``kindred failures`` lists all of them."""


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH…")
@collection_option
@click.option(
    "--attributes",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="CSV, JSONL or Parquet with attributes, keyed by a column `path` or `item_id`.",
)
@click.option(
    "--runner",
    type=click.Choice(["local"]),
    default="local",
    show_default=True,
    help="Where to decode and encode.",
)
@click.option("--no-publish", is_flag=True, help="Leave the live index as it is.")
@click.option("--prune", is_flag=True, help="Remove items whose file below PATH is gone.")
@click.option("--force", is_flag=True, help="Prune and publish in spite of the guards.")
@click.option("--strict", is_flag=True, help="Exit with 1 when an item failed.")
@json_option
def ingest(
    paths: tuple[Path, ...],
    collection: str,
    attributes: Path | None,
    runner: str,
    no_publish: bool,
    prune: bool,
    force: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """Take in files and folders, then publish what is new.

    PATH is a file, a folder, or @LIST for a file that lists one path a line. What is already
    known and unchanged is not decoded again; a file that moved keeps its id.
    """
    from indexer.errors import Refused
    from indexer.lock import writer_lock
    from indexer.pipeline import IngestOptions
    from indexer.pipeline import ingest as run_ingest

    options = IngestOptions(attributes, prune, force, decode_workers())
    with (
        ended_by_sigterm(),
        open_workspace(collection, run_budget=ingest_run_budget()) as work,
        writer_lock(work.data_dir, work.config.name, "kindred ingest") as lease,
    ):
        require_models(work.config, work.loader)
        with output.ingest_progress(quiet=as_json) as on_progress:
            summary = run_ingest(
                paths, work.catalog, work.config, work.loader, options, on_progress
            )
        started = time.perf_counter()
        try:
            report = (
                None if no_publish else publish_changes(work, lease, if_changed=True, force=force)
            )
        except Refused as refused:
            # What was taken in stays in the catalog, so it is told beside the refusal.
            if as_json:
                refused.detail["ingest"] = summary.as_json()
            else:
                _print_summary(summary, None, as_json)
            raise
        summary.stages["publish"] = time.perf_counter() - started
    _print_summary(summary, report, as_json)
    return int(strict and summary.counts["failed"] > 0)


def require_models(config: CollectionConfig, loader: EncoderLoader) -> None:
    """Refuse to start when weights that the collection needs are not there.

    Raises:
        ModelMissing: naming the model and how to fetch it.
    """
    from encoders.models.lookup import required_models

    for channel in config.channels.values():
        for name in required_models(channel.encoder):
            loader.models.require(name)


def _print_summary(summary: IngestSummary, report: ReindexReport | None, as_json: bool) -> None:
    if as_json:
        published = report.as_json() if report else None
        output.print_json({**summary.as_json(), "published": published})
        return
    counts = summary.counts
    click.echo(
        f"{summary.planned} planned = {counts['encoded']} encoded + {counts['unchanged']} unchanged"
        f" + {counts['moved']} moved + {counts['failed']} failed + {counts['skipped']} skipped"
        f" · {summary.segments} new segments · {summary.seconds:.1f} s"
    )
    if summary.removed:
        click.echo(f"{summary.removed} removed: their files are gone")
    if summary.missing:
        click.echo(f"{summary.missing} items have no file any more; --prune removes them")
    if summary.num_unused_attribute_rows:
        click.echo(
            f"{summary.num_unused_attribute_rows} rows of the attribute file match no file here"
        )
    for title, listed in (("failed", summary.failures), ("skipped", summary.skipped)):
        for file in listed[:MAX_LISTED]:
            click.echo(f"  {title}: {file.location}: {file.reason}: {file.detail}")
        if len(listed) > MAX_LISTED:
            click.echo(f"  … and {len(listed) - MAX_LISTED} more; see `kindred failures`")
    if report:
        click.echo(report.sentence())
