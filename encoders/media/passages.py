"""Documents cut into passages: headings kept, sentences whole, captions with their times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from encoders.media.content import Block, Document, Segment
from encoders.media.sentences import ends_sentence, sentence_spans
from encoders.media.words import WORD, count_words

MAX_HEADING_SHARE = 4
"""Headings take at most this fraction of a passage: a quarter."""

CAPTION_PAUSE_SECONDS = 4.0
"""Captions that are further apart do not share a passage."""


def passages(document: Document, max_words: int, overlap_words: int) -> list[Segment]:
    """Cut a document into passages of at most ``max_words`` words.

    A passage begins with the headings it stands under and never crosses one. Short neighbouring
    paragraphs share a passage; records never do. A longer block is cut where sentences end, and
    neighbours share whole sentences of up to ``overlap_words`` words; a sentence that is too long
    itself is cut between words, the last part aligned to its end. Captions carry their times and
    are packed until a pause, or until as many sentences as fit have ended.

    ::

        # Guide                      Guide > Install        Guide > Install
        ## Install                   First paragraph.       Third one, which is longer. It has
        First paragraph.             Second paragraph.      several sentences.
        Second paragraph.
        Third one, which is …

    Args:
        document: blocks in reading order.
        max_words: at most so many words in a passage, its headings included; a Chinese or Japanese
            character counts as one.
        overlap_words: smaller than ``max_words``.

    Returns:
        Passages in reading order, as they are written in the document.
    """
    found: list[Segment] = []
    headings: list[Block] = []  # those that are open, shortened
    body: list[Block] = []

    def close() -> None:
        heading = _heading_line(headings, max_words // MAX_HEADING_SHARE)
        budget = max_words - count_words(heading)
        overlap = min(overlap_words, budget - 1)
        found.extend(
            replace(part, text=f"{heading}\n{part.text}" if heading else part.text)
            for part in _packed(body, document.blocks_are_records, budget, overlap)
        )
        body.clear()

    stands_alone = False
    for block in document.blocks:
        if not block.heading_level:
            body.append(block)
            stands_alone = False
            continue
        close()
        if stands_alone and block.heading_level <= headings[-1].heading_level:
            found.append(Segment(text=_heading_line(headings, max_words)))
        while headings and headings[-1].heading_level >= block.heading_level:
            headings.pop()
        # One word too many still tells that it does not fit, without all of it being counted again
        # for each heading below.
        headings.append(replace(block, text=_first_words(block.text, max_words + 1)))
        stands_alone = True
    close()
    if stands_alone:
        found.append(Segment(text=_heading_line(headings, max_words)))
    return found


def _heading_line(headings: Sequence[Block], max_words: int) -> str:
    """Return the path of open headings in one line; the outer ones go first when it is too long."""
    for first in range(len(headings)):
        line = " > ".join(heading.text for heading in headings[first:])
        if count_words(line) <= max_words:
            return line
    return _first_words(headings[-1].text, max_words) if headings else ""


def _first_words(text: str, num_words: int) -> str:
    """Return the beginning of ``text``, at most so many words, in one line."""
    stop = 0
    for match in islice(WORD.finditer(text), num_words):
        stop = match.end()
    return " ".join(text[:stop].split())


def _packed(
    blocks: Sequence[Block], are_records: bool, max_words: int, overlap_words: int
) -> Iterator[Segment]:
    """Yield blocks that stand under the same headings as passages without these."""
    pending: list[Block] = []
    num_pending_words = 0
    for block in blocks:
        num_words = count_words(block.text)
        while pending:
            is_full = are_records or num_pending_words + num_words > max_words
            if not is_full and _follows(pending[-1], block):
                break
            stop = _end_of_sentences(pending) if _follows(pending[-1], block) else len(pending)
            yield _passage(pending[:stop])
            num_pending_words -= sum(count_words(each.text) for each in pending[:stop])
            pending = pending[stop:]
        if num_words > max_words:
            for text in _cut_block(block.text, max_words, overlap_words):
                yield Segment(block.start_seconds, block.stop_seconds, text)
        elif num_words > 0:
            pending.append(block)
            num_pending_words += num_words
    if pending:
        yield _passage(pending)


def _end_of_sentences(blocks: Sequence[Block]) -> int:
    """Return how many blocks a passage takes: captions up to the last that ends a sentence."""
    for num_blocks in range(len(blocks), 0, -1):
        is_caption = blocks[num_blocks - 1].start_seconds is not None
        if not is_caption or ends_sentence(blocks[num_blocks - 1].text):
            return num_blocks
    return len(blocks)


def _follows(block: Block, following: Block) -> bool:
    """Tell whether there is no pause between two captions; text without time has none."""
    if block.stop_seconds is None or following.start_seconds is None:
        return True
    return following.start_seconds - block.stop_seconds <= CAPTION_PAUSE_SECONDS


def _passage(blocks: Sequence[Block]) -> Segment:
    starts = [block.start_seconds for block in blocks if block.start_seconds is not None]
    stops = [block.stop_seconds for block in blocks if block.stop_seconds is not None]
    return Segment(
        start_seconds=min(starts, default=None),
        stop_seconds=max(stops, default=None),
        text=(" " if starts else "\n").join(block.text for block in blocks),
    )


def _cut_block(block: str, max_words: int, overlap_words: int) -> Iterator[str]:
    """Yield runs of whole sentences; sentences that are too long are cut between words."""
    sentences: list[tuple[int, int, int]] = []
    for start, stop in sentence_spans(block):
        num_words = count_words(block[start:stop])
        if num_words <= max_words:
            if sum(words for *_, words in sentences) + num_words > max_words:
                yield block[sentences[0][0] : sentences[-1][1]]
                sentences = _overlap(sentences, min(overlap_words, max_words - num_words))
            sentences.append((start, stop, num_words))
            continue
        if sentences:
            yield block[sentences[0][0] : sentences[-1][1]]
            sentences = []
        yield from _cut_sentence(block[start:stop], max_words, overlap_words)
    if sentences:
        yield block[sentences[0][0] : sentences[-1][1]]


def _overlap(
    sentences: Sequence[tuple[int, int, int]], max_words: int
) -> list[tuple[int, int, int]]:
    """Return the last sentences that together have at most ``max_words`` words."""
    first, num_words = len(sentences), 0
    while first and num_words + sentences[first - 1][2] <= max_words:
        first -= 1
        num_words += sentences[first][2]
    return list(sentences[first:])


def _cut_sentence(sentence: str, max_words: int, overlap_words: int) -> list[str]:
    spans = [match.span() for match in WORD.finditer(sentence)]
    hop_words = max_words - overlap_words
    starts = list(range(0, len(spans) - max_words, hop_words))
    starts.append(len(spans) - max_words)
    return [sentence[spans[start][0] : spans[start + max_words - 1][1]] for start in starts]
