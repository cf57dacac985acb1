"""The words of an item on its page: what is said in it, or the passages of a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from encoders.config import PassageSegments
from encoders.media.content import Transcript
from indexer.catalog.records import ItemRecord
from indexer.config import CollectionConfig
from indexer.live_view import LiveView
from search_api.web.cards import Passage, clock, heading_and_body
from search_api.web.marking import Run, marked, question_words

MAX_PASSAGES = 400
"""What a page shows of a text; the rest is in the file."""

MAX_LINKED_CHARS = 200
"""Longer questions are left out of the links to lines, of which a page may have thousands."""


@dataclass(frozen=True, slots=True)
class Line:
    """Something said, and when."""

    clock: str
    start_seconds: float
    href: str
    """The same page at this moment."""

    runs: list[Run]


@dataclass(frozen=True, slots=True)
class ShownText:
    """A text as its page shows it."""

    passages: Sequence[Passage] = ()

    is_whole: bool = True
    """Whether nothing had to be left out at the end."""


def shown_lines(transcript: Transcript, text: str) -> list[Line]:
    """Return what is said in an item, the words of ``text`` marked."""
    words = question_words(text)
    question = [("q", text)] if 0 < len(text) <= MAX_LINKED_CHARS else []
    return [
        Line(
            clock=clock(utterance.start_seconds),
            start_seconds=round(utterance.start_seconds, 2),
            href="?" + urlencode([("t", f"{utterance.start_seconds:.2f}"), *question]),
            runs=marked(utterance.text, words),
        )
        for utterance in transcript.utterances
    ]


def shown_text(view: LiveView, config: CollectionConfig, item: ItemRecord, text: str) -> ShownText:
    """Return the passages of a text in order, the words of ``text`` marked; none for other media.

    They are read where they are searched, so that the page shows what was found. What neighbours
    share is shown once.
    """
    row = view.item_row(item.item_id) if item.medium == "text" else None
    if row is None:
        return ShownText()
    words = question_words(text)
    for name, channel in config.channels_for("text").items():
        if channel.fields:
            continue
        rows = view.segment_rows(name, row)
        if len(rows):
            texts = filter(None, view.segments(name, rows[:MAX_PASSAGES]).texts)
            cut = channel.segments
            overlap_words = cut.overlap_words if isinstance(cut, PassageSegments) else 0
            return ShownText(
                [
                    Passage(heading, marked(body, words))
                    for heading, body in joined_passages(texts, overlap_words)
                ],
                is_whole=len(rows) <= MAX_PASSAGES,
            )
    return ShownText()


def joined_passages(texts: Iterable[str], overlap_words: int) -> list[tuple[str, str]]:
    """Return heading and body of passages, without what each repeats of the one before it.

    Args:
        texts: passages in order; the first of several lines is a heading.
        overlap_words: how many words neighbours share at most. A heading that stays is empty.
    """
    joined: list[tuple[str, str]] = []
    last_heading, last_words = "", list[str]()
    for text in texts:
        heading, body = heading_and_body(text)
        continues = bool(joined) and heading == last_heading
        num_shared = _num_shared(last_words, body.split(), overlap_words) if continues else 0
        last_heading, last_words = heading, body.split()
        rest = "".join(body.split(maxsplit=num_shared)[num_shared:]).strip()
        if rest:
            joined.append(("" if continues else heading, rest))
    return joined


def _num_shared(before: Sequence[str], after: Sequence[str], most: int) -> int:
    """Return how many words ``before`` ends and ``after`` begins with, at most ``most``."""
    most = min(most, len(before), len(after))
    return next((n for n in range(most, 0, -1) if before[-n:] == after[:n]), 0)
