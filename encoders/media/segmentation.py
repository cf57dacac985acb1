"""Where an item is cut into segments: arithmetic on times and words, no decoding."""

from __future__ import annotations

import re
from collections.abc import Sequence

from encoders.config import SegmentsConfig, config_digest
from encoders.media.content import Document

ALGORITHM_VERSION = 1
"""Raised whenever the same configuration would cut differently, so that old vectors are not reused.
"""

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


def passages(document: Document, max_words: int, overlap_words: int) -> list[str]:
    """Cut a document into passages of at most ``max_words`` words.

    Short neighbouring paragraphs share a passage; records never do. A longer block is cut into
    passages that share ``overlap_words`` words, the last one aligned to its end.

    Args:
        document: blocks in reading order.
        max_words: at most so many words in a passage; a Chinese or Japanese character counts as
            one.
        overlap_words: smaller than ``max_words``.

    Returns:
        Passages in reading order, as they are written in the document.
    """
    found: list[str] = []
    pending: list[str] = []
    num_pending_words = 0
    for block in document.blocks:
        num_words = count_words(block)
        fits = not document.blocks_are_records and num_pending_words + num_words <= max_words
        if pending and not fits:
            found.append("\n".join(pending))
            pending, num_pending_words = [], 0
        if num_words > max_words:
            found.extend(_cut_block(block, max_words, overlap_words))
        elif num_words > 0:
            pending.append(block)
            num_pending_words += num_words
    if pending:
        found.append("\n".join(pending))
    return found


def count_words(text: str) -> int:
    """Return how many words `passages` sees in ``text``."""
    return sum(1 for _ in _WORD.finditer(text))


def segmentation_id(config: SegmentsConfig, *, fields: Sequence[str] = ()) -> str:
    """Return 16 hex digits that change when the same item would be cut differently.

    Args:
        config: of the channel.
        fields: the attributes a channel encodes instead of the content, in order.
    """
    return config_digest({"version": ALGORITHM_VERSION, "cut": config, "fields": list(fields)})


def _cut_block(block: str, max_words: int, overlap_words: int) -> list[str]:
    spans = [match.span() for match in _WORD.finditer(block)]
    hop_words = max_words - overlap_words
    starts = list(range(0, len(spans) - max_words, hop_words))
    starts.append(len(spans) - max_words)
    return [block[spans[start][0] : spans[start + max_words - 1][1]] for start in starts]
