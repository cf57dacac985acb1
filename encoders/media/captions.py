"""Captions out of SubRip and WebVTT: what is shown or said, and from when to when.

SubRip has no specification; WebVTT is https://www.w3.org/TR/webvtt1/. Both are lists of cues: a
line of times, then lines of text until an empty line. What stands before a line of times (a number,
an identifier) and blocks without one (NOTE, STYLE, REGION) are passed over.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from encoders.media.content import Block, Document

_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s|$)")
_NO_CUE = re.compile(r"(?:NOTE|STYLE|REGION)(?:[ \t]|$)")
_TAG = re.compile(r"</?[A-Za-z0-9][^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}")
_START_OF_SUBRIP = re.compile(rf"\ufeff?\s*(?:\d{{1,9}}[ \t]*\n)?[ \t]*{_CLOCK}[ \t]*-->[ \t]*\d")
_START_OF_WEBVTT = re.compile(r"\ufeff?WEBVTT(?:[ \t\n]|$)")

MAX_ROLLING_LINES = 15
"""Lines that a screen of captions has room for."""

MIN_SAID_SECONDS = 0.1
"""A shorter caption that repeats the one before says nothing again: it holds the place of a line
while others roll.
"""


class InvalidCaptions(ValueError):
    """A line that should hold the times of a cue and does not; the message says which."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A cue."""

    start_seconds: float
    stop_seconds: float

    text: str
    """In one line, without markup; never empty."""


def is_subrip(text: str) -> bool:
    """Tell whether ``text``, with line ends as newlines, begins like SubRip."""
    return _START_OF_SUBRIP.match(text) is not None


def is_webvtt(text: str) -> bool:
    """Tell whether ``text``, with line ends as newlines, begins like WebVTT."""
    return _START_OF_WEBVTT.match(text) is not None


def read_captions(text: str) -> list[Caption]:
    """Return the cues of SubRip or WebVTT in order of their start.

    Lines that a caption repeats from the one before, as captions that roll upwards do, are said
    once. A whole caption that comes again is said again, as in a song, unless it begins before the
    other one ends or is shorter than `MIN_SAID_SECONDS`.

    Raises:
        InvalidCaptions: a line has an arrow but no two times before and after it, or the times run
            backwards.
    """
    cues = sorted(_cues(text), key=lambda cue: (cue[0], cue[1]))
    captions: list[Caption] = []
    shown: Sequence[str] = ()
    shown_until = 0.0
    for start, stop, lines in cues:
        comes_again = start >= shown_until and stop - start >= MIN_SAID_SECONDS
        new = lines if lines == shown and comes_again else _without_shown(lines, shown)
        shown = lines or shown
        shown_until = stop
        if new:
            captions.append(Caption(start, stop, " ".join(new)))
    return captions


def caption_document(text: str) -> Document:
    """Return the cues of SubRip or WebVTT as timed blocks.

    Raises:
        InvalidCaptions: see `read_captions`.
    """
    return Document(
        tuple(
            Block(each.text, start_seconds=each.start_seconds, stop_seconds=each.stop_seconds)
            for each in read_captions(text)
        )
    )


def _cues(text: str) -> Iterator[tuple[float, float, list[str]]]:
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if _NO_CUE.match(lines[at]):
            at = _end_of_block(lines, at)
        elif "-->" in lines[at]:
            end = _end_of_block(lines, at + 1)
            yield *_times(lines[at], at + 1), _said(lines[at + 1 : end])
            at = end
        else:
            at += 1


def _times(line: str, number: int) -> tuple[float, float]:
    times = _TIMES.match(line)
    if times is None:
        raise InvalidCaptions(
            f"line {number}: expected two times as in 00:00:01,000 --> 00:00:02,500, got "
            f"{line.strip()[:80]!r}"
        )
    start, stop = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
    if stop < start:
        raise InvalidCaptions(
            f"line {number}: the caption ends at {stop:g} s, before it begins at {start:g} s"
        )
    return start, stop


def _end_of_block(lines: Sequence[str], start: int) -> int:
    """Return where the block that ``start`` is in ends: at an empty line or before the next cue.

    A line of nothing but spaces is part of a caption that rolls. Where the empty line before a cue
    is missing, the cue's number is not part of the text.
    """
    for at in range(start, len(lines)):
        if not lines[at]:
            return at
        if _TIMES.match(lines[at]):
            return at - 1 if at > start and lines[at - 1].strip().isdigit() else at
    return len(lines)


def _said(lines: Sequence[str]) -> list[str]:
    plain = (" ".join(html.unescape(_TAG.sub("", line)).split()) for line in lines)
    return [words for words in plain if words]


def _without_shown(lines: Sequence[str], shown: Sequence[str]) -> Sequence[str]:
    """Return ``lines`` without those at their beginning that end the caption before."""
    for num_repeated in range(min(len(lines), len(shown), MAX_ROLLING_LINES), 0, -1):
        if lines[:num_repeated] == shown[-num_repeated:]:
            return lines[num_repeated:]
    return lines


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = parts
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return (1000 * whole + int((fraction or "0").ljust(3, "0"))) / 1000
