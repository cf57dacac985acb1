from __future__ import annotations

import pytest

from encoders.speech.recognizer import RecordingLanguage


def test_a_language_that_is_given_is_certain() -> None:
    recording = RecordingLanguage("de")
    assert (recording.language, recording.is_certain) == ("de", True)


def test_nothing_heard_is_no_language() -> None:
    recording = RecordingLanguage()
    assert (recording.language, recording.is_certain) == (None, False)


def test_long_speech_outvotes_a_short_stretch_that_came_first() -> None:
    recording = RecordingLanguage()
    recording.vote({"nn": 0.9, "en": 0.1}, voiced_seconds=1.0)
    assert recording.language == "nn"
    recording.vote({"nn": 0.1, "en": 0.9}, voiced_seconds=20.0)
    assert recording.language == "en"


@pytest.mark.parametrize(("probability", "is_certain"), [(0.9, True), (0.4, False)])
def test_a_minute_mostly_in_one_language_is_enough(probability: float, is_certain: bool) -> None:
    recording = RecordingLanguage()
    recording.vote({"fr": probability, "es": 0.1}, voiced_seconds=59.0)
    assert not recording.is_certain
    recording.vote({"fr": probability, "es": 0.1}, voiced_seconds=1.0)
    assert recording.is_certain is is_certain
