from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.media.content import Sound, Utterance, Word
from encoders.speech import whisper_recognizer
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow
from encoders.speech.whisper_network import Hearing
from encoders.speech.whisper_recognizer import (
    MAX_ROUNDS,
    WINDOWS_PER_RUN,
    WhisperRecognizer,
    recognizer_parameters,
)

LANGUAGES = {1: "en", 2: "de"}


class Parrot:
    """Hears in each sound the number that its first sample is, in the language it is asked for.

    It falls silent after ``hears_seconds``.
    """

    def __init__(self) -> None:
        self.hears_seconds = 30.0
        self.runs: list[tuple[str, list[int]]] = []
        self.asked: list[int] = []
        self.no_speech_probability = 0.1
        self.busy = threading.Lock()

    def encode(self, sounds: Sequence[Sound]) -> NDArray[np.floating]:
        assert 0 < len(sounds) <= WINDOWS_PER_RUN
        return np.array([[each.samples[0]] for each in sounds])

    def language_probabilities(self, encoded: NDArray[np.floating]) -> list[dict[str, float]]:
        numbers = [round(row[0]) for row in encoded]
        self.asked += numbers
        return [{LANGUAGES[number // 10]: 0.8, "nn": 0.2} for number in numbers]

    def hear(
        self, encoded: NDArray[np.floating], durations_seconds: Sequence[float], language: str
    ) -> list[Hearing]:
        assert self.busy.acquire(blocking=False), "the network serves one thread at a time"
        numbers = [round(row[0]) for row in encoded]
        self.runs.append((language, numbers))
        self.busy.release()
        return [
            Hearing(
                f"{language} {number}.",
                (
                    Word(language, 0.2, 0.5, 0.9),
                    Word(f"{number}.", 0.5, min(seconds, self.hears_seconds), 0.8),
                ),
                self.no_speech_probability,
                -0.8,
            )
            for number, seconds in zip(numbers, durations_seconds, strict=True)
        ]


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()


@pytest.fixture
def recognizer(parrot: Parrot) -> WhisperRecognizer:
    return WhisperRecognizer("parrot", parrot, None)  # type: ignore[arg-type]


def window(
    number: int, recording: RecordingLanguage, start_seconds: float = 0.0, seconds: float = 1.0
) -> SpeechWindow:
    """Return a window whose sound says ``number``; tens are recordings, see `LANGUAGES`."""
    samples = np.full(round(seconds * 16_000), number, dtype=np.float32)
    voiced = ((start_seconds, start_seconds + seconds),)
    return SpeechWindow(Sound(samples, 16_000), start_seconds, voiced, recording)


def texts(found: list[list[Utterance]]) -> list[list[str]]:
    return [[each.text for each in utterances] for utterances in found]


def test_windows_of_several_recordings_are_answered_in_their_order(
    recognizer: WhisperRecognizer,
) -> None:
    one, other = RecordingLanguage(), RecordingLanguage()
    windows = [window(10, one), window(20, other), window(11, one), window(21, other)]
    found = recognizer.recognize(windows, max_seconds=30)
    assert texts(found) == [["en 10."], ["de 20."], ["en 11."], ["de 21."]]
    assert (one.language, other.language) == ("en", "de")


def test_times_are_on_the_clock_of_the_recording(recognizer: WhisperRecognizer) -> None:
    recording = RecordingLanguage("en")
    ((found,),) = recognizer.recognize([window(10, recording, 100.0)], max_seconds=30)
    assert found.start_seconds == pytest.approx(100.2)
    assert found.stop_seconds == pytest.approx(101.0)
    assert [word.start_seconds for word in found.words] == pytest.approx([100.2, 100.5])


def test_words_where_nobody_speaks_are_left_out(recognizer: WhisperRecognizer) -> None:
    quiet = window(10, RecordingLanguage("en"))
    early = SpeechWindow(quiet.sound, 0.0, ((0.0, 0.05),), quiet.recording)
    assert texts(recognizer.recognize([early], max_seconds=30)) == [["en"]]


def test_what_was_not_heard_to_its_end_is_heard_again(
    recognizer: WhisperRecognizer, parrot: Parrot
) -> None:
    parrot.hears_seconds = 4.0
    recording = RecordingLanguage("en")
    windows = [window(10, recording, seconds=9.0), window(11, recording, 20.0, seconds=4.0)]
    found = recognizer.recognize(windows, max_seconds=30)
    assert texts(found) == [["en 10. en 10.", "en 10."], ["en 11."]]
    assert [numbers for _, numbers in parrot.runs] == [[10, 11], [10], [10]]
    times = [word.start_seconds for utterance in found[0] for word in utterance.words]
    assert times == pytest.approx([0.2, 0.5, 4.2, 4.5, 8.2, 8.5])


def test_a_window_is_not_heard_again_for_ever(
    recognizer: WhisperRecognizer, parrot: Parrot
) -> None:
    parrot.hears_seconds = 1.0
    recognizer.recognize([window(10, RecordingLanguage("en"), seconds=30.0)], max_seconds=30)
    assert len(parrot.runs) == MAX_ROUNDS


def test_what_is_not_believed_gives_no_utterance(
    recognizer: WhisperRecognizer, parrot: Parrot
) -> None:
    parrot.no_speech_probability = 0.9
    found = recognizer.recognize([window(10, RecordingLanguage("en"))], max_seconds=30)
    assert found == [[]]


def test_a_language_that_is_given_is_not_asked_about(
    recognizer: WhisperRecognizer, parrot: Parrot
) -> None:
    given = RecordingLanguage("fr")
    found = recognizer.recognize([window(10, given)], max_seconds=30)
    assert texts(found) == [["fr 10."]]
    assert (parrot.asked, given.language) == ([], "fr")


def test_a_recording_is_asked_about_until_it_is_certain(
    recognizer: WhisperRecognizer, parrot: Parrot
) -> None:
    recording = RecordingLanguage()
    for number in range(4):
        long = window(10 + number, recording, seconds=25.0)
        recognizer.recognize([long], max_seconds=30)
    assert parrot.asked == [10, 11, 12]


def test_windows_of_one_language_are_heard_together(
    recognizer: WhisperRecognizer, parrot: Parrot
) -> None:
    one, other = RecordingLanguage("en"), RecordingLanguage("de")
    windows = [window(10 + number % 10, one) for number in range(WINDOWS_PER_RUN + 1)]
    windows.insert(1, window(20, other))
    found = recognizer.recognize(windows, max_seconds=30)
    assert [(language, len(numbers)) for language, numbers in parrot.runs] == [
        ("en", WINDOWS_PER_RUN),
        ("en", 1),
        ("de", 1),
    ]
    assert texts(found)[1] == ["de 20."]


def test_no_windows_are_no_work(recognizer: WhisperRecognizer, parrot: Parrot) -> None:
    assert recognizer.recognize([], max_seconds=30) == []
    assert parrot.runs == []


def test_a_cutter_knows_the_language_of_its_recording(parrot: Parrot) -> None:
    french = WhisperRecognizer("parrot", parrot, None, language="fr")  # type: ignore[arg-type]
    assert french.open_cutter().recording.language == "fr"
    anything = WhisperRecognizer("parrot", parrot, None)  # type: ignore[arg-type]
    assert anything.open_cutter().recording.language is None


def test_several_threads_take_turns(recognizer: WhisperRecognizer) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(20):
                recording = RecordingLanguage("en")
                found = recognizer.recognize([window(number, recording)], max_seconds=30)
                assert texts(found) == [[f"en {number}."]]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(10 + number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize(
    "name",
    ["cutting_parameters", "hearing_parameters", "evidence_parameters", "utterance_parameters"],
)
def test_whatever_decides_about_words_is_a_parameter(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = recognizer_parameters()
    monkeypatch.setattr(whisper_recognizer, name, lambda: {"version": -1})
    assert recognizer_parameters() != before
