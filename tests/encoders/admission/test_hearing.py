"""Faults planted in a recogniser are refused by their names."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.admission.hearing import SHORT_SENTENCE, examine_recognizer
from encoders.admission.plain_speech import SENTENCES, spoken
from encoders.admission.report import AdmissionReport
from encoders.config import WhisperConfig
from encoders.loading import EncoderLoader
from encoders.media.content import Sound, Utterance, Word
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow
from encoders.speech.voice_detector import open_network
from encoders.speech.whisper_recognizer import WhisperRecognizer


class WholeCutter:
    """Takes a recording for one window."""

    def __init__(self) -> None:
        self.recording = RecordingLanguage()

    def feed(self, sound: Sound) -> list[SpeechWindow]:
        seconds = sound.duration_seconds
        return [SpeechWindow(sound, 0.0, ((0.0, seconds),), self.recording)]

    def finish(self) -> list[SpeechWindow]:
        return []


class GoodEars:
    """Hears what the plain voice says, a word every tenth of a second."""

    recognizer_id = "good-ears"

    def open_cutter(self) -> WholeCutter:
        return WholeCutter()

    def words(self, window: SpeechWindow, num_beside: int) -> list[Word]:
        if not window.sound.samples.any():
            return []
        is_short = window.sound.duration_seconds < 7
        text = SHORT_SENTENCE if is_short else " ".join(SENTENCES)
        return [
            Word(word, 0.1 * place, 0.1 * place + 0.1, 0.9)
            for place, word in enumerate(text.split())
        ]

    def recognize(
        self, windows: Sequence[SpeechWindow], *, max_seconds: float
    ) -> list[list[Utterance]]:
        answers = []
        for window in windows:
            window.recording.vote({"en": 0.9, "de": 0.1}, window.voiced_seconds)
            words = tuple(self.words(window, len(windows) - 1))
            text = " ".join(word.text for word in words)
            answers.append([Utterance(text, 0.0, 1.0, words)] if words else [])
        return answers


def examined(ears: GoodEars, *, trained: bool = True) -> AdmissionReport:
    return examine_recognizer(ears, ("en", "de"), trained=trained)


def failed(ears: GoodEars) -> list[str]:
    return [each.name for each in examined(ears).failures]


def test_what_hears_well_is_admitted() -> None:
    report = examined(GoodEars())
    assert report.admitted
    assert (report.encoder_id, report.medium, report.space_id) == ("good-ears", "audio", None)
    assert [each.outcome for each in report.properties] == ["passed"] * 7


def test_words_that_change_are_not_repeatable() -> None:
    class Hasty(GoodEars):
        """The same words, later each time."""

        def __init__(self) -> None:
            self.num_heard = 0

        def words(self, window: SpeechWindow, num_beside: int) -> list[Word]:
            self.num_heard += 1
            return [
                dataclasses.replace(word, stop_seconds=word.stop_seconds + 0.1 * self.num_heard)
                for word in super().words(window, num_beside)
            ]

    assert "repeatable" in failed(Hasty())


def test_words_that_depend_on_what_is_beside_are_named() -> None:
    class Distracted(GoodEars):
        def words(self, window: SpeechWindow, num_beside: int) -> list[Word]:
            words = super().words(window, num_beside)
            return words if num_beside else words[1:]

    assert failed(Distracted()) == ["batch_independent"]


@pytest.mark.parametrize("stop_seconds", [1000.0, -1.0])
def test_times_outside_or_backwards_are_named(stop_seconds: float) -> None:
    class Astray(GoodEars):
        def words(self, window: SpeechWindow, num_beside: int) -> list[Word]:
            return [
                dataclasses.replace(word, stop_seconds=stop_seconds)
                for word in super().words(window, num_beside)
            ]

    assert failed(Astray()) == ["times_inside"]


def test_times_that_are_no_numbers_end_the_examination() -> None:
    class Broken(GoodEars):
        def words(self, window: SpeechWindow, num_beside: int) -> list[Word]:
            return [
                dataclasses.replace(word, probability=math.nan)
                for word in super().words(window, num_beside)
            ]

    report = examined(Broken())
    assert [each.name for each in report.failures] == ["finite"]
    assert report.finding("speech_heard").outcome == "not_applicable"


def test_words_in_silence_are_named() -> None:
    class Inventive(GoodEars):
        def words(self, window: SpeechWindow, num_beside: int) -> list[Word]:
            return super().words(window, num_beside) or [Word("you", 1.0, 1.5, 0.9)]

    report = examined(Inventive())
    assert [each.name for each in report.failures] == ["silence_wordless"]
    assert "'you'" in report.finding("silence_wordless").sentence


def test_a_language_that_the_model_does_not_say_to_know_is_named() -> None:
    report = examine_recognizer(GoodEars(), ("de", "fr"), trained=True)
    assert [each.name for each in report.failures] == ["languages_known"]
    # The plain voice speaks English, so understanding is not asked for.
    assert report.finding("speech_heard").outcome == "not_applicable"


def test_who_hears_other_words_understands_nothing() -> None:
    class Deaf(GoodEars):
        def words(self, window: SpeechWindow, num_beside: int) -> list[Word]:
            words = super().words(window, num_beside)
            return [dataclasses.replace(word, text="mumble") for word in words]

    assert failed(Deaf()) == ["speech_heard"]
    assert examined(Deaf(), trained=False).admitted


def test_who_hears_nothing_is_not_praised_for_repeating_it() -> None:
    class Mute(GoodEars):
        def words(self, window: SpeechWindow, num_beside: int) -> list[Word]:
            return []

    report = examined(Mute())
    assert [each.name for each in report.failures] == ["speech_heard"]
    outcomes = {each.name: each.outcome for each in report.properties}
    assert outcomes["repeatable"] == outcomes["finite"] == "not_applicable"


def test_a_plain_voice_repeats_exactly_and_pauses() -> None:
    first, second = (spoken(list(SENTENCES), [110.0] * len(SENTENCES)) for _ in range(2))
    np.testing.assert_array_equal(first.samples, second.samples)
    assert first.samples.max() <= 0.5
    assert not first.samples[:16_000].any()


@pytest.mark.weights
def test_whisper_whose_encoder_gives_nothing_is_refused(
    loader: EncoderLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = loader.open_recognizer(WhisperConfig())
    network = recognizer._whisper
    encode = network.encode

    def zeroed(sounds: Sequence[Sound]) -> NDArray[np.floating]:
        return np.zeros_like(encode(sounds))

    monkeypatch.setattr(network, "encode", zeroed)
    damaged = WhisperRecognizer("damaged", network, open_network())
    report = examine_recognizer(damaged, ("en",), trained=True)
    assert "speech_heard" in [each.name for each in report.failures]
