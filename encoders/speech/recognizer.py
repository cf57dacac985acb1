"""Speech recognition: from stretches of sound to utterances with the time of every word.

recording -> stretches of sound -> SpeechCutter -> windows of speech, at most 30 s each
          -> SpeechRecognizer, many windows at once, of several recordings -> utterances

`EncoderLoader.open_recognizer` opens a recogniser, which opens a cutter for each recording.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from encoders.media.content import Sound, Utterance

SAMPLE_RATE_HZ = 16_000
"""Rate of the sound that voice detection and recognition take."""


CERTAIN_AFTER_SECONDS = 60.0
"""Of speech, most of it in one language: a recording is not asked about any further."""


@dataclass(frozen=True, slots=True)
class LanguageState:
    """What a `RecordingLanguage` knows."""

    language: str | None
    is_certain: bool
    votes: dict[str, float]
    voiced_seconds: float


class RecordingLanguage:
    """The language of one recording: said beforehand, or what its windows so far sound like.

    Shared by all windows of a recording and brought up to date by `SpeechRecognizer.recognize`.

    Attributes:
        language: ISO 639-1 code; ``None`` until somebody was heard.
        is_certain: whether more windows would change nothing.
    """

    def __init__(self, language: str | None = None) -> None:
        self.language = language
        self.is_certain = language is not None
        self._votes: dict[str, float] = defaultdict(float)
        self._voiced_seconds = 0.0

    def state(self) -> LanguageState:
        """Return everything it knows, for a recogniser in another process."""
        return LanguageState(
            self.language, self.is_certain, dict(self._votes), self._voiced_seconds
        )

    def restore(self, state: LanguageState) -> None:
        """Know what `state` said, and nothing else."""
        self.language, self.is_certain = state.language, state.is_certain
        self._votes = defaultdict(float, state.votes)
        self._voiced_seconds = state.voiced_seconds

    def vote(self, probabilities: Mapping[str, float], voiced_seconds: float) -> None:
        """Count what one window sounds like, by how long somebody speaks in it.

        Args:
            probabilities: of each language, by its code.
            voiced_seconds: of the window.
        """
        for language, probability in probabilities.items():
            self._votes[language] += probability * voiced_seconds
        self._voiced_seconds += voiced_seconds
        self.language = max(self._votes, key=self._votes.__getitem__)
        self.is_certain = (
            self._voiced_seconds >= CERTAIN_AFTER_SECONDS
            and self._votes[self.language] > 0.5 * self._voiced_seconds
        )


@dataclass(frozen=True, slots=True, eq=False)
class SpeechWindow:
    """A stretch of a recording in which somebody speaks, at most 30 s long."""

    sound: Sound
    """At `SAMPLE_RATE_HZ`."""

    start_seconds: float
    """Where it begins, on the recording's clock."""

    voiced: tuple[tuple[float, float], ...]
    """Where in it somebody speaks, on the recording's clock."""

    recording: RecordingLanguage

    @property
    def voiced_seconds(self) -> float:
        """How long somebody speaks in it."""
        return sum(stop - start for start, stop in self.voiced)


class SpeechCutter(Protocol):
    """Cuts one recording, fed stretch by stretch, into windows of speech."""

    @property
    def recording(self) -> RecordingLanguage:
        """The recording that all windows belong to."""
        ...

    def feed(self, sound: Sound) -> list[SpeechWindow]:
        """Take the next stretch of the recording and return the windows that are now complete.

        Speech that reaches the end of the stretch is held back until it is known how it goes on.
        """
        ...

    def finish(self) -> list[SpeechWindow]:
        """Return what was held back: the recording is over."""
        ...


class SpeechRecognizer(Protocol):
    """Turns windows of speech into words. `EncoderLoader.open_recognizer` opens one."""

    @property
    def recognizer_id(self) -> str:
        """Digest of weights and parameters: equal ids hear the same words."""
        ...

    def open_cutter(self) -> SpeechCutter:
        """Return a cutter for one recording, in the recogniser's language if it has one."""
        ...

    def recognize(
        self, windows: Sequence[SpeechWindow], *, max_seconds: float
    ) -> list[list[Utterance]]:
        """Return, for each window, what is said in it; nothing where it was music or noise.

        Utterances end with sentences or pauses and are at most ``max_seconds`` long; their times
        are on the recording's clock.
        """
        ...
