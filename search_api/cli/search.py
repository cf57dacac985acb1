"""``kindred search``: the same search as the server's, in this process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search_api.cli import output
from search_api.cli.workspace import Workspace, collection_option, json_option, open_workspace

if TYPE_CHECKING:
    from search_api.schemas import Hit, SearchResponse

MAX_TEXT_SHOWN = 90


@click.command()
@click.argument("text", required=False)
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Ask with a picture, a sound, a video or a text.",
)
@click.option("--item", "item_id", metavar="ID", help="Ask with an item of the collection.")
@click.option("--modality", metavar="M,…", help="Only image, audio, video or text.")
@click.option("--channel", metavar="C,…", help="Search only these channels.")
@click.option("--filter", "filter_json", metavar="JSON", help="Only items whose attributes fit.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 200))
@collection_option
@json_option
def search(
    text: str | None,
    file: Path | None,
    item_id: str | None,
    modality: str | None,
    channel: str | None,
    filter_json: str | None,
    limit: int,
    collection: str,
    as_json: bool,
) -> int:
    """Find what matches words, a file, or an item.

    TEXT is what you are looking for, in words.
    """
    given = [value for value in (text, file, item_id) if value is not None]
    if len(given) != 1:
        raise click.UsageError("give exactly one of TEXT, --file and --item")
    if text is not None and not text.strip():
        raise click.UsageError("TEXT holds no words")
    options: dict[str, Any] = {"limit": limit}
    if modality:
        options["modalities"] = _names(modality)
    if channel:
        options["channels"] = _names(channel)
    if filter_json:
        options["filter"] = _parsed_filter(filter_json)
    query = {"text": text} if text is not None else {"item_id": item_id}
    with open_workspace(collection) as work:
        answer = run_search(work, options, file=file, query=None if file else query)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(answer))
    else:
        print_hits(answer)
    return 0


def run_search(
    work: Workspace,
    options: dict[str, Any],
    *,
    query: dict[str, Any] | None = None,
    file: Path | None = None,
) -> SearchResponse:
    """Search in this process.

    Args:
        work: the open collection.
        options: the fields of `SearchOptions`.
        query: the fields of `Query`, unless ``file`` asks.
        file: a picture, sound, video or text that asks.

    Raises:
        InvalidRequest: an option has a value that it cannot have.
    """
    import msgspec

    from encoders.media.sandbox import DecodeSandbox
    from search_api.errors import InvalidRequest
    from search_api.query_vectors import LocalQueryEncoder
    from search_api.schemas import MediaSearchRequest, SearchRequest
    from search_api.searcher import Searcher

    live = work.live()
    with DecodeSandbox() as sandbox:
        searcher = Searcher(
            work.config, live.view, LocalQueryEncoder(work.loader, work.config, sandbox)
        )
        try:
            if file is not None:
                asked = msgspec.convert(options, MediaSearchRequest)
                return asyncio.run(searcher.search_file(file, asked))
            request = msgspec.convert({**options, "query": query}, SearchRequest)
        except msgspec.ValidationError as error:
            raise InvalidRequest(str(error)) from error
        return asyncio.run(searcher.search(request))


def print_hits(answer: SearchResponse) -> None:
    """Print hits as a table, best first."""
    if not answer.hits:
        click.echo("nothing found")
        return
    shown = output.table("", "score", "medium", "item", "where", "best moment")
    shown.columns[3].no_wrap = True  # an id is there to be copied
    for rank, hit in enumerate(answer.hits, 1):
        shown.add_row(
            str(rank), f"{hit.score:.4f}", hit.modality, hit.item_id, hit.location, _best(hit)
        )
    output.console().print(shown)
    hits = "1 hit" if len(answer.hits) == 1 else f"{len(answer.hits)} hits"
    click.echo(f"{hits} in {answer.took_ms:.0f} ms, snapshot {answer.snapshot}")


def _best(hit: Hit) -> str:
    moment = hit.moments[0]
    parts = [f"{moment.channel} {moment.score:.3f}"]
    if moment.start_seconds is not None:
        start, stop = output.clock(moment.start_seconds), output.clock(moment.stop_seconds)
        parts.append(start if start == stop else f"{start}-{stop}")
    if isinstance(moment.text, str):
        text = " ".join(moment.text.split())
        parts.append(text if len(text) <= MAX_TEXT_SHOWN else f"{text[:MAX_TEXT_SHOWN]}…")
    return " · ".join(parts)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _parsed_filter(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--filter is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError("--filter takes a JSON object")
    return value
