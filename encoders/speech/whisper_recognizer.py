"""A speech recogniser made of a voice detector and Whisper."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from encoders.media.content import Utterance, Word
from encoders.onnx_session import OnnxNetwork
from encoders.speech.evidence import evidence_parameters, is_believable, unheard_rest, voiced_words
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow
from encoders.speech.speech_cutter import VoiceCutter
from encoders.speech.utterances import utterance_parameters, utterances
from encoders.speech.voice_activity import cutting_parameters
from encoders.speech.voice_detector import NETWORK_SHA256, VoiceDetector
from encoders.speech.whisper_network import Hearing, WhisperNetwork, hearing_parameters

WINDOWS_PER_RUN = 4
"""Heard at once: 8 are hardly faster on a processor and need 0.3 GB more for a moment."""

MAX_ROUNDS = 3
"""Times that a window is listened to: all of it, then what is left after the last word believed."""


class WhisperRecognizer:
    """A `SpeechRecognizer`; safe to use from several threads, which take turns.

    Args:
        recognizer_id: digest of weights and parameters.
        whisper: the network that hears words.
        voice_network: the network that hears voices.
        language: code of what is spoken in every recording; ``None``: asked of each.
    """

    def __init__(
        self,
        recognizer_id: str,
        whisper: WhisperNetwork,
        voice_network: OnnxNetwork,
        *,
        language: str | None = None,
    ) -> None:
        self.recognizer_id = recognizer_id
        self._whisper = whisper
        self._voice_network = voice_network
        self._language = language
        self._lock = threading.Lock()

    def open_cutter(self) -> VoiceCutter:
        """Return a cutter for one recording, in the recogniser's language if it has one."""
        return VoiceCutter(VoiceDetector(self._voice_network), RecordingLanguage(self._language))

    def recognize(
        self, windows: Sequence[SpeechWindow], *, max_seconds: float
    ) -> list[list[Utterance]]:
        """Return, for each window, what is said in it; nothing where it was music or noise.

        Windows of several recordings are heard together; what is heard in one does not depend on
        the others. Where the language is not known, the windows of a recording that are heard
        together agree about it with those heard before.

        Args:
            windows: of any recordings; those of one in order.
            max_seconds: utterances are at most as long.
        """
        words: list[list[Word]] = [[] for _ in windows]
        waiting = list(enumerate(windows))
        with self._lock:
            for _ in range(MAX_ROUNDS):
                rests = []
                hearings = self._hear([window for _, window in waiting])
                for (row, window), hearing in zip(waiting, hearings, strict=True):
                    believed = _believed_words(window, hearing)
                    words[row] += believed
                    if believed and (rest := unheard_rest(window, believed)) is not None:
                        rests.append((row, rest))
                waiting = rests
        return [
            utterances(heard, window.recording.language, max_seconds=max_seconds)
            for window, heard in zip(windows, words, strict=True)
        ]

    def _hear(self, windows: Sequence[SpeechWindow]) -> list[Hearing]:
        if not windows:
            return []
        encoded = np.concatenate(
            [
                self._whisper.encode([window.sound for window in windows[start:stop]])
                for start, stop in _runs(len(windows))
            ]
        )
        self._ask_for_languages(windows, encoded)
        rows_of: dict[str, list[int]] = defaultdict(list)
        for row, window in enumerate(windows):
            assert window.recording.language is not None, "it was asked for"
            rows_of[window.recording.language].append(row)
        hearings: dict[int, Hearing] = {}
        for language, rows in rows_of.items():
            for start, stop in _runs(len(rows)):
                run = rows[start:stop]
                seconds = [windows[row].sound.duration_seconds for row in run]
                heard = self._whisper.hear(encoded[run], seconds, language)
                hearings.update(zip(run, heard, strict=True))
        return [hearings[row] for row in range(len(windows))]

    def _ask_for_languages(
        self, windows: Sequence[SpeechWindow], encoded: NDArray[np.floating]
    ) -> None:
        asked = [row for row, window in enumerate(windows) if not window.recording.is_certain]
        for start, stop in _runs(len(asked)):
            run = asked[start:stop]
            for row, votes in zip(
                run, self._whisper.language_probabilities(encoded[run]), strict=True
            ):
                windows[row].recording.vote(votes, windows[row].voiced_seconds)


def recognizer_parameters() -> dict[str, object]:
    """Return the JSON-ready parameters that utterances depend on besides Whisper's weights."""
    return {
        "voice_network": NETWORK_SHA256,
        "cutting": cutting_parameters(),
        "hearing": hearing_parameters(),
        "evidence": evidence_parameters(),
        "utterances": utterance_parameters(),
        "max_rounds": MAX_ROUNDS,
    }


def _believed_words(window: SpeechWindow, hearing: Hearing) -> list[Word]:
    """Return the words to believe, on the recording's clock."""
    if not is_believable(hearing):
        return []
    words = [
        replace(
            word,
            start_seconds=window.start_seconds + word.start_seconds,
            stop_seconds=window.start_seconds + word.stop_seconds,
        )
        for word in hearing.words
    ]
    return voiced_words(words, window.voiced)


def _runs(num_windows: int) -> list[tuple[int, int]]:
    return [
        (start, min(start + WINDOWS_PER_RUN, num_windows))
        for start in range(0, num_windows, WINDOWS_PER_RUN)
    ]
