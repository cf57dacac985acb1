"""Transcripts that lie beside recordings: which files they are, and which of them is used."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from encoders.media.sniff import MEDIA_SUFFIXES

TRANSCRIPT_SUFFIXES = (".srt", ".vtt", ".transcript.json")
"""In the order of preference."""

_PICTURE_SUFFIXES = ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .avif .heic .tif .tiff .bmp"
RECORDING_SUFFIXES = MEDIA_SUFFIXES - frozenset(_PICTURE_SUFFIXES.split())

_LANGUAGE = re.compile(r"\.([a-z]{2,3})(?:-[A-Za-z0-9]{2,8})?$")


class TranscriptNames:
    """The transcripts of a folder, looked up by the recording they belong to.

    For ``talk.mp3`` these are ``talk.mp3.srt``, ``talk.srt`` and, with a language, ``talk.en.srt``
    or ``talk.pt-BR.srt``; likewise ``.vtt`` and ``.transcript.json``.

    Args:
        names: of files in one folder; those that do not end like a transcript are passed over.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_recording: dict[str, list[tuple[bool, int, str]]] = defaultdict(list)
        for name in names:
            for rank, suffix in enumerate(TRANSCRIPT_SUFFIXES):
                if not name.endswith(suffix):
                    continue
                recording = name.removesuffix(suffix)
                self._by_recording[recording].append((False, rank, name))
                if tagged := _LANGUAGE.search(recording):
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
    for suffix in TRANSCRIPT_SUFFIXES:
        if path.name.endswith(suffix):
            tagged = _LANGUAGE.search(path.name.removesuffix(suffix))
            return tagged[1] if tagged else None
    return None


def is_timed_json(path: Path) -> bool:
    """Tell whether a JSON file beside a recording is a transcript and not a list of attributes.

    Whisper's tools write ``NAME.json``, which is also what a sidecar may be called.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False  # reading it as attributes says what is wrong
    entries = values.get("segments") if isinstance(values, dict) else values
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and {"start", "end", "text"} <= entry.keys() for entry in entries
    )
