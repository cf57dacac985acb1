"""Cutting a recording, as it is decoded, into windows of speech."""

from __future__ import annotations

import numpy as np

from encoders.media.content import Sound
from encoders.speech.recognizer import SAMPLE_RATE_HZ, RecordingLanguage, SpeechWindow
from encoders.speech.voice_activity import SAMPLES_PER_FRAME, first_window, frames_to_keep
from encoders.speech.voice_detector import VoiceDetector


class VoiceCutter:
    """A `SpeechCutter` that cuts where nobody speaks.

    It holds the speech whose end it does not know yet: about 30 s and the last stretch at most.

    Args:
        detector: one that has heard nothing yet.
        recording: the recording that all windows belong to.
    """

    def __init__(self, detector: VoiceDetector, recording: RecordingLanguage) -> None:
        self._detector = detector
        self._recording = recording
        self._first_frame = 0
        self._samples = np.zeros(0, dtype=np.float32)
        self._probabilities = np.zeros(0, dtype=np.float32)

    @property
    def recording(self) -> RecordingLanguage:
        """The recording that all windows belong to."""
        return self._recording

    def feed(self, sound: Sound) -> list[SpeechWindow]:
        """Take the next stretch of the recording and return the windows that are now complete.

        Raises:
            ValueError: the sound has another rate, or holds samples that are not numbers.
        """
        if sound.sample_rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(
                f"sound is at {sound.sample_rate_hz} Hz, speech is heard at {SAMPLE_RATE_HZ} Hz"
            )
        if not np.isfinite(sound.samples).all():
            raise ValueError(f"{sound} holds samples that are not finite numbers")
        self._samples = np.concatenate([self._samples, sound.samples])
        heard = self._detector.feed(sound.samples)
        self._probabilities = np.concatenate([self._probabilities, heard])
        return self._complete_windows(is_over=False)

    def finish(self) -> list[SpeechWindow]:
        """Return the windows that were held back: the recording is over."""
        self._probabilities = np.concatenate([self._probabilities, self._detector.finish()])
        return self._complete_windows(is_over=True)

    def _complete_windows(self, *, is_over: bool) -> list[SpeechWindow]:
        windows = []
        while (found := first_window(self._probabilities, is_over=is_over)) is not None:
            (start, stop), voiced = found
            samples = self._samples[start * SAMPLES_PER_FRAME : stop * SAMPLES_PER_FRAME].copy()
            windows.append(
                SpeechWindow(
                    Sound(samples, SAMPLE_RATE_HZ),
                    self._seconds(start),
                    tuple((self._seconds(first), self._seconds(last)) for first, last in voiced),
                    self._recording,
                )
            )
            self._drop(stop)
        self._drop(len(self._probabilities) - frames_to_keep(self._probabilities, is_over=is_over))
        return windows

    def _seconds(self, frame: int) -> float:
        return (self._first_frame + frame) * SAMPLES_PER_FRAME / SAMPLE_RATE_HZ

    def _drop(self, num_frames: int) -> None:
        """Forget the first ``num_frames``; copies, so that no large array is kept for a slice."""
        self._first_frame += num_frames
        self._samples = self._samples[num_frames * SAMPLES_PER_FRAME :].copy()
        self._probabilities = self._probabilities[num_frames:].copy()
