"""Where an item is cut into segments: arithmetic on times and words, no decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from encoders.config import SegmentsConfig, config_digest
from encoders.media.content import Segment, Utterance, Word
from encoders.media.sentences import ends_sentence
from encoders.media.words import WORD

ALGORITHM_VERSION = 2
"""Raised whenever the same configuration would cut differently, so that old vectors are not reused.
"""

SENTENCE_PAUSE_SECONDS = 1.0
"""A pause that ends a sentence although no full stop says so."""

MIN_NEW_SECONDS = 1e-6
"""A last window that would add less than this to the one before is left out: rounding, not sound.
"""


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
    bounds = [*(match.start() for match in WORD.finditer(said.text)), len(said.text)]
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
