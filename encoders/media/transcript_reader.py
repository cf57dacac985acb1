"""Transcripts out of files: SubRip, WebVTT and timed JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from encoders.media.captions import InvalidCaptions, is_subrip, is_webvtt, read_captions
from encoders.media.content import Transcript, Utterance, Word
from encoders.media.decode_limits import DecodeLimits
from encoders.media.json_records import whole_characters
from encoders.media.media_file import open_media
from encoders.media.rejection import MediaRejected
from encoders.media.text_reader import decoded

MAX_SECONDS = 36_000_000.0
"""Latest time that is believed: the 9999 hours that captions can write."""

_LANGUAGE = re.compile(r"([a-z]{2,3})(?:[-_].*)?")


def read_transcript(path: Path, *, limits: DecodeLimits) -> Transcript:
    """Read a transcript that lies beside a recording.

    The content says which format it is. Timed JSON is an object with a list ``segments`` (or such a
    list itself) of ``{start, end, text}`` in seconds, each perhaps with ``words`` of
    ``{start, end, word}``: what Whisper's tools write. Where a word of a segment has no times, as
    WhisperX leaves them out for numbers, only the segment is timed.

    Raises:
        MediaRejected: ``invalid_transcript`` (saying which cue or entry, and what was expected),
            ``too_many_bytes``, ``vanished``, ``unreadable`` or ``empty``.
    """
    try:
        with open_media(path, max_bytes=limits.max_text_bytes) as file:
            text = decoded(file.read(), "plain").removeprefix("\ufeff")
    except MediaRejected as error:
        raise MediaRejected(
            error.reason, f"{path.name}: {error.message}", **error.detail
        ) from error
    try:
        if is_webvtt(text) or is_subrip(text):
            captions = read_captions(text)
            said = tuple(
                Utterance(each.text, each.start_seconds, each.stop_seconds) for each in captions
            )
            return Transcript(said, language=None, origin="file")
        return _timed_json(text)
    except ValueError as error:
        raise MediaRejected(
            "invalid_transcript", f"{path.name}: {error}", transcript=path.name
        ) from error


def _timed_json(text: str) -> Transcript:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidCaptions(
            f"expected SubRip, WebVTT or timed JSON; it begins with {text.strip()[:40]!r}"
        ) from error
    entries = content.get("segments") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise InvalidCaptions("expected a list of segments with start, end and text")
    said = [_utterance(entry, f"segment {number}") for number, entry in enumerate(entries, 1)]
    language = content.get("language") if isinstance(content, dict) else None
    return Transcript(
        tuple(sorted((each for each in said if each.text), key=lambda each: each.start_seconds)),
        language=_language_code(language),
        origin="file",
    )


def _utterance(entry: object, where: str) -> Utterance:
    if not isinstance(entry, dict):
        raise InvalidCaptions(f"{where}: expected an object with start, end and text")
    start, stop = _times(entry, where)
    entries = entry.get("words")
    words = [
        _word(word, f"{where}, word {number}")
        for number, word in enumerate(entries if isinstance(entries, list) else [], 1)
    ]
    timed = [word for word in words if word is not None]
    if len(timed) < len(words):
        timed = []
    timed.sort(key=lambda word: word.start_seconds)
    return Utterance(_words_of(entry, "text", where), start, stop, tuple(timed))


def _word(entry: object, where: str) -> Word | None:
    """Return a word, ``None`` if it has no times."""
    if not isinstance(entry, dict):
        raise InvalidCaptions(f"{where}: expected an object with start, end and word")
    text = _words_of(entry, "word", where)
    if "start" not in entry and "end" not in entry:
        return None
    start, stop = _times(entry, where)
    return Word(text, start, stop, _probability(entry.get("probability"), where))


def _probability(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidCaptions(f"{where}: probability should be from 0 to 1, got {value!r}"[:200])
    return float(value)


def _words_of(entry: Mapping[str, object], key: str, where: str) -> str:
    text = entry.get(key)
    if not isinstance(text, str):
        raise InvalidCaptions(f"{where}: {key} should be text, got {text!r}"[:200])
    return " ".join(whole_characters(text).split())


def _times(entry: Mapping[str, object], where: str) -> tuple[float, float]:
    times = []
    for key in ("start", "end"):
        value = entry.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidCaptions(f"{where}: {key} should be seconds, got {value!r}"[:200])
        if not 0 <= value <= MAX_SECONDS:  # NaN is not, either
            raise InvalidCaptions(
                f"{where}: {key} should be seconds from 0 to {MAX_SECONDS:g}, got {value!r}"[:200]
            )
        times.append(float(value))
    if times[1] < times[0]:
        raise InvalidCaptions(
            f"{where}: ends at {times[1]:g} s, before it begins at {times[0]:g} s"
        )
    return times[0], times[1]


def _language_code(language: object) -> str | None:
    """Return an ISO 639 code; names of languages, which some tools write, are not translated."""
    match = _LANGUAGE.fullmatch(language.strip().lower()) if isinstance(language, str) else None
    return match[1] if match else None
