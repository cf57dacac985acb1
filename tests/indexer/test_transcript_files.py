from __future__ import annotations

import json
from pathlib import Path

import pytest

from indexer.transcript_files import (
    TranscriptNames,
    chosen_transcript,
    language_of,
    said_besides_words,
)
from indexer.walk import find_files


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        (["talk.srt"], ["talk.srt"]),
        (["talk.mp3.vtt", "talk.srt"], ["talk.mp3.vtt", "talk.srt"]),
        (["talk.en.srt", "talk.vtt"], ["talk.vtt", "talk.en.srt"]),
        (["talk.pt-BR.srt", "talk.de.srt"], ["talk.de.srt", "talk.pt-BR.srt"]),
        (["talk.transcript.json"], ["talk.transcript.json"]),
        (["talk.SRT", "talk.DE.Vtt"], ["talk.SRT", "talk.DE.Vtt"]),
        (["talk.wav.srt", "talk.mov.vtt"], []),
        (["talk.json", "talk-2.srt", "other.srt", "talk.notes.srt"], []),
    ],
)
def test_a_recording_finds_its_transcripts_best_name_first(
    beside: list[str], expected: list[str]
) -> None:
    assert [path.name for path in TranscriptNames(beside).of(Path("talk.mp3"))] == expected


def test_pictures_and_texts_have_no_transcripts() -> None:
    names = TranscriptNames(["talk.srt"])
    assert names.of(Path("talk.png")) == names.of(Path("talk.txt")) == ()


def test_the_language_asked_for_decides_between_transcripts() -> None:
    both = (Path("talk.de.srt"), Path("talk.en.srt"))
    assert chosen_transcript(both, "en") == both[1]
    assert chosen_transcript(both, None) == chosen_transcript(both, "fr") == both[0]
    assert chosen_transcript((), "en") is None


def test_the_language_stands_before_the_suffix() -> None:
    assert language_of(Path("talk.pt-BR.srt")) == "pt"
    assert language_of(Path("TALK.DE.SRT")) == "de"
    assert language_of(Path("talk.srt")) is language_of(Path("talk.wav.srt")) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"segments": [{"start": 0, "end": 1, "text": "hello"}], "language": "en"}', {}),
        ('[{"start": 0, "end": 1, "text": "hello"}]', {}),
        ('{"segments": [], "text": ""}', {}),
        ('{"segments": [{"start": 0, "end": 1, "text": "hi"}], "title": "Hi"}', {"title": "Hi"}),
        ('{"segments": [], "title": "Hello"}', None),
        ("[]", None),
        ('{"title": "Hello"}', None),
        ('{"segments": ["a", "b"]}', None),
        ("3", None),
    ],
)
def test_timed_json_is_told_from_attributes(text: str, expected: dict[str, object] | None) -> None:
    assert said_besides_words(json.loads(text)) == expected


def test_transcripts_beside_recordings_are_attached_and_others_are_items(tmp_path: Path) -> None:
    for name in ("talk.mp3", "talk.srt", "talk.en.vtt", "alone.srt", "cat.png", "cat.srt"):
        (tmp_path / name).write_text(name)
    found = {file.relative_path: file for file in find_files([tmp_path])}
    assert set(found) == {"talk.mp3", "alone.srt", "cat.png", "cat.srt"}
    assert [path.name for path in found["talk.mp3"].transcripts] == ["talk.srt", "talk.en.vtt"]
    (single,) = find_files([tmp_path / "talk.mp3"])
    assert single.transcripts == found["talk.mp3"].transcripts
