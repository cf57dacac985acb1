"""Speech that waits to be heard: windows of several recordings share a batch."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from encoders.config import UtteranceSegments, WhisperConfig
from encoders.errors import KindredError
from encoders.media.content import Utterance
from encoders.speech.recognizer import SpeechRecognizer
from indexer.jobs import SpeechPiece

BATCH_WINDOWS = 16
"""Windows of at most 30 s heard in one go; 2 MB each."""


@dataclass(frozen=True, slots=True)
class HeardPiece:
    """What came of a piece of speech."""

    piece: SpeechPiece
    utterances: list[Utterance]
    error: Exception | None = None
    """Why it could not be heard."""


_Key: TypeAlias = tuple[WhisperConfig, float]


class WaitingSpeech:
    """Collects pieces of speech and hears them in batches, each recording's in order.

    Args:
        open_recognizer: gives the recogniser of a configuration.
    """

    def __init__(self, open_recognizer: Callable[[WhisperConfig], SpeechRecognizer]) -> None:
        self._open_recognizer = open_recognizer
        self._waiting: dict[_Key, list[SpeechPiece]] = defaultdict(list)
        self.seconds = 0.0
        """Spent on hearing so far."""

    def add(self, piece: SpeechPiece) -> list[HeardPiece]:
        """Take a piece; return what was heard if that filled a batch."""
        config, cut = piece.tasks[0].recognizer, piece.tasks[0].segments
        assert config is not None, "channels of speech have a recognizer"
        assert isinstance(cut, UtteranceSegments), "speech is cut into utterances"
        key = (config, cut.max_seconds)
        waiting = self._waiting[key]
        waiting.append(piece)
        if sum(len(entry.windows) for entry in waiting) < BATCH_WINDOWS:
            return []
        return self._hear(key)

    def finish(self) -> list[HeardPiece]:
        """Return what was heard in everything that still waits."""
        return [heard for key in list(self._waiting) for heard in self._hear(key)]

    def _hear(self, key: _Key) -> list[HeardPiece]:
        pieces = [piece for piece in self._waiting.pop(key, []) if not piece.job.failed]
        if not pieces:
            return []
        config, max_seconds = key
        # Outside: weights that cannot be loaded are no item's fault and end the run.
        recognizer = self._open_recognizer(config)
        started = time.perf_counter()
        try:
            return _heard(recognizer, pieces, max_seconds)
        except KindredError:
            raise  # a device that is not there: nothing can be heard
        except Exception:
            # One recording must not take its batch down with it, so each is tried alone.
            return [_heard_alone(recognizer, piece, max_seconds) for piece in pieces]
        finally:
            self.seconds += time.perf_counter() - started


def _heard(
    recognizer: SpeechRecognizer, pieces: list[SpeechPiece], max_seconds: float
) -> list[HeardPiece]:
    windows = [window for piece in pieces for window in piece.windows]
    found = iter(recognizer.recognize(windows, max_seconds=max_seconds))
    return [
        HeardPiece(piece, [utterance for _ in piece.windows for utterance in next(found)])
        for piece in pieces
    ]


def _heard_alone(
    recognizer: SpeechRecognizer, piece: SpeechPiece, max_seconds: float
) -> HeardPiece:
    try:
        return _heard(recognizer, [piece], max_seconds)[0]
    except Exception as error:  # models raise whatever they like
        return HeardPiece(piece, [], error)
