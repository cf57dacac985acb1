"""``kindred reindex``, and publishing at the end of ``kindred ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from search_api.cli import output
from search_api.cli.metrics_file import written_metrics
from search_api.cli.termination import ended_by_sigterm
from search_api.cli.workspace import (
    Workspace,
    collection_option,
    json_option,
    open_workspace,
)

if TYPE_CHECKING:
    from indexer.lock import Lease
    from indexer.reindex_report import ReindexReport


@click.command()
@collection_option
@click.option("--if-changed", is_flag=True, help="Do nothing when the live index is up to date.")
@click.option("--force", is_flag=True, help="Publish even when the gate says no.")
@click.option(
    "--metrics-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write how it went for Prometheus, in a folder that node_exporter reads (*.prom).",
)
@json_option
def reindex(
    collection: str, if_changed: bool, force: bool, metrics_file: Path | None, as_json: bool
) -> int:
    """Build a new index from the stored vectors, check it, and publish it.

    For nightly jobs: with --if-changed and --json it prints one line. Exit codes: 0 published or up
    to date, 1 failed, 2 wrong usage, 3 refused (lock, lease, gate, free space); the live index
    stays as it was unless it is 0.
    """
    from indexer.lock import writer_lock

    if metrics_file is not None and not metrics_file.parent.is_dir():
        raise click.UsageError(f"--metrics-file: no folder {metrics_file.parent}")
    with (
        ended_by_sigterm(),
        written_metrics(metrics_file, collection) as metrics,
        open_workspace(collection) as work,
        writer_lock(work.data_dir, work.config.name, "kindred reindex") as lease,
    ):
        work.catalog.register_collection(work.config)
        report = publish_changes(work, lease, if_changed=if_changed, force=force)
        if metrics is not None:
            metrics.take(report)
    if as_json:
        output.print_json(report.as_json())
    else:
        click.echo(report.sentence())
    return 0


def publish_changes(
    work: Workspace, lease: Lease, *, if_changed: bool, force: bool
) -> ReindexReport:
    """Build a snapshot of a command's collection and publish it if the gate agrees."""
    from indexer.pipeline import channel_identities
    from indexer.reindex import reindex as run_reindex

    identities = channel_identities(work.config, work.loader)
    return run_reindex(
        work.catalog,
        work.data_dir,
        work.config,
        identities,
        if_changed=if_changed,
        force=force,
        lease=lease,
    )
