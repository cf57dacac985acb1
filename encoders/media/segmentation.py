"""Where an item is cut into segments: arithmetic on times and words, no decoding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, islice, pairwise

from encoders.config import SegmentsConfig, config_digest
from encoders.media.content import Block, Document, Segment, Utterance, Word
from encoders.media.sentences import ends_sentence, sentence_spans

ALGORITHM_VERSION = 2
"""Raised whenever the same configuration would cut differently, so that old vectors are not reused.
"""

MAX_HEADING_SHARE = 4
"""Headings take at most this fraction of a passage: a quarter."""

CAPTION_PAUSE_SECONDS = 4.0
"""Captions that are further apart do not share a passage."""

SENTENCE_PAUSE_SECONDS = 1.0
"""A pause that ends a sentence although no full stop says so."""

MIN_NEW_SECONDS = 1e-6
"""A last window that would add less than this to the one before is left out: rounding, not sound.
"""

# Scripts written without spaces: each character counts as a word. Other runs without a space are
# cut at 40 characters, since no word is that long and a model would drop the rest.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]{{1,40}}")


def window_ranges(
    duration_seconds: float, length_seconds: float, hop_seconds: float
) -> list[tuple[float, float]]:
    """Return the windows over a sound: equally long, the last one aligned to the end.

    ::

        0         5         10        15   18       length 10, hop 5, duration 18
        |-------------------|
                  |-------------------|
                          |-------------------|

    Args:
        duration_seconds: of the whole sound.
        length_seconds: of a window.
        hop_seconds: from one window's start to the next; at most ``length_seconds``.

    Returns:
        Half-open ``(start_seconds, stop_seconds)``. A sound no longer than one window is one
        window of its own length; a sound of no length has none.
    """
    if duration_seconds <= 0:
        return []
    if duration_seconds <= length_seconds:
        return [(0.0, duration_seconds)]
    ranges = []
    index = 0
    # Multiplied, not added up: a sum of many hops drifts.
    while (start := index * hop_seconds) + length_seconds <= duration_seconds:
        ranges.append((start, start + length_seconds))
        index += 1
    if duration_seconds - ranges[-1][1] > MIN_NEW_SECONDS:
        ranges.append((duration_seconds - length_seconds, duration_seconds))
    return ranges


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


def utterance_segments(utterances: Sequence[Utterance], max_seconds: float) -> list[Segment]:
    """Return what speech is searched by: about a sentence each.

    Captions that belong to one sentence are joined: until it ends, until a pause of
    `SENTENCE_PAUSE_SECONDS`, or while they take no more than ``max_seconds``. A longer utterance is
    cut, at the times of its words where they are known.

    Args:
        utterances: in order of their start.
        max_seconds: longest segment, but for single words that take longer.
    """
    found: list[Segment] = []
    pending: list[Utterance] = []
    parts = (part for said in utterances for part in _short_utterances(said, max_seconds))
    for said in parts:
        if pending and (
            ends_sentence(pending[-1].text)
            or said.start_seconds - pending[-1].stop_seconds >= SENTENCE_PAUSE_SECONDS
            or said.stop_seconds - pending[0].start_seconds > max_seconds
        ):
            found.append(_joined(pending))
            pending = []
        pending.append(said)
    if pending:
        found.append(_joined(pending))
    return found


def count_words(text: str) -> int:
    """Return how many words `passages` sees in ``text``."""
    return sum(1 for _ in _WORD.finditer(text))


def segmentation_id(
    config: SegmentsConfig, *, fields: Sequence[str] = (), recognizer_id: str | None = None
) -> str:
    """Return 16 hex digits that change when the same item would be cut differently.

    Args:
        config: of the channel.
        fields: the attributes a channel encodes instead of the content, in order.
        recognizer_id: what hears the words of a channel of speech.
    """
    cut: dict[str, object] = {"version": ALGORITHM_VERSION, "cut": config, "fields": list(fields)}
    return config_digest(cut if recognizer_id is None else {**cut, "recognizer": recognizer_id})


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
    for match in islice(_WORD.finditer(text), num_words):
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
    spans = [match.span() for match in _WORD.finditer(sentence)]
    hop_words = max_words - overlap_words
    starts = list(range(0, len(spans) - max_words, hop_words))
    starts.append(len(spans) - max_words)
    return [sentence[spans[start][0] : spans[start + max_words - 1][1]] for start in starts]


def _short_utterances(said: Utterance, max_seconds: float) -> Iterator[Utterance]:
    """Yield an utterance in parts of at most ``max_seconds``."""
    if said.stop_seconds - said.start_seconds <= max_seconds:
        yield said
        return
    words = _timed_words(said)
    first = 0
    for index, word in enumerate(words):
        if index > first and word.stop_seconds - words[first].start_seconds > max_seconds:
            yield _utterance(words[first:index])
            first = index
    if first < len(words):
        yield _utterance(words[first:])


def _utterance(words: Sequence[Word]) -> Utterance:
    text = "".join(word.text for word in words).strip()
    return Utterance(text, words[0].start_seconds, words[-1].stop_seconds)


def _timed_words(said: Utterance) -> list[Word]:
    """Return the words of an utterance, each with the space that follows it.

    Words without times get them in proportion to their letters.
    """
    if said.words:
        space = " " if " " in said.text else ""  # not between words of Chinese or Japanese
        return [replace(word, text=word.text + space) for word in said.words]
    bounds = [*(match.start() for match in _WORD.finditer(said.text)), len(said.text)]
    texts = [said.text[start:stop] for start, stop in pairwise(bounds)]
    num_letters = [len(text.rstrip()) for text in texts]
    seconds, total = said.stop_seconds - said.start_seconds, max(1, sum(num_letters))
    times = [
        said.start_seconds + seconds * num / total for num in accumulate(num_letters, initial=0)
    ]
    return [Word(text, *each) for text, each in zip(texts, pairwise(times), strict=True)]


def _joined(utterances: Sequence[Utterance]) -> Segment:
    return Segment(
        start_seconds=utterances[0].start_seconds,
        stop_seconds=max(said.stop_seconds for said in utterances),
        text=" ".join(" ".join(said.text.split()) for said in utterances),
    )
