from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speech import Listener, caption_scores, find_sentences, main
from benchmarks.spliced_recordings import (
    SAMPLE_RATE_HZ,
    Fillers,
    SplicedRecording,
    SpokenSentence,
    splice,
    with_loudness,
    write_sound,
)
from benchmarks.spoken_sentences import SENTENCES
from encoders.encoder import EncoderIdentity
from encoders.media.content import Sound, Utterance
from encoders.media.sandbox import DecodeSandbox
from encoders.space import Vectors, unit_rows
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow
from tests.generated_media import sine


class WordEncoder:
    """Counts a few words."""

    WORDS = ("owl", "cat", "sea")
    identity = EncoderIdentity("words", "words", 3, "text")

    def encode(self, batch: Sequence[str]) -> Vectors:
        counts = [[text.split().count(word) for word in self.WORDS] for text in batch]
        return unit_rows(np.array(counts, dtype=np.float32).reshape(len(batch), 3))


class StretchEars:
    """Takes every stretch for a window of speech, and hears how long it is."""

    recognizer_id = "stretches"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def open_cutter(self) -> StretchEars:
        self.recording = RecordingLanguage()
        return self

    def feed(self, sound: Sound) -> list[SpeechWindow]:
        return [SpeechWindow(sound, 0.0, (), self.recording)]

    def finish(self) -> list[SpeechWindow]:
        return []

    def recognize(
        self, windows: Sequence[SpeechWindow], *, max_seconds: float
    ) -> list[list[Utterance]]:
        self.batches.append(len(windows))
        return [[Utterance(f"{each.sound.duration_seconds:.0f} s", 0, 1)] for each in windows]


def spliced(*sentences: SpokenSentence) -> SplicedRecording:
    return SplicedRecording(Path("nowhere"), 60.0, sentences)


def test_a_sentence_is_found_where_it_is_said() -> None:
    recordings = [
        spliced(SpokenSentence("the owl", 10.0, 12.0), SpokenSentence("the sea", 20.0, 22.0)),
        spliced(SpokenSentence("the cat", 5.0, 7.0), SpokenSentence("an owl and a cat", 30, 33)),
    ]
    heard = [
        [Utterance("owl", 10.5, 12.0), Utterance("cat cat owl", 20.5, 22.0)],
        [Utterance("cat", 4.0, 6.0)],
    ]
    found = find_sentences(recordings, heard, WordEncoder())
    assert [each.is_first for each in found] == [True, False, True, False]
    assert [each.start_error_seconds for each in found] == [0.5, 0.5, 1.0, None]


def test_a_recording_scores_as_its_best_utterance_and_silence_below_all() -> None:
    heard = [[Utterance("owl", 0, 1), Utterance("cat", 1, 2)], [], [Utterance("sea", 0, 1)]]
    scores = caption_scores(["cat"], heard, WordEncoder())
    assert scores[0, 0] == pytest.approx(1.0)
    assert scores[0, 1] == -np.inf
    assert scores[0, 2] == pytest.approx(0.0)


def test_long_recordings_are_heard_in_stretches_and_short_ones_together(tmp_path: Path) -> None:
    paths = []
    for seconds in (1.0, 130.0, 2.0):
        paths.append(tmp_path / f"{seconds}.wav")
        write_sound(paths[-1], np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32))
    ears = StretchEars()
    with DecodeSandbox() as sandbox:
        heard = Listener(ears, sandbox).hear(paths)
    texts = [[each.text for each in utterances] for utterances in heard.utterances]
    assert texts == [["1 s"], ["60 s", "60 s", "10 s"], ["2 s"]]
    assert ears.batches == [5]
    assert heard.recording_seconds == pytest.approx(133.0)
    assert heard.window_seconds == pytest.approx(133.0)


def test_spliced_sentences_lie_where_the_recording_says(tmp_path: Path) -> None:
    filler = tmp_path / "filler.wav"
    write_sound(filler, np.full(SAMPLE_RATE_HZ, 0.1, dtype=np.float32))
    generator = np.random.default_rng(1)
    spoken = [[("one", np.full(8000, 0.9, np.float32)), ("two", np.full(4000, 0.8, np.float32))]]
    samples, sentences = splice(spoken, 60.0, Fillers([filler], generator), generator)
    assert len(samples) >= 60 * SAMPLE_RATE_HZ
    assert [each.text for each in sentences] == ["one", "two"]
    for sentence, level in zip(sentences, (0.9, 0.8), strict=True):
        start, stop = (
            round(seconds * SAMPLE_RATE_HZ)
            for seconds in (sentence.start_seconds, sentence.stop_seconds)
        )
        np.testing.assert_array_equal(samples[start:stop], np.float32(level))


def test_loudness_is_brought_to_what_is_asked_for() -> None:
    quiet = sine(440.0, seconds=0.5) * np.float32(0.01)
    louder = with_loudness(quiet, 0.1)
    assert np.sqrt(np.mean(louder**2)) == pytest.approx(0.1, rel=1e-3)
    np.testing.assert_array_equal(with_loudness(np.zeros(10, np.float32), 0.1), 0)


def test_there_are_enough_distinct_sentences() -> None:
    assert len(set(SENTENCES)) == len(SENTENCES) >= 40


def test_an_unknown_part_is_answered_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["songs"])
    assert "there are: captions, spliced, invented" in capsys.readouterr().err
