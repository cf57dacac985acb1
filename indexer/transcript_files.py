"""Transcripts that lie beside recordings: which files they are, and which of them is used."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from encoders.media.sniff import MEDIA_SUFFIXES

TRANSCRIPT_SUFFIXES = (".srt", ".vtt", ".transcript.json")
"""In the order of preference."""

_PICTURE_SUFFIXES = ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .avif .heic .tif .tiff .bmp"
RECORDING_SUFFIXES = (MEDIA_SUFFIXES - frozenset(_PICTURE_SUFFIXES.split())) | {".mka", ".weba"}

_KEYS = "segments word_segments text language language_probability duration task origin"
TRANSCRIPT_KEYS = frozenset(_KEYS.split())
"""What programs that recognise speech write into timed JSON about the whole recording."""

_LANGUAGE = re.compile(r"\.([a-z]{2,3})(?:-[a-z0-9]{2,8})?$", re.IGNORECASE)


class TranscriptNames:
    """The transcripts of a folder, looked up by the recording they belong to.

    For ``talk.mp3`` these are ``talk.mp3.srt``, ``talk.srt`` and, with a language, ``talk.en.srt``
    or ``talk.pt-BR.srt``; likewise ``.vtt`` and ``.transcript.json``, in capitals too.

    Args:
        names: of files in one folder; those that do not end like a transcript are passed over.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_recording: dict[str, list[tuple[bool, int, str]]] = defaultdict(list)
        for name in names:
            rank = _rank(name)
            if rank is None:
                continue
            recording = name[: -len(TRANSCRIPT_SUFFIXES[rank])]
            self._by_recording[recording].append((False, rank, name))
            if tagged := _language_tag(recording):
                self._by_recording[recording[: tagged.start()]].append((True, rank, name))

    def of(self, path: Path) -> tuple[Path, ...]:
        """Return the transcripts of a file, the best name first.

        Names without a language come first; only names of sounds and videos have transcripts.
        """
        if path.suffix.lower() not in RECORDING_SUFFIXES:
            return ()
        found = sorted(
            (is_tagged, not is_full, rank, name)
            for recording, is_full in ((path.name, True), (path.stem, False))
            for is_tagged, rank, name in self._by_recording.get(recording, ())
        )
        return tuple(dict.fromkeys(path.with_name(name) for *_, name in found))


def chosen_transcript(transcripts: Collection[Path], language: str | None) -> Path | None:
    """Return which of a recording's transcripts to use: one in ``language`` if it is wanted."""
    spoken = [path for path in transcripts if language and language_of(path) == language]
    return next(iter(spoken or transcripts), None)


def language_of(path: Path) -> str | None:
    """Return the language in a transcript's name: ``talk.en.srt`` says ``en``."""
    rank = _rank(path.name)
    if rank is None:
        return None
    tagged = _language_tag(path.name[: -len(TRANSCRIPT_SUFFIXES[rank])])
    return tagged[1].lower() if tagged else None


def said_besides_words(values: object) -> dict[str, Any] | None:
    """Return what the JSON beside a recording says besides the words that are spoken.

    Whisper's tools write ``NAME.json``, which is also what a sidecar may be called; somebody may
    have put a title in it.

    Args:
        values: as they came from JSON.

    Returns:
        The values of a transcript other than `TRANSCRIPT_KEYS`; ``None`` for JSON that is no
        transcript and holds attributes only.
    """
    entries = values.get("segments") if isinstance(values, dict) else values
    if not isinstance(entries, list) or not all(map(_is_timed, entries)):
        return None
    others = {}
    if isinstance(values, dict):
        others = {name: value for name, value in values.items() if name not in TRANSCRIPT_KEYS}
    # Nobody speaks in some recordings; but then a program wrote that, and wrote nothing else.
    is_transcript = entries or (isinstance(values, dict) and not others)
    return others if is_transcript else None


def _is_timed(entry: object) -> bool:
    return isinstance(entry, dict) and {"start", "end", "text"} <= entry.keys()


def _rank(name: str) -> int | None:
    """Return which of `TRANSCRIPT_SUFFIXES` a name has, ``None`` if it has none."""
    suffixes = enumerate(TRANSCRIPT_SUFFIXES)
    return next((rank for rank, suffix in suffixes if name.lower().endswith(suffix)), None)


def _language_tag(recording: str) -> re.Match[str] | None:
    """Return the language at the end of a name; ``talk.wav`` does not speak Wav."""
    tagged = _LANGUAGE.search(recording)
    return None if tagged is None or tagged[0].lower() in RECORDING_SUFFIXES else tagged
