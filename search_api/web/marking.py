"""Words of a question inside found text: marked, and shown with what stands around them."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")

_COMMON = (
    "a an and are as at be by for from how i in is it its of on or that the this to was what when "
    "where which who will with der die das und ein eine ist im in mit von zu le la les et un une "
    "de des du el los las y"
)
COMMON_WORDS = frozenset(_COMMON.split())
"""Words that would be marked everywhere and say nothing."""

MIN_STEM_CHARS = 4
MAX_ENDING_CHARS = 3
"""Two words are taken for forms of one when the shorter begins the longer and so few letters
follow.
"""

CHARS_BEFORE = 80
"""How much is shown before the first marked word."""


@dataclass(frozen=True, slots=True)
class Run:
    """Some text, marked or not."""

    text: str
    is_marked: bool


def question_words(text: str) -> frozenset[str]:
    """Return the words of a question that are worth marking."""
    words = frozenset(match[0].casefold() for match in _WORD.finditer(text))
    return frozenset(word for word in words - COMMON_WORDS if len(word) > 1)


def marked(text: str, words: Set[str]) -> list[Run]:
    """Return ``text`` in pieces, those marked that are forms of ``words``."""
    runs: list[Run] = []
    position = 0
    for match in _WORD.finditer(text):
        if not _is_form_of_any(match[0].casefold(), words):
            continue
        if match.start() > position:
            runs.append(Run(text[position : match.start()], is_marked=False))
        runs.append(Run(match[0], is_marked=True))
        position = match.end()
    if position < len(text):
        runs.append(Run(text[position:], is_marked=False))
    return runs


def excerpt(text: str, words: Set[str], max_chars: int) -> str:
    """Return at most about ``max_chars`` of ``text``, around the first of ``words`` in it.

    What is left out is shown as an ellipsis; words stay whole.
    """
    text = " ".join(text.split())
    if len(text) <= max_chars:
        return text
    places = (
        match.start()
        for match in _WORD.finditer(text)
        if _is_form_of_any(match[0].casefold(), words)
    )
    start = max(0, next(places, 0) - CHARS_BEFORE)
    start = min(start, len(text) - max_chars)
    if start > 0:
        start = text.find(" ", start) + 1 or start
    stop = start + max_chars
    if stop < len(text):
        space = text.rfind(" ", start, stop)
        stop = space if space > start else stop
    before = "… " if start > 0 else ""
    after = " …" if stop < len(text) else ""
    return f"{before}{text[start:stop]}{after}"


def _is_form_of_any(word: str, words: Set[str]) -> bool:
    # Looked up instead of compared with each: a long question must not make long texts slow.
    stems = _stems(word)
    return word in words or not words.isdisjoint(stems) or word in _stems_of_all(frozenset(words))


@lru_cache(maxsize=64)
def _stems_of_all(words: frozenset[str]) -> frozenset[str]:
    return frozenset(stem for word in words for stem in _stems(word))


def _stems(word: str) -> list[str]:
    """Return the shorter words that ``word`` may be a form of."""
    shortest = max(MIN_STEM_CHARS, len(word) - MAX_ENDING_CHARS)
    return [word[:length] for length in range(shortest, len(word))]
