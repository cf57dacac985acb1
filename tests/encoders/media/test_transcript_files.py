"""Transcripts read from files and written again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encoders.media.captions import read_captions
from encoders.media.content import Transcript, Utterance, Word
from encoders.media.decode_limits import DecodeLimits
from encoders.media.rejection import MediaRejected
from encoders.media.transcript_reader import read_transcript
from encoders.media.transcript_text import (
    transcript_json,
    transcript_plain,
    transcript_srt,
    transcript_vtt,
)

LIMITS = DecodeLimits()
SAID = Transcript(
    (
        Utterance(
            "Hello --> you & me.", 1.0, 2.5, (Word("Hello", 1.0, 1.4, 0.75), Word("me.", 2, 2.5))
        ),
        Utterance("Later", 3 * 3600 + 59.9996, 3 * 3600 + 61.0),
    ),
    language="en",
    origin="file",
)


def read(folder: Path, text: str) -> Transcript:
    path = folder / "talk.srt"
    path.write_text(text, encoding="utf-8")
    return read_transcript(path, limits=LIMITS)


def test_subrip_and_webvtt_carry_words_and_milliseconds(tmp_path: Path) -> None:
    srt, vtt = transcript_srt(SAID), transcript_vtt(SAID)
    assert "2\n03:01:00,000 --> 03:01:01,000\nLater\n" in srt
    assert vtt.startswith("WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHello --&gt; you &amp; me.")
    for text in (srt, vtt):
        found = read(tmp_path, text)
        assert [each.text for each in found.utterances] == [each.text for each in SAID.utterances]
        assert found.origin == "file"
    assert transcript_plain(SAID) == "Hello --> you & me.\nLater\n"


def test_json_carries_everything(tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(transcript_json(SAID))) == SAID


def test_whisper_output_is_read(tmp_path: Path) -> None:
    words = [{"start": 0.5, "end": 0.9, "word": " Guten", "probability": 0.5}]
    entry = {"id": 0, "start": 0.5, "end": 2, "text": " Guten  Tag.", "words": words}
    found = read(tmp_path, json.dumps({"text": "x", "segments": [entry], "language": "de"}))
    assert found == Transcript(
        (Utterance("Guten Tag.", 0.5, 2.0, (Word("Guten", 0.5, 0.9, 0.5),)),), "de", "file"
    )
    assert read(tmp_path, json.dumps([{"start": 0, "end": 1, "text": "a"}])).language is None


def test_a_segment_with_a_word_without_times_is_timed_as_a_whole(tmp_path: Path) -> None:
    words = [{"start": 0, "end": 0.4, "word": "In", "score": 0.5}, {"word": "2014"}]
    entry = {"start": 0, "end": 1, "text": "In 2014", "words": words}
    found = read(tmp_path, json.dumps({"segments": [entry], "language": "EN"}))
    assert found == Transcript((Utterance("In 2014", 0, 1),), "en", "file")


@pytest.mark.parametrize("probability", ["NaN", "-0.5", "1" + "0" * 400, "true", '"high"'])
def test_a_probability_is_from_0_to_1(tmp_path: Path, probability: str) -> None:
    word = f'{{"start": 0, "end": 1, "word": "x", "probability": {probability}}}'
    with pytest.raises(MediaRejected, match="segment 1, word 1: probability should be from 0 to 1"):
        read(tmp_path, f'[{{"start": 0, "end": 1, "text": "x", "words": [{word}]}}]')


@pytest.mark.parametrize(
    ("language", "code"),
    [("de", "de"), ("pt_BR", "pt"), ("EN-us", "en"), ("yue", "yue"), ("english", None), (3, None)],
)
def test_only_codes_of_languages_are_kept(
    tmp_path: Path, language: object, code: str | None
) -> None:
    text = json.dumps({"segments": [], "language": language})
    assert read(tmp_path, text).language == code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello there", "expected SubRip, WebVTT or timed JSON"),
        ('{"title": "x"}', "expected a list of segments"),
        ('[{"start": 0, "text": "x"}]', r"segment 1: end should be seconds, got None"),
        ('[{"start": 2, "end": 1, "text": "x"}]', "segment 1: ends at 1 s, before it begins"),
        ('[{"start": -1, "end": 1, "text": "x"}]', "seconds from 0 to 3.6e"),
        ('[{"start": 0, "end": NaN, "text": "x"}]', "seconds from 0 to 3.6e"),
        (f'[{{"start": 0, "end": 1{"0" * 400}, "text": "x"}}]', "seconds from 0 to 3.6e"),
        (f'[{{"start": 0, "end": 1{"0" * 9000}, "text": "x"}}]', "expected SubRip"),
        ('[{"start": 0, "end": 1, "text": 5}]', "text should be text, got 5"),
        ('[{"start": 0, "end": 1, "text": "x", "words": [3]}]', "segment 1, word 1: expected an"),
        ("[" * 100_000, "expected SubRip"),
        ("WEBVTT\n\n00:01.000 --> soon\nx", "line 3: expected two times"),
    ],
)
def test_what_is_no_transcript_is_refused_by_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MediaRejected, match=said) as refused:
        read(tmp_path, text)
    assert refused.value.reason == "invalid_transcript"
    assert refused.value.message.startswith("talk.srt: ")


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12
)


@given(
    st.lists(
        st.tuples(
            st.lists(WORDS, min_size=1, max_size=5), st.integers(0, 10**7), st.integers(1, 9999)
        ),
        max_size=6,
        unique_by=lambda entry: entry[1],
    )
)
def test_webvtt_that_was_written_reads_as_it_was(entries: list[tuple[list[str], int, int]]) -> None:
    utterances = sorted(
        (
            Utterance(" ".join(words), start / 1000, (start + length) / 1000)
            for words, start, length in entries
        ),
        key=lambda said: said.start_seconds,
    )
    found = read_captions(transcript_vtt(Transcript(tuple(utterances), None, "file")))
    assert [(each.text, each.start_seconds) for each in found] == [
        (said.text, said.start_seconds) for said in utterances
    ]


SECONDS = st.floats(0, 10**6)
TEXTS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)


@st.composite
def spoken(draw: st.DrawFn) -> Utterance:
    words = []
    for _ in range(draw(st.integers(0, 3))):
        start, stop = sorted(draw(st.tuples(SECONDS, SECONDS)))
        words.append(Word(draw(WORDS), start, stop, draw(st.floats(0, 1))))
    words.sort(key=lambda word: word.start_seconds)
    start, stop = sorted(draw(st.tuples(SECONDS, SECONDS)))
    return Utterance(draw(TEXTS), start, stop, tuple(words))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(spoken(), max_size=4), language=st.sampled_from(["en", "yue", None]))
def test_json_that_was_written_reads_as_it_was(
    tmp_path: Path, said: list[Utterance], language: str | None
) -> None:
    said.sort(key=lambda each: each.start_seconds)
    transcript = Transcript(tuple(said), language, "file")
    assert read(tmp_path, json.dumps(transcript_json(transcript))) == transcript
