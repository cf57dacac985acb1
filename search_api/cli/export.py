"""``kindred export``: what was made of an item, for other programs."""

from __future__ import annotations

import click

from search_api.cli import output
from search_api.cli.workspace import collection_option, json_option, open_workspace


@click.command()
@click.option(
    "--transcript", "item_id", metavar="ID", required=True, help="What is said in an item."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["srt", "vtt", "text"]),
    default="srt",
    show_default=True,
    help="SubRip, WebVTT, or the words alone.",
)
@collection_option
@json_option
def export(item_id: str, form: str, collection: str, as_json: bool) -> int:
    """Print a transcript: SubRip, WebVTT, plain words, or with --json every word with its time."""
    from encoders.media import transcript_text
    from search_api.errors import ItemNotFound, NoTranscript

    with open_workspace(collection) as work:
        name = work.config.name
        transcript = work.catalog.transcript(name, item_id)
        if transcript is None:
            if work.catalog.item(name, item_id) is None:
                raise ItemNotFound(f"collection {name} has no item {item_id!r}", item_id=item_id)
            raise NoTranscript(
                f"item {item_id!r} has no transcript: it has no sound, or was taken in without "
                "a channel of speech",
                item_id=item_id,
            )
    if as_json:
        output.print_json(transcript_text.transcript_json(transcript))
        return 0
    write = {
        "srt": transcript_text.transcript_srt,
        "vtt": transcript_text.transcript_vtt,
        "text": transcript_text.transcript_plain,
    }[form]
    click.echo(write(transcript), nl=False)
    return 0
