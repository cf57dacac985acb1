"""Examining a recogniser of speech: does it hear what was said, and only that?"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from encoders.admission.plain_speech import SENTENCES, spoken
from encoders.admission.properties import at_least, at_most, not_applicable
from encoders.admission.report import (
    ADMISSION_VERSION,
    AdmissionReport,
    PropertyFinding,
    PropertyName,
)
from encoders.media.content import Sound, Word
from encoders.speech.recognizer import (
    SAMPLE_RATE_HZ,
    RecordingLanguage,
    SpeechRecognizer,
    SpeechWindow,
)

MAX_SECONDS_OUTSIDE = 0.5
"""Whisper base: 0. Words are timed no better than 0.4 s."""

MAX_SECONDS_APART = 0.1
"""Whisper base on a processor: 0. Further apart, the same word was heard at another time."""

MIN_SHARE_OF_WORDS = 0.5
"""Whisper base: 1.0. Smaller models mishear some words of so plain a voice."""

MAN_HZ = 110.0
WOMAN_HZ = 200.0
"""Pitches of voices."""

MAX_UTTERANCE_SECONDS = 30.0
SILENT_SECONDS = 5.0
LANGUAGE_SPOKEN = "en"
SHORT_SENTENCE = "Why are you away?"

_SHORT, _LONG, _SILENT = range(3)
_OF_WORDS = ("finite", "times_inside", "repeatable", "batch_independent")
"""Properties that only words have: of a model that heard none, they say nothing."""


def examine_recognizer(
    recognizer: SpeechRecognizer, languages: Sequence[str], *, trained: bool
) -> AdmissionReport:
    """Return what a recogniser's words are worth.

    It is given a short and a long recording of a plain voice, and silence that is said to be
    speech, as it is when the detector of voices errs.

    Args:
        recognizer: any.
        languages: codes of those that its model says to know.
        trained: also ask that it understands, which random weights cannot.
    """
    findings = _Examination(recognizer, languages, trained).findings()
    return AdmissionReport(
        version=ADMISSION_VERSION,
        encoder_id=recognizer.recognizer_id,
        space_id=None,
        medium="audio",
        trained=trained,
        text_encoder_id=None,
        admitted=all(each.outcome != "failed" for each in findings),
        properties=findings,
    )


def long_windows(recognizer: SpeechRecognizer, language: str | None) -> list[SpeechWindow]:
    """Return a plain voice that says all sentences, cut as recordings are: one window of 12 s."""
    voices = [MAN_HZ] * len(SENTENCES)
    return _windows(recognizer, spoken(list(SENTENCES), voices), language)


class _Examination:
    """One recogniser's examination; what it hears in the probes is asked for once."""

    def __init__(
        self, recognizer: SpeechRecognizer, languages: Sequence[str], trained: bool
    ) -> None:
        self._recognizer = recognizer
        self._languages = languages
        self._trained = trained
        # The language is said where words count, so that one mistake is not taken for another.
        self._language = LANGUAGE_SPOKEN if LANGUAGE_SPOKEN in languages else None
        self._detected = RecordingLanguage(recognizer.open_cutter().recording.language)

    def findings(self) -> tuple[PropertyFinding, ...]:
        """Return the findings in order; where times are no numbers nothing else is measured."""
        measures: Mapping[PropertyName, Callable[[], PropertyFinding]] = {
            "finite": self._finite,
            "languages_known": self._languages_known,
            "times_inside": self._times_inside,
            "silence_wordless": self._silence_wordless,
            "repeatable": self._repeatable,
            "batch_independent": self._batch_independent,
            "speech_heard": self._speech_heard,
        }
        findings: list[PropertyFinding] = []
        for name, measure in measures.items():
            if name in _OF_WORDS and not any(self._words):
                findings.append(not_applicable(name, "not a word was heard."))
            elif findings and findings[0].outcome == "failed":
                findings.append(not_applicable(name, "not measured, since finite failed."))
            else:
                findings.append(measure())
        return tuple(findings)

    def _probes(self) -> list[list[SpeechWindow]]:
        """Return the windows of each probe, made anew: a recording remembers its language."""
        silence = Sound(
            np.zeros(round(SILENT_SECONDS * SAMPLE_RATE_HZ), np.float32), SAMPLE_RATE_HZ
        )
        return [
            _windows(self._recognizer, spoken([SHORT_SENTENCE], [WOMAN_HZ]), self._language),
            long_windows(self._recognizer, self._language),
            [SpeechWindow(silence, 0.0, ((0.0, SILENT_SECONDS),), self._detected)],
        ]

    def _hear(self, probes: Sequence[Sequence[SpeechWindow]]) -> list[list[Word]]:
        """Return the words of each probe, all of them heard together."""
        windows = [window for probe in probes for window in probe]
        heard = iter(self._recognizer.recognize(windows, max_seconds=MAX_UTTERANCE_SECONDS))
        return [
            [word for _ in probe for utterance in next(heard) for word in utterance.words]
            for probe in probes
        ]

    @cached_property
    def _windows_of_words(self) -> list[list[SpeechWindow]]:
        return self._probes()

    @cached_property
    def _words(self) -> list[list[Word]]:
        return self._hear(self._windows_of_words)

    def _finite(self) -> PropertyFinding:
        numbers = [
            number
            for words in self._words
            for word in words
            for number in (word.start_seconds, word.stop_seconds, word.probability or 0.0)
        ]
        num_bad = sum(not math.isfinite(number) for number in numbers)
        return at_most(
            "finite",
            num_bad,
            0,
            f"{num_bad} of {len(numbers)} times and probabilities are NaN or infinite",
            "the weights are damaged, or overflow in this precision",
        )

    def _languages_known(self) -> PropertyFinding:
        odd = [code for code in self._languages if not re.fullmatch("[a-z]{2,3}", code)]
        detected = self._detected.language
        if detected is not None and detected not in self._languages:
            odd.append(detected)
        if not self._languages:
            odd.append("(none)")
        return at_most(
            "languages_known",
            len(odd),
            0,
            f"{len(self._languages)} languages, {len(odd)} of them not usable"
            + (f": {', '.join(map(repr, odd[:5]))}" if odd else ""),
            "config.json or the vocabulary belongs to another model",
        )

    def _times_inside(self) -> PropertyFinding:
        outside = [0.0]
        for windows, words in zip(self._windows_of_words, self._words, strict=True):
            before = -math.inf
            for word in words:
                fits = [
                    max(
                        window.start_seconds - word.start_seconds,
                        word.stop_seconds - window.start_seconds - window.sound.duration_seconds,
                    )
                    for window in windows
                ]
                backwards = max(before - word.start_seconds, word.start_seconds - word.stop_seconds)
                outside.append(max(min(fits), backwards))
                before = word.start_seconds
        worst = max(outside)
        return at_most(
            "times_inside",
            worst,
            MAX_SECONDS_OUTSIDE,
            f"words lie {worst:.2f} s outside of what was heard, or out of order, at most",
            "the heads that align words, in config.json, belong to another model",
        )

    def _silence_wordless(self) -> PropertyFinding:
        words = self._words[_SILENT]
        return at_most(
            "silence_wordless",
            len(words),
            0,
            f"{len(words)} words were heard in {SILENT_SECONDS:g} s of silence"
            + (f": {_text(words)!r}" if words else ""),
            "the model is sure of what it invents, so recordings will hold words nobody said",
        )

    def _repeatable(self) -> PropertyFinding:
        num_other = sum(map(_differ, self._words, self._hear(self._probes())))
        return at_most(
            "repeatable",
            num_other,
            0,
            f"{num_other} of {len(self._words)} recordings gave other words or times when heard "
            "again",
            "something is random: sampling instead of the best words, or dropout left on",
        )

    def _batch_independent(self) -> PropertyFinding:
        # The short one, which tells the most: beside it were a longer one and silence.
        (alone,) = self._hear([self._probes()[_SHORT]])
        num_other = int(_differ(self._words[_SHORT], alone))
        return at_most(
            "batch_independent",
            num_other,
            0,
            f"{num_other} of 1 recordings gave other words or times when heard alone",
            "what is heard beside a recording leaks into it",
        )

    def _speech_heard(self) -> PropertyFinding:
        if not self._trained:
            return not_applicable("speech_heard", "the weights are not trained.")
        if self._language is None:
            return not_applicable("speech_heard", "the plain voice speaks English, the model not.")
        said = _plain_words(" ".join([SHORT_SENTENCE, *SENTENCES]))
        heard = _plain_words(_text([*self._words[_SHORT], *self._words[_LONG]]))
        share = sum(min(said.count(word), heard.count(word)) for word in set(said)) / len(said)
        return at_least(
            "speech_heard",
            share,
            MIN_SHARE_OF_WORDS,
            f"{share:.0%} of {len(said)} words of a plain voice were heard",
            f"the model does not understand speech; it heard {' '.join(heard[:12])!r}",
        )


def _windows(
    recognizer: SpeechRecognizer, recording: Sound, language: str | None
) -> list[SpeechWindow]:
    cutter = recognizer.open_cutter()
    windows = [*cutter.feed(recording), *cutter.finish()]
    if language is None:
        return windows
    said = RecordingLanguage(language)
    return [replace(window, recording=said) for window in windows]


def _differ(first: Sequence[Word], second: Sequence[Word]) -> bool:
    """Tell whether words or their times are not the same."""
    if [word.text for word in first] != [word.text for word in second]:
        return True
    return any(
        abs(one.start_seconds - other.start_seconds) > MAX_SECONDS_APART
        or abs(one.stop_seconds - other.stop_seconds) > MAX_SECONDS_APART
        for one, other in zip(first, second, strict=True)
    )


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _plain_words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())
