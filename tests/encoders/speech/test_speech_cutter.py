from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.media.content import Sound
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow
from encoders.speech.speech_cutter import VoiceCutter
from encoders.speech.voice_detector import VoiceDetector

SECOND = 16_000
VOICE = np.full(SECOND, 0.5, dtype=np.float32)
SILENCE = np.zeros(SECOND, dtype=np.float32)


class LoudnessNetwork:
    """Takes whatever is loud for a voice."""

    def run(self, _: None, inputs: dict[str, NDArray[np.float32]]) -> list[Any]:
        frames = inputs["input"][:, 64:]
        return [(np.abs(frames).mean(axis=1) > 0.1).astype(np.float32), inputs["h"], inputs["c"]]


def cutter() -> VoiceCutter:
    return VoiceCutter(VoiceDetector(LoudnessNetwork()), RecordingLanguage("en"))


def sound(*parts: NDArray[np.float32]) -> Sound:
    return Sound(np.concatenate(parts), SECOND)


def cut(samples: NDArray[np.float32], stretch_seconds: float) -> list[SpeechWindow]:
    each = cutter()
    step = round(stretch_seconds * SECOND)
    stretches = [samples[start : start + step] for start in range(0, len(samples), step)]
    found = [window for part in stretches for window in each.feed(Sound(part, SECOND))]
    return found + each.finish()


def test_a_window_says_where_it_lies_and_where_there_is_a_voice() -> None:
    (window,) = cut(np.concatenate([SILENCE, VOICE, SILENCE, VOICE, SILENCE]), 60.0)
    frame_seconds = 512 / SECOND
    assert window.start_seconds == pytest.approx(1.0 - 13 * frame_seconds, abs=frame_seconds)
    assert np.array(window.voiced) == pytest.approx(
        np.array([(1.0, 2.0), (3.0, 4.0)]), abs=2 * frame_seconds
    )
    assert window.voiced_seconds == pytest.approx(2.0, abs=4 * frame_seconds)
    assert window.recording.language == "en"


def test_a_window_holds_the_sound_of_its_time() -> None:
    samples = np.concatenate([SILENCE, VOICE * np.linspace(0.5, 1, SECOND, dtype=np.float32)])
    (window,) = cut(samples, 60.0)
    start = round(window.start_seconds * SECOND)
    np.testing.assert_array_equal(
        window.sound.samples, samples[start : start + len(window.sound.samples)]
    )


@pytest.mark.parametrize("stretch_seconds", [0.05, 7.3, 60.0])
def test_windows_do_not_depend_on_the_stretches(stretch_seconds: float) -> None:
    parts = [VOICE, SILENCE, VOICE, VOICE, *[SILENCE] * 4, *[VOICE, SILENCE] * 20, *[VOICE] * 33]
    samples = np.concatenate(parts)
    expected = cut(samples, 1000.0)
    found = cut(samples, stretch_seconds)
    assert [(each.start_seconds, each.voiced) for each in found] == [
        (each.start_seconds, each.voiced) for each in expected
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.sound.samples, other.sound.samples)
        assert one.sound.duration_seconds <= 30


def test_nothing_is_cut_from_silence_or_from_nothing() -> None:
    assert cut(np.zeros(10 * SECOND, dtype=np.float32), 60.0) == []
    assert cutter().finish() == []
    assert cutter().feed(Sound(np.zeros(0, dtype=np.float32), SECOND)) == []


def test_what_is_held_stays_small_however_long_the_recording_is() -> None:
    each = cutter()
    for number in range(200):
        each.feed(sound(VOICE if number % 7 else SILENCE))
        assert len(each._samples) <= 32 * SECOND
    for _ in range(20):
        each.feed(sound(SILENCE))
    assert len(each._samples) <= SECOND


def test_a_word_at_the_very_end_is_kept_to_its_last_sample() -> None:
    samples = np.concatenate([SILENCE, VOICE[:5000]])
    (window,) = cut(samples, 60.0)
    assert window.start_seconds + window.sound.duration_seconds == pytest.approx(21_000 / SECOND)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Sound(VOICE, 44_100), "sound is at 44100 Hz, speech is heard at 16000 Hz"),
        (Sound(VOICE * np.float32(np.nan), SECOND), "not finite"),
    ],
)
def test_sound_that_cannot_be_heard_is_refused(bad: Sound, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cutter().feed(bad)
