"""The words of an item on its page: what is said in it, or the passages of a text."""

from __future__ import annotations

from dataclasses import dataclass

from encoders.media.content import Transcript
from indexer.catalog.records import ItemRecord
from indexer.config import CollectionConfig
from indexer.live_view import LiveView
from search_api.web.cards import Passage, clock, item_url
from search_api.web.marking import Run, marked, question_words

MAX_PASSAGES = 400


@dataclass(frozen=True, slots=True)
class Line:
    """Something said, and when."""

    clock: str
    start_seconds: float
    href: str
    runs: list[Run]


def shown_lines(transcript: Transcript, item_id: str, text: str) -> list[Line]:
    """Return what is said in an item, the words of ``text`` marked."""
    words = question_words(text)
    return [
        Line(
            clock=clock(utterance.start_seconds),
            start_seconds=round(utterance.start_seconds, 2),
            href=item_url(item_id, text=text, at_seconds=round(utterance.start_seconds, 2)),
            runs=marked(utterance.text, words),
        )
        for utterance in transcript.utterances
    ]


def shown_passages(
    view: LiveView, config: CollectionConfig, item: ItemRecord, text: str
) -> list[Passage]:
    """Return the passages of a text in order, the words of ``text`` marked; none for other media.

    They are read where they are searched, so that the page shows what was found.
    """
    row = view.item_row(item.item_id) if item.medium == "text" else None
    if row is None:
        return []
    words = question_words(text)
    for name, channel in config.channels_for("text").items():
        if channel.fields:
            continue
        rows = view.segment_rows(name, row)
        if len(rows):
            texts = view.segments(name, rows[:MAX_PASSAGES]).texts
            return [_passage(each, words) for each in texts if each]
    return []


def _passage(text: str, words: frozenset[str]) -> Passage:
    heading, _, body = text.strip().partition("\n")
    if not body.strip():
        heading, body = "", heading
    return Passage(heading.strip(), marked(body.strip(), words))
