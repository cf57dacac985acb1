"""From words with times to utterances: pure arithmetic on words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from encoders.media.content import Utterance, Word
from encoders.media.sentences import ends_sentence

CLAUSE_ENDS = frozenset(",;:、，；：—–")  # noqa: RUF001
CLOSING_MARKS = "\"'”’»)]"  # noqa: RUF001

MIN_SENTENCE_WORDS = 4
"""A shorter sentence is joined to its neighbour: "Yes." alone says little."""

MAX_PAUSE_SECONDS = 1.5
"""A longer pause between two words ends an utterance in the middle of a sentence too."""

UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my"})
"""Written without spaces between words."""


def utterance_parameters() -> dict[str, object]:
    """Return the JSON-ready parameters that decide where utterances end."""
    return {
        "version": 1,
        "min_sentence_words": MIN_SENTENCE_WORDS,
        "max_pause_seconds": MAX_PAUSE_SECONDS,
    }


def utterances(
    words: Sequence[Word], language: str | None, *, max_seconds: float
) -> list[Utterance]:
    """Return words as utterances: sentences, or what is said between two pauses.

    Args:
        words: in order of time.
        language: ISO 639-1 code; it decides whether words are written apart.
        max_seconds: longer utterances are cut again, at the end of a clause or the longest pause,
            and a word that is timed longer than this ends early.
    """
    bounded = [
        replace(word, stop_seconds=min(word.stop_seconds, word.start_seconds + max_seconds))
        for word in words
    ]
    separator = "" if language in UNSPACED_LANGUAGES else " "
    return [
        _utterance(part, separator)
        for sentence in _sentences(bounded)
        for part in _parts(sentence, max_seconds)
    ]


def _utterance(words: Sequence[Word], separator: str) -> Utterance:
    text = separator.join(word.text for word in words)
    return Utterance(text, words[0].start_seconds, words[-1].stop_seconds, tuple(words))


def _sentences(words: Sequence[Word]) -> list[list[Word]]:
    """Return the words between sentence ends and long pauses."""
    sentences: list[list[Word]] = []
    begins = True
    for word in words:
        if sentences and _pause_seconds(sentences[-1][-1], word) > MAX_PAUSE_SECONDS:
            begins = True
        if begins:
            sentences.append([])
        sentences[-1].append(word)
        begins = len(sentences[-1]) >= MIN_SENTENCE_WORDS and ends_sentence(word.text)
    return sentences


def _parts(words: list[Word], max_seconds: float) -> list[list[Word]]:
    """Return ``words`` cut in two until every part is at most ``max_seconds`` long."""
    if len(words) < 2 or words[-1].stop_seconds - words[0].start_seconds <= max_seconds:
        return [words]
    # The best cut of those in the middle half, where both parts are worth something.
    quarter = len(words) // 4
    cut = max(
        range(max(1, quarter), max(2, len(words) - quarter)),
        key=lambda at: (
            ends_sentence(words[at - 1].text),
            _ends_clause(words[at - 1]),
            _pause_seconds(words[at - 1], words[at]),
        ),
    )
    return _parts(words[:cut], max_seconds) + _parts(words[cut:], max_seconds)


def _pause_seconds(before: Word, after: Word) -> float:
    return after.start_seconds - before.stop_seconds


def _ends_clause(word: Word) -> bool:
    return word.text.rstrip(CLOSING_MARKS)[-1:] in CLAUSE_ENDS
