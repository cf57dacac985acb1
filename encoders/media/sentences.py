"""Where sentences end: by punctuation alone, in Latin and East Asian scripts."""

from __future__ import annotations

import re

# Quotation marks and brackets after a full stop, Latin and East Asian, belong to the sentence.
_CLOSING = "\"'\u201d\u2019\u00bb)\\]\u300d\u300f\uff09"
_OPENING = "(\"'\u201c\u2018\u00ab["
# A run of marks is looked at once, from its beginning: from each of its marks would be quadratic.
_END = re.compile(
    rf"(?<![.!?\u2026])[.!?\u2026]++[{_CLOSING}]*+(?=\s|$)|[\u3002\uff01\uff1f]+[{_CLOSING}]*"
)

_ABBREVIATED = (
    "dr mr mrs ms prof st vs etc jr sr inc ltd co corp dept est approx gen col sgt "
    "rev hon ca cf al ed bzw usw str ing sra dra mme mlle"
)
ABBREVIATIONS = frozenset(_ABBREVIATED.split())
"""Words after which a full stop seldom ends a sentence."""

BEFORE_NUMBERS = frozenset({"no", "nr", "fig", "vol", "p", "pp", "art"})
"""Words that are abbreviations when a number follows."""

STOPS = ".\u2026"
"""Marks that end a sentence only at times."""

_LAST_WORD = re.compile(r"(\S+)$")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return where the sentences of ``text`` begin and end, without the space between them.

    A full stop after an abbreviation, an initial or before a small letter ends no sentence.
    """
    spans = []
    start = 0
    for match in _END.finditer(text):
        if match.group()[0] in STOPS and not _ends_sentence(text, match):
            continue
        spans.append((start, match.end()))
        start = match.end()
    spans.append((start, len(text)))
    return [
        (first + len(part) - len(part.lstrip()), first + len(part.rstrip()))
        for first, stop in spans
        if (part := text[first:stop]).strip()
    ]


def ends_sentence(text: str) -> bool:
    """Tell whether ``text`` stops where a sentence does."""
    stripped = text.rstrip()
    matches = [match for match in _END.finditer(stripped) if match.end() == len(stripped)]
    if not matches:
        return False
    last = matches[-1]
    return last.group()[0] not in STOPS or _ends_sentence(stripped, last)


def _ends_sentence(text: str, stop: re.Match[str]) -> bool:
    following = text[stop.end() : stop.end() + 16].lstrip()
    if following[:1].islower():
        return False
    # As far back as any abbreviation reaches, so that the time does not grow with the text.
    word = _LAST_WORD.search(text[max(0, stop.start() - 16) : stop.start()])
    if word is None or len(stop.group()) > 1:
        return True
    name = word[1].lstrip(_OPENING)
    is_abbreviated = name.lower() in ABBREVIATIONS or (
        name.lower() in BEFORE_NUMBERS and following[:1].isdecimal()
    )
    is_initial = len(name) == 1 and name.isupper() and name != "I"
    is_dotted = "." in name and all(len(part) <= 2 for part in name.split("."))
    return not (is_abbreviated or is_initial or (is_dotted and bool(following)))
